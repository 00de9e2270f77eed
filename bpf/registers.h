/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The user registers of one thread as they were when it entered the kernel. */
#ifndef IPCSCOPE_REGISTERS_H
#define IPCSCOPE_REGISTERS_H
#include "record.h"

/* How many there are. On x86 the last one is the instruction pointer. */
#if defined(__x86_64__) || defined(__TARGET_ARCH_x86)
#define REGISTERS 17
#elif defined(__aarch64__) || defined(__TARGET_ARCH_arm64)
#define REGISTERS 32
#endif

struct registers_record {
  u32 tid;      /* as ipcscope's own PID namespace numbers it */
  u32 running;  /* 1: runnable, so that the registers are those of an entry that may be over */
  u64 switches; /* voluntary + involuntary */
  u64 instruction;
  u64 values[REGISTERS]; /* in the order in which DWARF numbers them (the psABI of each) */
};
RECORD_ASSERT(sizeof(struct registers_record) == 24 + 8 * REGISTERS, "registers_record");

#endif
