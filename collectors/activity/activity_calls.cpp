// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/activity/activity_calls.h"

#include <sys/msg.h>
#include <sys/socket.h>
#include <sys/syscall.h>

namespace ipcscope {

namespace {

constexpr uint8_t none = ACTIVITY_NO_ARGUMENT;

struct NumberedCall {
  int number;
  activity_call call;
};

constexpr activity_call at_file(uint8_t direction) {
  return {ACTIVITY_FILE, direction, 0, none, none, none, 0};
}
/// flags: which argument has them.
constexpr activity_call receives(uint8_t form, uint8_t flags) {
  return {form, ACTIVITY_READ, 0, none, none, flags, MSG_PEEK | MSG_ERRQUEUE};
}
constexpr activity_call splices(uint8_t from, uint8_t to) {
  return {ACTIVITY_SPLICE, ACTIVITY_WRITE, from, to, none, none, 0};
}
constexpr activity_call signals(uint8_t number) {
  return {ACTIVITY_SIGNAL, ACTIVITY_WRITE, number, none, none, none, 0};
}

constexpr NumberedCall table[] = {
    {SYS_read, at_file(ACTIVITY_READ)},
    {SYS_readv, at_file(ACTIVITY_READ)},
    {SYS_preadv2, at_file(ACTIVITY_READ)},
    {SYS_write, at_file(ACTIVITY_WRITE)},
    {SYS_writev, at_file(ACTIVITY_WRITE)},
    {SYS_pwritev2, at_file(ACTIVITY_WRITE)},
    {SYS_recvfrom, receives(ACTIVITY_FILE, 3)},
    {SYS_recvmsg, receives(ACTIVITY_FILE, 2)},
    {SYS_recvmmsg, receives(ACTIVITY_MESSAGES, 3)},
    {SYS_sendto, at_file(ACTIVITY_WRITE)},
    {SYS_sendmsg, at_file(ACTIVITY_WRITE)},
    {SYS_sendmmsg, {ACTIVITY_MESSAGES, ACTIVITY_WRITE, 0, none, none, none, 0}},
    {SYS_splice, splices(0, 2)},
    {SYS_tee, splices(none, 1)},  // what it reads stays there
    {SYS_sendfile, splices(1, 0)},
    {SYS_vmsplice, {ACTIVITY_VMSPLICE, ACTIVITY_WRITE, 0, none, none, none, 0}},
    {SYS_mq_timedsend, {ACTIVITY_FILE, ACTIVITY_WRITE, 0, none, 2, none, 0}},
    {SYS_mq_timedreceive, at_file(ACTIVITY_READ)},
    {SYS_msgsnd, {ACTIVITY_MSG, ACTIVITY_WRITE, 0, none, 2, none, 0}},
    {SYS_msgrcv, {ACTIVITY_MSG, ACTIVITY_READ, 0, none, none, 4, MSG_COPY}},
    {SYS_semop, {ACTIVITY_SEM, ACTIVITY_READ, 0, none, none, none, 0}},
    {SYS_semtimedop, {ACTIVITY_SEM, ACTIVITY_READ, 0, none, none, none, 0}},
    {SYS_kill, signals(1)},
    {SYS_tkill, signals(1)},
    {SYS_tgkill, signals(2)},
    {SYS_rt_sigqueueinfo, signals(1)},
    {SYS_rt_tgsigqueueinfo, signals(2)},
    {SYS_pidfd_send_signal, signals(1)},
};

}  // namespace

std::array<activity_call, TRACE_CALLS> activity_calls() {
  std::array<activity_call, TRACE_CALLS> calls{};
  for (const NumberedCall& each : table) {
    calls[static_cast<size_t>(each.number)] = each.call;
  }
  return calls;
}

}  // namespace ipcscope
