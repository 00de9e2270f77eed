// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * System V sets and queues of every IPC namespace that a task is in: who would still act on them.
 * An object of its own, because only `leaks` asks.
 *
 * The ids of a namespace are an xarray (Linux 4.20 to 6.18: ipc_ids.ipcs_idr; a radix tree of the
 * same layout in name). It is walked by index from its root each time, and an empty branch is
 * skipped whole. Everything is read without locks: a list that changes meanwhile can only be
 * counted wrong, which one more look shows.
 */
#include "sysv.h"
#include "kernel.h"

#define SLOT_BITS 6           /* XA_CHUNK_SHIFT, without CONFIG_BASE_SMALL */
#define LEVELS_MAX 4          /* of 2^24 ids, IPCMNI_EXTEND */
#define OBJECTS_MAX (1 << 23) /* rounds of one walk over a namespace, bpf_loop's own limit */
#define LIST_MAX 65536
#ifdef WITHOUT_LOOPS
#define OLD_ROUNDS 64 /* before 5.17, which has no bpf_loop */
#endif

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 20);
} sysv_records SEC(".maps");

/* Told to user space. */
u64 sysv_lost; /* namespaces that were not walked to their end */

/*
 * Namespaces that were walked, each in the slot that its address chooses. One that another has
 * pushed out is walked again.
 */
#define SEEN_BITS 12
u64 sysv_seen[1 << SEEN_BITS];

enum { WALKING, RING_FULL, AT_END };
struct sysv_walk sysv_at;
struct sysv_list sysv_list;
struct sysv_set sysv_set;

static __always_inline u64 word_at(u64 address) {
  u64 word = 0;
  bpf_probe_read_kernel(&word, sizeof word, (void *)address);
  return word;
}

#ifdef WITHOUT_LOOPS
/* Of 64 bits: the verifier forgets a shorter counter on the stack, and sees a loop without end. */
#define rounds(max, step)                                               \
  do {                                                                  \
    for (u64 round = 0; round < OLD_ROUNDS && round < (max); round++) { \
      if (step((u32)round, NULL)) {                                     \
        break;                                                          \
      }                                                                 \
    }                                                                   \
  } while (0)
#else
#define rounds(max, step) bpf_loop(max, step, NULL, 0)
#endif

static long count_one(u32 round, void *context) {
  if (sysv_list.at == sysv_list.head || !sysv_list.at) {
    return 1;
  }
  sysv_list.count++;
  sysv_list.at = word_at(sysv_list.at);
  return 0;
}

/** Entries of a kernel list, -1 when there are more than can be counted. */
__noinline int sysv_length(u64 list) {
  sysv_list.head = list;
  sysv_list.at = word_at(list);
  sysv_list.count = 0;
  if (sysv_list.at == list) {
    return 0;
  }
  rounds(LIST_MAX, count_one);
  return sysv_list.at == list ? (int)sysv_list.count : -1;
}

/** Adds to a count that may be unknown. */
static __always_inline u32 plus(u32 count, int more) {
  return count == UNKNOWN_U32 || more < 0 ? UNKNOWN_U32 : count + (u32)more;
}

static long count_semaphore(u32 round, void *context) {
  if (round >= sysv_set.count) {
    return 1;
  }
  const u64 semaphore = sysv_set.sems + round * (u64)SIZE(sem);
  sysv_set.blocked = plus(sysv_set.blocked, sysv_length(ADDRESS(semaphore, sem, pending_alter)));
  sysv_set.blocked = plus(sysv_set.blocked, sysv_length(ADDRESS(semaphore, sem, pending_const)));
  return 0;
}

/** An operation waits on its semaphore's lists, one on several semaphores on those of the set. */
__noinline int sysv_blocked_at_set(u64 address) {
  sysv_set.sems = ADDRESS(address, sem_array, sems);
  sysv_set.count = GET_FAR(address, sem_array, sem_nsems);
  sysv_set.blocked = plus(0, sysv_length(ADDRESS(address, sem_array, pending_alter)));
  sysv_set.blocked =
      plus(sysv_set.blocked, sysv_length(ADDRESS(address, sem_array, pending_const)));
  rounds(LIST_MAX, count_semaphore);
#ifdef WITHOUT_LOOPS
  const u32 counted = OLD_ROUNDS;
#else
  const u32 counted = LIST_MAX;
#endif
  if (sysv_set.count > counted) {
    return -1;
  }
  return (int)sysv_set.blocked;
}

