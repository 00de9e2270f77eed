// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/selftest/runner.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "cli/command.h"
#include "cli/selftest/program.h"
#include "cli/selftest/sight.h"

namespace ipcscope {

namespace {

constexpr int ready_ms = 30'000;   // for a fixture to stand
constexpr int work_ms = 90'000;    // for it to do its work
constexpr int answer_ms = 90'000;  // for an answer
constexpr int impossible_here = 77;
constexpr size_t batch_size = 16;
// On a busy machine threads are kept from the CPU in ways that nobody can tell from a contest.
constexpr unsigned most_rounds = 3;

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t blank = text.find(' ');
    if (blank != 0) {
      words.emplace_back(text.substr(0, blank));
    }
    text.remove_prefix(blank == std::string_view::npos ? text.size() : blank + 1);
  }
  return words;
}

/// The reason that ipcscope or ipcscope-fixture gives first, without its name.
std::string reason_of(const std::string& errors, std::string_view otherwise) {
  std::string text = errors.substr(0, errors.find('\n'));
  for (const std::string_view name : {"ipcscope-fixture: ", "ipcscope: "}) {
    if (text.starts_with(name)) {
      text.erase(0, name.size());
    }
  }
  return text.empty() ? std::string(otherwise) : text;
}

bool is_measured(const FixtureSight& sight) {
  return sight.command == "locks" || sight.command == "trace";
}

bool is_measured(const Specimen& specimen) {
  return std::any_of(specimen.observations.begin(), specimen.observations.end(),
                     [](const Observation& each) { return is_measured(each.sight); });
}

/// A fixture that stands.
struct Standing {
  Specimen* specimen;
  Program program;
  FixtureTruth truth = {};
};

/// The first line of a fixture; the reason goes into the specimen where there is none.
bool read_truth(Standing& standing) {
  Specimen& specimen = *standing.specimen;
  const std::optional<std::string> line = standing.program.read_line(ready_ms);
  if (line) {
    standing.truth.held.Parse<rapidjson::kParseIterativeFlag>(line->data(), line->size());
    if (!standing.truth.held.HasParseError()) {
      specimen.is_reproduced = standing.truth.is_reproduced();
      return true;
    }
    specimen.failure = "its truth is no JSON";
    return false;
  }
  constexpr int last_ms = 2000;
  standing.program.read_all(last_ms);
  const std::optional<int> status = standing.program.wait(last_ms);
  if (status == impossible_here) {
    specimen.skipped = reason_of(standing.program.errors(), "no reason given");
  } else {
    specimen.failure = reason_of(
        standing.program.errors(),
        status ? fmt::format("it ended with status {}", *status) : "it did not come to stand");
  }
  return false;
}

bool works(const Standing& standing) { return member(standing.truth.held, "works").IsTrue(); }

/// Waits until a fixture that was told to work has done so.
bool await_work(Standing& standing) {
  Specimen& specimen = *standing.specimen;
  const std::optional<std::string> line = standing.program.read_line(work_ms);
  if (!line) {
    constexpr int last_ms = 500;
    standing.program.read_all(last_ms);
    specimen.failure = reason_of(standing.program.errors(), "it did not do its work");
    return false;
  }
  standing.truth.did.Parse<rapidjson::kParseIterativeFlag>(line->data(), line->size());
  specimen.is_reproduced = standing.truth.is_reproduced();
  return true;
}

/// Lets a fixture that works do so.
bool let_work(Standing& standing) {
  // Where that fails, it has ended, and there will be no line.
  (void)standing.program.write_input("go\n");
  return await_work(standing);
}

/// Lets it clean up.
void stop(Standing& standing) {
  constexpr int patience_ms = 10'000;
  standing.program.close_input();
  const std::optional<int> status = standing.program.wait(patience_ms);
  if (standing.specimen->failure.empty() && status != 0 && !programs_are_to_end) {
    standing.program.read_all(1000);
    standing.specimen->failure = reason_of(standing.program.errors(),
                                           status ? fmt::format("it ended with status {}", *status)
                                                  : "it does not end when it is told to");
  }
}

