// SPDX-License-Identifier: GPL-2.0-or-later
// One pass over the kernel's BTF (Documentation/bpf/btf.rst). libbpf does the same and more, and
// takes five times as long, because it builds an index of all types.
#include "collectors/kernel_layout.h"

#include <bpf/btf.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <string_view>

#include "collectors/base/fd.h"
#include "collectors/bpf_loading.h"

namespace ipcscope {

namespace {

constexpr auto type_names = std::to_array<std::string_view>({
#define TYPE_NAME(type) #type,
    KERNEL_LAYOUT(TYPE_NAME, LAYOUT_NOTHING, LAYOUT_NOTHING)
#undef TYPE_NAME
});

struct Member {
  kernel_type type;
  std::string_view path;  ///< member.member...
  uint32_t size;          ///< bytes; 0: any
};

/// How a name of 2 bytes or more begins, as a number. The name has to end with a zero byte.
constexpr size_t beginning(const char* name) {
  const auto first = static_cast<unsigned char>(name[0]);
  return first == 0 ? 0 : size_t{256} * first + static_cast<unsigned char>(name[1]);
}

/// The beginnings of type_names: few of the kernel's names need a closer look.
constexpr auto type_beginnings = [] {
  std::array<bool, size_t{256} * 256> wanted{};
  for (const std::string_view name : type_names) {
    wanted[beginning(name.data())] = true;
  }
  return wanted;
}();

constexpr auto members = std::to_array<Member>({
#define VALUE(type, name, path, value) {KERNEL_TYPE_##type, #path, sizeof(value)},
#define PLACE(type, name, path) {KERNEL_TYPE_##type, #path, 0},
    KERNEL_LAYOUT(LAYOUT_NOTHING, VALUE, PLACE)
#undef VALUE
#undef PLACE
});

/// The types of vmlinux, and perhaps of one module.
class Types {
 public:
  /// Takes vmlinux first and a module then. Calls found(id, type index) for each struct that is
  /// wanted. False when it is malformed; what came before stays.
  template <typename Found>
  bool add(std::span<const std::byte> blob, Found found);
  /// Forgets the module.
  void shrink() { blobs_.resize(1); }

  [[nodiscard]] std::optional<uint32_t> offset(uint32_t type, const Member& member) const;
  [[nodiscard]] uint32_t size(uint32_t type, int depth = 0) const;

 private:
  struct Place {
    uint32_t bits;
    uint32_t type;
  };
  /// Where the types are: every sixteenth, for a place for each would be a megabyte to touch at
  /// each start.
  struct Blob {
    std::string_view strings;
    std::vector<const btf_type*> marks;
    uint32_t first;  ///< number of its first type
    uint32_t count = 0;
  };
  static constexpr uint32_t stride = 16;

  [[nodiscard]] const btf_type& at(uint32_t type) const;
  [[nodiscard]] uint32_t end() const { return blobs_.back().first + blobs_.back().count; }
  /// Ends with a zero byte; empty when there is none.
  [[nodiscard]] const char* string(uint32_t offset) const;
  [[nodiscard]] uint32_t plain(uint32_t type) const;
  [[nodiscard]] std::optional<Place> find(uint32_t type, std::string_view wanted, int depth) const;

