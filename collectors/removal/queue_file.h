// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <mqueue.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "collectors/base/fd.h"
#include "collectors/base/result.h"

namespace ipcscope {

/// How much is in a message queue now.
struct QueueFill {
  uint64_t messages = 0;
  uint64_t bytes = 0;  ///< of all messages together
  uint32_t notify_pid = 0;
};
Result<QueueFill> queue_fill(mqd_t queue);

/// The messages of a POSIX queue in a file. No call copies a message: it has to be taken out of the
/// queue, and a process can be killed at any instant after that. So the kernel writes each straight
/// into a mapping of the file, whose pages live on without us, and what the file says is enough to
/// go on from wherever that was. Nobody else may have the queue open meanwhile.
class QueueFile {
 public:
  /// Lays out a file for so much. Fails with ENOSPC before anything is taken out of the queue.
  static Result<QueueFile> create(Fd file, const QueueFill& fill, uint64_t message_bytes);
  /// Fails when it is none or damaged. to_change: drain() and refill() may be called.
  static Result<QueueFile> open(Fd file, bool to_change);

  QueueFile(QueueFile&& other) noexcept;
  QueueFile& operator=(QueueFile&&) = delete;
  ~QueueFile();

  /// Settles the one message that may have been on its way when an earlier call was killed. Without
  /// a queue its length is what is left of it up to the last byte that is not zero.
  Result<void> settle(std::optional<mqd_t> queue);
  /// Takes all messages out of the queue.
  Result<void> drain(mqd_t queue);
  /// Puts all messages back into the queue, in their order, from where an earlier call was killed.
  Result<void> refill(mqd_t queue);
  /// Sends all messages to another queue.
  Result<void> send_all(mqd_t queue) const;

  [[nodiscard]] bool is_refilling() const;
  [[nodiscard]] bool is_refilled() const;
  [[nodiscard]] uint32_t messages() const;  ///< in the file
  [[nodiscard]] uint64_t file_bytes() const { return file_bytes_; }
  [[nodiscard]] int file() const { return file_.get(); }

 private:
  struct Head;
  struct Slot;

  QueueFile(Fd file, char* memory, uint64_t bytes)
      : file_(std::move(file)), memory_(memory), file_bytes_(bytes) {}
  [[nodiscard]] Head& head() const;
  [[nodiscard]] Slot& slot(uint32_t index) const;
  [[nodiscard]] char* content() const;
  [[nodiscard]] uint64_t content_bytes() const;
  [[nodiscard]] uint64_t offset(uint32_t index) const;
  [[nodiscard]] bool is_sound() const;
  [[nodiscard]] Result<void> send(mqd_t queue, uint32_t index) const;

  Fd file_;
  char* memory_;
  uint64_t file_bytes_;
};

}  // namespace ipcscope
