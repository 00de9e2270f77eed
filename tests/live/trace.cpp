// SPDX-License-Identifier: GPL-2.0-or-later
// `trace` against processes that know what they did.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "tests/live/json.h"
#include "tests/live/main.h"
#include "tests/live/program.h"
#include "tests/live/trace_actor.h"

using namespace ipcscope::live;
using ipcscope::Fd;

namespace {

/// `ipcscope trace` that is live, with its output in a file.
class Trace {
 public:
  explicit Trace(std::vector<std::string> arguments)
      : file_(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) {
    arguments.insert(arguments.begin(), "trace");
    program_ = std::make_unique<Program>(ipcscope_command(std::move(arguments)), file_.get());
    program_->read_error_line(Seconds(10));
  }
  /// Ends it as Ctrl-C does, and returns what it printed.
  std::string end() {
    ::kill(program_->pid(), SIGINT);
    return wait();
  }
  std::string wait() {
    status = program_->wait(Seconds(60)).value_or(-1);
    struct stat size {};
    ::fstat(file_.get(), &size);
    std::string text(static_cast<size_t>(size.st_size), '\0');
    (void)!::pread(file_.get(), text.data(), text.size(), 0);
    return text;
  }
  /// What it said beside that, when it has ended.
  std::string errors() {
    program_->read_all(Seconds(10));
    return program_->errors();
  }
  [[nodiscard]] pid_t pid() const { return program_->pid(); }
  int status = -1;

 private:
  Fd file_;
  std::unique_ptr<Program> program_;
};

std::vector<Document> lines_of(const std::string& text) {
  std::vector<Document> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(parse(line));
  }
  return lines;
}

bool is_event(const Json& line) { return line.HasMember("operation"); }

bool matches(const Json& line, const Deed& deed) {
  if (!is_event(line) || text_of(line["operation"]) != deed.operation ||
      text_of(line["channel"]) != deed.channel) {
    return false;
  }
  if (deed.bytes ? !line["bytes"].IsUint64() || line["bytes"].GetUint64() != *deed.bytes
                 : !line["bytes"].IsNull()) {
    return false;
  }
  const Json& result = line["result"];
  return result.IsNull() || result.IsString() || result.GetInt64() == deed.result;
}

/// N round trips over two pipes between this process' two children; returns their number.
std::vector<Deed> ping_pong() {
  constexpr int rounds = 20000;
  int to[2];
  int from[2];
  (void)!::pipe2(to, 0);
  (void)!::pipe2(from, 0);
  const pid_t child = ::fork();
  char byte = 'x';
  if (child == 0) {
    for (int i = 0; i < rounds; i++) {
      (void)!::read(to[0], &byte, 1);
      (void)!::write(from[1], &byte, 1);
    }
    ::_exit(0);
  }
  for (int i = 0; i < rounds; i++) {
    (void)!::write(to[1], &byte, 1);
    (void)!::read(from[0], &byte, 1);
  }
  ::waitpid(child, nullptr, 0);
  struct stat first {};
  struct stat second {};
  ::fstat(to[0], &first);
  ::fstat(from[0], &second);
  return {{"rounds", fmt::format("pipe:{}", first.st_ino), rounds, 0},
          {"rounds", fmt::format("pipe:{}", second.st_ino), rounds, 0}};
}

/// Numbers of the BPF programs that a process has descriptors of.
std::set<std::string> programs_of(pid_t pid) {
  std::set<std::string> ids;
  for (int fd = 0; fd < 256; fd++) {
    std::ifstream file(fmt::format("/proc/{}/fdinfo/{}", pid, fd));
    for (std::string line; std::getline(file, line);) {
      if (constexpr std::string_view key = "prog_id:\t"; line.starts_with(key)) {
        ids.insert(line.substr(key.size()));
      }
    }
  }
  return ids;
}

/// How many of them are still there.
size_t loaded(const std::set<std::string>& ids) {
  return static_cast<size_t>(std::count_if(ids.begin(), ids.end(), [](const std::string& id) {
    return run({"bpftool", "prog", "show", "id", id}).status == 0;
  }));
}

constexpr int million = 1'000'000;

