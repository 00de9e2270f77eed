// SPDX-License-Identifier: GPL-2.0-or-later
#include "walk.h"

#define TTY_BUFFERS_MAX 64

#define UNIX98_PTY_MASTER_MAJOR 128 /* include/uapi/linux/major.h */

struct flip_buffers flip;
u32 terminal_openings;

static long add_flip_buffer(u32 round, void *context) {
  if (!flip.at) {
    return 1;
  }
  const u64 buffer = VIEW(flip.at, tty_buffer);
  const u32 committed = READ(buffer, tty_buffer, commit);
  const u32 taken = READ(buffer, tty_buffer, read);
  flip.bytes += committed > taken ? committed - taken : 0;
  flip.at = READ(buffer, tty_buffer, next);
  return 0;
}

/** Bytes that are to be read from a terminal: in its line discipline and in front of it. */
__noinline int unread(u64 address) {
  const u64 tty = VIEW(address, tty_struct);
  const u64 data = READ(tty, tty_struct, disc_data);
  flip.at = READ(READ(tty, tty_struct, port), tty_port, buffers);
  flip.bytes = 0;
  repeat(TTY_BUFFERS_MAX, add_flip_buffer);
  if (data) {
    const u64 line = VIEW(data, n_tty_data);
    flip.bytes += READ(line, n_tty_data, read_head) - READ(line, n_tty_data, read_tail);
  }
  return (int)flip.bytes;
}

__noinline int pty_describe(u64 file) {
  const u64 private = GET(file, file, private_data);
  const u64 tty = GET(private, tty_file_private, tty);
  if (!tty) {
    return 0;
  }
  const u32 major = READ(READ(tty, tty_struct, driver), tty_driver, major);
  if (major != UNIX98_PTY_MASTER_MAJOR && major != UNIX98_PTY_SLAVE_MAJOR) {
    return 0; /* /dev/tty and /dev/console are other terminals, too */
  }
  struct pty_record *record = &out.pty;
  record->file.head.kind = RECORD_PTY;
  record->index = (u32)READ(tty, tty_struct, index);
  record->master = major == UNIX98_PTY_MASTER_MAJOR;
  const u64 other = READ(tty, tty_struct, link);
  const u64 slave = record->master ? other : tty;
  const u64 master = record->master ? tty : other;
  record->file.object = (u64)slave;
  terminal_openings = HAS(tty_struct, count) && slave && master
                          ? READ(slave, tty_struct, count) + READ(master, tty_struct, count)
                          : UNKNOWN_U32;
  want_terminal(slave);
  want_terminal(master);
  record->stopped = UNKNOWN_U32;
  record->packet_mode = UNKNOWN_U32;
  if (HAS(tty_struct, stopped)) {
    record->stopped = READ(slave, tty_struct, stopped);
  }
  if (HAS(tty_struct, packet)) {
    record->packet_mode = READ(master, tty_struct, packet);
  }
  record->input_bytes = slave ? (u32)unread(number_of(slave)) : UNKNOWN_U32;
  record->output_bytes = master ? (u32)unread(number_of(master)) : UNKNOWN_U32;
  return sizeof(struct pty_record);
}
