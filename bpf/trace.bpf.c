// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The stream of IPC operations: two probes at every system call, others at signals and io_uring.
 *
 * The enter side only notes the time: at the exit the saved registers still hold what the caller
 * passed. Programs run on all CPUs at once, so nothing here is kept in global variables: what is
 * about a thread is in its slot.
 *
 * Channels are told by a key: kind and a number that no other live channel of that kind has. The
 * first event of a key is preceded by a record that says what it is.
 */
#include "call.h"

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

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 16 << 20);
} trace_records SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, TRACE_SLOTS);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, u32);
  __type(value, struct trace_slot);
} trace_slots SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, TRACE_SEEN);
  __type(key, u32);
  __type(value, struct trace_seen);
} trace_seen SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, TRACE_SUMS);
  __type(key, u32);
  __type(value, struct trace_sum);
} trace_sums SEC(".maps");

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

/* Constants, as layout is. */
struct trace_filter filter SEC(".rodata");
struct trace_call calls[TRACE_CALLS] SEC(".rodata");

struct trace_counters counters;

/* Which of the sums an operation and a kind have; 0: none yet. */
u16 sum_of[TRACE_SUM_KEYS];

static __always_inline bool is_wanted_kind(u32 kind) { return filter.kinds >> (kind & 63) & 1; }

#define own_number(pid) number_at(pid, counters.level)

static __always_inline struct trace_slot *slot_of(u64 pid_tgid) {
  const u32 index = (u32)pid_tgid & (TRACE_SLOTS - 1);
  return bpf_map_lookup_elem(&trace_slots, &index);
}

static __always_inline void note_lost(void) {
  __sync_fetch_and_add(&counters.lost_pending, 1);
  __sync_fetch_and_add(&counters.lost, 1);
}

/** Says in the stream how many events are missing there. */
__noinline int tell_lost(void) {
  struct trace_lost_record *record = bpf_ringbuf_reserve(&trace_records, sizeof *record, 0);
  if (record) {
    __builtin_memset(record, 0, sizeof *record);
    record->kind = TRACE_LOST;
    record->lost = __sync_lock_test_and_set(&counters.lost_pending, 0);
    bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
  }
  return 0;
}

static __always_inline bool is_wanted_pid(u32 pid) {
  if (!filter.pid_count) {
    return true;
  }
#pragma unroll
  for (u32 i = 0; i < TRACE_PIDS_MAX; i++) {
    if (i < filter.pid_count && filter.pids[i] == pid) {
      return true;
    }
  }
  return false;
}

/** The filters that are about the current task. */
static __always_inline bool is_wanted_task(u64 task, u64 pid_tgid) {
  const u32 group = pid_tgid >> 32;
  if (group == counters.own_group) {
    return false;
  }
  if (filter.pid_count) {
    const u32 pid = counters.level
                        ? own_number(GET_NUMBER(GET_NUMBER(task, task_struct, group_leader),
                                                task_struct, thread_pid))
                        : group;
    if (!is_wanted_pid(pid)) {
      return false;
    }
  }
  if (filter.tid) {
    const u32 tid =
        counters.level ? own_number(GET_NUMBER(task, task_struct, thread_pid)) : (u32)pid_tgid;
    if (tid != filter.tid) {
      return false;
    }
  }
  if (filter.uid != UNKNOWN_U32 && GET(GET(task, task_struct, cred), cred, euid) != filter.uid) {
    return false;
  }
  if (filter.comm_set) {
    const u64 comm[2] = {read_word(task + OFFSET(task_struct, comm)),
                         read_word(task + OFFSET(task_struct, comm) + 8)};
    const u64 *wanted = (const u64 *)filter.comm;
    /* Behind the NUL may be what is left of a longer name. */
    const u64 first_end = (comm[0] - 0x0101010101010101ULL) & ~comm[0] & 0x8080808080808080ULL;
    if (first_end) {
      const u64 mask = ((first_end & -first_end) >> 7) * 0x100 - 1;
      return (comm[0] & mask) == (wanted[0] & mask) && !(wanted[0] & ~mask);
    }
    const u64 second_end = (comm[1] - 0x0101010101010101ULL) & ~comm[1] & 0x8080808080808080ULL;
    const u64 mask = second_end ? ((second_end & -second_end) >> 7) * 0x100 - 1 : ~0ULL;
    if (comm[0] != wanted[0] || (comm[1] & mask) != (wanted[1] & mask)) {
      return false;
    }
  }
  if (filter.cgroup &&
      bpf_get_current_ancestor_cgroup_id((int)filter.cgroup_level) != filter.cgroup) {
    return false;
  }
  return true;
}

