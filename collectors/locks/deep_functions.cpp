// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/locks/deep_functions.h"

#include <gelf.h>
#include <libelf.h>

#include <algorithm>
#include <memory>
#include <span>
#include <string_view>

#include "collectors/locks/probe_place.h"

namespace ipcscope {

namespace {

struct Known {
  std::string_view name;
  deep_sort sort;
};

constexpr Known known[] = {
    {"pthread_mutex_lock", DEEP_MUTEX_LOCK},
    {"pthread_mutex_trylock", DEEP_MUTEX_TRY},
    {"pthread_mutex_timedlock", DEEP_MUTEX_TRY},
    {"pthread_mutex_clocklock", DEEP_MUTEX_TRY},
    {"pthread_mutex_unlock", DEEP_MUTEX_UNLOCK},
    {"pthread_rwlock_rdlock", DEEP_READ_LOCK},
    {"pthread_rwlock_tryrdlock", DEEP_READ_TRY},
    {"pthread_rwlock_timedrdlock", DEEP_READ_TRY},
    {"pthread_rwlock_clockrdlock", DEEP_READ_TRY},
    {"pthread_rwlock_wrlock", DEEP_WRITE_LOCK},
    {"pthread_rwlock_trywrlock", DEEP_WRITE_TRY},
    {"pthread_rwlock_timedwrlock", DEEP_WRITE_TRY},
    {"pthread_rwlock_clockwrlock", DEEP_WRITE_TRY},
    {"pthread_rwlock_unlock", DEEP_RWLOCK_UNLOCK},
    {"pthread_cond_wait", DEEP_COND_WAIT},
    {"pthread_cond_timedwait", DEEP_COND_WAIT},
    {"pthread_cond_clockwait", DEEP_COND_WAIT},
    {"pthread_cond_signal", DEEP_COND_SIGNAL},
    {"pthread_cond_broadcast", DEEP_COND_SIGNAL},
    {"sem_wait", DEEP_SEM_WAIT},
    {"sem_trywait", DEEP_SEM_TRY},
    {"sem_timedwait", DEEP_SEM_TRY},
    {"sem_clockwait", DEEP_SEM_TRY},
    {"sem_post", DEEP_SEM_POST},
};

constexpr uint16_t hidden_version = 0x8000;  // VERSYM_HIDDEN: not the default one

struct Symbol {
  const Known* function;
  uint64_t address;
};

class Library {
 public:
  explicit Library(int file) : elf_(::elf_begin(file, ELF_C_READ_MMAP, nullptr), ::elf_end) {}

  [[nodiscard]] bool is_elf() const { return elf_ && ::elf_kind(elf_.get()) == ELF_K_ELF; }
  /// Of this sort of symbol table. only_glibc: nothing unless the table has names that only glibc's
  /// threads have.
  std::vector<Symbol> symbols(uint32_t type, bool only_glibc);
  std::vector<DeepFunction> place(const std::vector<Symbol>& symbols);

 private:
  void read_table(Elf_Scn* section, const GElf_Shdr& header, std::vector<Symbol>& found,
                  bool& glibc);
  Elf_Data* versions_of(size_t table);

