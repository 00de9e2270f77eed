// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/leak_report.h"

#include <algorithm>

#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

constexpr size_t most_pids = 8;

uint64_t read_limit(const LeakKind& kind, const ProcRoot& proc) {
  if (kind.limit == nullptr) {
    return 0;
  }
  const Result<std::string> text = proc.read(std::string(kind.limit));
  if (!text) {
    return 0;
  }
  std::string_view rest = *text;
  std::string_view word;
  for (unsigned i = 0; i <= kind.word; i++) {
    word = next_word(rest);
  }
  return parse_number<uint64_t>(word).value_or(0);
}

int64_t number(const Snapshot& snapshot, const Channel& channel, std::string_view key) {
  const Attribute* attribute = snapshot.attribute(channel, key);
  if (attribute == nullptr) {
    return 0;
  }
  switch (attribute->type) {
    case Attribute::Type::integer:
      return attribute->integer;
    case Attribute::Type::natural:
      return static_cast<int64_t>(attribute->natural);
    default:
      return 0;
  }
}

std::string_view text(const Snapshot& snapshot, const Channel& channel, std::string_view key) {
  const Attribute* attribute = snapshot.attribute(channel, key);
  return attribute != nullptr && attribute->type == Attribute::Type::text ? attribute->string()
                                                                          : std::string_view();
}

/// "MAJOR:MINOR" as records carry it: major << 20 | minor; 0 when it is none.
uint32_t device_number(std::string_view text) {
  const size_t colon = std::min(text.find(':'), text.size());
  const auto major = parse_number<uint32_t>(text.substr(0, colon));
  const auto minor = parse_number<uint32_t>(text.substr(std::min(colon + 1, text.size())));
  return major && minor ? *major << 20 | *minor : 0;
}

/// Some processes that live in a namespace, IPC or mount.
std::vector<int> residents(const Snapshot& snapshot, uint32_t name_space) {
  std::vector<int> pids;
  for (const Process& process : snapshot.processes) {
    if (name_space != 0 && (process.ipc_ns == name_space || process.mnt_ns == name_space)) {
      pids.push_back(process.pid);
      if (pids.size() == most_pids) {
        break;
      }
    }
  }
  return pids;
}

/// The collector writes an object for each.
void describe_semaphores(const Snapshot& snapshot, const Channel& channel, Target& target) {
  const Attribute* semaphores = snapshot.attribute(channel, "semaphores");
  if (semaphores == nullptr || semaphores->type != Attribute::Type::json) {
    return;
  }
  constexpr std::string_view member = "\"pid\":";
  const std::string_view json = semaphores->string();
  target.messages = static_cast<uint64_t>(std::count(json.begin(), json.end(), '{'));
  for (size_t at = json.find(member); at != json.npos; at = json.find(member, at + 1)) {
    const std::string_view rest = json.substr(at + member.size());
    if (const auto pid = parse_number<int32_t>(rest.substr(0, rest.find_first_of(",}")))) {
      target.operators.push_back(*pid);
    }
  }
  if (target.operators.size() != target.messages) {  // some of them are null
    target.operators.clear();
  }
}

void describe_sysv(const Snapshot& snapshot, const Channel& channel, Target& target) {
  const auto fact = [&](std::string_view key) { return number(snapshot, channel, key); };
  const auto small = [&](std::string_view key) { return static_cast<uint32_t>(fact(key)); };
  std::string_view id = channel.id;
  id.remove_prefix(std::min(id.size(), id.find(':') + 1));
  target.sysv_id = parse_number<int32_t>(id.substr(0, id.find('@'))).value_or(-1);
  std::string_view key = text(snapshot, channel, "key");
  key.remove_prefix(std::min<size_t>(key.size(), 2));  // "0x"
  target.key = parse_number<uint32_t>(key, 16).value_or(0);
  target.uid = small("uid");
  target.gid = small("gid");
  target.cuid = small("cuid");
  target.cgid = small("cgid");
  target.times[2] = fact("change_time");
  switch (channel.kind) {
    case Kind::shm:
      target.type = Target::Type::shm;
      target.creator = static_cast<int32_t>(fact("creator_pid"));
      target.last = static_cast<int32_t>(fact("last_pid"));
      target.times[0] = fact("attach_time");
      target.times[1] = fact("detach_time");
      target.bytes = static_cast<uint64_t>(fact("bytes"));
      break;
    case Kind::sem:
      target.type = Target::Type::sem;
      target.times[0] = fact("operate_time");
      describe_semaphores(snapshot, channel, target);
      break;
    default:
      target.type = Target::Type::msg;
      target.creator = static_cast<int32_t>(fact("last_send_pid"));
      target.last = static_cast<int32_t>(fact("last_receive_pid"));
      target.times[0] = fact("send_time");
      target.times[1] = fact("receive_time");
      target.bytes = channel.depth_bytes.value_or(0);
      target.messages = channel.depth_messages.value_or(0);
  }
}

