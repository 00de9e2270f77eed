// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <algorithm>

#include "analysis/wait_words.h"
#include "cli/render/channel_json.h"
#include "cli/render/finding.h"
#include "cli/render/why.h"

namespace ipcscope {

namespace {

class WhyJson {
 public:
  WhyJson(Output& out, const WhyReport& report, bool one_line)
      : json_(out),
        channels_(out, json_, report.snapshot),
        report_(report),
        snapshot_(report.snapshot),
        one_line_(one_line) {}

  void write();

 private:
  void begin_item() {
    if (!one_line_) {
      json_.break_line();
    }
    json_.begin_object();
  }
  void channel_of(uint32_t wait) {
    if (wait != no_index && snapshot_.waits[wait].channel != no_index) {
      json_.text("channel", snapshot_.channels[snapshot_.waits[wait].channel].id);
    } else {
      json_.key("channel");
      json_.null();
    }
  }
  void write_who(ThreadIndex thread);
  void write_step(const WaitGraph::Step& step);
  void write_chain(ThreadIndex thread, const WaitGraph::Chain& chain);
  void write_chains();
  void write_graph();
  void write_checked();

  Json json_;
  ChannelJson channels_;
  const WhyReport& report_;
  const Snapshot& snapshot_;
  bool one_line_;
};

void WhyJson::write_who(ThreadIndex index) {
  const Thread& thread = snapshot_.threads[index];
  json_.key("pid");
  json_.number(snapshot_.processes[thread.process].pid);
  json_.key("tid");
  json_.number(thread.tid);
}

void WhyJson::write_step(const WaitGraph::Step& step) {
  const Thread& thread = snapshot_.threads[step.thread];
  const Wait* wait = step.wait != no_index ? &snapshot_.waits[step.wait] : nullptr;
  json_.begin_object();
  write_who(step.thread);
  json_.text("comm", thread.command());
  json_.text("operation", wait != nullptr ? wait->operation : "", true);
  channel_of(step.wait);
  const bool sleeps = thread.state == 'S' || thread.state == 'D';
  const Since blocked = since(thread);
  json_.key("since_ms");
  sleeps ? json_.number(blocked.milliseconds) : json_.null();
  json_.key("since_bound");
  if (!sleeps || !blocked.milliseconds) {
    json_.null();
  } else {
    json_.string(blocked.exact ? "exact" : "at least");
  }
  json_.key("timeout_ms");
  if (wait != nullptr && wait->timeout_ns) {
    json_.number(*wait->timeout_ns / 1'000'000);
  } else {
    json_.null();
  }
  json_.text("text", wait != nullptr ? wait_text(snapshot_, *wait) : std::string(), true);
  json_.text("note", wait != nullptr ? report_.note(step.wait) : std::string(), true);
  json_.text("releaser", wait != nullptr ? releaser_role(snapshot_, *wait) : std::string_view(),
             true);
  if (const auto sleep = report_.kernel.find(thread.tid); sleep != report_.kernel.end()) {
    json_.key("kernel_stack");
    json_.begin_array();
    for (const std::string& function : sleep->second.functions) {
      json_.string(function);
    }
    json_.end_array();
  }
  if (!report_.stacks.empty()) {
    json_.key("stack");
    json_.begin_array();
    if (const auto found = report_.stacks.find(thread.tid); found != report_.stacks.end()) {
      for (const std::string& frame : found->second) {
        json_.string(frame);
      }
    }
    json_.end_array();
  }
  json_.end_object();
}

void WhyJson::write_chain(ThreadIndex thread, const WaitGraph::Chain& chain) {
  begin_item();
  write_who(thread);
  json_.key("steps");
  json_.begin_array();
  for (size_t i = 0; i < chain.steps.size(); i++) {
    // The first step of a group's chain is that of the thread itself.
    WaitGraph::Step step = chain.steps[i];
    if (i == 0 && step.thread != thread) {
      step = report_.graph->chain(thread).steps.front();
    }
    write_step(step);
  }
  json_.end_array();
  json_.key("root");
  json_.begin_object();
  json_.member("verdict", verdict_name(chain.root));
  const size_t at = chain.root == Root::deadlock ? chain.knot_begin : chain.steps.size() - 1;
  write_who(chain.steps[at].thread);
  json_.text("text", report_.verdict(chain));
  json_.end_object();
  json_.end_object();
}

void WhyJson::write_chains() {
  json_.key("chains");
  json_.begin_array();
  for (const ChainGroup& group : report_.groups) {
    for (const ThreadIndex thread : group.threads) {
      write_chain(thread,
                  thread == group.threads.front() ? group.chain : report_.graph->chain(thread));
    }
  }
  json_.end_array();
}

void WhyJson::write_graph() {
  const WhyDrawing drawing = draw(report_);
  json_.key("graph");
  json_.begin_object();
  json_.key("nodes");
  json_.begin_array();
  for (const ThreadIndex index : drawing.threads) {
    const Thread& thread = snapshot_.threads[index];
    begin_item();
    write_who(index);
    json_.text("comm", thread.command());
    json_.member("state", {&thread.state, 1});
    json_.member("verdict", verdict_name(report_.graph->chain(index).root));
    json_.end_object();
  }
  json_.end_array();
  json_.key("edges");
  json_.begin_array();
  for (const WhyEdge& edge : drawing.edges) {
    begin_item();
    json_.key("from");
    json_.number(snapshot_.threads[edge.from].tid);
    json_.key("to");
    edge.to != no_index ? json_.number(snapshot_.threads[edge.to].tid) : json_.null();
    json_.member("operation", snapshot_.waits[edge.wait].operation);
    channel_of(edge.wait);
    json_.member("releaser", releaser_role(snapshot_, snapshot_.waits[edge.wait]));
    json_.end_object();
  }
  json_.end_array();
  json_.key("truncated");
  json_.boolean(drawing.truncated);
  json_.end_object();
}

void WhyJson::write_checked() {
  json_.key("checked");
  json_.begin_object();
  json_.key("threads");
  json_.number(report_.counts.threads);
  json_.key("waiting");
  json_.number(report_.counts.waiting);
  json_.key("unreadable");
  json_.number(report_.counts.unreadable);
  json_.key("ownerless");
  json_.number(report_.counts.ownerless);
  json_.end_object();
  json_.key("looks");
  json_.begin_object();
  json_.key("apart_ms");
  json_.number(report_.apart_ms);
  json_.key("dropped");
  json_.number(uint64_t{report_.dropped});
  json_.end_object();
}

void WhyJson::write() {
  json_.begin_object();
  write_head(json_, "why", snapshot_);
  write_chains();
  write_findings(json_, report_.findings, one_line_);
  json_.key("waits");
  json_.begin_array();
  for (const ChainGroup& group : report_.groups) {
    for (const ThreadIndex thread : group.threads) {
      const Thread& of = snapshot_.threads[thread];
      for (const Wait& wait : snapshot_.waits_of(of)) {
        if (wait.channel == no_index && wait.target == 0) {  // what it waits for is not known
          channels_.write(wait, true);
        }
      }
    }
  }
  json_.end_array();
  write_graph();
  write_checked();
  json_.end_object();
}

}  // namespace

void write_why_json(Output& out, const WhyReport& report, bool one_line) {
  WhyJson(out, report, one_line).write();
  out.put('\n');
}

}  // namespace ipcscope
