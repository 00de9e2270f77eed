// SPDX-License-Identifier: GPL-2.0-or-later
// What counts as seen. The answers here are as short as they can be; those of the real commands are
// judged by `ipcscope selftest`, which is a test itself.
#include "cli/selftest/sight.h"

#include <catch2/catch.hpp>

using namespace ipcscope;

namespace {

JsonDocument json(const char* text) {
  JsonDocument document;
  document.Parse(text);
  REQUIRE_FALSE(document.HasParseError());
  return document;
}

/// Whether an answer to one question shows a fixture of process 7, with that truth, so.
bool shows(const char* command, const char* text, Question question, const char* answer,
           const char* truth = R"({"pids":[7]})") {
  FixtureTruth own{.held = json(truth), .did = {}};
  Answers answers;
  answers[question] = {.json = json(answer)};
  return is_shown({command, text}, own, answers);
}

bool why(const char* text, const char* answer) {
  return shows("why", text, Question::stuck, answer);
}

constexpr const char* truth_of_pipe =
    R"({"pids":[7],"channels":[{"id":"pipe:1","depth":{"bytes":5},"waits":[{"pid":7}]}]})";

bool ls(const char* text, const char* channel, const char* truth = truth_of_pipe) {
  const std::string answer =
      std::string(R"({"coverage":[{"source":"bpf-iter-task","state":"full"}],"channels":[)") +
      channel + "]}";
  return shows("ls", text, Question::channels, answer.c_str(), truth);
}

}  // namespace

TEST_CASE("a finding counts by its rule and its processes", "[sight]") {
  CHECK(why("deadlock", R"({"findings":[{"rule":"deadlock","pids":[3,7],"evidence":{}}]})"));
  CHECK_FALSE(why("deadlock", R"({"findings":[{"rule":"deadlock","pids":[3],"evidence":{}}]})"));
  CHECK_FALSE(why("deadlock", R"({"findings":[{"rule":"stuck","pids":[7],"evidence":{}}]})"));
  CHECK_FALSE(why("deadlock", R"({"findings":[]})"));
  CHECK(why("stuck|deadlock", R"({"findings":[{"rule":"deadlock","pids":[7],"evidence":{}}]})"));
  CHECK_FALSE(why("stuck|no-writer", R"({"findings":[{"rule":"deadlock","pids":[7]}]})"));
}

TEST_CASE("a suspected deadlock is another than a certain one", "[sight]") {
  constexpr const char* suspected =
      R"({"findings":[{"rule":"deadlock","pids":[7],"evidence":{"suspected":"a handler"}}]})";
  CHECK(why("suspected", suspected));
  CHECK_FALSE(why("deadlock", suspected));
  CHECK_FALSE(why("suspected", R"({"findings":[{"rule":"deadlock","pids":[7],"evidence":{}}]})"));
}

TEST_CASE("a player of a contest belongs to it", "[sight]") {
  CHECK(shows("locks", "convoy", Question::locks, R"({"findings":[{"rule":"convoy","pids":[8]}]})",
              R"({"pids":[7],"players":[{"pid":8}]})"));
}

TEST_CASE("roots and waits are those of the truth's threads", "[sight]") {
  constexpr const char* answer =
      R"({"chains":[{"tid":9,"root":{"verdict":"stopped"},"steps":[{"operation":"read"}]}]})";
  constexpr const char* own = R"({"pids":[7],"why":[{"tid":9}]})";
  CHECK(shows("why", "root=stopped", Question::chains, answer, own));
  CHECK(shows("why", "wait read", Question::chains, answer, own));
  CHECK_FALSE(shows("why", "root=timer", Question::chains, answer, own));
  CHECK_FALSE(shows("why", "wait write", Question::chains, answer, own));
  CHECK_FALSE(shows("why", "root=stopped", Question::chains, answer, R"({"pids":[7]})"));
}

