// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/pidfd.h"

#include <fmt/format.h>

#include "bpf/anon.h"
#include "collectors/base/identity_map.h"

namespace ipcscope {

namespace {

class ProcessFiles final : public Mechanism {
 public:
  void take(const record& fact, Assembly& assembly) override;
  void finish(Assembly& /*assembly*/) override {}

 private:
  IdentityMap by_object_;  ///< those whose process is gone or not visible
  IdentityMap by_target_;
};

void ProcessFiles::take(const record& fact, Assembly& assembly) {
  const auto& from = reinterpret_cast<const pidfd_record&>(fact);
  const bool has_target = from.target != 0 && from.target != UNKNOWN_U32;
  bool is_new = false;
  // Before pidfs (6.9) two pidfds of one process need not have anything in common but their target.
  uint32_t& channel =
      has_target ? by_target_.slot(from.target, is_new) : by_object_.slot(from.file.object, is_new);
  if (is_new) {
    const std::string id = has_target
                               ? fmt::format("pidfd:{}", from.target)
                               : fmt::format("pidfd:gone:{}:{}", from.file.head.pid, from.file.fd);
    channel = assembly.builder.add_channel(Kind::pidfd, id);
    assembly.builder.natural32(channel, "target", has_target ? from.target : UNKNOWN_U32);
  }
  assembly.add_endpoint(channel, from.file, Role::opener);
}

constexpr Kind kinds[] = {Kind::pidfd};
constexpr record_kind records[] = {RECORD_PIDFD};

}  // namespace

const MechanismEntry pidfd_mechanism = {
    "pidfd", kinds, records, [] { return std::unique_ptr<Mechanism>(new ProcessFiles); }};

}  // namespace ipcscope
