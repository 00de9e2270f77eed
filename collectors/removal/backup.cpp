// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/removal/backup.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

#include <ctime>

#include "collectors/removal/content.h"

namespace ipcscope {

namespace {

/// From so many files on, one call that writes out everything on the file system is cheaper.
constexpr size_t many_files = 8;

Result<void> make_directories(const std::string& path) {
  for (size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const std::string part = path.substr(0, at);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      return system_failure(part);
    }
    if (at == std::string::npos) {
      return {};
    }
  }
}

Result<void> sync_directory(const std::string& path) {
  const Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0) {
    return system_failure(path);
  }
  return {};
}

ManifestHead own_head() {
  ManifestHead head;
  utsname system{};
  ::uname(&system);
  head.host = system.nodename;
  head.kernel = system.release;
  head.time = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  head.pid = ::getpid();
  if (const auto proc = ProcRoot::open()) {
    head.boot = boot_id(*proc);
  }
  return head;
}

std::string in_mib(uint64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

}  // namespace

Result<Backup> Backup::make(const std::string& below) {
  if (Result<void> made = make_directories(below); !made) {
    return Failure(made.error());
  }
  Backup backup;
  const std::string name =
      fmt::format("{}/{:%Y%m%dT%H%M%S}-{}", below, fmt::gmtime(std::time(nullptr)), ::getpid());
  // Two calls within a second are told apart by a further number.
  backup.path_ = name;
  for (int turn = 2; ::mkdir(backup.path_.c_str(), 0700) != 0; turn++) {
    if (errno != EEXIST) {
      return system_failure(backup.path_);
    }
    backup.path_ = fmt::format("{}-{}", name, turn);
  }
  backup.directory_.reset(::open(backup.path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  Result<void> done = backup.open_manifest(O_CREAT | O_EXCL);
  if (done) {
    done = backup.note(head_line(own_head()));
  }
  if (done) {
    done = sync_directory(below);
  }
  if (!done) {
    backup.discard(manifest_name);
    ::rmdir(backup.path_.c_str());
    return failure(backup.explain(done.error()));
  }
  return backup;
}

Result<Backup> Backup::open(const std::string& path) {
  Backup backup;
  backup.path_ = path;
  backup.directory_.reset(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!backup.directory_) {
    return system_failure(path);
  }
  if (Result<void> opened = backup.open_manifest(0); !opened) {
    return Failure(opened.error());
  }
  std::string text;
  char buffer[65536];
  ssize_t got = 0;
  while ((got = ::pread(backup.file_.get(), buffer, sizeof buffer,
                        static_cast<off_t>(text.size()))) > 0) {
    text.append(buffer, static_cast<size_t>(got));
  }
  if (got < 0) {
    return system_failure(path + '/' + manifest_name);
  }
  Result<Manifest> manifest = parse_manifest(text);
  if (!manifest) {
    return failure(fmt::format("{}/{}: {}", path, manifest_name, manifest.error().text()));
  }
  backup.manifest_ = std::move(*manifest);
  // What is appended goes behind the last whole line.
  backup.end_ = backup.manifest_.whole_bytes;
  return backup;
}

Result<void> Backup::open_manifest(int flags) {
  const std::string name = path_ + '/' + manifest_name;
  file_.reset(::openat(directory_.get(), manifest_name,
                       O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | flags, 0600));
  if (!file_) {
    return system_failure(name);
  }
  if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
    return errno == EWOULDBLOCK ? Result<void>(failure(name + ": another process works on it"))
                                : Result<void>(system_failure(name));
  }
  return {};
}

Result<void> Backup::note(const std::string& line) {
  // A child that shares the file may have written more; a half line of anybody is written over.
  char buffer[4096];
  ssize_t got = 0;
  for (uint64_t at = end_;
       (got = ::pread(file_.get(), buffer, sizeof buffer, static_cast<off_t>(at))) > 0;
       at += static_cast<uint64_t>(got)) {
    const size_t last = std::string_view(buffer, static_cast<size_t>(got)).rfind('\n');
    end_ = last == std::string_view::npos ? end_ : at + last + 1;
  }
  if (got < 0 || ::ftruncate(file_.get(), static_cast<off_t>(end_)) != 0) {
    return system_failure(manifest_name);
  }
  Result<void> written = write_at(file_.get(), line, end_);
  if (!written) {
    if (::ftruncate(file_.get(), static_cast<off_t>(end_)) != 0) {
      return system_failure(manifest_name);
    }
    return written;
  }
  end_ += line.size();
  return {};
}

Result<Fd> Backup::create(const std::string& name) const {
  return open_file(name, O_RDWR | O_CREAT | O_EXCL);
}

Result<Fd> Backup::open_file(const std::string& name, int flags) const {
  Fd file(
      ::openat(directory_.get(), name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) {
    return system_failure(name);
  }
  if (!S_ISREG(status.st_mode)) {
    return failure(name + " is not a regular file");
  }
  return file;
}

void Backup::discard(const std::string& name) const {
  ::unlinkat(directory_.get(), name.c_str(), 0);
}

Result<void> Backup::require_room(uint64_t bytes) const {
  struct statvfs room {};
  if (::fstatvfs(directory_.get(), &room) != 0) {
    return system_failure(path_);
  }
  const uint64_t available = uint64_t{room.f_bavail} * room.f_frsize;
  if (bytes > available) {
    return failure(fmt::format("no room for its backup: it takes {}, {} has {} left", in_mib(bytes),
                               path_, in_mib(available)));
  }
  return {};
}

std::string Backup::explain(const Error& error) const {
  if (error.code.value() == ENOSPC || error.code.value() == EDQUOT) {
    return "no room for its backup in " + path_;
  }
  return "the backup cannot be written: " + error.text();
}

Result<void> Backup::sync(const std::vector<std::string>& names) const {
  if (names.size() >= many_files) {
    if (::syncfs(directory_.get()) != 0) {
      return system_failure("syncfs");
    }
    return {};
  }
  for (const std::string& name : names) {
    const Result<Fd> file = open_file(name, O_RDONLY);
    if (!file) {
      return Failure(file.error());
    }
    if (::fsync(file->get()) != 0) {
      return system_failure(name);
    }
  }
  if (::fsync(file_.get()) != 0 || ::fsync(directory_.get()) != 0) {
    return system_failure("fsync");
  }
  return {};
}

std::string boot_id(const ProcRoot& proc) {
  std::string text;
  if (!proc.read("sys/kernel/random/boot_id", text)) {
    return {};
  }
  return text.substr(0, text.find('\n'));
}

}  // namespace ipcscope
