// SPDX-License-Identifier: GPL-2.0-or-later
// System V message queues.
#include <fmt/format.h>
#include <sys/msg.h>
#include <sys/syscall.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "collectors/proc/task_files.h"
#include "collectors/removal/content.h"
#include "collectors/removal/family.h"
#include "collectors/removal/places.h"
#include "collectors/removal/sysv_return.h"
#include "collectors/take_bytes.h"

namespace ipcscope {

namespace {

Target facts_of(const msqid_ds& status, int id) {
  Target now;
  now.type = Target::Type::msg;
  now.sysv_id = id;
  now.key = static_cast<uint32_t>(status.msg_perm.__key);
  now.uid = status.msg_perm.uid;
  now.gid = status.msg_perm.gid;
  now.cuid = status.msg_perm.cuid;
  now.cgid = status.msg_perm.cgid;
  now.mode = status.msg_perm.mode;
  now.creator = status.msg_lspid;
  now.last = status.msg_lrpid;
  now.times[0] = status.msg_stime;
  now.times[1] = status.msg_rtime;
  now.times[2] = status.msg_ctime;
  now.bytes = status.__msg_cbytes;
  now.messages = status.msg_qnum;
  return now;
}

std::optional<msqid_ds> look(int id) {
  msqid_ds status{};
  return ::msgctl(id, IPC_STAT, &status) == 0 ? std::optional(status) : std::nullopt;
}

/// Who is blocked on which queue of our namespace. msgctl() does not tell. In which system call a
/// thread is takes a small file to read for each thread on the host, so one look serves the
/// removals of the next moment.
class BlockedProcesses {
 public:
  explicit BlockedProcesses(const ProcRoot& proc) : proc_(proc) {}

  /// A process that waits for the queue, 0 none that can be seen.
  int find(int id) {
    const auto now = Clock::now();
    if (!looked_ || now - *looked_ > worth_) {
      look_around();
      looked_ = Clock::now();
      worth_ = std::max<Clock::duration>(std::chrono::milliseconds(20), *looked_ - now);
    }
    const auto found = by_queue_.find(id);
    return found == by_queue_.end() ? 0 : found->second;
  }

 private:
  using Clock = std::chrono::steady_clock;

  void look_around() {
    by_queue_.clear();
    const uint32_t own = own_name_space(Target::Type::msg);
    std::string text;
    const Result<std::vector<int>> pids = proc_.numbers(".");
    for (const int pid : pids ? *pids : std::vector<int>()) {
      const auto threads = proc_.numbers(fmt::format("{}/task", pid).c_str());
      for (const int tid : threads ? *threads : std::vector<int>()) {
        if (!proc_.read(fmt::format("{}/task/{}/syscall", pid, tid).c_str(), text)) {
          continue;
        }
        const auto call = parse_syscall(text);
        if (call && (call->number == SYS_msgrcv || call->number == SYS_msgsnd) &&
            proc_.namespace_id(pid, "ipc") == own) {
          by_queue_.emplace(static_cast<int>(call->args[0]), pid);
        }
      }
    }
  }

  const ProcRoot& proc_;
  std::unordered_map<int, int> by_queue_;
  std::optional<Clock::time_point> looked_;
  Clock::duration worth_{};
};

/// The queued messages in their order: each its type, its length, its bytes. They stay queued:
/// MSG_COPY takes the place in the queue in the place of the type (Linux 3.8, with
/// CONFIG_CHECKPOINT_RESTORE).
Result<std::string> copy_messages(int id) {
  std::string all;
  std::vector<char> buffer(sizeof(long) + 8192);
  for (long index = 0;; index++) {
    const ssize_t got =
        ::msgrcv(id, buffer.data(), buffer.size() - sizeof(long), index, MSG_COPY | IPC_NOWAIT);
    if (got < 0 && errno == ENOMSG) {
      return all;
    }
    if (got < 0 && errno == E2BIG && buffer.size() < size_t{1} << 30) {
      buffer.resize(buffer.size() * 2);
      index--;
      continue;
    }
    if (got < 0) {
      return system_failure("msgrcv");
    }
    long type = 0;
    std::memcpy(&type, buffer.data(), sizeof type);
    put_bytes(all, int64_t{type});
    put_bytes(all, static_cast<uint64_t>(got));
    all.append(buffer.data() + sizeof type, static_cast<size_t>(got));
  }
}

class MsgRemoval final : public Removal {
 public:
  MsgRemoval(const Target& target, std::shared_ptr<BlockedProcesses> blocked)
      : judged_(target), blocked_(std::move(blocked)) {}

  Refusal check() override;
  Refusal save(Backup& backup, Saved& saved) override;
  Outcome remove() override;

