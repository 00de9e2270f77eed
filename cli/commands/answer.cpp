// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/commands/answer.h"

#include <fmt/format.h>
#include <signal.h>

#include "cli/render/list.h"
#include "cli/render/wrap.h"
#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

int coverage_status(const Options& options, const std::vector<Coverage>& coverage) {
  return options.strict && !is_complete(coverage) ? status_partial : status_complete;
}

}  // namespace

int finish_answer(const Options& options, const Stage& stage,
                  const std::vector<Coverage>& coverage) {
  if (!options.json) {
    stage.out.flush();  // what is on the standard error comes behind it
    for (const std::string& line : coverage_problems(coverage, {.utf8 = stage.terminal.utf8})) {
      complain(line);
    }
  }
  return coverage_status(options, coverage);
}

int write_coverage_footer(const Options& options, const Stage& stage,
                          const std::vector<Coverage>& coverage) {
  const auto problems = coverage_problems(coverage, stage.terminal.escape());
  if (problems.empty()) {
    stage.out.write("coverage: complete\n");
  }
  for (const std::string& line : problems) {
    std::string wrapped;
    Output memory(wrapped);
    write_wrapped(memory, stage.terminal, "", 2, "coverage: " + line);
    memory.flush();
    wrapped.pop_back();  // the last newline, which has no style
    stage.out.write(styled(wrapped, Style::warning, stage.terminal.color));
    stage.out.put('\n');
  }
  return coverage_status(options, coverage);
}

std::optional<pid_t> process_of(const ProcRoot& proc, pid_t number) {
  const Result<std::string> status = proc.read(fmt::format("{}/status", number));
  std::string_view left = status ? std::string_view(*status) : std::string_view();
  while (!left.empty()) {
    std::string_view line = next_line(left);
    if (line.starts_with("Tgid:")) {
      line.remove_prefix(5);
      return next_number<pid_t>(line);
    }
  }
  return std::nullopt;
}

std::string missing_process(const ProcRoot& proc, pid_t pid) {
  const std::optional<pid_t> process = process_of(proc, pid);
  if (!process) {
    // Signal 0 is never delivered; it only asks.
    if (::kill(pid, 0) == 0 || errno == EPERM) {
      return fmt::format("process {} is hidden from this user (/proc has hidepid); run as root",
                         pid);
    }
    return fmt::format("no process {}", pid);
  }
  return *process != pid ? fmt::format("{} is a thread of process {}", pid, *process)
                         : std::string();
}

}  // namespace ipcscope
