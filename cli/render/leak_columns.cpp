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

/// Adds what is said of another process: "creator 5 ended" and "last user 6 ended" become
/// "creator 5, last user 6 ended", and one process is named once.
void join(std::string& text, const std::string& part) {
  constexpr std::string_view end = " ended";
  if (!text.ends_with(end) || !part.ends_with(end)) {
    text += text.empty() ? "" : "; ";
    text += part;
    return;
  }
  const std::string whose = part.substr(part.rfind(' ', part.size() - end.size() - 1));
  const bool same = text.ends_with(whose);  // " 5 ended"
  text.resize(text.size() - (same ? whose.size() : end.size()));
  text += (same ? " and " : ", ") + part;
}

}  // namespace

std::string why(const Leak& leak) {
  // What every leaked object of its kind has in common.
  static constexpr std::string_view usual[] = {"attached", "undo", "blocked", "age"};
  if (leak.verdict != Verdict::leaked) {
    const LeakEvidence* deciding = leak.deciding();
    return deciding != nullptr ? deciding->shortest() : "";
  }
  std::string text;
  // Bytes have a column, and every set has values.
  if (leak.kind == "msg" || leak.kind == "mq") {
    const std::string_view messages = std::string_view(leak.lost).substr(0, leak.lost.find(','));
    text = messages.empty() ? "" : fmt::format("loses {}", messages);
  }
  for (const LeakEvidence& each : leak.evidence) {
    const std::string_view fact = each.fact;
    // Of a set or queue only the user of the creator is known.
    const bool is_usual = std::find(std::begin(usual), std::end(usual), fact) != std::end(usual) ||
                          (fact == "creator" && !leak.creator);
    if (!is_usual) {
      join(text, each.shortest());
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

std::vector<LeakColumn> default_leak_columns(size_t width) {
  constexpr size_t narrow = 80;
  const std::vector<LeakColumn>& all = all_leak_columns();
  return width > 0 && width < narrow
             ? named_columns(all, {"verdict", "id", "age", "why"})
             : named_columns(all, {"verdict", "id", "age", "size", "owner", "why"});
}

Result<std::vector<LeakColumn>> parse_leak_columns(std::string_view list, size_t width) {
  return parse_column_list(all_leak_columns(), list, default_leak_columns(width));
}

}  // namespace ipcscope
