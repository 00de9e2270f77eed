// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/selftest.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "cli/render/channel_json.h"
#include "cli/render/table.h"
#include "cli/render/wrap.h"

namespace ipcscope {

namespace {

/// Each command once, with all that it shows: "why (deadlock), ls (full, wait write)".
std::string join(const std::vector<FixtureSight>& sights) {
  std::vector<std::pair<std::string_view, std::string>> commands;
  for (const FixtureSight& each : sights) {
    const auto known = std::find_if(commands.begin(), commands.end(),
                                    [&](const auto& other) { return other.first == each.command; });
    if (known == commands.end()) {
      commands.emplace_back(each.command, each.shows);
    } else {
      known->second += ", " + each.shows;
    }
  }
  std::vector<std::string> texts(commands.size());
  std::transform(commands.begin(), commands.end(), texts.begin(),
                 [](const auto& each) { return fmt::format("{} ({})", each.first, each.second); });
  return fmt::format("{}", fmt::join(texts, ", "));
}

/// What did not come out as it should; empty: nothing.
std::string complaint(const SelftestResult& result) {
  std::vector<std::string> parts;
  if (!result.failure.empty()) {
    parts.push_back(result.failure);
  } else if (!result.is_reproduced) {
    parts.emplace_back("was not reproduced");
  }
  if (!result.missed.empty()) {
    parts.push_back("not seen by " + join(result.missed));
  }
  for (const SelftestResult::Lookalike& each : result.lookalikes) {
    if (!each.loud.empty()) {
      parts.push_back(
          fmt::format("its look-alike {} was taken for it by {}", each.name, join(each.loud)));
    }
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::string lookalikes_of(const SelftestResult& result) {
  const std::optional<bool> is_quiet = result.is_lookalike_quiet();
  if (!is_quiet) {
    return "-";
  }
  return *is_quiet ? "quiet" : "LOUD";
}

std::string time_of(double milliseconds) {
  return milliseconds < 1000 ? fmt::format("{:.0f}ms", milliseconds)
                             : fmt::format("{:.1f}s", milliseconds / 1000);
}

/// XML text: what XML 1.0 forbids becomes a question mark.
std::string xml(std::string_view text) {
  std::string result;
  for (const char each : text) {
    switch (each) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += static_cast<unsigned char>(each) < 0x20 ? '?' : each;
    }
  }
  return result;
}

void write_sights(Json& json, const char* key, const std::vector<FixtureSight>& sights) {
  json.key(key);
  json.begin_array();
  for (const FixtureSight& each : sights) {
    json.begin_object();
    json.text("command", each.command);
    json.text("shows", each.shows);
    json.end_object();
  }
  json.end_array();
}

void write_result(Json& json, const SelftestResult& result) {
  json.break_line();
  json.begin_object();
  json.text("fixture", result.fixture->name);
  json.text("mechanism", result.fixture->mechanism);
  json.text("problem", result.fixture->problem, true);
  json.key("reproduced");
  json.boolean(result.is_reproduced);
  json.key("detected_by");
  json.begin_array();
  std::set<std::string> commands;
  for (const FixtureSight& each : result.detected_by) {
    if (commands.insert(each.command).second) {
      json.string(each.command);
    }
  }
  json.end_array();
  json.key("detect_ms");
  result.detect_ms ? json.number(static_cast<uint64_t>(*result.detect_ms)) : json.null();
  json.key("lookalike_quiet");
  const std::optional<bool> is_quiet = result.is_lookalike_quiet();
  is_quiet ? json.boolean(*is_quiet) : json.null();
  json.text("skipped", result.skipped, true);
  json.key("passed");
  json.boolean(result.is_passed());
  write_sights(json, "seen", result.detected_by);
  write_sights(json, "missed", result.missed);
  json.text("unseen", result.fixture->unseen, true);
  json.key("lookalikes");
  json.begin_array();
  for (const SelftestResult::Lookalike& each : result.lookalikes) {
    json.begin_object();
    json.text("fixture", each.name);
    write_sights(json, "loud", each.loud);
    json.text("skipped", each.skipped, true);
    json.end_object();
  }
  json.end_array();
  json.key("rounds");
  json.number(uint64_t{result.rounds});
  json.text("failure", result.failure, true);
  json.end_object();
}

}  // namespace

SelftestTotals totals_of(const SelftestReport& report) {
  SelftestTotals totals;
  std::map<std::string, bool> lookalikes;
  std::set<std::string> problems;
  std::set<std::string> uses;
  for (const SelftestResult& each : report.results) {
    totals.failed += each.is_passed() ? 0 : 1;
    if (!each.skipped.empty()) {
      totals.skipped++;
      continue;
    }
    const bool is_right = each.is_reproduced && each.missed.empty() && each.failure.empty();
    if (each.is_reproduced) {
      problems.insert(each.fixture->problem);
      uses.insert(each.fixture->uses.begin(), each.fixture->uses.end());
    }
    if (each.fixture->problem.empty()) {
      totals.mechanisms++;
      totals.shown += is_right ? 1 : 0;
    } else {
      totals.problems++;
      totals.self_proven += is_right && each.fixture->sights.empty() ? 1 : 0;
      totals.detected += is_right && !each.fixture->sights.empty() ? 1 : 0;
    }
    for (const SelftestResult::Lookalike& lookalike : each.lookalikes) {
      if (lookalike.skipped.empty()) {
        bool& is_quiet = lookalikes.try_emplace(lookalike.name, true).first->second;
        is_quiet = is_quiet && lookalike.loud.empty();
      }
    }
  }
  problems.erase("");
  totals.problem_words = problems.size();
  totals.use_words = uses.size();
  totals.lookalikes = lookalikes.size();
  totals.quiet = static_cast<size_t>(std::count_if(lookalikes.begin(), lookalikes.end(),
                                                   [](const auto& each) { return each.second; }));
  return totals;
}

void write_selftest(Output& out, const Terminal& terminal, const SelftestReport& report) {
  Table table({{.heading = "FIXTURE"},
               {.heading = "PROBLEM"},
               {.heading = "REPRODUCED"},
               {.heading = "DETECTED BY", .flexible = true},
               {.heading = "TIME", .right = true},
               {.heading = "LOOK-ALIKE"}},
              Table::Form::aligned, true);
  for (const SelftestResult& each : report.results) {
    const Style style = each.is_passed() ? Style::plain : Style::alarm;
    const bool is_skipped = !each.skipped.empty();
    table.cell(each.fixture->name, style);
    table.cell(each.fixture->problem.empty() ? "-" : each.fixture->problem);
    table.cell(is_skipped           ? "not here"
               : each.is_reproduced ? "yes"
                                    : "no",
               is_skipped ? Style::dim : style);
    if (is_skipped || each.fixture->sights.empty()) {
      table.cell(is_skipped || each.fixture->unseen.empty() ? "-" : "itself");
    } else {
      table.cell(each.missed.empty() ? join(each.detected_by) : "NOT BY " + join(each.missed),
                 style);
    }
    table.cell(each.detect_ms ? time_of(*each.detect_ms) : "-");
    table.cell(lookalikes_of(each), style);
  }
  table.print(out, terminal);
  out.put('\n');

  const auto list = [&](std::string_view label, const std::string& text, Style style) {
    write_wrapped(out, terminal, styled(label, style, terminal.color), 2,
                  escaped(text, terminal.escape()));
  };
  for (const SelftestResult& each : report.results) {
    if (!each.skipped.empty()) {
      list("not possible here: ", fmt::format("{}: {}", each.fixture->name, each.skipped),
           Style::dim);
    }
    for (const std::string& text : each.unasked) {
      if (each.skipped.empty()) {
        list("not asked: ", fmt::format("{}: {}", each.fixture->name, text), Style::dim);
      }
    }
  }
  for (const SelftestResult& each : report.results) {
    if (!each.is_passed()) {
      list("FAILED: ", fmt::format("{}: {}", each.fixture->name, complaint(each)), Style::alarm);
    }
  }
  const SelftestTotals totals = totals_of(report);
  std::string text = fmt::format(
      "{} of {} problems reproduced and detected, {} more prove themselves; {} of {} others shown "
      "as "
      "they are; {} of {} look-alikes quiet; {} not possible here; {:.0f} s",
      totals.detected, totals.problems - totals.self_proven, totals.self_proven, totals.shown,
      totals.mechanisms, totals.quiet, totals.lookalikes, totals.skipped, report.seconds);
  list("", text, Style::plain);
  if (report.is_whole) {
    list("",
         fmt::format("catalogue: {} of {} problems and {} of {} uses of mechanisms were here",
                     totals.problem_words, report.catalogue.problems.size(), totals.use_words,
                     report.catalogue.uses.size()),
         Style::plain);
  }
}

void write_selftest_json(Output& out, const SelftestReport& report) {
  Json json(out);
  json.begin_object();
  write_own_head(json, "selftest", report.coverage);
  json.key("results");
  json.begin_array();
  for (const SelftestResult& each : report.results) {
    write_result(json, each);
  }
  json.end_array();
  const SelftestTotals totals = totals_of(report);
  json.key("totals");
  json.begin_object();
  const auto count = [&](const char* key, size_t value) {
    json.key(key);
    json.number(uint64_t{value});
  };
  count("problems", totals.problems);
  count("detected", totals.detected);
  count("self_proven", totals.self_proven);
  count("others", totals.mechanisms);
  count("shown", totals.shown);
  count("lookalikes", totals.lookalikes);
  count("quiet", totals.quiet);
  count("skipped", totals.skipped);
  count("failed", totals.failed);
  count("ms", static_cast<size_t>(report.seconds * 1000));
  json.end_object();
  json.end_object();
  out.put('\n');
}

void write_selftest_junit(Output& out, const SelftestReport& report) {
  const SelftestTotals totals = totals_of(report);
  out.write("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
  out.write(
      fmt::format("<testsuite name=\"ipcscope selftest\" tests=\"{}\" failures=\"{}\" "
                  "errors=\"0\" skipped=\"{}\" time=\"{:.3f}\">\n",
                  report.results.size(), totals.failed, totals.skipped, report.seconds));
  for (const SelftestResult& each : report.results) {
    const FixtureEntry& fixture = *each.fixture;
    out.write(fmt::format("  <testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\"",
                          xml(fixture.problem.empty() ? fixture.mechanism : fixture.problem),
                          xml(fixture.name), each.detect_ms.value_or(0) / 1000));
    if (!each.skipped.empty()) {
      out.write(fmt::format("><skipped message=\"{}\"/></testcase>\n", xml(each.skipped)));
    } else if (!each.is_passed()) {
      out.write(fmt::format("><failure message=\"{}\"/></testcase>\n", xml(complaint(each))));
    } else {
      out.write("/>\n");
    }
  }
  out.write("</testsuite>\n");
}

}  // namespace ipcscope
