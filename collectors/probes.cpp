// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/probes.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "collectors/base/fd.h"
#include "collectors/bpf_refusal.h"
#include "collectors/locks/deep_probes.h"
#include "collectors/locks/lock_probe.h"
#include "collectors/trace/probe.h"

namespace ipcscope {

namespace {

/// A child that sends itself a byte through a pipe, having waited for a moment. It must be told to
/// begin, so that probes can be made for it alone.
class Child {
 public:
  Child() {
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
      return;
    }
    pid_ = ::fork();
    if (pid_ == 0) {
      char byte = 0;
      ::close(ends[1]);
      (void)!::read(ends[0], &byte, 1);
      std::array<int, 2> own{-1, -1};
      const bool done = ::pipe2(own.data(), 0) == 0 && ::write(own[1], &byte, 1) == 1 &&
                        ::read(own[0], &byte, 1) == 1;
      ::_exit(done ? 0 : 1);
    }
    ::close(ends[0]);
    begin_.reset(ends[1]);
  }
  ~Child() { finish(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Lets it work, and waits for its end.
  void finish() {
    begin_.reset();
    if (pid_ > 0) {
      ::waitpid(pid_, nullptr, 0);
      pid_ = -1;
    }
  }

 private:
  pid_t pid_ = -1;
  Fd begin_;
};

/// problem: nothing when it works.
Capability judge(const char* name, const std::optional<Error>& problem, const char* lost) {
  Capability capability;
  capability.name = name;
  if (problem) {
    const int error = problem->code.value();
    capability.state = Capability::missing;
    capability.reason = problem->text();
    capability.lost = {lost};
    capability.remedy = remedy_of_refusal(error);
  }
  return capability;
}

std::optional<Error> try_locks(const ProcRoot& proc) {
  Child child;
  LockRequest request;
  request.pids = {child.pid()};
  const Result<std::unique_ptr<LockProbe>> probe = LockProbe::start(request, proc);
  if (!probe) {
    return probe.error();
  }
  child.finish();
  const Result<LockWindow> window = (*probe)->window();
  if (!window) {
    return window.error();
  }
  return window->locks.empty() ? std::optional(Error{{}, "attached, but it reports nothing"})
                               : std::nullopt;
}

std::optional<Error> try_trace(const ProcRoot& proc) {
  Child child;
  TraceRequest request;
  request.pids = {child.pid()};
  request.summary = true;
  const Result<std::unique_ptr<TraceProbe>> probe = TraceProbe::start(request, proc);
  if (!probe) {
    return probe.error();
  }
  child.finish();
  return (*probe)->sums().empty() ? std::optional(Error{{}, "attached, but it reports nothing"})
                                  : std::nullopt;
}

Capability try_functions() {
  const int error = DeepProbes::try_together();
  Capability capability =
      judge("BPF at many functions",
            error == 0 ? std::nullopt
                       : std::optional(Error{{error, std::generic_category()},
                                             "probes of functions by one link"}),
            "locks --deep: the end takes a tenth of a second for each of its probes");
  if (error == EOPNOTSUPP) {
    capability.remedy = "needs Linux 6.10 or later";
  }
  return capability;
}

}  // namespace

std::vector<Capability> probe_tracing(const ProcRoot& proc) {
  return {judge("BPF at context switches", try_locks(proc), "locks: everything"),
          judge("BPF at system calls", try_trace(proc), "trace: everything"), try_functions()};
}

}  // namespace ipcscope
