/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "collectors/locks/uprobe_multi.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "collectors/bpf_loading.h"

/* What BPF_LINK_CREATE is given since 6.6 (struct link_create of union bpf_attr). */
struct uprobe_multi_request {
  uint32_t program;
  uint32_t target;
  uint32_t attach_type;
  uint32_t flags;
  uint64_t path;
  uint64_t offsets;
  uint64_t counters; /* of uses, in the program: ref_ctr_offsets */
  uint64_t cookies;
  uint32_t count;
  uint32_t probe_flags;
  uint32_t pid;
  uint32_t reserved;
};
_Static_assert(offsetof(struct uprobe_multi_request, pid) == 56, "uprobe_multi.pid");

int link_uprobes(int program, const struct uprobe_places* places, pid_t pid) {
  struct uprobe_multi_request request;
  memset(&request, 0, sizeof request);
  request.program = (uint32_t)program;
  request.attach_type = UPROBE_MULTI_ATTACH_TYPE;
  request.path = (uintptr_t)places->path;
  request.offsets = (uintptr_t)places->offsets;
  request.cookies = (uintptr_t)places->cookies;
  request.count = places->count;
  request.pid = (uint32_t)pid;
  const long link = syscall(SYS_bpf, BPF_LINK_CREATE, &request, sizeof request);
  return link < 0 ? -errno : (int)link;
}

/** The kernel's answer to a link that cannot be, as an errno. */
static int answer_to(int program, pid_t pid) {
  const uint64_t offset = 0, cookie = 0;
  const struct uprobe_places nowhere = {"/", &offset, &cookie, 1};
  const int link = link_uprobes(program, &nowhere, pid);
  if (link >= 0) {
    close(link);
  }
  return link < 0 ? -link : 0;
}

/** Loads code for such links; a negative errno. */
static int load(const struct bpf_insn* code, size_t count) {
  struct bpf_prog_load_opts options;
  memset(&options, 0, sizeof options);
  options.sz = sizeof options;
  options.expected_attach_type = (enum bpf_attach_type)UPROBE_MULTI_ATTACH_TYPE;
  const int program = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "", "GPL", code, count, &options);
  return program < 0 ? -errno : program;
}

/**
 * bpf_uprobe_multi_link_attach() in kernel/trace/bpf_trace.c: a directory has no code (EBADF), but
 * that is found after the number of a process that there cannot be (EINVAL), where it is looked for
 * as one. Kernels without such links say EINVAL to both.
 */
static int can_link(int program) {
  return answer_to(program, 0) == EBADF && answer_to(program, -1) == EINVAL;
}

int has_uprobe_multi(void) {
  if (is_without_in_bpf(BPF_WITHOUT_UPROBE_MULTI)) {
    return 0;
  }
  const struct bpf_insn nothing[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
      {.code = BPF_JMP | BPF_EXIT},
  };
  const int program = load(nothing, sizeof nothing / sizeof *nothing);
  if (program < 0) {
    return 0;
  }
  const int has = can_link(program);
  close(program);
  return has;
}

/** A program that writes a 1 to the begin of an array's only value; a negative errno. */
static int load_writer(int map) {
  const struct bpf_insn code[] = {
      {.code = BPF_LD | BPF_DW | BPF_IMM,
       .dst_reg = BPF_REG_1,
       .src_reg = BPF_PSEUDO_MAP_VALUE,
       .imm = map},
      {0}, /* the rest of the number */
      {.code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_1, .imm = 1},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
      {.code = BPF_JMP | BPF_EXIT},
  };
  return load(code, sizeof code / sizeof *code);
}

/** As try_uprobe_multi(), with a program that writes to this map. */
static int see_call(int program, int map, const struct uprobe_places* place, void (*call)(void)) {
  if (!can_link(program)) {
    return EOPNOTSUPP;
  }
  const int link = link_uprobes(program, place, getpid());
  if (link < 0) {
    return -link;
  }
  call();
  close(link);
  const uint32_t key = 0;
  uint64_t seen = 0;
  return bpf_map_lookup_elem(map, &key, &seen) != 0 ? errno : seen == 1 ? 0 : ENODATA;
}

int try_uprobe_multi(const struct uprobe_places* place, void (*call)(void)) {
  if (is_without_in_bpf(BPF_WITHOUT_UPROBE_MULTI)) {
    return EOPNOTSUPP;
  }
  const int map =
      bpf_map_create(BPF_MAP_TYPE_ARRAY, "", sizeof(uint32_t), sizeof(uint64_t), 1, NULL);
  if (map < 0) {
    return errno;
  }
  const int program = load_writer(map);
  const int error = program < 0 ? -program : see_call(program, map, place, call);
  if (program >= 0) {
    close(program);
  }
  close(map);
  return error;
}
