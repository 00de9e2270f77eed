// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/proc/locks.h"

#include <algorithm>

#include "bpf/filelock.h"
#include "collectors/base/parse.h"
#include "collectors/proc/identity.h"

namespace ipcscope {

std::optional<LockLine> parse_lock_line(std::string_view line) {
  LockLine lock;
  std::string_view number = next_word(line);
  if (number.empty() || number.back() != ':') {
    return std::nullopt;
  }
  number.remove_suffix(1);
  const auto parsed_number = parse_number<uint64_t>(number);
  std::string_view flavour = next_word(line);
  if (flavour == "->") {
    lock.waiting = true;
    flavour = next_word(line);
  }
  if (flavour == "POSIX" || flavour == "ACCESS") {
    lock.flavour = LOCK_POSIX;
  } else if (flavour == "FLOCK") {
    lock.flavour = LOCK_FLOCK;
  } else if (flavour == "OFDLCK") {
    lock.flavour = LOCK_OFD;
  } else if (flavour == "LEASE") {
    lock.flavour = LOCK_LEASE;
  } else {
    return std::nullopt;  // DELEG: nfsd's own
  }
  next_word(line);  // ADVISORY, MANDATORY, ACTIVE, BREAKING, BREAKER
  const std::string_view type = next_word(line);
  if (type == "READ") {
    lock.type = 0;
  } else if (type == "WRITE" || type == "RW") {
    lock.type = 1;
  } else if (type == "UNLCK" || type == "NONE") {
    lock.type = 2;
  } else {
    return std::nullopt;
  }
  const auto pid = next_number<int32_t>(line);
  std::string_view file = next_word(line);
  const auto major = parse_number<uint32_t>(next_word(file, ":"), 16);
  const auto minor = parse_number<uint32_t>(next_word(file, ":"), 16);
  const auto inode = parse_number<uint64_t>(next_word(file, ":"));
  const auto start = next_number<uint64_t>(line);
  const std::string_view end = next_word(line);
  const auto last =
      end == "EOF" ? std::optional<uint64_t>(UNKNOWN_U64) : parse_number<uint64_t>(end);
  if (!parsed_number || !pid || !major || !minor || *major > 0xfff || *minor > 0xfffff || !inode ||
      !start || !last) {
    return std::nullopt;
  }
  lock.number = *parsed_number;
  lock.pid = *pid;
  lock.device = *major << 20 | *minor;
  lock.inode = *inode;
  lock.start = *start;
  lock.end = *last;
  return lock;
}

void LockTable::load(std::string_view text) {
  uint64_t number = 0;
  while (!text.empty()) {
    const auto line = parse_lock_line(next_line(text));
    if (!line) {
      continue;
    }
    if (!line->waiting) {
      number = line->number;
      by_file_[made_identity(IdentityOf::inode, line->device, line->inode)].push_back(
          locks_.size());
      locks_.push_back({*line, 0});
    } else if (!locks_.empty() && number == line->number) {
      locks_.back().waiters++;
    }
  }
}

bool LockTable::names(uint32_t device, uint64_t inode) const {
  return by_file_.contains(made_identity(IdentityOf::inode, device, inode));
}

void LockReader::start() {
  std::call_once(once_, [this] {
    thread_ = std::thread([this] {
      std::string text;
      if (root_.read("locks", text)) {
        table_.load(text);
      }
    });
  });
}

const LockTable& LockReader::table() {
  if (thread_.joinable()) {
    thread_.join();
  }
  return table_;
}

size_t LockTable::find(const LockLine& lock) const {
  const auto found = by_file_.find(made_identity(IdentityOf::inode, lock.device, lock.inode));
  if (found == by_file_.end()) {
    return SIZE_MAX;
  }
  const auto same = std::find_if(found->second.begin(), found->second.end(), [&](size_t index) {
    const LockLine& held = locks_[index].line;
    return held.flavour == lock.flavour && held.type == lock.type && held.pid == lock.pid &&
           held.start == lock.start && held.end == lock.end;
  });
  return same == found->second.end() ? SIZE_MAX : *same;
}

}  // namespace ipcscope
