// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The walk: every thread, and every descriptor of every process, in one pass of iter/task.
 *
 * Records go through a ring buffer. When it is full, the program remembers where it is and asks to
 * be called again for the same task: it returns 1, read() of the iterator gives EAGAIN
 * (bpf_seq_read in kernel/bpf/bpf_iter.c, since 5.9), user space drains the ring and reads on.
 *
 * Describers are global functions with scalar arguments: the verifier checks each of them once, on
 * its own, which keeps loading short, and kernels before 5.12 take no other arguments.
 */
#include "walk.h"

#include "task.h"

#define PID_FS_MAGIC 0x50494446
#define TMPFS_MAGIC 0x01021994
#define HUGETLBFS_MAGIC 0x958458f6
#define MQUEUE_MAGIC 0x19800202

#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFREG 0100000
#define S_IFCHR 0020000
#define S_IFIFO 0010000

#define TTYAUX_MAJOR 5
#define UNIX98_PTY_SLAVE_MAJOR 136

#define PTRACED 1
#define EXIT_ZOMBIE 0x20
#define EXIT_DEAD 0x10

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4 << 20);
} records SEC(".maps");

union any_record out;
struct descriptor_table table;
u64 realtime_offset;
u64 files_seen;
u64 items_lost;
u64 parked[PARKED_MAX];
u32 parked_count;
u64 current_files;

/* Where the walk paused: before which step of which process. */
u32 paused_pid;
u32 paused_fd;
u32 file_count;
u32 own_level;                   /* of ipcscope's PID namespace */
s64 clock_offset = -(1LL << 62); /* scheduler clock - CLOCK_MONOTONIC, at least */
u32 treatment;                   /* of the process where it paused */
u32 leaderless_pid;              /* its descriptors were shown by another thread than the leader */

__noinline int send_record(u32 size) {
  if (size < sizeof(struct record) || size > sizeof(out)) {
    return 0;
  }
  barrier_var(size); /* else the compiler checks a copy and passes the original */
  if (size > sizeof(out)) {
    return 0;
  }
  return bpf_ringbuf_output(&records, &out, size, BPF_RB_NO_WAKEUP) != 0;
}

/** Where a struct pid keeps its number for one level of PID namespaces. */
static __always_inline u64 upid_at(u64 pid, u64 level) {
  return ADDRESS(pid, pid, numbers) + level * UPID_SIZE;
}

__noinline int pid_number(u64 pid) {
  if (!pid || GET(pid, pid, level) < own_level) {
    return 0;
  }
  return (int)read_word(upid_at(pid, own_level));
}

struct list_entries entries;

/* struct wait_queue_entry: flags, private, func, entry. Only epoll leaves private empty. */
#define PRIVATE_BEFORE_ENTRY 16

static long count_entry(u32 round, void *context) {
  if (entries.at == entries.head || !entries.at) {
    return 1;
  }
  if (!entries.threads_only || read_word(entries.at - PRIVATE_BEFORE_ENTRY)) {
    entries.count++;
  }
  entries.at = next_entry(entries.at);
  return 0;
}

#define LIST_MAX 65536

__noinline int count_entries(u64 list, u32 threads_only) {
  entries.head = list;
  entries.at = next_entry(list);
  entries.count = 0;
  entries.threads_only = threads_only;
  if (entries.at == list) {
    return 0;
  }
  repeat(LIST_MAX, count_entry);
  return entries.at == list ? (int)entries.count : -1;
}

/** The innermost namespace's number for a pid, which is a view. */
static u32 innermost_number(u64 pid) {
  return (u32)read_word(upid_at(number_of(pid), READ(pid, pid, level)));
}

static u32 innermost_namespace(u64 pid) {
  const u64 ns = read_word(upid_at(number_of(pid), READ(pid, pid, level)) + 8);
  return GET(ns, pid_namespace, inum);
}

