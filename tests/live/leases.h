// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

namespace ipcscope::live {

/// Whether this kernel grants leases on POSIX queues: since 7.0 only file systems that ask for it
/// have leases, and mqueue does not. Where not, says that the test is not possible.
bool has_queue_leases();

}  // namespace ipcscope::live