/// A million operations on each of several mechanisms.
std::vector<Deed> millions() {
  std::vector<Deed> deeds;
  char byte = 'x';
  int ends[2];
  (void)!::pipe2(ends, 0);
  for (int i = 0; i < million / 2; i++) {
    (void)!::write(ends[1], &byte, 1);
    (void)!::read(ends[0], &byte, 1);
  }
  deeds.push_back({"write", "pipe", million / 2, 0});
  deeds.push_back({"read", "pipe", million / 2, 0});
  ::socketpair(AF_UNIX, SOCK_DGRAM, 0, ends);
  for (int i = 0; i < million / 2; i++) {
    ::send(ends[0], &byte, 1, 0);
    ::recv(ends[1], &byte, 1, 0);
  }
  deeds.push_back({"send", "unix", million / 2, 0});
  deeds.push_back({"recv", "unix", million / 2, 0});
  const int set = ::semget(IPC_PRIVATE, 1, 0600);
  sembuf up{0, 1, 0};
  sembuf down{0, -1, 0};
  for (int i = 0; i < million / 2; i++) {
    ::semop(set, &up, 1);
    ::semop(set, &down, 1);
  }
  ::semctl(set, 0, IPC_RMID);
  deeds.push_back({"semop", "sem", {}, million});
  const int queue = ::msgget(IPC_PRIVATE, 0600);
  struct {
    long type = 1;
    char text[8] = {};
  } message;
  for (int i = 0; i < million / 2; i++) {
    ::msgsnd(queue, &message, 8, 0);
    ::msgrcv(queue, &message, 8, 0, 0);
  }
  ::msgctl(queue, IPC_RMID, nullptr);
  deeds.push_back({"msgsnd", "msg", uint64_t{million / 2} * 8, 0});
  deeds.push_back({"msgrcv", "msg", uint64_t{million / 2} * 8, 0});
  static uint32_t word = 0;
  for (int i = 0; i < million; i++) {
    ::syscall(SYS_futex, &word, 1 | 128, 1, nullptr, nullptr, 0);
  }
  deeds.push_back({"futex", "futex", {}, million});
  return deeds;
}

constexpr int noisy = 300'000;  // more than 16 MiB of them
constexpr int quiet = 500;

/// Very much at a pipe, and then a little at a socket.
std::vector<Deed> noise() {
  char byte = 'x';
  int ends[2];
  (void)!::pipe2(ends, 0);
  for (int i = 0; i < noisy; i++) {
    (void)!::write(ends[1], &byte, 1);
    (void)!::read(ends[0], &byte, 1);
  }
  struct stat status {};
  ::fstat(ends[0], &status);
  std::vector<Deed> deeds = {{"pipe", fmt::format("pipe:{}", status.st_ino), 2 * noisy, 0}};
  ::socketpair(AF_UNIX, SOCK_DGRAM, 0, ends);
  for (int i = 0; i < quiet; i++) {
    ::send(ends[0], &byte, 1, 0);
    ::recv(ends[1], &byte, 1, 0);
  }
  struct stat other {};
  ::fstat(ends[0], &status);
  ::fstat(ends[1], &other);
  deeds.push_back(
      {"socket", fmt::format("unix:{}", std::min(status.st_ino, other.st_ino)), 2 * quiet, 0});
  return deeds;
}

std::vector<Deed> write_once() {
  int ends[2];
  (void)!::pipe2(ends, 0);
  (void)!::write(ends[1], "1", 1);
  struct stat status {};
  ::fstat(ends[0], &status);
  return {{"write", fmt::format("pipe:{}", status.st_ino), 1, 1}};
}

#if defined(__x86_64__)
constexpr int compat_calls = 1000;

/// A system call as 32-bit programs make it. Its number there is getpid(), and else writev().
void call_as_32_bit() {
  uint32_t call = 20;
  __asm__ volatile("int $0x80" : "+a"(call) : : "r8", "r9", "r10", "r11", "memory");
}

/// False where the kernel has no 32-bit programs.
bool can_call_as_32_bit() {
  const pid_t child = ::fork();
  if (child == 0) {
    call_as_32_bit();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status);
}

std::vector<Deed> call_both_ways() {
  for (int i = 0; i < compat_calls; i++) {
    call_as_32_bit();
  }
  return write_once();
}
#endif

const Json& source(const Json& head, const char* name) {
  for (const Json& each : head["coverage"].GetArray()) {
    if (text_of(each["source"]) == name) {
      return each;
    }
  }
  FAIL("no coverage of " << name);
  return head;
}

}  // namespace

