// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The stream of IPC operations: two probes at every system call, others at signals and io_uring.
 *
 * The enter side only notes the time: at the exit the saved registers still hold what the caller
 * passed. Programs run on all CPUs at once, so nothing here is kept in global variables (and
 * number_of() of kernel.h, which does, is not used): what is about a thread is in its slot.
 *
 * Channels are told by a key: kind and a number that no other live channel of that kind has. The
 * first event of a key is preceded by a record that says what it is.
 */
#include "trace_channel.h"
#include "trace_sum.h"

#define SOL_SOCKET 1
#define SCM_RIGHTS 1
#define CMSG_HEADER 16
#define PASSED_MAX 8 /* descriptors of a message that are told one by one */

#define F_SETLK 6
#define F_SETLKW 7
#define F_OFD_SETLK 37
#define F_OFD_SETLKW 38
#define F_SETLEASE 1024
#define F_SETPIPE_SZ 1031

struct large_record {
  struct trace_event_record event;
  u8 tail[TRACE_PAYLOAD_MAX + TRACE_STACK_MAX * 8];
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, struct large_record);
} trace_large SEC(".maps");

/** One operation, ready to be counted or sent. */
struct operation {
  u64 end_ns;
  u64 duration_ns;
  u64 channel;
  s64 result;
  u64 detail;
  u32 bytes;
  u32 kind;
  u32 word; /* the mechanism that it counts for: says into which ring it goes */
  u32 call;
  u32 index;
};

static __always_inline void fill_event(struct trace_event_record *event,
                                       const struct operation *operation, u32 tid) {
  event->kind = TRACE_EVENT;
  event->call = operation->call;
  event->tid = tid;
  event->end_ns = operation->end_ns;
  event->duration_ns = operation->duration_ns;
  event->channel = operation->channel;
  event->result = operation->result;
  event->detail = operation->detail;
  event->bytes = operation->bytes;
  event->payload = 0;
  event->stack = 0;
}

/** Sends an operation with what was moved and the stack, at most as much as fits. */
static __always_inline void send_large(const struct operation *operation, u32 tid, u64 buffer) {
  const u32 zero = 0;
  struct large_record *large = bpf_map_lookup_elem(&trace_large, &zero);
  if (!large) {
    return;
  }
  fill_event(&large->event, operation, tid);
  u32 size = 0;
  if (filter.payload && buffer && operation->bytes) {
    u32 bytes = operation->bytes < filter.payload ? operation->bytes : filter.payload;
    barrier_var(bytes);
    if (bytes > TRACE_PAYLOAD_MAX) {
      bytes = TRACE_PAYLOAD_MAX;
    }
    if (bpf_probe_read_user(large->tail, bytes, (void *)buffer) == 0) {
      large->event.payload = bytes;
      size = (bytes + 7) & ~7U;
    }
  }
  if (filter.stacks) {
    barrier_var(size);
    if (size > TRACE_PAYLOAD_MAX) {
      size = TRACE_PAYLOAD_MAX;
    }
    const long stack = bpf_get_task_stack(bpf_get_current_task_btf(), large->tail + size,
                                          TRACE_STACK_MAX * 8, BPF_F_USER_STACK);
    if (stack > 0) {
      large->event.stack = (u16)(stack / 8);
      size += (u32)stack;
    }
  }
  barrier_var(size);
  if (size > sizeof large->tail) {
    size = sizeof large->tail;
  }
  if (bpf_ringbuf_output(ring_of(operation->word), large, sizeof large->event + size,
                         BPF_RB_NO_WAKEUP)) {
    note_lost(operation->word);
  }
}

