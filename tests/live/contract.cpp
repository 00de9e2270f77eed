// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/live/contract.h"

#include <fmt/format.h>

#include <cctype>
#include <fstream>
#include <initializer_list>
#include <sstream>
#include <stdexcept>

namespace ipcscope::live {

namespace {

/// Letters of the types that a member may have: s string, n number, b boolean, a array, o object,
/// 0 null.
struct Rule {
  const char* key;
  const char* types;
};

constexpr Rule head_rules[] = {{"schema", "s"},   {"command", "s"}, {"host", "s"},
                               {"kernel", "s"},   {"time", "s"},    {"boot_ns", "ns"},
                               {"coverage", "a"}, {"channels", "a"}};
constexpr Rule coverage_rules[] = {{"source", "s"},     {"state", "s"}, {"checked", "n"},
                                   {"unreadable", "n"}, {"lost", "n"},  {"reason", "s0"},
                                   {"hint", "s0"}};
constexpr Rule channel_rules[] = {{"id", "s"},         {"kind", "s"},         {"name", "s0"},
                                  {"namespace", "n0"}, {"permissions", "s0"}, {"owner", "s0"},
                                  {"depth", "o"},      {"capacity", "o"},     {"attributes", "o"},
                                  {"endpoints", "a"},  {"waits", "a"}};
constexpr Rule amount_rules[] = {{"bytes", "n0"}, {"messages", "n0"}};
constexpr Rule endpoint_rules[] = {
    {"pid", "n0"}, {"tid", "n0"}, {"comm", "s0"}, {"role", "s"}, {"fd", "n0"}};
constexpr Rule wait_rules[] = {{"pid", "n"},        {"tid", "n"},       {"comm", "s"},
                               {"operation", "s"},  {"since_ms", "n0"}, {"since_bound", "s0"},
                               {"timeout_ms", "n0"}};

char type_of(const Json& value) {
  switch (value.GetType()) {
    case rapidjson::kNullType:
      return '0';
    case rapidjson::kFalseType:
    case rapidjson::kTrueType:
      return 'b';
    case rapidjson::kObjectType:
      return 'o';
    case rapidjson::kArrayType:
      return 'a';
    case rapidjson::kStringType:
      return 's';
    case rapidjson::kNumberType:
      return 'n';
  }
  return '?';
}

template <size_t size>
void check(const Rule (&rules)[size], const Json& object, const std::string& where,
           Problems& problems) {
  if (!object.IsObject()) {
    problems.push_back(where + " is no object");
    return;
  }
  for (const Rule& rule : rules) {
    if (!object.HasMember(rule.key)) {
      problems.push_back(fmt::format("{} has no member {}", where, rule.key));
    } else if (std::string_view(rule.types).find(type_of(object[rule.key])) ==
               std::string_view::npos) {
      problems.push_back(
          fmt::format("{}: {} must not be {}", where, rule.key, print(object[rule.key], 60)));
    }
  }
}

template <size_t size>
void check_each(const Rule (&rules)[size], const Json& list, const std::string& where,
                Problems& problems) {
  if (list.IsArray()) {
    for (const Json& each : list.GetArray()) {
      check(rules, each, where, problems);
    }
  }
}

}  // namespace

std::map<std::string, std::set<std::string>> documented_attributes() {
  std::ifstream page(IPCSCOPE_JSON_PAGE);
  if (!page) {
    throw std::runtime_error("cannot read " IPCSCOPE_JSON_PAGE);
  }
  std::map<std::string, std::set<std::string>> documented;
  std::vector<std::string> kinds;
  bool in_kinds = false;
  for (std::string line; std::getline(page, line);) {
    std::istringstream words(line);
    std::string macro;
    std::string word;
    words >> macro;
    if (macro == ".Sh") {
      words >> word;
      in_kinds = word == "KINDS";
    } else if (in_kinds && macro == ".Ss") {
      kinds.clear();
      while (words >> word) {
        kinds.push_back(word);
        documented[word];
      }
    } else if (in_kinds && macro == ".It" && words >> word && word == "Va") {
      while (words >> word) {
        for (const std::string& kind : kinds) {
          if (std::isalpha(static_cast<unsigned char>(word[0])) != 0) {
            documented[kind].insert(word);
          }
        }
      }
    }
  }
  return documented;
}

void check_channel_contract(const Json& channel, Problems& problems) {
  static const auto documented = documented_attributes();
  const std::string where(text_of(member(channel, "id")));
  check(channel_rules, channel, where, problems);
  check(amount_rules, member(channel, "depth"), where + " depth", problems);
  check(amount_rules, member(channel, "capacity"), where + " capacity", problems);
  check_each(endpoint_rules, member(channel, "endpoints"), where + " endpoint", problems);
  check_each(wait_rules, member(channel, "waits"), where + " wait", problems);
  const auto kind = documented.find(std::string(text_of(member(channel, "kind"))));
  if (kind == documented.end()) {
    problems.push_back(fmt::format("{}: its kind is not documented", where));
    return;
  }
  const Json& attributes = member(channel, "attributes");
  if (!attributes.IsObject()) {
    return;
  }
  for (const std::string& key : kind->second) {
    if (!attributes.HasMember(key.c_str())) {
      problems.push_back(fmt::format("{}: has no attribute {}", where, key));
    }
  }
  for (const auto& each : attributes.GetObject()) {
    std::string_view key = text_of(each.name);
    if (key.ends_with("_hex")) {  // beside a name that is not UTF-8
      key.remove_suffix(4);
    }
    if (kind->second.count(std::string(key)) == 0) {
      problems.push_back(fmt::format("{}: attribute {} is not documented", where, key));
    }
  }
}

Problems check_contract(const Json& output) {
  Problems problems;
  check(head_rules, output, "the output", problems);
  if (text_of(member(output, "schema")) != "ipcscope/1") {
    problems.push_back("schema is " + print(member(output, "schema")));
  }
  check_each(coverage_rules, member(output, "coverage"), "an object of coverage", problems);
  const Json& channels = member(output, "channels");
  if (!channels.IsArray()) {
    return problems;
  }
  std::set<std::string_view> ids;
  for (const Json& channel : channels.GetArray()) {
    const std::string_view id = text_of(member(channel, "id"));
    check_channel_contract(channel, problems);
    if (!ids.insert(id).second) {
      problems.push_back(fmt::format("two channels have the identifier {}", id));
    }
  }
  return problems;
}

}  // namespace ipcscope::live
