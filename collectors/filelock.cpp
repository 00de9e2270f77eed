// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/filelock.h"

#include <fmt/format.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <tuple>
#include <unordered_set>

#include "bpf/filelock.h"
#include "collectors/base/identity_map.h"
#include "collectors/name_spaces.h"
#include "collectors/shmem_type.h"

namespace ipcscope {

namespace {

/// Inode number of the initial PID namespace (Linux include/linux/proc_ns.h, PROC_PID_INIT_INO).
constexpr uint32_t initial_pid_ns = 0xeffffffc;

constexpr size_t flavours = 4;
constexpr std::pair<uint32_t, Kind> kind_of_flavour[flavours] = {{LOCK_FLOCK, Kind::flock},
                                                                 {LOCK_POSIX, Kind::fcntl},
                                                                 {LOCK_OFD, Kind::ofd},
                                                                 {LOCK_LEASE, Kind::lease}};

/// All locks of one flavour on one file.
struct LockedFile {
  Kind kind = Kind::flock;
  std::vector<lock_record> locks;  ///< as they came: one for each descriptor that holds one
};

/// Everything that makes two records the same lock: the descriptors of one open file description
/// share its locks, those of one process its classic ones. Of an exclusive one there is only one.
auto lock_key(const lock_record& lock) {
  const bool by_process = lock.flavour == LOCK_POSIX;
  const bool exclusive = lock.type == 1;
  const uint64_t holder = by_process ? lock.file.head.pid : exclusive ? 0 : lock.file.file;
  const s32 owner = by_process ? 0 : lock.owner;
  return std::make_tuple(lock.start, lock.end, lock.type, holder, owner);
}

class FileLocks final : public Mechanism {
 public:
  void take(const record& fact, Assembly& assembly) override;
  void finish(Assembly& assembly) override;

 private:
  ChannelIndex add_channel(const LockedFile& locked, Assembly& assembly);
  static void add_owners(ChannelIndex channel, LockedFile& locked, Assembly& assembly);

