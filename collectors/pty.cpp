// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/pty.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <unordered_set>

#include "bpf/anon.h"
#include "collectors/base/identity_map.h"
#include "collectors/name_spaces.h"

namespace ipcscope {

namespace {

/// The device number of ipcscope's own devpts, 0 when there is none.
uint32_t own_devpts(const ProcRoot& proc) {
  const Fd directory(
      ::openat(proc.descriptor(), "self/root/dev/pts", O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct statfs system {};
  struct stat status {};
  if (!directory || ::fstatfs(directory.get(), &system) != 0 ||
      system.f_type != DEVPTS_SUPER_MAGIC || ::fstat(directory.get(), &status) != 0) {
    return 0;
  }
  return record_device(status.st_dev);
}

struct Pair {
  pty_record record{};        ///< the first of it
  uint32_t slave_device = 0;  ///< the devpts that it is in, 0 when no slave was seen
  uint32_t slave_uid = UNKNOWN_U32;
  uint32_t slave_mode = UNKNOWN_U32;
  ProcessIndex process = no_index;
  ChannelIndex channel = no_index;
};

class Terminals final : public Mechanism {
 public:
  void take(const record& fact, Assembly& assembly) override;
  void finish(Assembly& assembly) override;

 private:
  struct End {
    uint32_t pair = 0;
    file_record file{};
    bool master = false;
  };
  void add_channel(Pair& pair, uint32_t own_device, Assembly& assembly);

  IdentityMap by_object_;
  std::vector<Pair> pairs_;
  std::vector<End> ends_;
  std::unordered_set<std::string> ids_;
};

void Terminals::take(const record& fact, Assembly& assembly) {
  const auto& terminal = reinterpret_cast<const pty_record&>(fact);
  bool is_new = false;
  uint32_t& index = by_object_.slot(terminal.file.object, is_new);
  if (is_new) {
    index = static_cast<uint32_t>(pairs_.size());
    Pair& pair = pairs_.emplace_back();
    pair.record = terminal;
    pair.process = assembly.process(terminal.file.head.pid);
  }
  Pair& pair = pairs_[index];
  const bool master = terminal.master == 1;
  if (!master && pair.slave_device == 0) {
    pair.slave_device = terminal.file.device;
    pair.slave_uid = terminal.file.uid;
    pair.slave_mode = terminal.file.mode;
  }
  ends_.push_back({index, terminal.file, master});
}

/// Every devpts numbers its terminals from 0, so those of a container are called after its
/// namespace. A container's master is often held outside, hence the slave's devpts decides.
void Terminals::add_channel(Pair& pair, uint32_t own_device, Assembly& assembly) {
  SnapshotBuilder& builder = assembly.builder;
  const pty_record& record = pair.record;
  uint32_t name_space = 0;
  if (pair.process != no_index) {
    name_space = Assembly::foreign(assembly.process_at(pair.process).mnt_ns, assembly.own_mnt_ns);
  }
  const bool is_own =
      pair.slave_device != 0 && own_device != 0 ? pair.slave_device == own_device : name_space == 0;
  std::string id = fmt::format("pty:{}", record.index);
  if (!is_own || ids_.count(id) != 0) {
    const std::string stem = id;
    id = fmt::format("{}@{}", stem, name_space != 0 ? name_space : pair.slave_device);
    for (int i = 2; ids_.count(id) != 0; i++) {
      id = fmt::format("{}@{}.{}", stem, name_space, i);
    }
  }
  ids_.insert(id);
  pair.channel = builder.add_channel(Kind::pty, id, fmt::format("/dev/pts/{}", record.index));
  Channel& channel = builder.channel(pair.channel);
  channel.name_space = is_own ? 0 : name_space;
  channel.uid = known32(pair.slave_uid);
  if (pair.slave_mode != UNKNOWN_U32) {
    channel.permissions = static_cast<uint16_t>(pair.slave_mode & 07777);
  }
  const auto flag = [&](const char* key, uint32_t value) {
    if (value == UNKNOWN_U32) {
      builder.unknown(pair.channel, key);
    } else {
      builder.boolean(pair.channel, key, value != 0);
    }
  };
  builder.natural32(pair.channel, "input_bytes", record.input_bytes);
  builder.natural32(pair.channel, "output_bytes", record.output_bytes);
  flag("stopped", record.stopped);
  flag("packet_mode", record.packet_mode);
}

void Terminals::finish(Assembly& assembly) {
  const uint32_t own_device = pairs_.empty() ? 0 : own_devpts(assembly.proc);
  for (Pair& pair : pairs_) {
    add_channel(pair, own_device, assembly);
  }
  for (const End& end : ends_) {
    assembly.add_endpoint(pairs_[end.pair].channel, end.file,
                          end.master ? Role::master : Role::slave);
  }
}

constexpr Kind kinds[] = {Kind::pty};
constexpr record_kind records[] = {RECORD_PTY};

}  // namespace

const MechanismEntry pty_mechanism = {"pty", kinds, records,
                                      [] { return std::unique_ptr<Mechanism>(new Terminals); }};

}  // namespace ipcscope
