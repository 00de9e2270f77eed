// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/finding_rows.h"

#include <fmt/format.h>

#include <algorithm>

#include "collectors/model/duration.h"

namespace ipcscope {

namespace {

enum Column : size_t {
  column_severity,
  column_rule,
  column_for,
  column_source,
  column_summary,
};

constexpr RowColumn columns[] = {
    {"severity", "critical, warning or info; sorted: the gravest, then the newest first", 8, 0},
    {.name = "rule",
     .help = "as ipcscope-findings(7) has it",
     .width = 14,
     .drop = 1,
     .rising = true},
    {"for", "how long it has been seen here", 5, 2, true},
    {.name = "from",
     .help = "the command that tells more: why, leaks, locks, limits",
     .width = 6,
     .drop = 3,
     .rising = true},
    {.name = "summary",
     .help = "what it is about",
     .width = 20,
     .drop = 0,
     .flexible = true,
     .rising = true},
};

class FindingRows : public Rows {
 public:
  FindingRows(const TopFrame& frame, EscapeStyle style) : frame_(frame), style_(style) {}

  [[nodiscard]] std::span<const RowColumn> columns() const override { return finding_columns(); }
  [[nodiscard]] size_t size() const override { return frame_.findings.size(); }
  [[nodiscard]] std::string identity(size_t row) const override {
    return frame_.findings[row].identity;
  }
  [[nodiscard]] Cell cell(size_t row, size_t column) override;
  [[nodiscard]] int compare(size_t a, size_t b, size_t column) const override;
  [[nodiscard]] std::string text(size_t row) override;
  /// Of its channel, where it has one.
  [[nodiscard]] std::optional<Kind> kind(size_t row) const override;
  [[nodiscard]] std::vector<int32_t> pids(size_t row) const override {
    return frame_.findings[row].finding.pids;
  }

 private:
  const TopFrame& frame_;
  EscapeStyle style_;
};

Cell FindingRows::cell(size_t row, size_t column) {
  const LiveFinding& of = frame_.findings[row];
  switch (column) {
    case column_severity:
      return {std::string(severity_name(of.finding.severity)),
              of.finding.severity == Severity::critical  ? Style::alarm
              : of.finding.severity == Severity::warning ? Style::warning
                                                         : Style::plain};
    case column_rule:
      return {of.finding.rule, Style::plain};
    case column_for: {
      std::string text;
      const int64_t age_ns = std::max<int64_t>(frame_.boot_ns - of.first_seen_ns, 0);
      append_duration(text, static_cast<uint64_t>(age_ns) / 1'000'000'000 * 1000);
      return {std::move(text), Style::plain};
    }
    case column_source:
      return {std::string(of.source), Style::plain};
    default:
      return {escaped(of.finding.summary, style_), Style::plain};
  }
}

int FindingRows::compare(size_t first, size_t second, size_t column) const {
  const LiveFinding& a = frame_.findings[first];
  const LiveFinding& b = frame_.findings[second];
  switch (column) {
    case column_rule:
      return rising(a.finding.rule, b.finding.rule);
    case column_for:
      return falling(b.first_seen_ns, a.first_seen_ns);
    case column_source:
      return rising(a.source, b.source);
    case column_summary:
      return rising(a.finding.summary, b.finding.summary);
    default:
      break;
  }
  if (a.finding.severity != b.finding.severity) {
    return falling(a.finding.severity, b.finding.severity);
  }
  return falling(a.first_seen_ns, b.first_seen_ns);
}

std::string FindingRows::text(size_t row) {
  const LiveFinding& of = frame_.findings[row];
  std::string text = fmt::format("{} {} {} {}", severity_name(of.finding.severity), of.finding.rule,
                                 of.source, escaped(of.finding.summary, style_));
  for (const std::string& id : of.finding.channels) {
    text += ' ';
    append_escaped(text, id, style_);
  }
  for (const Evidence& each : of.finding.evidence) {
    text += ' ';
    append_escaped(text, each.text, style_);
  }
  return text;
}

std::optional<Kind> FindingRows::kind(size_t row) const {
  const std::vector<std::string>& ids = frame_.findings[row].finding.channels;
  return ids.empty() ? std::nullopt : kind_from_name(ids.front().substr(0, ids.front().find(':')));
}

}  // namespace

std::span<const RowColumn> finding_columns() { return columns; }

std::unique_ptr<Rows> make_finding_rows(const TopFrame& frame, EscapeStyle style) {
  return std::make_unique<FindingRows>(frame, style);
}

}  // namespace ipcscope
