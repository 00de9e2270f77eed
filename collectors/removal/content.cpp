// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/removal/content.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace ipcscope {

namespace {

constexpr uint64_t piece_bytes = uint64_t{1} << 20;

bool is_zero(std::string_view bytes) {
  // Compares the block with itself, moved by one.
  return bytes.empty() ||
         (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

Result<size_t> read_at(int file, char* out, size_t size, uint64_t offset) {
  size_t used = 0;
  while (used < size) {
    const ssize_t got = ::pread(file, out + used, size - used, static_cast<off_t>(offset + used));
    if (got < 0 && errno != EINTR) {
      return system_failure("read");
    }
    if (got == 0) {
      break;
    }
    used += got > 0 ? static_cast<size_t>(got) : 0;
  }
  return used;
}

/// The next range with data at or after offset; the whole rest where the file system cannot tell.
std::pair<uint64_t, uint64_t> next_data(int file, uint64_t offset, uint64_t size) {
  const off_t begin = ::lseek(file, static_cast<off_t>(offset), SEEK_DATA);
  if (begin < 0) {
    return errno == ENXIO ? std::pair(size, size) : std::pair(offset, size);
  }
  const off_t end = ::lseek(file, begin, SEEK_HOLE);
  const uint64_t from = static_cast<uint64_t>(begin) / content_block * content_block;
  return {std::max(from, offset), end < 0 ? size : std::min(static_cast<uint64_t>(end), size)};
}

}  // namespace

void Checksum::add(uint64_t block, std::string_view bytes) {
  unsigned char number[8];
  for (size_t i = 0; i < sizeof number; i++) {
    number[i] = static_cast<unsigned char>(block >> 8 * i);
  }
  // Zeros at the end of a block are as good as its end.
  bytes = bytes.substr(0, bytes.find_last_not_of('\0') + 1);
  uLong sum = ::crc32(value_, number, sizeof number);
  sum = ::crc32(sum, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size()));
  value_ = static_cast<uint32_t>(sum);
}

bool for_each_run(uint64_t offset, std::string_view bytes,
                  const std::function<bool(uint64_t, std::string_view)>& each) {
  size_t begin = 0;
  for (size_t at = 0; at < bytes.size() + content_block; at += content_block) {
    if (at < bytes.size() && !is_zero(bytes.substr(at, content_block))) {
      continue;
    }
    const size_t end = std::min(at, bytes.size());
    if (end > begin && !each(offset + begin, bytes.substr(begin, end - begin))) {
      return false;
    }
    begin = at + content_block;
  }
  return true;
}

Result<void> read_content(int file, uint64_t size,
                          const std::function<Result<void>(uint64_t, std::string_view)>& each) {
  std::vector<char> buffer(std::min(size, piece_bytes));
  uint64_t at = 0;
  while (at < size) {
    const auto [begin, end] = next_data(file, at, size);
    for (at = begin; at < end;) {
      // A range may end within a block: what follows it reads as zeros and belongs to the block.
      const uint64_t whole =
          std::min((end + content_block - 1) / content_block * content_block, size);
      const auto got = read_at(file, buffer.data(), std::min(whole - at, piece_bytes), at);
      if (!got) {
        return Failure(got.error());
      }
      if (*got == 0) {
        return failure("it is shorter than it was");
      }
      if (Result<void> done = each(at, {buffer.data(), *got}); !done) {
        return done;
      }
      at += *got;
    }
  }
  return {};
}

Result<void> SparseWriter::add(uint64_t offset, std::string_view bytes) {
  Result<void> result;
  for_each_run(offset, bytes, [&](uint64_t at, std::string_view run) {
    result = write_at(file_, run, at);
    for (uint64_t block = at / content_block; !run.empty(); block++) {
      checksum_.add(block, run.substr(0, content_block));
      run.remove_prefix(std::min<size_t>(run.size(), content_block));
    }
    return result.has_value();
  });
  return result;
}

Result<void> SparseWriter::finish(uint64_t size) const {
  if (::ftruncate(file_, static_cast<off_t>(size)) != 0) {
    return system_failure("ftruncate");
  }
  return {};
}

Result<uint32_t> content_checksum(int file, uint64_t size) {
  struct stat status {};
  if (::fstat(file, &status) != 0 || static_cast<uint64_t>(status.st_size) < size) {
    return failure("it is shorter than it was");
  }
  Checksum checksum;
  const Result<void> read =
      read_content(file, size, [&](uint64_t offset, std::string_view bytes) -> Result<void> {
        for_each_run(offset, bytes, [&](uint64_t at, std::string_view run) {
          for (uint64_t block = at / content_block; !run.empty(); block++) {
            checksum.add(block, run.substr(0, content_block));
            run.remove_prefix(std::min<size_t>(run.size(), content_block));
          }
          return true;
        });
        return {};
      });
  if (!read) {
    return Failure(read.error());
  }
  return checksum.value();
}

Result<void> write_at(int file, std::string_view bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno != EINTR) {
      return system_failure("write");
    }
    if (put > 0) {
      bytes.remove_prefix(static_cast<size_t>(put));
      offset += static_cast<uint64_t>(put);
    }
  }
  return {};
}

}  // namespace ipcscope
