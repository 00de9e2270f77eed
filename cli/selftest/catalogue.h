// SPDX-License-Identifier: GPL-2.0-or-later
//
// What ipcscope-fixture says of its fixtures.
#pragma once

#include <rapidjson/document.h>

#include <string>
#include <string_view>
#include <vector>

#include "collectors/base/result.h"

namespace ipcscope {

using JsonValue = rapidjson::Value;
using JsonDocument = rapidjson::Document;

/// A member, or a null value where there is none.
const JsonValue& member(const JsonValue& object, const char* key);
/// A string, or nothing where it is none. Borrowed from the value.
std::string_view text_of(const JsonValue& value);
/// The strings of an array.
std::vector<std::string> texts_of(const JsonValue& value);
std::string json_text(const JsonValue& value);

/// How a command has to show what a fixture does; see fixtures/runbook.h.
struct FixtureSight {
  std::string command;
  std::string shows;
  bool operator==(const FixtureSight&) const = default;
};

struct FixtureEntry {
  std::string name;
  std::string mechanism;
  std::string summary;
  std::vector<std::string> uses;
  std::string problem;                  ///< empty: none
  std::vector<std::string> lookalikes;  ///< each with its settings
  std::vector<std::string> lookalike_of;
  std::vector<FixtureSight> sights;
  std::string unseen;
  std::string settings;
  std::string reproduces, how, look_for;
  std::vector<std::string> commands;
  struct Parameter {
    std::string name, fallback, lowest, highest, help;
  };
  std::vector<Parameter> parameters;
  std::string json;  ///< all of it, as it was given
};

struct Word {
  std::string word;
  std::string meaning;
};

struct Catalogue {
  std::string program;  ///< the path of ipcscope-fixture
  std::vector<FixtureEntry> fixtures;
  std::vector<Word> problems, uses;

  [[nodiscard]] const FixtureEntry* find(std::string_view name) const;
  /// That there is none of this name, and what to do about it.
  [[nodiscard]] std::string lacks(std::string_view name) const;
};

/// ipcscope-fixture: beside this program, else where it is installed, else on the PATH. The error
/// says where it was looked for.
Result<std::string> find_fixture_program();
/// The path of this program.
std::string own_program();

/// Asks ipcscope-fixture for its list.
Result<Catalogue> load_catalogue();
/// The catalogue from that list.
Result<Catalogue> parse_catalogue(std::string_view json);

}  // namespace ipcscope
