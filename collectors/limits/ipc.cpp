// SPDX-License-Identifier: GPL-2.0-or-later
// Limits of IPC namespaces: System V objects and POSIX queues.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "collectors/base/parse.h"
#include "collectors/limits/gathering.h"
#include "collectors/limits/name_space_files.h"
#include "collectors/sysv_tables.h"

namespace ipcscope {

namespace {

enum Path : size_t {
  path_shm,
  path_sem,
  path_msg,
  path_shmmni,
  path_shmall,
  path_shmmax,
  path_sem_setting,
  path_msgmni,
  path_msgmnb,
  path_msgmax,
  path_queues_max,
  path_msg_max,
  path_msgsize_max,
  path_count,
};
constexpr const char* paths[path_count] = {
    "sysvipc/shm",
    "sysvipc/sem",
    "sysvipc/msg",
    "sys/kernel/shmmni",
    "sys/kernel/shmall",
    "sys/kernel/shmmax",
    "sys/kernel/sem",
    "sys/kernel/msgmni",
    "sys/kernel/msgmnb",
    "sys/kernel/msgmax",
    "sys/fs/mqueue/queues_max",
    "sys/fs/mqueue/msg_max",
    "sys/fs/mqueue/msgsize_max",
};

/// "id limit" of each System V queue, a line each.
std::string queue_limits(const ProcRoot& proc) {
  std::string text;
  std::string limits;
  if (!proc.read(paths[path_msg], text)) {
    return limits;
  }
  for (const MsgRow& row : parse_msg(text)) {
    if (const auto limit = ask_queue_limit(row.id)) {
      limits += fmt::format("{} {}\n", row.id, *limit);
    }
  }
  return limits;
}

/// POSIX queues by namespace, of the snapshot: also those without a name that somebody has open.
struct PosixQueues {
  uint64_t count = 0;
  std::optional<uint64_t> most_messages, largest_message;
  LimitTally users;
  explicit PosixQueues(const LimitGathering& gathering) : users(gathering) {}
};
using PosixQueuesOf = std::unordered_map<uint32_t, PosixQueues>;

PosixQueuesOf count_posix_queues(const LimitGathering& gathering) {
  const Snapshot& snapshot = gathering.snapshot;
  AttributeFinder message_bytes("message_bytes_max");
  PosixQueuesOf queues;
  for (const Channel& channel : snapshot.channels) {
    if (channel.kind != Kind::mq) {
      continue;
    }
    PosixQueues& of = queues.try_emplace(channel.name_space, gathering).first->second;
    of.count++;
    if (const std::optional<uint64_t> messages = channel.capacity_messages) {
      of.most_messages = std::max(of.most_messages.value_or(0), *messages);
    }
    if (const auto bytes = message_bytes.number(snapshot, channel)) {
      of.largest_message = std::max(of.largest_message.value_or(0), *bytes);
    }
    if (channel.uid) {
      of.users.add_user(*channel.uid, 1);
    }
  }
  return queues;
}

/// Whether everybody who could use a namespace may go beyond its limits; false when nobody is
/// there.
bool only_privileged(const LimitGathering& gathering, uint32_t ipc_ns) {
  bool anybody = false;
  for (const LimitProcess& process : gathering.facts.processes) {
    if (process.ipc_ns == ipc_ns) {
      anybody = true;
      if (!process.privileged) {
        return false;
      }
    }
  }
  return anybody;
}

/// The facts of one namespace.
class IpcFacts {
 public:
  IpcFacts(LimitGathering& gathering, const NameSpaceFiles& files)
      : gathering_(gathering), files_(files), known_(!files.texts[path_shm].empty()) {}

  void gather(const PosixQueuesOf& posix) {
    gather_segments();
    gather_sets();
    gather_queues();
    gather_posix_queues(posix);
  }

 private:
  /// The limit is the number at this place of the setting.
  LimitFact& add(LimitId id, Path setting, std::optional<uint64_t> used, size_t at = 0) {
    LimitFact& fact = gathering_.add(
        id, {.kind = LimitPlace::Kind::ipc, .name_space = files_.name_space, .pid = files_.pid});
    fact.setting = numbers_of(files_.texts[setting]);
    fact.limit = number_at(fact.setting, at);
    fact.used = used;
    return fact;
  }
  /// A count of objects, which is unknown where the tables could not be read.
  [[nodiscard]] std::optional<uint64_t> counted(uint64_t count) const {
    return known_ ? std::optional<uint64_t>(count) : std::nullopt;
  }

  void gather_segments();
  void gather_sets();
  void gather_queues();
  void gather_posix_queues(const PosixQueuesOf& posix);

