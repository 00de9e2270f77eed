// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/channel_json.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <time.h>

#include <algorithm>
#include <span>
#include <thread>

namespace ipcscope {

namespace {

std::string_view state_name(Coverage::State state) {
  switch (state) {
    case Coverage::State::full:
      return "full";
    case Coverage::State::partial:
      return "partial";
    case Coverage::State::unavailable:
      return "unavailable";
  }
  return "";
}

void write_amounts(Json& json, std::string_view key, const std::optional<uint64_t>& bytes,
                   const std::optional<uint64_t>& messages) {
  json.key(key);
  json.begin_object();
  json.key("bytes");
  json.number(bytes);
  json.key("messages");
  json.number(messages);
  json.end_object();
}

std::string_view access_name(uint8_t access) {
  static constexpr std::string_view names[] = {"", "r", "w", "rw"};
  return names[access & 3];
}

}  // namespace

void write_coverage(Json& json, const std::vector<Coverage>& coverage) {
  json.key("coverage");
  json.begin_array();
  for (const Coverage& each : coverage) {
    json.begin_object();
    json.text("source", each.source);
    json.member("state", state_name(each.state));
    json.key("checked");
    json.number(each.checked);
    json.key("unreadable");
    json.number(each.unreadable);
    json.key("lost");
    json.number(each.lost);
    json.text("reason", each.reason, true);
    json.text("hint", each.hint, true);
    json.end_object();
  }
  json.end_array();
}

void write_head(Json& json, std::string_view command, const Snapshot& snapshot) {
  json.member("schema", "ipcscope/1");
  json.member("command", command);
  json.text("host", snapshot.host);
  json.text("kernel", snapshot.kernel);
  json.member("time", time_text(snapshot.time_ns));
  json.key("boot_ns");
  json.number(snapshot.boot_ns);
  write_coverage(json, snapshot.coverage);
}

void write_own_head(Json& json, std::string_view command, const std::vector<Coverage>& coverage) {
  utsname system{};
  ::uname(&system);
  const auto now = [](clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return time.tv_sec * 1'000'000'000 + time.tv_nsec;
  };
  Snapshot none;
  none.host = system.nodename;
  none.kernel = system.release;
  none.time_ns = now(CLOCK_REALTIME);
  none.boot_ns = now(CLOCK_BOOTTIME);
  none.coverage = coverage;
  write_head(json, command, none);
}

ChannelJson::ChannelJson(Output& out, Json& json, const Snapshot& snapshot,
                         const Protocols* protocols)
    : out_(out),
      json_(json),
      snapshot_(snapshot),
      protocols_(protocols),
      names_(snapshot.processes.size()) {}

const ChannelJson::Names& ChannelJson::names(ProcessIndex index) {
  Names& names = names_[index];
  if (names.front.empty()) {
    const Process& process = snapshot_.processes[index];
    names.front = fmt::format(R"({{"pid":{},"tid":null,"comm":)", process.pid);
    if (!append_json_string(names.front, process.command())) {
      names.front += fmt::format(R"(,"comm_hex":"{}")", hex(process.command()));
    }
    names.front += R"(,"role":")";
    names.back = process.ns_pid != process.pid && process.ns_pid != 0
                     ? fmt::format(R"(,"ns_pid":{}}})", process.ns_pid)
                     : "}";
  }
  return names;
}

void ChannelJson::write(const Endpoint& endpoint) {
  std::string_view back = "}";
  if (endpoint.thread != no_index) {
    const Thread& thread = snapshot_.threads[endpoint.thread];
    json_.begin_object();
    json_.key("pid");
    json_.number(snapshot_.processes[thread.process].pid);
    json_.key("tid");
    json_.number(thread.tid);
    json_.text("comm", thread.command());
    out_.write(R"(,"role":")");
    back = names(thread.process).back;
  } else if (endpoint.process != no_index) {
    const Names& found = names(endpoint.process);
    json_.raw(found.front);
    back = found.back;
  } else {
    json_.raw(R"({"pid":null,"tid":null,"comm":null,"role":")");
  }
  out_.write(role_name(endpoint.role));
  if (endpoint.fd >= 0) {
    out_.write(R"(","fd":)");
    out_.number(static_cast<uint64_t>(endpoint.fd));
  } else {
    out_.write(R"(","fd":null)");
  }
  if (endpoint.inode != 0) {
    out_.write(R"(,"inode":)");
    out_.number(uint64_t{endpoint.inode});
  }
  if (endpoint.access != access_none) {
    out_.write(R"(,"access":")");
    out_.write(access_name(endpoint.access));
    out_.put('"');
  }
  out_.write(back);
  json_.wrote_value();
}

void ChannelJson::write(const Attribute& attribute) {
  using Type = Attribute::Type;
  if (attribute.type == Type::text) {
    json_.text(attribute.key, attribute.string());
    return;
  }
  json_.key(attribute.key);
  switch (attribute.type) {
    case Type::unknown:
    case Type::text:
      json_.null();
      break;
    case Type::boolean:
      json_.boolean(attribute.boolean);
      break;
    case Type::integer:
      json_.number(attribute.integer);
      break;
    case Type::natural:
      json_.number(attribute.natural);
      break;
    case Type::json:
      json_.raw(attribute.string());
      break;
  }
}

