// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/stacks/address_space.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "collectors/base/parse.h"
#include "collectors/name_spaces.h"
#include "collectors/proc/maps.h"

namespace ipcscope {

namespace {

constexpr size_t pages_ahead = 4;     // a frame is seldom larger, and its neighbours come next
constexpr size_t most_at_once = 512;  // iovecs; the kernel allows 1024 (UIO_MAXIOV)
constexpr uint64_t largest_image = 64ULL << 20;  // bytes

/// Takes the headers of the sections away, which are not mapped, and makes the dynamic section
/// what it is in the file: the loader adds the base address to its pointers.
template <typename Header, typename Segment, typename Dynamic>
void mend_image(std::vector<char>& image, uint64_t base) {
  Header header;
  if (image.size() < sizeof header) {
    return;
  }
  std::memcpy(&header, image.data(), sizeof header);
  std::vector<Segment> segments(header.e_phnum);
  if (header.e_phentsize != sizeof(Segment) || header.e_phoff > image.size() ||
      segments.size() * sizeof(Segment) > image.size() - header.e_phoff) {
    return;
  }
  std::memcpy(segments.data(), image.data() + header.e_phoff, segments.size() * sizeof(Segment));
  uint64_t lowest = UINT64_MAX;
  for (const Segment& each : segments) {
    if (each.p_type == PT_LOAD) {
      lowest = std::min<uint64_t>(lowest, each.p_vaddr);
    }
  }
  const uint64_t bias = base - lowest;
  for (const Segment& each : segments) {
    if (each.p_type != PT_DYNAMIC || each.p_offset > image.size() ||
        each.p_filesz > image.size() - each.p_offset) {
      continue;
    }
    for (uint64_t at = each.p_offset; at + sizeof(Dynamic) <= each.p_offset + each.p_filesz;
         at += sizeof(Dynamic)) {
      Dynamic entry;
      std::memcpy(&entry, image.data() + at, sizeof entry);
      if (bias != 0 && entry.d_un.d_ptr >= base) {
        entry.d_un.d_ptr -= static_cast<decltype(entry.d_un.d_ptr)>(bias);
        std::memcpy(image.data() + at, &entry, sizeof entry);
      }
    }
  }
  if (header.e_shoff + uint64_t{header.e_shnum} * header.e_shentsize > image.size()) {
    header.e_shoff = 0;
    header.e_shnum = 0;
    header.e_shstrndx = 0;
    std::memcpy(image.data(), &header, sizeof header);
  }
}

}  // namespace

Result<AddressSpace> AddressSpace::open(const ProcRoot& proc, int tid) {
  const Result<std::string> maps = proc.read(fmt::format("{}/maps", tid));
  if (!maps) {
    return Failure(maps.error());
  }
  AddressSpace space(proc, tid);
  space.live_ = is_live(proc);
  space.load_mounts();
  MountTable mounts(proc);
  const uint32_t mnt_ns = proc.namespace_id(tid, "mnt").value_or(0);
  for (std::string_view rest = *maps; !rest.empty();) {
    space.add_mapping(next_line(rest), mounts, mnt_ns);
  }
  if (space.mappings_.empty()) {
    return failure(fmt::format("{} has no memory", tid));
  }
  space.find_modules();
  return space;
}

void AddressSpace::load_mounts() {
  const Result<std::string> text = proc_->read(fmt::format("{}/mountinfo", tid_));
  std::string_view rest = text ? std::string_view(*text) : std::string_view();
  while (!rest.empty()) {
    if (const auto line = parse_mountinfo_line(next_line(rest))) {
      mounts_.push_back({std::string(line->point), filesystem_type(line->type).local});
    }
  }
}

void AddressSpace::add_mapping(std::string_view line, MountTable& mounts, uint32_t mnt_ns) {
  const auto parsed = parse_maps_line(line);
  if (!parsed) {
    return;
  }
  UserMapping mapping;
  mapping.start = parsed->start;
  mapping.end = parsed->end;
  mapping.offset = parsed->offset;
  mapping.device = parsed->device;
  mapping.inode = parsed->inode;
  mapping.readable = parsed->readable;
  mapping.executable = parsed->executable;
  mapping.path = parsed->path;
  const bool same_file =
      !mappings_.empty() && mapping.inode != 0 && mappings_.back().inode == mapping.inode &&
      mappings_.back().device == mapping.device && mappings_.back().path == mapping.path;
  if (mapping.inode == 0) {
    mapping.local = true;
  } else if (same_file) {
    mapping.local = mappings_.back().local;
  } else if (const auto mount = mounts.by_device(mapping.device, tid_, mnt_ns)) {
    mapping.local = mount->local;
  } else {
    // Before 6.8 a file of an overlay shows the device of the layer that it is in.
    mapping.local = is_local_path(mapping.path);
  }
  mappings_.push_back(std::move(mapping));
}

void AddressSpace::find_modules() {
  size_t previous = SIZE_MAX;  // the last mapping of the module that is being put together
  for (size_t i = 0; i < mappings_.size(); i++) {
    const UserMapping& mapping = mappings_[i];
    const bool is_vdso = mapping.path == "[vdso]";
    if (mapping.inode == 0 && !is_vdso) {
      continue;  // .bss, between the segments or after them
    }
    bool goes_on = false;
    if (previous != SIZE_MAX && !is_vdso) {
      const UserMapping& before = mappings_[previous];
      goes_on = before.inode == mapping.inode && before.device == mapping.device &&
                before.path == mapping.path && mapping.offset >= before.offset &&
                (mapping.offset != 0 || before.end == mapping.start);
    }
    if (!goes_on) {
      modules_.push_back({i, i, false});
    }
    modules_.back().last = i;
    modules_.back().executable |= mapping.executable;
    previous = i;
  }
}

const UserMapping* AddressSpace::find(uint64_t address) const {
  const auto after = std::upper_bound(
      mappings_.begin(), mappings_.end(), address,
      [](uint64_t wanted, const UserMapping& mapping) { return wanted < mapping.start; });
  if (after == mappings_.begin()) {
    return nullptr;
  }
  const UserMapping& mapping = *std::prev(after);
  return address < mapping.end ? &mapping : nullptr;
}

void AddressSpace::fetch(std::span<const uint64_t> pages) {
  while (live_ && !pages.empty()) {
    const size_t count = std::min(pages.size(), most_at_once);
    std::vector<std::unique_ptr<Page>> got;
    std::vector<iovec> local;
    std::vector<iovec> remote;
    for (const uint64_t page : pages.first(count)) {
      got.push_back(std::make_unique<Page>());
      local.push_back({got.back()->bytes, page_size});
      remote.push_back({reinterpret_cast<void*>(page), page_size});
    }
    const ssize_t bytes = ::process_vm_readv(tid_, local.data(), count, remote.data(), count, 0);
    const size_t whole = bytes < 0 ? 0 : static_cast<size_t>(bytes) / page_size;
    for (size_t i = 0; i < whole; i++) {
      pages_.insert_or_assign(pages[i], std::move(got[i]));
    }
    // The one after the last is what stopped it.
    pages = pages.subspan(whole < count ? whole + 1 : whole);
  }
}

void AddressSpace::prefetch(std::span<const uint64_t> addresses) {
  std::vector<uint64_t> wanted;
  for (const uint64_t address : addresses) {
    const UserMapping* mapping = find(address);
    if (mapping == nullptr || !mapping->readable || !mapping->local) {
      continue;
    }
    for (uint64_t page = address & ~(page_size - 1);
         page < mapping->end && page < (address & ~(page_size - 1)) + pages_ahead * page_size;
         page += page_size) {
      if (!pages_.contains(page)) {
        wanted.push_back(page);
      }
    }
  }
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  fetch(wanted);
}

void AddressSpace::lay_over(uint64_t address, std::span<const char> bytes) {
  const UserMapping* mapping = bytes.empty() ? nullptr : find(address);
  over_begin_ = mapping != nullptr ? mapping->start : 0;
  over_end_ = mapping != nullptr ? mapping->end : 0;
  over_address_ = address;
  over_ = bytes;
}

bool AddressSpace::read(uint64_t address, void* to, size_t size) {
  if (over_begin_ <= address && address < over_end_) {
    const uint64_t from = address - over_address_;
    if (address < over_address_ || from > over_.size() || size > over_.size() - from) {
      return false;
    }
    std::memcpy(to, over_.data() + from, size);
    return true;
  }
  while (size > 0) {
    const uint64_t start = address & ~(page_size - 1);
    auto found = pages_.find(start);
    if (found == pages_.end()) {
      prefetch(std::span(&address, 1));
      found = pages_.find(start);
      if (found == pages_.end()) {
        return false;
      }
    }
    const size_t part = std::min<size_t>(size, page_size - (address - start));
    std::memcpy(to, found->second->bytes + (address - start), part);
    to = static_cast<char*>(to) + part;
    address += part;
    size -= part;
  }
  return true;
}

bool AddressSpace::is_local_path(std::string_view path) const {
  // Each file system that the path crosses has to be local: a dead server hangs who walks over it.
  bool any = false;
  for (const MountedAt& mount : mounts_) {
    const bool below = mount.point == "/" ||
                       (path.starts_with(mount.point) &&
                        (path.size() == mount.point.size() || path[mount.point.size()] == '/'));
    if (below && !mount.local) {
      return false;
    }
    any |= below;
  }
  return any;
}

Fd AddressSpace::open_regular(const std::string& path, uint64_t inode) const {
  // Opening a device or a FIFO would do something, so it is looked at first.
  const Fd look(::openat(proc_->descriptor(), path.c_str(), O_PATH | O_CLOEXEC));
  struct stat status {};
  if (!look || ::fstat(look.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
      (inode != 0 && status.st_ino != inode)) {
    return Fd();
  }
  return Fd(::openat(proc_->descriptor(), fmt::format("self/fd/{}", look.get()).c_str(),
                     O_RDONLY | O_CLOEXEC));
}

Fd AddressSpace::open_path(const std::string& path) const {
  return live_ && path.starts_with('/') && is_local_path(path)
             ? open_regular(fmt::format("{}/root{}", tid_, path), 0)
             : Fd();
}

Fd AddressSpace::open_file(const UserModule& module) const {
  const UserMapping& mapping = mappings_[module.first];
  if (!live_ || !mapping.local || mapping.inode == 0) {
    return Fd();
  }
  // The mapped file itself, whatever has become of its name; needs CAP_CHECKPOINT_RESTORE.
  Fd file = open_regular(fmt::format("{}/map_files/{:x}-{:x}", tid_, mapping.start, mapping.end),
                         mapping.inode);
  if (!file && mapping.path.starts_with('/') && is_local_path(mapping.path)) {
    file = open_regular(fmt::format("{}/root{}", tid_, mapping.path), mapping.inode);
  }
  return file;
}

std::vector<char> AddressSpace::image(const UserModule& module) {
  std::vector<char> bytes;
  for (size_t i = module.first; live_ && i <= module.last; i++) {
    const UserMapping& mapping = mappings_[i];
    const uint64_t size = mapping.end - mapping.start;
    if (mapping.inode != mappings_[module.first].inode) {
      continue;
    }
    if (!mapping.local || mapping.offset > largest_image || size > largest_image) {
      return {};
    }
    if (bytes.size() < mapping.offset + size) {
      bytes.resize(mapping.offset + size);
    }
    if (mapping.readable) {
      const iovec local{bytes.data() + mapping.offset, size};
      const iovec remote{reinterpret_cast<void*>(mapping.start), size};
      ::process_vm_readv(tid_, &local, 1, &remote, 1, 0);  // what is missing stays zero
    }
  }
  if (bytes.size() < EI_NIDENT || std::memcmp(bytes.data(), ELFMAG, SELFMAG) != 0) {
    return {};
  }
  const uint64_t base = mappings_[module.first].start;
  if (bytes[EI_CLASS] == ELFCLASS64) {
    mend_image<Elf64_Ehdr, Elf64_Phdr, Elf64_Dyn>(bytes, base);
  } else {
    mend_image<Elf32_Ehdr, Elf32_Phdr, Elf32_Dyn>(bytes, base);
  }
  return bytes;
}

}  // namespace ipcscope
