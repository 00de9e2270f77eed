// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>

#include "collectors/child.h"
#include "collectors/removal/family.h"
#include "collectors/removal/places.h"
#include "collectors/removal/removal.h"
#include "collectors/take_bytes.h"

namespace ipcscope {

namespace {

constexpr std::chrono::hours child_limit{48};

using Tell = std::function<void(const Restored&)>;
using Restore = Restored (*)(const Return&);

/// By Target::Type.
constexpr Restore restorers[] = {restore_shm,  restore_sem,   restore_msg,   restore_file,
                                 restore_file, restore_queue, restore_socket};

/// An object and where it is to be made.
struct Task {
  const Saved* saved;
  Target place;
};

class Restorer {
 public:
  Restorer(Backup& backup, const ProcRoot& proc, const Tell& tell)
      : backup_(backup),
        proc_(proc),
        tell_(tell),
        same_boot_(backup.manifest().head.boot == boot_id(proc)) {}

  void run();

 private:
  bool find_place(const Saved& saved, Target& place, std::string& reason);
  void restore(const Task& task, const Tell& tell) const;
  void restore_in_child(const std::vector<Task>& tasks) const;

  Backup& backup_;
  const ProcRoot& proc_;
  const Tell& tell_;
  bool same_boot_;
  std::map<uint32_t, std::vector<int>> inhabitants_;
};

/// In the namespace where it was, when that still exists; after a reboot, what was in the one that
/// ipcscope itself ran in comes back there.
bool Restorer::find_place(const Saved& saved, Target& place, std::string& reason) {
  place = saved.object;
  const char* const kind = name_space_kind(place.type);
  if (same_boot_ ? place.name_space == own_name_space(place.type) : saved.own) {
    place.name_space = 0;
    return true;
  }
  if (same_boot_) {
    auto [found, is_new] = inhabitants_.try_emplace(place.name_space);
    if (is_new) {
      found->second = inhabitants(place.name_space, kind, proc_);
    }
    place.pids = found->second;
  }
  if (!same_boot_ || place.pids.empty()) {
    reason =
        fmt::format("no process lives in its namespace {}:[{}] any more", kind, place.name_space);
    return false;
  }
  return true;
}

void Restorer::restore(const Task& task, const Tell& tell) const {
  const Saved& saved = *task.saved;
  tell(restorers[static_cast<size_t>(saved.object.type)](
      {saved, task.place, backup_, proc_, same_boot_}));
}

struct RestoredHead {
  Restored::State state;
  uint32_t id_bytes, new_id_bytes, reason_bytes;
};

void Restorer::restore_in_child(const std::vector<Task>& tasks) const {
  const auto output = run_in_child(
      [&](int out) {
        const Tell tell_parent = [out](const Restored& each) {
          std::string bytes;
          put_bytes(bytes, RestoredHead{each.state, static_cast<uint32_t>(each.id.size()),
                                        static_cast<uint32_t>(each.new_id.size()),
                                        static_cast<uint32_t>(each.reason.size())});
          write_all(out, bytes + each.id + each.new_id + each.reason);
        };
        const Target& first = tasks.front().place;
        const Result<void> entered = enter_ipc(first.name_space, first.pids, proc_);
        for (const Task& task : tasks) {
          if (entered) {
            restore(task, tell_parent);
          } else {
            tell_parent(not_restored(*task.saved, entered.error().text()));
          }
        }
      },
      child_limit);
  size_t told = 0;
  ByteTaker from(output ? output->bytes : std::string_view());
  while (!from.left().empty()) {
    const auto head = from.value<RestoredHead>();
    Restored each;
    each.state = head.state;
    each.id = from.bytes(head.id_bytes);
    each.new_id = from.bytes(head.new_id_bytes);
    each.reason = from.bytes(head.reason_bytes);
    if (!from.good()) {
      break;
    }
    told++;
    tell_(each);
  }
  for (; told < tasks.size(); told++) {
    tell_(not_restored(*tasks[told].saved,
                       "the process that was to do it in that namespace ended early"));
  }
}

void Restorer::run() {
  const Manifest& manifest = backup_.manifest();
  for (const size_t line : manifest.damaged) {
    Restored bad;
    bad.id = fmt::format("{}:{}", manifest_name, line);
    bad.reason = "the line is damaged";
    tell_(bad);
  }
  std::map<uint32_t, std::vector<Task>> elsewhere;  // by IPC namespace
  for (const Saved& saved : manifest.objects) {
    if (saved.state == Saved::State::kept) {
      tell_(present(saved, saved.object.id));
      continue;
    }
    if (saved.state == Saved::State::restored) {
      tell_(present(saved, saved.new_id));
      continue;
    }
    Task task{&saved, {}};
    std::string reason;
    if (!find_place(saved, task.place, reason)) {
      tell_(not_restored(saved, reason));
    } else if (task.place.name_space != 0 &&
               std::string_view(name_space_kind(task.place.type)) == "ipc") {
      elsewhere[task.place.name_space].push_back(std::move(task));
    } else {
      restore(task, tell_);
    }
  }
  for (const auto& [name_space, tasks] : elsewhere) {
    restore_in_child(tasks);
  }
}

bool has_manifest(const std::string& path) {
  struct stat status {};
  return ::stat((path + '/' + manifest_name).c_str(), &status) == 0;
}

/// The backups that path stands for, the newest first: of two with the same key, its object comes
/// back.
std::vector<std::string> find_backups(const std::string& path) {
  const std::string_view name = manifest_name;
  if (path == name) {
    return {"."};
  }
  if (path.ends_with('/' + std::string(name))) {
    return {path.substr(0, path.size() - name.size() - 1)};
  }
  if (has_manifest(path)) {
    return {path};
  }
  std::vector<std::string> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
  while (const dirent* each = directory ? ::readdir(directory.get()) : nullptr) {
    const std::string inner = path + '/' + each->d_name;
    if (each->d_name[0] != '.' && has_manifest(inner)) {
      found.push_back(inner);
    }
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

}  // namespace

Result<void> restore_objects(const std::string& path, const ProcRoot& proc,
                             const std::function<void(const Restored&)>& tell) {
  const std::vector<std::string> paths = find_backups(path);
  if (paths.empty()) {
    return failure(path + " is no backup: it has no " + manifest_name);
  }
  Result<void> result;
  for (const std::string& each : paths) {
    Result<Backup> backup = Backup::open(each);
    if (backup) {
      Restorer(*backup, proc, tell).run();
    } else if (result) {
      result = Failure(backup.error());
    }
  }
  return result;
}

}  // namespace ipcscope
