// SPDX-License-Identifier: GPL-2.0-or-later
// Paths of UNIX sockets: there is no content, only an inode.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "collectors/removal/hidden.h"

namespace ipcscope {

namespace {

Target facts_of(const Target& judged, const struct stat& status) {
  Target now = file_facts(judged, status);
  now.bytes = judged.bytes;
  now.times[2] = status.st_ctime;
  return now;
}

class SocketRemoval final : public Removal {
 public:
  SocketRemoval(const Target& target, const ProcRoot& proc) : judged_(target), proc_(proc) {}

  Refusal check() override;
  Refusal save(Backup& backup, Saved& saved) override;
  Outcome remove() override;

 private:
  Target judged_;
  const ProcRoot& proc_;
  Place place_;
  struct stat status_ {};
};

Refusal SocketRemoval::check() {
  if (!place_.directory) {
    Result<Place> place = open_place(judged_, proc_);
    if (!place) {
      return skipped("it cannot be reached: " + place.error().text());
    }
    place_ = std::move(*place);
  }
  if (::fstatat(place_.directory.get(), place_.name.c_str(), &status_, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno == ENOENT ? skipped(gone_already) : failed(std::generic_category().message(errno));
  }
  if (!S_ISSOCK(status_.st_mode)) {
    return skipped("it is no socket now");
  }
  const std::string what = difference(judged_, facts_of(judged_, status_));
  return what.empty() ? Refusal() : skipped(what);
}

Refusal SocketRemoval::save(Backup& backup, Saved& saved) {
  set_facts(saved, facts_of(judged_, status_));
  saved.file.clear();
  const Result<void> noted = backup.note(saved_line(saved));
  return noted ? Refusal() : failed(backup.explain(noted.error()));
}

Outcome SocketRemoval::remove() {
  if (Refusal changed = check()) {
    return *changed;
  }
  if (Refusal refusal = hide_name(place_, status_)) {
    return *refusal;
  }
  return finish_hidden(place_, status_, {});
}

}  // namespace

RemovalMaker socket_removals(const ProcRoot& proc) {
  return [&proc](const Target& target) { return std::make_unique<SocketRemoval>(target, proc); };
}

Restored restore_socket(const Return& what) {
  const Saved& saved = what.saved;
  const Result<Place> place = open_place(what.place, what.proc);
  if (!place) {
    return not_restored(saved, place.error().text());
  }
  const int directory = place->directory.get();
  give_name_back(*place, saved.object.inode, saved.object.device);
  struct stat status {};
  if (::fstatat(directory, place->name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    const bool was_made = saved.attempt && saved.attempt->result == status.st_ino;
    if (S_ISSOCK(status.st_mode) &&
        (was_made || file_facts(saved.object, status).inode == saved.object.inode)) {
      return present(saved, saved.object.id);
    }
    return not_restored(saved, "there is another file with its name now");
  }
  if (const Result<void> noted = note_attempt(what); !noted) {
    return not_restored(saved, "the manifest cannot be written: " + noted.error().text());
  }
  // It gets its name when it is complete.
  const std::string interim = fmt::format(".ipcscope-restored-{}", saved.object.inode);
  if (::fstatat(directory, interim.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
      S_ISSOCK(status.st_mode)) {
    ::unlinkat(directory, interim.c_str(), 0);
  }
  if (::mknodat(directory, interim.c_str(), S_IFSOCK | 0600, 0) != 0) {
    return not_restored(saved, "it cannot be made: " + std::generic_category().message(errno));
  }
  Result<void> done;
  if (::fchownat(directory, interim.c_str(), saved.object.uid, saved.object.gid,
                 AT_SYMLINK_NOFOLLOW) != 0 ||
      ::fchmodat(directory, interim.c_str(), saved.object.mode, 0) != 0 ||
      ::fstatat(directory, interim.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    done = system_failure("its owner cannot be set");
  }
  if (done) {
    done = what.backup.note(made_line(saved.number, status.st_ino));
  }
  if (done && !rename_to_free(*place, interim.c_str(), place->name.c_str())) {
    done = system_failure("its name");
  }
  if (!done) {
    ::unlinkat(directory, interim.c_str(), 0);
    return not_restored(saved, done.error().text());
  }
  return note_restored(what, saved.object.id);
}

}  // namespace ipcscope
