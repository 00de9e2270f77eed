// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Waiting, measured where threads go to sleep and come back: a thread that is switched out in a
 * system call has its number and arguments in its saved registers. Nothing else on the host pays
 * for it.
 *
 * Counts are added atomically; a maximum is compared and stored, and may miss one of two waits that
 * end at the same time on two CPUs.
 */
#include "locks.h"

#include "walk.h"

/*
 * These programs run on all CPUs at once, so a pointer must not become a number through memory that
 * they share: it is used as one only where the verifier takes it, which is with a constant offset.
 */
#undef number_of
#define number_of(pointer) ((u64)(pointer))

#define LOCKS_MAX 16384
#define PAIRS_MAX 65536

#define FUTEX_COMMAND 0x7f
#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
#define FUTEX_LOCK_PI 6
#define FUTEX_UNLOCK_PI 7
#define FUTEX_WAIT_BITSET 9
#define FUTEX_WAKE_BITSET 10
#define FUTEX_WAIT_REQUEUE_PI 11
#define FUTEX_LOCK_PI2 13
#define FUTEX_WAITERS 0x80000000
#define FUTEX_TID_MASK 0x3fffffff
#define F_SETLKW 7
#define F_OFD_SETLKW 38
#define FILE_LOCK_DEFERRED 1
#define PF_EXITING 4
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFREG 0100000
#define S_IFCHR 0020000
#define S_IFIFO 0010000
#define MQUEUE_MAGIC 0x19800202
#define USER_CODE_SEGMENT 0x33 /* arch/x86/include/asm/segment.h */

/*
 * A wait goes on with an attempt when its thread slept nowhere else since it was woken, woke nobody
 * at the lock, and hardly ran.
 *
 * On the way from being woken to finding the lock taken, and back to sleep, a thread uses a few
 * microseconds; whoever had the lock for a moment uses more, or wakes the next one.
 */
#define SAME_ATTEMPT_NS 50000

/* Who makes room or writes is looked at for one wait in eight at the same file. */
#define SAMPLED_WAKES 7

/* Shorter waits at a file are counted eight at a time. */
#define SHORT_NS 1000000

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, LOCKS_MAX);
  __type(key, struct lock_key);
  __type(value, struct lock_value);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} locks SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, PAIRS_MAX);
  __type(key, struct pair_key);
  __type(value, struct pair_value);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} pairs SEC(".maps");

/** Of shared futexes: which lock the word at this address of this process is. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, LOCKS_MAX);
  __type(key, struct lock_key);
  __type(value, struct lock_key);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} aliases SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 20);
} news SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_STACK_TRACE);
  __uint(max_entries, 1024);
  __uint(key_size, sizeof(u32));
  __uint(value_size, LOCK_FRAMES * sizeof(u64));
} stacks SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, struct waker_key);
  __type(value, u64);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} waker_stacks SEC(".maps");

/* New values: too large for the stack. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, struct lock_value);
} fresh SEC(".maps");

#ifdef DIRECT_READS
struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct lock_wait);
} waits SEC(".maps");

static __always_inline struct lock_wait *find_wait(struct task_struct *task) {
  return bpf_task_storage_get(&waits, task, NULL, 0);
}
static __always_inline struct lock_wait *make_wait(struct task_struct *task) {
  return bpf_task_storage_get(&waits, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
}
#else
/* Kernels whose task storage a tracing program cannot use. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 65536);
  __type(key, u32);
  __type(value, struct lock_wait);
} waits SEC(".maps");

struct lock_wait no_wait SEC(".rodata");

static __always_inline struct lock_wait *find_wait(struct task_struct *task) {
  const u32 tid = GET(task, task_struct, pid);
  return bpf_map_lookup_elem(&waits, &tid);
}
static __always_inline struct lock_wait *make_wait(struct task_struct *task) {
  const u32 tid = GET(task, task_struct, pid);
  struct lock_wait *wait = bpf_map_lookup_elem(&waits, &tid);
  if (wait) {
    return wait;
  }
  bpf_map_update_elem(&waits, &tid, &no_wait, BPF_NOEXIST);
  return bpf_map_lookup_elem(&waits, &tid);
}

#endif

struct lock_call lock_calls[LOCK_CALLS] SEC(".rodata");
struct lock_filter filter SEC(".rodata");
struct lock_state lock_state;

struct call_registers {
  u64 number;
  u64 args[6];
};

/** False for a thread of another word size, whose calls have other numbers. */
static __always_inline bool read_number(u64 regs, struct call_registers *call) {
#if defined(__TARGET_ARCH_x86)
  if (HAS(pt_regs, cs) && GET(regs, pt_regs, cs) != USER_CODE_SEGMENT) {
    return false;
  }
  if (HAS(pt_regs, long_cs) && (GET(regs, pt_regs, long_cs) & 0xffff) != USER_CODE_SEGMENT) {
    return false;
  }
  call->number = GET(regs, pt_regs, orig_ax);
#elif defined(__TARGET_ARCH_arm64)
  call->number = (u64)(s64)(s32)GET(regs, pt_regs, syscallno);
#endif
  return call->number < LOCK_CALLS;
}

static __always_inline void read_arguments(u64 regs, struct call_registers *call) {
#if defined(__TARGET_ARCH_x86)
  call->args[0] = GET(regs, pt_regs, di);
  call->args[1] = GET(regs, pt_regs, si);
  call->args[2] = GET(regs, pt_regs, dx);
  call->args[3] = GET(regs, pt_regs, r10);
  call->args[4] = GET(regs, pt_regs, r8);
  call->args[5] = GET(regs, pt_regs, r9);
#elif defined(__TARGET_ARCH_arm64)
  bpf_probe_read_kernel(call->args, sizeof call->args, (void *)ADDRESS(regs, pt_regs, regs));
  call->args[0] = GET(regs, pt_regs, orig_x0);
#endif
}

