// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/commands/ls.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/arguments.h"
#include "cli/commands/answer.h"
#include "cli/filter.h"
#include "cli/kinds.h"
#include "cli/render/channel_json.h"
#include "cli/render/column_list.h"
#include "cli/render/list.h"
#include "cli/render/wrap.h"
#include "collectors/session.h"

namespace ipcscope {

const char* const ls_notes = R"(Kinds:
  pipe fifo unix tcp udp netlink packet raw vsock shm sem msg posixshm posixsem mq memfd mmap
  futex flock fcntl ofd lease eventfd epoll signalfd timerfd pidfd inotify io_uring pty

What is unknown is '-'. At a terminal, rows are fitted to its width, and below them come a summary
by kind and the coverage: what could not be seen, why, and what to do. Output to a pipe or a file
has neither summary nor colour and nothing is shortened; what could not be seen is then told on the
standard error, a line each. So it is with -n and --raw.

Examples:
  ipcscope ls -p 812 --blocked
  ipcscope ls shm sem msg -o id,owner,key,bytes,pids
  ipcscope ls unix --cgroup '*/nginx.service' --raw -n -o id,bytes
)";

namespace {

Result<ChannelFilter> make_filter(const Options& options) {
  ChannelFilter filter;
  filter.name = options.name;
  filter.blocked = options.blocked;
  filter.cgroup = options.cgroup;
  for (const std::string& word : options.words) {
    const Result<Kind> kind = parse_kind(word);
    if (!kind) {
      return Failure(kind.error());
    }
    filter.kinds.set(static_cast<size_t>(*kind));
  }
  if (!options.user.empty()) {
    const Result<uid_t> user = parse_user(options.user);
    if (!user) {
      return Failure(user.error());
    }
    filter.user = *user;
  }
  Result<std::vector<pid_t>> pids = parse_pids(options.pids);
  if (!pids) {
    return Failure(pids.error());
  }
  filter.pids = std::move(*pids);
  return filter;
}

Result<ListForm> make_form(const Options& options) {
  ListForm form;
  form.raw = options.raw;
  form.headings = !options.no_headings;
  form.tree = options.tree;
  form.columns = options.tree ? default_tree_columns() : default_columns();
  if (!options.columns.empty()) {
    Result<std::vector<Column>> columns = parse_columns(options.columns, form.columns);
    if (!columns) {
      return Failure(columns.error());
    }
    form.columns = std::move(*columns);
  }
  return form;
}

bool wants_protocols(const ListForm& form) {
  return std::any_of(form.columns.begin(), form.columns.end(),
                     [](const Column& each) { return each.name == protocol_column; });
}

}  // namespace

int run_ls(const Options& options, const Stage& stage) {
  if (options.list_columns) {
    list_columns(stage.out, stage.terminal, all_columns());
    return status_complete;
  }
  const Result<ChannelFilter> filter = make_filter(options);
  if (!filter) {
    return stage.misuse(filter.error().text());
  }
  const Result<ListForm> form = make_form(options);
  if (!form) {
    return stage.misuse(form.error().text());
  }
  for (const pid_t pid : filter->pids) {
    if (const std::string problem = missing_process(stage.proc, pid); !problem.empty()) {
      return stage.no_target(problem);
    }
  }
  const Request request = {.source = options.source, .pids = filter->pids, .kinds = filter->kinds};
  const Result<Snapshot> snapshot = take_snapshot(request, stage.proc);
  if (!snapshot) {
    return stage.give_up(snapshot.error());
  }
  for (const pid_t pid : filter->pids) {
    if (snapshot->process(pid) == nullptr) {
      return stage.no_target(fmt::format("process {} could not be seen", pid));
    }
  }
  ListReport report = {.snapshot = *snapshot, .channels = filter->select(*snapshot, stage.proc)};
  if (wants_protocols(*form)) {
    report.protocols = find_protocols(*snapshot, report.channels, stage.proc);
  }
  if (options.json) {
    write_list_json(stage.out, report);
    return finish_answer(options, stage, *snapshot);
  }
  if (options.tree) {
    write_tree(stage.out, stage.terminal, report, *form);
  } else {
    write_list(stage.out, stage.terminal, report, *form);
  }
  if (!stage.terminal.interactive || options.no_headings || options.raw) {
    return finish_answer(options, stage, *snapshot);
  }
  write_wrapped(stage.out, stage.terminal, "", 2, summary(report));
  return write_coverage_footer(options, stage, *snapshot);
}

}  // namespace ipcscope
