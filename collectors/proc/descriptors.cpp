// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/proc/descriptors.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/stat.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstring>

#include "collectors/base/parse.h"
#include "collectors/name_spaces.h"
#include "collectors/proc/identity.h"

namespace ipcscope {

namespace {

constexpr uint32_t mqueue_magic = 0x19800202;  // ipc/mqueue.c
constexpr std::string_view deleted = " (deleted)";
constexpr unsigned pty_slave_major = 136, pty_slave_majors = 8, auxiliary_tty_major = 5;
constexpr size_t cached_inodes_max = size_t{1} << 18;

/// N of "pipe:[N]".
std::optional<uint64_t> bracketed(std::string_view text) {
  const size_t open = text.find('[');
  if (open == std::string_view::npos || !text.ends_with(']')) {
    return std::nullopt;
  }
  return parse_number<uint64_t>(text.substr(open + 1, text.size() - open - 2));
}

std::string_view last_component(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

uint64_t mixed(uint64_t look, uint64_t value) {
  return made_identity(IdentityOf::descriptor, look, value);
}

template <size_t size>
uint16_t keep_name(char (&to)[size], std::string_view name) {
  const size_t length = std::min(name.size(), size);
  std::memcpy(to, name.data(), length);
  return static_cast<uint16_t>(length);
}

/// "[eventfd]" and, as some are written, "inotify".
record_kind anonymous_kind(std::string_view what) {
  if (what.starts_with('[') && what.ends_with(']')) {
    what = what.substr(1, what.size() - 2);
  }
  static constexpr std::pair<std::string_view, record_kind> kinds[] = {
      {"eventfd", RECORD_EVENTFD},   {"eventpoll", RECORD_EPOLL}, {"signalfd", RECORD_SIGNALFD},
      {"timerfd", RECORD_TIMERFD},   {"pidfd", RECORD_PIDFD},     {"inotify", RECORD_INOTIFY},
      {"io_uring", RECORD_IO_URING},
  };
  for (const auto& [name, kind] : kinds) {
    if (name == what) {
      return kind;
    }
  }
  return RECORD_NONE;
}

}  // namespace

DescriptorContext::DescriptorContext(const ProcRoot& proc, MountTable& mount_table,
                                     LockReader& lock_reader, QueueTable& queue_table)
    : root(proc),
      mounts(mount_table),
      locks(lock_reader),
      queues(queue_table),
      live(is_live(proc)) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) == 0) {
    const Fd reader(ends[0]);
    const Fd writer(ends[1]);
    ::fstat(reader.get(), &pipe_status);
  }
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ::fstat(socket.get(), &socket_status);
  const Fd event(::eventfd(0, EFD_CLOEXEC));
  ::fstat(event.get(), &anonymous_status);
}

uint64_t DescriptorReader::private_identity(const file_record& file) const {
  return made_identity(IdentityOf::descriptor, file.head.pid, static_cast<uint64_t>(file.fd));
}

template <typename T>
size_t DescriptorReader::add(T& fact, record_kind kind, const file_record& file) {
  fact.file = file;
  fact.file.head = {static_cast<u16>(kind), static_cast<u16>(sizeof fact), file.head.pid};
  open_.push_back({file.fd, file.device, file.inode, file.file});
  return process_->files.append(fact);
}

bool DescriptorReader::add_shared(const file_record& file, record_kind kind, uint64_t look) {
  look = mixed(mixed(look, file.inode), uint64_t{kind} << 32 | file.flags);
  if (wanted_ != nullptr && !wanted_->looks.contains(look)) {
    return false;
  }
  shared_.push_back({look, file.file, static_cast<int>(file.head.pid), file.fd});
  return true;
}

bool DescriptorReader::read_info(file_record& file) {
  const auto info = parse_fdinfo(reader_.read(info_directory_, fd_name_));
  if (!info) {
    // Closed since the directory was read, which is no loss, or refused.
    unreadable_ += reader_.error() == ENOENT || reader_.error() == 0 ? 0 : 1;
    return false;
  }
  info_ = *info;
  file.flags = info_.flags;
  if (info_.inode) {
    file.inode = *info_.inode;
  }
  return true;
}

