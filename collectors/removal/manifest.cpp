// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/removal/manifest.h"

#include <fmt/format.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <limits>
#include <unordered_map>

#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

/// By the values of Target::Type.
constexpr const char* type_names[] = {"shm", "sem", "msg", "posixshm", "posixsem", "mq", "socket"};

using Buffer = rapidjson::StringBuffer;
/// String() fails on what is not UTF-8.
using Writer = rapidjson::Writer<Buffer, rapidjson::UTF8<>, rapidjson::UTF8<>,
                                 rapidjson::CrtAllocator, rapidjson::kWriteValidateEncodingFlag>;

bool is_utf8(const std::string& text) {
  Buffer buffer;
  Writer writer(buffer);
  return writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

class Line {
 public:
  explicit Line(const char* event, uint32_t number) : Line() {
    text("event", event);
    value("n", number);
  }
  Line() { writer_.StartObject(); }

  void text(const char* key, const std::string& value) {
    if (is_utf8(value)) {
      writer_.Key(key);
      writer_.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
      return;
    }
    std::string digits;
    for (const char byte : value) {
      digits += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    }
    writer_.Key((std::string(key) + "_hex").c_str());
    writer_.String(digits.c_str());
  }
  void value(const char* key, uint64_t number) {
    writer_.Key(key);
    writer_.Uint64(number);
  }
  void time(const char* key, int64_t seconds) {
    writer_.Key(key);
    writer_.Int64(seconds);
  }
  void flag(const char* key, bool set) {
    writer_.Key(key);
    writer_.Bool(set);
  }
  void pids(const char* key, const std::vector<int>& numbers) {
    writer_.Key(key);
    writer_.StartArray();
    for (const int each : numbers) {
      writer_.Int(each);
    }
    writer_.EndArray();
  }
  void field(const char* key, const std::string& bytes) { text(key, bytes); }
  void field(const char* key, bool set) { flag(key, set); }
  void field(const char* key, const std::vector<int>& numbers) { pids(key, numbers); }
  template <typename T>
  void field(const char* key, const T& number) {
    if constexpr (std::is_signed_v<T>) {
      time(key, number);
    } else {
      value(key, number);
    }
  }
  std::string finish() {
    writer_.EndObject();
    return std::string(buffer_.GetString(), buffer_.GetSize()) + '\n';
  }

 private:
  Buffer buffer_;
  Writer writer_{buffer_};
};

using Json = rapidjson::Value;

const Json* member(const Json& object, const char* key) {
  const auto found = object.FindMember(key);
  return found == object.MemberEnd() ? nullptr : &found->value;
}

std::optional<std::string> from_hex(std::string_view digits) {
  std::string bytes;
  for (; digits.size() >= 2; digits.remove_prefix(2)) {
    const auto byte = parse_number<uint8_t>(digits.substr(0, 2), 16);
    if (!byte) {
      return std::nullopt;
    }
    bytes += static_cast<char>(*byte);
  }
  return digits.empty() ? std::optional(bytes) : std::nullopt;
}

/// Reads members; good() turns false at the first that is missing or has another type.
class Reader {
 public:
  explicit Reader(const Json& object) : object_(object) {}

  std::string text(const char* key) {
    const Json* value = member(object_, key);
    if (value == nullptr) {
      const Json* digits = member(object_, (std::string(key) + "_hex").c_str());
      if (digits != nullptr && digits->IsString()) {
        if (auto bytes = from_hex({digits->GetString(), digits->GetStringLength()})) {
          return *bytes;
        }
      }
    } else if (value->IsString()) {
      return {value->GetString(), value->GetStringLength()};
    }
    good_ = false;
    return {};
  }
  template <typename T>
  void value(const char* key, T& out) {
    const Json* value = member(object_, key);
    if (value != nullptr && value->IsInt64() && std::is_signed_v<T> &&
        value->GetInt64() >= int64_t{std::numeric_limits<T>::min()} &&
        value->GetInt64() <= static_cast<int64_t>(std::numeric_limits<T>::max())) {
      out = static_cast<T>(value->GetInt64());
    } else if (value != nullptr && value->IsUint64() && std::is_unsigned_v<T> &&
               value->GetUint64() <= uint64_t{std::numeric_limits<T>::max()}) {
      out = static_cast<T>(value->GetUint64());
    } else {
      good_ = false;
    }
  }
  bool flag(const char* key) {
    const Json* value = member(object_, key);
    good_ = good_ && value != nullptr && value->IsBool();
    return good_ && value->GetBool();
  }
  std::vector<int> pids(const char* key) {
    const Json* value = member(object_, key);
    std::vector<int> numbers;
    if (value == nullptr || !value->IsArray()) {
      good_ = false;
      return numbers;
    }
    for (const Json& each : value->GetArray()) {
      if (each.IsInt()) {
        numbers.push_back(each.GetInt());
      }
    }
    return numbers;
  }
  void field(const char* key, std::string& out) { out = text(key); }
  void field(const char* key, bool& out) { out = flag(key); }
  void field(const char* key, std::vector<int>& out) { out = pids(key); }
  template <typename T>
  void field(const char* key, T& out) {
    value(key, out);
  }
  [[nodiscard]] bool good() const { return good_; }
  void fail() { good_ = false; }

 private:
  const Json& object_;
  bool good_ = true;
};

std::optional<Target::Type> type_of(const std::string& name) {
  for (size_t i = 0; i < std::size(type_names); i++) {
    if (name == type_names[i]) {
      return static_cast<Target::Type>(i);
    }
  }
  return std::nullopt;
}

/// What a saved object's line has beside its number and type, in the order of the line.
template <typename AnySaved, typename Visit>
void each_field(AnySaved& saved, const Visit& visit) {
  auto& object = saved.object;
  visit("id", object.id);
  visit("namespace", object.name_space);
  visit("own", saved.own);
  visit("pids", object.pids);
  visit("path", object.path);
  visit("sysv_id", object.sysv_id);
  visit("key", object.key);
  visit("uid", object.uid);
  visit("gid", object.gid);
  visit("cuid", object.cuid);
  visit("cgid", object.cgid);
  visit("mode", object.mode);
  visit("creator", object.creator);
  visit("last", object.last);
  visit("time", object.times[0]);
  visit("time2", object.times[1]);
  visit("changed", object.times[2]);
  visit("bytes", object.bytes);
  visit("messages", object.messages);
  visit("inode", object.inode);
  visit("device", object.device);
  visit("limit", saved.limit);
  visit("message_bytes", saved.message_bytes);
  visit("page_bytes", saved.page_bytes);
  visit("locked", saved.locked);
  visit("file", saved.file);
  visit("file_bytes", saved.file_bytes);
  visit("crc32", saved.checksum);
}

std::optional<Saved> read_saved(const Json& line) {
  Reader from(line);
  Saved saved;
  if (const auto type = type_of(from.text("type"))) {
    saved.object.type = *type;
  } else {
    from.fail();
  }
  from.value("n", saved.number);
  each_field(saved, [&](const char* key, auto& field) { from.field(key, field); });
  // Only a file beside the manifest is ever opened.
  if (!from.good() || saved.file.find('/') != std::string::npos || saved.file == ".." ||
      saved.file == "." || saved.file == manifest_name) {
    return std::nullopt;
  }
  return saved;
}

/// Applies a line to what was read before; false when it is none.
bool apply(const Json& line, Manifest& manifest, std::unordered_map<uint32_t, size_t>& by_number) {
  if (!line.IsObject()) {
    return false;
  }
  Reader from(line);
  const std::string event = from.text("event");
  uint32_t number = 0;
  from.value("n", number);
  if (!from.good()) {
    return false;
  }
  const auto known = by_number.find(number);
  if (event == "draining" || event == "saved") {
    auto saved = read_saved(line);
    if (!saved) {
      return false;
    }
    saved->state = event == "saved" ? Saved::State::saved : Saved::State::draining;
    if (known == by_number.end()) {
      by_number.emplace(number, manifest.objects.size());
      manifest.objects.push_back(std::move(*saved));
    } else {
      manifest.objects[known->second] = std::move(*saved);
    }
    return true;
  }
  if (known == by_number.end()) {
    return false;
  }
  Saved& saved = manifest.objects[known->second];
  if (event == "removed") {
    saved.state = Saved::State::removed;
  } else if (event == "kept") {
    saved.state = Saved::State::kept;
  } else if (event == "restoring") {
    Attempt attempt;
    from.value("pid", attempt.pid);
    from.value("time", attempt.time);
    if (from.good()) {
      saved.attempt = attempt;
    }
  } else if (event == "made") {
    uint64_t result = 0;
    from.value("as", result);
    if (!from.good() || !saved.attempt) {
      return false;
    }
    saved.attempt->result = result;
  } else if (event == "restored") {
    saved.new_id = from.text("id");
    if (from.good()) {
      saved.state = Saved::State::restored;
    }
  } else {
    return false;
  }
  return from.good();
}

}  // namespace

