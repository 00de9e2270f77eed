// SPDX-License-Identifier: GPL-2.0-or-later
// Limits of the whole host, and of PID namespaces.
#include <fmt/format.h>
#include <unistd.h>

#include "collectors/base/parse.h"
#include "collectors/limits/gathering.h"
#include "collectors/limits/name_space_files.h"

namespace ipcscope {

namespace {

void gather_files(LimitGathering& gathering) {
  const Snapshot& snapshot = gathering.snapshot;
  LimitTally open(gathering);
  std::optional<uint64_t> most;
  for (ProcessIndex i = 0; i < snapshot.processes.size(); i++) {
    const auto count = snapshot.processes[i].fd_count;
    if (count && gathering.process(i) != nullptr) {
      open.add_process(i, *count);
      most = std::max<uint64_t>(most.value_or(0), *count);
    }
  }
  // sys/fs/file-nr: allocated file structures, 0, the limit (Linux 6.18 fs/file_table.c,
  // proc_nr_files). CAP_SYS_ADMIN may go beyond it (alloc_empty_file).
  const std::vector<uint64_t> files = read_setting(gathering.proc, "sys/fs/file-nr");
  LimitFact& all = gathering.add(LimitId::file_max, {});
  all.used = number_at(files, 0);
  all.limit = number_at(files, 2);
  all.users = open.largest();
  // The largest RLIMIT_NOFILE that can be set (kernel/sys.c, do_prlimit).
  LimitFact& table = gathering.add(LimitId::nr_open, {});
  table.used = most;
  table.limit = number_at(read_setting(gathering.proc, "sys/fs/nr_open"), 0);
  table.users = open.largest();
}

/// The second number of "4/107", of all threads (Linux 6.18 fs/proc/loadavg.c: nr_threads).
std::optional<uint64_t> all_threads(const ProcRoot& proc) {
  const Result<std::string> text = proc.read(std::string("loadavg"));
  std::string_view left = text ? std::string_view(*text) : std::string_view();
  for (int i = 0; i < 3; i++) {
    next_word(left);
  }
  std::string_view tasks = next_word(left);
  next_word(tasks, "/");
  return parse_number<uint64_t>(next_word(tasks, "/"));
}

void gather_threads(LimitGathering& gathering) {
  constexpr uint32_t initial_pid_ns = 0xEFFFFFFC;  // PROC_PID_INIT_INO, include/linux/proc_ns.h
  const Snapshot& snapshot = gathering.snapshot;
  std::unordered_map<uint32_t, LimitTally> by_name_space;
  LimitTally all(gathering);
  for (ProcessIndex i = 0; i < snapshot.processes.size(); i++) {
    const Process& process = snapshot.processes[i];
    if (gathering.live && process.pid == ::getpid()) {
      continue;  // ipcscope's threads are the host's for a moment only
    }
    all.add_process(i, process.thread_count);
    if (process.pid_ns != 0 && process.pid_ns != gathering.own_pid_ns) {
      by_name_space.try_emplace(process.pid_ns, gathering)
          .first->second.add_process(i, process.thread_count);
    }
  }
  const std::optional<uint64_t> counted = all_threads(gathering.proc);
  LimitFact& threads = gathering.add(LimitId::threads_max, {});
  threads.used = counted;
  threads.limit = number_at(read_setting(gathering.proc, "sys/kernel/threads-max"), 0);
  threads.users = all.largest();

  static constexpr const char* paths[] = {"sys/kernel/pid_max"};
  const NameSpaceReading reading = read_in_name_spaces(
      gathering.proc,
      gathering.live ? other_name_spaces(snapshot, &Process::pid_ns, gathering.own_pid_ns)
                     : std::vector<NameSpace>(),
      "pid", paths);
  for (const NameSpaceFiles& each : reading.found) {
    LimitFact& fact = gathering.add(
        LimitId::pid_max,
        {.kind = LimitPlace::Kind::pid_ns, .name_space = each.name_space, .pid = each.pid});
    fact.limit = number_at(numbers_of(each.texts[0]), 0);
    if (each.name_space == 0) {
      // Elsewhere than in the first namespace, only what is seen has a number there.
      fact.used = gathering.own_pid_ns == initial_pid_ns || !gathering.live
                      ? counted
                      : std::optional<uint64_t>(all.total());
      fact.users = all.largest();
    } else if (const auto found = by_name_space.find(each.name_space);
               found != by_name_space.end()) {
      fact.used = found->second.total();
      fact.users = found->second.largest();
    }
  }
  gathering.facts.coverage.push_back(cover_name_spaces("limits-pid", "PID", reading));
}

/// sys/kernel/mm/hugepages of the own root: one directory a size (Linux 6.18
/// Documentation/admin-guide/mm/hugetlbpage.rst).
void gather_huge_pages(LimitGathering& gathering) {
  const std::string all = "self/root/sys/kernel/mm/hugepages";
  std::vector<std::string> names;
  const Result<void> done = gathering.proc.list(all.c_str(), [&](const char* name) {
    names.emplace_back(name);
    return true;
  });
  if (!done) {
    LimitFact& fact = gathering.add(LimitId::huge_pages, {});
    fact.note = "/sys/kernel/mm/hugepages: " + done.error().code.message();
    return;
  }
  for (const std::string& name : names) {
    const auto number = [&](const char* file) {
      return number_at(
          read_setting(gathering.proc, fmt::format("{}/{}/{}", all, name, file).c_str()), 0);
    };
    const auto pages = number("nr_hugepages");
    const auto free = number("free_hugepages");
    const auto reserved = number("resv_hugepages");
    const auto surplus = number("surplus_hugepages");
    const auto overcommit = number("nr_overcommit_hugepages");
    LimitPlace place;
    place.name = name.substr(name.find('-') + 1);  // "2048kB"
    LimitFact& fact = gathering.add(LimitId::huge_pages, std::move(place));
    if (pages && free && reserved && surplus && overcommit) {
      // Those that are promised to a mapping are free no more, and surplus ones come on demand.
      fact.used = *pages - *free + *reserved;
      fact.limit = *pages - *surplus + *overcommit;
      fact.setting = {*pages - *surplus};
    }
  }
}

}  // namespace

void gather_host_limits(LimitGathering& gathering) {
  gather_files(gathering);
  gather_threads(gathering);
  gather_huge_pages(gathering);
}

}  // namespace ipcscope
