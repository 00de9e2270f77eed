// SPDX-License-Identifier: GPL-2.0-or-later
// POSIX shared memory and named semaphores: files in memory.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "collectors/removal/content.h"
#include "collectors/removal/hidden.h"
#include "collectors/removal/lease.h"

namespace ipcscope {

namespace {

Target facts_of(const Target& judged, const struct stat& status) {
  Target now = file_facts(judged, status);
  now.bytes = static_cast<uint64_t>(status.st_size);
  now.times[2] = status.st_ctime;
  return now;
}

constexpr const char* opened_meanwhile = "somebody opened it meanwhile";

class FileRemoval final : public Removal {
 public:
  FileRemoval(const Target& target, const ProcRoot& proc) : judged_(target), proc_(proc) {}

  Refusal check() override;
  Refusal save(Backup& backup, Saved& saved) override;
  Refusal hide(bool& waits) override;
  Outcome remove() override;

 private:
  Refusal open();
  Refusal compare(const struct stat& status) const;
  Refusal keep_others_out();
  [[nodiscard]] Refusal still_ours() const;

  Target judged_;
  const ProcRoot& proc_;
  Place place_;
  Fd file_;
  bool leased_ = false;
  struct stat hidden_ {};
};

Refusal FileRemoval::compare(const struct stat& status) const {
  if (!S_ISREG(status.st_mode)) {
    return skipped("it is no regular file now");
  }
  const std::string what = difference(judged_, facts_of(judged_, status));
  return what.empty() ? Refusal() : skipped(what);
}

Refusal FileRemoval::open() {
  Result<Place> place = open_place(judged_, proc_);
  if (!place) {
    return skipped("it cannot be reached: " + place.error().text());
  }
  place_ = std::move(*place);
  struct stat status {};
  const int directory = place_.directory.get();
  const char* const name = place_.name.c_str();
  // Looked at before it is opened: opening a FIFO or a device could do something.
  if (::fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno == ENOENT ? skipped(gone_already) : failed(std::generic_category().message(errno));
  }
  if (Refusal changed = compare(status)) {
    return changed;
  }
  file_.reset(::openat(directory, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY));
  if (!file_) {
    return errno == ENOENT        ? skipped(gone_already)
           : errno == EWOULDBLOCK ? skipped("another process has a lease on it")
                                  : failed(std::generic_category().message(errno));
  }
  return {};
}

Refusal FileRemoval::keep_others_out() {
  const Lease lease = take_lease(file_.get());
  leased_ = lease == Lease::granted;
  if (leased_ || judged_.allow_used) {
    return {};
  }
  switch (lease) {
    case Lease::in_use:
      return skipped("somebody has it open or mapped");
    case Lease::denied:
      return skipped("whether it is in use cannot be proved: no permission to take a lease on it");
    default:
      return skipped("whether it is in use cannot be proved: its file system has no leases");
  }
}

Refusal FileRemoval::check() {
  if (Refusal refusal = open()) {
    return refusal;
  }
  if (Refusal refusal = keep_others_out()) {
    return refusal;
  }
  return still_ours();
}

Refusal FileRemoval::still_ours() const {
  if (leased_ && !lease_is_whole(file_.get()) && !judged_.allow_used) {
    return skipped(opened_meanwhile);
  }
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) {
    return failed(std::generic_category().message(errno));
  }
  if (status.st_nlink == 0) {
    return skipped(gone_already);
  }
  return compare(status);
}

Refusal FileRemoval::save(Backup& backup, Saved& saved) {
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) {
    return failed(std::generic_category().message(errno));
  }
  set_facts(saved, facts_of(judged_, status));
  saved.file_bytes = saved.object.bytes;
  Result<void> done = backup.require_room(static_cast<uint64_t>(status.st_blocks) * 512);
  if (!done) {
    return failed(done.error().text());
  }
  const Result<Fd> file = backup.create(saved.file);
  if (!file) {
    return failed(backup.explain(file.error()));
  }
  SparseWriter out(file->get());
  done = read_content(file_.get(), saved.file_bytes,
                      [&out](uint64_t at, std::string_view bytes) { return out.add(at, bytes); });
  if (done) {
    done = out.finish(saved.file_bytes);
  }
  saved.checksum = out.checksum();
  if (done) {
    done = backup.note(saved_line(saved));
  }
  return done ? Refusal() : failed(backup.explain(done.error()));
}

