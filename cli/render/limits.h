// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "analysis/limits.h"
#include "cli/render/json.h"
#include "cli/render/output.h"
#include "cli/render/terminal.h"

namespace ipcscope {

inline void write_limit(Output& out, const Terminal&, const LimitUse& use) {
  out.write(use.name + "\n" + use.remedy + "\n");
}
inline void write_limit(Json& json, const LimitUse& use) {
  json.begin_object();
  json.text("name", use.name);
  json.end_object();
}

}  // namespace ipcscope
