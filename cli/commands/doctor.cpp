// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/commands/doctor.h"

#include "cli/render/doctor.h"
#include "collectors/bpf_source.h"
#include "collectors/doctor.h"
#include "collectors/probes.h"

namespace ipcscope {

const char* const doctor_notes =
    R"(Tries everything that the other commands use. All but locks and trace, which need BPF, answer all
the same without, with what is left, and say what is missing. Nothing on the machine is changed.

Exit status: 0 everything works; 1 something does not.
)";

int run_doctor(const Options& options, const Stage& stage) {
  DoctorReport report = {.capabilities = probe_capabilities(stage.proc)};
  for (Capability& each : probe_bpf()) {
    report.capabilities.push_back(std::move(each));
  }
  for (Capability& each : probe_tracing(stage.proc)) {
    report.capabilities.push_back(std::move(each));
  }
  if (options.json) {
    write_doctor_json(stage.out, report);
  } else {
    write_doctor(stage.out, stage.terminal, report);
  }
  for (const Capability& each : report.capabilities) {
    if (each.state != Capability::works) {
      return status_found;
    }
  }
  return status_complete;
}

}  // namespace ipcscope
