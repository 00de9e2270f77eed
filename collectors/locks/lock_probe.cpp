// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/locks/lock_probe.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "bpf/locks.h"
#include "collectors/base/fd.h"
#include "collectors/base/parse.h"
#include "collectors/kernel_layout.h"
#include "collectors/locks/deep_probes.h"
#include "collectors/locks/lock_calls.h"
#include "collectors/locks/lock_counts.h"
#include "collectors/locks/lock_names.h"
#include "collectors/locks/lock_program.h"
#include "collectors/locks/lock_stacks.h"
#include "collectors/locks/queue_watch.h"
#include "collectors/locks/reader_watch.h"
#include "collectors/locks/rwlock_watch.h"
#include "collectors/locks/wake_cost.h"
#include "collectors/session.h"

namespace ipcscope {

namespace {

Result<lock_filter> make_filter(const LockRequest& request) {
  if (request.pids.size() > LockRequest::filter_max ||
      request.tids.size() > LockRequest::filter_max) {
    return failure(std::string("at most 16 processes or threads can be measured at a time"));
  }
  lock_filter filter{};
  filter.self = static_cast<u32>(::getpid());
  for (const pid_t pid : request.pids) {
    filter.pid[filter.pids++] = static_cast<u32>(pid);
  }
  for (const pid_t tid : request.tids) {
    filter.tid[filter.tids++] = static_cast<u32>(tid);
  }
  filter.by_uid = request.uid ? 1 : 0;
  filter.uid = request.uid.value_or(0);
  filter.by_cgroup = request.cgroup ? 1 : 0;
  filter.cgroup = request.cgroup.value_or(0);
  filter.comm_size = static_cast<u32>(std::min(request.comm.size(), sizeof filter.comm - 1));
  std::memcpy(filter.comm, request.comm.data(), filter.comm_size);
  filter.min_wait = request.min_wait_ns;
  filter.stacks = request.stacks ? 1 : 0;
  return filter;
}

/// All entries of a hash map. Entries that come meanwhile may be missed.
template <typename Key, typename Value>
std::vector<std::pair<Key, Value>> entries(int map) {
  std::vector<std::pair<Key, Value>> all;
  std::vector<Key> keys(1024);
  std::vector<Value> values(keys.size());
  bpf_map_batch_opts options{};
  options.sz = sizeof options;
  uint32_t batch = 0;
  bool first = true;
  while (true) {
    auto count = static_cast<u32>(keys.size());
    const int result = ::bpf_map_lookup_batch(map, first ? nullptr : &batch, &batch, keys.data(),
                                              values.data(), &count, &options);
    const int error = result == 0 ? 0 : errno;
    if (error == ENOSPC) {  // one bucket has more entries than fit
      keys.resize(2 * keys.size());
      values.resize(keys.size());
      continue;
    }
    if (error != 0 && error != ENOENT) {
      return all;
    }
    first = false;
    for (u32 i = 0; i < count; i++) {
      all.emplace_back(keys[i], values[i]);
    }
    if (error == ENOENT) {
      return all;
    }
  }
}

/// Reads an iterator to its end.
template <typename Record>
std::vector<Record> iterate(int link) {
  std::vector<Record> records;
  const Fd iterator(::bpf_iter_create(link));
  size_t held = 0;
  std::vector<char> buffer(sizeof(Record) * 64);
  while (iterator) {
    const ssize_t got = ::read(iterator.get(), buffer.data() + held, buffer.size() - held);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
      continue;
    }
    if (got <= 0) {
      break;
    }
    held += static_cast<size_t>(got);
    const size_t whole = held / sizeof(Record);
    const size_t from = records.size();
    records.resize(from + whole);
    std::memcpy(static_cast<void*>(records.data() + from), buffer.data(), whole * sizeof(Record));
    held -= whole * sizeof(Record);
    std::memmove(buffer.data(), buffer.data() + whole * sizeof(Record), held);
  }
  return records;
}

/// The process of a thread, as its status file has it; 0 where it does not tell.
pid_t group_of(std::string_view status) {
  while (!status.empty()) {
    std::string_view line = next_line(status);
    if (next_word(line) == "Tgid:") {
      return next_number<pid_t>(line).value_or(0);
    }
  }
  return 0;
}

/// Whether the scheduler's clocks of all CPUs tell the same time: it counts with the same hardware
/// as the kernel's clock (kernel/sched/clock.c), and only these two are the same everywhere.
bool scheduler_clock_is_one() {
  const Result<ProcRoot> clock = ProcRoot::open("/sys/devices/system/clocksource/clocksource0");
  const Result<std::string> source =
      clock ? clock->read("current_clocksource") : Result<std::string>(std::string());
  return source && (*source == "tsc\n" || *source == "arch_sys_counter\n");
}

uint64_t monotonic_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<uint64_t>(time.tv_nsec);
}

}  // namespace

