// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/stacks/registers.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "collectors/base/fd.h"
#include "collectors/base/parse.h"
#include "collectors/bpf_loading.h"
#include "collectors/kernel_layout.h"
#include "collectors/name_spaces.h"
#include "collectors/proc/task_files.h"

namespace ipcscope {

namespace {

#if defined(__x86_64__)
constexpr size_t stack_register = 7;
#else
constexpr size_t stack_register = 31;
#endif

/// A link of the iterator to the threads of one process: with the kernel's filter since 6.1, else
/// to all tasks, where the program skips the others.
Fd link_to(int program, int pid) {
  bpf_iter_link_info info{};
  info.task.pid = static_cast<uint32_t>(pid);
  bpf_link_create_opts options{};
  options.sz = sizeof options;
  options.iter_info = &info;
  options.iter_info_len = sizeof info;
  Fd link(::bpf_link_create(program, 0, BPF_TRACE_ITER, &options));
  if (!link) {
    link.reset(::bpf_link_create(program, 0, BPF_TRACE_ITER, nullptr));
  }
  return link;
}

/// The sum of both counts in /proc/PID/task/TID/status.
uint64_t switches_of(std::string_view status) {
  uint64_t sum = 0;
  while (!status.empty()) {
    std::string_view line = next_line(status);
    const std::string_view key = next_word(line);
    if (key == "voluntary_ctxt_switches:" || key == "nonvoluntary_ctxt_switches:") {
      sum += next_number<uint64_t>(line).value_or(0);
    }
  }
  return sum;
}

}  // namespace

uint64_t ThreadRegisters::stack() const { return values[stack_register]; }

bool ThreadRegisters::slept_until(const ThreadRegisters& later) const {
  return known == later.known && !running && !later.running && switches == later.switches &&
         instruction == later.instruction && stack() == later.stack();
}

RegisterReader::~RegisterReader() {
  if (program_.destroy != nullptr) {
    program_.destroy(program_.skeleton);
  }
}

bool RegisterReader::load() {
  if (use_bpf_ && program_.skeleton == nullptr) {
    const Result<kernel_layout> layout = read_kernel_layout();
    use_bpf_ =
        is_live(proc_) && layout && load_registers(&program_, &*layout, BPF_LOADING_BEST) == 0;
  }
  return use_bpf_;
}

Result<std::vector<registers_record>> RegisterReader::iterate(int pid) const {
  *program_.wanted_group = static_cast<unsigned>(pid);
  const Fd link = link_to(program_.program, pid);
  const Fd iterator(link ? ::bpf_iter_create(link.get()) : -1);
  if (!iterator) {
    return system_failure("BPF iterator over registers");
  }
  std::vector<registers_record> records;
  std::array<registers_record, 64> part;
  size_t held = 0;  // bytes in part: a read may end within a record
  while (true) {
    const ssize_t got =
        ::read(iterator.get(), reinterpret_cast<char*>(part.data()) + held, sizeof part - held);
    if (got == 0) {
      return records;
    }
    if (got < 0) {
      if (errno == EINTR || errno == EAGAIN) {
        continue;
      }
      return system_failure("reading the BPF iterator over registers");
    }
    held += static_cast<size_t>(got);
    const size_t whole = held / sizeof(registers_record);
    records.insert(records.end(), part.begin(), part.begin() + static_cast<ptrdiff_t>(whole));
    held -= whole * sizeof(registers_record);
    std::memmove(part.data(), part.data() + whole, held);
  }
}

ThreadRegisters RegisterReader::from_proc(int pid, int tid) const {
  ThreadRegisters thread;
  thread.tid = tid;
  const Result<std::string> text = proc_.read(fmt::format("{}/task/{}/syscall", pid, tid));
  if (!text) {
    return thread;
  }
  if (text->starts_with("running")) {
    thread.running = true;
    return thread;
  }
  const auto call = parse_syscall(*text);
  if (!call || call->stack == 0) {
    return thread;
  }
  const Result<std::string> status = proc_.read(fmt::format("{}/task/{}/status", pid, tid));
  thread.known = ThreadRegisters::Known::stack_and_pc;
  thread.switches = status ? switches_of(*status) : 0;
  thread.instruction = call->instruction;
  thread.values[stack_register] = call->stack;
  return thread;
}

std::vector<ThreadRegisters> RegisterReader::read(int pid, std::span<const int> tids) {
  std::unordered_map<int, const registers_record*> by_tid;
  Result<std::vector<registers_record>> records = failure("not read");
  if (load()) {
    records = iterate(pid);
    if (records) {
      for (const registers_record& each : *records) {
        by_tid.emplace(static_cast<int>(each.tid), &each);
      }
    }
  }
  std::vector<ThreadRegisters> threads;
  threads.reserve(tids.size());
  for (const int tid : tids) {
    const auto found = by_tid.find(tid);
    if (found == by_tid.end()) {
      threads.push_back(from_proc(pid, tid));
      continue;
    }
    const registers_record& record = *found->second;
    ThreadRegisters thread;
    thread.tid = tid;
    thread.running = record.running != 0;
    thread.known = thread.running ? ThreadRegisters::Known::nothing : ThreadRegisters::Known::all;
    thread.switches = record.switches;
    thread.instruction = record.instruction;
    std::copy(std::begin(record.values), std::end(record.values), thread.values.begin());
    threads.push_back(thread);
  }
  return threads;
}

}  // namespace ipcscope
