// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "cli/render/output.h"
#include "cli/render/terminal.h"
#include "cli/why_report.h"

namespace ipcscope {

/// The chains of the threads asked for, each with its verdict, and the findings that they are in.
void write_why_chains(Output& out, const Terminal& terminal, const WhyReport& report);
/// Findings with their evidence, then what waits long, then what was looked at.
void write_why_findings(Output& out, const Terminal& terminal, const WhyReport& report,
                        uint64_t longer_than_ns);
void write_why_groups(Output& out, const Terminal& terminal, const WhyReport& report);

/// The whole object. one_line: no line breaks within it.
void write_why_json(Output& out, const WhyReport& report, bool one_line);
/// For graphviz.
void write_why_dot(Output& out, const WhyReport& report);

/// The JSON word of a verdict.
std::string_view verdict_name(Root root);

/// Who waits for whom, for the formats that draw it: the threads of chains and findings and those
/// that could release them.
struct WhyEdge {
  ThreadIndex from = no_index;
  uint32_t wait = no_index;
  ThreadIndex to = no_index;
};
struct WhyDrawing {
  std::vector<ThreadIndex> threads;
  std::vector<WhyEdge> edges;
  bool truncated = false;
};
WhyDrawing draw(const WhyReport& report);

}  // namespace ipcscope