 private:
  Target judged_;
  std::shared_ptr<BlockedProcesses> blocked_;
};

Refusal MsgRemoval::check() {
  const auto status = look(judged_.sysv_id);
  if (!status) {
    return look_failed(errno);
  }
  const std::string what = difference(judged_, facts_of(*status, judged_.sysv_id));
  return what.empty() ? Refusal() : skipped(what);
}

Refusal MsgRemoval::save(Backup& backup, Saved& saved) {
  const auto status = look(judged_.sysv_id);
  if (!status) {
    return look_failed(errno);
  }
  set_facts(saved, facts_of(*status, judged_.sysv_id));
  saved.limit = status->msg_qbytes;
  const Result<std::string> messages = copy_messages(judged_.sysv_id);
  if (!messages) {
    const int number = messages.error().code.value();
    return number == ENOSYS
               ? skipped("this kernel cannot copy queued messages; use --no-backup")
               : failed("its messages cannot be copied: " + messages.error().code.message());
  }
  saved.file_bytes = messages->size();
  if (const Result<void> room = backup.require_room(messages->size()); !room) {
    return failed(room.error().text());
  }
  const Result<Fd> file = backup.create(saved.file);
  if (!file) {
    return failed(backup.explain(file.error()));
  }
  SparseWriter out(file->get());
  Result<void> done = out.add(0, *messages);
  if (done) {
    done = out.finish(messages->size());
  }
  saved.checksum = out.checksum();
  if (done) {
    done = backup.note(saved_line(saved));
  }
  if (!done) {
    return failed(backup.explain(done.error()));
  }
  // The copy is what was judged, unless a use of the queue came in between.
  return check();
}

Outcome MsgRemoval::remove() {
  if (!judged_.allow_used) {
    if (const int pid = blocked_->find(judged_.sysv_id); pid != 0) {
      return skipped(fmt::format("process {} waits for it", pid));
    }
  }
  if (Refusal changed = check()) {
    return *changed;
  }
  if (::msgctl(judged_.sysv_id, IPC_RMID, nullptr) != 0) {
    return look_failed(errno);
  }
  return removed();
}

Result<void> send_all(int id, std::string_view bytes) {
  ByteTaker from(bytes);
  std::vector<char> message;
  while (!from.left().empty()) {
    const auto type = static_cast<long>(from.value<int64_t>());
    const auto size = from.value<uint64_t>();
    const std::string_view text = from.bytes(size);
    if (!from.good()) {
      return failure("a message in the backup is cut off");
    }
    message.resize(sizeof type + text.size());
    std::memcpy(message.data(), &type, sizeof type);
    std::copy(text.begin(), text.end(), message.begin() + sizeof type);
    if (::msgsnd(id, message.data(), text.size(), IPC_NOWAIT) != 0) {
      return system_failure("a message cannot be queued");
    }
  }
  return {};
}

Result<void> fill(const Return& what, int id) {
  const Saved& saved = what.saved;
  const Result<Fd> file = open_verified(what);
  if (!file) {
    return Failure(file.error());
  }
  std::string bytes(saved.file_bytes, '\0');
  if (Result<void> read =
          read_content(file->get(), saved.file_bytes,
                       [&bytes](uint64_t at, std::string_view part) -> Result<void> {
                         bytes.replace(at, part.size(), part);
                         return {};
                       });
      !read) {
    return read;
  }
  auto status = look(id);
  if (!status) {
    return system_failure("msgctl");
  }
  // The limit first: the messages have to fit. More than the default needs CAP_SYS_RESOURCE.
  if (status->msg_qbytes != saved.limit) {
    status->msg_qbytes = saved.limit;
    if (::msgctl(id, IPC_SET, &*status) != 0 && saved.object.bytes > status->msg_qbytes) {
      return system_failure("its limit cannot be set");
    }
  }
  if (Result<void> sent = send_all(id, bytes); !sent) {
    return sent;
  }
  status = look(id);
  if (!status) {
    return system_failure("msgctl");
  }
  status->msg_perm.uid = saved.object.uid;
  status->msg_perm.gid = saved.object.gid;
  status->msg_perm.mode = static_cast<unsigned short>(saved.object.mode & 0777);
  if (::msgctl(id, IPC_SET, &*status) != 0) {
    return system_failure("its owner cannot be set");
  }
  return {};
}

}  // namespace

RemovalMaker msg_removals(const ProcRoot& proc) {
  return [blocked = std::make_shared<BlockedProcesses>(proc)](const Target& target) {
    return std::make_unique<MsgRemoval>(target, blocked);
  };
}

Restored restore_msg(const Return& what) {
  SysvCalls calls;
  calls.next_id = "sys/kernel/msg_next_id";
  calls.look = [](int id) {
    const auto status = look(id);
    return status ? std::optional(facts_of(*status, id)) : std::nullopt;
  };
  calls.untouched = [](int, const Target& now, const Attempt& attempt) {
    return (now.creator == 0 || now.creator == attempt.pid) && now.last == 0;
  };
  calls.get = [](uint32_t key, int flags) { return ::msgget(static_cast<key_t>(key), flags); };
  calls.fill = [&](int id) { return fill(what, id); };
  calls.remove = [](int id) { ::msgctl(id, IPC_RMID, nullptr); };
  return restore_sysv(what, calls);
}

}  // namespace ipcscope
