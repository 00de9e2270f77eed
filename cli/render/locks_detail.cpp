// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "analysis/lock_use.h"
#include "cli/render/locks.h"
#include "cli/render/table.h"
#include "cli/render/text.h"
#include "cli/render/wrap.h"
#include "collectors/model/duration.h"

namespace ipcscope {

namespace {

constexpr size_t indent = 2;
constexpr size_t key_width = 11;
constexpr size_t most_named = 8;
constexpr size_t most_stacks = 3;  // of each sort

class LockWriter {
 public:
  LockWriter(Output& out, const Terminal& terminal, const LockReport& report, const LockUse& lock)
      : out_(out), terminal_(terminal), window_(report.window), lock_(lock) {}

  void write_title();
  void write_numbers();
  void write_pairs();
  void write_stacks();
  void write_holds();

 private:
  void line(std::string_view key, std::string_view text) {
    write_wrapped(out_, terminal_, fmt::format("  {:<{}}", key, key_width), indent + key_width,
                  text);
  }
  [[nodiscard]] std::string name(uint32_t thread) const {
    return thread < window_.threads.size()
               ? escaped(thread_text(window_.threads[thread]), terminal_.escape())
               : "unknown";
  }
  [[nodiscard]] std::string holders_text() const;
  void write_stacks(bool waker);

  Output& out_;
  const Terminal& terminal_;
  const LockWindow& window_;
  const LockUse& lock_;
};

void LockWriter::write_title() {
  std::string text = escaped(lock_.id, terminal_.escape());
  fmt::format_to(std::back_inserter(text), ": {}", escaped(lock_.primitive, terminal_.escape()));
  if (!lock_.name.empty() && lock_.id.find(lock_.name) == std::string::npos) {
    text += " " + escaped(lock_.name, terminal_.escape());
  }
  if (lock_.waits == 0) {
    text += ", at which nobody waited";
    write_wrapped(out_, terminal_, "", indent, text);
    return;
  }
  fmt::format_to(std::back_inserter(text), ", waits for {}{}",
                 lock_.purpose == WaitPurpose::lock ? "the " : "", purpose_name(lock_.purpose));
  if (!lock_.operation.empty()) {
    text += " in " + escaped(lock_.operation, terminal_.escape());
  }
  write_wrapped(out_, terminal_, "", indent, text);
}

std::string LockWriter::holders_text() const {
  const std::vector<LockHolder> holders = holders_of(lock_);
  std::string text;
  if (lock_.source == HolderSource::none_by_design) {
    text = holders.empty() ? "none by design" : "none by design; woken by ";
  } else if (lock_.source == HolderSource::waker && !holders.empty()) {
    text = "not known; woken by ";
  } else if (holders.empty()) {
    text = "not known";
  }
  double known = 0;
  for (size_t i = 0; i < holders.size(); i++) {
    known += holders[i].share;
    if (i < most_named) {
      fmt::format_to(std::back_inserter(text), "{}{} {:.0f}%", i == 0 ? "" : ", ",
                     name(holders[i].thread), holders[i].share * 100);
    }
  }
  if (holders.size() > most_named) {
    fmt::format_to(std::back_inserter(text), " and {} more", holders.size() - most_named);
  }
  if (!holders.empty() && known < 0.995) {
    fmt::format_to(std::back_inserter(text), "; {:.0f}% not known", (1 - known) * 100);
  }
  return text;
}

void LockWriter::write_numbers() {
  std::string text =
      fmt::format("{} by {} thread{}", grouped(lock_.waits), waiters_of(lock_).size(),
                  waiters_of(lock_).size() == 1 ? "" : "s");
  for (size_t i = 0; i < wait_end_count; i++) {
    if (lock_.ends[i] != 0) {
      std::string word(wait_end_name(static_cast<WaitEnd>(i)));
      std::replace(word.begin(), word.end(), '_', ' ');
      fmt::format_to(std::back_inserter(text), ", {} {}", grouped(lock_.ends[i]), word);
    }
  }
  if (lock_.unfinished != 0) {
    fmt::format_to(std::back_inserter(text), ", {} unfinished", grouped(lock_.unfinished));
  }
  line("waits", text);
  line("took",
       fmt::format("{} in all, mean {}, p50 {}, p90 {}, p99 {}, longest {}",
                   nanoseconds_text(lock_.total_ns),
                   nanoseconds_text(lock_.total_ns / std::max(lock_.waits, uint64_t{1})),
                   nanoseconds_text(percentile_of(lock_, 0.5)),
                   nanoseconds_text(percentile_of(lock_, 0.9)),
                   nanoseconds_text(percentile_of(lock_, 0.99)), nanoseconds_text(lock_.max_ns)));
  line("holder", holders_text());
  if (lock_.longest_hold_ns != 0) {
    line("held", "at least " + nanoseconds_text(lock_.longest_hold_ns) + " once");
  }
  uint64_t overtakes = 0, attempt = 0;
  for (const LockPair& pair : lock_.pairs) {
    overtakes = std::max(overtakes, pair.overtakes_max);
    attempt = std::max(attempt, pair.attempt_max_ns);
  }
  if (is_in_the_way(lock_)) {
    line(
        "fairness",
        fmt::format("at most {} overtook one attempt; the longest took {}, the median {}; {} woken "
                    "to find it taken again",
                    grouped(overtakes), nanoseconds_text(attempt),
                    nanoseconds_text(lock_.attempt_p50_ns), grouped(lock_.woken_again)));
  }
  for (const auto& [key, value] : lock_.facts) {
    std::string word = escaped(key, terminal_.escape());
    std::replace(word.begin(), word.end(), '_', ' ');
    line("fact", word.ends_with(" ns") ? fmt::format("{} {}", word.substr(0, word.size() - 3),
                                                     nanoseconds_text(value))
                                       : fmt::format("{} {}", word, grouped(value)));
  }
}

void LockWriter::write_pairs() {
  std::vector<const LockPair*> pairs;
  for (const LockPair& each : lock_.pairs) {
    pairs.push_back(&each);
  }
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const LockPair* a, const LockPair* b) { return a->wait_ns > b->wait_ns; });
  for (size_t i = 0; i < std::min(pairs.size(), most_named); i++) {
    const LockPair& pair = *pairs[i];
    std::string text = name(pair.waiter);
    if (pair.holder != no_index) {
      const bool waker =
          pair.source == HolderSource::waker || pair.source == HolderSource::none_by_design;
      text += (waker ? " woken by " : " behind ") + name(pair.holder);
    }
    fmt::format_to(std::back_inserter(text), ": {} in {} wait{}, longest {}",
                   nanoseconds_text(pair.wait_ns), grouped(pair.waits), pair.waits == 1 ? "" : "s",
                   nanoseconds_text(pair.max_ns));
    if (pair.overtakes_max != 0) {
      fmt::format_to(std::back_inserter(text), ", overtaken {}", grouped(pair.overtakes_max));
    }
    line(i == 0 ? "who" : "", text);
  }
  if (pairs.size() > most_named) {
    line("", fmt::format("and {} more; --by pair shows them", pairs.size() - most_named));
  }
}

