// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string_view>

#include "collectors/base/result.h"
#include "collectors/model/snapshot.h"

namespace ipcscope {

/// A kind by its word. An error is one line for the user, with the word that was likely meant.
Result<Kind> parse_kind(std::string_view word);

/// Whether a thread can wait at such a channel itself: not at memory without a futex in it.
bool can_be_waited_for(Kind kind);

}  // namespace ipcscope
