// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/locks/probe_place.h"

#include <catch2/catch.hpp>

using namespace ipcscope;

#if defined(__x86_64__)
namespace {

using Code = std::vector<uint8_t>;

ProbePlace place(const Code& code, bool second = false, size_t target = SIZE_MAX) {
  return choose_probe_place(code, second, [&](size_t offset) { return offset == target; });
}

void check(const Code& code, uint32_t offset, bool emulated, bool second = false,
           size_t target = SIZE_MAX) {
  const ProbePlace found = place(code, second, target);
  CHECK(found.offset == offset);
  CHECK(found.emulated == emulated);
}

// As compilers begin functions; the first ones are those of glibc 2.36 of Debian 12.
const Code mutex_lock = {0x8b, 0x47, 0x10, 0x89, 0xc2, 0x81, 0xe2, 0x7f, 0x01, 0x00,
                         0x00, 0x83, 0xe0, 0x7c, 0x0f, 0x85, 0xac, 0x00, 0x00, 0x00};
const Code mutex_unlock = {0xbe, 0x01, 0x00, 0x00, 0x00, 0xe9, 0xf6, 0xfe, 0xff, 0xff};
const Code read_lock = {0x8b, 0x57, 0x18, 0x64, 0x8b, 0x04, 0x25, 0xd0, 0x02, 0x00,
                        0x00, 0x39, 0xc2, 0x0f, 0x84, 0x0d, 0x01, 0x00, 0x00};
const Code timed_lock = {0x48, 0x89, 0xf2, 0x31, 0xf6, 0xe9, 0x26, 0xf6, 0xff, 0xff};

}  // namespace

TEST_CASE("where probes are put", "[probe-place]") {
  SECTION("at the entry where that is emulated") {
    check({0x55, 0x48, 0x89, 0xe5}, 0, true);
    check({0x41, 0x57, 0x41, 0x56}, 0, true);
    check({0x90}, 0, true);
    check({0xe9, 0, 0, 0, 0}, 0, true);
  }
  SECTION("behind what only marks the entry") {
    check({0xf3, 0x0f, 0x1e, 0xfa, 0x55}, 4, true);
    check({0xf3, 0x0f, 0x1e, 0xfa, 0x41, 0x54}, 4, true);
    check({0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x1f, 0x44, 0x00, 0x00, 0x53}, 9, true);
  }
  SECTION("behind what leaves the arguments alone") {
    check(mutex_lock, 14, true);
    check(read_lock, 13, true);
    check(mutex_unlock, 5, true);
    check(timed_lock, 5, true);
  }
  SECTION("not behind what changes them") {
    check({0x48, 0x89, 0xd7, 0x55}, 0, false);                   // mov %rdx,%rdi
    check({0x31, 0xff, 0x55}, 0, false);                         // xor %edi,%edi
    check({0x48, 0x8b, 0x3f, 0x55}, 0, false);                   // mov (%rdi),%rdi
    check({0x48, 0x83, 0xec, 0x08, 0x55}, 0, false);             // sub $8,%rsp
    check({0xbf, 0x01, 0x00, 0x00, 0x00, 0x55}, 0, false);       // mov $1,%edi
    check({0x41, 0xbf, 0x01, 0x00, 0x00, 0x00, 0x55}, 6, true);  // mov $1,%r15d
    check(mutex_unlock, 0, false, true);                         // the second one is needed, too
  }
  SECTION("not where something jumps to: it would be counted again") {
    check(mutex_lock, 0, false, false, 5);
    check(mutex_lock, 0, false, false, 14);
    check(mutex_lock, 14, true, false, 20);
    check({0x55}, 0, true, false, 0);  // a call is no jump
  }
  SECTION("not behind what writes memory, and not in what is not known or cut off") {
    check({0x89, 0x07, 0x55}, 0, false);              // mov %eax,(%rdi)
    check({0xf0, 0x0f, 0xb1, 0x17, 0x55}, 0, false);  // lock cmpxchg
    check({0xc3, 0x55}, 0, false);
    check({0xcc, 0x55}, 0, false);  // a breakpoint of somebody else
    for (size_t size = 0; size < mutex_lock.size() - 5; size++) {
      check(Code(mutex_lock.begin(), mutex_lock.begin() + static_cast<ptrdiff_t>(size)), 0, false);
    }
  }
}

TEST_CASE("what is jumped to", "[probe-place]") {
  Code text(256, 0x90);
  const auto put = [&](size_t at, const Code& bytes) {
    std::copy(bytes.begin(), bytes.end(), text.begin() + static_cast<ptrdiff_t>(at));
  };
  const std::vector<uint64_t> entries = {0x1020, 0x1080};
  CHECK(jump_targets(text, 0x1000, entries).empty());
  put(0x30, {0xeb, 0xf4});                          // to 0x1026
  put(0x40, {0x0f, 0x84, 0x44, 0x00, 0x00, 0x00});  // to 0x108a
  put(0x50, {0xe9, 0xcb, 0xff, 0xff, 0xff});        // to 0x1020, the entry itself
  put(0x60, {0x75, 0x70});                          // to 0x10d2: too far behind
  CHECK(jump_targets(text, 0x1000, entries) == std::vector<uint64_t>{0x1026, 0x108a});
}
#endif
