// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/rows.h"

#include <catch2/catch.hpp>

#include "cli/top/column_fit.h"
#include "cli/top/lock_rows.h"
#include "cli/top/process_rows.h"
#include "cli/top/row_filter.h"
#include "cli/top/tab_view.h"
#include "tests/unit/top_support.h"

namespace ipcscope {
namespace {

std::vector<std::string> order(Rows& rows, TabView& view, const RowFilter& filter = {}) {
  view.arrange(rows, filter, 10);
  view.sort_all(rows);
  std::vector<std::string> all;
  for (size_t i = 0; i < view.size(); i++) {
    all.push_back(rows.identity(view.row(i)));
  }
  return all;
}

/// A full pipe with a blocked writer, a full one, a busy one, a lock with a waiter, an idle one.
class Busy : public PaperFrame {
 public:
  Busy() {
    const ThreadIndex reader = host.single(10), writer = host.single(20), holder = host.single(30),
                      waiter = host.single(40);
    const auto pipe = [&] { return host.pipe(host.of(reader), host.of(writer)); };
    const ChannelIndex idle = pipe(), busy = pipe(), full = pipe(), jammed = pipe();
    depth(idle, 0, 65536);
    depth(busy, 100, 65536);
    depth(full, 65536, 65536);
    depth(jammed, 65536, 65536);
    host.name(host.of(writer), "pump");
    host.wait(reader, "read", idle);
    host.asleep(reader, 100);
    host.wait(writer, "write", jammed);
    host.asleep(writer, 90);
    const ChannelIndex lock = host.channel(Kind::flock);
    host.end(lock, host.of(holder), Role::owner);
    host.wait(waiter, "flock", lock);
    host.asleep(waiter, 5);
    for (const ChannelIndex each : {idle, busy, full, jammed, lock}) {
      ids.emplace_back(host.snapshot().channels[each].id);
    }
  }
  std::vector<std::string> ids;  // idle, busy, full, jammed, lock
};

}  // namespace

TEST_CASE("channels: what is full and blocked comes first, then what is busy", "[top]") {
  Busy host;
  host.whole();
  host.active(host.ids[1], 2000, 1000);
  const auto rows = make_rows(host.frame, Tab::channels, {});
  TabView view;
  CHECK(order(*rows, view) ==
        std::vector<std::string>{host.ids[3], host.ids[4], host.ids[2], host.ids[1], host.ids[0]});
  const auto cell = [&](size_t of, std::string_view column) {
    return host.cell(Tab::channels, host.ids[of], column);
  };
  CHECK(cell(0, "state").empty());
  CHECK(cell(1, "state") == "busy");
  CHECK(cell(2, "state") == "full");
  CHECK(cell(3, "state") == "jammed");
  CHECK(cell(4, "state") == "blocked");
  CHECK(cell(1, "rd/s") == "1000");
  CHECK(cell(1, "wr/s") == "500");
  CHECK(cell(1, "rbyt/s") == "98K");
  CHECK(cell(0, "rd/s") == "0");
  CHECK(cell(4, "rd/s") == "-");  // a lock moves nothing
  CHECK(cell(3, "fill") == "|||||100%");
  CHECK(cell(1, "fill") == "|      1%");
  CHECK(cell(4, "fill") == "-");
  CHECK(cell(3, "wait") == "1");
  CHECK(cell(3, "since") == "1m30s");
  CHECK(cell(3, "who") == "pump[20] -> [10]");
}

TEST_CASE("channels: without counting, rates are unknown", "[top]") {
  Busy host;
  host.whole();
  for (const std::string& id : host.ids) {
    for (const char* column : {"rd/s", "wr/s", "rbyt/s", "wbyt/s"}) {
      CHECK(host.cell(Tab::channels, id, column) == "-");
    }
  }
  CHECK(host.cell(Tab::channels, host.ids[3], "state") == "jammed");
}

TEST_CASE("channels: one that is younger than the snapshot", "[top]") {
  Busy host;
  host.whole();
  host.active("pipe:999", 10, 10).pids = {20, 21};
  host.activity().processes.push_back({.pid = 20, .comm = "bad\x1b[31m"});
  CHECK(host.cell(Tab::channels, "pipe:999", "state") == "busy");
  CHECK(host.cell(Tab::channels, "pipe:999", "who") == "bad\\x1b[31m[20],[21]");
  CHECK(host.cell(Tab::channels, "pipe:999", "wait") == "-");
  const auto rows = make_rows(host.frame, Tab::channels, {});
  CHECK(rows->pids(rows->find("pipe:999")) == std::vector<int32_t>{20, 21});
}

TEST_CASE("channels: a look at a process is younger than the whole", "[top]") {
  Busy host;
  host.whole();
  Host later;
  const ThreadIndex writer = later.single(20);
  // The same pipes by their identifiers: now the writer waits at the one that was idle.
  std::vector<ChannelIndex> pipes;
  for (int i = 0; i < 4; i++) {
    pipes.push_back(later.channel(Kind::pipe));
    for (int skipped = 0; skipped < 2; skipped++) {
      later.end(pipes.back(), later.of(writer), Role::writer);
    }
  }
  for (size_t i = 0; i < 4; i++) {
    REQUIRE(later.snapshot().channels[pipes[i]].id == host.ids[i]);
  }
  later.wait(writer, "write", pipes[0]);
  later.asleep(writer, 1);
  host.look(later);
  CHECK(host.cell(Tab::channels, host.ids[0], "state") == "jammed");
  CHECK(host.cell(Tab::channels, host.ids[0], "wait") == "2");  // the reader still waits, too
  CHECK(host.cell(Tab::channels, host.ids[0], "who") == "pump[20] -> [10]");  // all of its ends
  CHECK(host.cell(Tab::channels, host.ids[3], "wait") == "0");
  CHECK(host.cell(Tab::channels, host.ids[4], "state") == "blocked");  // not looked at
  CHECK(host.cell(Tab::processes, "20", "since") == "1.0s");
}

TEST_CASE("the order is the same whether settled rows are known or not", "[top]") {
  Busy host;
  for (int i = 0; i < 200; i++) {
    const ChannelIndex made = host.host.pipe(0, 1);
    host.depth(made, static_cast<uint64_t>(i * 7919 % 65537), 65536);
  }
  host.whole();
  TabView kept;
  for (uint64_t turn = 0; turn < 20; turn++) {
    host.activity().channels.clear();
    for (uint64_t i = 0; i < 15; i++) {
      const auto& channels = host.frame.snapshot().channels;
      host.active(std::string(channels[(turn * 31 + i * 17) % channels.size()].id), i * turn, i);
    }
    host.active("pipe:99999", turn, 1);
    const size_t column = turn % channel_columns().size();
    const bool reverse = turn % 3 == 0;
    const RowFilter filter(turn % 4 == 0 ? "pump" : "");
    kept.sort = column;
    kept.reverse = reverse;
    const auto rows = make_rows(host.frame, Tab::channels, {});
    // As if nothing were known of settled rows.
    std::vector<uint32_t> all;
    for (uint32_t i = 0; i < rows->size(); i++) {
      if (filter.passes(*rows, i)) {
        all.push_back(i);
      }
    }
    std::sort(all.begin(), all.end(), [&](uint32_t a, uint32_t b) {
      int by = rows->compare(a, b, column);
      by = reverse ? -by : by;
      by = by == 0 && column != 0 ? rows->compare(a, b, 0) : by;
      return by != 0 ? by < 0 : a < b;
    });
    std::vector<std::string> expected;
    expected.reserve(all.size());
    for (const uint32_t row : all) {
      expected.push_back(rows->identity(row));
    }
    kept.arrange(*rows, filter, 5);
    CHECK(rows->identity(kept.row(4)) == expected[4]);
    CHECK(order(*rows, kept, filter) == expected);
  }
}

TEST_CASE("the selection stays on its row", "[top]") {
  Busy host;
  host.whole();
  host.active(host.ids[1], 10, 10);
  TabView view;
  const RowFilter none;
  auto rows = make_rows(host.frame, Tab::channels, {});
  view.arrange(*rows, none, 2);
  CHECK(view.position() == 0);
  CHECK(view.selected().empty());
  view.select(*rows, 3);
  view.show_selected(2);
  CHECK(view.selected() == host.ids[1]);
  CHECK(view.first() == 2);

  host.activity().channels.clear();  // it is idle now, and comes last
  host.active(host.ids[0], 10, 10);
  rows = make_rows(host.frame, Tab::channels, {});
  view.arrange(*rows, none, 2);
  CHECK(view.position() == 4);
  CHECK(rows->identity(view.row(view.position())) == host.ids[1]);
  CHECK(view.first() == 3);

  const RowFilter locks("flock");  // its row goes
  view.arrange(*rows, locks, 2);
  CHECK(view.size() == 1);
  CHECK(view.position() == 0);
  CHECK(view.selected() == host.ids[4]);

  const RowFilter nothing("no-such-thing");
  view.arrange(*rows, nothing, 2);
  CHECK(view.size() == 0);
  CHECK(view.selected() == host.ids[4]);
  view.arrange(*rows, none, 2);
  CHECK(view.selected() == host.ids[4]);
  view.home();
  view.arrange(*rows, none, 2);
  CHECK(view.position() == 0);
  CHECK(view.selected().empty());
}

TEST_CASE("words of a filter", "[top]") {
  Busy host;
  host.whole();
  const auto rows = make_rows(host.frame, Tab::channels, {});
  const auto count = [&](const char* text, std::vector<int32_t> pids = {}) {
    TabView view;
    view.arrange(*rows, RowFilter(text, std::move(pids)), 10);
    return view.size();
  };
  CHECK(count("") == 5);
  CHECK(count("pipe") == 4);
  CHECK(count("!pipe") == 1);
  CHECK(count("pipe,flock") == 5);
  CHECK(count("PUMP") == 4);
  CHECK(count("pump jammed") == 1);
  CHECK(count("20") == 4);
  CHECK(count("2") == 0);  // a number is not a part of another
  CHECK(count("40") == 1);
  CHECK(count("", {30}) == 1);
  CHECK(count("pipe", {30}) == 0);
  CHECK(count("", {10, 30}) == 5);
  CHECK(count(" , ") == 5);
  CHECK(has_word("worker[812]", "812"));
  CHECK_FALSE(has_word("pipe:48123", "812"));
  CHECK(has_word("pipe:48123 812", "812"));
  CHECK(has_word("Nginx", "nGiN"));
}

TEST_CASE("locks of a window", "[top]") {
  PaperFrame paper;
  paper.host.single(10);
  paper.whole();
  PaperWindow window;
  const uint32_t holder = window.thread(10, 11, "hog"), a = window.thread(10, 12, "a"),
                 b = window.thread(10, 13, "b");
  LockUse& mutex = window.mutex();
  mutex.name = "own_mutex";
  PaperWindow::wait(mutex, a, holder, {.count = 100, .each_ns = 20 * ms, .overtakes = 4});
  PaperWindow::wait(mutex, b, holder, {.count = 50, .each_ns = 10 * ms});
  LockUse& idle = window.lock("pipe:7", Kind::pipe, "pipe", WaitPurpose::data);
  PaperWindow::wait(idle, a, no_index, {.count = 1, .each_ns = 5 * second, .unfinished = 1});
  paper.locks(std::move(window));
  const auto rows = make_rows(paper.frame, Tab::locks, {});
  TabView view;
  const std::string lock = "lock futex:10:0x7f0000001040";
  CHECK(order(*rows, view) == std::vector<std::string>{lock, "data pipe:7"});
  const auto cell = [&](std::string_view column) { return paper.cell(Tab::locks, lock, column); };
  CHECK(cell("state") == "contention");
  CHECK(cell("lock") == "own_mutex");
  CHECK(cell("primitive") == "mutex");
  CHECK(cell("for") == "lock");
  CHECK(cell("waits/s") == "30");
  CHECK(cell("time%") == "25%");  // 2.5 s of two threads' 5 s each
  CHECK(cell("now") == "0");
  CHECK(cell("mean") == "17ms");
  CHECK(cell("max") == "20ms");
  CHECK(cell("overtk") == "4");
  CHECK(cell("holder") == "hog[11] 100%");
  CHECK(paper.cell(Tab::locks, "data pipe:7", "state") == "idle");
  // And by process.
  CHECK(paper.cell(Tab::processes, "10", "time%") == "25%");
  CHECK(paper.cell(Tab::processes, "10", "mostly-on") == "own_mutex behind hog[10/11]");
}

TEST_CASE("locks without a window are those of the snapshot", "[top]") {
  Busy host;
  host.whole();
  const auto rows = make_rows(host.frame, Tab::locks, {});
  TabView view;
  CHECK(order(*rows, view) ==
        std::vector<std::string>{"room " + host.ids[3], "lock " + host.ids[4]});
  const auto cell = [&](std::string_view column) {
    return host.cell(Tab::locks, "lock " + host.ids[4], column);
  };
  CHECK(cell("state") == "blocked");
  CHECK(cell("waits/s") == "-");
  CHECK(cell("time%") == "-");
  CHECK(cell("now") == "1");
  CHECK(cell("max") == "5.0s");
  CHECK(cell("holder") == "[30]");
}

TEST_CASE("processes: stuck, blocked, busy", "[top]") {
  Busy host;
  host.whole();
  host.activity().processes.push_back(
      {.pid = 10, .comm = "", .reads = 20, .writes = 0, .read_bytes = 2048, .written_bytes = 0});
  host.activity().processes.push_back({.pid = 77, .comm = "young", .writes = 4});
  host.finding("deadlock", Severity::critical, "deadlock 30").finding.pids = {30};
  const auto rows = make_rows(host.frame, Tab::processes, {});
  TabView view;
  CHECK(order(*rows, view) == std::vector<std::string>{"30", "20", "40", "10", "77"});
  CHECK(host.cell(Tab::processes, "30", "state") == "stuck");
  CHECK(host.cell(Tab::processes, "20", "state") == "blocked");
  CHECK(host.cell(Tab::processes, "20", "mostly-on") == host.ids[3]);
  CHECK(host.cell(Tab::processes, "40", "mostly-on") == host.ids[4] + " behind [30]");
  CHECK(host.cell(Tab::processes, "10", "rd/s") == "10");
  CHECK(host.cell(Tab::processes, "10", "rbyt/s") == "1.0K");
  CHECK(host.cell(Tab::processes, "77", "command") == "young");
  CHECK(host.cell(Tab::processes, "77", "user") == "-");
  CHECK(host.cell(Tab::processes, "77", "now") == "-");
  CHECK(host.cell(Tab::processes, "10", "time%") == "-");  // waits are not measured
}

TEST_CASE("findings and limits", "[top]") {
  PaperFrame paper;
  paper.whole();
  paper.finding("stuck", Severity::warning, "one");
  paper.finding("deadlock", Severity::critical, "bad\n\x1b[2J").finding.channels = {"pipe:5"};
  LimitUse use;
  use.name = "SHMMNI";
  use.scope = "ipc";
  use.used = 4000;
  use.limit = 4096;
  use.severity = Severity::critical;
  paper.frame.limits.push_back(use);
  const auto rows = make_rows(paper.frame, Tab::findings, {});
  TabView view;
  CHECK(order(*rows, view) == std::vector<std::string>{"bad\n\x1b[2J", "one"});
  CHECK(paper.cell(Tab::findings, "bad\n\x1b[2J", "summary") == "deadlock at bad\\n\\x1b[2J");
  CHECK(paper.cell(Tab::findings, "one", "for") == "5.0s");
  CHECK(rows->kind(1) == Kind::pipe);
  CHECK(paper.cell(Tab::limits, "SHMMNI ipc", "severity") == "critical");
  CHECK(paper.cell(Tab::limits, "SHMMNI ipc", "percent") == "|||||| 97%");
}

TEST_CASE("columns that fit", "[top]") {
  for (size_t tab = 0; tab < tab_count; tab++) {
    const auto columns = columns_of(static_cast<Tab>(tab));
    for (size_t width = 1; width < 320; width++) {
      const auto fitted = fit_columns(columns, width);
      REQUIRE(!fitted.empty());
      CHECK(fitted.back().begin + fitted.back().width <= width);
      CHECK(fitted.front().column == 0);
      size_t flexible = 0;
      for (const FittedColumn& each : fitted) {
        flexible += columns[each.column].flexible ? 1 : 0;
      }
      // Nothing is left over where a column could take it.
      if (flexible > 0 && width > 40) {
        CHECK(fitted.back().begin + fitted.back().width == width);
      }
    }
    // On the smallest screen that is promised, what it is about and how bad it is.
    CHECK(fit_columns(columns, 40).size() >= 2);
    CHECK(fit_columns(columns, 132).size() == columns.size());
    if (static_cast<Tab>(tab) == Tab::channels) {
      // Room for both ends is worth more than operations; what is read and what is written go
      // together.
      CHECK(fit_columns(columns, 80).size() == columns.size() - 2);
      CHECK(fit_columns(columns, 82).size() == columns.size());
    }
  }
  const RowColumn path = {.name = "path", .help = "", .width = 5, .drop = 0, .cut_inside = true};
  CHECK(padded("abcdefgh", path, 5, false) == "ab~gh");
  CHECK(padded("ab", path, 5, false) == "ab   ");
  const RowColumn number = {"n", "", 5, 0, true};
  CHECK(padded("42", number, 5, false) == "   42");
}

TEST_CASE("numbers a second", "[top]") {
  CHECK(rate_text(std::nullopt) == "-");
  CHECK(rate_text(0) == "0");
  CHECK(rate_text(0.01) == "0.1");
  CHECK(rate_text(3.14) == "3.1");
  CHECK(rate_text(9.96) == "10");
  CHECK(rate_text(12345) == "12345");
  CHECK(rate_text(1234567) == "1.2M");
  CHECK(bytes_rate_text(std::nullopt) == "-");
  CHECK(bytes_rate_text(0) == "0");
  CHECK(bytes_rate_text(0.2) == "1");
  CHECK(bytes_rate_text(4096) == "4.0K");
  CHECK(bar_text(std::nullopt, 9) == "-");
  CHECK(bar_text(0, 9) == "       0%");
  CHECK(bar_text(50, 10) == "|||    50%");
  CHECK(bar_text(250, 9) == "|||||250%");
}

}  // namespace ipcscope
