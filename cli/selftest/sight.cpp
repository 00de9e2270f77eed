// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/selftest/sight.h"

#include <string.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace ipcscope {

namespace {

/// "NAME REST" split at its first blank.
struct Phrase {
  std::string_view first, rest;
};

Phrase split(std::string_view text) {
  const size_t blank = text.find(' ');
  return blank == std::string_view::npos ? Phrase{text, {}}
                                         : Phrase{text.substr(0, blank), text.substr(blank + 1)};
}

template <typename Predicate>
bool any_of(const JsonValue& array, const Predicate& holds) {
  return array.IsArray() && std::any_of(array.Begin(), array.End(), holds);
}

bool is_one_of(const JsonValue& number, const std::set<int64_t>& numbers) {
  return number.IsInt64() && numbers.count(number.GetInt64()) > 0;
}

const JsonValue& answer_to(Question question, const Answers& answers) {
  static const JsonValue nothing;
  const auto found = answers.find(question);
  return found == answers.end() ? nothing : static_cast<const JsonValue&>(found->second.json);
}

// --- ls -----------------------------------------------------------------------------------------

bool is_exact(const JsonValue& answer) {
  return any_of(member(answer, "coverage"), [](const JsonValue& each) {
    return text_of(member(each, "source")).starts_with("bpf") &&
           text_of(member(each, "state")) != "unavailable";
  });
}

const JsonValue* find_channel(const JsonValue& answer, std::string_view id) {
  const JsonValue& channels = member(answer, "channels");
  if (!channels.IsArray()) {
    return nullptr;
  }
  const auto* const found =
      std::find_if(channels.Begin(), channels.End(),
                   [&](const JsonValue& each) { return text_of(member(each, "id")) == id; });
  return found == channels.End() ? nullptr : found;
}

/// The channels that the truth speaks of; null for those that are not listed.
std::vector<const JsonValue*> listed_channels(const FixtureTruth& truth, const Answers& answers) {
  std::vector<const JsonValue*> channels;
  if (const JsonValue& all = member(truth.held, "channels"); all.IsArray()) {
    for (const JsonValue& each : all.GetArray()) {
      const std::string_view id = text_of(member(each, "id"));
      const JsonValue* channel = find_channel(answer_to(Question::channels, answers), id);
      channels.push_back(
          channel != nullptr ? channel : find_channel(answer_to(Question::objects, answers), id));
    }
  }
  return channels;
}

bool are_all_listed(const FixtureTruth& truth, const Answers& answers) {
  const std::vector<const JsonValue*> listed = listed_channels(truth, answers);
  if (listed.empty()) {
    return false;
  }
  const bool accepts_unknown = !is_exact(answer_to(Question::channels, answers));
  const JsonValue& truths = member(truth.held, "channels");
  for (size_t i = 0; i < listed.size(); i++) {
    if (listed[i] == nullptr ||
        !agrees(truths[static_cast<rapidjson::SizeType>(i)], *listed[i], accepts_unknown)) {
      return false;
    }
  }
  return true;
}

bool has_own_process(const JsonValue& channel, const std::set<int64_t>& pids) {
  const auto is_own = [&](const JsonValue& each) { return is_one_of(member(each, "pid"), pids); };
  return any_of(member(channel, "endpoints"), is_own) || any_of(member(channel, "waits"), is_own);
}

/// Those of the truth, and where it has none, those of the fixture's processes.
std::vector<const JsonValue*> own_channels(const FixtureTruth& truth, const Answers& answers) {
  std::vector<const JsonValue*> channels = listed_channels(truth, answers);
  if (channels.empty()) {
    const std::set<int64_t> pids = truth.pids();
    const JsonValue& all = member(answer_to(Question::channels, answers), "channels");
    for (rapidjson::SizeType i = 0; all.IsArray() && i < all.Size(); i++) {
      if (has_own_process(all[i], pids)) {
        channels.push_back(&all[i]);
      }
    }
  }
  channels.erase(std::remove(channels.begin(), channels.end(), nullptr), channels.end());
  return channels;
}

bool is_full(const JsonValue& channel) {
  const auto reaches = [&](const char* unit) {
    const JsonValue& depth = member(member(channel, "depth"), unit);
    const JsonValue& capacity = member(member(channel, "capacity"), unit);
    // The last bytes of a socket's buffer are its own overhead: what waits there is full.
    return depth.IsNumber() && capacity.IsNumber() && capacity.GetDouble() > 0 &&
           depth.GetDouble() >= capacity.GetDouble();
  };
  return reaches("bytes") || reaches("messages");
}

std::string plain(const JsonValue& value) {
  return value.IsString() ? std::string(text_of(value)) : json_text(value);
}

bool has_attribute(const JsonValue& channel, std::string_view wanted) {
  const size_t at = wanted.find_first_of("=>");
  const std::string name(wanted.substr(0, at));
  const JsonValue& value = member(member(channel, "attributes"), name.c_str());
  if (at == std::string_view::npos) {
    return value.IsString()   ? value.GetStringLength() > 0
           : value.IsNumber() ? value.GetDouble() != 0
           : value.IsArray()  ? !value.Empty()
                              : value.IsTrue();
  }
  const std::string_view text = wanted.substr(at + 1);
  if (wanted[at] == '=') {
    return !value.IsNull() && plain(value) == text;
  }
  double least = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), least);
  return value.IsNumber() && value.GetDouble() > least;
}

