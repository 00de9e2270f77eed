// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/bpf_source.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <ctime>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "bpf/related.h"
#include "bpf/shmem.h"
#include "collectors/base/fd.h"
#include "collectors/bpf_programs.h"
#include "collectors/kernel_layout.h"

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

/// Owns a loaded object.
class Loaded {
 public:
  Loaded() = default;
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;
  ~Loaded() {
    if (program.destroy != nullptr) {
      program.destroy(program.skeleton);
    }
  }
  bpf_iterator_program program{};
  int error = 0;  ///< errno, why it is not loaded
};

/// Puts the records of a few processes, which came first, where they would have come in a walk over
/// all: the order of a channel's ends is that of the walk.
class InOrder {
 public:
  explicit InOrder(const RecordSink& sink) : sink_(sink) {}

  /// Of the walk over the chosen processes: threads of all, files of these.
  void take_chosen(const record& fact) {
    if (fact.kind == RECORD_THREAD) {
      ranks_.try_emplace(fact.pid, ranks_.size());
      sink_(fact);
      return;
    }
    if (kept_.empty() || kept_.back().pid != fact.pid) {
      kept_.push_back({fact.pid, {}});
    }
    std::vector<std::byte>& records = kept_.back().records;
    const size_t at = records.size();
    records.resize(at + aligned(fact.size));
    std::memcpy(&records[at], &fact, fact.size);
  }

  /// Of the walk over the others.
  void take_related(const record& fact) {
    for (const size_t rank = rank_of(fact.pid);
         next_ < kept_.size() && rank_of(kept_[next_].pid) < rank; next_++) {
      hand_over(kept_[next_]);
    }
    sink_(fact);
  }

  void finish() {
    for (; next_ < kept_.size(); next_++) {
      hand_over(kept_[next_]);
    }
  }

 private:
  struct Kept {
    u32 pid;
    std::vector<std::byte> records;
  };

  [[nodiscard]] size_t rank_of(u32 pid) const {
    const auto found = ranks_.find(pid);
    return found == ranks_.end() ? SIZE_MAX : found->second;
  }

  void hand_over(const Kept& kept) const {
    for (size_t at = 0; at < kept.records.size();) {
      const auto& fact = reinterpret_cast<const record&>(kept.records[at]);
      sink_(fact);
      at += aligned(fact.size);
    }
  }

  static size_t aligned(size_t size) { return (size + alignof(u64) - 1) & ~(alignof(u64) - 1); }

  const RecordSink& sink_;
  std::unordered_map<u32, size_t> ranks_;  ///< when the walk came to a process
  std::vector<Kept> kept_;
  size_t next_ = 0;
};

class BpfSource final : public Source {
 public:
  Result<void> load();
  Result<void> walk(const Request& request, const RecordSink& sink,
                    std::vector<Coverage>& coverage) override;
  Result<void> mappings(const Request& request, const RecordSink& sink,
                        std::vector<Coverage>& coverage) override;

 private:
  [[nodiscard]] bool can_tell_related(const Request& request) const;
  Result<void> walk_all(Drain& drain);
  Result<void> walk_related(const Request& request, const RecordSink& sink, uint64_t& malformed);
  void read_mappings();

  Loaded walk_;
  Loaded mappings_;
  walk_state state_{};
  /// Read during the walk, or before its second half, which needs to know them.
  std::vector<mapping_record> known_mappings_;
  std::optional<Result<void>> mappings_read_;
  uint64_t mappings_lost_ = 0;
};

/// Both at the same time: the kernel verifies for longer than all the rest takes.
Result<void> BpfSource::load() {
  const Result<kernel_layout> layout = read_kernel_layout();
  if (!layout) {
    return Failure(layout.error());
  }
  std::thread beside(
      [&] { mappings_.error = -load_mappings(&mappings_.program, &*layout, BPF_LOADING_BEST); });
  walk_.error = -load_walk(&walk_.program, &state_, &*layout, BPF_LOADING_BEST);
  beside.join();
  if (walk_.error != 0) {
    return system_failure("loading the BPF programs", walk_.error);
  }
  return {};
}

