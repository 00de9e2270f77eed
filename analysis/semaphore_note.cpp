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

/// A number of one semaphore: an object of the set's attribute, without its closing brace. Nothing
/// when it is null.
std::optional<int64_t> number_in(std::string_view object, std::string_view key) {
  const std::string label = fmt::format("\"{}\":", key);
  const size_t at = object.find(label);
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  object.remove_prefix(at + label.size());
  return parse_number<int64_t>(object.substr(0, object.find(',')));
}

/// The same by its index, with which its object begins.
std::optional<int64_t> number_of(std::string_view json, unsigned index, std::string_view key) {
  const size_t begin = json.find(fmt::format("{{\"index\":{},", index));
  if (begin == std::string_view::npos) {
    return std::nullopt;
  }
  return number_in(json.substr(begin, json.find('}', begin) - begin), key);
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

std::vector<AwaitedSemaphore> awaited_semaphores(std::string_view json) {
  std::vector<AwaitedSemaphore> found;
  for (size_t begin = json.find('{'); begin != std::string_view::npos;) {
    const size_t end = json.find('}', begin);
    const std::string_view object = json.substr(begin, end - begin);
    const int64_t waiters = number_in(object, "increase_waiters").value_or(0);
    const int64_t pid = number_in(object, "pid").value_or(0);
    if (waiters > 0 && pid > 0 && number_in(object, "value") == 0) {
      found.push_back({static_cast<uint16_t>(number_in(object, "index").value_or(0)), waiters,
                       static_cast<int32_t>(pid)});
    }
    begin = end == std::string_view::npos ? end : json.find('{', end);
  }
  return found;
}

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
