// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string_view>

#include "collectors/base/fd.h"

namespace ipcscope {

namespace {

using Clock = std::chrono::steady_clock;

/// Milliseconds until then for poll(), 0 when it is past.
int left_until(Clock::time_point then) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(then - Clock::now()).count();
  return left > 0 ? static_cast<int>(left) + 1 : 0;
}

/// Collects everything up to the end of file; false at the deadline or on an error.
bool drain(int in, Clock::time_point deadline, std::string& bytes) {
  char buffer[65536];
  while (true) {
    pollfd ready{in, POLLIN, 0};
    const int count = ::poll(&ready, 1, left_until(deadline));
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return false;
    }
    const ssize_t got = ::read(in, buffer, sizeof buffer);
    if (got == 0) {
      return true;
    }
    if (got > 0) {
      bytes.append(buffer, static_cast<size_t>(got));
    } else if (errno != EINTR && errno != EAGAIN) {
      return false;
    }
  }
}

/// Waits for the child; true when it exited with status 0.
bool reap(pid_t child, Clock::time_point deadline) {
  // Normally it is at its exit already. One in an uninterruptible sleep cannot be waited for
  // without end; it dies with its sleep, and init takes it over when ipcscope has ended.
  bool killed = false;
  for (int round = 0;; round++) {
    int status = 0;
    const pid_t found = ::waitpid(child, &status, WNOHANG);
    if (found == child) {
      return !killed && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    if (found < 0 && errno != EINTR) {
      return !killed;  // SIGCHLD is ignored in this process: the kernel reaped it
    }
    if (!killed && Clock::now() >= deadline) {
      ::kill(child, SIGKILL);
      killed = true;
      deadline = Clock::now() + std::chrono::seconds(1);
    } else if (killed && Clock::now() >= deadline) {
      return false;
    }
    const timespec pause{0, round < 20 ? 100'000 : 2'000'000};
    ::nanosleep(&pause, nullptr);
  }
}

}  // namespace

bool write_all(int out, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(out, bytes.data(), bytes.size());
    if (put > 0) {
      bytes.remove_prefix(static_cast<size_t>(put));
    } else if (put < 0 && errno != EINTR) {
      return false;
    }
  }
  return true;
}

Result<ChildOutput> run_in_child(const std::function<void(int out)>& work,
                                 std::chrono::milliseconds limit) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return system_failure("pipe for a child");
  }
  Fd reader(ends[0]);
  Fd writer(ends[1]);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) {
    return system_failure("fork");
  }
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) {
      ::_exit(1);  // the parent was gone before the line above
    }
    ::signal(SIGPIPE, SIG_DFL);
    reader.reset();
    try {
      work(writer.get());
    } catch (...) {
      ::_exit(2);
    }
    ::_exit(0);
  }
  writer.reset();
  const auto deadline = Clock::now() + limit;
  ChildOutput output;
  const bool whole = drain(reader.get(), deadline, output.bytes);
  output.complete = reap(child, whole ? deadline : Clock::now()) && whole;
  return output;
}

}  // namespace ipcscope
