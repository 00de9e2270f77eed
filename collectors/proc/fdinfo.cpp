// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/proc/fdinfo.h"

#include <fcntl.h>

#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

/// Cuts "key: value" at the colon; the value has no blanks around it.
struct Line {
  std::string_view key;
  std::string_view value;
};

Line split(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) {
    return {line, {}};
  }
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) {
    value.remove_prefix(1);
  }
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) {
    value.remove_suffix(1);
  }
  return {line.substr(0, colon), value};
}

/// The value of the first line with this key.
std::optional<std::string_view> find(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const Line line = split(next_line(text));
    if (line.key == key) {
      return line.value;
    }
  }
  return std::nullopt;
}

template <typename T>
std::optional<T> find_number(std::string_view text, std::string_view key, int base = 10) {
  const auto value = find(text, key);
  return value ? parse_number<T>(*value, base) : std::nullopt;
}

/// Decimal, or hexadecimal after "0x": io_uring's masks changed from one to the other.
std::optional<uint32_t> find_any(std::string_view text, std::string_view key) {
  auto value = find(text, key);
  if (!value) {
    return std::nullopt;
  }
  if (value->starts_with("0x")) {
    return parse_number<uint32_t>(value->substr(2), 16);
  }
  return parse_number<uint32_t>(*value);
}

/// "(seconds, nanoseconds)"
std::optional<uint64_t> timespec_ns(std::string_view text) {
  const auto seconds = parse_number<uint64_t>(next_word(text, "(), "));
  const auto nanoseconds = parse_number<uint64_t>(next_word(text, "(), "));
  if (!seconds || !nanoseconds || *nanoseconds >= 1000000000U ||
      *seconds >= UINT64_MAX / 1000000000U - 1) {
    return std::nullopt;
  }
  return *seconds * 1000000000U + *nanoseconds;
}

}  // namespace

std::optional<FdInfo> parse_fdinfo(std::string_view text) {
  FdInfo info;
  bool has_flags = false;
  while (!text.empty()) {
    const std::string_view before = text;
    const Line line = split(next_line(text));
    if (line.key == "flags") {
      const auto flags = parse_number<uint32_t>(line.value, 8);
      if (!flags) {
        return std::nullopt;
      }
      info.flags = *flags & ~static_cast<uint32_t>(O_CLOEXEC);
      has_flags = true;
    } else if (line.key == "mnt_id") {
      info.mount = parse_number<int>(line.value);
    } else if (line.key == "ino") {
      info.inode = parse_number<uint64_t>(line.value);
    } else if (line.key != "pos") {
      info.rest = before;
      break;
    }
  }
  return has_flags ? std::optional(info) : std::nullopt;
}

std::optional<EventfdInfo> parse_eventfd(std::string_view rest) {
  const auto count = find_number<uint64_t>(rest, "eventfd-count", 16);
  if (!count) {
    return std::nullopt;
  }
  return EventfdInfo{*count, find_number<uint32_t>(rest, "eventfd-id"),
                     find_number<uint32_t>(rest, "eventfd-semaphore")};
}

void parse_epoll(std::string_view rest, std::vector<EpollItem>& items) {
  while (!rest.empty()) {
    std::string_view line = next_line(rest);
    if (!line.starts_with("tfd:")) {
      continue;
    }
    EpollItem item;
    // "tfd: N events: X data: X pos:N ino:X sdev:X": with and without a blank after the colon.
    while (true) {
      const std::string_view key = next_word(line, " \t:");
      const std::string_view value = next_word(line, " \t:");
      if (value.empty()) {
        break;
      }
      if (key == "tfd") {
        item.fd = parse_number<int32_t>(value).value_or(-1);
      } else if (key == "events") {
        item.events = parse_number<uint32_t>(value, 16).value_or(0);
      } else if (key == "data") {
        item.data = parse_number<uint64_t>(value, 16).value_or(0);
      } else if (key == "ino") {
        item.inode = parse_number<uint64_t>(value, 16).value_or(0);
      } else if (key == "sdev") {
        item.device = parse_number<uint32_t>(value, 16).value_or(0);
      }
    }
    if (item.fd >= 0) {
      items.push_back(item);
    }
  }
}

std::optional<uint64_t> parse_signalfd(std::string_view rest) {
  return find_number<uint64_t>(rest, "sigmask", 16);
}

std::optional<TimerfdInfo> parse_timerfd(std::string_view rest) {
  const auto clock = find_number<uint32_t>(rest, "clockid");
  const auto ticks = find_number<uint64_t>(rest, "ticks");
  const auto value = find(rest, "it_value");
  const auto interval = find(rest, "it_interval");
  if (!clock || !ticks || !value || !interval) {
    return std::nullopt;
  }
  const auto remaining_ns = timespec_ns(*value);
  const auto interval_ns = timespec_ns(*interval);
  if (!remaining_ns || !interval_ns) {
    return std::nullopt;
  }
  return TimerfdInfo{*clock, *ticks, *remaining_ns, *interval_ns};
}

std::optional<int32_t> parse_pidfd(std::string_view rest) {
  return find_number<int32_t>(rest, "Pid");
}

uint32_t count_inotify(std::string_view rest) {
  uint32_t count = 0;
  while (!rest.empty()) {
    count += next_line(rest).starts_with("inotify wd:") ? 1 : 0;
  }
  return count;
}

IoUringInfo parse_io_uring(std::string_view rest) {
  IoUringInfo info;
  const auto distance = [&](const char* from, const char* to) -> std::optional<uint32_t> {
    const auto head = find_any(rest, from);
    const auto tail = find_any(rest, to);
    if (!head || !tail) {
      return std::nullopt;
    }
    return *tail - *head;  // both count on for ever and wrap
  };
  if (const auto mask = find_any(rest, "SqMask")) {
    info.sq_entries = *mask + 1;
  }
  if (const auto mask = find_any(rest, "CqMask")) {
    info.cq_entries = *mask + 1;
  }
  info.sq_pending = distance("SqHead", "SqTail");
  info.cq_pending = distance("CqHead", "CqTail");
  return info;
}

std::optional<uint32_t> parse_tty_index(std::string_view rest) {
  return find_number<uint32_t>(rest, "tty-index");
}

std::optional<uint32_t> parse_scm_fds(std::string_view rest) {
  return find_number<uint32_t>(rest, "scm_fds");
}

}  // namespace ipcscope
