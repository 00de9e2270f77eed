// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <catch2/catch.hpp>

#include "analysis/limits.h"
#include "cli/limit_report.h"

using namespace ipcscope;

namespace {

using Place = LimitPlace::Kind;

LimitFact fact_of(LimitId id, Place kind, uint64_t used, uint64_t limit, uint32_t name_space = 0) {
  LimitFact fact;
  fact.id = id;
  fact.place.kind = kind;
  fact.place.name_space = name_space;
  fact.place.pid = name_space != 0 ? 77 : 0;
  fact.used = used;
  fact.limit = limit;
  return fact;
}

LimitUse judged(const LimitFact& fact) {
  LimitFacts facts;
  facts.facts.push_back(fact);
  const std::vector<LimitUse> uses = judge_limits(facts);
  REQUIRE(uses.size() == 1);
  return uses.front();
}

std::string remedy(const LimitFact& fact) { return judged(fact).remedy; }

LimitProcess process_of(int32_t pid, uint32_t descriptors, uint64_t soft) {
  LimitProcess process;
  process.pid = pid;
  process.descriptors = descriptors;
  process.has_limits = true;
  process.nofile = {soft, soft * 2};
  process.comm = "server";
  return process;
}

const LimitUse* find(const std::vector<LimitUse>& uses, std::string_view name,
                     std::string_view scope) {
  const auto found = std::find_if(uses.begin(), uses.end(), [&](const LimitUse& use) {
    return use.name == name && use.scope == scope;
  });
  return found != uses.end() ? &*found : nullptr;
}

}  // namespace

TEST_CASE("limits: a warning from 80 percent, critical from 95", "[limits]") {
  const auto severity = [](uint64_t used) {
    return judged(fact_of(LimitId::shmmni, Place::ipc, used, 1000)).severity;
  };
  CHECK(severity(799) == Severity::info);
  CHECK(severity(800) == Severity::warning);
  CHECK(severity(949) == Severity::warning);
  CHECK(severity(950) == Severity::critical);
  CHECK(severity(1100) == Severity::critical);
  // No overflow at the largest limits that there are.
  const uint64_t most = UINT64_MAX - (1U << 24);
  CHECK(judged(fact_of(LimitId::shmall, Place::ipc, most / 2, most)).severity == Severity::info);
  CHECK(judged(fact_of(LimitId::shmall, Place::ipc, most, most)).severity == Severity::critical);
}

TEST_CASE("limits: hundredths are rounded down, and only full is 100", "[limits]") {
  const auto percent = [](uint64_t used, uint64_t limit) {
    return limit_percent(judged(fact_of(LimitId::shmmni, Place::ipc, used, limit)));
  };
  CHECK(percent(0, 10) == 0U);
  CHECK(percent(1, 1000) == 0U);
  CHECK(percent(999999, 1000000) == 99U);
  CHECK(percent(10, 10) == 100U);
  CHECK(percent(11, 10) == 110U);
  CHECK(percent(1000, 1) == 999U);
  CHECK(percent(0, 0) == 0U);
  LimitFact unknown = fact_of(LimitId::shmmni, Place::ipc, 1, 1);
  unknown.used.reset();
  CHECK(limit_percent(judged(unknown)) == std::nullopt);
  CHECK(judged(unknown).severity == Severity::info);
}

TEST_CASE("limits: what is at its cap by choice is no finding", "[limits]") {
  for (const LimitId id : {LimitId::shmmax, LimitId::semmsl, LimitId::pipe_max_size,
                           LimitId::rmem_max, LimitId::mq_msg_max}) {
    const LimitUse use = judged(fact_of(id, Place::host, 100, 100));
    CHECK(use.ceiling);
    CHECK(use.severity == Severity::info);
  }
  LimitFact exempt = fact_of(LimitId::pipe_user_pages_soft, Place::user, 100, 100);
  exempt.exempt = true;
  CHECK(judged(exempt).severity == Severity::info);
  CHECK(judged(exempt).note.find("not enforced") != std::string::npos);
  LimitFact bound = fact_of(LimitId::ip_local_port_range, Place::net, 100, 100);
  bound.at_most = true;
  CHECK(judged(bound).severity == Severity::info);
}

TEST_CASE("limits: of the processes those that are near, and the nearest of the others",
          "[limits]") {
  LimitFacts facts;
  facts.processes = {process_of(1, 10, 1000), process_of(2, 990, 1000), process_of(3, 700, 1000),
                     process_of(4, 800, 1000), process_of(5, 3, 0)};
  const std::vector<LimitUse> uses = judge_limits(facts);
  REQUIRE(uses.size() == 3);
  CHECK(uses[0].scope == "process:2");
  CHECK(uses[0].severity == Severity::critical);
  CHECK(uses[0].remedy == "prlimit --pid 2 --nofile=2000:2000");
  CHECK(uses[1].scope == "process:4");
  CHECK(uses[2].scope == "process:3");
  // One that lowered its limit below what it had open is a sandbox: the fifth is told on demand
  // only.
  const std::vector<LimitUse> sandbox = judge_limits(facts, {.pid = 5});
  REQUIRE(sandbox.size() == 1);
  CHECK(sandbox[0].severity == Severity::info);
  CHECK(sandbox[0].note == "the limit was lowered below what was open");
}

