// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/stat.h>

#include <functional>

#include "collectors/removal/family.h"
#include "collectors/removal/places.h"

namespace ipcscope {

/// Removes a name so that it can still turn back: the file is first moved to a name that nobody
/// knows, then it is looked at whether it is the right file and still good, then it is unlinked.
/// Otherwise it gets its name back.
Outcome remove_name(const Place& place, const struct stat& expected,
                    const std::function<Refusal()>& still_good);

/// Gives a file its name back that an interrupted remove_name() left hidden. False when there is
/// none, or its name is taken.
bool give_name_back(const Place& place, uint64_t inode, uint32_t device);

/// Makes a name for what stands under another in the same directory; never over an existing one.
/// False and errno.
bool rename_to_free(const Place& place, const char* from, const char* to);

/// The facts of stat() that all files have.
Target file_facts(const Target& judged, const struct stat& status);

}  // namespace ipcscope
