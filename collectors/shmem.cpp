// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/shmem.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/uio.h>

#include <algorithm>
#include <map>
#include <unordered_set>

#include "collectors/base/identity_map.h"
#include "collectors/name_spaces.h"
#include "collectors/posix_semaphore.h"
#include "collectors/shm_directory.h"
#include "collectors/shmem_type.h"

namespace ipcscope {

namespace {

constexpr std::string_view shm_path = "/dev/shm/";

/// One inode, in few bytes: there may be hundreds of thousands of memfds.
struct Inode {
  ChannelIndex channel = no_index;  ///< of a memfd, which needs nothing more
  uint32_t object = no_index;       ///< index into objects_; no_index: a memfd, or to be ignored
};

/// One inode of which it is told later whether it is a channel, and by which name.
struct Object {
  Kind kind = Kind::mmap;
  bool anonymous = false;
  ChannelIndex channel = no_index;
  uint32_t device = 0;
  uint32_t uid = UNKNOWN_U32;
  uint32_t mode = UNKNOWN_U32;
  uint64_t inode = 0;
  shmem_facts facts{};
  std::string path;         ///< of a file on tmpfs, as the kernel tells it
  uint32_t name_space = 0;  ///< mount namespace of who has it, as Channel::name_space wants it
  std::string name;         ///< of a POSIX object, without the slash
  bool unlinked = false;
  std::optional<uint32_t> gid;  ///< this and the next of what a directory lists
  std::optional<int64_t> change_time;
};

/// A descriptor of a file of which it is not known yet whether it is a channel.
struct Opener {
  uint32_t object = 0;  ///< index into objects_
  Endpoint endpoint;
};

struct Mapping {
  uint32_t inode = 0;  ///< index into inodes_
  uint32_t pid = 0;
  uint32_t flags = 0;
  uint64_t start = 0, end = 0, offset = 0;
};

uint8_t opened_for(uint32_t flags) {
  switch (flags & O_ACCMODE) {
    case O_RDONLY:
      return access_read;
    case O_WRONLY:
      return access_write;
    default:
      return access_read | access_write;
  }
}

uint8_t mapped_for(uint32_t flags) {
  const int read = (flags & MAPPING_READ) != 0 ? access_read : access_none;
  const int write = (flags & MAPPING_WRITE) != 0 ? access_write : access_none;
  return static_cast<uint8_t>(read | write);
}

/// As Channel::name_space wants it.
uint32_t mount_name_space(uint32_t pid, const Assembly& assembly) {
  const ProcessIndex process = assembly.process(pid);
  return process == no_index
             ? 0
             : Assembly::foreign(assembly.process_at(process).mnt_ns, assembly.own_mnt_ns);
}

/// from: a file_record or a mapping_record.
template <typename T>
Object make_object(const shmem_facts& facts, const T& from) {
  Object object;
  object.facts = facts;
  object.inode = from.inode;
  object.device = from.device;
  object.mode = from.mode;
  object.uid = from.uid;
  return object;
}

std::string seals_json(uint32_t seals) {
  static constexpr std::pair<uint32_t, const char*> names[] = {
      {F_SEAL_SEAL, "\"seal\""},   {F_SEAL_SHRINK, "\"shrink\""}, {F_SEAL_GROW, "\"grow\""},
      {F_SEAL_WRITE, "\"write\""}, {0x10, "\"future_write\""},  // F_SEAL_FUTURE_WRITE, Linux 5.1
      {0x20, "\"exec\""},                                       // F_SEAL_EXEC, Linux 6.3
  };
  std::string json = "[";
  for (const auto& [bit, name] : names) {
    if ((seals & bit) != 0) {
      json += json.size() > 1 ? "," : "";
      json += name;
    }
  }
  return json + "]";
}

class SharedMemory final : public Mechanism {
 public:
  void take(const record& fact, Assembly& assembly) override;
  void finish(Assembly& assembly) override;

