// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/live/json.h"

namespace ipcscope::live {

/// Runs `ipcscope leaks --json` with everything in it and these arguments. The command that comes
/// first is what runs it, such as nsenter with its arguments; empty: nothing. Objects younger than
/// min_age are spared.
/// Throws where the output is not what the exit status says.
Document run_leaks(const std::vector<std::string>& arguments, std::vector<std::string> command = {},
                   const std::string& min_age = "0");

/// The entry of an object in the output of `leaks --json`, or a null value.
const Json& find_leak(const Json& output, std::string_view id);

/// The identifiers of all objects with that verdict.
std::vector<std::string> ids_of(const Json& output, std::string_view verdict);

/// How often each verdict was given where another was right.
class Confusion {
 public:
  void add(const std::string& expected, const std::string& given) { counts_[expected][given]++; }
  /// A line for each right verdict, a column for each given one.
  [[nodiscard]] std::string table() const;

 private:
  std::map<std::string, std::map<std::string, int>> counts_;
};

}  // namespace ipcscope::live
