// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/doctor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/inet_diag.h>
#include <linux/kcmp.h>
#include <linux/netlink.h>
#include <linux/netlink_diag.h>
#include <linux/packet_diag.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "collectors/base/fd.h"
#include "collectors/base/parse.h"
#include "collectors/bpf_refusal.h"
#include "collectors/child.h"
#include "collectors/kernel_layout.h"

namespace ipcscope {

namespace {

using State = Capability::State;

constexpr const char* as_root = "run as root";
constexpr unsigned cap_sys_ptrace = 19;
constexpr unsigned cap_sys_admin = 21;
constexpr unsigned cap_perfmon = 38;
constexpr unsigned cap_bpf = 39;

Capability works(std::string name) { return {std::move(name), State::works, {}, {}, {}}; }

std::string error_text(int number) { return ::strerror(number); }

/// The effective capabilities of this process, as bits.
uint64_t own_privileges(const ProcRoot& proc) {
  const Result<std::string> status = proc.read(std::string("self/status"));
  std::string_view left = status ? std::string_view(*status) : std::string_view();
  while (!left.empty()) {
    std::string_view line = next_line(left);
    if (next_word(line) == "CapEff:") {
      return next_number<uint64_t>(line, 16).value_or(0);
    }
  }
  return 0;
}

bool has(uint64_t privileges, unsigned which) { return (privileges >> which & 1) != 0; }

std::optional<int> setting(const ProcRoot& proc, const char* name) {
  const Result<std::string> text = proc.read(fmt::format("sys/kernel/{}", name));
  std::string_view left = text ? std::string_view(*text) : std::string_view();
  return next_number<int>(left);
}

/// Options of the mount at /proc that hide other users' processes, "hidepid=2"; empty when none do.
std::string hiding_option(const ProcRoot& proc) {
  const Result<std::string> mounts = proc.read(std::string("self/mountinfo"));
  std::string_view left = mounts ? std::string_view(*mounts) : std::string_view();
  while (!left.empty()) {
    const std::string_view line = next_line(left);
    const size_t option = line.find("hidepid=");
    if (line.find(" /proc ") != std::string_view::npos &&
        line.find(" - proc ") != std::string_view::npos && option != std::string_view::npos) {
      const std::string_view found =
          line.substr(option, line.find_first_of(", \n", option) - option);
      if (found != "hidepid=0" && found != "hidepid=off") {
        return std::string(found);
      }
    }
  }
  return {};
}

/// How many of the processes refuse something, of those for which it makes sense.
struct Refusals {
  size_t tried = 0, refused = 0;
  int one = 0;  ///< a process that refused
  int error = 0;

