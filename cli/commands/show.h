// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "cli/command.h"

namespace ipcscope {

extern const char* const show_notes;
int run_show(const Options& options, const Stage& stage);

}  // namespace ipcscope
