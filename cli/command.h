// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <span>
#include <string_view>

#include "cli/options.h"
#include "cli/render/output.h"
#include "cli/render/terminal.h"
#include "collectors/base/proc_root.h"
#include "collectors/base/result.h"

namespace CLI {
class App;
}

namespace ipcscope {

/// The exit statuses of every command.
enum Status : int {
  status_complete = 0,
  status_found = 1,
  status_usage = 2,
  status_unanswered = 3,
  status_partial = 4,
};

/// What a command works with.
struct Stage {
  const char* command;
  Output& out;
  const Terminal& terminal;
  const ProcRoot& proc;
  /// "ipcscope: text; try ..." on the standard error; returns the status for wrong usage.
  int misuse(std::string_view text) const;
  /// "ipcscope: text" on the standard error; returns the status for a target that is not there.
  int no_target(std::string_view text) const;
  /// "ipcscope: text" on the standard error; returns the status for a question without an answer.
  int give_up(std::string_view text) const;
  /// The same with what the error says, and what may help where the system refused something.
  int give_up(const Error& error) const;
};

/// A line of the one table in commands.cpp.
struct Command {
  const char* name;
  const char* group;
  const char* summary;
  const char* notes;  ///< the end of its --help
  void (*add_options)(CLI::App& app, Options& options);
  int (*run)(const Options& options, const Stage& stage);
};

std::span<const Command> command_table();

/// "ipcscope: text" as one line on the standard error.
void complain(std::string_view text);

}  // namespace ipcscope
