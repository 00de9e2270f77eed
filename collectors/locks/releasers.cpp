// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/locks/releasers.h"

#include <fmt/format.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include <string>
#include <string_view>

#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

/// text: /proc/PID/task/TID/syscall, "NUMBER ARGUMENT...": the number decimal, arguments "0x...".
bool waits_for_good(std::string_view text) {
  if (next_number<int64_t>(text) != SYS_futex) {
    return false;
  }
  uint64_t arguments[4] = {};
  for (uint64_t& each : arguments) {
    std::string_view word = next_word(text);
    word.remove_prefix(word.starts_with("0x") ? 2 : 0);
    const auto value = parse_number<uint64_t>(word, 16);
    if (!value) {
      return false;
    }
    each = *value;
  }
  const auto operation = static_cast<uint32_t>(arguments[1]);
  const uint32_t command = operation & static_cast<uint32_t>(FUTEX_CMD_MASK);
  const bool waits = command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET ||
                     command == FUTEX_LOCK_PI || command == FUTEX_LOCK_PI2 ||
                     command == FUTEX_WAIT_REQUEUE_PI;
  return waits && (operation & FUTEX_PRIVATE_FLAG) != 0 && arguments[3] == 0;
}

}  // namespace

std::optional<uint64_t> releasers_left(const ProcRoot& proc, pid_t pid) {
  const Result<std::vector<int>> threads = proc.numbers(fmt::format("{}/task", pid).c_str());
  if (!threads || threads->empty()) {
    return std::nullopt;
  }
  uint64_t left = 0;
  for (const int tid : *threads) {
    const Result<std::string> call = proc.read(fmt::format("{}/task/{}/syscall", pid, tid));
    if (!call) {
      return std::nullopt;
    }
    left += waits_for_good(*call) ? 0 : 1;
  }
  return left;
}

}  // namespace ipcscope
