// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <map>
#include <set>
#include <string>

#include "tests/live/comparison.h"

namespace ipcscope::live {

/// The attributes of each kind, as man/ipcscope-json.5 documents them.
std::map<std::string, std::set<std::string>> documented_attributes();

/// Where the output of `ls --json` is not what man/ipcscope-json.5 promises: members that are
/// missing, attributes that it does not know, or other types.
Problems check_contract(const Json& output);

/// The same for one channel of it; adds to problems.
void check_channel_contract(const Json& channel, Problems& problems);

}  // namespace ipcscope::live
