// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/without.h"

#include <fmt/format.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "collectors/base/parse.h"
#include "collectors/base/withheld.h"
#include "collectors/bpf_loading.h"
#include "collectors/kernel_layout.h"

namespace ipcscope {

namespace {

#if defined(__x86_64__)
constexpr uint32_t own_architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t own_architecture = AUDIT_ARCH_AARCH64;
#else
#error "which AUDIT_ARCH is this?"
#endif

/// One thing to do without. What of it is empty is not used.
struct Switch {
  std::string_view name;
  int call = -1;  ///< a system call that is refused ...
  int error = 0;  ///< ... with this errno
  unsigned lack = 0;
  const char* file = nullptr;  ///< of this name in /proc, which cannot be read
};

constexpr Switch switches[] = {
    {"bpf", SYS_bpf, EPERM},
    {"btf"},
    {"direct-reads", -1, 0, BPF_WITHOUT_DIRECT_READS},
    {"kcmp", SYS_kcmp, EPERM},
    {"loops", -1, 0, BPF_WITHOUT_LOOPS},
    {"memory", SYS_process_vm_readv, EPERM},
    {"mqueue", SYS_fsopen, EPERM},
    {"perf", SYS_perf_event_open, EACCES},
    {"scheduler-times", -1, 0, 0, "sched"},
    {"setns", SYS_setns, EPERM},
    {"sock-diag", SYS_socket, EPROTONOSUPPORT},  // as without the module sock_diag
    {"stacks", -1, 0, 0, "stack"},
    {"system-calls", -1, 0, 0, "syscall"},
    {"task-vma", -1, 0, BPF_WITHOUT_TASK_VMA},
    {"uprobe-multi", -1, 0, BPF_WITHOUT_UPROBE_MULTI},
};

std::string known_names() {
  std::string names;
  for (const Switch& each : switches) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", each.name);
  }
  return names;
}

/// A program for seccomp that refuses some system calls.
class Filter {
 public:
  Filter() {
    load(offsetof(seccomp_data, arch));
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, own_architecture, 1, 0));
    code_.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  }

  void refuse(int call, int error) {
    load(offsetof(seccomp_data, nr));
    if (call == SYS_socket) {  // only of one protocol; the lower halves of its arguments
      skip_unless(static_cast<uint32_t>(call), 5);
      load(offsetof(seccomp_data, args));
      skip_unless(AF_NETLINK, 3);
      load(offsetof(seccomp_data, args) + 2 * sizeof(uint64_t));
      constexpr uint32_t sock_diag = 4;  // NETLINK_SOCK_DIAG
      skip_unless(sock_diag, 1);
    } else {
      skip_unless(static_cast<uint32_t>(call), 1);
    }
    code_.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)));
    any_ = true;
  }

  Result<void> apply() {
    if (!any_) {
      return {};
    }
    code_.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    const sock_fprog program = {static_cast<unsigned short>(code_.size()), code_.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
      return system_failure("IPCSCOPE_WITHOUT: seccomp");
    }
    return {};
  }

 private:
  void load(size_t offset) {
    code_.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)));
  }
  /// Goes on when the word that was loaded is this, else behind so many instructions.
  void skip_unless(uint32_t value, uint8_t count) {
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count));
  }

  std::vector<sock_filter> code_;
  bool any_ = false;
};

}  // namespace

Result<void> do_without(std::string_view names) {
  Filter filter;
  for (std::string_view name = next_word(names, ", "); !name.empty();
       name = next_word(names, ", ")) {
    const auto* const found = std::find_if(std::begin(switches), std::end(switches),
                                           [&](const Switch& each) { return each.name == name; });
    if (found == std::end(switches)) {
      return failure(fmt::format("IPCSCOPE_WITHOUT: '{}' is none of {}", name, known_names()));
    }
    if (found->call >= 0) {
      filter.refuse(found->call, found->error);
    }
    do_without_in_bpf(found->lack);
    if (found->file != nullptr) {
      withhold_file(found->file);
    }
    if (name == "btf") {
      do_without_kernel_types();
    }
  }
  return filter.apply();
}

}  // namespace ipcscope
