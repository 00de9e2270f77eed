// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "cli/render/output.h"
#include "cli/render/terminal.h"
#include "cli/show_report.h"

namespace ipcscope {

void write_show(Output& out, const Terminal& terminal, const ShowReport& report);
void write_show_json(Output& out, const ShowReport& report);

}  // namespace ipcscope
