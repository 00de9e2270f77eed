// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/limit_report.h"

#include <algorithm>
#include <bitset>

namespace ipcscope {

size_t LimitReport::count(Severity severity) const {
  return static_cast<size_t>(std::count_if(
      uses.begin(), uses.end(), [&](const LimitUse& use) { return use.severity == severity; }));
}

std::vector<size_t> choose_limits(const std::vector<LimitUse>& uses, bool all, bool about_process) {
  constexpr size_t few = 5;
  std::vector<size_t> shown;
  std::bitset<limit_id_count> told;
  for (size_t i = 0; i < uses.size(); i++) {
    const LimitUse& use = uses[i];
    const size_t id = static_cast<size_t>(use.id);
    if (all || use.severity != Severity::info || use.place.kind == LimitPlace::Kind::process) {
      shown.push_back(i);
      told.set(id);
      continue;
    }
    if (use.ceiling || use.used.value_or(0) == 0 || !use.limit) {
      continue;
    }
    const bool counts = *use.used >= *use.limit / 100;
    if (about_process || (!told.test(id) && (counts || shown.size() < few))) {
      shown.push_back(i);
      told.set(id);
    }
  }
  return shown;
}

}  // namespace ipcscope