static char state_letter(struct task_struct *task) {
  const int exit_state = GET_TRUSTED(task, task_struct, exit_state);
  if (exit_state & EXIT_DEAD) {
    return 'X';
  }
  if (exit_state & EXIT_ZOMBIE) {
    return 'Z';
  }
  u32 state = 0;
  if (HAS(task_struct, state)) {
    state = GET_TRUSTED(task, task_struct, state);
  } else {
    state = (u32)GET_TRUSTED(task, task_struct, long_state);
  }
  if (state == 0x402) { /* TASK_IDLE */
    return 'I';
  }
  if (state & 1) {
    return 'S';
  }
  if (state & 2) {
    return 'D';
  }
  if (state & 4) {
    return 'T';
  }
  if (state & 8) {
    return 't';
  }
  return 'R';
}

/*
 * Since when a sleeping thread sleeps. se.exec_start is when it left the CPU, on the clock_task of
 * the run queue it left, which lags behind that queue's clock by interrupt and stolen time; both
 * are updated together (update_rq_clock, kernel/sched/core.c), so their difference is the lag so
 * far. The lag when the thread left was not larger, so the result is at least how long it sleeps.
 */
static void read_times(struct task_struct *task, struct thread_record *thread) {
  thread->blocked_ns = UNKNOWN_U64;
  thread->last_run_ns = UNKNOWN_U64;
  const u64 last_arrival = GET_TRUSTED(task, task_struct, last_arrival);
  const u64 exec_start = GET_TRUSTED(task, task_struct, exec_start);
  const u64 now = bpf_ktime_get_ns();
  /* The run queue that a task was on last: there is no symbol for it without KALLSYMS_ALL. */
  if (!HAS(task_struct, cfs_rq) || !HAS(cfs_rq, rq)) {
    return;
  }
  /* The queue's clock is never ahead of the time: the largest difference is the best one. */
  const u64 self = bpf_get_current_task();
  const s64 offset = (s64)(READ(READ(GET(self, task_struct, cfs_rq), cfs_rq, rq), rq, clock) - now);
  if (offset > clock_offset) {
    clock_offset = offset;
  }
  const u64 scheduler_now = now + (u64)clock_offset;
  if (last_arrival && scheduler_now > last_arrival) {
    thread->last_run_ns = scheduler_now - last_arrival;
  }
  const u64 queue = READ(GET(task, task_struct, cfs_rq), cfs_rq, rq);
  if (exec_start && queue) {
    const u64 left = exec_start + (READ(queue, rq, clock) - READ(queue, rq, clock_task));
    thread->blocked_ns = scheduler_now > left ? scheduler_now - left : 0;
  }
}

static void read_registers(struct task_struct *task, struct thread_record *thread) {
  const u64 regs = saved_registers(task);
  thread->syscall = (s64)call_number(regs);
  read_arguments(regs, thread->args);
  thread->stack = GET_TRUSTED(regs, pt_regs, sp);
#if defined(__TARGET_ARCH_x86)
  thread->instruction = GET_TRUSTED(regs, pt_regs, ip);
#elif defined(__TARGET_ARCH_arm64)
  thread->instruction = GET_TRUSTED(regs, pt_regs, pc);
#endif
  if (thread->syscall < 0) {
    thread->syscall = -1;
  }
}

