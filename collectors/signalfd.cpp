// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/signalfd.h"

#include <csignal>
#include <string>

#include "bpf/anon.h"
#include "collectors/described_files.h"

namespace ipcscope {

namespace {

/// The signals of mask as a JSON array of names; bit n - 1 is signal n.
std::string signals_json(uint64_t mask) {
  // x86 and arm numbers (signal(7)); the ones from 32 on are real-time signals, of which the C
  // library keeps the first two for itself and calls the third SIGRTMIN.
  static constexpr const char* names[] = {
      "HUP",  "INT",  "QUIT", "ILL",    "TRAP",   "ABRT",  "BUS",  "FPE",  "KILL", "USR1", "SEGV",
      "USR2", "PIPE", "ALRM", "TERM",   "STKFLT", "CHLD",  "CONT", "STOP", "TSTP", "TTIN", "TTOU",
      "URG",  "XCPU", "XFSZ", "VTALRM", "PROF",   "WINCH", "IO",   "PWR",  "SYS",
  };
  static_assert(SIGUSR1 == 10 && SIGSYS == 31, "another table for this architecture");
  constexpr int first_real_time = 34;
  std::string json = "[";
  for (int number = 1; number <= 64; number++) {
    if ((mask >> (number - 1) & 1) == 0) {
      continue;
    }
    json += json.size() > 1 ? ",\"" : "\"";
    if (number <= static_cast<int>(std::size(names))) {
      json += "SIG";
      json += names[number - 1];
    } else if (number < first_real_time) {
      json += std::to_string(number);
    } else {
      json += number == first_real_time ? "SIGRTMIN"
                                        : "SIGRTMIN+" + std::to_string(number - first_real_time);
    }
    json += "\"";
  }
  return json + "]";
}

class SignalFiles final : public Mechanism {
 public:
  void take(const record& fact, Assembly& assembly) override;
  void finish(Assembly& /*assembly*/) override {}

 private:
  DescribedFiles files_{Kind::signalfd};
};

void SignalFiles::take(const record& fact, Assembly& assembly) {
  const auto& from = reinterpret_cast<const signalfd_record&>(fact);
  bool is_new = false;
  const ChannelIndex channel = files_.take(from.file, assembly, is_new);
  if (is_new) {
    if (from.mask == UNKNOWN_U64) {
      assembly.builder.unknown(channel, "signals");
    } else {
      assembly.builder.json(channel, "signals", signals_json(from.mask));
    }
  }
}

constexpr Kind kinds[] = {Kind::signalfd};
constexpr record_kind records[] = {RECORD_SIGNALFD};

}  // namespace

const MechanismEntry signalfd_mechanism = {
    "signalfd", kinds, records, [] { return std::unique_ptr<Mechanism>(new SignalFiles); }};

}  // namespace ipcscope