  LimitGathering& gathering_;
  const NameSpaceFiles& files_;
  bool known_;
};

void IpcFacts::gather_segments() {
  // The kernel's sum is in whole small pages, also of huge segments (Linux 6.18 ipc/shm.c, newseg).
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  LimitTally segments(gathering_);
  LimitTally pages(gathering_);
  uint64_t largest = 0;
  for (const ShmRow& row : parse_shm(files_.texts[path_shm])) {
    segments.add_user(row.uid, 1);
    pages.add_user(row.uid, row.bytes / page + (row.bytes % page != 0 ? 1 : 0));
    largest = std::max(largest, row.bytes);
  }
  add(LimitId::shmmni, path_shmmni, counted(segments.total())).users = segments.largest();
  add(LimitId::shmall, path_shmall, counted(pages.total())).users = pages.largest();
  add(LimitId::shmmax, path_shmmax, counted(largest));
}

/// kernel.sem is "SEMMSL SEMMNS SEMOPM SEMMNI" (Linux 6.18 ipc/ipc_sysctl.c, sem_ctls).
void IpcFacts::gather_sets() {
  LimitTally sets(gathering_);
  LimitTally semaphores(gathering_);
  uint64_t largest = 0;
  for (const SemRow& row : parse_sem(files_.texts[path_sem])) {
    sets.add_user(row.uid, 1);
    semaphores.add_user(row.uid, row.semaphores);
    largest = std::max<uint64_t>(largest, row.semaphores);
  }
  add(LimitId::semmni, path_sem_setting, counted(sets.total()), 3).users = sets.largest();
  add(LimitId::semmns, path_sem_setting, counted(semaphores.total()), 1).users =
      semaphores.largest();
  add(LimitId::semmsl, path_sem_setting, counted(largest), 0);
  add(LimitId::semopm, path_sem_setting, std::nullopt, 2).note =
      "a cap on one semop(); nothing keeps how many operations the calls have";
  LimitFact& undo = add(LimitId::semume, path_sem_setting, std::nullopt, path_count);
  undo.unlimited = true;
  undo.note = "Linux has the name but no such limit";  // ipc/sem.c uses SEMUME for IPC_INFO only
}

void IpcFacts::gather_queues() {
  const std::vector<MsgRow> rows = parse_msg(files_.texts[path_msg]);
  std::unordered_map<int32_t, uint64_t> limits;
  std::string_view text = files_.texts[path_count];
  while (const auto id = next_number<int32_t>(text)) {
    limits[*id] = next_number<uint64_t>(text).value_or(0);
  }
  LimitTally queues(gathering_);
  for (const MsgRow& row : rows) {
    queues.add_user(row.uid, 1);
  }
  add(LimitId::msgmni, path_msgmni, counted(rows.size())).users = queues.largest();
  // Each queue took MSGMNB for its own when it was made, and may have another by now. Neither its
  // bytes nor the number of its messages may be more (ipc/msg.c, msg_fits_inqueue).
  for (const MsgRow& row : rows) {
    if (row.messages == 0) {
      continue;
    }
    LimitFact& fact = add(LimitId::msgmnb, path_msgmnb, std::max(row.bytes, row.messages));
    fact.place.kind = LimitPlace::Kind::channel;
    fact.place.name = files_.name_space == 0 ? fmt::format("msg:{}", row.id)
                                             : fmt::format("msg:{}@{}", row.id, files_.name_space);
    const auto own = limits.find(row.id);
    fact.limit = own != limits.end() ? std::optional<uint64_t>(own->second) : std::nullopt;
    if (!fact.limit) {
      fact.note = "the queue's own limit could not be read";
    }
    const auto used_by = [&](int32_t pid) {
      const Process* process = gathering_.snapshot.process(pid);
      if (pid != 0 && process != nullptr) {
        fact.users.push_back({pid, process->uid, std::string(process->command()), 0});
      }
    };
    used_by(row.last_sender);
    if (row.last_receiver != row.last_sender) {
      used_by(row.last_receiver);
    }
  }
  add(LimitId::msgmnb, path_msgmnb, counted(0));  // for those who have none
  add(LimitId::msgmax, path_msgmax, std::nullopt).note =
      "a cap on one message; nothing keeps how large those are that are sent";
}

void IpcFacts::gather_posix_queues(const PosixQueuesOf& posix) {
  const auto found = posix.find(files_.name_space);
  const PosixQueues none(gathering_);
  const PosixQueues& queues = found != posix.end() ? found->second : none;
  // CAP_SYS_RESOURCE may go beyond all three (Linux 6.18 ipc/mqueue.c, mqueue_create_attr and
  // mqueue_get_inode).
  LimitFact& count = add(LimitId::mq_queues_max, path_queues_max, queues.count);
  count.users = queues.users.largest();
  count.exempt = only_privileged(gathering_, files_.name_space);
  const auto or_none = [&](const std::optional<uint64_t>& value) {
    return queues.count == 0 ? std::optional<uint64_t>(0) : value;
  };
  add(LimitId::mq_msg_max, path_msg_max, or_none(queues.most_messages));
  add(LimitId::mq_msgsize_max, path_msgsize_max, or_none(queues.largest_message));
}

}  // namespace

void gather_ipc_limits(LimitGathering& gathering) {
  const auto others =
      gathering.live ? other_name_spaces(gathering.snapshot, &Process::ipc_ns, gathering.own_ipc_ns)
                     : std::vector<NameSpace>();
  const ProcRoot& proc = gathering.proc;
  const bool live = gathering.live;
  const NameSpaceReading reading = read_in_name_spaces(proc, others, "ipc", paths, [&proc, live] {
    return live ? queue_limits(proc) : std::string();
  });
  const PosixQueuesOf posix = count_posix_queues(gathering);
  for (const NameSpaceFiles& files : reading.found) {
    IpcFacts(gathering, files).gather(posix);
  }
  Coverage coverage = cover_name_spaces("limits-ipc", "IPC", reading);
  if (reading.found[0].texts[path_shm].empty()) {
    coverage.state = Coverage::State::unavailable;
    coverage.reason = "/proc/sysvipc cannot be read";
    coverage.hint = "a kernel with CONFIG_SYSVIPC, and /proc mounted";
  }
  gathering.facts.coverage.push_back(std::move(coverage));
}

}  // namespace ipcscope
