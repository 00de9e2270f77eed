// SPDX-License-Identifier: GPL-2.0-or-later
// From the probe's records to events, and from events to text, JSON and files.
#include <fcntl.h>
#include <fmt/format.h>
#include <rapidjson/document.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <sstream>

#include "cli/render/trace.h"
#include "collectors/model/snapshot.h"
#include "collectors/trace/calls.h"
#include "collectors/trace/decoder.h"
#include "collectors/trace/live_names.h"
#include "collectors/trace/trace_file.h"
#include "tests/unit/render_harness.h"

using namespace ipcscope;

namespace {

uint64_t key_of(int kind, uint64_t number) {
  return (static_cast<uint64_t>(kind) + 1) << 56 | number;
}

/// Calls a channel after its kind and number.
class PlainNames final : public TraceNames {
 public:
  TraceName name(const trace_channel_record& record, int32_t /*pid*/) override {
    const auto kind = static_cast<uint8_t>(record.channel_kind);
    return {fmt::format("{}:{}", trace_word(kind), record.number), kind};
  }
  TraceName futex(int32_t pid, uint64_t address, bool is_private) override {
    // Shared ones lie in one object.
    return {is_private ? fmt::format("futex:{}:0x{:x}", pid, address)
                       : fmt::format("futex:/x+0x{:x}", address & 0xfff),
            TRACE_FUTEX};
  }
};

/// Keeps what is seen, as text.
class Seen final : public TraceSink {
 public:
  void event(const TraceEvent& event) override {
    lines.push_back(fmt::format("{} {} {} {} peer {} bytes {} result {} {}", event.tid,
                                event.operation, event.kind, event.channel, event.peer.tid,
                                event.bytes ? fmt::format("{}", *event.bytes) : "-", event.result,
                                event.detail));
    last_begin_ns = event.time_ns;
    last_duration = event.duration_ns;
  }
  void lost(uint8_t kind, uint64_t count) override {
    lines.push_back(fmt::format("lost {} {}", count, trace_word(kind)));
  }
  std::vector<std::string> lines;
  uint64_t last_begin_ns = 0;
  std::optional<uint64_t> last_duration;
};

template <typename Record>
std::span<const std::byte> bytes_of(const Record& record) {
  return std::as_bytes(std::span(&record, 1));
}

trace_thread_record thread(uint32_t tid, const char* comm) {
  trace_thread_record record{};
  record.kind = TRACE_THREAD;
  record.tid = record.own_tid = tid;
  record.own_pid = tid;
  std::strncpy(record.comm, comm, sizeof record.comm - 1);
  return record;
}

trace_channel_record channel(int kind, uint64_t number) {
  trace_channel_record record{};
  record.kind = TRACE_CHANNEL;
  record.channel_kind = static_cast<u16>(kind);
  record.key = key_of(kind, number);
  record.number = number;
  return record;
}

trace_event_record operation(uint32_t tid, int call, uint64_t key, int64_t result) {
  trace_event_record record{};
  record.kind = TRACE_EVENT;
  record.call = static_cast<u16>(call);
  record.tid = tid;
  record.end_ns = 5'000'000;
  record.duration_ns = 1000;
  record.channel = key;
  record.result = result;
  record.bytes = result > 0 ? static_cast<u32>(result) : 0;
  return record;
}

struct Scenario {
  PlainNames names;
  TraceDecoder decoder{names};
  Seen seen;
  template <typename Record>
  bool take(const Record& record) {
    return decoder.take(bytes_of(record), seen);
  }
};

TraceEvent sample() {
  TraceEvent event;
  event.time_ns = 1'500'000'000;
  event.duration_ns = 2500;
  event.pid = 7;
  event.tid = 8;
  event.comm = "a\033[1mb";
  event.operation = "write";
  event.kind = "pipe";
  event.channel = "pipe:5";
  event.thread_index = 0;
  event.channel_index = 0;
  event.bytes = 3;
  event.result = 3;
  event.gives = true;
  return event;
}

}  // namespace

