// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string_view>

namespace ipcscope::live {

/// Whether /proc, sock_diag and the other interfaces of --source=proc cannot tell this member of a
/// channel of this kind, so that null is right. type is its attribute of that name, or empty; path
/// is as in "attributes.count".
bool is_unknown_to_proc(std::string_view kind, std::string_view type, std::string_view path);

}  // namespace ipcscope::live
