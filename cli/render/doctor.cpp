// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/doctor.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/render/channel_json.h"
#include "cli/render/table.h"
#include "cli/render/wrap.h"

namespace ipcscope {

namespace {

std::string_view state_name(Capability::State state) {
  switch (state) {
    case Capability::works:
      return "works";
    case Capability::partial:
      return "partial";
    case Capability::missing:
      return "missing";
  }
  return "";
}

Style state_style(Capability::State state) {
  switch (state) {
    case Capability::works:
      return Style::plain;
    case Capability::partial:
      return Style::warning;
    case Capability::missing:
      return Style::alarm;
  }
  return Style::plain;
}

}  // namespace

void write_doctor(Output& out, const Terminal& terminal, const DoctorReport& report) {
  size_t width = 0;
  size_t working = 0;
  for (const Capability& each : report.capabilities) {
    width = std::max(width, display_width(each.name));
    working += each.state == Capability::works ? 1 : 0;
  }
  for (const Capability& each : report.capabilities) {
    const std::string name = escaped(each.name, terminal.escape());
    out.write(name);
    out.repeat(' ', width - std::min(width, display_width(name)) + 2);
    out.write(styled(state_name(each.state), state_style(each.state), terminal.color));
    out.put('\n');
    const auto note = [&](std::string_view label, std::string_view text) {
      if (!text.empty()) {
        write_wrapped(out, terminal, fmt::format("    {:<7}", label), 11,
                      escaped(text, terminal.escape()));
      }
    };
    note("why", each.reason);
    if (each.state != Capability::works) {
      for (const std::string& lost : each.lost) {
        note("lost", lost);
      }
      note("remedy", each.remedy);
    }
  }
  out.write(fmt::format("{} of {} work\n", working, report.capabilities.size()));
}

void write_doctor_json(Output& out, const DoctorReport& report) {
  Json json(out);
  json.begin_object();
  write_own_head(json, "doctor");
  json.key("capabilities");
  json.begin_array();
  for (const Capability& each : report.capabilities) {
    json.break_line();
    json.begin_object();
    json.text("name", each.name);
    json.member("state", state_name(each.state));
    json.text("reason", each.reason, true);
    json.key("lost");
    json.begin_array();
    for (const std::string& lost : each.lost) {
      json.string(lost);
    }
    json.end_array();
    json.text("remedy", each.remedy, true);
    json.end_object();
  }
  json.end_array();
  json.end_object();
  out.put('\n');
}

}  // namespace ipcscope
