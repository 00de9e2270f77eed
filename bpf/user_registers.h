/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copies the registers that a thread had when it entered the kernel. */
#ifndef IPCSCOPE_USER_REGISTERS_H
#define IPCSCOPE_USER_REGISTERS_H

#include "kernel.h"
#include "registers.h"

/** All user registers, as registers_record has them; the result is the instruction pointer. */
static __always_inline u64 copy_registers(u64 regs, u64 *values) {
#if defined(__TARGET_ARCH_x86)
  values[0] = GET_FAR(regs, pt_regs, ax);
  values[1] = GET_FAR(regs, pt_regs, dx);
  values[2] = GET_FAR(regs, pt_regs, cx);
  values[3] = GET_FAR(regs, pt_regs, bx);
  values[4] = GET_FAR(regs, pt_regs, si);
  values[5] = GET_FAR(regs, pt_regs, di);
  values[6] = GET_FAR(regs, pt_regs, bp);
  values[7] = GET_FAR(regs, pt_regs, sp);
  values[8] = GET_FAR(regs, pt_regs, r8);
  values[9] = GET_FAR(regs, pt_regs, r9);
  values[10] = GET_FAR(regs, pt_regs, r10);
  values[11] = GET_FAR(regs, pt_regs, r11);
  values[12] = GET_FAR(regs, pt_regs, r12);
  values[13] = GET_FAR(regs, pt_regs, r13);
  values[14] = GET_FAR(regs, pt_regs, r14);
  values[15] = GET_FAR(regs, pt_regs, r15);
  values[16] = GET_FAR(regs, pt_regs, ip);
  return values[16];
#elif defined(__TARGET_ARCH_arm64)
  /* x0 to x30 begin the struct, sp and pc follow (arch/arm64/include/asm/ptrace.h). */
  bpf_probe_read_kernel(values, REGISTERS * sizeof(u64), (const void *)regs);
  return GET_FAR(regs, pt_regs, pc);
#endif
}

#endif
