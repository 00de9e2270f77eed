/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a system call is about, and the records that say what that is. Kernel side only. */
#ifndef IPCSCOPE_TRACE_CHANNEL_H
#define IPCSCOPE_TRACE_CHANNEL_H
#include "trace_ring.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, TRACE_SEEN);
  __type(key, u32);
  __type(value, struct trace_seen);
} trace_seen SEC(".maps");

/** What was sent about a channel into the ring of a mechanism. */
static __always_inline struct trace_seen *seen_of(u64 key, u32 word) {
  const u64 mixed = (key + ring_number(word)) * 0x9e3779b97f4a7c15ULL;
  const u32 index = (u32)(mixed >> 40) & (TRACE_SEEN - 1);
  return bpf_map_lookup_elem(&trace_seen, &index);
}

/** True when the record of this channel was sent with this stamp; notes that it is now. */
static __always_inline bool was_seen(u64 key, u64 stamp, u32 word) {
  struct trace_seen *seen = seen_of(key, word);
  if (!seen || (seen->key == key && seen->stamp == stamp)) {
    return seen != NULL;
  }
  seen->key = key;
  seen->stamp = stamp;
  return false;
}

static __always_inline void forget(u64 key, u32 word) {
  struct trace_seen *seen = seen_of(key, word);
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

/* What looks for a channel returns 0; NOT_WANTED; or NO_ROOM for the record about it. */
#define NOT_WANTED 1
#define NO_ROOM 2

/**
 * What a descriptor of a task is, and whether it is wanted. as: the kind of lock that the call is
 * about, else AS_FILE. word: what the call itself was asked for by, TRACE_NO_KIND: by its channel.
 */
static __always_inline int find_subject(struct led_to *to, u64 task, int fd, u32 as, u32 word) {
  const u64 file = file_behind(task, fd);
  if (!file) {
    return NOT_WANTED;
  }
  if (as == AS_FILE) {
    identify(to, file, filter.shm_device, counters.level);
  } else {
    see_file(to, file);
    to->kind = as;
    mix_device(to);
  }
  const u32 kind = to->kind;
  if (kind == TRACE_NO_KIND || (word == TRACE_NO_KIND && !is_wanted_kind(kind))) {
    return NOT_WANTED;
  }
  if (!is_wanted_channel(kind, to->number) &&
      !(kind == TRACE_UNIX && filter.channel_kind == TRACE_UNIX &&
        peer_inode(to->sk) == filter.channel)) {
    return NOT_WANTED;
  }
  const u64 key = make_key(kind, to->distinct);
#pragma unroll
  for (u32 i = 0; i < TRACE_IGNORED_MAX; i++) {
    if (i < filter.ignored_count && filter.ignored[i] == key) {
      return NOT_WANTED;
    }
  }
  return 0;
}

/** Changes when the record about it has to be sent again. */
static __always_inline u64 stamp_of(const struct led_to *to) {
  const u64 sk = to->sk;
  switch (to->kind) {
    case TRACE_UNIX:
      return GET_NUMBER(sk, unix_sock, peer) + (u64)GET(sk, sock, state);
    case TRACE_TCP:
    case TRACE_UDP: {
      const u64 stamp =
          (u64)GET(sk, sock, daddr) << 32 | (u64)GET(sk, sock, dport) << 16 | GET(sk, sock, num);
      return GET(sk, sock, family) == AF_INET6 ? stamp + number_at(sk + OFFSET(sock, v6_daddr)) +
                                                     number_at(sk + OFFSET(sock, v6_daddr) + 8)
                                               : stamp;
    }
    case TRACE_PIDFD:
      return to->number + 1;
    default:
      return 1;
  }
}

/*
 * Functions that look for a channel leave it in the slot of the thread, and send the record about
 * it where it is new. They are global, with scalar arguments: the verifier checks each once.
 */

/** What a descriptor of the current process is; as and word as in find_subject(). */
__noinline int find_file(u64 pid_tgid, int fd, u32 as, u32 word) {
  struct trace_slot *slot = slot_of(pid_tgid);
  if (!slot) {
    return NOT_WANTED;
  }
  slot->found_key = 0;
  slot->found_kind = TRACE_NO_KIND;
  struct led_to to;
  if (find_subject(&to, bpf_get_current_task(), fd, as, word)) {
    return NOT_WANTED;
  }
  const u32 kind = to.kind;
  const u64 key = make_key(kind, to.distinct);
  word = word == TRACE_NO_KIND ? kind : word;
  slot->found_kind = kind;
  slot->found_word = word;
  slot->found_key = key;
  if (filter.summary || was_seen(key, stamp_of(&to), word)) {
    return 0;
  }
  struct trace_channel_record *record = reserve(word, sizeof *record);
  if (!record) {
    forget(key, word);
    return NO_ROOM;
  }
  describe_channel(record, &to, counters.level);
  record->key = key;
  record->fd = fd;
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
  slot->found_kind = slot->found_word = kind;
  const u32 space = ipc_space_of(bpf_get_current_task());
  const u64 key = sysv_key(kind, id, space);
  slot->found_key = key;
  if (filter.summary || was_seen(key, space, kind)) {
    return 0;
  }
  struct trace_channel_record *record = reserve(kind, sizeof *record);
  if (!record) {
    forget(key, kind);
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
  slot->found_kind = slot->found_word = kind;
  if (!is_wanted_kind(kind)) {
    return NOT_WANTED;
  }
  if (!is_wanted_channel(kind, 0) && filter.channel_kind != TRACE_POSIXSEM) {
    return NOT_WANTED;
  }
  slot->found_key = make_key(kind, 1ULL << 55 | bpf_ktime_get_ns());
  if (filter.summary) {
    return 0;
  }
  struct trace_channel_record *record = reserve(kind, sizeof *record);
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

#endif
