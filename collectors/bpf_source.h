// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "collectors/doctor.h"
#include "collectors/source.h"

namespace ipcscope {

/// How much there will be, which room is made for. More is not lost: it takes longer.
struct Expected {
  size_t files = 0;        ///< open on the host
  size_t descriptors = 0;  ///< of the processes that the request is about
};

/// Records from BPF iterators in the kernel, for requests like this one.
/// Needs CAP_BPF and CAP_PERFMON (CAP_SYS_ADMIN before 5.8), BTF and no lockdown=confidentiality;
/// otherwise fails with the reason and nothing is left loaded.
Result<std::unique_ptr<Source>> open_bpf_source(const Request& request, const Expected& expected);

/// What BPF can do here: one capability for each program, each tried for real.
std::vector<Capability> probe_bpf();

}  // namespace ipcscope
