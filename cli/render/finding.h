// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "analysis/finding.h"
#include "cli/render/json.h"
#include "cli/render/output.h"
#include "cli/render/terminal.h"

namespace ipcscope {

/// Its summary, evidence and advice, a line each.
void write_finding(Output& out, const Terminal& terminal, const Finding& finding);
/// The members of its object; the brackets are the caller's.
void write_members(Json& json, const Finding& finding);
/// The member `findings`. one_line: no line breaks within it.
void write_findings(Json& json, const std::vector<Finding>& findings, bool one_line);

}  // namespace ipcscope
