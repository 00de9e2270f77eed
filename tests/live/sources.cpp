// SPDX-License-Identifier: GPL-2.0-or-later
// Both sources show the same.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <set>

#include "tests/live/comparison.h"
#include "tests/live/contract.h"
#include "tests/live/running_fixture.h"
#include "tests/live/unknown_to_proc.h"

using namespace ipcscope::live;

namespace {

/// What moves on by itself between two looks.
bool is_volatile(const std::string& path) {
  return path == "attributes.remaining_ms" || path.ends_with("since_ms") ||
         path.ends_with("since_bound");
}

/// Whether only descriptors that were sent and not received refer to it: no process has one, so
/// /proc has no sign of it.
bool is_in_flight(const Json& channel) {
  const Json& endpoints = member(channel, "endpoints");
  return !endpoints.Empty() &&
         std::all_of(endpoints.Begin(), endpoints.End(), [](const Json& each) {
           return member(each, "fd").IsNull() && member(each, "access").IsString();
         });
}

bool concerns(const Json& channel, const std::set<int>& pids) {
  for (const char* list : {"endpoints", "waits"}) {
    for (const Json& each : member(channel, list).GetArray()) {
      const Json& pid = member(each, "pid");
      if (pid.IsInt() && pids.count(pid.GetInt()) != 0) {
        return true;
      }
    }
  }
  return false;
}

using Channels = std::map<std::string, const Json*>;

Channels channels_of(const Json& output, const std::set<int>& pids) {
  Channels channels;
  for (const Json& channel : member(output, "channels").GetArray()) {
    if (concerns(channel, pids)) {
      channels.emplace(text_of(member(channel, "id")), &channel);
    }
  }
  return channels;
}

/// Endpoints or waits as comparable texts: the members named, in this order.
std::multiset<std::string> keys(const Json& list, std::initializer_list<const char*> members) {
  std::multiset<std::string> keys;
  for (const Json& each : list.GetArray()) {
    // A socket that no process has open: only sock_diag lists those.
    if (member(each, "pid").IsNull()) {
      continue;
    }
    std::string key;
    for (const char* name : members) {
      key += fmt::format("{}{}={}", key.empty() ? "" : " ", name, print(member(each, name)));
    }
    keys.insert(key);
  }
  return keys;
}

class Differences {
 public:
  Problems problems;

  void compare(const std::string& id, const Json& bpf, const Json& proc) {
    kind_ = text_of(member(bpf, "kind"));
    type_ = text_of(member(member(bpf, "attributes"), "type"));
    id_ = id;
    for (const auto& each : bpf.GetObject()) {
      const std::string key(text_of(each.name));
      if (key != "endpoints" && key != "waits") {
        compare_value(key, each.value, member(proc, key.c_str()));
      }
    }
    compare_sets("endpoints", bpf, proc,
                 {"pid", "tid", "comm", "role", "fd", "access", "inode", "ns_pid"});
    compare_sets("waits", bpf, proc, {"pid", "tid", "comm", "operation", "timeout_ms"});
  }

 private:
  void compare_value(const std::string& path, const Json& bpf, const Json& proc) {
    if (is_volatile(path) || bpf == proc) {
      return;
    }
    if (proc.IsNull() && is_unknown_to_proc(kind_, type_, path)) {
      return;
    }
    if (bpf.IsObject() && proc.IsObject()) {
      for (const auto& each : bpf.GetObject()) {
        const std::string key(text_of(each.name));
        compare_value(fmt::format("{}.{}", path, key), each.value, member(proc, key.c_str()));
      }
      return;
    }
    if (bpf.IsArray() && proc.IsArray() && bpf.Size() == proc.Size() && bpf.Size() > 0 &&
        bpf[0].IsObject()) {
      for (rapidjson::SizeType i = 0; i < bpf.Size(); i++) {
        compare_value(path, bpf[i], proc[i]);
      }
      return;
    }
    problems.push_back(fmt::format("{}: {}: bpf has {}, proc has {}", id_, path, print(bpf, 300),
                                   print(proc, 300)));
  }

  void compare_sets(const char* list, const Json& bpf, const Json& proc,
                    std::initializer_list<const char*> members) {
    const auto in_bpf = keys(member(bpf, list), members);
    const auto in_proc = keys(member(proc, list), members);
    report_missing(list, in_bpf, in_proc, "bpf");
    report_missing(list, in_proc, in_bpf, "proc");
  }

  void report_missing(const char* list, const std::multiset<std::string>& from,
                      const std::multiset<std::string>& other, const char* source) {
    std::multiset<std::string> only;
    std::set_difference(from.begin(), from.end(), other.begin(), other.end(),
                        std::inserter(only, only.end()));
    for (const std::string& each : only) {
      problems.push_back(fmt::format("{}: {}: only {} has {}", id_, list, source, each));
    }
  }

  std::string kind_;
  std::string type_;
  std::string id_;
};

Document list(const std::string& source) {
  const Outcome listed = run(ipcscope_command({"ls", "--json", "--source=" + source}));
  INFO(listed.errors);
  REQUIRE(listed.status == 0);
  return parse(listed.output);
}

}  // namespace

TEST_CASE("both sources agree", "[newest-kernel]") {
  std::vector<std::unique_ptr<RunningFixture>> fixtures = start_together(fixture_names());
  std::erase_if(fixtures, [](const auto& fixture) { return !fixture->is_possible(); });
  std::set<int> pids;
  for (const auto& fixture : fixtures) {
    for (const int pid : fixture->pids()) {
      pids.insert(pid);
    }
  }
  REQUIRE(fixtures.size() > 50);

  const Document bpf = list("bpf");
  const Document proc = list("proc");
  for (const Document* output : {&bpf, &proc}) {
    for (const std::string& problem : check_contract(*output)) {
      FAIL_CHECK((output == &bpf ? "bpf: " : "proc: ") << problem);
    }
  }
  const Channels of_bpf = channels_of(bpf, pids);
  const Channels of_proc = channels_of(proc, pids);
  CHECK(of_bpf.size() > fixtures.size());
  Differences differences;
  for (const auto& [id, channel] : of_bpf) {
    if (const auto other = of_proc.find(id); other != of_proc.end()) {
      differences.compare(id, *channel, *other->second);
    } else if (!is_in_flight(*channel)) {
      FAIL_CHECK(id << ": only bpf has " << print(*channel));
    }
  }
  for (const auto& [id, channel] : of_proc) {
    if (of_bpf.count(id) == 0) {
      FAIL_CHECK(id << ": only proc has " << print(*channel));
    }
  }
  for (const std::string& problem : differences.problems) {
    FAIL_CHECK(problem);
  }
  // Each on its own, so that one bad end does not hide another's.
  for (const auto& fixture : fixtures) {
    CHECK_THAT(fixture->stop(), Catch::Equals(""));
  }
}

TEST_CASE("every kind has a fixture") {
  const Document table = parse(run({IPCSCOPE_FIXTURE_PROGRAM, "--list", "--json"}).output);
  std::set<std::string> mechanisms;
  for (const Json& fixture : member(table, "fixtures").GetArray()) {
    mechanisms.emplace(text_of(member(fixture, "mechanism")));
  }
  // The documented kinds are the program's: tests/unit/table.cpp.
  for (const auto& [kind, attributes] : documented_attributes()) {
    CAPTURE(kind);
    CHECK(mechanisms.count(kind) == 1);
  }
}
