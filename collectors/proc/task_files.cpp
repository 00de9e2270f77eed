// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/proc/task_files.h"

#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

std::optional<uint64_t> next_hex(std::string_view& text) {
  std::string_view word = next_word(text);
  if (!word.starts_with("0x")) {
    return std::nullopt;
  }
  word.remove_prefix(2);
  return parse_number<uint64_t>(word, 16);
}

bool skip_words(std::string_view& text, int count) {
  while (count-- > 0) {
    if (next_word(text).empty()) {
      return false;
    }
  }
  return true;
}

template <typename T>
bool take(std::string_view& text, T& value) {
  const auto number = next_number<T>(text);
  if (number) {
    value = *number;
  }
  return number.has_value();
}

/// The value of "Key:\tvalue" when line has this key.
std::optional<std::string_view> value_of(std::string_view line, std::string_view key) {
  if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != ':') {
    return std::nullopt;
  }
  return line.substr(key.size() + 1);
}

/// "1446269.371846" milliseconds, as the scheduler's files print nanoseconds (SPLIT_NS).
std::optional<uint64_t> milliseconds(std::string_view text) {
  const size_t point = text.find('.');
  if (point == std::string_view::npos || text.size() - point - 1 != 6) {
    return std::nullopt;
  }
  const auto whole = parse_number<uint64_t>(text.substr(0, point));
  const auto part = parse_number<uint64_t>(text.substr(point + 1));
  if (!whole || !part || *whole > UINT64_MAX / 1000000 - 1) {
    return std::nullopt;
  }
  return *whole * 1000000 + *part;
}

}  // namespace

std::optional<TaskStat> parse_stat(std::string_view text) {
  const size_t open = text.find('(');
  const size_t close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) {
    return std::nullopt;
  }
  TaskStat stat;
  stat.comm = text.substr(open + 1, close - open - 1);
  text.remove_prefix(close + 1);
  const std::string_view state = next_word(text);
  if (state.size() != 1) {
    return std::nullopt;
  }
  stat.state = state[0];
  const bool complete = take(text, stat.ppid) && skip_words(text, 4) && take(text, stat.flags) &&
                        skip_words(text, 10) && take(text, stat.threads) && skip_words(text, 1) &&
                        take(text, stat.start_ticks) && take(text, stat.virtual_bytes) &&
                        take(text, stat.resident_pages) && skip_words(text, 1) &&
                        take(text, stat.start_code) && skip_words(text, 1) &&
                        take(text, stat.start_stack) && skip_words(text, 10) &&
                        take(text, stat.processor);
  return complete ? std::optional(stat) : std::nullopt;
}

TaskStatus parse_status(std::string_view text) {
  TaskStatus status;
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    if (auto uid = value_of(line, "Uid")) {
      bool complete = true;
      for (uint32_t& each : status.uids) {
        const auto number = next_number<uint32_t>(*uid);
        complete = complete && number;
        each = number.value_or(0);
      }
      status.uid = complete ? std::optional(status.uids[1]) : std::nullopt;
    } else if (auto tracer = value_of(line, "TracerPid")) {
      status.tracer = next_number<int32_t>(*tracer).value_or(0);
    } else if (auto pids = value_of(line, "NSpid")) {
      for (int level = 0; const auto pid = next_number<int32_t>(*pids); level++) {
        status.ns_pid = *pid;
        status.nested = level > 0;
      }
      return status;  // what follows, the memory, is longer than all of this
    }
  }
  return status;
}

std::optional<TaskSyscall> parse_syscall(std::string_view text) {
  TaskSyscall call;
  std::string_view rest = text;
  if (next_word(rest) == "running") {
    return call;
  }
  const auto number = next_number<int64_t>(text);
  if (!number) {
    return std::nullopt;
  }
  call.number = *number < 0 ? -1 : *number;
  if (*number >= 0) {
    for (uint64_t& arg : call.args) {
      const auto value = next_hex(text);
      if (!value) {
        return std::nullopt;
      }
      arg = *value;
    }
  }
  const auto stack = next_hex(text);
  const auto instruction = next_hex(text);
  if (!stack || !instruction) {
    return std::nullopt;
  }
  call.stack = *stack;
  call.instruction = *instruction;
  return call;
}

TaskSched parse_sched(std::string_view text) {
  TaskSched sched;
  next_line(text);  // "comm (pid, #threads: n)": a comm could imitate a key
  while (!text.empty() && !(sched.exec_start_ns && sched.switches)) {
    std::string_view line = next_line(text);
    const std::string_view key = next_word(line, " \t:");
    if (key == "se.exec_start") {
      sched.exec_start_ns = milliseconds(next_word(line, " \t:"));
    } else if (key == "nr_switches") {
      sched.switches = parse_number<uint64_t>(next_word(line, " \t:"));
    }
  }
  return sched;
}

}  // namespace ipcscope
