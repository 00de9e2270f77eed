// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/finding.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/render/table.h"
#include "cli/render/wrap.h"

namespace ipcscope {

namespace {

Style severity_style(Severity severity) {
  return severity == Severity::critical  ? Style::alarm
         : severity == Severity::warning ? Style::warning
                                         : Style::bold;
}

/// Several facts of one key become one text.
void write_evidence(Json& json, const Finding& finding) {
  std::vector<Evidence> facts;
  for (const Evidence& each : finding.evidence) {
    const auto same = std::find_if(facts.begin(), facts.end(),
                                   [&](const Evidence& fact) { return fact.key == each.key; });
    if (same == facts.end()) {
      facts.push_back(each);
    } else {
      same->text += "; " + each.text;
    }
  }
  json.key("evidence");
  json.begin_object();
  for (const Evidence& each : facts) {
    json.text(each.key, each.text);
  }
  json.end_object();
}

}  // namespace

void write_finding(Output& out, const Terminal& terminal, const Finding& finding) {
  constexpr size_t indent = 2;
  const std::string rule = finding.rule;
  out.write(styled(rule, severity_style(finding.severity), terminal.color));
  out.write(": ");
  write_wrapped(out, terminal, "", rule.size() + 2, escaped(finding.summary, terminal.escape()));
  const auto line = [&](std::string_view key, std::string_view raw) {
    std::string text = escaped(raw, terminal.escape());
    if (terminal.utf8) {
      for (size_t at = text.find(" -> "); at != std::string::npos; at = text.find(" -> ", at)) {
        text.replace(at, 4, " → ");
      }
    }
    constexpr size_t width = 11;
    write_wrapped(out, terminal, fmt::format("  {:<{}}", key, width), indent + width, text);
  };
  for (const Evidence& each : finding.evidence) {
    line(each.key, each.text);
  }
  if (!finding.advice.empty()) {
    line("do", finding.advice);
  }
}

void write_members(Json& json, const Finding& finding) {
  json.member("rule", finding.rule);
  json.member("severity", severity_name(finding.severity));
  json.text("summary", finding.summary);
  json.key("pids");
  json.begin_array();
  for (const int32_t pid : finding.pids) {
    json.number(pid);
  }
  json.end_array();
  json.key("tids");
  json.begin_array();
  for (const int32_t tid : finding.tids) {
    json.number(tid);
  }
  json.end_array();
  json.key("channels");
  json.begin_array();
  for (const std::string& channel : finding.channels) {
    json.string(channel);
  }
  json.end_array();
  write_evidence(json, finding);
  json.text("advice", finding.advice, true);
}

void write_findings(Json& json, const std::vector<Finding>& findings, bool one_line) {
  json.key("findings");
  json.begin_array();
  for (const Finding& finding : findings) {
    if (!one_line) {
      json.break_line();
    }
    json.begin_object();
    write_members(json, finding);
    json.end_object();
  }
  json.end_array();
}

}  // namespace ipcscope
