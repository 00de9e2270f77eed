// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/arguments.h"

#include <fmt/format.h>
#include <pwd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>

#include "cli/render/escape.h"
#include "cli/suggest.h"
#include "cli/version.h"
#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

constexpr const char* description =
    "Shows which processes talk to each other, over what, and who waits for whom.\n";

constexpr const char* top_notes = R"(Examples:
  ipcscope ls                       everything that is alive, and what waits
  ipcscope ls --blocked             only where a thread is blocked
  ipcscope ls -p 812 pipe unix      pipes and UNIX sockets of process 812
  ipcscope show pipe:4455           one channel in full
  ipcscope show 812                 one process in full
  ipcscope why                      what is stuck, and behind what
  ipcscope why 812                  who process 812 waits for, to the root
  ipcscope locks -d 10              what threads wait for in 10 seconds, and who starves
  ipcscope top                      all of it live, on one screen
  ipcscope limits                   which limits are near, and how each is raised
  ipcscope leaks                    what dead processes left behind, and how that is known
  ipcscope ls --json | jq '.channels[] | select(.waits != []) | .id'

Exit status: 0 complete answer; 1 why: something is stuck, leaks: something is leaked, limits: one
is near, doctor: something does not work; 2 wrong usage or no such target; 3 nothing could be
collected; 4 partial coverage, where --strict was given.
'ipcscope COMMAND --help' tells more; so do the pages ipcscope(1) and ipcscope-COMMAND(1).
)";

/// An option with one value, called this in the help instead of by its C++ type.
CLI::Option* named(CLI::Option* option, const char* value) {
  option->type_name(value)->allow_extra_args(false);
  return option->check([](const std::string& given) {
    return given.empty() ? std::string("needs a value that is not empty") : std::string();
  });
}

void add_common(CLI::App& app, Options& options) {
  static const std::map<std::string, ColorChoice> colors = {{"auto", ColorChoice::automatic},
                                                            {"always", ColorChoice::always},
                                                            {"never", ColorChoice::never}};
  const auto choose = [&options](const std::string& word) {
    const auto found = colors.find(word);
    if (found == colors.end()) {
      throw CLI::ValidationError("--color", "is auto, always or never");
    }
    options.color = found->second;
  };
  app.add_flag("--json", options.json, "print one JSON object, see ipcscope-json(5)");
  named(app.add_option_function<std::string>("--color", choose, "colours"), "auto|always|never");
}

void add_source(CLI::App& app, Options& options) {
  static const std::map<std::string, SourceChoice> sources = {
      {"auto", SourceChoice::automatic}, {"bpf", SourceChoice::bpf}, {"proc", SourceChoice::proc}};
  const auto choose = [&options](const std::string& word) {
    const auto found = sources.find(word);
    if (found == sources.end()) {
      throw CLI::ValidationError("--source", "is auto, bpf or proc");
    }
    options.source = found->second;
  };
  named(app.add_option_function<std::string>("--source", choose, "where to look"), "auto|bpf|proc");
  app.add_flag("--strict", options.strict, "exit with 4 where the answer is not complete");
}

/// What commands have that print a table: which columns, and in which form.
void add_table_output(CLI::App& app, Options& options, const char* without_headings,
                      const char* raw) {
  constexpr const char* output = "Output";
  named(app.add_option("-o,--output", options.columns,
                       "these columns; +COL,... adds to the usual ones"),
        "COL,...")
      ->group(output);
  app.add_flag("-H,--list-columns", options.list_columns, "list the columns")->group(output);
  app.add_flag("-n,--noheadings", options.no_headings, without_headings)->group(output);
  app.add_flag("--raw", options.raw, raw)->group(output);
  add_common(app, options);
  add_source(app, options);
  app.get_option("--json")->group(output);
  app.get_option("--color")->group(output);
}

/// For commands that look at the kernel: not those that only start others.
void add_types(CLI::App& app, std::string& types) {
  named(app.add_option("--btf", types, "the kernel's types (BTF), where it hides its own"), "FILE");
}

