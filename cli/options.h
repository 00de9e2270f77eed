// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "cli/render/terminal.h"
#include "collectors/request.h"

namespace ipcscope {

/// What only `leaks` understands.
struct LeakOptions {
  std::string min_age;
  std::string name_space;
  std::string backup;
  std::string restore;
  bool all = false;
  bool evidence = false;
  bool clean = false;
  bool dry_run = false;
  bool yes = false;
  bool force = false;
  bool no_backup = false;
};

/// What only `locks` understands. Words as they were given; empty: not said.
struct LockOptions {
  std::string duration;
  std::string interval;
  std::string comm;
  std::string kinds;
  std::string min_wait;
  std::string view;
  std::string sort;
  std::string top;
  std::string contention;
  std::string overtakes;
  std::string times_median;
  bool detail = false;
  bool deep = false;
};

/// What only `trace` understands.
struct TraceOptions {
  std::string duration;
  std::string tid;
  std::string comm;
  std::string channel;
  std::string slower_than;
  std::string count;
  std::string payload;  ///< bytes; empty: none
  std::string perfetto;
  std::string write;
  std::string from;
  bool errors = false;
  bool connect = false;
  bool summary = false;
};

/// What only `fixture` understands.
struct FixtureOptions {
  std::string mechanism;
  std::string problem;
  std::string duration;
  std::string seed;
  std::vector<std::string> parameters;
  std::string sizes;
  std::string rounds;
  std::string milliseconds;
  std::string plot;
  bool list_benchmarks = false;
};

/// What only `selftest` understands.
struct SelftestOptions {
  std::string junit;
  std::string jobs;
};

/// What only `top` understands.
struct TopOptions {
  std::string interval;
  std::string count;
  std::string tab;
  std::string sort;
  std::string filter;
  std::string most;
  bool batch = false;
  bool reverse = false;
};

/// What was given on the command line; a command looks at those that it offers.
struct Options {
  std::vector<std::string> words;  ///< KIND..., ID..., PID...
  std::vector<std::string> pids;   ///< each may be a comma list
  std::string user;
  std::string cgroup;
  std::string name;
  std::string columns;
  bool blocked = false;
  bool list_columns = false;
  bool no_headings = false;
  bool json = false;
  bool raw = false;
  bool tree = false;
  bool strict = false;
  bool all = false;
  LeakOptions leaks;
  LockOptions locks;
  TraceOptions trace;
  FixtureOptions fixture;
  SelftestOptions selftest;
  TopOptions top;
  std::string longer_than;  ///< a duration
  std::string watch;        ///< a duration; empty: once
  bool once = false;        ///< no second look
  bool twice = false;       ///< what is usual anyway
  bool dot = false;
  bool stacks = false;
  SourceChoice source = SourceChoice::automatic;
  ColorChoice color = ColorChoice::automatic;
};

}  // namespace ipcscope
