// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/removal/family.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <ctime>

#include "collectors/removal/content.h"

namespace ipcscope {

std::string difference(const Target& judged, const Target& now) {
  using Type = Target::Type;
  const bool sysv = judged.type <= Type::msg;
  const bool queue = judged.type == Type::msg || judged.type == Type::mq;
  std::string found;
  const auto differ = [&found](auto was, auto is, const char* what) {
    if (found.empty() && was != is) {
      found = fmt::format("{} is {} now, it was {}", what, is, was);
    }
  };
  if (judged.key != now.key) {
    return fmt::format("its key is 0x{:08x} now, it was 0x{:08x}", now.key, judged.key);
  }
  differ(judged.inode, now.inode, "its inode number");
  differ(judged.device, now.device, "its device number");
  differ(judged.uid, now.uid, "its owner");
  differ(judged.gid, now.gid, "its group");
  differ(judged.cuid, now.cuid, "the user that made it");
  differ(judged.cgid, now.cgid, "the group that made it");
  const uint32_t permissions = sysv ? 0777 : 07777;
  if (found.empty() && ((judged.mode ^ now.mode) & permissions) != 0) {
    found = fmt::format("its mode is {:o} now, it was {:o}", now.mode & permissions,
                        judged.mode & permissions);
  }
  if (judged.type == Type::shm) {
    differ(judged.creator, now.creator, "the process that made it");
  }
  if (judged.type == Type::sem) {
    differ(judged.messages, now.messages, "the number of its semaphores");
  }
  if (!judged.allow_used || !queue) {
    differ(judged.bytes, now.bytes, "its size");
  }
  if (sysv || !judged.allow_used) {
    differ(judged.times[2], now.times[2], "the time it was changed");
  }
  if (judged.allow_used) {
    return found;
  }
  if (queue) {
    differ(judged.messages, now.messages, "the number of its messages");
  }
  if (judged.type == Type::msg) {
    differ(judged.creator, now.creator, "the process that last sent to it");
  }
  differ(judged.last, now.last, "the process that last used it");
  differ(judged.times[0], now.times[0], "the time it was last used");
  differ(judged.times[1], now.times[1], "the time it was last used");
  return found;
}

void set_facts(Saved& saved, Target facts) {
  Target& object = saved.object;
  facts.type = object.type;
  facts.id = std::move(object.id);
  facts.path = std::move(object.path);
  facts.name_space = object.name_space;
  facts.pids = std::move(object.pids);
  object = std::move(facts);
}

Result<Fd> open_verified(const Return& what) {
  Result<Fd> file = what.backup.open_file(what.saved.file, O_RDONLY);
  if (!file) {
    return file;
  }
  const Result<uint32_t> checksum = content_checksum(file->get(), what.saved.file_bytes);
  if (!checksum) {
    return failure(what.saved.file + ": " + checksum.error().text());
  }
  if (*checksum != what.saved.checksum) {
    return failure(what.saved.file + " is damaged: its checksum is wrong");
  }
  return file;
}

Result<void> note_attempt(const Return& what) {
  return what.backup.note(
      restoring_line(what.saved.number, {::getpid(), std::time(nullptr), std::nullopt}));
}

Restored note_restored(const Return& what, const std::string& new_id) {
  Restored done{Restored::State::restored, what.saved.object.id, new_id, {}};
  if (const Result<void> noted = what.backup.note(restored_line(what.saved.number, new_id));
      !noted) {
    // It is back all the same; another call will look at it again.
    done.reason = "the manifest could not be written: " + noted.error().text();
  }
  return done;
}

}  // namespace ipcscope
