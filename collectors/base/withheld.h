// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

namespace ipcscope {

/// From now on, ProcRoot::read() of a file of this name fails with EACCES, in every directory.
/// name has to live as long as the process; before there is a second thread.
void withhold_file(const char* name);

}  // namespace ipcscope
