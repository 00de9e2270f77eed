// SPDX-License-Identifier: GPL-2.0-or-later
// The one table of limits, and how each is raised.
#include "analysis/limit_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace ipcscope {

namespace {

constexpr uint64_t no_end = UINT64_MAX;

/// Twice as much as the limit, or as is used; no more than most.
uint64_t raised(const LimitFact& fact, uint64_t most = no_end) {
  const uint64_t from = std::max({*fact.limit, fact.used.value_or(0), uint64_t{1}});
  return from > most / 2 ? most : from * 2;
}

/// What has to stand before a command that is for another namespace.
std::string enter(const LimitFact& fact, char type) {
  return fact.place.name_space == 0 ? std::string()
                                    : fmt::format("nsenter -t {} -{} ", fact.place.pid, type);
}

/// Where it cannot be raised, nothing.
std::string set(const LimitFact& fact, char type, std::string_view key, uint64_t most = no_end) {
  return *fact.limit >= most
             ? std::string()
             : fmt::format("{}sysctl -w {}={}", enter(fact, type), key, raised(fact, most));
}

/// Identifiers have 15 bits for the index, 24 with the boot parameter (Linux 6.18 ipc/util.h,
/// IPCMNI).
std::string set_ids(const LimitFact& fact, std::string_view key) {
  constexpr uint64_t most = 32768, most_extended = 16777216;
  if (*fact.limit == most) {
    return fmt::format("boot with ipcmni_extend, then {}sysctl -w {}={}", enter(fact, 'i'), key,
                       2 * most);
  }
  return set(fact, 'i', key, *fact.limit < most ? most : most_extended);
}

/// kernel.sem has four numbers, of which one is this limit.
std::string set_sem(const LimitFact& fact, size_t at) {
  if (fact.setting.size() != 4) {
    return {};
  }
  std::vector<uint64_t> numbers = fact.setting;
  constexpr uint64_t most_sets = 32768, most = 2147483647;
  numbers[at] = raised(fact, at == 3 && *fact.limit <= most_sets ? most_sets : most);
  if (numbers[at] == fact.setting[at]) {
    return {};
  }
  return fmt::format("{}sysctl -w kernel.sem='{}'", enter(fact, 'i'), fmt::join(numbers, " "));
}

std::string set_process(const LimitFact& fact, std::string_view option) {
  if (fact.place.pid == 0) {
    return {};
  }
  const uint64_t soft = raised(fact);
  if (fact.setting.empty()) {
    return fmt::format("prlimit --pid {} --{}={}:unlimited", fact.place.pid, option, soft);
  }
  // A soft limit that stays below the hard one needs no privilege.
  const uint64_t hard = fact.setting[0];
  const uint64_t within = *fact.limit < hard ? std::min(soft, hard) : soft;
  return fmt::format("prlimit --pid {} --{}={}:{}", fact.place.pid, option, within,
                     std::max(within, hard));
}

std::string set_listener(const LimitFact& fact) {
  const uint64_t setting = fact.setting.empty() ? 0 : fact.setting[0];
  if (fact.place.kind != LimitPlace::Kind::channel || *fact.limit >= setting) {
    return set(fact, 'n', "net.core.somaxconn", 2147483647);
  }
  return fmt::format(
      "none: its program has to call listen() with more than {} (net.core.somaxconn "
      "allows {}), or to accept faster",
      *fact.limit, setting);
}

std::string set_ports(const LimitFact& fact) {
  constexpr uint64_t lowest = 1024, highest = 65535;
  const bool widest =
      fact.setting.size() == 2 && fact.setting[0] <= lowest && fact.setting[1] == highest;
  return widest ? enter(fact, 'n') + "sysctl -w net.ipv4.tcp_tw_reuse=1"
                : fmt::format("{}sysctl -w net.ipv4.ip_local_port_range='{} {}'", enter(fact, 'n'),
                              lowest, highest);
}

std::string set_inotify(const LimitFact& fact, std::string_view what) {
  constexpr uint64_t most = 2147483647;
  return fact.place.name_space == 0
             ? set(fact, 'U', fmt::format("fs.inotify.max_user_{}", what), most)
             : set(fact, 'U', fmt::format("user.max_inotify_{}", what), most);
}

/// As mount takes it: with a unit where that is exact.
std::string size_word(uint64_t bytes) {
  static constexpr std::string_view units = "kmg";
  size_t unit = 0;
  while (unit < units.size() && bytes >= 1024 && bytes % 1024 == 0) {
    bytes /= 1024;
    unit++;
  }
  return unit == 0 ? std::to_string(bytes) : fmt::format("{}{}", bytes, units[unit - 1]);
}

std::string remount(const LimitFact& fact, std::string_view option, const std::string& value) {
  return fmt::format("{}mount -o remount,{}={} {}", enter(fact, 'm'), option, value,
                     fact.place.name);
}

std::string set_huge_pages(const LimitFact& fact) {
  if (fact.setting.empty() || fact.place.name.empty()) {
    return {};
  }
  return fmt::format("echo {} > /sys/kernel/mm/hugepages/hugepages-{}/nr_hugepages",
                     std::max<uint64_t>(1, fact.setting[0] * 2), fact.place.name);
}

/// A word for a shell, whatever bytes are in it.
std::string quoted(std::string_view text) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-@:";
  if (!text.empty() && text.find_first_not_of(plain) == std::string_view::npos) {
    return std::string(text);
  }
  std::string word = "'";
  for (const char each : text) {
    word += each == '\'' ? std::string("'\\''") : std::string(1, each);
  }
  return word + "'";
}

