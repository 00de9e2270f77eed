// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/activity/activity_sums.h"

#include <string.h>

#include <algorithm>
#include <string_view>
#include <tuple>
#include <utility>

namespace ipcscope {

namespace {

/// Who used a channel first may have gone before its name was looked for; others know it, too.
constexpr int name_tries = 4;

/// Names that were not used in so many windows are forgotten.
constexpr uint64_t name_windows = 60;

/// So many are kept beside those that are in use: on some hosts channels come and go by the
/// thousand each second.
constexpr size_t spare_names = 4096;

/// A record whole, with what its kind leaves at zero.
std::string_view bytes_of(const trace_channel_record& record) {
  return {reinterpret_cast<const char*>(&record), sizeof record};
}

bool is_signal(const ActivityPair& pair) { return pair.value.channel.channel_kind == TRACE_SIGNAL; }

int32_t pid_of(const ActivityPair& pair) { return static_cast<int32_t>(pair.value.pid); }

template <typename Sums>
void add_up(Sums& sums, const activity_value& value) {
  sums.reads += value.operations[ACTIVITY_READ];
  sums.writes += value.operations[ACTIVITY_WRITE];
  sums.read_bytes += value.bytes[ACTIVITY_READ];
  sums.written_bytes += value.bytes[ACTIVITY_WRITE];
}

/// Most operations first. `name` tells equals apart, so that they keep their places.
template <typename Sums, typename Name>
void put_in_order(std::vector<Sums>& all, const Name& name) {
  std::sort(all.begin(), all.end(), [&](const Sums& a, const Sums& b) {
    const uint64_t of_a = a.reads + a.writes;
    const uint64_t of_b = b.reads + b.writes;
    return of_a != of_b ? of_a > of_b : name(a) < name(b);
  });
}

/// Operations of one process at one channel.
struct Use {
  int32_t pid;
  uint64_t operations;
};

/// The busiest first, each process once.
std::vector<int32_t> users(std::vector<Use>& uses) {
  std::sort(uses.begin(), uses.end(), [](const Use& a, const Use& b) { return a.pid < b.pid; });
  size_t count = 0;
  for (const Use& use : uses) {
    if (count > 0 && uses[count - 1].pid == use.pid) {
      uses[count - 1].operations += use.operations;
    } else {
      uses[count++] = use;
    }
  }
  uses.resize(count);
  std::stable_sort(uses.begin(), uses.end(),
                   [](const Use& a, const Use& b) { return a.operations > b.operations; });
  std::vector<int32_t> pids;
  pids.reserve(count);
  for (const Use& use : uses) {
    pids.push_back(use.pid);
  }
  return pids;
}

}  // namespace

void ActivitySums::add_processes(std::span<const ActivityPair> pairs, Activity& activity) const {
  std::unordered_map<u32, size_t> index_of;
  for (const ActivityPair& pair : pairs) {
    const auto [found, is_new] = index_of.try_emplace(pair.key.group, activity.processes.size());
    if (is_new) {
      ProcessActivity& process = activity.processes.emplace_back();
      process.pid = pid_of(pair);
      process.comm.assign(pair.value.comm, ::strnlen(pair.value.comm, sizeof pair.value.comm));
    }
    ProcessActivity& process = activity.processes[found->second];
    if (is_signal(pair)) {
      process.signals_sent += pair.value.operations[ACTIVITY_WRITE];
    } else {
      add_up(process, pair.value);
    }
  }
  put_in_order(activity.processes, [](const ProcessActivity& process) { return process.pid; });
}

/// end: pairs of one key, the least pid first: it gives its name to what only descriptors tell
/// apart.
const ActivitySums::Name& ActivitySums::name_of(std::span<const ActivityPair* const> end) {
  trace_channel_record record = end.front()->value.channel;
  const bool by_descriptor = record.channel_kind == TRACE_SIGNALFD ||
                             record.channel_kind == TRACE_TIMERFD ||
                             record.channel_kind == TRACE_INOTIFY;
  record.tid = by_descriptor ? end.front()->value.pid : 0;
  record.fd = by_descriptor ? record.fd : -1;
  Name& name = known_[record.key];
  if (name.window == 0 || bytes_of(name.record) != bytes_of(record)) {
    name = {};
    name.record = record;
    name.tries = name_tries;
  }
  name.window = window_;
  if (name.tries == 0) {
    return name;
  }
  name.tries--;
  for (const ActivityPair* pair : end) {
    TraceName found = names_.name(pair->value.channel, pid_of(*pair));
    if (found.is_whole || name.id.empty()) {
      name.id = std::move(found.id);
      name.kind = static_cast<Kind>(found.kind);
    }
    if (found.is_whole) {
      name.tries = 0;
      break;
    }
  }
  return name;
}

void ActivitySums::add_channels(std::span<const ActivityPair> pairs, Activity& activity) {
  std::vector<const ActivityPair*> sorted;
  sorted.reserve(pairs.size());
  for (const ActivityPair& pair : pairs) {
    if (!is_signal(pair)) {
      sorted.push_back(&pair);
    }
  }
  std::sort(sorted.begin(), sorted.end(), [](const ActivityPair* a, const ActivityPair* b) {
    return std::tie(a->key.channel, a->value.pid) < std::tie(b->key.channel, b->value.pid);
  });
  // The ends of a connection have a key each, and one name.
  std::unordered_map<std::string_view, size_t> index_of;
  std::vector<std::vector<Use>> uses;
  for (size_t begin = 0, end = 0; begin < sorted.size(); begin = end) {
    while (end < sorted.size() && sorted[end]->key.channel == sorted[begin]->key.channel) {
      end++;
    }
    const std::span<const ActivityPair* const> same(&sorted[begin], end - begin);
    const Name& name = name_of(same);
    const auto [found, is_new] = index_of.try_emplace(name.id, activity.channels.size());
    if (is_new) {
      ChannelActivity& channel = activity.channels.emplace_back();
      channel.id = name.id;
      channel.kind = name.kind;
      uses.emplace_back();
    }
    for (const ActivityPair* pair : same) {
      const activity_value& value = pair->value;
      add_up(activity.channels[found->second], value);
      uses[found->second].push_back(
          {pid_of(*pair), value.operations[ACTIVITY_READ] + value.operations[ACTIVITY_WRITE]});
    }
  }
  for (size_t i = 0; i < uses.size(); i++) {
    activity.channels[i].pids = users(uses[i]);
  }
  put_in_order(activity.channels,
               [](const ChannelActivity& channel) -> const std::string& { return channel.id; });
}

void ActivitySums::forget_names(uint64_t before) {
  std::erase_if(known_, [=](const auto& each) { return each.second.window < before; });
}

void ActivitySums::add(std::span<const ActivityPair> pairs, Activity& activity) {
  window_++;
  add_processes(pairs, activity);
  add_channels(pairs, activity);
  if (known_.size() > spare_names + pairs.size()) {
    forget_names(window_);
  } else if (window_ % name_windows == 0) {
    forget_names(window_ - name_windows + 1);
  }
}

}  // namespace ipcscope
