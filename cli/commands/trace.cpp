// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/commands/trace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <set>

#include "cli/arguments.h"
#include "cli/commands/answer.h"
#include "cli/commands/ending.h"
#include "cli/control_group.h"
#include "cli/render/output_file.h"
#include "cli/render/trace.h"
#include "cli/suggest.h"
#include "collectors/base/parse.h"
#include "collectors/session.h"
#include "collectors/stacks.h"
#include "collectors/trace/live_names.h"
#include "collectors/trace/probe.h"
#include "collectors/trace/trace_file.h"

namespace ipcscope {

const char* const trace_notes =
    R"(Mechanisms are the kinds of 'ipcscope ls', and signal, fd (descriptors passed in messages), splice
and poll (waits for several descriptors). While it runs, each system call of the host takes a little
longer. ipcscope traces neither itself nor who passes its output on.

Operations that found no room are counted where they are missing. What is still blocked at the end
is printed then, marked unfinished.

Examples:
  ipcscope trace -p 812
  ipcscope trace unix --connect
  ipcscope trace pipe --slower-than 10ms --json
  ipcscope trace -d 5 --perfetto trace.json      open it with ui.perfetto.dev
  ipcscope trace -d 10 --summary                 sums by operation, for the least cost
)";

namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t bit(int kind) { return uint64_t{1} << kind; }

Result<uint64_t> parse_mechanisms(const std::vector<std::string>& words) {
  uint64_t kinds = 0;
  std::vector<std::string_view> names;
  for (uint8_t kind = 0; kind < TRACE_WORDS; kind++) {
    names.push_back(trace_word(kind));
  }
  for (const std::string& list : words) {
    const auto kind = trace_kind_from_word(list);
    if (!kind) {
      return failure(
          fmt::format("unknown mechanism '{}'{}", escaped(list, {}), suggestion(list, names)));
    }
    kinds |= bit(*kind);
  }
  return words.empty() ? bit(TRACE_WORDS) - 1 : kinds;
}

/// A positive number of an option.
Result<uint64_t> parse_count(const char* option, const std::string& text, uint64_t most) {
  const auto number = parse_number<uint64_t>(text);
  if (!number || *number == 0 || *number > most) {
    return failure(fmt::format("'{}' needs a number from 1 to {}", option, most));
  }
  return *number;
}

/// What was asked for, with the limits that are not the probe's.
struct Question {
  TraceRequest request;
  uint64_t wanted = 0;  ///< kinds that are shown
  uint64_t count = UINT64_MAX;
  std::optional<std::chrono::nanoseconds> duration;
};

Result<Question> make_question(const Options& options) {
  Question question;
  TraceRequest& request = question.request;
  const Result<uint64_t> kinds = parse_mechanisms(options.words);
  if (!kinds) {
    return Failure(kinds.error());
  }
  question.wanted = *kinds;
  request.kinds = *kinds;
  if ((request.kinds & bit(TRACE_POSIXSEM)) != 0) {
    request.kinds |=
        bit(TRACE_FUTEX);  // they are futexes; which memory it is only their name tells
  }
  Result<std::vector<pid_t>> pids = parse_pids(options.pids);
  if (!pids) {
    return Failure(pids.error());
  }
  if (pids->size() > TRACE_PIDS_MAX) {
    return failure(
        fmt::format("at most {} processes can be chosen; '--comm', '--user' or "
                    "'--cgroup' may name them",
                    TRACE_PIDS_MAX));
  }
  request.pids = std::move(*pids);
  const TraceOptions& trace = options.trace;
  if (!options.user.empty()) {
    const Result<uid_t> user = parse_user(options.user);
    if (!user) {
      return Failure(user.error());
    }
    request.uid = *user;
  }
  if (!trace.tid.empty()) {
    const Result<uint64_t> tid = parse_count("--tid", trace.tid, 1 << 22);
    if (!tid) {
      return Failure(tid.error());
    }
    request.tid = static_cast<pid_t>(*tid);
  }
  if (trace.comm.size() > 15) {
    return failure("names of threads have at most 15 bytes");
  }
  if (!trace.slower_than.empty()) {
    const Result<uint64_t> limit = parse_duration(trace.slower_than);
    if (!limit) {
      return Failure(limit.error());
    }
    request.slower_than_ns = *limit;
  }
  if (!trace.duration.empty()) {
    const Result<uint64_t> duration = parse_duration(trace.duration);
    if (!duration) {
      return Failure(duration.error());
    }
    question.duration = std::chrono::nanoseconds(*duration);
  }
  if (!trace.count.empty()) {
    const Result<uint64_t> count = parse_count("--count", trace.count, UINT64_MAX - 1);
    if (!count) {
      return Failure(count.error());
    }
    question.count = *count;
  }
  if (!trace.payload.empty()) {
    const Result<uint64_t> payload = parse_count("--payload", trace.payload, TRACE_PAYLOAD_MAX);
    if (!payload) {
      return Failure(payload.error());
    }
    request.payload = static_cast<uint32_t>(*payload);
  }
  if (!trace.channel.empty()) {
    const size_t colon = trace.channel.find(':');
    const auto kind = trace_kind_from_word(std::string_view(trace.channel).substr(0, colon));
    if (colon == std::string::npos || !kind || *kind >= TRACE_CHANNEL_KINDS) {
      return failure(
          fmt::format("'{}' is no channel's id, see 'ipcscope ls'", escaped(trace.channel, {})));
    }
    if (options.words.empty()) {
      question.wanted = request.kinds =
          bit(*kind) | (*kind == TRACE_POSIXSEM ? bit(TRACE_FUTEX) : 0);
    }
  }
  if (!options.cgroup.empty()) {
    const Result<ControlGroup> group = find_control_group(options.cgroup);
    if (!group) {
      return Failure(group.error());
    }
    request.cgroup = group->id;
    request.cgroup_level = group->level;
  }
  request.comm = trace.comm;
  request.channel = trace.channel;
  request.errors = trace.errors;
  request.lifecycle = trace.connect;
  request.stacks = options.stacks;
  request.summary = trace.summary;
  return question;
}

