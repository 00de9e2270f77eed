// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "cli/render/column_list.h"
#include "cli/render/finding.h"

namespace ipcscope {

namespace {

constexpr std::string_view unknown = "-";

/// Counts that no person reads digit by digit: 9.2E for the largest there is.
void append_count(std::string& out, uint64_t count) {
  constexpr uint64_t readable = 10'000'000;
  if (count < readable) {
    out += std::to_string(count);
    return;
  }
  static constexpr std::string_view units = "MGTPE";
  auto value = static_cast<double>(count) / 1e6;
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < units.size()) {
    value /= 1000;
    unit++;
  }
  fmt::format_to(std::back_inserter(out), "{:.{}f}{}", value, value < 9.95 ? 1 : 0, units[unit]);
}

void append_amount(const LimitContext& c, uint64_t amount, LimitUnit unit, std::string& out) {
  if (c.raw) {
    out += std::to_string(amount);
  } else if (unit == LimitUnit::bytes) {
    append_bytes(out, amount);
  } else {
    append_count(out, amount);
  }
}

void write_limit(LimitContext& c, const LimitUse& use, std::string& out) {
  append_escaped(out, use.name, c.style);
}

/// Users and processes by their names, which a number alone does not tell.
void write_scope(LimitContext& c, const LimitUse& use, std::string& out) {
  const LimitPlace& place = use.place;
  if (place.kind == LimitPlace::Kind::user) {
    append_escaped(out, c.users.name(place.uid), c.style);
    if (place.name_space != 0) {
      fmt::format_to(std::back_inserter(out), "@{}", place.name_space);
    }
  } else if (place.kind == LimitPlace::Kind::process && !use.users.empty()) {
    append_escaped(out, use.users.front().comm, c.style);
    fmt::format_to(std::back_inserter(out), "[{}]", place.pid);
  } else {
    append_escaped(out, use.scope, c.style);
  }
}

void write_used(LimitContext& c, const LimitUse& use, std::string& out) {
  if (!use.used) {
    out += unknown;
    return;
  }
  out += use.at_most && !c.raw ? (c.style.utf8 ? "≤" : "<=") : "";
  append_amount(c, *use.used, use.unit, out);
}

void write_cap(LimitContext& c, const LimitUse& use, std::string& out) {
  if (use.limit) {
    append_amount(c, *use.limit, use.unit, out);
  } else {
    out += use.unlimited ? "none" : unknown;
  }
}

void write_percent(LimitContext& c, const LimitUse& use, std::string& out) {
  const auto percent = limit_percent(use);
  if (!percent) {
    out += unknown;
  } else if (*percent == 0 && *use.used > 0 && !c.raw) {
    out += "<1%";
  } else {
    fmt::format_to(std::back_inserter(out), "{}{}", *percent, c.raw ? "" : "%");
  }
}

void write_by(LimitContext& c, const LimitUse& use, std::string& out) {
  const size_t begin = out.size();
  // A process is its own user, which the scope tells.
  if (use.place.kind == LimitPlace::Kind::process) {
    return;
  }
  constexpr size_t most = 3;
  for (size_t i = 0; i < std::min(most, use.users.size()); i++) {
    const LimitUser& user = use.users[i];
    out += out.size() == begin ? "" : c.raw ? "," : ", ";
    if (user.pid != 0) {
      append_escaped(out, user.comm, c.style);
      fmt::format_to(std::back_inserter(out), "[{}]", user.pid);
    } else {
      append_escaped(out, c.users.name(user.uid), c.style);
    }
    if (user.used != 0) {
      out += c.raw ? "=" : " ";
      append_amount(c, user.used, use.unit, out);
    }
  }
}

void write_severity(LimitContext& c, const LimitUse& use, std::string& out) {
  append_escaped(out, severity_name(use.severity), c.style);
}

void write_remedy(LimitContext& c, const LimitUse& use, std::string& out) {
  append_escaped(out, use.remedy, c.style);
}

void write_note(LimitContext& c, const LimitUse& use, std::string& out) {
  append_escaped(out, use.note, c.style);
}

Style severity_style(Severity severity) {
  return severity == Severity::critical  ? Style::alarm
         : severity == Severity::warning ? Style::warning
                                         : Style::plain;
}

}  // namespace

