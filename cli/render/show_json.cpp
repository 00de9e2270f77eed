// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>

#include "cli/render/channel_json.h"
#include "cli/render/json.h"
#include "cli/render/show.h"
#include "cli/render/syscalls.h"
#include "cli/render/text.h"

namespace ipcscope {

namespace {

class ShowJson {
 public:
  ShowJson(Output& out, const ShowReport& report)
      : json_(out),
        report_(report),
        snapshot_(report.snapshot),
        channels_(out, json_, snapshot_, &report.protocols) {}

  void write() {
    json_.begin_object();
    write_head(json_, "show", snapshot_);
    array("channels", report_.channels, [&](ChannelIndex each) {
      json_.break_line();
      channels_.write(snapshot_.channels[each]);
    });
    json_.key("processes");
    json_.begin_array();
    for (size_t i = 0; i < report_.processes.size(); i++) {
      write_process(snapshot_.processes[report_.processes[i]], &report_.channels_of[i]);
    }
    for (const auto& [pid, facts] : report_.facts) {
      const Process* process = snapshot_.process(pid);
      const auto index = static_cast<ProcessIndex>(process - snapshot_.processes.data());
      if (std::find(report_.processes.begin(), report_.processes.end(), index) ==
          report_.processes.end()) {
        write_process(*process, nullptr);
      }
    }
    json_.end_array();
    write_limits();
    array("peers", report_.peers, [&](const PeerEdge& each) { write_peer(each); });
    json_.key("peers_omitted");
    json_.number(uint64_t{report_.peers_omitted});
    json_.end_object();
  }

 private:
  template <typename Items, typename Each>
  void array(std::string_view key, const Items& items, Each each) {
    json_.key(key);
    json_.begin_array();
    for (const auto& item : items) {
      each(item);
    }
    json_.end_array();
  }

  void signals(std::string_view key, const std::optional<SignalSet>& set) {
    json_.key(key);
    if (!set) {
      json_.null();
      return;
    }
    json_.begin_array();
    for (int number = 1; number <= 64; number++) {
      if ((*set >> (number - 1) & 1) != 0) {
        json_.string(signal_name(number));
      }
    }
    json_.end_array();
  }

  void write_process(const Process& process, const std::vector<ChannelIndex>* channels);
  void write_facts(const ProcessFacts& facts);
  void write_resource_limits(const Process& process, const ProcessFacts& facts);
  void write_thread(const Thread& thread, const ProcessFacts& facts);
  void write_limits();
  void write_peer(const PeerEdge& edge);

