// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/session.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <memory>

#include "bpf/thread.h"
#include "collectors/base/parse.h"
#include "collectors/bpf_refusal.h"
#include "collectors/bpf_source.h"
#include "collectors/mechanism.h"
#include "collectors/model/builder.h"
#include "collectors/proc/proc_source.h"
#include "collectors/proc/task_files.h"

namespace ipcscope {

namespace {

int64_t clock_ns(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

/// Open file descriptions on the host, to know how much to expect; 0 when it cannot be told.
size_t open_files(const ProcRoot& proc) {
  const Result<std::string> text = proc.read(std::string("sys/fs/file-nr"));
  if (!text) {
    return 0;
  }
  std::string_view rest = *text;
  return next_number<size_t>(rest).value_or(0);
}

/// Room in the tables of descriptors of these processes.
size_t descriptors_of(const std::vector<pid_t>& pids, const ProcRoot& proc) {
  size_t sum = 0;
  for (const pid_t pid : pids) {
    const Result<std::string> text = proc.read(std::to_string(pid) + "/status");
    const size_t at = text ? text->find("\nFDSize:") : std::string::npos;
    if (at != std::string::npos) {
      std::string_view rest =
          std::string_view(*text).substr(at + std::string_view("\nFDSize:").size());
      sum += next_number<size_t>(rest).value_or(0);
    }
  }
  return sum;
}

/// The mechanisms of the table, and which of them take which record.
class Dispatch {
 public:
  explicit Dispatch(Assembly& assembly) : assembly_(assembly) {
    for (const MechanismEntry& entry : mechanism_table()) {
      mechanisms_.push_back(entry.make());
      for (const record_kind kind : entry.records) {
        takers_[kind].push_back(mechanisms_.back().get());
      }
    }
  }

  void take(const record& fact) {
    if (fact.kind == RECORD_THREAD) {
      thread_record thread = reinterpret_cast<const thread_record&>(fact);
      if (fact.pid == own_pid_) {
        thread.syscall = -1;  // its threads wait for each other while it looks
      }
      assembly_.add_thread(thread);
    } else if (fact.kind == RECORD_FD_COUNT) {
      assembly_.set_fd_count(reinterpret_cast<const fd_count_record&>(fact));
    }
    if (is_own_business(fact)) {
      return;
    }
    for (Mechanism* mechanism : takers_[fact.kind]) {
      mechanism->take(fact, assembly_);
    }
  }

  /// What ipcscope itself has open beyond its standard files says nothing about the host.
  [[nodiscard]] bool is_own_business(const record& fact) const {
    return fact.pid == own_pid_ && fact.kind >= RECORD_FILE &&
           reinterpret_cast<const file_record&>(fact).fd > STDERR_FILENO;
  }

  void finish() {
    for (std::unique_ptr<Mechanism>& mechanism : mechanisms_) {
      mechanism->finish(assembly_);
      mechanism.reset();
    }
    mechanisms_.clear();  // what they remember of half a million files is not needed any more
  }

 private:
  Assembly& assembly_;
  uint32_t own_pid_ = static_cast<uint32_t>(::getpid());
  std::vector<std::unique_ptr<Mechanism>> mechanisms_;
  std::array<std::vector<Mechanism*>, RECORD_KINDS> takers_;
};

/// Processes that /proc has and the walk did not show: some hardened kernels hide them from BPF.
/// One that has only just begun is not meant.
void cover_hidden(const Assembly& assembly, const ProcRoot& proc, std::vector<Coverage>& coverage) {
  const Result<std::vector<int>> pids = proc.numbers(".");
  if (!pids || coverage.empty()) {
    return;
  }
  const std::vector<Process>& seen = assembly.builder.snapshot().processes;
  int newest = 0;
  for (const Process& process : seen) {
    newest = std::max(newest, process.pid);
  }
  Coverage& walk = coverage.back();
  // What started since may have a number that the walk had passed already.
  const uint64_t tick_ns = 1'000'000'000U / static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  const uint64_t begin = static_cast<uint64_t>(assembly.builder.snapshot().boot_ns) / tick_ns;
  const auto is_new = [begin](const std::string& text) {
    const auto stat = parse_stat(text);
    return !stat || stat->start_ticks >= begin;
  };
  std::string first;
  for (const int pid : *pids) {
    if (pid > newest || assembly.process(static_cast<uint32_t>(pid)) != no_index) {
      continue;
    }
    const Result<std::string> stat = proc.read(std::to_string(pid) + "/stat");
    if (!stat || is_new(*stat)) {
      continue;
    }
    if (walk.unreadable++ == 0) {
      first = std::to_string(pid);
    }
  }
  if (walk.unreadable > 0) {
    walk.state = Coverage::State::partial;
    walk.reason = "processes that the kernel hides from BPF, the first is " + first;
    walk.hint = "--source=proc may show more of them";
  }
}

using Part = Result<void> (Source::*)(const Request&, const RecordSink&, std::vector<Coverage>&);

/// The sources in the order in which they are to be asked.
class Sources {
 public:
  /// bpf: null where it is not to be asked.
  Sources(const Request& request, const ProcRoot& proc, Source* bpf)
      : proc_(proc), request_(request), bpf_(bpf) {}

  [[nodiscard]] bool has_bpf() const { return bpf_ != nullptr; }
  [[nodiscard]] bool is_proved() const { return bpf_ != nullptr && bpf_->is_proved(); }

  /// One part from the best source that can give it.
  Result<void> collect(Part part, const char* name, const RecordSink& sink,
                       std::vector<Coverage>& coverage) {
    if (bpf_ != nullptr) {
      uint64_t taken = 0;
      const RecordSink counted = [&](const record& fact) {
        taken++;
        sink(fact);
      };
      Result<void> done = (*bpf_.*part)(request_, counted, coverage);
      if (done || (request_.source == SourceChoice::bpf && taken == 0)) {
        return done;
      }
      if (taken > 0) {  // what came before it failed stays; /proc would say it all again
        coverage.push_back({name, Coverage::State::partial, taken, 0, 0, done.error().text(),
                            "try again, or with --source=proc"});
        return {};
      }
      coverage.push_back({name, Coverage::State::unavailable, 0, 0, 0, done.error().text(),
                          "taken from /proc instead"});
    }
    ProcSource proc(proc_);
    return (proc.*part)(request_, sink, coverage);
  }

 private:
  const ProcRoot& proc_;
  const Request& request_;
  Source* bpf_;
};

}  // namespace

void describe_host(std::string& host, std::string& kernel, int64_t& time_ns, int64_t& boot_ns) {
  utsname system{};
  ::uname(&system);
  host = system.nodename;
  kernel = system.release;
  time_ns = clock_ns(CLOCK_REALTIME);
  boot_ns = clock_ns(CLOCK_BOOTTIME);
}

void Session::open(const Request& request) {
  if (request.source == SourceChoice::proc || bpf_ || refusal_) {
    return;
  }
  Result<std::unique_ptr<Source>> opened =
      open_bpf_source(request, {open_files(proc_), descriptors_of(request.pids, proc_)});
  if (opened) {
    bpf_ = std::move(*opened);
  } else {
    refusal_ = opened.error();
  }
}

Result<Snapshot> Session::take(const Request& request) {
  SnapshotBuilder builder;
  Snapshot& snapshot = builder.snapshot();
  describe_host(snapshot.host, snapshot.kernel, snapshot.time_ns, snapshot.boot_ns);
  open(request);
  Source* bpf = request.source == SourceChoice::proc ? nullptr : bpf_.get();
  if (bpf == nullptr && request.source == SourceChoice::bpf) {
    return Failure(*refusal_);
  }
  if (bpf == nullptr && request.source == SourceChoice::automatic) {
    snapshot.coverage.push_back(
        {"bpf", Coverage::State::unavailable, 0, 0, 0, refusal_->text(), advice_after(*refusal_)});
  }
  if (!request.alone) {
    builder.expect(open_files(proc_));
  }
  Assembly assembly(builder, proc_, request);
  Dispatch dispatch(assembly);
  const RecordSink sink = [&](const record& fact) { dispatch.take(fact); };

  Sources sources(request, proc_, bpf);
  if (Result<void> done = sources.collect(&Source::walk, "bpf-iter-task", sink, snapshot.coverage);
      !done) {
    return Failure(done.error());
  }
  if (sources.has_bpf() && !sources.is_proved() && !request.alone) {
    cover_hidden(assembly, proc_, snapshot.coverage);
  }
  if (Result<void> done =
          sources.collect(&Source::mappings, "bpf-iter-vma", sink, snapshot.coverage);
      !done) {
    snapshot.coverage.push_back({"mappings", Coverage::State::unavailable, 0, 0, 0,
                                 done.error().text(), "shared memory is listed without its users"});
  }
  dispatch.finish();
  return builder.finish();
}

Result<Snapshot> take_snapshot(const Request& request, const ProcRoot& proc) {
  return Session(proc).take(request);
}

}  // namespace ipcscope