/// CLI11's words for a parse error, as one line of ours.
std::string one_line(const CLI::ParseError& error) {
  std::string text = error.what();
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    // "-o: 1 required COL,... missing"
    return fmt::format("option '{}' needs one value", text.substr(0, text.find(':')));
  }
  if (dynamic_cast<const CLI::ConversionError*>(&error) != nullptr) {
    // "Could not convert: --blocked = maybe"
    const size_t name = text.find("--");
    return fmt::format("option '{}' takes no value", text.substr(name, text.find(" =") - name));
  }
  if (const size_t colon = text.find(": "); colon != std::string::npos && text.starts_with("--")) {
    text = fmt::format("'{}' {}", text.substr(0, colon), text.substr(colon + 2));
  }
  return escaped(text, {});
}

/// Pairs of options of which only one makes sense. CLI11 could tell, but would also print each pair
/// twice into the help.
std::string contradiction(const CLI::App& app) {
  static constexpr const char* pairs[][2] = {
      {"--json", "--raw"},         {"--json", "--tree"},      {"--json", "--output"},
      {"--raw", "--tree"},         {"--evidence", "--raw"},   {"--evidence", "--output"},
      {"--restore", "--clean"},    {"--restore", "--backup"}, {"--restore", "--namespace"},
      {"--restore", "--min-age"},  {"--restore", "--user"},   {"--restore", "--all"},
      {"--backup", "--no-backup"}, {"--json", "--dot"},       {"--watch", "--dot"},
      {"--stacks", "--dot"},       {"--once", "--twice"},     {"--summary", "--perfetto"},
      {"--summary", "--write"},    {"--summary", "--from"},   {"--perfetto", "--write"},
      {"--from", "--write"},       {"--json", "--perfetto"},  {"--json", "--write"},
      {"--summary", "--payload"},  {"--summary", "--stacks"}, {"--summary", "--count"},
      {"--json", "--by"}};
  const auto given = [&](const char* name) {
    const CLI::Option* option = app.get_option_no_throw(name);
    return option != nullptr && option->count() > 0;
  };
  for (const auto& [first, second] : pairs) {
    if (given(first) && given(second)) {
      return fmt::format("'{}' and '{}' cannot be used together", first, second);
    }
  }
  return {};
}

std::string unexpected_option(const std::string& given, const CLI::App& app) {
  std::string_view word = given;
  word = word.substr(0, word.find('='));
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      names.push_back("--" + name);
    }
  }
  const std::vector<std::string_view> views(names.begin(), names.end());
  return fmt::format("unknown option '{}'{}", escaped(word, {}), suggestion(word, views));
}

std::string unknown_command(const std::string& word, const CLI::App& app) {
  if (word.starts_with('-')) {
    return unexpected_option(word, app);
  }
  std::vector<std::string_view> names;
  for (const Command& command : command_table()) {
    names.emplace_back(command.name);
  }
  return fmt::format("unknown command '{}'{}", escaped(word, {}), suggestion(word, names));
}

/// CLI11 ends each group of options with empty lines of its own.
std::string without_gaps(std::string text) {
  for (size_t gap = text.find("\n\n\n"); gap != std::string::npos; gap = text.find("\n\n\n")) {
    text.erase(gap, 1);
  }
  return text;
}

Failure misuse(std::string_view text, const Command* command) {
  const std::string help = command != nullptr ? fmt::format("ipcscope {} --help", command->name)
                                              : std::string("ipcscope --help");
  return failure(fmt::format("{}; try '{}'", text, help));
}

}  // namespace

void add_ls_options(CLI::App& app, Options& options) {
  app.add_option("KIND", options.words, "kinds of channels; none: all")->type_name("");
  named(app.add_option("-p,--pid", options.pids, "only channels with an end or a waiter there"),
        "PID,...")
      ->group("Which channels");
  named(app.add_option("--user", options.user, "... in a process of this user"), "NAME|UID")
      ->group("Which channels");
  named(app.add_option("--cgroup", options.cgroup,
                       "... in a process whose cgroup path matches or contains this"),
        "GLOB")
      ->group("Which channels");
  app.add_flag("--blocked", options.blocked, "only where a thread waits")->group("Which channels");
  named(app.add_option("--name", options.name, "only with such a name or identifier"), "GLOB")
      ->group("Which channels");
  constexpr const char* output = "Output";
  app.add_flag("--tree", options.tree, "by process, below its parents")->group(output);
  add_table_output(app, options, "no headings, summary and coverage",
                   "one blank between columns, exact numbers, blanks escaped");
}

