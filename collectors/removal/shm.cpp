// SPDX-License-Identifier: GPL-2.0-or-later
// System V shared memory.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <bit>
#include <cstring>
#include <vector>

#include "collectors/base/parse.h"
#include "collectors/removal/content.h"
#include "collectors/removal/family.h"
#include "collectors/removal/sysv_return.h"

namespace ipcscope {

namespace {

/// Linux include/linux/shm.h; the mode of a segment.
constexpr uint32_t destroyed = 01000;
constexpr uint32_t locked_memory = 02000;
/// Linux include/uapi/linux/shm.h.
constexpr int huge_shift = 26;

Target facts_of(const shmid_ds& status, int id) {
  Target now;
  now.type = Target::Type::shm;
  now.sysv_id = id;
  now.key = static_cast<uint32_t>(status.shm_perm.__key);
  now.uid = status.shm_perm.uid;
  now.gid = status.shm_perm.gid;
  now.cuid = status.shm_perm.cuid;
  now.cgid = status.shm_perm.cgid;
  now.mode = status.shm_perm.mode;
  now.creator = status.shm_cpid;
  now.last = status.shm_lpid;
  now.times[0] = status.shm_atime;
  now.times[1] = status.shm_dtime;
  now.times[2] = status.shm_ctime;
  now.bytes = status.shm_segsz;
  return now;
}

std::optional<shmid_ds> look(int id) {
  shmid_ds status{};
  return ::shmctl(id, IPC_STAT, &status) == 0 ? std::optional(status) : std::nullopt;
}

/// A segment in our memory.
class Attachment {
 public:
  Attachment(int id, int flags) : address_(::shmat(id, nullptr, flags)) {}
  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;
  ~Attachment() {
    if (*this) {
      ::shmdt(address_);
    }
  }
  explicit operator bool() const { return address_ != reinterpret_cast<void*>(-1); }
  [[nodiscard]] char* bytes() const { return static_cast<char*>(address_); }

 private:
  void* address_;
};

/// A number of kB in the part of /proc/self/smaps about the mapping at address.
std::optional<uint64_t> mapping_kib(const char* address, const char* field) {
  const auto proc = ProcRoot::open();
  std::string text;
  if (!proc || !proc->read("self/smaps", text)) {
    return std::nullopt;
  }
  const size_t begin = text.find(fmt::format("{:x}-", reinterpret_cast<uintptr_t>(address)));
  const size_t at = begin == std::string::npos ? begin : text.find(field, begin);
  if (at == std::string::npos) {
    return std::nullopt;
  }
  std::string_view rest = std::string_view(text).substr(at + std::strlen(field));
  return next_number<uint64_t>(rest);
}

/// The pages that hold anything; empty when that cannot be said for certain. mincore() leaves out
/// pages in swap space (Linux 6.18 mm/mincore.c, mincore_page), so nothing may be there, before and
/// after: only a fault could bring a page back, and nobody but us is attached.
std::vector<unsigned char> pages_in_memory(const char* address, uint64_t bytes, uint64_t page) {
  const auto look_once = [&] {
    std::vector<unsigned char> pages((bytes + page - 1) / page);
    if (mapping_kib(address, "\nSwap:") != 0U ||
        ::mincore(const_cast<char*>(address), bytes, pages.data()) != 0 ||
        mapping_kib(address, "\nSwap:") != 0U) {
      pages.clear();
    }
    return pages;
  };
  std::vector<unsigned char> pages = look_once();
  return pages == look_once() ? pages : std::vector<unsigned char>();
}

class ShmRemoval final : public Removal {
 public:
  explicit ShmRemoval(const Target& target) : judged_(target) {}

  Refusal check() override;
  Refusal save(Backup& backup, Saved& saved) override;
  Outcome remove() override;

 private:
  Refusal still(const shmid_ds& status, uint64_t own_attaches) const;
  Refusal copy(Backup& backup, Saved& saved);
  Result<void> copy_memory(SparseWriter& out) const;

