// SPDX-License-Identifier: GPL-2.0-or-later
/* Only with direct reads, as related.bpf.c. */
#include "count_references.h"

#ifdef DIRECT_READS

/**
 * Tells who may have a file. object is what all of its openings share if that is not the dentry,
 * else 0. What does not fit into the ring remains unproved: that costs time, not truth.
 */
__noinline int send_references(u64 file, int fd, u64 object, u32 openings) {
  struct reference_record *record = bpf_ringbuf_reserve(&records, sizeof *record, 0);
  if (!record) {
    relations.unprovable = 1;
    return 0;
  }
  record->head.kind = RECORD_REFERENCES;
  record->head.size = sizeof *record;
  record->head.pid = table.pid;
  record->fd = fd;
  record->terminal = object != 0;
  record->table = current_files;
  count_references(&record->references, file);
  look_for_messages(record->references.credentials);
  if (object) {
    record->references.object = object;
    record->references.openings = openings;
  }
  bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
  return 0;
}

#endif