TEST_CASE("trace: every call of the table can be found again", "[trace]") {
  for (const TraceCall& call : trace_calls()) {
    REQUIRE(find_trace_call(static_cast<uint32_t>(call.number)) == &call);
    CHECK(call.kinds != 0);
    CHECK(call.kernel.shape != SHAPE_NONE);
  }
  CHECK(find_trace_call(SYS_getppid) == nullptr);
  CHECK(find_trace_call(100000) == nullptr);
  CHECK(std::string(find_trace_call(TRACE_CALL_SEND_FD)->operation) == "send_fd");
  for (uint8_t kind = 0; kind < TRACE_WORDS; kind++) {
    CHECK(trace_kind_from_word(trace_word(kind)) == kind);
  }
  CHECK_FALSE(trace_kind_from_word("").has_value());
}

TEST_CASE("trace: only calls about what is asked for are selected", "[trace]") {
  std::array<trace_call, TRACE_CALLS> calls{};
  TraceRequest request;
  request.kinds = uint64_t{1} << TRACE_SEM;
  select_calls(request, calls);
  CHECK(calls[SYS_semop].shape == SHAPE_SYSV);
  CHECK(calls[SYS_read].shape == SHAPE_NONE);
  CHECK(trace_call_at(calls[SYS_semop].index) == find_trace_call(SYS_semop));
  request.lifecycle = true;
  select_calls(request, calls);
  CHECK(calls[SYS_semop].shape == SHAPE_NONE);
  CHECK(calls[SYS_semget].shape == SHAPE_NEW_SYSV);
}

TEST_CASE("trace: the peer of a pipe is who used the other side last", "[trace]") {
  Scenario scenario;
  REQUIRE(scenario.take(thread(10, "writer")));
  REQUIRE(scenario.take(thread(20, "reader")));
  REQUIRE(scenario.take(channel(TRACE_PIPE, 99)));
  REQUIRE(scenario.take(operation(10, SYS_write, key_of(TRACE_PIPE, 99), 5)));
  REQUIRE(scenario.take(operation(20, SYS_read, key_of(TRACE_PIPE, 99), 5)));
  REQUIRE(scenario.take(operation(10, SYS_write, key_of(TRACE_PIPE, 99), -EAGAIN)));
  CHECK(scenario.seen.lines ==
        std::vector<std::string>{"10 write pipe pipe:99 peer 0 bytes 5 result 5 ",
                                 "20 read pipe pipe:99 peer 10 bytes 5 result 5 ",
                                 "10 write pipe pipe:99 peer 20 bytes - result -11 "});
  CHECK(scenario.seen.last_begin_ns == 4'999'000);
  CHECK(scenario.seen.last_duration == 1000);
}

TEST_CASE("trace: the peer of a socket is who uses its other end", "[trace]") {
  Scenario scenario;
  scenario.take(thread(10, "client"));
  scenario.take(thread(20, "server"));
  trace_channel_record one = channel(TRACE_UNIX, 5);
  one.unix_end.peer_inode = 6;
  one.unix_end.peer_pid = 33;
  trace_channel_record other = channel(TRACE_UNIX, 6);
  other.unix_end.peer_inode = 5;
  scenario.take(one);
  scenario.take(operation(10, SYS_sendto, one.key, 4));
  scenario.take(other);
  scenario.take(operation(20, SYS_recvfrom, other.key, 4));
  scenario.take(operation(10, SYS_recvfrom, one.key, 1));
  REQUIRE(scenario.seen.lines.size() == 3);
  CHECK(scenario.seen.lines[1].find("peer 10 ") != std::string::npos);
  CHECK(scenario.seen.lines[2].find("peer 20 ") != std::string::npos);
}

TEST_CASE("trace: a shared futex is one channel, a private one belongs to its process", "[trace]") {
  Scenario scenario;
  scenario.take(thread(10, "a"));
  scenario.take(thread(20, "b"));
  trace_event_record wait = operation(10, SYS_futex, key_of(TRACE_FUTEX, 0x7000), 0);
  wait.detail = 0;  // FUTEX_WAIT
  trace_event_record wake = operation(20, SYS_futex, key_of(TRACE_FUTEX, 0x9000), 1);
  wake.detail = 1;
  scenario.take(wait);
  scenario.take(wake);
  wait.detail = wake.detail = 128;  // private
  wait.channel = wake.channel = key_of(TRACE_FUTEX, 0xa000);
  scenario.take(wait);
  scenario.take(wake);
  REQUIRE(scenario.seen.lines.size() == 4);
  CHECK(scenario.seen.lines[0] == "10 futex_wait futex futex:/x+0x0 peer 0 bytes - result 0 ");
  CHECK(scenario.seen.lines[1] == "20 futex_wake futex futex:/x+0x0 peer 10 bytes - result 1 ");
  CHECK(scenario.seen.lines[2].find("futex:10:0xa000") != std::string::npos);
  CHECK(scenario.seen.lines[3].find("futex:20:0xa000") != std::string::npos);
}

