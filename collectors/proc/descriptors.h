// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/stat.h>

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "bpf/anon.h"
#include "bpf/filelock.h"
#include "bpf/mq.h"
#include "bpf/pipe.h"
#include "bpf/shmem.h"
#include "bpf/socket.h"
#include "collectors/base/identity_map.h"
#include "collectors/proc/fdinfo.h"
#include "collectors/proc/locks.h"
#include "collectors/proc/mounts.h"
#include "collectors/proc/queues.h"
#include "collectors/proc/tasks.h"

namespace ipcscope {

/// Stands in a process's files for a socket, until the socket tables have been read. Its kind is
/// RECORD_SOCKET, never seen outside of this folder.
struct SocketDescriptor {
  file_record file;
  u32 scm_fds;  ///< UNKNOWN_U32
  u32 reserved;
};
static_assert(sizeof(SocketDescriptor) == 64);

/// A description that other descriptors may share, to be told by kcmp(2) among those with the same
/// look. file is its identity so far.
struct SharedFile {
  uint64_t look = 0;  ///< hash of what fdinfo says that does not change by itself
  uint64_t file = 0;
  int pid = 0;
  int fd = -1;
};

/// Objects of the processes that were asked for. Anything else is passed over.
struct WantedObjects {
  std::unordered_set<uint64_t> inodes;    ///< of pipes and sockets, peers included
  std::unordered_set<uint64_t> files;     ///< made_identity(inode) of what has a path
  std::unordered_set<std::string> names;  ///< last components of their paths
  std::unordered_set<int> kinds;          ///< record kinds on anonymous inodes
  std::unordered_set<uint64_t> looks;     ///< SharedFile::look of these
  std::unordered_set<uint64_t> events;    ///< identities of eventfds
};

/// Facts that all readers of descriptors share. Thread-safe.
struct DescriptorContext {
  const ProcRoot& root;
  MountTable& mounts;
  LockReader& locks;
  QueueTable& queues;
  /// The inode numbers and file systems of unnamed objects, from samples of our own.
  struct stat pipe_status {};
  struct stat socket_status {};
  struct stat anonymous_status {};
  bool wants_locks = true;
  bool live = false;  ///< the kernel's own /proc: links in it can be followed

  DescriptorContext(const ProcRoot& proc, MountTable& mount_table, LockReader& lock_reader,
                    QueueTable& queue_table);
};

/// Reads the descriptors of one process after the other. Belongs to one worker thread.
class DescriptorReader {
 public:
  explicit DescriptorReader(DescriptorContext& context) : context_(context) {}

  /// Fills process.files, process.readable and process.fd_count. wanted = nullptr: everything.
  void read(int process_directory, ProcProcess& process, const WantedObjects* wanted);

  [[nodiscard]] std::vector<SharedFile>& shared() { return shared_; }
  /// Descriptors looked at, and those that could not be described.
  [[nodiscard]] uint64_t checked() const { return checked_; }
  [[nodiscard]] uint64_t unreadable() const { return unreadable_; }
  /// Descriptors on mounts that cannot be told, so that their files were left alone.
  [[nodiscard]] uint64_t untold() const { return untold_; }

 private:
  struct InodeFacts {
    uint32_t mode = UNKNOWN_U32;
    uint32_t uid = UNKNOWN_U32;
    uint32_t links = UNKNOWN_U32;
    uint32_t rdev_major = 0, rdev_minor = 0;
    uint64_t bytes = UNKNOWN_U64;
    uint64_t pages = UNKNOWN_U64;
    uint64_t inode = UNKNOWN_U64;
  };

  void describe(std::string_view name, int fd, std::string_view link);
  void describe_pipe(file_record& file, std::string_view number);
  void describe_socket(file_record& file, std::string_view number);
  void describe_anonymous(file_record& file, std::string_view what);
  void describe_path(file_record& file, std::string_view link);
  void describe_queue(file_record& file, std::string_view link);
  void describe_pty(file_record& file, std::string_view link, const InodeFacts& facts,
                    const Mount& mount);
  void add_locks(const file_record& file, const Mount& mount);
  void resolve_epolls();
  bool wants_link(std::string_view link) const;
  /// Reads fdinfo into info_; false when it cannot be read.
  bool read_info(file_record& file);
  const InodeFacts& inode_facts(uint64_t identity, bool may_change);
  uint64_t private_identity(const file_record& file) const;
  template <typename T>
  size_t add(T& fact, record_kind kind, const file_record& file);
  /// False: passed over, because nobody asked for one that looks like this.
  bool add_shared(const file_record& file, record_kind kind, uint64_t look);

  DescriptorContext& context_;
  FileReader reader_;
  std::vector<int> fds_;
  std::unordered_map<uint64_t, InodeFacts> inodes_;
  std::vector<SharedFile> shared_;
  uint64_t checked_ = 0;
  uint64_t unreadable_ = 0;
  uint64_t untold_ = 0;

  // Of the process that is being read:
  ProcProcess* process_ = nullptr;
  const WantedObjects* wanted_ = nullptr;
  int fd_directory_ = -1;
  int info_directory_ = -1;
  char fd_name_[16] = {};
  FdInfo info_;
  struct Open {
    int fd;
    uint32_t device;
    uint64_t inode;
    uint64_t file;
  };
  struct PendingItem {
    size_t at;  ///< its record
    uint32_t device;
    uint64_t inode;
  };
  std::vector<Open> open_;
  std::vector<PendingItem> pending_;
  std::vector<LockLine> posix_locks_;
  std::vector<EpollItem> items_;
};

}  // namespace ipcscope
