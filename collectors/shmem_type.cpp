// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/shmem_type.h"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>

#include <algorithm>

#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

constexpr uint32_t sockfs_magic = 0x534f434b;
constexpr uint32_t dma_buf_magic = 0x444d4142;

}  // namespace

std::string_view shmem_name(const shmem_facts& facts) {
  return {facts.name, std::min<size_t>(facts.name_length, SHMEM_NAME_MAX)};
}

bool is_huge(const shmem_facts& facts) { return facts.magic == HUGETLBFS_MAGIC; }

ShmemType shmem_type(const shmem_facts& facts, uint32_t mode) {
  // Since 6.16 anonymous inodes look like regular files.
  if ((mode != UNKNOWN_U32 && !S_ISREG(mode)) || facts.magic == ANON_INODE_FS_MAGIC ||
      facts.magic == sockfs_magic || facts.magic == dma_buf_magic) {
    return ShmemType::none;
  }
  const bool on_tmpfs = facts.magic == TMPFS_MAGIC || facts.magic == UNKNOWN_U32;
  if ((on_tmpfs || is_huge(facts)) && (facts.links == 0 || facts.links == UNKNOWN_U32)) {
    const std::string_view name = shmem_name(facts);
    if (name.starts_with("memfd:")) {
      return ShmemType::memfd;
    }
    if (name.size() == 12 && name.starts_with("SYSV") &&
        parse_number<uint32_t>(name.substr(4), 16)) {
      return ShmemType::sysv;
    }
    // The directory entry of shared anonymous memory is the one word "dev/zero".
    if (name == "dev/zero" || name == "zero" || name == "anon_hugepage") {
      return ShmemType::anonymous;
    }
  }
  return facts.magic == TMPFS_MAGIC ? ShmemType::tmpfs : ShmemType::file;
}

std::string mapping_path(const ProcRoot& proc, uint32_t pid, uint64_t start, uint64_t end) {
  const std::string link = fmt::format("{}/map_files/{:x}-{:x}", pid, start, end);
  if (Result<std::string> path = proc.link(link.c_str())) {
    return path->starts_with('/') ? std::move(*path) : std::string();
  }
  // map_files wants CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN, maps only the same user.
  const Result<std::string> maps = proc.read(fmt::format("{}/maps", pid));
  if (!maps) {
    return {};
  }
  const std::string range = fmt::format("{:08x}-{:08x}", start, end);
  std::string_view text = *maps;
  while (!text.empty()) {
    std::string_view line = next_line(text);
    if (next_word(line) == range) {
      for (int column = 0; column < 4; column++) {
        next_word(line);
      }
      const size_t path = line.find('/');
      return path == std::string_view::npos ? std::string() : std::string(line.substr(path));
    }
  }
  return {};
}

std::string_view without_deleted(std::string_view path, bool unlinked) {
  if (unlinked && path.ends_with(deleted_suffix)) {
    path.remove_suffix(deleted_suffix.size());
  }
  return path;
}

}  // namespace ipcscope