/// systemd writes its own value again at the next reload.
std::string set_cgroup(const LimitFact& fact) {
  const std::string_view path = fact.place.name;
  const std::string_view unit = path.substr(path.rfind('/') + 1);
  for (const std::string_view type : {".service", ".slice", ".scope"}) {
    if (unit.ends_with(type)) {
      return fmt::format("systemctl set-property {} TasksMax={}", quoted(unit), raised(fact));
    }
  }
  return fmt::format("echo {} > {}", raised(fact), quoted(fact.directory + "/pids.max"));
}

constexpr auto count = LimitUnit::count;
constexpr auto bytes = LimitUnit::bytes;
constexpr uint64_t int_most = 2147483647;

using F = const LimitFact&;

/// In the order of LimitId.
const LimitRule table[] = {
    {LimitId::shmmni, "SHMMNI", count, false, nullptr,
     [](F fact) { return set_ids(fact, "kernel.shmmni"); }},
    {LimitId::shmall, "SHMALL", count, false, "in pages",
     [](F fact) { return set(fact, 'i', "kernel.shmall"); }},
    {LimitId::shmmax, "SHMMAX", bytes, true, "the largest segment",
     [](F fact) { return set(fact, 'i', "kernel.shmmax"); }},
    {LimitId::semmni, "SEMMNI", count, false, nullptr, [](F fact) { return set_sem(fact, 3); }},
    {LimitId::semmns, "SEMMNS", count, false, nullptr, [](F fact) { return set_sem(fact, 1); }},
    {LimitId::semmsl, "SEMMSL", count, true, "the largest set",
     [](F fact) { return set_sem(fact, 0); }},
    {LimitId::semopm, "SEMOPM", count, true, nullptr, [](F fact) { return set_sem(fact, 2); }},
    {LimitId::semume, "SEMUME", count, true, nullptr, [](F) { return std::string(); }},
    {LimitId::msgmni, "MSGMNI", count, false, nullptr,
     [](F fact) { return set_ids(fact, "kernel.msgmni"); }},
    {LimitId::msgmnb, "MSGMNB", bytes, false, "a queue takes the setting when it is made",
     [](F fact) { return set(fact, 'i', "kernel.msgmnb", int_most); }},
    {LimitId::msgmax, "MSGMAX", bytes, true, nullptr,
     [](F fact) { return set(fact, 'i', "kernel.msgmax", int_most); }},
    {LimitId::mq_queues_max, "fs.mqueue.queues_max", count, false, nullptr,
     [](F fact) { return set(fact, 'i', "fs.mqueue.queues_max", int_most); }},
    // HARD_MSGMAX and HARD_MSGSIZEMAX, Linux 6.18 include/linux/ipc_namespace.h.
    {LimitId::mq_msg_max, "fs.mqueue.msg_max", count, true, "the deepest queue",
     [](F fact) { return set(fact, 'i', "fs.mqueue.msg_max", 65536); }},
    {LimitId::mq_msgsize_max, "fs.mqueue.msgsize_max", bytes, true, "the largest message size",
     [](F fact) { return set(fact, 'i', "fs.mqueue.msgsize_max", 16777216); }},
    {LimitId::rlimit_msgqueue, "RLIMIT_MSGQUEUE", bytes, false, nullptr,
     [](F fact) { return set_process(fact, "msgqueue"); }},
    {LimitId::pipe_user_pages_soft, "fs.pipe-user-pages-soft", count, false,
     "beyond it, new pipes have two pages",
     [](F fact) { return set(fact, 'U', "fs.pipe-user-pages-soft"); }},
    {LimitId::pipe_user_pages_hard, "fs.pipe-user-pages-hard", count, false, nullptr,
     [](F fact) { return set(fact, 'U', "fs.pipe-user-pages-hard"); }},
    {LimitId::pipe_max_size, "fs.pipe-max-size", bytes, true, "the largest pipe",
     [](F fact) { return set(fact, 'U', "fs.pipe-max-size", uint64_t{1} << 31); }},
    {LimitId::max_dgram_qlen, "net.unix.max_dgram_qlen", count, false,
     "a socket takes the setting when it is made",
     [](F fact) { return set(fact, 'n', "net.unix.max_dgram_qlen", int_most); }},
    {LimitId::somaxconn, "net.core.somaxconn", count, false,
     "a listener takes the lower of it and what it gives to listen()", set_listener},
    {LimitId::rmem_max, "net.core.rmem_max", bytes, true, "the largest buffer of a UDP socket",
     [](F fact) { return set(fact, 'n', "net.core.rmem_max", int_most); }},
    {LimitId::wmem_max, "net.core.wmem_max", bytes, true, "the largest buffer of a UNIX socket",
     [](F fact) { return set(fact, 'n', "net.core.wmem_max", int_most); }},
    {LimitId::ip_local_port_range, "net.ipv4.ip_local_port_range", count, false, nullptr,
     set_ports},
    {LimitId::tcp_max_tw_buckets, "net.ipv4.tcp_max_tw_buckets", count, false, nullptr,
     [](F fact) { return set(fact, 'n', "net.ipv4.tcp_max_tw_buckets", int_most); }},
    {LimitId::rlimit_nofile, "RLIMIT_NOFILE", count, false, nullptr,
     [](F fact) { return set_process(fact, "nofile"); }},
    {LimitId::file_max, "fs.file-max", count, false, nullptr,
     [](F fact) { return set(fact, 'U', "fs.file-max"); }},
    {LimitId::nr_open, "fs.nr_open", count, false, "the most in one process",
     [](F fact) { return set(fact, 'U', "fs.nr_open", 2147483584); }},
    {LimitId::inotify_instances, "fs.inotify.max_user_instances", count, false, nullptr,
     [](F fact) { return set_inotify(fact, "instances"); }},
    {LimitId::inotify_watches, "fs.inotify.max_user_watches", count, false, nullptr,
     [](F fact) { return set_inotify(fact, "watches"); }},
    {LimitId::epoll_watches, "fs.epoll.max_user_watches", count, false, nullptr,
     [](F fact) { return set(fact, 'U', "fs.epoll.max_user_watches"); }},
    {LimitId::rlimit_sigpending, "RLIMIT_SIGPENDING", count, false, nullptr,
     [](F fact) { return set_process(fact, "sigpending"); }},
    {LimitId::shm_mount_space, "/dev/shm size", bytes, false, nullptr,
     [](F fact) { return remount(fact, "size", size_word(raised(fact))); }},
    {LimitId::shm_mount_inodes, "/dev/shm nr_inodes", count, false, nullptr,
     [](F fact) { return remount(fact, "nr_inodes", std::to_string(raised(fact))); }},
    {LimitId::huge_pages, "huge pages", count, false, nullptr, set_huge_pages},
    {LimitId::threads_max, "kernel.threads-max", count, false, nullptr,
     [](F fact) { return set(fact, 'U', "kernel.threads-max", int_most); }},
    {LimitId::pid_max, "kernel.pid_max", count, false, nullptr,
     [](F fact) { return set(fact, 'p', "kernel.pid_max", 4194304); }},
    {LimitId::cgroup_pids, "pids.max", count, false, nullptr, set_cgroup},
};
static_assert(std::size(table) == limit_id_count);

}  // namespace

const LimitRule& limit_rule(LimitId id) { return table[static_cast<size_t>(id)]; }

std::string remedy_of(const LimitFact& fact) { return limit_rule(fact.id).remedy(fact); }

}  // namespace ipcscope