  std::vector<Blob> blobs_;
};

constexpr int depth_max = 16;           // of typedefs
constexpr int anonymous_depth_max = 6;  // of structs in each other

size_t bytes_behind(const btf_type& type) {
  const size_t entries = BTF_INFO_VLEN(type.info);
  switch (BTF_INFO_KIND(type.info)) {
    case BTF_KIND_INT:
    case BTF_KIND_VAR:
    case BTF_KIND_DECL_TAG:
      return sizeof(uint32_t);
    case BTF_KIND_ARRAY:
      return sizeof(struct btf_array);
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
      return entries * sizeof(btf_member);
    case BTF_KIND_ENUM:
      return entries * sizeof(struct btf_enum);
    case BTF_KIND_FUNC_PROTO:
      return entries * sizeof(btf_param);
    case BTF_KIND_DATASEC:
      return entries * sizeof(btf_var_secinfo);
    case BTF_KIND_ENUM64:
      return entries * sizeof(struct btf_enum64);
    default:
      return 0;
  }
}

template <typename Found>
bool Types::add(std::span<const std::byte> blob, Found found) {
  btf_header header;
  if (blob.size() < sizeof header) {
    return false;
  }
  std::memcpy(&header, blob.data(), sizeof header);
  const auto inside = [&](uint64_t offset, uint64_t length) {
    return header.hdr_len + offset + length <= blob.size();
  };
  if (header.magic != BTF_MAGIC || header.hdr_len % alignof(btf_type) != 0 ||
      header.type_off % alignof(btf_type) != 0 || !inside(header.type_off, header.type_len) ||
      !inside(header.str_off, header.str_len)) {
    return false;
  }
  const std::string_view strings(
      reinterpret_cast<const char*>(blob.data()) + header.hdr_len + header.str_off, header.str_len);
  if (strings.empty() || strings.back() != '\0') {
    return false;
  }
  // 0 is void.
  blobs_.push_back({.strings = strings, .marks = {}, .first = blobs_.empty() ? 1 : end()});
  Blob& taken = blobs_.back();
  const std::byte* at = blob.data() + header.hdr_len + header.type_off;
  const std::byte* const end = at + header.type_len;
  while (static_cast<size_t>(end - at) >= sizeof(btf_type)) {
    const auto* type = reinterpret_cast<const btf_type*>(at);
    at += sizeof(btf_type);
    const size_t behind = bytes_behind(*type);
    if (static_cast<size_t>(end - at) < behind) {
      return false;
    }
    at += behind;
    if (taken.count++ % stride == 0) {
      taken.marks.push_back(type);
    }
    if (BTF_INFO_KIND(type->info) == BTF_KIND_STRUCT && type->name_off != 0) {
      const char* const text = string(type->name_off);
      if (!type_beginnings[beginning(text)]) {
        continue;
      }
      const auto* const wanted =
          std::find(type_names.begin(), type_names.end(), std::string_view(text));
      if (wanted != type_names.end()) {
        found(taken.first + taken.count - 1, static_cast<size_t>(wanted - type_names.begin()));
      }
    }
  }
  return at == end;
}

const btf_type& Types::at(uint32_t type) const {
  const Blob& blob = type < blobs_.back().first ? blobs_.front() : blobs_.back();
  const uint32_t place = type - blob.first;
  const btf_type* found = blob.marks[place / stride];
  for (uint32_t i = 0; i < place % stride; i++) {
    found = reinterpret_cast<const btf_type*>(reinterpret_cast<const std::byte*>(found + 1) +
                                              bytes_behind(*found));
  }
  return *found;
}

const char* Types::string(uint32_t offset) const {
  for (const Blob& blob : blobs_) {
    if (offset < blob.strings.size()) {
      return blob.strings.data() + offset;
    }
    offset -= static_cast<uint32_t>(blob.strings.size());
  }
  return "";
}

/// The type behind typedefs and qualifiers; 0 when there is none.
uint32_t Types::plain(uint32_t type) const {
  for (int depth = 0; depth < depth_max && type != 0 && type < end(); depth++) {
    const btf_type& found = at(type);
    switch (BTF_INFO_KIND(found.info)) {
      case BTF_KIND_TYPEDEF:
      case BTF_KIND_VOLATILE:
      case BTF_KIND_CONST:
      case BTF_KIND_RESTRICT:
      case BTF_KIND_TYPE_TAG:
        type = found.type;
        break;
      default:
        return type;
    }
  }
  return 0;
}

uint32_t Types::size(uint32_t type, int depth) const {
  type = plain(type);
  if (type == 0 || depth > depth_max) {
    return 0;
  }
  const btf_type& found = at(type);
  switch (BTF_INFO_KIND(found.info)) {
    case BTF_KIND_PTR:
      return sizeof(void*);
    case BTF_KIND_ARRAY: {
      const auto* array = reinterpret_cast<const struct btf_array*>(&found + 1);
      return array->nelems * size(array->type, depth + 1);
    }
    case BTF_KIND_INT:
    case BTF_KIND_ENUM:
    case BTF_KIND_ENUM64:
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
      return found.size;
    default:
      return 0;
  }
}

/// A member, also one of the anonymous structs inside; bit fields are none.
std::optional<Types::Place> Types::find(uint32_t type, std::string_view wanted, int depth) const {
  type = plain(type);
  if (type == 0 || depth > anonymous_depth_max) {
    return std::nullopt;
  }
  const btf_type& found = at(type);
  const uint32_t kind = BTF_INFO_KIND(found.info);
  if (kind != BTF_KIND_STRUCT && kind != BTF_KIND_UNION) {
    return std::nullopt;
  }
  const bool has_bit_fields = BTF_INFO_KFLAG(found.info);
  const std::span list(reinterpret_cast<const btf_member*>(&found + 1), BTF_INFO_VLEN(found.info));
  for (const btf_member& member : list) {
    const uint32_t bits = has_bit_fields ? BTF_MEMBER_BIT_OFFSET(member.offset) : member.offset;
    if (member.name_off == 0) {
      if (const auto inner = find(member.type, wanted, depth + 1)) {
        return Place{bits + inner->bits, inner->type};
      }
    } else if (wanted == string(member.name_off)) {
      if (bits % 8 != 0 || (has_bit_fields && BTF_MEMBER_BITFIELD_SIZE(member.offset) != 0)) {
        return std::nullopt;
      }
      return Place{bits, member.type};
    }
  }
  return std::nullopt;
}

/// Bytes from the beginning of the struct.
std::optional<uint32_t> Types::offset(uint32_t type, const Member& member) const {
  uint32_t bits = 0;
  std::string_view rest = member.path;
  while (!rest.empty()) {
    const size_t dot = rest.find('.');
    const auto place = find(type, rest.substr(0, dot), 0);
    if (!place) {
      return std::nullopt;
    }
    bits += place->bits;
    type = place->type;
    rest = dot == std::string_view::npos ? std::string_view() : rest.substr(dot + 1);
  }
  if (member.size != 0 && size(type) != member.size) {
    return std::nullopt;
  }
  return bits / 8;
}

/// Fills in the layout of one struct from one of the types with its name, when that has more of the
/// wanted members than the one before: drivers use the names of others for structs of their own.
class Choice {
 public:
  Choice(kernel_layout& layout, const Types& types) : layout_(layout), types_(types) {
    std::fill(std::begin(layout.offset), std::end(layout.offset), MEMBER_ABSENT);
  }