TEST_CASE("a leak counts by its object and its verdict", "[sight]") {
  constexpr const char* own = R"({"pids":[7],"leaks":[{"id":"shm:1","verdict":"leaked"}]})";
  const auto leaks = [&](const char* text, const char* answer) {
    return shows("leaks", text, Question::leaks, answer, own);
  };
  CHECK(leaks("leaked", R"({"leaks":[{"id":"shm:1","verdict":"leaked"}]})"));
  CHECK_FALSE(leaks("leaked", R"({"leaks":[{"id":"shm:2","verdict":"leaked"}]})"));
  CHECK_FALSE(leaks("leaked", R"({"leaks":[{"id":"shm:1","verdict":"suspect"}]})"));
  CHECK(leaks("leaked|suspect", R"({"leaks":[{"id":"shm:1","verdict":"suspect"}]})"));
  constexpr const char* info =
      R"({"leaks":[{"id":"shm:1","verdict":"suspect","severity":"info"}]})";
  CHECK(leaks("info", info));
  CHECK_FALSE(leaks("suspect", info));
}

TEST_CASE("channels have to be as the truth says", "[sight]") {
  CHECK(ls("channels", R"({"id":"pipe:1","depth":{"bytes":5},"waits":[{"pid":3},{"pid":7}]})"));
  CHECK_FALSE(ls("channels", R"({"id":"pipe:1","depth":{"bytes":4},"waits":[{"pid":7}]})"));
  CHECK_FALSE(ls("channels", R"({"id":"pipe:1","depth":{"bytes":5},"waits":[{"pid":8}]})"));
  CHECK_FALSE(ls("channels", R"({"id":"pipe:2","depth":{"bytes":5},"waits":[{"pid":7}]})"));
  // With BPF everything that the truth says has to be known.
  CHECK_FALSE(ls("channels", R"({"id":"pipe:1","depth":{"bytes":null},"waits":[{"pid":7}]})"));
  CHECK(shows("ls", "channels", Question::channels,
              R"({"channels":[{"id":"pipe:1","depth":{"bytes":null},"waits":[{"pid":7}]}]})",
              truth_of_pipe));
  // A truth without channels proves nothing.
  CHECK_FALSE(ls("channels", R"({"id":"pipe:1"})", R"({"pids":[7],"channels":[]})"));
}

TEST_CASE("waits, full channels and attributes of ls", "[sight]") {
  constexpr const char* full =
      R"({"id":"pipe:1","depth":{"bytes":9},"capacity":{"bytes":9},"waits":[{"pid":7,"operation":"write"}],"attributes":{"drops":3,"stopped":false,"type":"stream","none":0}})";
  CHECK(ls("full", full));
  CHECK(ls("wait write", full));
  CHECK_FALSE(ls("wait read", full));
  CHECK_FALSE(ls("full", R"({"id":"pipe:1","depth":{"bytes":8},"capacity":{"bytes":9}})"));
  CHECK_FALSE(ls("full", R"({"id":"pipe:1","depth":{"bytes":0},"capacity":{"bytes":0}})"));
  CHECK_FALSE(ls("wait write", R"({"id":"pipe:1","waits":[{"pid":8,"operation":"write"}]})"));
  CHECK(ls("drops", full));
  CHECK(ls("drops>2", full));
  CHECK_FALSE(ls("drops>3", full));
  CHECK(ls("drops=3", full));
  CHECK(ls("type=stream", full));
  CHECK_FALSE(ls("type=dgram", full));
  CHECK_FALSE(ls("stopped", full));
  CHECK(ls("stopped=false", full));
  CHECK_FALSE(ls("none", full));
  CHECK_FALSE(ls("unknown", full));
  // Of a truth without channels: those of its processes.
  constexpr const char* bare = R"({"pids":[7],"channels":[]})";
  CHECK(ls("full", full, bare));
  CHECK_FALSE(ls("full", R"({"id":"pipe:1","depth":{"bytes":9},"capacity":{"bytes":9}})", bare));
}

