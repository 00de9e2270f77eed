// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/base/proc_root.h"
#include "collectors/model/leftovers.h"

namespace ipcscope {

/// What postmaster.pid of PostgreSQL tells (src/include/utils/pidfile.h of its sources: line 1 the
/// process, 2 the data directory, 7 key and id of its System V segment as decimal numbers, which
/// src/backend/port/sysv_shmem.c writes). Since 10; of a server that is starting only the first
/// lines are there.
struct PostmasterFile {
  int32_t pid = 0;
  std::string directory;
  std::optional<uint32_t> key;
  std::optional<int32_t> shm_id;
};
/// Nothing when the first line is no number. A standalone backend writes its number negative.
std::optional<PostmasterFile> parse_postmaster(std::string_view text);

/// The SIDs of /etc/oratab: lines SID:HOME:Y|N, comments begin with '#' (Oracle Database
/// Administrator's Reference for Linux, "oratab"). '*' stands for none.
std::vector<std::string> parse_oratab(std::string_view text);

/// Instances of /usr/sap/sapservices, as "SID_INSTANCE", from the name of the profile that each
/// line names with pf= (SAP note 823941): /usr/sap/SID/SYS/profile/SID_INSTANCE_HOST.
std::vector<std::string> parse_sapservices(std::string_view text);
/// The same from one word of a command line; empty when it is none.
std::string sap_instance(std::string_view word);

/// The programs of this host that park System V objects on purpose: those that run, and those whose
/// files say that they did. root: "" or, in tests, the directory that stands for "/".
void find_instances(const Snapshot& snapshot, const ProcRoot& proc, const std::string& root,
                    Leftovers& leftovers);

}  // namespace ipcscope