const char* type_name(Target::Type type) { return type_names[static_cast<size_t>(type)]; }

std::string head_line(const ManifestHead& head) {
  Line line;
  line.text("schema", backup_schema);
  line.text("host", head.host);
  line.text("kernel", head.kernel);
  line.text("boot", head.boot);
  line.text("time", head.time);
  line.time("pid", head.pid);
  return line.finish();
}

std::string saved_line(const Saved& saved) {
  Line line(saved.state == Saved::State::draining ? "draining" : "saved", saved.number);
  line.text("type", type_name(saved.object.type));
  each_field(saved, [&](const char* key, const auto& field) { line.field(key, field); });
  return line.finish();
}

std::string removed_line(uint32_t number) { return Line("removed", number).finish(); }

std::string kept_line(uint32_t number, const std::string& reason) {
  Line line("kept", number);
  line.text("reason", reason);
  return line.finish();
}

std::string restoring_line(uint32_t number, const Attempt& attempt) {
  Line line("restoring", number);
  line.time("pid", attempt.pid);
  line.time("time", attempt.time);
  return line.finish();
}

std::string made_line(uint32_t number, uint64_t result) {
  Line line("made", number);
  line.value("as", result);
  return line.finish();
}

std::string restored_line(uint32_t number, const std::string& new_id) {
  Line line("restored", number);
  line.text("id", new_id);
  return line.finish();
}

