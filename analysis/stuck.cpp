// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/stuck.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <unordered_set>

#include "analysis/odd_waits.h"
#include "analysis/unserved.h"
#include "analysis/wait_words.h"

namespace ipcscope {

namespace {

constexpr size_t most_named = 8;  // threads of one finding whose names are written out

template <typename T>
void add_once(std::vector<T>& to, T item) {
  if (std::find(to.begin(), to.end(), item) == to.end()) {
    to.push_back(std::move(item));
  }
}

bool can_write(const Endpoint& endpoint) {
  return endpoint.role == Role::writer || (endpoint.access & access_write) != 0;
}

bool has_ended(const Thread& thread) { return thread.state == 'Z' || thread.state == 'X'; }

std::string count_text(size_t count, const char* noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

class Search {
 public:
  explicit Search(const StuckQuestion& question)
      : question_(question),
        snapshot_(question.snapshot),
        graph_(question.graph),
        told_(question.snapshot.threads.size()) {}

  void find_deadlocks();
  void find_dead_owners();
  void find_missed_ends();
  void find_full_channels();
  void find_stuck_threads();
  void find_odd_waits();
  void find_unopened_fifos();
  void find_unserved();
  std::vector<Finding> finish();

 private:
  [[nodiscard]] bool is_long(const Thread& thread) const {
    return thread.blocked_ns.value_or(0) >= question_.longer_than_ns;
  }
  [[nodiscard]] const Channel* channel_of(const Wait& wait) const {
    return wait.channel == no_index ? nullptr : &snapshot_.channels[wait.channel];
  }
  [[nodiscard]] bool is_semaphore_for_handlers(ThreadIndex thread) const;
  [[nodiscard]] bool has_no_owner(const WaitGraph::Step& step) const;
  [[nodiscard]] bool keeps_own_pipe_open(const WaitGraph::Deadlock& deadlock) const;
  [[nodiscard]] bool brings_no_input(const Wait& wait) const;
  [[nodiscard]] bool only_holds(const Endpoint& holder, const Thread& reader) const;
  void tell_deadlock(const WaitGraph::Deadlock& deadlock);
  void tell_missed_end(ThreadIndex reader, const Channel& pipe);
  void tell_full(ChannelIndex channel, const std::vector<uint32_t>& waits);
  void tell_stuck(const WaitGraph::Chain& chain, const std::vector<ThreadIndex>& waiters);
  void add_thread(Finding& finding, ThreadIndex thread);
  void add_process(Finding& finding, ProcessIndex process);
  void add_channel(Finding& finding, const Wait& wait);
  void add_behind(Finding& finding, const std::vector<ThreadIndex>& waiters) const;
  void add_switches(Finding& finding) const;
  std::string descriptors(const Channel& channel, ProcessIndex process) const;
  std::string lineage(const Process& process) const;
  std::string names(const std::vector<ThreadIndex>& threads) const;

  const StuckQuestion& question_;
  const Snapshot& snapshot_;
  const WaitGraph& graph_;
  std::vector<bool> told_;  ///< by thread: a finding is about it
  std::vector<Finding> found_;
};

void Search::add_thread(Finding& finding, ThreadIndex index) {
  const Thread& thread = snapshot_.threads[index];
  finding.tids.push_back(thread.tid);
  add_once(finding.pids, snapshot_.processes[thread.process].pid);
  told_[index] = true;
}

void Search::add_process(Finding& finding, ProcessIndex process) {
  add_once(finding.pids, snapshot_.processes[process].pid);
}

void Search::add_channel(Finding& finding, const Wait& wait) {
  if (const Channel* channel = channel_of(wait)) {
    add_once(finding.channels, std::string(channel->id));
  }
}

/// Everybody who could release these, in any number of steps: if one of them moves, so may they.
void Search::add_behind(Finding& finding, const std::vector<ThreadIndex>& waiters) const {
  constexpr size_t most = 4096;
  std::vector<ThreadIndex> open = waiters;
  std::unordered_set<ThreadIndex> seen(waiters.begin(), waiters.end());
  while (!open.empty() && seen.size() < most) {
    const Thread& thread = snapshot_.threads[open.back()];
    open.pop_back();
    for (uint32_t i = thread.first_wait; i < thread.first_wait + thread.wait_count; i++) {
      for (const ThreadIndex each : graph_.releasers(i, most)) {
        if (seen.insert(each).second) {
          open.push_back(each);
          finding.behind.push_back(snapshot_.threads[each].tid);
        }
      }
    }
  }
}

/// Says where a second look can tell nothing.
void Search::add_switches(Finding& finding) const {
  size_t unknown = 0;
  for (const int32_t tid : finding.tids) {
    const Thread* thread = snapshot_.thread(tid);
    unknown += thread == nullptr || !thread->switches ? 1 : 0;
  }
  if (unknown != 0) {
    finding.evidence.push_back({"switches", fmt::format("context switches of {} are not known",
                                                        count_text(unknown, "thread"))});
  }
}

std::string Search::names(const std::vector<ThreadIndex>& threads) const {
  std::string text;
  for (size_t i = 0; i < std::min(threads.size(), most_named); i++) {
    text += i == 0 ? "" : ", ";
    text += thread_label(snapshot_, threads[i]);
  }
  if (threads.size() > most_named) {
    fmt::format_to(std::back_inserter(text), " and {} more", threads.size() - most_named);
  }
  return text;
}

/// "descriptor 5" of a process at a channel.
std::string Search::descriptors(const Channel& channel, ProcessIndex process) const {
  std::string text;
  size_t count = 0;
  for (const Endpoint& endpoint : snapshot_.endpoints_of(channel)) {
    if (endpoint.process == process && endpoint.fd >= 0 && can_write(endpoint) && count++ < 4) {
      fmt::format_to(std::back_inserter(text), "{}{}", text.empty() ? "" : ", ", endpoint.fd);
    }
  }
  return text.empty() ? "" : fmt::format("descriptor{} {}", count > 1 ? "s" : "", text);
}

std::string Search::lineage(const Process& process) const {
  const Process* parent = snapshot_.process(process.ppid);
  return parent == nullptr
             ? fmt::format("{}, whose parent is {}", process_label(process), process.ppid)
             : fmt::format("{}, a child of {}", process_label(process), process_label(*parent));
}

// --- deadlock -----------------------------------------------------------------------------------

/// sem_post() is allowed in a handler.
bool Search::is_semaphore_for_handlers(ThreadIndex index) const {
  const Thread& thread = snapshot_.threads[index];
  if (!question_.facts.catches.contains(thread.process)) {
    return false;
  }
  for (const Wait& wait : snapshot_.waits_of(thread)) {
    const Channel* channel = channel_of(wait);
    if (channel == nullptr) {
      continue;
    }
    const Attribute* primitive = snapshot_.attribute(*channel, "primitive");
    if (channel->kind == Kind::posixsem ||
        (primitive != nullptr && primitive->type == Attribute::Type::text &&
         primitive->string() == "semaphore")) {
      return true;
    }
  }
  return false;
}

bool Search::has_no_owner(const WaitGraph::Step& step) const {
  if (step.wait == no_index) {
    return false;
  }
  const Wait& wait = snapshot_.waits[step.wait];
  const Channel* channel = channel_of(wait);
  if (channel == nullptr || wait.target != 0) {
    return false;
  }
  if (channel->kind != Kind::futex) {
    return channel->kind == Kind::posixsem || channel->kind == Kind::eventfd;
  }
  const Attribute* ownership = snapshot_.attribute(*channel, "ownership");
  return ownership == nullptr || ownership->type != Attribute::Type::text ||
         ownership->string() != "holder";
}

/// One process that reads a pipe of which only it has the write end.
bool Search::keeps_own_pipe_open(const WaitGraph::Deadlock& deadlock) const {
  if (deadlock.cycle.size() != 1 || deadlock.cycle.front().wait == no_index) {
    return false;
  }
  const Wait& wait = snapshot_.waits[deadlock.cycle.front().wait];
  const Channel* channel = channel_of(wait);
  return channel != nullptr && (channel->kind == Kind::pipe || channel->kind == Kind::fifo) &&
         std::string_view(wait.operation) == "read";
}

void Search::tell_deadlock(const WaitGraph::Deadlock& deadlock) {
  Finding finding;
  finding.rule = "deadlock";
  finding.severity = Severity::critical;
  for (const ThreadIndex thread : deadlock.threads) {
    add_thread(finding, thread);
  }
  const bool suspected =
      std::any_of(deadlock.threads.begin(), deadlock.threads.end(),
                  [&](ThreadIndex each) { return is_semaphore_for_handlers(each); });
  const std::vector<WaitGraph::Step>& cycle = deadlock.cycle;
  const bool ownerless = std::all_of(
      cycle.begin(), cycle.end(), [&](const WaitGraph::Step& step) { return has_no_owner(step); });
  std::string prose, arrows;
  for (size_t i = 0; i < cycle.size(); i++) {
    const WaitGraph::Step& step = cycle[i];
    const WaitGraph::Step& before = cycle[i == 0 ? cycle.size() - 1 : i - 1];
    const std::string name = thread_label(snapshot_, step.thread);
    const Thread& thread = snapshot_.threads[step.thread];
    prose += i == 0 ? "" : "; ";
    prose += name;
    if (cycle.size() > 1 && before.wait != no_index) {
      prose += " " + holding_text(snapshot_, snapshot_.waits[before.wait]) + " and";
    }
    arrows += name + " -> ";
    if (step.wait != no_index) {
      const Wait& wait = snapshot_.waits[step.wait];
      add_channel(finding, wait);
      prose += " waits in " + wait_text(snapshot_, wait) + " for " + since_text(thread);
      const Channel* channel = channel_of(wait);
      arrows += channel != nullptr ? std::string(channel->id) : std::string(wait.operation);
      arrows += " -> ";
    }
  }
  arrows += thread_label(snapshot_, cycle.front().thread);
  const size_t threads = deadlock.threads.size();
  if (suspected || ownerless) {
    finding.severity = Severity::warning;
  }
  if (threads == 1) {
    finding.summary = fmt::format("{} waits for what only it could do",
                                  thread_label(snapshot_, deadlock.threads.front()));
  } else {
    finding.summary =
        fmt::format("{}{} wait for each other: {}", suspected ? "suspected: " : "",
                    finding.pids.size() == 1
                        ? fmt::format("{} threads of {}", threads,
                                      process_label(*snapshot_.process(finding.pids.front())))
                        : fmt::format("{} threads of {} processes", threads, finding.pids.size()),
                    names(deadlock.threads));
  }
  finding.evidence.push_back({"cycle", std::move(prose)});
  finding.evidence.push_back({"arrows", std::move(arrows)});
  if (threads > cycle.size()) {
    finding.evidence.push_back(
        {"others", fmt::format("{} more can be released only from within the same set",
                               count_text(threads - cycle.size(), "thread"))});
  }
  if (suspected) {
    finding.evidence.push_back(
        {"suspected",
         "it contains a semaphore of a process that catches signals: a handler may "
         "post it"});
  }
  if (ownerless) {
    finding.evidence.push_back(
        {"ownerless", "nothing in it has an owner by design; nobody else can reach that memory"});
  }
  if (keeps_own_pipe_open(deadlock)) {
    const Wait& wait = snapshot_.waits[cycle.front().wait];
    const ProcessIndex process = snapshot_.threads[wait.thread].process;
    finding.evidence.push_back(
        {"missed-eof", fmt::format("only {} itself has the write end open, at {}",
                                   process_label(snapshot_.processes[process]),
                                   descriptors(*channel_of(wait), process))});
    finding.advice = "close the write end in the reader, before it reads";
  } else if (ownerless) {
    finding.advice =
        fmt::format("whoever was to wake them has ended or waits too: 'ipcscope why {} --stacks'",
                    finding.pids.front());
  } else {
    finding.advice = "end one of them; then take what they hold in one order everywhere";
  }
  found_.push_back(std::move(finding));
}

void Search::find_deadlocks() {
  for (const WaitGraph::Deadlock& deadlock : graph_.deadlocks()) {
    tell_deadlock(deadlock);
  }
}

// --- owner-died ---------------------------------------------------------------------------------

void Search::find_dead_owners() {
  for (const Channel& channel : snapshot_.channels) {
    if (channel.kind != Kind::futex || channel.wait_count == 0) {
      continue;
    }
    const Attribute* died = snapshot_.attribute(channel, "owner_died");
    if (died == nullptr || died->type != Attribute::Type::boolean || !died->boolean) {
      continue;
    }
    Finding finding;
    finding.rule = "owner-died";
    finding.severity = Severity::critical;
    std::vector<ThreadIndex> waiters;
    for (const uint32_t index : snapshot_.waits_at(channel)) {
      const Wait& wait = snapshot_.waits[index];
      if (!wait.timeout_ns) {
        waiters.push_back(wait.thread);
        add_thread(finding, wait.thread);
      }
    }
    if (waiters.empty()) {
      continue;
    }
    finding.channels.emplace_back(channel.id);
    finding.summary =
        fmt::format("{} {} for {}, whose owner has ended without letting go", names(waiters),
                    waiters.size() == 1 ? "waits" : "wait", channel.id);
    finding.evidence.push_back(
        {"waiter", fmt::format("{} has waited for {}", thread_label(snapshot_, waiters.front()),
                               since_text(snapshot_.threads[waiters.front()]))});
    const Attribute* value = snapshot_.attribute(channel, "value");
    if (value != nullptr && value->type == Attribute::Type::natural) {
      finding.evidence.push_back({"word", fmt::format("0x{:08x}", value->natural)});
    }
    finding.advice = "restart the waiters; a robust mutex (pthread_mutexattr_setrobust) reports it";
    found_.push_back(std::move(finding));
  }
}

// --- missed-eof ---------------------------------------------------------------------------------

/// A wait in which no input arrives that could lead to a write.
bool Search::brings_no_input(const Wait& wait) const {
  const Channel* channel = channel_of(wait);
  if (wait.timeout_ns) {
    return false;
  }
  if (channel == nullptr) {
    const std::string_view operation = wait.operation;
    return operation == "sigwait" || operation == "wait4" || operation == "waitid";
  }
  return channel->kind == Kind::futex || channel->kind == Kind::flock ||
         channel->kind == Kind::fcntl || channel->kind == Kind::ofd;
}

/// Whether a holder of the write end only has it: all its threads have slept for as long as the
/// reader has waited, without a limit, without input, and not for the reader's process, whose
/// answer it would wait for. As one of its standard files the end is for use: a quiet writer.
bool Search::only_holds(const Endpoint& holder, const Thread& reader) const {
  constexpr int last_standard = 2;
  constexpr uint64_t together_ns = 1'000'000'000;  // they went to sleep at the same time
  constexpr size_t most = 256;
  if (holder.process == no_index || holder.fd <= last_standard) {
    return false;
  }
  const Process& process = snapshot_.processes[holder.process];
  for (const Thread& thread : snapshot_.threads_of(process)) {
    if (&thread == &reader || has_ended(thread)) {
      continue;
    }
    if (thread.state != 'S' || thread.wait_count == 0 || holder.process == reader.process ||
        thread.blocked_ns.value_or(0) + together_ns < reader.blocked_ns.value_or(0)) {
      return false;
    }
    for (uint32_t i = thread.first_wait; i < thread.first_wait + thread.wait_count; i++) {
      if (!brings_no_input(snapshot_.waits[i])) {
        return false;
      }
      const std::vector<ThreadIndex> others = graph_.releasers(i, most);
      if (others.size() == most || std::any_of(others.begin(), others.end(), [&](ThreadIndex each) {
            return snapshot_.threads[each].process == reader.process;
          })) {
        return false;
      }
    }
  }
  return true;
}

void Search::tell_missed_end(ThreadIndex index, const Channel& pipe) {
  const Thread& reader = snapshot_.threads[index];
  Finding finding;
  finding.rule = "missed-eof";
  add_thread(finding, index);
  finding.channels.emplace_back(pipe.id);
  std::vector<ProcessIndex> holders;
  for (const Endpoint& endpoint : snapshot_.endpoints_of(pipe)) {
    if (can_write(endpoint)) {
      add_once(holders, endpoint.process);
    }
  }
  std::string list;
  for (const ProcessIndex holder : holders) {
    const Process& process = snapshot_.processes[holder];
    for (const Thread& thread : snapshot_.threads_of(process)) {
      finding.behind.push_back(thread.tid);
    }
    list += list.empty() ? "" : ", ";
    list += process_label(process);
    add_process(finding, holder);
    finding.evidence.push_back(
        {"holder", fmt::format("{}: write end at {}{}", lineage(process), descriptors(pipe, holder),
                               holder == reader.process ? "; it is the reader itself" : "")});
  }
  finding.summary =
      fmt::format("{} waits for the end of {}, which {} {} open and {} not used since",
                  thread_label(snapshot_, index), pipe.id, list,
                  holders.size() == 1 ? "keeps" : "keep", holders.size() == 1 ? "has" : "have");
  finding.evidence.push_back(
      {"reader",
       fmt::format("{} has waited for {}", thread_label(snapshot_, index), since_text(reader))});
  finding.advice =
      "close the write end in each process that does not write, or open it with "
      "O_CLOEXEC";
  found_.push_back(std::move(finding));
}

void Search::find_missed_ends() {
  for (ThreadIndex i = 0; i < snapshot_.threads.size(); i++) {
    const Thread& reader = snapshot_.threads[i];
    if (told_[i] || reader.wait_count != 1 || !is_long(reader)) {
      continue;
    }
    const Wait& wait = snapshot_.waits[reader.first_wait];
    const Channel* pipe = channel_of(wait);
    if (pipe == nullptr || pipe->kind != Kind::pipe || wait.timeout_ns ||
        std::string_view(wait.operation) != "read") {
      continue;
    }
    bool any = false, all = true;
    for (const Endpoint& endpoint : snapshot_.endpoints_of(*pipe)) {
      if (!can_write(endpoint)) {
        continue;
      }
      any = true;
      // A parent that keeps an end open so that its end is noticed is no mistake.
      all = all && only_holds(endpoint, reader) &&
            snapshot_.processes[endpoint.process].pid != snapshot_.processes[reader.process].ppid;
    }
    if (any && all && graph_.wait_root(reader.first_wait) == Root::none) {
      tell_missed_end(i, *pipe);
    }
  }
}

// --- full-channel -------------------------------------------------------------------------------

void Search::tell_full(ChannelIndex index, const std::vector<uint32_t>& waits) {
  const Channel& channel = snapshot_.channels[index];
  const Wait& first = snapshot_.waits[waits.front()];
  Finding finding;
  finding.rule = "full-channel";
  std::vector<ThreadIndex> writers;
  for (const uint32_t wait : waits) {
    add_once(writers, snapshot_.waits[wait].thread);
  }
  for (const ThreadIndex writer : writers) {
    add_thread(finding, writer);
  }
  finding.channels.emplace_back(channel.id);
  const std::vector<ThreadIndex> others = graph_.releasers(waits.front(), most_named);
  std::vector<ThreadIndex> readers;
  for (const ThreadIndex each : others) {
    if (std::find(writers.begin(), writers.end(), each) == writers.end()) {
      readers.push_back(each);
      add_process(finding, snapshot_.threads[each].process);
    }
  }
  finding.summary = fmt::format(
      "{} cannot write to {}, which is full: {}", names(writers), channel.id,
      readers.empty()
          ? std::string("nobody drains it")
          : names(readers) + (readers.size() == 1 ? " does not drain it" : " do not drain it"));
  finding.evidence.push_back(
      {"writer",
       fmt::format("{}: {}, for {}", thread_label(snapshot_, writers.front()),
                   wait_text(snapshot_, first), since_text(snapshot_.threads[writers.front()]))});
  for (const ThreadIndex each : readers) {
    const Thread& reader = snapshot_.threads[each];
    const WaitGraph::Chain its = graph_.chain(each);
    finding.evidence.push_back(
        {"reader", fmt::format("{}: {}{}", thread_label(snapshot_, each),
                               reader.wait_count != 0
                                   ? wait_text(snapshot_, snapshot_.waits[reader.first_wait]) +
                                         " for " + since_text(reader) + ", "
                                   : "",
                               root_text(snapshot_, its))});
  }
  finding.advice = readers.empty() ? "start whoever is to receive"
                                   : fmt::format("look at why {} does not read: 'ipcscope why {}'",
                                                 thread_label(snapshot_, readers.front()),
                                                 snapshot_.threads[readers.front()].tid);
  found_.push_back(std::move(finding));
}

void Search::find_full_channels() {
  std::map<ChannelIndex, std::vector<uint32_t>> full;
  for (uint32_t i = 0; i < snapshot_.waits.size(); i++) {
    const Wait& wait = snapshot_.waits[i];
    const Thread& thread = snapshot_.threads[wait.thread];
    if (wait.channel == no_index || told_[wait.thread] || thread.wait_count != 1 ||
        !waits_for_room(wait) || wait.timeout_ns || !is_long(thread)) {
      continue;
    }
    switch (snapshot_.channels[wait.channel].kind) {
      case Kind::pipe:
      case Kind::fifo:
      case Kind::unix_socket:
      case Kind::tcp:
      case Kind::udp:
      case Kind::msg:
      case Kind::mq:
      case Kind::eventfd:
        break;
      default:
        continue;
    }
    // Slow people, slow networks and long work are no mistakes; what cannot be seen is not judged.
    const Root root = graph_.chain(wait.thread).root;
    if (root != Root::terminal && root != Root::remote && root != Root::running &&
        root != Root::unreadable) {
      full[wait.channel].push_back(i);
    }
  }
  for (const auto& [channel, waits] : full) {
    tell_full(channel, waits);
  }
}

// --- rules of their own files --------------------------------------------------------------------

void Search::find_odd_waits() {
  for (Finding& finding : ipcscope::find_odd_waits(question_, told_)) {
    for (const int32_t tid : finding.tids) {
      told_[static_cast<size_t>(snapshot_.thread(tid) - snapshot_.threads.data())] = true;
    }
    found_.push_back(std::move(finding));
  }
}

void Search::find_unserved() {
  for (Finding& finding : ipcscope::find_unserved(question_)) {
    found_.push_back(std::move(finding));
  }
}

// --- stuck --------------------------------------------------------------------------------------

void Search::tell_stuck(const WaitGraph::Chain& chain, const std::vector<ThreadIndex>& waiters) {
  const ThreadIndex root = chain.steps.back().thread;
  Finding finding;
  finding.rule = "stuck";
  for (const ThreadIndex waiter : waiters) {
    add_thread(finding, waiter);
    const Thread& thread = snapshot_.threads[waiter];
    if (finding.channels.size() < most_named && thread.wait_count != 0) {
      add_channel(finding, snapshot_.waits[thread.first_wait]);
    }
  }
  add_process(finding, snapshot_.threads[root].process);
  add_behind(finding, waiters);
  std::string why;
  if (chain.root == Root::deadlock) {
    why = fmt::format("behind the deadlock of {}",
                      thread_label(snapshot_, chain.steps[chain.knot_begin].thread));
  } else if (waiters.size() == 1 && waiters.front() == root) {
    why = root_text(snapshot_, chain);
  } else {
    why = fmt::format("for {}, which is {}", thread_label(snapshot_, root),
                      root_text(snapshot_, chain));
  }
  const bool itself = waiters.size() == 1 && waiters.front() == root;
  finding.summary = fmt::format("{} {}{}", names(waiters),
                                itself                ? "is stuck: "
                                : waiters.size() == 1 ? "waits "
                                                      : "wait ",
                                why);
  const ThreadIndex first = waiters.front();
  const Thread& thread = snapshot_.threads[first];
  std::string does = thread.wait_count != 0
                         ? wait_text(snapshot_, snapshot_.waits[thread.first_wait]) + " for "
                         : "asleep in the kernel for ";
  finding.evidence.push_back({"waiter", fmt::format("{}: {}{}", thread_label(snapshot_, first),
                                                    does, since_text(thread))});
  if (chain.steps.size() > 1) {
    std::string arrows;
    for (const WaitGraph::Step& step : chain.steps) {
      arrows += arrows.empty() ? "" : " -> ";
      arrows += thread_label(snapshot_, step.thread);
    }
    finding.evidence.push_back({"chain", std::move(arrows)});
  }
  switch (chain.root) {
    case Root::stopped:
      finding.advice = fmt::format("let {} go on (SIGCONT, the debugger, or thaw its cgroup)",
                                   thread_label(snapshot_, root));
      break;
    case Root::device:
      finding.advice = fmt::format("see the kernel stack: 'ipcscope show {}'",
                                   snapshot_.processes[snapshot_.threads[root].process].pid);
      break;
    default:
      finding.advice = fmt::format("see the chain: 'ipcscope why {}'", thread.tid);
  }
  found_.push_back(std::move(finding));
}

void Search::find_stuck_threads() {
  struct Group {
    WaitGraph::Chain chain;
    std::vector<ThreadIndex> waiters;
  };
  std::map<std::pair<Root, ThreadIndex>, Group> groups;
  for (ThreadIndex i = 0; i < snapshot_.threads.size(); i++) {
    const Thread& thread = snapshot_.threads[i];
    if (told_[i] || graph_.is_moving(i) || has_ended(thread) || !is_long(thread) ||
        graph_.thread_root(i) == Root::stopped) {  // to be stopped is not to be stuck
      continue;
    }
    WaitGraph::Chain chain = graph_.chain(i);
    const Thread& root = snapshot_.threads[chain.steps.back().thread];
    if (chain.root == Root::device && !is_long(root)) {
      continue;
    }
    const ThreadIndex at = chain.root == Root::deadlock ? chain.steps[chain.knot_begin].thread
                                                        : chain.steps.back().thread;
    Group& group = groups[{chain.root, at}];
    if (group.waiters.empty()) {
      group.chain = std::move(chain);
    }
    group.waiters.push_back(i);
  }
  for (const auto& [root, group] : groups) {
    tell_stuck(group.chain, group.waiters);
  }
}

// --- no-reader, no-writer -----------------------------------------------------------------------

/// By the flags that open(path, flags) and openat(directory, path, flags) were given.
bool opens_to_read(const Thread& thread) {
  size_t flags = 2;
#ifdef SYS_open
  flags = thread.syscall == SYS_open ? 1 : 2;
#endif
  return (thread.args[flags] & O_ACCMODE) == O_RDONLY;
}

void Search::find_unopened_fifos() {
  for (const Wait& wait : snapshot_.waits) {
    const Channel* fifo = channel_of(wait);
    if (fifo == nullptr || fifo->kind != Kind::fifo || told_[wait.thread] ||
        std::string_view(wait.operation) != "open" || !is_long(snapshot_.threads[wait.thread])) {
      continue;
    }
    const Thread& thread = snapshot_.threads[wait.thread];
    const bool reads = opens_to_read(thread);
    Finding finding;
    finding.rule = reads ? "no-writer" : "no-reader";
    finding.severity = Severity::info;
    add_thread(finding, wait.thread);
    add_channel(finding, wait);
    finding.summary =
        fmt::format("{} waits in opening {} until somebody opens it to {}",
                    thread_label(snapshot_, wait.thread), fifo->id, reads ? "write" : "read");
    finding.evidence.push_back(
        {"waiter", fmt::format("{} has waited for {}", thread_label(snapshot_, wait.thread),
                               since_text(thread))});
    finding.advice = "a server may wait so for its next client; else start the other side";
    found_.push_back(std::move(finding));
  }
}

std::vector<Finding> Search::finish() {
  for (Finding& finding : found_) {
    add_switches(finding);
  }
  std::stable_sort(found_.begin(), found_.end(),
                   [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
  return std::move(found_);
}

/// The rules, in the order in which they claim threads: a thread is in one finding.
constexpr void (Search::*rules[])() = {
    &Search::find_deadlocks,      &Search::find_dead_owners, &Search::find_missed_ends,
    &Search::find_full_channels,  &Search::find_odd_waits,   &Search::find_stuck_threads,
    &Search::find_unopened_fifos, &Search::find_unserved,
};

}  // namespace

std::vector<Finding> find_stuck(const StuckQuestion& question) {
  Search search(question);
  for (const auto rule : rules) {
    (search.*rule)();
  }
  return search.finish();
}

bool is_idle(const Snapshot& snapshot, const WaitGraph& graph, ThreadIndex index) {
  const Thread& thread = snapshot.threads[index];
  if (!graph.is_moving(index)) {
    return false;
  }
  for (uint32_t i = 0; i < thread.wait_count; i++) {
    if (wants_progress(snapshot, snapshot.waits[thread.first_wait + i])) {
      return false;
    }
  }
  return true;
}

std::vector<ThreadIndex> long_waits(const StuckQuestion& question) {
  const Snapshot& snapshot = question.snapshot;
  std::vector<ThreadIndex> found;
  for (ThreadIndex i = 0; i < snapshot.threads.size(); i++) {
    const Thread& thread = snapshot.threads[i];
    if (thread.wait_count != 1 || thread.blocked_ns.value_or(0) < question.longer_than_ns ||
        !question.graph.is_moving(i) || is_idle(snapshot, question.graph, i) ||
        snapshot.waits[thread.first_wait].timeout_ns) {
      continue;
    }
    const WaitGraph::Chain chain = question.graph.chain(i);
    const WaitGraph::Step& last = chain.steps.back();
    const bool sleeps = chain.root == Root::timer && last.wait != no_index &&
                        std::string_view(snapshot.waits[last.wait].operation) == "sleep";
    if (chain.root == Root::running || sleeps) {
      found.push_back(i);
    }
  }
  return found;
}

WaitCounts count_waits(const Snapshot& snapshot, const WaitGraph& graph) {
  WaitCounts counts;
  for (ThreadIndex i = 0; i < snapshot.threads.size(); i++) {
    const Thread& thread = snapshot.threads[i];
    if (has_ended(thread)) {
      continue;
    }
    counts.threads++;
    if (thread.state != 'S' && thread.state != 'D') {
      continue;
    }
    if (thread.wait_count == 0) {
      counts.unreadable += graph.thread_root(i) == Root::unreadable ? 1 : 0;
      continue;
    }
    counts.waiting++;
    bool unseen = false, ownerless = false;
    for (uint32_t w = thread.first_wait; w < thread.first_wait + thread.wait_count; w++) {
      unseen = unseen || graph.wait_root(w) == Root::unreadable;
      const ChannelIndex channel = snapshot.waits[w].channel;
      if (channel == no_index) {
        continue;
      }
      const Attribute* ownership = snapshot.attribute(snapshot.channels[channel], "ownership");
      ownerless = ownerless || (ownership != nullptr && ownership->type == Attribute::Type::text &&
                                ownership->string() == "none by design");
    }
    counts.unreadable += unseen ? 1 : 0;
    counts.ownerless += ownerless ? 1 : 0;
  }
  return counts;
}

}  // namespace ipcscope
