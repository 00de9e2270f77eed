/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the programs of activity.bpf.c and user space say to each other. */
#ifndef IPCSCOPE_ACTIVITY_H
#define IPCSCOPE_ACTIVITY_H
#include "trace.h"

/** How a system call says what it moved where. */
enum activity_form {
  ACTIVITY_NONE, /* it moves nothing */
  ACTIVITY_FILE,
  ACTIVITY_MESSAGES, /* a vector of messages; the result is how many */
  ACTIVITY_SPLICE,   /* from one descriptor to another */
  ACTIVITY_VMSPLICE, /* which way, says how the descriptor was opened */
  ACTIVITY_MSG,      /* System V */
  ACTIVITY_SEM,      /* which way, says the first operation */
  ACTIVITY_SIGNAL,
};

enum activity_direction { ACTIVITY_READ, ACTIVITY_WRITE };

#define ACTIVITY_NO_ARGUMENT 7

/** A system call that is counted. */
struct activity_call {
  u8 form;
  u8 direction;
  u8 argument; /* the descriptor or identifier; of signals, the number */
  u8 to;       /* of splices: the other descriptor */
  u8 size;     /* argument that says the bytes; ACTIVITY_NO_ARGUMENT: the result does */
  u8 flags;    /* argument that has the flags; ACTIVITY_NO_ARGUMENT: none */
  u16 peeks;   /* flags with which nothing is moved */
};
RECORD_ASSERT(sizeof(struct activity_call) == 8, "activity_call");

/** Pairs of a channel and a process that can be counted between two readings. */
#define ACTIVITY_PAIRS 65536

/** What one process did at one channel. */
struct activity_key {
  u64 channel;
  u32 group; /* number of the process in the first PID namespace */
  u32 reserved;
};
RECORD_ASSERT(sizeof(struct activity_key) == 16, "activity_key");

struct activity_value {
  u64 operations[2]; /* by activity_direction */
  u64 bytes[2];
  u32 pid; /* in ipcscope's namespace; 0: none there */
  u32 reserved;
  char comm[16];                       /* of the first thread */
  struct trace_channel_record channel; /* as it was when this was made */
};
RECORD_ASSERT(sizeof(struct activity_value) == 256, "activity_value");

/** Counters that the programs keep. */
struct activity_counters {
  u64 lost;     /* operations that found no room */
  u64 unknown;  /* operations at descriptors that were closed before the call came back */
  u64 foreign;  /* calls of 32-bit programs: they have other numbers, and are not looked at */
  u64 too_long; /* messages behind those of a vector that are added up: their bytes are missing */
  u32 own_group;
  u32 level; /* of ipcscope's PID namespace */
};

#endif
