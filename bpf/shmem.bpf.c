// SPDX-License-Identifier: GPL-2.0-or-later
#include "shmem_facts.h"

__noinline int shmem_describe(u64 address) {
  const u64 file = VIEW(address, file);
  out.shmem.file.head.kind = RECORD_SHMEM;
  read_facts(&out.shmem.facts, file, READ(file, file, inode));
  return sizeof(struct shmem_record);
}

char LICENSE[] SEC("license") = "GPL";
