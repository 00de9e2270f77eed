// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/second_look.h"

#include <fmt/format.h>

#include <optional>

#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

std::optional<uint64_t> switches_of(std::string_view status) {
  std::optional<uint64_t> sum;
  while (!status.empty()) {
    std::string_view line = next_line(status);
    const std::string_view key = next_word(line, ":");
    if (key == "voluntary_ctxt_switches" || key == "nonvoluntary_ctxt_switches") {
      if (const auto count = parse_number<uint64_t>(next_word(line, ": \t"))) {
        sum = sum.value_or(0) + *count;
      }
    }
  }
  return sum;
}

/// "202 0x7f.. 0x80 0x2 ... 0xSP 0xPC": the same call with the same arguments.
Motion compare_call(std::string_view text, const Thread& thread) {
  const auto number = next_number<int64_t>(text);
  if (!number || *number != thread.syscall) {
    return Motion::moved;
  }
  for (const uint64_t argument : thread.args) {
    std::string_view word = next_word(text);
    word.remove_prefix(std::min<size_t>(word.size(), 2));
    if (parse_number<uint64_t>(word, 16) != argument) {
      return Motion::moved;
    }
  }
  return Motion::still;
}

}  // namespace

Motion look_again(const ProcRoot& proc, const Snapshot& snapshot, const Thread& thread) {
  const int pid = snapshot.processes[thread.process].pid;
  const Result<std::string> status = proc.read(fmt::format("{}/task/{}/status", pid, thread.tid));
  if (!status) {
    return status.error().code == std::errc::no_such_file_or_directory ||
                   status.error().code == std::errc::no_such_process
               ? Motion::moved
               : Motion::unknown;
  }
  const std::optional<uint64_t> now = switches_of(*status);
  if (now && thread.switches) {
    return *now == *thread.switches ? Motion::still : Motion::moved;
  }
  if (thread.syscall >= 0) {
    const Result<std::string> call = proc.read(fmt::format("{}/task/{}/syscall", pid, thread.tid));
    if (call) {
      return compare_call(*call, thread);
    }
  }
  return Motion::unknown;
}

}  // namespace ipcscope