/** Sends the record of a thread unless it was sent under this name. False: there was no room. */
static __always_inline bool announce_thread(struct trace_slot *slot, u64 task, u64 pid_tgid) {
  const u64 comm[2] = {read_word(task + OFFSET(task_struct, comm)),
                       read_word(task + OFFSET(task_struct, comm) + 8)};
  if (slot->announced == (u32)pid_tgid && slot->comm[0] == comm[0] && slot->comm[1] == comm[1]) {
    return true;
  }
  struct trace_thread_record *record = bpf_ringbuf_reserve(&trace_records, sizeof *record, 0);
  if (!record) {
    return false;
  }
  record->kind = TRACE_THREAD;
  record->reserved = 0;
  record->tid = (u32)pid_tgid;
  if (counters.level) {
    record->own_tid = own_number(GET_NUMBER(task, task_struct, thread_pid));
    record->own_pid = own_number(
        GET_NUMBER(GET_NUMBER(task, task_struct, group_leader), task_struct, thread_pid));
  } else {
    record->own_tid = (u32)pid_tgid;
    record->own_pid = pid_tgid >> 32;
  }
  __builtin_memcpy(record->comm, comm, sizeof comm);
  bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
  slot->comm[0] = comm[0];
  slot->comm[1] = comm[1];
  slot->announced = (u32)pid_tgid;
  return true;
}

/** True when the record of this channel was sent with this stamp; notes that it is now. */
static __always_inline bool was_seen(u64 key, u64 stamp) {
  const u32 index = (u32)((key * 0x9e3779b97f4a7c15ULL) >> 40) & (TRACE_SEEN - 1);
  struct trace_seen *seen = bpf_map_lookup_elem(&trace_seen, &index);
  if (!seen || (seen->key == key && seen->stamp == stamp)) {
    return seen != NULL;
  }
  seen->key = key;
  seen->stamp = stamp;
  return false;
}

static __always_inline void forget(u64 key) {
  const u32 index = (u32)((key * 0x9e3779b97f4a7c15ULL) >> 40) & (TRACE_SEEN - 1);
  struct trace_seen *seen = bpf_map_lookup_elem(&trace_seen, &index);
  if (seen) {
    seen->key = 0;
  }
}

/** How a descriptor is looked at: as what it is, or as a file that is locked. */
#define AS_FILE 0xff

/** The only filter that is about a channel. */
static __always_inline bool is_wanted_channel(u32 kind, u64 number) {
  return filter.channel_kind == UNKNOWN_U32 ||
         (filter.channel_kind == kind && (!filter.channel || filter.channel == number));
}

/*
 * Functions that look for a channel leave it in the slot of the thread, and send the record about
 * it where it is new. They are global, with scalar arguments: the verifier checks each once. They
 * return 0; NOT_WANTED; or NO_ROOM for the record.
 */
#define NOT_WANTED 1
#define NO_ROOM 2

/**
 * What a descriptor of the current process is. as: the kind of lock that the call is about, else
 * AS_FILE.
 */
