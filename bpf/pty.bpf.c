// SPDX-License-Identifier: GPL-2.0-or-later
#include "walk.h"

#define TTY_BUFFERS_MAX 64

struct flip_buffers flip;

static long add_flip_buffer(u32 round, void *context) {
  struct tty_buffer *buffer = (struct tty_buffer *)flip.at;
  if (!buffer) {
    return 1;
  }
  const u32 committed = READ(buffer, commit);
  const u32 taken = READ(buffer, read);
  flip.bytes += committed > taken ? committed - taken : 0;
  flip.at = (u64)READ(buffer, next);
  return 0;
}

/** Bytes that are to be read from a terminal: in its line discipline and in front of it. */
__noinline int unread(u64 address) {
  struct tty_struct *tty = (struct tty_struct *)address;
  struct n_tty_data *line = (struct n_tty_data *)READ(tty, disc_data);
  flip.at = (u64)READ(tty, port, buf.head);
  flip.bytes = 0;
  repeat(TTY_BUFFERS_MAX, add_flip_buffer);
  if (line) {
    flip.bytes += READ(line, read_head) - READ(line, read_tail);
  }
  return (int)flip.bytes;
}

static int is_pty(struct tty_driver *driver, int *master) {
  if (bpf_core_field_exists(driver->type)) {
    *master = READ(driver, subtype) == PTY_TYPE_MASTER;
    return READ(driver, type) == bpf_core_enum_value(enum tty_driver_type, TTY_DRIVER_TYPE_PTY);
  }
  struct tty_driver___5_10 *old = (struct tty_driver___5_10 *)driver;
  *master = READ(old, subtype) == PTY_TYPE_MASTER;
  return READ(old, type) == 4; /* the macro TTY_DRIVER_TYPE_PTY of then */
}

__noinline int pty_describe(u64 file) {
  struct tty_file_private *private =
      (struct tty_file_private *)READ((struct file *)file, private_data);
  struct tty_struct *tty = READ(private, tty);
  int master_side = 0;
  if (!tty || !is_pty(READ(tty, driver), &master_side)) {
    return 0;
  }
  struct pty_record *record = &out.pty;
  record->file.head.kind = RECORD_PTY;
  record->index = (u32)READ(tty, index);
  record->master = (u32)master_side;
  struct tty_struct *other = READ(tty, link);
  struct tty_struct *slave = record->master ? other : tty;
  struct tty_struct *master = record->master ? tty : other;
  record->file.object = (u64)slave;
  record->stopped = UNKNOWN_U32;
  record->packet_mode = UNKNOWN_U32;
  if (bpf_core_field_exists(tty->flow.stopped)) {
    record->stopped = READ(slave, flow.stopped);
  }
  if (bpf_core_field_exists(tty->ctrl.packet)) {
    record->packet_mode = READ(master, ctrl.packet);
  }
  record->input_bytes = slave ? (u32)unread(number_of(slave)) : UNKNOWN_U32;
  record->output_bytes = master ? (u32)unread(number_of(master)) : UNKNOWN_U32;
  return sizeof(struct pty_record);
}
