// SPDX-License-Identifier: GPL-2.0-or-later
//
// The world of the leaks trial: processes that make, use, abandon and adopt IPC objects while a
// cleaner removes what it takes for left behind. Each process knows which objects are alive through
// itself, and looks after them; no other model could be right at every instant.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace ipcscope::world {

enum class Kind : uint8_t { shm, sem, msg, posixshm, posixsem, mq, socket };
inline constexpr size_t kind_count = 7;
inline constexpr std::array<std::string_view, kind_count> kind_names = {
    "shm", "sem", "msg", "posixshm", "posixsem", "mq", "socket"};

inline constexpr const char* socket_directory = "/run/ipcscope-test-trial";
inline constexpr const char* queue_directory = "/run/ipcscope-test-mqueue";

/// Who takes an object over in the instant between a cleaner's last look and its removal can be
/// robbed of it, and no kernel interface prevents that. Later than this it is the cleaner's fault.
inline constexpr auto grace = std::chrono::milliseconds(50);

/// One object that was made. Slots are never reused.
struct Slot {
  std::atomic<uint8_t> state;    ///< 0 not yet, 1 made, 2 removed by a worker, 3 found removed
  std::atomic<uint32_t> holder;  ///< the worker that alone may operate on it, 0 none
  Kind kind;
  uint32_t name;   ///< number in the names of those that have one
  int32_t id;      ///< System V
  uint64_t inode;  ///< the others
};
inline constexpr uint32_t slot_count = 400'000;
inline constexpr uint8_t made = 1;
inline constexpr uint8_t removed = 2;
inline constexpr uint8_t found_removed = 3;

struct Worker {
  std::atomic<pid_t> pid;       ///< in the world's PID namespace, 0: none
  std::atomic<pid_t> host_pid;  ///< in that of the cleaner
};
inline constexpr uint32_t worker_count = 32;

/// A user that no process is.
inline constexpr uid_t departed_user = 61235;

/// Memory that all processes of the world share.
struct World {
  std::atomic<bool> ends;
  std::atomic<uint32_t> slots;  ///< that are in use
  std::atomic<uint64_t> steps, adopted, deaths, reused, successions, raced, checks, blocked;
  std::array<std::atomic<uint64_t>, kind_count> objects, removed_by_workers, live_removed;
  std::atomic<uint32_t> message_count;
  std::array<std::array<char, 160>, 64> messages;  ///< on each live object that was removed
  std::array<Worker, worker_count> workers;
  std::array<Slot, slot_count> slot;
};

/// A worker's life: random steps until it kills itself or is killed. `number` is that of its place,
/// `incarnation` is unique among all workers.
[[noreturn]] void work(World& world, uint32_t number, uint32_t incarnation, uint64_t seed);

/// The path at which the object of that number is found, in the kinds that have one.
std::string path_of(Kind kind, uint32_t name);

}  // namespace ipcscope::world
