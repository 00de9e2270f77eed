// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace ipcscope {

/// Appends a value as it is in memory: for a pipe between a process and its own child.
template <typename T>
void put_bytes(std::string& out, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// Takes such values off the front of bytes; after the first that is not whole, good() stays false
/// and everything is empty.
class ByteTaker {
 public:
  explicit ByteTaker(std::string_view bytes) : left_(bytes) {}

  template <typename T>
  T value() {
    static_assert(std::is_trivially_copyable_v<T>);
    T out{};
    const std::string_view part = bytes(sizeof out);
    if (part.size() == sizeof out) {
      std::memcpy(&out, part.data(), sizeof out);
    }
    return out;
  }
  std::string_view bytes(size_t size) {
    good_ = good_ && size <= left_.size();
    if (!good_) {
      return {};
    }
    const std::string_view part = left_.substr(0, size);
    left_.remove_prefix(size);
    return part;
  }
  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] std::string_view left() const { return left_; }

 private:
  std::string_view left_;
  bool good_ = true;
};

}  // namespace ipcscope
