// SPDX-License-Identifier: GPL-2.0-or-later
// Software that parks objects on purpose.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/leak_judge.h"
#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

/// PostgreSQL takes the keys of its sets from those that follow its segment's (its
/// src/backend/port/sysv_sema.c, PGReserveSemaphores), one for each 16 connections.
constexpr uint32_t most_sets = 4096;

std::optional<uint32_t> key_of(const Judge& judge, const Channel& channel) {
  std::string_view text = judge.text(channel, "key");
  text.remove_prefix(std::min<size_t>(text.size(), 2));  // "0x"
  const auto key = parse_number<uint32_t>(text, 16);
  return key && *key != 0 ? key : std::nullopt;
}

int32_t id_of(const Channel& channel) {
  std::string_view id = channel.id;
  id.remove_prefix(std::min(id.size(), id.find(':') + 1));
  return parse_number<int32_t>(id.substr(0, id.find('@'))).value_or(-1);
}

bool is(const Instance& instance, std::string_view software) {
  return std::string_view(instance.software) == software;
}

/// The instance itself says that this is its object.
bool is_named(const Judge& judge, const Channel& channel, const Instance& instance) {
  const auto key = key_of(judge, channel);
  if (channel.kind == Kind::shm && channel.name_space == 0 && instance.shm_id &&
      *instance.shm_id == id_of(channel)) {
    return true;
  }
  if (!key || !instance.key) {
    return false;
  }
  const bool follows = is(instance, "PostgreSQL") && channel.kind == Kind::sem &&
                       *key > *instance.key && *key - *instance.key <= most_sets;
  return *key == *instance.key || follows;
}

/// The instance lives, and the object looks like one that it makes: of its user, since it started.
/// Then some other program's leftover may be called a suspect; the reverse would be worse.
bool resembles(const Judge& judge, const Channel& channel, const Instance& instance) {
  const Process* main = judge.snapshot().process(instance.pid);
  if (main == nullptr || !instance.alive.value_or(true)) {
    return false;
  }
  const auto creator = judge.number(channel, "cuid");
  const std::optional<uint32_t> owner = channel.uid;
  const bool by_user =
      (creator && static_cast<uint32_t>(*creator) == main->uid) || (owner && *owner == main->uid);
  if (is(instance, "Apache httpd")) {
    // Its main process makes private sets as root, before or after it gives them to its user.
    const auto changed = judge.number(channel, "change_time");
    const int64_t boot_ns = judge.snapshot().time_ns - judge.snapshot().boot_ns;
    constexpr int64_t tolerance_s = 2;
    const int64_t started =
        (boot_ns + static_cast<int64_t>(main->start_ns)) / 1'000'000'000 - tolerance_s;
    return channel.kind == Kind::sem && by_user && !key_of(judge, channel) &&
           (!changed || *changed >= started);
  }
  // PostgreSQL names what it has. Every program of root would resemble one that runs as root.
  return by_user && main->uid != 0 && !is(instance, "PostgreSQL");
}

}  // namespace

void judge_owner(const Judge& judge, const Channel& channel, Leak& leak) {
  const Instance* like = nullptr;
  for (const Instance& instance : judge.leftovers().instances) {
    if (is_named(judge, channel, instance)) {
      const std::string who = fmt::format("{} in {}", instance.software, instance.name);
      if (!instance.alive) {
        leak.add("instance", fmt::format("belongs to {}, which may run", who), Verdict::suspect);
      } else {
        leak.add(
            "instance",
            fmt::format("belongs to {}, which {}", who, *instance.alive ? "runs" : "has ended"),
            *instance.alive ? Verdict::live : Verdict::leaked);
      }
      return;
    }
    if (like == nullptr && resembles(judge, channel, instance)) {
      like = &instance;
    }
  }
  if (like != nullptr) {
    leak.add("instance",
             fmt::format("may belong to {} in {}, which runs", like->software, like->name),
             Verdict::suspect);
  }
}

}  // namespace ipcscope
