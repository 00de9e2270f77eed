// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/commands/why.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <bitset>
#include <chrono>
#include <set>

#include "cli/arguments.h"
#include "cli/commands/answer.h"
#include "cli/commands/ending.h"
#include "cli/kinds.h"
#include "cli/render/finding.h"
#include "cli/render/list.h"
#include "cli/render/why.h"
#include "cli/why_report.h"
#include "cli/why_stacks.h"
#include "collectors/base/parse.h"

namespace ipcscope {

const char* const why_notes =
    R"(A PID means those of its threads that are not idle, a TID one thread. Each chain goes from a thread
over what it waits for to who could release it, down to the root and a verdict. Without a number:
deadlocks and everything else that does not go on by itself, then what waits for long. A server
that waits for work is neither. Findings are confirmed by a second look at their threads.

Exit status: 1 where something was found (without a number).

Examples:
  ipcscope why
  ipcscope why 812 --stacks
  ipcscope why --json | jq -r '.findings[].summary'
  ipcscope why --dot | dot -Tsvg >why.svg
)";

namespace {
constexpr uint64_t usual_limit_ns = 10'000'000'000;

std::bitset<kind_count> wanted_kinds() {
  std::bitset<kind_count> kinds;
  for (size_t i = 0; i < kind_count; i++) {
    kinds.set(i, can_be_waited_for(static_cast<Kind>(i)));
  }
  return kinds;
}

Result<WhyQuestion> make_question(const Options& options) {
  WhyQuestion question;
  question.request.source = options.source;
  question.request.relations = true;
  question.request.kinds = wanted_kinds();
  question.twice = !options.once;
  question.longer_than_ns = usual_limit_ns;
  if (!options.longer_than.empty()) {
    const Result<uint64_t> limit = parse_duration(options.longer_than);
    if (!limit) {
      return Failure(limit.error());
    }
    question.longer_than_ns = *limit;
  }
  Result<std::vector<pid_t>> targets = parse_pids(options.words);
  if (!targets) {
    return failure(targets.error().context);
  }
  question.targets = std::move(*targets);
  return question;
}

/// Why a number cannot be a target. Empty when it can, or could when it was asked.
std::string missing_target(const Stage& stage, pid_t target) {
  if (stage.proc.read(fmt::format("{}/status", target))) {  // a thread has one too
    return {};
  }
  const std::string problem = missing_process(stage.proc, target);
  return problem == fmt::format("no process {}", target)
             ? fmt::format("no process or thread {}", target)
             : problem;
}

std::string unseen_target(const Snapshot& snapshot, const std::vector<pid_t>& targets) {
  for (const pid_t target : targets) {
    if (snapshot.process(target) == nullptr && snapshot.thread(target) == nullptr) {
      return fmt::format("process {} could not be seen", target);
    }
  }
  return {};
}

bool is_serious(const WhyReport& report) {
  return std::any_of(report.findings.begin(), report.findings.end(),
                     [](const Finding& each) { return each.severity != Severity::info; });
}

void print(const Options& options, const Stage& stage, const WhyQuestion& question,
           const WhyReport& report) {
  if (options.json) {
    write_why_json(stage.out, report, !options.watch.empty());
  } else if (options.dot) {
    write_why_dot(stage.out, report);
  } else if (!question.targets.empty()) {
    write_why_chains(stage.out, stage.terminal, report);
  } else {
    write_why_findings(stage.out, stage.terminal, report, question.longer_than_ns);
  }
}

/// What tells a chain from those that were told already.
std::string identity(const WhyReport& report, const ChainGroup& group) {
  std::string text = fmt::format("{}", static_cast<int>(group.chain.root));
  for (const WaitGraph::Step& step : group.chain.steps) {
    text += fmt::format(" {}", report.snapshot.threads[step.thread].tid);
    if (step.wait != no_index && report.snapshot.waits[step.wait].channel != no_index) {
      text += report.snapshot.channels[report.snapshot.waits[step.wait].channel].id;
    }
  }
  return text;
}

/// Leaves in the report what was not in the one before.
class News {
 public:
  bool keep_new(WhyReport& report) {
    std::set<std::string> now;
    const auto is_old = [&](const std::string& name) {
      now.insert(name);
      return before_.contains(name);
    };
    report.findings.erase(
        std::remove_if(report.findings.begin(), report.findings.end(),
                       [&](const Finding& each) { return is_old(finding_identity(each)); }),
        report.findings.end());
    report.groups.erase(
        std::remove_if(report.groups.begin(), report.groups.end(),
                       [&](const ChainGroup& each) { return is_old(identity(report, each)); }),
        report.groups.end());
    before_ = std::move(now);
    return !report.findings.empty() || !report.groups.empty();
  }

