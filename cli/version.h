// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

namespace ipcscope {

/// Our version, libbpf's, and how this was built; several lines.
std::string version_text();

}  // namespace ipcscope