/// What is missing, by mechanism.
class Losses {
 public:
  void add(uint8_t kind, uint64_t count) {
    const auto found = std::find_if(all_.begin(), all_.end(),
                                    [&](const TraceLoss& loss) { return loss.kind == kind; });
    if (found == all_.end()) {
      all_.push_back({kind, count});
    } else {
      found->count += count;
    }
    std::sort(all_.begin(), all_.end(),
              [](const TraceLoss& a, const TraceLoss& b) { return a.count > b.count; });
  }
  [[nodiscard]] const std::vector<TraceLoss>& all() const { return all_; }
  [[nodiscard]] uint64_t total() const {
    uint64_t sum = 0;
    for (const TraceLoss& loss : all_) {
      sum += loss.count;
    }
    return sum;
  }

 private:
  std::vector<TraceLoss> all_;  ///< the most first
};

/// Lets through what the probe could not tell apart.
class Sieve final : public TraceSink {
 public:
  Sieve(const Question& question, TraceWriter& writer) : question_(question), writer_(writer) {}

  void event(const TraceEvent& event) override {
    if (shown_ >= question_.count) {
      return;
    }
    if (!question_.request.channel.empty() && event.channel != question_.request.channel) {
      return;
    }
    if (!hidden_.empty() && std::find(hidden_.begin(), hidden_.end(), event.pid) != hidden_.end()) {
      return;
    }
    if (question_.wanted != question_.request.kinds) {
      const auto kind = trace_kind_from_word(event.kind);
      if (kind && (question_.wanted & bit(*kind)) == 0) {
        return;
      }
    }
    shown_++;
    writer_.event(event);
  }
  void lost(uint8_t kind, uint64_t count) override {
    losses_.add(kind, count);
    writer_.lost(kind, count);
  }
  void hide(std::vector<pid_t> pids) { hidden_ = std::move(pids); }
  [[nodiscard]] bool is_full() const { return shown_ >= question_.count; }
  [[nodiscard]] uint64_t shown() const { return shown_; }
  [[nodiscard]] const Losses& losses() const { return losses_; }

 private:
  const Question& question_;
  TraceWriter& writer_;
  std::vector<pid_t> hidden_;
  uint64_t shown_ = 0;
  Losses losses_;
};

int64_t realtime_offset() {
  timespec real{};
  timespec monotonic{};
  ::clock_gettime(CLOCK_REALTIME, &real);
  ::clock_gettime(CLOCK_MONOTONIC, &monotonic);
  return (int64_t{real.tv_sec} - monotonic.tv_sec) * 1'000'000'000 + real.tv_nsec -
         monotonic.tv_nsec;
}

uint64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

TraceHead own_head() {
  utsname system{};
  ::uname(&system);
  return {system.nodename, system.release, realtime_offset(), {}};
}