 private:
  std::set<std::string> before_;
};

/// False when there is nobody to go on for: interrupted, or nobody reads the output any more.
bool pause(std::chrono::nanoseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (!is_interrupted()) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return true;
    }
    pollfd output{STDOUT_FILENO, 0, 0};
    constexpr int64_t longest = 3'600'000;
    const int ready = ::poll(&output, 1, static_cast<int>(std::min(left.count(), longest)));
    if (ready > 0 && (output.revents & (POLLERR | POLLNVAL)) != 0) {
      return false;
    }
  }
  return false;
}

void print_news(const Options& options, const Stage& stage, const WhyReport& report) {
  if (options.json) {
    write_why_json(stage.out, report, true);
    return;
  }
  const std::string time = time_text(report.snapshot.time_ns);
  for (const Finding& finding : report.findings) {
    stage.out.write(time + " ");
    write_finding(stage.out, stage.terminal, finding);
  }
  if (!report.groups.empty()) {
    stage.out.write(time + "\n");
    write_why_groups(stage.out, stage.terminal, report);
  }
}

int watch(const Options& options, const Stage& stage, const WhyQuestion& question,
          std::chrono::nanoseconds every) {
  heed_interrupts();
  News news;
  bool found = false;
  do {
    const Result<std::unique_ptr<WhyReport>> report = ask_why(question, stage.proc);
    if (!report) {
      return stage.give_up(report.error());
    }
    if (!question.targets.empty() &&
        !unseen_target((*report)->snapshot, question.targets).empty()) {
      return stage.no_target(unseen_target((*report)->snapshot, question.targets));
    }
    found = found || is_serious(**report);
    if (news.keep_new(**report)) {
      if (options.stacks) {
        add_stacks(**report, stage.proc, options.source);
      }
      print_news(options, stage, **report);
      stage.out.flush();
    }
  } while (stage.out.error() == 0 && pause(every));
  return found && question.targets.empty() ? status_found : status_complete;
}

}  // namespace

int run_why(const Options& options, const Stage& stage) {
  const Result<WhyQuestion> question = make_question(options);
  if (!question) {
    return stage.misuse(question.error().text());
  }
  std::chrono::nanoseconds every{};
  if (!options.watch.empty()) {
    const Result<uint64_t> given = parse_duration(options.watch);
    if (!given || *given < 100'000'000) {
      return stage.misuse(given ? "'--watch' needs at least 0.1 seconds" : given.error().text());
    }
    every = std::chrono::nanoseconds(*given);
  }
  for (const pid_t target : question->targets) {
    if (const std::string problem = missing_target(stage, target); !problem.empty()) {
      return stage.no_target(problem);
    }
  }
  if (!options.watch.empty()) {
    return watch(options, stage, *question, every);
  }
  const Result<std::unique_ptr<WhyReport>> report = ask_why(*question, stage.proc);
  if (!report) {
    return stage.give_up(report.error());
  }
  if (const std::string problem = unseen_target((*report)->snapshot, question->targets);
      !problem.empty()) {
    return stage.no_target(problem);
  }
  if (options.stacks) {
    add_stacks(**report, stage.proc, options.source);
  }
  print(options, stage, *question, **report);
  const int status = finish_answer(options, stage, (*report)->snapshot);
  return status == status_complete && question->targets.empty() && is_serious(**report)
             ? status_found
             : status;
}

}  // namespace ipcscope
