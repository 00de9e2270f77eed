// SPDX-License-Identifier: GPL-2.0-or-later
// The least that any reader of /proc has to do: read every descriptor's link of every process. No
// tool that finds the descriptors through /proc can be faster than this. With --threads [PID] the
// same for who is blocked in what: the files syscall, wchan and stack of every thread.
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cctype>
#include <climits>
#include <cstdio>
#include <string>

namespace {

struct Counts {
  unsigned long processes = 0;
  unsigned long descriptors = 0;
  unsigned long bytes = 0;
  unsigned long unreadable = 0;
};

void walk_process(int proc, const char* pid, Counts& counts) {
  const std::string path = std::string(pid) + "/fd";
  const int fd = openat(proc, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    ++counts.unreadable;
    return;
  }
  DIR* dir = fdopendir(fd);
  if (dir == nullptr) {
    close(fd);
    ++counts.unreadable;
    return;
  }
  ++counts.processes;
  char target[PATH_MAX];
  while (const dirent* entry = readdir(dir)) {
    if (entry->d_name[0] == '.') continue;
    const ssize_t length = readlinkat(fd, entry->d_name, target, sizeof target);
    if (length < 0) continue;  // closed in between
    ++counts.descriptors;
    counts.bytes += static_cast<unsigned long>(length);
  }
  closedir(dir);
}

unsigned long read_file(int directory, const std::string& path) {
  const int fd = openat(directory, path.c_str(), O_RDONLY | O_CLOEXEC);
  char bytes[8192];
  const ssize_t size = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
  if (fd >= 0) close(fd);
  return size < 0 ? 0 : static_cast<unsigned long>(size);
}

/// Returns the number of threads.
unsigned long walk_threads(int proc, const std::string& pid, unsigned long& bytes) {
  const std::string path = pid + "/task";
  const int fd = openat(proc, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* dir = fd < 0 ? nullptr : fdopendir(fd);
  if (dir == nullptr) {
    if (fd >= 0) close(fd);
    return 0;
  }
  unsigned long threads = 0;
  while (const dirent* entry = readdir(dir)) {
    if (entry->d_name[0] == '.') continue;
    ++threads;
    for (const char* name : {"/syscall", "/wchan", "/stack"}) {
      bytes += read_file(fd, entry->d_name + std::string(name));
    }
  }
  closedir(dir);
  return threads;
}

int walk_all_threads(DIR* proc, const char* pid) {
  unsigned long threads = 0;
  unsigned long bytes = 0;
  if (pid != nullptr) {
    threads = walk_threads(dirfd(proc), pid, bytes);
  } else {
    while (const dirent* entry = readdir(proc)) {
      if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) == 0) continue;
      threads += walk_threads(dirfd(proc), entry->d_name, bytes);
    }
  }
  std::printf("%lu threads, %lu bytes of syscall, wchan and stack\n", threads, bytes);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  DIR* proc = opendir("/proc");
  if (proc == nullptr) {
    std::perror("/proc");
    return 1;
  }
  if (argc > 1 && std::string(argv[1]) == "--threads") {
    const int status = walk_all_threads(proc, argc > 2 ? argv[2] : nullptr);
    closedir(proc);
    return status;
  }
  Counts counts;
  while (const dirent* entry = readdir(proc)) {
    if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) == 0) continue;
    walk_process(dirfd(proc), entry->d_name, counts);
  }
  closedir(proc);
  std::printf("%lu processes, %lu descriptors, %lu bytes of links, %lu unreadable\n",
              counts.processes, counts.descriptors, counts.bytes, counts.unreadable);
  return 0;
}