/// Reads an iterator to its end; 0 or an errno. Its program pauses with EAGAIN when the ring is
/// full.
int read_to_end(int iterator, std::atomic<bool>& finished) {
  char unused[256];
  int error = 0;
  while (true) {
    const ssize_t got = ::read(iterator, unused, sizeof unused);
    if (got == 0) {
      break;
    }
    if (got < 0 && errno == EAGAIN) {
      ::usleep(20);  // until the other thread has drained the ring
    } else if (got < 0 && errno != EINTR) {
      error = errno;
      break;
    }
  }
  finished.store(true, std::memory_order_release);
  return error;
}

/// Runs an iterator, and drains its ring at the same time.
Result<void> run(const bpf_iterator_program& program, Drain& drain) {
  const std::unique_ptr<ring_buffer, void (*)(ring_buffer*)> ring(
      ring_buffer__new(program.records, take_record, &drain, nullptr), ring_buffer__free);
  if (!ring) {
    return system_failure("BPF ring buffer");
  }
  // The run queue's clock is as old as the last switch on this CPU; make that now.
  ::sched_yield();
  const Fd iterator(::bpf_iter_create(program.link));
  if (!iterator) {
    return system_failure("BPF iterator");
  }
  std::atomic<bool> finished{false};
  int error = 0;
  std::thread reader([&] { error = read_to_end(iterator.get(), finished); });
  while (!finished.load(std::memory_order_acquire)) {
    if (ring_buffer__consume(ring.get()) <= 0) {
      ::usleep(20);
    }
  }
  reader.join();
  ring_buffer__consume(ring.get());
  if (error != 0) {
    return system_failure("reading the BPF iterator", error);
  }
  return {};
}

/// Whether a walk can be confined to some processes and those that they have to do with.
bool BpfSource::can_tell_related(const Request& request) const {
  return !request.pids.empty() && request.pids.size() <= CHOSEN_MAX &&
         state_.relations != nullptr && mappings_.error == 0;
}

void BpfSource::read_mappings() {
  const RecordSink keep = [&](const record& fact) {
    known_mappings_.push_back(reinterpret_cast<const mapping_record&>(fact));
  };
  Drain drain{keep};
  mappings_read_ = run(mappings_.program, drain);
  mappings_lost_ = drain.malformed;
}

/// The chosen processes first, then those that may have another end of anything that these have.
Result<void> BpfSource::walk_related(const Request& request, const RecordSink& sink,
                                     uint64_t& malformed) {
  InOrder ordered(sink);
  relations& relations = *state_.relations;
  relations.part = WALK_CHOSEN;
  const auto is_chosen = [&](u32 pid) {
    return std::find(request.pids.begin(), request.pids.end(), static_cast<pid_t>(pid)) !=
           request.pids.end();
  };
  for (const pid_t pid : request.pids) {
    relations.chosen[relations.chosen_count++] = static_cast<u32>(pid);
  }
  const RecordSink chosen = [&](const record& fact) { ordered.take_chosen(fact); };
  Drain chosen_drain{chosen};
  if (Result<void> done = run(walk_.program, chosen_drain); !done) {
    return done;
  }
  read_mappings();
  if (!*mappings_read_) {
    return *mappings_read_;
  }
  for (const mapping_record& mapping : known_mappings_) {
    if (is_chosen(mapping.head.pid)) {
      const u32 bit = WANTED_BIT(mapping.object);
      const u8 present = 1;
      relations.wanted[bit / 64] |= u64{1} << bit % 64;
      if (::bpf_map_update_elem(state_.wanted, &mapping.object, &present, BPF_ANY) != 0) {
        relations.too_many = 1;
      }
    }
  }
  relations.part = WALK_RELATED;
  *state_.paused_pid = 0;
  const RecordSink related = [&](const record& fact) { ordered.take_related(fact); };
  Drain related_drain{related};
  Result<void> done = run(walk_.program, related_drain);
  ordered.finish();
  malformed = chosen_drain.malformed + related_drain.malformed;
  return done;
}

/// All processes, and at the same time their mappings.
Result<void> BpfSource::walk_all(Drain& drain) {
  std::thread beside([&] {
    if (mappings_.error == 0) {
      read_mappings();
    }
  });
  Result<void> done = run(walk_.program, drain);
  beside.join();
  return done;
}