void ChannelJson::write(const Wait& wait, bool with_channel) {
  const Thread& thread = snapshot_.threads[wait.thread];
  const Since blocked = since(thread);
  json_.begin_object();
  json_.key("pid");
  json_.number(snapshot_.processes[thread.process].pid);
  json_.key("tid");
  json_.number(thread.tid);
  json_.text("comm", thread.command());
  json_.member("operation", wait.operation);
  if (with_channel) {
    if (wait.channel != no_index) {
      json_.text("channel", snapshot_.channels[wait.channel].id);
    } else {
      json_.key("channel");
      json_.null();
    }
    json_.key("target");
    wait.target != 0 ? json_.number(wait.target) : json_.null();
  }
  json_.key("since_ms");
  json_.number(blocked.milliseconds);
  json_.key("since_bound");
  if (!blocked.milliseconds) {
    json_.null();
  } else {
    json_.string(blocked.exact ? "exact" : "at least");
  }
  json_.key("timeout_ms");
  wait.timeout_ns ? json_.number(*wait.timeout_ns / 1'000'000) : json_.null();
  json_.end_object();
}

void ChannelJson::write(const Channel& channel) {
  json_.begin_object();
  write_members(channel);
  json_.end_object();
}

void ChannelJson::write_protocol(const Channel& channel) {
  if (protocols_ == nullptr) {
    return;
  }
  json_.key("app_protocol");
  const auto found = protocols_->find(static_cast<ChannelIndex>(&channel - &snapshot_.channels[0]));
  if (found == protocols_->end()) {
    json_.null();
    return;
  }
  json_.begin_object();
  json_.member("name", found->second.name);
  json_.member("from", found->second.from);
  json_.end_object();
}

void ChannelJson::write_members(const Channel& channel) {
  json_.text("id", channel.id);
  json_.member("kind", kind_name(channel.kind));
  json_.text("name", channel.name, true);
  json_.key("namespace");
  channel.name_space != 0 ? json_.number(channel.name_space) : json_.null();
  json_.key("permissions");
  if (channel.permissions) {
    json_.string(fmt::format("{:04o}", *channel.permissions));
  } else {
    json_.null();
  }
  write_amounts(json_, "depth", channel.depth_bytes, channel.depth_messages);
  write_amounts(json_, "capacity", channel.capacity_bytes, channel.capacity_messages);
  if (channel.uid) {
    json_.text("owner", users_.name(*channel.uid));
  } else {
    json_.key("owner");
    json_.null();
  }
  write_protocol(channel);
  json_.key("attributes");
  json_.begin_object();
  for (const Attribute& attribute : snapshot_.attributes_of(channel)) {
    write(attribute);
  }
  json_.end_object();
  json_.key("endpoints");
  json_.begin_array();
  for (const Endpoint& endpoint : snapshot_.endpoints_of(channel)) {
    write(endpoint);
  }
  json_.end_array();
  json_.key("waits");
  json_.begin_array();
  for (const uint32_t wait : snapshot_.waits_at(channel)) {
    write(snapshot_.waits[wait], false);
  }
  json_.end_array();
}

namespace {

void write_piece(Json& json, ChannelJson& channels, const ListReport& report, size_t first,
                 size_t count) {
  for (const ChannelIndex index : std::span(report.channels).subspan(first, count)) {
    json.break_line();
    channels.write(report.snapshot.channels[index]);
  }
}

/// The channels in pieces, of which a second thread formats every other one: on a host with half a
/// million descriptors this is a quarter of all work.
void write_channels(Output& out, Json& json, const ListReport& report) {
  constexpr size_t piece = 4096;
  ChannelJson channels(out, json, report.snapshot);
  std::string text;
  Output memory(text);
  Json json_beside(memory);
  ChannelJson channels_beside(memory, json_beside, report.snapshot);
  const size_t all = report.channels.size();
  for (size_t at = 0; at < all && out.error() == 0; at += 2 * piece) {
    const size_t here = std::min(piece, all - at);
    const size_t there = std::min(piece, all - at - here);
    if (there == 0) {
      write_piece(json, channels, report, at, here);
      break;
    }
    text.clear();
    std::thread beside([&] {
      json_beside.wrote_value();  // what stands before is this thread's
      write_piece(json_beside, channels_beside, report, at + here, there);
      memory.flush();
    });
    write_piece(json, channels, report, at, here);
    beside.join();
    out.write(text);
  }
}

}  // namespace

void write_list_json(Output& out, const ListReport& report) {
  Json json(out);
  json.begin_object();
  write_head(json, report.command, report.snapshot);
  json.key("channels");
  json.begin_array();
  write_channels(out, json, report);
  if (out.error() != 0) {
    return;
  }
  json.end_array();
  json.end_object();
  out.put('\n');
}

}  // namespace ipcscope