__noinline int find_file(u64 pid_tgid, int fd, u32 as) {
  struct trace_slot *slot = slot_of(pid_tgid);
  if (!slot) {
    return NOT_WANTED;
  }
  slot->found_key = 0;
  slot->found_kind = TRACE_NO_KIND;
  const u64 file = file_behind(fd);
  if (!file) {
    return NOT_WANTED;
  }
  struct led_to to;
  if (as == AS_FILE) {
    identify(&to, file, filter.shm_device, counters.level, true);
  } else {
    see_file(&to, file);
    to.kind = as;
    to.distinct = distinct_of(&to, to.number);
  }
  const u32 kind = to.kind;
  if (kind == TRACE_NO_KIND) {
    return NOT_WANTED;
  }
  if (filter.channel_kind != UNKNOWN_U32) {
    bool wanted = is_wanted_channel(kind, to.number);
    if (!wanted && kind == TRACE_UNIX && filter.channel_kind == TRACE_UNIX) {
      wanted = peer_inode(to.sk) == filter.channel;
    }
    if (!wanted) {
      return NOT_WANTED;
    }
  }
  const u64 key = make_key(kind, to.distinct);
  slot->found_kind = kind;
#pragma unroll
  for (u32 i = 0; i < TRACE_IGNORED_MAX; i++) {
    if (i < filter.ignored_count && filter.ignored[i] == key) {
      return NOT_WANTED;
    }
  }
  slot->found_key = key;
  if (filter.summary || was_seen(key, to.stamp)) {
    return 0;
  }
  struct trace_channel_record *record = bpf_ringbuf_reserve(&trace_records, sizeof *record, 0);
  if (!record) {
    forget(key);
    return NO_ROOM;
  }
  describe_channel(record, &to, counters.level);
  record->fd = fd;
  record->key = key;
  record->tid = (u32)bpf_get_current_pid_tgid();
  bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
  return 0;
}

/** A System V object of the current IPC namespace. */
__noinline int find_sysv(u64 pid_tgid, u32 kind, u32 id) {
  struct trace_slot *slot = slot_of(pid_tgid);
  if (!slot || !is_wanted_channel(kind, id)) {
    return NOT_WANTED;
  }
  slot->found_kind = kind;
  const u64 task = bpf_get_current_task();
  const u64 proxy = GET_NUMBER(task, task_struct, nsproxy);
  const u32 space = proxy ? GET(GET(proxy, nsproxy, ipc_ns), ipc_namespace, inum) : 0;
  const u64 key = make_key(kind, (u64)id | (u64)(space & 0xffffff) << 32);
  slot->found_key = key;
  if (filter.summary || was_seen(key, space)) {
    return 0;
  }
  struct trace_channel_record *record = bpf_ringbuf_reserve(&trace_records, sizeof *record, 0);
  if (!record) {
    forget(key);
    return NO_ROOM;
  }
  clear_channel(record);
  record->channel_kind = kind;
  record->key = key;
  record->number = id;
  record->name_space = space;
  record->tid = (u32)bpf_get_current_pid_tgid();
  bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
  return 0;
}

/** What a path names: a queue, or an object in /dev/shm. */
__noinline int find_path(u64 pid_tgid, u32 kind, u64 path) {
  struct trace_slot *slot = slot_of(pid_tgid);
  if (!slot) {
    return NOT_WANTED;
  }
  char name[TRACE_NAME_MAX];
  __builtin_memset(name, 0, sizeof name);
  const long length = bpf_probe_read_user_str(name, sizeof name, (void *)path);
  if (length <= 1) {
    return NOT_WANTED;
  }
  if (kind == TRACE_POSIXSHM) {
    const u64 *text = (const u64 *)name;
    if (text[0] != NAME8('/', 'd', 'e', 'v', '/', 's', 'h', 'm') || name[8] != '/') {
      return NOT_WANTED;
    }
    if (name[9] == 's' && name[10] == 'e' && name[11] == 'm' && name[12] == '.') {
      kind = TRACE_POSIXSEM;
    }
  }
  slot->found_kind = kind;
  if (!is_wanted_channel(kind, 0) && filter.channel_kind != TRACE_POSIXSEM) {
    return NOT_WANTED;
  }
  slot->found_key = make_key(kind, 1ULL << 55 | bpf_ktime_get_ns());
  if (filter.summary) {
    return 0;
  }
  struct trace_channel_record *record = bpf_ringbuf_reserve(&trace_records, sizeof *record, 0);
  if (!record) {
    return NO_ROOM;
  }
  clear_channel(record);
  record->channel_kind = kind;
  record->key = slot->found_key;
  record->tid = (u32)bpf_get_current_pid_tgid();
  record->name_length = (u16)(length - 1);
  __builtin_memcpy(record->name, name, sizeof name);
  bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
  return 0;
}

