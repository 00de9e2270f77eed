// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/limits/name_space_files.h"

#include <fmt/format.h>
#include <sched.h>

#include <string_view>

#include "collectors/child.h"
#include "collectors/take_bytes.h"

namespace ipcscope {

namespace {

constexpr std::chrono::seconds child_limit{5};

int clone_flag(std::string_view kind) {
  return kind == "ipc"   ? CLONE_NEWIPC
         : kind == "net" ? CLONE_NEWNET
         : kind == "pid" ? CLONE_NEWPID
                         : CLONE_NEWUSER;
}

/// A setting is looked up in the namespace of whoever opens its file (Linux 6.18
/// fs/proc/proc_sysctl.c, lookup_entry, and set_lookup of ipc/ipc_sysctl.c, ipc/mq_sysctl.c,
/// net/sysctl_net.c and kernel/ucount.c; since 6.14 also that of pid_max).
std::vector<std::string> read_here(const ProcRoot& proc, std::span<const char* const> paths,
                                   const ReadMore& more) {
  std::vector<std::string> texts;
  for (const char* path : paths) {
    std::string text;
    if (const Result<void> done = proc.read(path, text); !done) {
      text.clear();
    }
    texts.push_back(std::move(text));
  }
  if (more) {
    texts.push_back(more());
  }
  return texts;
}

std::string encode(int32_t error, const std::vector<std::string>& texts) {
  std::string out;
  put_bytes(out, error);
  put_bytes(out, static_cast<uint32_t>(texts.size()));
  for (const std::string& text : texts) {
    put_bytes(out, static_cast<uint32_t>(text.size()));
    out += text;
  }
  return out;
}

}  // namespace

NameSpaceReading read_in_name_spaces(const ProcRoot& proc, const std::vector<NameSpace>& others,
                                     const char* kind, std::span<const char* const> paths,
                                     const ReadMore& more) {
  NameSpaceReading reading;
  reading.found.push_back({0, 0, read_here(proc, paths, more)});
  struct Door {
    uint32_t inode;
    int32_t pid;
    Fd file;
  };
  std::vector<Door> doors;
  for (const NameSpace& other : others) {
    if (Result<Fd> file = open_name_space(proc, other, kind)) {
      doors.push_back({other.inode, other.pids.front(), std::move(*file)});
    } else {
      reading.problems.push_back(file.error().code.message());
    }
  }
  if (doors.empty()) {
    return reading;
  }
  const int flag = clone_flag(kind);
  const auto read_behind = [&](const Door& door) {
    return ::setns(door.file.get(), flag) != 0 ? encode(errno, {})
                                               : encode(0, read_here(proc, paths, more));
  };
  // Who is in another user namespace cannot come back, and of another PID namespace only the
  // children are members: each of those needs a child of its own.
  const auto read_apart = [&](const Door& door) {
    if (flag == CLONE_NEWPID && ::setns(door.file.get(), flag) != 0) {
      return encode(errno, {});
    }
    const auto inside = [&](int back) {
      write_all(back,
                flag == CLONE_NEWPID ? encode(0, read_here(proc, paths, more)) : read_behind(door));
    };
    const Result<ChildOutput> output = run_in_child(inside, child_limit);
    return output && output->complete ? output->bytes : encode(ECHILD, {});
  };
  const auto visit = [&](int out) {
    for (const Door& door : doors) {
      const bool apart = flag == CLONE_NEWPID || flag == CLONE_NEWUSER;
      if (!write_all(out, apart ? read_apart(door) : read_behind(door))) {
        return;
      }
    }
  };
  const Result<ChildOutput> output = run_in_child(visit, child_limit);
  if (!output) {
    reading.problems.insert(reading.problems.end(), doors.size(), output.error().text());
    return reading;
  }
  ByteTaker from(output->bytes);
  for (const Door& door : doors) {
    NameSpaceFiles files{door.inode, door.pid, {}};
    const auto error = from.value<int32_t>();
    const auto count = from.value<uint32_t>();
    for (uint32_t i = 0; i < count && from.good(); i++) {
      const auto size = from.value<uint32_t>();
      files.texts.emplace_back(from.bytes(size));
    }
    if (!from.good()) {
      reading.problems.emplace_back("the child that went there did not come back in time");
    } else if (error != 0) {
      reading.problems.push_back(std::generic_category().message(error));
    } else {
      reading.found.push_back(std::move(files));
    }
  }
  return reading;
}

Coverage cover_name_spaces(const char* source, const char* noun, const NameSpaceReading& reading) {
  Coverage coverage;
  coverage.source = source;
  coverage.checked = reading.found.size();
  if (!reading.problems.empty()) {
    coverage.state = Coverage::State::partial;
    coverage.unreadable = reading.problems.size();
    coverage.reason =
        fmt::format("{} other {} namespace{} could not be read: {}", reading.problems.size(), noun,
                    reading.problems.size() == 1 ? "" : "s", reading.problems.front());
    coverage.hint = "run as root (CAP_SYS_ADMIN and CAP_SYS_PTRACE)";
  }
  return coverage;
}

}  // namespace ipcscope
