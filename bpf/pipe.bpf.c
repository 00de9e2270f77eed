// SPDX-License-Identifier: GPL-2.0-or-later
#include "walk.h"

#define BUFFERS_MAX 65536 /* the default is 16; pipe-max-size of 1 MiB makes 256 */

struct pipe_sum pipe_sum;

static long add_pipe_buffer(u32 round, void *context) {
  if (pipe_sum.at == pipe_sum.head) {
    return 1;
  }
  const u64 buffer = pipe_sum.buffers + (u64)(pipe_sum.at & pipe_sum.mask) * SIZE(pipe_buffer);
  pipe_sum.bytes += GET(buffer, pipe_buffer, len);
  pipe_sum.at++;
  return 0;
}

__noinline int pipe_describe(u64 address) {
  if (!address) {
    return 0;
  }
  const u64 pipe = VIEW(address, pipe_inode_info);
  struct pipe_record *record = &out.pipe;
  record->file.head.kind = RECORD_PIPE;
  const u32 head = READ(pipe, pipe_inode_info, head);
  const u32 tail = READ(pipe, pipe_inode_info, tail);
  const u32 mask = READ(pipe, pipe_inode_info, ring_size) - 1;
  const u64 buffers = READ(pipe, pipe_inode_info, bufs);
  record->buffers_max = READ(pipe, pipe_inode_info, max_usage);
  record->readers = READ(pipe, pipe_inode_info, readers);
  record->writers = READ(pipe, pipe_inode_info, writers);
  record->buffers_used = head - tail;
  pipe_sum.buffers = (u64)buffers;
  pipe_sum.bytes = 0;
  pipe_sum.at = tail;
  pipe_sum.head = head;
  pipe_sum.mask = mask;
  if (head != tail) {
    repeat(BUFFERS_MAX, add_pipe_buffer);
  }
  record->bytes = pipe_sum.at == head ? pipe_sum.bytes : UNKNOWN_U64;
  return sizeof(struct pipe_record);
}
