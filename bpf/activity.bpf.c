// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How much goes through each channel, by process: one probe where system calls come back. Their
 * arguments are still in the saved registers then. Nothing is sent: user space takes the sums out
 * of the map, and each of them carries what is needed to name its channel.
 */
#include "activity.h"

#include "call.h"

#define MESSAGE_SIZE 64 /* struct mmsghdr: struct msghdr, and how many bytes were moved */
#define MESSAGE_LENGTH 56
#define MESSAGES_MAX 256
#define O_ACCMODE 3
#define SEM_OP 2 /* struct sembuf: number, operation, flags */

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, ACTIVITY_PAIRS);
  __type(key, struct activity_key);
  __type(value, struct activity_value);
#ifdef DIRECT_READS /* before 6.1 the kernel warns of a program of this kind that allocates */
  __uint(map_flags, BPF_F_NO_PREALLOC);
#endif
} activity_pairs SEC(".maps");

/* New values: too large for the stack. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, struct activity_value);
} activity_fresh SEC(".maps");

/* Constants, as layout is. */
struct activity_call calls[TRACE_CALLS] SEC(".rodata");

struct activity_counters counters;

/** What is counted, apart from where. */
struct deed {
  u64 operations;
  u64 bytes;
  u32 direction;
};

static __always_inline void add(struct activity_value *value, const struct deed *deed) {
  const u32 way = deed->direction == ACTIVITY_WRITE;
  __sync_fetch_and_add(&value->operations[way], deed->operations);
  if (deed->bytes) {
    __sync_fetch_and_add(&value->bytes[way], deed->bytes);
  }
}

/** A value with nothing counted in it, but for what says whose it is; NULL: never. */
static __always_inline struct activity_value *make_value(u64 key) {
  const u32 zero = 0;
  struct activity_value *value = bpf_map_lookup_elem(&activity_fresh, &zero);
  if (!value) {
    return NULL;
  }
  const u64 leader = GET_NUMBER(bpf_get_current_task(), task_struct, group_leader);
  value->pid = pid_at(GET_NUMBER(leader, task_struct, thread_pid), counters.level);
  *(u64 *)&value->comm[0] = number_at(leader + OFFSET(task_struct, comm));
  *(u64 *)&value->comm[8] = number_at(leader + OFFSET(task_struct, comm) + 8);
  clear_channel(&value->channel);
  value->channel.key = key;
  return value;
}

static __always_inline void insert(const struct activity_key *key, struct activity_value *value,
                                   const struct deed *deed) {
  bpf_map_update_elem(&activity_pairs, key, value, BPF_NOEXIST);
  /* It may have been made on another CPU meanwhile. */
  struct activity_value *made = bpf_map_lookup_elem(&activity_pairs, key);
  if (made) {
    add(made, deed);
  } else {
    __sync_fetch_and_add(&counters.lost, deed->operations);
  }
}

static __always_inline struct activity_key key_of(u64 channel) {
  const struct activity_key key = {
      .channel = channel, .group = bpf_get_current_pid_tgid() >> 32, .reserved = 0};
  return key;
}

static __always_inline bool is_counted(u32 kind) {
  return kind <= TRACE_VSOCK || kind == TRACE_MQ || kind == TRACE_EVENTFD ||
         kind == TRACE_SIGNALFD || kind == TRACE_TIMERFD || kind == TRACE_INOTIFY ||
         kind == TRACE_PTY;
}

/** fd < 0: it is not known. */
static __always_inline void count_at_file(u64 file, int fd, const struct deed *deed) {
  struct led_to to;
  identify(&to, file, UNKNOWN_U32, counters.level);
  if (!is_counted(to.kind)) {
    return;
  }
  const struct activity_key key = key_of(make_key(to.kind, to.distinct));
  struct activity_value *value = bpf_map_lookup_elem(&activity_pairs, &key);
  if (value) {
    add(value, deed);
    return;
  }
  value = make_value(key.channel);
  if (value) {
    describe_channel(&value->channel, &to, counters.level);
    value->channel.key = key.channel;
    value->channel.fd = fd;
    insert(&key, value, deed);
  }
}