const DescriptorReader::InodeFacts& DescriptorReader::inode_facts(uint64_t identity,
                                                                  bool has_identity) {
  if (inodes_.size() > cached_inodes_max) {
    inodes_.clear();
  }
  const auto [found, is_new] = inodes_.try_emplace(identity);
  InodeFacts& facts = found->second;
  if (!is_new && has_identity) {
    return facts;
  }
  facts = {};
  struct statx status {};
  // Only for files on memory and local disks: there the link in /proc leads to the inode without
  // any request to a server or to another process.
  if (!context_.live || ::statx(fd_directory_, fd_name_, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT,
                                STATX_BASIC_STATS, &status) != 0) {
    return facts;
  }
  facts.mode = status.stx_mode;
  facts.uid = status.stx_uid;
  facts.links = status.stx_nlink;
  facts.rdev_major = status.stx_rdev_major;
  facts.rdev_minor = status.stx_rdev_minor;
  facts.bytes = status.stx_size;
  static const auto sectors_per_page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) / 512;
  facts.pages = status.stx_blocks / sectors_per_page;
  facts.inode = status.stx_ino;
  return facts;
}

void DescriptorReader::read(int process_directory, ProcProcess& process,
                            const WantedObjects* wanted) {
  process_ = &process;
  wanted_ = wanted;
  open_.clear();
  pending_.clear();
  posix_locks_.clear();
  fds_.clear();
  char path[48];
  const bool leader = process.files_from == process.pid;
  const auto open_directory = [&](const char* name) {
    if (leader) {
      std::snprintf(path, sizeof path, "%s", name);
    } else {
      std::snprintf(path, sizeof path, "task/%d/%s", process.files_from, name);
    }
    return Fd(::openat(process_directory, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  };
  const Fd links = open_directory("fd");
  const int error = links ? list_numbers(links.get(), fds_) : errno;
  const Fd infos = links ? open_directory("fdinfo") : Fd();
  // The names are shown to more users than what they refer to.
  process.readable = (error == 0 && (infos || errno == ENOENT || errno == ESRCH)) ||
                     error == ENOENT || error == ESRCH;
  if (!process.readable) {
    context_.locks.start();
    return;
  }
  process.fd_count = static_cast<uint32_t>(fds_.size());
  fd_directory_ = links.get();
  info_directory_ = infos.get();
  char target[PATH_MAX];
  for (const int fd : fds_) {
    std::snprintf(fd_name_, sizeof fd_name_, "%d", fd);
    const ssize_t length = ::readlinkat(fd_directory_, fd_name_, target, sizeof target);
    checked_++;
    if (length > 0) {
      describe(fd_name_, fd, {target, static_cast<size_t>(length)});
    } else if (errno != ENOENT) {
      unreadable_++;
    }
  }
  resolve_epolls();
  process.files.trim();
}

bool DescriptorReader::wants_link(std::string_view link) const {
  if (wanted_ == nullptr) {
    return true;
  }
  if (link.starts_with("pipe:[") || link.starts_with("socket:[")) {
    const auto inode = bracketed(link);
    return inode && wanted_->inodes.contains(*inode);
  }
  if (link.starts_with("anon_inode:")) {
    return wanted_->kinds.contains(anonymous_kind(link.substr(11)));
  }
  if (link.starts_with("pidfd:")) {
    return wanted_->kinds.contains(RECORD_PIDFD);
  }
  if (last_component(link) == "ptmx") {
    return wanted_->kinds.contains(RECORD_PTY);
  }
  return wanted_->names.contains(std::string(last_component(link)));
}

void DescriptorReader::describe(std::string_view /*name*/, int fd, std::string_view link) {
  if (!wants_link(link)) {
    return;
  }
  auto file = make_record<file_record>(RECORD_FILE, static_cast<u32>(process_->pid));
  file.fd = fd;
  file.inode = UNKNOWN_U64;
  file.mode = UNKNOWN_U32;
  file.uid = UNKNOWN_U32;
  file.file = private_identity(file);
  if (link.starts_with("pipe:[")) {
    describe_pipe(file, link);
  } else if (link.starts_with("socket:[")) {
    describe_socket(file, link);
  } else if (link.starts_with("anon_inode:")) {
    describe_anonymous(file, link.substr(11));
  } else if (link.starts_with("pidfd:")) {
    describe_anonymous(file, "pidfd");
  } else if (link.starts_with('/')) {
    describe_path(file, link);
  }
}

void DescriptorReader::describe_pipe(file_record& file, std::string_view link) {
  const auto inode = bracketed(link);
  if (!inode || !read_info(file)) {
    return;
  }
  file.inode = *inode;
  file.device = record_device(context_.pipe_status.st_dev);
  file.object = made_identity(IdentityOf::inode, file.device, file.inode);
  const InodeFacts& facts = inode_facts(file.object, true);
  file.mode = facts.mode;
  file.uid = facts.uid;
  pipe_record pipe{};
  // Only an own descriptor of the pipe could tell, and that would keep it open.
  pipe.bytes = UNKNOWN_U64;
  pipe.buffers_used = UNKNOWN_U32;
  pipe.buffers_max = UNKNOWN_U32;
  pipe.readers = UNKNOWN_U32;
  pipe.writers = UNKNOWN_U32;
  add(pipe, RECORD_PIPE, file);
}

void DescriptorReader::describe_socket(file_record& file, std::string_view link) {
  const auto inode = bracketed(link);
  if (!inode || !read_info(file)) {
    return;
  }
  file.inode = *inode;
  file.device = record_device(context_.socket_status.st_dev);
  file.mode = S_IFSOCK | 0777;  // sock_alloc() in net/descriptor.c; hardly anybody calls fchmod()
  file.object = made_identity(IdentityOf::sock, file.inode);
  file.file = file.object;  // a descriptor has one open file description
  SocketDescriptor descriptor{};
  descriptor.scm_fds = parse_scm_fds(info_.rest).value_or(UNKNOWN_U32);
  add(descriptor, RECORD_SOCKET, file);
}

void DescriptorReader::describe_anonymous(file_record& file, std::string_view what) {
  const record_kind kind = anonymous_kind(what);
  if (kind == RECORD_NONE || !read_info(file)) {
    return;
  }
  // Most share one inode (fs/anon_inodes.c); the others are of the same kind and as harmless.
  const struct stat& common = context_.anonymous_status;
  file.device = record_device(common.st_dev);
  if (info_.inode && *info_.inode == common.st_ino) {
    file.mode = common.st_mode;
    file.uid = common.st_uid;
  } else {
    const InodeFacts& facts = inode_facts(0, false);
    file.mode = facts.mode;
    file.uid = facts.uid;
    file.inode = info_.inode.value_or(facts.inode);
  }
  file.object = file.file;
  switch (kind) {
    case RECORD_EVENTFD: {
      const auto info = parse_eventfd(info_.rest);
      eventfd_record event{};
      event.count = info ? info->count : UNKNOWN_U64;
      event.id = info ? info->id.value_or(UNKNOWN_U32) : UNKNOWN_U32;
      event.semaphore = info ? info->semaphore.value_or(UNKNOWN_U32) : UNKNOWN_U32;
      event.waiters = UNKNOWN_U32;
      if (info && info->id) {
        file.file = made_identity(IdentityOf::eventfd, *info->id);
        file.object = file.file;
        if (wanted_ == nullptr || wanted_->events.contains(file.file)) {
          add(event, kind, file);
        }
      } else if (add_shared(file, kind, 0)) {
        add(event, kind, file);
      }
      break;
    }
    case RECORD_EPOLL: {
      items_.clear();
      parse_epoll(info_.rest, items_);
      epoll_record epoll{};
      epoll.items = static_cast<u32>(items_.size());
      uint64_t look = items_.size();
      for (const EpollItem& item : items_) {
        look = mixed(mixed(look, item.inode), static_cast<uint64_t>(item.fd));
      }
      if (!add_shared(file, kind, look)) {
        break;
      }
      add(epoll, kind, file);
      for (const EpollItem& item : items_) {
        auto fact = make_record<epoll_item_record>(RECORD_EPOLL_ITEM, file.head.pid);
        fact.epoll = file.file;
        fact.fd = item.fd;
        fact.events = item.events;
        pending_.push_back({process_->files.append(fact), item.device, item.inode});
      }
      break;
    }
    case RECORD_SIGNALFD: {
      signalfd_record signal{};
      signal.mask = parse_signalfd(info_.rest).value_or(UNKNOWN_U64);
      if (add_shared(file, kind, signal.mask)) {
        add(signal, kind, file);
      }
      break;
    }
    case RECORD_TIMERFD: {
      const auto info = parse_timerfd(info_.rest);
      timerfd_record timer{};
      timer.remaining_ns = info ? info->remaining_ns : UNKNOWN_U64;
      timer.interval_ns = info ? info->interval_ns : UNKNOWN_U64;
      timer.ticks = info ? info->ticks : UNKNOWN_U64;
      timer.clock = info ? info->clock : UNKNOWN_U32;
      if (add_shared(file, kind, mixed(timer.clock, timer.interval_ns))) {
        add(timer, kind, file);
      }
      break;
    }
    case RECORD_PIDFD: {
      pidfd_record process{};
      const auto target = parse_pidfd(info_.rest);
      process.target = target ? static_cast<u32>(std::max(*target, 0)) : UNKNOWN_U32;
      if (file.inode != common.st_ino && file.inode != UNKNOWN_U64) {
        file.object = made_identity(IdentityOf::inode, file.device, file.inode);  // pidfs, 6.9
      }
      add(process, kind, file);
      break;
    }
    case RECORD_INOTIFY: {
      inotify_record watch{};
      watch.watches = count_inotify(info_.rest);
      if (add_shared(file, kind, watch.watches)) {
        add(watch, kind, file);
      }
      break;
    }
    case RECORD_IO_URING: {
      const IoUringInfo info = parse_io_uring(info_.rest);
      io_uring_record ring{};
      ring.sq_entries = info.sq_entries.value_or(UNKNOWN_U32);
      ring.cq_entries = info.cq_entries.value_or(UNKNOWN_U32);
      ring.sq_pending = info.sq_pending.value_or(UNKNOWN_U32);
      ring.cq_pending = info.cq_pending.value_or(UNKNOWN_U32);
      if (add_shared(file, kind, ring.sq_entries)) {
        add(ring, kind, file);
      }
      break;
    }
    default:
      break;
  }
}

void DescriptorReader::describe_path(file_record& file, std::string_view link) {
  if (!read_info(file) || !info_.mount) {
    return;
  }
  auto mount = context_.mounts.find(*info_.mount, process_->pid, process_->mnt_ns);
  if (!mount && file.inode != UNKNOWN_U64 && link.rfind('/') == 0) {
    mount = context_.queues.find(link.substr(1), file.inode, process_->pid, process_->ipc_ns);
    if (mount) {
      context_.mounts.learn(*info_.mount, *mount);
    }
  }
  if (!mount) {
    untold_++;
    return;
  }
  file.device = mount->device;
  if (!mount->local) {
    add_locks(file, *mount);
    return;
  }
  const bool has_inode = file.inode != UNKNOWN_U64;
  const InodeFacts& facts = inode_facts(
      made_identity(IdentityOf::inode, file.device, has_inode ? file.inode : 0), has_inode);
  if (!has_inode) {
    file.inode = facts.inode;
  }
  file.object = made_identity(IdentityOf::inode, file.device, file.inode);
  file.mode = facts.mode;
  file.uid = facts.uid;
  if (wanted_ != nullptr && !S_ISCHR(facts.mode) && !wanted_->files.contains(file.object)) {
    return;  // the same name in another directory
  }
  if (facts.mode == UNKNOWN_U32) {
    add_locks(file, *mount);
  } else if (S_ISFIFO(facts.mode)) {
    pipe_record pipe{};
    pipe.bytes = UNKNOWN_U64;
    pipe.buffers_used = UNKNOWN_U32;
    pipe.buffers_max = UNKNOWN_U32;
    pipe.readers = UNKNOWN_U32;
    pipe.writers = UNKNOWN_U32;
    add(pipe, RECORD_PIPE, file);
  } else if (S_ISCHR(facts.mode)) {
    describe_pty(file, link, facts, *mount);
  } else if (S_ISREG(facts.mode) && mount->magic == mqueue_magic) {
    describe_queue(file, link);
  } else if (S_ISREG(facts.mode)) {
    add_locks(file, *mount);
    if (mount->magic == TMPFS_MAGIC || mount->magic == HUGETLBFS_MAGIC) {
      shmem_record memory{};
      std::string_view name = last_component(link);
      if (facts.links == 0 && name.ends_with(deleted)) {
        name.remove_suffix(deleted.size());
      }
      if (link.starts_with("/SYSV")) {
        file.object = made_identity(IdentityOf::sysv_shm, process_->ipc_ns, file.inode);
      }
      memory.facts.bytes = facts.bytes;
      memory.facts.pages = facts.pages;
      memory.facts.links = facts.links;
      memory.facts.seals = UNKNOWN_U32;  // F_GET_SEALS needs a descriptor of our own
      memory.facts.magic = mount->magic;
      memory.facts.name_length = keep_name(memory.facts.name, name);
      add(memory, RECORD_SHMEM, file);
    }
  }
}

void DescriptorReader::describe_queue(file_record& file, std::string_view link) {
  mq_record queue{};
  queue.messages = UNKNOWN_U64;
  queue.messages_max = UNKNOWN_U64;
  queue.message_bytes_max = UNKNOWN_U64;
  queue.bytes = UNKNOWN_U64;
  queue.notify_pid = UNKNOWN_U32;
  queue.notify_signal = UNKNOWN_U32;
  queue.waiting_senders = UNKNOWN_U32;
  queue.waiting_receivers = UNKNOWN_U32;
  queue.links = inode_facts(file.object, true).links;
  std::string_view name = last_component(link);
  if (queue.links == 0 && name.ends_with(deleted)) {
    name.remove_suffix(deleted.size());
  }
  queue.name_length = keep_name(queue.name, name);
  add(queue, RECORD_MQ, file);
}

void DescriptorReader::describe_pty(file_record& file, std::string_view link,
                                    const InodeFacts& facts, const Mount& mount) {
  pty_record pty{};
  std::optional<uint32_t> devpts;
  if (mount.magic == DEVPTS_SUPER_MAGIC) {
    devpts = mount.device;
  }
  if (facts.rdev_major >= pty_slave_major &&
      facts.rdev_major < pty_slave_major + pty_slave_majors) {
    pty.index = (facts.rdev_major - pty_slave_major) * 256 + (facts.rdev_minor & 0xff);
    if (facts.rdev_minor > 0xff) {
      pty.index = facts.rdev_minor;
    }
  } else if (facts.rdev_major == auxiliary_tty_major && facts.rdev_minor == 2) {
    const auto index = parse_tty_index(info_.rest);
    if (!index) {
      return;
    }
    pty.index = *index;
    pty.master = 1;
    if (!devpts) {
      devpts = context_.mounts.devpts(process_->pid, process_->mnt_ns);
    }
  } else {
    return;
  }
  file.object = made_identity(IdentityOf::pty, devpts.value_or(0), pty.index);
  pty.stopped = UNKNOWN_U32;
  pty.packet_mode = UNKNOWN_U32;
  pty.input_bytes = UNKNOWN_U32;
  pty.output_bytes = UNKNOWN_U32;
  (void)link;
  add(pty, RECORD_PTY, file);
}

void DescriptorReader::add_locks(const file_record& file, const Mount& mount) {
  if (file.inode == UNKNOWN_U64 || !context_.wants_locks) {
    return;
  }
  file_record opened = file;
  opened.object = made_identity(IdentityOf::inode, mount.device, file.inode);
  // Also without a lock of its own: a thread may wait for one through this descriptor. What no lock
  // is on at all is dropped in the end.
  opened.head.size = sizeof opened;
  process_->files.append(opened);
  std::string_view rest = info_.rest;
  while (!rest.empty()) {
    std::string_view line = next_line(rest);
    if (!line.starts_with("lock:")) {
      continue;
    }
    line.remove_prefix(5);
    const auto held = parse_lock_line(line);
    if (!held || held->waiting) {
      continue;
    }
    context_.locks.start();
    if (held->flavour == LOCK_POSIX) {
      // It belongs to the process, and is told of each descriptor that it has on the file.
      const bool known =
          std::any_of(posix_locks_.begin(), posix_locks_.end(), [&](const LockLine& each) {
            return each.inode == held->inode && each.device == held->device &&
                   each.start == held->start && each.end == held->end && each.type == held->type;
          });
      if (known) {
        continue;
      }
      posix_locks_.push_back(*held);
    }
    lock_record lock{};
    lock.file = opened;
    lock.file.head = {RECORD_LOCK, sizeof lock, opened.head.pid};
    lock.start = held->start;
    lock.end = held->end;
    lock.flavour = held->flavour;
    lock.type = held->type;
    lock.owner = held->pid;
    lock.waiters = UNKNOWN_U32;  // in /proc/locks
    process_->files.append(lock);
  }
}

void DescriptorReader::resolve_epolls() {
  if (pending_.empty()) {
    return;
  }
  std::sort(open_.begin(), open_.end(),
            [](const Open& left, const Open& right) { return left.fd < right.fd; });
  for (const PendingItem& pending : pending_) {
    auto& item = reinterpret_cast<epoll_item_record&>(process_->files.at(pending.at));
    const auto found = std::lower_bound(open_.begin(), open_.end(), item.fd,
                                        [](const Open& each, int fd) { return each.fd < fd; });
    // The number may have been closed and given to another file since.
    if (found != open_.end() && found->fd == item.fd &&
        (pending.inode == 0 ||
         (found->inode == pending.inode && found->device == pending.device))) {
      item.target = found->file;
    }
  }
}

}  // namespace ipcscope
