// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

namespace ipcscope {

/// What the kernel says to the wish for a write lease. granted: no other descriptor, mapping or
/// message in flight refers to the file, in any namespace, and until the lease is dropped or broken
/// none can come about (Linux 6.18 fs/locks.c, check_conflicting_open and __break_lease).
enum class Lease { granted, in_use, unsupported, denied };

/// Takes a lease through file, which is the only descriptor of ours for it. Somebody who opens it
/// then waits, up to /proc/sys/fs/lease-break-time, or is told to try again. Closing file drops it.
/// The signal that tells of a broken lease is turned into one that is ignored by default (SIGURG),
/// for this thread, so that nothing of the process has to change.
Lease take_lease(int file);
/// Whether nobody has tried to open the file since.
bool lease_is_whole(int file);

}  // namespace ipcscope
