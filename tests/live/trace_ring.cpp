// SPDX-License-Identifier: GPL-2.0-or-later
// `trace` against a process that works through io_uring: by system calls, since what is submitted
// is to be known exactly.
#include <fmt/format.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "tests/live/trace_actor.h"

namespace ipcscope::live {

namespace {

/// A ring whose completions nobody looks at.
class Submitter {
 public:
  static constexpr unsigned entries = 64;

  Submitter() {
    io_uring_params ring{};
    fd_ = static_cast<int>(::syscall(SYS_io_uring_setup, entries, &ring));
    if (fd_ < 0) {
      return;
    }
    const auto map = [&](size_t bytes, off_t offset) {
      return static_cast<char*>(
          ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_, offset));
    };
    // One mapping for both sides (IORING_FEAT_SINGLE_MMAP, 5.4).
    char* base = map(std::max(ring.sq_off.array + ring.sq_entries * sizeof(unsigned),
                              ring.cq_off.cqes + ring.cq_entries * sizeof(io_uring_cqe)),
                     IORING_OFF_SQ_RING);
    done_head_ = reinterpret_cast<unsigned*>(base + ring.cq_off.head);
    done_tail_ = reinterpret_cast<unsigned*>(base + ring.cq_off.tail);
    tail_ = reinterpret_cast<unsigned*>(base + ring.sq_off.tail);
    array_ = reinterpret_cast<unsigned*>(base + ring.sq_off.array);
    items_ = reinterpret_cast<io_uring_sqe*>(
        map(ring.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES));
  }
  ~Submitter() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  Submitter(const Submitter&) = delete;
  Submitter& operator=(const Submitter&) = delete;

  [[nodiscard]] bool is_possible() const { return fd_ >= 0; }
  void queue(uint8_t opcode, int fd, uint8_t flags = 0) {
    const unsigned index = *tail_ % entries;
    items_[index] = {};
    items_[index].opcode = opcode;
    items_[index].flags = flags;
    items_[index].fd = fd;
    items_[index].addr = reinterpret_cast<uintptr_t>(&byte_);
    items_[index].len = 1;
    array_[index] = index;
    // The kernel reads the entry after it has read the tail.
    std::atomic_ref(*tail_).store(*tail_ + 1, std::memory_order_release);
    queued_++;
  }
  /// Hands over all that is queued in one call, and waits until it is done; how much was taken.
  int submit() {
    const unsigned count = queued_;
    queued_ = 0;
    const auto taken = static_cast<int>(
        ::syscall(SYS_io_uring_enter, fd_, count, count, IORING_ENTER_GETEVENTS, nullptr, 0));
    std::atomic_ref(*done_head_).store(std::atomic_ref(*done_tail_).load());
    return taken;
  }
  bool use_files(const int* files, unsigned count) {
    return ::syscall(SYS_io_uring_register, fd_, IORING_REGISTER_FILES, files, count) == 0;
  }

 private:
  int fd_ = -1;
  unsigned queued_ = 0;
  unsigned* tail_ = nullptr;
  unsigned* array_ = nullptr;
  unsigned* done_head_ = nullptr;
  unsigned* done_tail_ = nullptr;
  io_uring_sqe* items_ = nullptr;
  char byte_ = 'x';
};

ino_t inode(int fd) {
  struct stat status {};
  ::fstat(fd, &status);
  return status.st_ino;
}

}  // namespace

std::vector<Deed> use_io_uring() {
  constexpr int calls = 500;
  int pipe[2];
  int sockets[2];
  Submitter ring;
  if (!ring.is_possible() || ::pipe2(pipe, 0) != 0 ||
      ::socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0 || !ring.use_files(&pipe[1], 1)) {
    return {};
  }
  uint64_t taken = 0;
  for (int i = 0; i < calls; i++) {
    for (int j = 0; j < 2; j++) {
      ring.queue(IORING_OP_WRITE, pipe[1]);
    }
    for (int j = 0; j < 3; j++) {
      ring.queue(IORING_OP_SEND, sockets[0]);
    }
    ring.queue(IORING_OP_NOP, -1);                     // at no file
    ring.queue(IORING_OP_WRITE, 0, IOSQE_FIXED_FILE);  // of the ring's own table
    taken += static_cast<uint64_t>(std::max(0, ring.submit()));
    char bytes[16];
    (void)!::read(pipe[0], bytes, sizeof bytes);
    (void)!::read(sockets[1], bytes, sizeof bytes);
  }
  const std::vector<Deed> deeds = {
      {"write", fmt::format("pipe:{}", inode(pipe[0])), uint64_t{2} * calls, 0},
      {"send", fmt::format("unix:{}", std::min(inode(sockets[0]), inode(sockets[1]))),
       uint64_t{3} * calls, 0},
      {"all", {}, taken, 7 * calls}};
  for (const int fd : {pipe[0], pipe[1], sockets[0], sockets[1]}) {
    ::close(fd);
  }
  return deeds;
}

}  // namespace ipcscope::live
