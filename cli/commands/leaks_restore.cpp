// SPDX-License-Identifier: GPL-2.0-or-later
// leaks --restore: tells what came back.
#include <fmt/format.h>

#include "cli/commands/leaks_removal.h"
#include "collectors/removal/removal.h"

namespace ipcscope {

int restore_leaks(const Options& options, const Stage& stage) {
  std::vector<Restored> all;
  size_t states[3] = {};
  const auto tell = [&](const Restored& each) {
    states[static_cast<size_t>(each.state)]++;
    if (options.json) {
      all.push_back(each);
      return;
    }
    std::string text =
        fmt::format("{} {}", restored_name(each.state), escaped(each.id, stage.terminal.escape()));
    if (!each.new_id.empty() && each.new_id != each.id) {
      text += " as " + escaped(each.new_id, stage.terminal.escape());
    }
    if (!each.reason.empty()) {
      text += ": " + escaped(each.reason, stage.terminal.escape());
    }
    stage.out.write(text);
    stage.out.put('\n');
  };
  const Result<void> done = restore_objects(options.leaks.restore, stage.proc, tell);
  if (!done) {
    return stage.no_target(escaped(done.error().text(), stage.terminal.escape()));
  }
  if (options.json) {
    write_restored_json(stage.out, all);
  } else {
    stage.out.write(
        fmt::format("restored {}, present {}, failed {}\n", states[0], states[1], states[2]));
  }
  return states[2] > 0 ? status_found : status_complete;
}

}  // namespace ipcscope