/** 0, or the ring is full. */
static int send_thread(struct task_struct *task, u32 tgid) {
  struct thread_record *thread = bpf_ringbuf_reserve(&records, sizeof(struct thread_record), 0);
  if (!thread) {
    return 1;
  }
  const u64 view = VIEW(task, task_struct);
  const u64 pid = READ(view, task_struct, thread_pid);
  const u64 group = READ(READ(view, task_struct, group_leader), task_struct, thread_pid);
  const u64 spaces = READ(view, task_struct, nsproxy);
  const u64 credentials = READ(view, task_struct, cred);
  thread->head.kind = RECORD_THREAD;
  thread->head.size = sizeof(struct thread_record);
  thread->head.pid = tgid;
  thread->tid = (u32)pid_number(number_of(pid));
  thread->ppid = (u32)pid_number(
      number_of(READ(READ(READ(view, task_struct, real_parent), task_struct, group_leader),
                     task_struct, thread_pid)));
  thread->ns_pid = innermost_number(group);
  thread->ns_tid = innermost_number(pid);
  thread->uid = READ(credentials, cred, euid);
  thread->state = (u32)state_letter(task);
  thread->start_ns = GET_TRUSTED(task, task_struct, start_boottime);
  thread->mm = READ(view, task_struct, mm);
  thread->files = READ(view, task_struct, files);
  thread->credentials = credentials;
  look_for_messages(credentials);
  thread->switches = GET_TRUSTED(task, task_struct, nvcsw) + GET_TRUSTED(task, task_struct, nivcsw);
  thread->pid_ns = innermost_namespace(pid);
  thread->ipc_ns = spaces ? READ(READ(spaces, nsproxy, ipc_ns), ipc_namespace, inum) : UNKNOWN_U32;
  thread->net_ns = spaces ? READ(READ(spaces, nsproxy, net_ns), net, inum) : UNKNOWN_U32;
  thread->mnt_ns = spaces ? READ(READ(spaces, nsproxy, mnt_ns), mnt_namespace, inum) : UNKNOWN_U32;
  thread->tracer = GET_TRUSTED(task, task_struct, ptrace) & PTRACED
                       ? (u32)pid_number(number_of(
                             READ(READ(READ(view, task_struct, parent), task_struct, group_leader),
                                  task_struct, thread_pid)))
                       : 0;
  thread->reserved = 0;
  bpf_probe_read_kernel(thread->comm, sizeof thread->comm,
                        (void *)ADDRESS(task, task_struct, comm));
  read_times(task, thread);
  thread->syscall = -1;
  thread->stack = 0;
  thread->instruction = 0;
  for (int i = 0; i < 6; i++) {
    thread->args[i] = 0;
  }
  /* A running thread's saved registers are those of its last entry, which may be over. */
  if (thread->mm && thread->state != 'R' && thread->state != 'Z' && thread->state != 'X') {
    read_registers(task, thread);
  }
  bpf_ringbuf_submit(thread, BPF_RB_NO_WAKEUP);
  return 0;
}

/** Describes and sends one file. 0, or the ring is full. */
__noinline int visit_file(u64 address, u32 pid, int fd) {
  const u64 file = VIEW(address, file);
  const u64 inode = READ(file, file, inode);
  const u64 sb = READ(inode, inode, sb);
  const u64 magic = READ(sb, super_block, magic);
  const u32 mode = READ(inode, inode, mode);

  out.file.head.pid = pid;
  out.file.fd = fd;
  out.file.flags = READ(file, file, flags);
  out.file.file = address;
  out.file.object = (u64)inode;
  out.file.inode = READ(inode, inode, ino);
  out.file.device = READ(sb, super_block, dev);
  out.file.mode = mode;
  out.file.uid = READ(inode, inode, uid);
  out.file.reserved = 0;

  int size = 0;
  switch (mode & S_IFMT) {
    case S_IFIFO:
      size = pipe_describe(number_of(READ(inode, inode, pipe)));
      break;
    case S_IFSOCK:
      if (magic == SOCKFS_MAGIC) {
        size = socket_describe(address);
      }
      break;
    case S_IFCHR: {
      const u32 major = READ(inode, inode, rdev) >> 20;
      const u32 minor = READ(inode, inode, rdev) & 0xfffff;
      if ((major >= UNIX98_PTY_SLAVE_MAJOR && major < UNIX98_PTY_SLAVE_MAJOR + 8) ||
          (major == TTYAUX_MAJOR && minor <= 2)) {
        size = pty_describe(address);
      }
      break;
    }
    default: {
      if (magic == ANON_INODE_FS_MAGIC || magic == PID_FS_MAGIC) {
        size = anonymous_describe(address);
      } else if (magic == MQUEUE_MAGIC) {
        size = (mode & S_IFMT) == S_IFREG ? mq_describe(address) : 0;
      } else if ((mode & S_IFMT) == S_IFREG) {
        if (magic == TMPFS_MAGIC || magic == HUGETLBFS_MAGIC) {
          size = shmem_describe(address);
        }
        const u64 locks = number_of(READ(inode, inode, flctx));
        if (locks) {
          want_file(address);
          tell_references(address, fd);
        }
        if (locks && (send_locks(ADDRESS(locks, file_lock_context, flock), address) ||
                      send_locks(ADDRESS(locks, file_lock_context, posix), address) ||
                      send_locks(ADDRESS(locks, file_lock_context, lease), address))) {
          return 1;
        }
        if (size) {
          size = shmem_describe(address); /* the locks were written over it */
        }
      }
    }
  }
  if (size > 0) {
    const u32 kind = out.file.head.kind;
    want_file(address);
    if (kind == RECORD_PTY) {
      if (is_counting()) {
        send_references(address, fd, out.file.object, terminal_openings);
      }
    } else {
      tell_references(address, fd);
    }
    if (kind == RECORD_PIDFD && magic != PID_FS_MAGIC) {
      give_up_proof(); /* until 6.8 each of them is a file of its own */
    }
    out.file.head.size = (u16)size;
    if (send_record((u32)size)) {
      return 1;
    }
    if (kind == RECORD_EPOLL) {
      return epoll_send_items(address);
    }
  }
  return 0;
}