class LockProbe::State {
 public:
  explicit State(const ProcRoot& proc) : names_(proc), readers_(proc), stacks_(proc), proc_(proc) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    deep_.detach();
    ring_buffer__free(ring_);
    ring_buffer__free(copies_);
    if (program_.destroy != nullptr) {
      program_.destroy(program_.skeleton);
    }
  }

  Result<void> load(const LockRequest& request);
  void poll(std::chrono::milliseconds timeout);
  Result<LockWindow> window();
  void restart();

 private:
  static int take_news(void* context, void* data, size_t size) noexcept;
  static int take_copy(void* context, void* data, size_t size) noexcept;
  void learn(const lock_news& news);
  void read_wakers();
  [[nodiscard]] std::vector<int> processes() const;
  void note_hidden(const std::vector<int>& before, const std::vector<int>& after);
  void choose_readers();
  [[nodiscard]] std::vector<pid_t> processes_of(const LockRequest& request) const;
  Result<void> go_deep(const std::vector<pid_t>& processes);
  void learn_taken(bool last_chance);
  void add_deep(LockCounts& counts, LockWindow& window) const;

  LockNames names_;
  RwlockWatch rwlocks_;
  QueueWatch queues_;
  ReaderWatch readers_;
  std::chrono::steady_clock::time_point next_choice_{};
  LockStacks stacks_;
  bool with_stacks_ = false;
  bool knows_wake_cost_ = false;
  size_t processes_ = 0, hidden_ = 0;  ///< when measuring began
  bool has_room_ = false;              ///< a lock was seen at which threads wait for room
  std::chrono::steady_clock::time_point next_stacks_{};
  const ProcRoot& proc_;
  lock_program program_{};
  ring_buffer* ring_ = nullptr;
  ring_buffer* copies_ = nullptr;  ///< only with stacks
  std::bitset<kind_count> kinds_;
  uint64_t begin_ns_ = 0;
  lock_state last_{};  ///< what the programs had lost when the window began
  DeepProbes deep_;
  DeepFacts deep_facts_;
  deep_state deep_last_{};  ///< as last_
  std::chrono::steady_clock::time_point next_taken_{};
};

Result<void> LockProbe::State::load(const LockRequest& request) {
  kinds_ = request.kinds;
  with_stacks_ = request.stacks;
  Result<lock_filter> filter = make_filter(request);
  if (!filter) {
    return Failure(filter.error());
  }
  const Result<kernel_layout> layout = read_kernel_layout();
  if (!layout) {
    return Failure(layout.error());
  }
  filter->scheduler_clock = scheduler_clock_is_one() ? 1 : 0;
  const auto calls = make_lock_calls(request.kinds);
  const std::vector<pid_t> probed = request.deep ? processes_of(request) : std::vector<pid_t>();
  filter->deep = !request.deep                                    ? DEEP_NOT
                 : DeepProbes::can_attach_together(proc_, probed) ? DEEP_ALL_TOGETHER
                                                                  : DEEP_ONE_BY_ONE;
  int error = load_locks(&program_, &*layout, calls.data(), &*filter, 1);
  if (error != 0) {
    error = load_locks(&program_, &*layout, calls.data(), &*filter, 0);
  }
  if (error != 0) {
    return system_failure("loading the BPF programs", -error);
  }
  ring_ = ring_buffer__new(program_.news, take_news, this, nullptr);
  if (ring_ == nullptr) {
    return system_failure("BPF ring buffer");
  }
  if (with_stacks_) {
    copies_ = ring_buffer__new(program_.copies, take_copy, this, nullptr);
    if (copies_ == nullptr) {
      return system_failure("BPF ring buffer");
    }
  }
  program_.state->same_attempt = same_attempt_ns(0);
  const std::vector<int> before = processes();
  const Fd seed(::bpf_iter_create(program_.seed_link));
  char unused[64];
  if (!seed || ::read(seed.get(), unused, sizeof unused) < 0) {
    return system_failure("BPF iterator over threads");
  }
  begin_ns_ = program_.state->epoch_begin;
  note_hidden(before, processes());
  return request.deep ? go_deep(probed) : Result<void>();
}

