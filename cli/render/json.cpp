// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "cli/render/utf8.h"

namespace ipcscope {

namespace {

constexpr uint64_t largest_exact = uint64_t{1} << 53;

bool is_plain(char each) {
  const auto byte = static_cast<unsigned char>(each);
  return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

void append_unit(std::string& out, uint32_t unit) {
  fmt::format_to(std::back_inserter(out), "\\u{:04x}", unit);
}

}  // namespace

bool append_json_string(std::string& out, std::string_view value) {
  bool valid = true;
  out += '"';
  while (!value.empty()) {
    const auto* const special = std::find_if_not(value.begin(), value.end(), is_plain);
    const auto plain = static_cast<size_t>(special - value.begin());
    out.append(value.substr(0, plain));
    value.remove_prefix(plain);
    if (value.empty()) {
      break;
    }
    const CodePoint point = first_code_point(value);
    if (!point.valid) {
      valid = false;
      out += "\xef\xbf\xbd";  // U+FFFD
    } else if (point.value == '"' || point.value == '\\') {
      out += '\\';
      out += static_cast<char>(point.value);
    } else if (!is_deceptive(point.value)) {
      out.append(value.substr(0, point.size));
    } else if (point.value < 0x10000) {
      append_unit(out, point.value);
    } else {
      append_unit(out, 0xd800 + ((point.value - 0x10000) >> 10));
      append_unit(out, 0xdc00 + ((point.value - 0x10000) & 0x3ff));
    }
    value.remove_prefix(point.size);
  }
  out += '"';
  return valid;
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char each : bytes) {
    fmt::format_to(std::back_inserter(out), "{:02x}", static_cast<unsigned char>(each));
  }
  return out;
}

void Json::number(uint64_t value) {
  separate();
  if (value > largest_exact) {
    out_.put('"');
    out_.number(value);
    out_.put('"');
  } else {
    out_.number(value);
  }
  comma_ = true;
}

void Json::number(int64_t value) {
  if (value >= 0) {
    number(static_cast<uint64_t>(value));
  } else {
    const bool exact = value >= -static_cast<int64_t>(largest_exact);
    raw(exact ? fmt::format("{}", value) : fmt::format("\"{}\"", value));
  }
}

void Json::string(std::string_view value) {
  if (std::all_of(value.begin(), value.end(), is_plain)) {
    separate();
    out_.put('"');
    out_.write(value);
    out_.put('"');
    comma_ = true;
    return;
  }
  std::string quoted;
  append_json_string(quoted, value);
  raw(quoted);
}

void Json::text(std::string_view name, std::string_view value, bool empty_is_null) {
  key(name);
  if (value.empty() && empty_is_null) {
    null();
    return;
  }
  if (std::all_of(value.begin(), value.end(), is_plain)) {
    string(value);
    return;
  }
  std::string quoted;
  const bool valid = append_json_string(quoted, value);
  raw(quoted);
  if (!valid) {
    member(fmt::format("{}_hex", name), hex(value));
  }
}

}  // namespace ipcscope
