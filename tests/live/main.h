// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

namespace ipcscope::live {

/// Which fixture and source the command line names.
struct Choice {
  std::string fixture;
  std::string source;
};
const Choice& choice();

/// Says why this machine cannot do the test; the program then exits with 77.
void tell_impossible(const std::string& reason);

}  // namespace ipcscope::live
