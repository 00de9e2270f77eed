// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/commands/top.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "cli/arguments.h"
#include "cli/commands/answer.h"
#include "cli/commands/ending.h"
#include "cli/render/column_list.h"
#include "cli/render/list.h"
#include "cli/render/top.h"
#include "cli/suggest.h"
#include "cli/top/live_screen.h"
#include "cli/top/sampler.h"
#include "cli/top/tab_view.h"
#include "collectors/base/parse.h"

namespace ipcscope {

const char* const top_notes =
    R"(Tables: channels (what is moved, how full they are, who waits), locks (who waits for whom, and what
that costs), processes, findings (what 'why', 'leaks', 'locks' and 'limits' have found) and limits.
What to look at first comes first: full and blocked, then the busiest. What is not known is '-'.

Keys: 1 to 5 or Tab another table, arrows, Enter the row in full, / search, \ filter, s sort,
Space pause, ? help, q quit. ipcscope-top(1) has a screen of each table.

Examples:
  ipcscope top
  ipcscope top --tab locks -p 812
  ipcscope top --batch -n 3 --top 10
  ipcscope top --json -d 10 --tab findings | jq -c '.findings[].summary'
)";

namespace {

constexpr uint64_t usual_interval_ns = 1'000'000'000;
constexpr uint64_t least_interval_ns = 100'000'000;

struct TopQuestion {
  TopForm form;
  Wanted wanted;
  uint64_t count = 0;  ///< frames; 0: without an end
  std::vector<pid_t> pids;
};

template <typename Names>
Failure unknown(std::string_view what, const std::string& word, const Names& names) {
  const std::vector<std::string_view> views(names.begin(), names.end());
  return failure(
      fmt::format("unknown {} '{}'{}", what, escaped(word, {}), suggestion(word, views)));
}

Result<Tab> parse_tab(const std::string& word) {
  if (word.empty()) {
    return Tab::channels;
  }
  if (const std::optional<Tab> tab = tab_from_name(word)) {
    return *tab;
  }
  std::vector<std::string_view> names;
  for (size_t i = 0; i < tab_count; i++) {
    names.push_back(tab_name(static_cast<Tab>(i)));
  }
  return unknown("tab", word, names);
}

Result<size_t> parse_sort(Tab tab, const std::string& word) {
  const std::span<const RowColumn> columns = columns_of(tab);
  std::vector<std::string_view> names;
  for (size_t i = 0; i < columns.size(); i++) {
    names.push_back(columns[i].name);
    if (word.empty() || column_heading(columns[i].name) == column_heading(word)) {
      return i;
    }
  }
  return unknown(fmt::format("column of {}", tab_name(tab)), word, names);
}

Result<uint64_t> parse_count(const char* option, const std::string& word) {
  if (word.empty()) {
    return 0;
  }
  const auto number = parse_number<uint64_t>(word);
  if (!number || *number == 0) {
    return failure(fmt::format("'{}' is a number from 1 on, not '{}'", option, escaped(word, {})));
  }
  return *number;
}

Result<TopQuestion> make_question(const Options& options) {
  const TopOptions& top = options.top;
  TopQuestion question;
  const Result<Tab> tab = parse_tab(top.tab);
  if (!tab) {
    return Failure(tab.error());
  }
  const Result<size_t> sort = parse_sort(*tab, top.sort);
  if (!sort) {
    return Failure(sort.error());
  }
  Result<std::vector<pid_t>> pids = parse_pids(options.pids);
  if (!pids) {
    return Failure(pids.error());
  }
  const Result<uint64_t> count = parse_count("--count", top.count);
  if (!count) {
    return Failure(count.error());
  }
  const Result<uint64_t> most = parse_count("--top", top.most);
  if (!most) {
    return Failure(most.error());
  }
  question.wanted.interval_ns = usual_interval_ns;
  if (!top.interval.empty()) {
    const Result<uint64_t> interval = parse_duration(top.interval);
    if (!interval) {
      return Failure(interval.error());
    }
    if (*interval < least_interval_ns) {
      return failure("'--interval' needs at least 0.1 seconds");
    }
    question.wanted.interval_ns = *interval;
  }
  // As JSON, everything that was not left out.
  question.wanted.tab = question.form.tab = *tab;
  question.wanted.every_tab = question.form.every_tab = options.json && top.tab.empty();
  question.form.sort = *sort;
  question.form.reverse = top.reverse;
  question.form.filter = RowFilter(top.filter, *pids);
  question.form.most = *most;
  question.count = *count;
  question.pids = std::move(*pids);
  return question;
}

/// False when there is nobody to go on for.
bool measure_until(Sampler& sampler, std::chrono::steady_clock::time_point end) {
  constexpr std::chrono::milliseconds slice{100};
  while (!is_interrupted() && !is_reader_gone()) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return true;
    }
    if (sampler.polls()) {
      sampler.poll(std::min(slice, left));
    } else {
      std::this_thread::sleep_for(std::min(slice, left));
    }
  }
  return false;
}