TEST_CASE("trace: a noisy mechanism pushes out nothing of a quiet one") {
  Actor actor(noise);
  Trace trace({"pipe", "unix", "--json", "-p", std::to_string(actor.pid())});
  ::kill(trace.pid(), SIGSTOP);  // now nobody reads what the kernel keeps
  const std::vector<Deed> deeds = actor.act();
  ::kill(trace.pid(), SIGCONT);
  const std::vector<Document> lines = lines_of(trace.end());
  REQUIRE(deeds.size() == 2);
  uint64_t at_pipe = 0;
  uint64_t at_socket = 0;
  uint64_t lost = 0;
  uint64_t last_end = 0;
  uint64_t late = 0;
  for (const Document& line : lines) {
    if (line.HasMember("lost")) {
      CHECK(text_of(line["kind"]) == "pipe");
      lost += line["lost"].GetUint64();
    }
    if (!is_event(line) || line["unfinished"].GetBool()) {
      continue;
    }
    at_pipe += text_of(line["channel"]) == deeds[0].channel ? 1U : 0U;
    at_socket += text_of(line["channel"]) == deeds[1].channel ? 1U : 0U;
    // Ends come in their order, though they were in two buffers.
    const uint64_t end = line["time_ns"].GetUint64() +
                         (line["duration_ns"].IsNull() ? 0 : line["duration_ns"].GetUint64());
    constexpr uint64_t one_ms = 1'000'000;
    late += end + one_ms < last_end ? 1U : 0U;
    last_end = std::max(last_end, end);
  }
  CHECK(late == 0);
  CHECK(lost > 0);
  CHECK(at_socket >= *deeds[1].bytes);
  CHECK(at_pipe + lost >= *deeds[0].bytes);
  const Json& total = lines.back()["total"];
  REQUIRE(total["losses"].Size() == 1);
  CHECK(text_of(total["losses"][0]["kind"]) == "pipe");
  CHECK(total["losses"][0]["lost"].GetUint64() == lost);
}

TEST_CASE("trace says which processes are hidden from it") {
  Actor actor(write_once);
  Trace of_one({"pipe", "--json", "-p", std::to_string(actor.pid())});
  const std::vector<Document> one = lines_of(of_one.end());
  CHECK(text_of(source(one.front(), "bpf-iter-task")["state"]) == "full");
  CHECK(source(one.front(), "bpf-iter-task")["checked"].GetUint64() == 1);
  Trace of_all({"pipe", "--json"});
  const std::vector<Document> all = lines_of(of_all.end());
  const Json& here = source(all.front(), "bpf-iter-task");
  // ls finds them in its own way, and takes processes that come meanwhile for hidden ones.
  const auto ls_agrees = [&] {
    const Document list = parse(run(ipcscope_command({"ls", "--json"})).output);
    return source(list, "bpf-iter-task")["unreadable"].GetUint64() ==
           here["unreadable"].GetUint64();
  };
  int tries = 0;
  while (tries < 20 && !ls_agrees()) {
    tries++;
  }
  CHECK(tries < 20);
  CHECK((text_of(here["state"]) == "full") == (here["unreadable"].GetUint64() == 0));
  CHECK(here["reason"].IsNull() == (here["unreadable"].GetUint64() == 0));

  // A file remembers it.
  const std::string raw = fmt::format("/tmp/ipcscope-test-trace-{}", ::getpid());
  Trace written({"pipe", "--write", raw});
  (void)written.end();
  const std::vector<Document> again =
      lines_of(run(ipcscope_command({"trace", "--from", raw, "--json"})).output);
  ::unlink(raw.c_str());
  CHECK(source(again.front(), "bpf-iter-task")["unreadable"].GetUint64() ==
        here["unreadable"].GetUint64());
}

