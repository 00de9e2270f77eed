// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/eventfd.h"

#include <fmt/format.h>

#include "bpf/anon.h"
#include "collectors/base/identity_map.h"

namespace ipcscope {

namespace {

class EventCounters final : public Mechanism {
 public:
  void take(const record& fact, Assembly& assembly) override;
  void finish(Assembly& /*assembly*/) override {}

 private:
  static ChannelIndex describe(const eventfd_record& event, Assembly& assembly);

  IdentityMap channels_;
};

ChannelIndex EventCounters::describe(const eventfd_record& event, Assembly& assembly) {
  SnapshotBuilder& builder = assembly.builder;
  char id[64];
  // fdinfo has no eventfd-id before Linux 5.2.
  const auto end = event.id != UNKNOWN_U32 ? fmt::format_to_n(id, sizeof id, "eventfd:{}", event.id)
                                           : fmt::format_to_n(id, sizeof id, "eventfd:{}:{}",
                                                              event.file.head.pid, event.file.fd);
  const ChannelIndex index = builder.add_channel(Kind::eventfd, {id, end.size});
  builder.channel(index).uid = known32(event.file.uid);
  builder.natural(index, "count", event.count);
  if (event.semaphore == UNKNOWN_U32) {
    builder.unknown(index, "semaphore");
  } else {
    builder.boolean(index, "semaphore", event.semaphore != 0);
  }
  builder.natural32(index, "waiters", event.waiters);
  return index;
}

void EventCounters::take(const record& fact, Assembly& assembly) {
  const auto& event = reinterpret_cast<const eventfd_record&>(fact);
  bool is_new = false;
  uint32_t& channel = channels_.slot(event.file.object, is_new);
  if (is_new) {
    channel = describe(event, assembly);
  }
  assembly.add_endpoint(channel, event.file, Role::opener);
}

constexpr Kind kinds[] = {Kind::eventfd};
constexpr record_kind records[] = {RECORD_EVENTFD};

}  // namespace

const MechanismEntry eventfd_mechanism = {
    "eventfd", kinds, records, [] { return std::unique_ptr<Mechanism>(new EventCounters); }};

}  // namespace ipcscope
