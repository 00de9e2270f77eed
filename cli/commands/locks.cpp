// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/commands/locks.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <span>

#include "cli/arguments.h"
#include "cli/commands/answer.h"
#include "cli/commands/ending.h"
#include "cli/control_group.h"
#include "cli/kinds.h"
#include "cli/lock_report.h"
#include "cli/render/locks.h"
#include "cli/render/text.h"
#include "collectors/base/parse.h"
#include "collectors/locks/lock_probe.h"

namespace ipcscope {

const char* const locks_notes =
    R"(Measures for 5 seconds, or until Ctrl-C, which threads wait for each other, and what that costs.
A row is a lock, a semaphore, a file lock, or a full pipe, socket or queue; the dearest come first.
NOW is how many waits were in progress at the end, HOLDER behind whom most of the time was waited.
Where a primitive has no owner by design it says 'none, by' and who woke most, and 'by' alone where
the owner is not known. Threads that wait for data, events or work are idle as a rule and come last.

One lock, by its ID or alone in the answer, is told in full: with a histogram of its waits in powers
of two, and who waited behind whom. ipcscope-locks(1) tells how to read it, and how contention and
starvation differ; ipcscope-findings(7) has the rules.

Examples:
  ipcscope locks
  ipcscope locks -p 812 -d 30 --stacks
  ipcscope locks --by pair --sort max
  ipcscope locks --kind flock,fcntl,sem --min-wait 1ms -v
  ipcscope locks --json | jq '.locks[] | select(.wait_ms.p99 > 10) | .id'
)";

namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t usual_duration_ns = 5'000'000'000;
constexpr uint64_t least_duration_ns = 100'000'000;

/// What was asked, as far as it can be told without looking at the machine.
struct LockQuestion {
  LockRequest request;
  LockForm form;
  LockThresholds thresholds;
  std::chrono::nanoseconds duration{};  ///< 0: until it is interrupted
  std::chrono::nanoseconds interval{};  ///< 0: one answer
};

/// An option's word as a value of its own.
Result<uint64_t> long_enough(const char* option, const std::string& word, uint64_t usual) {
  if (word.empty()) {
    return usual;
  }
  Result<uint64_t> time = parse_duration(word);
  if (time && *time < least_duration_ns) {
    return failure(fmt::format("'{}' needs at least 0.1 seconds", option));
  }
  return time;
}

template <typename T>
Result<T> choice(const char* option, const std::string& word,
                 std::span<const std::pair<std::string_view, T>> choices) {
  std::string all;
  for (const auto& [name, value] : choices) {
    if (word == name) {
      return value;
    }
    all += all.empty() ? "" : name == choices.back().first ? " or " : ", ";
    all += name;
  }
  return failure(fmt::format("'{}' is {}, not '{}'", option, all, escaped(word, {})));
}

Result<uint64_t> count_of_option(const char* option, const std::string& word, uint64_t usual) {
  if (word.empty()) {
    return usual;
  }
  const auto number = parse_number<uint64_t>(word);
  if (!number || *number == 0) {
    return failure(fmt::format("'{}' is a number from 1 on, not '{}'", option, escaped(word, {})));
  }
  return *number;
}

Result<double> amount_of_option(const char* option, const std::string& word, double least,
                                double usual) {
  if (word.empty()) {
    return usual;
  }
  double value = 0;
  const auto [end, error] =
      std::from_chars(word.data(), word.data() + word.size(), value, std::chars_format::fixed);
  if (error != std::errc{} || end != word.data() + word.size() || value < least || value > 1e9) {
    return failure(
        fmt::format("'{}' is a number from {} on, not '{}'", option, least, escaped(word, {})));
  }
  return value;
}

Result<std::bitset<kind_count>> parse_kinds(std::string_view list) {
  std::bitset<kind_count> kinds;
  while (true) {
    const size_t comma = list.find(',');
    if (list.empty() || comma == 0) {
      return failure("a kind is missing after --kind");
    }
    const Result<Kind> kind = parse_kind(list.substr(0, comma));
    if (!kind) {
      return Failure(kind.error());
    }
    if (!can_be_waited_for(*kind)) {
      return failure(
          fmt::format("nobody waits at a {} itself, but at a futex in it", kind_name(*kind)));
    }
    kinds.set(static_cast<size_t>(*kind));
    if (comma == std::string_view::npos) {
      return kinds;
    }
    list.remove_prefix(comma + 1);
  }
}

/// Fills *to, or takes the error.
template <typename T, typename U>
bool take(Result<T> value, U* to, std::optional<Error>& error) {
  if (!value) {
    error = error ? error : value.error();
    return false;
  }
  *to = U(std::move(*value));
  return true;
}

