/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the programs of trace.bpf.c and user space say to each other. */
#ifndef IPCSCOPE_TRACE_H
#define IPCSCOPE_TRACE_H
#include "record.h"

/* Kinds of channels, numbered as Kind in collectors/model/snapshot.h, which asserts it. */
enum trace_kind {
  TRACE_PIPE,
  TRACE_FIFO,
  TRACE_UNIX,
  TRACE_TCP,
  TRACE_UDP,
  TRACE_NETLINK,
  TRACE_PACKET,
  TRACE_RAW,
  TRACE_VSOCK,
  TRACE_SHM,
  TRACE_SEM,
  TRACE_MSG,
  TRACE_POSIXSHM,
  TRACE_POSIXSEM,
  TRACE_MQ,
  TRACE_MEMFD,
  TRACE_MMAP,
  TRACE_FUTEX,
  TRACE_FLOCK,
  TRACE_FCNTL,
  TRACE_OFD,
  TRACE_LEASE,
  TRACE_EVENTFD,
  TRACE_EPOLL,
  TRACE_SIGNALFD,
  TRACE_TIMERFD,
  TRACE_PIDFD,
  TRACE_INOTIFY,
  TRACE_IO_URING,
  TRACE_PTY,
  TRACE_CHANNEL_KINDS,
  /* What is asked for by a word, but is no kind of channel. */
  TRACE_SIGNAL = TRACE_CHANNEL_KINDS,
  TRACE_FD,     /* descriptors passed in messages */
  TRACE_SPLICE, /* data moved between descriptors */
  TRACE_POLL,   /* waits for any of several descriptors */
  TRACE_WORDS,
};
#define TRACE_NO_KIND 0xff

/*
 * Ring buffers, each of a group of mechanisms: a noisy one does not push out what the others have
 * to say. Which words a ring is for says trace_ring_of() of calls.h.
 */
#define TRACE_RINGS(RING) \
  RING(pipe)              \
  RING(local)             \
  RING(futex)             \
  RING(inet)              \
  RING(poll)              \
  RING(sysv)              \
  RING(mq)                \
  RING(lock)              \
  RING(pty)               \
  RING(event)             \
  RING(memory)            \
  RING(signal)
enum trace_ring {
#define TRACE_RING(name) TRACE_RING_##name,
  TRACE_RINGS(TRACE_RING) TRACE_RING_COUNT
#undef TRACE_RING
};

/** How the channel of a system call is found. */
enum trace_shape {
  SHAPE_NONE,
  SHAPE_FD,          /* an argument is a descriptor */
  SHAPE_NEW_FD,      /* the result is one */
  SHAPE_NEW_PAIR,    /* an argument points to two of them */
  SHAPE_FUTEX,       /* the first argument is an address */
  SHAPE_FUTEX_WAITV, /* the first argument points to what begins with value and address */
  SHAPE_SYSV,        /* an argument is an identifier, kind says of what */
  SHAPE_NEW_SYSV,    /* the result is one */
  SHAPE_POLL,        /* an array of struct pollfd and its length */
  SHAPE_SELECT,      /* descriptors in bit sets: not resolved */
  SHAPE_LOCK,        /* a descriptor, as what is locked */
  SHAPE_FCNTL,       /* likewise, when the command is one of locks, leases or pipes */
  SHAPE_PATH,        /* an argument is a path in /dev/shm or the name of a queue */
  SHAPE_OPEN,        /* the result is a descriptor: of something with a name */
  SHAPE_SPLICE,      /* two descriptors: from, and as detail, to */
};

/** What a call tells beside its channel. */
enum trace_bytes { BYTES_NONE, BYTES_RESULT, BYTES_ARGUMENT_2 };
enum trace_payload {
  PAYLOAD_NONE,
  PAYLOAD_BUFFER,  /* argument 1 */
  PAYLOAD_VECTOR,  /* of buffers */
  PAYLOAD_MESSAGE, /* struct msghdr */
  PAYLOAD_SYSV,    /* behind the type of a System V message */
};

/** A system call that is traced; shape 0: it is not. */
struct trace_call {
  u8 shape;
  u8 argument; /* which one shape speaks of */
  u8 kind;     /* of System V objects and paths */
  u8 bytes;
  u8 payload;
  u8 moves;  /* it sends: 1, it receives: 2, descriptors inside included */
  u8 index;  /* in the summary */
  u8 detail; /* the argument that the record carries; 0xff: none */
};
RECORD_ASSERT(sizeof(struct trace_call) == 8, "trace_call");

#define TRACE_CALLS 512

/* Numbers above those of system calls, for what is none. */
#define TRACE_CALL_SIGNAL_GENERATE 600
#define TRACE_CALL_SIGNAL_DELIVER 601
#define TRACE_CALL_SEND_FD 602
#define TRACE_CALL_RECEIVE_FD 603
#define TRACE_CALL_IO_URING 604

#define TRACE_RING_LEAST 65536 /* bytes: the largest page of any machine */
#define TRACE_PAYLOAD_MAX 1024
#define TRACE_STACK_MAX 32
#define TRACE_PIDS_MAX 4096
#define TRACE_IGNORED_MAX 8

