// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/removal/sysv_return.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ipc.h>
#include <unistd.h>

namespace ipcscope {

namespace {

/// Whether now is the object that was saved, however it has been used since.
bool is_same(const Target& saved, const Target& now) {
  return now.key == saved.key && now.cuid == saved.cuid && now.cgid == saved.cgid &&
         now.times[2] >= saved.times[2] &&
         (saved.type == Target::Type::msg ||
          (saved.creator == now.creator && saved.messages == now.messages)) &&
         (saved.type != Target::Type::shm || saved.bytes == now.bytes);
}

std::string new_name(const Saved& saved, int id) {
  const std::string& old = saved.object.id;
  const size_t at = old.find('@');
  return fmt::format("{}:{}{}", type_name(saved.object.type), id,
                     at == std::string::npos ? "" : old.substr(at));
}

/// What an earlier attempt made: by the number it noted or, cut off before that, by the key or the
/// identifier that it asked for.
int find_earlier(const Return& what, const SysvCalls& calls) {
  const Attempt& attempt = *what.saved.attempt;
  const Target& object = what.saved.object;
  if (attempt.result) {
    return static_cast<int>(*attempt.result);
  }
  return object.key != IPC_PRIVATE ? calls.get(object.key, 0) : object.sysv_id;
}

/// Makes the object with the identifier that it had, for those who remember that, where privileges
/// allow and it is free (CONFIG_CHECKPOINT_RESTORE, ipc/util.c ipc_idr_alloc). The wish is for the
/// whole namespace, so it is taken back when it was not used.
class WantedId {
 public:
  WantedId(const ProcRoot& proc, const char* path, int id)
      : file_(::openat(proc.descriptor(), path, O_WRONLY | O_CLOEXEC)) {
    set(id);
  }
  WantedId(const WantedId&) = delete;
  WantedId& operator=(const WantedId&) = delete;
  ~WantedId() { set(-1); }

 private:
  void set(int id) {
    const std::string text = std::to_string(id);
    if (file_ && ::pwrite(file_.get(), text.data(), text.size(), 0) < 0) {
      file_.reset();
    }
  }

  Fd file_;
};

}  // namespace

Outcome look_failed(int number) {
  if (number == EINVAL || number == EIDRM || number == ENOENT) {
    return skipped(gone_already);
  }
  return failed(std::generic_category().message(number));
}

Restored restore_sysv(const Return& what, const SysvCalls& calls) {
  const Saved& saved = what.saved;
  // Once it was tried, it was no longer there.
  if (what.same_boot && !saved.attempt) {
    const auto now = calls.look(saved.object.sysv_id);
    if (now && is_same(saved.object, *now)) {
      return present(saved, saved.object.id);
    }
  }
  const int earlier = saved.attempt && what.same_boot ? find_earlier(what, calls) : -1;
  if (const auto now = earlier >= 0 ? calls.look(earlier) : std::nullopt;
      now && now->key == saved.object.key && now->cuid == ::geteuid() &&
      now->times[2] >= saved.attempt->time) {
    if (calls.untouched(earlier, *now, *saved.attempt)) {
      calls.remove(earlier);
    } else if (saved.attempt->result) {
      Restored done = note_restored(what, new_name(saved, earlier));
      done.state = Restored::State::present;
      return done;
    }
  }
  if (const Result<void> noted = note_attempt(what); !noted) {
    return not_restored(saved, "the manifest cannot be written: " + noted.error().text());
  }
  // Nobody else can use it before it is whole.
  int id = -1;
  int error = 0;
  {
    const WantedId wanted(what.proc, calls.next_id, saved.object.sysv_id);
    id = calls.get(saved.object.key, IPC_CREAT | IPC_EXCL | 0600);
    error = errno;
  }
  if (id < 0 && error == EEXIST) {
    const int other = calls.get(saved.object.key, 0);
    return not_restored(saved, fmt::format("its key 0x{:08x} is in use{}", saved.object.key,
                                           other < 0 ? "" : " by " + new_name(saved, other)));
  }
  if (id < 0) {
    return not_restored(saved, "it cannot be made: " + std::generic_category().message(error));
  }
  Result<void> done = what.backup.note(made_line(saved.number, static_cast<uint64_t>(id)));
  if (done) {
    done = calls.fill(id);
  }
  if (!done) {
    calls.remove(id);
    return not_restored(saved, done.error().text());
  }
  return note_restored(what, new_name(saved, id));
}

}  // namespace ipcscope
