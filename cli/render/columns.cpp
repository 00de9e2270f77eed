// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "cli/render/attributes.h"
#include "cli/render/column_list.h"

namespace ipcscope {

namespace {

constexpr std::string_view unknown = "-";
constexpr unsigned nearly_full = 80;  // percent
constexpr uint64_t long_wait_ms = 60'000;

void append_number(std::string& out, uint64_t value) {
  const fmt::format_int text(value);
  out.append(text.data(), text.size());
}

void append_number(std::string& out, const std::optional<uint64_t>& value) {
  if (value) {
    append_number(out, *value);
  } else {
    out += unknown;
  }
}

void append_size(std::string& out, const std::optional<uint64_t>& bytes, bool raw) {
  if (!bytes) {
    out += unknown;
  } else if (raw) {
    append_number(out, *bytes);
  } else {
    append_bytes(out, *bytes);
  }
}

/// A queue is measured in messages or in bytes, whichever limits it.
bool in_messages(const Channel& channel) {
  return channel.capacity_messages.has_value() ||
         (channel.depth_messages && !channel.capacity_bytes && !channel.depth_bytes);
}

/// Memory has a size, and nothing is queued in it.
bool is_memory(Kind kind) {
  return kind == Kind::shm || kind == Kind::posixshm || kind == Kind::memfd || kind == Kind::mmap;
}

std::optional<uint64_t> memory_size(const Snapshot& snapshot, const Channel& channel) {
  if (channel.capacity_bytes) {
    return channel.capacity_bytes;
  }
  const Attribute* bytes = snapshot.attribute(channel, "bytes");
  if (bytes == nullptr || bytes->type != Attribute::Type::natural) {
    return std::nullopt;
  }
  return bytes->natural;
}

using Context = ColumnContext;

/// A word that contains no blank.
std::string spelled_raw(std::string_view text) {
  std::string word(text);
  std::replace(word.begin(), word.end(), ' ', '_');
  return word;
}

void write_id(Context& c, const Channel& channel, const Column&, std::string& out) {
  append_escaped(out, channel.id, c.who.style());
}

void write_kind(Context&, const Channel& channel, const Column&, std::string& out) {
  out += kind_name(channel.kind);
}

void write_name(Context& c, const Channel& channel, const Column&, std::string& out) {
  append_escaped(out, channel.name, c.who.style());
}

void write_depth(Context& c, const Channel& channel, const Column&, std::string& out) {
  if (in_messages(channel)) {
    append_number(out, channel.depth_messages);
  } else {
    append_size(out, channel.depth_bytes, c.raw);
  }
}

void write_capacity(Context& c, const Channel& channel, const Column&, std::string& out) {
  if (in_messages(channel)) {
    append_number(out, channel.capacity_messages);
  } else if (is_memory(channel.kind)) {
    append_size(out, memory_size(c.who.snapshot(), channel), c.raw);
  } else {
    append_size(out, channel.capacity_bytes, c.raw);
  }
}

void write_use(Context&, const Channel& channel, const Column&, std::string& out) {
  if (const auto full = fullness(channel)) {
    fmt::format_to(std::back_inserter(out), "{}%", *full);
  } else {
    out += unknown;
  }
}

void write_fill(Context& c, const Channel& channel, const Column& column, std::string& out) {
  if (is_memory(channel.kind)) {
    write_capacity(c, channel, column, out);
    return;
  }
  if (!channel.depth_bytes && !channel.depth_messages && !channel.capacity_bytes &&
      !channel.capacity_messages) {
    out += unknown;
    return;
  }
  write_depth(c, channel, column, out);
  out += '/';
  write_capacity(c, channel, column, out);
  if (const auto full = fullness(channel)) {
    fmt::format_to(std::back_inserter(out), "{}{}%", c.raw ? ',' : ' ', *full);
  }
}

void write_bytes(Context& c, const Channel& channel, const Column&, std::string& out) {
  append_number(out, channel.depth_bytes || !is_memory(channel.kind)
                         ? std::optional<uint64_t>(channel.depth_bytes)
                         : memory_size(c.who.snapshot(), channel));
}

void write_messages(Context&, const Channel& channel, const Column&, std::string& out) {
  append_number(out, channel.depth_messages);
}

void write_who(Context& c, const Channel& channel, const Column&, std::string& out) {
  c.who.append_who(out, channel);
  // Other kinds have their name in the id.
  if (channel.kind == Kind::unix_socket && !channel.name.empty() && !c.raw) {
    out += out.empty() ? "(" : " (";
    append_escaped(out, channel.name, c.who.style());
    out += ')';
  }
  if (c.raw) {
    std::replace(out.begin(), out.end(), ' ', '_');
  }
}

void write_left(Context& c, const Channel& channel, const Column&, std::string& out) {
  c.who.append_all(out, c.who.sides(channel).left);
}

void write_right(Context& c, const Channel& channel, const Column&, std::string& out) {
  c.who.append_all(out, c.who.sides(channel).right);
}

void write_holder(Context& c, const Channel& channel, const Column&, std::string& out) {
  std::vector<ProcessIndex> holders;
  for (const Endpoint& endpoint : c.who.snapshot().endpoints_of(channel)) {
    if (endpoint.role == Role::owner && endpoint.process != no_index &&
        (holders.empty() || holders.back() != endpoint.process)) {
      holders.push_back(endpoint.process);
    }
  }
  c.who.append_all(out, holders);
}

void write_waiting(Context& c, const Channel& channel, const Column&, std::string& out) {
  c.who.append_waiting(out, channel);
  if (c.raw) {
    std::replace(out.begin(), out.end(), ' ', '_');
  }
}

void write_since(Context& c, const Channel& channel, const Column&, std::string& out) {
  const Wait* wait = c.who.longest_wait(channel);
  if (wait == nullptr) {
    return;
  }
  const Since blocked = since(c.who.snapshot().threads[wait->thread]);
  if (!blocked.milliseconds) {
    out += unknown;
  } else if (c.raw) {
    append_number(out, *blocked.milliseconds);
  } else {
    append_since(out, blocked, c.who.style().utf8);
  }
}

void write_pids(Context& c, const Channel& channel, const Column&, std::string& out) {
  const Sides& sides = c.who.sides(channel);
  std::vector<ProcessIndex> all;
  for (const auto* side : {&sides.left, &sides.right, &sides.around}) {
    all.insert(all.end(), side->begin(), side->end());
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  for (size_t i = 0; i < all.size(); i++) {
    out += i > 0 ? "," : "";
    append_number(out, static_cast<uint64_t>(c.who.snapshot().processes[all[i]].pid));
  }
}

void write_owner(Context& c, const Channel& channel, const Column&, std::string& out) {
  if (channel.uid) {
    append_escaped(out, c.users.name(*channel.uid), c.who.style());
  } else {
    out += unknown;
  }
}

void write_mode(Context&, const Channel& channel, const Column&, std::string& out) {
  if (channel.permissions) {
    fmt::format_to(std::back_inserter(out), "{:04o}", *channel.permissions);
  } else {
    out += unknown;
  }
}

void write_ns(Context&, const Channel& channel, const Column&, std::string& out) {
  if (channel.name_space != 0) {
    append_number(out, channel.name_space);
  }
}

void write_protocol(Context& c, const Channel& channel, const Column&, std::string& out) {
  if (c.protocols == nullptr) {
    return;
  }
  const auto index = static_cast<ChannelIndex>(&channel - c.who.snapshot().channels.data());
  if (const auto found = c.protocols->find(index); found != c.protocols->end()) {
    out += c.raw ? spelled_raw(found->second.name) : std::string(found->second.name);
  }
}

void write_role(Context& c, const Channel& channel, const Column&, std::string& out) {
  unsigned seen = 0;
  for (const Endpoint& endpoint : c.who.snapshot().endpoints_of(channel)) {
    const unsigned bit = 1U << static_cast<unsigned>(endpoint.role);
    if ((c.process == no_index || endpoint.process == c.process) && (seen & bit) == 0) {
      out += seen != 0 ? "," : "";
      out += role_name(endpoint.role);
      seen |= bit;
    }
  }
}

void write_fds(Context& c, const Channel& channel, const Column&, std::string& out) {
  const size_t begin = out.size();
  for (const Endpoint& endpoint : c.who.snapshot().endpoints_of(channel)) {
    if ((c.process == no_index || endpoint.process == c.process) && endpoint.fd >= 0) {
      out += out.size() > begin ? "," : "";
      append_number(out, static_cast<uint64_t>(endpoint.fd));
    }
  }
}

void write_others(Context& c, const Channel& channel, const Column&, std::string& out) {
  c.who.append_others(out, channel, c.process);
}

void write_attribute(Context& c, const Channel& channel, const Column& column, std::string& out) {
  const std::string_view key = column.name == "read_ends"    ? "readers"
                               : column.name == "write_ends" ? "writers"
                                                             : column.name;
  const Attribute* attribute = c.who.snapshot().attribute(channel, key);
  if (attribute == nullptr) {
    return;
  }
  append_attribute(out, *attribute, c.who.style());
}

std::vector<Column> make_columns() {
  std::vector<Column> columns = {
      {"id", "identifier, to be pasted into any command", write_id, false, true, true},
      {"kind", "pipe, unix, shm ...", write_kind},
      {"name", "path, abstract name or queue name", write_name, false, true, true},
      {"fill", "depth/capacity and percent; for memory its size", write_fill},
      {"depth", "what is queued, in bytes or messages (--raw: exact)", write_depth, true},
      {"capacity", "how much can be, in bytes or messages (--raw: exact)", write_capacity, true},
      {"use", "depth in percent of the capacity", write_use, true},
      {"bytes", "bytes that are queued; for memory its size", write_bytes, true},
      {"messages", "messages that are queued", write_messages, true},
      {"who", "writers -> readers, one end <-> the other; the first two of many; UNIX path",
       write_who, false, true, true},
      {"left", "all processes that write, or have the first end", write_left, false, true},
      {"right", "all processes that read, or have the other end", write_right, false, true},
      {"writers", "the same as left", write_left, false, true},
      {"readers", "the same as right", write_right, false, true},
      {"holder", "processes that hold the lock", write_holder, false, true},
      {"waiting", "the longest wait: thread, operation, time; +N: threads beside it", write_waiting,
       false, true, true},
      {"since", "how long the longest wait has lasted (--raw: milliseconds)", write_since, true},
      {"pids", "all processes, as numbers", write_pids, false, true},
      {"owner", "user who owns it", write_owner},
      {"mode", "permissions", write_mode},
      {"ns", "namespace, where it is not ipcscope's own", write_ns},
      {protocol_column, "what is spoken, by name, port or library", write_protocol},
      {"role", "roles; in a tree, of the row's process", write_role, false, true},
      {"fds", "descriptors; in a tree, of the row's process", write_fds, false, true},
      {"others", "processes; in a tree, other than the row's", write_others, false, true, true},
  };
  for (const AttributeInfo& attribute : attribute_table()) {
    columns.push_back({attribute.key, attribute.help, write_attribute, false, true});
  }
  return columns;
}

}  // namespace

std::optional<unsigned> fullness(const Channel& channel) {
  const auto& used = in_messages(channel) ? channel.depth_messages : channel.depth_bytes;
  const auto& limit = in_messages(channel) ? channel.capacity_messages : channel.capacity_bytes;
  if (!used || !limit) {
    return std::nullopt;
  }
  return percent(*used, *limit);
}

void append_attribute(std::string& out, const Attribute& attribute, EscapeStyle style) {
  switch (attribute.type) {
    case Attribute::Type::unknown:
      out += unknown;
      break;
    case Attribute::Type::boolean:
      out += attribute.boolean ? "yes" : "no";
      break;
    case Attribute::Type::integer:
      fmt::format_to(std::back_inserter(out), "{}", attribute.integer);
      break;
    case Attribute::Type::natural:
      append_number(out, attribute.natural);
      break;
    case Attribute::Type::text:
    case Attribute::Type::json:
      append_escaped(out, attribute.string(), style);
      break;
  }
}

std::string Column::heading() const {
  if (name == "fill") {
    return "DEPTH/CAP";
  }
  return column_heading(name);
}

Style Column::style(const ColumnContext& context, const Channel& channel) const {
  if (write == write_fill || write == write_use) {
    const auto full = fullness(channel);
    return !full || *full < nearly_full ? Style::plain
           : *full < 100                ? Style::warning
                                        : Style::alarm;
  }
  if ((write == write_waiting || write == write_since) && channel.wait_count > 0) {
    const Wait* wait = context.who.longest_wait(channel);
    const Since blocked = since(context.who.snapshot().threads[wait->thread]);
    return blocked.milliseconds.value_or(0) >= long_wait_ms ? Style::bold : Style::plain;
  }
  return Style::plain;
}

const std::vector<Column>& all_columns() {
  static const std::vector<Column> columns = make_columns();
  return columns;
}

std::vector<Column> default_columns() {
  return named_columns(all_columns(), {"id", "fill", "who", "waiting"});
}

std::vector<Column> default_tree_columns() {
  return named_columns(all_columns(), {"role", "fds", "fill", "others", "waiting"});
}

Result<std::vector<Column>> parse_columns(std::string_view list,
                                          const std::vector<Column>& defaults) {
  return parse_column_list(all_columns(), list, defaults);
}

}  // namespace ipcscope
