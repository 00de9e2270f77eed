// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace ipcscope::fuzz {

/// A parser and inputs that it understands, from which others are made.
struct Target {
  std::string_view name;
  void (*run)(std::string_view input);
  std::vector<std::string_view> seeds;
};

/// The one table, in proc_parsers.cpp.
std::span<const Target> targets();

}  // namespace ipcscope::fuzz
