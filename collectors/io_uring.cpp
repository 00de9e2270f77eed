// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/io_uring.h"

#include "bpf/anon.h"
#include "collectors/described_files.h"

namespace ipcscope {

namespace {

class IoUrings final : public Mechanism {
 public:
  void take(const record& fact, Assembly& assembly) override;
  void finish(Assembly& /*assembly*/) override {}

 private:
  DescribedFiles files_{Kind::io_uring};
};

void IoUrings::take(const record& fact, Assembly& assembly) {
  const auto& from = reinterpret_cast<const io_uring_record&>(fact);
  bool is_new = false;
  const ChannelIndex channel = files_.take(from.file, assembly, is_new);
  if (is_new) {
    SnapshotBuilder& builder = assembly.builder;
    builder.natural32(channel, "sq_entries", from.sq_entries);
    builder.natural32(channel, "cq_entries", from.cq_entries);
    builder.natural32(channel, "sq_pending", from.sq_pending);
    builder.natural32(channel, "cq_pending", from.cq_pending);
  }
}

constexpr Kind kinds[] = {Kind::io_uring};
constexpr record_kind records[] = {RECORD_IO_URING};

}  // namespace

const MechanismEntry io_uring_mechanism = {"io_uring", kinds, records,
                                           [] { return std::unique_ptr<Mechanism>(new IoUrings); }};

}  // namespace ipcscope