/// Where every taking was seen: how often, for how long, and by whom.
void LockWriter::write_holds() {
  if (lock_.holds.empty()) {
    return;
  }
  const LockHold sum = all_holds(lock_);
  std::string text = fmt::format("{} by {} thread{}", grouped(sum.taken), lock_.holds.size(),
                                 lock_.holds.size() == 1 ? "" : "s");
  if (sum.taken != 0) {
    fmt::format_to(std::back_inserter(text),
                   "; held {} in all, mean {}, p50 {}, p99 {}, longest {}",
                   nanoseconds_text(sum.total_ns), nanoseconds_text(sum.total_ns / sum.taken),
                   nanoseconds_text(held_percentile(lock_, 0.5)),
                   nanoseconds_text(held_percentile(lock_, 0.99)), nanoseconds_text(sum.max_ns));
  }
  if (sum.given != 0) {
    fmt::format_to(std::back_inserter(text), "; {} let go of without having been seen to be taken",
                   grouped(sum.given));
  }
  if (sum.signals != 0) {
    fmt::format_to(std::back_inserter(text), "; {} signals", grouped(sum.signals));
  }
  line("taken", text);
  for (size_t i = 0; i < std::min(lock_.holds.size(), most_named); i++) {
    const LockHold& hold = lock_.holds[i];
    line(i == 0 ? "by" : "",
         fmt::format("{}: {}x, held {}, longest {}", name(hold.thread),
                     grouped(hold.taken + hold.given + hold.signals),
                     nanoseconds_text(hold.total_ns), nanoseconds_text(hold.max_ns)));
  }
  if (lock_.held.total() != 0) {
    line("held for", "so long, so many times:");
    write_histogram(out_, lock_.held, indent, terminal_.width);
  }
}

