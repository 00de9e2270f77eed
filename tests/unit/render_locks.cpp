// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/locks.h"

#include <rapidjson/document.h>

#include <catch2/catch.hpp>

#include "tests/unit/paper_window.h"
#include "tests/unit/render_harness.h"

namespace ipcscope {
namespace {

using Waits = PaperWindow::Waits;

/// A mutex, a pipe and an idle server; one name is hostile.
LockWindow busy_window() {
  PaperWindow paper;
  const uint32_t a = paper.thread(812, 815, "bad\x1b[31m\"\n"),
                 b = paper.thread(812, 816, "worker");
  const uint32_t tar = paper.thread(900, 900, "tar"), gzip = paper.thread(901, 901, "gzip");
  LockUse& mutex = paper.mutex();
  mutex.name = "queue_lock";
  paper.wait(mutex, a, b, Waits{.count = 600, .each_ns = ms, .overtakes = 7});
  paper.wait(mutex, b, a, Waits{.count = 300, .each_ns = ms, .unfinished = 1});
  mutex.stacks.push_back({a, false, 12, {"lock+0x1 (libc.so.6)", "main+0x2 (x\x1b[2J)"}, ""});
  mutex.stacks.push_back({b, true, 1, {"unlock+0x1"}, "no frame pointers"});
  mutex.longest_hold_ns = 3 * ms;
  LockUse& pipe = paper.lock("pipe:4455", Kind::pipe, "pipe", WaitPurpose::room);
  pipe.source = HolderSource::waker;
  paper.wait(pipe, tar, gzip, Waits{.count = 123'456, .each_ns = us});
  LockUse& sem = paper.lock("sem:5", Kind::sem, "semaphore", WaitPurpose::lock);
  sem.source = HolderSource::none_by_design;
  paper.wait(sem, tar, no_index, Waits{.count = 1, .each_ns = second, .unfinished = 1});
  paper.wait(paper.lock("epoll:1:2", Kind::epoll, "epoll", WaitPurpose::event), gzip, no_index,
             Waits{.count = 4, .each_ns = second});
  return paper.window;
}

LockReport report_of(LockWindow window, const LockForm& form = {}) {
  return make_lock_report(std::move(window), form, {});
}

Terminal terminal_of(size_t width, bool utf8 = false) {
  Terminal terminal;
  terminal.width = width;
  terminal.utf8 = utf8;
  return terminal;
}

std::string text_of(const LockReport& report, size_t width = 0) {
  return captured([&](Output& out) { write_locks(out, terminal_of(width), report); });
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    lines.push_back(text.substr(at, text.find('\n', at) - at));
  }
  return lines;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a line for each lock, the dearest first", "[render_locks]") {
  const std::vector<std::string> lines = lines_of(text_of(report_of(busy_window())));
  REQUIRE(lines.size() > 7);
  CHECK(lines[0] ==
        "LOCK        PRIMITIVE  FOR   WAITS  TOTAL   MEAN    P50    P99    MAX  NOW  HOLDER");
  CHECK(lines[1] ==
        "queue_lock  mutex      lock    900  900ms  1.0ms  983us  1.0ms  1.0ms    1  worker[816] "
        "67%");
  CHECK(lines[2].find("pipe:4455   pipe       room   123k  123ms  1.0us") == 0);
  CHECK(contains(lines[2], "by gzip[901] 100%"));
  CHECK(lines[4] == "waits for data, events and work, which are idle as a rule:");
  CHECK(contains(lines[6], "epoll:1:2"));
  CHECK(contains(lines[7], "sem:5"));
  CHECK(lines[7].ends_with("  none"));
  CHECK(lines.back() ==
        "measured 5.0s: 124,356 waits of 3 threads for 2 locks and room, 5 for data, events and "
        "work");
}

TEST_CASE("nothing of locks goes over the edge or drives the terminal", "[render_locks]") {
  for (const LockView view : {LockView::lock, LockView::thread, LockView::pair}) {
    LockForm form;
    form.view = view;
    form.detail = true;
    form.stacks = true;
    const LockReport report = report_of(busy_window(), form);
    for (const size_t width : {size_t{40}, size_t{60}, size_t{80}, size_t{100}}) {
      for (const std::string& line : lines_of(text_of(report, width))) {
        INFO(width << " " << line);
        CHECK(display_width(line) <= width);
        CHECK_FALSE(contains(line, "\x1b"));
      }
    }
  }
}

TEST_CASE("all columns fit into 100 cells, and the cost and the holder into 60", "[render_locks]") {
  LockWindow window = busy_window();
  window.locks[0].name = "a_rather_long_name_of_a_lock_in_some_library";
  const LockReport report = report_of(std::move(window));
  CHECK(lines_of(text_of(report, 100))[0].find("PRIMITIVE  FOR   WAITS  TOTAL   MEAN") !=
        std::string::npos);
  const std::vector<std::string> narrow = lines_of(text_of(report, 60));
  for (const char* heading : {"LOCK", "FOR", "TOTAL", "MAX", "HOLDER"}) {
    CHECK(contains(narrow[0], heading));
  }
  CHECK(contains(narrow[1], "900ms"));
  CHECK(narrow[1].ends_with("67%"));
}

TEST_CASE("one lock in full", "[render_locks]") {
  LockForm form;
  form.ids = {"futex:10:0x7f0000001040"};
  const std::string text = text_of(report_of(busy_window(), form));
  CHECK(contains(text,
                 "futex:10:0x7f0000001040: mutex queue_lock, waits for the lock in futex_wait"));
  CHECK(contains(text, "\n  waits      900 by 2 threads, 899 woken, 1 unfinished\n"));
  CHECK(contains(text, "\n  held       at least 3.0ms once\n"));
  CHECK(contains(text, "behind worker[812/816]: 600ms in 600 waits, longest 1.0ms, overtaken 7\n"));
  CHECK(
      contains(text, "stack of bad\\x1b[31m\"\\n[812/815], 12 times\n    lock+0x1 (libc.so.6)\n"));
  CHECK(contains(text, "woken by worker[812/816], 1 time (not complete: no frame pointers)"));
  CHECK_FALSE(contains(text, "pipe:4455"));
  CHECK_FALSE(contains(text, "epoll:1:2"));
}

TEST_CASE("a histogram in powers of two", "[render_locks]") {
  DurationHistogram histogram;
  const auto draw = [&](size_t width) {
    return captured([&](Output& out) { write_histogram(out, histogram, 2, width); });
  };
  CHECK(draw(80).empty());
  histogram.add(DurationHistogram::bucket_of_duration(1100), 1000);
  histogram.add(DurationHistogram::bucket_of_duration(1900), 1000);
  histogram.add(DurationHistogram::bucket_of_duration(5000), 1);
  CHECK(draw(40) ==
        "  [1.0us, 2.0us)  2,000 |@@@@@@@@@@@@@@|\n"
        "  [2.0us, 4.1us)      0 |              |\n"
        "  [4.1us, 8.2us)      1 |@             |\n");
  CHECK(lines_of(draw(200))[0].size() == 76);  // no wider where there is room
  histogram = {};
  histogram.add(DurationHistogram::buckets - 1, 3);
  CHECK(contains(draw(60), ",   ...)  3 |@@@@"));
}

TEST_CASE("the order and the number of rows are the form's", "[render_locks]") {
  LockForm form;
  form.sort = LockSort::waits;
  form.top = 1;
  const std::string text = text_of(report_of(busy_window(), form));
  CHECK(contains(lines_of(text)[1], "pipe:4455"));
  CHECK(contains(text, "and 1 more lock; --top 2 shows all\n"));
  form.view = LockView::pair;
  form.sort = LockSort::total;
  CHECK(contains(text_of(report_of(busy_window(), form)), "and 2 more pairs; --top 3 shows all\n"));
  form.view = LockView::thread;
  form.top = 0;
  const std::vector<std::string> lines = lines_of(text_of(report_of(busy_window(), form)));
  CHECK(contains(lines[0], "THREAD"));
  CHECK(contains(lines[1], "12%"));
  CHECK(contains(lines[1], "queue_lock"));
}

TEST_CASE("without waits it says so, and what was lost", "[render_locks]") {
  PaperWindow paper;
  paper.window.lost_locks = 12;
  CHECK(text_of(report_of(paper.window)) ==
        "nobody waited for a lock or for room\n"
        "measured 5.0s: 0 waits of 0 threads for 0 locks and room, 0 for data, events and work; 12 "
        "waits at further locks did not fit\n");
}

TEST_CASE("where nobody waited at the lock that was asked for, it says so", "[render_locks]") {
  LockForm form;
  form.ids = {"pipe:1"};
  CHECK(lines_of(text_of(report_of(busy_window(), form)))[0] == "nobody waited at pipe:1");
}

TEST_CASE("counts take five characters", "[render_locks]") {
  CHECK(short_count(0) == "0");
  CHECK(short_count(99'999) == "99999");
  CHECK(short_count(123'456) == "123k");
  CHECK(short_count(999'499) == "999k");
  CHECK(short_count(999'500) == "1.0M");
  CHECK(short_count(12'345'678) == "12.3M");
}

TEST_CASE("locks as JSON", "[render_locks]") {
  LockWindow window = busy_window();
  window.lost_pairs = 3;
  window.locks[0].facts = {{"readers_seen", 4}};
  const LockReport report = report_of(std::move(window));
  for (const bool one_line : {false, true}) {
    const std::string text =
        captured([&](Output& out) { write_locks_json(out, report, one_line); });
    CHECK((std::count(text.begin(), text.end(), '\n') == 1) == one_line);
    CHECK_FALSE(contains(text, "\x1b"));
    rapidjson::Document json;
    json.Parse(text.c_str());
    REQUIRE_FALSE(json.HasParseError());
    CHECK(json["command"] == "locks");
    CHECK(json["window_ms"].GetDouble() == 5000);
    CHECK(json["lost"]["pairs"].GetInt() == 3);
    REQUIRE(json["locks"].Size() == 4);
    const auto& lock = json["locks"][0];
    CHECK(lock["id"] == "futex:10:0x7f0000001040");
    CHECK(lock["kind"] == "futex");
    CHECK(lock["primitive"] == "mutex");
    CHECK(lock["name"] == "queue_lock");
    CHECK(lock["purpose"] == "lock");
    CHECK(lock["waits"].GetInt() == 900);
    CHECK(lock["unfinished"].GetInt() == 1);
    CHECK(lock["wait_ms"]["total"].GetInt() == 900);
    CHECK(lock["wait_ms"]["max"].GetDouble() == 1.0);
    CHECK(lock["results"]["woken"].GetInt() == 899);
    CHECK(lock["results"]["timed_out"].GetInt() == 0);
    CHECK(lock["holders"][0]["tid"].GetInt() == 816);
    CHECK(lock["holders"][0]["share"].GetDouble() == Approx(0.6667));
    CHECK(lock["pairs"][0]["waiter"].GetInt() == 815);
    CHECK(lock["pairs"][0]["holder"].GetInt() == 816);
    CHECK(lock["pairs"][0]["wait_ms"].GetDouble() == 600);
    CHECK(lock["overtakes_max"].GetInt() == 7);
    CHECK(lock["longest_hold_ms"].GetDouble() == 3);
    CHECK(lock["attempt_p50_ms"].IsNull());
    CHECK(lock["histogram"][0]["count"].GetInt() == 900);
    CHECK(lock["facts"]["readers_seen"].GetInt() == 4);
    CHECK(lock["stacks"][1]["role"] == "waker");
    CHECK(json["locks"][1]["longest_hold_ms"].IsNull());
    CHECK(json["locks"][3]["pairs"][0]["holder"].IsNull());
    CHECK(json["threads"].Size() == 4);
    CHECK(json["findings"].IsArray());
  }
}

TEST_CASE("many locks are answered at once", "[render_locks]") {
  PaperWindow paper;
  for (int32_t i = 0; i < 10'000; i++) {
    const uint32_t waiter = paper.thread(i + 1, i + 1, "waiter");
    LockUse& lock = paper.lock("pipe:" + std::to_string(i), Kind::pipe, "pipe",
                               i % 2 == 0 ? WaitPurpose::room : WaitPurpose::data);
    paper.wait(lock, waiter, static_cast<uint32_t>(i / 2), Waits{.count = 5, .each_ns = 10 * ms});
  }
  const LockReport report = report_of(paper.window);
  CHECK(report.in_the_way.size() == 5000);
  CHECK(lines_of(text_of(report, 100)).size() < 40);
}

}  // namespace ipcscope
