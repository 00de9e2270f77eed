// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/pipe.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <string>
#include <vector>

#include "bpf/pipe.h"
#include "collectors/base/fd.h"
#include "collectors/base/identity_map.h"

namespace ipcscope {

namespace {

/// The device number of pipefs, which has no mount to look it up by: that of a pipe of our own.
uint32_t pipefs_device() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return 0;
  }
  const Fd reader(ends[0]);
  const Fd writer(ends[1]);
  struct stat status {};
  if (::fstat(reader.get(), &status) != 0) {
    return 0;
  }
  return major(status.st_dev) << 20 | minor(status.st_dev);
}

class Pipes final : public Mechanism {
 public:
  void take(const record& fact, Assembly& assembly) override;
  void finish(Assembly& /*assembly*/) override {}

 private:
  struct Known {
    ChannelIndex channel;
    /// Where "packet_mode" is among its attributes, to be filled in by the first writer; no_index
    /// when it is known.
    uint32_t mode_at;
  };
  ChannelIndex describe(const pipe_record& pipe, Assembly& assembly, uint32_t& mode_at) const;
  static void learn_mode(Known& known, const file_record& writer, Assembly& assembly);

  IdentityMap by_object_;  ///< index into known_
  std::vector<Known> known_;
  uint32_t pipefs_ = pipefs_device();
};

ChannelIndex Pipes::describe(const pipe_record& pipe, Assembly& assembly, uint32_t& mode_at) const {
  SnapshotBuilder& builder = assembly.builder;
  const file_record& file = pipe.file;
  ChannelIndex index = no_index;
  if (file.device == pipefs_) {
    index = builder.add_channel(Kind::pipe, fmt::format("pipe:{}", file.inode));
  } else {
    const std::string path = assembly.path(file);
    index = builder.add_channel(
        Kind::fifo, path.empty() ? fmt::format("fifo:#{}", file.inode) : "fifo:" + path, path);
  }
  Channel& channel = builder.channel(index);
  channel.uid = known32(file.uid);
  if (file.mode != UNKNOWN_U32) {
    channel.permissions = static_cast<uint16_t>(file.mode & 07777);
  }
  channel.depth_bytes = known(pipe.bytes);
  if (const auto pages = known32(pipe.buffers_max)) {
    channel.capacity_bytes = uint64_t{*pages} * assembly.page_size;
  }
  builder.natural(index, "inode", file.inode);
  // A mode of the write end: the read end's flags never have it (create_pipe_files, fs/pipe.c).
  if ((file.flags & O_ACCMODE) == O_RDONLY) {
    mode_at = builder.channel(index).attribute_count;
    builder.unknown(index, "packet_mode");
  } else {
    builder.boolean(index, "packet_mode", (file.flags & O_DIRECT) != 0);
  }
  builder.natural32(index, "buffers_used", pipe.buffers_used);
  builder.natural32(index, "buffers_max", pipe.buffers_max);
  builder.natural32(index, "readers", pipe.readers);
  builder.natural32(index, "writers", pipe.writers);
  return index;
}

void Pipes::learn_mode(Known& known, const file_record& writer, Assembly& assembly) {
  if (known.mode_at != no_index) {
    const Channel& channel = assembly.builder.channel(known.channel);
    Attribute& mode =
        assembly.builder.snapshot().attributes[channel.first_attribute + known.mode_at];
    mode.type = Attribute::Type::boolean;
    mode.boolean = (writer.flags & O_DIRECT) != 0;
    known.mode_at = no_index;
  }
}

void Pipes::take(const record& fact, Assembly& assembly) {
  const auto& pipe = reinterpret_cast<const pipe_record&>(fact);
  bool is_new = false;
  uint32_t& slot = by_object_.slot(pipe.file.object, is_new);
  if (is_new) {
    slot = static_cast<uint32_t>(known_.size());
    uint32_t mode_at = no_index;
    const ChannelIndex index = describe(pipe, assembly, mode_at);
    known_.push_back({index, mode_at});
  }
  Known& known = known_[slot];
  const ChannelIndex channel = known.channel;
  switch (pipe.file.flags & O_ACCMODE) {
    case O_RDONLY:
      assembly.add_endpoint(channel, pipe.file, Role::reader, access_read);
      break;
    case O_WRONLY:
      learn_mode(known, pipe.file, assembly);
      assembly.add_endpoint(channel, pipe.file, Role::writer, access_write);
      break;
    default:  // a FIFO opened O_RDWR is both
      learn_mode(known, pipe.file, assembly);
      assembly.add_endpoint(channel, pipe.file, Role::reader, access_read | access_write);
      assembly.add_endpoint(channel, pipe.file, Role::writer, access_read | access_write);
  }
}

constexpr Kind kinds[] = {Kind::pipe, Kind::fifo};
constexpr record_kind records[] = {RECORD_PIPE};

}  // namespace

const MechanismEntry pipe_mechanism = {"pipe", kinds, records,
                                       [] { return std::unique_ptr<Mechanism>(new Pipes); }};

}  // namespace ipcscope
