/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Probes of functions in programs, many by one link. The kernel takes all of them away at once,
 * where it takes a tenth of a second for each event of perf_event_open().
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** include/uapi/linux/bpf.h since 6.6: what programs for such links are loaded for, and no others.
 */
enum { UPROBE_MULTI_ATTACH_TYPE = 48 };

/**
 * Whether the kernel has such links, and probes all threads of the process that is named: before
 * 6.10 it went by one thread alone.
 */
int has_uprobe_multi(void);

/** Places in one file; each has a cookie for the program. */
struct uprobe_places {
  const char* path;
  const uint64_t* offsets;
  const uint64_t* cookies;
  uint32_t count;
};

/** A link, or a negative errno. pid: of a process whose first thread lives. */
int link_uprobes(int program, const struct uprobe_places* places, pid_t pid);

/**
 * Links a program with a place in this process, and calls what is there. 0 when that was seen, or
 * an errno: EOPNOTSUPP where the kernel has no such links, ENODATA when it has, and the program did
 * not run.
 */
int try_uprobe_multi(const struct uprobe_places* place, void (*call)(void));

#ifdef __cplusplus
}
#endif
