// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/live/comparison.h"

#include <fmt/format.h>

#include <algorithm>

#include "tests/live/unknown_to_proc.h"

namespace ipcscope::live {

namespace {

class Comparison {
 public:
  Comparison(std::string_view kind, std::string_view type, bool is_proc)
      : kind_(kind), type_(type), is_proc_(is_proc) {}

  /// Compares everything below path, a name such as "attributes.count".
  void check(const std::string& path, const Json& expected, const Json& actual) {
    if (is_proc_ && actual.IsNull() && !expected.IsNull() &&
        is_unknown_to_proc(kind_, type_, path)) {
      return;
    }
    if (expected.IsObject() && actual.IsObject()) {
      for (const auto& each : expected.GetObject()) {
        const std::string key(text_of(each.name));
        const auto found = actual.FindMember(each.name);
        const std::string below = path.empty() ? key : fmt::format("{}.{}", path, key);
        if (found == actual.MemberEnd()) {
          complain(below, print(each.value), "no such member");
        } else {
          check(below, each.value, found->value);
        }
      }
    } else if (expected.IsArray() && actual.IsArray()) {
      const bool may_have_more = path == "endpoints" || path == "waits";
      if (!may_have_more && expected.Size() != actual.Size()) {
        complain(path, print(expected), print(actual));
        return;
      }
      for (const Json& each : expected.GetArray()) {
        const bool found = std::any_of(actual.Begin(), actual.End(), [&](const Json& other) {
          Comparison inner(kind_, type_, is_proc_);
          inner.check(path, each, other);
          return inner.problems_.empty();
        });
        if (!found) {
          complain(path, "one like " + print(each), print(actual));
        }
      }
    } else if (expected != actual) {
      complain(path, print(expected), print(actual));
    }
  }

  Problems& problems() { return problems_; }

 private:
  void complain(const std::string& path, const std::string& expected, const std::string& actual) {
    problems_.push_back(fmt::format("{}: expected {}, got {}", path, expected, actual));
  }

  std::string kind_;
  std::string type_;
  bool is_proc_;
  Problems problems_;
};

/// Is the thread seen waiting at the channel, in that operation?
bool has_wait(const Json& channel, const Json& tid, const Json& operation) {
  const Json& waits = member(channel, "waits");
  return waits.IsArray() && std::any_of(waits.Begin(), waits.End(), [&](const Json& wait) {
           return member(wait, "tid") == tid && member(wait, "operation") == operation;
         });
}

void check_thread(const Json& thread, const Json& output, Problems& problems) {
  std::vector<std::string_view> ids;
  if (thread.HasMember("channel")) {
    ids.push_back(text_of(member(thread, "channel")));
  }
  if (const Json& several = member(thread, "channels"); several.IsArray()) {
    for (const Json& id : several.GetArray()) {
      ids.push_back(text_of(id));
    }
  }
  for (const std::string_view id : ids) {
    // A child is waited for, but no channel: `show` tells it.
    if (id.starts_with("child:")) {
      continue;
    }
    const Json* channel = find_channel(output, id);
    if (channel == nullptr) {
      problems.push_back(fmt::format("thread {}: it waits at {}, which is not listed",
                                     print(member(thread, "tid")), id));
    } else if (!has_wait(*channel, member(thread, "tid"), member(thread, "operation"))) {
      problems.push_back(fmt::format(
          "{}: no wait of thread {} in {}; waits are {}", id, print(member(thread, "tid")),
          print(member(thread, "operation")), print(member(*channel, "waits"))));
    }
  }
}

}  // namespace

const Json* find_channel(const Json& output, std::string_view id) {
  const Json& channels = member(output, "channels");
  if (!channels.IsArray()) {
    return nullptr;
  }
  const auto* const found = std::find_if(channels.Begin(), channels.End(), [&](const Json& each) {
    return text_of(member(each, "id")) == id;
  });
  return found == channels.End() ? nullptr : found;
}

Problems compare_channel(const Json& truth, const Json& channel, std::string_view source) {
  Comparison comparison(text_of(member(truth, "kind")),
                        text_of(member(member(channel, "attributes"), "type")), source == "proc");
  comparison.check("", truth, channel);
  return std::move(comparison.problems());
}

bool covers(const Json& expected, const Json& actual) {
  Comparison comparison("", "", false);
  comparison.check("", expected, actual);
  return comparison.problems().empty();
}

Problems compare_list(const Json& truth, const Json& output, std::string_view source) {
  Problems problems;
  for (const Json& expected : member(truth, "channels").GetArray()) {
    const std::string_view id = text_of(member(expected, "id"));
    const Json* channel = find_channel(output, id);
    if (channel == nullptr) {
      std::string similar;
      for (const Json& each : member(output, "channels").GetArray()) {
        if (member(each, "kind") == member(expected, "kind") && similar.size() < 500) {
          similar += fmt::format(" {}", text_of(member(each, "id")));
        }
      }
      problems.push_back(fmt::format("{}: not listed; of that kind there are:{}", id, similar));
      continue;
    }
    for (const std::string& problem : compare_channel(expected, *channel, source)) {
      problems.push_back(fmt::format("{}: {}", id, problem));
    }
  }
  for (const Json& thread : member(truth, "threads").GetArray()) {
    check_thread(thread, output, problems);
  }
  return problems;
}

}  // namespace ipcscope::live
