// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/kinds.h"

#include <fmt/format.h>

#include <vector>

#include "cli/render/escape.h"
#include "cli/suggest.h"

namespace ipcscope {

Result<Kind> parse_kind(std::string_view word) {
  if (const auto kind = kind_from_name(word)) {
    return *kind;
  }
  std::vector<std::string_view> names;
  for (size_t i = 0; i < kind_count; i++) {
    names.push_back(kind_name(static_cast<Kind>(i)));
  }
  return failure(fmt::format("unknown kind '{}'{}", escaped(word, {}), suggestion(word, names)));
}

bool can_be_waited_for(Kind kind) {
  return kind != Kind::shm && kind != Kind::posixshm && kind != Kind::memfd && kind != Kind::mmap;
}

}  // namespace ipcscope
