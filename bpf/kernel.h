/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How kernel memory is read. Addresses are numbers here; what is where behind them says layout.h.
 */
#ifndef IPCSCOPE_KERNEL_H
#define IPCSCOPE_KERNEL_H

#include <linux/bpf.h>

#include "layout.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

typedef _Bool bool;
#define NULL ((void *)0)
#define true 1
#define false 0

/* The contexts of the iterators; the verifier knows these, they are not relocated. */
struct task_struct;
struct vm_area_struct;
struct seq_file;
struct bpf_iter_meta {
  struct seq_file *seq;
  u64 session_id;
  u64 seq_num;
};
struct bpf_iter__task {
  struct bpf_iter_meta *meta;
  struct task_struct *task;
};
struct bpf_iter__task_vma { /* 5.12 */
  struct bpf_iter_meta *meta;
  struct task_struct *task;
  struct vm_area_struct *vma;
};
struct pt_regs;

/*
 * Set by user space before loading; the verifier takes it as constants and drops dead branches.
 * Not const and not volatile: the compiler must not take its zeroes for the values, and may load
 * each of them once.
 */
struct kernel_layout layout SEC(".rodata");

#define LAYOUT_VALUE(structure, name, path, value) typedef value structure##__##name;
KERNEL_LAYOUT(LAYOUT_NOTHING, LAYOUT_VALUE, LAYOUT_NOTHING)

#define OFFSET(structure, member) layout.offset[KERNEL_MEMBER_##structure##_##member]
#define HAS(structure, member) (OFFSET(structure, member) != MEMBER_ABSENT)
/* Of a task, until 5.15 told where its registers are (THREAD_SIZE of x86 and arm64). */
#define STACK_SIZE (layout.page_size > 16384 ? layout.page_size : 16384)
#define SIZE(structure) layout.size[KERNEL_TYPE_##structure]

/*
 * A pointer as a number. With direct reads the verifier knows what a pointer points to and takes it
 * neither as an argument of a global function nor for arithmetic; what comes out of a map is a
 * number.
 */
#ifdef DIRECT_READS
static volatile u64 number_slot;
static __always_inline u64 number_of_(u64 pointer) {
  barrier_var(pointer); /* else reads of two branches become one, of a struct that is not known */
  number_slot = pointer;
  return number_slot;
}
#define number_of(pointer) number_of_((u64)(pointer))
#else
#define number_of(pointer) ((u64)(pointer))
#endif

/* The address of a member, and that of the struct that has a member at an address. */
#define ADDRESS(address, structure, member) (number_of(address) + OFFSET(structure, member))
#define CONTAINER(address, structure, member) (number_of(address) - OFFSET(structure, member))

/* The value of a member as a helper reads it: of structs, too, that a module defines. */
#define GET_FAR(address, structure, member)                                            \
  ({                                                                                   \
    structure##__##member value_ = 0;                                                  \
    bpf_probe_read_kernel(&value_, sizeof value_,                                      \
                          (const void *)((u64)(address) + OFFSET(structure, member))); \
    value_;                                                                            \
  })

/*
 * GET(address, structure, member) is the value of a member; 0 where the address is bad.
 *
 * With DIRECT_READS it is a plain load, which the kernel lets fault: twenty times faster than a
 * helper call, and needs the kfunc bpf_rdonly_cast (6.2). Each use of that is some sixteen more
 * instructions to verify, in the program and in its loader, so several members are read through
 * one VIEW(address, structure), by READ(). What was read there as a pointer to a struct is such a
 * view, too.
 */
#ifdef DIRECT_READS
/* The verifier has to see each cast with its own type: calls from two branches must not become one.
 */
extern void *bpf_rdonly_cast(const void *object, u32 btf_id) __ksym __attribute__((const, nomerge));
#define VIEW(address, structure) \
  ((u64)bpf_rdonly_cast((const void *)(address), layout.id[KERNEL_TYPE_##structure]))
#define READ(view, structure, member) \
  (*(const structure##__##member *)((const void *)(view) + OFFSET(structure, member)))
#define GET(address, structure, member) READ(VIEW(address, structure), structure, member)
#define HAS_HELPER(name) true /* all of them are older than the kfunc */
/*
 * The same of a pointer that the kernel itself handed to the program, and vouches for: a load whose
 * address is not checked, which is several times shorter. Only numbers: for a pointer the verifier
 * searches all types whether it may be trusted, too, a quarter of a millisecond each time that it
 * comes by. Where it comes by once, and threads often, that is worth it.
 */
#define GET_TRUSTED READ
#else
#define VIEW(address, structure) ((u64)(address))
#define READ GET_FAR
#define GET GET_FAR
#define GET_TRUSTED GET_FAR
#define HAS_HELPER(name) bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_##name)
#endif

/**
 * The word at an address. With direct reads it is for the verifier the number of an inode: the word
 * itself is often a pointer, with which no arithmetic would be allowed.
 */
static __always_inline u64 number_at(u64 address) {
  return GET(address - OFFSET(inode, ino), inode, ino);
}

#endif