bool has_ended(int64_t task) { return ::kill(static_cast<pid_t>(task), 0) != 0 && errno == ESRCH; }

std::string joined(const std::set<int64_t>& numbers) {
  return fmt::format("{}", fmt::join(numbers, ","));
}

}  // namespace

/// Runs specimens, several workers at a time.
class SpecimenWorker {
 public:
  SpecimenWorker(Selftest& selftest, std::mutex& mutex, std::string& now)
      : selftest_(selftest), mutex_(mutex), now_(now), own_(own_program()) {}

  /// Holds all of them at once and asks about all of them together.
  void hold(const std::vector<Specimen*>& batch) {
    std::vector<std::unique_ptr<Standing>> standing = start(batch);
    std::erase_if(standing, [&](const auto& each) { return !read_truth(*each); });
    // Before the work, for many close their channels when they have done it.
    observe(standing);
    for (const auto& each : standing) {
      if (works(*each)) {
        (void)each->program.write_input("go\n");
      }
    }
    std::erase_if(standing, [&](const auto& each) { return works(*each) && !await_work(*each); });
    // What the work leaves, or the kernel carries over, comes late.
    if (!programs_are_to_end && !are_all_shown(standing)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      observe(standing);
    }
    for (const auto& each : standing) {
      each->program.close_input();
    }
    for (const auto& each : standing) {
      stop(*each);
    }
    for (Specimen* each : batch) {
      each->rounds++;
    }
  }

  /// Runs one while locks or trace measures.
  void measure(Specimen& specimen) {
    std::vector<std::unique_ptr<Standing>> standing = start({&specimen});
    if (!standing.empty() && read_truth(*standing.front())) {
      watch(standing);
      observe(standing, true);
      stop(*standing.front());
    }
    specimen.rounds++;
  }

 private:
  std::vector<std::unique_ptr<Standing>> start(const std::vector<Specimen*>& batch) {
    std::vector<std::unique_ptr<Standing>> all;
    for (Specimen* each : batch) {
      each->failure.clear();
      for (Observation& observation : each->observations) {
        observation.is_shown = false;
      }
      std::vector<std::string> command = {selftest_.catalogue_.program, each->fixture->name};
      for (std::string& word : words_of(each->settings)) {
        command.push_back(std::move(word));
      }
      {
        const std::lock_guard lock(mutex_);
        now_ = each->fixture->name;
      }
      Result<Program> program = Program::start(command);
      if (!program) {
        each->failure = program.error().text();
        continue;
      }
      all.push_back(std::make_unique<Standing>(Standing{each, std::move(*program)}));
    }
    return all;
  }

  static bool are_all_shown(const std::vector<std::unique_ptr<Standing>>& standing) {
    return std::all_of(standing.begin(), standing.end(), [](const auto& each) {
      const std::vector<FixtureSight>& own = each->specimen->fixture->sights;
      const auto& all = each->specimen->observations;
      return !each->specimen->is_subject ||
             std::all_of(all.begin(), all.end(), [&](const Observation& observation) {
               return observation.is_shown || !observation.impossible.empty() ||
                      std::find(own.begin(), own.end(), observation.sight) == own.end();
             });
    });
  }

  void note_coverage(const JsonDocument& document) {
    const JsonValue& coverage = member(document, "coverage");
    if (!coverage.IsArray()) {
      return;
    }
    const std::lock_guard lock(mutex_);
    for (const JsonValue& each : coverage.GetArray()) {
      const std::string_view state = text_of(member(each, "state"));
      const auto number = [&](const char* key) {
        const JsonValue& value = member(each, key);
        return value.IsUint64() ? value.GetUint64() : 0;
      };
      Coverage one{.source = std::string(text_of(member(each, "source"))),
                   .state = state == "full"      ? Coverage::State::full
                            : state == "partial" ? Coverage::State::partial
                                                 : Coverage::State::unavailable,
                   .checked = number("checked"),
                   .unreadable = number("unreadable"),
                   .lost = number("lost"),
                   .reason = std::string(text_of(member(each, "reason"))),
                   .hint = std::string(text_of(member(each, "hint")))};
      std::vector<Coverage>& all = selftest_.coverage_;
      const auto known = std::find_if(all.begin(), all.end(), [&](const Coverage& other) {
        return other.source == one.source;
      });
      if (known == all.end()) {
        all.push_back(std::move(one));
      } else if (one.state > known->state || one.unreadable > known->unreadable) {
        *known = std::move(one);
      }
    }
  }

