// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <iterator>

#include "cli/render/columns.h"
#include "cli/render/show.h"
#include "cli/render/syscalls.h"
#include "cli/render/table.h"
#include "cli/render/text.h"
#include "cli/render/who.h"
#include "cli/render/wrap.h"

namespace ipcscope {

namespace {

constexpr size_t most_endpoints = 64;
constexpr size_t most_processes = 16;
constexpr size_t most_threads = 256;

std::string_view state_text(char state) {
  switch (state) {
    case 'R':
      return "running";
    case 'S':
      return "sleeping";
    case 'D':
      return "uninterruptible";
    case 'T':
      return "stopped";
    case 't':
      return "traced";
    case 'Z':
      return "zombie";
    case 'X':
      return "dead";
    case 'I':
      return "idle";
    case 'P':
      return "parked";
    default:
      return "-";
  }
}

/// What is in a set, or what is not in it where that is shorter.
std::string signal_list(const std::optional<SignalSet>& set) {
  if (!set) {
    return "-";
  }
  // 32 and 33 belong to the C library, which hides them from everybody.
  constexpr SignalSet usual = ~(SignalSet{3} << 31);
  const SignalSet given = *set & usual;
  const bool inverted = std::popcount(given) > 32;
  const SignalSet listed = inverted ? usual & ~given : given;
  std::string text = inverted ? listed == 0 ? "all" : "all but" : "";
  for (int number = 1; number <= 64; number++) {
    if ((listed >> (number - 1) & 1) != 0) {
      text += text.empty() ? "" : " ";
      text += signal_name(number);
    }
  }
  return text.empty() ? "none" : text;
}

class ShowWriter {
 public:
  ShowWriter(Output& out, const Terminal& terminal, const ShowReport& report)
      : out_(out),
        terminal_(terminal),
        report_(report),
        snapshot_(report.snapshot),
        who_(report.snapshot, terminal.escape()) {
    // Everything below a title is indented.
    inner_ = terminal;
    inner_.width = terminal.width > indent + 10 ? terminal.width - indent : terminal.width;
  }

  void write() {
    bool first = true;
    for (const ChannelIndex index : report_.channels) {
      out_.write(first ? "" : "\n");
      first = false;
      write_channel(snapshot_.channels[index]);
    }
    for (size_t i = 0; i < report_.processes.size(); i++) {
      out_.write(first ? "" : "\n");
      first = false;
      write_process(report_.processes[i], report_.channels_of[i]);
    }
    write_peers();
  }

 private:
  static constexpr size_t indent = 2;
  static constexpr size_t usual_label_width = 12;

  void title(std::string_view text) {
    out_.write(styled(text, Style::heading, terminal_.color));
    out_.put('\n');
  }
  void section(std::string_view text) {
    out_.repeat(' ', indent);
    out_.write(styled(text, Style::heading, terminal_.color));
    out_.put('\n');
  }
  /// text must be escaped.
  void line(std::string_view label, std::string_view text) {
    write_wrapped(out_, terminal_, fmt::format("  {:<{}}", label, label_width_),
                  indent + label_width_, text.empty() ? "-" : text);
  }
  void raw_line(std::string_view label, std::string_view raw) {
    line(label, escaped(raw, terminal_.escape()));
  }
  void more(size_t all, size_t shown) {
    if (all > shown) {
      out_.write(fmt::format("    and {} more\n", all - shown));
    }
  }
  void print_table(const Table& table) { table.print(out_, inner_); }

  void write_channel(const Channel& channel);
  void write_amounts(const Channel& channel);
  void write_protocol(const Channel& channel);
  void write_attributes(const Channel& channel);
  void write_endpoints(const Channel& channel);
  void write_waits(const Channel& channel);
  void write_limits(Kind kind);
  void write_process_short(const ProcessFacts& facts, ProcessIndex index);
  void write_process(ProcessIndex index, const std::vector<ChannelIndex>& channels);
  [[nodiscard]] std::string namespaces_text(const ProcessFacts& facts) const;
  void write_identity(const Process& process, const ProcessFacts& facts);
  void write_signals(const ProcessFacts& facts);
  void write_resource_limits(const Process& process, const ProcessFacts& facts);
  void write_process_channels(ProcessIndex index, const std::vector<ChannelIndex>& channels);
  void write_threads(const Process& process, const ProcessFacts& facts);
  void write_peers();
  std::string wait_text(const Wait& wait);

