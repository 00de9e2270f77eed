// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/leftovers/leases.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "collectors/base/parse.h"
#include "collectors/child.h"
#include "collectors/mq_directory.h"
#include "collectors/name_spaces.h"
#include "collectors/shm_directory.h"
#include "collectors/take_bytes.h"

namespace ipcscope {

namespace {

constexpr std::chrono::seconds child_limit{5};
constexpr size_t first_page = 4096;

/// An object that no process was seen to have.
struct Candidate {
  ChannelIndex channel = no_index;
  std::string file;  ///< name in its directory
  uint32_t device = 0;
  uint64_t inode = 0;
};

/// What a child says of one candidate.
struct Answer {
  ChannelIndex channel = no_index;
  int32_t unused = -1;  ///< -1: it could not be asked
  int32_t text = -1;    ///< likewise
};

/// "major:minor" as in attributes.
std::optional<uint32_t> device_number(std::string_view text) {
  const auto major = parse_number<uint32_t>(next_word(text, ":"));
  const auto minor = parse_number<uint32_t>(next_word(text, ":"));
  return major && minor ? std::optional<uint32_t>(*major << 20 | *minor) : std::nullopt;
}

std::optional<Candidate> candidate(const Snapshot& snapshot, ChannelIndex index) {
  const Channel& channel = snapshot.channels[index];
  const Attribute* unlinked = snapshot.attribute(channel, "unlinked");
  const Attribute* inode = snapshot.attribute(channel, "inode");
  const Attribute* device = snapshot.attribute(channel, "device");
  if (channel.endpoint_count != 0 || channel.name.size() < 2 ||
      (unlinked != nullptr && unlinked->type == Attribute::Type::boolean && unlinked->boolean) ||
      inode == nullptr || inode->type != Attribute::Type::natural || device == nullptr ||
      device->type != Attribute::Type::text) {
    return std::nullopt;
  }
  const auto number = device_number(device->string());
  if (!number) {
    return std::nullopt;
  }
  Candidate found{index, std::string(channel.name.substr(1)), *number, inode->natural};
  if (channel.kind == Kind::posixsem) {
    found.file.insert(0, "sem.");
  }
  return found;
}

void ask_shm(const Snapshot& snapshot, const ProcRoot& proc,
             const std::vector<Candidate>& candidates, std::vector<Answer>& answers) {
  std::vector<ShmDirectory> directories;
  std::vector<uint32_t> seen;
  std::vector<std::string> failures;  // told by the snapshot already
  if (Result<ShmDirectory> own = own_shm_directory(proc)) {
    seen.push_back(own->device);
    directories.push_back(std::move(*own));
  }
  const bool is_elsewhere = std::any_of(
      candidates.begin(), candidates.end(),
      [&](const Candidate& each) { return seen.empty() || each.device != seen.front(); });
  if (is_elsewhere) {
    const uint32_t own_mnt_ns = proc.namespace_id(::getpid(), "mnt").value_or(0);
    for (ShmDirectory& other :
         other_shm_directories(snapshot, proc, own_mnt_ns, std::move(seen), failures)) {
      directories.push_back(std::move(other));
    }
  }
  for (const Candidate& each : candidates) {
    for (const ShmDirectory& directory : directories) {
      if (directory.device == each.device) {
        if (const auto unused =
                is_unused(directory.fd.get(), each.file.c_str(), each.device, each.inode)) {
          const auto first = read_shm(directory, each.file, each.inode, first_page);
          answers.push_back({each.channel, *unused ? 1 : 0, first ? is_text(*first) : -1});
        }
        break;
      }
    }
  }
}

/// For the queues of the IPC namespace that the calling thread is in.
void ask_queues(bool in_child, const std::vector<Candidate>& candidates,
                const std::function<void(const Answer&)>& tell) {
  const Fd directory = open_mqueue(in_child, true);
  if (!directory) {
    return;
  }
  for (const Candidate& each : candidates) {
    const auto unused = is_unused(directory.get(), each.file.c_str(), each.device, each.inode);
    tell({each.channel, unused ? (*unused ? 1 : 0) : -1, -1});
  }
}

void ask_other_queues(const Snapshot& snapshot, const ProcRoot& proc,
                      const std::vector<Candidate>& candidates, std::vector<Answer>& answers) {
  std::vector<std::pair<Fd, std::vector<Candidate>>> doors;
  const uint32_t own_ipc_ns = proc.namespace_id(::getpid(), "ipc").value_or(0);
  for (const NameSpace& other : other_name_spaces(snapshot, &Process::ipc_ns, own_ipc_ns)) {
    std::vector<Candidate> inside;
    std::copy_if(candidates.begin(), candidates.end(), std::back_inserter(inside),
                 [&](const Candidate& each) {
                   return snapshot.channels[each.channel].name_space == other.inode;
                 });
    if (Result<Fd> door = inside.empty() ? Result<Fd>(failure("no queue to ask for"))
                                         : open_name_space(proc, other, "ipc")) {
      doors.emplace_back(std::move(*door), std::move(inside));
    }
  }
  if (doors.empty()) {
    return;
  }
  const auto visit = [&](int out) {
    for (const auto& [door, inside] : doors) {
      if (::setns(door.get(), CLONE_NEWIPC) == 0) {
        ask_queues(true, inside, [&](const Answer& answer) {
          std::string bytes;
          put_bytes(bytes, answer);
          write_all(out, bytes);
        });
      }
    }
  };
  if (const Result<ChildOutput> output = run_in_child(visit, child_limit)) {
    ByteTaker from(output->bytes);
    while (from.left().size() >= sizeof(Answer)) {
      answers.push_back(from.value<Answer>());
    }
  }
}

}  // namespace

std::optional<bool> is_unused(int directory, const char* name, uint32_t device, uint64_t inode) {
  constexpr int flags = O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC;
  Fd file(::openat(directory, name, flags | O_NOATIME));
  if (!file && errno == EPERM) {
    file.reset(::openat(directory, name, flags));  // O_NOATIME is the owner's
  }
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
      status.st_ino != inode || record_device(status.st_dev) != device) {
    return std::nullopt;
  }
  // Whoever breaks a lease makes the kernel signal its holder, by default with SIGIO, which would
  // end us. SIGURG does nothing unless somebody asked for it.
  if (::fcntl(file.get(), F_SETSIG, SIGURG) != 0) {
    return std::nullopt;
  }
  if (::fcntl(file.get(), F_SETLEASE, F_WRLCK) == 0) {
    ::fcntl(file.get(), F_SETLEASE, F_UNLCK);
    return true;
  }
  return errno == EAGAIN ? std::optional<bool>(false) : std::nullopt;
}