static __always_inline u64 registers_of(struct task_struct *task) {
  if (HAS_HELPER(task_pt_regs)) {
    return (u64)bpf_task_pt_regs(task);
  }
  return GET(task, task_struct, stack) + 16384 - SIZE(pt_regs); /* 5.10 to 5.14 */
}

/** The number of a task in ipcscope's PID namespace; 0 when it has none there. */
static __always_inline u32 number(u64 task) {
  if (!lock_state.own_level) { /* the usual case, and cheap */
    return GET(task, task_struct, pid);
  }
  const u64 pid = GET_FAR(task, task_struct, thread_pid);
  if (!pid || GET_FAR(pid, pid, level) < lock_state.own_level) {
    return 0;
  }
  return (u32)read_word(ADDRESS(pid, pid, numbers) + lock_state.own_level * UPID_SIZE);
}

static __always_inline u32 group_number(u64 task) {
  if (!lock_state.own_level) {
    return GET(task, task_struct, tgid);
  }
  return number(GET(task, task_struct, group_leader));
}

static __always_inline bool listed(const u32 *list, u32 count, u32 wanted) {
  for (u32 i = 0; i < LOCK_FILTER_MAX; i++) {
    if (i < count && list[i] == wanted) {
      return true;
    }
  }
  return false;
}

/** Whether a thread's waits count. */
static __always_inline bool passes(struct task_struct *task, u32 pid) {
  if (!pid || pid == filter.self) {
    return false;
  }
  if (filter.pids && !listed(filter.pid, filter.pids, pid)) {
    return false;
  }
  if (filter.tids && !listed(filter.tid, filter.tids, number((u64)task))) {
    return false;
  }
  if (filter.by_uid && GET(GET(task, task_struct, cred), cred, euid) != filter.uid) {
    return false;
  }
  if (filter.by_cgroup &&
      GET(GET(GET(GET(task, task_struct, cgroups), css_set, cgroup), cgroup, kn), kernfs_node,
          id) != filter.cgroup) {
    return false;
  }
  if (filter.comm_size) {
    char comm[16];
    bpf_probe_read_kernel(comm, sizeof comm, (void *)ADDRESS(task, task_struct, comm));
    for (u32 i = 0; i < sizeof comm && i < filter.comm_size; i++) {
      if (comm[i] != filter.comm[i]) {
        return false;
      }
    }
  }
  return true;
}

/** What a file is of, when it is IPC; space of the sample is told, too. */
static __always_inline u64 file_object(u64 file, struct lock_value *sample) {
  const u64 inode = GET(file, file, inode);
  const u64 sb = GET(inode, inode, sb);
  const u64 magic = GET(sb, super_block, magic);
  const u32 mode = GET(inode, inode, mode);
  sample->file = file;
  sample->inode = GET(inode, inode, ino);
  sample->device = GET(sb, super_block, dev);
  sample->mode = mode;
  switch (mode & S_IFMT) {
    case S_IFIFO:
    case S_IFSOCK:
      return inode;
    case S_IFCHR:
      return GET(inode, inode, rdev) >> 20 ? inode : 0;
    case S_IFREG:
      return magic == MQUEUE_MAGIC ? inode : 0;
    default:
      /* Anonymous inodes share one inode, or have none of these types. */
      return magic == ANON_INODE_FS_MAGIC ? GET(file, file, private_data) : 0;
  }
}

/**
 * The word at an address. With direct reads it is for the verifier the number of an inode: the word
 * itself is often a pointer, with which no arithmetic would be allowed.
 */
static __always_inline u64 number_at(u64 address) {
  return GET(address - OFFSET(inode, ino), inode, ino);
}

static __always_inline u64 file_at(struct task_struct *task, u64 fd) {
  const u64 files = GET(task, task_struct, files);
  const u64 table = GET(files, files_struct, fdt);
  if (!table || fd >= GET(table, fdtable, max_fds)) {
    return 0;
  }
  return number_at(number_at((u64)table + OFFSET(fdtable, fd)) + 8 * (fd & 0xfffffff));
}

static __always_inline bool pipe_is_empty(u64 file) {
  const u64 pipe = GET(GET(file, file, inode), inode, pipe);
  return !pipe || GET(pipe, pipe_inode_info, head) == GET(pipe, pipe_inode_info, tail);
}

/**
 * Who may have the lock of a futex: what glibc 2.36 and musl keep at the word and behind it. User
 * space, which knows the primitive, takes it or leaves it.
 */
static __always_inline void find_holder(struct lock_wait *wait, u64 operation, const u32 *words) {
  const u32 command = operation & FUTEX_COMMAND;
  wait->holder = 0;
  wait->source = HOLDER_NONE;
  if (command == FUTEX_LOCK_PI || command == FUTEX_LOCK_PI2 ||
      (words[0] & FUTEX_WAITERS && words[0] & FUTEX_TID_MASK)) {
    wait->holder = words[0] & FUTEX_TID_MASK;
    wait->source = HOLDER_WORD;
  } else if (words[0] == 2 && words[2]) {
    wait->holder = words[2];
    wait->source = HOLDER_AT_8;
  } else if (command == FUTEX_WAIT_BITSET && words[0] >= 1 && words[0] <= 3) {
    if (words[3]) {
      wait->holder = words[3];
      wait->source = HOLDER_AT_12;
    } else if (words[4]) {
      wait->holder = words[4];
      wait->source = HOLDER_AT_16;
    }
  }
}

