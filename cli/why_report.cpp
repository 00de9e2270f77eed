// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/why_report.h"

#include <algorithm>
#include <map>
#include <thread>
#include <unordered_set>

#include "analysis/wait_words.h"
#include "cli/why_kernel.h"
#include "cli/why_semaphores.h"
#include "collectors/freezer.h"
#include "collectors/lost_peer.h"
#include "collectors/process_facts.h"
#include "collectors/second_look.h"
#include "collectors/session.h"

namespace ipcscope {

namespace {

constexpr size_t most_counted = 1000;  // releasers of one wait
constexpr size_t most_told = 4;        // of a wait that never ends
constexpr int most_looks = 3;          // at threads that move on

bool has_ended(const Thread& thread) { return thread.state == 'Z' || thread.state == 'X'; }

/// What the graph has to be told of processes whose waits look endless, and of those at which a
/// chain ends: read for these few only.
class FactReader {
 public:
  FactReader(WhyReport& report, const ProcRoot& proc)
      : report_(report), proc_(proc), freezer_(proc) {}

  void read(const WhyQuestion& question) {
    report_.graph.emplace(report_.snapshot, report_.facts);
    constexpr int most_rounds = 4;  // what one frozen process hid, the next round looks at
    for (int round = 0; round < most_rounds; round++) {
      const bool more = read_signals();
      const bool lost = round == 0 && read_lost_peers(question);
      if (!read_frozen(question) && !more && !lost) {
        return;
      }
      report_.graph.emplace(report_.snapshot, report_.facts);
    }
  }

 private:
  bool read_signals() {
    bool any = false;
    const Snapshot& snapshot = report_.snapshot;
    for (ThreadIndex i = 0; i < snapshot.threads.size(); i++) {
      const Thread& thread = snapshot.threads[i];
      if (report_.graph->is_live(i) || has_ended(thread) ||
          !asked_signals_.insert(thread.process).second) {
        continue;
      }
      const auto caught = read_caught_signals(proc_, snapshot.processes[thread.process].pid);
      // What cannot be read could be anything, and a false alarm is worse.
      if (caught.value_or(1) != 0) {
        report_.facts.catches.insert(thread.process);
        any = true;
      }
    }
    return any;
  }

  /// Of connections that seem to be with another host, and at which somebody waits for long.
  bool read_lost_peers(const WhyQuestion& question) {
    const Snapshot& snapshot = report_.snapshot;
    for (uint32_t i = 0; i < snapshot.waits.size(); i++) {
      const Wait& wait = snapshot.waits[i];
      const Thread& thread = snapshot.threads[wait.thread];
      if (wait.channel == no_index || !is_wanted(question, thread) ||
          snapshot.channels[wait.channel].kind != Kind::tcp ||
          report_.graph->wait_root(i) != Root::remote) {
        continue;
      }
      const Channel& connection = snapshot.channels[wait.channel];
      if (!is_within_host(connection.id)) {
        continue;
      }
      const Attribute* inode = snapshot.attribute(connection, "inode");
      if (inode != nullptr && inode->type == Attribute::Type::natural &&
          has_lost_peer(proc_, snapshot.processes[thread.process].pid, inode->natural)) {
        report_.facts.lost_peers.insert(wait.channel);
      }
    }
    return !report_.facts.lost_peers.empty();
  }

  bool is_wanted(const WhyQuestion& question, const Thread& thread) const {
    const std::vector<pid_t>& targets = question.targets;
    return targets.empty()
               ? thread.blocked_ns.value_or(0) >= question.longer_than_ns
               : std::find(targets.begin(), targets.end(),
                           report_.snapshot.processes[thread.process].pid) != targets.end() ||
                     std::find(targets.begin(), targets.end(), thread.tid) != targets.end();
  }

  bool read_frozen(const WhyQuestion& question) {
    bool any = false;
    const Snapshot& snapshot = report_.snapshot;
    for (ThreadIndex i = 0; i < snapshot.threads.size(); i++) {
      const Thread& thread = snapshot.threads[i];
      if (!is_wanted(question, thread) || thread.wait_count == 0 || has_ended(thread)) {
        continue;
      }
      const WaitGraph::Chain chain = report_.graph->chain(i);
      if (chain.steps.size() < 2 && question.targets.empty()) {
        continue;
      }
      const ProcessIndex root = snapshot.threads[chain.steps.back().thread].process;
      if (asked_frozen_.insert(root).second && snapshot.processes[root].mm != 0 &&
          freezer_.is_frozen(snapshot.processes[root].pid)) {
        report_.facts.frozen.insert(root);
        any = true;
      }
    }
    return any;
  }

