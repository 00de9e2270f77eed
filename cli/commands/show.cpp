// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/commands/show.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/commands/answer.h"
#include "cli/render/list.h"
#include "cli/render/show.h"
#include "cli/show_report.h"
#include "cli/suggest.h"
#include "collectors/base/parse.h"
#include "collectors/session.h"

namespace ipcscope {

const char* const show_notes =
    R"(A number is a process, or else the inode number of a pipe or of either end of a socket. A name or
the beginning of an identifier will do; where several channels match, they are listed.

Examples:
  ipcscope show pipe:4455
  ipcscope show /run/dbus/system_bus_socket
  ipcscope show 812 --json | jq '.processes[0].threads[].waits'
)";

namespace {

template <typename T>
void add_once(std::vector<T>& to, T item) {
  if (std::find(to.begin(), to.end(), item) == to.end()) {
    to.push_back(item);
  }
}

/// Why nothing matches a word.
std::string not_found(const std::string& word, const ProcRoot& proc) {
  const std::string shown = escaped(word, {});
  if (const auto pid = parse_number<pid_t>(word); pid && *pid > 0) {
    const std::string problem = missing_process(proc, *pid);
    return fmt::format(
        "no channel {}, and {}", *pid,
        problem.empty() ? fmt::format("process {} could not be seen", *pid) : problem);
  }
  const size_t colon = word.find(':');
  if (colon != std::string::npos && !kind_from_name(word.substr(0, colon))) {
    std::vector<std::string_view> names;
    for (size_t i = 0; i < kind_count; i++) {
      names.push_back(kind_name(static_cast<Kind>(i)));
    }
    return fmt::format("no channel '{}': unknown kind '{}'{}", shown,
                       escaped(word.substr(0, colon), {}),
                       suggestion(word.substr(0, colon), names));
  }
  return fmt::format("no channel '{}'", shown);
}

/// Adds what a word means. False when it means nothing.
bool resolve(const std::string& word, const Snapshot& snapshot, ShowReport& report,
             bool& ambiguous) {
  if (const auto number = parse_number<pid_t>(word)) {
    const Process* process = snapshot.process(*number);
    const Thread* thread = process == nullptr ? snapshot.thread(*number) : nullptr;
    if (thread != nullptr) {
      process = &snapshot.processes[thread->process];
    }
    if (process != nullptr) {
      add_once(report.processes, static_cast<ProcessIndex>(process - snapshot.processes.data()));
      return true;
    }
  }
  const std::vector<ChannelIndex> found = matching_channels(snapshot, word);
  ambiguous = ambiguous || found.size() > 1;
  for (const ChannelIndex channel : found) {
    add_once(report.channels, channel);
  }
  return !found.empty();
}

}  // namespace

int run_show(const Options& options, const Stage& stage) {
  if (options.words.empty()) {
    return stage.misuse("which channel or process?");
  }
  // Peers two hops out can be anywhere.
  Request everything;
  everything.source = options.source;
  const Result<Snapshot> snapshot = take_snapshot(everything, stage.proc);
  if (!snapshot) {
    return stage.give_up(snapshot.error());
  }
  ShowReport report(*snapshot);
  bool ambiguous = false;
  for (const std::string& word : options.words) {
    if (!resolve(word, *snapshot, report, ambiguous)) {
      return stage.no_target(not_found(word, stage.proc));
    }
  }
  if (ambiguous && !options.json) {
    const ListReport list = {.command = "show", .snapshot = *snapshot, .channels = report.channels};
    ListForm form;
    form.columns = default_columns();
    write_list(stage.out, stage.terminal, list, form);
    stage.out.flush();
    complain(fmt::format("{} channels match; give the identifier of one", report.channels.size()));
    return finish_answer(options, stage, *snapshot);
  }
  complete(report, stage.proc);
  if (options.json) {
    write_show_json(stage.out, report);
  } else {
    write_show(stage.out, stage.terminal, report);
  }
  return finish_answer(options, stage, *snapshot);
}

}  // namespace ipcscope