#if defined(__x86_64__)
TEST_CASE("trace counts calls of 32-bit programs, and tells none") {
  if (!can_call_as_32_bit()) {
    tell_impossible("this kernel has no 32-bit programs");
    return;
  }
  for (const bool is_32_bit : {true, false}) {
    INFO("with calls of 32-bit programs: " << is_32_bit);
    Actor actor(is_32_bit ? call_both_ways : write_once);
    const std::string pid = std::to_string(actor.pid());
    Trace trace({"pipe", "--json", "-p", pid});
    Trace summary({"pipe", "--json", "--summary", "-p", pid});
    Trace text({"pipe", "-p", pid});
    const std::vector<Deed> deeds = actor.act();
    const uint64_t expected = is_32_bit ? compat_calls : 0;
    const std::vector<Document> lines = lines_of(trace.end());
    CHECK(lines.back()["total"]["undecoded"].GetUint64() == expected);
    CHECK(std::count_if(lines.begin(), lines.end(),
                        [&](const Document& line) { return matches(line, deeds.front()); }) == 1);
    CHECK(std::none_of(lines.begin(), lines.end(), [](const Document& line) {
      return is_event(line) && text_of(line["operation"]) == "writev";
    }));
    const Document sums = parse(summary.end());
    for (const Json& each : sums["operations"].GetArray()) {
      CHECK(text_of(each["operation"]) != "writev");
    }
    (void)text.end();
    if (is_32_bit) {
      CHECK(source(sums, "compat-system-calls")["unreadable"].GetUint64() == expected);
    }
    CHECK((text.errors().find("compat-system-calls: partial, 1000 unreadable: ") !=
           std::string::npos) == is_32_bit);
  }
}
#endif

TEST_CASE("trace follows many chosen processes, and no other") {
  std::vector<std::unique_ptr<Actor>> actors;
  std::string pids;
  for (int i = 0; i < 20; i++) {
    actors.push_back(std::make_unique<Actor>(write_once));
    pids += (i == 0 ? "" : ",") + std::to_string(actors.back()->pid());
  }
  Actor stranger(write_once);
  Trace trace({"pipe", "--json", "-p", pids});
  (void)stranger.act();
  std::vector<Deed> deeds;
  for (const auto& actor : actors) {
    const std::vector<Deed> one = actor->act();
    deeds.insert(deeds.end(), one.begin(), one.end());
  }
  REQUIRE(deeds.size() == actors.size());
  const std::vector<Document> lines = lines_of(trace.end());
  for (const Deed& deed : deeds) {
    CHECK(std::count_if(lines.begin(), lines.end(),
                        [&](const Document& line) { return matches(line, deed); }) == 1);
  }
  for (const Document& line : lines) {
    CHECK_FALSE((is_event(line) && line["pid"].GetInt() == stranger.pid()));
  }
}

TEST_CASE("trace names every operation and its channel", "[kernels]") {
  Actor actor(use_everything);
  Trace trace({"-p", std::to_string(actor.pid()), "--json"});
  const std::vector<Deed> deeds = actor.act();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // until it waits again
  const std::string output = trace.end();
  REQUIRE(trace.status == 0);
  REQUIRE(deeds.size() > 60);
  const std::vector<Document> lines = lines_of(output);
  std::vector<bool> used(lines.size());
  for (const Deed& deed : deeds) {
    bool found = false;
    for (size_t i = 0; i < lines.size() && !found; i++) {
      if (!used[i] && matches(lines[i], deed)) {
        used[i] = found = true;
        CHECK(lines[i]["pid"].GetInt() == actor.pid());
      }
    }
    if (!found) {
      std::string near;
      for (const Document& line : lines) {
        if (is_event(line) && text_of(line["operation"]) == deed.operation) {
          near += print(line) + "\n";
        }
      }
      INFO(deed.operation << " at " << deed.channel << " result " << deed.result << "; seen:\n"
                          << near);
      CHECK(found);
    }
  }
  CHECK(text_of(lines.front()["schema"]) == "ipcscope/1");
  const Json& total = lines.back()["total"];
  CHECK(total["lost"].GetUint64() == 0);
  CHECK(total["unfinished"].GetUint64() == 1);  // it waits for its end
}

TEST_CASE("trace: what was received and what was lost is all that was done") {
  Actor actor(ping_pong);
  Trace trace({"pipe", "--json"});
  const std::vector<Deed> deeds = actor.act();
  const std::vector<Document> lines = lines_of(trace.end());
  REQUIRE(deeds.size() == 2);
  uint64_t operations = 0;
  uint64_t lost = 0;
  bool named_peer = false;
  for (const Document& line : lines) {
    if (line.HasMember("lost")) {
      lost += line["lost"].GetUint64();
    } else if (is_event(line)) {
      const std::string_view operation = text_of(line["operation"]);
      for (const Deed& deed : deeds) {
        if (text_of(line["channel"]) == deed.channel &&
            (operation == "write" || operation == "read")) {
          operations++;
          named_peer = named_peer || line["peer"].IsObject();
        }
      }
    }
  }
  const uint64_t done = 2 * (*deeds[0].bytes + *deeds[1].bytes);
  CHECK(operations + lost >= done);
  CHECK(operations <= done);
  CHECK(lost == lines.back()["total"]["lost"].GetUint64());
  CHECK(named_peer);
}