/** Tells user space of a lock that was not there before. */
static __always_inline void send_news(struct task_struct *task, const struct lock_key *key,
                                      const struct call_registers *call, bool with_memory) {
  struct lock_news *news_of = bpf_ringbuf_reserve(&news, sizeof *news_of, 0);
  if (!news_of) {
    lock_state.lost_news++;
    return;
  }
  news_of->key = *key;
  for (int i = 0; i < 6; i++) {
    news_of->args[i] = call->args[i];
  }
  news_of->pid = group_number((u64)task);
  news_of->tid = number((u64)task);
  news_of->call = (u32)call->number;
  news_of->reserved = 0;
  news_of->lower = 0;
  news_of->upper = 0;
  __builtin_memset(news_of->memory, 0, sizeof news_of->memory);
  if (with_memory) {
    const u64 address = call->args[0];
    news_of->lower = !bpf_probe_read_user(news_of->memory, LOCK_MEMORY_BEFORE,
                                          (void *)(address - LOCK_MEMORY_BEFORE));
    news_of->upper = !bpf_probe_read_user(news_of->memory + LOCK_MEMORY_BEFORE, LOCK_MEMORY_AFTER,
                                          (void *)address);
  }
  bpf_ringbuf_submit(news_of, 0);
}

/** An epoch that is over is forgotten when its entry is next used. */
static __always_inline void enter_epoch(struct lock_value *lock) {
  if (lock->epoch == lock_state.epoch) {
    return;
  }
  lock->epoch = lock_state.epoch;
  lock->waits = 0;
  lock->total = 0;
  lock->longest = 0;
  lock->woken_again = 0;
  lock->hold = 0;
  __builtin_memset(lock->ends, 0, sizeof lock->ends);
  __builtin_memset(lock->histogram, 0, sizeof lock->histogram);
}

#define MSG_IDS 1
#define INDEX_BITS 15 /* of an identifier: IPCMNI_SHIFT, 24 with ipcmni_extend */
#define XARRAY_LEVELS 4

/** The System V queue with this identifier, in an xarray by index; 0 when it is not found. */
static __always_inline u64 find_queue(u64 spaces, u32 id) {
  const u64 ids = ADDRESS(spaces, ipc_namespace, ids) + MSG_IDS * (u64)SIZE(ipc_ids);
  u64 entry = GET_FAR(ids, ipc_ids, root);
  const u32 index = id & ((1 << INDEX_BITS) - 1);
  for (int i = 0; i < XARRAY_LEVELS && (entry & 3) == 2; i++) {
    const u64 node = entry - 2;
    const u32 slot = (index >> (GET_FAR(node, xa_node, shift) & 31)) & 63;
    entry = read_word(ADDRESS(node, xa_node, slots) + slot * 8);
  }
  return entry && GET_FAR(entry, kern_ipc_perm, id) == id ? entry : 0;
}

/** What a thread that is asleep, or about to be, waits at; false when that is no IPC. */
static __always_inline bool find_key(struct task_struct *task, const struct call_registers *call,
                                     const struct lock_call *what, struct lock_key *key,
                                     struct lock_value *sample) {
  key->wait = what->wait;
  key->purpose = what->purpose;
  key->space = 0;
  key->object = 0;
  switch (what->wait) {
    case WAIT_AT_FUTEX: {
      const u32 command = call->args[1] & FUTEX_COMMAND;
      if (command != FUTEX_WAIT && command != FUTEX_WAIT_BITSET && command != FUTEX_LOCK_PI &&
          command != FUTEX_LOCK_PI2 && command != FUTEX_WAIT_REQUEUE_PI) {
        return false;
      }
      key->object = call->args[0];
      key->space = group_number((u64)task);
      break;
    }
    case WAIT_AT_FUTEX2:
      key->wait = WAIT_AT_FUTEX;
      key->object = call->args[0];
      key->space = group_number((u64)task);
      break;
    case WAIT_AT_FUTEXES: {
      u64 first[2] = {}; /* struct futex_waitv: value, address, flags */
      bpf_probe_read_user(first, sizeof first, (void *)call->args[0]);
      key->wait = WAIT_AT_FUTEX;
      key->object = first[1];
      key->space = group_number((u64)task);
      break;
    }
    case WAIT_AT_SPLICE: {
      sample->fd = (s32)call->args[0];
      u64 file = file_at(task, call->args[0]);
      if (file && !pipe_is_empty(file)) {
        sample->fd = (s32)call->args[2];
        file = file_at(task, call->args[2]);
        key->purpose = LOCK_FOR_ROOM;
      }
      key->wait = WAIT_AT_FILE;
      key->object = file ? file_object(file, sample) : 0;
      break;
    }
    case WAIT_AT_FILE: {
      const u64 fd = call->args[what->argument & 3];
      const u64 file = file_at(task, fd);
      sample->fd = (s32)fd;
      key->object = file ? file_object(file, sample) : 0;
      break;
    }
    case WAIT_AT_SEM:
    case WAIT_AT_MSG:
      key->object = call->args[0] & 0xffffffff;
      key->space = GET(GET(GET(task, task_struct, nsproxy), nsproxy, ipc_ns), ipc_namespace, inum);
      if (what->wait == WAIT_AT_MSG) {
        sample->file = find_queue(GET_FAR(GET(task, task_struct, nsproxy), nsproxy, ipc_ns),
                                  (u32)call->args[0]);
      }
      return true; /* 0 is an id */
    case WAIT_AT_FCNTL:
      if (call->args[1] != F_SETLKW && call->args[1] != F_OFD_SETLKW) {
        return false;
      }
      /* fallthrough */
    case WAIT_AT_FLOCK: {
      const u64 file = file_at(task, call->args[0]);
      sample->fd = (s32)call->args[0];
      if (file) {
        file_object(file, sample);
        key->object = GET(file, file, inode);
      }
      break;
    }
  }
  return key->object != 0;
}