  [[nodiscard]] std::vector<std::string> command_for(
      Question question, const std::vector<std::unique_ptr<Standing>>& standing) const {
    std::set<int64_t> pids;
    std::set<int64_t> tids;
    for (const auto& each : standing) {
      pids.merge(each->truth.pids());
      tids.merge(each->truth.tids());
    }
    // One that has ended, as it is to, must not keep the others from being asked about.
    std::erase_if(pids, has_ended);
    std::erase_if(tids, has_ended);
    std::vector<std::string> command = {own_};
    switch (question) {
      case Question::channels:
        command.insert(command.end(), {"ls", "-p", joined(pids)});
        break;
      case Question::objects:
        command.insert(command.end(), {"ls", "shm", "sem", "msg", "mq", "posixshm", "posixsem",
                                       "fifo", "mmap", "memfd"});
        break;
      case Question::stuck:
        command.insert(command.end(), {"why", "--longer-than=0"});
        break;
      case Question::chains:
        command.emplace_back("why");
        for (const int64_t tid : tids) {
          command.push_back(fmt::format("{}", tid));
        }
        break;
      case Question::leaks:
        command.insert(command.end(), {"leaks", "--namespace", "all"});
        break;
      case Question::limits:
        command.emplace_back("limits");
        break;
      case Question::processes:
        command.emplace_back("show");
        for (const int64_t pid : pids) {
          command.push_back(fmt::format("{}", pid));
        }
        break;
      case Question::locks:
        command.insert(command.end(), {"locks", "-d", "100", "-p", joined(pids)});
        break;
      case Question::trace:
        command.insert(command.end(), {"trace", "-d", "100", "-p", joined(pids)});
        break;
    }
    command.emplace_back("--json");
    return command;
  }

  Answer answer_of(int status, std::string output, std::string errors, bool is_stream) {
    Answer answer{.status = status, .errors = std::move(errors)};
    if (is_stream) {  // a line each
      std::replace(output.begin(), output.end(), '\n', ',');
      if (output.ends_with(',')) {
        output.pop_back();
      }
      output = "[" + output + "]";
    }
    answer.json.Parse<rapidjson::kParseIterativeFlag>(output.data(), output.size());
    if (answer.json.HasParseError()) {
      answer.json.SetNull();
    }
    note_coverage(answer.json);
    return answer;
  }

  Answer ask(Question question, const std::vector<std::unique_ptr<Standing>>& standing) {
    const auto begin = Program::Clock::now();
    const Result<ProgramOutcome> outcome = run_program(command_for(question, standing), answer_ms);
    Answer answer = outcome ? answer_of(outcome->status, outcome->output, outcome->errors, false)
                            : Answer{.status = -1, .errors = outcome.error().text()};
    answer.took_ms =
        std::chrono::duration<double, std::milli>(Program::Clock::now() - begin).count();
    return answer;
  }

  /// Asks what the sights need and notes what is shown now, if it was not before. `measured`: of
  /// one that locks or trace have looked at already.
  void observe(const std::vector<std::unique_ptr<Standing>>& standing, bool measured = false) {
    if (!measured) {
      answers_.clear();
    }
    std::set<Question> questions;
    for (const auto& each : standing) {
      for (const Observation& observation : each->specimen->observations) {
        if (!is_measured(observation.sight)) {
          const std::vector<Question> needed = questions_of(observation.sight);
          questions.insert(needed.begin(), needed.end());
        }
      }
    }
    for (const Question question : questions) {
      if (programs_are_to_end) {
        return;
      }
      answers_[question] = ask(question, standing);
    }
    for (const auto& each : standing) {
      for (Observation& observation : each->specimen->observations) {
        if (!observation.is_shown) {
          judge(observation, each->truth);
        }
      }
    }
  }

