// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/commands/leaks.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "cli/arguments.h"
#include "cli/commands/answer.h"
#include "cli/commands/leaks_removal.h"
#include "cli/render/column_list.h"
#include "cli/render/leaks.h"
#include "cli/render/wrap.h"
#include "cli/suggest.h"
#include "collectors/base/parse.h"
#include "collectors/leftovers.h"
#include "collectors/session.h"

namespace ipcscope {

const char* const leaks_notes = R"(Kinds:
  shm sem msg posixshm posixsem mq unix fifo file

Verdicts: 'leaked' is proven; 'suspect' looks left behind, but something could not be seen or speaks
against it; 'info' is worth knowing and never removed; 'live' is in use, and only shown with --all.
ipcscope-findings(7) has each rule and what can make it wrong.

--clean removes what is leaked. Each object is read once more at the last moment, and skipped if it
is not what was judged. Metadata and content are on the disk before it goes: 'ipcscope leaks
--restore DIR' puts it back.

Exit status: 0 nothing is leaked; 1 something is, or is still after --clean; 2 wrong usage, or no
backup can be written; 3 nothing could be collected; 4 partial coverage, where --strict was given.

Examples:
  ipcscope leaks
  ipcscope leaks shm --min-age 1h --evidence
  ipcscope leaks --clean --dry-run
  ipcscope leaks sem msg --clean --yes --backup /srv/ipc-backup
)";

namespace {

Result<LeakFilter> make_filter(const Options& options) {
  LeakFilter filter;
  filter.live = options.leaks.all;
  for (const std::string& word : options.words) {
    std::vector<std::string_view> names;
    for (const LeakKind& kind : leak_kinds()) {
      names.push_back(kind.name);
    }
    if (std::find(names.begin(), names.end(), word) != names.end()) {
      filter.kinds.push_back(word);
    } else if (kind_from_name(word)) {
      return failure(fmt::format("a {} cannot be left behind", word));
    } else {
      return failure(
          fmt::format("unknown kind '{}'{}", escaped(word, {}), suggestion(word, names)));
    }
  }
  if (!options.user.empty()) {
    const Result<uid_t> user = parse_user(options.user);
    if (!user) {
      return Failure(user.error());
    }
    filter.user = *user;
  } else if (::geteuid() != 0) {
    filter.user = ::geteuid();
  }
  const std::string& space = options.leaks.name_space;
  if (space.empty()) {
    filter.name_space = 0;
  } else if (space != "all") {
    const auto inode = parse_number<uint32_t>(space);
    if (!inode || *inode == 0) {
      return failure(fmt::format("'{}' is neither the inode number of a namespace nor all",
                                 escaped(space, {})));
    }
    filter.name_space = *inode;
    for (const char* own : {"/proc/self/ns/ipc", "/proc/self/ns/mnt"}) {
      struct stat status {};
      if (::stat(own, &status) == 0 && status.st_ino == *inode) {
        filter.name_space = 0;
      }
    }
  }
  return filter;
}

Result<LeakForm> make_form(const Options& options, const Terminal& terminal) {
  LeakForm form;
  form.raw = options.raw;
  form.headings = !options.no_headings;
  form.evidence = options.leaks.evidence;
  form.columns = default_leak_columns(terminal.width);
  if (!options.columns.empty()) {
    Result<std::vector<LeakColumn>> columns = parse_leak_columns(options.columns, terminal.width);
    if (!columns) {
      return Failure(columns.error());
    }
    form.columns = std::move(*columns);
  }
  return form;
}

/// Options that mean nothing without another, or that a question would need.
std::string contradiction(const Options& options, const Stage& stage) {
  const LeakOptions& leaks = options.leaks;
  if (!leaks.clean) {
    for (const auto& [given, name] : {std::pair{leaks.yes, "--yes"},
                                      {leaks.force, "--force"},
                                      {leaks.dry_run, "--dry-run"},
                                      {leaks.no_backup, "--no-backup"},
                                      {!leaks.backup.empty(), "--backup"}}) {
      if (given) {
        return fmt::format("'{}' needs --clean", name);
      }
    }
  }
  if (!leaks.restore.empty() && !options.words.empty()) {
    return "'--restore' takes no kinds";
  }
  const bool can_ask = stage.terminal.interactive && ::isatty(STDIN_FILENO) == 1 && !options.json;
  if (leaks.clean && !leaks.yes && !leaks.dry_run && !can_ask) {
    return "'--clean' has nobody to ask; give --yes, or --dry-run to see what it would do";
  }
  return {};
}

/// The kinds of channels that have to be collected for these kinds of objects.
Request make_request(const Options& options, const LeakFilter& filter) {
  Request request;
  request.source = options.source;
  const auto wants = [&](std::string_view kind) {
    return filter.kinds.empty() ||
           std::find(filter.kinds.begin(), filter.kinds.end(), kind) != filter.kinds.end();
  };
  const auto ask = [&](std::initializer_list<Kind> kinds) {
    for (const Kind kind : kinds) {
      request.kinds.set(static_cast<size_t>(kind));
    }
  };
  for (const Kind kind : {Kind::shm, Kind::sem, Kind::msg, Kind::posixshm, Kind::posixsem, Kind::mq,
                          Kind::unix_socket, Kind::fifo}) {
    if (wants(kind_name(kind))) {
      ask({kind});
    }
  }
  if (wants("file")) {
    ask({Kind::posixshm, Kind::flock, Kind::fcntl, Kind::ofd});
  }
  if (wants("posixshm") || wants("posixsem") || wants("mq")) {
    ask({Kind::unix_socket});  // a descriptor can be in the queue of a socket
  }
  return request;
}

void write_totals(const Options& options, const Stage& stage, const LeakReport& report) {
  const std::vector<std::string> lines = leak_totals(report);
  for (size_t i = 0; i < lines.size(); i++) {
    if (!options.no_headings && !options.raw) {
      write_wrapped(stage.out, stage.terminal, "", 2, lines[i]);
    } else if (i > 0) {
      complain(lines[i]);  // what is not shown is told all the same
    }
  }
}

/// A namespace in which no process was seen and no object lies was not looked at.
bool is_known(const LeakReport& report, uint32_t name_space) {
  const auto& processes = report.snapshot.processes;
  return name_space == 0 || !report.leaks.empty() ||
         std::any_of(processes.begin(), processes.end(), [&](const Process& process) {
           return process.ipc_ns == name_space || process.mnt_ns == name_space;
         });
}

}  // namespace

