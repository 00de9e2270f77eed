// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

namespace ipcscope {

/// A buffer before a file descriptor that it does not own. The first failure stays: what is
/// written after it is dropped, and error() says what it was.
class Output {
 public:
  explicit Output(int fd);
  /// Writes to memory instead.
  explicit Output(std::string& memory) : Output(-1) { memory_ = &memory; }

  void put(char each) {
    if (used_ == capacity) {
      flush();
    }
    buffer_[used_++] = each;
  }
  void write(std::string_view text) {
    if (text.size() > capacity - used_) {
      write_large(text);
      return;
    }
    std::memcpy(buffer_.get() + used_, text.data(), text.size());
    used_ += text.size();
  }
  void repeat(char each, size_t count) {
    for (size_t i = 0; i < count; i++) {
      put(each);
    }
  }
  void number(uint64_t value);
  void number(int64_t value);

  void flush();
  /// flush(), and what only the last close of the file can tell (a quota, a network file system).
  void close();
  /// errno of the first write that failed, 0 when none did.
  [[nodiscard]] int error() const { return error_; }

 private:
  static constexpr size_t capacity = size_t{256} << 10;
  void write_large(std::string_view text);
  void write_out(std::string_view text);

  int fd_;
  std::string* memory_ = nullptr;
  int error_ = 0;
  size_t used_ = 0;
  std::unique_ptr<char[]> buffer_;
};

}  // namespace ipcscope