  Target judged_;
  std::unique_ptr<Attachment> memory_;
};

Refusal ShmRemoval::still(const shmid_ds& status, uint64_t own_attaches) const {
  if ((status.shm_perm.mode & destroyed) != 0) {
    return skipped("it is marked for destruction already, and goes with its last attachment");
  }
  if (status.shm_nattch != own_attaches && !judged_.allow_used) {
    const uint64_t others = status.shm_nattch - own_attaches;
    return skipped(fmt::format("it is attached now, {} time{}", others, others == 1 ? "" : "s"));
  }
  const std::string what = difference(judged_, facts_of(status, judged_.sysv_id));
  return what.empty() ? Refusal() : skipped(what);
}

Refusal ShmRemoval::check() {
  const auto status = look(judged_.sysv_id);
  return status ? still(*status, 0) : look_failed(errno);
}

/// Attached to us, what the kernel says of the last use is about us: any use by another process is
/// one more attachment or another last process (ipc/shm.c, shm_update_lpid).
Refusal ShmRemoval::save(Backup& backup, Saved& saved) {
  const auto before = look(judged_.sysv_id);
  memory_ = std::make_unique<Attachment>(judged_.sysv_id, SHM_RDONLY);
  if (!*memory_) {
    return failed("its content cannot be read: " + std::generic_category().message(errno));
  }
  const auto status = look(judged_.sysv_id);
  if (!before || !status) {
    return look_failed(errno);
  }
  Target expected = facts_of(*before, judged_.sysv_id);
  set_facts(saved, expected);
  if (!judged_.allow_used) {
    if (Refusal changed = still(*before, 0)) {
      return changed;
    }
    expected.last = ::getpid();
    expected.times[0] = status->shm_atime;
  }
  expected.allow_used = judged_.allow_used;
  judged_ = expected;
  if (Refusal changed = still(*status, 1)) {
    return changed;
  }
  return copy(backup, saved);
}

Refusal ShmRemoval::copy(Backup& backup, Saved& saved) {
  saved.locked = (judged_.mode & locked_memory) != 0;
  saved.file_bytes = judged_.bytes;
  const Result<Fd> file = backup.create(saved.file);
  if (!file) {
    return failed(backup.explain(file.error()));
  }
  SparseWriter out(file->get());
  Result<void> done;
  // The segment as a file knows its holes, and reading them makes no pages (mm/shmem.c). Following
  // the link needs a privilege (CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN).
  const auto begin = reinterpret_cast<uintptr_t>(memory_->bytes());
  const uint64_t page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  struct statfs system {};
  Fd segment;
  // A mapping ends with a page, and pages may be huge.
  for (uint64_t unit = page; !segment && unit <= uint64_t{1} << 34; unit *= 2) {
    const uint64_t end = begin + (judged_.bytes + unit - 1) / unit * unit;
    const std::string path = fmt::format("/proc/self/map_files/{:x}-{:x}", begin, end);
    segment.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  }
  struct stat status {};
  if (segment && ::fstatfs(segment.get(), &system) == 0 && ::fstat(segment.get(), &status) == 0) {
    if (system.f_type == HUGETLBFS_MAGIC) {
      saved.page_bytes = static_cast<uint64_t>(system.f_bsize);
    }
    done = backup.require_room(static_cast<uint64_t>(status.st_blocks) * 512);
    if (!done) {
      return failed(done.error().text());
    }
    done = read_content(segment.get(), judged_.bytes,
                        [&out](uint64_t at, std::string_view bytes) { return out.add(at, bytes); });
  } else {
    const uint64_t unit = mapping_kib(memory_->bytes(), "\nKernelPageSize:").value_or(0) * 1024;
    saved.page_bytes = unit > page ? unit : 0;
    done = copy_memory(out);
  }
  if (done) {
    done = out.finish(saved.file_bytes);
  }
  if (!done) {
    return failed(backup.explain(done.error()));
  }
  saved.checksum = out.checksum();
  const Result<void> noted = backup.note(saved_line(saved));
  return noted ? Refusal() : failed(backup.explain(noted.error()));
}

Result<void> ShmRemoval::copy_memory(SparseWriter& out) const {
  const uint64_t page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const auto pages = pages_in_memory(memory_->bytes(), judged_.bytes, page);
  for (uint64_t at = 0; at < judged_.bytes; at += page) {
    if (!pages.empty() && (pages[at / page] & 1) == 0) {
      continue;
    }
    const std::string_view bytes(memory_->bytes() + at, std::min(page, judged_.bytes - at));
    if (Result<void> done = out.add(at, bytes); !done) {
      return done;
    }
  }
  return {};
}

Outcome ShmRemoval::remove() {
  const auto status = look(judged_.sysv_id);
  if (!status) {
    return look_failed(errno);
  }
  const uint64_t own = memory_ ? 1 : 0;
  if (Refusal changed = still(*status, own)) {
    return *changed;
  }
  if (::shmctl(judged_.sysv_id, IPC_RMID, nullptr) != 0) {
    return failed(std::generic_category().message(errno));
  }
  // Whoever attached it in between has it still: it lasts as long as its attachments.
  if (const auto after = look(judged_.sysv_id); after && after->shm_nattch > own) {
    return removed(
        fmt::format("its key is removed; process {} keeps it attached", after->shm_lpid));
  }
  return removed();
}

Result<void> fill(const Return& what, int file, int id) {
  const Saved& saved = what.saved;
  {
    const Attachment memory(id, 0);
    if (!memory) {
      return system_failure("it cannot be attached");
    }
    Result<void> done = read_content(
        file, saved.file_bytes, [&memory](uint64_t at, std::string_view bytes) -> Result<void> {
          for_each_run(at, bytes, [&memory](uint64_t offset, std::string_view run) {
            std::memcpy(memory.bytes() + offset, run.data(), run.size());
            return true;
          });
          return {};
        });
    if (!done) {
      return done;
    }
  }
  if (saved.locked) {
    ::shmctl(id, SHM_LOCK, nullptr);  // as far as privileges allow
  }
  shmid_ds status{};
  status.shm_perm.uid = saved.object.uid;
  status.shm_perm.gid = saved.object.gid;
  status.shm_perm.mode = static_cast<unsigned short>(saved.object.mode & 0777);
  if (::shmctl(id, IPC_SET, &status) != 0) {
    return system_failure("its owner cannot be set");
  }
  return {};
}

}  // namespace

RemovalMaker shm_removals() {
  return [](const Target& target) { return std::make_unique<ShmRemoval>(target); };
}

Restored restore_shm(const Return& what) {
  Result<Fd> file = failure("");
  int extra = 0;
  if (what.saved.page_bytes > 0) {
    extra = SHM_HUGETLB | (std::countr_zero(what.saved.page_bytes) << huge_shift);
  }
  SysvCalls calls;
  calls.next_id = "sys/kernel/shm_next_id";
  calls.look = [](int id) {
    const auto status = look(id);
    return status && (status->shm_perm.mode & destroyed) == 0 ? std::optional(facts_of(*status, id))
                                                              : std::nullopt;
  };
  calls.untouched = [](int id, const Target& now, const Attempt& attempt) {
    const auto status = look(id);
    return status && status->shm_nattch == 0 && now.creator == attempt.pid &&
           (now.last == attempt.pid || now.last == 0);
  };
  calls.get = [&](uint32_t key, int flags) {
    const bool make = (flags & IPC_CREAT) != 0;
    return ::shmget(static_cast<key_t>(key), make ? what.saved.object.bytes : 0,
                    make ? flags | extra : flags);
  };
  calls.fill = [&](int id) -> Result<void> {
    file = open_verified(what);
    return file ? fill(what, file->get(), id) : Result<void>(Failure(file.error()));
  };
  calls.remove = [](int id) { ::shmctl(id, IPC_RMID, nullptr); };
  return restore_sysv(what, calls);
}

}  // namespace ipcscope
