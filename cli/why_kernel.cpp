// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/why_kernel.h"

#include <fmt/format.h>
#include <sys/syscall.h>

#include <algorithm>
#include <iterator>

#include "analysis/kernel_stack.h"
#include "analysis/wait_words.h"
#include "collectors/fuse_server.h"
#include "collectors/process_facts.h"
#include "collectors/second_look.h"

namespace ipcscope {

namespace {

constexpr size_t most_threads = 64;  // of one answer

/// System calls whose first argument is the file that they are about.
constexpr int64_t calls_of_files[] = {SYS_read,      SYS_write,  SYS_pread64,    SYS_pwrite64,
                                      SYS_readv,     SYS_writev, SYS_preadv,     SYS_pwritev,
                                      SYS_fsync,     SYS_fstat,  SYS_fdatasync,  SYS_ftruncate,
                                      SYS_fallocate, SYS_ioctl,  SYS_getdents64, SYS_lseek};

std::optional<int> awaited_file(const Thread& thread) {
  return std::find(std::begin(calls_of_files), std::end(calls_of_files), thread.syscall) !=
                 std::end(calls_of_files)
             ? std::optional(static_cast<int>(thread.args[0]))
             : std::nullopt;
}

class KernelReader {
 public:
  KernelReader(WhyReport& report, const ProcRoot& proc)
      : report_(report), snapshot_(report.snapshot), proc_(proc) {}

  /// The sleep of the thread at which a chain ends; nothing where it is none or cannot be read.
  const KernelSleep* read(const WaitGraph::Chain& chain) {
    if (chain.root != Root::device) {
      return nullptr;
    }
    const Thread& thread = snapshot_.threads[chain.steps.back().thread];
    if (report_.kernel.size() < most_threads) {
      const auto [found, is_new] = report_.kernel.try_emplace(thread.tid);
      if (is_new) {
        found->second = sleep_of(thread);
      }
    }
    const auto found = report_.kernel.find(thread.tid);
    return found == report_.kernel.end() || found->second.functions.empty() ? nullptr
                                                                            : &found->second;
  }

 private:
  KernelSleep sleep_of(const Thread& thread) {
    KernelSleep sleep;
    const int pid = snapshot_.processes[thread.process].pid;
    KernelStack stack = explain_kernel_stack(read_thread_facts(proc_, pid, thread.tid).stack);
    if (stack.functions.empty() ||
        look_again(proc_, snapshot_, thread) == Motion::moved) {  // then it is another sleep
      return sleep;
    }
    sleep.functions = std::move(stack.functions);
    sleep.reason = stack.reason;
    if (stack.reason == "FUSE") {
      const auto server = find_fuse_server(proc_, pid, awaited_file(thread));
      if (const Process* process = server ? snapshot_.process(*server) : nullptr) {
        sleep.reason += ", served by " + process_label(*process);
      }
    }
    return sleep;
  }

  WhyReport& report_;
  const Snapshot& snapshot_;
  const ProcRoot& proc_;
};

}  // namespace

void add_kernel_stacks(WhyReport& report, const ProcRoot& proc) {
  KernelReader reader(report, proc);
  for (const ChainGroup& group : report.groups) {
    for (const ThreadIndex thread : group.threads) {
      reader.read(thread == group.threads.front() ? group.chain : report.graph->chain(thread));
    }
  }
  for (Finding& finding : report.findings) {
    for (const int32_t tid : finding.tids) {
      const Thread* thread = report.snapshot.thread(tid);
      const KernelSleep* sleep = thread == nullptr
                                     ? nullptr
                                     : reader.read(report.graph->chain(static_cast<ThreadIndex>(
                                           thread - report.snapshot.threads.data())));
      if (sleep != nullptr) {  // all of a finding end at the same thread
        finding.evidence.push_back(
            {"kernel", fmt::format("{}{}{}", sleep->reason, sleep->reason.empty() ? "" : ": ",
                                   fmt::join(sleep->functions, ", "))});
        break;
      }
    }
  }
}

}  // namespace ipcscope
