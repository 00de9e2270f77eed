// SPDX-License-Identifier: GPL-2.0-or-later
// Room in the /dev/shm of each mount namespace.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <unordered_map>

#include "collectors/base/parse.h"
#include "collectors/child.h"
#include "collectors/limits/gathering.h"
#include "collectors/name_spaces.h"
#include "collectors/proc/mounts.h"
#include "collectors/take_bytes.h"

namespace ipcscope {

namespace {

constexpr std::chrono::seconds child_limit{5};
constexpr const char* point = "/dev/shm";

/// What statfs says of one /dev/shm.
struct Room {
  uint32_t name_space = 0;  ///< 0: ipcscope's own
  int32_t pid = 0;
  int32_t error = 0;
  uint32_t device = 0;
  uint64_t block_bytes = 0, blocks = 0, blocks_free = 0, files = 0, files_free = 0;
};

/// Whether the way to it, and it itself, can be walked without asking a server or another process:
/// its root directory and its own mount are of local kinds.
bool is_safe(const ProcRoot& proc, const std::string& whose) {
  const Result<std::string> text = proc.read(whose + "/mountinfo");
  std::string_view left = text ? std::string_view(*text) : std::string_view();
  bool safe = false;
  while (!left.empty()) {
    const auto mount = parse_mountinfo_line(next_line(left));
    if (mount && (mount->point == "/" || mount->point == "/dev" || mount->point == point)) {
      if (!filesystem_type(mount->type).local) {
        return false;
      }
      safe = true;
    }
  }
  return safe;
}

/// Through PID/root, which leads into the process's mount namespace and its root directory.
Room look(const ProcRoot& proc, uint32_t name_space, int32_t pid) {
  Room room;
  room.name_space = name_space;
  room.pid = pid;
  const std::string whose = pid == 0 ? "self" : std::to_string(pid);
  if (!is_safe(proc, whose)) {
    room.error = EREMOTE;
    return room;
  }
  const Fd directory(::openat(proc.descriptor(), (whose + "/root" + point).c_str(),
                              O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct stat file {};
  struct statfs system {};
  if (!directory || ::fstat(directory.get(), &file) != 0 ||
      ::fstatfs(directory.get(), &system) != 0) {
    room.error = errno;
    return room;
  }
  if (system.f_type != TMPFS_MAGIC) {
    room.error = ENODEV;
    return room;
  }
  room.device = record_device(file.st_dev);
  room.block_bytes = static_cast<uint64_t>(system.f_bsize);
  room.blocks = system.f_blocks;
  room.blocks_free = system.f_bfree;
  room.files = system.f_files;
  room.files_free = system.f_ffree;
  return room;
}

/// Who has how much there, by the owners of the objects.
using UsersOf = std::unordered_map<std::string_view, std::pair<LimitTally, LimitTally>>;

UsersOf count_users(const LimitGathering& gathering) {
  const Snapshot& snapshot = gathering.snapshot;
  AttributeFinder device("device");
  AttributeFinder resident("resident_bytes");
  UsersOf users;
  for (const Channel& channel : snapshot.channels) {
    if ((channel.kind != Kind::posixshm && channel.kind != Kind::posixsem) || !channel.uid) {
      continue;
    }
    const std::string_view where = device.text(snapshot, channel);
    if (where.empty()) {
      continue;
    }
    auto& [bytes, files] =
        users.try_emplace(where, LimitTally(gathering), LimitTally(gathering)).first->second;
    if (const auto size = resident.number(snapshot, channel)) {
      bytes.add_user(*channel.uid, *size);
    }
    files.add_user(*channel.uid, 1);
  }
  return users;
}

/// shared: further mount namespaces that have the same one.
void add_room(LimitGathering& gathering, const Room& room, const std::vector<uint32_t>& shared,
              const UsersOf& users) {
  const LimitPlace place = {.kind = LimitPlace::Kind::mount,
                            .name_space = room.name_space,
                            .pid = room.pid,
                            .name = point};
  const auto seen = users.find(device_text(room.device));
  const auto add = [&](LimitId id, uint64_t limit, uint64_t used, bool bytes) {
    LimitFact& fact = gathering.add(id, place);
    fact.shared = shared;
    if (room.error != 0) {
      fact.note = room.error == ENODEV    ? "no tmpfs is mounted there"
                  : room.error == EREMOTE ? "not looked at: it may need a server to answer"
                                          : std::generic_category().message(room.error);
      return;
    }
    fact.used = used;
    fact.unlimited = limit == 0;  // size=0 and nr_inodes=0 (Linux 6.18 mm/shmem.c, shmem_statfs)
    fact.limit = fact.unlimited ? std::nullopt : std::optional<uint64_t>(limit);
    if (fact.unlimited) {
      fact.used = std::nullopt;
    }
    if (seen != users.end()) {
      fact.users = bytes ? seen->second.first.largest() : seen->second.second.largest();
    }
  };
  add(LimitId::shm_mount_space, room.blocks * room.block_bytes,
      (room.blocks - room.blocks_free) * room.block_bytes, true);
  add(LimitId::shm_mount_inodes, room.files, room.files - room.files_free, false);
}

}  // namespace

void gather_shm_mounts(LimitGathering& gathering) {
  Coverage coverage;
  coverage.source = "limits-dev-shm";
  if (!gathering.live) {
    return;  // a fake tree has no file systems of its own
  }
  const std::vector<NameSpace> others =
      other_name_spaces(gathering.snapshot, &Process::mnt_ns, gathering.own_mnt_ns);
  const ProcRoot& proc = gathering.proc;
  // A path that hangs hangs a child, which is given up.
  const auto visit = [&](int out) {
    const auto send = [&](const Room& room) {
      std::string bytes;
      put_bytes(bytes, room);
      return write_all(out, bytes);
    };
    if (!send(look(proc, 0, 0))) {
      return;
    }
    for (const NameSpace& other : others) {
      Room room;
      for (const int pid : other.pids) {
        room = look(proc, other.inode, pid);
        if (room.error == 0) {
          break;
        }
      }
      if (!send(room)) {
        return;
      }
    }
  };
  const Result<ChildOutput> output = run_in_child(visit, child_limit);
  const UsersOf users = count_users(gathering);
  std::vector<Room> rooms;
  std::vector<size_t> kept;
  std::unordered_map<uint32_t, size_t> devices;
  std::unordered_map<size_t, std::vector<uint32_t>> shared;
  std::string problem = output ? "" : output.error().text();
  ByteTaker from(output ? std::string_view(output->bytes) : std::string_view());
  for (size_t i = 0; i <= others.size(); i++) {
    const Room room = from.value<Room>();
    if (!from.good()) {
      coverage.unreadable++;
      problem = problem.empty() ? "the child that went there did not come back in time" : problem;
      continue;
    }
    coverage.checked++;
    if (room.error == EACCES || room.error == EPERM) {
      coverage.unreadable++;
      problem = problem.empty() ? std::generic_category().message(room.error) : problem;
    }
    // Without any, only the own one is worth a line.
    if (room.error == 0 || i == 0) {
      rooms.push_back(room);
    }
  }
  // One file system in several namespaces is one.
  for (size_t i = 0; i < rooms.size(); i++) {
    if (rooms[i].error == 0) {
      const auto [first, is_new] = devices.try_emplace(rooms[i].device, i);
      if (!is_new) {
        shared[first->second].push_back(rooms[i].name_space);
        continue;
      }
    }
    kept.push_back(i);
  }
  for (const size_t i : kept) {
    add_room(gathering, rooms[i], shared[i], users);
  }
  if (coverage.unreadable > 0) {
    coverage.state = Coverage::State::partial;
    coverage.reason =
        fmt::format("/dev/shm of {} mount namespace{} could not be looked at: {}",
                    coverage.unreadable, coverage.unreadable == 1 ? "" : "s", problem);
    coverage.hint = "run as root (CAP_SYS_PTRACE)";
  }
  gathering.facts.coverage.push_back(std::move(coverage));
}

}  // namespace ipcscope
