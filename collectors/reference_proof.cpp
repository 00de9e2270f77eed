// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/reference_proof.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string_view>
#include <tuple>

#include "collectors/syscalls.h"

namespace ipcscope {

namespace {

constexpr uint16_t state_listen = 10;  // include/net/tcp_states.h
constexpr size_t most_likely = 16;
/// How many generations, and siblings on either side, are kin; and how many children of each.
constexpr ptrdiff_t most_distant = 4;
constexpr ptrdiff_t most_children = 4;

InetAddress address_of(const u8 (&from)[16], uint16_t family) {
  InetAddress address{};
  if (family == AF_INET6) {
    std::memcpy(address.data(), from, address.size());
  } else if (std::any_of(from, from + 4, [](u8 byte) { return byte != 0; })) {
    address[10] = address[11] = 0xff;
    std::memcpy(address.data() + 12, from, 4);
  }
  return address;
}

/// Whether a thread waits for something that it names by an address or a path.
bool may_wait_elsewhere(const thread_record& thread) {
  const SystemCall* call = find_system_call(thread.syscall);
  if (call == nullptr) {
    return false;
  }
  switch (call->blocking) {
    case Blocking::connect:
    case Blocking::open:
    case Blocking::send_message:
      return true;
    case Blocking::send_to:
      return thread.args[4] != 0;
    default:
      return false;
  }
}

bool contains(const std::vector<uint32_t>& list, uint32_t value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

}  // namespace

size_t ReferenceProof::ConnectionHash::operator()(const Connection& of) const {
  const auto text = [](const InetAddress& address) {
    return std::string_view(reinterpret_cast<const char*>(address.data()), address.size());
  };
  const std::hash<std::string_view> hash;
  return hash(text(of.local)) ^ hash(text(of.remote)) * 3 ^ of.ports * 0x9e3779b97f4a7c15ULL;
}

ReferenceProof::ReferenceProof(std::vector<uint32_t> chosen, IsElsewhere is_elsewhere)
    : chosen_(std::move(chosen)), known_(chosen_), is_elsewhere_(std::move(is_elsewhere)) {}

void ReferenceProof::take_thread(const thread_record& thread) {
  const auto [found, is_new] = by_pid_.try_emplace(thread.head.pid, tasks_.size());
  if (is_new) {
    tasks_.push_back({thread.head.pid, thread.ppid, thread.start_ns, thread.mm, thread.files,
                      thread.credentials});
  }
  if (contains(chosen_, thread.head.pid) && may_wait_elsewhere(thread)) {
    is_hopeless_ = true;
  }
  Task& task = tasks_[found->second];
  if (task.mm == 0 && task.files == 0) {  // the leader has exited before its threads
    task.mm = thread.mm;
    task.files = thread.files;
  }
}

void ReferenceProof::take(const record& fact) {
  const bool chosen = contains(chosen_, fact.pid);
  if (fact.kind == RECORD_REFERENCES) {
    const auto& found = reinterpret_cast<const reference_record&>(fact);
    const Place place = {found.table, static_cast<uint64_t>(found.fd)};
    if (take_references(found.references, found.fd < 0 ? nullptr : &place, chosen) != nullptr &&
        found.terminal != 0) {
      objects_[found.references.object].terminal = true;
    }
  } else if (fact.kind == RECORD_INET) {
    take_connection(reinterpret_cast<const inet_record&>(fact), chosen);
  } else if (fact.kind == RECORD_SHMEM) {
    const auto file = files_.find(reinterpret_cast<const file_record&>(fact).file);
    if (file != files_.end()) {
      objects_[file->second.object].memory = true;
    }
  }
}

void ReferenceProof::take_mapping(const mapping_record& mapping) {
  if (mapping.references.file == 0) {
    return;
  }
  const Task* owner = task(mapping.head.pid);
  const Place place = {owner == nullptr ? 0 : owner->mm, mapping.start};
  if (take_references(mapping.references, place.space == 0 ? nullptr : &place,
                      contains(chosen_, mapping.head.pid)) != nullptr) {
    objects_[mapping.references.object].memory = true;
  }
}

/// Of a process that was not chosen only what chosen ones have, too; null for anything else.
ReferenceProof::File* ReferenceProof::take_references(const references& found, const Place* place,
                                                      bool chosen) {
  if (!chosen && objects_.count(found.object) == 0 && files_.count(found.file) == 0) {
    return nullptr;
  }
  File& file = files_[found.file];
  file.credentials = found.credentials;
  file.count = std::max(file.count, found.count);
  if (place == nullptr) {
    return nullptr;  // who else has it matters, not who else has opened what it was opened from
  }
  Object& object = objects_[found.object];
  object.openings = std::max(object.openings, found.openings);
  if (places_.insert(*place).second) {
    file.object = found.object;
    object.seen += file.seen == 0 ? 1 : 0;
    file.seen++;
  }
  return &file;
}

void ReferenceProof::take_connection(const inet_record& found, bool chosen) {
  const Connection connection = {
      address_of(found.local, found.family), address_of(found.remote, found.family), found.net_ns,
      uint32_t{found.local_port} << 16 | found.remote_port, found.protocol};
  if (found.state == state_listen || connection.remote == InetAddress{}) {
    return;
  }
  ends_.insert(connection);
  if (chosen) {
    connections_.push_back(connection);
  }
}

/// Whether the other end of each connection was seen or is on another host.
bool ReferenceProof::are_connections_known() const {
  return std::all_of(connections_.begin(), connections_.end(), [&](const Connection& each) {
    const Connection peer = {each.remote, each.local, each.net_ns,
                             each.ports << 16 | each.ports >> 16, each.protocol};
    return ends_.count(peer) != 0 || is_elsewhere_(each.remote, each.net_ns);
  });
}

const ReferenceProof::Task* ReferenceProof::task(uint32_t pid) const {
  const auto found = by_pid_.find(pid);
  return found == by_pid_.end() ? nullptr : &tasks_[found->second];
}

bool ReferenceProof::is_known(uint32_t pid) const { return contains(known_, pid); }

bool ReferenceProof::is_complete() const {
  const auto is_accounted = [](const auto& each) { return each.second.is_accounted(); };
  return !is_hopeless_ && std::all_of(files_.begin(), files_.end(), is_accounted) &&
         std::all_of(objects_.begin(), objects_.end(), is_accounted) && are_connections_known() &&
         sharer() == 0;
}

std::optional<ReferenceProof::Missing> ReferenceProof::missing() const {
  if (is_hopeless_ || !are_connections_known() || sharer() != 0) {
    return std::nullopt;
  }
  Missing missing;
  for (const auto& [identity, object] : objects_) {
    if (object.is_accounted()) {
      continue;
    }
    if (object.openings == UNKNOWN_U32 || object.terminal) {
      return std::nullopt;
    }
    missing.dentries.push_back(identity);
    missing.memory = missing.memory || object.memory;
  }
  for (const auto& [identity, file] : files_) {
    if (!file.is_accounted()) {
      missing.files.push_back(identity);
      const auto object = objects_.find(file.object);
      missing.memory = missing.memory || (object != objects_.end() && object->second.memory);
    }
  }
  return missing;
}

uint32_t ReferenceProof::next() {
  if (is_hopeless_ || known_.size() - chosen_.size() >= most_likely) {
    return 0;
  }
  for (const auto candidate :
       {&ReferenceProof::sharer, &ReferenceProof::opener, &ReferenceProof::kin}) {
    if (const uint32_t pid = (this->*candidate)(); pid != 0) {
      known_.push_back(pid);
      return pid;
    }
  }
  return 0;
}

/// A process whose descriptors or memory are also those of a known one: their references are
/// counted once.
uint32_t ReferenceProof::sharer() const {
  std::unordered_set<uint64_t> spaces;
  for (const uint32_t pid : known_) {
    if (const Task* known = task(pid)) {
      spaces.insert(known->files);
      spaces.insert(known->mm);
    }
  }
  const auto found = std::find_if(tasks_.begin(), tasks_.end(), [&](const Task& each) {
    return each.mm != 0 && (spaces.count(each.files) != 0 || spaces.count(each.mm) != 0) &&
           !is_known(each.pid);
  });
  return found == tasks_.end() ? 0 : found->pid;
}

/// A process with the credentials that a file was opened with: each process has its own, unless it
/// has changed them since.
uint32_t ReferenceProof::opener() const {
  std::unordered_set<uint64_t> credentials;
  for (const auto& [identity, file] : files_) {
    if (file.seen < file.count && file.credentials != 0) {
      credentials.insert(file.credentials);
    }
  }
  const auto found = std::find_if(tasks_.begin(), tasks_.end(), [&](const Task& each) {
    return each.mm != 0 && credentials.count(each.credentials) != 0 && !is_known(each.pid);
  });
  return found == tasks_.end() ? 0 : found->pid;
}

/// Files are inherited: ancestors, descendants, and siblings that began shortly before or after,
/// the nearest first.
uint32_t ReferenceProof::kin() const {
  std::unordered_map<uint32_t, std::vector<const Task*>> children;
  for (const Task& each : tasks_) {
    if (each.mm != 0) {
      children[each.parent].push_back(&each);
    }
  }
  for (auto& [parent, list] : children) {
    std::sort(list.begin(), list.end(), [](const Task* a, const Task* b) {
      return std::tie(a->start_ns, a->pid) < std::tie(b->start_ns, b->pid);
    });
  }
  for (const uint32_t pid : chosen_) {
    const Task* ancestor = task(pid);
    if (ancestor == nullptr) {
      continue;
    }
    const std::vector<const Task*>& siblings = children[ancestor->parent];
    const auto self = std::find(siblings.begin(), siblings.end(), ancestor) - siblings.begin();
    std::vector<uint32_t> generation = {pid};
    for (ptrdiff_t distance = 1; distance <= most_distant; distance++) {
      std::vector<uint32_t> found;
      ancestor = ancestor == nullptr ? nullptr : task(ancestor->parent);
      if (ancestor != nullptr) {
        found.push_back(ancestor->pid);
      }
      for (const ptrdiff_t at : {self + distance, self - distance}) {
        if (at >= 0 && at < std::ssize(siblings)) {
          found.push_back(siblings[static_cast<size_t>(at)]->pid);
        }
      }
      std::vector<uint32_t> next;
      for (const uint32_t parent : generation) {
        const std::vector<const Task*>& list = children[parent];
        std::transform(list.rbegin(), list.rbegin() + std::min(std::ssize(list), most_children),
                       std::back_inserter(next), [](const Task* each) { return each->pid; });
      }
      generation = std::move(next);
      found.insert(found.end(), generation.begin(), generation.end());
      const auto unknown =
          std::find_if(found.begin(), found.end(), [&](uint32_t each) { return !is_known(each); });
      if (unknown != found.end()) {
        return *unknown;
      }
    }
  }
  return 0;
}

}  // namespace ipcscope
