// SPDX-License-Identifier: GPL-2.0-or-later
// POSIX message queues.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collectors/name_spaces.h"
#include "collectors/removal/content.h"
#include "collectors/removal/family.h"
#include "collectors/removal/lease.h"
#include "collectors/removal/queue_file.h"

namespace ipcscope {

namespace {

/// A queue that is open, as the only descriptor of ours for it.
struct OpenQueue {
  Fd fd;
  Target facts;
  mq_attr attributes{};
  QueueFill fill;
};

/// What the kernel says of an open queue. Its times are left out: reading its file changes them.
Result<OpenQueue> open_queue(const Target& wanted) {
  OpenQueue queue;
  queue.fd.reset(::mq_open(wanted.path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  struct stat status {};
  if (!queue.fd || ::fstat(queue.fd.get(), &status) != 0 ||
      ::mq_getattr(queue.fd.get(), &queue.attributes) != 0) {
    return system_failure("it cannot be opened");
  }
  const auto fill = queue_fill(queue.fd.get());
  if (!fill) {
    return Failure(fill.error());
  }
  queue.fill = *fill;
  Target& facts = queue.facts;
  facts.type = Target::Type::mq;
  facts.path = wanted.path;
  facts.uid = status.st_uid;
  facts.gid = status.st_gid;
  facts.mode = status.st_mode & 07777;
  facts.inode = status.st_ino;
  facts.device = record_device(status.st_dev);
  facts.bytes = fill->bytes;
  facts.messages = fill->messages;
  return queue;
}

class QueueRemoval final : public Removal {
 public:
  explicit QueueRemoval(const Target& target) : judged_(target) {
    std::fill(std::begin(judged_.times), std::end(judged_.times), 0);
  }

  Refusal check() override;
  Refusal save(Backup& backup, Saved& saved) override;
  Outcome remove() override;
  Refusal give_up() override;

 private:
  Refusal put_back(Outcome reason);

  Target judged_;
  OpenQueue queue_;
  bool leased_ = false;
  std::optional<QueueFile> messages_;
};

Refusal QueueRemoval::check() {
  Result<OpenQueue> opened = open_queue(judged_);
  if (!opened) {
    const int number = opened.error().code.value();
    return number == ENOENT   ? skipped(gone_already)
           : number == EAGAIN ? skipped("another process has a lease on it")
                              : failed(opened.error().text());
  }
  queue_ = std::move(*opened);
  const Lease lease = take_lease(queue_.fd.get());
  leased_ = lease == Lease::granted;
  if (!leased_ && !judged_.allow_used) {
    return lease == Lease::in_use   ? skipped("somebody has it open")
           : lease == Lease::denied ? skipped(
                                          "whether it is in use cannot be proved: no permission "
                                          "to take a lease on it")
                                    : skipped(
                                          "whether it is in use cannot be proved: this kernel "
                                          "has no leases on queues");
  }
  const auto fill = queue_fill(queue_.fd.get());
  if (!fill) {
    return failed(fill.error().text());
  }
  queue_.fill = *fill;
  queue_.facts.messages = fill->messages;
  queue_.facts.bytes = fill->bytes;
  if (fill->notify_pid != 0 && !judged_.allow_used) {
    return skipped(fmt::format("process {} waits to be notified by it", fill->notify_pid));
  }
  const std::string what = difference(judged_, queue_.facts);
  return what.empty() ? Refusal() : skipped(what);
}

Refusal QueueRemoval::save(Backup& backup, Saved& saved) {
  set_facts(saved, queue_.facts);
  saved.limit = static_cast<uint64_t>(queue_.attributes.mq_maxmsg);
  saved.message_bytes = static_cast<uint64_t>(queue_.attributes.mq_msgsize);
  QueueFill most = queue_.fill;
  if (!leased_) {  // others may send while it is drained
    most = {saved.limit, saved.limit * saved.message_bytes, 0};
  }
  Result<void> done = backup.require_room(most.bytes + saved.message_bytes);
  if (!done) {
    return failed(done.error().text());
  }
  Result<Fd> file = backup.create(saved.file);
  if (!file) {
    return failed(backup.explain(file.error()));
  }
  Result<QueueFile> made = QueueFile::create(std::move(*file), most, saved.message_bytes);
  if (!made) {
    return failed(backup.explain(made.error()));
  }
  saved.state = Saved::State::draining;
  saved.file_bytes = made->file_bytes();
  done = backup.note(saved_line(saved));
  if (!done) {
    return failed(backup.explain(done.error()));
  }
  messages_.emplace(std::move(*made));
  if (Result<void> drained = messages_->drain(queue_.fd.get()); !drained) {
    return put_back(skipped(drained.error().text()));
  }
  const Result<uint32_t> checksum = content_checksum(messages_->file(), saved.file_bytes);
  done = checksum ? Result<void>() : Failure(checksum.error());
  if (done) {
    saved.checksum = *checksum;
    saved.state = Saved::State::saved;
    done = backup.note(saved_line(saved));
  }
  if (!done) {
    saved.state = Saved::State::draining;
    return put_back(failed(backup.explain(done.error())));
  }
  return {};
}

Refusal QueueRemoval::put_back(Outcome reason) {
  if (messages_) {
    if (Result<void> done = messages_->refill(queue_.fd.get()); !done) {
      return failed(
          fmt::format("{}; {} of its messages are only in the backup until it is restored"
                      " ({})",
                      reason.reason, messages_->messages(), done.error().text()));
    }
  }
  return reason;
}

Refusal QueueRemoval::give_up() {
  return put_back(skipped("")).value().state == Outcome::State::failed
             ? failed("its messages are only in the backup until it is restored")
             : Refusal();
}

Outcome QueueRemoval::remove() {
  struct stat status {};
  if (leased_ && !lease_is_whole(queue_.fd.get()) && !judged_.allow_used) {
    return *put_back(skipped("somebody opened it meanwhile"));
  }
  if (::fstat(queue_.fd.get(), &status) != 0 || status.st_nlink == 0) {
    return *put_back(skipped(gone_already));
  }
  if (::mq_unlink(judged_.path.c_str()) != 0) {
    return *put_back(failed(std::generic_category().message(errno)));
  }
  // A queue cannot be renamed: one who opened it within these two calls has it without its name.
  if (leased_ && !lease_is_whole(queue_.fd.get())) {
    return removed("its name is removed; somebody opened it in the same instant");
  }
  return removed();
}

/// Raises the limit of the bytes that our queues may take together, as far as privileges allow,
/// and sets it back.
class MoreQueueBytes {
 public:
  MoreQueueBytes() {
    ::getrlimit(RLIMIT_MSGQUEUE, &before_);
    const rlimit all{RLIM_INFINITY, RLIM_INFINITY};
    ::setrlimit(RLIMIT_MSGQUEUE, &all);
  }
  MoreQueueBytes(const MoreQueueBytes&) = delete;
  MoreQueueBytes& operator=(const MoreQueueBytes&) = delete;
  ~MoreQueueBytes() { ::setrlimit(RLIMIT_MSGQUEUE, &before_); }

 private:
  rlimit before_{};
};

/// The queue is there, but a part of its messages may be in the file.
Restored complete(const Return& what, OpenQueue queue) {
  const Saved& saved = what.saved;
  Restored same = present(saved, saved.object.id);
  Result<Fd> file = what.backup.open_file(saved.file, O_RDWR);
  if (!file) {
    // A message is taken only when the file is there.
    return saved.state == Saved::State::draining ? same : not_restored(saved, file.error().text());
  }
  Result<QueueFile> messages = QueueFile::open(std::move(*file), true);
  if (!messages) {
    return not_restored(saved, messages.error().text());
  }
  if (messages->is_refilled()) {
    return same;
  }
  if (const Lease lease = take_lease(queue.fd.get());
      lease != Lease::granted && lease != Lease::unsupported) {
    return not_restored(saved,
                        "somebody has it open: its first messages are in the backup, and "
                        "cannot be put in front of what is in use");
  }
  Result<void> done = messages->settle(queue.fd.get());
  if (done && !messages->is_refilling()) {
    done = messages->drain(queue.fd.get());
  }
  if (done) {
    done = messages->refill(queue.fd.get());
  }
  if (!done) {
    return not_restored(saved, done.error().text());
  }
  return same;
}

Result<void> fill_queue(const Return& what, const Fd& queue) {
  const Saved& saved = what.saved;
  // One that was still being drained has no checksum; its file tells how far that went.
  Result<Fd> file = saved.state == Saved::State::draining
                        ? what.backup.open_file(saved.file, O_RDWR)
                        : open_verified(what);
  if (!file) {
    return Failure(file.error());
  }
  const bool draining = saved.state == Saved::State::draining;
  Result<QueueFile> messages = QueueFile::open(std::move(*file), draining);
  if (!messages) {
    return Failure(messages.error());
  }
  Result<void> done = draining ? messages->settle(std::nullopt) : Result<void>();
  if (done) {
    done = messages->send_all(queue.get());
  }
  if (!done) {
    return done;
  }
  if (::fchown(queue.get(), saved.object.uid, saved.object.gid) != 0 ||
      ::fchmod(queue.get(), saved.object.mode) != 0) {
    return system_failure("its owner cannot be set");
  }
  return {};
}

/// Whether a queue is what an attempt that was cut off left: not usable by anybody until it is
/// whole.
bool is_unfinished(const Attempt& attempt, const OpenQueue& queue, const Saved& saved) {
  const bool ours = attempt.result
                        ? attempt.result == queue.facts.inode
                        : queue.facts.uid == ::geteuid() &&
                              static_cast<uint64_t>(queue.attributes.mq_maxmsg) == saved.limit &&
                              queue.facts.messages == 0;
  return ours && queue.facts.mode == 0;
}

}  // namespace

RemovalMaker queue_removals() {
  return [](const Target& target) { return std::make_unique<QueueRemoval>(target); };
}

Restored restore_queue(const Return& what) {
  const Saved& saved = what.saved;
  const char* const name = saved.object.path.c_str();
  if (Result<OpenQueue> there = open_queue(saved.object)) {
    if (what.same_boot && there->facts.inode == saved.object.inode &&
        there->facts.device == saved.object.device) {
      return complete(what, std::move(*there));
    }
    if (what.same_boot && saved.attempt && is_unfinished(*saved.attempt, *there, saved)) {
      ::mq_unlink(name);
    } else if (what.same_boot && saved.attempt && saved.attempt->result == there->facts.inode) {
      return present(saved, saved.object.id);
    } else {
      return not_restored(saved, "there is another queue with its name now");
    }
  } else if (there.error().code.value() != ENOENT) {
    return not_restored(saved, there.error().text());
  }
  if (const Result<void> noted = note_attempt(what); !noted) {
    return not_restored(saved, "the manifest cannot be written: " + noted.error().text());
  }
  const MoreQueueBytes more;
  mq_attr attributes{};
  attributes.mq_maxmsg = static_cast<long>(saved.limit);
  attributes.mq_msgsize = static_cast<long>(saved.message_bytes);
  const Fd queue(
      ::mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK | O_CLOEXEC, 0, &attributes));
  struct stat status {};
  if (!queue || ::fstat(queue.get(), &status) != 0) {
    return not_restored(
        saved, errno == EEXIST ? "there is another queue with its name now"
                               : "it cannot be made: " + std::generic_category().message(errno));
  }
  Result<void> done = what.backup.note(made_line(saved.number, status.st_ino));
  if (done) {
    done = fill_queue(what, queue);
  }
  if (!done) {
    ::mq_unlink(name);
    return not_restored(saved, done.error().text());
  }
  return note_restored(what, saved.object.id);
}

}  // namespace ipcscope