/** What is wanted. Constants of the programs; 0 or UNKNOWN where it does not restrict. */
struct trace_filter {
  u64 kinds;                      /* bits, enum trace_kind */
  u64 slower_than;                /* ns */
  u64 cgroup;                     /* id */
  u64 channel;                    /* its number: inode, id, address */
  u64 ignored[TRACE_IGNORED_MAX]; /* channels that ipcscope's own output goes to; keys */
  u32 ignored_count;
  u32 by_pid; /* only of the processes in trace_pids */
  u32 uid;    /* UNKNOWN_U32 */
  u32 cgroup_level;
  u32 channel_kind; /* UNKNOWN_U32 */
  u32 errors;       /* only what failed */
  u32 payload;      /* bytes, at most TRACE_PAYLOAD_MAX */
  u32 stacks;
  u32 summary;    /* count, and send nothing */
  u32 shm_device; /* of /dev/shm */
  u32 comm_set;
  u32 tid;
  u32 splice;                /* the word that data moved between descriptors counts for */
  u32 used_rings;            /* bits */
  u8 rings[TRACE_WORDS + 3]; /* of each word */
  char comm[16];
};

enum trace_record_kind { TRACE_EVENT = 1, TRACE_CHANNEL, TRACE_THREAD, TRACE_LOST };

/**
 * One operation that ended. Behind it come payload bytes, filled up to a multiple of 8, and then
 * stack addresses.
 */
struct trace_event_record {
  u16 kind;
  u16 call;
  u32 tid; /* number of the first PID namespace, as the thread's record has it */
  u64 end_ns;
  u64 duration_ns; /* UNKNOWN_U64: it began before the trace */
  u64 channel;     /* key; 0: none */
  s64 result;
  u64 detail; /* an argument, as the call says */
  u32 bytes;  /* moved, where the call's argument says it */
  u16 payload;
  u16 stack; /* addresses */
};
RECORD_ASSERT(sizeof(struct trace_event_record) == 56, "trace_event_record");

/** Comes before the first event of a thread, and again when it has another name. */
struct trace_thread_record {
  u16 kind;
  u16 reserved;
  u32 tid;     /* number of the first namespace */
  u32 own_pid; /* in ipcscope's; 0: none there */
  u32 own_tid;
  char comm[16];
};
RECORD_ASSERT(sizeof(struct trace_thread_record) == 32, "trace_thread_record");

/** Events of one mechanism that found no room, since the beginning. */
struct trace_lost_record {
  u16 kind;
  u16 word; /* 1 + trace_kind of the mechanism; 0: not known */
  u16 reserved[2];
  u64 lost;
};
RECORD_ASSERT(sizeof(struct trace_lost_record) == 16, "trace_lost_record");

#define TRACE_NAME_MAX 108

struct trace_unix {
  u64 peer_inode;
  u32 type;
  u32 peer_pid;
  u32 net_ns;
  u32 mutual; /* its peer's peer is it */
};

struct trace_inet {
  u8 local[16];
  u8 remote[16];
  u16 local_port;
  u16 remote_port;
  u16 family;
  u16 state;
  u32 net_ns;
};

/** Comes before the first event at a channel, and again when what it says has changed. */
struct trace_channel_record {
  u16 kind;
  u16 channel_kind;
  s32 fd; /* -1: not by a descriptor */
  u64 key;
  u64 number; /* inode, identifier, index */
  u32 device;
  u32 tid;        /* who used it */
  u32 name_space; /* of System V objects */
  u16 name_length;
  u16 unlinked; /* its file had no name any more */
  union {
    struct trace_unix unix_end;
    struct trace_inet inet;
  };
  char name[TRACE_NAME_MAX]; /* of the directory entry; of a UNIX socket: its address */
  u32 reserved;
};
RECORD_ASSERT(sizeof(struct trace_channel_record) == 200, "trace_channel_record");

/** What the programs remember of a thread: one element of an array by the thread's number. */
struct trace_slot {
  u32 tid;
  u32 call; /* + 1; 0: in none */
  u64 begin_ns;
  u64 comm[2];
  u32 announced; /* tid whose record was sent, with this name */
  u32 rings;     /* bits: where it was sent */
  u64 found_key; /* the channel that was looked for last; 0: none */
  u64 detail;
  u32 found_kind;
  u32 found_word; /* of what it is, or of what asked for it: says which ring it belongs to */
};
RECORD_ASSERT(sizeof(struct trace_slot) == 64, "trace_slot");
#define TRACE_SLOTS 65536

/** A channel whose record was sent. */
struct trace_seen {
  u64 key;
  u64 stamp;
};
#define TRACE_SEEN 16384

#define TRACE_HISTOGRAM 40 /* powers of two of nanoseconds */

#define TRACE_SUMS 1024
#define TRACE_SUM_KEYS (256 * 64) /* index of the call << 6 | kind */

/** Sums by operation and kind, one for each CPU. */
struct trace_sum {
  u64 key;
  u64 count;
  u64 errors;
  u64 bytes;
  u64 timed; /* of count, how many have a duration */
  u64 total_ns;
  u64 max_ns;
  u64 histogram[TRACE_HISTOGRAM];
};

/** Counters that the programs keep. None is taken back: 5.10 has no exchange for them. */
struct trace_counters {
  u64 lost[TRACE_WORDS]; /* events, by mechanism */
  u64 told[TRACE_WORDS]; /* of them, what the last record said */
  u64 foreign;           /* calls of 32-bit programs, with the number of a traced one */
  u64 sums;              /* how many of them are in use */
  u32 own_group;         /* ipcscope's own; number of the first PID namespace */
  u32 level;             /* of its PID namespace */
};

#endif