void describe_posix(const LeakReport& report, const Leak& leak, const Channel& channel,
                    Target& target) {
  const Snapshot& snapshot = report.snapshot;
  target.inode = static_cast<uint64_t>(number(snapshot, channel, "inode"));
  target.device = device_number(text(snapshot, channel, "device"));
  target.gid = static_cast<uint32_t>(number(snapshot, channel, "gid"));
  target.uid = channel.uid.value_or(0);
  target.bytes = leak.bytes.value_or(0);
  std::string_view name = channel.name;
  if (channel.kind == Kind::mq) {
    target.type = Target::Type::mq;
    target.path = name;
    target.messages = channel.depth_messages.value_or(0);
    return;
  }
  target.times[2] = number(snapshot, channel, "change_time");
  name.remove_prefix(std::min<size_t>(name.size(), 1));
  if (channel.kind == Kind::posixsem) {
    target.type = Target::Type::posixsem;
    target.path = std::string("/dev/shm/sem.").append(name);
  } else {
    target.type = Target::Type::posixshm;
    target.path = std::string("/dev/shm/").append(name);
  }
}

}  // namespace

const std::vector<LeakKind>& leak_kinds() {
  static const std::vector<LeakKind> kinds = {
      {"shm", "segment", "sys/kernel/shmmni", 0},
      {"sem", "semaphore set", "sys/kernel/sem", 3},
      {"msg", "message queue", "sys/kernel/msgmni", 0},
      {"posixshm", "POSIX segment", nullptr, 0},
      {"posixsem", "named semaphore", nullptr, 0},
      {"mq", "POSIX queue", "sys/fs/mqueue/queues_max", 0},
      {"unix", "socket path", nullptr, 0},
      {"fifo", "FIFO", nullptr, 0},
      {"file", "file", nullptr, 0},
  };
  return kinds;
}

size_t LeakReport::count(Verdict verdict) const {
  return static_cast<size_t>(std::count_if(
      leaks.begin(), leaks.end(), [&](const Leak& leak) { return leak.verdict == verdict; }));
}

LeakReport make_leak_report(const Snapshot& snapshot, const Leftovers& leftovers,
                            std::vector<Leak> leaks, const LeakFilter& filter, bool own_user_only,
                            const ProcRoot& proc) {
  LeakReport report{snapshot, leftovers, {}, {}, {}, {}, {}, {}};
  const auto leave_out = [](LeftOut& out, const Leak& leak) {
    out.leaked += leak.verdict == Verdict::leaked ? 1 : 0;
    out.suspect += leak.verdict == Verdict::suspect ? 1 : 0;
  };
  for (Leak& leak : leaks) {
    const bool meant = filter.kinds.empty() || std::find(filter.kinds.begin(), filter.kinds.end(),
                                                         leak.kind) != filter.kinds.end();
    if (!meant || (leak.verdict == Verdict::live && !filter.live)) {
      continue;
    }
    if (filter.user && leak.uid != filter.user) {
      if (own_user_only) {
        leave_out(report.other_users, leak);
      }
    } else if (filter.name_space && leak.name_space != *filter.name_space) {
      leave_out(report.other_namespaces, leak);
    } else {
      report.leaks.push_back(std::move(leak));
    }
  }
  std::stable_sort(report.leaks.begin(), report.leaks.end(),
                   [](const Leak& a, const Leak& b) { return a.verdict < b.verdict; });
  for (const LeakKind& kind : leak_kinds()) {
    report.limits.push_back(read_limit(kind, proc));
  }
  return report;
}

bool is_removable(const Leak& leak) {
  return leak.verdict == Verdict::leaked || leak.verdict == Verdict::suspect;
}

Target make_target(const LeakReport& report, const Leak& leak) {
  Target target;
  target.id = leak.id;
  target.name_space = leak.name_space;
  target.pids = residents(report.snapshot, leak.name_space);
  if (leak.path != nullptr) {
    target.type = Target::Type::socket;
    target.path = leak.path->path;
    target.uid = leak.path->uid;
    target.mode = leak.path->mode;
    target.inode = leak.path->inode;
    target.device = leak.path->device;
    target.times[2] = leak.path->change_time;
    return target;
  }
  const Channel& channel = report.snapshot.channels[leak.channel];
  target.mode = channel.permissions.value_or(0);
  if (channel.kind == Kind::shm || channel.kind == Kind::sem || channel.kind == Kind::msg) {
    describe_sysv(report.snapshot, channel, target);
  } else {
    describe_posix(report, leak, channel, target);
  }
  return target;
}

}  // namespace ipcscope
