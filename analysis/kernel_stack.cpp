// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/kernel_stack.h"

#include <algorithm>
#include <iterator>

namespace ipcscope {

namespace {

constexpr size_t most_functions = 6;

/// Functions that put to sleep or lead into the kernel, whatever for (Linux kernel/sched and the
/// entry code of x86 and arm64).
constexpr std::string_view everywhere[] = {
    "__schedule",      "schedule",      "preempt_schedule", "io_schedule",   "__switch_to",
    "wait_for_common", "do_syscall_64", "entry_SYSCALL",    "el0",           "__wait_for_common",
    "invoke_syscall",  "do_el0_svc",    "x64_sys_call",     "ret_from_fork", "asm_exc_page_fault"};

struct Sign {
  std::string_view prefix;
  std::string_view reason;
};
/// The more telling ones first: a network file system sleeps in the page cache too.
constexpr Sign signs[] = {
    {"handle_userfault", "userfaultfd"},
    {"fuse_", "FUSE"},
    {"nfs_", "network file system"},
    {"nfs4_", "network file system"},
    {"nfs3_", "network file system"},
    {"rpc_", "network file system"},
    {"__rpc_", "network file system"},
    {"cifs_", "network file system"},
    {"smb2_", "network file system"},
    {"ceph_", "network file system"},
    {"io_schedule", "disk"},
    {"blk_", "disk"},
    {"submit_bio_wait", "disk"},
    {"jbd2_", "disk"},
    {"ext4_", "disk"},
    {"xfs_", "disk"},
    {"btrfs_", "disk"},
};

bool is_everywhere(std::string_view function) {
  return std::any_of(std::begin(everywhere), std::end(everywhere),
                     [&](std::string_view each) { return function.starts_with(each); });
}

}  // namespace

KernelStack explain_kernel_stack(const std::vector<std::string>& frames) {
  KernelStack stack;
  for (const std::string& frame : frames) {
    const std::string_view function = std::string_view(frame).substr(0, frame.find('+'));
    // 0xffffffffffffffff is how old kernels end a stack.
    if (!function.empty() && !function.starts_with("0x") && !is_everywhere(function) &&
        stack.functions.size() < most_functions) {
      stack.functions.emplace_back(function);
    }
  }
  for (const Sign& sign : signs) {
    if (std::any_of(frames.begin(), frames.end(),
                    [&](const std::string& frame) { return frame.starts_with(sign.prefix); })) {
      stack.reason = sign.reason;
      break;
    }
  }
  return stack;
}

}  // namespace ipcscope