void add_show_options(CLI::App& app, Options& options) {
  app.add_option("ID|PID", options.words, "channels, as ls names them, or processes")
      ->type_name("");
  add_common(app, options);
  add_source(app, options);
}

void add_leaks_options(CLI::App& app, Options& options) {
  LeakOptions& leaks = options.leaks;
  app.add_option("KIND", options.words, "kinds of objects; none: all")->type_name("");
  constexpr const char* which = "Which objects";
  named(app.add_option("--min-age", leaks.min_age,
                       "younger ones are suspect at most; 90, 90s, 10m, 2h, 1d"),
        "TIME")
      ->group(which);
  named(app.add_option("--user", options.user, "only those of this user"), "NAME|UID")
      ->group(which);
  named(app.add_option("--namespace", leaks.name_space,
                       "those of this namespace, not of ipcscope's own; all: of each"),
        "INODE|all")
      ->group(which);
  app.add_flag("--all", leaks.all, "also those that are in use")->group(which);
  constexpr const char* removal = "Removal";
  app.add_flag("--clean", leaks.clean, "remove what is leaked, after a question")->group(removal);
  app.add_flag("--dry-run", leaks.dry_run, "with --clean: say what would happen, do nothing")
      ->group(removal);
  app.add_flag("--yes", leaks.yes, "with --clean: do not ask")->group(removal);
  app.add_flag("--force", leaks.force, "with --clean: also what is only suspect")->group(removal);
  named(app.add_option("--backup", leaks.backup, "with --clean: keep what is removed below this"),
        "DIR")
      ->group(removal);
  app.add_flag("--no-backup", leaks.no_backup, "with --clean: keep nothing")->group(removal);
  named(app.add_option("--restore", leaks.restore, "put back what a backup holds"), "FILE|DIR")
      ->group(removal);
  constexpr const char* output = "Output";
  app.add_flag("-v,--evidence", leaks.evidence, "all that speaks for and against each")
      ->group(output);
  add_table_output(app, options, "no headings, total and coverage",
                   "one blank between columns, exact numbers, blanks escaped");
}

void add_limits_options(CLI::App& app, Options& options) {
  named(app.add_option("-p,--pid", options.pids, "only the limits that this process is under"),
        "PID");
  app.add_flag("--all", options.all, "also those that are hardly used, or not known");
  add_table_output(app, options, "only the lines: no headings, no remedies",
                   "the same, one blank between columns, exact numbers");
}

void add_locks_options(CLI::App& app, Options& options) {
  LockOptions& locks = options.locks;
  app.add_option("ID", options.words, "only these locks, each in full; none: all")->type_name("");
  named(app.add_option("-d,--duration", locks.duration, "measure for so long (5)"), "SECONDS");
  named(app.add_option("--interval", locks.interval,
                       "answer every so often, until -d is over or it is interrupted"),
        "SECONDS");
  app.add_flag("--strict", options.strict, "exit with 4 where the answer is not complete");
  constexpr const char* which = "Which waits";
  named(app.add_option("-p,--pid", options.pids, "only those of these processes or threads"),
        "PID|TID,...")
      ->group(which);
  named(app.add_option("--user", options.user, "... of this user's threads"), "NAME|UID")
      ->group(which);
  named(app.add_option("--comm", locks.comm, "... of threads with this command name"), "NAME")
      ->group(which);
  named(app.add_option("--cgroup", options.cgroup, "... of threads in this control group"), "PATH")
      ->group(which);
  named(app.add_option("--kind", locks.kinds, "... at such channels"), "KIND,...")->group(which);
  named(app.add_option("--min-wait", locks.min_wait, "... that last for at least this; 20us, 5ms"),
        "TIME")
      ->group(which);
  app.add_flag("--deep", locks.deep,
               "with -p: each taking of glibc's locks, by probes that slow it")
      ->group(which);
  constexpr const char* rules = "What is a finding";
  named(app.add_option("--contention", locks.contention,
                       "waits that cost so much of the time of the threads (10)"),
        "PERCENT")
      ->group(rules);
  named(app.add_option("--overtakes", locks.overtakes,
                       "starvation: overtaken so often in one attempt (10), ..."),
        "N")
      ->group(rules);
  named(app.add_option("--times-median", locks.times_median,
                       "... which took so many times the others' median (10)"),
        "K")
      ->group(rules);
  constexpr const char* output = "Output";
  named(app.add_option("--by", locks.view, "what a row is about (lock)"), "lock|thread|pair")
      ->group(output);
  named(app.add_option("--sort", locks.sort, "largest first (total)"), "total|max|waits|p99")
      ->group(output);
  named(app.add_option("--top", locks.top, "so many rows (20)"), "N")->group(output);
  app.add_flag("-v,--verbose", locks.detail, "each lock in full, with its histogram")
      ->group(output);
  app.add_flag("--stacks", options.stacks, "functions in which threads wait, and are woken from")
      ->group(output);
  app.add_flag("-n,--noheadings", options.no_headings, "no headings, summary and coverage")
      ->group(output);
  add_common(app, options);
  app.get_option("--json")->group(output);
  app.get_option("--color")->group(output);
}

