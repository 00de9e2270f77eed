// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/trace/ring.h"

#include <sys/mman.h>
#include <unistd.h>

#include <utility>

namespace ipcscope {

Result<RingReader> RingReader::open(int map, size_t bytes) {
  RingReader reader;
  reader.page_ = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  reader.bytes_ = bytes;
  void* consumer = ::mmap(nullptr, reader.page_, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
  if (consumer == MAP_FAILED) {
    return system_failure("mapping the ring buffer");
  }
  reader.consumer_ = static_cast<uint64_t*>(consumer);
  reader.position_ = reader.told_ = *reader.consumer_;
  // The producer's page, and the data twice, so that no record is split.
  void* producer = ::mmap(nullptr, reader.page_ + 2 * bytes, PROT_READ, MAP_SHARED, map,
                          static_cast<off_t>(reader.page_));
  if (producer == MAP_FAILED) {
    return system_failure("mapping the ring buffer");
  }
  reader.producer_ = static_cast<const uint64_t*>(producer);
  reader.data_ = static_cast<const std::byte*>(producer) + reader.page_;
  return reader;
}

RingReader::RingReader(RingReader&& other) noexcept
    : consumer_(std::exchange(other.consumer_, nullptr)),
      producer_(std::exchange(other.producer_, nullptr)),
      data_(other.data_),
      bytes_(other.bytes_),
      page_(other.page_),
      position_(other.position_),
      told_(other.told_),
      end_(other.end_) {}

RingReader::~RingReader() {
  if (consumer_ != nullptr) {
    ::munmap(consumer_, page_);
  }
  if (producer_ != nullptr) {
    ::munmap(const_cast<uint64_t*>(producer_), page_ + 2 * bytes_);
  }
}

}  // namespace ipcscope
