// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/detail.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/render/finding.h"
#include "cli/render/limits.h"
#include "cli/render/locks.h"
#include "cli/render/show.h"
#include "cli/render/text.h"
#include "cli/render/why.h"
#include "cli/render/wrap.h"
#include "cli/show_report.h"
#include "cli/top/channel_rows.h"
#include "cli/top/limit_rows.h"
#include "cli/top/lock_rows.h"
#include "cli/why_report.h"
#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

constexpr size_t most_chains = 8;

class DetailWriter {
 public:
  DetailWriter(const WantedDetail& wanted, const TopFrame& frame, bool utf8, const ProcRoot& proc)
      : wanted_(wanted),
        frame_(frame),
        snapshot_(frame.snapshot()),
        proc_(proc),
        // The codes are read again by lines_of_styled(), whatever the terminal has.
        terminal_{.interactive = true, .width = wanted.width, .color = true, .utf8 = utf8},
        out_(detail_.text) {
    detail_.tab = wanted.tab;
    detail_.identity = detail_.title = wanted.identity;
  }

  FrameDetail write() {
    const bool found = wanted_.tab == Tab::channels    ? write_channel()
                       : wanted_.tab == Tab::locks     ? write_lock_row()
                       : wanted_.tab == Tab::processes ? write_process()
                       : wanted_.tab == Tab::findings  ? write_finding_row()
                                                       : write_limit_row();
    if (!found) {
      out_.write("It is not there any more.\n");
    }
    out_.flush();
    return std::move(detail_);
  }

 private:
  bool write_channel();
  bool write_lock_row();
  bool write_process();
  bool write_finding_row();
  bool write_limit_row();
  void write_rates(const Rates& rates);
  void write_shown(ChannelIndex channel);
  void write_findings_at(std::string_view id);
  void write_chains(std::vector<pid_t> targets);
  [[nodiscard]] std::vector<pid_t> waiting_at(ChannelIndex channel) const;
  void gap() { out_.put('\n'); }

  const WantedDetail& wanted_;
  const TopFrame& frame_;
  const Snapshot& snapshot_;
  const ProcRoot& proc_;
  Terminal terminal_;
  FrameDetail detail_;
  Output out_;
};

void DetailWriter::write_rates(const Rates& rates) {
  out_.write(fmt::format("moved {} reads/s {}B/s, {} writes/s {}B/s\n", rate_text(rates.reads),
                         bytes_rate_text(rates.read_bytes), rate_text(rates.writes),
                         bytes_rate_text(rates.written_bytes)));
}

void DetailWriter::write_shown(ChannelIndex channel) {
  ShowReport report(snapshot_);
  report.channels = {channel};
  complete(report, proc_);
  write_show(out_, terminal_, report);
}

void DetailWriter::write_findings_at(std::string_view id) {
  for (const LiveFinding& each : frame_.findings) {
    const auto& ids = each.finding.channels;
    if (std::find(ids.begin(), ids.end(), id) != ids.end()) {
      gap();
      write_finding(out_, terminal_, each.finding);
    }
  }
}

std::vector<pid_t> DetailWriter::waiting_at(ChannelIndex channel) const {
  std::vector<pid_t> tids;
  for (const uint32_t wait : snapshot_.waits_at(snapshot_.channels[channel])) {
    tids.push_back(snapshot_.threads[snapshot_.waits[wait].thread].tid);
  }
  return tids;
}

/// Who waits for whom, from these threads or processes on.
void DetailWriter::write_chains(std::vector<pid_t> targets) {
  targets.resize(std::min(targets.size(), most_chains));
  if (targets.empty()) {
    return;
  }
  WhyQuestion question;
  question.targets = std::move(targets);
  question.twice = false;
  const std::unique_ptr<WhyReport> report =
      explain(snapshot_of(frame_), frame_.whole->sight->taken, question, proc_);
  if (!report->groups.empty()) {
    gap();
    write_why_chains(out_, terminal_, *report);
  }
}

