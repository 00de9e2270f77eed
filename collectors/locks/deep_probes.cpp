// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/locks/deep_probes.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "collectors/base/parse.h"
#include "collectors/locks/uprobe_multi.h"
#include "collectors/proc/maps.h"
#include "collectors/stacks/address_space.h"

namespace ipcscope {

namespace {

/// Of the kernel's sort of events for breakpoints in programs; 0: it has none.
uint32_t uprobe_type() {
  const Result<ProcRoot> devices = ProcRoot::open("/sys/bus/event_source/devices");
  const Result<std::string> text =
      devices ? devices->read(std::string("uprobe/type")) : Failure(devices.error());
  std::string_view rest = text ? std::string_view(*text) : std::string_view();
  return next_number<uint32_t>(rest).value_or(0);
}

/// A breakpoint in one process, for all of its threads: the kernel goes by the memory of the thread
/// that is named (uprobe_perf_filter() in kernel/trace/trace_uprobe.c), and puts it nowhere else.
Result<Fd> open_uprobe(const char* path, uint64_t offset, pid_t thread) {
  static const uint32_t type = uprobe_type();
  if (type == 0) {
    return failure("this kernel has no uprobes for perf_event_open()");
  }
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.type = type;
  attributes.uprobe_path = reinterpret_cast<uintptr_t>(path);
  attributes.probe_offset = offset;
  Fd event(static_cast<int>(
      ::syscall(SYS_perf_event_open, &attributes, thread, -1, -1, PERF_FLAG_FD_CLOEXEC)));
  if (!event) {
    return system_failure("perf_event_open of a uprobe");
  }
  return event;
}

std::string_view file_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

bool is_glibc(std::string_view path) {
  const std::string_view name = file_name(path);
  return name.starts_with("libc.so.") || name.starts_with("libc-2.") ||
         name.starts_with("libpthread.so.") || name.starts_with("libpthread-2.");
}

/// A thread that stands for its process: the first one, unless that has ended before the others;
/// none when all have.
std::optional<pid_t> living_thread(const ProcRoot& proc, pid_t pid) {
  const Result<std::vector<int>> tids = proc.numbers(fmt::format("{}/task", pid).c_str());
  if (!tids && tids.error().code != std::errc::no_such_file_or_directory &&
      tids.error().code != std::errc::no_such_process) {
    return pid;  // nothing is known about them
  }
  for (const int tid : tids ? *tids : std::vector<int>()) {
    const Result<std::string> stat = proc.read(fmt::format("{}/task/{}/stat", pid, tid));
    const size_t end = stat ? stat->rfind(')') : std::string::npos;
    if (end != std::string::npos && end + 2 < stat->size() && (*stat)[end + 2] != 'Z') {
      return tid;
    }
  }
  return std::nullopt;
}

}  // namespace

Result<void> DeepProbes::attach_one(const char* path, const DeepFunction& function, pid_t thread,
                                    const deep_program& program) {
  Result<Fd> event = open_uprobe(path, function.offset, thread);
  if (!event) {
    return Failure(event.error());
  }
  if (program.by_cookie < 0) {
    if (::ioctl(event->get(), PERF_EVENT_IOC_SET_BPF, program.programs[function.sort]) != 0) {
      return system_failure("attaching a program to a uprobe");
    }
    probes_.push_back(std::move(*event));
    return {};
  }
  bpf_link_create_opts options{};
  options.sz = sizeof options;
  options.perf_event.bpf_cookie = function.sort;
  Fd link(::bpf_link_create(program.by_cookie, event->get(), BPF_PERF_EVENT, &options));
  if (!link) {
    return system_failure("attaching a program to a uprobe");
  }
  probes_.push_back(std::move(link));  // which has the event
  return {};
}

Result<void> DeepProbes::attach_all(const char* path, std::span<const DeepFunction> functions,
                                    pid_t thread, const deep_program& program) {
  if (program.way == DEEP_ALL_TOGETHER) {
    std::vector<uint64_t> offsets, cookies;
    for (const DeepFunction& function : functions) {
      offsets.push_back(function.offset);
      cookies.push_back(function.sort);
    }
    const uprobe_places places = {path, offsets.data(), cookies.data(),
                                  static_cast<uint32_t>(functions.size())};
    const int link = ::link_uprobes(program.by_cookie, &places, thread);
    if (link < 0) {
      return system_failure("attaching a program to uprobes", -link);
    }
    probes_.emplace_back(link);
    return {};
  }
  for (const DeepFunction& function : functions) {
    if (Result<void> attached = attach_one(path, function, thread, program); !attached) {
      return attached;
    }
  }
  return {};
}

Result<void> DeepProbes::attach_to(const ProcRoot& proc, pid_t pid, const deep_program& program) {
  const std::optional<pid_t> thread = living_thread(proc, pid);
  if (!thread) {
    return failure(fmt::format("process {} has ended", pid));
  }
  const Result<AddressSpace> space = AddressSpace::open(proc, *thread);
  if (!space) {
    return Failure(space.error());
  }
  bool found = false;
  for (const bool library : {true, false}) {
    for (const UserModule& module : space->modules()) {
      const std::string& path = space->mappings()[module.first].path;
      if (found && !library) {
        break;
      }
      if (!module.executable || is_glibc(path) != library) {
        continue;
      }
      const Fd file = space->open_file(module);
      if (!file) {
        continue;
      }
      const Result<std::vector<DeepFunction>> functions = find_deep_functions(file.get(), library);
      if (!functions || functions->empty()) {
        continue;
      }
      if (Result<void> attached = attach_all(fmt::format("/proc/self/fd/{}", file.get()).c_str(),
                                             *functions, *thread, program);
          !attached) {
        return attached;
      }
      found = true;
      count_ += static_cast<uint32_t>(functions->size());
      stepped_ += static_cast<uint32_t>(std::count_if(
          functions->begin(), functions->end(), [](const DeepFunction& f) { return !f.emulated; }));
    }
  }
  if (!found) {
    return failure(
        fmt::format("no glibc is found in process {}, whose functions --deep looks at", pid));
  }
  return {};
}

bool DeepProbes::can_attach_together(const ProcRoot& proc, std::span<const pid_t> pids) {
  return std::all_of(pids.begin(), pids.end(),
                     [&](pid_t pid) { return living_thread(proc, pid) == pid; }) &&
         ::has_uprobe_multi() != 0;
}

Result<void> DeepProbes::attach(const ProcRoot& proc, std::span<const pid_t> pids,
                                const deep_program& program) {
  for (const pid_t pid : pids) {
    if (Result<void> attached = attach_to(proc, pid, program); !attached) {
      return living_thread(proc, pid) ? attached
                                      : failure(fmt::format("process {} has ended", pid));
    }
  }
  return {};
}

// What a probe costs depends on the machine, and much on the instruction that it is at. These are
// never called but for that.
extern "C" {
void ipcscope_sample_emulated_lock(void* lock);
void ipcscope_sample_emulated_unlock(void* lock);
void ipcscope_sample_stepped_lock(void* lock);
void ipcscope_sample_stepped_unlock(void* lock);
}
#if defined(__x86_64__)
#define SAMPLE_EMULATED "push %rbp\n pop %rbp\n ret\n"
#define SAMPLE_STEPPED "mov (%rdi), %eax\n ret\n"
#elif defined(__aarch64__)
#define SAMPLE_EMULATED "nop\n ret\n"
#define SAMPLE_STEPPED "ldr w1, [x0]\n ret\n"
#endif
#define SAMPLE(name, code) \
  ".globl " name "\n .hidden " name "\n .type " name ", %function\n .balign 16\n" name ":\n" code
__asm__(".pushsection .text\n" SAMPLE("ipcscope_sample_emulated_lock", SAMPLE_EMULATED)
            SAMPLE("ipcscope_sample_emulated_unlock", SAMPLE_EMULATED)
                SAMPLE("ipcscope_sample_stepped_lock", SAMPLE_STEPPED)
                    SAMPLE("ipcscope_sample_stepped_unlock", SAMPLE_STEPPED) ".popsection\n");

namespace {

using Sample = void (*)(void*);

/// Where a function of this program is in its file.
std::optional<uint64_t> own_offset(Sample function) {
  const auto address = reinterpret_cast<uint64_t>(function);
  const Result<ProcRoot> proc = ProcRoot::open();
  const Result<std::string> maps =
      proc ? proc->read(std::string("self/maps")) : Failure(proc.error());
  std::string_view rest = maps ? std::string_view(*maps) : std::string_view();
  while (!rest.empty()) {
    const auto line = parse_maps_line(next_line(rest));
    if (line && line->start <= address && address < line->end) {
      return line->offset + (address - line->start);
    }
  }
  return std::nullopt;
}

/// How long a call of one of these takes, in ns.
uint64_t time_of(Sample lock, Sample unlock) {
  using Clock = std::chrono::steady_clock;
  constexpr int rounds = 7, pairs = 40;
  std::array<uint64_t, 8> word{};
  std::array<uint64_t, rounds> took{};
  for (uint64_t& each : took) {
    const auto begin = Clock::now();
    for (int i = 0; i < pairs; i++) {
      lock(word.data());
      unlock(word.data());
    }
    each = static_cast<uint64_t>(std::chrono::nanoseconds(Clock::now() - begin).count());
  }
  std::nth_element(took.begin(), took.begin() + rounds / 2, took.end());
  return took[rounds / 2] / (2 * pairs);
}

}  // namespace

DeepProbes::Cost DeepProbes::measure_cost(const deep_program& program) {
  std::vector<DeepFunction> functions;
  for (const auto& [function, sort] :
       {std::pair{&ipcscope_sample_emulated_lock, DEEP_MUTEX_LOCK},
        std::pair{&ipcscope_sample_emulated_unlock, DEEP_MUTEX_UNLOCK},
        std::pair{&ipcscope_sample_stepped_lock, DEEP_MUTEX_LOCK},
        std::pair{&ipcscope_sample_stepped_unlock, DEEP_MUTEX_UNLOCK}}) {
    const std::optional<uint64_t> offset = own_offset(function);
    if (!offset) {
      return {};
    }
    functions.push_back({{}, sort, *offset, false});
  }
  // They are taken away with the others: it takes long, and nobody comes by them any more.
  if (!attach_all("/proc/self/exe", functions, ::getpid(), program)) {
    return {};
  }
  return {time_of(ipcscope_sample_emulated_lock, ipcscope_sample_emulated_unlock),
          time_of(ipcscope_sample_stepped_lock, ipcscope_sample_stepped_unlock)};
}

int DeepProbes::try_together() {
  const std::optional<uint64_t> offset = own_offset(&ipcscope_sample_emulated_lock);
  if (!offset) {
    return ENOENT;
  }
  const uint64_t cookie = 0;
  const uprobe_places place{"/proc/self/exe", &*offset, &cookie, 1};
  return ::try_uprobe_multi(&place, [] { ipcscope_sample_emulated_lock(nullptr); });
}

}  // namespace ipcscope