/// The channel that a blocked thread waits at.
struct BlockedAt {
  std::string_view channel;
  std::string_view kind;
};

std::optional<BlockedAt> blocked_at(const Snapshot& snapshot, const Thread& thread) {
  const auto waits = snapshot.waits_of(thread);
  if (waits.empty()) {
    return std::nullopt;
  }
  if (waits.size() > 1) {
    return BlockedAt{{}, "poll"};
  }
  if (waits.front().channel == no_index) {
    return std::nullopt;
  }
  const Channel& channel = snapshot.channels[waits.front().channel];
  return BlockedAt{channel.id, kind_name(channel.kind)};
}

/// Tells what is still in a call: it is looked up once, when all else was told.
uint64_t tell_unfinished(const Question& question, const TraceProbe& probe, const ProcRoot& proc,
                         Sieve& sieve) {
  const std::vector<TraceBlocked> blocked = probe.blocked();
  if (blocked.empty() || question.request.errors || sieve.is_full()) {
    return 0;
  }
  Request look;
  look.pids = question.request.pids;
  const Result<Snapshot> snapshot = take_snapshot(look, proc);
  if (!snapshot) {
    return 0;
  }
  const uint64_t now = monotonic_ns();
  const uint64_t before = sieve.shown();
  for (const TraceBlocked& each : blocked) {
    const Thread* thread = snapshot->thread(static_cast<int>(each.tid));
    const TraceCall* call = find_trace_call(each.call);
    if (thread == nullptr || call == nullptr || thread->process == no_index ||
        thread->syscall != static_cast<int64_t>(each.call) || now < each.begin_ns ||
        now - each.begin_ns < question.request.slower_than_ns) {
      continue;
    }
    const auto at = blocked_at(*snapshot, *thread);
    if (!at) {
      continue;
    }
    const auto kind = trace_kind_from_word(at->kind);
    if (!kind || (question.wanted & bit(*kind)) == 0) {
      continue;
    }
    TraceEvent event;
    event.time_ns = each.begin_ns;
    event.duration_ns = now - each.begin_ns;
    event.pid = snapshot->processes[thread->process].pid;
    event.tid = thread->tid;
    event.comm = thread->command();
    event.operation = call->operation;
    if (std::strcmp(call->operation, "futex") == 0) {
      TraceDirection direction{};
      event.operation = futex_operation(thread->args[1], direction);
    }
    event.kind = at->kind;
    event.channel = at->channel;
    event.unfinished = true;
    sieve.event(event);
  }
  return sieve.shown() - before;
}

/// The file that --write or --perfetto names, if one does.
Result<std::optional<OutputFile>> open_target(const Options& options) {
  const std::string& path =
      options.trace.write.empty() ? options.trace.perfetto : options.trace.write;
  if (path.empty()) {
    return std::optional<OutputFile>();
  }
  Result<OutputFile> file = OutputFile::open(path);
  if (!file) {
    return Failure(file.error());
  }
  return std::optional<OutputFile>(std::move(*file));
}

/// Calls drain() until the trace is to end; drain() says how many records there were.
template <typename Drain, typename IsFull>
void run_until_end(const Question& question, const Drain& drain, const IsFull& is_full) {
  const auto end = question.duration ? Clock::now() + *question.duration : Clock::time_point::max();
  constexpr auto pause = std::chrono::milliseconds(5);
  constexpr size_t busy = 4096;
  while (!is_interrupted() && Clock::now() < end && !is_full()) {
    if (drain() >= busy) {
      continue;
    }
    if (is_reader_gone()) {
      return;
    }
    timespec time{};
    time.tv_nsec = std::min<int64_t>(
        std::chrono::nanoseconds(pause).count(),
        std::max<int64_t>(0, std::chrono::nanoseconds(end - Clock::now()).count()));
    ::nanosleep(&time, nullptr);
  }
}

/// Says what is missing, and returns the status of an answer.
int finish(const Options& options, const Stage& stage, const Losses& losses,
           const std::vector<Coverage>& coverage) {
  const int status = finish_answer(options, stage, coverage);
  const uint64_t lost = losses.total();
  if (lost > 0 && !options.json) {
    complain(fmt::format("{} operation{} lost: {}", lost, lost == 1 ? " was" : "s were",
                         losses_text(losses.all())));
  }
  return options.strict && lost > 0 ? status_partial : status;
}

