// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "cli/render/channel_json.h"
#include "cli/render/finding.h"
#include "cli/render/leaks.h"

namespace ipcscope {

namespace {

Severity severity(const Leak& leak) {
  const bool matters = leak.verdict == Verdict::leaked || leak.verdict == Verdict::suspect;
  return matters ? Severity::warning : Severity::info;
}

void write_evidence(Json& json, const Leak& leak) {
  json.key("evidence");
  json.begin_object();
  for (const LeakEvidence& each : leak.evidence) {
    json.text(each.fact, each.text);
  }
  json.end_object();
}

void write_outcome(Json& json, const LeakReport& report, size_t index) {
  json.key("outcome");
  if (index >= report.planned.size() || !report.planned[index]) {
    json.null();
    return;
  }
  json.begin_object();
  const bool done = index < report.outcomes.size() && report.outcomes[index];
  json.member("state", done ? outcome_name(report.outcomes[index]->state) : "planned");
  json.text("reason", done ? report.outcomes[index]->reason : "", true);
  json.text("backup", done ? report.outcomes[index]->backup : "", true);
  json.end_object();
}

void write_leak(Json& json, const LeakReport& report, size_t index, UserNames& users) {
  const Leak& leak = report.leaks[index];
  json.begin_object();
  json.text("id", leak.id);
  json.text("kind", leak.kind);
  // The contract knows three verdicts; severity and removable tell the fourth.
  json.member("verdict",
              verdict_name(leak.verdict == Verdict::info ? Verdict::suspect : leak.verdict));
  json.member("rule", leak.rule);
  json.member("severity", severity_name(severity(leak)));
  json.key("removable");
  json.boolean(is_removable(leak));
  json.key("namespace");
  leak.name_space != 0 ? json.number(leak.name_space) : json.null();
  json.text("owner", leak.uid ? users.name(*leak.uid) : std::string_view(), true);
  json.key("creator");
  json.number(leak.creator);
  json.key("bytes");
  json.number(leak.bytes);
  json.key("age_s");
  json.number(leak.age_s);
  json.text("lost", leak.lost, true);
  write_evidence(json, leak);
  if (!report.planned.empty()) {
    write_outcome(json, report, index);
  }
  json.end_object();
}

void write_left_out(Json& json, std::string_view key, const LeftOut& out) {
  json.key(key);
  json.begin_object();
  json.key("leaked");
  json.number(uint64_t{out.leaked});
  json.key("suspect");
  json.number(uint64_t{out.suspect});
  json.end_object();
}

void write_totals(Json& json, const LeakReport& report) {
  json.key("totals");
  json.begin_array();
  const std::vector<LeakKind>& kinds = leak_kinds();
  for (size_t i = 0; i < kinds.size(); i++) {
    uint64_t leaked = 0;
    uint64_t suspect = 0;
    uint64_t bytes = 0;
    for (const Leak& leak : report.leaks) {
      if (leak.kind != kinds[i].name) {
        continue;
      }
      suspect += leak.verdict == Verdict::suspect ? 1 : 0;
      if (leak.verdict == Verdict::leaked) {
        leaked++;
        bytes += leak.bytes.value_or(0);
      }
    }
    json.begin_object();
    json.member("kind", kinds[i].name);
    json.key("leaked");
    json.number(leaked);
    json.key("suspect");
    json.number(suspect);
    json.key("bytes");
    json.number(bytes);
    json.key("limit");
    report.limits[i] != 0 ? json.number(report.limits[i]) : json.null();
    json.end_object();
  }
  json.end_array();
}

}  // namespace

Finding leak_finding(const Leak& leak) {
  Finding finding;
  finding.rule = leak.rule;
  finding.severity = severity(leak);
  finding.summary = fmt::format("{} was left behind: {}", leak.id, why(leak));
  finding.channels = {leak.id};
  for (const LeakEvidence& each : leak.evidence) {
    finding.evidence.push_back({each.fact, each.text});
  }
  finding.advice = fmt::format(
      "'ipcscope leaks --clean --dry-run {}' shows what a removal would do, see "
      "ipcscope-leaks(1)",
      leak.kind);
  return finding;
}

void write_leaks_json(Output& out, const LeakReport& report) {
  Json json(out);
  UserNames users;
  json.begin_object();
  write_head(json, "leaks", report.snapshot);
  json.key("leaks");
  json.begin_array();
  for (size_t i = 0; i < report.leaks.size(); i++) {
    json.break_line();
    write_leak(json, report, i, users);
  }
  json.end_array();
  write_totals(json, report);
  write_left_out(json, "other_namespaces", report.other_namespaces);
  write_left_out(json, "other_users", report.other_users);
  std::vector<Finding> findings;
  for (const Leak& leak : report.leaks) {
    if (leak.verdict == Verdict::leaked) {
      findings.push_back(leak_finding(leak));
    }
  }
  write_findings(json, findings, false);
  json.end_object();
  out.put('\n');
}

void write_restored_json(Output& out, const std::vector<Restored>& restored) {
  Json json(out);
  json.begin_object();
  write_own_head(json, "leaks");
  json.key("restored");
  json.begin_array();
  for (const Restored& each : restored) {
    json.break_line();
    json.begin_object();
    json.text("id", each.id);
    json.text("new_id", each.new_id, true);
    json.member("state", restored_name(each.state));
    json.text("reason", each.reason, true);
    json.end_object();
  }
  json.end_array();
  json.end_object();
  out.put('\n');
}

}  // namespace ipcscope
