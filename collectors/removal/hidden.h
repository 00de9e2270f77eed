// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/stat.h>

#include "collectors/removal/family.h"
#include "collectors/removal/places.h"

namespace ipcscope {

/// A name is removed so that it can still be turned back: the file is first moved to a name that
/// nobody knows, then it is looked at whether it is the right file and still good, then that name
/// is unlinked. Refuses, with everything as it was, when the name belongs to another file.
Refusal hide_name(const Place& place, const struct stat& expected);
/// Unlinks what hide_name() hid or, with a reason, gives it its name back and says the reason.
Outcome finish_hidden(const Place& place, const struct stat& expected, const Refusal& reason);
/// Waits until those who had found the name before it was hidden, and were on their way to opening
/// the file, have come as far as its lease.
void wait_for_openers();

/// Gives a file its name back that an interrupted remove_name() left hidden. False when there is
/// none, or its name is taken.
bool give_name_back(const Place& place, uint64_t inode, uint32_t device);

/// Makes a name for what stands under another in the same directory; never over an existing one.
/// False and errno.
bool rename_to_free(const Place& place, const char* from, const char* to);

/// The facts of stat() that all files have.
Target file_facts(const Target& judged, const struct stat& status);

}  // namespace ipcscope
