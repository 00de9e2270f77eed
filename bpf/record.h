/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The records that a source hands to the collectors. The kernel side writes them into a ring
 * buffer, the /proc side fills the same structs, so everything behind them is shared.
 *
 * Rules: fixed-width members only, explicit padding, UNKNOWN where a source cannot tell.
 * Identities (file, object, mm, ...) are opaque 64-bit numbers, equal when and only when the kernel
 * objects are the same one; they are kernel addresses from BPF and made-up numbers from /proc.
 */
#ifndef IPCSCOPE_RECORD_H
#define IPCSCOPE_RECORD_H

#ifdef __cplusplus
#include <cstddef>
#include <cstdint>
typedef std::uint8_t u8;
typedef std::uint16_t u16;
typedef std::uint32_t u32;
typedef std::int32_t s32;
typedef std::uint64_t u64;
typedef std::int64_t s64;
#define RECORD_ASSERT static_assert
#else
#include <linux/types.h>
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;
#define RECORD_ASSERT _Static_assert
#endif

#define UNKNOWN_U32 0xffffffffU
#define UNKNOWN_U64 0xffffffffffffffffULL

enum record_kind {
  RECORD_NONE,
  RECORD_THREAD,
  RECORD_FD_COUNT,
  RECORD_MAPPING,
  RECORD_LOCK,
  RECORD_EPOLL_ITEM,
  RECORD_REFERENCES,
  /* Everything from here on begins with a struct file_record. */
  RECORD_FILE,
  RECORD_PIPE,
  RECORD_UNIX,
  RECORD_INET,
  RECORD_SOCKET,
  RECORD_SHMEM,
  RECORD_MQ,
  RECORD_EVENTFD,
  RECORD_EPOLL,
  RECORD_SIGNALFD,
  RECORD_TIMERFD,
  RECORD_PIDFD,
  RECORD_INOTIFY,
  RECORD_IO_URING,
  RECORD_PTY,
  RECORD_KINDS,
};

/** Every record begins with this. size counts the whole record in bytes, this head included. */
struct record {
  u16 kind;
  u16 size;
  u32 pid; /* thread group, as ipcscope's own PID namespace numbers it */
};
RECORD_ASSERT(sizeof(struct record) == 8, "record head");

/**
 * One descriptor of one process, or one file that only sits in a socket's queue (fd < 0).
 * object joins the two ends of a channel: the inode of a pipe, the struct sock of a socket, else
 * the inode or the file itself.
 */
struct file_record {
  struct record head;
  s32 fd;
  u32 flags;  /* O_* */
  u64 file;   /* identity of the open file description */
  u64 object; /* identity of what is opened */
  u64 inode;  /* number, UNKNOWN_U64 */
  u32 device; /* major << 20 | minor, as the kernel's dev_t */
  u32 mode;   /* S_IF* and permission bits, UNKNOWN_U32 */
  u32 uid;    /* owner of the inode, UNKNOWN_U32 */
  u32 reserved;
};
RECORD_ASSERT(sizeof(struct file_record) == 56, "file_record");

#endif