TEST_CASE("trace: passed descriptors, signals, losses and what is malformed", "[trace]") {
  Scenario scenario;
  scenario.take(thread(10, "a"));
  scenario.take(channel(TRACE_UNIX, 5));
  scenario.take(channel(TRACE_PIPE, 9));
  trace_event_record passed = operation(10, TRACE_CALL_SEND_FD, key_of(TRACE_UNIX, 5), 3);
  passed.detail = key_of(TRACE_PIPE, 9);
  REQUIRE(scenario.take(passed));
  trace_event_record sent = operation(10, TRACE_CALL_SIGNAL_GENERATE, key_of(TRACE_SIGNAL, 20), 1);
  sent.detail = uint64_t{20} << 32 | 15;
  REQUIRE(scenario.take(sent));
  // Each record says how many there are by then.
  REQUIRE(scenario.take(lost_record(TRACE_NO_KIND, 7)));
  REQUIRE(scenario.take(lost_record(TRACE_MQ, 7)));
  REQUIRE(scenario.take(lost_record(TRACE_MQ, 9)));
  REQUIRE(scenario.take(lost_record(TRACE_MQ, 8)));
  trace_lost_record lost = lost_record(TRACE_MQ, 8);
  lost.word = TRACE_WORDS + 1;  // of a later version
  REQUIRE(scenario.take(lost));
  CHECK(scenario.seen.lines ==
        std::vector<std::string>{"10 send_fd fd unix:5 peer 0 bytes - result 3 fd 3 pipe:9",
                                 "10 signal_generate signal signal:20 peer 20 bytes - result 1 "
                                 "SIGTERM, ignored",
                                 "lost 7 ", "lost 7 mq", "lost 2 mq", "lost 1 "});
  CHECK(scenario.decoder.lost() == 17);
  trace_event_record longer = operation(10, SYS_write, key_of(TRACE_PIPE, 9), 3);
  longer.payload = 100;  // which is not there
  CHECK_FALSE(scenario.take(longer));
  CHECK_FALSE(scenario.take(operation(10, SYS_getppid, 0, 0)));
  CHECK_FALSE(scenario.decoder.take(bytes_of(lost).first(5), scenario.seen));
  CHECK_FALSE(scenario.decoder.take({}, scenario.seen));
}

TEST_CASE("trace: connections within the host have one name for both ends", "[trace]") {
  trace_inet client{};
  client.family = AF_INET;
  client.local[0] = client.remote[0] = 127;
  client.local[3] = client.remote[3] = 1;
  client.local_port = 40000;
  client.remote_port = 80;
  trace_inet server = client;
  std::swap(server.local_port, server.remote_port);
  CHECK(inet_id("tcp", client, "") == "tcp:127.0.0.1:80-127.0.0.1:40000");
  CHECK(inet_id("tcp", server, "") == inet_id("tcp", client, ""));
  trace_inet far = client;
  far.remote[0] = 9;
  CHECK(inet_id("tcp", far, "@5") == "tcp:127.0.0.1:40000-9.0.0.1:80@5");
  trace_inet listening{};
  listening.family = AF_INET6;
  listening.local_port = 443;
  CHECK(inet_id("tcp", listening, "") == "tcp:[::]:443");
}

