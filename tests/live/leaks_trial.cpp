// SPDX-License-Identifier: GPL-2.0-or-later
// The randomized trial: a cleaner loops while many processes make, abandon and adopt objects. What
// the world does and how it knows what lives: leaks_world.h.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <optional>
#include <random>

#include "tests/live/json.h"
#include "tests/live/main.h"
#include "tests/live/program.h"

using namespace ipcscope::live;

namespace {

/// In CI each has to be found; one who hunts a rare fault sets more.
constexpr const char* seconds_variable = "IPCSCOPE_TRIAL_SECONDS";
constexpr const char* seed_variable = "IPCSCOPE_TRIAL_SEED";

std::string setting(const char* name, const std::string& fallback) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : fallback;
}

/// Runs the world beside a cleaner; nothing where this machine cannot.
std::optional<Document> trial(const std::string& seconds, std::vector<std::string> cleaner) {
  const std::string seed = setting(seed_variable, std::to_string(std::random_device()()));
  cleaner.insert(cleaner.begin(), {IPCSCOPE_WORLD_PROGRAM, seconds, seed});
  const Outcome outcome = run(cleaner, Seconds(std::stol(seconds) + 60));
  if (outcome.status == 77) {
    tell_impossible(outcome.errors);
    return std::nullopt;
  }
  fmt::print("trial with seed {} for {} s: {}", seed, seconds, outcome.output);
  INFO(outcome.errors);
  REQUIRE(outcome.status == 0);
  return parse(outcome.output);
}

uint64_t count(const Json& result, const char* key) { return member(result, key).GetUint64(); }

/// What every trial has to have done to mean anything.
void check_busy(const Json& result) {
  INFO(print(result, 5000));
  CHECK(count(result, "steps") > 2000);
  CHECK(count(result, "objects") > 1000);
  CHECK(count(result, "deaths") > 50);
  CHECK(count(result, "reused") > 50);
  CHECK(count(result, "adopted") > 100);
  for (const auto& kind : member(member(result, "by_kind"), "objects").GetObject()) {
    INFO(text_of(kind.name));
    CHECK(kind.value.GetUint64() > 20);
  }
}

/// What the forums advise, for each kind: no check but one.
constexpr const char* bad_cleaner = R"(
ipcs -m | while read -r key id owner mode bytes attached rest; do
  [ "$attached" = 0 ] && ipcrm -m "$id"
done
ipcs -s | while read -r key id rest; do case $key in 0x*) ipcrm -s "$id" ;; esac; done
ipcs -q | while read -r key id rest; do case $key in 0x*) ipcrm -q "$id" ;; esac; done
rm -f /dev/shm/* /run/ipcscope-test-mqueue/* /run/ipcscope-test-trial/*
exit 0
)";

}  // namespace

TEST_CASE("leaks trial") {
  const auto result =
      trial(setting(seconds_variable, "12"),
            {IPCSCOPE_PROGRAM, "leaks", "--clean", "--yes", "--no-backup", "--min-age", "0"});
  if (!result) {
    return;
  }
  check_busy(*result);
  INFO(print(*result, 5000));
  CHECK(count(*result, "cleaner_runs") > 10);
  CHECK(count(*result, "cleaner_failures") == 0);
  CHECK(count(*result, "removed") > 500);
  CHECK(count(*result, "live_removed") == 0);
  CHECK(count(*result, "left") == 0);
}

TEST_CASE("leaks trial notices a bad cleaner") {
  const auto result = trial("3", {"/bin/sh", "-c", bad_cleaner});
  if (!result) {
    return;
  }
  check_busy(*result);
  INFO(print(*result, 5000));
  CHECK(count(*result, "cleaner_runs") > 1);
  for (const auto& kind : member(member(*result, "by_kind"), "live_removed").GetObject()) {
    INFO(text_of(kind.name));
    CHECK(kind.value.GetUint64() > 0);
  }
}

TEST_CASE("leaks trial notices a lazy cleaner") {
  const auto result = trial("3", {"/bin/sleep", "0.2"});
  if (!result) {
    return;
  }
  check_busy(*result);
  INFO(print(*result, 5000));
  CHECK(count(*result, "live_removed") == 0);
  // A worker that is killed between a removal and its note of it looks like a cleaner.
  CHECK(count(*result, "removed") * 500 < count(*result, "deaths"));
  CHECK(count(*result, "left") > 500);
}
