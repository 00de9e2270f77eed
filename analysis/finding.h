// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ipcscope {

enum class Severity : uint8_t { info, warning, critical };
/// The word of JSON.
constexpr std::string_view severity_name(Severity severity) {
  constexpr std::string_view names[] = {"info", "warning", "critical"};
  return names[static_cast<size_t>(severity)];
}

/// What a verdict rests on: one fact.
struct Evidence {
  std::string key;   ///< a word
  std::string text;  ///< may have raw bytes of names in it
};

/// A rule's verdict, which outlives the snapshot that it is about. Texts may have raw bytes of
/// names in them and are to be escaped when printed.
struct Finding {
  const char* rule = "";  ///< as ipcscope-findings(7) has it
  Severity severity = Severity::warning;
  std::string summary;
  std::vector<int32_t> pids;  ///< all that take part
  std::vector<int32_t> tids;  ///< the threads that do not move
  /// Further threads that must not have moved either: those behind whom they wait.
  std::vector<int32_t> behind;
  std::vector<std::string> channels;
  std::vector<Evidence> evidence;
  std::string advice;
};

/// What tells a finding from others, and stays the same from one look to the next.
std::string finding_identity(const Finding& finding);

}  // namespace ipcscope