bool is_listed(std::string_view shows, const FixtureTruth& truth, const Answers& answers) {
  if (shows == "channels") {
    return are_all_listed(truth, answers);
  }
  const std::vector<const JsonValue*> channels = own_channels(truth, answers);
  const std::set<int64_t> pids = truth.pids();
  const auto [first, operation] = split(shows);
  return std::any_of(channels.begin(), channels.end(),
                     [&, first = first, operation = operation](const auto* each) {
                       if (first == "full") {
                         return is_full(*each);
                       }
                       if (first == "wait") {
                         return any_of(member(*each, "waits"), [&](const JsonValue& wait) {
                           return is_one_of(member(wait, "pid"), pids) &&
                                  text_of(member(wait, "operation")) == operation;
                         });
                       }
                       return has_attribute(*each, shows);
                     });
}

// --- why, locks, leaks, limits, show, trace -----------------------------------------------------

bool has_finding(std::string_view rule, const FixtureTruth& truth, const JsonValue& answer) {
  const std::set<int64_t> pids = truth.pids();
  return any_of(member(answer, "findings"), [&](const JsonValue& finding) {
    const JsonValue& suspected = member(member(finding, "evidence"), "suspected");
    const bool is_suspected = !suspected.IsNull() && !suspected.IsFalse();
    const std::string_view given = text_of(member(finding, "rule"));
    const bool is_rule = rule == "suspected"
                             ? given == "deadlock" && is_suspected
                             : given == rule && !(rule == "deadlock" && is_suspected);
    return is_rule && any_of(member(finding, "pids"),
                             [&](const JsonValue& pid) { return is_one_of(pid, pids); });
  });
}

bool has_chain(std::string_view shows, const FixtureTruth& truth, const Answers& answers) {
  const std::set<int64_t> tids = truth.tids();
  return any_of(member(answer_to(Question::chains, answers), "chains"),
                [&](const JsonValue& chain) {
                  if (!is_one_of(member(chain, "tid"), tids)) {
                    return false;
                  }
                  if (shows.starts_with("root=")) {
                    return text_of(member(member(chain, "root"), "verdict")) == shows.substr(5);
                  }
                  const JsonValue& steps = member(chain, "steps");
                  return steps.IsArray() && !steps.Empty() &&
                         text_of(member(steps[0], "operation")) == split(shows).rest;
                });
}

/// "info" is in JSON a suspect of no severity.
std::string_view verdict_of(const JsonValue& leak) {
  const std::string_view verdict = text_of(member(leak, "verdict"));
  return verdict == "suspect" && text_of(member(leak, "severity")) == "info" ? "info" : verdict;
}

bool is_left(std::string_view verdict, const FixtureTruth& truth, const Answers& answers) {
  const JsonValue& expected = member(truth.held, "leaks");
  const JsonValue& leaks = member(answer_to(Question::leaks, answers), "leaks");
  return any_of(expected, [&](const JsonValue& own) {
    return any_of(leaks, [&](const JsonValue& leak) {
      return member(leak, "id") == member(own, "id") && verdict_of(leak) == verdict;
    });
  });
}

bool is_near_limit(std::string_view name, const FixtureTruth& truth, const Answers& answers) {
  const JsonValue& limits = member(answer_to(Question::limits, answers), "limits");
  return any_of(member(truth.held, "limits"), [&](const JsonValue& own) {
    return text_of(member(own, "name")) == name && any_of(limits, [&](const JsonValue& limit) {
             const std::string_view severity = text_of(member(limit, "severity"));
             return agrees(own, limit, false) && (severity == "warning" || severity == "critical");
           });
  });
}

bool has_signal(std::string_view shows, const FixtureTruth& truth, const Answers& answers) {
  const auto [list, signal] = split(shows);
  const std::set<int64_t> pids = truth.pids();
  const std::string key(list);
  return any_of(member(answer_to(Question::processes, answers), "processes"),
                [&, name = signal](const JsonValue& process) {
                  return is_one_of(member(process, "pid"), pids) &&
                         any_of(member(member(process, "signals"), key.c_str()),
                                [&](const JsonValue& each) { return text_of(each) == name; });
                });
}

/// A result as a sight has it: an error by its name.
std::string result_of(const JsonValue& line) {
  const JsonValue& result = member(line, "result");
  if (result.IsInt64() && result.GetInt64() < 0) {
    const char* name = ::strerrorname_np(static_cast<int>(-result.GetInt64()));
    return name == nullptr ? json_text(result) : name;
  }
  return plain(result);
}

