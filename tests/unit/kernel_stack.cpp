// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/kernel_stack.h"

#include <catch2/catch.hpp>

namespace ipcscope {

TEST_CASE("what a kernel stack tells", "[kernel_stack]") {
  const KernelStack fuse = explain_kernel_stack(
      {"request_wait_answer+0x11d", "__fuse_simple_request+0xf2", "fuse_lookup_name+0xf9",
       "fuse_lookup+0x5b", "__lookup_slow+0x81", "walk_component+0xd1", "path_lookupat+0x67",
       "do_syscall_64+0x5d", "entry_SYSCALL_64_after_hwframe+0x76"});
  CHECK(fuse.reason == "FUSE");
  CHECK(fuse.functions == std::vector<std::string>{"request_wait_answer", "__fuse_simple_request",
                                                   "fuse_lookup_name", "fuse_lookup",
                                                   "__lookup_slow", "walk_component"});
  // The telling function may be deeper than what is shown.
  CHECK(explain_kernel_stack({"a+0x1", "b", "c", "d", "e", "f", "xfs_log_force+0x2"}).reason ==
        "disk");
  // A network file system goes through what disks do.
  CHECK(explain_kernel_stack({"io_schedule+0x46", "nfs_wait_on_request+0x2"}).reason ==
        "network file system");
  CHECK(explain_kernel_stack({"rpc_wait_bit_killable+0x11"}).reason == "network file system");
  CHECK(explain_kernel_stack({"handle_userfault+0x3f", "asm_exc_page_fault+0x26"}).reason ==
        "userfaultfd");
  const KernelStack unknown =
      explain_kernel_stack({"__schedule+0x1", "schedule_timeout+0x2", "vhost_worker+0x3",
                            "ret_from_fork+0x4", "0xffffffffffffffff"});
  CHECK(unknown.reason.empty());
  CHECK(unknown.functions == std::vector<std::string>{"vhost_worker"});
  CHECK(explain_kernel_stack({}).functions.empty());
}

}  // namespace ipcscope
