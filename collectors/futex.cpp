// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/futex.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "collectors/shmem_type.h"

namespace ipcscope {

namespace {

constexpr std::string_view shm_path = "/dev/shm/";
constexpr uint64_t page = 4096;  // the smallest there is: a larger one only costs a second request

}  // namespace

void SharedMappings::add(const mapping_record& mapping) {
  bool is_new = false;
  uint32_t& object = by_identity_.slot(mapping.object, is_new);
  if (is_new) {
    object = static_cast<uint32_t>(objects_.size());
    objects_.push_back({mapping.inode, mapping.mode, mapping.facts});
  }
  mappings_.push_back({mapping.head.pid, object, mapping.start, mapping.end, mapping.offset});
}

void SharedMappings::sort() {
  if (sorted_) {
    return;
  }
  sorted_ = true;
  std::sort(mappings_.begin(), mappings_.end(), [](const Mapping& a, const Mapping& b) {
    return a.pid != b.pid ? a.pid < b.pid : a.start < b.start;
  });
  by_object_.resize(mappings_.size());
  std::iota(by_object_.begin(), by_object_.end(), 0U);
  std::stable_sort(by_object_.begin(), by_object_.end(), [&](uint32_t a, uint32_t b) {
    return mappings_[a].object < mappings_[b].object;
  });
}

const SharedMappings::Mapping* SharedMappings::find(uint32_t pid, uint64_t address) {
  sort();
  const auto after = std::upper_bound(
      mappings_.begin(), mappings_.end(), std::pair(pid, address),
      [](const std::pair<uint32_t, uint64_t>& wanted, const Mapping& each) {
        return wanted.first != each.pid ? wanted.first < each.pid : wanted.second < each.start;
      });
  if (after == mappings_.begin()) {
    return nullptr;
  }
  const Mapping& found = *(after - 1);
  return found.pid == pid && address >= found.start && address < found.end ? &found : nullptr;
}

std::vector<uint32_t> SharedMappings::mappers(uint32_t object) {
  sort();
  auto at = std::lower_bound(
      by_object_.begin(), by_object_.end(), object,
      [&](uint32_t each, uint32_t wanted) { return mappings_[each].object < wanted; });
  std::vector<uint32_t> pids;
  for (; at != by_object_.end() && mappings_[*at].object == object; ++at) {
    if (pids.empty() || pids.back() != mappings_[*at].pid) {
      pids.push_back(mappings_[*at].pid);
    }
  }
  return pids;
}

void Futexes::look_at_processes() {
  if (looked_) {
    return;
  }
  looked_ = true;
  const std::vector<Process>& processes = assembly_.builder.snapshot().processes;
  for (ProcessIndex i = 0; i < processes.size(); i++) {
    if (processes[i].mm != 0) {
      bool is_new = false;
      uint32_t& lowest = lowest_.slot(processes[i].mm, is_new);
      if (is_new || processes[i].pid < processes[lowest].pid) {
        lowest = i;
      }
    }
  }
}

/// The process that stands for an address space.
uint64_t Futexes::space_of(ProcessIndex process) const {
  const uint32_t lowest = lowest_.find(assembly_.process_at(process).mm);
  return lowest == UINT32_MAX ? process : lowest;
}

/// The word's own page first: what lies around it may be on a page that is not there.
void Futexes::ask(Futex& futex, const Thread& thread, uint64_t address) {
  const uint64_t begin = address & ~(page - 1);
  const uint64_t end = begin + page;
  const uint64_t low = address - std::min<uint64_t>(address, FutexView::before);
  const uint64_t high = address + FutexView::after;
  const uint64_t first = std::max(low, begin), last = std::min(high, end);
  futex.word = memory_.add(thread.process, thread.tid, first, last - first);
  if (low < begin) {
    futex.lower = memory_.add(thread.process, thread.tid, low, begin - low);
  }
  if (high > end) {
    futex.upper = memory_.add(thread.process, thread.tid, end, high - end);
  }
}

Futexes::Index Futexes::add(ThreadIndex index, const FutexCall& call) {
  if (call.address % 4 != 0 || call.address == 0) {
    return no_index;
  }
  look_at_processes();
  const Thread& thread = assembly_.builder.snapshot().threads[index];
  const SharedMappings::Mapping* mapping = nullptr;
  if (!call.private_flag) {
    // A word in memory that is not shared is private whatever the caller says (Linux
    // kernel/futex/core.c, get_futex_key()).
    mapping = mappings_.find(static_cast<uint32_t>(assembly_.process_at(thread.process).pid),
                             call.address);
  }
  const Key key = mapping != nullptr ? Key{mapping->object,
                                           mapping->offset + (call.address - mapping->start), true}
                                     : Key{space_of(thread.process), call.address, false};
  const auto [found, is_new] = by_key_.try_emplace(key, static_cast<Index>(futexes_.size()));
  if (is_new) {
    Futex& futex = futexes_.emplace_back();
    futex.space = key.space;
    futex.address = key.address;
    futex.shared = key.shared;
    futex.mapping = mapping;
    ask(futex, thread, call.address);
  }
  Futex& futex = futexes_[found->second];
  const auto waiter = static_cast<uint32_t>(waiters_.size());
  waiters_.push_back({index, call, UINT32_MAX});
  (futex.count++ == 0 ? futex.first : waiters_[futex.last].next) = waiter;
  futex.last = waiter;
  return found->second;
}

FutexView Futexes::view(const Futex& futex) const {
  const auto within = static_cast<int>(waiters_[futex.first].call.address % page);
  const int begin = std::max(-FutexView::before, -within);
  const int end = std::min(FutexView::after, static_cast<int>(page) - within);
  FutexView view;
  view.put(begin, memory_.bytes(futex.word));
  view.put(-FutexView::before, memory_.bytes(futex.lower));
  view.put(end, memory_.bytes(futex.upper));
  return view;
}

/// The live thread that number is, when it can reach the word, and no other could be meant.
ThreadIndex Futexes::owner(const Futex& futex, const Waiter& waiter, uint64_t number) {
  const Snapshot& snapshot = assembly_.builder.snapshot();
  const ProcessIndex waits = snapshot.threads[waiter.thread].process;
  const auto alive = [&](ThreadIndex thread) {
    return thread != no_index && snapshot.threads[thread].state != 'Z' &&
           snapshot.threads[thread].state != 'X';
  };
  if (!futex.shared) {
    const ThreadIndex thread = numbers_.find(snapshot.processes[waits].pid_ns, number);
    return alive(thread) && space_of(snapshot.threads[thread].process) == futex.space ? thread
                                                                                      : no_index;
  }
  // The number is of the holder's PID namespace, which may be that of any process with the memory.
  const auto object = static_cast<uint32_t>(futex.space);
  auto [mapped, is_new] = mapped_by_.try_emplace(object);
  if (is_new) {
    mapped->second = mappings_.mappers(object);
  }
  const std::vector<uint32_t>& pids = mapped->second;
  ThreadIndex only = no_index;
  uint32_t last_ns = UNKNOWN_U32;
  for (const uint32_t pid : pids) {
    const ProcessIndex process = assembly_.process(pid);
    if (process == no_index || snapshot.processes[process].pid_ns == last_ns) {
      continue;
    }
    last_ns = snapshot.processes[process].pid_ns;
    const ThreadIndex thread = numbers_.find(last_ns, number);
    if (!alive(thread) || thread == only) {
      continue;
    }
    const Process& holder = snapshot.processes[snapshot.threads[thread].process];
    if (std::binary_search(pids.begin(), pids.end(), static_cast<uint32_t>(holder.pid))) {
      if (only != no_index) {
        return no_index;
      }
      only = thread;
    }
  }
  return only;
}

/// The POSIX semaphore whose file holds the word. By inode: sem_open() makes the file under another
/// name, which is the one that the kernel keeps telling of the mapping.
ChannelIndex Futexes::semaphore(const Futex& futex, std::string_view path) {
  if (futex.address != 0 || !path.starts_with(shm_path)) {
    return no_index;
  }
  if (!looked_for_semaphores_) {
    looked_for_semaphores_ = true;
    const Snapshot& snapshot = assembly_.builder.snapshot();
    for (ChannelIndex i = 0; i < snapshot.channels.size(); i++) {
      if (snapshot.channels[i].kind == Kind::posixsem) {
        const Attribute* inode = snapshot.attribute(snapshot.channels[i], "inode");
        if (inode != nullptr && inode->type == Attribute::Type::natural) {
          semaphores_.emplace(inode->natural, i);
        }
      }
    }
  }
  const auto found = semaphores_.find(mappings_.object(static_cast<uint32_t>(futex.space)).inode);
  return found == semaphores_.end() ? no_index : found->second;
}

/// What stands between "futex:" and the offset.
std::string Futexes::object_name(const Futex& futex, const Process& process) {
  const SharedMappings::Object& object = mappings_.object(static_cast<uint32_t>(futex.space));
  const SharedMappings::Mapping& mapping = *futex.mapping;
  const ShmemType type = shmem_type(object.facts, object.mode);
  if (type == ShmemType::sysv) {
    const uint32_t foreign = Assembly::foreign(process.ipc_ns, assembly_.own_ipc_ns);
    return foreign == 0 ? fmt::format("shm:{}", object.inode)
                        : fmt::format("shm:{}@{}", object.inode, foreign);
  }
  if (type == ShmemType::anonymous) {
    return fmt::format("anon#{}", object.inode);
  }
  const std::string path = mapping_path(assembly_.proc, mapping.pid, mapping.start, mapping.end);
  const bool deleted = path.ends_with(deleted_suffix);
  std::string_view name = without_deleted(path, deleted);
  if (type == ShmemType::memfd) {
    // The path is "/memfd:NAME (deleted)"; the name in the facts may be cut.
    name = name.starts_with("/memfd:") ? name.substr(1) : shmem_name(object.facts);
    return fmt::format("{}#{}", name, object.inode);
  }
  if (name.empty()) {
    return fmt::format("{}#{}", shmem_name(object.facts), object.inode);
  }
  return deleted ? fmt::format("{}#{}", name, object.inode) : std::string(name);
}

/// The first waiter whose call says what it is; they may differ, as readers and writers do.
FutexGuess Futexes::judge(const Futex& futex, const FutexView& seen, ThreadIndex& holder) {
  FutexGuess guess;
  int tries = 8;  // waiters of one futex are of one kind but for a few that just went to sleep
  for (uint32_t at = futex.first; at != UINT32_MAX && tries-- > 0; at = waiters_[at].next) {
    const Waiter& waiter = waiters_[at];
    FutexCall call = waiter.call;
    call.waiters = futex.count;
    guess = judge_futex(call, seen,
                        [&](uint32_t number) { return owner(futex, waiter, number) != no_index; });
    if (guess.primitive != Primitive::unknown) {
      if (guess.owner == FutexGuess::Owner::thread) {
        holder = owner(futex, waiter, guess.owner_tid);
      }
      return guess;
    }
  }
  return guess;
}

void Futexes::make_channel(Futex& futex) {
  SnapshotBuilder& builder = assembly_.builder;
  const Thread& first = builder.snapshot().threads[waiters_[futex.first].thread];
  const Process& process = assembly_.process_at(first.process);
  std::string id;
  if (futex.shared) {
    std::string object = object_name(futex, process);
    if (const ChannelIndex named = semaphore(futex, object); named != no_index) {
      futex.channel = named;
      return;
    }
    id = fmt::format("futex:{}+0x{:x}", object, futex.address);
    if (builder.find_channel(id) != no_index) {  // the same path in another mount namespace
      const uint64_t inode = mappings_.object(static_cast<uint32_t>(futex.space)).inode;
      id = fmt::format("futex:{}#{}+0x{:x}", object, inode, futex.address);
    }
  } else {
    const Process& named = assembly_.process_at(static_cast<ProcessIndex>(futex.space));
    id = fmt::format("futex:{}:0x{:x}", named.pid, futex.address);
  }
  const FutexView seen = view(futex);
  ThreadIndex holder = no_index;
  const FutexGuess guess = judge(futex, seen, holder);
  if (guess.primitive == Primitive::join && holder != no_index) {
    futex.joined = builder.snapshot().threads[holder].tid;
  }
  if (!assembly_.request.wants(Kind::futex)) {
    return;
  }
  futex.channel = builder.add_channel(Kind::futex, id);
  const auto value = seen.at(0);
  builder.text(futex.channel, "scope", futex.shared ? "shared" : "private");
  builder.text(futex.channel, "primitive", primitive_name(guess.primitive));
  builder.natural(futex.channel, "value", value ? *value : UINT64_MAX);
  builder.text(futex.channel, "ownership",
               guess.owner == FutexGuess::Owner::none_by_design ? "none by design"
               : holder != no_index                             ? "holder"
                                                                : "unknown");
  Endpoint endpoint;
  endpoint.channel = futex.channel;
  if (holder != no_index) {
    const Thread& thread = builder.snapshot().threads[holder];
    builder.integer(futex.channel, "owner_tid", thread.tid);
    endpoint.process = thread.process;
    endpoint.thread = holder;
    endpoint.role = Role::owner;
    builder.add_endpoint(endpoint);
  } else {
    builder.unknown(futex.channel, "owner_tid");
  }
  if (guess.owner == FutexGuess::Owner::unknown) {
    builder.unknown(futex.channel, "owner_died");
  } else {
    builder.boolean(futex.channel, "owner_died", guess.owner == FutexGuess::Owner::died);
  }
  if (futex.shared && assembly_.request.relations) {
    for (const uint32_t pid : mappings_.mappers(static_cast<uint32_t>(futex.space))) {
      builder.snapshot().reach.push_back({futex.channel, assembly_.process(pid)});
    }
  }
  endpoint.role = Role::waiter;
  for (uint32_t at = futex.first; at != UINT32_MAX; at = waiters_[at].next) {
    endpoint.thread = waiters_[at].thread;
    endpoint.process = builder.snapshot().threads[endpoint.thread].process;
    builder.add_endpoint(endpoint);
  }
}

void Futexes::make_channels() {
  for (Futex& futex : futexes_) {
    make_channel(futex);
  }
}

}  // namespace ipcscope
