// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/session.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <memory>

#include "bpf/thread.h"
#include "collectors/base/parse.h"
#include "collectors/bpf_source.h"
#include "collectors/mechanism.h"
#include "collectors/model/builder.h"
#include "collectors/proc/proc_source.h"

namespace ipcscope {

namespace {

int64_t clock_ns(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

void describe_host(Snapshot& snapshot) {
  utsname system{};
  ::uname(&system);
  snapshot.host = system.nodename;
  snapshot.kernel = system.release;
  snapshot.time_ns = clock_ns(CLOCK_REALTIME);
  snapshot.boot_ns = clock_ns(CLOCK_BOOTTIME);
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
      assembly_.add_thread(reinterpret_cast<const thread_record&>(fact));
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

using Part = Result<void> (Source::*)(const Request&, const RecordSink&, std::vector<Coverage>&);

/// The sources in the order in which they are to be asked.
class Sources {
 public:
  Sources(const Request& request, const ProcRoot& proc) : proc_(proc), request_(request) {}

  /// Fails when BPF was asked for and cannot be had.
  Result<void> open(std::vector<Coverage>& coverage) {
    if (request_.source == SourceChoice::proc) {
      return {};
    }
    Result<std::unique_ptr<Source>> opened = open_bpf_source();
    if (opened) {
      bpf_ = std::move(*opened);
      return {};
    }
    if (request_.source == SourceChoice::bpf) {
      return Failure(opened.error());
    }
    coverage.push_back(
        {"bpf", Coverage::State::unavailable, 0, 0, 0, opened.error().text(),
         "run as root, or with CAP_BPF and CAP_PERFMON; `ipcscope doctor` tells more"});
    return {};
  }

  /// One part from the best source that can give it.
  Result<void> collect(Part part, const char* name, const RecordSink& sink,
                       std::vector<Coverage>& coverage) {
    if (bpf_) {
      Result<void> done = (*bpf_.*part)(request_, sink, coverage);
      if (done || request_.source == SourceChoice::bpf) {
        return done;
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
  std::unique_ptr<Source> bpf_;
};

}  // namespace

Result<Snapshot> take_snapshot(const Request& request, const ProcRoot& proc) {
  SnapshotBuilder builder;
  Snapshot& snapshot = builder.snapshot();
  describe_host(snapshot);
  builder.expect(open_files(proc));
  Assembly assembly(builder, proc, request);
  Dispatch dispatch(assembly);
  const RecordSink sink = [&](const record& fact) { dispatch.take(fact); };

  Sources sources(request, proc);
  if (Result<void> done = sources.open(snapshot.coverage); !done) {
    return Failure(done.error());
  }
  if (Result<void> done = sources.collect(&Source::walk, "bpf-iter-task", sink, snapshot.coverage);
      !done) {
    return Failure(done.error());
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

}  // namespace ipcscope
