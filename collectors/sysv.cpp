// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/sysv.h"

#include <fmt/format.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <sched.h>

#include <algorithm>
#include <tuple>

#include "bpf/shmem.h"
#include "collectors/base/identity_map.h"
#include "collectors/base/parse.h"
#include "collectors/name_spaces.h"
#include "collectors/shmem_type.h"
#include "collectors/syscalls.h"
#include "collectors/sysv_tables.h"

namespace ipcscope {

namespace {

/// Flags in the mode of a segment that user space headers lack (Linux include/linux/shm.h).
constexpr uint32_t shm_dest = 01000;
constexpr uint32_t shm_locked = 02000;

/// A mapping of a segment by one process, or a descriptor on it: /proc/PID/map_files can be opened,
/// and what was opened there keeps the memory though nobody has it attached.
struct Attachment {
  uint32_t object = 0;  ///< index into objects_
  uint32_t pid = 0;
  uint8_t access = access_none;
  int32_t fd = -1;  ///< -1: a mapping
  uint64_t file = 0;
};

/// A segment as its mappings and descriptors show it.
struct Object {
  int32_t id = 0;    ///< shmid, which is the inode number (ipc/shm.c, shm_add/newseg)
  uint32_t key = 0;  ///< as it was created
  bool huge = false;
  uint32_t uid = 0;
  uint64_t bytes = 0;
  ChannelIndex channel = no_index;
};

/// A segment of one of the tables.
struct Segment {
  ChannelIndex channel = no_index;
  uint32_t key = 0;
  bool destroyed = false;
};

uint64_t segment_key(uint32_t name_space, int32_t id) {
  return uint64_t{name_space} << 32 | static_cast<uint32_t>(id);
}

class SystemV final : public Mechanism {
 public:
  void take(const record& fact, Assembly& assembly) override;
  void finish(Assembly& assembly) override;

 private:
  uint32_t object_of(uint64_t identity, uint64_t inode, uint32_t uid, const shmem_facts& facts);
  std::vector<SysvTables> other_tables(const Assembly& assembly, bool ask_kernel);
  [[nodiscard]] bool concerns_request(const Assembly& assembly) const;
  void match_objects(const Assembly& assembly, const std::vector<SysvTables>& all);
  void add_segments(Assembly& assembly, const SysvTables& tables);
  void add_sets(Assembly& assembly, const SysvTables& tables);
  void add_queues(Assembly& assembly, const SysvTables& tables);
  void add_lost_segments(Assembly& assembly);
  void add_attachments(Assembly& assembly);
  void cover(Assembly& assembly, const std::vector<SysvTables>& all) const;