TEST_CASE("trace --summary counts a million operations of each mechanism exactly") {
  Actor actor(millions);
  Trace trace({"pipe", "unix", "sem", "msg", "futex", "--summary", "--json", "-p",
               std::to_string(actor.pid())});
  const std::vector<Deed> deeds = actor.act();
  const Document sums = parse(trace.end());
  CHECK(sums["lost"].GetUint64() == 0);
  for (const Deed& deed : deeds) {
    const uint64_t wanted = deed.result > 0 ? static_cast<uint64_t>(deed.result) : million / 2;
    uint64_t count = 0;
    uint64_t bytes = 0;
    for (const Json& line : sums["operations"].GetArray()) {
      if (text_of(line["operation"]) == deed.operation && text_of(line["kind"]) == deed.channel) {
        count = line["count"].GetUint64();
        bytes = line["bytes"].IsNull() ? 0 : line["bytes"].GetUint64();
        uint64_t in_histogram = 0;
        for (const Json& step : line["histogram"].GetArray()) {
          in_histogram += step["count"].GetUint64();
        }
        CHECK(in_histogram == line["timed"].GetUint64());
      }
    }
    INFO(deed.operation << " " << deed.channel);
    if (deed.operation == "write" || deed.operation == "read") {
      // The actor reads its order from a pipe, and tells through one what it did.
      CHECK(count >= wanted);
      CHECK(count <= wanted + 4);
    } else {
      CHECK(count == wanted);
      CHECK(bytes == deed.bytes.value_or(0));
    }
  }
}

TEST_CASE("trace counts what is submitted to an io_uring exactly") {
  for (const bool in_kernel : {false, true}) {
    Actor actor(use_io_uring);
    std::vector<std::string> arguments = {"pipe", "unix", "-p", std::to_string(actor.pid()),
                                          "--json"};
    if (in_kernel) {
      arguments.emplace_back("--summary");
    }
    Trace trace(arguments);
    const std::vector<Deed> deeds = actor.act();
    const std::vector<Document> lines = in_kernel ? std::vector<Document>() : lines_of(trace.end());
    if (deeds.empty()) {
      return tell_impossible("io_uring cannot be made: kernel.io_uring_disabled?");
    }
    REQUIRE(deeds[2].bytes == static_cast<uint64_t>(deeds[2].result));
    const Document sums = in_kernel ? parse(trace.end()) : Document();
    for (size_t i = 0; i < 2; i++) {
      uint64_t seen = 0;
      for (const Document& line : lines) {
        if (is_event(line) && text_of(line["operation"]) == "io_uring_submit" &&
            text_of(line["channel"]) == deeds[i].channel) {
          CHECK(text_of(line["detail"]) == deeds[i].operation);
          CHECK(line["tid"].GetInt() == actor.pid());
          seen++;
        }
      }
      if (in_kernel) {
        for (const Json& line : sums["operations"].GetArray()) {
          if (text_of(line["operation"]) == "io_uring_submit" &&
              deeds[i].channel.starts_with(text_of(line["kind"]))) {
            seen += line["count"].GetUint64();
          }
        }
      }
      CHECK(seen == *deeds[i].bytes);
    }
  }
}

