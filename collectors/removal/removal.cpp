// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/removal/removal.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <set>
#include <utility>

#include "collectors/child.h"
#include "collectors/removal/family.h"
#include "collectors/removal/hidden.h"
#include "collectors/removal/places.h"
#include "collectors/take_bytes.h"

namespace ipcscope {

namespace {

/// So many objects, or so much of their size, go to the disk together. While they do, somebody who
/// opens one of them has to wait.
constexpr size_t group_objects = 128;
constexpr uint64_t group_bytes = uint64_t{64} << 20;
/// For a child in another namespace, which may have much to copy.
constexpr std::chrono::hours child_limit{48};

using Tell = std::function<void(size_t index, Outcome outcome)>;

class Cleaner {
 public:
  Cleaner(const ProcRoot& proc, Backup* backup, Tell tell)
      : backup_(backup), tell_(std::move(tell)), makers_{shm_removals(),       sem_removals(),
                                                         msg_removals(proc),   file_removals(proc),
                                                         file_removals(proc),  queue_removals(),
                                                         socket_removals(proc)} {}

  void take(size_t index, const Target& judged);
  void finish_group();

 private:
  struct Member {
    size_t index;
    Saved saved;
    std::unique_ptr<Removal> removal;
    Refusal refusal;
  };

  Target other_name(const Target& target);
  [[nodiscard]] Refusal save(Member& member) const;
  Outcome finish(Member& member);

