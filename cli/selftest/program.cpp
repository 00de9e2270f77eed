// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/selftest/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>

namespace ipcscope {

std::atomic<bool> programs_are_to_end = false;

namespace {

// How soon the wish to end is noticed.
constexpr int slice_ms = 50;

struct Ends {
  Fd read, write;
};

Result<Ends> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return system_failure("make a pipe");
  }
  return Ends{Fd(ends[0]), Fd(ends[1])};
}

int milliseconds_to(Program::Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Program::Clock::now());
  return static_cast<int>(std::max<int64_t>(left.count(), 0));
}

Program::Clock::time_point after(int limit_ms) {
  return Program::Clock::now() + std::chrono::milliseconds(limit_ms);
}

/// Appends what can be read; closes at the end of the file.
void take(Fd& from, std::string& to) {
  std::array<char, 65536> block{};
  const ssize_t got = ::read(from.get(), block.data(), block.size());
  if (got > 0) {
    to.append(block.data(), static_cast<size_t>(got));
  } else if (got == 0 || errno != EINTR) {
    from.reset();
  }
}

}  // namespace

Program::Program(Program&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)),
      status_(other.status_),
      input_(std::move(other.input_)),
      output_(std::move(other.output_)),
      errors_(std::move(other.errors_)),
      out_(std::move(other.out_)),
      err_(std::move(other.err_)) {}

Result<Program> Program::start(const std::vector<std::string>& command) {
  Result<Ends> in = make_pipe();
  Result<Ends> out = make_pipe();
  Result<Ends> err = make_pipe();
  if (!in || !out || !err) {
    return failure("cannot make pipes for a program");
  }
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in->read.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out->write.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, err->write.get(), STDERR_FILENO);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  ::sigemptyset(&none);
  sigset_t defaults;
  ::sigemptyset(&defaults);
  ::sigaddset(&defaults, SIGPIPE);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &defaults);
  // A group of its own: who presses Ctrl-C ends this program, which ends the others in order.
  ::posix_spawnattr_setflags(
      &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& each : command) {
    arguments.push_back(const_cast<char*>(each.c_str()));
  }
  arguments.push_back(nullptr);
  Program program;
  const int error =
      ::posix_spawn(&program.pid_, arguments[0], &actions, &attributes, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    program.pid_ = 0;
    return system_failure("start " + command[0], error);
  }
  program.input_ = std::move(in->write);
  program.output_ = std::move(out->read);
  program.errors_ = std::move(err->read);
  return program;
}

bool Program::read_some(Clock::time_point deadline) {
  while (output_ || errors_) {
    pollfd files[2] = {{output_.get(), POLLIN, 0}, {errors_.get(), POLLIN, 0}};
    const int left = milliseconds_to(deadline);
    const int ready = ::poll(files, 2, std::min(left, slice_ms));
    if (ready > 0) {
      if (files[0].revents != 0) {
        take(output_, out_);
      }
      if (files[1].revents != 0) {
        take(errors_, err_);
      }
      return true;
    }
    if (left == 0 || programs_are_to_end) {
      return false;
    }
  }
  return false;
}

std::optional<std::string> Program::read_line(int limit_ms) {
  const Clock::time_point deadline = after(limit_ms);
  while (true) {
    if (const size_t end = out_.find('\n'); end != std::string::npos) {
      std::string line = out_.substr(0, end);
      out_.erase(0, end + 1);
      return line;
    }
    if (!output_ || !read_some(deadline)) {
      return std::nullopt;
    }
  }
}

bool Program::await_error(std::string_view text, int limit_ms) {
  const Clock::time_point deadline = after(limit_ms);
  while (err_.find(text) == std::string::npos) {
    if (!errors_ || !read_some(deadline)) {
      return false;
    }
  }
  return true;
}

bool Program::write_input(std::string_view text) const {
  return ::write(input_.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

void Program::read_all(int limit_ms) {
  const Clock::time_point deadline = after(limit_ms);
  while (read_some(deadline)) {
  }
}

void Program::send(int signal) const {
  if (pid_ > 0 && !status_) {
    ::kill(pid_, signal);
  }
}

std::optional<int> Program::wait(int limit_ms) {
  const Clock::time_point deadline = after(limit_ms);
  while (pid_ > 0 && !status_) {
    int status = 0;
    const pid_t got = ::waitpid(pid_, &status, WNOHANG);
    if (got == pid_) {
      status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    } else if (got < 0 && errno != EINTR) {
      status_ = -1;
    } else if (milliseconds_to(deadline) == 0) {
      break;
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  return status_;
}

void Program::end() {
  if (pid_ == 0 || status_) {
    return;
  }
  constexpr int patience_ms = 5000;
  close_input();
  send(SIGTERM);
  if (!wait(patience_ms)) {
    send(SIGKILL);
    (void)wait(patience_ms);
  }
}

Result<ProgramOutcome> run_program(const std::vector<std::string>& command, int limit_ms) {
  Result<Program> program = Program::start(command);
  if (!program) {
    return Failure(program.error());
  }
  program->close_input();
  program->read_all(limit_ms);
  constexpr int last_ms = 1000;
  const std::optional<int> status = program->wait(last_ms);
  if (!status) {
    return failure(fmt::format("{} takes longer than {} s", command[0], limit_ms / 1000));
  }
  return ProgramOutcome{*status, program->output(), program->errors()};
}

}  // namespace ipcscope
