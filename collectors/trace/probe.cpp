// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/trace/probe.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bitset>
#include <cstring>
#include <map>

#include "collectors/base/parse.h"
#include "collectors/hidden_processes.h"
#include "collectors/kernel_layout.h"
#include "collectors/name_spaces.h"
#include "collectors/trace/decoder.h"

namespace ipcscope {

namespace {

constexpr uint64_t bit(int kind) { return uint64_t{1} << kind; }

/// What one buffer, or two, may take of the memory; and where there are more, the busy ones and the
/// others: 27 MiB at most.
constexpr unsigned only_bytes = 16U << 20;
constexpr unsigned busy_bytes = 4U << 20;
constexpr unsigned usual_bytes = 1U << 20;
constexpr size_t only_rings = 2;

bool is_busy(size_t ring) {
  return ring == TRACE_RING_pipe || ring == TRACE_RING_local || ring == TRACE_RING_inet ||
         ring == TRACE_RING_futex || ring == TRACE_RING_poll;
}

/// The least where nothing is asked for. used: bits of trace_ring.
void choose_sizes(unsigned used, trace_constants& constants) {
  const std::bitset<TRACE_RING_COUNT> wanted(used);
  for (size_t ring = 0; ring < TRACE_RING_COUNT; ring++) {
    constants.ring_bytes[ring] = !wanted[ring]                  ? TRACE_RING_LEAST
                                 : wanted.count() <= only_rings ? only_bytes
                                 : is_busy(ring)                ? busy_bytes
                                                                : usual_bytes;
  }
}

/// What data that is moved between descriptors counts for: what it is asked for by, or else one of
/// the channels that it can be moved between.
uint32_t splice_word(uint64_t kinds) {
  for (const int kind : {TRACE_SPLICE, TRACE_PIPE, TRACE_FIFO, TRACE_UNIX, TRACE_TCP, TRACE_UDP}) {
    if ((kinds >> kind & 1) != 0) {
      return static_cast<uint32_t>(kind);
    }
  }
  return TRACE_NO_KIND;
}

/// What the kernel can compare of a channel's id; the rest is compared here.
void find_channel(const std::string& id, trace_filter& filter) {
  const size_t colon = id.find(':');
  const auto kind = trace_kind_from_word(std::string_view(id).substr(0, colon));
  if (!kind || colon == std::string::npos) {
    return;
  }
  filter.channel_kind = *kind;
  std::string_view rest = std::string_view(id).substr(colon + 1);
  switch (*kind) {
    case TRACE_PIPE:
    case TRACE_UNIX:
    case TRACE_SHM:
    case TRACE_SEM:
    case TRACE_MSG:
    case TRACE_EVENTFD:
    case TRACE_NETLINK:
    case TRACE_PACKET:
    case TRACE_RAW:
    case TRACE_VSOCK:
    case TRACE_PTY:
      if (const auto number = next_number<uint64_t>(rest)) {
        filter.channel = *number;
      }
      break;
    case TRACE_FUTEX:
      if (const size_t address = rest.rfind(":0x"); address != std::string_view::npos) {
        filter.channel = parse_number<uint64_t>(rest.substr(address + 3), 16).value_or(0);
      }
      break;
    default:
      break;
  }
}

}  // namespace

Result<std::unique_ptr<TraceProbe>> TraceProbe::start(const TraceRequest& request,
                                                      const ProcRoot& proc) {
  std::unique_ptr<TraceProbe> probe(new TraceProbe);
  if (const Result<void> loaded = probe->load(request, proc); !loaded) {
    return Failure(loaded.error());
  }
  if (const Result<void> attached = probe->attach(request); !attached) {
    return Failure(attached.error());
  }
  return probe;
}

TraceProbe::~TraceProbe() {
  links_.clear();
  if (program_.destroy != nullptr) {
    program_.destroy(program_.skeleton);
  }
}

Result<void> TraceProbe::load(const TraceRequest& request, const ProcRoot& proc) {
  trace_filter filter{};
  filter.kinds = request.kinds;
  filter.slower_than = request.slower_than_ns;
  filter.channel_kind = UNKNOWN_U32;
  filter.uid = request.uid.value_or(UNKNOWN_U32);
  filter.tid = static_cast<u32>(request.tid);
  filter.errors = request.errors ? 1 : 0;
  filter.payload = std::min<u32>(request.payload, TRACE_PAYLOAD_MAX);
  filter.stacks = request.stacks ? 1 : 0;
  filter.summary = request.summary ? 1 : 0;
  filter.by_pid = request.pids.empty() ? 0 : 1;
  filter.splice = splice_word(request.kinds);
  for (uint8_t kind = 0; kind < TRACE_WORDS; kind++) {
    filter.rings[kind] = trace_ring_of(kind);
    if ((request.kinds >> kind & 1) != 0) {
      filter.used_rings |= 1U << filter.rings[kind];
    }
  }
  if (!request.comm.empty()) {
    filter.comm_set = 1;
    std::memcpy(filter.comm, request.comm.data(), std::min<size_t>(request.comm.size(), 15));
  }
  filter.cgroup = request.cgroup.value_or(0);
  filter.cgroup_level = request.cgroup_level;
  if (!request.channel.empty()) {
    find_channel(request.channel, filter);
  }
  for (const uint64_t key : output_channels(proc)) {
    if (filter.ignored_count < TRACE_IGNORED_MAX) {
      filter.ignored[filter.ignored_count++] = key;
    }
  }
  struct stat shm {};
  if (::stat("/dev/shm", &shm) == 0) {
    filter.shm_device = record_device(shm.st_dev);
  }
  std::array<trace_call, TRACE_CALLS> calls{};
  select_calls(request, calls);

  const Result<kernel_layout> layout = read_kernel_layout();
  if (!layout) {
    return Failure(layout.error());
  }
  trace_constants constants{};
  constants.layout = &*layout;
  constants.filter = &filter;
  constants.calls = calls.data();
  constants.pid_count = static_cast<unsigned>(std::max<size_t>(1, request.pids.size()));
  choose_sizes(request.summary ? 0 : filter.used_rings, constants);
  int error = load_trace(&program_, &constants, 1);
  if (error != 0) {
    error = load_trace(&program_, &constants, 0);
  }
  if (error != 0) {
    return system_failure("loading the BPF programs of trace", -error);
  }
  for (const pid_t pid : request.pids) {
    constexpr u8 wanted = 1;
    if (::bpf_map_update_elem(program_.pids, &pid, &wanted, BPF_ANY) != 0) {
      return system_failure("telling the BPF programs of trace which processes");
    }
  }
  bpf_test_run_opts run{};
  run.sz = sizeof run;
  if (::bpf_prog_test_run_opts(program_.self, &run) != 0) {
    return system_failure("running a BPF program of trace");
  }
  find_hidden(request, proc);
  return request.summary ? Result<void>() : open_rings(constants);
}

Result<void> TraceProbe::open_rings(const trace_constants& constants) {
  for (size_t ring = 0; ring < TRACE_RING_COUNT; ring++) {
    if (constants.ring_bytes[ring] == TRACE_RING_LEAST) {
      continue;
    }
    Result<RingReader> reader = RingReader::open(program_.rings[ring], constants.ring_bytes[ring]);
    if (!reader) {
      return Failure(reader.error());
    }
    rings_.add(std::move(*reader));
  }
  return {};
}

/// Operations of processes that the kernel hides from BPF are missing without a trace.
void TraceProbe::find_hidden(const TraceRequest& request, const ProcRoot& proc) {
  Coverage coverage;
  coverage.source = "bpf-iter-task";
  const Result<HiddenProcesses> processes = hidden_processes(proc, program_.processes);
  if (!processes) {
    coverage.state = Coverage::State::unavailable;
    coverage.reason = processes.error().text() + ": whether processes are hidden is not known";
  } else {
    const auto is_asked = [&](pid_t pid) {
      return request.pids.empty() ||
             std::find(request.pids.begin(), request.pids.end(), pid) != request.pids.end();
    };
    coverage.checked = request.pids.empty() ? processes->checked : request.pids.size();
    coverage.unreadable = static_cast<uint64_t>(
        std::count_if(processes->hidden.begin(), processes->hidden.end(), is_asked));
    if (coverage.unreadable != 0) {
      coverage.state = Coverage::State::partial;
      coverage.reason = "processes that the kernel hides from BPF: their operations are not seen";
    }
  }
  coverage_.push_back(std::move(coverage));
}

Result<void> TraceProbe::attach(const TraceRequest& request) {
  const auto open = [&](const char* name, int program) -> int {
    const int link = ::bpf_raw_tracepoint_open(name, program);
    if (link < 0) {
      return -errno;
    }
    links_.emplace_back(link);
    return 0;
  };
  const bool calls = (request.kinds & ~bit(TRACE_SIGNAL)) != 0;
  if (calls) {
    if (const int error = open("sys_exit", program_.exit); error != 0) {
      return system_failure("attaching to the tracepoint sys_exit", -error);
    }
    if (const int error = open("sys_enter", program_.enter); error != 0) {
      return system_failure("attaching to the tracepoint sys_enter", -error);
    }
  }
  std::string missing;
  if ((request.kinds & bit(TRACE_SIGNAL)) != 0 && !request.lifecycle) {
    if (open("signal_generate", program_.signal_generate) != 0 ||
        open("signal_deliver", program_.signal_deliver) != 0) {
      missing = "this kernel has no tracepoint for signals";
    }
  }
  constexpr uint64_t ring_files = ~(bit(TRACE_SIGNAL) | bit(TRACE_FUTEX) | bit(TRACE_SEM) |
                                    bit(TRACE_MSG) | bit(TRACE_SHM) | bit(TRACE_FD));
  if ((request.kinds & ring_files) != 0 && !request.lifecycle && !request.errors &&
      request.slower_than_ns == 0 && open("io_uring_submit_req", program_.io_uring) != 0) {
    missing += missing.empty() ? "this kernel has no tracepoint for io_uring submissions"
                               : ", and none for io_uring submissions";
  }
  Coverage coverage;
  coverage.source = "bpf-trace";
  if (!missing.empty()) {
    coverage.state = Coverage::State::partial;
    coverage.reason = std::move(missing);
  }
  coverage_.insert(coverage_.begin(), std::move(coverage));
  return {};
}

void TraceProbe::stop() { links_.clear(); }

std::vector<TraceLoss> TraceProbe::lost() const {
  std::vector<TraceLoss> losses;
  for (uint8_t kind = 0; kind < TRACE_WORDS; kind++) {
    const uint64_t count = __atomic_load_n(&program_.counters->lost[kind], __ATOMIC_RELAXED);
    if (count > 0) {
      losses.push_back({kind, count});
    }
  }
  if (const uint64_t count = missed(); count > 0) {
    losses.push_back({TRACE_NO_KIND, count});
  }
  return losses;
}

uint64_t TraceProbe::undecoded() const {
  return __atomic_load_n(&program_.counters->foreign, __ATOMIC_RELAXED);
}

std::vector<Coverage> TraceProbe::coverage() const {
  std::vector<Coverage> coverage = coverage_;
  if (const uint64_t count = undecoded(); count > 0) {
    coverage.push_back({"compat-system-calls", Coverage::State::partial, 0, count, 0,
                        "system calls of 32-bit programs are not decoded", ""});
  }
  return coverage;
}

/// Operations that no program saw because it was busy on the same CPU.
uint64_t TraceProbe::missed() const {
  uint64_t missed = 0;
  for (const int program : {program_.enter, program_.exit, program_.signal_generate,
                            program_.signal_deliver, program_.io_uring}) {
    bpf_prog_info info{};
    u32 size = sizeof info;
    if (::bpf_obj_get_info_by_fd(program, &info, &size) == 0) {
      missed += info.recursion_misses;
    }
  }
  return missed;
}

std::vector<TraceSum> TraceProbe::sums() const {
  std::vector<TraceSum> all;
  const int cpus = ::libbpf_num_possible_cpus();
  if (cpus <= 0) {
    return all;
  }
  std::vector<trace_sum> each(static_cast<size_t>(cpus));
  const auto used =
      static_cast<u32>(std::min<uint64_t>(program_.counters->sums, uint64_t{TRACE_SUMS} - 1));
  std::map<u32, trace_sum> by_key;
  for (u32 at = 1; at <= used; at++) {
    if (::bpf_map_lookup_elem(program_.sums, &at, each.data()) != 0) {
      continue;
    }
    for (const trace_sum& part : each) {
      if (part.count == 0) {
        continue;
      }
      trace_sum& sum = by_key[static_cast<u32>(part.key)];
      sum.count += part.count;
      sum.errors += part.errors;
      sum.bytes += part.bytes;
      sum.timed += part.timed;
      sum.total_ns += part.total_ns;
      sum.max_ns = std::max(sum.max_ns, part.max_ns);
      for (size_t i = 0; i < TRACE_HISTOGRAM; i++) {
        sum.histogram[i] += part.histogram[i];
      }
    }
  }
  for (const auto& [key, sum] : by_key) {
    if (const TraceCall* call = trace_call_at(key >> 6)) {
      all.push_back({call, static_cast<uint8_t>(key & 63), sum});
    }
  }
  std::sort(all.begin(), all.end(), [](const TraceSum& a, const TraceSum& b) {
    return a.sum.count != b.sum.count ? a.sum.count > b.sum.count : a.kind < b.kind;
  });
  return all;
}

std::vector<TraceBlocked> TraceProbe::blocked() const {
  std::vector<TraceBlocked> all;
  constexpr size_t bytes = sizeof(trace_slot) * TRACE_SLOTS;
  void* memory = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, program_.slots, 0);
  if (memory == MAP_FAILED) {
    return all;
  }
  const auto* slots = static_cast<const trace_slot*>(memory);
  for (size_t i = 0; i < TRACE_SLOTS; i++) {
    if (slots[i].call != 0) {
      all.push_back({slots[i].tid, slots[i].call - 1, slots[i].begin_ns});
    }
  }
  ::munmap(memory, bytes);
  return all;
}

}  // namespace ipcscope