/// Those whose takings of locks are to be seen.
std::vector<pid_t> LockProbe::State::processes_of(const LockRequest& request) const {
  std::vector<pid_t> processes = request.pids;
  for (const pid_t tid : request.tids) {
    const Result<std::string> status = proc_.read(fmt::format("{}/status", tid));
    const pid_t pid = status ? group_of(*status) : 0;
    if (pid != 0 && std::find(processes.begin(), processes.end(), pid) == processes.end()) {
      processes.push_back(pid);
    }
  }
  return processes;
}

Result<void> LockProbe::State::go_deep(const std::vector<pid_t>& processes) {
  const DeepProbes::Cost cost = deep_.measure_cost(program_.deep);
  if (Result<void> attached = deep_.attach(proc_, processes, program_.deep); !attached) {
    return attached;
  }
  deep_facts_.probes = deep_.count();
  deep_facts_.stepped = deep_.stepped();
  deep_facts_.call_ns = cost.emulated;
  deep_facts_.stepped_call_ns = cost.stepped;
  restart();  // only now all is seen
  return {};
}

/// Locks that were taken since: what they are can only be found while their processes live.
void LockProbe::State::learn_taken(bool last_chance) {
  constexpr size_t most = 2048;
  constexpr std::chrono::milliseconds every{200};
  const auto now = std::chrono::steady_clock::now();
  if (deep_facts_.probes == 0 || (now < next_taken_ && !last_chance)) {
    return;
  }
  next_taken_ = now + every;
  hold_key key{};
  int error = ::bpf_map_get_next_key(program_.deep.holds, nullptr, &key);
  for (size_t i = 0; i < most && error == 0; i++) {
    if (key.lock.space != static_cast<u32>(::getpid())) {
      names_.learn_taken(key.lock, taken_primitive(key.sort));
    }
    const hold_key before = key;
    error = ::bpf_map_get_next_key(program_.deep.holds, &before, &key);
  }
}

void LockProbe::State::add_deep(LockCounts& counts, LockWindow& window) const {
  const auto self = static_cast<u32>(::getpid());  // what was tried
  for (const auto& [key, value] : entries<hold_key, hold_value>(program_.deep.holds)) {
    if (key.lock.space != self) {
      counts.add_hold(key, value);
    }
  }
  for (const auto& [key, value] : entries<order_key, order_value>(program_.deep.orders)) {
    counts.add_order(key, value);
  }
  const deep_state& now = *program_.deep.state;
  window.deep = deep_facts_;
  window.deep->calls = now.calls - deep_last_.calls;
  window.deep->lost_holds =
      now.lost_holds - deep_last_.lost_holds + now.lost_threads - deep_last_.lost_threads;
  window.deep->lost_orders = now.lost_orders - deep_last_.lost_orders;
  window.deep->lost_held = now.lost_held - deep_last_.lost_held;
}

std::vector<int> LockProbe::State::processes() const {
  Result<std::vector<int>> all = proc_.numbers(".");
  std::vector<int> pids = all ? std::move(*all) : std::vector<int>();
  std::sort(pids.begin(), pids.end());
  return pids;
}

/// Of the processes that lived all the time while the iterator went over all, those that it did not
/// see are hidden from BPF: at least so many.
void LockProbe::State::note_hidden(const std::vector<int>& before, const std::vector<int>& after) {
  std::vector<int> stayed;
  std::set_intersection(before.begin(), before.end(), after.begin(), after.end(),
                        std::back_inserter(stayed));
  processes_ = stayed.size();
  const size_t seen = program_.state->processes;
  hidden_ = stayed.size() > seen ? stayed.size() - seen : 0;
}

int LockProbe::State::take_news(void* context, void* data, size_t size) noexcept {
  if (size >= sizeof(lock_news)) {
    static_cast<State*>(context)->learn(*static_cast<const lock_news*>(data));
  }
  return 0;
}

int LockProbe::State::take_copy(void* context, void* data, size_t size) noexcept {
  if (size >= sizeof(waker_copy)) {
    static_cast<State*>(context)->stacks_.add_copy(*static_cast<const waker_copy*>(data));
  }
  return 0;
}

