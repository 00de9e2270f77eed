// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/mq.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "bpf/mq.h"
#include "collectors/base/identity_map.h"
#include "collectors/base/own_thread.h"
#include "collectors/mq_directory.h"
#include "collectors/name_spaces.h"

namespace ipcscope {

namespace {

struct Queue {
  mq_record record{};
  std::string name;
  uint32_t name_space = 0;
  std::vector<file_record> openers;
  std::optional<uint32_t> gid;  ///< this and the next of what its file system lists
  std::optional<int64_t> change_time;
};

class Queues final : public Mechanism {
 public:
  void take(const record& fact, Assembly& assembly) override;
  void finish(Assembly& assembly) override;

 private:
  std::vector<QueueList> other_lists(const Assembly& assembly);
  void merge(const QueueList& list);
  void add_channel(const Queue& queue, Assembly& assembly);
  void cover(Assembly& assembly, const QueueList& own) const;

  IdentityMap by_object_;
  std::vector<Queue> queues_;
  std::vector<std::string> unreadable_;
  std::unordered_set<std::string> ids_;
};

void Queues::take(const record& fact, Assembly& assembly) {
  const auto& from = reinterpret_cast<const mq_record&>(fact);
  bool is_new = false;
  uint32_t& index = by_object_.slot(from.file.object, is_new);
  if (is_new) {
    index = static_cast<uint32_t>(queues_.size());
    Queue& queue = queues_.emplace_back();
    queue.record = from;
    queue.name.assign(from.name, std::min<size_t>(from.name_length, MQ_NAME_MAX));
    if (from.name_length >= MQ_NAME_MAX) {
      // The file has no path but its name in the root of its own file system.
      const std::string path = assembly.path(from.file);
      const size_t slash = path.rfind('/');
      if (slash != std::string::npos &&
          path.compare(slash + 1, queue.name.size(), queue.name) == 0) {
        queue.name = path.substr(slash + 1);
      }
    }
    // Where the file system of its namespace cannot be had, that of the process that has it open
    // is the best guess.
    const ProcessIndex process = assembly.process(from.file.head.pid);
    queue.name_space = process == no_index ? 0
                                           : Assembly::foreign(assembly.process_at(process).ipc_ns,
                                                               assembly.own_ipc_ns);
  }
  queues_[index].openers.push_back(from.file);
}

std::vector<QueueList> Queues::other_lists(const Assembly& assembly) {
  std::vector<QueueList> lists;
  unreadable_ = visit_ipc_name_spaces(assembly, [&](uint32_t inode) {
    lists.push_back(list_queues(true, false));
    lists.back().name_space = inode;
  });
  std::erase_if(lists, [this](const QueueList& list) {
    if (list.error != 0) {
      unreadable_.push_back(std::generic_category().message(list.error));
    }
    return list.error != 0;
  });
  return lists;
}

/// Our own, where the kernel is too old to do it without changing the mount namespace, too.
QueueList own_list() {
  QueueList list = list_queues(false, true);
  if (list.error == ENOSYS) {
    run_in_own_thread([&list] { list = list_queues(true, true); });
  }
  return list;
}

template <typename T>
void fill(T& fact, T from, T unknown) {
  if (fact == unknown) {
    fact = from;
  }
}

/// Puts a namespace's queues beside those that are open: what the source did not know, and those
/// that nobody has open.
void Queues::merge(const QueueList& list) {
  const size_t opened = queues_.size();
  for (size_t i = 0; i < opened; i++) {
    if (queues_[i].record.file.device == list.device) {
      queues_[i].name_space = list.name_space;
    }
  }
  for (const QueueEntry& entry : list.queues) {
    const mq_record& facts = entry.facts;
    const auto same =
        std::find_if(queues_.begin(), queues_.begin() + static_cast<std::ptrdiff_t>(opened),
                     [&](const Queue& queue) {
                       return queue.record.file.inode == facts.file.inode &&
                              queue.record.file.device == facts.file.device;
                     });
    if (same != queues_.begin() + static_cast<std::ptrdiff_t>(opened)) {
      mq_record& record = same->record;
      same->name = entry.name;
      same->gid = entry.gid;
      same->change_time = entry.change_time;
      fill(record.messages, facts.messages, u64{UNKNOWN_U64});
      fill(record.messages_max, facts.messages_max, u64{UNKNOWN_U64});
      fill(record.message_bytes_max, facts.message_bytes_max, u64{UNKNOWN_U64});
      fill(record.bytes, facts.bytes, u64{UNKNOWN_U64});
      fill(record.notify_pid, facts.notify_pid, UNKNOWN_U32);
      fill(record.notify_signal, facts.notify_signal, UNKNOWN_U32);
      fill(record.links, facts.links, UNKNOWN_U32);
      continue;
    }
    Queue& queue = queues_.emplace_back();
    queue.record = facts;
    queue.name = entry.name;
    queue.name_space = list.name_space;
    queue.gid = entry.gid;
    queue.change_time = entry.change_time;
  }
}

void Queues::add_channel(const Queue& queue, Assembly& assembly) {
  SnapshotBuilder& builder = assembly.builder;
  const mq_record& record = queue.record;
  std::string_view name = queue.name;
  std::string id = fmt::format("mq:/{}", name);
  if (record.links == 0) {
    constexpr std::string_view deleted = " (deleted)";
    if (name.ends_with(deleted)) {
      name.remove_suffix(deleted.size());
    }
    id = fmt::format("mq:/{}#{}", name, record.file.inode);
  }
  if (queue.name_space != 0) {
    id += fmt::format("@{}", queue.name_space);
  }
  const std::string stem = id;
  for (int i = 2; !ids_.insert(id).second; i++) {
    id = fmt::format("{}.{}", stem, i);  // made again while we were looking
  }
  const ChannelIndex index = builder.add_channel(Kind::mq, id, fmt::format("/{}", name));
  Channel& channel = builder.channel(index);
  channel.name_space = queue.name_space;
  channel.uid = known32(record.file.uid);
  if (record.file.mode != UNKNOWN_U32) {
    channel.permissions = static_cast<uint16_t>(record.file.mode & 07777);
  }
  channel.depth_messages = known(record.messages);
  channel.depth_bytes = known(record.bytes);
  channel.capacity_messages = known(record.messages_max);
  builder.natural(index, "message_bytes_max", record.message_bytes_max);
  builder.natural32(index, "notify_pid", record.notify_pid);
  builder.natural32(index, "notify_signal", record.notify_signal);
  builder.natural32(index, "waiting_senders", record.waiting_senders);
  builder.natural32(index, "waiting_receivers", record.waiting_receivers);
  builder.natural(index, "inode", record.file.inode);
  builder.text(index, "device", device_text(record.file.device));
  builder.natural32(index, "gid", queue.gid.value_or(UNKNOWN_U32));
  if (queue.change_time) {
    builder.integer(index, "change_time", *queue.change_time);
  } else {
    builder.unknown(index, "change_time");
  }
  for (const file_record& file : queue.openers) {
    switch (file.flags & O_ACCMODE) {
      case O_RDONLY:
        assembly.add_endpoint(index, file, Role::reader, access_read);
        break;
      case O_WRONLY:
        assembly.add_endpoint(index, file, Role::writer, access_write);
        break;
      default:
        assembly.add_endpoint(index, file, Role::reader, access_read | access_write);
        assembly.add_endpoint(index, file, Role::writer, access_read | access_write);
    }
  }
}

void Queues::cover(Assembly& assembly, const QueueList& own) const {
  Coverage coverage;
  coverage.source = "mqueue";
  coverage.checked = queues_.size();
  coverage.unreadable = unreadable_.size() + (own.error != 0 ? 1 : 0);
  if (own.error == ENODEV) {
    coverage.state = Coverage::State::unavailable;
    coverage.reason = "this kernel has no POSIX message queues";
    coverage.hint = "a kernel with CONFIG_POSIX_MQUEUE";
  } else if (coverage.unreadable != 0) {
    coverage.state = Coverage::State::partial;
    coverage.reason = fmt::format(
        "queues that no process has open are not listed for {} IPC namespace{}: {}",
        coverage.unreadable, coverage.unreadable == 1 ? "" : "s",
        own.error != 0 ? std::generic_category().message(own.error) : unreadable_.front());
    coverage.hint = "run as root (CAP_SYS_ADMIN), or mount mqueue on /dev/mqueue";
  }
  assembly.cover(std::move(coverage));
}

void Queues::finish(Assembly& assembly) {
  const Request& request = assembly.request;
  const auto concerns_request = [&](const Queue& queue) {
    return std::any_of(queue.openers.begin(), queue.openers.end(),
                       [&](const file_record& file) { return request.is_about(file.head.pid); });
  };
  // Who is at an end of a queue has it open.
  if (!request.wants(Kind::mq) ||
      (!request.pids.empty() && std::none_of(queues_.begin(), queues_.end(), concerns_request))) {
    return;
  }
  QueueList own;
  // A fake tree has only the queues of its records.
  if (is_live(assembly.proc)) {
    own = own_list();
    const std::vector<QueueList> others = other_lists(assembly);
    if (own.error == 0) {
      merge(own);
    }
    for (const QueueList& other : others) {
      merge(other);
    }
  }
  const std::vector<Process>& processes = assembly.builder.snapshot().processes;
  const bool saw_all = std::all_of(processes.begin(), processes.end(), [](const Process& process) {
    return process.mm == 0 || process.fd_count;
  });
  for (Queue& queue : queues_) {
    // A queue that nobody has open has nobody waiting.
    if (queue.openers.empty() && saw_all) {
      queue.record.waiting_senders = 0;
      queue.record.waiting_receivers = 0;
    }
    add_channel(queue, assembly);
  }
  cover(assembly, own);
}

constexpr Kind kinds[] = {Kind::mq};
constexpr record_kind records[] = {RECORD_MQ};

}  // namespace

const MechanismEntry mq_mechanism = {"mq", kinds, records,
                                     [] { return std::unique_ptr<Mechanism>(new Queues); }};

}  // namespace ipcscope
