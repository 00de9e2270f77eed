// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/pipe.h"

#include <catch2/catch.hpp>

#include "bpf/pipe.h"
#include "tests/unit/mechanism_support.h"

using namespace ipcscope;

namespace {

/// One end of a FIFO: the device is none that pipes have.
pipe_record make_end(uint32_t pid, int fd, uint32_t flags, uint64_t object = 0xabc0) {
  auto pipe = make_file<pipe_record>(RECORD_PIPE, pid, fd, 0xf000U + pid, object);
  pipe.file.flags = flags;
  pipe.file.mode = S_IFIFO | 0600;
  pipe.bytes = 5;
  pipe.buffers_used = 1;
  pipe.buffers_max = 16;
  pipe.readers = pipe.writers = 1;
  return pipe;
}

Attribute packet_mode(const Snapshot& snapshot) {
  REQUIRE(snapshot.channels.size() == 1);
  const Attribute* mode = snapshot.attribute(snapshot.channels[0], "packet_mode");
  REQUIRE(mode != nullptr);
  return *mode;
}

}  // namespace

TEST_CASE("both ends of a pipe are one channel", "[pipe]") {
  MechanismTest host(pipe_mechanism);
  host.process(10);
  host.process(20);
  host.tree.link("10/fd/3", "/run/fifo");
  host.take(make_end(10, 3, O_RDONLY));
  host.take(make_end(20, 4, O_WRONLY));
  const Snapshot& snapshot = host.finish();
  const Channel& fifo = host.channel("fifo:/run/fifo");
  CHECK(fifo.name == "/run/fifo");
  CHECK(*fifo.depth_bytes == 5);
  CHECK(*fifo.capacity_bytes == 16 * host.assembly.page_size);
  const auto ends = snapshot.endpoints_of(fifo);
  REQUIRE(ends.size() == 2);
  CHECK(ends[0].role == Role::reader);
  CHECK(ends[1].role == Role::writer);
  CHECK(ends[1].access == access_write);
}

TEST_CASE("packet mode is the write end's", "[pipe]") {
  MechanismTest host(pipe_mechanism);
  host.process(10);
  SECTION("the read end, seen first, does not have the flag") {
    host.take(make_end(10, 3, O_RDONLY));
    host.take(make_end(10, 4, O_WRONLY | O_DIRECT));
    const Attribute mode = packet_mode(host.finish());
    CHECK(mode.type == Attribute::Type::boolean);
    CHECK(mode.boolean);
  }
  SECTION("the write end first") {
    host.take(make_end(10, 4, O_WRONLY | O_DIRECT));
    host.take(make_end(10, 3, O_RDONLY));
    CHECK(packet_mode(host.finish()).boolean);
  }
  SECTION("no packets") {
    host.take(make_end(10, 3, O_RDONLY));
    host.take(make_end(10, 4, O_WRONLY));
    const Attribute mode = packet_mode(host.finish());
    CHECK(mode.type == Attribute::Type::boolean);
    CHECK_FALSE(mode.boolean);
  }
  SECTION("no write end is open: it cannot be known") {
    host.take(make_end(10, 3, O_RDONLY));
    CHECK(packet_mode(host.finish()).type == Attribute::Type::unknown);
  }
}

TEST_CASE("a FIFO opened for both is at both ends", "[pipe]") {
  MechanismTest host(pipe_mechanism);
  host.process(10);
  host.take(make_end(10, 3, O_RDWR));
  const Snapshot& snapshot = host.finish();
  const auto ends = snapshot.endpoints_of(snapshot.channels[0]);
  REQUIRE(ends.size() == 2);
  CHECK(ends[0].role == Role::reader);
  CHECK(ends[1].role == Role::writer);
  CHECK(packet_mode(snapshot).type == Attribute::Type::boolean);
}