  Json json_;
  const ShowReport& report_;
  const Snapshot& snapshot_;
  ChannelJson channels_;
  UserNames users_;
};

void ShowJson::write_facts(const ProcessFacts& facts) {
  array("command_line", facts.command_line, [&](const std::string& word) { json_.string(word); });
  // The words cannot carry a _hex each, so it is that of the whole.
  std::string whole;
  for (const std::string& word : facts.command_line) {
    whole.append(word).push_back('\0');
  }
  std::string quoted;
  if (!append_json_string(quoted, whole)) {
    json_.member("command_line_hex", hex(whole));
  }
  json_.text("cgroup", facts.cgroup, true);
  json_.text("container", facts.container, true);
  json_.text("container_runtime", facts.container_runtime, true);
  json_.text("unit", facts.unit, true);
  json_.key("namespaces");
  json_.begin_object();
  for (const auto& [kind, inode] : facts.namespaces) {
    json_.key(kind);
    json_.number(inode);
  }
  json_.end_object();
  array("namespace_pids", facts.namespace_pids, [&](int pid) { json_.number(pid); });
  array("parents", facts.parents, [&](const auto& parent) {
    json_.begin_object();
    json_.key("pid");
    json_.number(parent.first);
    json_.text("comm", parent.second, true);
    json_.end_object();
  });
  json_.key("signals");
  json_.begin_object();
  signals("pending", facts.shared_pending);
  signals("blocked", facts.blocked);
  signals("ignored", facts.ignored);
  signals("caught", facts.caught);
  json_.end_object();
}

void ShowJson::write_resource_limits(const Process& process, const ProcessFacts& facts) {
  array("limits", facts.limits, [&](const ResourceLimit& limit) {
    json_.begin_object();
    json_.text("name", limit.name);
    json_.key("used");
    if (limit.name == "open files") {
      json_.number(process.fd_count);
    } else if (limit.name == "pending signals") {
      json_.number(facts.queued_signals);
    } else {
      json_.null();
    }
    json_.key("soft");
    json_.number(limit.soft);
    json_.key("hard");
    json_.number(limit.hard);
    json_.text("unit", limit.unit, true);
    json_.end_object();
  });
}

void ShowJson::write_thread(const Thread& thread, const ProcessFacts& facts) {
  static const ThreadFacts none;
  const auto found = std::find_if(facts.threads.begin(), facts.threads.end(),
                                  [&](const ThreadFacts& each) { return each.tid == thread.tid; });
  const ThreadFacts& more = found != facts.threads.end() ? *found : none;
  json_.begin_object();
  json_.key("tid");
  json_.number(thread.tid);
  json_.key("ns_tid");
  json_.number(thread.ns_tid);
  json_.text("comm", thread.command());
  json_.member("state", {&thread.state, 1});
  json_.text("syscall", thread.syscall >= 0 ? syscall_name(thread.syscall) : std::string(), true);
  const Since blocked = since(thread);
  json_.key("blocked_ms");
  json_.number(blocked.milliseconds);
  json_.key("switches");
  json_.number(thread.switches);
  json_.key("tracer");
  thread.tracer != 0 ? json_.number(thread.tracer) : json_.null();
  signals("pending", more.pending);
  signals("blocked", more.blocked);
  json_.text("wchan", more.wchan, true);
  array("stack", more.stack, [&](const std::string& each) { json_.string(each); });
  array("waits", snapshot_.waits_of(thread),
        [&](const Wait& wait) { channels_.write(wait, true); });
  json_.end_object();
}

void ShowJson::write_process(const Process& process, const std::vector<ChannelIndex>* channels) {
  static const ProcessFacts none;
  const auto found = report_.facts.find(process.pid);
  const ProcessFacts& facts = found != report_.facts.end() ? found->second : none;
  json_.break_line();
  json_.begin_object();
  json_.key("pid");
  json_.number(process.pid);
  json_.key("ns_pid");
  json_.number(process.ns_pid);
  json_.key("ppid");
  json_.number(process.ppid);
  json_.text("comm", process.command());
  json_.key("uid");
  json_.number(process.uid);
  json_.text("user", users_.name(process.uid));
  json_.key("descriptors");
  json_.number(process.fd_count);
  write_facts(facts);
  write_resource_limits(process, facts);
  if (channels == nullptr) {
    // Not asked for; it only is at a channel that was.
    json_.key("channels");
    json_.null();
    json_.key("threads");
    json_.null();
  } else {
    array("channels", *channels,
          [&](ChannelIndex each) { json_.string(snapshot_.channels[each].id); });
    array("threads", snapshot_.threads_of(process),
          [&](const Thread& each) { write_thread(each, facts); });
  }
  json_.end_object();
}

void ShowJson::write_limits() {
  json_.key("limits");
  json_.begin_array();
  for (const auto& [kind, limits] : report_.limits) {
    for (const KernelLimit& limit : limits) {
      json_.begin_object();
      json_.member("kind", kind_name(kind));
      json_.member("name", limit.name);
      json_.member("value", limit.value);
      json_.end_object();
    }
  }
  json_.end_array();
}

void ShowJson::write_peer(const PeerEdge& edge) {
  json_.begin_object();
  json_.key("hop");
  json_.number(edge.hop);
  json_.key("pid");
  json_.number(snapshot_.processes[edge.from].pid);
  json_.text("channel", snapshot_.channels[edge.channel].id);
  array("pids", edge.to, [&](ProcessIndex each) { json_.number(snapshot_.processes[each].pid); });
  json_.end_object();
}

}  // namespace

void write_show_json(Output& out, const ShowReport& report) {
  ShowJson(out, report).write();
  out.put('\n');
}

}  // namespace ipcscope
