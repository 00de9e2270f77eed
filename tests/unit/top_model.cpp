// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/model.h"

#include <catch2/catch.hpp>
#include <clocale>

#include "cli/render/escape.h"
#include "cli/render/top.h"
#include "cli/top/finding_log.h"
#include "cli/top/header.h"
#include "cli/top/pace.h"
#include "tests/unit/render_harness.h"
#include "tests/unit/top_support.h"

namespace ipcscope {
namespace {

Key typed(char32_t value) { return {Key::character, value}; }

/// Fifty pipes, of which the last ones are the busiest.
class Many : public PaperFrame {
 public:
  Many() {
    const ThreadIndex reader = host.single(10), writer = host.single(20);
    host.name(host.of(reader), "drain");
    host.name(host.of(writer), "\x1b[31mpump");
    for (int i = 0; i < 50; i++) {
      const ChannelIndex made = host.pipe(host.of(reader), host.of(writer));
      depth(made, 0, 65536);
      ids.emplace_back(host.snapshot().channels[made].id);
    }
    whole();
    for (size_t i = 0; i < ids.size(); i++) {
      active(ids[i], 10 * i, 10 * i);
    }
  }
  std::shared_ptr<const TopFrame> give() const { return std::make_shared<const TopFrame>(frame); }
  std::vector<std::string> ids;
};

std::string text_of(TopModel& model) {
  std::string text;
  for (const Line& line : model.page().lines) {
    text += line.text() + "\n";
  }
  return text;
}

bool shows(TopModel& model, std::string_view text) {
  return text_of(model).find(text) != std::string::npos;
}

std::string selected_line(TopModel& model) {
  for (const Line& line : model.page().lines) {
    if (line.style == LineStyle::selected) {
      return line.text();
    }
  }
  return {};
}

void type(TopModel& model, std::string_view text) {
  for (const char each : text) {
    model.press(typed(static_cast<char32_t>(each)));
  }
}

}  // namespace

TEST_CASE("a page fits every screen", "[top]") {
  Many host;
  TopModel model({.utf8 = true});
  const auto check_all = [&] {
    for (const size_t width : {1U, 2U, 10U, 39U, 40U, 59U, 80U, 81U, 132U, 300U}) {
      for (const size_t height : {1U, 2U, 3U, 5U, 10U, 13U, 14U, 20U, 24U, 100U}) {
        model.resize(width, height);
        const Page page = model.page();
        CHECK(page.lines.size() == height);
        for (const Line& line : page.lines) {
          CHECK(line.width() <= width);
          CHECK(line.text().find('\x1b') == std::string::npos);
        }
      }
    }
  };
  check_all();  // before the first frame
  model.take(host.give());
  for (const char32_t tab : {U'1', U'2', U'3', U'4', U'5'}) {
    model.press(typed(tab));
    check_all();
  }
  for (const char32_t pane : {U'?', U'c', U's'}) {
    model.press(typed(pane));
    check_all();
    model.press({Key::escape});
  }
  model.press(typed('\\'));
  type(model, "a long filter that does not fit on a narrow screen");
  check_all();
}

TEST_CASE("keys move the selection", "[top]") {
  Many host;
  TopModel model({});
  model.resize(80, 24);
  model.take(host.give());
  const size_t body = 24 - 4 - 3;
  CHECK(selected_line(model).find(host.ids[49]) != std::string::npos);
  model.press({Key::down});
  model.press(typed('j'));
  CHECK(selected_line(model).find(host.ids[47]) != std::string::npos);
  model.press({Key::page_down});
  CHECK(selected_line(model).find(host.ids[47 - body]) != std::string::npos);
  model.press(typed('k'));
  model.press({Key::end});
  CHECK(selected_line(model).find(host.ids[0]) != std::string::npos);
  model.press({Key::page_up});
  CHECK(selected_line(model).find(host.ids[body]) != std::string::npos);
  model.press({Key::home});
  CHECK(selected_line(model).find(host.ids[49]) != std::string::npos);
  model.press({Key::up});
  CHECK(selected_line(model).find(host.ids[49]) != std::string::npos);

  // On the first row it stays on top, elsewhere on its row.
  model.press({Key::home});
  host.activity().channels.clear();
  host.active(host.ids[3], 5, 5);
  model.take(host.give());
  CHECK(selected_line(model).find(host.ids[3]) != std::string::npos);
  model.press({Key::down});
  const std::string next = selected_line(model).substr(8, 8);
  host.active(host.ids[7], 500, 5);
  host.active(host.ids[8], 600, 5);
  model.take(host.give());
  CHECK(selected_line(model).substr(8, 8) == next);
}

TEST_CASE("sorting by key, menu and mouse", "[top]") {
  Many host;
  TopModel model({});
  model.resize(80, 24);
  model.take(host.give());
  CHECK(shows(model, "by STATE, 50 rows"));
  model.press(typed('>'));
  CHECK(shows(model, "by ID, 50 rows"));
  model.press(typed('r'));
  CHECK(shows(model, "by ID reversed"));
  model.press(typed('<'));
  model.press(typed('<'));
  CHECK(shows(model, "by WHO"));
  model.press(typed('s'));
  CHECK(shows(model, "Sort channels by"));
  model.press({Key::home});
  model.press({Key::down});
  model.press({Key::down});
  model.press({Key::enter});
  CHECK(shows(model, "by RD/S, 50 rows"));
  CHECK(selected_line(model).find(host.ids[49]) != std::string::npos);
  model.press(typed('r'));
  CHECK(selected_line(model).find(host.ids[0]) != std::string::npos);
  // The headings are below four lines and the tabs.
  model.click({Click::press, 5, 9});
  CHECK(shows(model, "by ID, 50 rows"));
  model.click({Click::press, 5, 9});
  CHECK(shows(model, "by ID reversed"));
  // Each tab has its own order.
  model.press({Key::tab});
  CHECK(shows(model, "by STATE"));
  model.press({Key::back_tab});
  CHECK(shows(model, "by ID reversed"));
}

TEST_CASE("tabs by key and mouse", "[top]") {
  Many host;
  TopModel model({});
  model.resize(80, 24);
  model.take(host.give());
  CHECK(model.wanted().tab == Tab::channels);
  model.press(typed('3'));
  CHECK(model.wanted().tab == Tab::processes);
  CHECK(shows(model, "COMMAND"));
  model.press({Key::right});
  CHECK(model.wanted().tab == Tab::findings);
  CHECK(shows(model, "looking ..."));  // nobody has looked: that is not "nothing found"
  host.frame.findings_ns = host.frame.boot_ns - 3'000'000'000;
  model.take(host.give());
  CHECK(shows(model, "nothing found; looked 3.0s ago"));
  model.press({Key::left});
  model.click({Click::press, 4, 1});
  CHECK(model.wanted().tab == Tab::channels);
  model.click({Click::press, 4, 15});
  CHECK(model.wanted().tab == Tab::locks);
}

TEST_CASE("search", "[top]") {
  Many host;
  TopModel model({});
  model.resize(80, 24);
  model.take(host.give());
  model.press(typed('/'));
  const std::string number = host.ids[20].substr(5);
  type(model, number);
  CHECK(model.page().cursor_row == 23U);
  CHECK(selected_line(model).find(host.ids[20]) != std::string::npos);
  model.press({Key::escape});
  CHECK(selected_line(model).find(host.ids[49]) != std::string::npos);
  model.press(typed('/'));
  type(model, number);
  model.press({Key::enter});
  CHECK(selected_line(model).find(host.ids[20]) != std::string::npos);
  CHECK_FALSE(model.page().cursor_row);
  model.press(typed('/'));
  type(model, "drain");
  model.press({Key::enter});
  model.press(typed('n'));
  CHECK(selected_line(model).find(host.ids[19]) != std::string::npos);
  model.press(typed('N'));
  model.press(typed('N'));
  CHECK(selected_line(model).find(host.ids[21]) != std::string::npos);
  model.press(typed('/'));
  type(model, "nowhere");
  CHECK(selected_line(model).find(host.ids[21]) != std::string::npos);
  model.press({Key::enter});
  model.press(typed('n'));
  CHECK(shows(model, "'nowhere' not found"));
  // Before there is anything.
  TopModel empty({});
  empty.resize(80, 24);
  empty.press(typed('/'));
  type(empty, "x");
  empty.press({Key::enter});
  empty.press({Key::enter});
  CHECK(shows(empty, "looking ..."));
}

TEST_CASE("filter", "[top]") {
  Many host;
  TopModel model({});
  model.resize(110, 24);
  model.take(host.give());
  model.press(typed('\\'));
  const std::string number = host.ids[20].substr(5);
  type(model, number);
  CHECK(shows(model, "1 row"));
  model.press({Key::escape});
  CHECK(shows(model, "50 rows"));
  model.press(typed('f'));
  type(model, "zzz");
  model.press({Key::enter});
  CHECK(shows(model, "no row passes the filter"));
  CHECK(selected_line(model).empty());
  model.press({Key::enter});  // nothing to open
  CHECK_FALSE(model.wanted().detail);
  model.press(typed('f'));
  model.press(typed('U' & 0x1f));
  type(model, "pump");
  model.press({Key::backspace});
  model.press({Key::enter});
  CHECK(shows(model, "filter: pum"));
  CHECK(shows(model, "50 rows"));
  model.press({Key::escape});
  CHECK_FALSE(shows(model, "filter: "));
  // What is typed is shown escaped.
  model.press(typed('f'));
  model.press(typed(0x202e));
  model.press({Key::enter});
  CHECK(shows(model, "filter: \\u{202e}"));
}

TEST_CASE("a row in full", "[top]") {
  Many host;
  TopModel model({});
  model.resize(80, 24);
  model.take(host.give());
  model.press({Key::down});
  model.press({Key::enter});
  const Wanted wanted = model.wanted();
  REQUIRE(wanted.detail);
  CHECK(wanted.detail->tab == Tab::channels);
  CHECK(wanted.detail->identity == host.ids[48]);
  CHECK(wanted.detail->width == 80);
  CHECK(shows(model, "looking ..."));
  FrameDetail detail;
  detail.tab = Tab::channels;
  detail.identity = detail.title = host.ids[48];
  for (int i = 0; i < 60; i++) {
    detail.text += "line " + std::to_string(i) + (i == 1 ? " \033[1;31mred\033[0m" : "") + "\n";
  }
  host.frame.detail = detail;
  model.take(host.give());
  CHECK(shows(model, "line 0\n"));
  CHECK(shows(model, "line 1 red\n"));
  CHECK(model.page().lines[2].spans.back().style == Style::alarm);
  model.press({Key::page_down});
  CHECK(shows(model, "line 43\n"));
  CHECK_FALSE(shows(model, "line 0\n"));
  model.press({Key::end});
  CHECK(shows(model, "line 59\n"));
  model.press(typed('g'));
  model.press(typed('/'));
  type(model, "line 40");
  model.press({Key::enter});
  CHECK(model.page().lines[1].text() == "line 38");  // the last screen
  model.press({Key::escape});
  CHECK_FALSE(model.wanted().detail);
  CHECK(shows(model, "STATE"));
  CHECK(selected_line(model).find(host.ids[48]) != std::string::npos);
  // Twice on a row.
  model.click({Click::open, 6, 3});
  CHECK(model.wanted().detail->identity == host.ids[49]);
  // q closes it, and quits from the table only.
  CHECK(model.press(typed('q')).kind == Effect::none);
  CHECK(model.press(typed('q')).kind == Effect::quit);
}

TEST_CASE("pause, interval, writing", "[top]") {
  Many host;
  TopModel model({});
  model.resize(80, 24);
  model.take(host.give());
  model.press(typed(' '));
  CHECK(model.wanted().paused);
  CHECK(shows(model, "PAUSED"));
  host.activity().channels.clear();
  model.take(host.give());
  CHECK(shows(model, "busy"));  // as it was
  model.press(typed('p'));
  CHECK_FALSE(model.wanted().paused);
  model.take(host.give());
  CHECK_FALSE(shows(model, "busy"));

  model.press(typed('d'));
  model.press(typed('U' & 0x1f));
  type(model, "500ms");
  model.press({Key::enter});
  CHECK(model.wanted().interval_ns == 500'000'000);
  for (const char* wrong : {"0", "x", "-1", ""}) {
    model.press(typed('d'));
    model.press(typed('U' & 0x1f));
    type(model, wrong);
    model.press({Key::enter});
    CHECK(model.wanted().interval_ns == 500'000'000);
    CHECK_FALSE(shows(model, "? help"));  // but what is wrong
  }
  model.press(typed('w'));
  CHECK(shows(model, "write to: ipcscope-channels-"));
  model.press(typed('U' & 0x1f));
  type(model, "/tmp/x y");
  const Effect effect = model.press({Key::enter});
  CHECK(effect.kind == Effect::write);
  CHECK(effect.path == "/tmp/x y");
  CHECK(model.view_text().find("50 channels by state") != std::string::npos);
  CHECK(model.view_text().find(host.ids[0]) != std::string::npos);
}

TEST_CASE("only what is on the screen is looked at anew", "[top]") {
  Many host;
  TopModel model({});
  model.resize(80, 24);
  CHECK(model.wanted().pids.empty());
  model.take(host.give());
  CHECK(model.wanted().pids == std::vector<int32_t>{10, 20});
  model.press(typed('5'));
  CHECK(model.wanted().pids.empty());
}

TEST_CASE("the screen and plain frames show the same numbers", "[top]") {
  Many host;
  for (size_t tab = 0; tab < tab_count; tab++) {
    TopForm form;
    form.tab = static_cast<Tab>(tab);
    const std::string plain =
        captured([&](Output& out) { write_top_frame(out, {}, host.frame, form); });
    TopModel model({.tab = form.tab});
    model.resize(400, 100);
    model.take(host.give());
    const Page page = model.page();
    size_t rows = 0;
    // Behind the header, the tabs and the headings; the widths differ, the words do not.
    for (size_t i = 6; i + 1 < page.lines.size(); i++) {
      std::string words;
      std::string line = page.lines[i].text();
      for (std::string_view rest = line; !rest.empty();) {
        const size_t blank = rest.find(' ');
        words += words.empty() || blank == 0 ? "" : " ";
        words += rest.substr(0, blank);
        rest.remove_prefix(blank == std::string_view::npos ? rest.size() : blank + 1);
      }
      if (words.empty() || page.lines[i].spans.front().style == Style::dim) {
        continue;
      }
      rows++;
      std::string same;
      for (const char each : plain) {
        if (each != ' ' || !same.ends_with(' ')) {
          same += each;
        }
      }
      CHECK(same.find(words) != std::string::npos);
    }
    CHECK(rows == make_rows(host.frame, form.tab, {})->size());
  }
}

TEST_CASE("the header says what is not known", "[top]") {
  Many host;
  const auto text = [&](size_t count, size_t width) {
    std::string all;
    for (const Line& line : header_lines(host.frame, count, width, false)) {
      all += line.text() + "\n";
    }
    return all;
  };
  CHECK(text(4, 0).find("findings -") != std::string::npos);
  CHECK(text(4, 0).find("pressure -") != std::string::npos);
  CHECK(text(4, 0).find("moved 6125 reads/s 598KB/s, 6125 writes/s") != std::string::npos);
  CHECK(text(4, 0).find("lost 0") != std::string::npos);
  CHECK(text(4, 0).find("coverage complete") != std::string::npos);
  host.frame.activity = nullptr;
  host.frame.findings_ns = 1;
  host.frame.coverage.push_back({"x", Coverage::State::partial, 9, 1, 7, "why", ""});
  host.finding("stuck", Severity::critical, "a");
  CHECK(text(4, 0).find("moved -") != std::string::npos);
  CHECK(text(4, 0).find("findings 1 critical") != std::string::npos);
  CHECK(text(4, 0).find("lost 7") != std::string::npos);
  CHECK(text(4, 0).find("coverage 1 of 1 partial") != std::string::npos);
  CHECK(text(1, 40).find("findings 1 critical") != std::string::npos);
}

TEST_CASE("findings keep the time at which they were first seen", "[top]") {
  FindingLog log;
  const auto some = [](std::initializer_list<const char*> names) {
    std::vector<LiveFinding> list;
    for (const char* name : names) {
      LiveFinding each;
      each.finding.rule = "stuck";
      each.finding.severity = name[0] == 'c' ? Severity::critical : Severity::warning;
      each.identity = name;
      list.push_back(each);
    }
    return list;
  };
  log.take("why", some({"a", "b"}), 100);
  log.take("locks", some({"a"}), 150, 1000);
  log.take("why", some({"c", "b"}), 200);
  auto all = log.all();
  REQUIRE(all.size() == 3);
  CHECK(all[0].identity == "c");
  CHECK(all[0].first_seen_ns == 200);
  CHECK(all[1].identity == "b");
  CHECK(all[1].first_seen_ns == 100);
  CHECK(all[2].source == "locks");
  log.take("locks", {}, 1000, 1000);  // a moment without it is not its end
  CHECK(log.all().size() == 3);
  log.take("locks", {}, 1150, 1000);
  CHECK(log.all().size() == 2);
}

TEST_CASE("what costs much is done seldom", "[top]") {
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  Pace pace;
  const auto begin = Pace::Clock::now();
  CHECK(pace.is_due(begin, 0.01, seconds(1)));
  pace.done(begin, milliseconds(100));
  CHECK_FALSE(pace.is_due(begin + seconds(9), 0.01, seconds(1)));
  CHECK(pace.is_due(begin + seconds(10), 0.01, seconds(1)));
  CHECK(pace.is_due(begin + seconds(1), 0.5, seconds(1)));
  CHECK_FALSE(pace.is_due(begin + milliseconds(999), 0.5, seconds(1)));
  pace.forget();
  CHECK(pace.is_due(begin, 0.01, seconds(1)));
}

TEST_CASE("styled text as lines", "[top]") {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  const auto lines = lines_of_styled("plain \033[1mbold\033[0m\n\033[33ma\nb\033[0mc\n\n");
  REQUIRE(lines.size() == 4);
  CHECK(lines[0].spans[0].text == "plain ");
  CHECK(lines[1].spans[0].style == Style::warning);
  CHECK(lines[2].spans[0].style == Style::warning);  // over the end of a line
  CHECK(lines[2].spans[1].text == "c");
  CHECK(lines[2].spans[1].style == Style::plain);
  CHECK(lines[3].spans.empty());
  Line line;
  line.add("日本", Style::bold);
  line.add("x");
  CHECK(line.width() >= 3);
  CHECK(cut(line, 0).spans.empty());
}

}  // namespace ipcscope
