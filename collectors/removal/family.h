// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "collectors/removal/backup.h"
#include "collectors/removal/removal.h"

namespace ipcscope {

/// Why an object stays; nothing: go on.
using Refusal = std::optional<Outcome>;

inline Outcome skipped(std::string reason) {
  return {Outcome::State::skipped, std::move(reason), {}};
}
inline Outcome failed(std::string reason) {
  return {Outcome::State::failed, std::move(reason), {}};
}
inline Outcome removed(std::string remark = {}) {
  return {Outcome::State::removed, std::move(remark), {}};
}

constexpr const char* gone_already = "it is gone already";

/// One object on its way out, in the namespace that the thread is in. check(), save() if there is a
/// backup, then remove(); whatever it holds to keep others out is let go of when it is destroyed.
class Removal {
 public:
  Removal() = default;
  Removal(const Removal&) = delete;
  Removal& operator=(const Removal&) = delete;
  virtual ~Removal() = default;

  /// Compares the object with what was judged.
  virtual Refusal check() = 0;
  /// Copies the content and notes the object in the manifest. saved has its number, identifier and
  /// namespace. The data file of a refusal is discarded by the caller.
  virtual Refusal save(Backup& backup, Saved& saved) = 0;
  /// Compares once more and takes its name away, if its type needs that to see who was about to
  /// open it; waits tells that there has to be a pause before remove().
  virtual Refusal hide(bool& waits) {
    (void)waits;
    return {};
  }
  /// Compares once more, and removes it. Whatever is skipped is as it was before save(); what has
  /// failed may be so in part, and the backup has to stay.
  virtual Outcome remove() = 0;
  /// Puts back what save() took; the backup could not be completed.
  virtual Refusal give_up() { return {}; }
};

using RemovalMaker = std::function<std::unique_ptr<Removal>(const Target&)>;
RemovalMaker shm_removals();
RemovalMaker sem_removals();
/// All from one maker look only once at who is blocked.
RemovalMaker msg_removals(const ProcRoot& proc);
RemovalMaker file_removals(const ProcRoot& proc);  ///< POSIX segments and named semaphores
RemovalMaker queue_removals();
RemovalMaker socket_removals(const ProcRoot& proc);

/// The first thing in which an object is no longer what was judged, in words; empty when none is.
/// allow_used lets everything pass that using it changes.
std::string difference(const Target& judged, const Target& now);

/// Puts what the kernel says of an object into saved; how it is called and reached stays.
void set_facts(Saved& saved, Target facts);

/// What is needed to bring back one object, in the namespace that the thread is in.
struct Return {
  const Saved& saved;
  const Target& place;  ///< saved.object with its namespace as it can be reached now
  Backup& backup;
  const ProcRoot& proc;
  bool same_boot = true;  ///< identifiers and inode numbers of the backup still mean something
};

Restored restore_shm(const Return& what);
Restored restore_sem(const Return& what);
Restored restore_msg(const Return& what);
Restored restore_file(const Return& what);
Restored restore_queue(const Return& what);
Restored restore_socket(const Return& what);

inline Restored not_restored(const Saved& saved, std::string reason) {
  return {Restored::State::failed, saved.object.id, {}, std::move(reason)};
}
inline Restored present(const Saved& saved, std::string new_id) {
  return {Restored::State::present, saved.object.id, std::move(new_id), {}};
}

/// The data file of an object, when it is what was written. Fails in words when it is damaged.
Result<Fd> open_verified(const Return& what);

/// Notes that an object is being made, before it is.
Result<void> note_attempt(const Return& what);
/// Notes that it is back, and says so.
Restored note_restored(const Return& what, const std::string& new_id);

}  // namespace ipcscope
