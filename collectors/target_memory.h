// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ipcscope {

/// Reads memory of other processes with process_vm_readv(): neither stops nor changes them, and
/// needs the right to trace them (PTRACE_MODE_ATTACH_REALCREDS).
class TargetMemory {
 public:
  using Handle = uint32_t;
  static constexpr Handle none = UINT32_MAX;

  /// enabled: false where the threads are not those of this machine (a fake tree).
  explicit TargetMemory(bool enabled) : enabled_(enabled) {}

  /// Asks for size bytes at address of the process that tid belongs to. group: the same number for
  /// threads of one process; those that come one after the other are read in one go.
  Handle add(uint32_t group, int32_t tid, uint64_t address, size_t size);
  /// Reads all that was added.
  void run();
  /// The bytes, all of them or none when they could not be read. After run().
  [[nodiscard]] std::string_view bytes(Handle handle) const;
  template <typename T>
  [[nodiscard]] std::optional<T> value(Handle handle) const {
    const std::string_view from = bytes(handle);
    if (from.size() < sizeof(T)) {
      return std::nullopt;
    }
    T value;
    std::memcpy(&value, from.data(), sizeof value);
    return value;
  }

  /// At once, for the few that depend on others.
  bool read(int32_t tid, uint64_t address, void* to, size_t size);
  /// Up to its NUL, at most limit bytes; nothing when it could not be read or is longer.
  std::optional<std::string> read_string(int32_t tid, uint64_t address, size_t limit);

  /// Requests so far, and how many of them were refused for lack of privilege.
  [[nodiscard]] uint64_t asked() const { return asked_; }
  [[nodiscard]] uint64_t refused() const { return refused_; }

 private:
  struct Request {
    uint32_t group;
    int32_t tid;
    uint64_t address;
    size_t place;  ///< in buffer_
    uint32_t size;
    bool done;
  };
  void note_failure(int error, size_t count = 1);

  bool enabled_;
  std::vector<Request> requests_;
  std::vector<char> buffer_;
  size_t wanted_ = 0;
  uint64_t asked_ = 0, refused_ = 0;
};

}  // namespace ipcscope
