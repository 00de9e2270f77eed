// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "cli/top/channel_rows.h"
#include "cli/top/frame.h"
#include "tests/unit/paper_host.h"
#include "tests/unit/paper_window.h"

namespace ipcscope {

/// A frame on paper: the host is filled in first, then whole() takes it.
class PaperFrame {
 public:
  Host host;
  TopFrame frame;

  PaperFrame() {
    frame.boot_ns = 1'000'000'000'000;
    frame.time_ns = 1'700'000'000'000'000'000;
  }

  void depth(ChannelIndex channel, uint64_t bytes, uint64_t capacity) {
    host.snapshot().channels[channel].depth_bytes = bytes;
    host.snapshot().channels[channel].capacity_bytes = capacity;
  }
  void whole(uint64_t revision = 1) {
    host.snapshot().host = "paper";
    frame.whole =
        make_whole_rows(std::make_shared<const Sight>(host.take(), Sight::Clock::now()), revision);
  }
  /// A look that saw what is in another host.
  void look(Host& at) {
    frame.looks.insert(frame.looks.begin(),
                       make_look_rows(*frame.whole, std::make_shared<const Sight>(
                                                        at.take(), Sight::Clock::now())));
  }
  /// What was done within two seconds.
  ChannelActivity& active(const std::string& id, uint64_t reads, uint64_t writes,
                          Kind kind = Kind::pipe) {
    ChannelActivity& made = activity().channels.emplace_back();
    made.id = id;
    made.kind = kind;
    made.reads = reads;
    made.writes = writes;
    made.read_bytes = made.written_bytes = reads * 100;
    return made;
  }
  Activity& activity() {
    if (activity_ == nullptr) {
      activity_ = std::make_shared<Activity>();
      activity_->window_ns = 2 * second;
      frame.activity = activity_;
    }
    return *activity_;
  }
  void locks(PaperWindow window) {
    frame.locks =
        std::make_shared<const LockReport>(make_lock_report(std::move(window.window), {}, {}));
  }
  LiveFinding& finding(const char* rule, Severity severity, std::string identity) {
    LiveFinding& made = frame.findings.emplace_back();
    made.finding.rule = rule;
    made.finding.severity = severity;
    made.finding.summary = std::string(rule) + " at " + identity;
    made.identity = std::move(identity);
    made.source = "why";
    made.first_seen_ns = frame.boot_ns - 5'000'000'000;
    return made;
  }
  /// The text of a cell, by the identity of its row and the name of its column.
  std::string cell(Tab tab, const std::string& identity, std::string_view column) {
    const std::unique_ptr<Rows> rows = make_rows(frame, tab, {});
    const uint32_t row = rows->find(identity);
    for (size_t i = 0; i < rows->columns().size(); i++) {
      if (rows->columns()[i].name == column && row != no_index) {
        return rows->cell(row, i).text;
      }
    }
    return row == no_index ? "no row" : "no column";
  }

 private:
  std::shared_ptr<Activity> activity_;
};

}  // namespace ipcscope
