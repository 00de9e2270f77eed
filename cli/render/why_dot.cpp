// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <iterator>
#include <map>
#include <set>

#include "analysis/wait_words.h"
#include "cli/render/escape.h"
#include "cli/render/why.h"

namespace ipcscope {

namespace {

/// A string of the DOT language. The text has been escaped for people, so that it has no control
/// bytes; its backslashes are doubled, or graphviz would read them as its own.
std::string quoted(std::string_view raw) {
  std::string text = "\"";
  for (const char each : escaped(raw, {.utf8 = true})) {
    if (each == '"' || each == '\\') {
      text += '\\';
    }
    text += each;
  }
  return text + '"';
}

}  // namespace

void write_why_dot(Output& out, const WhyReport& report) {
  const Snapshot& snapshot = report.snapshot;
  const WhyDrawing drawing = draw(report);
  out.write("digraph why {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n");
  for (const ThreadIndex thread : drawing.threads) {
    const Root root = report.graph->chain(thread).root;
    const bool bad = root == Root::deadlock || root == Root::nobody;
    out.write(fmt::format("  t{} [shape=box, label={}{}];\n", snapshot.threads[thread].tid,
                          quoted(thread_label(snapshot, thread)),
                          bad                                ? ", color=red"
                          : !report.graph->is_moving(thread) ? ", color=orange"
                                                             : ""));
  }
  std::map<ChannelIndex, bool> channels;
  std::set<std::pair<uint32_t, ThreadIndex>> drawn;
  for (const WhyEdge& edge : drawing.edges) {
    const Wait& wait = snapshot.waits[edge.wait];
    const std::string from = fmt::format("t{}", snapshot.threads[edge.from].tid);
    const std::string to =
        edge.to != no_index ? fmt::format("t{}", snapshot.threads[edge.to].tid) : std::string();
    if (wait.channel == no_index) {
      if (!to.empty()) {
        out.write(fmt::format("  {} -> {} [label={}];\n", from, to, quoted(wait.operation)));
      }
      continue;
    }
    const std::string channel = fmt::format("c{}", wait.channel);
    if (channels.try_emplace(wait.channel, true).second) {
      out.write(fmt::format("  {} [shape=ellipse, label={}];\n", channel,
                            quoted(snapshot.channels[wait.channel].id)));
    }
    if (drawn.insert({edge.wait, no_index}).second) {
      out.write(fmt::format("  {} -> {} [label={}];\n", from, channel, quoted(wait.operation)));
    }
    if (!to.empty() && drawn.insert({wait.channel, edge.to}).second) {
      out.write(fmt::format("  {} -> {} [style=dashed, label={}];\n", channel, to,
                            quoted(releaser_role(snapshot, wait))));
    }
  }
  if (drawing.truncated) {
    out.write("  // threads that are not stuck, or too many, are left out\n");
  }
  out.write("}\n");
}

}  // namespace ipcscope
