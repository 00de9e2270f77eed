// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/removal/queue_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <atomic>
#include <cstring>

#include "collectors/mq_directory.h"

namespace ipcscope {

namespace {

constexpr char file_magic[8] = {'i', 'p', 'c', 's', 'm', 'q', '/', '1'};
/// A priority and a length that no message has (HARD_MSGSIZEMAX and MQ_PRIO_MAX are smaller).
constexpr uint32_t none = UINT32_MAX;
constexpr uint64_t page = 4096;

/// Stores in the order of the program: SIGKILL comes between two instructions.
template <typename T>
void put(T& where, T value) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  *static_cast<volatile T*>(&where) = value;
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace

/// At the beginning of the file; the slots follow, then the messages without a gap.
struct QueueFile::Head {
  char magic[8];
  uint64_t message_bytes;  // mq_msgsize
  uint64_t left;           // bytes in the queue before the message was taken that is on its way
  uint32_t slots;
  uint32_t taken;      // messages in the file
  uint32_t refilling;  // 1: they are being put back
  uint32_t put_back;
};

/// Length and priority are none until the message is taken. The kernel writes the priority before
/// the bytes, both in the call that takes the message (Linux 6.18 ipc/mqueue.c, mq_timedreceive).
struct QueueFile::Slot {
  uint32_t length;
  uint32_t priority;
};

Result<QueueFill> queue_fill(mqd_t queue) {
  char text[128];
  const ssize_t got = ::pread(queue, text, sizeof text, 0);
  mq_record facts{};
  mq_attr attributes{};
  if (got < 0 || ::mq_getattr(queue, &attributes) != 0) {
    return system_failure("the queue cannot be read");
  }
  if (!parse_queue_file({text, static_cast<size_t>(got)}, facts)) {
    return failure("the queue cannot be read: its file says something else");
  }
  return QueueFill{static_cast<uint64_t>(attributes.mq_curmsgs), facts.bytes, facts.notify_pid};
}

QueueFile::Head& QueueFile::head() const { return *reinterpret_cast<Head*>(memory_); }

QueueFile::Slot& QueueFile::slot(uint32_t index) const {
  return reinterpret_cast<Slot*>(memory_ + sizeof(Head))[index];
}

char* QueueFile::content() const {
  return memory_ + sizeof(Head) + sizeof(Slot) * uint64_t{head().slots};
}

uint64_t QueueFile::content_bytes() const {
  return file_bytes_ - sizeof(Head) - sizeof(Slot) * uint64_t{head().slots};
}

uint64_t QueueFile::offset(uint32_t index) const {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < index; i++) {
    sum += slot(i).length;
  }
  return sum;
}

uint32_t QueueFile::messages() const { return head().taken; }
bool QueueFile::is_refilling() const { return head().refilling != 0; }
bool QueueFile::is_refilled() const { return is_refilling() && head().put_back == head().taken; }

Result<QueueFile> QueueFile::create(Fd file, const QueueFill& fill, uint64_t message_bytes) {
  // The kernel wants room for the longest message even behind the last one.
  const uint64_t bytes = sizeof(Head) + sizeof(Slot) * fill.messages + fill.bytes + message_bytes;
  // Every block now: once a message is taken there must be a place for it.
  if (const int error = ::posix_fallocate(file.get(), 0, static_cast<off_t>(bytes)); error != 0) {
    return system_failure("write", error);
  }
  void* const memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file.get(), 0);
  if (memory == MAP_FAILED) {
    return system_failure("mmap");
  }
  // A fault in the middle of taking a message could be cut short by SIGKILL.
  ::mlock(memory, bytes);
  QueueFile made(std::move(file), static_cast<char*>(memory), bytes);
  Head& head = made.head();
  std::memset(&head, 0, sizeof head);
  head.message_bytes = message_bytes;
  head.slots = static_cast<uint32_t>(fill.messages);
  for (uint32_t i = 0; i < head.slots; i++) {
    made.slot(i) = {none, none};
  }
  std::atomic_signal_fence(std::memory_order_seq_cst);
  std::memcpy(head.magic, file_magic, sizeof file_magic);
  return made;
}

Result<QueueFile> QueueFile::open(Fd file, bool to_change) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    return system_failure("fstat");
  }
  const auto bytes = static_cast<uint64_t>(status.st_size);
  if (bytes < sizeof(Head)) {
    return failure("the file with its messages is cut off");
  }
  void* const memory = ::mmap(nullptr, bytes, to_change ? PROT_READ | PROT_WRITE : PROT_READ,
                              MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) {
    return system_failure("mmap");
  }
  if (to_change) {
    ::mlock(memory, bytes);
  }
  QueueFile opened(std::move(file), static_cast<char*>(memory), bytes);
  if (!opened.is_sound()) {
    return failure("the file with its messages is damaged");
  }
  return opened;
}

