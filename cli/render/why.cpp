// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/why.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <unordered_set>

#include "analysis/wait_words.h"
#include "cli/render/finding.h"
#include "cli/render/list.h"
#include "cli/render/table.h"
#include "cli/render/text.h"
#include "cli/render/wrap.h"

namespace ipcscope {

namespace {

constexpr size_t most_groups = 32;    // of one answer
constexpr size_t most_lines = 400;    // of one tree
constexpr size_t most_threads = 300;  // of one finding, each in a tree

bool is_bad(Root root) {
  return root == Root::deadlock || root == Root::nobody || root == Root::stopped;
}

/// One chain with what branches off it, a thread or a wait on each line.
class TreeWriter {
 public:
  TreeWriter(Output& out, const Terminal& terminal, const WhyReport& report)
      : out_(out), terminal_(terminal), report_(report), snapshot_(report.snapshot) {
    const bool utf8 = terminal.utf8;
    branch_ = utf8 ? "├─ " : "|- ";
    last_ = utf8 ? "└─ " : "`- ";
    pass_ = utf8 ? "│  " : "|  ";
  }

  void write(ThreadIndex root, size_t others);
  /// Every thread that has been told, in any tree.
  [[nodiscard]] const std::unordered_set<ThreadIndex>& told() const { return told_; }

 private:
  struct Item {
    ThreadIndex thread = no_index;
    std::string_view role;
    std::string note;   ///< instead of a thread
    std::string lead;   ///< before its own line
    std::string below;  ///< before what is below it
    size_t others = 0;  ///< threads that are like it
  };

  void write_line(const std::string& lead, const std::string& below, std::string_view text);
  void write_thread(const Item& item, bool again);
  void add_branches(const Item& item);
  [[nodiscard]] std::string fold_text(const WhyBranch& branch) const;