/** The entry of a lock; made when it is not there yet. */
static __always_inline struct lock_value *find_lock(struct task_struct *task,
                                                    const struct call_registers *call,
                                                    struct lock_key *key, struct lock_value *sample,
                                                    bool with_memory) {
  struct lock_value *lock = bpf_map_lookup_elem(&locks, key);
  if (lock) {
    return lock;
  }
  if (key->wait == WAIT_AT_FUTEX) {
    const struct lock_key *alias = bpf_map_lookup_elem(&aliases, key);
    if (alias) {
      *key = *alias;
      lock = bpf_map_lookup_elem(&locks, key);
      if (lock) {
        return lock;
      }
    }
  }
  sample->pid = group_number((u64)task);
  sample->tid = number((u64)task);
  sample->call = (u32)call->number;
  sample->operation = (u32)call->args[1];
  sample->expected = call->args[2];
  sample->epoch = lock_state.epoch;
  if (bpf_map_update_elem(&locks, key, sample, BPF_NOEXIST) == 0) {
    send_news(task, key, call, with_memory && key->wait == WAIT_AT_FUTEX);
  }
  return bpf_map_lookup_elem(&locks, key);
}

static __always_inline bool has_limit(const struct lock_call *what,
                                      const struct call_registers *call) {
  u32 place = what->limit;
  barrier_var(place);
  if (place < 1 || place > 6) {
    return false;
  }
  const u64 limit = call->args[place - 1];
  return what->limit_ms ? (s32)limit >= 0 : limit != 0;
}

/** Global, so that the verifier checks its many ways once. */
__noinline u32 bucket_of(u64 ns) {
  u32 power = 0;
  u64 rest = ns;
  if (rest >> 32) {
    power += 32;
    rest >>= 32;
  }
  if (rest >> 16) {
    power += 16;
    rest >>= 16;
  }
  if (rest >> 8) {
    power += 8;
    rest >>= 8;
  }
  if (rest >> 4) {
    power += 4;
    rest >>= 4;
  }
  if (rest >> 2) {
    power += 2;
    rest >>= 2;
  }
  if (rest >> 1) {
    power += 1;
  }
  const u32 part = power >= 2 ? (u32)(ns >> (power - 2)) & 3 : (u32)(ns << (2 - power)) & 3;
  const u32 bucket = ns ? power * 4 + part : 0;
  return bucket < LOCK_BUCKETS ? bucket : LOCK_BUCKETS - 1;
}

/** The entry of the pair that a thread makes with who it waits for; NULL when there is no room. */
static __always_inline struct pair_value *find_pair(struct task_struct *task,
                                                    const struct lock_wait *wait) {
  struct pair_key key = {};
  key.lock = wait->key;
  key.waiter = number((u64)task);
  key.holder = wait->source == HOLDER_NONE ? wait->waker : wait->holder;
  key.source = wait->source == HOLDER_NONE && wait->waker ? HOLDER_WAKER : wait->source;
  struct pair_value *pair = bpf_map_lookup_elem(&pairs, &key);
  if (!pair) {
    struct pair_value none = {};
    none.waiter_pid = group_number((u64)task);
    none.epoch = lock_state.epoch;
    bpf_probe_read_kernel(none.waiter_comm, sizeof none.waiter_comm,
                          (void *)ADDRESS(task, task_struct, comm));
    bpf_map_update_elem(&pairs, &key, &none, BPF_NOEXIST);
    pair = bpf_map_lookup_elem(&pairs, &key);
    if (!pair) {
      lock_state.lost_pairs++;
      return NULL;
    }
  }
  /* Only the waiting thread itself writes here. */
  if (pair->epoch != lock_state.epoch) {
    pair->epoch = lock_state.epoch;
    pair->waits = 0;
    pair->total = 0;
    pair->longest = 0;
    pair->overtakes = 0;
    pair->overtakes_max = 0;
    pair->attempts = 0;
    pair->attempt_max = 0;
  }
  pair->waker = wait->waker;
  pair->waker_pid = wait->waker_pid;
  __builtin_memcpy(pair->waker_comm, wait->waker_comm, sizeof pair->waker_comm);
  return pair;
}

static __always_inline void count_pair(struct task_struct *task, struct lock_wait *wait, u64 length,
                                       u64 now, u64 overtakes) {
  struct pair_value *pair = find_pair(task, wait);
  if (!pair) {
    return;
  }
  pair->waits++;
  pair->total += length;
  if (length > pair->longest) {
    pair->longest = length;
  }
  /* An attempt that goes on is counted at the pair where its first wait ended. */
  if (!wait->again) {
    pair->attempts++;
  }
  pair->overtakes += overtakes - wait->overtakes;
  if (overtakes > pair->overtakes_max) {
    pair->overtakes_max = overtakes;
  }
  const u64 attempt = wait->attempt_begin ? now - wait->attempt_begin : length;
  if (attempt > pair->attempt_max) {
    pair->attempt_max = attempt;
  }
}