  /// Why an answer had to do without BPF, and with it without much; empty: it had it.
  [[nodiscard]] std::string missing_bpf(Question question) const {
    const auto found = answers_.find(question);
    if (found == answers_.end()) {
      return {};
    }
    const JsonValue& coverage = member(found->second.json, "coverage");
    for (rapidjson::SizeType i = 0; coverage.IsArray() && i < coverage.Size(); i++) {
      if (text_of(member(coverage[i], "source")) == "bpf" &&
          text_of(member(coverage[i], "state")) == "unavailable") {
        return std::string(text_of(member(coverage[i], "reason")));
      }
    }
    return {};
  }

  void judge(Observation& observation, const FixtureTruth& truth) const {
    observation.impossible.clear();
    observation.took_ms = 0;
    const std::vector<Question> questions = questions_of(observation.sight);
    if (questions.empty()) {
      observation.impossible = fmt::format("there is no command {}", observation.sight.command);
    }
    for (const Question question : questions) {
      const auto found = answers_.find(question);
      if (found == answers_.end()) {
        continue;
      }
      const Answer& answer = found->second;
      observation.took_ms += answer.took_ms;
      if (answer.status == status_unanswered && !member(answer.json, "schema").IsString()) {
        observation.impossible = reason_of(answer.errors, "no answer");
      }
    }
    observation.is_shown = is_shown(observation.sight, truth, answers_);
    if (!observation.is_shown && observation.impossible.empty()) {
      for (const Question question : questions) {
        const std::string reason = missing_bpf(question);
        if (!reason.empty()) {
          observation.impossible = "not seen without BPF: " + reason;
        }
        const auto answer = answers_.find(question);
        if (question == Question::trace && answer != answers_.end()) {
          observation.impossible = missing_tracepoint(observation.sight, answer->second.json);
        }
      }
    }
  }

  /// Lets locks and trace look while the fixture works. One that does not work is looked at for a
  /// while.
  void watch(const std::vector<std::unique_ptr<Standing>>& one) {
    answers_.clear();
    std::vector<std::pair<Question, Program>> measuring;
    for (const Observation& observation : one.front()->specimen->observations) {
      if (!is_measured(observation.sight)) {
        continue;
      }
      const Question question = questions_of(observation.sight).front();
      if (answers_.count(question) > 0) {
        continue;
      }
      Answer& answer = answers_[question];
      Result<Program> program = Program::start(command_for(question, one));
      constexpr int last_ms = 1000;
      if (!program) {
        answer = {.status = -1, .errors = program.error().text()};
      } else if (!program->await_error("\n", ready_ms) || program->wait(0)) {
        program->read_all(last_ms);
        answer = {.status = program->wait(last_ms).value_or(-1), .errors = program->errors()};
      } else {
        measuring.emplace_back(question, std::move(*program));
      }
    }
    const auto begin = Program::Clock::now();
    if (works(*one.front())) {
      (void)let_work(*one.front());
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
    }
    for (auto& [question, program] : measuring) {
      program.send(SIGINT);
    }
    for (auto& [question, program] : measuring) {
      program.read_all(answer_ms);
      constexpr int last_ms = 2000;
      const int status = program.wait(last_ms).value_or(-1);
      Answer answer =
          answer_of(status, program.output(), program.errors(), question == Question::trace);
      answer.took_ms =
          std::chrono::duration<double, std::milli>(Program::Clock::now() - begin).count();
      answers_[question] = std::move(answer);
    }
  }

  Selftest& selftest_;
  std::mutex& mutex_;
  std::string& now_;
  std::string own_;
  Answers answers_;
};

namespace {

/// Whether a look-alike was taken for what it only resembles. Snapshots have to be right at once;
/// what is measured is repeated.
bool is_in_doubt(const Specimen& specimen) {
  if (!specimen.skipped.empty()) {
    return false;
  }
  const std::vector<FixtureSight>& own = specimen.fixture->sights;
  return !specimen.failure.empty() ||
         std::any_of(specimen.observations.begin(), specimen.observations.end(),
                     [&](const Observation& each) {
                       const bool is_own =
                           specimen.is_subject &&
                           std::find(own.begin(), own.end(), each.sight) != own.end();
                       return each.impossible.empty() &&
                              (is_own ? !each.is_shown : each.is_shown && is_measured(each.sight));
                     });
}

}  // namespace