bool is_text(std::string_view bytes) {
  return !bytes.empty() && bytes.find('\0') == std::string_view::npos;
}

void ask_leases(const Snapshot& snapshot, const ProcRoot& proc, Leftovers& leftovers,
                std::vector<Coverage>& coverage) {
  std::vector<Candidate> files;
  std::vector<Candidate> own_queues;
  std::vector<Candidate> other_queues;
  for (ChannelIndex i = 0; i < snapshot.channels.size(); i++) {
    const Channel& channel = snapshot.channels[i];
    if (channel.kind != Kind::posixshm && channel.kind != Kind::posixsem &&
        channel.kind != Kind::mq) {
      continue;
    }
    if (auto found = candidate(snapshot, i)) {
      (channel.kind != Kind::mq  ? files
       : channel.name_space == 0 ? own_queues
                                 : other_queues)
          .push_back(std::move(*found));
    }
  }
  const size_t wanted = files.size() + own_queues.size() + other_queues.size();
  if (wanted == 0 || !is_live(proc)) {
    return;
  }
  std::vector<Answer> answers;
  if (!files.empty()) {
    ask_shm(snapshot, proc, files, answers);
  }
  if (!own_queues.empty()) {
    ask_queues(false, own_queues, [&](const Answer& answer) { answers.push_back(answer); });
  }
  if (!other_queues.empty()) {
    ask_other_queues(snapshot, proc, other_queues, answers);
  }
  Coverage seen;
  seen.source = "write-lease";
  for (const Answer& answer : answers) {
    if (answer.unused >= 0 && answer.channel < snapshot.channels.size()) {
      ObjectFacts& facts = leftovers.objects[answer.channel];
      facts.unused = answer.unused == 1;
      if (answer.text >= 0) {
        facts.text = answer.text == 1;
      }
      seen.checked++;
    }
  }
  seen.unreadable = wanted - std::min<size_t>(wanted, seen.checked);
  if (seen.unreadable > 0) {
    seen.state = seen.checked > 0 ? Coverage::State::partial : Coverage::State::unavailable;
    seen.reason = fmt::format("the kernel was not asked whether {} POSIX object{} in use",
                              seen.unreadable, seen.unreadable == 1 ? " is" : "s are");
    seen.hint = "run as root (CAP_LEASE)";
  }
  coverage.push_back(std::move(seen));
}

}  // namespace ipcscope
