// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "collectors/base/result.h"

namespace ipcscope {

/// What the command line asks for.
struct Invocation {
  const Command* command = nullptr;  ///< nothing: only text is to be printed
  Options options;
  std::string types;  ///< a file with the kernel's BTF; empty: the kernel's own
  std::string text;   ///< help or version
};

/// An error is one line, to be printed behind "ipcscope: ".
Result<Invocation> parse_arguments(int argc, const char* const* argv);

/// The options of the commands, all in one file because CLI11 takes seconds to compile.
void add_ls_options(CLI::App& app, Options& options);
void add_show_options(CLI::App& app, Options& options);
void add_leaks_options(CLI::App& app, Options& options);
void add_limits_options(CLI::App& app, Options& options);
void add_locks_options(CLI::App& app, Options& options);
void add_why_options(CLI::App& app, Options& options);
void add_trace_options(CLI::App& app, Options& options);
void add_top_options(CLI::App& app, Options& options);
void add_doctor_options(CLI::App& app, Options& options);
void add_fixture_options(CLI::App& app, Options& options);
void add_selftest_options(CLI::App& app, Options& options);

/// The numbers of "-p 1 -p 2,3".
Result<std::vector<pid_t>> parse_pids(const std::vector<std::string>& lists);

/// A user by number or name.
Result<uid_t> parse_user(const std::string& word);
/// "10", "0.5", "20us", "500ms", "2m", "1h" as nanoseconds; a number alone is seconds.
Result<uint64_t> parse_duration(std::string_view text);

}  // namespace ipcscope