u32 parked_pid;
u32 parked_ring_full;

static long visit_next_parked(u32 round, void *context) {
  if (round >= parked_count || round >= PARKED_MAX) {
    return 1;
  }
  if (visit_file(parked[round & (PARKED_MAX - 1)], parked_pid, -1)) {
    parked_ring_full = 1;
    return 1;
  }
  return 0;
}

/**
 * The files inside the queue of the socket that was visited last. Inline, because the verifier
 * allows eight frames and the way from here to a lock's record takes six. Loops that are no calls
 * have no frames of their own, but one within another is checked for too long.
 */
#ifdef WITHOUT_LOOPS
__noinline int visit_parked(u32 pid) {
#else
static __always_inline int visit_parked(u32 pid) {
#endif
  parked_pid = pid;
  parked_ring_full = 0;
  repeat(PARKED_MAX, visit_next_parked);
  return parked_ring_full != 0;
}

/*
 * What a walk waits for is memory: each file and what is behind it are some ten cache lines that
 * nobody has used for long. Loads of several files, one after the other, wait for all of them at
 * the same time.
 */
#ifdef DIRECT_READS
#define FILES_AHEAD 8

/* Constant for the verifier: a few files are not worth the time that it takes for this. */
u32 looks_ahead SEC(".rodata");

#define TOUCH(view, structure, member) \
  (void)*(const volatile structure##__##member *)((const void *)(view) + OFFSET(structure, member))

static __always_inline u64 file_ahead(u32 distance) {
  return VIEW(table.files[(paused_fd + distance) % DESCRIPTOR_BATCH], file);
}

static __always_inline void look_ahead(void) {
  if (!looks_ahead || paused_fd % FILES_AHEAD) {
    return;
  }
  for (u32 i = 0; i < FILES_AHEAD; i++) {
    const u64 file = file_ahead(i);
    TOUCH(file, file, inode);
    TOUCH(file, file, dentry);
  }
  for (u32 i = 0; i < FILES_AHEAD; i++) {
    const u64 file = file_ahead(i);
    const u64 inode = READ(file, file, inode);
    TOUCH(inode, inode, mode);
    TOUCH(inode, inode, ino);
    TOUCH(inode, inode, pipe);
    TOUCH(VIEW(READ(file, file, private_data), socket), socket,
          sk); /* or what else is behind the file */
    TOUCH(READ(file, file, dentry), dentry, name);
  }
}
#else
#define look_ahead()
#endif

#define OLD_DESCRIPTORS_PER_CALL 512

/** The descriptor paused_fd. */
static long send_next_file(u32 round, void *context) {
  const u32 fd = paused_fd;
  if (fd >= table.max) {
    table.done = 1;
    return 1;
  }
  const u32 place = fd % DESCRIPTOR_BATCH;
  if (!place && is_batch_empty(fd)) {
    paused_fd = fd + DESCRIPTOR_BATCH;
    return 0;
  }
  if (!place || !table.is_read) {
    /* Tables are a multiple of 64 long (alloc_fdtable, fs/file.c). */
    bpf_probe_read_kernel(table.files, sizeof table.files,
                          (void *)(table.fds + 8 * (u64)(fd - place)));
    table.is_read = 1;
  }
  look_ahead();
  const u64 file = table.files[place];
  if (file) {
    parked_count = 0;
    if (visit_file(file, table.pid, (int)fd) || (parked_count && visit_parked(table.pid))) {
      return 1; /* the ring is full */
    }
    file_count++;
  }
  paused_fd = fd + 1;
  return 0;
}

/** Descriptors from paused_fd on. 0: done with this process; 1: call again. */
static int send_files(void) {
  table.done = 0;
  table.is_read = 0;
  repeat_on_old(DESCRIPTORS_PER_CALL, OLD_DESCRIPTORS_PER_CALL, send_next_file);
  return !table.done;
}

/** False when it has no descriptors any more. */
static bool find_table(struct task_struct *task, u32 tgid) {
  const u64 files = GET(task, task_struct, files);
  if (!files) {
    return false;
  }
  const u64 fdt = READ(files, files_struct, fdt);
  table.fds = READ(fdt, fdtable, fd);
  table.open = HAS(fdtable, open) ? (u64)READ(fdt, fdtable, open) : 0;
  table.max = READ(fdt, fdtable, max_fds);
  table.pid = tgid;
  current_files = files;
  return true;
}

SEC("iter/task")
int walk(struct bpf_iter__task *ctx) {
  struct task_struct *task = ctx->task;
  if (!task) {
    return 0;
  }
  const u32 global_pid = GET_TRUSTED(task, task_struct, pid);
  const int is_leader = global_pid == GET_TRUSTED(task, task_struct, tgid);
  if (!own_level) {
    const u64 self = bpf_get_current_task();
    own_level = READ(GET(self, task_struct, thread_pid), pid, level);
  }
  const u32 tgid = (u32)pid_number(
      number_of(READ(GET(task, task_struct, group_leader), task_struct, thread_pid)));
  if (!tgid) {
    return 0; /* it exited while we looked */
  }
  if (!paused_pid) {
    leaderless_pid = 0; /* another walk */
  }
  const int is_new = paused_pid != global_pid;
  if (is_new) {
    if (relations.part <= WALK_CHOSEN && send_thread(task, tgid)) {
      return 1;
    }
    paused_pid = global_pid;
    paused_fd = 0;
    file_count = 0;
  }
  /* A leader that has exited has no descriptors any more, its threads still do. */
  const int stands_in = !is_leader && tgid != leaderless_pid &&
                        !READ(GET(task, task_struct, group_leader), task_struct, files);
  if (!is_leader && !stands_in) {
    return 0;
  }
  if (find_table(task, tgid)) {
    if (is_new) {
      treatment = treatment_of(tgid);
    }
    if (treatment == SKIP) {
      return 0;
    }
    if (treatment == DESCRIBE && send_files()) {
      return 1;
    }
  }
  struct fd_count_record *count = bpf_ringbuf_reserve(&records, sizeof *count, 0);
  if (!count) {
    return 1;
  }
  count->head.kind = RECORD_FD_COUNT;
  count->head.size = sizeof *count;
  count->head.pid = tgid;
  count->count = file_count;
  count->reserved = 0;
  bpf_ringbuf_submit(count, BPF_RB_NO_WAKEUP);
  files_seen += file_count;
  if (stands_in) {
    leaderless_pid = tgid;
  }
  return 0;
}