const Observation* Specimen::find(const FixtureSight& sight) const {
  const auto found = std::find_if(observations.begin(), observations.end(),
                                  [&](const Observation& each) { return each.sight == sight; });
  return found == observations.end() ? nullptr : &*found;
}

std::optional<bool> SelftestResult::is_lookalike_quiet() const {
  std::optional<bool> is_quiet;
  for (const Lookalike& each : lookalikes) {
    if (each.skipped.empty()) {
      is_quiet = is_quiet.value_or(true) && each.loud.empty();
    }
  }
  return is_quiet;
}

bool SelftestResult::is_passed() const {
  return !skipped.empty() || (failure.empty() && is_reproduced && missed.empty() &&
                              is_lookalike_quiet().value_or(true));
}

Selftest::Selftest(const Catalogue& catalogue, const std::vector<const FixtureEntry*>& chosen)
    : catalogue_(catalogue) {
  const auto is_chosen = [&](const FixtureEntry& fixture) {
    if (chosen.empty()) {
      return fixture.lookalike_of.empty() || !fixture.sights.empty() || !fixture.problem.empty();
    }
    return std::any_of(chosen.begin(), chosen.end(), [&](const FixtureEntry* each) {
      const auto& originals = each->lookalike_of;
      // What has nothing to be seen itself is asked for because of those that it looks like.
      const bool stands_for_others = each->sights.empty() && !originals.empty();
      return stands_for_others
                 ? std::find(originals.begin(), originals.end(), fixture.name) != originals.end()
                 : each == &fixture;
    });
  };
  for (const FixtureEntry& fixture : catalogue.fixtures) {
    if (!is_chosen(fixture)) {
      continue;
    }
    subjects_.push_back(&fixture);
    Specimen& own = add(fixture, fixture.settings);
    own.is_subject = true;
    for (const FixtureSight& sight : fixture.sights) {
      if (own.find(sight) == nullptr) {
        own.observations.push_back({.sight = sight});
      }
    }
    for (const std::string& text : fixture.lookalikes) {
      const size_t blank = text.find(' ');
      const FixtureEntry* lookalike = catalogue.find(text.substr(0, blank));
      if (lookalike == nullptr) {
        continue;  // the unit test of the catalogue says so
      }
      Specimen& specimen = add(
          *lookalike, blank == std::string::npos ? lookalike->settings : text.substr(blank + 1));
      for (const FixtureSight& sight : fixture.sights) {
        if (specimen.find(sight) == nullptr) {
          specimen.observations.push_back({.sight = sight});
        }
      }
    }
  }
}

Specimen& Selftest::add(const FixtureEntry& fixture, const std::string& settings) {
  const auto found = std::find_if(specimens_.begin(), specimens_.end(), [&](const Specimen& each) {
    return each.fixture == &fixture && each.settings == settings;
  });
  return found != specimens_.end()
             ? *found
             : specimens_.emplace_back(Specimen{.fixture = &fixture, .settings = settings});
}

const Specimen* Selftest::find(const FixtureEntry* fixture, std::string_view settings) const {
  const auto found = std::find_if(specimens_.begin(), specimens_.end(), [&](const Specimen& each) {
    return each.fixture == fixture && each.settings == settings;
  });
  return found == specimens_.end() ? nullptr : &*found;
}