  std::unique_ptr<Elf, int (*)(Elf*)> elf_;
};

Elf_Data* Library::versions_of(size_t table) {
  Elf_Scn* section = nullptr;
  while ((section = ::elf_nextscn(elf_.get(), section)) != nullptr) {
    GElf_Shdr header;
    if (::gelf_getshdr(section, &header) != nullptr && header.sh_type == SHT_GNU_versym &&
        header.sh_link == table) {
      return ::elf_getdata(section, nullptr);
    }
  }
  return nullptr;
}

void Library::read_table(Elf_Scn* section, const GElf_Shdr& header, std::vector<Symbol>& found,
                         bool& glibc) {
  Elf_Data* data = ::elf_getdata(section, nullptr);
  Elf_Data* versions = versions_of(::elf_ndxscn(section));
  const size_t count = header.sh_entsize != 0 ? header.sh_size / header.sh_entsize : 0;
  for (size_t i = 0; data != nullptr && i < count; i++) {
    GElf_Sym symbol;
    if (::gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr ||
        symbol.st_shndx == SHN_UNDEF) {
      continue;
    }
    const char* text = ::elf_strptr(elf_.get(), header.sh_link, symbol.st_name);
    const std::string_view name = text != nullptr ? text : "";
    glibc = glibc || name.starts_with("__nptl_");
    if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC) {
      continue;
    }
    GElf_Versym version = 0;
    if (versions != nullptr &&
        ::gelf_getversym(versions, static_cast<int>(i), &version) != nullptr &&
        (version & hidden_version) != 0) {
      continue;
    }
    const auto* function = std::find_if(std::begin(known), std::end(known),
                                        [&](const Known& k) { return k.name == name; });
    if (function != std::end(known)) {
      found.push_back({function, symbol.st_value});
    }
  }
}

std::vector<Symbol> Library::symbols(uint32_t type, bool only_glibc) {
  std::vector<Symbol> found;
  bool glibc = false;
  Elf_Scn* section = nullptr;
  while ((section = ::elf_nextscn(elf_.get(), section)) != nullptr) {
    GElf_Shdr header;
    if (::gelf_getshdr(section, &header) != nullptr && header.sh_type == type) {
      read_table(section, header, found, glibc);
    }
  }
  if (only_glibc && !glibc) {
    found.clear();
  }
  // One address may have several names.
  std::sort(found.begin(), found.end(),
            [](const Symbol& a, const Symbol& b) { return a.address < b.address; });
  found.erase(std::unique(found.begin(), found.end(),
                          [](const Symbol& a, const Symbol& b) { return a.address == b.address; }),
              found.end());
  return found;
}

std::vector<DeepFunction> Library::place(const std::vector<Symbol>& symbols) {
  std::vector<DeepFunction> placed;
  std::vector<uint64_t> entries;
  entries.reserve(symbols.size());
  for (const Symbol& symbol : symbols) {
    entries.push_back(symbol.address);
  }
  size_t size = 0;
  const auto* bytes = reinterpret_cast<const uint8_t*>(::elf_rawfile(elf_.get(), &size));
  size_t headers = 0;
  ::elf_getphdrnum(elf_.get(), &headers);
  for (size_t i = 0; bytes != nullptr && i < headers; i++) {
    GElf_Phdr segment;
    if (::gelf_getphdr(elf_.get(), static_cast<int>(i), &segment) == nullptr ||
        segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0 || segment.p_offset > size ||
        segment.p_filesz > size - segment.p_offset) {
      continue;
    }
    const std::span<const uint8_t> text(bytes + segment.p_offset, segment.p_filesz);
    const std::vector<uint64_t> targets = jump_targets(text, segment.p_vaddr, entries);
    for (const Symbol& symbol : symbols) {
      if (symbol.address < segment.p_vaddr || symbol.address - segment.p_vaddr >= text.size()) {
        continue;
      }
      const size_t at = symbol.address - segment.p_vaddr;
      const ProbePlace place = choose_probe_place(
          text.subspan(at), symbol.function->sort == DEEP_COND_WAIT, [&](size_t offset) {
            return std::binary_search(targets.begin(), targets.end(), symbol.address + offset);
          });
      placed.push_back({std::string(symbol.function->name), symbol.function->sort,
                        segment.p_offset + at + place.offset, place.emulated});
    }
  }
  return placed;
}

}  // namespace

Result<std::vector<DeepFunction>> find_deep_functions(int file, bool is_library) {
  ::elf_version(EV_CURRENT);
  Library library(file);
  if (!library.is_elf()) {
    return failure("not an ELF file");
  }
  return library.place(library.symbols(is_library ? SHT_DYNSYM : SHT_SYMTAB, !is_library));
}

}  // namespace ipcscope