/** One operation, ready to be counted or sent. */
struct operation {
  u64 end_ns;
  u64 duration_ns;
  u64 channel;
  s64 result;
  u64 detail;
  u32 bytes;
  u32 kind;
  u32 call;
  u32 index;
};

static __always_inline u32 magnitude(u64 value) {
  u32 log = 0;
#define HALVE(bits)      \
  if (value >> (bits)) { \
    value >>= (bits);    \
    log += (bits);       \
  }
  HALVE(32);
  HALVE(16);
  HALVE(8);
  HALVE(4);
  HALVE(2);
  HALVE(1);
#undef HALVE
  return log;
}

/** key: index of the call << 6 | kind. */
__noinline int add_to_sum(u32 key, u64 outcome, u32 bytes, u64 duration) {
  if (key >= TRACE_SUM_KEYS) {
    return 0;
  }
  u32 at = sum_of[key];
  if (!at) {
    /* Two CPUs may do this at once: then it has two sums, which are added up in the end. */
    at = (u32)__sync_fetch_and_add(&counters.sums, 1) + 1;
    sum_of[key] = (u16)(at < TRACE_SUMS ? at : 0);
  }
  struct trace_sum *sum = bpf_map_lookup_elem(&trace_sums, &at);
  if (!sum) {
    __sync_fetch_and_add(&counters.not_summed, 1);
    return 0;
  }
  sum->key = key;
  sum->count++;
  sum->bytes += bytes;
  if ((s64)outcome < 0) {
    sum->errors++;
  }
  if (duration != UNKNOWN_U64) {
    sum->timed++;
    sum->total_ns += duration;
    if (duration > sum->max_ns) {
      sum->max_ns = duration;
    }
    u32 log = magnitude(duration);
    if (log >= TRACE_HISTOGRAM) {
      log = TRACE_HISTOGRAM - 1;
    }
    barrier_var(log);
    if (log < TRACE_HISTOGRAM) {
      sum->histogram[log]++;
    }
  }
  return 0;
}

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

