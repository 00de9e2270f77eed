// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/who.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace ipcscope {

namespace {

constexpr size_t named = 2;  // of a long list

bool is_left(const Endpoint& endpoint, uint32_t first_inode) {
  return endpoint.inode == first_inode;
}

}  // namespace

Who::Who(const Snapshot& snapshot, EscapeStyle style)
    : snapshot_(snapshot), style_(style), labels_(snapshot.processes.size()) {
  for (auto& side : seen_) {
    side.resize(snapshot.processes.size(), 0);
  }
}

const std::string& Who::label(ProcessIndex index) {
  std::string& label = labels_[index];
  if (label.empty()) {
    const Process& process = snapshot_.processes[index];
    append_escaped(label, process.command(), style_);
    fmt::format_to(std::back_inserter(label), "[{}]", process.pid);
  }
  return label;
}

std::string Who::label(const Thread& thread) const {
  return fmt::format("{}[{}]", escaped(thread.command(), style_), thread.tid);
}

void Who::add(std::vector<ProcessIndex>& to, unsigned side, ProcessIndex process) {
  if (process < seen_[side].size() && seen_[side][process] != turn_) {
    seen_[side][process] = turn_;
    to.push_back(process);
  }
}

const Sides& Who::sides(const Channel& channel) {
  turn_++;
  sides_.left.clear();
  sides_.right.clear();
  sides_.around.clear();
  sides_.arrow = Sides::Arrow::none;
  uint32_t first_inode = 0;
  for (const Endpoint& endpoint : snapshot_.endpoints_of(channel)) {
    switch (endpoint.role) {
      case Role::writer:
        add(sides_.left, 0, endpoint.process);
        sides_.arrow = Sides::Arrow::one_way;
        break;
      case Role::reader:
        add(sides_.right, 1, endpoint.process);
        sides_.arrow = Sides::Arrow::one_way;
        break;
      case Role::peer:
        first_inode = first_inode == 0 ? endpoint.inode : first_inode;
        is_left(endpoint, first_inode) ? add(sides_.left, 0, endpoint.process)
                                       : add(sides_.right, 1, endpoint.process);
        sides_.arrow = Sides::Arrow::both_ways;
        break;
      case Role::master:
        add(sides_.left, 0, endpoint.process);
        sides_.arrow = Sides::Arrow::both_ways;
        break;
      case Role::slave:
        add(sides_.right, 1, endpoint.process);
        sides_.arrow = Sides::Arrow::both_ways;
        break;
      case Role::listener:
      case Role::attached:
      case Role::owner:
      case Role::waiter:
      case Role::opener:
        // A message queue's openers say which way they can go.
        if (channel.kind == Kind::mq && endpoint.access != access_none) {
          if ((endpoint.access & access_write) != 0) {
            add(sides_.left, 0, endpoint.process);
          }
          if ((endpoint.access & access_read) != 0) {
            add(sides_.right, 1, endpoint.process);
          }
          sides_.arrow = Sides::Arrow::one_way;
        } else {
          add(sides_.around, 2, endpoint.process);
        }
        break;
    }
  }
  return sides_;
}

void Who::append_all(std::string& out, const std::vector<ProcessIndex>& processes) {
  for (size_t i = 0; i < processes.size(); i++) {
    out += i > 0 ? "," : "";
    out += label(processes[i]);
  }
}

void Who::append_some(std::string& out, const std::vector<ProcessIndex>& processes) {
  for (size_t i = 0; i < std::min(processes.size(), named); i++) {
    out += i > 0 ? "," : "";
    out += label(processes[i]);
  }
  if (processes.size() > named) {
    fmt::format_to(std::back_inserter(out), "+{}", processes.size() - named);
  }
}

void Who::append_side(std::string& out, const Channel& channel, bool left) {
  const auto& processes = left ? sides_.left : sides_.right;
  if (!processes.empty()) {
    append_some(out, processes);
    return;
  }
  // Nobody to be seen is not the same as nobody.
  const Attribute* count = snapshot_.attribute(channel, left ? "writers" : "readers");
  const bool closed =
      count != nullptr && count->type == Attribute::Type::natural && count->natural == 0;
  out += closed ? "closed" : "-";
}

void Who::append_who(std::string& out, const Channel& channel) {
  const Sides& found = sides(channel);
  if (found.arrow == Sides::Arrow::none) {
    if (found.around.empty()) {
      out += channel.endpoint_count == 0 ? "" : "-";
    }
    append_some(out, found.around);
    return;
  }
  const bool same = !found.left.empty() && found.left == found.right;
  const bool remote =
      found.arrow == Sides::Arrow::both_ways && found.right.empty() &&
      (channel.kind == Kind::tcp || channel.kind == Kind::udp || channel.kind == Kind::vsock);
  if (same || remote) {
    append_some(out, found.left);
  } else {
    append_side(out, channel, true);
    out += found.arrow == Sides::Arrow::one_way ? " -> " : " <-> ";
    append_side(out, channel, false);
  }
  if (!found.around.empty()) {
    out += ' ';
    append_some(out, found.around);
  }
}

void Who::append_others(std::string& out, const Channel& channel, ProcessIndex except) {
  const Sides& found = sides(channel);
  std::vector<ProcessIndex> others;
  for (const auto* side : {&found.left, &found.right, &found.around}) {
    for (const ProcessIndex each : *side) {
      if (each != except && std::find(others.begin(), others.end(), each) == others.end()) {
        others.push_back(each);
      }
      if (others.size() > 64) {  // enough to say "and many more"; the search above is linear
        break;
      }
    }
  }
  append_some(out, others);
}

const Wait* Who::longest_wait(const Channel& channel) const {
  const Wait* longest = nullptr;
  uint64_t length = 0;
  for (const uint32_t index : snapshot_.waits_at(channel)) {
    const Wait& wait = snapshot_.waits[index];
    const uint64_t blocked = snapshot_.threads[wait.thread].blocked_ns.value_or(0);
    if (longest == nullptr || blocked > length) {
      longest = &wait;
      length = blocked;
    }
  }
  return longest;
}

void Who::append_waiting(std::string& out, const Channel& channel) const {
  const Wait* wait = longest_wait(channel);
  if (wait == nullptr) {
    return;
  }
  const Thread& thread = snapshot_.threads[wait->thread];
  append_escaped(out, thread.command(), style_);
  fmt::format_to(std::back_inserter(out), "[{}] {}", thread.tid, wait->operation);
  const Since blocked = since(thread);
  if (blocked.milliseconds) {
    out += ' ';
    append_since(out, blocked, style_.utf8);
  }
  if (channel.wait_count > 1) {
    fmt::format_to(std::back_inserter(out), " +{}", channel.wait_count - 1);
  }
}

}  // namespace ipcscope