void LockProbe::State::learn(const lock_news& news) {
  lock_value value{};
  if (::bpf_map_lookup_elem(program_.locks, &news.key, &value) != 0) {
    return;
  }
  const LockIdentity& lock = names_.learn(news, value);
  queues_.add(program_, news.key, value);
  has_room_ = has_room_ || news.key.purpose == LOCK_FOR_ROOM;
  if (lock.shared) {
    // Other processes have the same word at other addresses; from now on it is one lock.
    lock_key alias{};
    alias.object = lock.shared->first << 32 ^ lock.shared->second;
    alias.wait = WAIT_AT_FUTEX;
    alias.purpose = news.key.purpose;
    if (std::memcmp(&alias, &news.key, sizeof alias) != 0) {
      ::bpf_map_update_elem(program_.aliases, &news.key, &alias, BPF_ANY);
      program_.state->aliases++;
    }
  }
}

void LockProbe::State::poll(std::chrono::milliseconds timeout) {
  using std::chrono::milliseconds;
  constexpr milliseconds look_every{10};
  const auto end = std::chrono::steady_clock::now() + timeout;
  if (!knows_wake_cost_) {  // with the programs in place, which take their part of it
    knows_wake_cost_ = true;
    program_.state->same_attempt = same_attempt_ns(measure_wake_cost_ns());
    timeout = std::max(std::chrono::ceil<milliseconds>(end - std::chrono::steady_clock::now()),
                       milliseconds(0));
  }
  // In slices, where something has to be looked at: what changes there tells nobody.
  for (milliseconds left = timeout; left.count() >= 0;) {
    const bool looks = !rwlocks_.empty() || !queues_.empty() || !readers_.empty();
    const int got = ring_buffer__poll(
        ring_, static_cast<int>((looks ? std::min(left, look_every) : left).count()));
    rwlocks_.look();
    queues_.look(program_);
    readers_.look();
    left = std::chrono::ceil<milliseconds>(end - std::chrono::steady_clock::now());
    if (got < 0 || left.count() <= 0) {
      break;
    }
  }
  choose_readers();
  if (const auto now = std::chrono::steady_clock::now(); with_stacks_ && now >= next_stacks_) {
    stacks_.look(iterate<lock_pending>(program_.pending_link));
    read_wakers();
    const auto took = std::chrono::steady_clock::now() - now;
    next_stacks_ =
        now + std::max<std::chrono::steady_clock::duration>(milliseconds(100), 10 * took);
  }
  learn_taken(false);
  names_.judge_again();
  names_.name_some();
  for (const auto& [key, lock] : names_.all()) {
    if (lock.futex == Primitive::rwlock) {
      rwlocks_.add(key, lock);
    }
  }
  names_.look_at_files(false);
}

/// For a fiftieth of the time: where there are many pairs, this takes some.
void LockProbe::State::choose_readers() {
  const auto begin = std::chrono::steady_clock::now();
  if (!has_room_ || begin < next_choice_) {
    return;
  }
  readers_.choose(entries<pair_key, pair_value>(program_.pairs));
  const auto end = std::chrono::steady_clock::now();
  next_choice_ = end + std::max<std::chrono::steady_clock::duration>(std::chrono::milliseconds(100),
                                                                     50 * (end - begin));
}

void LockProbe::State::read_wakers() {
  ring_buffer__consume(copies_);
  for (const auto& [key, count] : entries<waker_key, u64>(program_.waker_stacks)) {
    std::array<uint64_t, LOCK_FRAMES> addresses{};
    if (::bpf_map_lookup_elem(program_.stacks, &key.stack, addresses.data()) == 0) {
      stacks_.add_waker(key, addresses, count);
    }
  }
}

void LockProbe::State::restart() {
  last_ = *program_.state;
  if (program_.deep.state != nullptr) {
    deep_last_ = *program_.deep.state;
  }
  rwlocks_.forget_counts();
  queues_.forget_counts();
  readers_.forget_counts();
  stacks_.forget();
  begin_ns_ = monotonic_ns();
  program_.state->epoch_begin = begin_ns_;
  __atomic_add_fetch(&program_.state->epoch, 1, __ATOMIC_RELEASE);
}