  Output& out_;
  const Terminal& terminal_;
  Terminal inner_;
  size_t label_width_ = usual_label_width;
  const ShowReport& report_;
  const Snapshot& snapshot_;
  Who who_;
  UserNames users_;
};

void ShowWriter::write_amounts(const Channel& channel) {
  const auto amount = [](const std::optional<uint64_t>& used, const std::optional<uint64_t>& limit,
                         std::string_view unit) {
    std::string text = used ? fmt::format("{} {}", *used, unit) : "-";
    if (limit) {
      fmt::format_to(std::back_inserter(text), " of {}", *limit);
      if (used) {
        fmt::format_to(std::back_inserter(text), ", {}%", percent(*used, *limit));
      }
    }
    return text;
  };
  if (channel.depth_bytes || channel.capacity_bytes) {
    line("bytes", amount(channel.depth_bytes, channel.capacity_bytes, "queued"));
  }
  if (channel.depth_messages || channel.capacity_messages) {
    line("messages", amount(channel.depth_messages, channel.capacity_messages, "queued"));
  }
}

void ShowWriter::write_protocol(const Channel& channel) {
  const auto index = static_cast<ChannelIndex>(&channel - snapshot_.channels.data());
  const auto found = report_.protocols.find(index);
  if (found == report_.protocols.end()) {
    return;
  }
  const auto& [name, from] = found->second;
  const bool is_library = from != protocol_from_path && from != protocol_from_port;
  line("app_protocol", is_library ? fmt::format("{}, for its processes have {}", name, from)
                                  : fmt::format("{}, by its {}", name, from));
}

void ShowWriter::write_attributes(const Channel& channel) {
  for (const Attribute& attribute : snapshot_.attributes_of(channel)) {
    std::string text;
    append_attribute(text, attribute, terminal_.escape());
    line(attribute.key, text);
  }
}

void ShowWriter::write_channel(const Channel& channel) {
  title(escaped(channel.id, terminal_.escape()));
  label_width_ = usual_label_width;
  for (const Attribute& attribute : snapshot_.attributes_of(channel)) {
    label_width_ = std::max(label_width_, std::string_view(attribute.key).size() + 1);
  }
  line("kind", kind_name(channel.kind));
  if (!channel.name.empty()) {
    raw_line("name", channel.name);
  }
  write_protocol(channel);
  if (channel.name_space != 0) {
    line("namespace", fmt::format("{}, not ipcscope's own", channel.name_space));
  }
  if (channel.uid || channel.permissions) {
    const std::string owner =
        channel.uid ? escaped(users_.name(*channel.uid), terminal_.escape()) : "-";
    line("owner",
         channel.permissions ? fmt::format("{}, mode {:04o}", owner, *channel.permissions) : owner);
  }
  write_amounts(channel);
  write_attributes(channel);
  write_endpoints(channel);
  write_waits(channel);
  write_limits(channel.kind);
}

void ShowWriter::write_endpoints(const Channel& channel) {
  const auto endpoints = snapshot_.endpoints_of(channel);
  section(endpoints.empty() ? "ends: no process" : "ends");
  if (endpoints.empty()) {
    return;
  }
  Table table({{"    ROLE"},
               {.heading = "PROCESS", .flexible = true},
               {.heading = "FD", .right = true},
               {"ACCESS"},
               {"USER"},
               {.heading = "COMMAND", .flexible = true}},
              Table::Form::aligned, true);
  std::vector<ProcessIndex> processes;
  for (size_t i = 0; i < std::min(endpoints.size(), most_endpoints); i++) {
    const Endpoint& endpoint = endpoints[i];
    table.cell(fmt::format("    {}", role_name(endpoint.role)));
    if (endpoint.process == no_index) {
      table.cell("-");
    } else {
      table.cell(endpoint.thread != no_index ? who_.label(snapshot_.threads[endpoint.thread])
                                             : who_.label(endpoint.process));
    }
    table.cell(endpoint.fd >= 0 ? std::to_string(endpoint.fd) : "");
    static constexpr std::string_view access[] = {"", "r", "w", "rw"};
    table.cell(access[endpoint.access & 3]);
    if (endpoint.process == no_index) {
      table.cell("-");
      table.cell("-");
      continue;
    }
    const Process& process = snapshot_.processes[endpoint.process];
    table.cell(escaped(users_.name(process.uid), terminal_.escape()));
    const auto facts = report_.facts.find(process.pid);
    std::string command;
    if (facts != report_.facts.end()) {
      for (const std::string& word : facts->second.command_line) {
        command += command.empty() ? "" : " ";
        append_escaped(command, word, terminal_.escape());
      }
    }
    table.cell(command.empty() ? "-" : command);
    if (std::find(processes.begin(), processes.end(), endpoint.process) == processes.end()) {
      processes.push_back(endpoint.process);
    }
  }
  print_table(table);
  more(endpoints.size(), most_endpoints);
  for (size_t i = 0; i < std::min(processes.size(), most_processes); i++) {
    const auto facts = report_.facts.find(snapshot_.processes[processes[i]].pid);
    if (facts != report_.facts.end()) {
      write_process_short(facts->second, processes[i]);
    }
  }
  more(processes.size(), most_processes);
}

std::string parents_text(const ProcessFacts& facts, EscapeStyle style) {
  std::string text;
  for (const auto& [pid, comm] : facts.parents) {
    text += text.empty() ? "" : " < ";
    // A name in status is escaped already by the kernel, a backslash included.
    append_escaped(text, comm.empty() ? std::string_view("?") : std::string_view(comm), style);
    fmt::format_to(std::back_inserter(text), "[{}]", pid);
  }
  return text;
}

std::string container_text(const ProcessFacts& facts, EscapeStyle style) {
  constexpr size_t usual_length = 12;  // what docker ps prints
  if (facts.container.empty()) {
    return {};
  }
  return fmt::format("{}{}{}", escaped(facts.container_runtime, style),
                     facts.container_runtime.empty() ? "" : " ",
                     escaped(facts.container.size() == 64
                                 ? std::string_view(facts.container).substr(0, usual_length)
                                 : std::string_view(facts.container),
                             style));
}

void ShowWriter::write_process_short(const ProcessFacts& facts, ProcessIndex index) {
  const EscapeStyle style = terminal_.escape();
  if (!facts.exists) {
    line("", who_.label(index) + ": has ended");
    return;
  }
  std::string text = who_.label(index) + ":";
  if (const std::string parents = parents_text(facts, style); !parents.empty()) {
    text += " parents " + parents;
  }
  if (!facts.cgroup.empty()) {
    text += ", cgroup " + escaped(facts.cgroup, style);
  }
  if (const std::string container = container_text(facts, style); !container.empty()) {
    text += ", container " + container;
  }
  const Process& process = snapshot_.processes[index];
  if (process.ns_pid != process.pid && process.ns_pid != 0) {
    fmt::format_to(std::back_inserter(text), ", pid {} in its namespace", process.ns_pid);
  }
  write_wrapped(out_, terminal_, "    ", 6, text);
}

std::string ShowWriter::wait_text(const Wait& wait) {
  const Thread& thread = snapshot_.threads[wait.thread];
  std::string text = fmt::format("{} {}", who_.label(thread), wait.operation);
  const Since blocked = since(thread);
  text += " for ";
  if (blocked.milliseconds) {
    append_since(text, blocked, terminal_.utf8);
  } else {
    text += "an unknown time";
  }
  if (wait.timeout_ns) {
    text += ", at most ";
    append_duration(text, *wait.timeout_ns / 1'000'000);
  }
  if (wait.target != 0) {
    fmt::format_to(std::back_inserter(text), ", waits for {}", wait.target);
  }
  return text;
}

void ShowWriter::write_waits(const Channel& channel) {
  const auto waits = snapshot_.waits_at(channel);
  section(waits.empty() ? "waits: none" : "waits");
  for (size_t i = 0; i < std::min(waits.size(), most_endpoints); i++) {
    write_wrapped(out_, terminal_, "    ", 6, wait_text(snapshot_.waits[waits[i]]));
  }
  more(waits.size(), most_endpoints);
}

void ShowWriter::write_limits(Kind kind) {
  const auto found = report_.limits.find(kind);
  if (found == report_.limits.end() || found->second.empty()) {
    return;
  }
  section("limits");
  Table table({{""}, {.heading = "", .flexible = true}}, Table::Form::aligned, false);
  for (const KernelLimit& limit : found->second) {
    table.cell("    " + limit.name);
    table.cell(escaped(limit.value, terminal_.escape()));
  }
  print_table(table);
}

std::string ShowWriter::namespaces_text(const ProcessFacts& facts) const {
  if (facts.namespaces.empty()) {
    return "-";
  }
  std::string text;
  for (const auto& each : facts.namespaces) {
    const auto& own = report_.own_namespaces;
    if (std::find(own.begin(), own.end(), each) == own.end()) {
      fmt::format_to(std::back_inserter(text), "{}{} {}", text.empty() ? "" : ", ", each.first,
                     each.second);
    }
  }
  return text.empty() ? "ipcscope's own" : "ipcscope's own, but " + text;
}

void ShowWriter::write_identity(const Process& process, const ProcessFacts& facts) {
  const EscapeStyle style = terminal_.escape();
  std::string command;
  for (const std::string& word : facts.command_line) {
    command += command.empty() ? "" : " ";
    append_escaped(command, word, style);
  }
  line("command", command);
  line("user", fmt::format("{} ({})", escaped(users_.name(process.uid), style), process.uid));
  if (process.mm != 0 || process.fd_count) {
    line("descriptors", process.fd_count ? std::to_string(*process.fd_count) : "- (unreadable)");
  }
  line("parents", parents_text(facts, style));
  raw_line("cgroup", facts.cgroup);
  if (!facts.unit.empty()) {
    raw_line("unit", facts.unit);
  }
  if (!facts.container.empty()) {
    raw_line("container", facts.container_runtime.empty()
                              ? facts.container
                              : facts.container_runtime + " " + facts.container);
  }
  line("namespaces", namespaces_text(facts));
  if (facts.namespace_pids.size() > 1) {
    line("own pid", fmt::format("{} in its own PID namespace", facts.namespace_pids.back()));
  }
}

void ShowWriter::write_signals(const ProcessFacts& facts) {
  section("signals");
  line("  pending", signal_list(facts.shared_pending));
  line("  blocked", signal_list(facts.blocked));
  line("  ignored", signal_list(facts.ignored));
  line("  caught", signal_list(facts.caught));
}

void ShowWriter::write_resource_limits(const Process& process, const ProcessFacts& facts) {
  if (facts.limits.empty()) {
    return;
  }
  section("limits");
  Table table({{"    LIMIT"},
               {.heading = "USED", .right = true},
               {.heading = "SOFT", .right = true},
               {.heading = "HARD", .right = true},
               {"UNIT"}},
              Table::Form::aligned, true);
  const auto number = [](const std::optional<uint64_t>& value) {
    return value ? std::to_string(*value) : std::string("unlimited");
  };
  for (const ResourceLimit& limit : facts.limits) {
    table.cell("    " + escaped(limit.name, terminal_.escape()));
    std::optional<uint64_t> used;
    if (limit.name == "open files") {
      used = process.fd_count;
    } else if (limit.name == "pending signals") {
      used = facts.queued_signals;
    }
    table.cell(used ? std::to_string(*used) : "-");
    table.cell(number(limit.soft));
    table.cell(number(limit.hard));
    table.cell(limit.unit);
  }
  print_table(table);
}

void ShowWriter::write_process_channels(ProcessIndex index,
                                        const std::vector<ChannelIndex>& channels) {
  section(channels.empty() ? "channels: none" : "channels");
  if (channels.empty()) {
    return;
  }
  std::vector<Column> columns = default_tree_columns();
  std::vector<TableColumn> headings = {{.heading = "    ID", .flexible = true, .cut_inside = true}};
  for (const Column& column : columns) {
    headings.push_back({column.heading(), column.right, column.flexible, column.cut_inside});
  }
  Table table(headings, Table::Form::aligned, true);
  ColumnContext context{who_, users_, false, nullptr, index};
  std::string cell;
  for (const ChannelIndex each : channels) {
    const Channel& channel = snapshot_.channels[each];
    cell = "    ";
    append_escaped(cell, channel.id, terminal_.escape());
    table.cell(cell);
    for (const Column& column : columns) {
      cell.clear();
      column.write(context, channel, column, cell);
      table.cell(cell, column.style(context, channel));
    }
  }
  print_table(table);
}

void ShowWriter::write_threads(const Process& process, const ProcessFacts& facts) {
  const auto threads = snapshot_.threads_of(process);
  section(fmt::format("threads: {}", threads.size()));
  for (size_t i = 0; i < std::min(threads.size(), most_threads); i++) {
    const Thread& thread = threads[i];
    std::string text = fmt::format("{} {}", who_.label(thread), state_text(thread.state));
    const auto to = std::back_inserter(text);
    if (thread.syscall >= 0) {
      fmt::format_to(to, " in {}", syscall_name(thread.syscall));
    }
    if (thread.state != 'R') {
      if (const Since blocked = since(thread); blocked.milliseconds) {
        text += " for ";
        append_since(text, blocked, terminal_.utf8);
      }
    }
    for (const Wait& wait : snapshot_.waits_of(thread)) {
      fmt::format_to(to, ", {}", wait.operation);
      if (wait.channel != no_index) {
        text += ' ';
        append_escaped(text, snapshot_.channels[wait.channel].id, terminal_.escape());
      } else if (wait.target != 0) {
        fmt::format_to(to, " {}", wait.target);
      }
    }
    if (thread.tracer != 0) {
      fmt::format_to(to, ", traced by {}", thread.tracer);
    }
    const auto more_facts = std::find_if(facts.threads.begin(), facts.threads.end(),
                                         [&](const ThreadFacts& f) { return f.tid == thread.tid; });
    if (more_facts != facts.threads.end()) {
      if (more_facts->pending.value_or(0) != 0) {
        text += ", pending " + signal_list(more_facts->pending);
      }
      if (!more_facts->stack.empty()) {
        text += "; kernel stack";
        for (const std::string& function : more_facts->stack) {
          text += ' ';
          append_escaped(text, function, terminal_.escape());
        }
      } else if (!more_facts->wchan.empty()) {
        text += "; in kernel function ";
        append_escaped(text, more_facts->wchan, terminal_.escape());
      }
    }
    write_wrapped(out_, terminal_, "    ", 6, text);
  }
  more(threads.size(), most_threads);
}

void ShowWriter::write_process(ProcessIndex index, const std::vector<ChannelIndex>& channels) {
  const Process& process = snapshot_.processes[index];
  title(who_.label(index));
  label_width_ = usual_label_width;
  const auto found = report_.facts.find(process.pid);
  if (found == report_.facts.end() || !found->second.exists) {
    line("", "has ended");
    return;
  }
  const ProcessFacts& facts = found->second;
  write_identity(process, facts);
  write_signals(facts);
  write_resource_limits(process, facts);
  write_process_channels(index, channels);
  write_threads(process, facts);
}

void ShowWriter::write_peers() {
  if (report_.peers.empty()) {
    return;
  }
  section("peers, two hops out");
  ProcessIndex from = no_index;
  for (const PeerEdge& edge : report_.peers) {
    const size_t depth = 2 + 2 * size_t{edge.hop};
    if (edge.from != from && edge.hop == 1) {
      out_.write(fmt::format("    {}\n", who_.label(edge.from)));
    }
    from = edge.hop == 1 ? edge.from : from;
    std::string text = edge.hop > 1 ? who_.label(edge.from) + " " : "";
    append_escaped(text, snapshot_.channels[edge.channel].id, terminal_.escape());
    text += ' ';
    who_.append_some(text, edge.to);
    write_wrapped(out_, terminal_, std::string(depth + 2, ' '), depth + 4, text);
  }
  if (report_.peers_omitted > 0) {
    out_.write(fmt::format("    and {} more\n", report_.peers_omitted));
  }
}

}  // namespace

void write_show(Output& out, const Terminal& terminal, const ShowReport& report) {
  ShowWriter(out, terminal, report).write();
}

}  // namespace ipcscope