TEST_CASE("trace marks what is unfinished and leaves nothing behind") {
  Actor actor([] {
    int ends[2];
    (void)!::pipe2(ends, 0);
    if (::fork() == 0) {
      ::alarm(30);
      for (int fd = 3; fd < 64; fd++) {
        if (fd != ends[0] && fd != ends[1]) {
          ::close(fd);  // the actor's own would keep its reader waiting
        }
      }
      char byte = 0;
      (void)!::read(ends[0], &byte, 1);  // for ever: it has a writing end itself
      ::_exit(0);
    }
    ::usleep(100'000);
    struct stat status {};
    ::fstat(ends[0], &status);
    return std::vector<Deed>{{"read", fmt::format("pipe:{}", status.st_ino), {}, 0}};
  });
  Trace trace({"pipe", "--json"});
  const std::vector<Deed> deeds = actor.act();
  const std::vector<Document> lines = lines_of(trace.end());
  REQUIRE(deeds.size() == 1);
  bool found = false;
  for (const Document& line : lines) {
    if (is_event(line) && text_of(line["channel"]) == deeds[0].channel &&
        line["unfinished"].GetBool()) {
      found = true;
      CHECK(text_of(line["operation"]) == "read");
      CHECK(line["result"].IsNull());
      CHECK(line["duration_ns"].GetUint64() > 50'000'000);
      ::kill(line["tid"].GetInt(), SIGKILL);
    }
  }
  CHECK(found);

  // A tracer that is killed takes its programs with it.
  Trace killed({"pipe", "--json"});
  const std::set<std::string> programs = programs_of(killed.pid());
  REQUIRE(programs.size() >= 2);
  CHECK(loaded(programs) == programs.size());
  ::kill(killed.pid(), SIGKILL);
  (void)killed.wait();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  CHECK(loaded(programs) == 0);
}

TEST_CASE("trace filters, payload and the files that it writes", "[kernels]") {
  const std::string raw = fmt::format("/tmp/ipcscope-test-trace-{}", ::getpid());
  const auto act = [] {
    int ends[2];
    (void)!::pipe2(ends, 0);
    (void)!::write(ends[1], "pay\033load", 8);
    char text[16];
    (void)!::read(ends[0], text, sizeof text);
    (void)!::read(-1, text, 1);
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    (void)!::read(ends[0], text, sizeof text);
    struct stat status {};
    ::fstat(ends[0], &status);
    return std::vector<Deed>{{"write", fmt::format("pipe:{}", status.st_ino), 8, 8},
                             {"read", fmt::format("pipe:{}", status.st_ino), 8, 8},
                             {"read", fmt::format("pipe:{}", status.st_ino), {}, -EAGAIN}};
  };
  {
    Actor actor(act);
    Trace trace({"pipe", "-p", std::to_string(actor.pid()), "--json", "--payload=3", "--stacks"});
    const std::vector<Deed> deeds = actor.act();
    for (const Document& line : lines_of(trace.end())) {
      if (matches(line, deeds.at(0))) {
        CHECK(text_of(line["payload"]) == "pay");
        REQUIRE(line["stack"].IsArray());
        CHECK(line["stack"].Size() > 0);
      }
    }
  }
  {
    Actor actor(act);
    Trace trace({"pipe", "-p", std::to_string(actor.pid()), "--json", "--errors"});
    const std::vector<Deed> deeds = actor.act();
    int events = 0;
    for (const Document& line : lines_of(trace.end())) {
      if (is_event(line)) {
        events++;
        CHECK(matches(line, deeds.at(2)));
      }
    }
    CHECK(events == 1);
  }
  {
    Actor actor(act);
    Trace trace({"pipe", "-p", std::to_string(actor.pid()), "--json", "--connect"});
    (void)actor.act();
    for (const Document& line : lines_of(trace.end())) {
      if (is_event(line)) {
        CHECK(text_of(line["operation"]) == "pipe");
      }
    }
  }
  {
    Actor actor(act);
    Trace trace({"pipe", "-p", std::to_string(actor.pid()), "--write", raw});
    const std::vector<Deed> deeds = actor.act();
    (void)trace.end();
    REQUIRE(trace.status == 0);
    const Outcome again = run(ipcscope_command({"trace", "--from", raw, "--json"}));
    CHECK(again.status == 0);
    std::vector<Document> lines = lines_of(again.output);
    for (const Deed& deed : deeds) {
      CHECK(std::count_if(lines.begin(), lines.end(),
                          [&](const Document& line) { return matches(line, deed); }) == 1);
    }
    const std::string perfetto = raw + ".json";
    CHECK(run(ipcscope_command({"trace", "--from", raw, "--perfetto", perfetto})).status == 0);
    std::ifstream file(perfetto);
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    const Document picture = parse(text);
    int slices = 0;
    for (const Json& event : picture["traceEvents"].GetArray()) {
      slices += text_of(event["ph"]) == "X" ? 1 : 0;
    }
    CHECK(slices >= 4);
    ::unlink(raw.c_str());
    ::unlink(perfetto.c_str());
  }
}