void add_why_options(CLI::App& app, Options& options) {
  app.add_option("PID|TID", options.words, "processes or threads; none: everything that is stuck")
      ->type_name("");
  named(app.add_option("--longer-than", options.longer_than,
                       "waits that last shorter are no finding, unless they never end (10)"),
        "SECONDS");
  app.add_flag("--twice", options.twice, "confirm findings by a second look, which is usual");
  app.add_flag("--once,--no-twice", options.once, "take findings from one look");
  named(app.add_option("--watch", options.watch, "look again and again, and tell what is new"),
        "SECONDS");
  constexpr const char* output = "Output";
  app.add_flag("--stacks", options.stacks, "print the functions that each thread is in")
      ->group(output);
  app.add_flag("--dot", options.dot, "print the graph for graphviz")->group(output);
  add_common(app, options);
  add_source(app, options);
  app.get_option("--json")->group(output);
  app.get_option("--color")->group(output);
}

void add_trace_options(CLI::App& app, Options& options) {
  TraceOptions& trace = options.trace;
  app.add_option("MECHANISM", options.words,
                 "kinds of channels, signal, fd, splice, poll; none: all")
      ->type_name("");
  constexpr const char* which = "Which operations";
  named(app.add_option("-p,--pid", options.pids, "only of these processes"), "PID,...")
      ->group(which);
  named(app.add_option("--tid", trace.tid, "... of this thread"), "TID")->group(which);
  named(app.add_option("--user", options.user, "... of this user's processes"), "NAME|UID")
      ->group(which);
  named(app.add_option("--comm", trace.comm, "... of threads of this name"), "NAME")->group(which);
  named(app.add_option("--cgroup", options.cgroup, "... in this cgroup and those below it"), "PATH")
      ->group(which);
  named(app.add_option("--channel", trace.channel, "... at this channel, as ls names it"), "ID")
      ->group(which);
  named(app.add_option("--slower-than", trace.slower_than, "... that took longer; 5ms, 0.1"),
        "TIME")
      ->group(which);
  app.add_flag("--errors", trace.errors, "... that failed")->group(which);
  app.add_flag("--connect", trace.connect, "only what makes, connects and removes channels")
      ->group(which);
  constexpr const char* until = "How long";
  named(app.add_option("-d,--duration", trace.duration, "end after this time"), "TIME")
      ->group(until);
  named(app.add_option("-n,--count", trace.count, "end after so many operations"), "COUNT")
      ->group(until);
  constexpr const char* output = "Output";
  app.add_option("--payload", trace.payload,
                 "show the first bytes of what was moved: copies user data")
      ->type_name("[BYTES]")
      ->expected(0, 1)
      ->default_str("32")
      ->group(output);
  app.add_flag("--stacks", options.stacks, "the functions that each operation came from")
      ->group(output);
  app.add_flag("--summary", trace.summary, "count instead: sums by operation at the end")
      ->group(output);
  named(app.add_option("--perfetto", trace.perfetto, "write a file for ui.perfetto.dev"), "FILE")
      ->group(output);
  named(app.add_option("--write", trace.write, "write raw records, to be read with --from"), "FILE")
      ->group(output);
  named(app.add_option("--from", trace.from, "print what is in such a file"), "FILE")
      ->group(output);
  app.add_flag("--strict", options.strict, "exit with 4 where operations were lost")->group(output);
  add_common(app, options);
  app.get_option("--json")->group(output);
  app.get_option("--color")->group(output);
}

