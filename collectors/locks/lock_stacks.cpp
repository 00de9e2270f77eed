// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/locks/lock_stacks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "collectors/proc/task_files.h"

namespace ipcscope {

namespace {

constexpr size_t threads_at_a_time = 8;

std::string frame_text(const Frame& frame) {
  const size_t slash = frame.object.rfind('/');
  const std::string object =
      slash == std::string::npos ? frame.object : frame.object.substr(slash + 1);
  if (frame.function.empty()) {
    return object.empty() ? fmt::format("0x{:x}", frame.address)
                          : fmt::format("{}+0x{:x}", object, frame.object_offset);
  }
  return fmt::format("{}+0x{:x} ({})", frame.function, frame.offset, object);
}

StackLimits stack_limits() {
  StackLimits limits;
  limits.time = std::chrono::milliseconds(200);
  limits.frames = LOCK_FRAMES;
  return limits;
}

template <typename T>
std::string bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

}  // namespace

LockStacks::LockStacks(const ProcRoot& proc) : proc_(proc), reader_(proc, stack_limits()) {}

/// Whether the stack was that of the wait, and not of what the thread did next.
bool LockStacks::still_waits(const lock_pending& thread) const {
  const Result<std::string> text =
      proc_.read(fmt::format("{}/task/{}/syscall", thread.pid, thread.tid));
  const auto call = text ? parse_syscall(*text) : std::nullopt;
  return call && call->number == thread.call && call->args[0] == thread.args[0];
}

void LockStacks::look(const std::vector<lock_pending>& waiting) {
  // Those that wait for a lock, and of these the ones that began last: they change the most.
  std::vector<const lock_pending*> order;
  for (const lock_pending& each : waiting) {
    const u16 purpose = each.wait.key.purpose;
    if (each.waits != 0 && (purpose == LOCK_FOR_LOCK || purpose == LOCK_FOR_ROOM)) {
      order.push_back(&each);
    }
  }
  std::sort(order.begin(), order.end(), [](const lock_pending* a, const lock_pending* b) {
    return a->wait.begin > b->wait.begin;
  });
  order.resize(std::min(order.size(), threads_at_a_time));
  StackReader reader(proc_, stack_limits());
  for (const lock_pending* each : order) {
    const auto tid = static_cast<int>(each->tid);
    const auto stacks = reader.stacks(static_cast<int>(each->pid), {&tid, 1});
    if (!stacks || stacks->front().frames.empty() || !still_waits(*each)) {
      continue;
    }
    std::vector<std::string> frames;
    std::string key = bytes_of(each->wait.key);
    for (const Frame& frame : stacks->front().frames) {
      frames.push_back(frame_text(frame));
      key += frames.back() + '\n';
    }
    Stack& stack = waiters_[key];
    stack.lock = each->wait.key;
    stack.pid = static_cast<int32_t>(each->pid);
    stack.tid = tid;
    stack.comm.assign(each->comm, ::strnlen(each->comm, sizeof each->comm));
    stack.count++;
    stack.frames = std::move(frames);
    stack.problem = stacks->front().problem;
  }
}

void LockStacks::add_waker(const waker_key& key, const std::array<uint64_t, LOCK_FRAMES>& addresses,
                           uint64_t count) {
  const auto [found, is_new] = wakers_.try_emplace(bytes_of(key));
  Stack& stack = found->second.stack;
  stack.count = count - found->second.before;
  if (!is_new) {
    return;
  }
  stack.lock = key.lock;
  stack.waker = true;
  stack.pid = static_cast<int32_t>(key.pid);
  stack.tid = static_cast<int32_t>(key.tid);
  stack.problem = "by frame pointers: functions compiled without them are missing";
  StackReader reader(proc_);
  for (const uint64_t address : addresses) {
    if (address == 0) {
      break;
    }
    const std::string name = reader.name_of_address(static_cast<int>(key.pid), address);
    stack.frames.push_back(name.empty() ? fmt::format("0x{:x}", address) : name);
  }
}

void LockStacks::add_copy(const waker_copy& copy) {
  const Result<UserStack> stack = reader_.stack_of(
      static_cast<int>(copy.key.pid), {.tid = static_cast<int>(copy.key.tid),
                                       .instruction = copy.instruction,
                                       .registers = copy.registers,
                                       .address = copy.stack,
                                       .bytes = {reinterpret_cast<const char*>(copy.copy),
                                                 std::min<size_t>(copy.bytes, COPY_MAX)}});
  if (!stack || stack->frames.empty()) {
    return;
  }
  Unwound found;
  found.problem = stack->problem;
  found.copies = 1;
  for (const Frame& frame : stack->frames) {
    found.frames.push_back(frame_text(frame));
  }
  std::vector<Unwound>& known = unwound_[bytes_of(copy.key)];
  const auto same = std::find_if(known.begin(), known.end(),
                                 [&](const Unwound& each) { return each.frames == found.frames; });
  if (same != known.end()) {
    same->copies++;
  } else {
    known.push_back(std::move(found));
  }
}

/// A waker's stack, by what its copies were: each stands for its share of the wake-ups.
void LockStacks::add_unwound(const Stack& stack, const std::vector<Unwound>& unwound,
                             std::vector<Stack>& to) {
  uint64_t copies = 0;
  for (const Unwound& each : unwound) {
    copies += each.copies;
  }
  uint64_t left = stack.count;
  for (const Unwound& each : unwound) {
    const bool is_last = &each == &unwound.back();
    const uint64_t share = is_last ? left : std::min(left, stack.count * each.copies / copies);
    left -= share;
    if (share == 0) {
      continue;
    }
    Stack& part = to.emplace_back(stack);
    part.count = share;
    // Where a copy was too short, frame pointers may have led further.
    if (each.problem.empty() || each.frames.size() >= stack.frames.size()) {
      part.frames = each.frames;
      part.problem = each.problem;
    }
  }
}

void LockStacks::forget() {
  waiters_.clear();
  for (auto& [key, waker] : wakers_) {
    waker.before += waker.stack.count;
    waker.stack.count = 0;
  }
}

std::vector<LockStacks::Stack> LockStacks::all() const {
  std::vector<Stack> all;
  for (const auto& [key, stack] : waiters_) {
    all.push_back(stack);
  }
  for (const auto& [key, waker] : wakers_) {
    if (waker.stack.count == 0) {
      continue;
    }
    if (const auto unwound = unwound_.find(key); unwound != unwound_.end()) {
      add_unwound(waker.stack, unwound->second, all);
    } else {
      all.push_back(waker.stack);
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Stack& a, const Stack& b) { return a.count > b.count; });
  return all;
}

}  // namespace ipcscope