Result<void> BpfSource::walk(const Request& request, const RecordSink& sink,
                             std::vector<Coverage>& coverage) {
  *state_.realtime_offset = nanoseconds(CLOCK_REALTIME) - nanoseconds(CLOCK_MONOTONIC);
  *state_.files_seen = 0;
  *state_.items_lost = 0;
  Drain drain{sink};
  if (Result<void> done = can_tell_related(request) ? walk_related(request, sink, drain.malformed)
                                                    : walk_all(drain);
      !done) {
    return done;
  }
  Coverage seen;
  seen.source = "bpf-iter-task";
  seen.checked = *state_.files_seen;
  seen.lost = *state_.items_lost + drain.malformed;
  if (seen.lost > 0) {
    seen.state = Coverage::State::partial;
    seen.reason = "lists that were longer than the kernel side may walk";
  }
  coverage.push_back(std::move(seen));
  return {};
}

Result<void> BpfSource::mappings(const Request& /*request*/, const RecordSink& sink,
                                 std::vector<Coverage>& coverage) {
  if (mappings_.error != 0) {
    return system_failure("loading the BPF iterator over mappings", mappings_.error);
  }
  if (!mappings_read_) {
    read_mappings();
  }
  for (const mapping_record& mapping : known_mappings_) {
    sink(mapping.head);
  }
  if (!*mappings_read_) {
    return *mappings_read_;
  }
  Coverage seen;
  seen.source = "bpf-iter-vma";
  seen.checked = known_mappings_.size();
  seen.lost = mappings_lost_;
  coverage.push_back(std::move(seen));
  known_mappings_ = {};
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
  auto source = std::make_unique<BpfSource>();
  if (Result<void> loaded = source->load(); !loaded) {
    return Failure(loaded.error());
  }
  return std::unique_ptr<Source>(std::move(source));
}

namespace {

/// Whether a loaded iterator hands out records: attached is not enough.
bool gives_records(const bpf_iterator_program& program) {
  uint64_t records = 0;
  const RecordSink count = [&](const record& /*fact*/) { records++; };
  Drain drain{count};
  return run(program, drain) && records > 0;
}

Capability judge(std::string name, int error, const bpf_iterator_program& program,
                 std::vector<std::string> lost) {
  Capability capability;
  capability.name = std::move(name);
  if (error == 0 && gives_records(program)) {
    return capability;
  }
  capability.state = Capability::State::missing;
  capability.lost = std::move(lost);
  capability.reason = error == 0 ? "loaded, but it gives no records"
                                 : std::error_code(error, std::generic_category()).message();
  switch (error) {
    case EPERM:
    case EACCES:
      capability.remedy =
          "run as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE; see also lockdown";
      break;
    case ESRCH:
    case ENOENT:
      capability.remedy = "needs a kernel with CONFIG_DEBUG_INFO_BTF";
      break;
    default:
      capability.remedy = "needs a newer kernel";
  }
  return capability;
}

Capability probe_walk(const char* name, const Result<kernel_layout>& layout, bpf_loading loading,
                      std::vector<std::string> lost) {
  Loaded loaded;
  walk_state state{};
  loaded.error =
      layout ? -load_walk(&loaded.program, &state, &*layout, loading) : layout.error().code.value();
  return judge(name, loaded.error, loaded.program, std::move(lost));
}

}  // namespace

std::vector<Capability> probe_bpf() {
  raise_memlock();
  const Result<kernel_layout> layout = read_kernel_layout();
  std::vector<Capability> found;
  found.push_back(probe_walk("BPF iterator over tasks and files", layout, BPF_LOADING_FULL,
                             {"ls, show: depth of pipes and terminals, waiters, speed; "
                              "descriptors are read from /proc instead"}));
  Capability fast = probe_walk("BPF direct reads", layout, BPF_LOADING_LIGHT,
                               {"ls, show: 10 ms at the start, and half of the speed"});
  if (fast.state != Capability::State::works && fast.remedy == "needs a newer kernel") {
    fast.remedy = "needs Linux 6.2 or later";
  }
  found.push_back(std::move(fast));
  Loaded mappings;
  mappings.error = layout ? -load_mappings(&mappings.program, &*layout, BPF_LOADING_FULL)
                          : layout.error().code.value();
  found.push_back(judge("BPF iterator over mappings", mappings.error, mappings.program,
                        {"ls, show: seals and sizes of shared memory; mappings are read from "
                         "/proc instead"}));
  return found;
}

}  // namespace ipcscope
