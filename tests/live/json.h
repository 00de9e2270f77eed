// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <rapidjson/document.h>
#include <rapidjson/error/en.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace ipcscope::live {

using Json = rapidjson::Value;
using Document = rapidjson::Document;

inline std::string_view text_of(const Json& value) {
  return value.IsString() ? std::string_view(value.GetString(), value.GetStringLength())
                          : std::string_view();
}

/// A member, or a null value where there is none.
inline const Json& member(const Json& object, const char* key) {
  static const Json nothing;
  if (!object.IsObject()) {
    return nothing;
  }
  const auto found = object.FindMember(key);
  return found == object.MemberEnd() ? nothing : found->value;
}

/// As text, shortened for a message.
inline std::string print(const Json& value, size_t longest = 600) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  value.Accept(writer);
  std::string text(buffer.GetString(), buffer.GetSize());
  if (text.size() > longest) {
    text.resize(longest);
    text += "...";
  }
  return text;
}

/// Throws where text is not exactly one JSON value in valid UTF-8.
inline Document parse(const std::string& text) {
  Document document;
  document.Parse<rapidjson::kParseValidateEncodingFlag | rapidjson::kParseFullPrecisionFlag>(
      text.data(), text.size());
  if (document.HasParseError()) {
    const size_t at = document.GetErrorOffset();
    throw std::runtime_error(std::string("not JSON: ") +
                             rapidjson::GetParseError_En(document.GetParseError()) + " at byte " +
                             std::to_string(at) + " of " + std::to_string(text.size()) + ": " +
                             text.substr(at < 100 ? 0 : at - 100, 200));
  }
  return document;
}

}  // namespace ipcscope::live
