// SPDX-License-Identifier: GPL-2.0-or-later
// leaks --clean: the plan, the question, the removal, and what became of it.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "cli/commands/leaks_removal.h"
#include "collectors/removal/removal.h"

namespace ipcscope {

namespace {

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

}  // namespace

int clean_leaks(const Options& options, const Stage& stage, LeakReport& report, LeakForm form) {
  return CleanUp(options, stage, report).run(std::move(form));
}

}  // namespace ipcscope
