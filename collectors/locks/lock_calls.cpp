// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/locks/lock_calls.h"

#include <sys/syscall.h>

#include <initializer_list>
#include <optional>

#include "collectors/syscalls.h"

// As in collectors/syscalls.cpp.
#ifndef SYS_futex_wake
#define SYS_futex_wake 454
#endif
#ifndef SYS_futex_requeue
#define SYS_futex_requeue 456
#endif

namespace ipcscope {

namespace {

struct Class {
  lock_class wait;
  lock_purpose purpose;
};

/// Nothing for calls in which nobody waits at a channel, or at several.
std::optional<Class> class_of(const SystemCall& call) {
  switch (call.blocking) {
    case Blocking::fd_read:
      if (call.number == SYS_ioctl) {
        return std::nullopt;  // any of a thousand things
      }
      if (call.number == SYS_epoll_pwait || call.number == SYS_epoll_pwait2 ||
#ifdef SYS_epoll_wait
          call.number == SYS_epoll_wait ||
#endif
          call.number == SYS_io_uring_enter) {
        return Class{WAIT_AT_FILE, LOCK_FOR_EVENT};
      }
      return Class{WAIT_AT_FILE, LOCK_FOR_DATA};
    case Blocking::fd_write:
    case Blocking::connect:
    case Blocking::send_to:
    case Blocking::send_message:
    case Blocking::send_file:
      return Class{WAIT_AT_FILE, LOCK_FOR_ROOM};
    case Blocking::transfer:
      return Class{WAIT_AT_SPLICE, LOCK_FOR_DATA};
    case Blocking::semaphore_set:
      return Class{WAIT_AT_SEM, LOCK_FOR_LOCK};
    case Blocking::message_queue:
      return Class{WAIT_AT_MSG, call.number == SYS_msgsnd ? LOCK_FOR_ROOM : LOCK_FOR_DATA};
    case Blocking::flock:
      return Class{WAIT_AT_FLOCK, LOCK_FOR_LOCK};
    case Blocking::fcntl:
      return Class{WAIT_AT_FCNTL, LOCK_FOR_LOCK};
    case Blocking::futex:
      return Class{WAIT_AT_FUTEX, LOCK_FOR_LOCK};
    case Blocking::futex2:
      return Class{WAIT_AT_FUTEX2, LOCK_FOR_LOCK};
    case Blocking::futex_vector:
      return Class{WAIT_AT_FUTEXES, LOCK_FOR_LOCK};
    default:
      return std::nullopt;
  }
}

/// Whether a class holds any of the kinds.
bool wanted(lock_class wait, std::bitset<kind_count> kinds) {
  if (kinds.none()) {
    return true;
  }
  const auto has = [&](std::initializer_list<Kind> some) {
    for (const Kind kind : some) {
      if (kinds.test(static_cast<size_t>(kind))) {
        return true;
      }
    }
    return false;
  };
  switch (wait) {
    case WAIT_AT_FUTEX:
    case WAIT_AT_FUTEX2:
    case WAIT_AT_FUTEXES:
      return has({Kind::futex, Kind::posixsem});
    case WAIT_AT_SEM:
      return has({Kind::sem});
    case WAIT_AT_MSG:
      return has({Kind::msg});
    case WAIT_AT_FLOCK:
      return has({Kind::flock});
    case WAIT_AT_FCNTL:
      return has({Kind::fcntl, Kind::ofd});
    default: {
      std::bitset<kind_count> others = kinds;
      for (const Kind kind : {Kind::futex, Kind::posixsem, Kind::sem, Kind::msg, Kind::flock,
                              Kind::fcntl, Kind::ofd}) {
        others.reset(static_cast<size_t>(kind));
      }
      return others.any();
    }
  }
}

}  // namespace

std::array<lock_call, LOCK_CALLS> make_lock_calls(std::bitset<kind_count> kinds) {
  std::array<lock_call, LOCK_CALLS> calls{};
  for (size_t number = 0; number < calls.size(); number++) {
    const SystemCall* known = find_system_call(static_cast<int64_t>(number));
    const std::optional<Class> what = known != nullptr ? class_of(*known) : std::nullopt;
    if (!what || !wanted(what->wait, kinds)) {
      continue;
    }
    lock_call& call = calls[number];
    call.wait = static_cast<u8>(what->wait);
    call.purpose = static_cast<u8>(what->purpose);
    if (known->limit != TimeLimit::none) {
      call.limit = static_cast<u8>(known->limit_argument + 1);
      call.limit_ms = known->limit == TimeLimit::milliseconds ? 1 : 0;
    }
    // Who waits may end the wait of another by the same call.
    const bool futex = what->wait == WAIT_AT_FUTEX2 || what->wait == WAIT_AT_FUTEXES;
    call.wake = static_cast<u8>(futex                          ? WAIT_AT_FUTEX
                                : what->wait == WAIT_AT_SPLICE ? WAIT_AT_FILE
                                                               : what->wait);
  }
  calls[SYS_futex_wake].wake = calls[SYS_futex_requeue].wake = WAIT_AT_FUTEX;
  calls[SYS_semctl].wake = WAIT_AT_SEM;
  calls[SYS_msgctl].wake = WAIT_AT_MSG;
  return calls;
}

}  // namespace ipcscope