  Backup* backup_;
  Tell tell_;
  std::array<RemovalMaker, 7> makers_;  // by Target::Type
  std::vector<Member> group_;
  std::set<std::pair<uint32_t, uint64_t>> files_;  ///< taken so far, by device and inode number
  uint64_t bytes_ = 0;
};

/// A file may have several names: sem_open() that was killed leaves two. The lease on one keeps
/// ours from opening the other, so the first goes before; that changes the time of the second.
Target Cleaner::other_name(const Target& target) {
  const bool is_file =
      target.type == Target::Type::posixshm || target.type == Target::Type::posixsem;
  if (!is_file || files_.insert({target.device, target.inode}).second) {
    return target;
  }
  finish_group();
  Target changed = target;
  struct stat status {};
  if (target.name_space == 0 && ::lstat(target.path.c_str(), &status) == 0 &&
      status.st_ino == target.inode) {
    changed.times[2] = status.st_ctime;
  }
  return changed;
}

void Cleaner::take(size_t index, const Target& judged) {
  const Target target = other_name(judged);
  Member member{index, {}, makers_[static_cast<size_t>(target.type)](target), {}};
  member.saved.object = target;
  member.saved.own = target.name_space == 0;
  if (member.saved.own) {
    member.saved.object.name_space = own_name_space(target.type);
  }
  Refusal refusal = member.removal->check();
  if (!refusal && backup_ != nullptr) {
    refusal = save(member);
  }
  if (refusal) {
    tell_(index, std::move(*refusal));
    return;
  }
  bytes_ += member.saved.file_bytes;
  group_.push_back(std::move(member));
  if (group_.size() >= group_objects || bytes_ >= group_bytes) {
    finish_group();
  }
}

Refusal Cleaner::save(Member& member) const {
  Saved& saved = member.saved;
  saved.number = static_cast<uint32_t>(member.index + 1);
  saved.file = fmt::format("{:04}.data", saved.number);
  const std::string file = saved.file;
  Refusal refusal = member.removal->save(*backup_, saved);
  // A skipped one is as it was; the backup of one that failed may be all that there is of it.
  if (refusal && refusal->state == Outcome::State::skipped) {
    if (backup_->note(kept_line(saved.number, refusal->reason))) {
      backup_->discard(file);
    }
  } else if (refusal && saved.state != Saved::State::draining) {
    backup_->discard(file);
  }
  return refusal;
}

Outcome Cleaner::finish(Member& member) {
  Outcome outcome = member.refusal ? *member.refusal : member.removal->remove();
  if (backup_ == nullptr) {
    return outcome;
  }
  const uint32_t number = member.saved.number;
  if (outcome.state == Outcome::State::removed) {
    // Without this line restoring finds out that it is gone.
    (void)backup_->note(removed_line(number));
    outcome.backup = backup_->path();
  } else if (outcome.state == Outcome::State::skipped &&
             backup_->note(kept_line(number, outcome.reason)) && !member.saved.file.empty()) {
    backup_->discard(member.saved.file);
  }
  return outcome;
}

void Cleaner::finish_group() {
  Result<void> synced;
  if (backup_ != nullptr && !group_.empty()) {
    std::vector<std::string> files;
    for (const Member& member : group_) {
      if (!member.saved.file.empty()) {
        files.push_back(member.saved.file);
      }
    }
    synced = backup_->sync(files);
  }
  bool waits = false;
  for (Member& member : group_) {
    if (synced) {
      member.refusal = member.removal->hide(waits);
    }
  }
  if (waits) {
    wait_for_openers();
  }
  for (Member& member : group_) {
    if (synced) {
      tell_(member.index, finish(member));
    } else {
      const Refusal worse = member.removal->give_up();
      tell_(member.index, worse ? *worse : failed(backup_->explain(synced.error())));
    }
    member.removal.reset();  // lets go of it at once
  }
  group_.clear();
  bytes_ = 0;
}

/// A line for the log, on one line whatever is in a name.
std::string printable(const std::string& text) {
  std::string out;
  for (const char byte : text) {
    const auto code = static_cast<unsigned char>(byte);
    out += code < 0x20 || code == 0x7f || code == '\\' ? fmt::format("\\x{:02x}", code)
                                                       : std::string(1, byte);
  }
  return out;
}

void log_removal(const Target& target, const Outcome& outcome) {
  const std::string key =
      target.type <= Target::Type::msg ? fmt::format(" key 0x{:08x}", target.key) : "";
  const std::string line = fmt::format(
      "removed {}{} of uid {} for uid {}, {}", printable(target.id), key, target.uid, ::getuid(),
      outcome.backup.empty() ? "no backup" : "backup " + printable(outcome.backup));
  ::syslog(LOG_AUTHPRIV | LOG_NOTICE, "%s", line.c_str());
}

struct OutcomeHead {
  uint64_t index;
  uint32_t reason_bytes, backup_bytes;
  Outcome::State state;
};

void send(int out, size_t index, const Outcome& outcome) {
  std::string bytes;
  put_bytes(bytes, OutcomeHead{index, static_cast<uint32_t>(outcome.reason.size()),
                               static_cast<uint32_t>(outcome.backup.size()), outcome.state});
  write_all(out, bytes + outcome.reason + outcome.backup);
}

/// The objects of another IPC namespace, in a child that entered it.
void remove_in_child(const std::vector<Target>& targets, const std::vector<size_t>& members,
                     Backup* backup, const ProcRoot& proc, const Tell& tell) {
  const Target& first = targets[members.front()];
  std::vector<int> pids;
  for (const size_t index : members) {
    pids.insert(pids.end(), targets[index].pids.begin(), targets[index].pids.end());
  }
  const auto output = run_in_child(
      [&](int out) {
        const Tell tell_parent = [out](size_t index, const Outcome& outcome) {
          send(out, index, outcome);
        };
        if (const Result<void> entered = enter_ipc(first.name_space, pids, proc); !entered) {
          for (const size_t index : members) {
            tell_parent(index, skipped("it cannot be reached: " + entered.error().text()));
          }
          return;
        }
        Cleaner cleaner(proc, backup, tell_parent);
        for (const size_t index : members) {
          cleaner.take(index, targets[index]);
        }
        cleaner.finish_group();
      },
      child_limit);
  std::vector<size_t> left = members;
  ByteTaker from(output ? output->bytes : std::string_view());
  while (!from.left().empty()) {
    const auto head = from.value<OutcomeHead>();
    Outcome outcome;
    outcome.state = head.state;
    outcome.reason = from.bytes(head.reason_bytes);
    outcome.backup = from.bytes(head.backup_bytes);
    if (!from.good()) {
      break;
    }
    std::erase(left, head.index);
    tell(head.index, std::move(outcome));
  }
  for (const size_t index : left) {
    tell(index, failed("the process that was to do it in that namespace ended early"));
  }
}

}  // namespace

Result<void> remove_objects(const std::vector<Target>& given, const RemovalOptions& options,
                            const ProcRoot& proc,
                            const std::function<void(size_t, const Outcome&)>& tell) {
  std::optional<Backup> backup;
  if (!options.backup.empty()) {
    Result<Backup> made = Backup::make(options.backup);
    if (!made) {
      return Failure(made.error());
    }
    backup.emplace(std::move(*made));
  }
  std::vector<Target> targets = given;
  for (Target& target : targets) {
    if (target.name_space == own_name_space(target.type)) {
      target.name_space = 0;
    }
  }
  ::openlog("ipcscope", LOG_PID | LOG_NDELAY, LOG_AUTHPRIV);
  const Tell tell_caller = [&](size_t index, const Outcome& outcome) {
    if (outcome.state == Outcome::State::removed) {
      log_removal(targets[index], outcome);
    }
    tell(index, outcome);
  };
  Cleaner cleaner(proc, backup ? &*backup : nullptr, tell_caller);
  std::map<uint32_t, std::vector<size_t>> elsewhere;  // by IPC namespace
  for (size_t i = 0; i < targets.size(); i++) {
    const Target& target = targets[i];
    const bool in_ipc = std::string_view(name_space_kind(target.type)) == "ipc";
    if (in_ipc && target.name_space != 0) {
      elsewhere[target.name_space].push_back(i);
    } else {
      cleaner.take(i, target);
    }
  }
  cleaner.finish_group();
  for (const auto& [name_space, members] : elsewhere) {
    remove_in_child(targets, members, backup ? &*backup : nullptr, proc, tell_caller);
  }
  ::closelog();
  return {};
}

}  // namespace ipcscope