/** Sends an operation, or counts it. buffer: user address of what was moved. */
static __always_inline int send(struct trace_slot *slot, u64 task, u64 pid_tgid,
                                const struct operation *operation, u64 buffer) {
  const u32 word = operation->word;
  if (filter.summary) {
    return add_to_sum(operation->index, operation->kind, operation->result, operation->bytes,
                      operation->duration_ns);
  }
  if (word >= TRACE_WORDS) {
    return 0;
  }
  if (counters.lost[word] != counters.told[word]) {
    tell_lost(word);
  }
  if (!announce_thread(slot, task, pid_tgid, word)) {
    note_lost(word);
    return 0;
  }
  if (filter.payload || filter.stacks) {
    send_large(operation, (u32)pid_tgid, buffer);
    return 0;
  }
  struct trace_event_record *event = reserve(word, sizeof *event);
  if (!event) {
    note_lost(word);
    return 0;
  }
  fill_event(event, operation, (u32)pid_tgid);
  bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
  return 0;
}

/**
 * Run once by ipcscope itself, before the others are attached: tells them who that is. User space
 * does not know its number in the first PID namespace.
 */
SEC("raw_tp/sys_enter") /* but never attached */
int trace_self(void *ctx) {
  const u64 pid = GET_NUMBER(bpf_get_current_task(), task_struct, thread_pid);
  counters.own_group = bpf_get_current_pid_tgid() >> 32;
  counters.level = pid ? GET(pid, pid, level) : 0;
  return 0;
}

/** Tells the processes that BPF is shown, in ipcscope's numbers. */
SEC("iter/task")
int trace_processes(struct bpf_iter__task *ctx) {
  const u64 task = (u64)ctx->task;
  if (task && GET(task, task_struct, pid) == GET(task, task_struct, tgid)) {
    const u32 pid = own_pid(task, GET(task, task_struct, tgid));
    bpf_seq_write(ctx->meta->seq, &pid, sizeof pid);
  }
  return 0;
}

SEC("raw_tp/sys_enter")
int trace_enter(struct bpf_raw_tracepoint_args *ctx) {
  const u64 number = ctx->args[1];
  if (number >= TRACE_CALLS || !calls[number].shape) {
    return 0;
  }
  const u64 pid_tgid = bpf_get_current_pid_tgid();
  if (!is_wanted_task(bpf_get_current_task(), pid_tgid)) {
    return 0;
  }
  struct trace_slot *slot = slot_of(pid_tgid);
  if (slot) {
    slot->tid = (u32)pid_tgid;
    slot->call = (u32)number + 1;
    slot->begin_ns = bpf_ktime_get_ns();
  }
  return 0;
}

/** User address of the first byte that a call moved. */
static __noinline u64 payload_of(u32 form, u64 argument) {
  u64 address = argument;
  if (form == PAYLOAD_SYSV) {
    return argument + 8;
  }
  if (form == PAYLOAD_MESSAGE) { /* struct msghdr: name, its length, vector */
    bpf_probe_read_user(&address, sizeof address, (void *)(argument + 16));
    form = PAYLOAD_VECTOR;
  }
  if (form == PAYLOAD_VECTOR) {
    u64 base = 0;
    bpf_probe_read_user(&base, sizeof base, (void *)address);
    return base;
  }
  return address;
}

