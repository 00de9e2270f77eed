// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/wait_graph.h"

#include <algorithm>
#include <array>

namespace ipcscope {

namespace {

constexpr std::array<std::string_view, 13> root_names = {
    "none",     "running", "timer",         "client",     "remote", "stopped", "signal",
    "terminal", "device",  "unknown-owner", "unreadable", "nobody", "deadlock"};

bool has_ended(const Thread& thread) { return thread.state == 'Z' || thread.state == 'X'; }

/// Of the kernel: kthreadd and its children (Linux kernel/kthread.c).
bool is_kernel_thread(const Process& process) {
  return process.mm == 0 && (process.pid == 2 || process.ppid == 2);
}

bool is_true(const Attribute* attribute) {
  return attribute != nullptr && attribute->type == Attribute::Type::boolean && attribute->boolean;
}

std::optional<uint64_t> number(const Attribute* attribute) {
  if (attribute == nullptr || attribute->type != Attribute::Type::natural) {
    return std::nullopt;
  }
  return attribute->natural;
}

/// The operations that sleep without any channel, and what ends them.
struct Alone {
  std::string_view operation;
  Root root;
};
constexpr Alone alone[] = {
    {"sleep", Root::timer},
    {"restart", Root::timer},  // restart_syscall() resumes sleeps and
                               // waits with a limit only
    {"sigwait", Root::signal},
    {"poll", Root::signal},  // of nothing at all: a way to wait for
                             // signals
    {"select", Root::signal},
    {"open", Root::client},
    {"read", Root::device},
    {"write", Root::device},
    {"ioctl", Root::device},
    {"fsync", Root::device},
    {"fdatasync", Root::device},
    {"close", Root::device},
    {"copy_file_range", Root::device},
    {"sendfile", Root::device},
    {"splice", Root::device},
    {"io_getevents", Root::device},
    {"truncate", Root::device},
};

}  // namespace

std::string_view root_name(Root root) { return root_names[static_cast<size_t>(root)]; }

WaitGraph::WaitGraph(const Snapshot& snapshot, WaitFacts facts)
    : snapshot_(snapshot),
      facts_(std::move(facts)),
      thread_roots_(snapshot.threads.size(), Root::none),
      wait_roots_(snapshot.waits.size(), Root::none),
      process_nodes_(snapshot.processes.size(), ReleaseGraph::none) {
  for (size_t i = 0; i < snapshot.threads.size() + snapshot.waits.size(); i++) {
    graph_.add();
  }
  for (ProcessIndex i = 0; i < snapshot.processes.size(); i++) {
    const Process& process = snapshot.processes[i];
    by_parent_[process.ppid].push_back(i);
    if (process.mm != 0) {
      by_space_[process.mm].push_back(i);
    }
  }
  for (ThreadIndex i = 0; i < snapshot.threads.size(); i++) {
    add_thread(i);
  }
  graph_.solve();
}

void WaitGraph::live(Node node, Root root) {
  set_root(node, root);
  graph_.set_live(node);
}

/// It goes on only when somebody acts, or the device does.
void WaitGraph::stalled(Node node, Root root) {
  set_root(node, root);
  graph_.set_stalled(node);
}

void WaitGraph::set_root(Node node, Root root) {
  const size_t threads = thread_roots_.size();
  if (node < threads) {
    thread_roots_[node] = root;
  } else if (node < threads + wait_roots_.size()) {
    wait_roots_[node - threads] = root;
  } else {
    set_roots_.emplace(node, root);
  }
}

std::string_view WaitGraph::text(ChannelIndex channel, std::string_view key) const {
  const Attribute* attribute = snapshot_.attribute(snapshot_.channels[channel], key);
  return attribute != nullptr && attribute->type == Attribute::Type::text ? attribute->string()
                                                                          : std::string_view();
}

// --- sets ---------------------------------------------------------------------------------------

WaitGraph::Node WaitGraph::process_node(ProcessIndex index) {
  Node& node = process_nodes_[index];
  if (node == ReleaseGraph::none) {
    node = graph_.add();
    const Process& process = snapshot_.processes[index];
    for (uint32_t i = 0; i < process.thread_count; i++) {
      if (!has_ended(snapshot_.threads[process.first_thread + i])) {
        graph_.add_releaser(node, process.first_thread + i);
      }
    }
  }
  return node;
}

/// Any child whose end, or with same_memory whose exec, lets the parent go on.
WaitGraph::Node WaitGraph::children_node(ProcessIndex parent, bool same_memory) {
  const auto [found, is_new] = children_nodes_.try_emplace({parent, same_memory}, 0);
  if (!is_new) {
    return found->second;
  }
  const Node node = graph_.add();
  found->second = node;
  const Process& process = snapshot_.processes[parent];
  bool any = false;
  if (const auto children = by_parent_.find(process.pid); children != by_parent_.end()) {
    for (const ProcessIndex child : children->second) {
      const Process& other = snapshot_.processes[child];
      if (other.thread_count != 0 && (!same_memory || other.mm == process.mm)) {
        graph_.add_releaser(node, process_node(child));
        any = true;
      }
    }
  }
  if (!any) {
    live(node, Root::unreadable);
  }
  return node;
}

/// Every thread that has the same address space.
WaitGraph::Node WaitGraph::space_node(ProcessIndex index) {
  const uint64_t mm = snapshot_.processes[index].mm;
  if (mm == 0) {
    return process_node(index);
  }
  const auto [found, is_new] = space_nodes_.try_emplace(mm, 0);
  if (is_new) {
    const Node node = graph_.add();
    found->second = node;
    for (const ProcessIndex process : by_space_[mm]) {
      graph_.add_releaser(node, process_node(process));
    }
    return node;
  }
  return found->second;
}

/// The processes at one side of a channel. except: of a socket, the inode of the end that is not
/// meant; of owners, one more than the process that is not.
WaitGraph::Node WaitGraph::side_node(ChannelIndex index, Side side, uint32_t except) {
  const auto [found, is_new] = side_nodes_.try_emplace({index, side, except}, 0);
  if (!is_new) {
    return found->second;
  }
  const Node node = graph_.add();
  found->second = node;
  const Channel& channel = snapshot_.channels[index];
  const auto is_meant = [&](const Endpoint& endpoint) {
    switch (side) {
      case Side::readers:
        return endpoint.role == Role::reader || (endpoint.access & access_read) != 0;
      case Side::writers:
        return endpoint.role == Role::writer || (endpoint.access & access_write) != 0;
      case Side::listeners:
        return endpoint.role == Role::listener || endpoint.role == Role::reader;
      case Side::owners:
        return endpoint.role == Role::owner && endpoint.process + 1 != except;
      case Side::masters:
        return endpoint.role == Role::master;
      case Side::slaves:
        return endpoint.role == Role::slave;
      case Side::others:
        return endpoint.inode != except;
      case Side::all:
        return endpoint.role != Role::waiter;
    }
    return false;
  };
  bool any = false;
  for (const Endpoint& endpoint : snapshot_.endpoints_of(channel)) {
    if (!is_meant(endpoint)) {
      continue;
    }
    any = true;
    if (endpoint.thread != no_index) {
      graph_.add_releaser(node, endpoint.thread);
    } else if (endpoint.process != no_index) {
      graph_.add_releaser(node, process_node(endpoint.process));
    } else {
      live(node, Root::unreadable);
    }
  }
  if (!any) {  // it was not seen, or has just gone and with it the wait
    live(node, Root::unreadable);
  }
  if (side == Side::readers || side == Side::writers) {
    // An open end that nobody who was seen has: in flight, or with a process that is hidden.
    std::unordered_set<uint64_t> files;
    for (const Endpoint& endpoint : snapshot_.endpoints_of(channel)) {
      if (is_meant(endpoint)) {
        files.insert(endpoint.file != 0 ? endpoint.file : UINT64_MAX - files.size());
      }
    }
    const auto open =
        number(snapshot_.attribute(channel, side == Side::readers ? "readers" : "writers"));
    if (open.value_or(0) > files.size()) {
      live(node, Root::unreadable);
    }
  }
  return node;
}

/// Whatever makes one of the watched descriptors ready.
WaitGraph::Node WaitGraph::epoll_node(ChannelIndex epoll, ProcessIndex process) {
  const auto [found, is_new] = epoll_nodes_.try_emplace(epoll, 0);
  if (!is_new) {
    return found->second;
  }
  const Node node = graph_.add();
  found->second = node;
  const std::vector<Watched>& all = snapshot_.watched;
  auto at = std::lower_bound(all.begin(), all.end(), epoll,
                             [](const Watched& a, ChannelIndex b) { return a.epoll < b; });
  if (at == all.end() || at->epoll != epoll) {  // what it watches is not known, or comes later
    live(node, Root::unreadable);
  }
  for (; at != all.end() && at->epoll == epoll; ++at) {
    if (at->channel == no_index) {
      live(node, Root::unreadable);
    } else {
      add_channel(node, at->channel, {process, "epoll_wait", at->inode, at->to_write});
    }
  }
  return node;
}

// --- threads and waits --------------------------------------------------------------------------

void WaitGraph::add_thread(ThreadIndex index) {
  const Thread& thread = snapshot_.threads[index];
  if (has_ended(thread)) {
    return;
  }
  if (thread.state == 'T' || thread.state == 't' || facts_.frozen.contains(thread.process)) {
    stalled(index, Root::stopped);
  } else if (thread.state != 'S' && thread.state != 'D') {
    live(index, Root::running);
  } else if (is_kernel_thread(snapshot_.processes[thread.process])) {
    live(index, Root::running);
  } else if (thread.wait_count == 0) {
    if (thread.state == 'D') {
      stalled(index, Root::device);
    } else {
      live(index, thread.syscall == -2 ? Root::unreadable : Root::device);
    }
  } else {
    for (uint32_t i = 0; i < thread.wait_count; i++) {
      const uint32_t wait = thread.first_wait + i;
      graph_.add_releaser(index, wait_node(wait));
      add_wait(wait);
    }
  }
}

void WaitGraph::add_wait(uint32_t index) {
  const Wait& wait = snapshot_.waits[index];
  const Node node = wait_node(index);
  if (wait.timeout_ns) {
    live(node, Root::timer);
    return;
  }
  if (wait.channel != no_index) {
    const Kind kind = snapshot_.channels[wait.channel].kind;
    if (wait.target != 0 && (kind == Kind::futex || kind == Kind::pidfd)) {
      add_target(node, wait);
    } else {
      add_channel(node, wait.channel,
                  {snapshot_.threads[wait.thread].process, wait.operation, wait.inode, {}});
    }
    return;
  }
  const std::string_view operation = wait.operation;
  if (operation == "wait4" || operation == "waitid" || operation == "vfork") {
    add_target(node, wait);
    return;
  }
  const bool uninterruptible = snapshot_.threads[wait.thread].state == 'D';
  for (const Alone& each : alone) {
    if (each.operation == operation && (each.root != Root::device || !uninterruptible)) {
      live(node, each.root);
      return;
    }
  }
  if (uninterruptible) {
    stalled(node, Root::device);
  } else {
    live(node, Root::unreadable);
  }
}

/// A child, a thread, or any child.
void WaitGraph::add_target(Node node, const Wait& wait) {
  if (wait.target == 0) {
    graph_.add_releaser(node, children_node(snapshot_.threads[wait.thread].process,
                                            std::string_view(wait.operation) == "vfork"));
    return;
  }
  const bool is_thread = std::string_view(wait.operation).starts_with("futex");
  const Thread* thread = is_thread ? snapshot_.thread(wait.target) : nullptr;
  const Process* process = is_thread ? nullptr : snapshot_.process(wait.target);
  if (thread != nullptr) {
    graph_.add_releaser(node, static_cast<Node>(thread - snapshot_.threads.data()));
  } else if (process != nullptr) {
    graph_.add_releaser(
        node, process_node(static_cast<ProcessIndex>(process - snapshot_.processes.data())));
  } else {
    live(node, Root::unreadable);
  }
}

void WaitGraph::add_channel(Node node, ChannelIndex index, const View& view) {
  const Channel& channel = snapshot_.channels[index];
  switch (channel.kind) {
    case Kind::pipe:
    case Kind::fifo:
      add_pipe(node, index, view);
      return;
    case Kind::unix_socket:
    case Kind::tcp:
    case Kind::udp:
      add_socket(node, index, view);
      return;
    case Kind::futex:
      add_futex(node, index, view);
      return;
    case Kind::posixsem:
      graph_.add_releaser(node, side_node(index, Side::all));
      return;
    case Kind::lease:  // the kernel takes it away after /proc/sys/fs/lease-break-time seconds
      live(node, Root::timer);
      return;
    case Kind::fcntl:  // another range may be its own, which it does not wait for
      graph_.add_releaser(node, side_node(index, Side::owners, view.process + 1));
      return;
    case Kind::flock:
    case Kind::ofd:
      graph_.add_releaser(node, side_node(index, Side::owners));
      return;
    case Kind::pidfd: {
      const auto target = number(snapshot_.attribute(channel, "target"));
      const Process* process = target ? snapshot_.process(static_cast<int>(*target)) : nullptr;
      if (process == nullptr) {
        live(node, Root::unreadable);
      } else {
        graph_.add_releaser(
            node, process_node(static_cast<ProcessIndex>(process - snapshot_.processes.data())));
      }
      return;
    }
    case Kind::eventfd:
      add_shared(node, index, view);
      return;
    case Kind::timerfd:
      if (number(snapshot_.attribute(channel, "remaining_ms"))) {
        live(node, Root::timer);
      } else {
        add_shared(node, index, view);
      }
      return;
    case Kind::epoll:
      graph_.add_releaser(node, epoll_node(index, view.process));
      return;
    case Kind::pty:
      add_terminal(node, index, view);
      return;
    case Kind::signalfd:
      live(node, Root::signal);
      return;
    // Everybody with the permission may send, receive or operate.
    case Kind::sem:
    case Kind::msg:
    case Kind::mq:
    case Kind::netlink:
    case Kind::inotify:
      live(node, Root::client);
      return;
    case Kind::packet:
    case Kind::raw:
    case Kind::vsock:
      live(node, Root::remote);
      return;
    default:
      live(node, Root::device);
  }
}

void WaitGraph::add_pipe(Node node, ChannelIndex index, const View& view) {
  if (view.operation == "open") {  // of a FIFO: until its other side is opened, by anybody
    live(node, Root::client);
    return;
  }
  bool reads = view.operation == "read", writes = view.operation == "write";
  if (!reads && !writes) {  // poll, splice ...: what its ends of it are for
    for (const Endpoint& endpoint : snapshot_.endpoints_of(snapshot_.channels[index])) {
      if (endpoint.process == view.process) {
        reads |= endpoint.role == Role::reader || (endpoint.access & access_read) != 0;
        writes |= endpoint.role == Role::writer || (endpoint.access & access_write) != 0;
      }
    }
    if (view.to_write && reads && writes) {
      reads = !*view.to_write;
      writes = *view.to_write;
    }
  }
  bool by_itself = true;  // only the process itself has the other end
  for (const auto& [wanted, side] : {std::pair(reads, Side::writers), {writes, Side::readers}}) {
    if (!wanted) {
      continue;
    }
    graph_.add_releaser(node, side_node(index, side));
    for (const Endpoint& endpoint : snapshot_.endpoints_of(snapshot_.channels[index])) {
      const bool there =
          side == Side::writers
              ? endpoint.role == Role::writer || (endpoint.access & access_write) != 0
              : endpoint.role == Role::reader || (endpoint.access & access_read) != 0;
      by_itself = by_itself && (!there || endpoint.process == view.process);
    }
  }
  if (!reads && !writes) {
    live(node, Root::unreadable);
  } else if (by_itself && snapshot_.channels[index].kind == Kind::fifo) {
    live(node, Root::client);  // a server that keeps its FIFO open for whoever comes
  } else if (by_itself && reads && facts_.catches.contains(view.process)) {
    live(node, Root::signal);  // a handler writes to the process's own pipe
  }
}

void WaitGraph::add_socket(Node node, ChannelIndex index, const View& view) {
  const Channel& channel = snapshot_.channels[index];
  const Endpoint* own = nullptr;
  bool others = false;
  for (const Endpoint& endpoint : snapshot_.endpoints_of(channel)) {
    if (endpoint.process == view.process && (view.inode == 0 || endpoint.inode == view.inode)) {
      own = &endpoint;
    }
  }
  if (own == nullptr) {  // it connects, or sends to an address
    graph_.add_releaser(node, side_node(index, Side::listeners));
    return;
  }
  if (own->role == Role::listener || view.operation == "accept") {
    live(node, Root::client);
    return;
  }
  for (const Endpoint& endpoint : snapshot_.endpoints_of(channel)) {
    others = others || endpoint.inode != own->inode;
  }
  const std::string_view state = text(index, "state");
  if (!others && facts_.lost_peers.contains(index)) {
    return;  // nobody
  }
  if (!others) {
    const bool connected = !state.empty() && state != "unconnected" && state != "connecting";
    live(node, channel.kind == Kind::tcp                ? Root::remote
               : channel.kind == Kind::udp && connected ? Root::remote
               : channel.kind == Kind::unix_socket && connected &&
                       number(snapshot_.attribute(channel, "peer_inode")).value_or(0) != 0
                   ? Root::unreadable
                   : Root::client);
    return;
  }
  graph_.add_releaser(node, side_node(index, Side::others, own->inode));
  // To a datagram socket with a name anybody may send.
  if (own->role == Role::reader || (channel.kind == Kind::unix_socket && !channel.name.empty() &&
                                    text(index, "type") == "dgram" && own->role != Role::writer)) {
    live(node, Root::client);
  }
}

void WaitGraph::add_futex(Node node, ChannelIndex index, const View& view) {
  const Channel& channel = snapshot_.channels[index];
  if (is_true(snapshot_.attribute(channel, "owner_died"))) {
    return;  // nobody
  }
  if (text(index, "ownership") == "holder") {
    graph_.add_releaser(node, side_node(index, Side::owners));
    return;
  }
  // No owner by design, or one that keeps no trace in the word: whoever can reach the memory. A
  // runtime that parks its threads on such words wakes them from handlers too (Go does).
  if (text(index, "primitive") == "unknown" && facts_.catches.contains(view.process)) {
    live(node, Root::unknown_owner);
    return;
  }
  if (text(index, "scope") != "shared") {
    graph_.add_releaser(node, space_node(view.process));
    return;
  }
  const std::vector<Reach>& all = snapshot_.reach;
  auto at = std::lower_bound(all.begin(), all.end(), index,
                             [](const Reach& a, ChannelIndex b) { return a.channel < b; });
  if (at == all.end() || at->channel != index) {
    live(node, Root::unreadable);
  }
  const auto [found, is_new] = side_nodes_.try_emplace({index, Side::all, 0}, 0);
  if (is_new) {
    const Node set = graph_.add();
    found->second = set;
    for (; at != all.end() && at->channel == index; ++at) {
      if (at->process == no_index) {
        live(set, Root::unreadable);
      } else {
        graph_.add_releaser(set, process_node(at->process));
      }
    }
  }
  graph_.add_releaser(node, found->second);
}

/// A counter or timer: whoever has it open. Where that is nobody else, the kernel may have it: a
/// driver, asynchronous I/O, a virtual machine.
void WaitGraph::add_shared(Node node, ChannelIndex index, const View& view) {
  bool others = false;
  for (const Endpoint& endpoint : snapshot_.endpoints_of(snapshot_.channels[index])) {
    others = others || endpoint.process != view.process;
  }
  graph_.add_releaser(node, side_node(index, Side::all));
  if (!others && snapshot_.processes[view.process].thread_count <= 1) {
    live(node, facts_.catches.contains(view.process) ? Root::signal : Root::device);
  }
}

void WaitGraph::add_terminal(Node node, ChannelIndex index, const View& view) {
  Role role = Role::opener;
  bool masters = false;
  for (const Endpoint& endpoint : snapshot_.endpoints_of(snapshot_.channels[index])) {
    masters = masters || endpoint.role == Role::master;
    if (endpoint.process == view.process) {
      role = endpoint.role;
    }
  }
  if (role == Role::master) {
    graph_.add_releaser(node, side_node(index, Side::slaves));
  } else if (view.operation == "write" && masters &&
             !is_true(snapshot_.attribute(snapshot_.channels[index], "stopped"))) {
    graph_.add_releaser(node, side_node(index, Side::masters));
  } else {
    live(node, Root::terminal);
  }
}

// --- answers ------------------------------------------------------------------------------------

Root WaitGraph::end_of(Node node) const {
  const size_t threads = thread_roots_.size();
  if (node < threads) {
    return thread_roots_[node];
  }
  if (node < threads + wait_roots_.size()) {
    return wait_roots_[node - threads];
  }
  const auto found = set_roots_.find(node);
  return found == set_roots_.end() ? Root::none : found->second;
}

/// A lock whose holder cannot be told: who moves among those that can reach it need not be it.
bool WaitGraph::hides_owner(uint32_t wait) const {
  const ChannelIndex channel = snapshot_.waits[wait].channel;
  return channel != no_index && snapshot_.channels[channel].kind == Kind::futex &&
         snapshot_.waits[wait].target == 0 && text(channel, "ownership") == "unknown";
}

WaitGraph::Chain WaitGraph::chain(ThreadIndex thread) const {
  const size_t threads = thread_roots_.size();
  Chain chain;
  std::unordered_map<ThreadIndex, size_t> passed;
  Node node = thread;
  while (true) {
    if (node < threads) {
      const auto [before, is_new] = passed.emplace(node, chain.steps.size());
      if (!is_new) {
        chain.root = Root::deadlock;
        chain.knot_begin = before->second;
        return chain;
      }
      chain.steps.push_back({node, no_index});
    } else if (node < threads + wait_roots_.size()) {
      const auto wait = static_cast<uint32_t>(node - threads);
      chain.steps.back().wait = wait;
      if (wait_roots_[wait] == Root::none && graph_.is_live(node) && hides_owner(wait)) {
        chain.root = Root::unknown_owner;
        return chain;
      }
    }
    chain.root = end_of(node);
    if (chain.root != Root::none) {
      return chain;
    }
    node = graph_.next(node);
    if (node == ReleaseGraph::none) {
      chain.root = Root::nobody;
      return chain;
    }
  }
}

std::vector<WaitGraph::Deadlock> WaitGraph::deadlocks() const {
  const size_t threads = thread_roots_.size();
  std::vector<Deadlock> found;
  for (uint32_t index = 0; index < graph_.knots().size(); index++) {
    if (!graph_.is_final(index)) {  // its threads only wait behind others
      continue;
    }
    const std::vector<Node>& knot = graph_.knots()[index];
    Deadlock deadlock;
    for (const Node node : knot) {
      if (node < threads) {
        deadlock.threads.push_back(node);
      }
    }
    if (deadlock.threads.empty()) {
      continue;
    }
    std::sort(deadlock.threads.begin(), deadlock.threads.end());
    const Chain round = chain(deadlock.threads.front());
    deadlock.cycle.assign(round.steps.begin() + static_cast<ptrdiff_t>(round.knot_begin),
                          round.steps.end());
    found.push_back(std::move(deadlock));
  }
  return found;
}

std::vector<ThreadIndex> WaitGraph::releasers(uint32_t wait, size_t limit) const {
  const size_t threads = thread_roots_.size();
  std::vector<ThreadIndex> found;
  std::unordered_set<Node> seen;
  std::vector<Node> open = {wait_node(wait)};
  while (!open.empty() && found.size() < limit) {
    const Node node = open.back();
    open.pop_back();
    for (const Node each : graph_.releasers(node)) {
      if (!seen.insert(each).second) {
        continue;
      }
      if (each >= threads) {
        open.push_back(each);
      } else if (each != snapshot_.waits[wait].thread && found.size() < limit) {
        found.push_back(each);
      }
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace ipcscope