void add_top_options(CLI::App& app, Options& options) {
  TopOptions& top = options.top;
  constexpr const char* what = "What is shown";
  named(app.add_option("--tab", top.tab, "the table to begin with (channels)"),
        "channels|locks|processes|findings|limits")
      ->group(what);
  named(app.add_option("-p,--pid", options.pids, "only rows about these processes"), "PID,...")
      ->group(what);
  named(app.add_option("--filter", top.filter, "only rows with these words, as the key \\ does"),
        "WORDS")
      ->group(what);
  named(app.add_option("--sort", top.sort, "by this column of the tab"), "COL")->group(what);
  app.add_flag("-r,--reverse", top.reverse, "the other way round")->group(what);
  constexpr const char* when = "How often";
  named(app.add_option("-d,--interval", top.interval, "between two looks; 2, 500ms (1)"), "TIME")
      ->group(when);
  named(app.add_option("-n,--count", top.count, "end after so many frames"), "COUNT")->group(when);
  constexpr const char* output = "Output";
  app.add_flag("-b,--batch", top.batch, "print plain frames instead of a screen")->group(output);
  named(app.add_option("--top", top.most, "with --batch: so many rows of each table"), "N")
      ->group(output);
  add_common(app, options);
  add_source(app, options);
  app.get_option("--json")->description("print each frame as a line of JSON")->group(output);
  app.get_option("--color")->group(output);
}

void add_doctor_options(CLI::App& app, Options& options) { add_common(app, options); }

void add_fixture_options(CLI::App& app, Options& options) {
  FixtureOptions& fixture = options.fixture;
  app.add_option("VERB NAME", options.words, "list; show NAME; run NAME; bench [NAME...]")
      ->type_name("");
  constexpr const char* list = "list";
  named(app.add_option("--mechanism", fixture.mechanism,
                       "only those about this kind of channel, or this use of one"),
        "M")
      ->group(list);
  named(app.add_option("--problem", fixture.problem, "only those of this problem, and look-alikes"),
        "P")
      ->group(list);
  constexpr const char* run = "run";
  named(app.add_option("--param", fixture.parameters, "a parameter, as show lists them"), "K=V")
      ->group(run);
  named(app.add_option("--for", fixture.duration, "hold at most so long"), "SECONDS")->group(run);
  named(app.add_option("--seed", fixture.seed, "the same as --param seed=N, where it has one"), "N")
      ->group(run);
  constexpr const char* bench = "bench";
  named(app.add_option("--sizes", fixture.sizes, "sizes of the messages, in bytes"), "N,...")
      ->group(bench);
  named(app.add_option("--rounds", fixture.rounds, "rounds of each measurement"), "N")
      ->group(bench);
  named(app.add_option("--time", fixture.milliseconds, "milliseconds of each round"), "MS")
      ->group(bench);
  named(app.add_option("--plot", fixture.plot, "write a picture there too (SVG)"), "FILE")
      ->group(bench);
  app.add_flag("--list", fixture.list_benchmarks, "list what can be measured")->group(bench);
  add_common(app, options);
}

void add_selftest_options(CLI::App& app, Options& options) {
  app.add_option("NAME", options.words, "fixtures; none: all")->type_name("");
  named(app.add_option("--jobs", options.selftest.jobs, "so many at a time (one for each CPU)"),
        "N");
  named(app.add_option("--junit", options.selftest.junit, "write a report for CI there too"),
        "FILE");
  add_common(app, options);
}

