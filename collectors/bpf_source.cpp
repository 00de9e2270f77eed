// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/bpf_source.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <ctime>

#include "collectors/base/fd.h"
#include "collectors/bpf_programs.h"

namespace ipcscope {

namespace {

u64 nanoseconds(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<u64>(time.tv_sec) * 1'000'000'000U + static_cast<u64>(time.tv_nsec);
}

/// What a ring buffer's callback hands records to.
struct Drain {
  const RecordSink& sink;
  uint64_t malformed = 0;
};

int take_record(void* context, void* data, size_t size) noexcept {
  auto& drain = *static_cast<Drain*>(context);
  const auto& fact = *static_cast<const record*>(data);
  if (size < sizeof(record) || fact.size > size || fact.kind >= RECORD_KINDS) {
    drain.malformed++;
    return 0;
  }
  drain.sink(fact);
  return 0;
}

class BpfSource final : public Source {
 public:
  explicit BpfSource(const snapshot_programs& programs) : programs_(programs) {}
  BpfSource(const BpfSource&) = delete;
  BpfSource& operator=(const BpfSource&) = delete;
  ~BpfSource() override { programs_.destroy(programs_.skeleton); }

  Result<void> walk(const Request& request, const RecordSink& sink,
                    std::vector<Coverage>& coverage) override;
  Result<void> mappings(const Request& request, const RecordSink& sink,
                        std::vector<Coverage>& coverage) override;

 private:
  Result<void> run(int link, Drain& drain) const;
  snapshot_programs programs_;
};

/// Reads an iterator to its end. Its program pauses with EAGAIN when the ring is full.
Result<void> BpfSource::run(int link, Drain& drain) const {
  const std::unique_ptr<ring_buffer, void (*)(ring_buffer*)> ring(
      ring_buffer__new(programs_.records, take_record, &drain, nullptr), ring_buffer__free);
  if (!ring) {
    return system_failure("BPF ring buffer");
  }
  // The run queue's clock is as old as the last switch on this CPU; make that now.
  ::sched_yield();
  const Fd iterator(::bpf_iter_create(link));
  if (!iterator) {
    return system_failure("BPF iterator");
  }
  char unused[256];
  while (true) {
    const ssize_t got = ::read(iterator.get(), unused, sizeof unused);
    const int error = got < 0 ? errno : 0;
    ring_buffer__consume(ring.get());
    if (got == 0) {
      return {};
    }
    if (got < 0 && error != EAGAIN && error != EINTR) {
      return system_failure("reading the BPF iterator", error);
    }
  }
}

Result<void> BpfSource::walk(const Request& /*request*/, const RecordSink& sink,
                             std::vector<Coverage>& coverage) {
  *programs_.realtime_offset = nanoseconds(CLOCK_REALTIME) - nanoseconds(CLOCK_MONOTONIC);
  *programs_.files_seen = 0;
  *programs_.items_lost = 0;
  Drain drain{sink};
  if (Result<void> done = run(programs_.walk, drain); !done) {
    return done;
  }
  Coverage seen;
  seen.source = "bpf-iter-task";
  seen.checked = *programs_.files_seen;
  seen.lost = *programs_.items_lost + drain.malformed;
  if (seen.lost > 0) {
    seen.state = Coverage::State::partial;
    seen.reason = "lists that were longer than the kernel side may walk";
  }
  coverage.push_back(std::move(seen));
  return {};
}

Result<void> BpfSource::mappings(const Request& /*request*/, const RecordSink& sink,
                                 std::vector<Coverage>& coverage) {
  if (programs_.mappings < 0) {
    return system_failure("BPF iterator over mappings", programs_.mappings_error);
  }
  Coverage seen;
  seen.source = "bpf-iter-vma";
  const RecordSink counted = [&](const record& fact) {
    seen.checked++;
    sink(fact);
  };
  Drain drain{counted};
  if (Result<void> done = run(programs_.mappings, drain); !done) {
    return done;
  }
  seen.lost = drain.malformed;
  coverage.push_back(std::move(seen));
  return {};
}

/// Before 5.11 maps count against RLIMIT_MEMLOCK; raising it may fail, and then loading says so.
void raise_memlock() {
  const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
  ::setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

}  // namespace

Result<std::unique_ptr<Source>> open_bpf_source() {
  raise_memlock();
  snapshot_programs programs{};
  const int light = load_light_snapshot(&programs);
  if (light != 0) {
    const int full = load_snapshot(&programs);
    if (full != 0) {
      return system_failure("loading the BPF programs", -full);
    }
  }
  return std::unique_ptr<Source>(new BpfSource(programs));
}

std::vector<Capability> probe_bpf() {
  return {};
}

}  // namespace ipcscope