/// Functions by address, each looked up once.
FunctionNames function_names(const Stage& stage) {
  const auto reader = std::make_shared<StackReader>(stage.proc);
  const auto known = std::make_shared<std::map<std::pair<int32_t, uint64_t>, std::string>>();
  return [reader, known](int32_t pid, uint64_t address) {
    const auto [entry, is_new] = known->try_emplace({pid, address});
    if (is_new) {
      // The address is that behind the call.
      entry->second = reader->name_of_address(pid, address - 1);
    }
    return entry->second;
  };
}

std::unique_ptr<TraceWriter> make_writer(const Options& options, const Stage& stage, Output& out,
                                         bool payload) {
  FunctionNames functions =
      options.stacks && options.trace.from.empty() ? function_names(stage) : FunctionNames();
  if (!options.trace.perfetto.empty()) {
    return std::make_unique<TracePerfetto>(out);
  }
  if (options.json) {
    return std::make_unique<TraceJson>(out, payload, std::move(functions), options.stacks);
  }
  return std::make_unique<TraceText>(out, stage.terminal, std::move(functions));
}

int stream(const Options& options, const Stage& stage, const Question& question, TraceProbe& probe,
           OutputFile* target) {
  Output& out = target != nullptr ? target->out() : stage.out;
  const std::unique_ptr<TraceWriter> made =
      make_writer(options, stage, out, question.request.payload > 0);
  TraceWriter& writer = *made;
  LiveTraceNames names(stage.proc);
  TraceDecoder decoder(names);
  Sieve sieve(question, writer);
  sieve.hide(output_readers(stage.proc));
  TraceHead head = own_head();
  head.coverage = probe.coverage();
  writer.begin(head);
  out.flush();
  const auto take = [&](std::span<const std::byte> record) { (void)decoder.take(record, sieve); };
  const auto drain = [&] {
    const size_t count = probe.records().drain(take);
    if (count > 0 && count < 4096) {
      out.flush();
    }
    return count;
  };
  run_until_end(question, drain, [&] { return sieve.is_full() || out.error() != 0; });
  probe.stop();
  probe.records().drain(take, true);
  for (const TraceLoss& loss : probe.lost()) {
    const trace_lost_record last = lost_record(loss.kind, loss.count);
    take(std::as_bytes(std::span(&last, 1)));
  }
  // Behind the end of the probes: the look starts processes of its own.
  const uint64_t unfinished = tell_unfinished(question, probe, stage.proc, sieve);
  writer.end(
      {sieve.shown(), sieve.losses().total(), unfinished, sieve.losses().all(), probe.undecoded()});
  out.flush();
  if (target != nullptr) {
    if (const std::string problem = target->finish(); !problem.empty()) {
      return stage.give_up(problem);
    }
  }
  return finish(options, stage, sieve.losses(), probe.coverage());
}

/// Takes only the sum of what is missing.
class LostOnly final : public TraceSink {
 public:
  void event(const TraceEvent& /*event*/) override {}
  void lost(uint8_t kind, uint64_t count) override { losses_.add(kind, count); }
  [[nodiscard]] const Losses& losses() const { return losses_; }

 private:
  Losses losses_;
};

