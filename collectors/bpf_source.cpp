// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/bpf_source.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <ctime>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bpf/related.h"
#include "bpf/shmem.h"
#include "bpf/thread.h"
#include "collectors/base/fd.h"
#include "collectors/bpf_loading.h"
#include "collectors/bpf_map.h"
#include "collectors/bpf_programs.h"
#include "collectors/bpf_refusal.h"
#include "collectors/kernel_layout.h"
#include "collectors/mechanism.h"
#include "collectors/reference_proof.h"

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

int take_record(void* context, void* data, size_t size) noexcept;

/// Owns a loaded object, and its ring.
class Loaded {
 public:
  Loaded() = default;
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;
  ~Loaded() {
    ::ring_buffer__free(ring_);
    if (program.destroy != nullptr) {
      program.destroy(program.skeleton);
    }
  }
  /// From now on, what is in the ring goes there.
  Result<void> drain_to(Drain& drain) {
    drain_ = &drain;
    if (ring_ == nullptr) {
      ring_ = ::ring_buffer__new(program.records, take_record, this, nullptr);
    }
    return ring_ != nullptr ? Result<void>() : system_failure("BPF ring buffer");
  }
  /// @return whether there was anything
  bool drain() { return ::ring_buffer__consume(ring_) > 0; }
  [[nodiscard]] Drain& drained() { return *drain_; }

  bpf_iterator_program program{};
  int error = 0;  ///< errno, why it is not loaded

 private:
  ring_buffer* ring_ = nullptr;
  Drain* drain_ = nullptr;
};

int take_record(void* context, void* data, size_t size) noexcept {
  Drain& drain = static_cast<Loaded*>(context)->drained();
  const auto& fact = *static_cast<const record*>(data);
  if (size < sizeof(record) || fact.size > size || fact.kind >= RECORD_KINDS) {
    drain.malformed++;
    return 0;
  }
  drain.sink(fact);
  return 0;
}

/// Keeps the records of a few processes, and puts them where they would have come in a walk over
/// all: the order of a channel's ends is that of the walk.
class InOrder {
 public:
  explicit InOrder(const RecordSink& sink) : sink_(sink) {}

