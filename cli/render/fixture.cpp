// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/fixture.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/render/channel_json.h"
#include "cli/render/table.h"
#include "cli/render/wrap.h"

namespace ipcscope {

namespace {

bool works(const FixtureEntry& fixture) {
  const std::string_view name = fixture.name;
  return name.starts_with("use-") || name.starts_with("busy-") || name.starts_with("locks-") ||
         std::any_of(fixture.sights.begin(), fixture.sights.end(), [](const FixtureSight& each) {
           return each.command == "locks" || each.command == "trace";
         });
}

std::string problem_of(const FixtureEntry& fixture) {
  if (!fixture.problem.empty()) {
    return fixture.problem;
  }
  return fixture.lookalike_of.empty() ? "-" : "(look-alike)";
}

}  // namespace

void write_fixture_list(Output& out, const Terminal& terminal,
                        const std::vector<const FixtureEntry*>& fixtures) {
  Table table({{.heading = "FIXTURE"},
               {.heading = "MECHANISM"},
               {.heading = "PROBLEM"},
               {.heading = "SUMMARY", .flexible = true}},
              Table::Form::aligned, true);
  for (const FixtureEntry* each : fixtures) {
    table.cell(each->name);
    table.cell(each->mechanism);
    table.cell(problem_of(*each));
    table.cell(each->summary);
  }
  table.print(out, terminal);
}

void write_fixture(Output& out, const Terminal& terminal, const Catalogue& catalogue,
                   const FixtureEntry& fixture) {
  constexpr size_t indent = 12;
  const auto part = [&](std::string_view label, std::string_view text) {
    if (!text.empty()) {
      write_wrapped(out, terminal, fmt::format("{:<{}}", label, indent), indent, text);
    }
  };
  const auto meaning = [](const std::vector<Word>& words, const std::string& word) {
    const auto found = std::find_if(words.begin(), words.end(),
                                    [&](const Word& each) { return each.word == word; });
    return found == words.end() ? word : fmt::format("{}: {}", word, found->meaning);
  };
  out.write(styled(fixture.name, Style::bold, terminal.color));
  out.put('\n');
  part("", fixture.summary);
  if (!fixture.problem.empty()) {
    part("problem", meaning(catalogue.problems, fixture.problem));
  }
  for (const std::string& each : fixture.uses) {
    part("example of", meaning(catalogue.uses, each));
  }
  if (!fixture.lookalike_of.empty()) {
    part("looks like", fmt::format("{}", fmt::join(fixture.lookalike_of, ", ")));
  }
  if (fixture.reproduces != fixture.summary) {
    part("reproduces", fixture.reproduces);
  }
  part("how", fixture.how);
  part("look for", fixture.look_for);
  part("not seen", fixture.unseen);
  for (size_t i = 0; i < fixture.commands.size(); i++) {
    part(i == 0 ? "try" : "", fixture.commands[i]);
  }
  if (!fixture.lookalikes.empty()) {
    part("healthy", fmt::format("{}", fmt::join(fixture.lookalikes, ", ")));
  }
  for (size_t i = 0; i < fixture.parameters.size(); i++) {
    const FixtureEntry::Parameter& each = fixture.parameters[i];
    part(i == 0 ? "parameters" : "", fmt::format("{}={}  {} ({} to {})", each.name, each.fallback,
                                                 each.help, each.lowest, each.highest));
  }
  part("run", fmt::format("ipcscope fixture run {}", fixture.name));
}

void write_fixture_hint(Output& out, const Terminal& terminal, const FixtureEntry& fixture) {
  const auto line = [&](std::string_view label, std::string_view text) {
    if (!text.empty()) {
      write_wrapped(out, terminal, fmt::format("{:<9}", label), 9, text);
    }
  };
  line("here is", fixture.reproduces);
  line("look for", fixture.look_for);
  for (size_t i = 0; i < fixture.commands.size(); i++) {
    line(i == 0 ? "try" : "", fixture.commands[i]);
  }
  const bool needs_pid =
      std::any_of(fixture.commands.begin(), fixture.commands.end(),
                  [](const std::string& each) { return each.ends_with(" PID"); });
  if (needs_pid) {
    line("PID", "the processes of the fixture, `pids` in the line below");
  }
  line("then", works(fixture) ? "Enter 'go', and it works; Ctrl-C ends it" : "Ctrl-C ends it");
}

void write_fixtures_json(Output& out, const std::vector<const FixtureEntry*>& fixtures) {
  Json json(out);
  json.begin_object();
  write_own_head(json, "fixture");
  json.key("fixtures");
  json.begin_array();
  for (const FixtureEntry* each : fixtures) {
    json.break_line();
    json.raw(each->json);
  }
  json.end_array();
  json.end_object();
  out.put('\n');
}

}  // namespace ipcscope
