// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "bpf/shmem.h"
#include "collectors/futex_word.h"
#include "collectors/target_memory.h"
#include "collectors/thread_numbers.h"

namespace ipcscope {

/// The shared mappings of all processes, as much of them as tells what is behind an address.
class SharedMappings {
 public:
  struct Object {
    uint64_t inode = 0;
    uint32_t mode = UNKNOWN_U32;
    shmem_facts facts{};
  };
  struct Mapping {
    uint32_t pid = 0;
    uint32_t object = 0;  ///< index of an Object
    uint64_t start = 0, end = 0, offset = 0;
  };

  void add(const mapping_record& mapping);
  /// The shared mapping of pid at address; null when there is none.
  [[nodiscard]] const Mapping* find(uint32_t pid, uint64_t address);
  [[nodiscard]] const Object& object(uint32_t index) const { return objects_[index]; }
  /// The processes that map an object, each once, by pid.
  [[nodiscard]] std::vector<uint32_t> mappers(uint32_t object);

 private:
  void sort();

  IdentityMap by_identity_;
  std::vector<Object> objects_;
  std::vector<Mapping> mappings_;    ///< by pid and address, when sorted_
  std::vector<uint32_t> by_object_;  ///< indexes into mappings_
  bool sorted_ = false;
};

/// The futexes at which threads wait now, each of which becomes a channel.
class Futexes {
 public:
  using Index = uint32_t;

  Futexes(SharedMappings& mappings, TargetMemory& memory, Assembly& assembly)
      : mappings_(mappings), memory_(memory), assembly_(assembly), numbers_(assembly) {}

  /// A thread waits; asks memory for what lies around the word. no_index: not a futex.
  Index add(ThreadIndex thread, const FutexCall& call);
  /// Makes the channels; after memory was read.
  void make_channels();
  /// no_index when the request wants no futexes.
  [[nodiscard]] ChannelIndex channel(Index futex) const { return futexes_[futex].channel; }
  /// The thread that a wait for the end of a thread is about, else 0.
  [[nodiscard]] int32_t joined(Index futex) const { return futexes_[futex].joined; }

 private:
  struct Waiter {
    ThreadIndex thread = no_index;
    FutexCall call;
    uint32_t next = UINT32_MAX;
  };
  struct Futex {
    uint64_t space = 0;    ///< address space, or the object's index
    uint64_t address = 0;  ///< there, or the offset in the object
    bool shared = false;
    const SharedMappings::Mapping* mapping = nullptr;
    uint32_t first = UINT32_MAX, last = UINT32_MAX, count = 0;
    TargetMemory::Handle lower = TargetMemory::none, word = TargetMemory::none,
                         upper = TargetMemory::none;
    ChannelIndex channel = no_index;
    int32_t joined = 0;
  };
  struct Key {
    uint64_t space, address;
    bool shared;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const {
      return static_cast<size_t>((key.space * 0x9e3779b97f4a7c15ULL ^ key.address) *
                                     0xff51afd7ed558ccdULL >>
                                 (key.shared ? 7 : 8));
    }
  };

  void look_at_processes();
  [[nodiscard]] uint64_t space_of(ProcessIndex process) const;
  void ask(Futex& futex, const Thread& thread, uint64_t address);
  [[nodiscard]] FutexView view(const Futex& futex) const;
  [[nodiscard]] ThreadIndex owner(const Futex& futex, const Waiter& waiter, uint64_t number);
  [[nodiscard]] ChannelIndex semaphore(const Futex& futex, std::string_view path);
  [[nodiscard]] std::string object_name(const Futex& futex, const Process& process);
  FutexGuess judge(const Futex& futex, const FutexView& seen, ThreadIndex& holder);
  void make_channel(Futex& futex);

  SharedMappings& mappings_;
  TargetMemory& memory_;
  Assembly& assembly_;
  ThreadNumbers numbers_;
  std::vector<Futex> futexes_;
  std::vector<Waiter> waiters_;
  std::unordered_map<Key, Index, KeyHash> by_key_;
  bool looked_ = false;
  IdentityMap lowest_;  ///< by address space, the process with the lowest pid
  std::unordered_map<uint32_t, std::vector<uint32_t>> mapped_by_;  ///< by object, pids
  std::unordered_map<uint64_t, ChannelIndex> semaphores_;          ///< by inode
  bool looked_for_semaphores_ = false;
};

}  // namespace ipcscope
