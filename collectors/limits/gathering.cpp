// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/limits/gathering.h"

#include <algorithm>

#include "collectors/base/parse.h"

namespace ipcscope {

std::vector<uint64_t> numbers_of(std::string_view text) {
  std::vector<uint64_t> numbers;
  while (const auto number = next_number<uint64_t>(text)) {
    numbers.push_back(*number);
  }
  return numbers;
}

std::vector<uint64_t> read_setting(const ProcRoot& proc, const char* path) {
  std::string text;
  const Result<void> done = proc.read(path, text);
  return done ? numbers_of(text) : std::vector<uint64_t>();
}

std::vector<LimitUser> LimitTally::largest() const {
  constexpr size_t enough = 5;
  std::vector<LimitUser> users;
  for (const auto& [index, used] : by_process_) {
    const Process& process = gathering_.snapshot.processes[index];
    users.push_back({process.pid, process.uid, "", used});
  }
  for (const auto& [uid, used] : by_user_) {
    users.push_back({0, uid, "", used});
  }
  const size_t count = std::min(enough, users.size());
  std::partial_sort(
      users.begin(), users.begin() + static_cast<std::ptrdiff_t>(count), users.end(),
      [](const LimitUser& a, const LimitUser& b) {
        return a.used != b.used ? a.used > b.used : a.pid != b.pid ? a.pid < b.pid : a.uid < b.uid;
      });
  users.resize(count);
  for (LimitUser& user : users) {
    if (const Process* process = user.pid != 0 ? gathering_.snapshot.process(user.pid) : nullptr) {
      user.comm = process->command();
    }
  }
  return users;
}

const Attribute* AttributeFinder::find(const Snapshot& snapshot, const Channel& channel) {
  const auto attributes = snapshot.attributes_of(channel);
  if (at_ < attributes.size() && attributes[at_].key == key_) {
    return &attributes[at_];
  }
  for (size_t i = 0; i < attributes.size(); i++) {
    if (attributes[i].key == key_) {
      at_ = i;
      return &attributes[i];
    }
  }
  return nullptr;
}

std::optional<uint64_t> AttributeFinder::number(const Snapshot& snapshot, const Channel& channel) {
  const Attribute* found = find(snapshot, channel);
  if (found == nullptr || found->type != Attribute::Type::natural) {
    return std::nullopt;
  }
  return found->natural;
}

std::string_view AttributeFinder::text(const Snapshot& snapshot, const Channel& channel) {
  const Attribute* found = find(snapshot, channel);
  return found != nullptr && found->type == Attribute::Type::text ? found->string()
                                                                  : std::string_view();
}

ProcessIndex first_process(const Snapshot& snapshot, const Channel& channel) {
  for (const Endpoint& end : snapshot.endpoints_of(channel)) {
    if (end.process != no_index) {
      return end.process;
    }
  }
  return no_index;
}

}  // namespace ipcscope