TEST_CASE("trace: a file gives back what was written", "[trace]") {
  std::string file;
  TraceFileHeader header;
  std::strcpy(header.host, "here");
  file += header.bytes();
  const auto append = [&](const auto& record) {
    file.append(reinterpret_cast<const char*>(&record), sizeof record);
  };
  Coverage hidden;
  hidden.source = "bpf-iter-task";
  hidden.state = Coverage::State::partial;
  hidden.checked = 9;
  hidden.unreadable = 2;
  hidden.reason = "why";
  append_coverage_record(file, {});
  append_coverage_record(file, hidden);
  PlainNames plain;
  std::string noted;
  RecordedTraceNames names(plain, noted);
  append(thread(10, "a"));
  const trace_channel_record pipe = channel(TRACE_PIPE, 9);
  (void)names.name(pipe, 10);
  (void)names.futex(10, 0x40, true);
  file += noted;
  append(pipe);
  append(operation(10, SYS_write, pipe.key, 3));
  trace_event_record wait = operation(10, SYS_futex, key_of(TRACE_FUTEX, 0x40), 0);
  wait.detail = 128;
  append(wait);
  const std::string path = fmt::format("/tmp/ipcscope-test-unit-{}", ::getpid());
  const auto decode = [&](const std::string& text, Seen& seen, uint64_t& events) {
    std::ofstream(path, std::ios::binary) << text;
    Result<TraceFile> opened = TraceFile::open(path);
    ::unlink(path.c_str());
    REQUIRE(opened.has_value());
    REQUIRE(opened->coverage().size() == 2);
    CHECK(opened->coverage()[0].state == Coverage::State::full);
    const Coverage& coverage = opened->coverage()[1];
    CHECK(coverage.source == hidden.source);
    CHECK(coverage.state == hidden.state);
    CHECK(coverage.checked == hidden.checked);
    CHECK(coverage.unreadable == hidden.unreadable);
    CHECK(coverage.reason == hidden.reason);
    return opened->decode(seen, events);
  };
  Seen seen;
  uint64_t events = 0;
  CHECK(decode(file, seen, events));
  CHECK(events == 2);
  CHECK(seen.lines ==
        std::vector<std::string>{"10 write pipe pipe:9 peer 0 bytes 3 result 3 ",
                                 "10 futex_wait futex futex:10:0x40 peer 0 bytes - result 0 "});
  Seen part;
  CHECK_FALSE(decode(file.substr(0, file.size() - 10), part, events));
  CHECK(events == 1);
  std::ofstream(path) << std::string(500, 'x');
  CHECK_FALSE(TraceFile::open(path).has_value());
  ::unlink(path.c_str());
}

TEST_CASE("trace: lines and sums fit terminals", "[trace]") {
  TraceEvent event;
  event.time_ns = 1'000'000'000;
  event.pid = 1234;
  event.tid = 1234;
  event.comm = "a-long-command";
  event.operation = "futex_lock_pi";
  event.channel = "pipe:12345";
  event.bytes = 4096;
  event.duration_ns = 25'000;
  event.has_result = true;
  event.result = -11;
  trace_sum sum{};
  sum.count = sum.timed = 123'456;
  sum.total_ns = sum.max_ns = 987'654'321;
  sum.histogram[12] = 123'456;
  const std::vector<TraceSum> sums = {{find_trace_call(SYS_io_uring_setup), TRACE_IO_URING, sum}};
  for (const size_t width : std::initializer_list<size_t>{40, 60, 80, 126, 132, 200}) {
    Terminal terminal;
    terminal.width = width;
    std::istringstream text(captured([&](Output& out) {
      TraceText writer(out, terminal, {});
      writer.begin({});
      writer.event(event);
      write_trace_summary(out, terminal, sums);
    }));
    size_t lines = 0;
    for (std::string line; std::getline(text, line); lines++) {
      INFO(width << ": " << line);
      CHECK(line.size() <= width);
      CHECK((lines != 1 || line.find("[1234] ") != std::string::npos));
      CHECK((lines != 1 || line.find(" futex_loc") != std::string::npos));
      CHECK((lines != 3 || line.find("123456") != std::string::npos));
    }
    CHECK(lines == 4);
  }
}

TEST_CASE("trace: long identifiers are cut, and what is behind the result goes below", "[trace]") {
  TraceEvent event = sample();
  event.pid = event.tid = 1234;
  event.channel = "futex:1234:0x55de2b57b340";
  event.peer = {4321, 4321, "peer"};
  event.payload = {};
  event.detail = "4 descriptors";
  const auto lines_at = [&](size_t width) {
    Terminal terminal;
    terminal.width = width;
    std::istringstream text(captured([&](Output& out) {
      TraceText writer(out, terminal, {});
      writer.event(event);
    }));
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);) {
      lines.push_back(line);
    }
    return lines;
  };
  for (const size_t width : std::initializer_list<size_t>{40, 60, 80}) {
    const std::vector<std::string> lines = lines_at(width);
    CAPTURE(width, lines);
    REQUIRE(lines.size() == 2);
    CHECK(lines[0].size() <= width);
    CHECK(lines[0].find(" futex") != std::string::npos);
    CHECK(lines[0].find(event.channel) == std::string::npos);
    CHECK(lines[0].ends_with(" 3"));
    CHECK(lines[1] == "  <> peer[4321] 4 descriptors");
  }
  event.detail = {};
  event.peer = {};
  CHECK(lines_at(80).size() == 1);
  CHECK(lines_at(0).size() == 1);
  CHECK(lines_at(0)[0].find(event.channel) != std::string::npos);
}

