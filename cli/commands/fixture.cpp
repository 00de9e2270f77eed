// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/commands/fixture.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

#include "cli/arguments.h"
#include "cli/render/fixture.h"
#include "cli/selftest/catalogue.h"
#include "cli/suggest.h"

namespace ipcscope {

const char* const fixture_notes =
    R"(list      the fixtures: each reproduces a problem, is its healthy look-alike, or uses a mechanism
show      what one reproduces and how, what to look for, which commands to try
run       runs it: it prints what is true of it as one line of JSON, holds until Ctrl-C or the
          end of its input, and leaves nothing behind. Those that work begin at the line 'go'
bench     measures what a message costs with each mechanism

Examples:
  ipcscope fixture list --problem abba-mutex
  ipcscope fixture show why-mutex
  ipcscope fixture run why-mutex                 then 'ipcscope why' in another terminal
  ipcscope fixture run leftover-msg --param messages=10 --for 60
  ipcscope fixture bench pipe unix-stream --sizes 100,65536

Exit status: 0 done; 1 it failed; 2 wrong usage or no such fixture; 77 not possible here, with the
reason.
)";

namespace {

int complain_impossible(std::string_view text) {
  complain(text);
  return status_impossible;
}

/// Empty where the word is one of those or none was given; else what to complain of.
std::string unknown_word(const char* what, const std::string& word,
                         const std::vector<std::string_view>& known) {
  if (word.empty() || std::find(known.begin(), known.end(), word) != known.end()) {
    return {};
  }
  return fmt::format("no {} '{}' in the catalogue{}", what, escaped(word, {}),
                     suggestion(word, known));
}

int list_fixtures(const Options& options, const Stage& stage, const Catalogue& catalogue) {
  const std::string& mechanism = options.fixture.mechanism;
  const std::string& problem = options.fixture.problem;
  std::vector<std::string_view> problems;
  for (const Word& each : catalogue.problems) {
    problems.emplace_back(each.word);
  }
  // A kind of channel, as ls has it, or a word of the catalogue of uses.
  std::vector<std::string_view> mechanisms;
  for (const Word& each : catalogue.uses) {
    mechanisms.emplace_back(each.word);
  }
  for (const FixtureEntry& each : catalogue.fixtures) {
    mechanisms.emplace_back(each.mechanism);
  }
  for (const std::string& text : {unknown_word("problem", problem, problems),
                                  unknown_word("mechanism", mechanism, mechanisms)}) {
    if (!text.empty()) {
      return stage.no_target(text);
    }
  }
  // The look-alikes of a problem belong to it.
  const auto has_problem = [&, wanted = std::string_view(problem)](const FixtureEntry& fixture) {
    const auto& originals = fixture.lookalike_of;
    return fixture.problem == wanted ||
           std::any_of(originals.begin(), originals.end(), [&](const std::string& name) {
             const FixtureEntry* original = catalogue.find(name);
             return original != nullptr && original->problem == wanted;
           });
  };
  std::vector<const FixtureEntry*> chosen;
  for (const FixtureEntry& each : catalogue.fixtures) {
    const bool is_used =
        mechanism.empty() || each.mechanism == mechanism ||
        std::find(each.uses.begin(), each.uses.end(), mechanism) != each.uses.end();
    if (is_used && (problem.empty() || has_problem(each))) {
      chosen.push_back(&each);
    }
  }
  if (options.json) {
    write_fixtures_json(stage.out, chosen);
  } else {
    write_fixture_list(stage.out, stage.terminal, chosen);
  }
  return status_complete;
}

/// Where the input is /dev/null, a fixture that holds to its end would end at once: it gets an
/// input that never ends.
bool hold_input() {
  struct stat status {};
  if (::fstat(STDIN_FILENO, &status) != 0 || !S_ISCHR(status.st_mode) ||
      status.st_rdev != makedev(1, 3)) {
    return false;
  }
  int ends[2];
  if (::pipe(ends) != 0 || ::dup2(ends[0], STDIN_FILENO) < 0) {
    return false;
  }
  ::close(ends[0]);
  return true;  // the writing end stays open in the fixture
}

/// Another program in this process's place.
int become(std::vector<std::string> command) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (std::string& each : command) {
    arguments.push_back(each.data());
  }
  arguments.push_back(nullptr);
  ::execv(arguments[0], arguments.data());
  return complain_impossible(fmt::format("cannot run {}: {}", command[0], ::strerror(errno)));
}