  WhyReport& report_;
  const ProcRoot& proc_;
  Freezer freezer_;
  std::unordered_set<ProcessIndex> asked_signals_, asked_frozen_;
};

/// The threads that the targets mean: of a process, those that are not idle, or else all.
std::vector<ThreadIndex> chosen_threads(const WhyReport& report,
                                        const std::vector<pid_t>& targets) {
  const Snapshot& snapshot = report.snapshot;
  std::vector<ThreadIndex> chosen;
  for (const pid_t target : targets) {
    const Process* process = snapshot.process(target);
    if (process == nullptr) {
      if (const Thread* thread = snapshot.thread(target)) {
        chosen.push_back(static_cast<ThreadIndex>(thread - snapshot.threads.data()));
      }
      continue;
    }
    const size_t before = chosen.size();
    for (const bool idle : {false, true}) {
      for (uint32_t i = 0; i < process->thread_count; i++) {
        const ThreadIndex thread = process->first_thread + i;
        const bool waits = snapshot.threads[thread].wait_count != 0 ||
                           snapshot.threads[thread].state == 'D' || process->thread_count == 1;
        if (!has_ended(snapshot.threads[thread]) &&
            (idle || (waits && !is_idle(snapshot, *report.graph, thread)))) {
          chosen.push_back(thread);
        }
      }
      if (chosen.size() > before) {
        break;
      }
    }
  }
  std::sort(chosen.begin(), chosen.end());
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  return chosen;
}

/// Threads with the same first wait and the same way on. A way is long where many wait in a row;
/// its first steps tell it from others.
std::vector<ChainGroup> group_threads(const WhyReport& report,
                                      const std::vector<ThreadIndex>& threads) {
  constexpr size_t most_compared = 16;
  const Snapshot& snapshot = report.snapshot;
  std::map<std::vector<uint64_t>, size_t> known;
  std::vector<ChainGroup> groups;
  for (const ThreadIndex each : threads) {
    WaitGraph::Chain chain = report.graph->chain(each);
    std::vector<uint64_t> key = {snapshot.threads[each].process, static_cast<uint64_t>(chain.root)};
    const WaitGraph::Step& first = chain.steps.front();
    if (first.wait != no_index) {
      const Wait& wait = snapshot.waits[first.wait];
      key.push_back(std::hash<std::string_view>()(wait.operation));
      // Idle threads are many, each at a word of its own.
      key.push_back(is_idle(snapshot, *report.graph, each) ? 0 : wait.channel);
    } else {
      key.push_back(static_cast<uint64_t>(snapshot.threads[each].state));
    }
    for (size_t i = 1; i < std::min(chain.steps.size(), most_compared); i++) {
      key.push_back(chain.steps[i].thread);
    }
    const auto [found, is_new] = known.try_emplace(std::move(key), groups.size());
    if (is_new) {
      groups.push_back({std::move(chain), {each}});
      continue;
    }
    ChainGroup& group = groups[found->second];
    group.threads.push_back(each);
    if (snapshot.threads[each].blocked_ns.value_or(0) >
        snapshot.threads[group.threads.front()].blocked_ns.value_or(0)) {
      std::swap(group.threads.front(), group.threads.back());
      group.chain = std::move(chain);
    }
  }
  return groups;
}

/// Compares what was seen with what is there now.
class SecondLook {
 public:
  SecondLook(const WhyReport& report, const ProcRoot& proc) : report_(report), proc_(proc) {}

  /// False when one of them has moved.
  bool confirms(const std::vector<int32_t>& tids) {
    return std::all_of(tids.begin(), tids.end(), [&](int32_t tid) { return !has_moved(tid); });
  }

 private:
  bool has_moved(int32_t tid) {
    const auto [found, is_new] = known_.try_emplace(tid, false);
    if (is_new) {
      const Thread* thread = report_.snapshot.thread(tid);
      found->second =
          thread == nullptr || look_again(proc_, report_.snapshot, *thread) == Motion::moved;
    }
    return found->second;
  }