TEST_CASE("trace: lines of text and JSON are safe and complete", "[trace]") {
  const Terminal terminal;
  const TraceEvent event = sample();
  const std::string text = captured([&](Output& out) {
    TraceText writer(out, terminal, {});
    writer.event(event);
    writer.lost(TRACE_PIPE, 3);
    writer.lost(TRACE_NO_KIND, 1);
    writer.end({1, 4, 0, {{TRACE_PIPE, 3}, {TRACE_NO_KIND, 1}}});
  });
  CHECK(text.find('\033') == std::string::npos);
  CHECK(text.find("[7/8]") != std::string::npos);
  CHECK(text.find("2.5us 3\n") != std::string::npos);
  CHECK(text.find("-- 3 pipe operations lost here\n-- 1 operation lost here\n"
                  "-- 1 operations, 4 lost in all (pipe 3, unknown 1)\n") != std::string::npos);

  const std::string json = captured([&](Output& out) {
    TraceJson writer(out, true, {}, true);
    writer.event(event);
  });
  rapidjson::Document line;
  line.Parse(json.data(), json.size());
  REQUIRE_FALSE(line.HasParseError());
  for (const char* key :
       {"time_ns", "pid", "tid", "comm", "operation", "kind", "channel", "peer", "bytes",
        "duration_ns", "result", "unfinished", "detail", "payload", "stack"}) {
    INFO(key);
    CHECK(line.HasMember(key));
  }
  CHECK(line["peer"].IsNull());
  CHECK(line["bytes"].GetUint64() == 3);
  const std::string losses = captured([&](Output& out) {
    TraceJson writer(out, false, {}, false);
    writer.lost(TRACE_PIPE, 3);
    writer.lost(TRACE_NO_KIND, 1);
    writer.end({0, 4, 0, {{TRACE_PIPE, 3}, {TRACE_NO_KIND, 1}}});
  });
  CHECK(losses ==
        "{\"lost\":3,\"kind\":\"pipe\"}\n{\"lost\":1,\"kind\":null}\n"
        "{\"total\":{\"events\":0,\"lost\":4,\"unfinished\":0,\"undecoded\":null,\"losses\":"
        "[{\"kind\":\"pipe\",\"lost\":3},{\"kind\":null,\"lost\":1}]}}\n");
  CHECK(json.find('\033') == std::string::npos);
  CHECK(result_text(-11) == "EAGAIN");
  CHECK(result_text(-512) == "ERESTARTSYS");
  CHECK(result_text(4) == "4");
  std::string duration;
  append_short_duration(duration, 999);
  append_short_duration(duration, 12'345'678);
  CHECK(duration == "999ns12ms");
}

TEST_CASE("trace: the picture has slices, names, and arrows from writer to reader", "[trace]") {
  TraceEvent write = sample();
  TraceEvent read = sample();
  read.tid = read.pid = 9;
  read.thread_index = 1;
  read.operation = "read";
  read.gives = false;
  read.takes = true;
  read.time_ns += 1000;
  const std::string json = captured([&](Output& out) {
    TracePerfetto writer(out);
    writer.begin({"host", "6.18", 0, {}});
    writer.event(write);
    writer.event(read);
    writer.lost(TRACE_NO_KIND, 2);
    writer.end({2, 2, 0, {}});
  });
  rapidjson::Document picture;
  picture.Parse(json.data(), json.size());
  REQUIRE_FALSE(picture.HasParseError());
  std::string phases;
  for (const auto& event : picture["traceEvents"].GetArray()) {
    phases += event["ph"].GetString();
    if (std::string(event["ph"].GetString()) == "s") {
      CHECK(event["tid"].GetInt() == 8);
    }
    if (std::string(event["ph"].GetString()) == "f") {
      CHECK(event["tid"].GetInt() == 9);
    }
  }
  CHECK(phases == "MMXMMXsfi");
}
