// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/limit_rows.h"

#include <fmt/format.h>

#include <iterator>

#include "cli/render/column_list.h"
#include "cli/render/limits.h"
#include "cli/render/text.h"

namespace ipcscope {

namespace {

constexpr size_t bar_width = 10;

enum Column : size_t {
  column_severity,
  column_limit,
  column_scope,
  column_used,
  column_cap,
  column_percent,
  column_by,
};

constexpr RowColumn columns[] = {
    {"severity", "ok, warning or critical; sorted: the nearest first", 8, 0},
    {.name = "limit",
     .help = "its name",
     .width = 14,
     .drop = 0,
     .flexible = true,
     .cut_inside = true,
     .rising = true},
    {.name = "scope",
     .help = "whose it is: of the host, a namespace, a user, a process",
     .width = 9,
     .drop = 4,
     .flexible = true,
     .cut_inside = true,
     .rising = true},
    {"used", "how much is used", 6, 2, true},
    {"cap", "how much can be", 6, 3, true},
    {"percent", "used, in hundredths of the cap", bar_width, 1},
    {.name = "by",
     .help = "who uses most of it",
     .width = 12,
     .drop = 5,
     .flexible = true,
     .cut_inside = true,
     .rising = true,
     .share = 3},
};

class LimitRows : public Rows {
 public:
  LimitRows(const TopFrame& frame, EscapeStyle style) : frame_(frame), style_(style) {}

  [[nodiscard]] std::span<const RowColumn> columns() const override { return limit_columns(); }
  [[nodiscard]] size_t size() const override { return frame_.limits.size(); }
  [[nodiscard]] std::string identity(size_t row) const override {
    return limit_identity(frame_.limits[row]);
  }
  [[nodiscard]] Cell cell(size_t row, size_t column) override;
  [[nodiscard]] int compare(size_t a, size_t b, size_t column) const override;
  [[nodiscard]] std::string text(size_t row) override;
  [[nodiscard]] std::optional<Kind> kind(size_t /*row*/) const override { return std::nullopt; }
  [[nodiscard]] std::vector<int32_t> pids(size_t row) const override;

 private:
  [[nodiscard]] std::string told(const LimitUse& use, std::string_view column);

  const TopFrame& frame_;
  EscapeStyle style_;
  UserNames users_;
};

/// As `limits` writes it.
std::string LimitRows::told(const LimitUse& use, std::string_view column) {
  LimitContext context{users_, style_, false};
  std::string text;
  find_column(all_limit_columns(), column)->write(context, use, text);
  return text;
}

Cell LimitRows::cell(size_t row, size_t column) {
  const LimitUse& of = frame_.limits[row];
  const Style style = of.severity == Severity::critical  ? Style::alarm
                      : of.severity == Severity::warning ? Style::warning
                                                         : Style::plain;
  switch (column) {
    case column_severity:
      return {of.severity == Severity::info ? "ok" : std::string(severity_name(of.severity)),
              style};
    case column_limit:
    case column_scope:
    case column_used:
    case column_cap:
      return {told(of, limit_columns()[column].name), Style::plain};
    case column_percent:
      return {bar_text(limit_percent(of), bar_width), style};
    default:
      return {told(of, "by"), Style::plain};
  }
}

int LimitRows::compare(size_t first, size_t second, size_t column) const {
  const LimitUse& a = frame_.limits[first];
  const LimitUse& b = frame_.limits[second];
  switch (column) {
    case column_limit:
      return rising(a.name, b.name);
    case column_scope:
      return rising(a.scope, b.scope);
    case column_used:
      return falling(a.used, b.used);
    case column_cap:
      return falling(a.limit, b.limit);
    case column_percent:
      return falling(limit_percent(a), limit_percent(b));
    case column_by: {
      const auto front = [](const LimitUse& use) {
        return use.users.empty() ? std::string_view() : std::string_view(use.users.front().comm);
      };
      return rising(front(a), front(b));
    }
    default:
      return falling(second, first);  // as they were judged
  }
}

std::string LimitRows::text(size_t row) {
  const LimitUse& of = frame_.limits[row];
  std::string text = fmt::format(
      "{} {} {}", escaped(of.name, style_), escaped(of.scope, style_),
      of.severity == Severity::info ? std::string_view("ok") : severity_name(of.severity));
  for (const LimitUser& each : of.users) {
    fmt::format_to(std::back_inserter(text), " {}[{}]", escaped(each.comm, style_), each.pid);
  }
  return text;
}

std::vector<int32_t> LimitRows::pids(size_t row) const {
  std::vector<int32_t> found;
  for (const LimitUser& each : frame_.limits[row].users) {
    if (each.pid != 0) {
      found.push_back(each.pid);
    }
  }
  return found;
}

}  // namespace

std::string limit_identity(const LimitUse& use) { return use.name + ' ' + use.scope; }

std::span<const RowColumn> limit_columns() { return columns; }

std::unique_ptr<Rows> make_limit_rows(const TopFrame& frame, EscapeStyle style) {
  return std::make_unique<LimitRows>(frame, style);
}

}  // namespace ipcscope
