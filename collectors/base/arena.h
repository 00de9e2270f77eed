// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace ipcscope {

/// Keeps copies of strings, all freed together. The views stay valid when the arena is moved.
class Arena {
 public:
  std::string_view keep(std::string_view text) {
    if (text.empty()) {
      return {};
    }
    if (text.size() > left_) {
      const size_t size = text.size() > block_bytes ? text.size() : block_bytes;
      blocks_.push_back(std::make_unique<char[]>(size));
      next_ = blocks_.back().get();
      left_ = size;
    }
    char* copy = next_;
    std::memcpy(copy, text.data(), text.size());
    next_ += text.size();
    left_ -= text.size();
    return {copy, text.size()};
  }

 private:
  static constexpr size_t block_bytes = size_t{64} << 10;
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* next_ = nullptr;
  size_t left_ = 0;
};

}  // namespace ipcscope
