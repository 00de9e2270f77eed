// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "collectors/base/fd.h"
#include "collectors/base/proc_root.h"
#include "collectors/base/result.h"
#include "collectors/proc/mounts.h"

namespace ipcscope {

/// One mapping of a process.
struct UserMapping {
  uint64_t start = 0, end = 0;
  uint64_t offset = 0;  ///< in its file
  uint32_t device = 0;
  uint64_t inode = 0;  ///< 0: of no file
  bool readable = false, executable = false;
  bool local = false;  ///< reading it asks no other machine and no other process
  std::string path;    ///< as the process sees it; "[stack]" and the like
};

/// Neighbouring mappings of one file: a program, a library or the vDSO, as the loader laid it out.
struct UserModule {
  size_t first = 0, last = 0;  ///< mappings
  bool executable = false;     ///< at least one of them
};

/// The memory of another process: its mappings, its bytes, and the files it runs. Nothing is
/// stopped, and nothing that could hang is touched: neither a file nor a mapping of a file on a
/// network or FUSE file system.
class AddressSpace {
 public:
  /// tid: any thread that still has the memory. Fails when its mappings cannot be read (EACCES,
  /// ENOENT).
  static Result<AddressSpace> open(const ProcRoot& proc, int tid);

  [[nodiscard]] const std::vector<UserMapping>& mappings() const { return mappings_; }
  [[nodiscard]] const std::vector<UserModule>& modules() const { return modules_; }
  /// The mapping with this address, or null.
  [[nodiscard]] const UserMapping* find(uint64_t address) const;

  /// Reads size bytes of the process. Pages are read once and kept until forget().
  bool read(uint64_t address, void* to, size_t size);
  /// Reads the pages from each address on, many with one system call.
  void prefetch(std::span<const uint64_t> addresses);
  void forget() { pages_.clear(); }
  /// From now on, of the mapping that has this address, these bytes alone are read; they have to
  /// live as long. None: everything is read again.
  void lay_over(uint64_t address, std::span<const char> bytes);

  /// The file of a module, open for reading; none when it is not local, is not the mapped one any
  /// more, or may not be opened.
  [[nodiscard]] Fd open_file(const UserModule& module) const;
  /// The file of a module put together from memory, without what is not mapped: no section headers.
  /// Empty when it cannot be read or is too large.
  std::vector<char> image(const UserModule& module);
  /// A file of the process's mount namespace by its path, when each file system on the way is
  /// local.
  [[nodiscard]] Fd open_path(const std::string& path) const;

 private:
  static constexpr uint64_t page_size = 4096;  // a part of a page where pages are larger
  struct Page {
    char bytes[page_size];
  };
  struct MountedAt {
    std::string point;
    bool local = false;
  };

  AddressSpace(const ProcRoot& proc, int tid) : proc_(&proc), tid_(tid) {}
  void load_mounts();
  void add_mapping(std::string_view line, MountTable& mounts, uint32_t mnt_ns);
  void find_modules();
  [[nodiscard]] bool is_local_path(std::string_view path) const;
  [[nodiscard]] Fd open_regular(const std::string& path, uint64_t inode) const;
  void fetch(std::span<const uint64_t> pages);

  const ProcRoot* proc_;
  int tid_;
  bool live_ = true;  ///< false: a fake tree, without memory behind it
  std::vector<MountedAt> mounts_;
  std::vector<UserMapping> mappings_;
  std::vector<UserModule> modules_;
  std::unordered_map<uint64_t, std::unique_ptr<Page>> pages_;
  uint64_t over_begin_ = 0, over_end_ = 0;  ///< that mapping
  uint64_t over_address_ = 0;
  std::span<const char> over_;
};

}  // namespace ipcscope
