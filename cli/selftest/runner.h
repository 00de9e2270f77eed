// SPDX-License-Identifier: GPL-2.0-or-later
//
// Runs fixtures, asks this program about them, and says what it saw.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/selftest/catalogue.h"
#include "collectors/model/snapshot.h"

namespace ipcscope {

/// What came of one sight of one fixture.
struct Observation {
  FixtureSight sight;
  bool is_shown = false;
  double took_ms = 0;
  std::string impossible = {};  ///< why it could not be asked; empty: it was
};

/// One run of a fixture with settings. A look-alike is run once for all that have it.
struct Specimen {
  const FixtureEntry* fixture = nullptr;
  std::string settings;
  bool is_subject = false;  ///< it has to be seen itself; else it is a look-alike only
  std::vector<Observation> observations = {};
  std::string skipped = {};  ///< why it is not possible here
  std::string failure = {};
  bool is_reproduced = false;
  unsigned rounds = 0;

  [[nodiscard]] const Observation* find(const FixtureSight& sight) const;
  [[nodiscard]] bool is_done() const { return rounds > 0; }
};

/// What `selftest` says of a fixture.
struct SelftestResult {
  const FixtureEntry* fixture = nullptr;
  bool is_reproduced = false;
  std::vector<FixtureSight> detected_by = {};
  std::vector<FixtureSight> missed = {};
  std::vector<std::string> unasked = {};  ///< sights that could not be asked, with the reason
  std::optional<double> detect_ms = {};   ///< until the first sight was there
  struct Lookalike {
    std::string name;  ///< with its settings
    std::vector<FixtureSight> loud = {};
    std::string skipped = {};
  };
  std::vector<Lookalike> lookalikes = {};
  std::string skipped = {};
  std::string failure = {};
  unsigned rounds = 0;

  /// Nothing where there is none, or none was possible.
  [[nodiscard]] std::optional<bool> is_lookalike_quiet() const;
  [[nodiscard]] bool is_passed() const;
};

/// Runs what `names` ask for; a look-alike stands for those whose look-alike it is. Empty: all.
class Selftest {
 public:
  Selftest(const Catalogue& catalogue, const std::vector<const FixtureEntry*>& chosen);

  struct Progress {
    size_t done = 0;
    size_t all = 0;
    std::string now = {};
  };
  /// Runs with so many at a time, and calls back from this thread, often. Returns when all is done,
  /// or when the callback returned false: then what runs is ended, and nothing is left.
  void run(unsigned jobs, const std::function<bool(const Progress&)>& tell);

  [[nodiscard]] std::vector<const FixtureEntry*> subjects() const { return subjects_; }
  /// Of a subject; nothing until it and its look-alikes were run.
  [[nodiscard]] std::optional<SelftestResult> result(const FixtureEntry& subject) const;
  /// What the answers said of themselves, the worst of each source.
  [[nodiscard]] const std::vector<Coverage>& coverage() const { return coverage_; }

 private:
  friend class SpecimenWorker;
  Specimen& add(const FixtureEntry& fixture, const std::string& settings);
  [[nodiscard]] const Specimen* find(const FixtureEntry* fixture, std::string_view settings) const;

  const Catalogue& catalogue_;
  std::vector<const FixtureEntry*> subjects_;
  std::vector<Specimen> specimens_;
  std::vector<Coverage> coverage_;
};

}  // namespace ipcscope
