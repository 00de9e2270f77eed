// SPDX-License-Identifier: GPL-2.0-or-later
// System V semaphore sets.
#include <fmt/format.h>
#include <sys/sem.h>

#include <algorithm>
#include <vector>

#include "collectors/removal/content.h"
#include "collectors/removal/family.h"
#include "collectors/removal/sysv_return.h"

namespace ipcscope {

namespace {

union SemaphoreArgument {
  int value;
  semid_ds* status;
  unsigned short* values;
};

Target facts_of(const semid_ds& status, int id) {
  Target now;
  now.type = Target::Type::sem;
  now.sysv_id = id;
  now.key = static_cast<uint32_t>(status.sem_perm.__key);
  now.uid = status.sem_perm.uid;
  now.gid = status.sem_perm.gid;
  now.cuid = status.sem_perm.cuid;
  now.cgid = status.sem_perm.cgid;
  now.mode = status.sem_perm.mode;
  now.times[0] = status.sem_otime;
  now.times[2] = status.sem_ctime;
  now.messages = status.sem_nsems;
  return now;
}

std::optional<Target> look(int id) {
  semid_ds status{};
  SemaphoreArgument argument{};
  argument.status = &status;
  return ::semctl(id, 0, IPC_STAT, argument) == 0 ? std::optional(facts_of(status, id))
                                                  : std::nullopt;
}

bool get_values(int id, std::vector<unsigned short>& values) {
  SemaphoreArgument argument{};
  argument.values = values.data();
  return ::semctl(id, 0, GETALL, argument) >= 0;
}

class SemRemoval final : public Removal {
 public:
  explicit SemRemoval(const Target& target) : judged_(target) {}

  Refusal check() override;
  Refusal save(Backup& backup, Saved& saved) override;
  Outcome remove() override;

 private:
  Target judged_;
  std::vector<unsigned short> values_;  // as they were saved
};

Refusal SemRemoval::check() {
  const auto now = look(judged_.sysv_id);
  if (!now) {
    return look_failed(errno);
  }
  if (const std::string what = difference(judged_, *now); !what.empty()) {
    return skipped(what);
  }
  for (int i = 0; i < static_cast<int>(now->messages) && !judged_.allow_used; i++) {
    const int up = ::semctl(judged_.sysv_id, i, GETNCNT);
    const int zero = up < 0 ? up : ::semctl(judged_.sysv_id, i, GETZCNT);
    if (zero < 0) {
      return look_failed(errno);
    }
    if (up + zero > 0) {
      return skipped(fmt::format("somebody waits for its semaphore {}", i));
    }
  }
  // The time of the last operation has whole seconds only.
  for (size_t i = 0; i < judged_.operators.size(); i++) {
    const int pid = ::semctl(judged_.sysv_id, static_cast<int>(i), GETPID);
    if (pid < 0) {
      return look_failed(errno);
    }
    if (pid != judged_.operators[i]) {
      return skipped(fmt::format("process {} has operated on it", pid));
    }
  }
  return {};
}

Refusal SemRemoval::save(Backup& backup, Saved& saved) {
  const auto now = look(judged_.sysv_id);
  if (!now) {
    return look_failed(errno);
  }
  set_facts(saved, *now);
  values_.resize(now->messages);
  if (!get_values(judged_.sysv_id, values_)) {
    return look_failed(errno);
  }
  const std::string_view bytes(reinterpret_cast<const char*>(values_.data()),
                               values_.size() * sizeof values_[0]);
  saved.file_bytes = bytes.size();
  const Result<Fd> file = backup.create(saved.file);
  if (!file) {
    return failed(backup.explain(file.error()));
  }
  SparseWriter out(file->get());
  Result<void> done = out.add(0, bytes);
  if (done) {
    done = out.finish(bytes.size());
  }
  saved.checksum = out.checksum();
  if (done) {
    done = backup.note(saved_line(saved));
  }
  return done ? Refusal() : failed(backup.explain(done.error()));
}

Outcome SemRemoval::remove() {
  if (Refusal changed = check()) {
    return *changed;
  }
  if (!values_.empty()) {
    std::vector<unsigned short> now(values_.size());
    if (!get_values(judged_.sysv_id, now)) {
      return look_failed(errno);
    }
    if (now != values_) {
      return skipped("its values have changed");
    }
  }
  if (::semctl(judged_.sysv_id, 0, IPC_RMID) != 0) {
    return look_failed(errno);
  }
  return removed();
}

Result<void> fill(const Return& what, int id) {
  const Saved& saved = what.saved;
  const Result<Fd> file = open_verified(what);
  if (!file) {
    return Failure(file.error());
  }
  std::vector<unsigned short> values(saved.object.messages);
  if (saved.file_bytes != values.size() * sizeof values[0]) {
    return failure(saved.file + " has another size");
  }
  Result<void> read = read_content(
      file->get(), saved.file_bytes, [&](uint64_t at, std::string_view bytes) -> Result<void> {
        std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(values.data()) + at);
        return {};
      });
  if (!read) {
    return read;
  }
  SemaphoreArgument argument{};
  argument.values = values.data();
  if (::semctl(id, 0, SETALL, argument) != 0) {
    return system_failure("its values cannot be set");
  }
  semid_ds status{};
  status.sem_perm.uid = saved.object.uid;
  status.sem_perm.gid = saved.object.gid;
  status.sem_perm.mode = static_cast<unsigned short>(saved.object.mode & 0777);
  argument.status = &status;
  if (::semctl(id, 0, IPC_SET, argument) != 0) {
    return system_failure("its owner cannot be set");
  }
  return {};
}

}  // namespace

RemovalMaker sem_removals() {
  return [](const Target& target) { return std::make_unique<SemRemoval>(target); };
}

Restored restore_sem(const Return& what) {
  SysvCalls calls;
  calls.next_id = "sys/kernel/sem_next_id";
  calls.look = look;
  calls.untouched = [](int id, const Target& now, const Attempt& attempt) {
    // SETALL leaves its process behind, but no time of an operation.
    for (int i = 0; i < static_cast<int>(now.messages); i++) {
      const int pid = ::semctl(id, i, GETPID);
      if (pid != 0 && pid != attempt.pid) {
        return false;
      }
    }
    return now.times[0] == 0;
  };
  calls.get = [&](uint32_t key, int flags) {
    const bool make = (flags & IPC_CREAT) != 0;
    return ::semget(static_cast<key_t>(key),
                    make ? static_cast<int>(what.saved.object.messages) : 0, flags);
  };
  calls.fill = [&](int id) { return fill(what, id); };
  calls.remove = [](int id) { ::semctl(id, 0, IPC_RMID); };
  return restore_sysv(what, calls);
}

}  // namespace ipcscope