/** The channel of a call. */
__noinline int find_channel(u64 pid_tgid, u64 regs, u64 number, u64 outcome) {
  struct trace_slot *slot = slot_of(pid_tgid);
  if (!slot || number >= TRACE_CALLS) {
    return NOT_WANTED;
  }
  const struct trace_call *call = call_at(number);
  const s64 result = (s64)outcome;
  const u64 argument = argument_of(regs, call->argument);
  /* What was asked for by the call's own word is wanted whatever its channel is. */
  const u32 word =
      call->kind != TRACE_NO_KIND && is_wanted_kind(call->kind) ? call->kind : TRACE_NO_KIND;
  slot->found_key = 0;
  slot->found_kind = slot->found_word = call->kind;
  slot->detail = call->detail == 0xff ? 0 : argument_of(regs, call->detail);
  switch (call->shape) {
    case SHAPE_FD:
      return find_file(pid_tgid, (s32)argument, AS_FILE, word);
    case SHAPE_NEW_FD:
      /* Where there is none: the listening socket of accept(), or nothing. */
      if (result < 0 && call->argument == 7) {
        return 0;
      }
      return find_file(pid_tgid, result >= 0 ? (s32)result : (s32)argument, AS_FILE, word);
    case SHAPE_OPEN:
      if (result < 0) {
        return NOT_WANTED;
      }
      return find_file(pid_tgid, (s32)result, AS_FILE, word);
    case SHAPE_NEW_PAIR: {
      s32 pair[2] = {-1, -1};
      if (result < 0) {
        return 0;
      }
      bpf_probe_read_user(pair, sizeof pair, (void *)argument);
      slot->detail = (u64)(u32)pair[0] << 32 | (u32)pair[1];
      return find_file(pid_tgid, pair[0], AS_FILE, word);
    }
    case SHAPE_FUTEX:
    case SHAPE_FUTEX_WAITV: {
      u64 address = argument;
      if (call->shape == SHAPE_FUTEX_WAITV) {
        bpf_probe_read_user(&address, sizeof address, (void *)(argument + 8));
      }
      slot->found_kind = slot->found_word = TRACE_FUTEX;
      slot->found_key = make_key(TRACE_FUTEX, address);
      return is_wanted_channel(TRACE_FUTEX, address) ? 0 : NOT_WANTED;
    }
    case SHAPE_SYSV:
      return find_sysv(pid_tgid, call->kind, (u32)argument);
    case SHAPE_NEW_SYSV:
      return result < 0 ? 0 : find_sysv(pid_tgid, call->kind, (u32)result);
    case SHAPE_POLL: {
      const u64 count = argument_of(regs, call->argument + 1);
      struct {
        s32 fd;
        u32 events;
      } first = {-1, 0};
      slot->detail = count;
      if (!count || !argument) {
        return NOT_WANTED; /* a pause */
      }
      if (count == 1 || filter.channel_kind != UNKNOWN_U32) {
        bpf_probe_read_user(&first, sizeof first, (void *)argument);
        return find_file(pid_tgid, first.fd, AS_FILE, word);
      }
      slot->found_kind = slot->found_word = TRACE_POLL;
      return is_wanted_kind(TRACE_POLL) ? 0 : NOT_WANTED;
    }
    case SHAPE_SELECT:
      slot->detail = argument;
      slot->found_kind = slot->found_word = TRACE_POLL;
      return argument && filter.channel_kind == UNKNOWN_U32 ? 0 : NOT_WANTED;
    case SHAPE_LOCK:
      return find_file(pid_tgid, (s32)argument, TRACE_FLOCK, word);
    case SHAPE_FCNTL: {
      const u32 command = (u32)argument_of(regs, 1);
      u32 as = AS_FILE;
      u16 type = 0;
      if (command == F_SETLK || command == F_SETLKW) {
        as = TRACE_FCNTL;
      } else if (command == F_OFD_SETLK || command == F_OFD_SETLKW) {
        as = TRACE_OFD;
      } else if (command == F_SETLEASE) {
        as = TRACE_LEASE;
        type = (u16)argument_of(regs, 2);
      } else if (command != F_SETPIPE_SZ) {
        return NOT_WANTED;
      }
      if (as == TRACE_FCNTL || as == TRACE_OFD) {
        bpf_probe_read_user(&type, sizeof type, (void *)argument_of(regs, 2));
      }
      slot->detail = (u64)type << 32 | command;
      return find_file(pid_tgid, (s32)argument, as, word);
    }
    case SHAPE_SPLICE: {
      /* One event about two files: both into the same ring. */
      const int to =
          find_file(pid_tgid, (s32)argument_of(regs, call->detail), AS_FILE, filter.splice);
      const u64 key = to ? 0 : slot->found_key;
      const u32 kind = slot->found_kind;
      const int from = find_file(pid_tgid, (s32)argument, AS_FILE, filter.splice);
      slot->detail = from ? 0 : key;
      if (word == TRACE_NO_KIND && !is_wanted_kind(kind) && !is_wanted_kind(slot->found_kind)) {
        return NOT_WANTED;
      }
      if (from == NOT_WANTED) {
        slot->found_key = key;
        slot->found_kind = kind;
        return to;
      }
      return from;
    }
    case SHAPE_PATH:
      return find_path(pid_tgid, call->kind, argument);
    default:
      return NOT_WANTED;
  }
}