  const WhyReport& report_;
  const ProcRoot& proc_;
  std::unordered_map<int32_t, bool> known_;
};

bool is_endless(const ChainGroup& group) {
  return group.chain.root == Root::deadlock || group.chain.root == Root::nobody;
}

/// Waits until the looks are far enough apart, then drops the findings whose threads have moved.
/// False when a chain that seemed endless has moved: it has to be looked at anew.
bool look_twice(WhyReport& report, const WhyQuestion& question, const ProcRoot& proc,
                std::chrono::steady_clock::time_point first) {
  std::vector<int32_t> chained;
  for (const ChainGroup& group : report.groups) {
    if (is_endless(group)) {
      for (const WaitGraph::Step& step : group.chain.steps) {
        chained.push_back(report.snapshot.threads[step.thread].tid);
      }
    }
  }
  if (report.findings.empty() && chained.empty()) {
    return true;
  }
  std::this_thread::sleep_until(first + question.apart);
  report.apart_ms = static_cast<uint64_t>(
      std::chrono::ceil<std::chrono::milliseconds>(std::chrono::steady_clock::now() - first)
          .count());
  SecondLook look(report, proc);
  const size_t before = report.findings.size();
  report.findings.erase(std::remove_if(report.findings.begin(), report.findings.end(),
                                       [&](const Finding& finding) {
                                         return !look.confirms(finding.tids) ||
                                                !look.confirms(finding.behind);
                                       }),
                        report.findings.end());
  report.dropped = before - report.findings.size();
  return look.confirms(chained);
}

/// Findings of which a process that was asked for is a part.
void keep_those_of(WhyReport& report, const std::vector<ThreadIndex>& threads) {
  std::unordered_set<int32_t> concerned;
  for (const ThreadIndex thread : threads) {
    for (const WaitGraph::Step& step : report.graph->chain(thread).steps) {
      concerned.insert(report.snapshot.threads[step.thread].tid);
    }
  }
  report.findings.erase(std::remove_if(report.findings.begin(), report.findings.end(),
                                       [&](const Finding& finding) {
                                         return std::none_of(
                                             finding.tids.begin(), finding.tids.end(),
                                             [&](int32_t tid) { return concerned.contains(tid); });
                                       }),
                        report.findings.end());
}

}  // namespace

std::vector<WhyBranch> WhyReport::branches(ThreadIndex thread) const {
  std::vector<WhyBranch> found;
  const Thread& of = snapshot.threads[thread];
  const WaitGraph::Chain chain = graph->chain(thread);
  const bool endless = !graph->is_moving(thread);
  const uint32_t next_wait = chain.steps.front().wait;
  const ThreadIndex next = chain.steps.size() > 1         ? chain.steps[1].thread
                           : chain.root == Root::deadlock ? chain.steps[chain.knot_begin].thread
                                                          : no_index;
  for (uint32_t i = of.first_wait; i < of.first_wait + of.wait_count; i++) {
    if (i != next_wait && (!endless || found.size() >= most_told)) {
      continue;
    }
    WhyBranch branch;
    branch.wait = i;
    if (chain.steps.size() == 1 && chain.root != Root::deadlock) {
      found.push_back(std::move(branch));  // it ends here: nobody has to do anything
      continue;
    }
    const std::vector<ThreadIndex> all = graph->releasers(i, most_counted);
    branch.more = all.size() == most_counted;
    if (i == next_wait && next != no_index && next != thread) {
      branch.to.push_back(next);
    }
    for (const ThreadIndex each : all) {
      if (i == next_wait && each == next) {
        continue;
      }
      if (endless && branch.to.size() < most_told) {
        branch.to.push_back(each);
      } else {
        (graph->is_moving(each) ? branch.moving : branch.stuck)++;
      }
    }
    found.push_back(std::move(branch));
  }
  return found;
}

std::string WhyReport::note(uint32_t wait) const {
  const auto found = notes.find(wait);
  return found != notes.end() ? found->second : wait_note(snapshot, snapshot.waits[wait]);
}

std::string WhyReport::verdict(const WaitGraph::Chain& chain) const {
  std::string text = root_text(snapshot, chain);
  const auto sleep = kernel.find(snapshot.threads[chain.steps.back().thread].tid);
  if (chain.root == Root::device && sleep != kernel.end() && !sleep->second.reason.empty()) {
    text += ": " + sleep->second.reason;
  }
  return text;
}

namespace {

std::unique_ptr<WhyReport> look_at(std::shared_ptr<const Snapshot> snapshot,
                                   const WhyQuestion& question, const ProcRoot& proc) {
  auto report = std::make_unique<WhyReport>(std::move(snapshot));
  FactReader(*report, proc).read(question);
  const StuckQuestion stuck = {report->snapshot, *report->graph, report->facts,
                               question.longer_than_ns};
  report->findings = find_stuck(stuck);
  report->counts = count_waits(report->snapshot, *report->graph);
  if (question.targets.empty()) {
    report->groups = group_threads(*report, long_waits(stuck));
  } else {
    const std::vector<ThreadIndex> threads = chosen_threads(*report, question.targets);
    report->groups = group_threads(*report, threads);
    keep_those_of(*report, threads);
  }
  return report;
}

}  // namespace

Result<std::unique_ptr<WhyReport>> ask_why(const WhyQuestion& question, const ProcRoot& proc) {
  for (int look = 1;; look++) {
    Result<Snapshot> snapshot = take_snapshot(question.request, proc);
    if (!snapshot) {
      return Failure(snapshot.error());
    }
    const auto first = std::chrono::steady_clock::now();
    std::unique_ptr<WhyReport> report =
        look_at(std::make_shared<const Snapshot>(std::move(*snapshot)), question, proc);
    if (!question.twice || look_twice(*report, question, proc, first) || look == most_looks) {
      add_kernel_stacks(*report, proc);
      add_semaphore_notes(*report, proc);
      return report;
    }
  }
}

std::unique_ptr<WhyReport> explain(std::shared_ptr<const Snapshot> snapshot,
                                   std::chrono::steady_clock::time_point taken,
                                   const WhyQuestion& question, const ProcRoot& proc) {
  std::unique_ptr<WhyReport> report = look_at(std::move(snapshot), question, proc);
  if (question.twice) {
    look_twice(*report, question, proc, taken);
  }
  add_kernel_stacks(*report, proc);
  add_semaphore_notes(*report, proc);
  return report;
}

}  // namespace ipcscope