/* As WaitEnd. */
enum { END_WOKEN, END_TIMED_OUT, END_INTERRUPTED, END_OWNER_DIED };

/**
 * Counts the short waits of a thread that were kept: at a file they are often many, and each is
 * cheaper when several are counted at once.
 */
static __noinline void count_kept(struct task_struct *task, struct lock_wait *wait) {
  const u32 kept = wait->kept;
  wait->kept = 0;
  struct lock_value *lock = bpf_map_lookup_elem(&locks, &wait->key);
  if (!lock) {
    lock_state.lost_waits += kept;
    return;
  }
  enter_epoch(lock);
  u64 total = 0;
  u64 longest = 0;
  for (u32 i = 0; i < KEPT_MAX; i++) {
    if (i < kept) {
      const u64 length = wait->kept_ns[i];
      const u32 bucket = bucket_of(length);
      total += length;
      longest = length > longest ? length : longest;
      if (bucket < LOCK_BUCKETS) {
        __sync_fetch_and_add(&lock->histogram[bucket], 1);
      }
    }
  }
  __sync_fetch_and_add(&lock->waits, kept);
  __sync_fetch_and_add(&lock->total, total);
  __sync_fetch_and_add(&lock->ends[END_WOKEN], kept);
  if (longest > lock->longest) {
    lock->longest = longest;
  }
  struct pair_value *pair = find_pair(task, wait);
  if (pair) {
    pair->waits += kept;
    pair->attempts += kept;
    pair->total += total;
    if (longest > pair->longest) {
      pair->longest = longest;
    }
    if (longest > pair->attempt_max) {
      pair->attempt_max = longest;
    }
  }
}

/** Whether a thread waits in the same call at the same file as the last time. */
static __always_inline bool is_same_file(struct task_struct *task, const struct lock_call *what,
                                         const struct call_registers *call,
                                         const struct lock_wait *wait) {
  return what->wait == WAIT_AT_FILE && wait->file && wait->call == call->number &&
         wait->file == file_at(task, call->args[what->argument & 3]) &&
         wait->inode == GET(GET(wait->file, file, inode), inode, ino);
}

/** The same of a System V queue. */
static __always_inline bool is_same_queue(struct task_struct *task, const struct lock_call *what,
                                          const struct call_registers *call,
                                          const struct lock_wait *wait) {
  return what->wait == WAIT_AT_MSG && wait->key.wait == WAIT_AT_MSG && wait->call == call->number &&
         wait->key.object == (call->args[0] & 0xffffffff) &&
         wait->key.space ==
             GET(GET(GET(task, task_struct, nsproxy), nsproxy, ipc_ns), ipc_namespace, inum);
}

/** A thread tries to take a lock: for the first time, or again. */
static __always_inline void begin_attempt(struct task_struct *task, struct lock_wait *wait,
                                          struct lock_value *lock, const struct lock_key *key,
                                          u64 now) {
  const u64 run = GET(task, task_struct, run_time);
  const bool same = wait->key.object == key->object && wait->key.space == key->space &&
                    wait->key.wait == key->wait && wait->key.purpose == key->purpose;
  if (same && !wait->released && wait->attempt_begin && !wait->begin && wait->woken &&
      GET(task, task_struct, nvcsw) == wait->sleeps + 1 &&
      run - wait->run_before < SAME_ATTEMPT_NS) {
    __sync_fetch_and_add(&lock->woken_again, 1);
    wait->again = 1;
  } else {
    wait->key = *key;
    wait->again = 0;
    wait->attempt_begin = now;
    wait->ended_before = lock->ended;
    wait->waiting_before = lock->waiting;
    wait->overtakes = 0;
    wait->released = 0;
    wait->source = HOLDER_NONE;
    wait->holder = 0;
    wait->file = 0;
  }
  __sync_fetch_and_add(&lock->waiting, 1);
}