  Output& out_;
  const Terminal& terminal_;
  const WhyReport& report_;
  const Snapshot& snapshot_;
  const char *branch_, *last_, *pass_;
  std::vector<Item> open_;
  std::unordered_set<ThreadIndex> shown_;  // in this tree
  std::unordered_set<ThreadIndex> told_;
  size_t lines_ = 0;
};

/// Indents what does not fit behind its own beginning.
void TreeWriter::write_line(const std::string& lead, const std::string& below,
                            std::string_view text) {
  constexpr size_t least = 24;  // of text on a line; a deeper tree goes over the edge
  const size_t indent = display_width(lead);
  const std::string escaped_text = escaped(text, terminal_.escape());
  std::string_view left = escaped_text;
  lines_++;
  out_.write(lead);
  const size_t room = terminal_.width == 0
                          ? SIZE_MAX
                          : std::max(terminal_.width - std::min(indent, terminal_.width), least);
  while (display_width(left) > room) {
    const std::string_view front = fitting_front(left, room);
    const size_t blank = left[front.size()] == ' ' ? front.size() : front.rfind(' ');
    const size_t end = blank == std::string_view::npos || blank == 0 ? front.size() : blank;
    if (end == 0) {
      break;
    }
    out_.write(left.substr(0, end));
    out_.put('\n');
    left.remove_prefix(end);
    left.remove_prefix(std::min(left.find_first_not_of(' '), left.size()));
    out_.write(below);
    out_.repeat(' ', indent - std::min(indent, display_width(below)));
  }
  out_.write(left);
  out_.put('\n');
}

void TreeWriter::write_thread(const Item& item, bool again) {
  const Thread& thread = snapshot_.threads[item.thread];
  std::string text;
  if (!item.role.empty()) {
    fmt::format_to(std::back_inserter(text), "{}: ", item.role);
  }
  text += thread_label(snapshot_, item.thread);
  if (again) {
    write_line(item.lead, item.below, text + ", see above");
    return;
  }
  const WaitGraph::Chain chain = report_.graph->chain(item.thread);
  if (thread.wait_count != 0 && report_.graph->thread_root(item.thread) == Root::none) {
    const Since blocked = since(thread);
    if (blocked.milliseconds) {
      text += ", blocked for ";
      append_since(text, blocked, terminal_.utf8);
    }
  }
  if (item.others != 0) {
    fmt::format_to(std::back_inserter(text), ", and {} other thread{} likewise", item.others,
                   item.others == 1 ? "" : "s");
  }
  if (chain.steps.size() == 1 && chain.root != Root::deadlock && chain.steps[0].wait == no_index) {
    text += ", " + report_.verdict(chain);
  }
  write_line(item.lead, item.below, text);
}

std::string TreeWriter::fold_text(const WhyBranch& branch) const {
  if (branch.moving + branch.stuck == 0) {
    return {};
  }
  std::string text =
      fmt::format("and {}{} other{}", branch.more ? "at least " : "", branch.moving + branch.stuck,
                  branch.moving + branch.stuck == 1 ? "" : "s");
  if (branch.stuck == 0) {
    text += branch.moving == 1 ? " that is not stuck" : " that are not stuck";
  } else if (branch.moving == 0) {
    text += branch.stuck == 1 ? " that is stuck too" : " that are stuck too";
  } else {
    fmt::format_to(std::back_inserter(text), ", {} of them stuck", branch.stuck);
  }
  return text;
}

void TreeWriter::add_branches(const Item& item) {
  std::vector<Item> below;
  for (const WhyBranch& branch : report_.branches(item.thread)) {
    const Wait& wait = snapshot_.waits[branch.wait];
    write_line(item.below + "  ", item.below, wait_text(snapshot_, wait));
    if (const std::string note = report_.note(branch.wait); !note.empty()) {
      write_line(item.below + "    ", item.below, note);
    }
    const std::string_view role = releaser_role(snapshot_, wait);
    for (const ThreadIndex each : branch.to) {
      below.push_back({.thread = each, .role = role, .note = {}, .lead = {}, .below = {}});
    }
    if (std::string text = fold_text(branch); !text.empty()) {
      below.push_back(
          {.thread = no_index, .role = {}, .note = std::move(text), .lead = {}, .below = {}});
    }
  }
  if (const auto sleep = report_.kernel.find(snapshot_.threads[item.thread].tid);
      sleep != report_.kernel.end() && !sleep->second.functions.empty()) {
    write_line(item.below + "    ", item.below,
               fmt::format("in the kernel: {}", fmt::join(sleep->second.functions, ", ")));
  }
  if (const auto stack = report_.stacks.find(snapshot_.threads[item.thread].tid);
      stack != report_.stacks.end()) {
    for (const std::string& frame : stack->second) {
      write_line(item.below + "    ", item.below, frame);
    }
  }
  // Beyond half of the terminal the tree stays where it is.
  const bool deep = terminal_.width != 0 && display_width(item.below) * 2 > terminal_.width;
  for (size_t i = below.size(); i-- > 0;) {
    const bool is_last = i + 1 == below.size();
    below[i].lead = item.below + (is_last ? last_ : branch_);
    below[i].below = deep ? item.below : item.below + (is_last ? "   " : pass_);
    open_.push_back(std::move(below[i]));
  }
}

/// Depth first, without recursion: a chain can be as long as there are threads.
void TreeWriter::write(ThreadIndex root, size_t others) {
  shown_.clear();
  lines_ = 0;
  open_.push_back(
      {.thread = root, .role = {}, .note = {}, .lead = {}, .below = {}, .others = others});
  while (!open_.empty()) {
    const Item item = std::move(open_.back());
    open_.pop_back();
    if (lines_ >= most_lines) {
      out_.write("...\n");
      open_.clear();
      return;
    }
    if (item.thread == no_index) {
      write_line(item.lead, item.below, item.note);
      continue;
    }
    const bool again = !shown_.insert(item.thread).second;
    told_.insert(item.thread);
    write_thread(item, again);
    if (!again) {
      add_branches(item);
    }
  }
}

std::string verdict_text(const WhyReport& report, const WaitGraph::Chain& chain) {
  const Snapshot& snapshot = report.snapshot;
  std::string text = report.verdict(chain);
  if (chain.root == Root::deadlock) {
    const size_t length = chain.steps.size() - chain.knot_begin;
    if (length == 1) {
      text += fmt::format(": {} waits for what only it could do",
                          thread_label(snapshot, chain.steps[chain.knot_begin].thread));
    } else {
      text += ": ";
      for (size_t i = chain.knot_begin; i < chain.steps.size(); i++) {
        text += thread_label(snapshot, chain.steps[i].thread) + " -> ";
      }
      text += thread_label(snapshot, chain.steps[chain.knot_begin].thread);
    }
  } else if (const std::string last = thread_label(snapshot, chain.steps.back().thread);
             chain.steps.size() > 1 && text.find(last) == std::string::npos) {
    text += fmt::format(" ({})", last);
  }
  return text;
}

std::string looks_text(const WhyReport& report) {
  std::string text;
  if (report.apart_ms) {
    fmt::format_to(std::back_inserter(text), "two looks {} ms apart", *report.apart_ms);
    if (report.dropped != 0) {
      fmt::format_to(std::back_inserter(text), ", {} finding{} dropped because {} moved",
                     report.dropped, report.dropped == 1 ? "" : "s",
                     report.dropped == 1 ? "it" : "they");
    }
  }
  return text;
}

bool is_serious(const Finding& finding) { return finding.severity != Severity::info; }

}  // namespace

void write_why_groups(Output& out, const Terminal& terminal, const WhyReport& report) {
  size_t written = 0, threads = 0;
  TreeWriter tree(out, terminal, report);
  for (const ChainGroup& group : report.groups) {
    // Its chain is the rest of one that was told.
    if (group.threads.size() == 1 && tree.told().contains(group.threads.front())) {
      continue;
    }
    if (written == most_groups) {
      threads += group.threads.size();
      continue;
    }
    out.write(written++ == 0 ? "" : "\n");
    tree.write(group.threads.front(), group.threads.size() - 1);
    const std::string lead = "verdict: ";
    const std::string text = escaped(verdict_text(report, group.chain), terminal.escape());
    out.write(
        styled(lead, is_bad(group.chain.root) ? Style::alarm : Style::heading, terminal.color));
    write_wrapped(out, terminal, "", lead.size(), text);
  }
  if (threads != 0) {
    out.write(fmt::format("\nand {} more thread{} with other chains; ask for one by its number\n",
                          threads, threads == 1 ? "" : "s"));
  }
}

void write_why_chains(Output& out, const Terminal& terminal, const WhyReport& report) {
  write_why_groups(out, terminal, report);
  for (const Finding& finding : report.findings) {
    out.put('\n');
    write_finding(out, terminal, finding);
  }
  if (const std::string text = looks_text(report); !text.empty()) {
    out.write("\n" + text + "\n");
  }
}

void write_why_findings(Output& out, const Terminal& terminal, const WhyReport& report,
                        uint64_t longer_than_ns) {
  for (const Finding& finding : report.findings) {
    write_finding(out, terminal, finding);
    size_t written = 0;
    for (const int32_t tid : finding.tids) {
      if (report.stacks.contains(tid) && written++ < most_threads) {
        const auto stack = report.stacks.find(tid);
        write_wrapped(out, terminal, "  ", 4, fmt::format("stack of {}", tid));
        for (const std::string& frame : stack->second) {
          write_wrapped(out, terminal, "    ", 6, escaped(frame, terminal.escape()));
        }
      }
    }
    out.put('\n');
  }
  std::string limit;
  append_duration(limit, longer_than_ns / 1'000'000);
  if (!report.groups.empty()) {
    write_wrapped(out, terminal, "", 2,
                  fmt::format("waits longer than {} for somebody who is at work:", limit));
    write_why_groups(out, terminal, report);
    out.put('\n');
  }
  const WaitCounts& counts = report.counts;
  std::string text = fmt::format(
      "checked {} threads, {} waiting; {} unreadable; {} without an "
      "owner by design",
      grouped(counts.threads), grouped(counts.waiting), grouped(counts.unreadable),
      grouped(counts.ownerless));
  if (const std::string looks = looks_text(report); !looks.empty()) {
    text += "; " + looks;
  }
  write_wrapped(out, terminal, "", 2, text);
  if (std::any_of(report.findings.begin(), report.findings.end(), is_serious)) {
    return;
  }
  if (counts.unreadable == 0 && is_complete(report.snapshot.coverage)) {
    out.write("nothing stuck\n");
    return;
  }
  // The sources count different things, some of them the same; the first one's reason is the
  // others'.
  uint64_t unreadable = counts.unreadable;
  std::string why;
  for (const Coverage& each : report.snapshot.coverage) {
    if (each.state != Coverage::State::full) {
      unreadable = std::max(unreadable, each.unreadable);
      if (why.empty()) {
        why = fmt::format(" ({}{}{})", each.reason.empty() ? each.source : each.reason,
                          each.hint.empty() ? "" : ": ", each.hint);
      }
    }
  }
  write_wrapped(out, terminal, "", 2,
                fmt::format("nothing stuck was found; {} could not be read{}", grouped(unreadable),
                            escaped(why, terminal.escape())));
}

std::string_view verdict_name(Root root) {
  return root == Root::nobody || root == Root::none ? root_name(Root::unknown_owner)
                                                    : root_name(root);
}

WhyDrawing draw(const WhyReport& report) {
  constexpr size_t most = 5000;
  WhyDrawing drawing;
  std::unordered_set<ThreadIndex> seen;
  const auto add = [&](ThreadIndex thread) {
    if (seen.insert(thread).second) {
      if (drawing.threads.size() == most) {
        drawing.truncated = true;
        return false;
      }
      drawing.threads.push_back(thread);
    }
    return true;
  };
  for (const ChainGroup& group : report.groups) {
    for (const ThreadIndex thread : group.threads) {
      add(thread);
    }
  }
  for (const Finding& finding : report.findings) {
    for (const int32_t tid : finding.tids) {
      if (const Thread* thread = report.snapshot.thread(tid)) {
        add(static_cast<ThreadIndex>(thread - report.snapshot.threads.data()));
      }
    }
  }
  for (size_t i = 0; i < drawing.threads.size(); i++) {
    const ThreadIndex from = drawing.threads[i];
    for (const WhyBranch& branch : report.branches(from)) {
      drawing.truncated = drawing.truncated || branch.moving + branch.stuck != 0;
      if (branch.to.empty()) {
        drawing.edges.push_back({from, branch.wait, no_index});
      }
      for (const ThreadIndex to : branch.to) {
        if (add(to)) {
          drawing.edges.push_back({from, branch.wait, to});
        }
      }
    }
  }
  return drawing;
}

}  // namespace ipcscope