bool DetailWriter::write_channel() {
  const ChannelIndex channel = frame_.whole->sight->find(wanted_.identity);
  bool found = channel != no_index;
  if (frame_.activity != nullptr) {
    for (const ChannelActivity& each : frame_.activity->channels) {
      if (each.id == wanted_.identity) {
        write_rates(rates_of(each.reads, each.writes, each.read_bytes, each.written_bytes,
                             frame_.activity->window_ns));
        gap();
        found = true;
        break;
      }
    }
  }
  if (channel != no_index) {
    write_shown(channel);
    write_findings_at(wanted_.identity);
    write_chains(waiting_at(channel));
  }
  return found;
}

bool DetailWriter::write_lock_row() {
  const std::unique_ptr<Rows> rows = make_lock_rows(frame_, terminal_.escape());
  const std::vector<LockRow> all = lock_rows(frame_);
  for (size_t i = 0; i < all.size(); i++) {
    if (rows->identity(i) != wanted_.identity) {
      continue;
    }
    const bool measured = all[i].lock != no_index;
    const std::string id(measured ? std::string_view(frame_.locks->lock(all[i].lock).id)
                                  : (*all[i].place).id);
    const ChannelIndex channel = frame_.whole->sight->find(id);
    if (measured) {
      write_lock(out_, terminal_, *frame_.locks, all[i].lock);
    } else if (channel != no_index) {
      write_shown(channel);
    }
    detail_.title = id;
    write_findings_at(id);
    if (channel != no_index) {
      write_chains(waiting_at(channel));
    }
    return true;
  }
  return false;
}

bool DetailWriter::write_process() {
  const auto pid = parse_number<int32_t>(wanted_.identity);
  const Process* process = pid ? snapshot_.process(*pid) : nullptr;
  if (process == nullptr) {
    return false;
  }
  detail_.title = fmt::format("{}[{}]", process->command(), process->pid);
  if (frame_.activity != nullptr) {
    for (const ProcessActivity& each : frame_.activity->processes) {
      if (each.pid == *pid) {
        write_rates(rates_of(each.reads, each.writes, each.read_bytes, each.written_bytes,
                             frame_.activity->window_ns));
        gap();
        break;
      }
    }
  }
  ShowReport report(snapshot_);
  report.processes = {static_cast<ProcessIndex>(process - snapshot_.processes.data())};
  complete(report, proc_);
  write_show(out_, terminal_, report);
  write_chains({*pid});
  return true;
}

bool DetailWriter::write_finding_row() {
  const auto found =
      std::find_if(frame_.findings.begin(), frame_.findings.end(),
                   [&](const LiveFinding& each) { return each.identity == wanted_.identity; });
  if (found == frame_.findings.end()) {
    return false;
  }
  const Finding& finding = found->finding;
  detail_.title = finding.rule;
  write_finding(out_, terminal_, finding);
  write_chains({finding.tids.begin(), finding.tids.end()});
  return true;
}

bool DetailWriter::write_limit_row() {
  const auto found =
      std::find_if(frame_.limits.begin(), frame_.limits.end(),
                   [&](const LimitUse& use) { return limit_identity(use) == wanted_.identity; });
  if (found == frame_.limits.end()) {
    return false;
  }
  UserNames users;
  LimitContext context{users, terminal_.escape(), false};
  detail_.title = wanted_.identity;
  for (const LimitColumn& column : all_limit_columns()) {
    std::string text;
    column.write(context, *found, text);
    constexpr size_t indent = 10;
    write_wrapped(out_, terminal_, fmt::format("{:<{}}", column.name, indent), indent, text);
  }
  return true;
}

}  // namespace

std::shared_ptr<const Snapshot> snapshot_of(const TopFrame& frame) {
  return {frame.whole->sight, &frame.whole->sight->snapshot};
}

FrameDetail tell_detail(const WantedDetail& wanted, const TopFrame& frame, bool utf8,
                        const ProcRoot& proc) {
  return DetailWriter(wanted, frame, utf8, proc).write();
}

}  // namespace ipcscope