/** A thread goes to sleep, or sleeps. asleep: not the one that runs this. */
static __always_inline void begin_wait(struct task_struct *task, struct lock_wait *wait, u64 now,
                                       bool asleep) {
  struct call_registers call;
  const u64 regs = registers_of(task);
  if (!read_number(regs, &call)) {
    return;
  }
  const struct lock_call *what = &lock_calls[call.number & (LOCK_CALLS - 1)];
  if (what->wait == WAIT_AT_NOTHING || !passes(task, group_number((u64)task))) {
    return;
  }
  read_arguments(regs, &call);
  if (!wait) {
    wait = make_wait(task);
    if (!wait) {
      lock_state.lost_threads++;
      return;
    }
  }
  if (asleep && wait->begin) {
    return; /* it went to sleep a moment ago */
  }
  struct lock_value *lock = NULL;
  if (!is_same_file(task, what, &call, wait) && !is_same_queue(task, what, &call, wait)) {
    if (wait->kept) {
      count_kept(task, wait);
    }
    const u32 zero = 0;
    struct lock_value *sample = bpf_map_lookup_elem(&fresh, &zero);
    if (!sample) {
      return;
    }
    struct lock_key key;
    sample->file = 0;
    if (!find_key(task, &call, what, &key, sample)) {
      return;
    }
    lock = find_lock(task, &call, &key, sample, !asleep);
    if (!lock) {
      lock_state.lost_waits++;
      return;
    }
    if (key.purpose == LOCK_FOR_LOCK) {
      begin_attempt(task, wait, lock, &key, now);
    } else {
      wait->key = key;
      wait->again = 0;
      wait->attempt_begin = 0;
      wait->source = HOLDER_NONE;
      wait->holder = 0;
      const u32 type = sample->mode & S_IFMT;
      const bool known =
          what->wait == WAIT_AT_MSG || type == S_IFIFO || type == S_IFSOCK || type == S_IFREG;
      wait->file = known ? sample->file : 0;
      wait->inode = sample->inode;
      wait->call = (u32)call.number;
    }
  }
  wait->earlier = asleep;
  wait->limited = has_limit(what, &call);
  if (lock || wait->limited) {
    wait->waker = 0;
  }
  wait->waker_exits = 0;
  wait->woken_at = 0;
  wait->run_at_begin = GET(task, task_struct, run_time);
  wait->sleeps = GET(task, task_struct, nvcsw);
  wait->switches = wait->sleeps + GET(task, task_struct, nivcsw);
  if (wait->key.wait == WAIT_AT_FUTEX) {
    u32 words[5] = {};
    wait->address = call.args[0];
    wait->group = group_number((u64)task);
    if (!asleep) {
      bpf_probe_read_user(words, sizeof words, (void *)call.args[0]);
    }
    find_holder(wait, what->wait == WAIT_AT_FUTEX ? call.args[1] : FUTEX_WAIT, words);
  } else if (wait->key.wait == WAIT_AT_FLOCK || wait->key.wait == WAIT_AT_FCNTL) {
    wait->holder = wait->blocker;
    wait->source = wait->blocker ? HOLDER_FILE : HOLDER_NONE;
  }
  wait->begin = now;
}

static __always_inline bool has_signal(struct task_struct *task) {
  const u64 shared = GET(GET(task, task_struct, signal), signal_struct, pending);
  return ((GET(task, task_struct, pending) | shared) & ~GET(task, task_struct, blocked)) != 0;
}

static __always_inline u32 end_of(struct task_struct *task, const struct lock_wait *wait) {
  if (!wait->attempt_begin && has_signal(task)) {
    return END_INTERRUPTED; /* the waker may be that of an earlier wait */
  }
  if (wait->waker) {
    return wait->waker_exits && wait->source >= HOLDER_WORD && wait->source <= HOLDER_AT_16
               ? END_OWNER_DIED
               : END_WOKEN;
  }
  if (has_signal(task)) {
    return END_INTERRUPTED;
  }
  return wait->limited ? END_TIMED_OUT : END_WOKEN;
}

/** A thread is switched back in. */
static __always_inline void end_wait(struct task_struct *task, struct lock_wait *wait, u64 now) {
#ifdef HELD_LOCKS
  if (wait->key.wait == WAIT_AT_FUTEX) {
    note_wait_end(task, wait->address, now);
  }
#endif
  const u64 from = wait->begin > lock_state.epoch_begin ? wait->begin : lock_state.epoch_begin;
  const u64 length = now > from ? now - from : 0;
  wait->begin = 0;
  const u32 end = end_of(task, wait);
  if (wait->file && end == END_WOKEN && length < SHORT_NS && length >= filter.min_wait) {
    u32 kept = wait->kept;
    barrier_var(kept);
    if (kept < KEPT_MAX) {
      wait->kept_ns[kept] = (u32)length;
      wait->kept = kept + 1;
    }
    if (wait->kept >= KEPT_MAX) {
      count_kept(task, wait);
    }
    return;
  }
  if (wait->kept) {
    count_kept(task, wait);
  }
  struct lock_value *lock = bpf_map_lookup_elem(&locks, &wait->key);
  if (!lock) {
    lock_state.lost_waits++;
    return;
  }
  u64 overtakes = 0;
  if (wait->attempt_begin) {
    overtakes = lock->ended - wait->ended_before;
    overtakes = overtakes > wait->waiting_before ? overtakes - wait->waiting_before : 0;
    __sync_fetch_and_add(&lock->waiting, (u32)-1);
    __sync_fetch_and_add(&lock->ended, 1);
  }
  enter_epoch(lock);
  wait->woken = end == END_WOKEN;
  if (length >= filter.min_wait) {
    __sync_fetch_and_add(&lock->waits, 1);
    __sync_fetch_and_add(&lock->total, length);
    if (length > lock->longest) {
      lock->longest = length;
    }
    __sync_fetch_and_add(&lock->ends[end & (LOCK_ENDS - 1)], 1);
    const u32 bucket = bucket_of(length);
    if (bucket < LOCK_BUCKETS) {
      __sync_fetch_and_add(&lock->histogram[bucket], 1);
    }
    if (wait->waker && wait->waker == wait->holder) {
      const u64 taken = lock->last_wake > from ? lock->last_wake : from;
      if (wait->woken_at > taken && wait->woken_at - taken > lock->hold) {
        lock->hold = wait->woken_at - taken;
      }
    }
    count_pair(task, wait, length, now, overtakes);
  }
  if (wait->attempt_begin) {
    if (wait->woken_at > lock->last_wake) {
      lock->last_wake = wait->woken_at;
    }
    wait->overtakes = overtakes;
    wait->run_before = GET(task, task_struct, run_time);
  }
}