TEST_CASE("limits: a process is under those of its namespaces, users and groups", "[limits]") {
  LimitFacts facts;
  LimitProcess inside = process_of(7, 3, 100);
  inside.ipc_ns = 400;
  inside.mnt_ns = 500;
  inside.uid = inside.euid = 33;
  inside.cgroup = 0;
  facts.processes = {process_of(1, 3, 100), inside};
  facts.cgroups = {"/pod/worker"};
  facts.facts.push_back(fact_of(LimitId::file_max, Place::host, 1, 10));
  facts.facts.push_back(fact_of(LimitId::shmmni, Place::ipc, 1, 10));
  facts.facts.push_back(fact_of(LimitId::shmmni, Place::ipc, 0, 10, 400));
  facts.facts.push_back(fact_of(LimitId::somaxconn, Place::net, 1, 10, 600));
  facts.facts.push_back(fact_of(LimitId::shm_mount_space, Place::mount, 1, 10));
  facts.facts.back().shared = {500};
  for (const uint32_t uid : {0U, 33U}) {
    facts.facts.push_back(fact_of(LimitId::epoll_watches, Place::user, 1, 10));
    facts.facts.back().place.uid = uid;
  }
  for (const char* path : {"/pod", "/pod/worker", "/pod/work"}) {
    facts.facts.push_back(fact_of(LimitId::cgroup_pids, Place::cgroup, 1, 10));
    facts.facts.back().place.name = path;
  }
  const std::vector<LimitUse> uses = judge_limits(facts, {.pid = 7});
  CHECK(uses.size() == 7);
  CHECK(find(uses, "fs.file-max", "host") != nullptr);
  CHECK(find(uses, "SHMMNI", "ipc@400") != nullptr);  // although it is not used
  CHECK(find(uses, "/dev/shm size", "mount:") != nullptr);
  CHECK(find(uses, "fs.epoll.max_user_watches", "user:33") != nullptr);
  CHECK(find(uses, "pids.max", "cgroup:/pod") != nullptr);
  CHECK(find(uses, "pids.max", "cgroup:/pod/worker") != nullptr);
  CHECK(find(uses, "RLIMIT_NOFILE", "process:7") != nullptr);
  CHECK(judge_limits(facts, {.pid = 8}).empty());
  // Of all: what nobody uses in another namespace is left out.
  const std::vector<LimitUse> all = judge_limits(facts);
  CHECK(find(all, "SHMMNI", "ipc@400") == nullptr);
  CHECK(find(all, "SHMMNI", "ipc") != nullptr);
  CHECK(find(all, "net.core.somaxconn", "net@600") != nullptr);
}

TEST_CASE("limits: a queue that is told stands for its namespace", "[limits]") {
  LimitFacts facts;
  LimitFact queue = fact_of(LimitId::msgmnb, Place::channel, 90, 100);
  queue.place.name = "msg:3";
  queue.users = {{12, 0, "sender", 0}};
  facts.facts = {queue, fact_of(LimitId::msgmnb, Place::ipc, 0, 100),
                 fact_of(LimitId::msgmnb, Place::ipc, 1, 100, 400)};
  const std::vector<LimitUse> uses = judge_limits(facts);
  REQUIRE(uses.size() == 2);
  CHECK(uses[0].scope == "msg:3");
  CHECK(uses[1].scope == "ipc@400");
  const std::vector<Finding> findings = near_limits(uses);
  REQUIRE(findings.size() == 1);
  CHECK(std::string_view(findings[0].rule) == "near-limit");
  CHECK(findings[0].severity == Severity::warning);
  CHECK(findings[0].channels == std::vector<std::string>{"msg:3"});
  CHECK(findings[0].pids == std::vector<int32_t>{12});
  CHECK(findings[0].summary == "MSGMNB of msg:3: 90 bytes of 100 bytes (90 %)");
  CHECK(findings[0].advice == "sysctl -w kernel.msgmnb=200");
}

