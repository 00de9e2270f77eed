// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/semaphore_note.h"

#include <fmt/format.h>

#include <iterator>
#include <optional>
#include <unordered_map>

#include "analysis/wait_words.h"
#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

/// A number of one semaphore in the set's attribute, which is an array of objects that begin with
/// their index. Nothing when it is null.
std::optional<int64_t> number_of(std::string_view json, unsigned index, std::string_view key) {
  const size_t begin = json.find(fmt::format("{{\"index\":{},", index));
  if (begin == std::string_view::npos) {
    return std::nullopt;
  }
  std::string_view object = json.substr(begin, json.find('}', begin) - begin);
  const std::string label = fmt::format("\"{}\":", key);
  const size_t at = object.find(label);
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  object.remove_prefix(at + label.size());
  return parse_number<int64_t>(object.substr(0, object.find(',')));
}

std::optional<SemaphoreOperation> awaited(std::string_view json,
                                          std::span<const SemaphoreOperation> operations) {
  if (operations.size() == 1) {
    return operations.front();
  }
  std::unordered_map<uint16_t, int64_t> values;
  for (const SemaphoreOperation& each : operations) {
    if (!values.contains(each.semaphore)) {
      const auto value = number_of(json, each.semaphore, "value");
      if (!value) {
        return std::nullopt;
      }
      values.emplace(each.semaphore, *value);
    }
    int64_t& value = values[each.semaphore];
    if (each.change == 0 ? value != 0 : value + each.change < 0) {
      return each;
    }
    value += each.change;
  }
  return std::nullopt;  // they have changed meanwhile
}

}  // namespace

std::string semaphore_note(const Snapshot& snapshot, const Channel& set,
                           std::span<const SemaphoreOperation> operations) {
  const Attribute* attribute = snapshot.attribute(set, "semaphores");
  const std::string_view json = attribute != nullptr && attribute->type == Attribute::Type::json
                                    ? attribute->string()
                                    : std::string_view();
  const std::optional<SemaphoreOperation> operation = awaited(json, operations);
  if (!operation) {
    return {};
  }
  const auto value = number_of(json, operation->semaphore, "value");
  const std::string which =
      value ? fmt::format("semaphore {} (value {})", operation->semaphore, *value)
            : fmt::format("semaphore {}", operation->semaphore);
  std::string note = operation->change == 0
                         ? "wait for zero of " + which
                         : fmt::format("lower {} by {}", which, -operation->change);
  // 0: nobody yet, or somebody of another PID namespace.
  if (const auto pid = number_of(json, operation->semaphore, "pid"); pid && *pid > 0) {
    const Process* process = snapshot.process(static_cast<int>(*pid));
    fmt::format_to(std::back_inserter(note), "; last operated on by {}",
                   process != nullptr
                       ? process_label(*process)
                       : fmt::format("process {}, which has ended or is hidden", *pid));
  }
  return note;
}

}  // namespace ipcscope