Refusal FileRemoval::hide(bool& waits) {
  if (Refusal refusal = still_ours()) {
    return refusal;
  }
  if (::fstat(file_.get(), &hidden_) != 0) {
    return failed(std::generic_category().message(errno));
  }
  waits = true;
  return hide_name(place_, hidden_);
}

/// Who has found the name but not yet opened the file breaks the lease in the next instant, and
/// waits: a file without a name is not what it should get.
Outcome FileRemoval::remove() {
  Refusal reason;
  if (leased_ && !lease_is_whole(file_.get()) && !judged_.allow_used) {
    reason = skipped(opened_meanwhile);
  }
  return finish_hidden(place_, hidden_, reason);
}

/// Makes the file whole before it gets its name.
Result<uint64_t> make_file(const Return& what, const Place& place, Fd& made) {
  const Saved& saved = what.saved;
  const Result<Fd> content = open_verified(what);
  if (!content) {
    return Failure(content.error());
  }
  made.reset(::openat(place.directory.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!made) {
    return system_failure("it cannot be made");
  }
  SparseWriter out(made.get());
  Result<void> done =
      read_content(content->get(), saved.file_bytes,
                   [&out](uint64_t at, std::string_view bytes) { return out.add(at, bytes); });
  if (done) {
    done = out.finish(saved.file_bytes);
  }
  if (!done) {
    return Failure(done.error());
  }
  if (::fchown(made.get(), saved.object.uid, saved.object.gid) != 0 ||
      ::fchmod(made.get(), saved.object.mode) != 0) {
    return system_failure("its owner cannot be set");
  }
  struct stat status {};
  if (::fstat(made.get(), &status) != 0) {
    return system_failure("fstat");
  }
  return status.st_ino;
}

}  // namespace

RemovalMaker file_removals(const ProcRoot& proc) {
  return [&proc](const Target& target) { return std::make_unique<FileRemoval>(target, proc); };
}

Restored restore_file(const Return& what) {
  const Saved& saved = what.saved;
  const Result<Place> place = open_place(what.place, what.proc);
  if (!place) {
    return not_restored(saved, place.error().text());
  }
  if (what.same_boot) {
    give_name_back(*place, saved.object.inode, saved.object.device);
  }
  struct stat status {};
  if (::fstatat(place->directory.get(), place->name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    const bool was_made = saved.attempt && saved.attempt->result == status.st_ino;
    const Target now = file_facts(saved.object, status);
    if (what.same_boot && now.device == saved.object.device &&
        (was_made || now.inode == saved.object.inode)) {
      return present(saved, saved.object.id);
    }
    return not_restored(saved, "there is another file with its name now");
  }
  if (const Result<void> noted = note_attempt(what); !noted) {
    return not_restored(saved, "the manifest cannot be written: " + noted.error().text());
  }
  Fd file;
  const Result<uint64_t> made = make_file(what, *place, file);
  if (!made) {
    return not_restored(saved, made.error().text());
  }
  if (const Result<void> noted = what.backup.note(made_line(saved.number, *made)); !noted) {
    return not_restored(saved, "the manifest cannot be written: " + noted.error().text());
  }
  const std::string link = fmt::format("/proc/self/fd/{}", file.get());
  if (::linkat(AT_FDCWD, link.c_str(), place->directory.get(), place->name.c_str(),
               AT_SYMLINK_FOLLOW) != 0) {
    return not_restored(saved, errno == EEXIST ? "there is another file with its name now"
                                               : std::generic_category().message(errno));
  }
  return note_restored(what, saved.object.id);
}

}  // namespace ipcscope
