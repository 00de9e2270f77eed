// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/process_facts.h"

#include <catch2/catch.hpp>

#include "tests/unit/fake_tree.h"

namespace ipcscope {

namespace {

struct Recognized {
  std::string container, runtime, unit;
};

Recognized recognized(std::string cgroup) {
  ProcessFacts facts;
  facts.cgroup = std::move(cgroup);
  recognize_cgroup(facts);
  return {facts.container, facts.container_runtime, facts.unit};
}

const std::string id(64, 'a');

}  // namespace

TEST_CASE("containers and units by cgroup path", "[facts]") {
  CHECK(recognized("/system.slice/nginx.service").unit == "nginx.service");
  CHECK(recognized("/system.slice/nginx.service").container.empty());
  CHECK(recognized("/user.slice/user-0.slice/user@0.service/app.slice/x.scope").unit == "x.scope");

  CHECK(recognized("/system.slice/docker-" + id + ".scope").container == id);
  CHECK(recognized("/system.slice/docker-" + id + ".scope").runtime == "docker");
  CHECK(recognized("/docker/" + id).runtime == "docker");
  CHECK(recognized("/docker/" + id).container == id);
  const std::string pod = "/kubepods.slice/kubepods-besteffort.slice/kubepods-pod1.slice/";
  CHECK(recognized(pod + "cri-containerd-" + id + ".scope").runtime == "containerd");
  CHECK(recognized(pod + "crio-" + id + ".scope").runtime == "cri-o");
  CHECK(recognized("/kubepods/pod1/" + id).runtime == "kubernetes");
  CHECK(recognized("/machine.slice/libpod-" + id + ".scope/container").runtime == "podman");
  CHECK(recognized("/lxc.payload.web").container == "web");
  CHECK(recognized("/docker/not-an-id").container.empty());
  CHECK(recognized("").unit.empty());
}

TEST_CASE("what show tells of a process", "[facts]") {
  const FakeTree tree;
  tree.file("1/status", "Name:\tinit\nPPid:\t0\n");
  tree.file("7/status",
            "Name:\tsh\\n x\nPPid:\t1\nNSpid:\t7\t2\nSigQ:\t3/96365\nSigPnd:\t0000000000000002\n"
            "ShdPnd:\t0000000000000001\nSigBlk:\t0000000000000000\nSigIgn:\t8000000000000000\n"
            "SigCgt:\t0000000000000004\n");
  tree.file("7/cmdline", std::string("/bin/sh\0-c\0\0x\0", 14));
  tree.file("7/cgroup", "12:cpu:/old\n0::/system.slice/a:b.service\n");
  tree.file("7/limits",
            "Limit                     Soft Limit           Hard Limit           Units     \n"
            "Max cpu time              unlimited            unlimited            seconds   \n"
            "Max open files            1024                 524288               files     \n"
            "Max msgqueue size         819200               unlimited            bytes     \n");
  tree.link("7/ns/ipc", "ipc:[4026531839]");
  tree.file("7/task/7/status", "Name:\tsh\nSigPnd:\t0000000000000002\n");
  tree.file("7/task/7/wchan", "pipe_read");
  tree.file("7/task/7/stack", "[<0>] anon_pipe_read+0x2e1/0x3b0\n[<0>] vfs_read+0x2/0x3\n");
  tree.file("7/task/8/wchan", "0");
  const Result<ProcRoot> proc = ProcRoot::open(tree.path().c_str());
  REQUIRE(proc);

  const ProcessFacts facts = read_process_facts(*proc, 7, true);
  CHECK(facts.exists);
  CHECK(facts.command_line == std::vector<std::string>{"/bin/sh", "-c", "", "x"});
  CHECK(facts.cgroup == "/system.slice/a:b.service");
  CHECK(facts.unit == "a:b.service");
  CHECK(facts.namespace_pids == std::vector<int>{7, 2});
  REQUIRE(facts.parents.size() == 1);
  CHECK(facts.parents[0] == std::pair<int, std::string>(1, "init"));
  CHECK(facts.shared_pending == 1);
  CHECK(facts.blocked == 0);
  CHECK(facts.ignored == SignalSet{1} << 63);
  CHECK(facts.caught == 4);
  CHECK(facts.queued_signals == 3);
  REQUIRE(facts.limits.size() == 2);
  CHECK(facts.limits[0].name == "open files");
  CHECK(facts.limits[0].soft == 1024);
  CHECK(facts.limits[1].hard == std::nullopt);
  REQUIRE(facts.namespaces.size() == 1);
  CHECK(facts.namespaces[0].second == 4026531839U);
  REQUIRE(facts.threads.size() == 2);
  CHECK(facts.threads[0].wchan == "pipe_read");
  CHECK(facts.threads[0].stack == std::vector<std::string>{"anon_pipe_read+0x2e1", "vfs_read+0x2"});
  CHECK(facts.threads[1].wchan.empty());
  CHECK_FALSE(facts.threads[1].pending.has_value());
}

TEST_CASE("a process that is gone, and a loop of parents", "[facts]") {
  const FakeTree tree;
  tree.file("5/status", "Name:\ta\nPPid:\t6\n");
  tree.file("6/status", "Name:\tb\nPPid:\t5\n");
  tree.file("6/cgroup", "\nnonsense\n0::");
  const Result<ProcRoot> proc = ProcRoot::open(tree.path().c_str());
  REQUIRE(proc);
  CHECK_FALSE(read_process_facts(*proc, 4, true).exists);
  CHECK(read_process_facts(*proc, 5, true).parents.size() <= 64);
  CHECK(read_process_facts(*proc, 6, true).cgroup.empty());
}

}  // namespace ipcscope