std::optional<Error> read_request(const Options& options, LockRequest& request) {
  constexpr size_t longest_comm = 15;
  const LockOptions& locks = options.locks;
  std::optional<Error> error;
  if (!options.user.empty()) {
    take(parse_user(options.user), &request.uid, error);
  }
  if (locks.comm.size() > longest_comm) {
    return Error{
        {}, fmt::format("'--comm' is at most {} bytes long, as the kernel keeps it", longest_comm)};
  }
  request.comm = locks.comm;
  if (!options.cgroup.empty()) {
    take(control_group_id(options.cgroup), &request.cgroup, error);
  }
  if (!locks.kinds.empty()) {
    take(parse_kinds(locks.kinds), &request.kinds, error);
  }
  if (!locks.min_wait.empty()) {
    take(parse_duration(locks.min_wait), &request.min_wait_ns, error);
  }
  request.stacks = options.stacks;
  request.deep = locks.deep;
  if (locks.deep && options.pids.empty()) {
    error = Error{{}, "'--deep' needs '-p': its probes slow down the processes that they are in"};
  }
  return error;
}

std::optional<Error> read_form(const Options& options, LockForm& form) {
  using View = std::pair<std::string_view, LockView>;
  using Sort = std::pair<std::string_view, LockSort>;
  static constexpr View views[] = {
      {"lock", LockView::lock}, {"thread", LockView::thread}, {"pair", LockView::pair}};
  static constexpr Sort sorts[] = {{"total", LockSort::total},
                                   {"max", LockSort::max},
                                   {"waits", LockSort::waits},
                                   {"p99", LockSort::p99}};
  const LockOptions& locks = options.locks;
  std::optional<Error> error;
  if (!locks.view.empty()) {
    take(choice<LockView>("--by", locks.view, views), &form.view, error);
  }
  if (!locks.sort.empty()) {
    take(choice<LockSort>("--sort", locks.sort, sorts), &form.sort, error);
  }
  take(count_of_option("--top", locks.top, 0), &form.top, error);
  form.ids = options.words;
  form.detail = locks.detail || !options.words.empty();
  form.stacks = options.stacks;
  form.headings = !options.no_headings;
  return error;
}

std::optional<Error> read_thresholds(const LockOptions& locks, LockThresholds& limits) {
  std::optional<Error> error;
  take(amount_of_option("--contention", locks.contention, 0, limits.contention_percent),
       &limits.contention_percent, error);
  take(count_of_option("--overtakes", locks.overtakes, limits.overtakes), &limits.overtakes, error);
  take(amount_of_option("--times-median", locks.times_median, 1, limits.times_median),
       &limits.times_median, error);
  return error;
}

Result<LockQuestion> make_question(const Options& options) {
  LockQuestion question;
  const LockOptions& locks = options.locks;
  const uint64_t usual = locks.interval.empty() ? usual_duration_ns : 0;
  std::optional<Error> error;
  take(long_enough("--duration", locks.duration, usual), &question.duration, error);
  take(long_enough("--interval", locks.interval, 0), &question.interval, error);
  for (const auto& problem :
       {read_request(options, question.request), read_form(options, question.form),
        read_thresholds(locks, question.thresholds)}) {
    error = error ? error : problem;
  }
  if (error) {
    return Failure(*error);
  }
  return question;
}

/// Numbers of processes stand for all their threads. Says why one cannot be a target; empty when
/// all can.
std::string find_targets(const Stage& stage, const std::vector<pid_t>& numbers,
                         LockRequest& request) {
  for (const pid_t number : numbers) {
    const std::optional<pid_t> process = process_of(stage.proc, number);
    if (!process) {
      const std::string problem = missing_process(stage.proc, number);
      return problem == fmt::format("no process {}", number)
                 ? fmt::format("no process or thread {}", number)
                 : problem;
    }
    (*process == number ? request.pids : request.tids).push_back(number);
  }
  return {};
}

/// Whether there were targets, and none of them is there any more.
bool all_ended(const ProcRoot& proc, const LockRequest& request) {
  const auto lives = [&](pid_t number) {
    const Result<std::string> stat = proc.read(fmt::format("{}/stat", number));
    const size_t end = stat ? stat->rfind(')') : std::string::npos;
    return end != std::string::npos && end + 2 < stat->size() && (*stat)[end + 2] != 'Z' &&
           (*stat)[end + 2] != 'X';
  };
  return (!request.pids.empty() || !request.tids.empty()) &&
         std::none_of(request.pids.begin(), request.pids.end(), lives) &&
         std::none_of(request.tids.begin(), request.tids.end(), lives);
}

