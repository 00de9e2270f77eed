// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/list.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

namespace ipcscope {

namespace {

EscapeStyle escape_style(const Terminal& terminal, const ListForm& form) {
  return {.utf8 = terminal.utf8, .blanks = form.raw};
}

const Protocols* protocols_of(const ListReport& report) {
  return report.protocols ? &*report.protocols : nullptr;
}

Table make_table(const ListForm& form) {
  std::vector<TableColumn> columns;
  if (form.tree) {
    columns.push_back({.heading = "PROCESS", .flexible = true, .cut_inside = true});
  }
  for (const Column& column : form.columns) {
    columns.push_back({column.heading(), column.right, column.flexible, column.cut_inside});
  }
  return Table(std::move(columns), form.raw ? Table::Form::raw : Table::Form::aligned,
               form.headings);
}

void add_cells(Table& table, ColumnContext& context, const ListForm& form, const Channel& channel,
               std::string& cell) {
  for (const Column& column : form.columns) {
    cell.clear();
    column.write(context, channel, column, cell);
    table.cell(cell, column.style(context, channel));
  }
}

/// The processes of a report and their ancestors, as a tree.
class Forest {
 public:
  explicit Forest(const ListReport& report);

  const std::vector<ProcessIndex>& roots() const { return roots_; }
  const std::vector<ProcessIndex>& children(ProcessIndex process) const {
    return children_[process];
  }
  const std::vector<ChannelIndex>& channels(ProcessIndex process) const {
    return channels_[process];
  }

 private:
  void add_channels(const ListReport& report);
  void add_lineage(const Snapshot& snapshot, ProcessIndex process);

  std::vector<ProcessIndex> roots_;
  std::vector<std::vector<ProcessIndex>> children_;
  std::vector<std::vector<ChannelIndex>> channels_;
  std::vector<bool> placed_;
};

Forest::Forest(const ListReport& report) {
  const size_t count = report.snapshot.processes.size();
  children_.resize(count);
  channels_.resize(count);
  placed_.resize(count);
  add_channels(report);
  for (ProcessIndex i = 0; i < count; i++) {
    if (!channels_[i].empty()) {
      add_lineage(report.snapshot, i);
    }
  }
  std::sort(roots_.begin(), roots_.end());
  for (auto& each : children_) {
    std::sort(each.begin(), each.end());
  }
}

void Forest::add_channels(const ListReport& report) {
  const auto add = [&](ProcessIndex process, ChannelIndex channel) {
    if (process < channels_.size() &&
        (channels_[process].empty() || channels_[process].back() != channel)) {
      channels_[process].push_back(channel);
    }
  };
  for (const ChannelIndex index : report.channels) {
    const Channel& channel = report.snapshot.channels[index];
    for (const Endpoint& endpoint : report.snapshot.endpoints_of(channel)) {
      add(endpoint.process, index);
    }
    for (const uint32_t wait : report.snapshot.waits_at(channel)) {
      add(report.snapshot.threads[report.snapshot.waits[wait].thread].process, index);
    }
  }
}

void Forest::add_lineage(const Snapshot& snapshot, ProcessIndex process) {
  while (!placed_[process]) {
    placed_[process] = true;
    const Process& child = snapshot.processes[process];
    const Process* parent = child.ppid != child.pid ? snapshot.process(child.ppid) : nullptr;
    if (parent == nullptr) {
      roots_.push_back(process);
      return;
    }
    const auto index = static_cast<ProcessIndex>(parent - snapshot.processes.data());
    children_[index].push_back(process);
    process = index;
  }
}

class TreeWriter {
 public:
  TreeWriter(const Terminal& terminal, const ListReport& report, const ListForm& form)
      : report_(report),
        form_(form),
        forest_(report),
        who_(report.snapshot, escape_style(terminal, form)),
        context_{who_, users_, form.raw, protocols_of(report)},
        table_(make_table(form)) {
    const bool utf8 = terminal.utf8;
    branch_ = form.raw ? "" : utf8 ? "├─" : "|-";
    last_ = form.raw ? "" : utf8 ? "└─" : "`-";
    pass_ = form.raw ? "" : utf8 ? "│ " : "| ";
    space_ = form.raw ? "" : "  ";
  }

  const Table& table() {
    for (const ProcessIndex root : forest_.roots()) {
      add_family(root);
    }
    return table_;
  }

 private:
  struct Step {
    ProcessIndex process;
    std::string lead;   ///< before its own row
    std::string below;  ///< before what is below it
  };