int run_leaks(const Options& options, const Stage& stage) {
  if (options.list_columns) {
    list_columns(stage.out, stage.terminal, all_leak_columns());
    return status_complete;
  }
  const Result<LeakFilter> filter = make_filter(options);
  if (!filter) {
    return stage.misuse(filter.error().text());
  }
  const Result<LeakForm> form = make_form(options, stage.terminal);
  if (!form) {
    return stage.misuse(form.error().text());
  }
  LeakQuery query = {.min_age_s = std::nullopt, .own_pid = ::getpid()};
  if (!options.leaks.min_age.empty()) {
    const Result<uint64_t> age = parse_duration(options.leaks.min_age);
    if (!age) {
      return stage.misuse(age.error().text());
    }
    query.min_age_s = *age / 1'000'000'000;
  }
  if (const std::string problem = contradiction(options, stage); !problem.empty()) {
    return stage.misuse(problem);
  }
  if (!options.leaks.restore.empty()) {
    return restore_leaks(options, stage);
  }
  Result<Snapshot> snapshot = take_snapshot(make_request(options, *filter), stage.proc);
  if (!snapshot) {
    return stage.give_up(snapshot.error());
  }
  const Leftovers leftovers =
      find_leftovers(*snapshot, stage.proc, options.source, snapshot->coverage);
  const bool own_user_only = options.user.empty() && filter->user.has_value();
  LeakReport report =
      make_leak_report(*snapshot, leftovers, find_leaks(*snapshot, leftovers, query), *filter,
                       own_user_only, stage.proc);
  if (!is_known(report, filter->name_space.value_or(0))) {
    return stage.no_target(fmt::format("no process was seen in namespace {}", *filter->name_space));
  }
  int status = report.count(Verdict::leaked) > 0 ? status_found : status_complete;
  if (options.leaks.clean) {
    status = clean_leaks(options, stage, report, *form);
    if (status >= status_usage) {
      return status;
    }
  } else if (!options.json) {
    if (!report.leaks.empty()) {
      write_leaks(stage.out, stage.terminal, report, *form);
    }
    write_totals(options, stage, report);
  }
  if (options.json) {
    write_leaks_json(stage.out, report);
  }
  const bool footer = stage.terminal.interactive && !options.no_headings && !options.raw;
  const int coverage = footer && !options.json ? write_coverage_footer(options, stage, *snapshot)
                                               : finish_answer(options, stage, *snapshot);
  return status != status_complete ? status : coverage;
}

}  // namespace ipcscope
