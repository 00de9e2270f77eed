// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/selftest/catalogue.h"

#include <fmt/format.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "cli/render/escape.h"
#include "cli/selftest/program.h"
#include "cli/suggest.h"

namespace ipcscope {

namespace {

constexpr const char* program_name = "ipcscope-fixture";

FixtureEntry entry_of(const JsonValue& value) {
  const auto text = [&](const char* key) { return std::string(text_of(member(value, key))); };
  FixtureEntry entry{.name = text("name"),
                     .mechanism = text("mechanism"),
                     .summary = text("summary"),
                     .uses = texts_of(member(value, "uses")),
                     .problem = text("problem"),
                     .lookalikes = texts_of(member(value, "lookalikes")),
                     .lookalike_of = texts_of(member(value, "lookalike_of")),
                     .sights = {},
                     .unseen = text("unseen"),
                     .settings = text("settings"),
                     .reproduces = text("reproduces"),
                     .how = text("how"),
                     .look_for = text("look_for"),
                     .commands = texts_of(member(value, "commands")),
                     .parameters = {},
                     .json = json_text(value)};
  if (const JsonValue& sights = member(value, "sights"); sights.IsArray()) {
    for (const JsonValue& each : sights.GetArray()) {
      entry.sights.push_back({std::string(text_of(member(each, "command"))),
                              std::string(text_of(member(each, "shows")))});
    }
  }
  if (const JsonValue& parameters = member(value, "parameters"); parameters.IsArray()) {
    for (const JsonValue& each : parameters.GetArray()) {
      entry.parameters.push_back(
          {std::string(text_of(member(each, "name"))), json_text(member(each, "default")),
           json_text(member(each, "lowest")), json_text(member(each, "highest")),
           std::string(text_of(member(each, "help")))});
    }
  }
  return entry;
}

std::vector<Word> words_of(const JsonValue& value) {
  std::vector<Word> words;
  if (value.IsArray()) {
    for (const JsonValue& each : value.GetArray()) {
      words.push_back({std::string(text_of(member(each, "word"))),
                       std::string(text_of(member(each, "meaning")))});
    }
  }
  return words;
}

}  // namespace

const JsonValue& member(const JsonValue& object, const char* key) {
  static const JsonValue nothing;
  if (!object.IsObject()) {
    return nothing;
  }
  const auto found = object.FindMember(key);
  return found == object.MemberEnd() ? nothing : found->value;
}

std::string_view text_of(const JsonValue& value) {
  return value.IsString() ? std::string_view(value.GetString(), value.GetStringLength())
                          : std::string_view();
}

std::vector<std::string> texts_of(const JsonValue& value) {
  std::vector<std::string> texts;
  if (value.IsArray()) {
    for (const JsonValue& each : value.GetArray()) {
      texts.emplace_back(text_of(each));
    }
  }
  return texts;
}

std::string json_text(const JsonValue& value) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  value.Accept(writer);
  return {buffer.GetString(), buffer.GetSize()};
}

const FixtureEntry* Catalogue::find(std::string_view name) const {
  const auto found = std::find_if(fixtures.begin(), fixtures.end(),
                                  [&](const FixtureEntry& each) { return each.name == name; });
  return found == fixtures.end() ? nullptr : &*found;
}

std::string Catalogue::lacks(std::string_view name) const {
  std::vector<std::string_view> names(fixtures.size());
  std::transform(fixtures.begin(), fixtures.end(), names.begin(),
                 [](const FixtureEntry& each) { return std::string_view(each.name); });
  const std::string meant = suggestion(name, names);
  return fmt::format("no fixture '{}'{}", escaped(name, {}),
                     meant.empty() ? "; 'ipcscope fixture list' lists them" : meant);
}

std::string own_program() {
  std::array<char, 4096> path{};
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
  return size > 0 ? std::string(path.data(), static_cast<size_t>(size)) : std::string("ipcscope");
}

Result<std::string> find_fixture_program() {
  const std::string own = own_program();
  std::vector<std::string> folders = {own.substr(0, own.rfind('/')), IPCSCOPE_INSTALL_BIN};
  if (const char* list = std::getenv("PATH"); list != nullptr) {
    for (std::string_view rest = list; !rest.empty();) {
      const size_t colon = rest.find(':');
      folders.emplace_back(rest.substr(0, colon));
      rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
    }
  }
  for (const std::string& folder : folders) {
    std::string path = folder + "/" + program_name;
    if (folder.starts_with('/') && ::access(path.c_str(), X_OK) == 0) {
      return path;
    }
  }
  return failure(fmt::format("{} is neither beside {} nor in {} nor on the PATH", program_name, own,
                             IPCSCOPE_INSTALL_BIN));
}

Result<Catalogue> parse_catalogue(std::string_view json) {
  JsonDocument document;
  document.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
  if (document.HasParseError() || !member(document, "fixtures").IsArray()) {
    return failure(fmt::format("{} prints no list of fixtures", program_name));
  }
  Catalogue catalogue;
  for (const JsonValue& each : member(document, "fixtures").GetArray()) {
    catalogue.fixtures.push_back(entry_of(each));
  }
  catalogue.problems = words_of(member(document, "problems"));
  catalogue.uses = words_of(member(document, "uses"));
  return catalogue;
}

Result<Catalogue> load_catalogue() {
  Result<std::string> program = find_fixture_program();
  if (!program) {
    return Failure(program.error());
  }
  constexpr int limit_ms = 20'000;
  const Result<ProgramOutcome> list = run_program({*program, "--list", "--json"}, limit_ms);
  if (!list) {
    return Failure(list.error());
  }
  if (list->status != 0) {
    return failure(fmt::format("{} --list: status {}: {}", *program, list->status, list->errors));
  }
  Result<Catalogue> catalogue = parse_catalogue(list->output);
  if (catalogue) {
    catalogue->program = std::move(*program);
  }
  return catalogue;
}

}  // namespace ipcscope
