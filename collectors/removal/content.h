// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "collectors/base/result.h"

namespace ipcscope {

constexpr uint64_t content_block = 4096;

/// CRC-32 over the blocks that are not all zero, each with its number: the same whether holes are
/// holes or zeros, and as fast on a sparse gigabyte as on what is in it.
class Checksum {
 public:
  void add(uint64_t block, std::string_view bytes);
  [[nodiscard]] uint32_t value() const { return value_; }

 private:
  uint32_t value_ = 0;
};

/// Calls each(offset, bytes) for every run of blocks that are not all zero. offset must be that of
/// a block. False, and stops, when each says so.
bool for_each_run(uint64_t offset, std::string_view bytes,
                  const std::function<bool(uint64_t, std::string_view)>& each);

/// Calls each(offset, bytes) for what a file holds between its holes, in pieces of up to 1 MiB at
/// offsets of blocks. Fails when it cannot be read, or with what each fails with.
Result<void> read_content(int file, uint64_t size,
                          const std::function<Result<void>(uint64_t, std::string_view)>& each);

/// Writes content that mostly may be zeros: only what is not takes room.
class SparseWriter {
 public:
  explicit SparseWriter(int file) : file_(file) {}

  /// offset must be that of a block, and grow. Fails with ENOSPC where there is no room.
  Result<void> add(uint64_t offset, std::string_view bytes);
  /// Sets the size.
  Result<void> finish(uint64_t size) const;
  [[nodiscard]] uint32_t checksum() const { return checksum_.value(); }

 private:
  int file_;
  Checksum checksum_;
};

/// The checksum of the first size bytes of a file. Fails when it is shorter or cannot be read.
Result<uint32_t> content_checksum(int file, uint64_t size);

Result<void> write_at(int file, std::string_view bytes, uint64_t offset);

}  // namespace ipcscope
