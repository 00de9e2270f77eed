// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/timerfd.h"

#include <ctime>

#include "bpf/anon.h"
#include "collectors/described_files.h"

namespace ipcscope {

namespace {

/// nullptr when there is no such clock, or the source could not tell.
const char* clock_name(uint32_t clock) {
  switch (clock) {
    case CLOCK_REALTIME:
      return "realtime";
    case CLOCK_MONOTONIC:
      return "monotonic";
    case CLOCK_BOOTTIME:
      return "boottime";
    case CLOCK_REALTIME_ALARM:
      return "realtime_alarm";
    case CLOCK_BOOTTIME_ALARM:
      return "boottime_alarm";
    default:
      return nullptr;
  }
}

/// Rounded up, so that 0 only stands for a timer that is disarmed or due.
uint64_t milliseconds(uint64_t ns) {
  return ns == UNKNOWN_U64 ? ns : ns / 1'000'000 + (ns % 1'000'000 != 0 ? 1 : 0);
}

class Timers final : public Mechanism {
 public:
  void take(const record& fact, Assembly& assembly) override;
  void finish(Assembly& /*assembly*/) override {}

 private:
  DescribedFiles files_{Kind::timerfd};
};

void Timers::take(const record& fact, Assembly& assembly) {
  const auto& from = reinterpret_cast<const timerfd_record&>(fact);
  bool is_new = false;
  const ChannelIndex channel = files_.take(from.file, assembly, is_new);
  if (is_new) {
    SnapshotBuilder& builder = assembly.builder;
    if (const char* name = clock_name(from.clock)) {
      builder.text(channel, "clock", name);
    } else {
      builder.unknown(channel, "clock");
    }
    builder.natural(channel, "remaining_ms", milliseconds(from.remaining_ns));
    builder.natural(channel, "interval_ms", milliseconds(from.interval_ns));
    builder.natural(channel, "ticks", from.ticks);
  }
}

constexpr Kind kinds[] = {Kind::timerfd};
constexpr record_kind records[] = {RECORD_TIMERFD};

}  // namespace

const MechanismEntry timerfd_mechanism = {"timerfd", kinds, records,
                                          [] { return std::unique_ptr<Mechanism>(new Timers); }};

}  // namespace ipcscope