  /// error: 0 when process pid did not refuse.
  void count(int pid, int number) {
    tried++;
    if (number != 0) {
      refused++;
      one = pid;
      error = number;
    }
  }
  [[nodiscard]] std::string text() const {
    return fmt::format("{} of {} processes refuse, process {} for one: {}", refused, tried, one,
                       error_text(error));
  }
};

/// Some of the processes, enough to tell.
std::vector<int> sample(const ProcRoot& proc) {
  constexpr size_t enough = 256;
  Result<std::vector<int>> all = proc.numbers(".");
  std::vector<int> pids;
  const size_t step = all && all->size() > enough ? all->size() / enough : 1;
  for (size_t i = 0; all && i < all->size(); i += step) {
    pids.push_back((*all)[i]);
  }
  return pids;
}

constexpr const char* protected_anyway =
    "nothing: these are protected, by a security module or because they have capabilities that "
    "ipcscope has not";

/// Why the descriptors of a process cannot be seen; 0 when they can.
int descriptor_error(const ProcRoot& proc, int pid) {
  const std::string directory = fmt::format("{}/fd", pid);
  int error = 0;
  const Result<void> listed = proc.list(directory.c_str(), [&](const char* name) {
    // The directory may be open while what is in it is not.
    const Result<std::string> link = proc.link(fmt::format("{}/{}", directory, name).c_str());
    error = link ? 0 : link.error().code.value();
    return false;
  });
  return listed ? error : listed.error().code.value();
}

Capability other_processes(const ProcRoot& proc, uint64_t privileges) {
  Capability result = works("processes of other users");
  const std::string hiding = hiding_option(proc);
  if (!proc.read(std::string("1/stat")) && !hiding.empty()) {
    result.state = State::missing;
    result.reason = fmt::format("/proc is mounted with {}", hiding);
    result.lost = {"ls, show: every process of another user"};
    result.remedy = "run as root, or in the group that the mount option gid= names";
    return result;
  }
  Refusals refusals;
  for (const int pid : sample(proc)) {
    const int error = descriptor_error(proc, pid);
    if (error == 0 || error == EACCES || error == EPERM) {
      refusals.count(pid, error);
    }
  }
  if (refusals.refused > 0) {
    result.state = State::partial;
    result.reason = refusals.text();
    result.lost = {"ls, show: their descriptors, mappings and system calls, with the proc source"};
    result.remedy = has(privileges, cap_sys_ptrace)
                        ? protected_anyway
                        : "run as root, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH";
  }
  return result;
}

/// A file in /proc that kernels have or not.
Capability proc_file(const ProcRoot& proc, const char* name, const char* path, const char* lost,
                     const char* option) {
  Capability result = works(name);
  std::string text;
  if (const Result<void> read = proc.read(path, text); !read) {
    result.state = State::missing;
    result.reason = "/proc/" + read.error().text();
    result.lost = {lost};
    const bool refused = read.error().code.value() == EPERM || read.error().code.value() == EACCES;
    result.remedy = refused ? as_root : fmt::format("a kernel with {}", option);
  }
  return result;
}

Capability memory_of_others(const ProcRoot& proc, uint64_t privileges) {
  Capability result = works("process_vm_readv");
  result.lost = {"ls, show: owners of futexes, values of semaphores, with the proc source"};
  char byte = 0;
  const iovec local = {&byte, 1};
  // Nothing is mapped at 1, so EFAULT means that only the address was in the way.
  const iovec remote = {reinterpret_cast<void*>(1), 1};
  const auto attempt = [&](int pid) {
    return ::process_vm_readv(pid, &local, 1, &remote, 1, 0) < 0 ? errno : 0;
  };
  const int scope = setting(proc, "yama/ptrace_scope").value_or(0);
  if (attempt(::getpid()) == ENOSYS) {
    result.state = State::missing;
    result.reason = "not in this kernel";
    result.remedy = "a kernel with CONFIG_CROSS_MEMORY_ATTACH";
    return result;
  }
  if (scope >= 3 || (scope > 0 && !has(privileges, cap_sys_ptrace))) {
    result.state = State::missing;
    result.reason = fmt::format("kernel.yama.ptrace_scope is {}", scope);
    result.remedy = scope >= 3 ? "boot with kernel.yama.ptrace_scope below 3" : as_root;
    return result;
  }
  Refusals refusals;
  for (const int pid : sample(proc)) {
    const int error = attempt(pid);
    if (error != ESRCH) {  // a kernel thread, or gone
      refusals.count(pid, error == EFAULT ? 0 : error);
    }
  }
  if (refusals.refused > 0) {
    result.state = State::partial;
    result.reason = refusals.text();
    result.remedy =
        has(privileges, cap_sys_ptrace) ? protected_anyway : "run as root, or with CAP_SYS_PTRACE";
  } else {
    result.lost.clear();
  }
  return result;
}

Capability file_comparison() {
  Capability result = works("kcmp");
  const pid_t self = ::getpid();
  if (::syscall(SYS_kcmp, self, self, KCMP_FILE, 0, 0) < 0 && errno != EBADF) {
    result.state = State::missing;
    result.reason = error_text(errno);
    result.lost = {
        "ls, show: which processes share an eventfd, epoll or timerfd, with the proc source"};
    result.remedy = errno == ENOSYS ? "a kernel with CONFIG_KCMP"
                                    : "a container runtime whose seccomp profile allows kcmp";
  }
  return result;
}

/// errno of what a child tried, 0 when it went well; nothing when no child could be had.
std::optional<int> error_in_child(const std::function<bool()>& attempt) {
  const Result<ChildOutput> output = run_in_child(
      [&](int out) {
        const int number = attempt() ? 0 : errno;
        write_all(out, {reinterpret_cast<const char*>(&number), sizeof number});
      },
      std::chrono::seconds(2));
  int number = 0;
  if (!output || output->bytes.size() != sizeof number) {
    return std::nullopt;
  }
  std::memcpy(&number, output->bytes.data(), sizeof number);
  return number;
}

Capability other_namespaces(const ProcRoot& proc) {
  Capability result = works("setns");
  const auto error = error_in_child([&] {
    const Fd own(::openat(proc.descriptor(), "self/ns/ipc", O_RDONLY | O_CLOEXEC));
    return own && ::setns(own.get(), CLONE_NEWIPC) == 0;
  });
  if (error != 0) {
    result.state = State::missing;
    result.reason = error ? error_text(*error) : "no child process could be started";
    result.lost = {
        "ls, show: System V objects, sockets and queues of other namespaces that no visible "
        "process uses, with the proc source"};
    result.remedy = "run as root, or with CAP_SYS_ADMIN";
  }
  return result;
}

Capability message_queues(const ProcRoot& proc) {
  Capability result = works("mqueue");
  const Result<std::string> mounts = proc.read(std::string("self/mountinfo"));
  if (mounts && mounts->find(" - mqueue ") != std::string::npos) {
    return result;
  }
#ifdef SYS_fsopen
  constexpr unsigned create = 6;  // FSCONFIG_CMD_CREATE; <linux/mount.h> clashes with <sys/mount.h>
  const auto error = error_in_child([] {
    const Fd context(static_cast<int>(::syscall(SYS_fsopen, "mqueue", 1)));
    return context && ::syscall(SYS_fsconfig, context.get(), create, nullptr, nullptr, 0) == 0;
  });
#else
  const std::optional<int> error = ENOSYS;
#endif
  if (error != 0) {
    result.state = State::missing;
    result.reason =
        fmt::format("not mounted, and cannot be: {}", error ? error_text(*error) : "no child");
    result.lost = {"ls: message queues that no process has open"};
    result.remedy = error == ENODEV ? "a kernel with CONFIG_POSIX_MQUEUE"
                                    : "run as root, or mount -t mqueue none /dev/mqueue";
  }
  return result;
}

/// The kernel's answer to a dump request: 0, or an errno.
int ask_sock_diag(const void* request, size_t size) {
  const Fd socket(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!socket || ::send(socket.get(), request, size, 0) < 0) {
    return errno;
  }
  alignas(nlmsghdr) char buffer[32768];
  while (true) {
    const ssize_t got = ::recv(socket.get(), buffer, sizeof buffer, 0);
    if (got < static_cast<ssize_t>(sizeof(nlmsghdr))) {
      return got < 0 ? errno : EPROTO;
    }
    nlmsghdr head{};
    std::memcpy(&head, buffer, sizeof head);
    if (head.nlmsg_type == NLMSG_ERROR) {
      nlmsgerr error{};
      std::memcpy(&error, buffer + sizeof head,
                  std::min(sizeof error, static_cast<size_t>(got) - sizeof head));
      return -error.error;
    }
    return 0;  // a socket, or the end of none: somebody answers
  }
}

template <typename Body>
int ask_family(Body body) {
  struct {
    nlmsghdr head;
    Body body;
  } request{};
  request.head.nlmsg_len = sizeof request;
  request.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body = body;
  return ask_sock_diag(&request, sizeof request);
}

Capability socket_tables() {
  struct Family {
    const char* name;
    const char* module;
    int error;
  };
  inet_diag_req_v2 tcp{};
  tcp.sdiag_family = AF_INET;
  tcp.sdiag_protocol = IPPROTO_TCP;
  inet_diag_req_v2 udp = tcp;
  udp.sdiag_protocol = IPPROTO_UDP;
  // No states asked for: the kernel walks its table and sends nothing.
  unix_diag_req unix_sockets{};
  unix_sockets.sdiag_family = AF_UNIX;
  netlink_diag_req netlink{};
  netlink.sdiag_family = AF_NETLINK;
  netlink.sdiag_protocol = NDIAG_PROTO_ALL;
  packet_diag_req packet{};
  packet.sdiag_family = AF_PACKET;
  const Family families[] = {
      {"unix", "unix_diag", ask_family(unix_sockets)},
      {"tcp", "tcp_diag", ask_family(tcp)},
      {"udp", "udp_diag", ask_family(udp)},
      {"netlink", "netlink_diag", ask_family(netlink)},
      {"packet", "af_packet_diag", ask_family(packet)},
  };
  Capability result = works("sock_diag");
  std::string modules;
  size_t failed = 0;
  for (const Family& family : families) {
    if (family.error == 0) {
      continue;
    }
    failed++;
    result.reason += fmt::format("{}{}: {}", result.reason.empty() ? "" : ", ", family.name,
                                 family.error == ENOENT ? "no module" : error_text(family.error));
    modules += fmt::format("{}{}", modules.empty() ? "" : " ", family.module);
    result.lost.push_back(
        fmt::format("ls, show: peers and queues of {} sockets, with the proc source", family.name));
  }
  if (failed > 0) {
    result.state = failed < std::size(families) ? State::partial : State::missing;
    result.remedy = fmt::format("modprobe -a {}", modules);
  }
  return result;
}

Capability type_information() {
  Capability result = works("BTF");
  if (const Result<kernel_layout> layout = read_kernel_layout(); !layout) {
    result.state = State::missing;
    result.reason = layout.error().text();
    result.lost = {"every command: the bpf source"};
    result.remedy =
        "a kernel with CONFIG_DEBUG_INFO_BTF, and /sys mounted, or its BTF in a file, with --btf";
  }
  return result;
}

Capability bpf_privilege(const ProcRoot& proc, uint64_t privileges) {
  Capability result = works("BPF privilege");
  if (has(privileges, cap_sys_admin) ||
      (has(privileges, cap_bpf) && has(privileges, cap_perfmon))) {
    return result;
  }
  result.state = State::missing;
  result.reason = "neither CAP_SYS_ADMIN nor both CAP_BPF and CAP_PERFMON";
  if (const auto disabled = setting(proc, "unprivileged_bpf_disabled")) {
    result.reason += fmt::format(
        "; kernel.unprivileged_bpf_disabled is {}, but at 0 what reads "
        "kernel memory needs them too",
        *disabled);
  }
  result.lost = {"every command: the bpf source"};
  result.remedy = "run as root, or with CAP_BPF and CAP_PERFMON";
  return result;
}

Capability perf_events(const ProcRoot& proc, uint64_t privileges) {
  Capability result = works("perf events");
  const int paranoid = setting(proc, "perf_event_paranoid").value_or(2);
  if (has(privileges, cap_sys_admin) || has(privileges, cap_perfmon) || paranoid < 0) {
    return result;
  }
  result.state = State::missing;
  result.reason = fmt::format("kernel.perf_event_paranoid is {}, and no CAP_PERFMON", paranoid);
  result.lost = {"tracing: probes in user space"};
  result.remedy = "run as root, or with CAP_PERFMON";
  return result;
}

Capability lockdown() {
  Capability result = works("lockdown");
  // Without securityfs it cannot be told; whether BPF works is tried anyway.
  if (is_kernel_memory_locked()) {
    result.state = State::missing;
    result.reason = "lockdown=confidentiality forbids to read kernel memory";
    result.lost = {"every command: the bpf source"};
    result.remedy = "boot with lockdown=integrity or none";
  }
  return result;
}

}  // namespace

std::vector<Capability> probe_capabilities(const ProcRoot& proc) {
  const uint64_t privileges = own_privileges(proc);
  return {
      other_processes(proc, privileges),
      proc_file(proc, "system calls", "self/syscall",
                "ls, show: what a thread is blocked in, with the proc source",
                "CONFIG_HAVE_ARCH_TRACEHOOK"),
      proc_file(proc, "scheduler times", "self/sched",
                "ls, show: since when a thread is blocked, with the proc source",
                "CONFIG_SCHED_DEBUG"),
      proc_file(proc, "kernel stacks", "self/stack", "show PID: kernel stacks",
                "CONFIG_STACKTRACE"),
      proc_file(proc, "file locks", "locks", "ls, show: file locks, with the proc source",
                "CONFIG_FILE_LOCKING"),
      proc_file(proc, "System V objects", "sysvipc/shm", "ls, show: shm, sem, msg",
                "CONFIG_SYSVIPC"),
      message_queues(proc),
      socket_tables(),
      memory_of_others(proc, privileges),
      file_comparison(),
      other_namespaces(proc),
      type_information(),
      bpf_privilege(proc, privileges),
      perf_events(proc, privileges),
      lockdown(),
  };
}

}  // namespace ipcscope
