// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "cli/command.h"

namespace ipcscope {

extern const char* const fixture_notes;
int run_fixture(const Options& options, const Stage& stage);

/// What `fixture` and `selftest` exit with where this machine cannot do it.
inline constexpr int status_impossible = 77;

}  // namespace ipcscope