Result<Manifest> parse_manifest(std::string_view text) {
  Manifest manifest;
  std::unordered_map<uint32_t, size_t> by_number;
  size_t number = 0;
  const std::string_view all = text;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (line.size() == text.size()) {
      break;
    }
    text.remove_prefix(line.size() + 1);
    manifest.whole_bytes = all.size() - text.size();
    number++;
    rapidjson::Document document;
    // Iterative: a hostile line of brackets must not overflow the stack.
    document.Parse<rapidjson::kParseIterativeFlag>(line.data(), line.size());
    const bool good = !document.HasParseError() && document.IsObject();
    if (number > 1) {
      if (!good || !apply(document, manifest, by_number)) {
        manifest.damaged.push_back(number);
      }
      continue;
    }
    const Json* schema = good ? member(document, "schema") : nullptr;
    if (schema == nullptr || !schema->IsString() ||
        std::string_view(schema->GetString()) != backup_schema) {
      return failure(fmt::format("not a manifest of the format {}", backup_schema));
    }
    Reader from(document);
    manifest.head = {from.text("host"), from.text("kernel"), from.text("boot"), from.text("time"),
                     0};
    from.value("pid", manifest.head.pid);
  }
  if (number == 0) {
    return failure("the manifest is empty");
  }
  return manifest;
}

}  // namespace ipcscope
