// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/inotify.h"

#include "bpf/anon.h"
#include "collectors/described_files.h"

namespace ipcscope {

namespace {

class Inotify final : public Mechanism {
 public:
  void take(const record& fact, Assembly& assembly) override;
  void finish(Assembly& /*assembly*/) override {}

 private:
  DescribedFiles files_{Kind::inotify};
};

void Inotify::take(const record& fact, Assembly& assembly) {
  const auto& from = reinterpret_cast<const inotify_record&>(fact);
  bool is_new = false;
  const ChannelIndex channel = files_.take(from.file, assembly, is_new);
  if (is_new) {
    assembly.builder.natural32(channel, "watches", from.watches);
  }
}

constexpr Kind kinds[] = {Kind::inotify};
constexpr record_kind records[] = {RECORD_INOTIFY};

}  // namespace

const MechanismEntry inotify_mechanism = {"inotify", kinds, records,
                                          [] { return std::unique_ptr<Mechanism>(new Inotify); }};

}  // namespace ipcscope