  /// Depth first, without recursion: a chain of parents can be as long as the process table.
  void add_family(ProcessIndex root) {
    std::vector<Step> open = {{root, "", ""}};
    while (!open.empty()) {
      const Step step = std::move(open.back());
      open.pop_back();
      add_process(step);
      const auto& children = forest_.children(step.process);
      add_channels(step, !children.empty());
      for (size_t i = children.size(); i-- > 0;) {
        const bool last = i + 1 == children.size();
        open.push_back({children[i], step.below + (last ? last_ : branch_),
                        step.below + (last ? space_ : pass_)});
      }
    }
  }

  void add_process(const Step& step) {
    table_.cell(step.lead + who_.label(step.process), Style::bold);
    for (size_t i = 0; i < form_.columns.size(); i++) {
      table_.cell("");
    }
  }

  void add_channels(const Step& step, bool children_follow) {
    const auto& channels = forest_.channels(step.process);
    context_.process = step.process;
    for (size_t i = 0; i < channels.size(); i++) {
      const Channel& channel = report_.snapshot.channels[channels[i]];
      const bool last = i + 1 == channels.size() && !children_follow;
      cell_ = step.below + (last ? last_ : branch_);
      append_escaped(cell_, channel.id, who_.style());
      table_.cell(cell_);
      add_cells(table_, context_, form_, channel, cell_);
    }
  }

  const ListReport& report_;
  const ListForm& form_;
  Forest forest_;
  Who who_;
  UserNames users_;
  ColumnContext context_;
  Table table_;
  std::string cell_;
  std::string branch_, last_, pass_, space_;
};

}  // namespace

void write_list(Output& out, const Terminal& terminal, const ListReport& report,
                const ListForm& form) {
  Table table = make_table(form);
  Who who(report.snapshot, escape_style(terminal, form));
  UserNames users;
  ColumnContext context{who, users, form.raw, protocols_of(report)};
  std::string cell;
  for (const ChannelIndex index : report.channels) {
    add_cells(table, context, form, report.snapshot.channels[index], cell);
  }
  table.print(out, terminal);
}

void write_tree(Output& out, const Terminal& terminal, const ListReport& report,
                const ListForm& form) {
  TreeWriter(terminal, report, form).table().print(out, terminal);
}

std::string summary(const ListReport& report) {
  const Snapshot& snapshot = report.snapshot;
  std::array<size_t, kind_count> counts{};
  std::vector<bool> waits(snapshot.threads.size());
  for (const ChannelIndex index : report.channels) {
    const Channel& channel = snapshot.channels[index];
    counts[static_cast<size_t>(channel.kind)]++;
    for (const uint32_t wait : snapshot.waits_at(channel)) {
      waits[snapshot.waits[wait].thread] = true;
    }
  }
  std::vector<size_t> order;
  for (size_t kind = 0; kind < kind_count; kind++) {
    if (counts[kind] > 0) {
      order.push_back(kind);
    }
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return counts[a] > counts[b]; });
  const auto waiting = std::count(waits.begin(), waits.end(), true);
  std::string text =
      fmt::format("{} channel{}", report.channels.size(), report.channels.size() == 1 ? "" : "s");
  for (size_t i = 0; i < order.size(); i++) {
    fmt::format_to(std::back_inserter(text), "{}{} {}", i == 0 ? ": " : ", ", counts[order[i]],
                   kind_name(static_cast<Kind>(order[i])));
  }
  fmt::format_to(std::back_inserter(text), "; {} thread{} wait{}", waiting, waiting == 1 ? "" : "s",
                 waiting == 1 ? "s" : "");
  return text;
}

std::vector<std::string> coverage_problems(const std::vector<Coverage>& coverage,
                                           EscapeStyle style) {
  std::vector<std::string> lines;
  for (const Coverage& each : coverage) {
    if (each.state == Coverage::State::full) {
      continue;
    }
    std::string line = fmt::format(
        "{}: {}", each.source, each.state == Coverage::State::partial ? "partial" : "unavailable");
    const auto to = std::back_inserter(line);
    if (each.unreadable > 0 && each.unreadable <= each.checked) {
      fmt::format_to(to, ", {} of {} unreadable", each.unreadable, each.checked);
    } else if (each.unreadable > 0) {
      fmt::format_to(to, ", {} unreadable", each.unreadable);
    }
    if (each.lost > 0) {
      fmt::format_to(to, ", {} lost", each.lost);
    }
    if (!each.reason.empty()) {
      line += ": ";
      append_escaped(line, each.reason, style);
    }
    if (!each.hint.empty()) {
      line += "; ";
      append_escaped(line, each.hint, style);
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace ipcscope
