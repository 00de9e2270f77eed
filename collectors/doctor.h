// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include "collectors/base/proc_root.h"

namespace ipcscope {

/// Something that a source needs, and whether it is to be had here.
struct Capability {
  enum State { works, partial, missing };
  std::string name;
  State state = works;
  std::string reason;             ///< why it does not work; empty when it does
  std::vector<std::string> lost;  ///< what commands cannot tell without it
  std::string remedy;             ///< what to do about it
};

/// Tries what the /proc source uses, and looks at what decides whether BPF is allowed. Takes some
/// milliseconds; what could disturb anything is tried in a child. The programs for BPF themselves:
/// probe_bpf() in bpf_source.h.
std::vector<Capability> probe_capabilities(const ProcRoot& proc);

}  // namespace ipcscope