/** Tells each descriptor that came or went with a message. message: address of its struct msghdr.
 */
__noinline int tell_passed(u64 pid_tgid, int socket, u64 message, u32 call, u64 end_ns) {
  struct trace_slot *slot = slot_of(pid_tgid);
  if (!slot) {
    return 0;
  }
  /* Control data and its length are the fifth and sixth word. */
  u64 control[2] = {0, 0};
  bpf_probe_read_user(control, sizeof control, (void *)(message + 32));
  if (!control[0] || control[1] < CMSG_HEADER + 4) {
    return 0;
  }
  struct {
    u64 length;
    s32 level;
    s32 type;
  } head = {0, 0, 0};
  bpf_probe_read_user(&head, sizeof head, (void *)control[0]);
  if (head.level != SOL_SOCKET || head.type != SCM_RIGHTS || head.length < CMSG_HEADER + 4) {
    return 0;
  }
  if (find_file(pid_tgid, socket, AS_FILE, TRACE_FD) == NOT_WANTED ||
      slot->found_kind != TRACE_UNIX) {
    return 0;
  }
  const u64 channel = slot->found_key;
  const u64 count = (head.length - CMSG_HEADER) / 4;
  for (u32 i = 0; i < PASSED_MAX; i++) {
    if (i >= count) {
      break;
    }
    s32 fd = -1;
    bpf_probe_read_user(&fd, sizeof fd, (void *)(control[0] + CMSG_HEADER + i * 4));
    if (find_file(pid_tgid, fd, AS_FILE, TRACE_FD) == NO_ROOM) {
      note_lost(TRACE_FD);
      continue;
    }
    struct operation operation = {0};
    operation.end_ns = end_ns;
    operation.duration_ns = UNKNOWN_U64;
    operation.channel = channel;
    operation.call = call;
    operation.index = call == TRACE_CALL_SEND_FD ? 252 : 253;
    operation.kind = operation.word = TRACE_FD;
    operation.detail = slot->found_key;
    operation.result = fd;
    send(slot, bpf_get_current_task(), pid_tgid, &operation, 0);
  }
  return 0;
}

/**
 * Ends the call that the current thread is in. duration: ns, UNKNOWN_U64 when it began before the
 * trace. False: it is not wanted.
 */
static __always_inline bool end_call(struct trace_slot *slot, u64 task, u64 pid_tgid, u64 regs,
                                     u64 number, s64 result, u64 now, u64 *duration) {
  *duration = UNKNOWN_U64;
  if (slot->tid == (u32)pid_tgid && slot->call == number + 1) {
    *duration = now - slot->begin_ns;
    slot->call = 0;
  } else if (!is_wanted_task(task, pid_tgid)) {
    return false;
  }
  if (!is_native(regs)) {
    __sync_fetch_and_add(&counters.foreign, 1);
    return false;
  }
  return !(filter.errors && result >= 0) &&
         !(filter.slower_than && (*duration == UNKNOWN_U64 || *duration < filter.slower_than));
}

static __always_inline u32 bytes_moved(const struct trace_call *call, u64 regs, s64 result) {
  return result < 0                        ? 0
         : call->bytes == BYTES_RESULT     ? (u32)result
         : call->bytes == BYTES_ARGUMENT_2 ? (u32)argument_of(regs, 2)
                                           : 0;
}

static __always_inline bool passes_descriptors(const struct trace_call *call) {
  return call->moves && call->payload == PAYLOAD_MESSAGE && is_wanted_kind(TRACE_FD);
}

