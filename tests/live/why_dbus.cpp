// SPDX-License-Identifier: GPL-2.0-or-later
// What `why` says of a caller that waits for a reply over a message bus of the test's own.
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "tests/live/json.h"
#include "tests/live/main.h"
#include "tests/live/program.h"

using namespace ipcscope::live;
using ipcscope::Fd;

namespace {

class Directory {
 public:
  Directory() {
    char path[] = "/tmp/ipcscope-test-XXXXXX";
    REQUIRE(::mkdtemp(path) != nullptr);
    path_ = path;
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  [[nodiscard]] std::string file(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// The call that every client begins with (D-Bus specification, "Message Protocol").
std::string hello() {
  std::string fields;
  const auto number = [](std::string& out, uint32_t value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  const auto field = [&](char code, char type, std::string_view value) {
    fields.resize((fields.size() + 7) / 8 * 8);
    fields += {code, 1, type, 0};
    number(fields, static_cast<uint32_t>(value.size()));
    fields += value;
    fields += '\0';
  };
  field(1, 'o', "/org/freedesktop/DBus");
  field(6, 's', "org.freedesktop.DBus");
  field(2, 's', "org.freedesktop.DBus");
  field(3, 's', "Hello");
  std::string message = {'l', 1, 0, 1};
  number(message, 0);  // bytes of the body
  number(message, 1);  // serial number
  number(message, static_cast<uint32_t>(fields.size()));
  message += fields;
  message.resize((message.size() + 7) / 8 * 8);
  return message;
}

/// A thread that is known to the bus and waits for what it sends.
class Caller {
 public:
  explicit Caller(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path.copy(address.sun_path, sizeof address.sun_path - 1) == path.size());
    REQUIRE(::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    // External: the daemon takes the user number from the socket; in hexadecimal digits of text.
    std::string digits;
    for (const char digit : std::to_string(::getuid())) {
      digits += fmt::format("{:02x}", digit);
    }
    send(std::string(1, '\0') + "AUTH EXTERNAL " + digits + "\r\n");
    REQUIRE(receive().starts_with("OK "));
    send("BEGIN\r\n" + hello());
    REQUIRE(receive().find(":1.") != std::string::npos);  // the name that it is given
    thread_ = std::thread([this] {
      tid_ = static_cast<int>(::syscall(SYS_gettid));
      char bytes[512];
      while (::recv(socket_.get(), bytes, sizeof bytes, 0) > 0) {
      }
    });
    while (tid_ == 0) {
      std::this_thread::yield();
    }
  }
  ~Caller() {
    if (thread_.joinable()) {
      ::shutdown(socket_.get(), SHUT_RDWR);
      thread_.join();
    }
  }
  Caller(const Caller&) = delete;
  [[nodiscard]] int tid() const { return tid_; }

 private:
  void send(const std::string& bytes) {
    REQUIRE(::send(socket_.get(), bytes.data(), bytes.size(), 0) ==
            static_cast<ssize_t>(bytes.size()));
  }
  std::string receive() {
    char bytes[512];
    const ssize_t size = ::recv(socket_.get(), bytes, sizeof bytes, 0);
    return {bytes, static_cast<size_t>(size < 0 ? 0 : size)};
  }

  Fd socket_;
  std::atomic<int> tid_ = 0;
  std::thread thread_;
};

}  // namespace

TEST_CASE("why of a D-Bus caller") {
  if (::access("/usr/bin/dbus-daemon", X_OK) != 0) {
    tell_impossible("no dbus-daemon");
    return;
  }
  const Directory directory;
  const std::string path = directory.file("bus");
  Program daemon({"/usr/bin/dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address",
                  "--address=unix:path=" + path});
  REQUIRE(daemon.read_line(Seconds(10)).starts_with("unix:path="));
  const Caller caller(path);
  const std::string bus = fmt::format("dbus-daemon[{}]", daemon.pid());
  const std::string note = bus + " passes calls on; to which service it cannot be told";
  for (const char* source : {"bpf", "proc"}) {
    INFO(source);
    const auto ask = [&](std::vector<std::string> options) {
      options.insert(options.begin(),
                     {"why", std::to_string(caller.tid()), fmt::format("--source={}", source)});
      const Outcome outcome = run(ipcscope_command(std::move(options)));
      INFO(outcome.errors);
      REQUIRE(outcome.status == 0);
      return outcome.output;
    };
    // It may still be on its way into the kernel, or have the first signals to read.
    Document answer;
    for (int attempt = 0; attempt < 50; attempt++) {
      answer = parse(ask({"--json"}));
      if (member(member(answer, "chains")[0], "steps").Size() > 1) {
        break;
      }
    }
    const Json& chain = member(answer, "chains")[0];
    INFO(print(chain, 3000));
    const Json& steps = member(chain, "steps");
    REQUIRE(steps.Size() == 2);
    CHECK(member(steps[0], "tid").GetInt() == caller.tid());
    CHECK(text_of(member(steps[0], "note")) == note);
    CHECK(member(steps[1], "pid").GetInt() == daemon.pid());
    CHECK(member(steps[1], "note").IsNull());
    const Json& root = member(chain, "root");
    CHECK(text_of(member(root, "verdict")) == "client");
    CHECK(text_of(member(root, "text")) ==
          "waiting for the reply of a D-Bus service behind " + bus + ", or for a message of one");
    const std::string text = ask({});
    CHECK(text.find(note) != std::string::npos);
    CHECK(text.find("behind " + bus) != std::string::npos);
  }
}
