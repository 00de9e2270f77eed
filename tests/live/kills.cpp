// SPDX-License-Identifier: GPL-2.0-or-later
// Every fixture is killed with SIGKILL at a random instant. Nothing may be left: no object, no
// file, no control group, no process.
#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <thread>

#include "tests/live/json.h"
#include "tests/live/main.h"
#include "tests/live/program.h"

using namespace ipcscope::live;

namespace {

using Clock = std::chrono::steady_clock;
using Things = std::set<std::string>;

/// The crowd at its usual size takes longer to start than all others together.
std::vector<std::string> settings_of(std::string_view fixture) {
  if (fixture == "crowd") {
    return {"processes=40", "descriptors=400", "sysv=30"};
  }
  return {};
}

/// Everything that a fixture could leave in the namespaces of this process.
Things look() {
  Things things;
  for (const char* kind : {"shm", "sem", "msg"}) {
    std::ifstream table(fmt::format("/proc/sysvipc/{}", kind));
    std::string line;
    std::getline(table, line);  // headings
    while (std::getline(table, line)) {
      things.insert(fmt::format("{}: {}", kind, line));
    }
  }
  for (const char* directory : {"/dev/shm", "/dev/mqueue", "/tmp"}) {
    for (const auto& each : std::filesystem::directory_iterator(directory)) {
      things.insert(each.path());
    }
  }
  std::ifstream sockets("/proc/net/unix");
  for (std::string line; std::getline(sockets, line);) {
    if (line.find("Num") == std::string::npos) {  // not the headings
      things.insert("socket: " + line);
    }
  }
  return things;
}

/// Waits for all descendants, which are this process's children when their parents have ended.
/// What is left of them.
Things await_descendants() {
  const Clock::time_point end = Clock::now() + Seconds(20);
  while (Clock::now() < end) {
    const pid_t got = ::waitpid(-1, nullptr, WNOHANG);
    if (got < 0) {
      return {};
    }
    if (got == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  Things left;
  std::ifstream children(fmt::format("/proc/self/task/{}/children", ::getpid()));
  for (std::string pid; children >> pid;) {
    std::ifstream comm("/proc/" + pid + "/comm");
    std::string name;
    std::getline(comm, name);
    left.insert(fmt::format("process {} ({})", pid, name));
    ::kill(std::stoi(pid), SIGKILL);
  }
  return left;
}

/// Of all fixtures; what was left behind, a line each.
std::string kill_all(const std::vector<std::string>& names, unsigned seed) {
  std::mt19937 random(seed);
  std::string problems;
  for (const std::string& name : names) {
    const Things before = look();
    std::vector<std::string> command = {IPCSCOPE_FIXTURE_PROGRAM, "--go", name};
    const std::vector<std::string> settings = settings_of(name);
    command.insert(command.end(), settings.begin(), settings.end());
    // Half of them in the middle of being made, half of them later.
    const unsigned longest_ms = random() % 2 == 0 ? 60 : 400;
    const auto instant = std::uniform_int_distribution<unsigned>(0, longest_ms * 1000)(random);
    pid_t pid = 0;
    {
      const Program program(command);
      pid = program.pid();
      std::this_thread::sleep_for(std::chrono::microseconds(instant));
      ::kill(program.pid(), SIGKILL);
    }
    Things left = await_descendants();
    for (const std::string& each : look()) {
      if (before.count(each) == 0) {
        left.insert(each);
      }
    }
    // Control groups have no namespaces that help: those of others are not looked at.
    for (const char* directory : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
      const std::string group = fmt::format("{}/ipcscope-test-{}", directory, pid);
      if (::access(group.c_str(), F_OK) == 0) {
        left.insert(group);
      }
    }
    if (!left.empty()) {
      problems +=
          fmt::format("{} killed after {} us left {}\n", name, instant, fmt::join(left, ", "));
    }
  }
  return problems;
}

/// Lets the loopback device of a new network namespace work.
bool raise_loopback() {
  const ipcscope::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  return ::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0;
}

/// In namespaces of its own, so that nothing but the fixtures makes anything there.
std::string kill_in_seclusion(const std::vector<std::string>& names, unsigned seed) {
  const bool is_secluded = ::unshare(CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS) == 0 &&
                           raise_loopback() &&
                           ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                           ::mount("ipcscope-test", "/dev/shm", "tmpfs", 0, "size=64m") == 0 &&
                           ::mount("ipcscope-test", "/tmp", "tmpfs", 0, "size=64m") == 0;
  if (!is_secluded) {
    return "no namespaces of its own\n";
  }
  ::mkdir("/dev/mqueue", 0755);  // on hosts without it; an empty directory does no harm
  if (::mount("ipcscope-test", "/dev/mqueue", "mqueue", 0, nullptr) != 0) {
    return "no file system of queues\n";
  }
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  return kill_all(names, seed);
}

std::vector<std::string> all_names() {
  const Document table = parse(run({IPCSCOPE_FIXTURE_PROGRAM, "--list", "--json"}).output);
  std::vector<std::string> names;
  for (const Json& fixture : member(table, "fixtures").GetArray()) {
    names.emplace_back(text_of(member(fixture, "name")));
  }
  return names;
}

}  // namespace

TEST_CASE("kills at random instants") {
  const char* given = std::getenv("IPCSCOPE_SEED");
  const unsigned seed = given != nullptr && *given != '\0'
                            ? static_cast<unsigned>(std::stoul(given))
                            : std::random_device()();
  fmt::print("IPCSCOPE_SEED={}\n", seed);
  std::vector<std::string> names =
      choice().fixture.empty() ? all_names() : std::vector<std::string>{choice().fixture};
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  std::fflush(stdout);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::string problems;
    try {
      problems = kill_in_seclusion(names, seed);
    } catch (const std::exception& error) {
      problems = fmt::format("{}\n", error.what());
    }
    problems += "end\n";
    ::_exit(::write(ends[1], problems.data(), problems.size()) < 0 ? 1 : 0);
  }
  ::close(ends[1]);
  std::string problems;
  char block[4096];
  for (ssize_t got = 0; (got = ::read(ends[0], block, sizeof block)) > 0;) {
    problems.append(block, static_cast<size_t>(got));
  }
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  CHECK(names.size() > (choice().fixture.empty() ? 300 : 0));
  CHECK_THAT(problems, Catch::Equals("end\n"));
}
