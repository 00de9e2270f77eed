// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/channel_json.h"
#include "cli/render/finding.h"
#include "cli/render/limits.h"

namespace ipcscope {

namespace {

void write_user(Json& json, const LimitUser& user, UserNames& users) {
  json.begin_object();
  json.key("pid");
  user.pid != 0 ? json.number(user.pid) : json.null();
  json.text("comm", user.comm, true);
  json.key("uid");
  user.uid != UINT32_MAX ? json.number(user.uid) : json.null();
  json.text("user", user.uid != UINT32_MAX ? users.name(user.uid) : std::string_view(), true);
  json.key("used");
  user.used != 0 ? json.number(user.used) : json.null();
  json.end_object();
}

}  // namespace

void write_limit(Json& json, const LimitUse& use, UserNames& users) {
  json.begin_object();
  json.text("name", use.name);
  json.text("scope", use.scope);
  json.key("namespace");
  use.place.name_space != 0 ? json.number(use.place.name_space) : json.null();
  json.key("used");
  json.number(use.used);
  json.key("limit");
  json.number(use.limit);
  json.key("percent");
  const auto percent = limit_percent(use);
  percent ? json.number(uint64_t{*percent}) : json.null();
  json.member("severity", severity_name(use.severity));
  json.member("unit", use.unit == LimitUnit::bytes ? "bytes" : "count");
  json.key("unlimited");
  json.boolean(use.unlimited);
  json.key("ceiling");
  json.boolean(use.ceiling);
  json.key("at_most");
  json.boolean(use.at_most);
  json.key("users");
  json.begin_array();
  for (const LimitUser& user : use.users) {
    write_user(json, user, users);
  }
  json.end_array();
  json.text("remedy", use.remedy, true);
  json.text("note", use.note, true);
  json.end_object();
}

void write_limits(Json& json, const LimitReport& report, UserNames& users) {
  json.key("limits");
  json.begin_array();
  for (const LimitUse& use : report.uses) {
    json.break_line();
    write_limit(json, use, users);
  }
  json.end_array();
  write_findings(json, report.findings, false);
}

void write_limits_json(Output& out, const LimitReport& report) {
  Json json(out);
  UserNames users;
  json.begin_object();
  write_head(json, "limits", report.snapshot);
  write_limits(json, report, users);
  json.end_object();
  out.put('\n');
}

}  // namespace ipcscope