SEC("tp_btf/sched_switch")
int on_switch(u64 *ctx) {
  if (!lock_state.measuring) {
    return 0;
  }
  const bool preempted = ctx[0] & 1;
  struct task_struct *before = (struct task_struct *)ctx[1];
  struct task_struct *next = (struct task_struct *)ctx[2];
  u64 now = 0;
  if (GET(next, task_struct, mm)) {
    struct lock_wait *wait = find_wait(next);
    if (wait && wait->begin) {
      now = bpf_ktime_get_ns();
      end_wait(next, wait, now);
    }
  }
  if (!GET(before, task_struct, mm)) {
    return 0;
  }
  const u64 state = HAS(task_struct, state) ? GET(before, task_struct, state)
                                            : GET(before, task_struct, long_state);
  struct lock_wait *wait = find_wait(before);
  if (wait && wait->begin) {
    /*
     * It was not seen to come back from its wait: a host may keep events from BPF that are raised
     * in the context of a process that it hides, such as a switch from that one. It came when it
     * began to use the CPU time that it has used since.
     */
    end_wait(before, wait,
             bpf_ktime_get_ns() - (GET(before, task_struct, run_time) - wait->run_at_begin));
  }
  if (!preempted && state) {
    begin_wait(before, wait, now ? now : bpf_ktime_get_ns(), false);
  }
  return 0;
}

/** Whether a thread in a call for futexes may be the one that wakes this waiter. */
static __always_inline bool wakes_futex(struct task_struct *self, u64 regs,
                                        struct call_registers *call, const struct lock_wait *wait) {
  if (lock_calls[call->number & (LOCK_CALLS - 1)].wait != WAIT_AT_FUTEX) {
    return true; /* futex_wake() and its relatives */
  }
  read_arguments(regs, call);
  switch (call->args[1] & FUTEX_COMMAND) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
      return false;
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET:
    case FUTEX_UNLOCK_PI:
      /* Another process may have shared memory at another address. */
      return call->args[0] == wait->address || group_number((u64)self) != wait->group;
    default:
      return true;
  }
}

/** By frame pointers, which is all that can be had while the thread runs. */
static __always_inline void count_stack(void *ctx, const struct lock_wait *wait) {
  struct waker_key key = {};
  key.lock = wait->key;
  key.tid = wait->waker;
  key.pid = wait->waker_pid;
  key.stack = (s32)bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK);
  if (key.stack < 0) {
    return;
  }
  u64 *count = bpf_map_lookup_elem(&waker_stacks, &key);
  if (count) {
    __sync_fetch_and_add(count, 1);
  } else {
    const u64 one = 1;
    bpf_map_update_elem(&waker_stacks, &key, &one, BPF_NOEXIST);
  }
}

SEC("tp_btf/sched_waking")
int on_waking(u64 *ctx) {
  struct task_struct *task = (struct task_struct *)ctx[0];
  if (!lock_state.measuring || !GET(task, task_struct, mm)) {
    return 0;
  }
  struct lock_wait *wait = find_wait(task);
  if (!wait || !wait->begin) {
    return 0;
  }
  struct task_struct *self = bpf_get_current_task_btf();
  if (!GET(self, task_struct, mm)) {
    return 0; /* an interrupt while the CPU idled, or the kernel itself */
  }
  if (!wait->attempt_begin && wait->waker && wait->sleeps & SAMPLED_WAKES) {
    return 0; /* the waker of a little while ago stands for this one */
  }
  const bool exits = GET(self, task_struct, flags) & PF_EXITING;
  if (exits && wait->limited && wait->holder != number((u64)self)) {
    return 0; /* more likely the time limit, while this one was on the CPU */
  }
  struct call_registers call;
  if (!exits) {
    const u64 regs = registers_of(self);
    if (!read_number(regs, &call)) {
      return 0;
    }
    const u32 wakes = lock_calls[call.number & (LOCK_CALLS - 1)].wake;
    /*
     * A time limit or a signal may come while some thread is in whatever call. Closing a file and
     * much else ends waits at files.
     */
    const u16 wanted = wait->key.wait;
    const bool exact =
        wanted == WAIT_AT_FUTEX || wanted == WAIT_AT_SEM || wanted == WAIT_AT_MSG || wait->limited;
    if (exact && wakes != wanted) {
      return 0;
    }
    if (wanted == WAIT_AT_FUTEX && !wakes_futex(self, regs, &call, wait)) {
      return 0;
    }
  }
  wait->waker = number((u64)self);
  wait->waker_pid = group_number((u64)self);
  wait->waker_exits = exits;
  if (wait->waker != wait->named_waker) {
    wait->named_waker = wait->waker;
    bpf_probe_read_kernel(wait->waker_comm, sizeof wait->waker_comm,
                          (void *)ADDRESS(self, task_struct, comm));
  }
  if (wait->attempt_begin) {
    wait->woken_at = bpf_ktime_get_ns();
    struct lock_wait *own = find_wait(self);
    if (own && own->key.object == wait->key.object && own->key.space == wait->key.space) {
      own->released = 1;
    }
    if (filter.stacks) {
      count_stack(ctx, wait);
    }
  }
  return 0;
}

SEC("tp_btf/sched_process_exit")
int on_exit(u64 *ctx) {
  struct task_struct *task = (struct task_struct *)ctx[0];
  struct lock_wait *wait = find_wait(task);
  if (wait && wait->kept) {
    count_kept(task, wait);
  }
#ifndef DIRECT_READS
  const u32 tid = GET(task, task_struct, pid);
  bpf_map_delete_elem(&waits, &tid);
#endif
  return 0;
}