/// Writes records as they come. Only what is new in them is looked at.
int record(const Options& options, const Stage& stage, const Question& question, TraceProbe& probe,
           OutputFile& file) {
  Output& out = file.out();
  const TraceHead own = own_head();
  TraceFileHeader header;
  header.realtime_offset_ns = own.realtime_offset_ns;
  own.host.copy(header.host, sizeof header.host - 1);
  own.kernel.copy(header.kernel, sizeof header.kernel - 1);
  out.write(header.bytes());
  std::string noted;  // goes before the next record
  for (const Coverage& coverage : probe.coverage()) {
    append_coverage_record(noted, coverage);
  }
  out.write(noted);
  noted.clear();
  LiveTraceNames live(stage.proc);
  RecordedTraceNames names(live, noted);
  TraceDecoder decoder(names);
  LostOnly lost;
  uint64_t events = 0;
  const auto take = [&](std::span<const std::byte> bytes) {
    uint16_t kind = 0;
    std::memcpy(&kind, bytes.data(), sizeof kind);
    if (trace_event_record event; kind == TRACE_EVENT && bytes.size() >= sizeof event) {
      std::memcpy(&event, bytes.data(), sizeof event);
      if (event.channel >> 56 == TRACE_FUTEX + 1) {
        (void)decoder.channel_of(event);
      }
      events++;
    } else {
      (void)decoder.take(bytes, lost);
    }
    if (!noted.empty()) {
      out.write(noted);
      noted.clear();
    }
    out.write({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  };
  const auto drain = [&] { return probe.records().drain(take); };
  run_until_end(question, drain, [&] { return events >= question.count || out.error() != 0; });
  probe.stop();
  probe.records().drain(take, true);
  for (const TraceLoss& loss : probe.lost()) {
    const trace_lost_record last = lost_record(loss.kind, loss.count);
    take(std::as_bytes(std::span(&last, 1)));
  }
  if (const std::string problem = file.finish(); !problem.empty()) {
    return stage.give_up(problem);
  }
  stage.out.write(fmt::format("{} operations written to {}, {} lost\n", events,
                              escaped(options.trace.write, stage.terminal.escape()),
                              lost.losses().total()));
  return finish(options, stage, lost.losses(), probe.coverage());
}

int sum_up(const Options& options, const Stage& stage, const Question& question,
           TraceProbe& probe) {
  const auto begin = Clock::now();
  run_until_end(
      question, [] { return size_t{0}; }, [] { return false; });
  probe.stop();
  const auto window = std::chrono::nanoseconds(Clock::now() - begin).count();
  Losses lost;
  for (const TraceLoss& loss : probe.lost()) {
    lost.add(loss.kind, loss.count);
  }
  const std::vector<TraceSum> sums = probe.sums();
  if (options.json) {
    TraceHead head = own_head();
    head.coverage = probe.coverage();
    write_trace_summary_json(stage.out, head, sums, static_cast<uint64_t>(window), lost.all());
  } else {
    write_trace_summary(stage.out, stage.terminal, sums);
  }
  return finish(options, stage, lost, probe.coverage());
}

int replay(const Options& options, const Stage& stage, const Question& question) {
  Result<TraceFile> file = TraceFile::open(options.trace.from);
  if (!file) {
    return stage.no_target(file.error().text());
  }
  Result<std::optional<OutputFile>> target = open_target(options);
  if (!target) {
    return stage.no_target(target.error().text());
  }
  if (*target && (*target)->is(options.trace.from)) {
    return stage.misuse("'--from' and '--perfetto' name the same file");
  }
  Output& out = *target ? (*target)->out() : stage.out;
  if (*target) {
    (*target)->begin();
  }
  const std::unique_ptr<TraceWriter> writer =
      make_writer(options, stage, out, question.request.payload > 0);
  writer->begin({file->header().host, file->header().kernel, file->header().realtime_offset_ns,
                 file->coverage()});
  Sieve sieve(question, *writer);
  uint64_t events = 0;
  const bool whole = file->decode(sieve, events);
  writer->end({sieve.shown(), sieve.losses().total(), 0, sieve.losses().all()});
  out.flush();
  if (*target) {
    if (const std::string problem = (*target)->finish(); !problem.empty()) {
      return stage.give_up(problem);
    }
  }
  if (!whole) {
    complain(fmt::format("'{}' is damaged or ends in the middle of a record",
                         escaped(options.trace.from, {})));
    return options.strict ? status_partial : status_complete;
  }
  return finish(options, stage, sieve.losses(), file->coverage());
}

}  // namespace

int run_trace(const Options& options, const Stage& stage) {
  const Result<Question> question = make_question(options);
  if (!question) {
    return stage.misuse(question.error().text());
  }
  if (!options.trace.from.empty()) {
    return replay(options, stage, *question);
  }
  for (const pid_t pid : question->request.pids) {
    if (const std::string problem = missing_process(stage.proc, pid); !problem.empty()) {
      return stage.no_target(problem);
    }
  }
  // Before the probes: what was asked for wrongly costs nobody anything.
  Result<std::optional<OutputFile>> target = open_target(options);
  if (!target) {
    return stage.no_target(target.error().text());
  }
  heed_interrupts();
  Result<std::unique_ptr<TraceProbe>> probe = TraceProbe::start(question->request, stage.proc);
  if (!probe) {
    return stage.give_up(probe.error());
  }
  if (*target) {
    (*target)->begin();
  }
  complain("tracing; Ctrl-C ends it");
  if (question->request.payload > 0) {
    complain("what the processes send each other is copied (--payload)");
  }
  if (options.trace.summary) {
    return sum_up(options, stage, *question, **probe);
  }
  if (!options.trace.write.empty()) {
    return record(options, stage, *question, **probe, **target);
  }
  return stream(options, stage, *question, **probe, *target ? &**target : nullptr);
}

}  // namespace ipcscope
