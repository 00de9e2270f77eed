// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

#include "analysis/limits.h"

namespace ipcscope {

/// What is known of a limit beforehand: a line of the table in limit_table.cpp.
struct LimitRule {
  LimitId id;
  const char* name;
  LimitUnit unit;
  bool ceiling;      ///< a cap on one object or call
  const char* note;  ///< null: none
  /// The command that would raise it; empty where there is none.
  std::string (*remedy)(const LimitFact& fact);
};

const LimitRule& limit_rule(LimitId id);

/// The command that would double it, to be run as root; empty where there is none. fact.limit is
/// known.
std::string remedy_of(const LimitFact& fact);

}  // namespace ipcscope
