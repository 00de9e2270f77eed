// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace ipcscope {

/// The name that word was most likely meant to be, or nothing where none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> names);
/// "; did you mean 'NAME'?", or nothing.
std::string suggestion(std::string_view word, std::span<const std::string_view> names);

}  // namespace ipcscope