void LockWriter::write_stacks(bool waker) {
  std::vector<const LockStack*> stacks;
  for (const LockStack& each : lock_.stacks) {
    if (each.waker == waker) {
      stacks.push_back(&each);
    }
  }
  std::stable_sort(stacks.begin(), stacks.end(),
                   [](const LockStack* a, const LockStack* b) { return a->count > b->count; });
  const size_t all = stacks.size();
  stacks.resize(std::min(all, most_stacks));
  for (const LockStack* stack : stacks) {
    std::string text =
        fmt::format("{} {}, {} time{}", waker ? "woken by" : "stack of", name(stack->thread),
                    grouped(stack->count), stack->count == 1 ? "" : "s");
    if (!stack->problem.empty()) {
      text += " (not complete: " + escaped(stack->problem, terminal_.escape()) + ")";
    }
    write_wrapped(out_, terminal_, "  ", 4, text);
    for (const std::string& frame : stack->frames) {
      write_wrapped(out_, terminal_, "    ", 6, escaped(frame, terminal_.escape()));
    }
  }
  if (all > most_stacks) {
    out_.write(fmt::format("  and {} more stack{}\n", all - most_stacks,
                           all - most_stacks == 1 ? "" : "s"));
  }
}

void LockWriter::write_stacks() {
  write_stacks(false);
  write_stacks(true);
}

}  // namespace

void write_histogram(Output& out, const DurationHistogram& histogram, size_t lead, size_t width) {
  constexpr size_t octaves = DurationHistogram::octaves;
  size_t first = octaves, last = 0;
  uint64_t most = 0;
  for (size_t i = 0; i < octaves; i++) {
    if (const uint64_t count = histogram.octave(i); count != 0) {
      first = std::min(first, i);
      last = i;
      most = std::max(most, count);
    }
  }
  if (most == 0) {
    return;
  }
  const size_t digits = grouped(most).size();
  // "[131us, 262us)", two blanks, the count, " |", the bar, "|"
  constexpr size_t range = 14;
  const size_t used = lead + range + 2 + digits + 2 + 1;
  const size_t room = width == 0 ? 80 : width;
  const size_t bar = std::clamp(room > used ? room - used : 0, size_t{8}, size_t{50});
  for (size_t i = first; i <= last; i++) {
    const uint64_t count = histogram.octave(i);
    const double share = static_cast<double>(count) / static_cast<double>(most);
    auto filled = static_cast<size_t>(std::lround(share * static_cast<double>(bar)));
    filled = count != 0 ? std::max(filled, size_t{1}) : 0;
    const std::string to = i + 1 == octaves
                               ? "..."
                               : nanoseconds_text(DurationHistogram::duration_of_bucket(
                                     (i + 1) * DurationHistogram::per_octave));
    out.repeat(' ', lead);
    out.write(fmt::format("[{:>5}, {:>5})  {:>{}} |", nanoseconds_text(uint64_t{1} << i), to,
                          grouped(count), digits));
    out.repeat('@', filled);
    out.repeat(' ', bar - filled);
    out.write("|\n");
  }
}

void write_lock(Output& out, const Terminal& terminal, const LockReport& report, uint32_t index) {
  const LockUse& lock = report.lock(index);
  LockWriter writer(out, terminal, report, lock);
  writer.write_title();
  if (lock.waits != 0) {
    writer.write_numbers();
    writer.write_pairs();
    write_histogram(out, lock.histogram, indent, terminal.width);
  }
  writer.write_holds();
  writer.write_stacks();
}

void write_lock_stacks(Output& out, const Terminal& terminal, const LockReport& report,
                       uint32_t index) {
  if (report.lock(index).stacks.empty()) {
    return;
  }
  out.put('\n');
  LockWriter writer(out, terminal, report, report.lock(index));
  writer.write_title();
  writer.write_stacks();
}

}  // namespace ipcscope