TEST_CASE("limits: the command that raises each", "[limits]") {
  CHECK(remedy(fact_of(LimitId::shmmni, Place::ipc, 4000, 4096)) == "sysctl -w kernel.shmmni=8192");
  CHECK(remedy(fact_of(LimitId::shmmni, Place::ipc, 4000, 4096, 9)) ==
        "nsenter -t 77 -i sysctl -w kernel.shmmni=8192");
  CHECK(remedy(fact_of(LimitId::shmmni, Place::ipc, 30000, 32000)) ==
        "sysctl -w kernel.shmmni=32768");
  CHECK(remedy(fact_of(LimitId::msgmni, Place::ipc, 30000, 32768)) ==
        "boot with ipcmni_extend, then sysctl -w kernel.msgmni=65536");
  LimitFact sets = fact_of(LimitId::semmni, Place::ipc, 100, 128);
  sets.setting = {250, 32000, 32, 128};
  CHECK(remedy(sets) == "sysctl -w kernel.sem='250 32000 32 256'");
  sets.id = LimitId::semmns;
  sets.limit = 32000;
  CHECK(remedy(sets) == "sysctl -w kernel.sem='250 64000 32 128'");

  LimitFact files = fact_of(LimitId::rlimit_msgqueue, Place::user, 9, 10);
  CHECK(remedy(files).empty());  // no process to do it to
  files.place.pid = 5;
  files.setting = {15};
  CHECK(remedy(files) == "prlimit --pid 5 --msgqueue=15:15");  // the hard limit allows no more
  files.setting = {10};
  CHECK(remedy(files) == "prlimit --pid 5 --msgqueue=20:20");
  files.setting.clear();
  CHECK(remedy(files) == "prlimit --pid 5 --msgqueue=20:unlimited");

  LimitFact listener = fact_of(LimitId::somaxconn, Place::channel, 10, 10);
  listener.setting = {4096};
  CHECK(remedy(listener).find("listen() with more than 10") != std::string::npos);
  listener.setting = {10};
  CHECK(remedy(listener) == "sysctl -w net.core.somaxconn=20");

  LimitFact ports = fact_of(LimitId::ip_local_port_range, Place::net, 28000, 28232);
  ports.setting = {32768, 60999};
  CHECK(remedy(ports) == "sysctl -w net.ipv4.ip_local_port_range='1024 65535'");
  ports.setting = {1024, 65535};
  CHECK(remedy(ports) == "sysctl -w net.ipv4.tcp_tw_reuse=1");

  LimitFact shm = fact_of(LimitId::shm_mount_space, Place::mount, 60 << 20, 64 << 20, 9);
  shm.place.name = "/dev/shm";
  CHECK(remedy(shm) == "nsenter -t 77 -m mount -o remount,size=128m /dev/shm");
  LimitFact huge = fact_of(LimitId::huge_pages, Place::host, 10, 10);
  huge.place.name = "2048kB";
  huge.setting = {10};
  CHECK(remedy(huge) == "echo 20 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
  CHECK(remedy(fact_of(LimitId::pid_max, Place::pid_ns, 4000000, 4194304)).empty());
  CHECK(remedy(fact_of(LimitId::inotify_watches, Place::user, 9, 10)) ==
        "sysctl -w fs.inotify.max_user_watches=20");
  CHECK(remedy(fact_of(LimitId::inotify_watches, Place::user, 9, 10, 3)) ==
        "nsenter -t 77 -U sysctl -w user.max_inotify_watches=20");

  LimitFact group = fact_of(LimitId::cgroup_pids, Place::cgroup, 9, 10);
  group.place.name = "/system.slice/web.service";
  CHECK(remedy(group) == "systemctl set-property web.service TasksMax=20");
  group.place.name = "/a'b $x";
  group.directory = "/sys/fs/cgroup/a'b $x";
  CHECK(remedy(group) == "echo 20 > '/sys/fs/cgroup/a'\\''b $x/pids.max'");
}

TEST_CASE("limits: every limit has a name of its own and some way to raise it", "[limits]") {
  std::vector<std::string> names;
  for (size_t i = 0; i < limit_id_count; i++) {
    LimitFact fact = fact_of(static_cast<LimitId>(i), Place::host, 1, 10);
    fact.setting = {10, 10, 10, 10};
    fact.place.pid = 5;
    fact.place.name = "/x";
    const LimitUse use = judged(fact);
    CHECK(use.id == static_cast<LimitId>(i));
    CHECK((!use.remedy.empty() || use.id == LimitId::semume));
    names.push_back(use.name);
  }
  std::sort(names.begin(), names.end());
  CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
}

TEST_CASE("limits: what is shown", "[limits]") {
  LimitFacts facts;
  facts.facts.push_back(fact_of(LimitId::shmmni, Place::ipc, 900, 1000));
  facts.facts.push_back(fact_of(LimitId::shmmni, Place::ipc, 500, 1000, 9));
  facts.facts.push_back(fact_of(LimitId::msgmni, Place::ipc, 300, 1000));
  facts.facts.push_back(fact_of(LimitId::msgmni, Place::ipc, 200, 1000, 9));
  facts.facts.push_back(fact_of(LimitId::semmni, Place::ipc, 0, 1000));
  facts.facts.push_back(fact_of(LimitId::shmmax, Place::ipc, 1000, 1000));
  const std::vector<LimitUse> uses = judge_limits(facts);
  const auto names = [&](bool all, bool about_process) {
    std::vector<std::string> shown;
    for (const size_t i : choose_limits(uses, all, about_process)) {
      shown.push_back(uses[i].name + " " + uses[i].scope);
    }
    return shown;
  };
  // Of each the nearest, without what nobody uses and without caps on one object.
  CHECK(names(false, false) == std::vector<std::string>{"SHMMNI ipc", "MSGMNI ipc"});
  CHECK(names(false, true) ==
        std::vector<std::string>{"SHMMNI ipc", "SHMMNI ipc@9", "MSGMNI ipc", "MSGMNI ipc@9"});
  CHECK(names(true, false).size() == 6);
}
