// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <span>
#include <string_view>

namespace ipcscope {

/// An attribute that channels of some kinds have.
struct AttributeInfo {
  std::string_view key;
  std::string_view kinds;  ///< for people
  std::string_view help;
};

/// The attributes of all kinds; those whose key is the name of a column of its own are left out.
std::span<const AttributeInfo> attribute_table();

}  // namespace ipcscope
