// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/live/leaks_verdicts.h"

#include <fmt/format.h>

#include <stdexcept>

#include "tests/live/program.h"

namespace ipcscope::live {

namespace {

constexpr const char* verdicts[] = {"leaked", "suspect", "info", "live", "absent"};

}  // namespace

Document run_leaks(const std::vector<std::string>& arguments, std::vector<std::string> command,
                   const std::string& min_age) {
  for (const char* word :
       {IPCSCOPE_PROGRAM, "leaks", "--json", "--all", "--min-age", min_age.c_str()}) {
    command.emplace_back(word);
  }
  command.insert(command.end(), arguments.begin(), arguments.end());
  const Outcome outcome = run(command);
  if (outcome.status != 0 && outcome.status != 1) {
    throw std::runtime_error(
        fmt::format("leaks ended with status {}: {}", outcome.status, outcome.errors));
  }
  Document output = parse(outcome.output);
  if (!member(output, "leaks").IsArray()) {
    throw std::runtime_error("no array leaks in the output");
  }
  if ((outcome.status == 1) != !ids_of(output, "leaked").empty()) {
    throw std::runtime_error(fmt::format("status {} with {} leaked objects", outcome.status,
                                         ids_of(output, "leaked").size()));
  }
  return output;
}

const Json& find_leak(const Json& output, std::string_view id) {
  static const Json nothing;
  for (const Json& each : member(output, "leaks").GetArray()) {
    if (text_of(member(each, "id")) == id) {
      return each;
    }
  }
  return nothing;
}

std::vector<std::string> ids_of(const Json& output, std::string_view verdict) {
  std::vector<std::string> ids;
  for (const Json& each : member(output, "leaks").GetArray()) {
    if (text_of(member(each, "verdict")) == verdict) {
      ids.emplace_back(text_of(member(each, "id")));
    }
  }
  return ids;
}

std::string Confusion::table() const {
  std::string text = fmt::format("{:10}", "right");
  for (const char* verdict : verdicts) {
    text += fmt::format("{:>9}", verdict);
  }
  text += '\n';
  for (const auto& [expected, given] : counts_) {
    text += fmt::format("{:10}", expected);
    for (const char* verdict : verdicts) {
      const auto found = given.find(verdict);
      text += fmt::format("{:>9}", found == given.end() ? 0 : found->second);
    }
    text += '\n';
  }
  return text;
}

}  // namespace ipcscope::live