TEST_CASE("limits, signals and traced calls", "[sight]") {
  constexpr const char* reached =
      R"({"pids":[7],"limits":[{"name":"nofile","scope":"process:7","used":9,"limit":9}]})";
  const auto limits = [](const char* text, const char* answer) {
    return shows("limits", text, Question::limits, answer, reached);
  };
  CHECK(limits(
      "nofile",
      R"({"limits":[{"name":"nofile","scope":"process:7","used":9,"limit":9,"severity":"critical"}]})"));
  CHECK(limits(
      "nofile",
      R"({"limits":[{"name":"nofile","scope":"process:7","used":9,"limit":9,"severity":"warning"}]})"));
  CHECK_FALSE(limits(
      "msgmni",
      R"({"limits":[{"name":"nofile","scope":"process:7","used":9,"limit":9,"severity":"critical"}]})"));
  // One that is not near, one with another count, and that of somebody else.
  CHECK_FALSE(limits(
      "nofile",
      R"({"limits":[{"name":"nofile","scope":"process:7","used":9,"limit":9,"severity":"info"}]})"));
  CHECK_FALSE(limits(
      "nofile",
      R"({"limits":[{"name":"nofile","scope":"process:7","used":8,"limit":9,"severity":"critical"}]})"));
  CHECK_FALSE(limits(
      "nofile",
      R"({"limits":[{"name":"nofile","scope":"process:8","used":9,"limit":9,"severity":"critical"}]})"));

  constexpr const char* process = R"({"processes":[{"pid":7,"signals":{"pending":["SIGUSR1"]}}]})";
  CHECK(shows("show", "pending SIGUSR1", Question::processes, process));
  CHECK_FALSE(shows("show", "blocked SIGUSR1", Question::processes, process));
  CHECK_FALSE(shows("show", "pending SIGUSR2", Question::processes, process));

  constexpr const char* lines =
      R"([{"pid":7,"operation":"write","result":-32},{"pid":7,"operation":"read","result":3},{"pid":8,"operation":"tee","result":1},{"lost":2}])";
  const auto trace = [&](const char* text) { return shows("trace", text, Question::trace, lines); };
  CHECK(trace("write"));
  CHECK(trace("write=EPIPE"));
  CHECK(trace("read=3"));
  CHECK_FALSE(trace("read=EPIPE"));
  CHECK_FALSE(trace("tee"));
}

TEST_CASE("operations that a kernel does not show are told from those not seen", "[sight]") {
  const JsonDocument without = json(
      R"([{"coverage":[{"source":"bpf-trace","state":"partial","reason":"this kernel has no tracepoint for io_uring submissions"}]},{"lost":2}])");
  const std::string reason = "this kernel has no tracepoint for io_uring submissions";
  CHECK(missing_tracepoint({"trace", "io_uring_submit"}, without) == reason);
  CHECK(missing_tracepoint({"trace", "signal_generate"}, without).empty());
  CHECK(missing_tracepoint({"trace", "mq_send"}, without).empty());
  CHECK(missing_tracepoint({"trace", "write"}, without).empty());
  for (
      const char* other :
      {"[]", "null", R"([{"coverage":[{"source":"bpf-trace","state":"full","reason":null}]}])",
       R"([{"coverage":[{"source":"bpf","state":"partial","reason":"no tracepoint for io_uring"}]}])"}) {
    CHECK(missing_tracepoint({"trace", "io_uring_submit"}, json(other)).empty());
  }
}

TEST_CASE("an answer that is not there shows nothing", "[sight]") {
  const FixtureTruth truth{.held = json(R"({"pids":[7]})"), .did = {}};
  for (const char* command : {"ls", "why", "leaks", "locks", "limits", "show", "trace", "other"}) {
    INFO(command);
    CHECK_FALSE(is_shown({command, "deadlock"}, truth, {}));
  }
  CHECK(questions_of({"other", "x"}).empty());
}

TEST_CASE("a fixture may say that it did not come about", "[sight]") {
  const auto truth = [](const char* held, const char* did) {
    return FixtureTruth{.held = json(held), .did = json(did)}.is_reproduced();
  };
  CHECK(truth("{}", "null"));
  CHECK(truth(R"({"reproduced":true})", "null"));
  CHECK_FALSE(truth(R"({"reproduced":false})", "null"));
  CHECK_FALSE(truth("{}", R"({"reproduced":false})"));
}