 private:
  void take_file(const shmem_record& file, Assembly& assembly);
  void take_mapping(const mapping_record& mapping, Assembly& assembly);
  template <typename Path>
  Inode add_inode(Object object, Path path, uint32_t pid, Assembly& assembly);
  [[nodiscard]] ChannelIndex channel_of(const Inode& inode) const;
  void make_memfd(Object& object, std::string_view path, Assembly& assembly);
  void make_posix(Object& object, const ShmEntry* entry, Assembly& assembly);
  void make_mmap(Object& object, std::span<const Mapping> mappings, Assembly& assembly);
  void describe(Object& object, Assembly& assembly) const;
  static void describe_file(const Object& object, SnapshotBuilder& builder);
  [[nodiscard]] uint64_t resident(const Object& object, const Assembly& assembly) const;
  std::string unique(std::string id, uint32_t name_space);

  static void attach(ChannelIndex channel, std::span<const Mapping> mappings, Assembly& assembly);
  void add_openers(Assembly& assembly);
  void open_directories(Assembly& assembly);
  void make_posix_objects(Assembly& assembly);
  void describe_semaphore(const Object& object, std::span<const Mapping> mappings,
                          Assembly& assembly);

  IdentityMap by_identity_;
  std::vector<Inode> inodes_;
  std::vector<Object> objects_;
  std::vector<Mapping> mappings_;
  std::vector<Opener> openers_;
  std::unordered_set<std::string> ids_;    ///< those that are not unique by themselves
  std::vector<ShmDirectory> directories_;  ///< the own one first, if there is one
};

/// Two tmpfs of other namespaces can have the same name with the same inode number.
std::string SharedMemory::unique(std::string id, uint32_t name_space) {
  if (ids_.insert(id).second) {
    return id;
  }
  std::string longer = fmt::format("{}@{}", id, name_space);
  for (int i = 2; !ids_.insert(longer).second; i++) {
    longer = fmt::format("{}@{}.{}", id, name_space, i);
  }
  return longer;
}

/// path tells the path of the file, at some cost, where its name in the record is not enough.
template <typename Path>
Inode SharedMemory::add_inode(Object object, Path path, uint32_t pid, Assembly& assembly) {
  const ShmemType type = shmem_type(object.facts, object.mode);
  switch (type) {
    case ShmemType::none:
    case ShmemType::sysv:
      return {};
    case ShmemType::memfd: {
      object.kind = Kind::memfd;
      const bool cut = object.facts.name_length >= SHMEM_NAME_MAX;
      make_memfd(object, cut ? path() : std::string(), assembly);
      return {object.channel, no_index};
    }
    default:
      object.anonymous = type == ShmemType::anonymous;
      object.unlinked = object.facts.links == 0;
      if (type == ShmemType::tmpfs) {
        // Its channel is made when the directories are known.
        object.path = path();
        object.name_space = mount_name_space(pid, assembly);
      }
      objects_.push_back(std::move(object));
      return {no_index, static_cast<uint32_t>(objects_.size() - 1)};
  }
}

ChannelIndex SharedMemory::channel_of(const Inode& inode) const {
  return inode.object == no_index ? inode.channel : objects_[inode.object].channel;
}

uint64_t SharedMemory::resident(const Object& object, const Assembly& assembly) const {
  return object.facts.pages == UNKNOWN_U64 ? UNKNOWN_U64 : object.facts.pages * assembly.page_size;
}

/// What all kinds of objects have; all but a semaphore's attributes, which finish() adds.
void SharedMemory::describe(Object& object, Assembly& assembly) const {
  SnapshotBuilder& builder = assembly.builder;
  const ChannelIndex index = object.channel;
  Channel& channel = builder.channel(index);
  channel.uid = known32(object.uid);
  if (object.mode != UNKNOWN_U32) {
    channel.permissions = static_cast<uint16_t>(object.mode & 07777);
  }
  if (object.kind == Kind::posixsem) {
    return;
  }
  builder.natural(index, "bytes", object.facts.bytes);
  builder.natural(index, "resident_bytes", resident(object, assembly));
  switch (object.kind) {
    case Kind::memfd:
      if (object.facts.seals == UNKNOWN_U32) {
        builder.unknown(index, "seals");
      } else {
        builder.json(index, "seals", seals_json(object.facts.seals));
      }
      builder.natural(index, "inode", object.inode);
      break;
    case Kind::posixshm:
      describe_file(object, builder);
      break;
    default:
      builder.natural(index, "inode", object.inode);
      builder.text(index, "device", device_text(object.device));
      builder.boolean(index, "writable", true);  // else it would not be a channel
      builder.boolean(index, "unlinked", object.unlinked);
      if (object.facts.magic == UNKNOWN_U32) {
        builder.unknown(index, "huge");
      } else {
        builder.boolean(index, "huge", is_huge(object.facts));
      }
  }
}

/// What both kinds of POSIX objects have.
void SharedMemory::describe_file(const Object& object, SnapshotBuilder& builder) {
  const ChannelIndex index = object.channel;
  builder.boolean(index, "unlinked", object.unlinked);
  builder.natural(index, "inode", object.inode);
  builder.text(index, "device", device_text(object.device));
  builder.natural32(index, "gid", object.gid.value_or(UNKNOWN_U32));
  if (object.change_time) {
    builder.integer(index, "change_time", *object.change_time);
  } else {
    builder.unknown(index, "change_time");
  }
}

/// path: "/memfd:NAME (deleted)", or empty; only for a name that the record has cut.
void SharedMemory::make_memfd(Object& object, std::string_view path, Assembly& assembly) {
  constexpr std::string_view prefix = "memfd:";
  std::string_view name = shmem_name(object.facts);
  if (path.size() > prefix.size() && path.substr(1).starts_with(prefix)) {
    name = without_deleted(path.substr(1), true);
  }
  name.remove_prefix(prefix.size());
  fmt::memory_buffer id;
  fmt::format_to(std::back_inserter(id), "memfd:{}#{}", name, object.inode);
  object.channel =
      assembly.builder.add_channel(Kind::memfd, std::string_view(id.data(), id.size()), name);
  describe(object, assembly);
}

/// Makes the channel of an object in a /dev/shm, which is listed there as entry or only known by
/// its path. Does nothing for any other file on tmpfs.
void SharedMemory::make_posix(Object& object, const ShmEntry* entry, Assembly& assembly) {
  const bool known_links = object.facts.links != UNKNOWN_U32;
  const bool unlinked = entry == nullptr && (known_links ? object.facts.links == 0
                                                         : object.path.ends_with(deleted_suffix));
  std::string_view name;
  if (entry != nullptr) {
    object.gid = entry->gid;
    object.change_time = entry->change_time;
    // sem_open() makes a semaphore under another name and links it then to its own; the first is
    // what the kernel keeps telling.
    name = entry->name;
  } else {
    // A link that was added and a first name that was removed leave a deleted path of a live file.
    name = without_deleted(object.path, unlinked || object.path.ends_with(deleted_suffix));
    if (!name.starts_with(shm_path) || name.size() == shm_path.size()) {
      return;
    }
    name.remove_prefix(shm_path.size());
    if (name.find('/') != std::string_view::npos) {
      return;  // shm_open() does not go into subdirectories
    }
  }
  const ShmDirectory* own = directories_.empty() ? nullptr : &directories_.front();
  // Many services have a mount namespace of their own and still the host's /dev/shm in it.
  const bool is_own = own != nullptr && own->name_space == 0 ? own->device == object.device
                                                             : object.name_space == 0;
  const uint32_t name_space = is_own ? 0 : object.name_space;
  const uint64_t bytes = object.facts.bytes;
  const bool semaphore =
      name.starts_with("sem.") && name.size() > 4 &&
      (bytes == semaphore_bytes || bytes == semaphore_bytes_32 || bytes == UNKNOWN_U64);
  object.name = name;
  object.unlinked = unlinked;
  object.kind = semaphore ? Kind::posixsem : Kind::posixshm;
  const std::string public_name = fmt::format("/{}", semaphore ? name.substr(4) : name);
  std::string id = fmt::format("{}:{}", kind_name(object.kind), public_name);
  if (!is_own || unlinked || !ids_.insert(id).second) {
    id = unique(fmt::format("{}#{}", id, object.inode), name_space);
  }
  object.channel = assembly.builder.add_channel(object.kind, id, public_name);
  assembly.builder.channel(object.channel).name_space = name_space;
  describe(object, assembly);
}

void SharedMemory::take_file(const shmem_record& record, Assembly& assembly) {
  const file_record& file = record.file;
  bool is_new = false;
  uint32_t& index = by_identity_.slot(file.object, is_new);
  if (is_new) {
    index = static_cast<uint32_t>(inodes_.size());
    inodes_.push_back(add_inode(
        make_object(record.facts, file), [&] { return assembly.path(file); }, file.head.pid,
        assembly));
  }
  const Inode& inode = inodes_[index];
  if (inode.channel != no_index) {
    assembly.add_endpoint(inode.channel, file, Role::opener, opened_for(file.flags));
  } else if (inode.object != no_index) {
    Endpoint endpoint;
    endpoint.process = assembly.process(file.head.pid);
    endpoint.fd = file.fd;
    endpoint.access = opened_for(file.flags);
    endpoint.file = file.file;
    openers_.push_back({inode.object, endpoint});
  }
}

void SharedMemory::take_mapping(const mapping_record& mapping, Assembly& assembly) {
  bool is_new = false;
  uint32_t& index = by_identity_.slot(mapping.object, is_new);
  if (is_new) {
    const auto path = [&] {
      return mapping_path(assembly.proc, mapping.head.pid, mapping.start, mapping.end);
    };
    index = static_cast<uint32_t>(inodes_.size());
    inodes_.push_back(
        add_inode(make_object(mapping.facts, mapping), path, mapping.head.pid, assembly));
  }
  const Inode& inode = inodes_[index];
  if ((inode.channel != no_index || inode.object != no_index) &&
      (mapping.flags & MAPPING_SHARED) != 0) {
    mappings_.push_back(
        {index, mapping.head.pid, mapping.flags, mapping.start, mapping.end, mapping.offset});
  }
}

void SharedMemory::take(const record& fact, Assembly& assembly) {
  if (fact.kind == RECORD_SHMEM) {
    take_file(reinterpret_cast<const shmem_record&>(fact), assembly);
  } else {
    take_mapping(reinterpret_cast<const mapping_record&>(fact), assembly);
  }
}

/// Makes a channel of a file when two address spaces map it and one of them may write. mappings are
/// those of the object, by pid.
void SharedMemory::make_mmap(Object& object, std::span<const Mapping> mappings,
                             Assembly& assembly) {
  bool writable = false;
  bool shared = false;
  uint64_t first_space = 0;
  const Process* own = nullptr;      // somebody in our mount namespace, who sees the path as we do
  const Process* foreign = nullptr;  // somebody in another one
  for (const Mapping& mapping : mappings) {
    writable = writable || (mapping.flags & MAPPING_WRITE) != 0;
    const ProcessIndex index = assembly.process(mapping.pid);
    const Process* process = index == no_index ? nullptr : &assembly.process_at(index);
    // Without an identity of the address space the process stands for it; kernel addresses and
    // pids do not meet.
    const uint64_t space =
        process != nullptr && process->mm != 0 ? process->mm : uint64_t{mapping.pid};
    shared = shared || (first_space != 0 && space != first_space);
    first_space = space;
    if (process != nullptr) {
      const bool is_own = Assembly::foreign(process->mnt_ns, assembly.own_mnt_ns) == 0;
      (is_own ? own : foreign) = process;
    }
  }
  if (!writable || !shared) {
    return;
  }
  SnapshotBuilder& builder = assembly.builder;
  if (object.anonymous) {
    object.unlinked = true;
    object.channel = builder.add_channel(Kind::mmap, fmt::format("mmap:anon#{}", object.inode));
    describe(object, assembly);
    return;
  }
  std::string full;
  const int wanted = own != nullptr ? own->pid : foreign != nullptr ? foreign->pid : 0;
  for (const bool any : {false, true}) {
    for (const Mapping& mapping : mappings) {
      if (full.empty() && (any || static_cast<int>(mapping.pid) == wanted)) {
        full = mapping_path(assembly.proc, mapping.pid, mapping.start, mapping.end);
      }
    }
  }
  if (object.facts.links == UNKNOWN_U32) {
    object.unlinked = full.ends_with(deleted_suffix);
  }
  std::string_view path = without_deleted(full, object.unlinked);
  if (path.empty()) {
    path = shmem_name(object.facts);
  }
  const uint32_t name_space = own == nullptr && foreign != nullptr ? foreign->mnt_ns : 0;
  std::string id = fmt::format("mmap:{}", path);
  if (object.unlinked || name_space != 0 || full.empty() || !ids_.insert(id).second) {
    id = unique(fmt::format("{}#{}", id, object.inode), name_space);
  }
  object.channel = builder.add_channel(Kind::mmap, id, path);
  builder.channel(object.channel).name_space = name_space;
  describe(object, assembly);
}

/// One endpoint for a process, however many pieces of the object it maps.
void SharedMemory::attach(ChannelIndex channel, std::span<const Mapping> mappings,
                          Assembly& assembly) {
  for (size_t i = 0; i < mappings.size();) {
    const uint32_t pid = mappings[i].pid;
    Endpoint endpoint;
    endpoint.channel = channel;
    endpoint.process = assembly.process(pid);
    endpoint.role = Role::attached;
    for (; i < mappings.size() && mappings[i].pid == pid; i++) {
      endpoint.access |= mapped_for(mappings[i].flags);
    }
    assembly.builder.add_endpoint(endpoint);
  }
}

void SharedMemory::add_openers(Assembly& assembly) {
  for (Opener& opener : openers_) {
    opener.endpoint.channel = objects_[opener.object].channel;
    if (opener.endpoint.channel != no_index) {
      assembly.builder.add_endpoint(opener.endpoint);
    }
  }
}

/// The directories to look into, and in coverage those that could not be had.
void SharedMemory::open_directories(Assembly& assembly) {
  Coverage coverage;
  coverage.source = "dev-shm";
  std::vector<uint32_t> seen;
  std::vector<std::string> failures;
  Result<ShmDirectory> own = own_shm_directory(assembly.proc);
  if (own) {
    seen.push_back(own->device);
    directories_.push_back(std::move(*own));
  }
  for (ShmDirectory& other :
       other_shm_directories(assembly.builder.snapshot(), assembly.proc, assembly.own_mnt_ns,
                             std::move(seen), failures)) {
    directories_.push_back(std::move(other));
  }
  coverage.checked = directories_.size();
  coverage.unreadable = failures.size() + (own ? 0 : 1);
  if (!failures.empty()) {
    coverage.state = Coverage::State::partial;
    coverage.reason =
        fmt::format("/dev/shm of {} other mount namespace{} not listed: {}", failures.size(),
                    failures.size() == 1 ? "" : "s", failures.front());
    coverage.hint = "run as root (CAP_SYS_PTRACE)";
  }
  if (!own) {
    coverage.state = directories_.empty() ? Coverage::State::unavailable : Coverage::State::partial;
    coverage.reason = own.error().text() + (coverage.reason.empty() ? "" : "; ") + coverage.reason;
    coverage.hint = coverage.hint.empty() ? "mount tmpfs on /dev/shm" : coverage.hint;
  }
  assembly.cover(std::move(coverage));
}

/// Those that processes have, under the names that the directories give them, and those that are
/// there although no process has them open or mapped.
void SharedMemory::make_posix_objects(Assembly& assembly) {
  std::map<std::pair<uint32_t, uint64_t>, size_t> candidates;
  for (size_t i = 0; i < objects_.size(); i++) {
    const Object& object = objects_[i];
    if (!object.path.empty()) {
      candidates.emplace(std::pair(object.device, object.inode), i);
    }
  }
  for (const ShmDirectory& directory : directories_) {
    for (const ShmEntry& entry : list_shm(directory)) {
      const auto held = candidates.find({directory.device, entry.inode});
      if (held != candidates.end()) {
        Object& object = objects_[held->second];
        if (object.channel == no_index) {  // else it has a second name
          make_posix(object, &entry, assembly);
        }
        continue;
      }
      Object object;
      object.facts.bytes = entry.bytes;
      object.facts.pages = entry.resident_bytes / assembly.page_size;
      object.facts.links = 1;
      object.facts.seals = UNKNOWN_U32;
      object.inode = entry.inode;
      object.device = directory.device;
      object.mode = entry.mode;
      object.uid = entry.uid;
      object.name_space = directory.name_space;
      make_posix(object, &entry, assembly);
      objects_.push_back(std::move(object));
    }
  }
  for (const auto& [identity, index] : candidates) {
    if (objects_[index].channel == no_index) {
      make_posix(objects_[index], nullptr, assembly);
    }
  }
}

void SharedMemory::describe_semaphore(const Object& object, std::span<const Mapping> mappings,
                                      Assembly& assembly) {
  std::optional<SemaphoreWord> word;
  const uint64_t bytes = object.facts.bytes == UNKNOWN_U64 ? semaphore_bytes : object.facts.bytes;
  if (!object.unlinked) {
    for (const ShmDirectory& directory : directories_) {
      if (directory.device == object.device) {
        if (const auto text = read_shm(directory, object.name, object.inode, semaphore_bytes_32)) {
          word = decode_semaphore(*text, bytes);
        }
      }
    }
  }
  // One that is unlinked can only be seen in the memory of those who have it.
  const bool live = !word && is_live(assembly.proc);
  for (const Mapping& mapping : mappings) {
    if (word || !live) {
      break;
    }
    if (mapping.offset == 0) {
      char text[semaphore_bytes_32];
      iovec local{text, sizeof text};
      iovec remote{reinterpret_cast<void*>(mapping.start), sizeof text};
      if (::process_vm_readv(static_cast<pid_t>(mapping.pid), &local, 1, &remote, 1, 0) ==
          static_cast<ssize_t>(sizeof text)) {
        word = decode_semaphore({text, sizeof text}, bytes);
      }
    }
  }
  SnapshotBuilder& builder = assembly.builder;
  builder.natural(object.channel, "bytes", object.facts.bytes);
  builder.natural32(object.channel, "value", word ? word->value : UNKNOWN_U32);
  builder.natural32(object.channel, "waiters", word ? word->waiters : UNKNOWN_U32);
  describe_file(object, builder);
}

void SharedMemory::finish(Assembly& assembly) {
  const Request& request = assembly.request;
  if (request.wants(Kind::posixshm) || request.wants(Kind::posixsem)) {
    open_directories(assembly);
    make_posix_objects(assembly);
  }
  std::stable_sort(mappings_.begin(), mappings_.end(), [](const Mapping& a, const Mapping& b) {
    return a.inode != b.inode ? a.inode < b.inode : a.pid < b.pid;
  });
  std::vector<std::span<const Mapping>> by_object(objects_.size());
  for (auto rest = std::span<const Mapping>(mappings_); !rest.empty();) {
    const auto end = std::find_if(rest.begin(), rest.end(), [&](const Mapping& mapping) {
      return mapping.inode != rest.front().inode;
    });
    const auto mappings = rest.first(static_cast<size_t>(end - rest.begin()));
    rest = rest.subspan(mappings.size());
    const Inode& inode = inodes_[mappings.front().inode];
    if (inode.object != no_index) {
      Object& object = objects_[inode.object];
      by_object[inode.object] = mappings;
      if (object.channel == no_index) {
        make_mmap(object, mappings, assembly);
      }
    }
    if (const ChannelIndex channel = channel_of(inode); channel != no_index) {
      attach(channel, mappings, assembly);
    }
  }
  add_openers(assembly);
  for (size_t i = 0; i < objects_.size(); i++) {
    if (objects_[i].kind == Kind::posixsem && objects_[i].channel != no_index) {
      describe_semaphore(objects_[i], by_object[i], assembly);
    }
  }
}

constexpr Kind kinds[] = {Kind::posixshm, Kind::posixsem, Kind::memfd, Kind::mmap};
constexpr record_kind records[] = {RECORD_SHMEM, RECORD_MAPPING};

}  // namespace

const MechanismEntry shmem_mechanism = {
    "shmem", kinds, records, [] { return std::unique_ptr<Mechanism>(new SharedMemory); }};

}  // namespace ipcscope