  /// The threads of all, which come at once, and files of some.
  void keep(const record& fact) {
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

  /// Of a walk over the others, when no more are to be kept.
  void pass(const record& fact) {
    sort();
    const size_t rank = rank_of(fact.pid);
    // A process that has begun since then tells nothing about where the walk is.
    for (; rank != SIZE_MAX && next_ < kept_.size() && rank_of(kept_[next_].pid) < rank; next_++) {
      hand_over(kept_[next_]);
    }
    sink_(fact);
  }

  void finish() {
    sort();
    for (; next_ < kept_.size(); next_++) {
      hand_over(kept_[next_]);
    }
  }

  /// When the walk came to a process.
  [[nodiscard]] size_t rank_of(u32 pid) const {
    const auto found = ranks_.find(pid);
    return found == ranks_.end() ? SIZE_MAX : found->second;
  }

 private:
  struct Kept {
    u32 pid;
    std::vector<std::byte> records;
  };

  void sort() {
    if (!std::exchange(is_sorted_, true)) {
      std::stable_sort(kept_.begin(), kept_.end(), [this](const Kept& a, const Kept& b) {
        return rank_of(a.pid) < rank_of(b.pid);
      });
    }
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
  std::unordered_map<u32, size_t> ranks_;
  std::vector<Kept> kept_;
  size_t next_ = 0;
  bool is_sorted_ = false;
};

class BpfSource final : public Source {
 public:
  Result<void> load(const Request& request, const Expected& expected);
  Result<void> walk(const Request& request, const RecordSink& sink,
                    std::vector<Coverage>& coverage) override;
  Result<void> mappings(const Request& request, const RecordSink& sink,
                        std::vector<Coverage>& coverage) override;
  [[nodiscard]] bool is_proved() const override { return is_proved_; }
  [[nodiscard]] bool can_confine() const override {
    return state_.relations != nullptr && mappings_.error == 0;
  }

 private:
  void begin();
  [[nodiscard]] bool can_tell_related(const Request& request) const;
  Result<void> walk_part(const Request& request, const RecordSink& sink, uint64_t& malformed);
  Result<void> walk_alone(const Request& request, Drain& drain);
  Result<void> walk_all(Drain& drain);
  Result<void> walk_related(const Request& request, const RecordSink& sink, uint64_t& malformed);
  bool prove(ReferenceProof& proof, Drain& kept);
  Result<void> search(const std::optional<ReferenceProof::Missing>& missing, Drain& passed);
  template <typename T>
  void want(const std::vector<T>& identities);
  void read_mappings();

  Loaded walk_;
  Loaded mappings_;
  walk_state state_{};
  /// Read during the walk, or before its second half, which needs to know them.
  std::vector<mapping_record> known_mappings_;
  std::optional<Result<void>> mappings_read_;
  uint64_t mappings_lost_ = 0;
  std::vector<u32> described_;  ///< processes, when not all are
  uint32_t own_net_ns_ = own_namespace("net");
  LocalRoutes routes_;
  bool was_related_ = false;  ///< the walk left what to look for in the programs
  bool is_proved_ = false;
};

/// As many processes a walk can be confined to.
constexpr size_t chosen_max = 16;
bool is_confined(const Request& request) {
  return !request.alone && !request.pids.empty() && request.pids.size() <= chosen_max;
}

/// Memory that both sides map costs 0.3 ms a MiB.
constexpr unsigned ring_bytes = 4U << 20;
constexpr unsigned small_ring_bytes = 1U << 20;
constexpr size_t many_files = 50'000;

/// Both at the same time: the kernel verifies for longer than all the rest takes.
Result<void> BpfSource::load(const Request& request, const Expected& expected) {
  const Result<kernel_layout> layout = read_kernel_layout();
  if (!layout) {
    return Failure(layout.error());
  }
  std::thread beside(
      [&] { mappings_.error = -load_mappings(&mappings_.program, &*layout, BPF_LOADING_BEST); });
  state_.is_confined = is_confined(request) ? 1 : 0;
  state_.wanted_max =
      state_.is_confined
          ? static_cast<unsigned>(std::min<size_t>(WANTED_MAX, 1024 + 8 * expected.descriptors))
          : 1;
  const bool is_large = state_.is_confined == 0 && expected.files >= many_files;
  state_.ring_bytes = is_large ? ring_bytes : small_ring_bytes;
  state_.looks_ahead = is_large ? 1 : 0;
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

/// Runs an iterator over all tasks, and drains its ring at the same time.
Result<void> run(Loaded& loaded, Drain& drain) {
  if (Result<void> done = loaded.drain_to(drain); !done) {
    return done;
  }
  // The run queue's clock is as old as the last switch on this CPU; make that now.
  ::sched_yield();
  const Fd iterator(::bpf_iter_create(loaded.program.link));
  if (!iterator) {
    return system_failure("BPF iterator");
  }
  std::atomic<bool> finished{false};
  int error = 0;
  std::thread reader([&] { error = read_to_end(iterator.get(), finished); });
  while (!finished.load(std::memory_order_acquire)) {
    if (!loaded.drain()) {
      ::usleep(20);
    }
  }
  reader.join();
  loaded.drain();
  if (error != 0) {
    return system_failure("reading the BPF iterator", error);
  }
  return {};
}

/// Runs an iterator over the threads of one process (Linux 6.1), which is too short for two threads
/// of our own.
Result<void> run_for(Loaded& loaded, u32 pid, Drain& drain) {
  if (Result<void> done = loaded.drain_to(drain); !done) {
    return done;
  }
  bpf_iter_link_info info{};
  info.task.pid = pid;
  bpf_link_create_opts options{};
  options.sz = sizeof options;
  options.iter_info = &info;
  options.iter_info_len = sizeof info;
  const Fd link(::bpf_link_create(loaded.program.program, 0, BPF_TRACE_ITER, &options));
  const Fd iterator(link ? ::bpf_iter_create(link.get()) : -1);
  if (!iterator) {
    return system_failure("BPF iterator over one process");
  }
  char unused[256];
  while (true) {
    const ssize_t got = ::read(iterator.get(), unused, sizeof unused);
    const int error = errno;
    loaded.drain();
    if (got < 0 && error != EAGAIN && error != EINTR) {
      return system_failure("reading the BPF iterator over one process", error);
    }
    if (got == 0) {
      return {};
    }
  }
}

/// Whether a walk can be confined to some processes and those that they have to do with.
bool BpfSource::can_tell_related(const Request& request) const {
  return state_.is_confined != 0 && is_confined(request) && can_confine();
}

void BpfSource::read_mappings() {
  const RecordSink keep = [&](const record& fact) {
    known_mappings_.push_back(reinterpret_cast<const mapping_record&>(fact));
  };
  Drain drain{keep};
  mappings_read_ = run(mappings_, drain);
  mappings_lost_ = drain.malformed;
}

/// What the chosen processes have; then those that hold another end of anything of it, found by the
/// references that the kernel counts, or else by a look at all others.
Result<void> BpfSource::walk_related(const Request& request, const RecordSink& sink,
                                     uint64_t& malformed) {
  was_related_ = true;
  InOrder ordered(sink);
  ReferenceProof proof({request.pids.begin(), request.pids.end()},
                       [this](const InetAddress& address, uint32_t net_ns) {
                         return net_ns == own_net_ns_ && routes_.leads_elsewhere(address);
                       });
  const RecordSink keep = [&](const record& fact) {
    if (fact.kind == RECORD_THREAD) {
      proof.take_thread(reinterpret_cast<const thread_record&>(fact));
    } else {
      proof.take(fact);
    }
    if (fact.kind != RECORD_REFERENCES) {
      ordered.keep(fact);
    }
  };
  Drain kept{keep};
  described_ = {request.pids.begin(), request.pids.end()};
  state_.relations->part = WALK_CHOSEN;
  want(described_);
  if (Result<void> done = run(walk_, kept); !done) {
    return done;
  }
  Result<void> done;
  const bool is_sound = prove(proof, kept);
  is_proved_ = is_proved_ && is_sound;
  if (is_proved_) {
    mappings_read_ = Result<void>();
  } else {
    const RecordSink related = [&](const record& fact) { ordered.pass(fact); };
    Drain passed{related};
    const bool is_in_table = is_sound && state_.relations->in_flight == 0;
    done = search(is_in_table ? proof.missing() : std::nullopt, passed);
    malformed = passed.malformed;
  }
  ordered.finish();
  malformed += kept.malformed;
  std::stable_sort(known_mappings_.begin(), known_mappings_.end(),
                   [&](const mapping_record& a, const mapping_record& b) {
                     return ordered.rank_of(a.head.pid) < ordered.rank_of(b.head.pid);
                   });
  return done;
}

/// Looks at the mappings of the chosen processes, and at one process after the other that may hold
/// what they have, until no reference is missing: then is_proved_. False when nothing can be said.
bool BpfSource::prove(ReferenceProof& proof, Drain& kept) {
  relations& relations = *state_.relations;
  const RecordSink keep_mapping = [&](const record& fact) {
    const auto& mapping = reinterpret_cast<const mapping_record&>(fact);
    proof.take_mapping(mapping);
    known_mappings_.push_back(mapping);
  };
  Drain mappings{keep_mapping};
  for (const u32 pid : described_) {
    if (!run_for(mappings_, pid, mappings)) {
      return false;
    }
  }
  relations.part = WALK_LIKELY;
  while (relations.unprovable == 0 && relations.too_many == 0) {
    is_proved_ = proof.is_complete();
    const u32 pid = is_proved_ ? 0 : proof.next();
    if (pid == 0) {
      return kept.malformed + mappings.malformed == 0;
    }
    described_.push_back(pid);
    *state_.paused_pid = 0;
    if (!run_for(walk_, pid, kept) || !run_for(mappings_, pid, mappings)) {
      return false;
    }
  }
  return false;
}

/// Looks at all processes that were not described yet: only for the files of which references are
/// missing, where that is enough.
Result<void> BpfSource::search(const std::optional<ReferenceProof::Missing>& missing,
                               Drain& passed) {
  relations& relations = *state_.relations;
  mappings_read_ = Result<void>();
  if (!missing || missing->memory) {
    known_mappings_.clear();
    read_mappings();
    if (!*mappings_read_) {
      return *mappings_read_;
    }
  }
  if (missing) {
    relations.depth = missing->dentries.empty() ? LOOK_FILES : LOOK_DENTRIES;
    std::fill(std::begin(relations.wanted), std::end(relations.wanted), 0);
    want(missing->files);
    want(missing->dentries);
  } else {
    for (const mapping_record& mapping : known_mappings_) {
      if (std::find(described_.begin(), described_.end(), mapping.head.pid) != described_.end()) {
        want(std::vector{mapping.object});
      }
    }
  }
  want(described_);
  relations.part = WALK_RELATED;
  *state_.paused_pid = 0;
  return run(walk_, passed);
}

/// Makes the walk know the processes that are described, or look for identities.
template <typename T>
void BpfSource::want(const std::vector<T>& identities) {
  relations& relations = *state_.relations;
  for (const u64 identity : identities) {
    const u32 bit = WANTED_BIT(identity);
    const u8 present = 1;
    relations.wanted[bit / 64] |= u64{1} << bit % 64;
    if (::bpf_map_update_elem(state_.wanted, &identity, &present, BPF_ANY) != 0) {
      relations.too_many = 1;
    }
  }
}

/// All processes, and at the same time their mappings.
Result<void> BpfSource::walk_all(Drain& drain) {
  std::thread beside([&] {
    if (mappings_.error == 0) {
      read_mappings();
    }
  });
  Result<void> done = run(walk_, drain);
  beside.join();
  return done;
}

/// Only these processes. What they have to do with others is not looked for.
Result<void> BpfSource::walk_alone(const Request& request, Drain& drain) {
  const RecordSink keep = [&](const record& fact) {
    known_mappings_.push_back(reinterpret_cast<const mapping_record&>(fact));
  };
  Drain mappings{keep};
  for (const pid_t pid : request.pids) {
    *state_.paused_pid = 0;
    if (Result<void> done = run_for(walk_, static_cast<u32>(pid), drain); !done) {
      return done;
    }
    if (Result<void> done = run_for(mappings_, static_cast<u32>(pid), mappings); !done) {
      return done;
    }
  }
  mappings_read_ = Result<void>();
  mappings_lost_ = mappings.malformed;
  return {};
}

/// As much of the host as the request is about.
Result<void> BpfSource::walk_part(const Request& request, const RecordSink& sink,
                                  uint64_t& malformed) {
  if (can_tell_related(request)) {
    return walk_related(request, sink, malformed);
  }
  Drain drain{sink};
  Result<void> done = request.alone && !request.pids.empty() && can_confine()
                          ? walk_alone(request, drain)
                          : walk_all(drain);
  malformed = drain.malformed;
  return done;
}

/// Forgets the walk before this one.
void BpfSource::begin() {
  *state_.realtime_offset = nanoseconds(CLOCK_REALTIME) - nanoseconds(CLOCK_MONOTONIC);
  *state_.files_seen = 0;
  *state_.items_lost = 0;
  *state_.paused_pid = 0;
  *state_.clock_offset = -(1LL << 62);  // one clock is steered and the other is not
  known_mappings_.clear();
  mappings_read_.reset();
  mappings_lost_ = 0;
  routes_ = {};
  is_proved_ = false;
  described_.clear();
  if (std::exchange(was_related_, false)) {
    *state_.relations = {};
    (void)take_all<u64, u8>(state_.wanted, [](u64 /*identity*/, u8 /*present*/) {});
  }
}

Result<void> BpfSource::walk(const Request& request, const RecordSink& sink,
                             std::vector<Coverage>& coverage) {
  begin();
  uint64_t malformed = 0;
  if (Result<void> done = walk_part(request, sink, malformed); !done) {
    return done;
  }
  Coverage seen;
  seen.source = "bpf-iter-task";
  seen.checked = *state_.files_seen;
  seen.lost = *state_.items_lost + malformed;
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

}  // namespace

Result<std::unique_ptr<Source>> open_bpf_source(const Request& request, const Expected& expected) {
  auto source = std::make_unique<BpfSource>();
  if (Result<void> loaded = source->load(request, expected); !loaded) {
    return Failure(loaded.error());
  }
  return std::unique_ptr<Source>(std::move(source));
}

namespace {

/// Whether a loaded iterator hands out records: attached is not enough.
bool gives_records(Loaded& loaded) {
  uint64_t records = 0;
  const RecordSink count = [&](const record& /*fact*/) { records++; };
  Drain drain{count};
  return run(loaded, drain) && records > 0;
}

Capability judge(std::string name, Loaded& loaded, std::vector<std::string> lost) {
  const int error = loaded.error;
  Capability capability;
  capability.name = std::move(name);
  if (error == 0 && gives_records(loaded)) {
    return capability;
  }
  capability.state = Capability::State::missing;
  capability.lost = std::move(lost);
  capability.reason = error == 0 ? "loaded, but it gives no records"
                                 : std::error_code(error, std::generic_category()).message();
  capability.remedy = remedy_of_refusal(error);
  return capability;
}

/// What came later than the iterator over tasks: where that works, the kernel is only too old.
void name_version(Capability& capability, bool has_iterator, const char* version) {
  if (has_iterator && capability.state != Capability::State::works) {
    capability.remedy = fmt::format("needs Linux {} or later", version);
  }
}

Capability probe_walk(const char* name, const Result<kernel_layout>& layout, unsigned loading,
                      std::vector<std::string> lost) {
  Loaded loaded;
  walk_state state{};
  state.is_confined = 1;  // the most that a command asks for
  state.wanted_max = WANTED_MAX;
  state.ring_bytes = ring_bytes;
  state.looks_ahead = 1;
  loaded.error =
      layout ? -load_walk(&loaded.program, &state, &*layout, loading) : layout.error().code.value();
  return judge(name, loaded, std::move(lost));
}

}  // namespace

std::vector<Capability> probe_bpf() {
  const Result<kernel_layout> layout = read_kernel_layout();
  std::vector<Capability> found;
  found.push_back(probe_walk("BPF iterator over tasks and files", layout,
                             BPF_LOADING_FULL | BPF_LOADING_OLD,
                             {"ls, show: depth of pipes and terminals, waiters, speed; "
                              "descriptors are read from /proc instead"}));
  Capability loops = probe_walk("BPF loops", layout, BPF_LOADING_FULL,
                                {"ls, show, leaks: lists of more than 32 entries in one channel"});
  const bool has_iterator = found.back().state == Capability::State::works;
  name_version(loops, has_iterator, "5.17");
  found.push_back(std::move(loops));
  Capability fast = probe_walk("BPF direct reads", layout, BPF_LOADING_LIGHT,
                               {"ls, show: 10 ms at the start, and half of the speed"});
  name_version(fast, has_iterator, "6.2");
  found.push_back(std::move(fast));
  Loaded mappings;
  mappings.error = layout ? -load_mappings(&mappings.program, &*layout, BPF_LOADING_FULL)
                          : layout.error().code.value();
  found.push_back(judge("BPF iterator over mappings", mappings,
                        {"ls, show: seals and sizes of shared memory; mappings are read from "
                         "/proc instead"}));
  name_version(found.back(), has_iterator, "5.12");
  return found;
}

}  // namespace ipcscope
