// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/hidden_processes.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "collectors/base/fd.h"

namespace ipcscope {

namespace {

std::vector<pid_t> listed(const ProcRoot& proc) {
  Result<std::vector<int>> all = proc.numbers(".");
  std::vector<pid_t> pids = all ? std::move(*all) : std::vector<pid_t>();
  std::sort(pids.begin(), pids.end());
  return pids;
}

Result<std::vector<pid_t>> shown(int program) {
  const Fd link(::bpf_link_create(program, 0, BPF_TRACE_ITER, nullptr));
  const Fd iterator(link ? ::bpf_iter_create(link.get()) : -1);
  if (!iterator) {
    return system_failure("BPF iterator over tasks");
  }
  std::vector<pid_t> pids;
  uint32_t part[1024];
  ssize_t bytes = 0;
  while ((bytes = ::read(iterator.get(), part, sizeof part)) > 0) {
    pids.insert(pids.end(), part, part + static_cast<size_t>(bytes) / sizeof part[0]);
  }
  if (bytes < 0) {
    return system_failure("BPF iterator over tasks");
  }
  std::sort(pids.begin(), pids.end());
  return pids;
}

}  // namespace

Result<HiddenProcesses> hidden_processes(const ProcRoot& proc, int program) {
  const std::vector<pid_t> before = listed(proc);
  const Result<std::vector<pid_t>> seen = shown(program);
  if (!seen) {
    return Failure(seen.error());
  }
  const std::vector<pid_t> after = listed(proc);
  std::vector<pid_t> stayed;
  std::set_intersection(before.begin(), before.end(), after.begin(), after.end(),
                        std::back_inserter(stayed));
  HiddenProcesses result;
  result.checked = stayed.size();
  std::set_difference(stayed.begin(), stayed.end(), seen->begin(), seen->end(),
                      std::back_inserter(result.hidden));
  return result;
}

}  // namespace ipcscope