/// What the rows of the last frame are about is what the next one looks at anew.
std::vector<int32_t> shown_pids(const TopFrame& frame, const TopForm& form) {
  constexpr size_t most = 50;
  const std::unique_ptr<Rows> rows = make_rows(frame, form.tab, {});
  TabView view;
  view.sort = form.sort;
  view.reverse = form.reverse;
  view.arrange(*rows, form.filter, most);
  std::vector<int32_t> pids;
  for (size_t i = 0; i < std::min(most, view.size()); i++) {
    const std::vector<int32_t> of = rows->pids(view.row(i));
    pids.insert(pids.end(), of.begin(), of.end());
  }
  return pids;
}

int print_frames(const Options& options, const Stage& stage, TopQuestion question,
                 Sampler& sampler) {
  heed_interrupts();
  Terminal terminal = stage.terminal;
  terminal.color = false;
  sampler.prepare(question.wanted);
  const std::chrono::nanoseconds interval(question.wanted.interval_ns);
  auto next = std::chrono::steady_clock::now();
  int status = status_complete;
  for (uint64_t i = 0; question.count == 0 || i < question.count; i++) {
    next = std::max(next + interval, std::chrono::steady_clock::now() + interval / 2);
    if (!measure_until(sampler, next)) {
      break;
    }
    const std::shared_ptr<const TopFrame> frame = sampler.sample(question.wanted, false);
    if (options.json) {
      write_top_json(stage.out, *frame, question.form);
    } else {
      stage.out.write(i > 0 ? "\n" : "");
      write_top_frame(stage.out, terminal, *frame, question.form);
    }
    stage.out.flush();
    if (stage.out.error() != 0) {
      break;
    }
    if (i == 0) {
      status = finish_answer(options, stage, frame->coverage);
    }
    question.wanted.pids = shown_pids(*frame, question.form);
  }
  return status;
}

}  // namespace

int run_top(const Options& options, const Stage& stage) {
  const Result<TopQuestion> question = make_question(options);
  if (!question) {
    return stage.misuse(question.error().text());
  }
  for (const pid_t pid : question->pids) {
    if (const std::string problem = missing_process(stage.proc, pid); !problem.empty()) {
      return stage.no_target(problem);
    }
  }
  const bool batch = options.top.batch || options.json;
  if (!batch && question->form.most != 0) {
    return stage.misuse("'--top' needs --batch");
  }
  if (!batch && (::isatty(STDIN_FILENO) != 1 || ::isatty(STDOUT_FILENO) != 1)) {
    return stage.misuse("the screen needs a terminal; '--batch' prints plain frames");
  }
  Result<std::unique_ptr<Sampler>> sampler =
      Sampler::start({.source = options.source, .utf8 = stage.terminal.utf8}, stage.proc);
  if (!sampler) {
    return stage.give_up(sampler.error());
  }
  if (batch) {
    return print_frames(options, stage, *question, **sampler);
  }
  TopModel::Form form;
  form.tab = question->form.tab;
  form.sort = question->form.sort;
  form.reverse = question->form.reverse;
  form.filter = options.top.filter;
  form.pids = question->pids;
  form.interval_ns = question->wanted.interval_ns;
  form.utf8 = stage.terminal.utf8;
  const Result<void> shown =
      run_live_screen(std::move(*sampler), form, stage.terminal.color, question->count);
  return shown ? status_complete : stage.give_up(shown.error().text());
}

}  // namespace ipcscope
