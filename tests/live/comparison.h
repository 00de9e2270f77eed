// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/live/json.h"

namespace ipcscope::live {

/// A list of what is wrong, a line each; empty when nothing is.
using Problems = std::vector<std::string>;

/// What of the truth about one channel is not in the output's channel. Every member of the truth
/// has to be there, equal, down to the leaves; the output may have more members. The members of
/// lists may come in any order; endpoints and waits may also be more than the truth names. Where
/// source is "proc", null is accepted for what /proc cannot know.
Problems compare_channel(const Json& truth, const Json& channel, std::string_view source);

/// What of a fixture's truth is not in the output of `ls --json`.
Problems compare_list(const Json& truth, const Json& output, std::string_view source);

/// Whether actual has everything that expected has.
bool covers(const Json& expected, const Json& actual);

/// The channel with this id, or nullptr.
const Json* find_channel(const Json& output, std::string_view id);

}  // namespace ipcscope::live