/** Sends an operation, or counts it. buffer: user address of what was moved. */
static __always_inline int send(struct trace_slot *slot, u64 task, u64 pid_tgid,
                                const struct operation *operation, u64 buffer) {
  if (filter.summary) {
    return add_to_sum(operation->index << 6 | (operation->kind & 63), (u64)operation->result,
                      operation->bytes, operation->duration_ns);
  }
  if (counters.lost_pending) {
    tell_lost();
  }
  if (!announce_thread(slot, task, pid_tgid)) {
    note_lost();
    return 0;
  }
  if (filter.payload || filter.stacks) {
    const u32 zero = 0;
    struct large_record *large = bpf_map_lookup_elem(&trace_large, &zero);
    if (!large) {
      return 0;
    }
    fill_event(&large->event, operation, (u32)pid_tgid);
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
    if (bpf_ringbuf_output(&trace_records, large, sizeof large->event + size, BPF_RB_NO_WAKEUP)) {
      note_lost();
    }
    return 0;
  }
  struct trace_event_record *event = bpf_ringbuf_reserve(&trace_records, sizeof *event, 0);
  if (!event) {
    note_lost();
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

/** In functions of their own, so that calls that are not traced pay for no more than a look. */
__noinline int note_begin(u32 number) {
  const u64 pid_tgid = bpf_get_current_pid_tgid();
  if (!is_wanted_task(bpf_get_current_task(), pid_tgid)) {
    return 0;
  }
  struct trace_slot *slot = slot_of(pid_tgid);
  if (slot) {
    slot->tid = (u32)pid_tgid;
    slot->call = number + 1;
    slot->begin_ns = bpf_ktime_get_ns();
  }
  return 0;
}

SEC("raw_tp/sys_enter")
int trace_enter(struct bpf_raw_tracepoint_args *ctx) {
  const u64 number = ctx->args[1];
  return number < TRACE_CALLS && calls[number].shape ? note_begin((u32)number) : 0;
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
  const struct trace_call *call = &calls[number];
  const s64 result = (s64)outcome;
  const u64 argument = argument_of(regs, call->argument);
  slot->found_key = 0;
  slot->found_kind = call->kind;
  slot->detail = call->detail == 0xff ? 0 : argument_of(regs, call->detail);
  switch (call->shape) {
    case SHAPE_FD:
      return find_file(pid_tgid, (s32)argument, AS_FILE);
    case SHAPE_NEW_FD:
      /* Where there is none: the listening socket of accept(), or nothing. */
      if (result < 0 && call->argument == 7) {
        return 0;
      }
      return find_file(pid_tgid, result >= 0 ? (s32)result : (s32)argument, AS_FILE);
    case SHAPE_OPEN:
      if (result < 0) {
        return NOT_WANTED;
      }
      return find_file(pid_tgid, (s32)result, AS_FILE);
    case SHAPE_NEW_PAIR: {
      s32 pair[2] = {-1, -1};
      if (result < 0) {
        return 0;
      }
      bpf_probe_read_user(pair, sizeof pair, (void *)argument);
      slot->detail = (u64)(u32)pair[0] << 32 | (u32)pair[1];
      return find_file(pid_tgid, pair[0], AS_FILE);
    }
    case SHAPE_FUTEX:
    case SHAPE_FUTEX_WAITV: {
      u64 address = argument;
      if (call->shape == SHAPE_FUTEX_WAITV) {
        bpf_probe_read_user(&address, sizeof address, (void *)(argument + 8));
      }
      slot->found_kind = TRACE_FUTEX;
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
      bpf_probe_read_user(&first, sizeof first, (void *)argument);
      const int error = find_file(pid_tgid, first.fd, AS_FILE);
      if (count == 1 || error == NO_ROOM) {
        return error;
      }
      if (count > 1 && filter.channel_kind == UNKNOWN_U32) {
        slot->found_key = 0;
        slot->found_kind = TRACE_POLL;
        return 0;
      }
      return error;
    }
    case SHAPE_SELECT:
      slot->detail = argument;
      slot->found_kind = TRACE_POLL;
      return argument && filter.channel_kind == UNKNOWN_U32 ? 0 : NOT_WANTED;
    case SHAPE_LOCK:
      return find_file(pid_tgid, (s32)argument, TRACE_FLOCK);
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
      return find_file(pid_tgid, (s32)argument, as);
    }
    case SHAPE_SPLICE: {
      const int to = find_file(pid_tgid, (s32)argument_of(regs, call->detail), AS_FILE);
      const u64 key = to ? 0 : slot->found_key;
      const u32 kind = slot->found_kind;
      const int from = find_file(pid_tgid, (s32)argument, AS_FILE);
      slot->detail = from ? 0 : key;
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

/** Tells each descriptor that came or went with a message. */
__noinline int tell_passed(u64 pid_tgid, u64 message, u32 call, u64 end_ns, u64 channel) {
  struct trace_slot *slot = slot_of(pid_tgid);
  if (!slot) {
    return 0;
  }
  /* struct msghdr: control data and its length are the fifth and sixth word. */
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
  const u64 count = (head.length - CMSG_HEADER) / 4;
  for (u32 i = 0; i < PASSED_MAX; i++) {
    if (i >= count) {
      break;
    }
    s32 fd = -1;
    bpf_probe_read_user(&fd, sizeof fd, (void *)(control[0] + CMSG_HEADER + i * 4));
    if (find_file(pid_tgid, fd, AS_FILE) == NO_ROOM) {
      note_lost();
      continue;
    }
    struct operation operation = {0};
    operation.end_ns = end_ns;
    operation.duration_ns = UNKNOWN_U64;
    operation.channel = channel;
    operation.call = call;
    operation.index = call == TRACE_CALL_SEND_FD ? 252 : 253;
    operation.kind = TRACE_FD;
    operation.detail = slot->found_key;
    operation.result = fd;
    send(slot, bpf_get_current_task(), pid_tgid, &operation, 0);
  }
  return 0;
}

__noinline int note_end(u64 regs, u64 number, u64 outcome) {
  if (number >= TRACE_CALLS) {
    return 0;
  }
  const s64 result = (s64)outcome;
  const struct trace_call *call = &calls[number];
  const u64 pid_tgid = bpf_get_current_pid_tgid();
  const u64 task = bpf_get_current_task();
  struct trace_slot *slot = slot_of(pid_tgid);
  if (!slot) {
    return 0;
  }
  struct operation operation = {0};
  operation.end_ns = bpf_ktime_get_ns();
  operation.duration_ns = UNKNOWN_U64;
  if (slot->tid == (u32)pid_tgid && slot->call == number + 1) {
    operation.duration_ns = operation.end_ns - slot->begin_ns;
    slot->call = 0;
  } else if (!is_wanted_task(task, pid_tgid)) {
    return 0;
  }
  if (!is_native(regs)) {
    return 0;
  }
  if (filter.errors && result >= 0) {
    return 0;
  }
  if (filter.slower_than &&
      (operation.duration_ns == UNKNOWN_U64 || operation.duration_ns < filter.slower_than)) {
    return 0;
  }
  const int error = find_channel(pid_tgid, regs, number, (u64)result);
  if (error == NOT_WANTED) {
    return 0;
  }
  const u32 kind = slot->found_kind;
  operation.channel = slot->found_key;
  operation.result = result;
  operation.detail = slot->detail;
  operation.kind = kind;
  operation.call = number;
  operation.index = call->index;
  if (result >= 0) {
    operation.bytes = call->bytes == BYTES_RESULT       ? (u32)result
                      : call->bytes == BYTES_ARGUMENT_2 ? (u32)argument_of(regs, 2)
                                                        : 0;
  }
  const bool by_word = call->kind != TRACE_NO_KIND && is_wanted_kind(call->kind);
  if (by_word || (kind != TRACE_NO_KIND && is_wanted_kind(kind))) {
    if (error == NO_ROOM) {
      note_lost();
      return 0;
    }
    u64 buffer = 0;
    if (filter.payload && call->payload) {
      buffer = payload_of(call->payload, argument_of(regs, 1));
    }
    send(slot, task, pid_tgid, &operation, buffer);
  }
  if (call->moves && call->payload == PAYLOAD_MESSAGE && kind == TRACE_UNIX && result >= 0 &&
      is_wanted_kind(TRACE_FD)) {
    tell_passed(pid_tgid, argument_of(regs, 1),
                call->moves == 1 ? TRACE_CALL_SEND_FD : TRACE_CALL_RECEIVE_FD, operation.end_ns,
                operation.channel);
  }
  return 0;
}

SEC("raw_tp/sys_exit")
int trace_exit(struct bpf_raw_tracepoint_args *ctx) {
  const u64 regs = ctx->args[0];
  u64 number = (u64)number_of_call(regs);
  barrier_var(number); /* else what is checked is a copy of 32 bits */
  return number < TRACE_CALLS && calls[number].shape ? note_end(regs, number, ctx->args[1]) : 0;
}

/* include/trace/events/signal.h: sig, info, task, group, result. */
SEC("raw_tp/signal_generate")
int trace_signal_generate(struct bpf_raw_tracepoint_args *ctx) {
  const u64 pid_tgid = bpf_get_current_pid_tgid();
  const u64 current = bpf_get_current_task();
  const u64 target = ctx->args[2];
  const u32 group = GET(target, task_struct, tgid);
  if (group == counters.own_group) {
    return 0;
  }
  if (!is_wanted_task(current, pid_tgid) &&
      !(filter.pid_count && !counters.level && is_wanted_pid(group))) {
    return 0;
  }
  if (filter.channel_kind != UNKNOWN_U32 || filter.slower_than) {
    return 0;
  }
  const s64 outcome = (s32)ctx->args[4]; /* TRACE_SIGNAL_DELIVERED 0, IGNORED 1, PENDING 2, ... */
  if (filter.errors && outcome < 3) {
    return 0;
  }
  struct operation operation = {0};
  operation.end_ns = bpf_ktime_get_ns();
  operation.duration_ns = UNKNOWN_U64;
  operation.channel =
      make_key(TRACE_SIGNAL, own_number(GET_NUMBER(GET_NUMBER(target, task_struct, group_leader),
                                                   task_struct, thread_pid)));
  operation.result = outcome;
  operation.detail = (u64)(u32)ctx->args[0] | (u64)GET(target, task_struct, pid) << 32;
  operation.kind = TRACE_SIGNAL;
  operation.call = TRACE_CALL_SIGNAL_GENERATE;
  operation.index = 250;
  struct trace_slot *slot = slot_of(pid_tgid);
  if (slot) {
    send(slot, current, pid_tgid, &operation, 0);
  }
  return 0;
}

/* sig, info, action. */
SEC("raw_tp/signal_deliver")
int trace_signal_deliver(struct bpf_raw_tracepoint_args *ctx) {
  const u64 pid_tgid = bpf_get_current_pid_tgid();
  const u64 current = bpf_get_current_task();
  if (!is_wanted_task(current, pid_tgid) || filter.channel_kind != UNKNOWN_U32 ||
      filter.slower_than || filter.errors) {
    return 0;
  }
  struct operation operation = {0};
  operation.end_ns = bpf_ktime_get_ns();
  operation.duration_ns = UNKNOWN_U64;
  operation.channel =
      make_key(TRACE_SIGNAL, own_number(GET_NUMBER(GET_NUMBER(current, task_struct, group_leader),
                                                   task_struct, thread_pid)));
  operation.detail = (u32)ctx->args[0];
  operation.kind = TRACE_SIGNAL;
  operation.call = TRACE_CALL_SIGNAL_DELIVER;
  operation.index = 251;
  struct trace_slot *slot = slot_of(pid_tgid);
  if (slot) {
    send(slot, current, pid_tgid, &operation, 0);
  }
  return 0;
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
  const int error = find_file(pid_tgid, (int)GET(request, io_kiocb, fd), AS_FILE);
  if (!slot || error == NOT_WANTED ||
      !(is_wanted_kind(slot->found_kind) || is_wanted_kind(TRACE_IO_URING))) {
    return 0;
  }
  if (error == NO_ROOM) {
    note_lost();
    return 0;
  }
  struct operation operation = {0};
  operation.end_ns = bpf_ktime_get_ns();
  operation.duration_ns = UNKNOWN_U64;
  operation.channel = slot->found_key;
  operation.detail = GET(request, io_kiocb, opcode);
  operation.kind = slot->found_kind;
  operation.call = TRACE_CALL_IO_URING;
  operation.index = 254;
  send(slot, current, pid_tgid, &operation, 0);
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