  /// @return whether it was taken
  bool consider(uint32_t id, size_t type) {
    std::array<uint32_t, members.size()> offsets{};
    int known = 0;
    for (size_t i = 0; i < members.size(); i++) {
      if (members[i].type == type) {
        offsets[i] = types_.offset(id, members[i]).value_or(MEMBER_ABSENT);
        known += offsets[i] != MEMBER_ABSENT ? 1 : 0;
      }
    }
    if (known <= known_[type]) {
      return false;
    }
    known_[type] = known;
    layout_.size[type] = types_.size(id);
    for (size_t i = 0; i < members.size(); i++) {
      if (members[i].type == type) {
        layout_.offset[i] = offsets[i];
      }
    }
    return true;
  }

  [[nodiscard]] bool has(size_t type) const { return known_[type] > 0; }

 private:
  kernel_layout& layout_;
  const Types& types_;
  std::array<int, KERNEL_TYPES> known_{};
};

/// A whole file, mapped where the kernel can (6.16), else read.
class Contents {
 public:
  Contents() = default;
  Contents(const Contents&) = delete;
  Contents& operator=(const Contents&) = delete;
  Contents(Contents&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  ~Contents() {
    if (data_ != nullptr) {
      ::munmap(data_, size_);
    }
  }

  static Result<Contents> of(const std::string& path) {
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) != 0) {
      return system_failure(path);
    }
    Contents contents;
    contents.size_ = static_cast<size_t>(status.st_size);
    void* memory =
        ::mmap(nullptr, contents.size_, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file.get(), 0);
    const bool is_mapped = memory != MAP_FAILED;
    if (!is_mapped) {
      memory = ::mmap(nullptr, contents.size_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    }
    if (memory == MAP_FAILED) {
      return system_failure(path);
    }
    contents.data_ = memory;
    for (size_t done = 0; !is_mapped && done < contents.size_;) {
      const ssize_t got = ::pread(file.get(), static_cast<std::byte*>(memory) + done,
                                  contents.size_ - done, static_cast<off_t>(done));
      if (got <= 0) {
        return system_failure(path, got < 0 ? errno : ENODATA);
      }
      done += static_cast<size_t>(got);
    }
    return contents;
  }

  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(data_), size_};
  }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace

kernel_layout find_kernel_layout(std::span<const std::byte> vmlinux,
                                 const std::vector<std::span<const std::byte>>& modules) {
  kernel_layout layout{};
  layout.page_size = static_cast<uint32_t>(::sysconf(_SC_PAGESIZE));
  Types types;
  Choice choice(layout, types);
  std::vector<std::pair<uint32_t, size_t>> found;
  const auto note = [&](uint32_t id, size_t type) { found.emplace_back(id, type); };
  if (!types.add(vmlinux, note)) {
    return layout;
  }
  for (const auto& [id, type] : found) {
    if (choice.consider(id, type)) {
      layout.id[type] = id;
    }
  }
  for (const std::span<const std::byte> module : modules) {
    found.clear();
    if (types.add(module, note)) {
      for (const auto& [id, type] : found) {
        if (!choice.has(type)) {
          choice.consider(id, type);
        }
      }
    }
    types.shrink();
  }
  return layout;
}

namespace {

/// From a file of the user's.
struct GivenTypes {
  std::string path;
  std::optional<kernel_layout> layout;
  bool own_are_hidden = false;
};
GivenTypes given;

}  // namespace

void do_without_kernel_types() { given.own_are_hidden = true; }

Result<void> use_kernel_types(const std::string& path) {
  prepare_bpf_loading();
  const std::unique_ptr<btf, void (*)(btf*)> types(::btf__parse(path.c_str(), nullptr),
                                                   ::btf__free);
  if (!types) {
    const bool is_there = ::access(path.c_str(), R_OK) == 0;
    return is_there ? failure(path + ": has no BTF that can be read") : system_failure(path);
  }
  uint32_t size = 0;
  const void* const data = ::btf__raw_data(types.get(), &size);
  const kernel_layout layout =
      find_kernel_layout({static_cast<const std::byte*>(data), data == nullptr ? 0 : size}, {});
  if (layout.offset[KERNEL_MEMBER_task_struct_tgid] == MEMBER_ABSENT) {
    return failure(path + ": has no struct task_struct, so it is not the BTF of a kernel");
  }
  given.path = path;
  given.layout = layout;
  set_bpf_types(given.path.c_str());
  return {};
}

Result<kernel_layout> read_kernel_layout() {
  if (given.layout) {
    return *given.layout;
  }
  const std::string directory = "/sys/kernel/btf/";
  if (given.own_are_hidden) {
    return system_failure(directory + "vmlinux", ENOENT);
  }
  const Result<Contents> vmlinux = Contents::of(directory + "vmlinux");
  if (!vmlinux) {
    return Failure(vmlinux.error());
  }
  std::vector<Contents> loaded;
  std::vector<std::span<const std::byte>> modules;
  for (const char* const name : {"unix", "af_packet", "vsock"}) {  // built in or loaded or absent
    if (Result<Contents> module = Contents::of(directory + name)) {
      loaded.push_back(std::move(*module));
      modules.push_back(loaded.back().bytes());
    }
  }
  return find_kernel_layout(vmlinux->bytes(), modules);
}

}  // namespace ipcscope