Result<LockWindow> LockProbe::State::window() {
  ring_buffer__consume(ring_);
  const lock_state state = *program_.state;
  auto locks = entries<lock_key, lock_value>(program_.locks);
  for (auto& [key, value] : locks) {
    lock_turns turns{};
    if (key.purpose == LOCK_FOR_LOCK &&
        ::bpf_map_lookup_elem(program_.turns, &value.turns, &turns) == 0) {
      value.ended = static_cast<u32>(turns.count / TURN_ENDED);
      value.hold = turns.epoch == state.epoch ? turns.hold : 0;
    }
  }
  const auto pairs = entries<pair_key, pair_value>(program_.pairs);
  // After the counts: what is counted meanwhile is missed once, and not counted twice.
  const auto pending = iterate<lock_pending>(program_.pending_link);
  const uint64_t end_ns = monotonic_ns();
  for (const auto& [key, value] : locks) {
    names_.identity(key, value);
  }
  learn_taken(true);
  names_.judge_again();
  for (const auto& [key, value] : pairs) {
    if (key.source == HOLDER_AT_8) {
      names_.note_owner(key.lock, static_cast<int32_t>(value.waiter_pid), key.holder);
    }
  }
  names_.name_some();
  names_.look_at_files(true);

  LockWindow window;
  describe_host(window.host, window.kernel, window.time_ns, window.boot_ns);
  window.window_ns = end_ns - begin_ns_;
  window.lost_locks = state.lost_waits - last_.lost_waits + state.lost_threads - last_.lost_threads;
  window.lost_pairs = state.lost_pairs - last_.lost_pairs;
  LockCounts counts(names_, proc_, {begin_ns_, end_ns, state.epoch, kinds_});
  for (const auto& [key, value] : pairs) {
    if (key.source == HOLDER_AT_12) {
      counts.add_writers_word(key.lock);
    }
  }
  for (const lock_pending& each : pending) {
    if (each.wait.source == HOLDER_AT_12) {
      counts.add_writers_word(each.wait.key);
    }
  }
  for (const auto& [key, value] : locks) {
    counts.add_lock(key, value);
  }
  for (const auto& [key, value] : pairs) {
    counts.add_pair(key, value);
  }
  for (const lock_pending& each : pending) {
    counts.add_pending(each);
  }
  for (const RwlockWatch::Seen& each : rwlocks_.seen()) {
    if (each.looks != 0) {
      counts.add_fact(each.key, "readers_seen", each.looks);
      counts.add_fact(each.key, "readers_changed", each.changed);
    }
    if (each.returned != 0) {
      counts.add_fact(each.key, "writers_returned", each.returned);
      counts.add_fact(each.key, "readers_kept_ns", each.kept_ns);
    }
  }
  for (const ReaderWatch::Seen& each : readers_.seen()) {
    // A slow receiver of messages is what a queue is for.
    if (each.looks != 0 && names_.all().at(each.key).kind != Kind::mq) {
      counts.add_fact(each.key, "reader_slept_ns", window.window_ns / each.looks * each.asleep);
    }
  }
  for (const QueueWatch::Seen& each : queues_) {
    if (each.most_passed != 0) {
      counts.add_fact(each.key, "head_stayed", each.most_stayed);
      counts.add_fact(each.key, "received", each.most_passed);
    }
  }
  if (with_stacks_) {
    read_wakers();
    for (const LockStacks::Stack& stack : stacks_.all()) {
      counts.add_stack(stack);
    }
  }
  if (deep_facts_.probes != 0) {
    add_deep(counts, window);
  }
  counts.finish(window);

  Coverage coverage;
  coverage.source = "bpf-sched";
  coverage.checked = window.locks.size();
  coverage.lost = window.lost_locks + window.lost_pairs;
  if (coverage.lost != 0) {
    coverage.state = Coverage::State::partial;
    coverage.reason = "there were more locks, or pairs of threads, than the kernel's maps hold";
    coverage.hint = "choose with -p, --kind or --min-wait";
  }
  window.coverage.push_back(std::move(coverage));
  Coverage processes;
  processes.source = "bpf-iter-task";
  processes.checked = processes_;
  processes.unreadable = hidden_;
  if (hidden_ != 0) {
    processes.state = Coverage::State::partial;
    processes.reason =
        "processes that the kernel hides from BPF: their waits, and whom they wake, are not seen";
  }
  window.coverage.push_back(std::move(processes));
  return window;
}

LockProbe::LockProbe(std::unique_ptr<State> state) : state_(std::move(state)) {}
LockProbe::~LockProbe() = default;

Result<std::unique_ptr<LockProbe>> LockProbe::start(const LockRequest& request,
                                                    const ProcRoot& proc) {
  auto state = std::make_unique<State>(proc);
  const Result<void> loaded = state->load(request);
  if (!loaded) {
    return Failure(loaded.error());
  }
  return std::unique_ptr<LockProbe>(new LockProbe(std::move(state)));
}

void LockProbe::poll(std::chrono::milliseconds timeout) { state_->poll(timeout); }
Result<LockWindow> LockProbe::window() { return state_->window(); }
void LockProbe::restart() { state_->restart(); }

}  // namespace ipcscope