/// Says on the standard error that it measures: a line that is written again and again and goes
/// away at a terminal, and one line elsewhere.
class Progress {
 public:
  explicit Progress(std::chrono::nanoseconds duration) : duration_(duration) {
    const char* term = ::getenv("TERM");
    moving_ = ::isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
    if (!moving_) {
      complain("measuring; Ctrl-C ends it");
    }
  }
  ~Progress() { erase(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(std::chrono::nanoseconds measured) {
    using std::chrono::duration_cast;
    constexpr std::chrono::milliseconds often{250};
    if (!moving_ || (shown_ && measured - last_ < often)) {
      return;
    }
    last_ = measured;
    shown_ = true;
    const auto seconds = [](std::chrono::nanoseconds time) {
      return static_cast<double>(duration_cast<std::chrono::milliseconds>(time).count()) / 1000;
    };
    std::string text = fmt::format("\r\033[Kmeasuring, {:.1f}", seconds(measured));
    if (duration_.count() != 0) {
      fmt::format_to(std::back_inserter(text), " of {:.1f}", seconds(duration_));
    }
    write(text + " s; Ctrl-C ends it");
  }
  void erase() {
    if (shown_) {
      write("\r\033[K");
      shown_ = false;
    }
  }

 private:
  static void write(const std::string& text) {
    (void)!::write(STDERR_FILENO, text.data(), text.size());
  }
  std::chrono::nanoseconds duration_;
  std::chrono::nanoseconds last_{};
  bool moving_ = false;
  bool shown_ = false;
};

/// Why measuring ended.
enum class Stop : uint8_t { time, interrupt, targets, reader };

class Measurement {
 public:
  Measurement(const Options& options, const Stage& stage, const LockQuestion& question,
              LockProbe& probe)
      : options_(options),
        stage_(stage),
        question_(question),
        probe_(probe),
        progress_(question.duration) {}

  int run();

 private:
  Stop measure_until(Clock::time_point end);
  int answer(bool last);

  const Options& options_;
  const Stage& stage_;
  const LockQuestion& question_;
  LockProbe& probe_;
  Progress progress_;
  Clock::time_point begin_ = Clock::now();
  bool first_ = true;
};

Stop Measurement::measure_until(Clock::time_point end) {
  constexpr std::chrono::milliseconds slice{100};
  while (!is_interrupted()) {
    const auto now = Clock::now();
    progress_.show(now - begin_);
    if (now >= end) {
      return Stop::time;
    }
    if (is_reader_gone()) {
      return Stop::reader;
    }
    if (all_ended(stage_.proc, question_.request)) {
      return Stop::targets;
    }
    probe_.poll(std::min(slice, std::chrono::ceil<std::chrono::milliseconds>(end - now)));
  }
  return Stop::interrupt;
}

int Measurement::answer(bool last) {
  Result<LockWindow> window = probe_.window();
  progress_.erase();
  if (!window) {
    return stage_.give_up(window.error().text());
  }
  const LockReport report =
      make_lock_report(std::move(*window), question_.form, question_.thresholds);
  const bool several = question_.interval.count() != 0;
  if (options_.json) {
    write_locks_json(stage_.out, report, several);
  } else {
    if (several) {
      stage_.out.write(first_ ? "" : "\n");
      stage_.out.write(time_text(report.window.time_ns) + "\n");
    }
    write_locks(stage_.out, stage_.terminal, report);
  }
  first_ = false;
  int status = status_complete;
  const std::vector<Coverage>& coverage = report.window.coverage;
  if (!last) {
    status = options_.strict && !is_complete(coverage) ? status_partial : status_complete;
  } else if (stage_.terminal.interactive && !options_.no_headings && !options_.json) {
    status = write_coverage_footer(options_, stage_, coverage);
  } else {
    status = finish_answer(options_, stage_, coverage);
  }
  stage_.out.flush();
  const std::optional<DeepFacts>& deep = report.window.deep;
  const bool lost = report.window.lost_locks != 0 || report.window.lost_pairs != 0 ||
                    (deep && (deep->lost_holds | deep->lost_orders | deep->lost_held) != 0);
  return options_.strict && lost ? int{status_partial} : status;
}

int Measurement::run() {
  const auto end =
      question_.duration.count() != 0 ? begin_ + question_.duration : Clock::time_point::max();
  int status = status_complete;
  auto next = begin_;
  while (true) {
    if (question_.interval.count() != 0) {
      // Where answering took longer than that, the next one is not to be about nothing.
      const auto now = Clock::now();
      next = next + question_.interval > now ? next + question_.interval : now + question_.interval;
    }
    next = question_.interval.count() != 0 ? std::min(next, end) : end;
    const Stop stop = measure_until(next);
    const bool last = stop != Stop::time || next >= end;
    const int answered = answer(last);
    status = answered != status_complete ? answered : status;
    if (last || status == status_unanswered || stage_.out.error() != 0) {
      if (stop == Stop::targets) {
        complain("all that was to be measured has ended");
      }
      return status;
    }
    probe_.restart();
  }
}

}  // namespace

int run_locks(const Options& options, const Stage& stage) {
  Result<LockQuestion> question = make_question(options);
  if (!question) {
    return stage.misuse(question.error().text());
  }
  const Result<std::vector<pid_t>> numbers = parse_pids(options.pids);
  if (!numbers) {
    return stage.misuse(numbers.error().text());
  }
  if (numbers->size() > LockRequest::filter_max) {
    return stage.misuse(
        fmt::format("at most {} processes and threads can be chosen", LockRequest::filter_max));
  }
  if (const std::string problem = find_targets(stage, *numbers, question->request);
      !problem.empty()) {
    return stage.no_target(problem);
  }
  heed_interrupts();
  const Result<std::unique_ptr<LockProbe>> probe = LockProbe::start(question->request, stage.proc);
  if (!probe) {
    return stage.give_up(probe.error());
  }
  return Measurement(options, stage, *question, **probe).run();
}

}  // namespace ipcscope
