// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "analysis/release_graph.h"
#include "collectors/model/snapshot.h"

namespace ipcscope {

/// What a chain of waits ends at. none: the thread or wait depends on its releasers alone.
enum class Root : uint8_t {
  none,
  running,        ///< on a CPU or ready for one, or a thread of the kernel
  timer,          ///< sleeps for a time, or waits with a limit
  client,         ///< waits for anybody who may come: a connection, a message, a FIFO's other side
  remote,         ///< the other end is not on this host
  stopped,        ///< by a signal, a debugger or the freezer
  signal,         ///< waits for a signal on purpose
  terminal,       ///< for somebody to type
  device,         ///< in the kernel: a disk, a network file system, a driver
  unknown_owner,  ///< what it waits for has an owner that cannot be told
  unreadable,     ///< what it waits for could not be seen
  nobody,         ///< nobody is left that could release it
  deadlock,       ///< only threads that wait for each other could
};
/// The word of JSON: "unknown-owner", ...
std::string_view root_name(Root root);

/// What the graph is told beyond the snapshot.
struct WaitFacts {
  std::unordered_set<ProcessIndex> frozen = {};  ///< by the cgroup freezer
  /// Processes that catch signals: a handler may write to their own pipe or post their semaphore.
  std::unordered_set<ProcessIndex> catches = {};
  /// TCP connections within the host whose other end is gone without a word.
  std::unordered_set<ChannelIndex> lost_peers = {};
};

/// Who waits for whom, as THE WAIT-FOR GRAPH in ipcscope-findings(7) says. Linear in threads, waits
/// and endpoints. Threads and waits of the snapshot are nodes; so are sets: the threads of a
/// process, the processes at one end of a channel.
class WaitGraph {
 public:
  /// snapshot must have been taken with Request::relations, and must outlive this.
  WaitGraph(const Snapshot& snapshot, WaitFacts facts);

  /// One step of a chain: a thread, and the wait that leads on (no_index: it waits for nobody).
  struct Step {
    ThreadIndex thread = no_index;
    uint32_t wait = no_index;  ///< into Snapshot::waits
  };
  struct Chain {
    std::vector<Step> steps;
    Root root = Root::none;
    size_t knot_begin = 0;  ///< of a deadlock: the step that the last one waits for
  };
  /// From a thread by the shortest way to what moves by itself, or into a deadlock.
  [[nodiscard]] Chain chain(ThreadIndex thread) const;

  /// Why a thread or a wait can end without any thread of this graph; none where it cannot.
  [[nodiscard]] Root thread_root(ThreadIndex thread) const { return thread_roots_[thread]; }
  [[nodiscard]] Root wait_root(uint32_t wait) const { return wait_roots_[wait]; }
  /// Whether anything could release it, in any number of steps.
  [[nodiscard]] bool is_live(ThreadIndex thread) const { return graph_.is_live(thread); }
  /// Whether anything could that is neither stopped nor stuck in the kernel.
  [[nodiscard]] bool is_moving(ThreadIndex thread) const { return graph_.is_moving(thread); }

  /// Threads that can only be released from within their set, and not a smaller part of it.
  struct Deadlock {
    std::vector<ThreadIndex> threads;  ///< all of the set
    std::vector<Step> cycle;           ///< one way round
  };
  [[nodiscard]] std::vector<Deadlock> deadlocks() const;

  /// The threads that could end a wait, each once, at most limit; not the waiting thread itself.
  [[nodiscard]] std::vector<ThreadIndex> releasers(uint32_t wait, size_t limit) const;

 private:
  using Node = ReleaseGraph::Node;
  enum class Side : uint8_t { readers, writers, listeners, owners, masters, slaves, others, all };
  /// Who looks at a channel: with poll and epoll that is not one wait alone.
  struct View {
    ProcessIndex process = no_index;
    std::string_view operation;
    uint32_t inode = 0;
    std::optional<bool> to_write;
  };

  [[nodiscard]] Node wait_node(uint32_t wait) const {
    return static_cast<Node>(snapshot_.threads.size() + wait);
  }
  Node process_node(ProcessIndex process);
  Node children_node(ProcessIndex parent, bool same_memory);
  Node space_node(ProcessIndex process);
  Node side_node(ChannelIndex channel, Side side, uint32_t except = 0);
  Node epoll_node(ChannelIndex epoll, ProcessIndex process);

  void live(Node node, Root root);
  void stalled(Node node, Root root);
  void set_root(Node node, Root root);
  void add_thread(ThreadIndex thread);
  void add_wait(uint32_t wait);
  void add_target(Node node, const Wait& wait);
  void add_channel(Node node, ChannelIndex channel, const View& view);
  void add_pipe(Node node, ChannelIndex channel, const View& view);
  void add_socket(Node node, ChannelIndex channel, const View& view);
  void add_futex(Node node, ChannelIndex channel, const View& view);
  void add_shared(Node node, ChannelIndex channel, const View& view);
  void add_terminal(Node node, ChannelIndex channel, const View& view);
  [[nodiscard]] std::string_view text(ChannelIndex channel, std::string_view key) const;
  [[nodiscard]] Root end_of(Node node) const;
  [[nodiscard]] bool hides_owner(uint32_t wait) const;

  const Snapshot& snapshot_;
  WaitFacts facts_;
  ReleaseGraph graph_;
  std::vector<Root> thread_roots_, wait_roots_;
  std::unordered_map<Node, Root> set_roots_;  ///< of the other nodes that are live by themselves
  std::vector<Node> process_nodes_;
  std::map<std::pair<ProcessIndex, bool>, Node> children_nodes_;
  std::unordered_map<uint64_t, Node> space_nodes_;
  std::map<std::tuple<ChannelIndex, Side, uint32_t>, Node> side_nodes_;
  std::unordered_map<ChannelIndex, Node> epoll_nodes_;
  std::unordered_map<uint64_t, std::vector<ProcessIndex>> by_space_;
  std::unordered_map<int32_t, std::vector<ProcessIndex>> by_parent_;
};

}  // namespace ipcscope