bool QueueFile::is_sound() const {
  const Head& head = this->head();
  if (std::memcmp(head.magic, file_magic, sizeof file_magic) != 0 || head.taken > head.slots ||
      head.put_back > head.taken || head.slots > (file_bytes_ - sizeof(Head)) / sizeof(Slot)) {
    return false;
  }
  uint64_t sum = 0;
  for (uint32_t i = 0; i < head.taken; i++) {
    if (slot(i).length > head.message_bytes || slot(i).priority == none) {
      return false;
    }
    sum += slot(i).length;
  }
  return sum <= content_bytes();
}

QueueFile::QueueFile(QueueFile&& other) noexcept
    : file_(std::move(other.file_)),
      memory_(std::exchange(other.memory_, nullptr)),
      file_bytes_(other.file_bytes_) {}

QueueFile::~QueueFile() {
  if (memory_ != nullptr) {
    ::munmap(memory_, file_bytes_);
  }
}

Result<void> QueueFile::settle(std::optional<mqd_t> queue) {
  Head& head = this->head();
  if (head.refilling != 0 || head.taken == head.slots || slot(head.taken).priority == none) {
    return {};
  }
  Slot& last = slot(head.taken);
  const uint64_t begin = offset(head.taken);
  if (last.length == none) {
    uint64_t length = std::min(head.message_bytes, content_bytes() - begin);
    while (length > 0 && content()[begin + length - 1] == '\0') {
      length--;
    }
    if (queue) {
      const auto fill = queue_fill(*queue);
      if (!fill) {
        return Failure(fill.error());
      }
      // No one has used it since: then this is the length, zeros at the end or not.
      const uint64_t taken = head.left - fill->bytes;
      if (fill->bytes <= head.left && taken >= length && taken <= head.message_bytes) {
        length = taken;
      }
    }
    put(last.length, static_cast<uint32_t>(length));
  }
  if (last.length > head.message_bytes || begin + last.length > content_bytes()) {
    return failure("the file with its messages is damaged");
  }
  put(head.taken, head.taken + 1);
  return {};
}

Result<void> QueueFile::drain(mqd_t queue) {
  Head& head = this->head();
  uint64_t begin = offset(head.taken);
  while (true) {
    const auto fill = queue_fill(queue);
    if (!fill) {
      return Failure(fill.error());
    }
    if (fill->messages == 0) {
      return {};
    }
    if (head.taken == head.slots || begin + head.message_bytes > content_bytes()) {
      return failure("others have sent to it meanwhile");
    }
    put(head.left, fill->bytes);
    // Written pages are made read-only again when they go to the disk: touched now, there is no
    // fault within the call.
    for (uint64_t at = 0; at < head.message_bytes; at += page) {
      put(content()[begin + at], '\0');
    }
    put(content()[begin + head.message_bytes - 1], '\0');
    Slot& next = slot(head.taken);
    put(next.length, none);
    const ssize_t got = ::mq_receive(queue, content() + begin, head.message_bytes, &next.priority);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return system_failure("a message cannot be taken");
    }
    put(next.length, static_cast<uint32_t>(got));
    put(head.taken, head.taken + 1);
    begin += static_cast<uint64_t>(got);
  }
}

Result<void> QueueFile::send(mqd_t queue, uint32_t index) const {
  const Slot& message = slot(index);
  while (::mq_send(queue, content() + offset(index), message.length, message.priority) != 0) {
    if (errno != EINTR) {
      return system_failure("a message cannot be put back");
    }
  }
  return {};
}

Result<void> QueueFile::refill(mqd_t queue) {
  Head& head = this->head();
  const auto fill = queue_fill(queue);
  if (!fill) {
    return Failure(fill.error());
  }
  // The last one may be back though it was not counted.
  if (head.refilling != 0 && fill->messages == uint64_t{head.put_back} + 1 &&
      head.put_back < head.taken) {
    put(head.put_back, head.put_back + 1);
  }
  if (fill->messages != head.put_back) {
    return failure("others have sent to it or received from it meanwhile");
  }
  put(head.refilling, 1U);
  while (head.put_back < head.taken) {
    if (Result<void> sent = send(queue, head.put_back); !sent) {
      return sent;
    }
    put(head.put_back, head.put_back + 1);
  }
  return {};
}

Result<void> QueueFile::send_all(mqd_t queue) const {
  for (uint32_t i = 0; i < head().taken; i++) {
    if (Result<void> sent = send(queue, i); !sent) {
      return sent;
    }
  }
  return {};
}

}  // namespace ipcscope
