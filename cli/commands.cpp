// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>
#include <unistd.h>

#include <string>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/commands/doctor.h"
#include "cli/commands/fixture.h"
#include "cli/commands/leaks.h"
#include "cli/commands/limits.h"
#include "cli/commands/locks.h"
#include "cli/commands/ls.h"
#include "cli/commands/selftest.h"
#include "cli/commands/show.h"
#include "cli/commands/top.h"
#include "cli/commands/trace.h"
#include "cli/commands/why.h"
#include "collectors/bpf_refusal.h"

namespace ipcscope {

std::span<const Command> command_table() {
  static const Command table[] = {
      {"ls", "See", "list the live channels, their ends, how full they are and who waits", ls_notes,
       add_ls_options, run_ls},
      {"show", "See", "show one channel or one process in full", show_notes, add_show_options,
       run_show},
      {"leaks", "Check", "find what was left behind, with evidence; remove it, and put it back",
       leaks_notes, add_leaks_options, run_leaks},
      {"why", "See", "say who waits for whom, to the root, and what is stuck", why_notes,
       add_why_options, run_why},
      {"limits", "Check", "say how near each limit is, who uses it, and how it is raised",
       limits_notes, add_limits_options, run_limits},
      {"locks", "Measure", "say which locks and queues cost how much, and who makes whom wait",
       locks_notes, add_locks_options, run_locks},
      {"top", "Measure", "show the busiest, the fullest and what waits, live on one screen",
       top_notes, add_top_options, run_top},
      {"trace", "Measure", "print each IPC operation as it happens", trace_notes, add_trace_options,
       run_trace},
      {"doctor", "Check", "say what this kernel and these privileges allow", doctor_notes,
       add_doctor_options, run_doctor},
      {"fixture", "Learn", "reproduce a problem, to try the commands on", fixture_notes,
       add_fixture_options, run_fixture},
      {"selftest", "Learn", "run the fixtures and prove that this kernel shows each problem",
       selftest_notes, add_selftest_options, run_selftest},
  };
  return table;
}

void complain(std::string_view text) {
  // One write, so that lines of several programs do not mix.
  const std::string line = fmt::format("ipcscope: {}\n", text);
  (void)!::write(STDERR_FILENO, line.data(), line.size());
}

int Stage::misuse(std::string_view text) const {
  complain(fmt::format("{}; try 'ipcscope {} --help'", text, command));
  return status_usage;
}

int Stage::no_target(std::string_view text) const {
  complain(text);
  return status_usage;
}

int Stage::give_up(std::string_view text) const {
  complain(text);
  return status_unanswered;
}

int Stage::give_up(const Error& error) const {
  return give_up(error.code ? fmt::format("{}; {}", error.text(), advice_after(error))
                            : error.text());
}

}  // namespace ipcscope