const std::vector<LimitColumn>& all_limit_columns() {
  static const std::vector<LimitColumn> columns = {
      {"limit", "what is limited", write_limit, false, false, true},
      {"scope", "whose limit it is: host, namespace, user, process, cgroup, channel", write_scope,
       false, true, true},
      {"used", "how much is used (--raw: exactly)", write_used, true},
      {"cap", "how much there may be; none: no limit is set (--raw: exactly)", write_cap, true},
      {"percent", "hundredths of the cap that are used", write_percent, true},
      {"by", "who uses most", write_by, false, true},
      {"severity", "info, warning (from 80 %), critical (from 95 %)", write_severity},
      {"remedy", "the command that would raise it", write_remedy, false, true},
      {"note", "what else is to be known, or why a number is not", write_note, false, true},
  };
  return columns;
}

std::vector<LimitColumn> default_limit_columns(size_t width) {
  constexpr size_t narrow = 60;
  constexpr size_t usual = 72;
  const std::vector<LimitColumn>& all = all_limit_columns();
  if (width == 0 || width >= usual) {
    return named_columns(all, {"limit", "scope", "used", "cap", "percent", "by"});
  }
  if (width >= narrow) {
    return named_columns(all, {"limit", "scope", "used", "cap", "percent"});
  }
  std::vector<LimitColumn> columns = named_columns(all, {"limit", "scope", "percent"});
  columns.front().flexible = true;  // else nothing is left of the scope
  return columns;
}

Result<std::vector<LimitColumn>> parse_limit_columns(std::string_view list, size_t width) {
  return parse_column_list(all_limit_columns(), list, default_limit_columns(width));
}

void write_limits(Output& out, const Terminal& terminal, const LimitReport& report,
                  const LimitForm& form) {
  std::vector<TableColumn> columns;
  for (const LimitColumn& column : form.columns) {
    // A heading wider than its cells would take the room of others.
    columns.push_back({column.name == "percent" && !form.raw ? "%" : column_heading(column.name),
                       column.right, column.flexible, column.cut_inside});
  }
  Table table(std::move(columns), form.raw ? Table::Form::raw : Table::Form::aligned,
              form.headings);
  UserNames users;
  LimitContext context{users, {.utf8 = terminal.utf8, .blanks = form.raw}, form.raw};
  std::string cell;
  for (const size_t index : report.shown) {
    const LimitUse& use = report.uses[index];
    for (const LimitColumn& column : form.columns) {
      cell.clear();
      column.write(context, use, cell);
      const bool marked = column.name == "limit" || column.name == "percent";
      table.cell(cell, marked ? severity_style(use.severity) : Style::plain);
    }
  }
  table.print(out, terminal);
}

void write_near_limits(Output& out, const Terminal& terminal, const LimitReport& report,
                       size_t most) {
  const size_t count = std::min(most, report.findings.size());
  for (size_t i = 0; i < count; i++) {
    out.put('\n');
    write_finding(out, terminal, report.findings[i]);
  }
  if (count < report.findings.size()) {
    out.write(fmt::format("\nand {} more that are near; --all tells how each is raised\n",
                          report.findings.size() - count));
  }
}

std::string limits_summary(const LimitReport& report) {
  const size_t critical = report.count(Severity::critical);
  const size_t warning = report.count(Severity::warning);
  const size_t near = critical + warning;
  std::string text =
      near == 0 ? std::string("nothing is near its limit") : fmt::format("{} near", near);
  if (critical > 0) {
    fmt::format_to(std::back_inserter(text), ", {} of them critical", critical);
  }
  if (report.shown.size() < report.uses.size()) {
    fmt::format_to(std::back_inserter(text), "; {} of {} limits shown, --all shows the others",
                   report.shown.size(), report.uses.size());
  }
  return text;
}

}  // namespace ipcscope
