// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/leftovers/sysv_waiters.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <memory>
#include <unordered_map>

#include "bpf/sysv.h"
#include "collectors/base/fd.h"
#include "collectors/base/parse.h"
#include "collectors/bpf_refusal.h"
#include "collectors/kernel_layout.h"
#include "collectors/leftovers/sysv_program.h"

namespace ipcscope {

namespace {

/// Owns the loaded object.
class Loaded {
 public:
  explicit Loaded(unsigned loading) {
    const Result<kernel_layout> layout = read_kernel_layout();
    if (!layout) {
      error = layout.error().code.value();
      return;
    }
    error = -load_sysv(&program, &*layout, loading);
  }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;
  ~Loaded() {
    if (program.destroy != nullptr) {
      program.destroy(program.skeleton);
    }
  }
  sysv_program program{};
  int error = 0;
};

/// Kind, namespace and id in one number: namespaces have 32 bits, ids 31.
uint64_t object_key(uint32_t kind, uint32_t name_space, int32_t id) {
  return uint64_t{name_space} << 32 | static_cast<uint32_t>(id) << 1 | (kind & 1);
}

/// "sem:5" or "sem:5@4026532180".
std::optional<int32_t> id_of(std::string_view channel) {
  next_word(channel, ":");
  return parse_number<int32_t>(next_word(channel, ":@"));
}

}  // namespace

int take_waiters(void* context, void* data, size_t size) noexcept {
  auto& waiters = *static_cast<SysvWaiters*>(context);
  if (size >= sizeof(sysv_record)) {
    const auto& from = *static_cast<const sysv_record*>(data);
    waiters.found_.push_back({from.name_space, from.kind, from.id, from.undos, from.blocked});
  }
  return 0;
}

void SysvWaiters::collect(unsigned loading) {
  const Loaded loaded(loading);
  error_ = loaded.error;
  if (error_ != 0) {
    return;
  }
  const std::unique_ptr<ring_buffer, void (*)(ring_buffer*)> ring(
      ring_buffer__new(loaded.program.records, take_waiters, this, nullptr), ring_buffer__free);
  const Fd iterator(ring ? ::bpf_iter_create(loaded.program.link) : -1);
  if (!iterator) {
    error_ = errno;
    return;
  }
  // The program pauses with EAGAIN when the ring is full.
  char unused[64];
  while (true) {
    const ssize_t got = ::read(iterator.get(), unused, sizeof unused);
    if (got == 0) {
      break;
    }
    if (got < 0 && errno == EAGAIN) {
      ring_buffer__consume(ring.get());
    } else if (got < 0 && errno != EINTR) {
      error_ = errno;
      break;
    }
  }
  ring_buffer__consume(ring.get());
  lost_ = *loaded.program.lost;
}

void SysvWaiters::join(const Snapshot& snapshot, uint32_t own_ipc_ns, Leftovers& leftovers,
                       std::vector<Coverage>& coverage) const {
  std::unordered_map<uint64_t, const Waiters*> by_key;
  by_key.reserve(found_.size());
  for (const Waiters& each : found_) {
    by_key.insert_or_assign(object_key(each.kind, each.name_space, each.id), &each);
  }
  Coverage seen;
  seen.source = "bpf-sysv";
  for (ChannelIndex i = 0; i < snapshot.channels.size(); i++) {
    const Channel& channel = snapshot.channels[i];
    if (channel.kind != Kind::sem && channel.kind != Kind::msg) {
      continue;
    }
    const auto id = id_of(channel.id);
    const uint32_t name_space = channel.name_space == 0 ? own_ipc_ns : channel.name_space;
    const uint32_t kind = channel.kind == Kind::sem ? SYSV_SEM : SYSV_MSG;
    const auto found = id ? by_key.find(object_key(kind, name_space, *id)) : by_key.end();
    if (found == by_key.end()) {
      seen.unreadable++;
      continue;
    }
    seen.checked++;
    ObjectFacts& facts = leftovers.objects[i];
    if (found->second->undos != UNKNOWN_U32) {
      facts.undos = found->second->undos;
    }
    if (found->second->blocked != UNKNOWN_U32) {
      facts.blocked = found->second->blocked;
    }
  }
  seen.lost = lost_;
  if (error_ != 0) {
    seen.state = Coverage::State::unavailable;
    const Error error{std::error_code(error_, std::generic_category()),
                      "undo structures of semaphore sets are not known"};
    seen.reason = error.text();
    seen.hint = advice_after(error);
  } else if (seen.unreadable > 0 || lost_ > 0) {
    seen.state = Coverage::State::partial;
    seen.reason = "System V objects that ended, or whose namespace no process lives in";
  }
  coverage.push_back(std::move(seen));
}

}  // namespace ipcscope
