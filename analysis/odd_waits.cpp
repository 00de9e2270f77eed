// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/odd_waits.h"

#include <fmt/format.h>
#include <sys/select.h>

#include <optional>
#include <unordered_map>

#include "analysis/semaphore_note.h"
#include "analysis/wait_words.h"

namespace ipcscope {

namespace {

/// One wait at which a rule looks.
struct Case {
  const Snapshot& snapshot;
  const WaitFacts& facts;
  const Thread& thread;
  const Wait& wait;
  const Channel& channel;
  const std::vector<AwaitedSemaphore>& semaphores;  ///< of a set
};

std::string label(const Case& at) { return thread_label(at.snapshot, at.wait.thread); }

std::optional<Finding> half_open(const Case& at) {
  if (!at.facts.lost_peers.contains(at.wait.channel)) {
    return std::nullopt;
  }
  Finding finding;
  finding.rule = "half-open";
  finding.summary = fmt::format("{} waits at {}, whose other end is gone without a word", label(at),
                                at.channel.id);
  finding.evidence.push_back(
      {"peer", "the connection is established, and the kernel has no socket with its other end"});
  finding.advice = "end the connection; SO_KEEPALIVE or TCP_USER_TIMEOUT end one that is dead";
  return finding;
}

std::optional<Finding> semaphore_not_posted(const Case& at) {
  if (at.channel.kind != Kind::sem || at.channel.name_space != 0) {
    return std::nullopt;  // numbers of processes in another namespace are not ours
  }
  for (const AwaitedSemaphore& each : at.semaphores) {
    if (at.snapshot.process(each.last_pid) != nullptr) {
      continue;
    }
    Finding finding;
    finding.rule = "semaphore-not-posted";
    finding.summary =
        fmt::format("{} waits for semaphore {} of {}, which process {} lowered before it ended",
                    label(at), each.semaphore, at.channel.id, each.last_pid);
    finding.evidence.push_back(
        {"semaphore",
         fmt::format("its value is 0, {} wait{} for it, and the last operation on it was "
                     "that of process {}, which has ended",
                     each.waiters, each.waiters == 1 ? "s" : "", each.last_pid)});
    finding.advice = fmt::format(
        "raise it, or restart who uses {}; with SEM_UNDO the kernel does so for one "
        "that ends",
        at.channel.id);
    return finding;
  }
  return std::nullopt;
}

std::optional<Finding> select_limit(const Case& at) {
  // The first argument of select() and pselect6(): the highest descriptor, plus one.
  if (std::string_view(at.wait.operation) != "select" || at.thread.syscall < 0 ||
      static_cast<int32_t>(at.thread.args[0]) <= FD_SETSIZE) {
    return std::nullopt;
  }
  Finding finding;
  finding.rule = "select-limit";
  finding.severity = Severity::info;
  finding.summary = fmt::format(
      "{} waits in select for a descriptor of {} or more, for which an fd_set has no "
      "place",
      label(at), FD_SETSIZE);
  finding.evidence.push_back(
      {"descriptors", fmt::format("the call looks at those below {}; FD_SET of one of {} or more "
                                  "writes into the memory behind the set",
                                  static_cast<int32_t>(at.thread.args[0]), FD_SETSIZE)});
  finding.advice = "use poll or epoll";
  return finding;
}

std::optional<Finding> stopped_terminal(const Case& at) {
  const Attribute* stopped = at.snapshot.attribute(at.channel, "stopped");
  if (at.channel.kind != Kind::pty || std::string_view(at.wait.operation) != "write" ||
      stopped == nullptr || stopped->type != Attribute::Type::boolean || !stopped->boolean) {
    return std::nullopt;
  }
  Finding finding;
  finding.rule = "stopped-terminal";
  finding.severity = Severity::info;
  finding.summary =
      fmt::format("{} cannot write to {}, whose output was stopped", label(at), at.channel.id);
  finding.evidence.push_back({"terminal", "its output is stopped, as by ^S or tcflow"});
  finding.advice = "type ^Q at that terminal";
  return finding;
}

constexpr std::optional<Finding> (*rules[])(const Case&) = {half_open, semaphore_not_posted,
                                                            select_limit, stopped_terminal};

/// Reads each set once, however many wait there.
class SemaphoreSets {
 public:
  explicit SemaphoreSets(const Snapshot& snapshot) : snapshot_(snapshot) {}

  const std::vector<AwaitedSemaphore>& awaited(ChannelIndex index) {
    const Channel& channel = snapshot_.channels[index];
    if (channel.kind != Kind::sem) {
      return none_;
    }
    const auto [found, is_new] = known_.try_emplace(index);
    const Attribute* attribute = is_new ? snapshot_.attribute(channel, "semaphores") : nullptr;
    if (attribute != nullptr && attribute->type == Attribute::Type::json) {
      found->second = awaited_semaphores(attribute->string());
    }
    return found->second;
  }

 private:
  const Snapshot& snapshot_;
  std::unordered_map<ChannelIndex, std::vector<AwaitedSemaphore>> known_;
  const std::vector<AwaitedSemaphore> none_;
};

}  // namespace

std::vector<Finding> find_odd_waits(const StuckQuestion& question, const std::vector<bool>& told) {
  const Snapshot& snapshot = question.snapshot;
  std::vector<Finding> found;
  SemaphoreSets sets(snapshot);
  for (const Wait& wait : snapshot.waits) {
    const Thread& thread = snapshot.threads[wait.thread];
    const bool is_first = &wait == &snapshot.waits[thread.first_wait];
    if (wait.channel == no_index || told[wait.thread] || !is_first || wait.timeout_ns ||
        thread.blocked_ns.value_or(0) < question.longer_than_ns) {
      continue;
    }
    const Case at = {snapshot,
                     question.facts,
                     thread,
                     wait,
                     snapshot.channels[wait.channel],
                     sets.awaited(wait.channel)};
    for (const auto rule : rules) {
      if (std::optional<Finding> finding = rule(at)) {
        finding->pids = {snapshot.processes[thread.process].pid};
        finding->tids = {thread.tid};
        finding->channels = {std::string(at.channel.id)};
        finding->evidence.push_back(
            {"waiter", fmt::format("{} has waited for {}", label(at), since_text(thread))});
        found.push_back(std::move(*finding));
        break;
      }
    }
  }
  return found;
}

}  // namespace ipcscope
