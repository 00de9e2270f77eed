// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/model/builder.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <tuple>

namespace ipcscope {

namespace {

/// Stable counting sort of items by key(item) < keys. Items without a key (>= keys) are dropped.
/// Calls place(key, first, count) for each key. Linear.
template <typename T, typename Key, typename Place>
void group(std::vector<T>& items, size_t keys, Key key, Place place) {
  std::vector<uint32_t> next(keys + 1, 0);
  for (const T& item : items) {
    if (key(item) < keys) {
      next[key(item) + 1]++;
    }
  }
  for (size_t i = 0; i < keys; i++) {
    place(i, next[i], next[i + 1]);  // next[i] is where group i begins, next[i + 1] still its size
    next[i + 1] += next[i];
  }
  std::vector<T> sorted(next[keys]);
  for (const T& item : items) {
    if (key(item) < keys) {
      sorted[next[key(item)]++] = item;
    }
  }
  items = std::move(sorted);
}

/// order[new] = old  ->  result[old] = new
std::vector<uint32_t> inverse(const std::vector<uint32_t>& order) {
  std::vector<uint32_t> where(order.size());
  for (uint32_t i = 0; i < order.size(); i++) {
    where[order[i]] = i;
  }
  return where;
}

/// Sorts items by less and returns where each old index went.
template <typename T, typename Less>
std::vector<uint32_t> sort_and_map(std::vector<T>& items, Less less) {
  std::vector<uint32_t> order(items.size());
  std::iota(order.begin(), order.end(), 0U);
  const auto by_item = [&](uint32_t a, uint32_t b) { return less(items[a], items[b]); };
  if (!std::is_sorted(order.begin(), order.end(), by_item)) {
    std::stable_sort(order.begin(), order.end(), by_item);
    std::vector<T> sorted;
    sorted.reserve(items.size());
    for (const uint32_t index : order) {
      sorted.push_back(std::move(items[index]));
    }
    items = std::move(sorted);
  }
  return inverse(order);
}

/// Sorts channels by kind, each kind's in the order they came, and returns where each old index
/// went. Linear: there are hundreds of thousands.
std::vector<uint32_t> gather_by_kind(std::vector<Channel>& channels) {
  std::array<uint32_t, kind_count + 1> next{};
  for (const Channel& channel : channels) {
    next[static_cast<size_t>(channel.kind) + 1]++;
  }
  std::partial_sum(next.begin(), next.end(), next.begin());
  std::vector<uint32_t> where(channels.size());
  for (size_t i = 0; i < channels.size(); i++) {
    where[i] = next[static_cast<size_t>(channels[i].kind)]++;
  }
  // In place: a second copy of them would be the most memory that a run ever needs.
  std::vector<uint32_t> left = where;
  for (size_t i = 0; i < channels.size(); i++) {
    while (left[i] != i) {
      const uint32_t target = left[i];
      std::swap(channels[i], channels[target]);
      std::swap(left[i], left[target]);
    }
  }
  return where;
}

uint32_t moved(const std::vector<uint32_t>& where, uint32_t index) {
  return index < where.size() ? where[index] : no_index;
}

}  // namespace

SnapshotBuilder::SnapshotBuilder() = default;

ChannelIndex SnapshotBuilder::add_channel(Kind kind, std::string_view id, std::string_view name) {
  Channel channel;
  channel.kind = kind;
  channel.id = keep(id);
  channel.name = keep(name);
  snapshot_.channels.push_back(channel);
  return static_cast<ChannelIndex>(snapshot_.channels.size() - 1);
}

ChannelIndex SnapshotBuilder::find_channel(std::string_view id) {
  const auto kind = kind_from_name(id.substr(0, id.find(':')));
  if (!kind) {
    return no_index;
  }
  IdIndex& index = by_id_[static_cast<size_t>(*kind)];
  for (; index.indexed < snapshot_.channels.size(); index.indexed++) {
    const Channel& channel = snapshot_.channels[index.indexed];
    if (channel.kind == *kind) {
      index.channels.emplace(channel.id, static_cast<ChannelIndex>(index.indexed));
    }
  }
  const auto found = index.channels.find(id);
  return found == index.channels.end() ? no_index : found->second;
}

void SnapshotBuilder::expect(size_t descriptors) {
  constexpr size_t attributes_each = 8;
  snapshot_.channels.reserve(descriptors);
  snapshot_.endpoints.reserve(descriptors);
  snapshot_.attributes.reserve(descriptors * attributes_each);
}

Attribute& SnapshotBuilder::attribute(ChannelIndex index, const char* key, Attribute::Type type) {
  std::vector<Attribute>& all = snapshot_.attributes;
  Channel& channel = snapshot_.channels[index];
  if (channel.attribute_count == 0) {
    channel.first_attribute = static_cast<uint32_t>(all.size());
  } else if (channel.first_attribute + channel.attribute_count != all.size()) {
    // Others came in between: its attributes move to the end, so that they stay together.
    const uint32_t first = channel.first_attribute;
    channel.first_attribute = static_cast<uint32_t>(all.size());
    for (uint32_t i = 0; i < channel.attribute_count; i++) {
      const Attribute moved = all[first + i];
      all.push_back(moved);
    }
  }
  channel.attribute_count++;
  Attribute& added = all.emplace_back();
  added.key = key;
  added.type = type;
  return added;
}

void SnapshotBuilder::unknown(ChannelIndex channel, const char* key) {
  attribute(channel, key, Attribute::Type::unknown);
}

void SnapshotBuilder::boolean(ChannelIndex channel, const char* key, bool value) {
  attribute(channel, key, Attribute::Type::boolean).boolean = value;
}

void SnapshotBuilder::integer(ChannelIndex channel, const char* key, int64_t value) {
  attribute(channel, key, Attribute::Type::integer).integer = value;
}

void SnapshotBuilder::natural(ChannelIndex channel, const char* key, uint64_t value) {
  if (value == UINT64_MAX) {
    unknown(channel, key);
  } else {
    attribute(channel, key, Attribute::Type::natural).natural = value;
  }
}

void SnapshotBuilder::natural32(ChannelIndex channel, const char* key, uint32_t value) {
  natural(channel, key, value == UINT32_MAX ? UINT64_MAX : value);
}

void SnapshotBuilder::text(ChannelIndex channel, const char* key, std::string_view value) {
  const std::string_view kept = keep(value);
  Attribute& added = attribute(channel, key, Attribute::Type::text);
  added.text = kept.data();
  added.text_size = static_cast<uint32_t>(kept.size());
}

void SnapshotBuilder::json(ChannelIndex channel, const char* key, std::string_view value) {
  const std::string_view kept = keep(value);
  Attribute& added = attribute(channel, key, Attribute::Type::json);
  added.text = kept.data();
  added.text_size = static_cast<uint32_t>(kept.size());
}

Snapshot SnapshotBuilder::finish() {
  Snapshot& s = snapshot_;

  const std::vector<uint32_t> process_at =
      sort_and_map(s.processes, [](const Process& a, const Process& b) { return a.pid < b.pid; });
  for (Thread& thread : s.threads) {
    thread.process = moved(process_at, thread.process);
  }
  // The leader first: where numbers have come round, it has not the lowest one.
  const auto follows = [&](const Thread& thread) {
    return thread.process < s.processes.size() && thread.tid != s.processes[thread.process].pid;
  };
  const std::vector<uint32_t> thread_at =
      sort_and_map(s.threads, [&](const Thread& a, const Thread& b) {
        return std::tuple(a.process, follows(a), a.tid) < std::tuple(b.process, follows(b), b.tid);
      });
  for (uint32_t i = 0; i < s.threads.size(); i++) {
    if (s.threads[i].process < s.processes.size()) {
      Process& process = s.processes[s.threads[i].process];
      if (process.thread_count++ == 0) {
        process.first_thread = i;
      }
    }
  }

  const std::vector<uint32_t> channel_at = gather_by_kind(s.channels);

  for (Endpoint& endpoint : s.endpoints) {
    endpoint.channel = moved(channel_at, endpoint.channel);
    endpoint.process = moved(process_at, endpoint.process);
    endpoint.thread = moved(thread_at, endpoint.thread);
  }
  group(
      s.endpoints, s.channels.size(), [](const Endpoint& each) { return each.channel; },
      [&](size_t channel, uint32_t first, uint32_t count) {
        s.channels[channel].first_endpoint = first;
        s.channels[channel].endpoint_count = count;
      });

  for (Wait& wait : s.waits) {
    wait.channel = moved(channel_at, wait.channel);
    wait.thread = moved(thread_at, wait.thread);
  }
  group(
      s.waits, s.threads.size(), [](const Wait& each) { return each.thread; },
      [&](size_t thread, uint32_t first, uint32_t count) {
        s.threads[thread].first_wait = first;
        s.threads[thread].wait_count = count;
      });
  s.channel_waits.resize(s.waits.size());
  std::iota(s.channel_waits.begin(), s.channel_waits.end(), 0U);
  group(
      s.channel_waits, s.channels.size(), [&](uint32_t each) { return s.waits[each].channel; },
      [&](size_t channel, uint32_t first, uint32_t count) {
        s.channels[channel].first_wait = first;
        s.channels[channel].wait_count = count;
      });
  for (Watched& watched : s.watched) {
    watched.epoll = moved(channel_at, watched.epoll);
    watched.channel = moved(channel_at, watched.channel);
  }
  std::stable_sort(s.watched.begin(), s.watched.end(),
                   [](const Watched& a, const Watched& b) { return a.epoll < b.epoll; });
  for (Reach& reach : s.reach) {
    reach.channel = moved(channel_at, reach.channel);
    reach.process = moved(process_at, reach.process);
  }
  std::stable_sort(s.reach.begin(), s.reach.end(),
                   [](const Reach& a, const Reach& b) { return a.channel < b.channel; });
  by_id_ = {};
  return std::move(snapshot_);
}

}  // namespace ipcscope