  IdentityMap by_identity_;
  std::vector<Object> objects_;
  std::vector<Attachment> attachments_;
  /// By namespace (0 our own) and id, the object that is mapped there.
  std::unordered_map<uint64_t, uint32_t> mapped_;
  std::vector<std::string> unreadable_;  ///< why another namespace could not be read, one each
  uint64_t checked_ = 0;
};

uint32_t SystemV::object_of(uint64_t identity, uint64_t inode, uint32_t uid,
                            const shmem_facts& facts) {
  bool is_new = false;
  uint32_t& index = by_identity_.slot(identity, is_new);
  if (is_new) {
    index = static_cast<uint32_t>(objects_.size());
    const auto key = parse_number<uint32_t>(shmem_name(facts).substr(4), 16);
    objects_.push_back(
        {static_cast<int32_t>(inode), key.value_or(0), is_huge(facts), uid, facts.bytes, no_index});
  }
  return index;
}

void SystemV::take(const record& fact, Assembly& /*assembly*/) {
  if (fact.kind == RECORD_SHMEM) {
    const auto& open = reinterpret_cast<const shmem_record&>(fact);
    if (shmem_type(open.facts, open.file.mode) == ShmemType::sysv) {
      attachments_.push_back(
          {object_of(open.file.object, open.file.inode, open.file.uid, open.facts),
           open.file.head.pid, access_none, open.file.fd, open.file.file});
    }
    return;
  }
  const auto& mapping = reinterpret_cast<const mapping_record&>(fact);
  if (shmem_type(mapping.facts, mapping.mode) != ShmemType::sysv) {
    return;
  }
  uint8_t access = access_none;
  if ((mapping.flags & MAPPING_READ) != 0) {
    access |= access_read;
  }
  if ((mapping.flags & MAPPING_WRITE) != 0) {
    access |= access_write;
  }
  attachments_.push_back({object_of(mapping.object, mapping.inode, mapping.uid, mapping.facts),
                          mapping.head.pid, access});
}

/// What each of the other IPC namespaces holds.
std::vector<SysvTables> SystemV::other_tables(const Assembly& assembly, bool ask_kernel) {
  std::vector<SysvTables> tables;
  unreadable_ = visit_ipc_name_spaces(assembly, [&](uint32_t inode) {
    tables.push_back(read_sysv_tables(assembly.proc, ask_kernel));
    tables.back().name_space = inode;
  });
  for (const SysvTables& each : tables) {
    if (each.error != 0) {
      unreadable_.push_back(std::generic_category().message(each.error));
    }
  }
  return tables;
}

/// Finds which table's segment each mapped object is. Ids repeat between namespaces and a process
/// may have changed its namespace after it attached, so the object's processes vote first.
void SystemV::match_objects(const Assembly& assembly, const std::vector<SysvTables>& all) {
  if (objects_.empty()) {
    return;
  }
  std::unordered_map<uint64_t, const ShmRow*> rows;
  std::vector<std::vector<ShmRow>> parsed;
  parsed.reserve(all.size());
  for (const SysvTables& tables : all) {
    for (const ShmRow& row : parsed.emplace_back(parse_shm(tables.shm))) {
      rows.emplace(segment_key(tables.name_space, row.id), &row);
    }
  }
  const auto fits = [&](const Object& object, uint32_t name_space) {
    const auto found = rows.find(segment_key(name_space, object.id));
    // IPC_RMID makes the key private, the file keeps its name.
    return found != rows.end() &&
           (found->second->key == object.key || (found->second->mode & shm_dest) != 0);
  };
  std::vector<bool> matched(objects_.size(), false);
  for (const Attachment& attachment : attachments_) {
    const ProcessIndex process = assembly.process(attachment.pid);
    if (matched[attachment.object] || process == no_index) {
      continue;
    }
    const uint32_t name_space =
        Assembly::foreign(assembly.process_at(process).ipc_ns, assembly.own_ipc_ns);
    const Object& object = objects_[attachment.object];
    if (fits(object, name_space)) {
      matched[attachment.object] =
          mapped_.emplace(segment_key(name_space, object.id), attachment.object).second;
    }
  }
  // Elsewhere only a segment that somebody has attached can be meant.
  for (uint32_t i = 0; i < objects_.size(); i++) {
    for (const SysvTables& tables : all) {
      if (!matched[i] && fits(objects_[i], tables.name_space) &&
          rows[segment_key(tables.name_space, objects_[i].id)]->attaches > 0) {
        matched[i] = mapped_.emplace(segment_key(tables.name_space, objects_[i].id), i).second;
      }
    }
  }
  // The /proc source takes segments with one id in two namespaces for two, even where a process has
  // only moved: then there are attachments to spare.
  std::vector<uint64_t> attached(objects_.size(), 0);
  for (const Attachment& attachment : attachments_) {
    attached[attachment.object] += attachment.fd < 0 ? 1 : 0;
  }
  for (uint32_t i = 0; i < objects_.size(); i++) {
    for (const SysvTables& tables : all) {
      const uint64_t key = segment_key(tables.name_space, objects_[i].id);
      const auto other = mapped_.find(key);
      if (!matched[i] && other != mapped_.end() && fits(objects_[i], tables.name_space) &&
          attached[i] + attached[other->second] <= rows[key]->attaches &&
          objects_[i].bytes == objects_[other->second].bytes) {
        matched[i] = true;
        attached[other->second] += attached[i];
        for (Attachment& attachment : attachments_) {
          attachment.object = attachment.object == i ? other->second : attachment.object;
        }
      }
    }
  }
}

std::string sysv_id(std::string_view kind, int32_t id, uint32_t name_space) {
  return name_space == 0 ? fmt::format("{}:{}", kind, id)
                         : fmt::format("{}:{}@{}", kind, id, name_space);
}

ChannelIndex add_object(Assembly& assembly, Kind kind, const SysvRow& row, uint32_t name_space) {
  SnapshotBuilder& builder = assembly.builder;
  const ChannelIndex index =
      builder.add_channel(kind, sysv_id(kind_name(kind), row.id, name_space));
  Channel& channel = builder.channel(index);
  channel.name_space = name_space;
  channel.uid = row.uid;
  channel.permissions = static_cast<uint16_t>(row.mode & 0777);
  builder.text(index, "key", fmt::format("0x{:08x}", row.key));
  return index;
}

void add_owners(SnapshotBuilder& builder, ChannelIndex index, const SysvRow& row) {
  builder.natural32(index, "uid", row.uid);
  builder.natural32(index, "gid", row.gid);
  builder.natural32(index, "cuid", row.cuid);
  builder.natural32(index, "cgid", row.cgid);
}

/// The kernel gives 0 both for nobody and for a process of a PID namespace that we do not see.
/// Where the time says that it happened, it is the latter.
void add_pid(SnapshotBuilder& builder, ChannelIndex index, const char* key, int32_t pid,
             bool happened) {
  if (pid == 0 && happened) {
    builder.unknown(index, key);
  } else {
    builder.integer(index, key, pid);
  }
}

void SystemV::add_segments(Assembly& assembly, const SysvTables& tables) {
  SnapshotBuilder& builder = assembly.builder;
  for (const ShmRow& row : parse_shm(tables.shm)) {
    const ChannelIndex index = add_object(assembly, Kind::shm, row, tables.name_space);
    builder.channel(index).capacity_bytes = row.bytes;
    add_pid(builder, index, "creator_pid", row.creator, true);
    add_pid(builder, index, "last_pid", row.last, row.attach_time != 0 || row.detach_time != 0);
    builder.natural(index, "attaches", row.attaches);
    builder.natural(index, "bytes", row.bytes);
    builder.boolean(index, "destroyed", (row.mode & shm_dest) != 0);
    builder.boolean(index, "locked", (row.mode & shm_locked) != 0);
    const auto mapped = mapped_.find(segment_key(tables.name_space, row.id));
    if (mapped == mapped_.end()) {
      builder.unknown(index, "huge");  // only a mapping tells
    } else {
      Object& object = objects_[mapped->second];
      object.channel = index;
      builder.boolean(index, "huge", object.huge);
    }
    add_owners(builder, index, row);
    builder.integer(index, "attach_time", row.attach_time);
    builder.integer(index, "detach_time", row.detach_time);
    builder.integer(index, "change_time", row.change_time);
    checked_++;
  }
}

std::string semaphores_json(uint32_t count, const std::vector<SemaphoreState>* states) {
  rapidjson::StringBuffer out;
  rapidjson::Writer<rapidjson::StringBuffer> json(out);
  const auto number = [&json](const char* key, int32_t value) {
    json.Key(key);
    if (value < 0) {
      json.Null();
    } else {
      json.Int(value);
    }
  };
  json.StartArray();
  for (uint32_t i = 0; i < count; i++) {
    const SemaphoreState state = states != nullptr ? (*states)[i] : SemaphoreState{};
    json.StartObject();
    json.Key("index");
    json.Uint(i);
    number("value", state.value);
    number("pid", state.pid);
    number("increase_waiters", state.increase_waiters);
    number("zero_waiters", state.zero_waiters);
    json.EndObject();
  }
  json.EndArray();
  return {out.GetString(), out.GetSize()};
}

void SystemV::add_sets(Assembly& assembly, const SysvTables& tables) {
  SnapshotBuilder& builder = assembly.builder;
  for (const SemRow& row : parse_sem(tables.sem)) {
    const ChannelIndex index = add_object(assembly, Kind::sem, row, tables.name_space);
    const auto states = tables.semaphores.find(row.id);
    const bool known_states =
        states != tables.semaphores.end() && states->second.size() == row.semaphores;
    builder.json(index, "semaphores",
                 semaphores_json(row.semaphores, known_states ? &states->second : nullptr));
    builder.integer(index, "operate_time", row.operate_time);
    builder.integer(index, "change_time", row.change_time);
    add_owners(builder, index, row);
    checked_++;
  }
}

void SystemV::add_queues(Assembly& assembly, const SysvTables& tables) {
  SnapshotBuilder& builder = assembly.builder;
  for (const MsgRow& row : parse_msg(tables.msg)) {
    const ChannelIndex index = add_object(assembly, Kind::msg, row, tables.name_space);
    Channel& channel = builder.channel(index);
    channel.depth_bytes = row.bytes;
    channel.depth_messages = row.messages;
    if (const auto limit = tables.queue_limit.find(row.id); limit != tables.queue_limit.end()) {
      channel.capacity_bytes = limit->second;
    }
    add_pid(builder, index, "last_send_pid", row.last_sender, row.send_time != 0);
    add_pid(builder, index, "last_receive_pid", row.last_receiver, row.receive_time != 0);
    builder.integer(index, "send_time", row.send_time);
    builder.integer(index, "receive_time", row.receive_time);
    builder.integer(index, "change_time", row.change_time);
    add_owners(builder, index, row);
    checked_++;
  }
}

/// Segments that processes have attached and no table lists: of a namespace that could not be read,
/// or that is gone.
void SystemV::add_lost_segments(Assembly& assembly) {
  SnapshotBuilder& builder = assembly.builder;
  for (const Attachment& attachment : attachments_) {
    Object& object = objects_[attachment.object];
    if (object.channel != no_index) {
      continue;
    }
    const ProcessIndex process = assembly.process(attachment.pid);
    const uint32_t name_space =
        process == no_index
            ? 0
            : Assembly::foreign(assembly.process_at(process).ipc_ns, assembly.own_ipc_ns);
    std::string id = sysv_id("shm", object.id, name_space);
    if (name_space == 0 || builder.find_channel(id) != no_index) {
      id = fmt::format("shm:{}@?{}", object.id, attachment.object);
    }
    object.channel = builder.add_channel(Kind::shm, id);
    Channel& channel = builder.channel(object.channel);
    channel.name_space = name_space;
    channel.uid = known32(object.uid);
    channel.capacity_bytes = known(object.bytes);
    builder.text(object.channel, "key", fmt::format("0x{:08x}", object.key));
    for (const char* key : {"creator_pid", "last_pid", "attaches"}) {
      builder.unknown(object.channel, key);
    }
    builder.natural(object.channel, "bytes", object.bytes);
    builder.unknown(object.channel, "destroyed");
    builder.unknown(object.channel, "locked");
    builder.boolean(object.channel, "huge", object.huge);
    builder.natural32(object.channel, "uid", object.uid);
    for (const char* key : {"gid", "cuid", "cgid", "attach_time", "detach_time", "change_time"}) {
      builder.unknown(object.channel, key);
    }
  }
}

/// One endpoint for a process, however often it has the segment attached; one for each descriptor.
void SystemV::add_attachments(Assembly& assembly) {
  std::sort(attachments_.begin(), attachments_.end(), [](const Attachment& a, const Attachment& b) {
    return std::tie(a.object, a.pid, a.fd) < std::tie(b.object, b.pid, b.fd);
  });
  for (size_t i = 0; i < attachments_.size();) {
    const Attachment& first = attachments_[i];
    Endpoint endpoint;
    endpoint.channel = objects_[first.object].channel;
    endpoint.process = assembly.process(first.pid);
    endpoint.role = first.fd < 0 ? Role::attached : Role::opener;
    endpoint.fd = first.fd;
    endpoint.file = first.file;
    for (; i < attachments_.size() && attachments_[i].object == first.object &&
           attachments_[i].pid == first.pid && attachments_[i].fd == first.fd;
         i++) {
      endpoint.access |= attachments_[i].access;
    }
    assembly.builder.add_endpoint(endpoint);
  }
}

void SystemV::cover(Assembly& assembly, const std::vector<SysvTables>& all) const {
  Coverage coverage;
  coverage.source = "sysvipc";
  coverage.checked = checked_;
  uint32_t denied = 0;
  for (const SysvTables& tables : all) {
    denied += tables.denied;
  }
  coverage.unreadable = unreadable_.size() + denied;
  const int own_error = all.front().error;
  std::vector<std::string> reasons;
  if (own_error != 0) {
    reasons.push_back("/proc/sysvipc: " + std::generic_category().message(own_error));
    coverage.state = Coverage::State::unavailable;
    coverage.hint = "a kernel with CONFIG_SYSVIPC, and /proc mounted";
  }
  if (!unreadable_.empty()) {
    reasons.push_back(fmt::format("{} other IPC namespace{} could not be read: {}",
                                  unreadable_.size(), unreadable_.size() == 1 ? "" : "s",
                                  unreadable_.front()));
  }
  if (denied != 0) {
    reasons.push_back(
        fmt::format("values of {} semaphore set{} could not be read: no read permission", denied,
                    denied == 1 ? "" : "s"));
  }
  if (coverage.unreadable != 0 && own_error == 0) {
    coverage.state = Coverage::State::partial;
    coverage.hint = "run as root (CAP_SYS_ADMIN, CAP_SYS_PTRACE and CAP_IPC_OWNER)";
  }
  coverage.reason = fmt::format("{}", fmt::join(reasons, "; "));
  assembly.cover(std::move(coverage));
}

/// Whether a process of the request has a segment or waits at an object: nobody else is at an end.
bool SystemV::concerns_request(const Assembly& assembly) const {
  const Request& request = assembly.request;
  if (request.pids.empty()) {
    return true;
  }
  const Snapshot& snapshot = assembly.builder.snapshot();
  return std::any_of(attachments_.begin(), attachments_.end(),
                     [&](const Attachment& each) { return request.is_about(each.pid); }) ||
         std::any_of(snapshot.threads.begin(), snapshot.threads.end(), [&](const Thread& thread) {
           const SystemCall* call = find_system_call(thread.syscall);
           return call != nullptr &&
                  (call->blocking == Blocking::semaphore_set ||
                   call->blocking == Blocking::message_queue) &&
                  request.is_about(static_cast<uint32_t>(snapshot.processes[thread.process].pid));
         });
}

void SystemV::finish(Assembly& assembly) {
  const Request& request = assembly.request;
  if ((!request.wants(Kind::shm) && !request.wants(Kind::sem) && !request.wants(Kind::msg)) ||
      !concerns_request(assembly)) {
    return;
  }
  const bool ask_kernel =
      is_live(assembly.proc) && (request.wants(Kind::sem) || request.wants(Kind::msg));
  std::vector<SysvTables> all;
  all.push_back(read_sysv_tables(assembly.proc, ask_kernel));
  for (SysvTables& tables : other_tables(assembly, ask_kernel)) {
    all.push_back(std::move(tables));
  }
  match_objects(assembly, all);
  for (const SysvTables& tables : all) {
    if (request.wants(Kind::shm)) {
      add_segments(assembly, tables);
    }
    if (request.wants(Kind::sem)) {
      add_sets(assembly, tables);
    }
    if (request.wants(Kind::msg)) {
      add_queues(assembly, tables);
    }
  }
  if (request.wants(Kind::shm)) {
    add_lost_segments(assembly);
    add_attachments(assembly);
  }
  cover(assembly, all);
}

constexpr Kind kinds[] = {Kind::shm, Kind::sem, Kind::msg};
constexpr record_kind records[] = {RECORD_MAPPING, RECORD_SHMEM};

}  // namespace

const MechanismEntry sysv_mechanism = {"sysv", kinds, records,
                                       [] { return std::unique_ptr<Mechanism>(new SystemV); }};

}  // namespace ipcscope
