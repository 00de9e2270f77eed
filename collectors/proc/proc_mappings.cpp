// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "bpf/shmem.h"
#include "collectors/base/parse.h"
#include "collectors/name_spaces.h"
#include "collectors/proc/file_reader.h"
#include "collectors/proc/identity.h"
#include "collectors/proc/maps.h"
#include "collectors/proc/mounts.h"
#include "collectors/proc/proc_source.h"
#include "collectors/proc/record_buffer.h"
#include "collectors/proc/workers.h"

namespace ipcscope {

namespace {

constexpr std::string_view deleted = " (deleted)";

/// What is known of a mapped file, once for all its mappings.
struct MappedFile {
  uint32_t mode = UNKNOWN_U32;
  uint32_t uid = UNKNOWN_U32;
  uint32_t links = UNKNOWN_U32;
  uint64_t bytes = UNKNOWN_U64;
  uint64_t pages = UNKNOWN_U64;
};

struct Target {
  int pid = 0;
  uint32_t mnt_ns = UNKNOWN_U32;
  uint32_t ipc_ns = UNKNOWN_U32;
  bool refused = false;
  RecordBuffer found;
};

class MappingReader {
 public:
  MappingReader(const ProcRoot& root, MountTable& mounts, bool live)
      : root_(root), mounts_(mounts), live_(live) {}
  void read(Target& target);

 private:
  const MappedFile& look_at(int pid, const MapLine& line, const Mount& mount, uint64_t object);

  const ProcRoot& root_;
  MountTable& mounts_;
  bool live_;
  FileReader reader_;
  std::unordered_map<uint64_t, MappedFile> files_;
};

const MappedFile& MappingReader::look_at(int pid, const MapLine& line, const Mount& mount,
                                         uint64_t object) {
  const auto [found, is_new] = files_.try_emplace(object);
  MappedFile& file = found->second;
  if (!is_new || !live_ || !mount.local) {
    return file;
  }
  // Needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE (proc_map_files_get_link, fs/proc/base.c).
  char path[80];
  std::snprintf(path, sizeof path, "%d/map_files/%llx-%llx", pid,
                static_cast<unsigned long long>(line.start),
                static_cast<unsigned long long>(line.end));
  struct statx status {};
  if (::statx(root_.descriptor(), path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_BASIC_STATS,
              &status) != 0) {
    return file;
  }
  file.mode = status.stx_mode;
  file.uid = status.stx_uid;
  file.links = status.stx_nlink;
  file.bytes = status.stx_size;
  if (mount.magic != 0) {
    // Of a memory file system the blocks are the resident pages; elsewhere those on the disk.
    static const auto sectors_per_page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) / 512;
    file.pages = status.stx_blocks / sectors_per_page;
  }
  return file;
}

void MappingReader::read(Target& target) {
  char path[24];
  std::snprintf(path, sizeof path, "%d/maps", target.pid);
  std::string_view text = reader_.read(root_.descriptor(), path, true);
  target.refused = reader_.error() == EACCES || reader_.error() == EPERM;
  while (!text.empty()) {
    const auto line = parse_maps_line(next_line(text));
    if (line && line->path.starts_with("anon_inode:")) {
      continue;  // the rings of io_uring or perf: memory of the kernel, no file
    }
    if (!line || !line->shared || line->inode == 0) {
      // Inode 0 is no file; that a System V segment can have it too is told by its name.
      if (!line || !line->shared || !line->path.starts_with("/SYSV")) {
        continue;
      }
    }
    auto fact = make_record<mapping_record>(RECORD_MAPPING, static_cast<u32>(target.pid));
    fact.start = line->start;
    fact.end = line->end;
    fact.offset = line->offset;
    fact.inode = line->inode;
    fact.device = line->device;
    fact.flags = (line->readable ? MAPPING_READ : 0U) | (line->writable ? MAPPING_WRITE : 0U) |
                 (line->executable ? MAPPING_EXEC : 0U) | MAPPING_SHARED;
    // A segment's inode is its id, which each IPC namespace counts anew, on the device of memfds.
    fact.object = line->path.starts_with("/SYSV")
                      ? made_identity(IdentityOf::sysv_shm, target.ipc_ns, line->inode)
                      : made_identity(IdentityOf::inode, line->device, line->inode);
    const auto mount = mounts_.by_device(line->device, target.pid, target.mnt_ns);
    MappedFile file;
    fact.facts.magic = UNKNOWN_U32;
    if (mount) {
      file = look_at(target.pid, *line, *mount, fact.object);
      fact.facts.magic = mount->magic;  // 0: no file system of memory
    }
    fact.mode = file.mode;
    fact.uid = file.uid;
    fact.facts.bytes = file.bytes;
    fact.facts.pages = file.pages;
    fact.facts.links = file.links;
    fact.facts.seals = UNKNOWN_U32;
    std::string_view name = line->path;
    if ((file.links == 0 || file.links == UNKNOWN_U32) && name.ends_with(deleted)) {
      name.remove_suffix(deleted.size());
      fact.facts.links = 0;
    }
    name = name.substr(name.rfind('/') + 1);
    const size_t length = std::min(name.size(), sizeof fact.facts.name);
    std::memcpy(fact.facts.name, name.data(), length);
    fact.facts.name_length = static_cast<u16>(length);
    target.found.append(fact);
  }
}

}  // namespace

Result<void> ProcSource::mappings(const Request& /*request*/, const RecordSink& sink,
                                  std::vector<Coverage>& coverage) {
  Result<std::vector<int>> pids = root_.numbers(".");
  if (!pids) {
    return Failure(pids.error());
  }
  std::sort(pids->begin(), pids->end());
  std::vector<Target> targets;
  std::unordered_set<uint64_t> memories;
  for (const int pid : *pids) {
    Target target;
    target.pid = pid;
    if (const auto known = known_.find(pid); known != known_.end()) {
      if (known->second.memory == 0 || !memories.insert(known->second.memory).second) {
        continue;
      }
      target.mnt_ns = known->second.mnt_ns;
      target.ipc_ns = known->second.ipc_ns;
    } else {
      target.mnt_ns = root_.namespace_id(pid, "mnt").value_or(UNKNOWN_U32);
      target.ipc_ns = root_.namespace_id(pid, "ipc").value_or(UNKNOWN_U32);
    }
    targets.push_back(std::move(target));
  }
  MountTable mounts(root_);
  const bool live = is_live(root_);
  const size_t count = worker_count(targets.size());
  std::vector<MappingReader> readers;
  readers.reserve(count);
  for (size_t worker = 0; worker < count; worker++) {
    readers.emplace_back(root_, mounts, live);
  }
  share_work(targets.size(), count,
             [&](size_t worker, size_t item) { readers[worker].read(targets[item]); });
  Coverage report;
  report.source = "proc-maps";
  for (Target& target : targets) {
    report.checked++;
    report.unreadable += target.refused ? 1 : 0;
    target.found.for_each([&](const record& head) { sink(head); });
  }
  if (report.unreadable > 0) {
    report.state = Coverage::State::partial;
    report.reason = fmt::format("{} processes: permission denied", report.unreadable);
    report.hint = "run as root or with CAP_SYS_PTRACE";
  }
  coverage.push_back(std::move(report));
  return {};
}

}  // namespace ipcscope
