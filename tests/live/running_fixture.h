// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/live/json.h"
#include "tests/live/program.h"

namespace ipcscope::live {

/// A fixture in the state that its truth tells, until this object ends.
class RunningFixture {
 public:
  /// Throws when the fixture fails. Where it is not possible here, is_possible() is false.
  explicit RunningFixture(const std::string& name, const std::vector<std::string>& settings = {});
  ~RunningFixture();
  RunningFixture(RunningFixture&&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] bool is_possible() const { return reason_.empty(); }
  /// Why it is not possible, in its own words.
  [[nodiscard]] const std::string& reason() const { return reason_; }
  [[nodiscard]] const Document& truth() const { return truth_; }
  /// Lets a fixture that works do so, and returns what it did. Throws when that takes long.
  Document work();
  /// Its processes.
  [[nodiscard]] std::vector<int> pids() const;
  /// Lets it clean up; what went wrong with that, or nothing.
  std::string stop();

 private:
  std::string name_;
  std::string reason_;
  Document truth_;
  Program program_;
};

/// These fixtures, started at the same time, for many take seconds to be ready. Throws when one
/// fails.
std::vector<std::unique_ptr<RunningFixture>> start_together(const std::vector<std::string>& names);

/// The names of the fixtures about one channel: all but the crowd, the scenes, those
/// that work and those about limits.
std::vector<std::string> fixture_names();
/// The names of those about several threads that wait for each other.
std::vector<std::string> scene_names();
/// The names of those that contend for locks when they are told to.
std::vector<std::string> contest_names();
/// The names of those that use a mechanism as its textbooks do when they are told to.
std::vector<std::string> use_names();

/// The names of those that drive a limit to a share of its cap.
std::vector<std::string> limit_names();
/// The names of those that move data at a steady pace when they are told to.
std::vector<std::string> busy_names();

/// What is told about a fixture that this machine cannot run: the reason is in the fixture's words.
/// Everywhere else than in this table, such a fixture makes a test fail where CI=true is set.
struct Impossible {
  const char* fixture;
  const char* needs;
  bool (*is_lacking)();  ///< asks the kernel, not the fixture
};
std::optional<Impossible> expected_to_be_impossible(const std::string& fixture);
bool in_ci();

}  // namespace ipcscope::live
