// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/epoll.h"

#include <fmt/format.h>
#include <rapidjson/encodings.h>
#include <sys/epoll.h>

#include <algorithm>
#include <charconv>

#include "bpf/anon.h"
#include "collectors/described_files.h"

namespace ipcscope {

namespace {

struct Item {
  uint32_t target = UINT32_MAX;  ///< index into found_
  int32_t fd = -1;
  uint32_t events = 0;
};

/// How many steps ahead a loop asks for memory.
constexpr size_t look_ahead = 8;

/// One instance, and where its items are.
struct Instance {
  ChannelIndex channel = no_index;
  uint32_t declared = UNKNOWN_U32;  ///< how many the source says that there are
  size_t first = 0, count = 0;
};

/// Without EPOLLERR and EPOLLHUP, which the kernel adds to whatever is asked for.
std::string events_json(uint32_t events) {
  static constexpr std::pair<uint32_t, const char*> names[] = {
      {EPOLLIN, "in"},         {EPOLLPRI, "pri"},
      {EPOLLOUT, "out"},       {EPOLLRDNORM, "rdnorm"},
      {EPOLLRDBAND, "rdband"}, {EPOLLWRNORM, "wrnorm"},
      {EPOLLWRBAND, "wrband"}, {EPOLLMSG, "msg"},
      {EPOLLRDHUP, "rdhup"},   {EPOLLEXCLUSIVE, "exclusive"},
      {EPOLLWAKEUP, "wakeup"}, {EPOLLONESHOT, "oneshot"},
      {EPOLLET, "et"},
  };
  std::string json = "[";
  for (const auto& [bit, name] : names) {
    if ((events & bit) != 0) {
      json += json.size() > 1 ? ",\"" : "\"";
      json += name;
      json += '"';
    }
  }
  return json + "]";
}

/// A text as RapidJSON's decoder reads it.
struct TextStream {
  using Ch = char;
  std::string_view text;
  size_t at = 0;
  Ch Take() { return at < text.size() ? text[at++] : '\0'; }
};

/// Appends a channel id as a JSON string in ASCII. Ids with a path in them hold any bytes: what is
/// not UTF-8 becomes the replacement character, and nothing is left that a terminal would act on.
void append_id(std::string& json, std::string_view id) {
  const auto plain = [](char each) {
    return each >= ' ' && each <= '~' && each != '"' && each != '\\';
  };
  json += '"';
  if (std::all_of(id.begin(), id.end(), plain)) {
    json += id;
    json += '"';
    return;
  }
  TextStream stream{id};
  while (stream.at < id.size()) {
    const size_t begin = stream.at;
    if (plain(id[begin])) {
      json += stream.Take();
      continue;
    }
    unsigned code = 0;
    if (!rapidjson::UTF8<>::Decode(stream, &code)) {
      code = 0xfffd;
      stream.at = begin + 1;
    }
    if (code >= 0x10000) {
      code -= 0x10000;
      json += fmt::format("\\u{:04x}\\u{:04x}", 0xd800 | code >> 10, 0xdc00 | (code & 0x3ff));
    } else {
      json += fmt::format("\\u{:04x}", code);
    }
  }
  json += '"';
}

void append_number(std::string& json, int64_t number) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number);
  json.append(digits, end.ptr);
}

class Epolls final : public Mechanism {
 public:
  void take(const record& fact, Assembly& assembly) override;
  void finish(Assembly& assembly) override;

 private:
  void take_instance(const epoll_record& from, Assembly& assembly);
  void take_item(const epoll_item_record& from);
  void end_run();
  void find_targets(const Snapshot& snapshot);
  void prefetch(size_t item, const Snapshot& snapshot) const;

  DescribedFiles files_{Kind::epoll};
  IdentityMap by_file_;
  std::vector<Instance> instances_;
  IdentityMap targets_;  ///< by identity of the watched file
  /// What a watched file is: the channel, and which end of it.
  struct Target {
    ChannelIndex channel = no_index;
    uint32_t inode = 0;
  };
  std::vector<Target> found_;  ///< by target
  std::vector<Item> items_;
  /// The items that come now: of this instance, from this index on.
  uint32_t current_ = no_index;
  size_t run_ = 0;
};

/// A source sends the items once for each descriptor of an instance, and once more when it had to
/// start again in the middle: the longest run is whole.
void Epolls::end_run() {
  if (current_ == no_index) {
    return;
  }
  Instance& instance = instances_[current_];
  const size_t count = items_.size() - run_;
  if (count > instance.count) {
    instance.first = run_;
    instance.count = count;
  } else {
    items_.resize(run_);
  }
  current_ = no_index;
}

void Epolls::take_instance(const epoll_record& from, Assembly& assembly) {
  bool is_new = false;
  const ChannelIndex channel = files_.take(from.file, assembly, is_new);
  uint32_t& index = by_file_.slot(from.file.file, is_new);
  if (is_new) {
    index = static_cast<uint32_t>(instances_.size());
    Instance& instance = instances_.emplace_back();
    instance.channel = channel;
  }
  if (from.items != UNKNOWN_U32) {
    instances_[index].declared = from.items;
  }
  end_run();
  current_ = index;
  run_ = items_.size();
}

