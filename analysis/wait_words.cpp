// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/wait_words.h"

#include <fmt/format.h>
#include <sys/syscall.h>

#include <algorithm>
#include <iterator>
#include <span>

#include "collectors/model/duration.h"

namespace ipcscope {

namespace {

/// The argument that is a number of bytes, where the system call has one.
std::optional<uint64_t> byte_count(const Thread& thread) {
  switch (thread.syscall) {
    case SYS_read:
    case SYS_write:
    case SYS_sendto:
    case SYS_recvfrom:
    case SYS_msgsnd:
    case SYS_msgrcv:
    case SYS_mq_timedsend:
      return thread.args[2];
    case SYS_sendfile:
      return thread.args[3];
    case SYS_splice:
      return thread.args[4];
    default:
      return std::nullopt;
  }
}

constexpr std::string_view senders[] = {"write", "send",     "sendfile", "splice",
                                        "tee",   "vmsplice", "msgsnd",   "mq_send"};
constexpr std::string_view receivers[] = {"read", "recv", "msgrcv", "mq_receive"};

bool is_among(std::string_view word, std::span<const std::string_view> list) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

std::string_view text_of(const Snapshot& snapshot, const Channel& channel, std::string_view key) {
  const Attribute* attribute = snapshot.attribute(channel, key);
  return attribute != nullptr && attribute->type == Attribute::Type::text ? attribute->string()
                                                                          : std::string_view();
}

bool is_lock(Kind kind) {
  return kind == Kind::flock || kind == Kind::fcntl || kind == Kind::ofd || kind == Kind::lease;
}

bool has_holder(const Snapshot& snapshot, const Channel& channel) {
  return is_lock(channel.kind) ||
         (channel.kind == Kind::futex && text_of(snapshot, channel, "ownership") == "holder");
}

/// How full it is: " (65536 of 65536 B)".
void append_amount(std::string& out, const Channel& channel) {
  const auto to = std::back_inserter(out);
  if (channel.depth_bytes && channel.capacity_bytes) {
    fmt::format_to(to, " ({} of {} B)", *channel.depth_bytes, *channel.capacity_bytes);
  } else if (channel.depth_messages && channel.capacity_messages) {
    fmt::format_to(to, " ({} of {} messages)", *channel.depth_messages, *channel.capacity_messages);
  } else if (channel.depth_bytes) {
    fmt::format_to(to, " ({} B queued)", *channel.depth_bytes);
  } else if (channel.depth_messages) {
    fmt::format_to(to, " ({} messages queued)", *channel.depth_messages);
  }
}

std::string target_text(const Snapshot& snapshot, const Wait& wait) {
  const Process* process = snapshot.process(wait.target);
  if (process != nullptr) {
    return process_label(*process);
  }
  const Thread* thread = snapshot.thread(wait.target);
  return thread != nullptr
             ? thread_label(snapshot, static_cast<ThreadIndex>(thread - snapshot.threads.data()))
             : std::to_string(wait.target);
}

/// What lies behind the far end of "tcp:A-B".
std::string remote_text(const Channel& channel) {
  const size_t dash = channel.id.rfind('-');
  if (dash == std::string_view::npos) {
    return "waiting for another host";
  }
  std::string_view address = channel.id.substr(dash + 1);
  address = address.substr(0, address.find('#'));
  return fmt::format("waiting for host {}", address);
}

std::string stopped_text(const Snapshot& snapshot, const Thread& thread) {
  if (thread.state == 't' || thread.tracer != 0) {
    const Process* tracer = snapshot.process(thread.tracer);
    return thread.tracer == 0 ? "stopped by a debugger"
                              : fmt::format("stopped by a debugger (pid {}{}{})", thread.tracer,
                                            tracer != nullptr ? ", " : "",
                                            tracer != nullptr ? tracer->command() : "");
  }
  return thread.state == 'T' ? "stopped by a signal (SIGCONT lets it go on)"
                             : "frozen with its cgroup";
}

std::string client_text(const Snapshot& snapshot, const Wait& wait) {
  if (wait.channel == no_index) {
    return "waiting for a client";
  }
  const Channel& channel = snapshot.channels[wait.channel];
  switch (channel.kind) {
    case Kind::fifo:
      return "waiting for somebody to open or use the FIFO";
    case Kind::sem:
      return "waiting for anybody who may operate on the semaphores";
    case Kind::msg:
    case Kind::mq:
      return waits_for_room(wait) ? "waiting for anybody who may receive"
                                  : "waiting for anybody who may send";
    default:
      return "waiting for a client";
  }
}

/// The daemon at the end of a chain, when the step before waits for what it passes on.
ProcessIndex last_bus(const Snapshot& snapshot, const WaitGraph::Chain& chain) {
  if (chain.steps.size() < 2) {
    return no_index;
  }
  const uint32_t wait = chain.steps[chain.steps.size() - 2].wait;
  const ProcessIndex bus =
      wait != no_index ? message_bus(snapshot, snapshot.waits[wait]) : no_index;
  return bus == snapshot.threads[chain.steps.back().thread].process ? bus : no_index;
}

/// What an idle daemon waits for is not what its caller does.
std::string bus_text(const Process& bus) {
  return fmt::format("waiting for the reply of a D-Bus service behind {}, or for a message of one",
                     process_label(bus));
}

std::string timer_text(const Thread& thread, const Wait* wait) {
  if (wait == nullptr || !wait->timeout_ns) {
    return "sleeping on a timer";
  }
  const uint64_t past = thread.blocked_ns.value_or(0);
  const uint64_t left = *wait->timeout_ns > past ? *wait->timeout_ns - past : 0;
  return fmt::format("sleeping on a timer, {} at most", duration_text(left / 1'000'000));
}

std::string unknown_owner_text(const Snapshot& snapshot, const Wait& wait) {
  const Process& process = snapshot.processes[snapshot.threads[wait.thread].process];
  const Channel& channel = snapshot.channels[wait.channel];
  if (text_of(snapshot, channel, "primitive") == "rwlock") {
    return "unknown owner: one of its readers, which are not recorded";
  }
  std::string whose = fmt::format("{} threads of {}", process.thread_count, process_label(process));
  if (text_of(snapshot, channel, "scope") == "shared") {
    const auto reaches =
        std::count_if(snapshot.reach.begin(), snapshot.reach.end(),
                      [&](const Reach& each) { return each.channel == wait.channel; });
    whose = fmt::format("{} processes that map it", reaches);
  }
  return "unknown owner: locks of Rust, Go and Java keep none in the word; one of " + whose;
}

}  // namespace

std::string process_label(const Process& process) {
  return fmt::format("{}[{}]", process.command(), process.pid);
}

std::string thread_label(const Snapshot& snapshot, ThreadIndex index) {
  const Thread& thread = snapshot.threads[index];
  const Process& process = snapshot.processes[thread.process];
  return thread.tid == process.pid
             ? fmt::format("{}[{}]", thread.command(), process.pid)
             : fmt::format("{}[{}/{}]", thread.command(), process.pid, thread.tid);
}

std::string duration_text(uint64_t milliseconds) {
  std::string text;
  append_duration(text, milliseconds);
  return text;
}

std::string since_text(const Thread& thread) {
  const Since blocked = since(thread);
  return blocked.milliseconds ? (blocked.exact ? "" : ">=") + duration_text(*blocked.milliseconds)
                              : "an unknown time";
}

std::string wait_text(const Snapshot& snapshot, const Wait& wait) {
  const Thread& thread = snapshot.threads[wait.thread];
  const std::string_view operation = wait.operation;
  std::string text(operation);
  const auto to = std::back_inserter(text);
  const bool sends = is_among(operation, senders), receives = is_among(operation, receivers);
  if (wait.channel == no_index) {
    if (wait.target != 0) {
      text += " for " + target_text(snapshot, wait);
    } else if (operation == "wait4" || operation == "waitid" || operation == "vfork") {
      text += " for any child";
    }
  } else {
    const Channel& channel = snapshot.channels[wait.channel];
    if (const auto bytes = byte_count(thread); bytes && sends && *bytes < UINT64_MAX / 2) {
      fmt::format_to(to, " {} B", *bytes);
    }
    fmt::format_to(to, " {} {}",
                   sends                           ? "to"
                   : receives                      ? "from"
                   : has_holder(snapshot, channel) ? "for"
                   : operation == "connect"        ? "to"
                                                   : "on",
                   channel.id);
    if (channel.kind == Kind::futex) {
      const std::string_view primitive = text_of(snapshot, channel, "primitive");
      if (wait.target != 0) {
        text += ": joins " + target_text(snapshot, wait);
      } else if (!primitive.empty() && primitive != "unknown") {
        fmt::format_to(to, " ({})", primitive);
      }
    } else if (sends || receives) {
      append_amount(text, channel);
    }
  }
  if (wait.timeout_ns) {
    text += ", at most " + duration_text(*wait.timeout_ns / 1'000'000);
  }
  return text;
}

ProcessIndex message_bus(const Snapshot& snapshot, const Wait& wait) {
  static constexpr std::string_view daemons[] = {"dbus-daemon", "dbus-broker"};
  const std::string_view operation = wait.operation;
  if (wait.channel == no_index || snapshot.channels[wait.channel].kind != Kind::unix_socket ||
      operation == "connect" || operation == "accept" || waits_for_room(wait)) {
    return no_index;
  }
  const ProcessIndex own = snapshot.threads[wait.thread].process;
  for (const Endpoint& endpoint : snapshot.endpoints_of(snapshot.channels[wait.channel])) {
    const bool is_far = endpoint.process != no_index && endpoint.process != own &&
                        endpoint.role != Role::listener &&
                        (wait.inode == 0 || endpoint.inode != wait.inode);
    if (is_far && is_among(snapshot.processes[endpoint.process].command(), daemons)) {
      return endpoint.process;
    }
  }
  return no_index;
}

std::string wait_note(const Snapshot& snapshot, const Wait& wait) {
  const ProcessIndex bus = message_bus(snapshot, wait);
  return bus == no_index ? std::string()
                         : fmt::format("{} passes calls on; to which service it cannot be told",
                                       process_label(snapshot.processes[bus]));
}

std::string_view releaser_role(const Snapshot& snapshot, const Wait& wait) {
  if (wait.target != 0 || wait.channel == no_index) {
    return std::string_view(wait.operation).starts_with("futex") ? "joined thread" : "child";
  }
  const Channel& channel = snapshot.channels[wait.channel];
  const std::string_view operation = wait.operation;
  switch (channel.kind) {
    case Kind::pipe:
    case Kind::fifo:
      return operation == "read" ? "writer" : is_among(operation, senders) ? "reader" : "other end";
    case Kind::unix_socket:
    case Kind::tcp:
    case Kind::udp:
      return operation == "connect" ? "listener" : "peer";
    case Kind::futex:
      return has_holder(snapshot, channel)                                 ? "holder"
             : text_of(snapshot, channel, "ownership") == "none by design" ? "could wake it"
                                                                           : "could hold it";
    case Kind::flock:
    case Kind::fcntl:
    case Kind::ofd:
    case Kind::lease:
      return "holder";
    case Kind::epoll:
      return "other end";
    case Kind::pty:
      return "other end";
    case Kind::pidfd:
      return "process";
    default:
      return "has it too";
  }
}

std::string holding_text(const Snapshot& snapshot, const Wait& wait) {
  if (wait.target != 0 || wait.channel == no_index) {
    return std::string_view(wait.operation).starts_with("futex")
               ? "is the thread that is joined"
               : fmt::format("is the child that {} waits for", thread_label(snapshot, wait.thread));
  }
  const Channel& channel = snapshot.channels[wait.channel];
  switch (channel.kind) {
    case Kind::pipe:
    case Kind::fifo:
    case Kind::unix_socket:
    case Kind::tcp:
    case Kind::udp: {
      const std::string_view role = releaser_role(snapshot, wait);
      return fmt::format("has the {} end of {}",
                         role == "writer"     ? "write"
                         : role == "reader"   ? "read"
                         : role == "listener" ? "listening"
                                              : "other",
                         channel.id);
    }
    case Kind::futex:
      return has_holder(snapshot, channel) ? fmt::format("holds {}", channel.id)
                                           : fmt::format("could wake who waits at {}", channel.id);
    case Kind::flock:
    case Kind::fcntl:
    case Kind::ofd:
    case Kind::lease:
      return fmt::format("holds {}", channel.id);
    default:
      return fmt::format("could act on {}", channel.id);
  }
}

bool waits_for_room(const Wait& wait) { return is_among(wait.operation, senders); }

bool wants_progress(const Snapshot& snapshot, const Wait& wait) {
  return wait.channel != no_index &&
         (has_holder(snapshot, snapshot.channels[wait.channel]) || waits_for_room(wait) ||
          std::string_view(wait.operation) == "connect");
}

std::string root_text(const Snapshot& snapshot, const WaitGraph::Chain& chain) {
  const WaitGraph::Step& last = chain.steps.back();
  const Thread& thread = snapshot.threads[last.thread];
  const Wait* wait = last.wait != no_index ? &snapshot.waits[last.wait] : nullptr;
  switch (chain.root) {
    case Root::none:
      return "";
    case Root::running:
      return thread.state == 'R' ? "running on CPU" : "running";
    case Root::timer:
      return timer_text(thread, wait);
    case Root::client:
      if (const ProcessIndex bus = last_bus(snapshot, chain); bus != no_index) {
        return bus_text(snapshot.processes[bus]);
      }
      return wait != nullptr ? client_text(snapshot, *wait) : "waiting for a client";
    case Root::remote:
      return wait != nullptr && wait->channel != no_index
                 ? remote_text(snapshot.channels[wait->channel])
                 : "waiting for another host";
    case Root::stopped:
      return stopped_text(snapshot, thread);
    case Root::signal:
      if (const ProcessIndex bus = last_bus(snapshot, chain); bus != no_index) {
        return bus_text(snapshot.processes[bus]);  // dbus-broker has a signalfd among its events
      }
      return "waiting for a signal";
    case Root::terminal:
      return wait != nullptr && wait->channel != no_index
                 ? fmt::format("waiting for input at {}", snapshot.channels[wait->channel].id)
                 : "waiting for input at a terminal";
    case Root::device:
      return thread.state == 'D' ? "in the kernel, uninterruptible (state D)"
                                 : "waiting for the kernel or a device";
    case Root::unknown_owner:
      return wait != nullptr && wait->channel != no_index ? unknown_owner_text(snapshot, *wait)
                                                          : "unknown owner";
    case Root::unreadable:
      return "who could release it was not seen";
    case Root::nobody:
      if (wait != nullptr && wait->channel != no_index &&
          snapshot.channels[wait->channel].kind == Kind::futex) {
        return "nobody is left: its owner has ended without letting go";
      }
      return "nobody is left that could release it";
    case Root::deadlock:
      return "deadlock";
  }
  return "";
}

}  // namespace ipcscope
