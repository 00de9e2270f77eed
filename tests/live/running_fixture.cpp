// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/live/running_fixture.h"

#include <fmt/format.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace ipcscope::live {

namespace {

constexpr int exit_impossible = 77;

bool no_free_huge_page() {
  std::ifstream information("/proc/meminfo");
  std::string word;
  while (information >> word) {
    if (word == "HugePages_Free:") {
      long pages = 0;
      information >> pages;
      return pages == 0;
    }
  }
  return true;
}

bool no_binder() {
  std::ifstream known("/proc/filesystems");
  const std::string text{std::istreambuf_iterator<char>(known), {}};
  return text.find("\tbinder\n") == std::string::npos;
}

bool no_vsock_loopback() { return !std::ifstream("/sys/module/vsock_loopback/initstate"); }

/// Huge pages have to be set aside by the administrator; a test does not change such settings.
constexpr Impossible impossible[] = {
    {"shm-huge", "a free huge page (vm.nr_hugepages)", no_free_huge_page},
    {"memfd-huge", "a free huge page (vm.nr_hugepages)", no_free_huge_page},
    {"use-huge-pages", "a free huge page (vm.nr_hugepages)", no_free_huge_page},
    {"use-binder", "binder (CONFIG_ANDROID_BINDERFS)", no_binder},
    {"use-vsock", "vsock to this machine itself (vsock_loopback)", no_vsock_loopback},
};

/// What a fixture is for, by its name.
enum class Family { channel, scene, contest, use, limit, busy, crowd };

Family family_of(std::string_view name) {
  if (name.starts_with("why-") || name.starts_with("problem-") || name == "maze") {
    return Family::scene;
  }
  return name.starts_with("locks-")   ? Family::contest
         : name.starts_with("use-")   ? Family::use
         : name.starts_with("limit-") ? Family::limit
         : name.starts_with("busy-")  ? Family::busy
         : name == "crowd"            ? Family::crowd
                                      : Family::channel;
}

std::vector<std::string> names_of(Family family) {
  const Document table = parse(run({IPCSCOPE_FIXTURE_PROGRAM, "--list", "--json"}).output);
  std::vector<std::string> names;
  for (const Json& fixture : member(table, "fixtures").GetArray()) {
    const std::string_view name = text_of(member(fixture, "name"));
    if (family_of(name) == family) {
      names.emplace_back(name);
    }
  }
  return names;
}

std::vector<std::string> command_of(const std::string& name,
                                    const std::vector<std::string>& settings) {
  std::vector<std::string> command = {IPCSCOPE_FIXTURE_PROGRAM, name};
  command.insert(command.end(), settings.begin(), settings.end());
  return command;
}

}  // namespace

RunningFixture::RunningFixture(const std::string& name, const std::vector<std::string>& settings)
    : name_(name), program_(command_of(name, settings)) {
  const std::string line = program_.read_line(Seconds(30));
  if (!line.empty()) {
    truth_ = parse(line);
    return;
  }
  program_.read_all(Seconds(1));
  const std::optional<int> status = program_.wait(Seconds(1));
  if (status == exit_impossible) {
    reason_ = program_.errors().empty() ? "no reason given" : program_.errors();
    return;
  }
  throw std::runtime_error(
      fmt::format("fixture {} {}: {}", name,
                  status ? fmt::format("ended with status {}", *status) : "is not ready after 30 s",
                  program_.errors()));
}

RunningFixture::~RunningFixture() { stop(); }

Document RunningFixture::work() {
  program_.write_input("go\n");
  const std::string line = program_.read_line(Seconds(60));
  if (line.empty()) {
    program_.read_all(Seconds(1));
    throw std::runtime_error(
        fmt::format("fixture {} did not do its work: {}", name_, program_.errors()));
  }
  return parse(line);
}

std::vector<int> RunningFixture::pids() const {
  std::vector<int> pids;
  for (const Json& pid : member(truth_, "pids").GetArray()) {
    pids.push_back(pid.GetInt());
  }
  return pids;
}

std::string RunningFixture::stop() {
  program_.close_input();
  const std::optional<int> status = program_.wait(Seconds(10));
  program_.end();
  if (!status) {
    return fmt::format("fixture {} did not end when its input did", name_);
  }
  if (*status != 0 && is_possible()) {
    program_.read_all(Seconds(1));
    return fmt::format("fixture {} ended with status {}: {}", name_, *status, program_.errors());
  }
  return {};
}

std::vector<std::unique_ptr<RunningFixture>> start_together(const std::vector<std::string>& names) {
  constexpr size_t most_at_a_time = 8;
  std::vector<std::unique_ptr<RunningFixture>> fixtures(names.size());
  std::vector<std::string> errors(names.size());
  std::atomic<size_t> next = 0;
  std::vector<std::thread> starters(most_at_a_time);
  for (std::thread& starter : starters) {
    starter = std::thread([&] {
      for (size_t i = next++; i < names.size(); i = next++) {
        try {
          fixtures[i] = std::make_unique<RunningFixture>(names[i]);
        } catch (const std::exception& error) {
          errors[i] = error.what();
        }
      }
    });
  }
  for (std::thread& starter : starters) {
    starter.join();
  }
  std::erase(errors, "");
  if (!errors.empty()) {
    throw std::runtime_error(fmt::format("{}", fmt::join(errors, "\n")));
  }
  return fixtures;
}

std::vector<std::string> fixture_names() { return names_of(Family::channel); }

std::vector<std::string> scene_names() { return names_of(Family::scene); }

std::vector<std::string> contest_names() { return names_of(Family::contest); }

std::vector<std::string> limit_names() { return names_of(Family::limit); }
std::vector<std::string> busy_names() { return names_of(Family::busy); }

std::optional<Impossible> expected_to_be_impossible(const std::string& fixture) {
  for (const Impossible& each : impossible) {
    if (fixture == each.fixture) {
      return each;
    }
  }
  return std::nullopt;
}

std::vector<std::string> use_names() { return names_of(Family::use); }

bool in_ci() {
  const char* value = std::getenv("CI");
  return value != nullptr && std::string_view(value) == "true";
}

}  // namespace ipcscope::live
