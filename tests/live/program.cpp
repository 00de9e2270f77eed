// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/live/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace ipcscope::live {

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(std::string_view what, int error = errno) {
  throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(error)));
}

struct Ends {
  Fd read, write;
};

Ends make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    fail("pipe2");
  }
  return {Fd(ends[0]), Fd(ends[1])};
}

int milliseconds_to(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return left < 0 ? 0 : static_cast<int>(left);
}

/// Appends what can be read; closes at the end of the file.
void take(Fd& from, std::string& to) {
  std::array<char, 65536> block;
  const ssize_t got = ::read(from.get(), block.data(), block.size());
  if (got > 0) {
    to.append(block.data(), static_cast<size_t>(got));
  } else if (got == 0 || errno != EINTR) {
    from.reset();
  }
}

}  // namespace

Program::Program(const std::vector<std::string>& command, int output) {
  Ends in = make_pipe();
  Ends out = make_pipe();
  Ends err = make_pipe();
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in.read.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output >= 0 ? output : out.write.get(),
                                     STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, err.write.get(), STDERR_FILENO);
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& each : command) {
    arguments.push_back(const_cast<char*>(each.c_str()));
  }
  arguments.push_back(nullptr);
  const int error =
      ::posix_spawnp(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    pid_ = 0;
    fail("cannot start " + command[0], error);
  }
  handle_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  if (!handle_) {
    const int reason = errno;
    end();
    fail("pidfd_open", reason);
  }
  input_ = std::move(in.write);
  output_ = std::move(out.read);
  errors_ = std::move(err.read);
}

Program::~Program() { end(); }

bool Program::read_some(Clock::time_point deadline) {
  pollfd files[2] = {{output_.get(), POLLIN, 0}, {errors_.get(), POLLIN, 0}};
  const bool open = output_ || errors_;
  if (!open || ::poll(files, 2, milliseconds_to(deadline)) <= 0) {
    return false;
  }
  if (files[0].revents != 0) {
    take(output_, out_);
  }
  if (files[1].revents != 0) {
    take(errors_, err_);
  }
  return true;
}

std::string Program::read_line(Seconds limit) {
  const Clock::time_point deadline = Clock::now() + limit;
  while (true) {
    if (const size_t end = out_.find('\n'); end != std::string::npos) {
      std::string line = out_.substr(0, end);
      out_.erase(0, end + 1);
      return line;
    }
    if (!output_ || !read_some(deadline)) {
      return std::exchange(out_, {});
    }
  }
}

bool Program::await_error(std::string_view text, Seconds limit) {
  const Clock::time_point deadline = Clock::now() + limit;
  while (err_.find(text) == std::string::npos) {
    if (!errors_ || !read_some(deadline)) {
      return false;
    }
  }
  return true;
}

void Program::write_input(std::string_view text) const {
  if (::write(input_.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    fail("write to a program's input");
  }
}

std::string Program::read_error_line(Seconds limit) {
  const Clock::time_point deadline = Clock::now() + limit;
  while (true) {
    if (const size_t end = err_.find('\n'); end != std::string::npos) {
      std::string line = err_.substr(0, end);
      err_.erase(0, end + 1);
      return line;
    }
    if (!errors_ || !read_some(deadline)) {
      return std::exchange(err_, {});
    }
  }
}

void Program::read_all(Seconds limit) {
  const Clock::time_point deadline = Clock::now() + limit;
  while (read_some(deadline)) {
  }
}

std::optional<int> Program::wait(Seconds limit) {
  if (!status_) {
    pollfd ended = {handle_.get(), POLLIN, 0};
    const Clock::time_point deadline = Clock::now() + limit;
    while (handle_ && ::poll(&ended, 1, milliseconds_to(deadline)) < 0 && errno == EINTR) {
    }
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) {
      return std::nullopt;
    }
    status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  return status_;
}

void Program::end() {
  if (pid_ == 0 || status_) {
    return;
  }
  close_input();
  ::kill(pid_, SIGTERM);
  if (!wait(Seconds(5))) {
    ::kill(pid_, SIGKILL);
    (void)wait(Seconds(5));
  }
}

Outcome run(const std::vector<std::string>& command, Seconds limit, int output) {
  Program program(command, output);
  program.close_input();
  program.read_all(limit);
  const std::optional<int> status = program.wait(Seconds(1));
  if (!status) {
    throw std::runtime_error(
        fmt::format("{} took more than {} s", fmt::join(command, " "), limit.count()));
  }
  return {*status, program.output(), program.errors()};
}

std::vector<std::string> ipcscope_command(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), IPCSCOPE_PROGRAM);
  return arguments;
}

}  // namespace ipcscope::live
