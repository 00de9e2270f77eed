// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "cli/render/output.h"
#include "cli/render/terminal.h"
#include "collectors/doctor.h"

namespace ipcscope {

/// What `doctor` found.
struct DoctorReport {
  std::vector<Capability> capabilities;
};

/// A row for each capability; below those that do not work, why, what is lost, and what to do.
void write_doctor(Output& out, const Terminal& terminal, const DoctorReport& report);
void write_doctor_json(Output& out, const DoctorReport& report);

}  // namespace ipcscope
