// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/leaks.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "cli/render/column_list.h"
#include "cli/render/wrap.h"

namespace ipcscope {

namespace {

Style verdict_style(Verdict verdict) {
  switch (verdict) {
    case Verdict::leaked:
      return Style::alarm;
    case Verdict::suspect:
      return Style::warning;
    case Verdict::info:
      return Style::dim;
    case Verdict::live:
      return Style::plain;
  }
  return Style::plain;
}

/// "32,000"
std::string with_commas(uint64_t number) {
  std::string text = fmt::format("{}", number);
  for (size_t i = text.size(); i > 3; i -= 3) {
    text.insert(i - 3, 1, ',');
  }
  return text;
}

/// Each leak as a paragraph, with all that speaks for and against it.
void write_paragraphs(Output& out, const Terminal& terminal, const LeakReport& report,
                      const LeakForm& form) {
  size_t width = 0;
  for (const Leak& leak : report.leaks) {
    for (const LeakEvidence& each : leak.evidence) {
      width = std::max(width, std::string_view(each.fact).size());
    }
  }
  UserNames users;
  LeakContext context{report, users, terminal.escape()};
  std::string cell;
  for (size_t i = 0; i < report.leaks.size(); i++) {
    const Leak& leak = report.leaks[i];
    if (form.planned && !report.planned[i]) {
      continue;
    }
    out.write(styled(verdict_name(leak.verdict), verdict_style(leak.verdict), terminal.color));
    out.put(' ');
    out.write(leak_label(report, leak, terminal.escape()));
    for (const LeakColumn& column : named_columns(all_leak_columns(), {"owner", "age"})) {
      cell.clear();
      column.write(context, leak, cell);
      if (cell != "-") {
        out.write(fmt::format(", {} {}", column.name, cell));
      }
    }
    out.put('\n');
    for (const LeakEvidence& each : leak.evidence) {
      std::string text = escaped(each.text, terminal.escape());
      if (each.allows != Verdict::leaked && each.allows != leak.verdict) {
        text += fmt::format(" ({})", verdict_name(each.allows));
      }
      const bool decides = each.allows == leak.verdict && leak.verdict != Verdict::leaked;
      write_wrapped(out, terminal,
                    fmt::format("  {} {:<{}}  ", decides ? '*' : ' ', each.fact, width), width + 6,
                    text);
    }
  }
}

}  // namespace

std::string size_text(uint64_t bytes) {
  if (bytes < 1024) {
    return fmt::format("{} byte{}", bytes, bytes == 1 ? "" : "s");
  }
  std::string text;
  append_bytes(text, bytes);
  text.insert(text.size() - 1, 1, ' ');
  return text + "iB";
}

std::string leak_label(const LeakReport& report, const Leak& leak, EscapeStyle style) {
  std::string text = escaped(leak.id, style);
  std::vector<std::string> parts;
  // A queue says itself how many bytes it has.
  if (leak.bytes && leak.lost.empty()) {
    parts.push_back(size_text(*leak.bytes));
  }
  UserNames users;
  LeakContext context{report, users, style};
  std::string cell;
  for (const LeakColumn& column : all_leak_columns()) {
    cell.clear();
    if (column.name == "key" || column.name == "lost") {
      column.write(context, leak, cell);
      if (!cell.empty()) {
        parts.push_back(column.name == "key" ? fmt::format("key {}", cell) : cell);
      }
    }
  }
  if (!parts.empty()) {
    text += fmt::format(" ({})", fmt::join(parts, ", "));
  }
  return text;
}

void write_leaks(Output& out, const Terminal& terminal, const LeakReport& report,
                 const LeakForm& form) {
  if (form.evidence) {
    write_paragraphs(out, terminal, report, form);
    return;
  }
  std::vector<TableColumn> columns;
  for (const LeakColumn& column : form.columns) {
    columns.push_back(
        {column_heading(column.name), column.right, column.flexible, column.cut_inside});
  }
  Table table(std::move(columns), form.raw ? Table::Form::raw : Table::Form::aligned,
              form.headings);
  UserNames users;
  LeakContext context{report, users, {.utf8 = terminal.utf8, .blanks = form.raw}, form.raw};
  std::string cell;
  for (size_t i = 0; i < report.leaks.size(); i++) {
    const Leak& leak = report.leaks[i];
    if (form.planned && !report.planned[i]) {
      continue;
    }
    for (const LeakColumn& column : form.columns) {
      cell.clear();
      column.write(context, leak, cell);
      table.cell(cell, column.name == "verdict" ? verdict_style(leak.verdict) : Style::plain);
    }
  }
  table.print(out, terminal);
}

std::vector<std::string> leak_totals(const LeakReport& report) {
  std::string line;
  const std::vector<LeakKind>& kinds = leak_kinds();
  for (size_t i = 0; i < kinds.size(); i++) {
    uint64_t count = 0;
    uint64_t bytes = 0;
    bool all_own = true;
    for (const Leak& leak : report.leaks) {
      if (leak.verdict == Verdict::leaked && leak.kind == kinds[i].name) {
        count++;
        bytes += leak.bytes.value_or(0);
        all_own = all_own && leak.name_space == 0;
      }
    }
    if (count == 0) {
      continue;
    }
    line += line.empty() ? "leaked: " : "; ";
    line += with_commas(count);
    // The limit is that of one namespace.
    if (report.limits[i] != 0 && all_own) {
      fmt::format_to(std::back_inserter(line), " of {} {}s", with_commas(report.limits[i]),
                     kinds[i].noun);
    } else {
      fmt::format_to(std::back_inserter(line), " {}{}", kinds[i].noun, count == 1 ? "" : "s");
    }
    if (bytes > 0) {
      fmt::format_to(std::back_inserter(line), ", {}", size_text(bytes));
    }
  }
  if (line.empty()) {
    line = "nothing left behind";
  }
  if (const size_t suspects = report.count(Verdict::suspect); suspects > 0) {
    fmt::format_to(std::back_inserter(line), "; {} suspect", suspects);
  }
  std::vector<std::string> lines = {std::move(line)};
  const auto leave = [&](const LeftOut& out, std::string_view where, std::string_view remedy) {
    if (out.any()) {
      lines.push_back(fmt::format("not shown: {} leaked and {} suspect {}; {}", out.leaked,
                                  out.suspect, where, remedy));
    }
  };
  leave(report.other_namespaces, "in other namespaces", "--namespace=all shows them");
  leave(report.other_users, "of other users", "run as root, or with --user");
  return lines;
}

std::string_view outcome_name(Outcome::State state) {
  switch (state) {
    case Outcome::State::removed:
      return "removed";
    case Outcome::State::skipped:
      return "skipped";
    case Outcome::State::failed:
      return "failed";
  }
  return "";
}

std::string_view restored_name(Restored::State state) {
  switch (state) {
    case Restored::State::restored:
      return "restored";
    case Restored::State::present:
      return "present";
    case Restored::State::failed:
      return "failed";
  }
  return "";
}

}  // namespace ipcscope
