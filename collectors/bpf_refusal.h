// SPDX-License-Identifier: GPL-2.0-or-later
//
// Why a kernel refuses BPF programs that another takes.
#pragma once

#include <string>

#include "collectors/base/result.h"

namespace ipcscope {

/// Whether lockdown=confidentiality forbids to read kernel memory; false where that cannot be told.
/// The verifier says EINVAL then, for it knows the helpers no longer that read
/// (bpf_tracing_func_proto(), kernel/trace/bpf_trace.c of 6.12).
bool is_kernel_memory_locked();

/// What helps against the errno that the kernel refused programs with.
std::string remedy_of_refusal(int error);

/// What to do about an error that may be such a refusal: what helps, and which command tells more.
std::string advice_after(const Error& error);

}  // namespace ipcscope
