// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of collectors/ mechanisms share: a fake /proc that is made anew for each test,
// records with plausible defaults, and a look at what became of them.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "bpf/shmem.h"
#include "collectors/mechanism.h"
#include "tests/unit/fake_tree.h"

namespace ipcscope {

template <typename T>
T make_test_record(record_kind kind, uint32_t pid) {
  T made{};
  auto& head = reinterpret_cast<record&>(made);
  head.kind = static_cast<u16>(kind);
  head.size = sizeof(T);
  head.pid = pid;
  return made;
}

/// A record of a descriptor.
template <typename T>
T make_file(record_kind kind, uint32_t pid, int fd, uint64_t file, uint64_t object) {
  T made = make_test_record<T>(kind, pid);
  auto& common = reinterpret_cast<file_record&>(made);
  common.fd = fd;
  common.flags = O_RDWR;
  common.file = file;
  common.object = object;
  common.inode = 77;
  common.mode = S_IFREG | 0600;
  common.uid = 1000;
  return made;
}

inline shmem_facts make_facts(const std::string& name, uint32_t magic, uint32_t links = 0) {
  shmem_facts facts{};
  facts.bytes = 8192;
  facts.pages = 1;
  facts.links = links;
  facts.magic = magic;
  facts.name_length = static_cast<u16>(std::min<size_t>(name.size(), SHMEM_NAME_MAX));
  std::memcpy(facts.name, name.data(), facts.name_length);
  return facts;
}

inline mapping_record make_mapping(uint32_t pid, uint64_t object, const shmem_facts& facts,
                                   uint32_t flags = MAPPING_READ | MAPPING_WRITE) {
  auto made = make_test_record<mapping_record>(RECORD_MAPPING, pid);
  made.start = 0x7f0000000000;
  made.end = 0x7f0000002000;
  made.object = object;
  made.inode = 77;
  made.flags = flags | MAPPING_SHARED;
  made.mode = S_IFREG | 0600;
  made.uid = 1000;
  made.facts = facts;
  return made;
}

/// One mechanism on a fake host.
class MechanismTest {
 public:
  explicit MechanismTest(const MechanismEntry& entry, const std::string& parent = "/tmp")
      : tree(parent),
        proc_(std::move(*ProcRoot::open(tree.path().c_str()))),
        assembly(builder_, proc_, request_),
        mechanism_(entry.make()) {}

  /// A process in our own namespaces unless said otherwise.
  void process(uint32_t pid, uint32_t ipc_ns = 0, uint32_t mnt_ns = 0) {
    auto thread = make_test_record<thread_record>(RECORD_THREAD, pid);
    thread.tid = thread.ns_tid = thread.ns_pid = pid;
    thread.state = 'S';
    thread.mm = 0xffff000000000000 + pid * 0x1000;
    thread.ipc_ns = ipc_ns != 0 ? ipc_ns : assembly.own_ipc_ns;
    thread.mnt_ns = mnt_ns != 0 ? mnt_ns : assembly.own_mnt_ns;
    thread.net_ns = assembly.own_net_ns;
    thread.pid_ns = assembly.own_pid_ns;
    std::memcpy(thread.comm, "test", 5);
    assembly.add_thread(thread);
  }
  template <typename T>
  void take(const T& made) {
    mechanism_->take(reinterpret_cast<const record&>(made), assembly);
  }
  const Snapshot& finish() {
    mechanism_->finish(assembly);
    snapshot_ = builder_.finish();
    return snapshot_;
  }
  [[nodiscard]] const Channel& channel(std::string_view id) const {
    for (const Channel& each : snapshot_.channels) {
      if (each.id == id) {
        return each;
      }
    }
    std::string all;
    for (const Channel& each : snapshot_.channels) {
      all += std::string(each.id) + "\n";
    }
    FAIL("no channel " << id << " among:\n" << all);
    return snapshot_.channels.front();
  }
  [[nodiscard]] bool has(std::string_view id) const {
    return std::any_of(snapshot_.channels.begin(), snapshot_.channels.end(),
                       [&](const Channel& each) { return each.id == id; });
  }
  /// The attribute as text: "null", "true", a number, the text or the JSON.
  [[nodiscard]] std::string attribute(std::string_view id, std::string_view key) const {
    const Attribute* found = snapshot_.attribute(channel(id), key);
    if (found == nullptr) {
      return "missing";
    }
    switch (found->type) {
      case Attribute::Type::unknown:
        return "null";
      case Attribute::Type::boolean:
        return found->boolean ? "true" : "false";
      case Attribute::Type::integer:
        return std::to_string(found->integer);
      case Attribute::Type::natural:
        return std::to_string(found->natural);
      default:
        return std::string(found->string());
    }
  }
  /// "PID:ROLE:FD" of each endpoint, with a space between.
  [[nodiscard]] std::string endpoints(std::string_view id) const {
    std::string all;
    for (const Endpoint& each : snapshot_.endpoints_of(channel(id))) {
      all += all.empty() ? "" : " ";
      all += each.process == no_index ? "?" : std::to_string(snapshot_.processes[each.process].pid);
      all += ":" + std::string(role_name(each.role)) + ":" + std::to_string(each.fd);
    }
    return all;
  }
  [[nodiscard]] const Coverage& coverage(const std::string& source) const {
    for (const Coverage& each : snapshot_.coverage) {
      if (each.source == source) {
        return each;
      }
    }
    FAIL("no coverage of " << source);
    return snapshot_.coverage.front();
  }
  [[nodiscard]] const Snapshot& snapshot() const { return snapshot_; }

  FakeTree tree;

 private:
  ProcRoot proc_;
  SnapshotBuilder builder_;
  Request request_;

 public:
  Assembly assembly;

 private:
  std::unique_ptr<Mechanism> mechanism_;
  Snapshot snapshot_;
};

}  // namespace ipcscope
