// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/finding.h"
#include "collectors/model/limit_facts.h"

namespace ipcscope {

/// Hundredths of a limit from which its use is a warning, and critical.
constexpr unsigned limit_warning = 80;
constexpr unsigned limit_critical = 95;

enum class LimitUnit : uint8_t { count, bytes };

/// One limit at one place, and how near its use is.
struct LimitUse {
  std::string name;   ///< "SHMMNI", "fs.file-max"
  std::string scope;  ///< "host", "ipc", "ipc@4026532281", "user:65534", "process:812"; raw bytes
  std::optional<uint64_t> used, limit;
  Severity severity = Severity::info;
  std::vector<LimitUser> users;  ///< those who use most first
  std::string remedy;            ///< the command that would raise it; raw bytes
  LimitId id = LimitId::count;
  LimitPlace place;
  LimitUnit unit = LimitUnit::count;
  bool unlimited = false;  ///< no limit is set
  /// A cap on one object or one call, not on a sum: what is at it has what was asked for.
  bool ceiling = false;
  bool at_most = false;  ///< used is an upper bound
  std::string note;      ///< what else is to be known; raw bytes
};

struct LimitQuery {
  int32_t pid = 0;  ///< only what concerns this process; 0: everything
};

/// Hundredths of its limit that are used, rounded down, at most 999; nothing where one of the two
/// is unknown.
std::optional<unsigned> limit_percent(const LimitUse& use);

/// Each limit at each place, the nearest first; of places without any use only ipcscope's own. Of
/// the processes: those near RLIMIT_NOFILE, and the nearest of the others.
std::vector<LimitUse> judge_limits(const LimitFacts& facts, const LimitQuery& query = {});

/// The finding `near-limit` of each that is at 80 % or more.
std::vector<Finding> near_limits(const std::vector<LimitUse>& uses);

}  // namespace ipcscope
