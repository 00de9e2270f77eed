// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/commands/leaks.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "cli/arguments.h"
#include "cli/commands/answer.h"
#include "cli/render/leaks.h"
#include "cli/render/list.h"
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

Result<LeakForm> make_form(const Options& options) {
  LeakForm form;
  form.raw = options.raw;
  form.headings = !options.no_headings;
  form.evidence = options.leaks.evidence;
  form.columns = default_leak_columns();
  if (!options.columns.empty()) {
    Result<std::vector<LeakColumn>> columns = parse_leak_columns(options.columns);
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

/// Where backups go unless told otherwise; empty when that cannot be known.
std::string default_backup() {
  constexpr const char* below = "/ipcscope/backup";
  const auto variable = [](const char* name) {
    const char* value = ::getenv(name);
    return value != nullptr && value[0] == '/' ? std::string(value) : std::string();
  };
  const std::string state = variable("XDG_STATE_HOME");
  if (::geteuid() == 0) {
    // sudo may have kept another user's, who could then read and replace what root writes.
    struct stat status {};
    const bool ours = !state.empty() && ::stat(state.c_str(), &status) == 0 && status.st_uid == 0;
    return (ours ? state : std::string("/var/lib")) + below;
  }
  if (!state.empty()) {
    return state + below;
  }
  const std::string home = variable("HOME");
  return home.empty() ? home : home + "/.local/state" + below;
}

/// A line from the terminal, without its end; nothing at the end of the file.
std::optional<std::string> ask(Output& out, std::string_view question) {
  out.write(question);
  out.flush();
  std::string line;
  char byte = 0;
  ssize_t got = 0;
  while ((got = ::read(STDIN_FILENO, &byte, 1)) == 1 || (got == -1 && errno == EINTR)) {
    if (got == 1 && byte == '\n') {
      return line;
    }
    if (got == 1) {
      line += byte;
    }
  }
  out.put('\n');
  return std::nullopt;
}

bool is_word(std::string_view answer, std::string_view word) {
  return answer == word || (answer.size() == 1 && answer[0] == word[0]);
}

/// Asks for the whole plan or for each of it; takes out of the plan what is not to be removed.
void ask_for_consent(const Stage& stage, LeakReport& report, size_t planned) {
  const auto answer = ask(
      stage.out,
      fmt::format("remove {}? [y/N/each] ", planned == 1 ? "it" : fmt::format("all {}", planned)));
  if (answer && is_word(*answer, "yes")) {
    return;
  }
  const bool each = answer && is_word(*answer, "each");
  bool quit = !each;
  for (size_t i = 0; i < report.leaks.size(); i++) {
    if (!report.planned[i]) {
      continue;
    }
    if (!quit) {
      const auto one =
          ask(stage.out, fmt::format("remove {}? [y/N/q] ",
                                     leak_label(report, report.leaks[i], stage.terminal.escape())));
      quit = !one || is_word(*one, "quit");
      if (one && is_word(*one, "yes")) {
        continue;
      }
    }
    report.planned[i] = false;
  }
}

/// What a clean-up will do, before anything is done.
class CleanUp {
 public:
  CleanUp(const Options& options, const Stage& stage, LeakReport& report)
      : options_(options.leaks), json_(options.json), stage_(stage), report_(report) {
    for (const Leak& leak : report.leaks) {
      const bool chosen =
          leak.verdict == Verdict::leaked || (options_.force && leak.verdict == Verdict::suspect);
      report_.planned.push_back(chosen && is_removable(leak));
    }
    report_.outcomes.resize(report_.leaks.size());
    if (!options_.no_backup) {
      backup_ = options_.backup.empty() ? default_backup() : options_.backup;
    }
  }

  int run(LeakForm form) {
    if (!options_.no_backup && backup_.empty()) {
      return stage_.misuse("no directory for the backup is known: HOME is not set; give --backup");
    }
    form.planned = true;
    const size_t planned = count();
    if (!json_ && planned > 0) {
      write_leaks(stage_.out, stage_.terminal, report_, form);
    }
    if (options_.dry_run) {
      return tell_plan(planned);
    }
    if (planned > 0 && !options_.yes) {
      ask_for_consent(stage_, report_, planned);
    }
    const int status = count() > 0 ? remove() : status_complete;
    return status != status_complete ? status : conclude(planned);
  }

 private:
  [[nodiscard]] size_t count() const {
    return static_cast<size_t>(std::count(report_.planned.begin(), report_.planned.end(), true));
  }

  void line(std::string_view text) {
    if (!json_) {
      stage_.out.write(text);
      stage_.out.put('\n');
    }
  }

  [[nodiscard]] std::string label(size_t index) const {
    return leak_label(report_, report_.leaks[index], stage_.terminal.escape());
  }

  [[nodiscard]] std::string shown(std::string_view path) const {
    return escaped(path, stage_.terminal.escape());
  }

  int tell_plan(size_t planned) {
    for (size_t i = 0; i < report_.leaks.size(); i++) {
      if (report_.planned[i]) {
        line("would remove " + label(i));
      }
    }
    if (planned == 0) {
      line("nothing to remove");
    } else if (backup_.empty()) {
      line("would keep no backup");
    } else {
      line(fmt::format("would first write content and metadata to a new directory in {}",
                       shown(backup_)));
    }
    tell_rest();
    return report_.count(Verdict::leaked) > 0 ? status_found : status_complete;
  }

  /// What was not touched, and why not.
  void tell_rest() {
    const size_t suspects = report_.count(Verdict::suspect);
    if (suspects > 0 && !options_.force) {
      line(fmt::format("{} suspect {} not touched; --force includes {}", suspects,
                       suspects == 1 ? "is" : "are", suspects == 1 ? "it" : "them"));
    }
    const std::vector<std::string> totals = leak_totals(report_);
    std::for_each(totals.begin() + 1, totals.end(),
                  [this](const std::string& left_out) { line(left_out); });
  }

  int remove() {
    std::vector<Target> targets;
    std::vector<size_t> leaks;  // of each target
    for (size_t i = 0; i < report_.leaks.size(); i++) {
      if (report_.planned[i]) {
        targets.push_back(make_target(report_, report_.leaks[i]));
        targets.back().allow_used = options_.force;
        leaks.push_back(i);
      }
    }
    const auto tell = [&](size_t target, const Outcome& outcome) {
      const size_t i = leaks[target];
      report_.outcomes[i] = outcome;
      std::string text = fmt::format("{} {}", outcome_name(outcome.state), label(i));
      if (!outcome.reason.empty()) {
        text += ": " + shown(outcome.reason);
      }
      line(text);
      if (!json_) {
        stage_.out.flush();  // what has been done is told even if this is interrupted
      }
    };
    const Result<void> done = remove_objects(targets, {.backup = backup_}, stage_.proc, tell);
    return done ? status_complete
                : stage_.no_target(shown(done.error().text()) +
                                   "; nothing was removed; give another --backup");
  }

  /// What became of it, and how to undo it.
  int conclude(size_t planned) {
    size_t states[3] = {};
    uint64_t bytes = 0;
    std::vector<std::string> backups;
    bool left = false;
    for (size_t i = 0; i < report_.leaks.size(); i++) {
      const auto& outcome = report_.outcomes[i];
      const bool removed = outcome && outcome->state == Outcome::State::removed;
      left = left || (!removed && (report_.leaks[i].verdict == Verdict::leaked || outcome));
      if (!outcome) {
        continue;
      }
      states[static_cast<size_t>(outcome->state)]++;
      bytes += removed ? report_.leaks[i].bytes.value_or(0) : 0;
      if (!outcome->backup.empty() &&
          std::find(backups.begin(), backups.end(), outcome->backup) == backups.end()) {
        backups.push_back(outcome->backup);
      }
    }
    if (planned == 0) {
      line("nothing to remove");
    } else {
      line(fmt::format("removed {} ({}), skipped {}, failed {}", states[0], size_text(bytes),
                       states[1], states[2]));
    }
    tell_rest();
    for (const std::string& backup : backups) {
      line("undo: ipcscope leaks --restore " + shown(backup));
    }
    return left ? status_found : status_complete;
  }

  const LeakOptions& options_;
  bool json_;
  const Stage& stage_;
  LeakReport& report_;
  std::string backup_;
};

int restore(const Options& options, const Stage& stage) {
  std::vector<Restored> all;
  size_t states[3] = {};
  const auto tell = [&](const Restored& each) {
    states[static_cast<size_t>(each.state)]++;
    if (options.json) {
      all.push_back(each);
      return;
    }
    std::string text =
        fmt::format("{} {}", restored_name(each.state), escaped(each.id, stage.terminal.escape()));
    if (!each.new_id.empty() && each.new_id != each.id) {
      text += " as " + escaped(each.new_id, stage.terminal.escape());
    }
    if (!each.reason.empty()) {
      text += ": " + escaped(each.reason, stage.terminal.escape());
    }
    stage.out.write(text);
    stage.out.put('\n');
  };
  const Result<void> done = restore_objects(options.leaks.restore, stage.proc, tell);
  if (!done) {
    return stage.no_target(escaped(done.error().text(), stage.terminal.escape()));
  }
  if (options.json) {
    write_restored_json(stage.out, all);
  } else {
    stage.out.write(
        fmt::format("restored {}, present {}, failed {}\n", states[0], states[1], states[2]));
  }
  return states[2] > 0 ? status_found : status_complete;
}

void list_columns(const Stage& stage) {
  Table table({{.heading = "COLUMN"}, {.heading = "DESCRIPTION", .flexible = true}},
              Table::Form::aligned, false);
  for (const LeakColumn& column : all_leak_columns()) {
    table.cell(column.name);
    table.cell(column.help);
  }
  table.print(stage.out, stage.terminal);
}

void write_totals(const Options& options, const Stage& stage, const LeakReport& report) {
  const std::vector<std::string> lines = leak_totals(report);
  for (size_t i = 0; i < lines.size(); i++) {
    if (!options.no_headings && !options.raw) {
      stage.out.write(lines[i]);
      stage.out.put('\n');
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
    list_columns(stage);
    return status_complete;
  }
  const Result<LeakFilter> filter = make_filter(options);
  if (!filter) {
    return stage.misuse(filter.error().text());
  }
  const Result<LeakForm> form = make_form(options);
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
    return restore(options, stage);
  }
  Result<Snapshot> snapshot = take_snapshot(make_request(options, *filter), stage.proc);
  if (!snapshot) {
    return stage.give_up(snapshot.error().text() + "; 'ipcscope doctor' tells more");
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
    status = CleanUp(options, stage, report).run(*form);
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
