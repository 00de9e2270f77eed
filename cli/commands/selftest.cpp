// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/commands/selftest.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "cli/commands/answer.h"
#include "cli/commands/fixture.h"
#include "cli/render/selftest.h"
#include "cli/selftest/program.h"
#include "cli/selftest/runner.h"
#include "collectors/base/parse.h"

namespace ipcscope {

const char* const selftest_notes =
    R"(Runs the fixtures of ipcscope-fixture(1) and their healthy look-alikes on this kernel, asks the
commands that should see each problem, and prints what was seen. Each fixture lives in processes of
its own, is ended when it was asked about, and leaves nothing behind; Ctrl-C ends all of them.

NAME is a fixture; the name of a look-alike stands for those whose look-alike it is.

Exit status: 0 everything that is possible here was detected and every look-alike was left alone;
1 something was not; 2 wrong usage; 77 nothing was possible here.
)";

namespace {

constexpr unsigned most_jobs = 64;

/// The signals that end this, held back so that the programs it started are ended in order.
class HeldSignals {
 public:
  HeldSignals() {
    ::sigemptyset(&set_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
      ::sigaddset(&set_, signal);
    }
    ::pthread_sigmask(SIG_BLOCK, &set_, &before_);
    // A fixture that ends early must not take this with it.
    pipe_before_ = ::signal(SIGPIPE, SIG_IGN);
  }
  ~HeldSignals() {
    ::signal(SIGPIPE, pipe_before_);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

  /// The signal that came, or 0.
  [[nodiscard]] int came() {
    if (came_ == 0) {
      const timespec now{};
      came_ = std::max(::sigtimedwait(&set_, nullptr, &now), 0);
    }
    return came_;
  }

 private:
  sigset_t set_{};
  sigset_t before_{};
  sighandler_t pipe_before_ = SIG_DFL;
  int came_ = 0;
};

/// The line on a terminal that tells how far it has come.
class ProgressLine {
 public:
  ProgressLine() : is_shown_(::isatty(STDERR_FILENO) != 0) {}
  ~ProgressLine() { put("\r\033[K"); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  void tell(const Selftest::Progress& progress) {
    put(fmt::format("\r\033[Kselftest: {} of {}, {}", progress.done, progress.all, progress.now));
  }

 private:
  void put(const std::string& text) const {
    if (is_shown_) {
      (void)!::write(STDERR_FILENO, text.data(), text.size());
    }
  }
  bool is_shown_;
};

}  // namespace

int run_selftest(const Options& options, const Stage& stage) {
  unsigned jobs = std::clamp(std::thread::hardware_concurrency(), 1U, most_jobs);
  if (const std::string& given = options.selftest.jobs; !given.empty()) {
    const auto number = parse_number<unsigned>(given);
    if (!number || *number == 0 || *number > most_jobs) {
      return stage.misuse(fmt::format("'--jobs' is a number from 1 to {}", most_jobs));
    }
    jobs = *number;
  }
  const Result<Catalogue> catalogue = load_catalogue();
  if (!catalogue) {
    complain(catalogue.error().text());
    return status_impossible;
  }
  std::vector<const FixtureEntry*> chosen;
  for (const std::string& name : options.words) {
    const FixtureEntry* fixture = catalogue->find(name);
    if (fixture == nullptr) {
      return stage.no_target(catalogue->lacks(name));
    }
    chosen.push_back(fixture);
  }
  // Before the work, not behind it: a report that cannot be written is wrong usage.
  Fd junit;
  if (!options.selftest.junit.empty()) {
    junit.reset(
        ::open(options.selftest.junit.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!junit) {
      return stage.no_target(fmt::format("cannot write {}: {}", escaped(options.selftest.junit, {}),
                                         ::strerror(errno)));
    }
  }

  Selftest selftest(*catalogue, chosen);
  const auto begin = std::chrono::steady_clock::now();
  int signal = 0;
  {
    HeldSignals signals;
    ProgressLine line;
    selftest.run(jobs, [&](const Selftest::Progress& progress) {
      line.tell(progress);
      return signals.came() == 0;
    });
    signal = signals.came();
  }
  if (signal != 0) {
    complain("interrupted; what it had started is ended");
    return 128 + signal;
  }
  SelftestReport report{.catalogue = *catalogue, .results = {}, .coverage = selftest.coverage()};
  for (const FixtureEntry* subject : selftest.subjects()) {
    if (std::optional<SelftestResult> result = selftest.result(*subject)) {
      report.results.push_back(std::move(*result));
    }
  }
  report.is_whole = chosen.empty();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (junit) {
    Output file(junit.get());
    write_selftest_junit(file, report);
    file.close();
    if (file.error() != 0) {
      return stage.give_up(fmt::format("cannot write {}: {}", escaped(options.selftest.junit, {}),
                                       ::strerror(file.error())));
    }
  }
  if (options.json) {
    write_selftest_json(stage.out, report);
  } else {
    write_selftest(stage.out, stage.terminal, report);
    (void)write_coverage_footer(options, stage, report.coverage);
  }
  const SelftestTotals totals = totals_of(report);
  if (totals.failed > 0) {
    return status_found;
  }
  return totals.skipped == report.results.size() ? status_impossible : status_complete;
}

}  // namespace ipcscope
