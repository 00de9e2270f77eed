// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/kernel_layout.h"

#include <linux/btf.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <string>

using namespace ipcscope;

namespace {

/// BTF in the making. Types are numbered from 1, or behind those of the base.
class Btf {
 public:
  explicit Btf(uint32_t first_string = 0) : first_string_(first_string) {}

  void integer(const char* type, uint32_t bytes) {
    head(type, BTF_KIND_INT, 0, bytes);
    put(bytes * 8);
  }
  void structure(const char* type, uint32_t bytes, uint32_t kind = BTF_KIND_STRUCT) {
    head(type, kind, 0, bytes);
    last_ = types_.size() - sizeof(btf_type);
  }
  /// Of the structure that was begun last.
  void member(const char* called, uint32_t type, uint32_t bits, uint32_t width = 0) {
    put(name(called));
    put(type);
    put(bits | width << 24);
    uint32_t info = 0;
    std::memcpy(&info, types_.data() + last_ + 4, sizeof info);
    info = (info + 1) | (width != 0 ? 1U << 31 : 0);
    std::memcpy(types_.data() + last_ + 4, &info, sizeof info);
  }

  [[nodiscard]] std::string text() const {
    const btf_header header = {.magic = BTF_MAGIC,
                               .version = 1,
                               .flags = 0,
                               .hdr_len = sizeof(btf_header),
                               .type_off = 0,
                               .type_len = static_cast<uint32_t>(types_.size()),
                               .str_off = static_cast<uint32_t>(types_.size()),
                               .str_len = static_cast<uint32_t>(strings_.size())};
    return std::string(reinterpret_cast<const char*>(&header), sizeof header) + types_ + strings_;
  }
  [[nodiscard]] uint32_t string_bytes() const { return static_cast<uint32_t>(strings_.size()); }

 private:
  void put(uint32_t value) { types_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  uint32_t name(const char* text) {
    if (*text == '\0') {
      return 0;
    }
    const auto at = static_cast<uint32_t>(strings_.size());
    strings_.append(text).push_back('\0');
    return first_string_ + at;
  }
  void head(const char* type, uint32_t kind, uint32_t entries, uint32_t size) {
    put(name(type));
    put(kind << 24 | entries);
    put(size);
  }

  uint32_t first_string_;
  std::string types_;
  std::string strings_ = std::string(1, '\0');
  size_t last_ = 0;
};

std::span<const std::byte> bytes(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

/// 1 u32, 2 u64, 3 and 4 both struct rq, 5 anonymous, 6 struct pipe_inode_info, 7 struct sock
Btf example() {
  Btf btf;
  btf.integer("unsigned int", 4);
  btf.integer("unsigned long", 8);
  btf.structure("rq", 4);
  btf.structure("rq", 32);
  btf.member("clock", 2, 64);
  btf.member("clock_task", 2, 128);
  btf.structure("", 8, BTF_KIND_UNION);
  btf.member("head", 1, 0);
  btf.member("tail", 1, 32);
  btf.structure("pipe_inode_info", 24);
  btf.member("", 5, 64);
  btf.member("readers", 2, 128);
  btf.structure("sock", 16);
  btf.member("sk_rcvbuf", 1, 32);
  btf.member("sk_shutdown", 1, 64, 2);
  return btf;
}

}  // namespace

TEST_CASE("a layout is found by name, size and path") {
  const std::string text = example().text();
  const kernel_layout layout = find_kernel_layout(bytes(text), {});
  // Two structs have the name: it is the one with the members.
  CHECK(layout.id[KERNEL_TYPE_rq] == 4);
  CHECK(layout.size[KERNEL_TYPE_rq] == 32);
  CHECK(layout.offset[KERNEL_MEMBER_rq_clock] == 8);
  CHECK(layout.offset[KERNEL_MEMBER_rq_clock_task] == 16);
  // Inside an anonymous union.
  CHECK(layout.offset[KERNEL_MEMBER_pipe_inode_info_head] == 8);
  CHECK(layout.offset[KERNEL_MEMBER_pipe_inode_info_tail] == 12);
  // Of another size, not there, a bit field, a struct that is not there.
  CHECK(layout.offset[KERNEL_MEMBER_pipe_inode_info_readers] == MEMBER_ABSENT);
  CHECK(layout.offset[KERNEL_MEMBER_pipe_inode_info_writers] == MEMBER_ABSENT);
  CHECK(layout.offset[KERNEL_MEMBER_sock_rcvbuf] == 4);
  CHECK(layout.offset[KERNEL_MEMBER_sock_shutdown] == MEMBER_ABSENT);
  CHECK(layout.id[KERNEL_TYPE_file] == 0);
  CHECK(layout.offset[KERNEL_MEMBER_file_flags] == MEMBER_ABSENT);
}

TEST_CASE("a layout takes from modules what vmlinux lacks") {
  const Btf vmlinux = example();
  Btf module(vmlinux.string_bytes());
  module.structure("packet_sock", 32);
  module.member("num", 9, 80);
  module.integer("unsigned short", 2);  // type 9: 7 are in vmlinux
  module.structure("rq", 64);
  module.member("clock", 2, 0);
  const std::string base = vmlinux.text();
  const std::string added = module.text();
  const kernel_layout layout = find_kernel_layout(bytes(base), {bytes(added)});
  CHECK(layout.offset[KERNEL_MEMBER_packet_sock_num] == 10);
  CHECK(layout.id[KERNEL_TYPE_packet_sock] == 0);  // its number means nothing in vmlinux
  CHECK(layout.offset[KERNEL_MEMBER_rq_clock] == 8);
}

TEST_CASE("no layout is found in broken BTF") {
  const std::string text = example().text();
  for (size_t length = 0; length < text.size(); length++) {
    const std::string cut = text.substr(0, length);
    const kernel_layout layout = find_kernel_layout(bytes(cut), {});
    CHECK(layout.offset[KERNEL_MEMBER_rq_clock] == MEMBER_ABSENT);
  }
  for (size_t at = sizeof(btf_header); at < text.size(); at++) {
    std::string changed = text;
    changed[at] = static_cast<char>(changed[at] ^ 0xff);
    find_kernel_layout(bytes(changed), {bytes(changed)});
  }
}