bool is_traced(std::string_view shows, const FixtureTruth& truth, const Answers& answers) {
  const size_t equals = shows.find('=');
  const std::string_view operation = shows.substr(0, equals);
  const std::set<int64_t> pids = truth.pids();
  return any_of(answer_to(Question::trace, answers), [&](const JsonValue& line) {
    return is_one_of(member(line, "pid"), pids) &&
           text_of(member(line, "operation")) == operation &&
           (equals == std::string_view::npos || result_of(line) == shows.substr(equals + 1));
  });
}

bool is_one_shown(std::string_view command, std::string_view shows, const FixtureTruth& truth,
                  const Answers& answers) {
  if (command == "ls") {
    return is_listed(shows, truth, answers);
  }
  if (command == "why") {
    return shows.starts_with("root=") || shows.starts_with("wait ")
               ? has_chain(shows, truth, answers)
               : has_finding(shows, truth, answer_to(Question::stuck, answers));
  }
  if (command == "leaks") {
    return is_left(shows, truth, answers);
  }
  if (command == "locks") {
    return has_finding(shows, truth, answer_to(Question::locks, answers));
  }
  if (command == "limits") {
    return is_near_limit(shows, truth, answers);
  }
  if (command == "show") {
    return has_signal(shows, truth, answers);
  }
  return command == "trace" && is_traced(shows, truth, answers);
}

void add_numbers(const JsonValue& array, const char* key, std::set<int64_t>& numbers) {
  if (!array.IsArray()) {
    return;
  }
  for (const JsonValue& each : array.GetArray()) {
    const JsonValue& number = key == nullptr ? each : member(each, key);
    if (number.IsInt64()) {
      numbers.insert(number.GetInt64());
    }
  }
}

}  // namespace

std::set<int64_t> FixtureTruth::pids() const {
  std::set<int64_t> pids;
  add_numbers(member(held, "pids"), nullptr, pids);
  add_numbers(member(held, "players"), "pid", pids);
  return pids;
}

std::set<int64_t> FixtureTruth::tids() const {
  std::set<int64_t> tids;
  add_numbers(member(held, "why"), "tid", tids);
  add_numbers(member(held, "threads"), "tid", tids);
  return tids.empty() ? pids() : tids;
}

bool FixtureTruth::is_reproduced() const {
  return !member(held, "reproduced").IsFalse() && !member(did, "reproduced").IsFalse();
}

std::vector<Question> questions_of(const FixtureSight& sight) {
  if (sight.command == "ls") {
    return {Question::channels, Question::objects};
  }
  if (sight.command == "why") {
    const bool is_chain = sight.shows.starts_with("root=") || sight.shows.starts_with("wait ");
    return {is_chain ? Question::chains : Question::stuck};
  }
  if (sight.command == "leaks") {
    return {Question::leaks};
  }
  if (sight.command == "locks") {
    return {Question::locks};
  }
  if (sight.command == "limits") {
    return {Question::limits};
  }
  if (sight.command == "show") {
    return {Question::processes};
  }
  if (sight.command == "trace") {
    return {Question::trace};
  }
  return {};
}

std::string missing_tracepoint(const FixtureSight& sight, const JsonValue& traced) {
  const size_t underline = sight.shows.rfind('_');
  if (underline == std::string::npos || !traced.IsArray() || traced.Empty()) {
    return {};
  }
  const std::string_view sort = std::string_view(sight.shows).substr(0, underline);
  const JsonValue& coverage = member(traced[0], "coverage");
  for (rapidjson::SizeType i = 0; coverage.IsArray() && i < coverage.Size(); i++) {
    const std::string_view reason = text_of(member(coverage[i], "reason"));
    if (text_of(member(coverage[i], "source")) == "bpf-trace" &&
        reason.find("tracepoint") != std::string_view::npos &&
        reason.find(sort) != std::string_view::npos) {
      return std::string(reason);
    }
  }
  return {};
}

bool is_shown(const FixtureSight& sight, const FixtureTruth& truth, const Answers& answers) {
  for (std::string_view rest = sight.shows;;) {
    const size_t bar = rest.find('|');
    if (is_one_shown(sight.command, rest.substr(0, bar), truth, answers)) {
      return true;
    }
    if (bar == std::string_view::npos) {
      return false;
    }
    rest.remove_prefix(bar + 1);
  }
}

bool agrees(const JsonValue& truth, const JsonValue& channel, bool accepts_unknown) {
  if (truth.IsObject() && channel.IsObject()) {
    return std::all_of(truth.MemberBegin(), truth.MemberEnd(), [&](const auto& each) {
      const auto found = channel.FindMember(each.name);
      return found != channel.MemberEnd() && agrees(each.value, found->value, accepts_unknown);
    });
  }
  if (truth.IsArray() && channel.IsArray()) {
    // Others may have the channel too.
    return std::all_of(truth.Begin(), truth.End(), [&](const JsonValue& each) {
      return any_of(channel,
                    [&](const JsonValue& other) { return agrees(each, other, accepts_unknown); });
    });
  }
  return truth == channel || (accepts_unknown && channel.IsNull());
}

}  // namespace ipcscope
