// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/removal/content.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <map>

#include "collectors/base/fd.h"
#include "collectors/removal/family.h"

using namespace ipcscope;

namespace {

Fd memory_file() { return Fd(::memfd_create("ipcscope-test", MFD_CLOEXEC)); }

using Content = std::map<uint64_t, std::string>;

uint32_t write_sparse(int file, const Content& content, uint64_t size) {
  SparseWriter out(file);
  for (const auto& [at, bytes] : content) {
    REQUIRE(out.add(at, bytes));
  }
  REQUIRE(out.finish(size));
  return out.checksum();
}

}  // namespace

TEST_CASE("sparse content keeps its holes, its size and its checksum", "[removal]") {
  const uint64_t size = (uint64_t{1} << 30) + 5;
  // A zero block between two others, and an end within a block.
  const std::string three =
      std::string(content_block, 'a') + std::string(content_block, '\0') + std::string(10, 'b');
  const Fd file = memory_file();
  const uint32_t sum =
      write_sparse(file.get(), {{0, three}, {uint64_t{1} << 29, std::string(1 << 20, '\0')}}, size);
  struct stat status {};
  REQUIRE(::fstat(file.get(), &status) == 0);
  CHECK(static_cast<uint64_t>(status.st_size) == size);
  CHECK(static_cast<uint64_t>(status.st_blocks) * 512 == 2 * content_block);
  CHECK(content_checksum(file.get(), size) == sum);

  // Zeros that are written are as good as holes.
  REQUIRE(write_at(file.get(), std::string(100, '\0'), 50000));
  CHECK(content_checksum(file.get(), size) == sum);
  // Another byte, the same byte elsewhere, a missing end.
  REQUIRE(write_at(file.get(), "x", 50000));
  CHECK(content_checksum(file.get(), size) != sum);
  REQUIRE(write_at(file.get(), std::string(1, '\0'), 50000));
  REQUIRE(write_at(file.get(), std::string(content_block, '\0'), 0));
  REQUIRE(write_at(file.get(), std::string(content_block, 'a'), content_block));
  CHECK(content_checksum(file.get(), size) != sum);
  REQUIRE(::ftruncate(file.get(), static_cast<off_t>(size - 1)) == 0);
  CHECK_FALSE(content_checksum(file.get(), size));
}

TEST_CASE("content is read in order and whole", "[removal]") {
  const Fd file = memory_file();
  std::string bytes(3 * (1 << 20) + 77, '\0');
  for (size_t i = 0; i < bytes.size(); i++) {
    bytes[i] = static_cast<char>(i * 31 >> 3);
  }
  write_sparse(file.get(), {{0, bytes}}, bytes.size());
  std::string read(bytes.size(), '\0');
  uint64_t last = 0;
  REQUIRE(read_content(file.get(), bytes.size(),
                       [&](uint64_t at, std::string_view part) -> Result<void> {
                         CHECK(at >= last);
                         CHECK(at % content_block == 0);
                         last = at + part.size();
                         read.replace(at, part.size(), part);
                         return {};
                       }));
  CHECK(read == bytes);
  const auto stopped =
      read_content(file.get(), bytes.size(),
                   [](uint64_t, std::string_view) -> Result<void> { return failure("enough"); });
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().text() == "enough");
}

TEST_CASE("a difference is named in words", "[removal]") {
  Target judged;
  judged.type = Target::Type::msg;
  judged.key = 0x1234;
  judged.uid = 1000;
  judged.mode = 0600;
  judged.messages = 3;
  judged.times[0] = 77;
  Target now = judged;
  CHECK(difference(judged, now).empty());
  now.messages = 4;
  now.times[0] = 78;
  CHECK(difference(judged, now) == "the number of its messages is 4 now, it was 3");
  // Being used is what --force lets pass, being another object is not.
  judged.allow_used = true;
  CHECK(difference(judged, now).empty());
  now.uid = 0;
  CHECK(difference(judged, now) == "its owner is 0 now, it was 1000");
  now = judged;
  now.mode = 0640;
  CHECK(difference(judged, now) == "its mode is 640 now, it was 600");
  now = judged;
  now.key = 0x4321;
  CHECK(difference(judged, now) == "its key is 0x00004321 now, it was 0x00001234");
}
