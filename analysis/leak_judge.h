// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "analysis/leaks.h"

namespace ipcscope {

/// A process number that an object remembers, and what became of that process.
struct Witness {
  enum class State : uint8_t { ended, reused, lives, unknown };
  State state = State::unknown;
  std::string name;               ///< "812", "postgres[812]"
  std::string text;               ///< behind the name: "ended, its number is now bash's", "lives"
  std::string brief = "unknown";  ///< for a column: "ended", "now bash", "lives"
  [[nodiscard]] bool is_gone() const { return state == State::ended || state == State::reused; }
  [[nodiscard]] Verdict allows() const;
};

/// What the rules have in common: looks things up and words them. Does no I/O.
class Judge {
 public:
  Judge(const Snapshot& snapshot, const Leftovers& leftovers, const LeakQuery& query);

  [[nodiscard]] const Snapshot& snapshot() const { return snapshot_; }
  [[nodiscard]] const Leftovers& leftovers() const { return leftovers_; }

  /// remembered: seconds since the epoch, not before the process number was noted. A process with
  /// that number that started later is another one.
  [[nodiscard]] Witness witness(int32_t pid, int64_t remembered) const;
  /// Who made an object that the kernel keeps no creator of? Adds to leak, unless it is live
  /// already, whether anybody who could have, by user, IPC namespace and start, still lives.
  /// change_time: seconds since the epoch, not before it was made.
  void add_possible_creator(Leak& leak, std::optional<uint32_t> creator_uid,
                            int64_t change_time) const;
  /// Processes that could not be seen, as a reason for doubt; empty when there are none.
  [[nodiscard]] std::string unseen() const;
  /// Some processes have no number here, so that a 0 may mean one of them.
  [[nodiscard]] bool has_processes_outside() const { return leftovers_.processes_outside; }
  /// Sets the age from the latest of an object's times (0: never), and adds a fact where it is less
  /// than what was asked for or, when nothing was, than least.
  void add_age(Leak& leak, std::optional<int64_t> latest, uint64_t least) const;
  /// Whether a process of an ordinary user lives.
  [[nodiscard]] bool has_session(uint32_t uid) const { return sessions_.count(uid) != 0; }
  /// "a[1], b[2] and 3 more": the processes at a channel; empty when there are none.
  [[nodiscard]] std::string holders(const Channel& channel) const;
  /// "bash[812]"
  [[nodiscard]] static std::string label(const Process& process);
  [[nodiscard]] const ObjectFacts& facts(ChannelIndex channel) const;

  [[nodiscard]] std::optional<int64_t> number(const Channel& channel, std::string_view key) const;
  [[nodiscard]] std::optional<bool> boolean(const Channel& channel, std::string_view key) const;
  [[nodiscard]] std::string_view text(const Channel& channel, std::string_view key) const;

 private:
  enum class Order : uint8_t { not_later, later, unknown };
  [[nodiscard]] Order started(std::optional<uint64_t> start_ns, int64_t remembered) const;
  /// Those of able_ that can have made an object of that user there by then.
  [[nodiscard]] std::vector<const Process*> possible_creators(std::optional<uint32_t> uid,
                                                              uint32_t ipc_ns,
                                                              int64_t change_time) const;
  /// whose: "of its user"
  static void add_creators(Leak& leak, const std::vector<const Process*>& creators,
                           std::string_view whose);
  /// As unseen(), of those alone that can have made it.
  [[nodiscard]] std::string unseen_creator(uint32_t uid, int64_t change_time) const;

  const Snapshot& snapshot_;
  const Leftovers& leftovers_;
  const LeakQuery& query_;
  uint32_t own_ipc_ns_ = 0;
  std::unordered_set<uint32_t> sessions_;
  std::vector<const Process*> able_;  ///< programs that have not ended, other than ipcscope
};

/// "1 message", "2 messages"
std::string counted(uint64_t count, std::string_view what);

// The rules, one for each kind. leak has everything that any channel has; the rule adds the rest.
void judge_shm(const Judge& judge, const Channel& channel, Leak& leak);
void judge_sem(const Judge& judge, const Channel& channel, Leak& leak);
void judge_msg(const Judge& judge, const Channel& channel, Leak& leak);
void judge_posix_shm(const Judge& judge, const Channel& channel, Leak& leak);
void judge_posix_sem(const Judge& judge, const Channel& channel, Leak& leak);
void judge_mq(const Judge& judge, const Channel& channel, Leak& leak);
/// A socket, FIFO or lock file in a directory; leak.path says which.
void judge_path(const Judge& judge, Leak& leak);

/// Known software that parks objects on purpose: which instance it belongs to, and whether that
/// lives. Adds nothing where none is known.
void judge_owner(const Judge& judge, const Channel& channel, Leak& leak);

}  // namespace ipcscope
