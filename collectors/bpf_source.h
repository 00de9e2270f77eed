// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <memory>
#include <vector>

#include "collectors/doctor.h"
#include "collectors/source.h"

namespace ipcscope {

/// Records from BPF iterators in the kernel.
/// Needs CAP_BPF and CAP_PERFMON (CAP_SYS_ADMIN before 5.8), BTF and no lockdown=confidentiality;
/// otherwise fails with the reason and nothing is left loaded.
Result<std::unique_ptr<Source>> open_bpf_source();

/// What BPF can do here: one capability for each program, each tried for real.
std::vector<Capability> probe_bpf();

}  // namespace ipcscope