Result<Invocation> parse_arguments(int argc, const char* const* argv) {
  Invocation invocation;
  CLI::App app(description, "ipcscope");
  app.footer(top_notes);
  app.set_help_flag("-h,--help", "print this help");
  bool version = false;
  app.add_flag("--version", version, "print the versions and how this was built");
  app.require_subcommand(0, 1);
  app.get_formatter()->label("SUBCOMMAND", "COMMAND");
  app.allow_extras();
  for (const Command& command : command_table()) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    sub->group(command.group);
    sub->footer(command.notes);
    sub->set_help_flag("-h,--help", "print this help");
    sub->allow_extras();
    command.add_options(*sub, invocation.options);
    if (std::string_view(command.name) != "fixture" &&
        std::string_view(command.name) != "selftest") {
      add_types(*sub, invocation.types);
    }
  }
  const auto chosen = [&]() -> CLI::App* {
    const auto given = app.get_subcommands();
    return given.empty() ? nullptr : given.front();
  };
  const auto command_of = [](const CLI::App* sub) -> const Command* {
    const auto table = command_table();
    const auto found = std::find_if(table.begin(), table.end(), [&](const Command& each) {
      return sub != nullptr && sub->get_name() == each.name;
    });
    return found != table.end() ? &*found : nullptr;
  };

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    invocation.text = without_gaps(app.help());
    return invocation;
  } catch (const CLI::ParseError& error) {
    return misuse(one_line(error), command_of(chosen()));
  }
  CLI::App* sub = chosen();
  if (version) {
    invocation.text = version_text();
    return invocation;
  }
  if (const auto left = app.remaining(); !left.empty()) {
    return misuse(unknown_command(left.front(), app), nullptr);
  }
  if (sub == nullptr) {
    return misuse("which command?", nullptr);
  }
  invocation.command = command_of(sub);
  if (const auto left = sub->remaining(); !left.empty()) {
    return misuse(left.front().starts_with('-')
                      ? unexpected_option(left.front(), *sub)
                      : fmt::format("'{}' is too much", escaped(left.front(), {})),
                  invocation.command);
  }
  if (const std::string text = contradiction(*sub); !text.empty()) {
    return misuse(text, invocation.command);
  }
  return invocation;
}

Result<uint64_t> parse_duration(std::string_view text) {
  struct Unit {
    std::string_view name;
    double seconds;
  };
  static constexpr Unit units[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"min", 60},
                                   {"m", 60},    {"h", 3600},  {"d", 86400}, {"", 1}};
  constexpr double most = 1e9;  // seconds
  for (const Unit& unit : units) {
    if (text.ends_with(unit.name)) {
      const std::string_view front = text.substr(0, text.size() - unit.name.size());
      double value = 0;
      const auto [end, error] = std::from_chars(front.data(), front.data() + front.size(), value,
                                                std::chars_format::fixed);
      const bool is_number = error == std::errc{} && end == front.data() + front.size();
      if (is_number && value >= 0 && value * unit.seconds <= most) {
        return static_cast<uint64_t>(value * unit.seconds * 1e9);
      }
      break;
    }
  }
  return failure(
      fmt::format("'{}' is not a time, such as 90, 500ms, 10m, 2h or 1d", escaped(text, {})));
}

Result<std::vector<pid_t>> parse_pids(const std::vector<std::string>& lists) {
  std::vector<pid_t> pids;
  for (std::string_view list : lists) {
    while (true) {
      const size_t comma = list.find(',');
      const std::string_view word = list.substr(0, comma);
      const auto pid = parse_number<pid_t>(word);
      if (!pid || *pid <= 0) {
        return failure(fmt::format("'{}' is not a process number", escaped(word, {})));
      }
      pids.push_back(*pid);
      if (comma == std::string_view::npos) {
        break;
      }
      list.remove_prefix(comma + 1);
    }
  }
  return pids;
}

Result<uid_t> parse_user(const std::string& word) {
  if (const auto uid = parse_number<uid_t>(word)) {
    return *uid;
  }
  if (const passwd* user = ::getpwnam(word.c_str())) {
    return user->pw_uid;
  }
  return failure(fmt::format("no user '{}'", escaped(word, {})));
}

}  // namespace ipcscope