/** A thread is about to wait for a file lock: what is in its way. */
static __always_inline int note_blocker(u64 lock, s32 result) {
  if (!lock || !lock_state.measuring || result != FILE_LOCK_DEFERRED) {
    return 0;
  }
  struct task_struct *self = bpf_get_current_task_btf();
  if (!passes(self, group_number((u64)self))) {
    return 0;
  }
  struct lock_wait *wait = make_wait(self);
  if (!wait) {
    return 0;
  }
  s32 pid = 0;
  if (HAS(file_lock, core)) { /* 6.9 */
    const u64 core = ADDRESS(lock, file_lock, core);
    pid = (s32)GET(GET(core, file_lock_core, blocker), file_lock_core, pid);
  } else {
    pid = (s32)GET(GET(lock, file_lock, blocker), file_lock, pid);
  }
  /* Locks know the number in the first PID namespace only. */
  wait->blocker = pid > 0 && !lock_state.own_level ? (u32)pid : 0;
  return 0;
}

SEC("tp_btf/posix_lock_inode")
int on_posix_lock(u64 *ctx) { return note_blocker(ctx[1], (s32)ctx[2]); }

SEC("tp_btf/flock_lock_inode")
int on_flock(u64 *ctx) { return note_blocker(ctx[1], (s32)ctx[2]); }

static __always_inline bool sleeps(struct task_struct *task) {
  return (HAS(task_struct, state) ? GET(task, task_struct, state)
                                  : GET(task, task_struct, long_state)) != 0;
}

/** When measuring begins: threads that wait already. */
SEC("iter/task")
int seed_waits(struct bpf_iter__task *ctx) {
  struct task_struct *task = ctx->task;
  if (!lock_state.measuring) {
    const u64 self = bpf_get_current_task();
    lock_state.own_level = GET(GET(self, task_struct, thread_pid), pid, level);
    lock_state.epoch_begin = bpf_ktime_get_ns();
    lock_state.measuring = 1;
  }
  if (task && GET(task, task_struct, pid) == GET(task, task_struct, tgid)) {
    lock_state.processes++;
  }
  if (task && GET(task, task_struct, mm) && sleeps(task)) {
    begin_wait(task, NULL, bpf_ktime_get_ns(), true);
  }
  return 0;
}

struct queue_look queue_looks[QUEUE_LOOKS];

/* struct rb_node: parent and colour, right, left. */
#define LEFT_IN_NODE 16
#define TREE_LEVELS 32

static __always_inline u64 first_message(u64 node) {
  const u64 list =
      ADDRESS(CONTAINER(node, posix_msg_tree_node, rb_node), posix_msg_tree_node, msg_list);
  const u64 first = read_word(list);
  return first == list ? 0 : first;
}

static __always_inline void look_at_posix_queue(struct queue_look *look) {
  const u64 queue = CONTAINER(look->address, mqueue_inode_info, vfs_inode);
  const u64 highest = GET_FAR(queue, mqueue_inode_info, rightmost);
  u64 lowest = GET_FAR(queue, mqueue_inode_info, tree);
  for (int i = 0; i < TREE_LEVELS && lowest; i++) {
    const u64 left = read_word(lowest + LEFT_IN_NODE);
    if (!left) {
      break;
    }
    lowest = left;
  }
  if (lowest) {
    look->oldest = first_message(lowest);
    look->other = highest != lowest ? first_message(highest) : 0;
  }
}

static __always_inline void look_at_sysv_queue(struct queue_look *look) {
  if (GET_FAR(look->address, kern_ipc_perm, id) != look->id) {
    return; /* removed */
  }
  const u64 list = ADDRESS(look->address, msg_queue, q_messages);
  const u64 oldest = read_word(list);
  if (oldest && oldest != list) {
    const u64 next = read_word(oldest);
    look->oldest = oldest;
    look->other = next != list ? next : 0;
  }
}

/** Looks at the queues that user space has chosen; the threads do not matter. */
SEC("iter/task")
int look_at_queues(struct bpf_iter__task *ctx) {
  if (!ctx->task || ctx->meta->seq_num) {
    return 0;
  }
  for (u32 i = 0; i < QUEUE_LOOKS; i++) {
    struct queue_look *look = &queue_looks[i];
    look->oldest = 0;
    look->other = 0;
    if (look->address && look->is_posix) {
      look_at_posix_queue(look);
    } else if (look->address) {
      look_at_sysv_queue(look);
    }
  }
  return 1; /* so that the reader gets EAGAIN, and ends it */
}

struct lock_pending pending;

/** When it is read: threads that wait still. */
SEC("iter/task")
int pending_waits(struct bpf_iter__task *ctx) {
  struct task_struct *task = ctx->task;
  if (!task || !GET(task, task_struct, mm)) {
    return 0;
  }
  const struct lock_wait *wait = find_wait(task);
  if (!wait || (!wait->begin && !wait->kept)) {
    return 0;
  }
  struct call_registers call = {};
  const u64 regs = registers_of(task);
  const bool waits_now =
      wait->begin && sleeps(task) && read_number(regs, &call) &&
      wait->switches == GET(task, task_struct, nvcsw) + GET(task, task_struct, nivcsw);
  if (!waits_now && !wait->kept) {
    return 0;
  }
  read_arguments(regs, &call);
  pending.wait = *wait;
  pending.pid = group_number((u64)task);
  pending.tid = number((u64)task);
  pending.call = (u32)call.number;
  pending.waits = waits_now;
  for (int i = 0; i < 6; i++) {
    pending.args[i] = call.args[i];
  }
  bpf_probe_read_kernel(pending.comm, sizeof pending.comm,
                        (void *)ADDRESS(task, task_struct, comm));
  bpf_seq_write(ctx->meta->seq, &pending, sizeof pending);
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