__noinline int note_end(u64 regs, u64 number, u64 outcome) {
  if (number >= TRACE_CALLS) {
    return 0;
  }
  const s64 result = (s64)outcome;
  const u64 pid_tgid = bpf_get_current_pid_tgid();
  const u64 task = bpf_get_current_task();
  struct trace_slot *slot = slot_of(pid_tgid);
  struct operation operation = {0};
  operation.end_ns = bpf_ktime_get_ns();
  if (!slot || !end_call(slot, task, pid_tgid, regs, number, result, operation.end_ns,
                         &operation.duration_ns)) {
    return 0;
  }
  const int error = find_channel(pid_tgid, regs, number, (u64)result);
  const u32 word = slot->found_word;
  if (error == NO_ROOM) {
    note_lost(word);
  } else if (error == 0 && word != TRACE_NO_KIND && is_wanted_kind(word)) {
    operation.channel = slot->found_key;
    operation.result = result;
    operation.detail = slot->detail;
    operation.kind = slot->found_kind;
    operation.word = word;
    operation.call = number;
    operation.index = call_at(number)->index;
    operation.bytes = bytes_moved(call_at(number), regs, result);
    u64 buffer = 0;
    if (filter.payload && call_at(number)->payload) {
      buffer = payload_of(call_at(number)->payload, argument_of(regs, 1));
    }
    send(slot, task, pid_tgid, &operation, buffer);
  }
  if (passes_descriptors(call_at(number)) && result >= 0) {
    tell_passed(pid_tgid, (s32)argument_of(regs, 0), argument_of(regs, 1),
                call_at(number)->moves == 1 ? TRACE_CALL_SEND_FD : TRACE_CALL_RECEIVE_FD,
                operation.end_ns);
  }
  return 0;
}

/**
 * Counts what is called most, without all that only a stream needs, and without a call of another
 * function. False: the call is of another shape, nothing was done.
 */
static __always_inline bool count_end(u64 regs, u64 number, s64 result) {
  const struct trace_call *call = call_at(number);
  const u32 shape = call->shape;
  if ((shape != SHAPE_FD && shape != SHAPE_SYSV && shape != SHAPE_FUTEX) ||
      passes_descriptors(call)) {
    return false;
  }
  const u64 pid_tgid = bpf_get_current_pid_tgid();
  const u64 task = bpf_get_current_task();
  struct trace_slot *slot = slot_of(pid_tgid);
  u64 duration = UNKNOWN_U64;
  if (!slot ||
      !end_call(slot, task, pid_tgid, regs, number, result, bpf_ktime_get_ns(), &duration)) {
    return true;
  }
  u32 kind = shape == SHAPE_FUTEX ? TRACE_FUTEX : call->kind;
  const u64 argument = argument_of(regs, call->argument);
  if (shape == SHAPE_FD) {
    const u32 word = kind != TRACE_NO_KIND && is_wanted_kind(kind) ? kind : TRACE_NO_KIND;
    struct led_to to;
    if (find_subject(&to, task, (s32)argument, AS_FILE, word)) {
      return true;
    }
    /* Out of memory it is any number: else the verifier would follow each kind from here on. */
    slot->found_kind = to.kind;
    barrier();
    kind = slot->found_kind;
  } else if (!is_wanted_channel(kind, shape == SHAPE_SYSV ? (u32)argument : argument)) {
    return true;
  }
  add_to_sum(call->index, kind, result, bytes_moved(call, regs, result), duration);
  return true;
}

SEC("raw_tp/sys_exit")
int trace_exit(struct bpf_raw_tracepoint_args *ctx) {
  const u64 regs = ctx->args[0];
  u64 number = (u64)number_of_call(regs);
  barrier_var(number); /* else what is checked is a copy of 32 bits */
  if (number >= TRACE_CALLS || !calls[number].shape ||
      (filter.summary && count_end(regs, number, (s64)ctx->args[1]))) {
    return 0;
  }
  return note_end(regs, number, ctx->args[1]);
}

/**
 * Tells a signal. target: the task that it is for, whose process stands for the channel. detail:
 * number of the signal, and above it the thread.
 */
