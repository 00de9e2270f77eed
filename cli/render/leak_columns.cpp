// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "cli/render/column_list.h"
#include "cli/render/leaks.h"

namespace ipcscope {

namespace {

constexpr std::string_view unknown = "-";

void write_verdict(LeakContext&, const Leak& leak, std::string& out) {
  out += verdict_name(leak.verdict);
}

void write_id(LeakContext& c, const Leak& leak, std::string& out) {
  append_escaped(out, leak.id, c.style);
}

void write_kind(LeakContext&, const Leak& leak, std::string& out) { out += leak.kind; }

void write_rule(LeakContext&, const Leak& leak, std::string& out) { out += leak.rule; }

void write_age(LeakContext& c, const Leak& leak, std::string& out) {
  if (!leak.age_s) {
    out += unknown;
  } else if (c.raw) {
    fmt::format_to(std::back_inserter(out), "{}", *leak.age_s);
  } else if (*leak.age_s < 10) {
    fmt::format_to(std::back_inserter(out), "{}s", *leak.age_s);  // whole seconds are all we have
  } else {
    append_duration(out, *leak.age_s * 1000);
  }
}

void write_size(LeakContext& c, const Leak& leak, std::string& out) {
  if (!leak.bytes) {
    out += unknown;
  } else if (c.raw) {
    fmt::format_to(std::back_inserter(out), "{}", *leak.bytes);
  } else {
    append_bytes(out, *leak.bytes);
  }
}

void write_key(LeakContext& c, const Leak& leak, std::string& out) {
  const Snapshot& snapshot = c.report.snapshot;
  const Attribute* key = leak.channel == no_index
                             ? nullptr
                             : snapshot.attribute(snapshot.channels[leak.channel], "key");
  if (key == nullptr || key->type != Attribute::Type::text) {
    return;
  }
  // IPC_PRIVATE is no key, but the lack of one.
  out += key->string() == "0x00000000" && !c.raw ? "private" : key->string();
}

void write_owner(LeakContext& c, const Leak& leak, std::string& out) {
  if (leak.uid) {
    append_escaped(out, c.users.name(*leak.uid), c.style);
  } else {
    out += unknown;
  }
}

void write_creator(LeakContext& c, const Leak& leak, std::string& out) {
  if (leak.creator_text.empty()) {
    out += unknown;
  } else {
    append_escaped(out, leak.creator_text, c.style);
  }
}

void write_lost(LeakContext& c, const Leak& leak, std::string& out) {
  append_escaped(out, leak.lost, c.style);
}

void write_why(LeakContext& c, const Leak& leak, std::string& out) {
  append_escaped(out, why(leak), c.style);
}

void write_ns(LeakContext&, const Leak& leak, std::string& out) {
  if (leak.name_space != 0) {
    fmt::format_to(std::back_inserter(out), "{}", leak.name_space);
  }
}

}  // namespace

std::string why(const Leak& leak) {
  // What every leaked object of its kind has in common; the creator has a column.
  static constexpr std::string_view usual[] = {"attached", "undo", "blocked", "age", "creator"};
  std::string text;
  if (leak.verdict != Verdict::leaked) {
    const LeakEvidence* deciding = leak.deciding();
    return deciding != nullptr ? deciding->shortest() : text;
  }
  if (!leak.lost.empty()) {
    text = fmt::format("loses {}", leak.lost);
  }
  for (const LeakEvidence& each : leak.evidence) {
    const bool is_usual =
        std::find(std::begin(usual), std::end(usual), each.fact) != std::end(usual);
    if (!is_usual || (std::string_view(each.fact) == "creator" && !leak.creator)) {
      text += text.empty() ? "" : "; ";
      text += each.shortest();
    }
  }
  return text;
}

const std::vector<LeakColumn>& all_leak_columns() {
  static const std::vector<LeakColumn> columns = {
      {"verdict", "leaked, suspect, info or live", write_verdict},
      {"id", "identifier, to be pasted into any command", write_id, false, true, true},
      {"kind", "shm, sem, posixshm ...", write_kind},
      {"rule", "as in ipcscope-findings(7)", write_rule},
      {"age", "since it was last used or changed (--raw: seconds)", write_age, true},
      {"size", "memory that it takes; of a queue, what is queued (--raw: bytes)", write_size, true},
      {"key", "key of a System V object", write_key},
      {"owner", "user who owns it", write_owner},
      {"creator", "process that made it, and what became of it", write_creator, false, true},
      {"lost", "what a removal would lose beside memory", write_lost, false, true},
      {"why", "what decided the verdict, and what would be lost", write_why, false, true},
      {"ns", "namespace, where it is not ipcscope's own", write_ns},
  };
  return columns;
}

std::vector<LeakColumn> default_leak_columns() {
  return named_columns(all_leak_columns(),
                       {"verdict", "id", "age", "size", "key", "owner", "creator", "why"});
}

Result<std::vector<LeakColumn>> parse_leak_columns(std::string_view list) {
  return parse_column_list(all_leak_columns(), list, default_leak_columns());
}

}  // namespace ipcscope
