// SPDX-License-Identifier: GPL-2.0-or-later
// What the fixtures of problems count themselves: the problem has happened, and with their
// look-alikes it has not.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "tests/live/main.h"
#include "tests/live/running_fixture.h"

using namespace ipcscope::live;

namespace {

enum class Count { none, reproduced, not_reproduced, impossible };

Count count(const std::string& name) {
  RunningFixture fixture(name);
  if (!fixture.is_possible()) {
    fmt::print("NOT POSSIBLE HERE: {}: {}\n", name, fixture.reason());
    return Count::impossible;
  }
  Document did;
  if (fixture.truth().HasMember("works")) {
    did = fixture.work();
  }
  const Json& line = did.IsObject() ? static_cast<const Json&>(did) : fixture.truth();
  const Json& reproduced = member(line, "reproduced");
  const Count found = !reproduced.IsBool()   ? Count::none
                      : reproduced.GetBool() ? Count::reproduced
                                             : Count::not_reproduced;
  CHECK_THAT(fixture.stop(), Catch::Equals(""));
  return found;
}

}  // namespace

TEST_CASE("counts of problems") {
  const Document table = parse(run({IPCSCOPE_FIXTURE_PROGRAM, "--list", "--json"}).output);
  size_t problems = 0, lookalikes = 0, impossible = 0;
  for (const Json& fixture : member(table, "fixtures").GetArray()) {
    const std::string name(text_of(member(fixture, "name")));
    if (!name.starts_with("problem-") || (!choice().fixture.empty() && name != choice().fixture)) {
      continue;
    }
    INFO(name);
    const bool is_problem = member(fixture, "problem").IsString();
    // Each is the one or the other, so that nothing is left without a look-alike.
    CHECK(is_problem == (member(fixture, "lookalike_of").Size() == 0));
    CHECK(is_problem == (member(fixture, "lookalikes").Size() > 0));
    const Count found = count(name);
    impossible += found == Count::impossible ? 1 : 0;
    if (found != Count::none && found != Count::impossible) {
      CHECK((found == Count::reproduced) == is_problem);
      (is_problem ? problems : lookalikes)++;
    }
    // What no command can see has to be counted.
    CHECK((found != Count::none || member(fixture, "unseen").IsNull()));
  }
  fmt::print("{} problems and {} look-alikes counted\n", problems, lookalikes);
  CHECK((problems >= 10 || !choice().fixture.empty()));
  CHECK((lookalikes >= 10 || !choice().fixture.empty()));
  // Real-time priorities and TCP_REPAIR are not everywhere allowed.
  CHECK(impossible <= 3);
}