void Epolls::take_item(const epoll_item_record& from) {
  if (current_ == no_index || by_file_.find(from.epoll) != current_) {
    end_run();
    current_ = by_file_.find(from.epoll);
    run_ = items_.size();
    if (current_ == no_index) {
      return;  // of an instance that is not known
    }
  }
  Item& item = items_.emplace_back();
  item.fd = from.fd;
  item.events = from.events;
  if (from.target != 0) {
    bool is_new = false;
    uint32_t& target = targets_.slot(from.target, is_new);
    if (is_new) {
      target = static_cast<uint32_t>(found_.size());
      found_.emplace_back();
    }
    item.target = target;
  }
}

void Epolls::take(const record& fact, Assembly& assembly) {
  if (fact.kind == RECORD_EPOLL) {
    take_instance(reinterpret_cast<const epoll_record&>(fact), assembly);
  } else {
    take_item(reinterpret_cast<const epoll_item_record&>(fact));
  }
}

/// The first channel that has an endpoint with the watched file. Looks the endpoints up among the
/// targets and not the other way round: there are far fewer targets.
void Epolls::find_targets(const Snapshot& snapshot) {
  if (found_.empty()) {
    return;
  }
  const std::vector<Endpoint>& endpoints = snapshot.endpoints;
  for (size_t i = 0; i < endpoints.size(); i++) {
    if (i + look_ahead < endpoints.size()) {
      targets_.prefetch(endpoints[i + look_ahead].file);
    }
    const uint64_t file = endpoints[i].file;
    const uint32_t target = file == 0 ? UINT32_MAX : targets_.find(file);
    if (target != UINT32_MAX && found_[target].channel == no_index) {
      found_[target] = {endpoints[i].channel, endpoints[i].inode};
    }
  }
}

/// Begins to load what the items after this one need: hundreds of thousands of channels are far
/// more than a cache holds, and the items refer to them in any order.
void Epolls::prefetch(size_t item, const Snapshot& snapshot) const {
  const auto channel_of = [&](size_t index) {
    const uint32_t target = index < items_.size() ? items_[index].target : UINT32_MAX;
    return target == UINT32_MAX ? no_index : found_[target].channel;
  };
  if (const ChannelIndex far = channel_of(item + 2 * look_ahead); far != no_index) {
    __builtin_prefetch(&snapshot.channels[far].id);
  }
  if (const ChannelIndex near = channel_of(item + look_ahead); near != no_index) {
    __builtin_prefetch(snapshot.channels[near].id.data());
  }
}

void Epolls::finish(Assembly& assembly) {
  end_run();
  SnapshotBuilder& builder = assembly.builder;
  find_targets(builder.snapshot());
  std::string json;
  std::string events = events_json(0);
  uint32_t events_of = 0;  // nearly all items of a host have the same few
  for (const Instance& instance : instances_) {
    // BPF does not count them: what follows is all.
    const bool whole = instance.declared == UNKNOWN_U32 || instance.count > 0;
    builder.natural(instance.channel, "watches", whole ? instance.count : instance.declared);
    if (instance.count == 0 && instance.declared != UNKNOWN_U32 && instance.declared > 0) {
      builder.unknown(instance.channel, "items");
      continue;
    }
    json = "[";
    for (size_t i = instance.first; i < instance.first + instance.count; i++) {
      prefetch(i, builder.snapshot());
      const Item& item = items_[i];
      if (item.events != events_of) {
        events_of = item.events;
        events = events_json(events_of);
      }
      json += json.size() > 1 ? ",{\"fd\":" : "{\"fd\":";
      append_number(json, item.fd);
      json += ",\"events\":";
      json += events;
      json += ",\"target\":";
      const Target target = item.target == UINT32_MAX ? Target{} : found_[item.target];
      if (target.channel == no_index) {
        json += "null";
      } else {
        append_id(json, builder.channel(target.channel).id);
      }
      if (assembly.request.relations) {
        constexpr uint32_t to_read = EPOLLIN | EPOLLPRI | EPOLLRDHUP;
        builder.snapshot().watched.push_back(
            {instance.channel, target.channel, target.inode, (item.events & to_read) == 0,
             (item.events & EPOLLET) != 0 && (item.events & EPOLLIN) != 0});
      }
      json += '}';
    }
    json += ']';
    builder.json(instance.channel, "items", json);
  }
}

constexpr Kind kinds[] = {Kind::epoll};
constexpr record_kind records[] = {RECORD_EPOLL, RECORD_EPOLL_ITEM};

}  // namespace

const MechanismEntry epoll_mechanism = {"epoll", kinds, records,
                                        [] { return std::unique_ptr<Mechanism>(new Epolls); }};

}  // namespace ipcscope