/** A deed in scalars: the verifier checks this once, and not at each of its callers. */
__noinline int count_at_descriptor(int fd, u32 direction, u64 operations, u64 bytes) {
  const u64 file = file_behind(bpf_get_current_task(), fd);
  const struct deed deed = {.operations = operations, .bytes = bytes, .direction = direction};
  if (file) {
    count_at_file(file, fd, &deed);
  } else {
    __sync_fetch_and_add(&counters.unknown, 1);
  }
  return 0;
}

__noinline int count_at_sysv(u32 kind, u32 id, u32 direction, u64 bytes) {
  const u32 space = ipc_space_of(bpf_get_current_task());
  const struct activity_key key = key_of(sysv_key(kind, id, space));
  const struct deed deed = {.operations = 1, .bytes = bytes, .direction = direction};
  struct activity_value *value = bpf_map_lookup_elem(&activity_pairs, &key);
  if (value) {
    add(value, &deed);
    return 0;
  }
  value = make_value(key.channel);
  if (value) {
    value->channel.channel_kind = kind;
    value->channel.number = id;
    value->channel.name_space = space;
    insert(&key, value, &deed);
  }
  return 0;
}

__noinline int count_signal(void) {
  const struct activity_key key = key_of(make_key(TRACE_SIGNAL, 0));
  const struct deed deed = {.operations = 1, .bytes = 0, .direction = ACTIVITY_WRITE};
  struct activity_value *value = bpf_map_lookup_elem(&activity_pairs, &key);
  if (value) {
    add(value, &deed);
    return 0;
  }
  value = make_value(key.channel);
  if (value) {
    value->channel.channel_kind = TRACE_SIGNAL;
    insert(&key, value, &deed);
  }
  return 0;
}

/** The bytes of a vector of messages. */
__noinline u64 bytes_of_messages(u64 vector, u64 messages) {
  u64 bytes = 0;
  for (u32 i = 0; i < MESSAGES_MAX; i++) {
    if (i >= messages) {
      return bytes;
    }
    u32 length = 0;
    bpf_probe_read_user(&length, sizeof length,
                        (void *)(vector + i * MESSAGE_SIZE + MESSAGE_LENGTH));
    bytes += length;
  }
  if (messages > MESSAGES_MAX) {
    __sync_fetch_and_add(&counters.too_long, messages - MESSAGES_MAX);
  }
  return bytes;
}

/** Whether the first operation on semaphores gives something. */
static __always_inline bool is_semaphore_given(u64 operations) {
  short first = 0;
  bpf_probe_read_user(&first, sizeof first, (void *)(operations + SEM_OP));
  return first > 0;
}

__noinline int count_call(u64 regs, u64 number, u64 result) {
  if (number >= TRACE_CALLS || bpf_get_current_pid_tgid() >> 32 == counters.own_group) {
    return 0;
  }
  if (!is_native(regs)) {
    __sync_fetch_and_add(&counters.foreign, 1);
    return 0;
  }
  const struct activity_call *call = &calls[number];
  if (call->peeks && argument_of(regs, call->flags) & call->peeks) {
    return 0;
  }
  const u64 argument = argument_of(regs, call->argument);
  const u64 bytes = call->size == ACTIVITY_NO_ARGUMENT ? result : argument_of(regs, call->size);
  switch (call->form) {
    case ACTIVITY_FILE:
      return count_at_descriptor((s32)argument, call->direction, 1, bytes);
    case ACTIVITY_MESSAGES:
      return count_at_descriptor((s32)argument, call->direction, result,
                                 bytes_of_messages(argument_of(regs, 1), result));
    case ACTIVITY_SPLICE:
      if (call->argument != ACTIVITY_NO_ARGUMENT) {
        count_at_descriptor((s32)argument, ACTIVITY_READ, 1, bytes);
      }
      return count_at_descriptor((s32)argument_of(regs, call->to), ACTIVITY_WRITE, 1, bytes);
    case ACTIVITY_VMSPLICE: {
      const u64 file = file_behind(bpf_get_current_task(), (s32)argument);
      const bool gives = file && GET(file, file, flags) & O_ACCMODE;
      return count_at_descriptor((s32)argument, gives ? ACTIVITY_WRITE : ACTIVITY_READ, 1, bytes);
    }
    case ACTIVITY_MSG:
      return count_at_sysv(TRACE_MSG, (u32)argument, call->direction, bytes);
    case ACTIVITY_SEM:
      return count_at_sysv(
          TRACE_SEM, (u32)argument,
          is_semaphore_given(argument_of(regs, 1)) ? ACTIVITY_WRITE : ACTIVITY_READ, 0);
    case ACTIVITY_SIGNAL:
      return argument ? count_signal() : 0; /* 0 only asks whether the process is there */
    default:
      return 0;
  }
}

