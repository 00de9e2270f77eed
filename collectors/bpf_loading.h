/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which of the skeletons of bpf/CMakeLists.txt are tried, and how. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/** How a program may be loaded: any of these, the first that the kernel takes. */
enum bpf_loading {
  BPF_LOADING_LIGHT = 1, /* by the kernel alone and with direct reads: needs 6.2 */
  BPF_LOADING_FULL = 2,  /* through libbpf: 5.10, with loops 5.17, for mappings 5.12 */
  BPF_LOADING_OLD = 4,   /* the same without loops for 5.10: only the beginning of long lists */
};
#define BPF_LOADING_BEST (BPF_LOADING_LIGHT | BPF_LOADING_FULL | BPF_LOADING_OLD)

/** What a kernel may lack; to be without it on one that does not. */
enum bpf_lack {
  BPF_WITHOUT_DIRECT_READS = 1, /* no BPF_LOADING_LIGHT */
  BPF_WITHOUT_LOOPS = 2,        /* no bpf_loop */
  BPF_WITHOUT_TASK_VMA = 4,     /* no iterator over mappings */
  BPF_WITHOUT_UPROBE_MULTI = 8, /* an event for each probe of a function */
};

/** From now on for all that is loaded: bits of bpf_lack. Not while another thread loads. */
void do_without_in_bpf(unsigned lacks);
int is_without_in_bpf(unsigned lack);

/** Before anything is loaded: lets maps have their memory, and libbpf say nothing. */
void prepare_bpf_loading(void);

/** The file with the kernel's types for libbpf, instead of the kernel's own. It is not copied. */
void set_bpf_types(const char* path);

#ifdef __cplusplus
}
#endif