int run_one(const Options& options, const Stage& stage, const Catalogue& catalogue,
            const FixtureEntry& fixture) {
  const FixtureOptions& given = options.fixture;
  std::vector<std::string> command = {catalogue.program};
  if (!given.duration.empty()) {
    const Result<uint64_t> duration = parse_duration(given.duration);
    if (!duration) {
      return stage.misuse(duration.error().text());
    }
    command.insert(command.end(),
                   {"--for", fmt::format("{}", static_cast<double>(*duration) / 1e9)});
  }
  if (hold_input()) {
    command.emplace_back("--go");
  }
  command.push_back(fixture.name);
  command.insert(command.end(), given.parameters.begin(), given.parameters.end());
  if (!given.seed.empty()) {
    command.push_back("seed=" + given.seed);
  }
  if (::isatty(STDERR_FILENO) != 0) {
    Output notes(STDERR_FILENO);
    write_fixture_hint(notes, stage.terminal, fixture);
    notes.close();
  }
  return become(std::move(command));
}

int run_bench(const Options& options, const std::string& program) {
  std::vector<std::string> command = {program, "bench"};
  command.insert(command.end(), options.words.begin() + 1, options.words.end());
  const FixtureOptions& given = options.fixture;
  for (const auto& [name, value] :
       {std::pair<const char*, const std::string&>{"--sizes", given.sizes},
        {"--rounds", given.rounds},
        {"--time", given.milliseconds},
        {"--plot", given.plot}}) {
    if (!value.empty()) {
      command.insert(command.end(), {name, value});
    }
  }
  for (const auto& [name, is_given] :
       {std::pair("--json", options.json), std::pair("--list", given.list_benchmarks)}) {
    if (is_given) {
      command.emplace_back(name);
    }
  }
  return become(std::move(command));
}

/// Options that only another verb understands; empty: none was given.
std::string misplaced_option(const FixtureOptions& given, std::string_view verb, bool json) {
  if (verb != "list" && !(given.mechanism.empty() && given.problem.empty())) {
    return "'--mechanism' and '--problem' belong to list";
  }
  if (verb != "run" &&
      !(given.parameters.empty() && given.duration.empty() && given.seed.empty())) {
    return "'--param', '--for' and '--seed' belong to run";
  }
  if (verb != "bench" &&
      !(given.sizes.empty() && given.rounds.empty() && given.milliseconds.empty() &&
        given.plot.empty() && !given.list_benchmarks)) {
    return "'--sizes', '--rounds', '--time', '--plot' and '--list' belong to bench";
  }
  return verb == "run" && json ? "run prints JSON anyway" : "";
}

}  // namespace

int run_fixture(const Options& options, const Stage& stage) {
  const std::vector<std::string>& words = options.words;
  static constexpr std::string_view verbs[] = {"list", "show", "run", "bench"};
  const std::string verb = words.empty() ? "" : words.front();
  if (verb.empty()) {
    return stage.misuse("list, show, run or bench?");
  }
  if (std::find(std::begin(verbs), std::end(verbs), verb) == std::end(verbs)) {
    return stage.misuse(fmt::format("'{}' is not list, show, run or bench{}", escaped(verb, {}),
                                    suggestion(verb, verbs)));
  }
  if (const std::string text = misplaced_option(options.fixture, verb, options.json);
      !text.empty()) {
    return stage.misuse(text);
  }
  if (verb == "bench") {
    const Result<std::string> program = find_fixture_program();
    return program ? run_bench(options, *program) : complain_impossible(program.error().text());
  }
  if (verb == "list" && words.size() > 1) {
    return stage.misuse(fmt::format("'{}' is too much", escaped(words[1], {})));
  }
  if (verb != "list" && words.size() != 2) {
    return stage.misuse(fmt::format("{} needs the name of one fixture", verb));
  }
  const Result<Catalogue> catalogue = load_catalogue();
  if (!catalogue) {
    return complain_impossible(catalogue.error().text());
  }
  if (verb == "list") {
    return list_fixtures(options, stage, *catalogue);
  }
  const FixtureEntry* fixture = catalogue->find(words[1]);
  if (fixture == nullptr) {
    return stage.no_target(catalogue->lacks(words[1]));
  }
  if (verb == "run") {
    return run_one(options, stage, *catalogue, *fixture);
  }
  if (options.json) {
    write_fixtures_json(stage.out, {fixture});
  } else {
    write_fixture(stage.out, stage.terminal, *catalogue, *fixture);
  }
  return status_complete;
}

}  // namespace ipcscope