  IdentityMap by_object_[flavours];
  std::vector<LockedFile> files_;
  std::unordered_set<std::string> ids_;
};

void FileLocks::take(const record& fact, Assembly& /*assembly*/) {
  const auto& lock = reinterpret_cast<const lock_record&>(fact);
  for (size_t i = 0; i < flavours; i++) {
    if (kind_of_flavour[i].first == lock.flavour) {
      bool is_new = false;
      uint32_t& index = by_object_[i].slot(lock.file.object, is_new);
      if (is_new) {
        index = static_cast<uint32_t>(files_.size());
        files_.emplace_back().kind = kind_of_flavour[i].second;
      }
      files_[index].locks.push_back(lock);
    }
  }
}

const char* type_name(uint32_t type) {
  switch (type) {
    case 0:
      return "read";
    case 1:
      return "write";
    default:
      return "breaking";  // only a lease that somebody else's open() wants to end
  }
}

/// Numbers that a double cannot hold are strings in our JSON.
void write_offset(rapidjson::Writer<rapidjson::StringBuffer>& json, uint64_t offset) {
  if (offset == UNKNOWN_U64) {
    json.String("EOF");
  } else if (offset <= uint64_t{1} << 53) {
    json.Uint64(offset);
  } else {
    json.String(std::to_string(offset).c_str());
  }
}

/// The process that took it, 0 when it cannot be told. The kernel keeps the number of the initial
/// PID namespace; in another one only a holder's own number is certain.
uint32_t lock_pid(const lock_record& lock, const Assembly& assembly) {
  if (lock.flavour == LOCK_OFD) {
    return 0;  // belongs to the open file, by design
  }
  if (lock.flavour == LOCK_POSIX && lock.file.head.pid != 0) {
    return lock.file.head.pid;
  }
  const bool certain = assembly.own_pid_ns == initial_pid_ns || lock.file.fd < 0 ||
                       lock.owner == static_cast<s32>(lock.file.head.pid);
  return lock.owner > 0 && certain ? static_cast<uint32_t>(lock.owner) : 0;
}

/// locks: sorted by lock_key().
std::string locks_json(const std::vector<lock_record>& locks, const Assembly& assembly) {
  rapidjson::StringBuffer out;
  rapidjson::Writer<rapidjson::StringBuffer> json(out);
  json.StartArray();
  for (size_t i = 0; i < locks.size(); i++) {
    const lock_record& lock = locks[i];
    if (i > 0 && lock_key(lock) == lock_key(locks[i - 1])) {
      continue;
    }
    json.StartObject();
    json.Key("type");
    json.String(type_name(lock.type));
    json.Key("start");
    write_offset(json, lock.start);
    json.Key("end");
    write_offset(json, lock.end);
    json.Key("pid");
    if (const uint32_t pid = lock_pid(lock, assembly); pid != 0) {
      json.Uint(pid);
    } else {
      json.Null();
    }
    json.EndObject();
  }
  json.EndArray();
  return {out.GetString(), out.GetSize()};
}

ChannelIndex FileLocks::add_channel(const LockedFile& locked, Assembly& assembly) {
  SnapshotBuilder& builder = assembly.builder;
  std::string path;
  uint32_t name_space = 0;
  // Best the path as somebody in our own mount namespace sees it.
  for (const lock_record& lock : locked.locks) {
    const ProcessIndex process = assembly.process(lock.file.head.pid);
    const uint32_t lives_in =
        process == no_index
            ? 0
            : Assembly::foreign(assembly.process_at(process).mnt_ns, assembly.own_mnt_ns);
    if (path.empty() || (name_space != 0 && lives_in == 0)) {
      if (std::string found = assembly.path(lock.file); !found.empty()) {
        path = std::move(found);
        name_space = lives_in;
      }
    }
    if (!path.empty() && name_space == 0) {
      break;
    }
  }
  const file_record& file = locked.locks.front().file;
  const bool unlinked = path.ends_with(deleted_suffix);
  const std::string_view name = without_deleted(path, unlinked);
  std::string id = fmt::format("{}:{}", kind_name(locked.kind), name);
  if (name.empty()) {
    id += fmt::format("#{}:{}", device_text(file.device), file.inode);
  } else if (unlinked || !ids_.insert(id).second) {
    // Another file of this path: deleted and made again, or in another mount namespace.
    const std::string stem = fmt::format("{}#{}", id, file.inode);
    id = stem;
    for (int i = 2; !ids_.insert(id).second; i++) {
      id = fmt::format("{}@{}.{}", stem, name_space, i);
    }
  }
  const ChannelIndex index = builder.add_channel(locked.kind, id, name);
  Channel& channel = builder.channel(index);
  channel.name_space = name_space;
  channel.uid = known32(file.uid);
  if (file.mode != UNKNOWN_U32) {
    channel.permissions = static_cast<uint16_t>(file.mode & 07777);
  }
  builder.json(index, "locks", locks_json(locked.locks, assembly));
  builder.natural(index, "inode", file.inode);
  builder.text(index, "device", device_text(file.device));
  return index;
}

/// Every descriptor of an open file that holds a lock, one for each process that holds classic
/// ones.
void FileLocks::add_owners(ChannelIndex channel, LockedFile& locked, Assembly& assembly) {
  const bool by_process = locked.kind == Kind::fcntl;
  std::sort(locked.locks.begin(), locked.locks.end(),
            [](const lock_record& a, const lock_record& b) {
              return a.file.head.pid != b.file.head.pid ? a.file.head.pid < b.file.head.pid
                                                        : a.file.fd < b.file.fd;
            });
  const file_record* last = nullptr;
  for (const lock_record& lock : locked.locks) {
    const file_record& file = lock.file;
    const bool repeated =
        last != nullptr && last->head.pid == file.head.pid && (by_process || last->fd == file.fd);
    if (!repeated && file.head.pid != 0) {
      assembly.add_endpoint(channel, file, Role::owner);
    }
    last = &file;
  }
}

void FileLocks::finish(Assembly& assembly) {
  for (LockedFile& locked : files_) {
    std::stable_sort(
        locked.locks.begin(), locked.locks.end(),
        [](const lock_record& a, const lock_record& b) { return lock_key(a) < lock_key(b); });
    const ChannelIndex channel = add_channel(locked, assembly);
    add_owners(channel, locked, assembly);
  }
}

constexpr Kind kinds[] = {Kind::flock, Kind::fcntl, Kind::ofd, Kind::lease};
constexpr record_kind records[] = {RECORD_LOCK};

}  // namespace

// /proc/locks is not read here: opening it takes some 20 ms (an RCU grace period), BPF has nothing
// to gain from it, and the /proc source, which cannot do without, already hands over every lock
// that it names.
const MechanismEntry filelock_mechanism = {
    "filelock", kinds, records, [] { return std::unique_ptr<Mechanism>(new FileLocks); }};

}  // namespace ipcscope