/**
 * The object at an index of the xarray whose root entry is given, else 0; then sysv_at.index moves
 * to the last index of the branch that is empty.
 */
static __always_inline u64 lookup(u64 entry, u32 index) {
  /* An entry that is a node has 2 in its lowest bits (xa_is_node, include/linux/xarray.h). */
  if ((entry & 3) != 2) {
    if (index > 0) {
      sysv_at.state = AT_END;
      return 0;
    }
    return entry;
  }
  for (u32 level = 0; level < LEVELS_MAX; level++) {
    if (entry < 4096) {
      return 0;
    }
    const u64 node = entry - 2;
    const u32 shift = GET_FAR(node, xa_node, shift) & 31;
    if (level == 0 && (u64)index >> shift >> SLOT_BITS) {
      sysv_at.state = AT_END;
      return 0;
    }
    const u64 slot = (index >> shift) & ((1 << SLOT_BITS) - 1);
    entry = word_at(ADDRESS(node, xa_node, slots) + slot * 8);
    if (!entry) {
      sysv_at.index |= (u32)((1ULL << shift) - 1);
      return 0;
    }
    if ((entry & 3) != 2) {
      return entry;
    }
  }
  return 0;
}

static long send_next_object(u32 round, void *context) {
  const u64 ids =
      ADDRESS(sysv_at.name_space, ipc_namespace, ids) + sysv_at.kind * (u64)SIZE(ipc_ids);
  const u64 root = GET_FAR(ids, ipc_ids, root);
  const u64 object = lookup(root, sysv_at.index);
  if (sysv_at.state == AT_END) {
    return 1;
  }
  if (object) {
    struct sysv_record record = {};
    record.name_space = sysv_at.inum;
    record.kind = sysv_at.kind;
    record.id = (s32)GET_FAR(object, kern_ipc_perm, id); /* the first member of both */
    if (sysv_at.kind == SYSV_SEM) {
      record.undos = (u32)sysv_length(ADDRESS(object, sem_array, list_id));
      record.blocked = (u32)sysv_blocked_at_set(object);
    } else {
      record.undos = UNKNOWN_U32;
      record.blocked = plus(plus(0, sysv_length(ADDRESS(object, msg_queue, q_receivers))),
                            sysv_length(ADDRESS(object, msg_queue, q_senders)));
    }
    if (bpf_ringbuf_output(&sysv_records, &record, sizeof record, BPF_RB_NO_WAKEUP)) {
      sysv_at.state = RING_FULL;
      return 1;
    }
  }
  sysv_at.index++;
  return 0;
}

/** The rest of the ids of one kind. 0: done; 1: call again. */
__noinline int sysv_send_ids(u32 kind) {
  if (sysv_at.kind != kind) {
    return 0;
  }
  sysv_at.state = WALKING;
  rounds(OBJECTS_MAX, send_next_object);
  if (sysv_at.state == RING_FULL) {
    return 1;
  }
  if (sysv_at.state != AT_END) {
#ifdef WITHOUT_LOOPS
    return 1; /* a bounded round at a time: the iterator calls again */
#else
    sysv_lost++;
#endif
  }
  sysv_at.kind = kind + 1;
  sysv_at.index = 0;
  return 0;
}

SEC("iter/task")
int sysv(struct bpf_iter__task *ctx) {
  struct task_struct *task = ctx->task;
  if (!task) {
    return 0;
  }
  const u64 spaces = GET_FAR(task, task_struct, nsproxy);
  if (!spaces) {
    return 0; /* it has ended */
  }
  const u64 address = GET_FAR(spaces, nsproxy, ipc_ns);
  if (sysv_at.name_space != address) {
    /* Golden ratio hashing, as hash_64() in include/linux/hash.h. */
    const u64 slot = (address * 0x61C8864680B583EBULL) >> (64 - SEEN_BITS);
    if (sysv_seen[slot & ((1 << SEEN_BITS) - 1)] == address) {
      return 0;
    }
    sysv_seen[slot & ((1 << SEEN_BITS) - 1)] = address;
    sysv_at.name_space = address;
    sysv_at.inum = GET_FAR(address, ipc_namespace, inum);
    sysv_at.kind = SYSV_SEM;
    sysv_at.index = 0;
  }
  return sysv_send_ids(SYSV_SEM) || sysv_send_ids(SYSV_MSG);
}

char LICENSE[] SEC("license") = "GPL";
