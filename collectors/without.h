// SPDX-License-Identifier: GPL-2.0-or-later
// Doing without what this kernel has, to see what ipcscope makes of one that has it not.
#pragma once

#include <string_view>

#include "collectors/base/result.h"

namespace ipcscope {

/// names: of ipcscope(1), IPCSCOPE_WITHOUT, separated by commas. For the rest of this process and
/// for its children; before there is a second thread. System calls fail as they do under a seccomp
/// profile that forbids them. Fails for a name that it does not know.
Result<void> do_without(std::string_view names);

}  // namespace ipcscope