static __always_inline int tell_signal(u64 target, u32 call, u32 index, s64 outcome, u64 detail) {
  if (filter.channel_kind != UNKNOWN_U32 || filter.slower_than) {
    return 0;
  }
  const u64 pid_tgid = bpf_get_current_pid_tgid();
  struct trace_slot *slot = slot_of(pid_tgid);
  if (!slot) {
    return 0;
  }
  struct operation operation = {0};
  operation.end_ns = bpf_ktime_get_ns();
  operation.duration_ns = UNKNOWN_U64;
  operation.channel = make_key(TRACE_SIGNAL, own_pid(target, GET(target, task_struct, tgid)));
  operation.result = outcome;
  operation.detail = detail;
  operation.kind = operation.word = TRACE_SIGNAL;
  operation.call = call;
  operation.index = index;
  return send(slot, bpf_get_current_task(), pid_tgid, &operation, 0);
}

/* include/trace/events/signal.h: sig, info, task, group, result. */
SEC("raw_tp/signal_generate")
int trace_signal_generate(struct bpf_raw_tracepoint_args *ctx) {
  if (!is_wanted_kind(TRACE_SIGNAL)) {
    return 0; /* it is not attached: nothing to be verified */
  }
  const u64 target = ctx->args[2];
  const s64 outcome = (s32)ctx->args[4]; /* TRACE_SIGNAL_DELIVERED 0, IGNORED 1, PENDING 2, ... */
  const u32 group = GET(target, task_struct, tgid);
  if (group == counters.own_group || (filter.errors && outcome < 3)) {
    return 0;
  }
  const bool reaches_wanted = filter.by_pid && is_wanted_pid(target, group);
  if (!reaches_wanted && !is_wanted_task(bpf_get_current_task(), bpf_get_current_pid_tgid())) {
    return 0;
  }
  return tell_signal(target, TRACE_CALL_SIGNAL_GENERATE, 250, outcome,
                     (u64)(u32)ctx->args[0] | (u64)GET(target, task_struct, pid) << 32);
}

/* sig, info, action. */
SEC("raw_tp/signal_deliver")
int trace_signal_deliver(struct bpf_raw_tracepoint_args *ctx) {
  const u64 current = bpf_get_current_task();
  if (!is_wanted_kind(TRACE_SIGNAL) || filter.errors ||
      !is_wanted_task(current, bpf_get_current_pid_tgid())) {
    return 0;
  }
  return tell_signal(current, TRACE_CALL_SIGNAL_DELIVER, 251, 0, (u32)ctx->args[0]);
}

/* Since 6.3: the request. Its descriptor is not resolved yet, or is one of the ring's own table. */
SEC("raw_tp/io_uring_submit_req")
int trace_io_uring(struct bpf_raw_tracepoint_args *ctx) {
  const u64 pid_tgid = bpf_get_current_pid_tgid();
  const u64 current = bpf_get_current_task();
  const u64 request = ctx->args[0];
  if (!HAS(io_kiocb, fd) || !HAS(io_kiocb, opcode) || !is_wanted_task(current, pid_tgid) ||
      filter.errors || filter.slower_than) {
    return 0;
  }
  if (GET(request, io_kiocb, flags) & 1) { /* REQ_F_FIXED_FILE */
    return 0;
  }
  struct trace_slot *slot = slot_of(pid_tgid);
  const int error = find_file(pid_tgid, (int)GET(request, io_kiocb, fd), AS_FILE,
                              is_wanted_kind(TRACE_IO_URING) ? TRACE_IO_URING : TRACE_NO_KIND);
  if (!slot || error == NOT_WANTED) {
    return 0;
  }
  if (error == NO_ROOM) {
    note_lost(slot->found_word);
    return 0;
  }
  struct operation operation = {0};
  operation.end_ns = bpf_ktime_get_ns();
  operation.duration_ns = UNKNOWN_U64;
  operation.channel = slot->found_key;
  operation.detail = GET(request, io_kiocb, opcode);
  operation.kind = slot->found_kind;
  operation.word = slot->found_word;
  operation.call = TRACE_CALL_IO_URING;
  operation.index = 254;
  send(slot, current, pid_tgid, &operation, 0);
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