/**
 * Run once by ipcscope itself, before the others are attached: tells them who that is. User space
 * does not know its number in the first PID namespace.
 */
SEC("raw_tp/sys_exit") /* but never attached */
int activity_self(void *ctx) {
  const u64 pid = GET_NUMBER(bpf_get_current_task(), task_struct, thread_pid);
  counters.own_group = bpf_get_current_pid_tgid() >> 32;
  counters.level = pid ? GET(pid, pid, level) : 0;
  return 0;
}

/* Every system call of the host comes here; most of them leave at once. */
SEC("raw_tp/sys_exit")
int activity_exit(struct bpf_raw_tracepoint_args *ctx) {
  const u64 regs = ctx->args[0];
  u64 number = (u64)number_of_call(regs);
  barrier_var(number); /* else what is checked is a copy of 32 bits */
  if (number >= TRACE_CALLS || !calls[number].form) {
    return 0;
  }
  const u64 result = ctx->args[1];
  return (s64)result < 0 ? 0 : count_call(regs, number, result);
}

#define IORING_READS                                                                             \
  (1ULL << 1 | 1ULL << 4 | 1ULL << 10 | 1ULL << 22 | 1ULL << 27) /* IORING_OP_READV, READ_FIXED, \
                                                                    RECVMSG, READ, RECV */
#define IORING_WRITES                                                         \
  (1ULL << 2 | 1ULL << 5 | 1ULL << 9 | 1ULL << 23 | 1ULL << 26 | 1ULL << 47 | \
   1ULL << 48) /* WRITEV, WRITE_FIXED, SENDMSG, WRITE, SEND, SEND_ZC, SENDMSG_ZC */

__noinline int count_request(u64 request) {
  if (!request || !HAS(io_kiocb, fd) || !HAS(io_kiocb, file) || !HAS(io_kiocb, opcode)) {
    return 0;
  }
  if (bpf_get_current_pid_tgid() >> 32 == counters.own_group) {
    return 0;
  }
  const u64 operation = 1ULL << (GET(request, io_kiocb, opcode) & 63);
  /* The union with the descriptor stands behind the result (struct io_cqe, io_uring_types.h). */
  const s32 result = (s32)number_at(request + OFFSET(io_kiocb, fd) - 4);
  const u64 file = GET_NUMBER(request, io_kiocb, file);
  if (!(operation & (IORING_READS | IORING_WRITES)) || result < 0 || !file) {
    return 0;
  }
  const struct deed deed = {
      .operations = 1,
      .bytes = (u64)result,
      .direction = operation & IORING_WRITES ? ACTIVITY_WRITE : ACTIVITY_READ};
  count_at_file(file, -1, &deed);
  return 0;
}

/* The ring, the request: 5.19 and later have its result and its file still in it. */
SEC("raw_tp/io_uring_complete")
int activity_ring(struct bpf_raw_tracepoint_args *ctx) { return count_request(ctx->args[1]); }

char LICENSE[] SEC("license") = "GPL";