void Selftest::run(unsigned jobs, const std::function<bool(const Progress&)>& tell) {
  std::mutex mutex;
  Progress progress{.all = specimens_.size()};
  std::deque<std::function<void(SpecimenWorker&)>> work;
  const auto finish = [&](size_t count) {
    const std::lock_guard lock(mutex);
    progress.done += count;
  };
  std::vector<Specimen*> batch;
  const auto close_batch = [&] {
    if (!batch.empty()) {
      work.emplace_back([&, batch](SpecimenWorker& worker) {
        worker.hold(batch);
        finish(batch.size());
      });
      batch.clear();
    }
  };
  for (Specimen& each : specimens_) {
    if (!is_measured(each)) {
      batch.push_back(&each);
      if (batch.size() == batch_size) {
        close_batch();
      }
    }
  }
  close_batch();
  // Behind the others, which would disturb them.
  for (Specimen& each : specimens_) {
    if (is_measured(each)) {
      work.emplace_back([&](SpecimenWorker& worker) {
        worker.measure(each);
        finish(1);
      });
    }
  }

  // Until nothing is left to do; a thread each.
  const auto work_off = [&](unsigned threads) {
    std::atomic<unsigned> running = threads;
    const auto loop = [&] {
      SpecimenWorker worker(*this, mutex, progress.now);
      while (!programs_are_to_end) {
        std::function<void(SpecimenWorker&)> next;
        {
          const std::lock_guard lock(mutex);
          if (work.empty()) {
            break;
          }
          next = std::move(work.front());
          work.pop_front();
        }
        next(worker);
      }
      running--;
    };
    std::vector<std::thread> workers;
    workers.reserve(threads);
    for (unsigned i = 0; i < threads; i++) {
      workers.emplace_back(loop);
    }
    while (running > 0) {
      Progress now;
      {
        const std::lock_guard lock(mutex);
        now = progress;
      }
      if (!programs_are_to_end && !tell(now)) {
        programs_are_to_end = true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    for (std::thread& each : workers) {
      each.join();
    }
  };
  work_off(std::max(jobs, 1U));
  // Alone, what did not come out as it should.
  for (unsigned round = 1; round < most_rounds && !programs_are_to_end; round++) {
    for (Specimen& each : specimens_) {
      if (is_in_doubt(each)) {
        work.emplace_back([&](SpecimenWorker& worker) {
          is_measured(each) ? worker.measure(each) : worker.hold({&each});
        });
      }
    }
    work_off(1);
  }
}

std::optional<SelftestResult> Selftest::result(const FixtureEntry& subject) const {
  const Specimen* own = find(&subject, subject.settings);
  if (own == nullptr || !own->is_done()) {
    return std::nullopt;
  }
  SelftestResult result{.fixture = &subject,
                        .is_reproduced = own->is_reproduced,
                        .skipped = own->skipped,
                        .failure = own->failure,
                        .rounds = own->rounds};
  for (const FixtureSight& sight : subject.sights) {
    const Observation& seen = *own->find(sight);
    if (!own->skipped.empty()) {
      continue;
    }
    if (!seen.impossible.empty()) {
      result.unasked.push_back(fmt::format("{}: {}", sight.command, seen.impossible));
    } else if (seen.is_shown) {
      result.detected_by.push_back(sight);
      result.detect_ms = std::min(result.detect_ms.value_or(seen.took_ms), seen.took_ms);
    } else {
      result.missed.push_back(sight);
    }
  }
  if (!subject.sights.empty() && result.unasked.size() == subject.sights.size()) {
    result.skipped = fmt::format("{}", fmt::join(result.unasked, "; "));
  }
  for (const std::string& text : subject.lookalikes) {
    const size_t blank = text.find(' ');
    const FixtureEntry* fixture = catalogue_.find(text.substr(0, blank));
    const Specimen* specimen =
        fixture == nullptr
            ? nullptr
            : find(fixture, blank == std::string::npos ? std::string_view(fixture->settings)
                                                       : std::string_view(text).substr(blank + 1));
    if (specimen == nullptr || !specimen->is_done()) {
      return std::nullopt;
    }
    SelftestResult::Lookalike lookalike{.name = text, .skipped = specimen->skipped};
    if (!specimen->failure.empty() && result.failure.empty()) {
      result.failure = fmt::format("{}: {}", text, specimen->failure);
    }
    for (const FixtureSight& sight : subject.sights) {
      const Observation& seen = *specimen->find(sight);
      if (seen.is_shown) {
        lookalike.loud.push_back(sight);
      }
    }
    result.lookalikes.push_back(std::move(lookalike));
  }
  return result;
}

}  // namespace ipcscope
