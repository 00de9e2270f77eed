// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/commands/limits.h"

#include <fmt/format.h>

#include <limits>

#include "analysis/limits.h"
#include "cli/arguments.h"
#include "cli/commands/answer.h"
#include "cli/limit_report.h"
#include "cli/render/column_list.h"
#include "cli/render/limits.h"
#include "cli/render/wrap.h"
#include "collectors/limits.h"
#include "collectors/session.h"

namespace ipcscope {

const char* const limits_notes =
    R"(Limits at 80 % or more come first, with the command that would raise each; then the nearest of
each other that is used. What is unknown is '-'. A scope is the host; ipc, net or pid: ipcscope's
own namespace, ipc@INODE another one; a user, a process, a cgroup, a mount or a channel.

Exit status: 0 no limit is near; 1 one is at 80 % or more; 2 wrong usage or no such process;
3 nothing could be collected; 4 partial coverage, where --strict was given.

Examples:
  ipcscope limits
  ipcscope limits -p 812 --all
  ipcscope limits --raw -n -o percent,limit,scope,remedy
  ipcscope limits --json | jq '.limits[] | select(.severity != "info") | .remedy'
)";

namespace {

Result<LimitForm> make_form(const Options& options, const Terminal& terminal) {
  LimitForm form;
  form.raw = options.raw;
  form.headings = !options.no_headings;
  form.columns = default_limit_columns(terminal.width);
  if (!options.columns.empty()) {
    Result<std::vector<LimitColumn>> columns = parse_limit_columns(options.columns, terminal.width);
    if (!columns) {
      return Failure(columns.error());
    }
    form.columns = std::move(*columns);
  }
  return form;
}

}  // namespace

int run_limits(const Options& options, const Stage& stage) {
  if (options.list_columns) {
    list_columns(stage.out, stage.terminal, all_limit_columns());
    return status_complete;
  }
  const Result<LimitForm> form = make_form(options, stage.terminal);
  if (!form) {
    return stage.misuse(form.error().text());
  }
  const Result<std::vector<pid_t>> pids = parse_pids(options.pids);
  if (!pids) {
    return stage.misuse(pids.error().text());
  }
  if (pids->size() > 1) {
    return stage.misuse("'-p' takes one process");
  }
  const pid_t pid = pids->empty() ? 0 : pids->front();
  if (const std::string problem = pid != 0 ? missing_process(stage.proc, pid) : std::string();
      !problem.empty()) {
    return stage.no_target(problem);
  }
  Request request = limits_request();
  request.source = options.source;
  Result<Snapshot> snapshot = take_snapshot(request, stage.proc);
  if (!snapshot) {
    return stage.give_up(snapshot.error());
  }
  Result<LimitFacts> facts = collect_limits(*snapshot, stage.proc);
  if (!facts) {
    return stage.give_up(facts.error().text());
  }
  for (Coverage& each : facts->coverage) {
    snapshot->coverage.push_back(std::move(each));
  }
  LimitReport report = {*snapshot, judge_limits(*facts, {.pid = pid}), {}, {}};
  if (pid != 0 && report.uses.empty()) {
    return stage.no_target(fmt::format("process {} could not be seen, or is a kernel thread", pid));
  }
  report.findings = near_limits(report.uses);
  report.shown = choose_limits(report.uses, options.all, pid != 0);
  const int status = report.findings.empty() ? status_complete : status_found;
  const auto or_found = [&](int coverage) { return status != status_complete ? status : coverage; };
  if (options.json) {
    write_limits_json(stage.out, report);
    return or_found(finish_answer(options, stage, *snapshot));
  }
  write_limits(stage.out, stage.terminal, report, *form);
  if (options.no_headings || options.raw) {
    return or_found(finish_answer(options, stage, *snapshot));
  }
  constexpr size_t one_screen = 5;
  write_near_limits(stage.out, stage.terminal, report,
                    options.all ? std::numeric_limits<size_t>::max() : one_screen);
  if (!stage.terminal.interactive) {
    return or_found(finish_answer(options, stage, *snapshot));
  }
  if (!report.findings.empty()) {
    stage.out.put('\n');
  }
  write_wrapped(stage.out, stage.terminal, "", 2, limits_summary(report));
  return or_found(write_coverage_footer(options, stage, *snapshot));
}

}  // namespace ipcscope
