// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "cli/command.h"

namespace ipcscope {

extern const char* const top_notes;
int run_top(const Options& options, const Stage& stage);

}  // namespace ipcscope
