// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/json.h"

#include <fcntl.h>
#include <rapidjson/document.h>

#include <catch2/catch.hpp>

#include "cli/render/channel_json.h"
#include "tests/unit/render_harness.h"

namespace ipcscope {

namespace {

std::string quoted(std::string_view value) {
  std::string out;
  append_json_string(out, value);
  return out;
}

/// The document, or nothing where the text is not valid JSON or not valid UTF-8.
rapidjson::Document parsed(const std::string& text) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseValidateEncodingFlag>(text.c_str(), text.size());
  INFO(text);
  REQUIRE_FALSE(document.HasParseError());
  return document;
}

/// RapidJSON's own operator== recurses without end when C++20 turns it around.
std::string text_of(const rapidjson::Value& value) {
  return value.IsString() ? value.GetString() : "(no string)";
}

}  // namespace

TEST_CASE("strings are valid JSON and harmless to a terminal", "[json]") {
  CHECK(quoted("a\"b\\c") == R"("a\"b\\c")");
  CHECK(quoted("\x1b\n\x7f") == R"("\u001b\u000a\u007f")");
  CHECK(quoted("\xc2\x9b") == R"("\u009b")");
  CHECK(quoted("\xe2\x80\xae") == R"("\u202e")");
  CHECK(quoted("\xf3\xa0\x81\x81") == R"("\udb40\udc41")");
  CHECK(quoted("caf\xc3\xa9") == "\"caf\xc3\xa9\"");
  CHECK(quoted("a\xff"
               "b") ==
        "\"a\xef\xbf\xbd"
        "b\"");
}

TEST_CASE("numbers that a double cannot hold become strings", "[json]") {
  const auto number = [](auto value) {
    return captured([&](Output& out) { Json(out).number(value); });
  };
  CHECK(number(uint64_t{1} << 53) == "9007199254740992");
  CHECK(number((uint64_t{1} << 53) + 1) == "\"9007199254740993\"");
  CHECK(number(INT64_MIN) == "\"-9223372036854775808\"");
  CHECK(number(int64_t{-5}) == "-5");
  CHECK(number(std::optional<uint64_t>()) == "null");
}

TEST_CASE("raw bytes stay recoverable", "[json]") {
  CHECK(captured([](Output& out) {
          Json json(out);
          json.begin_object();
          json.text("name", "x\xff");
          json.text("id", "fine");
          json.text("none", "", true);
          json.end_object();
        }) == "{\"name\":\"x\xef\xbf\xbd\",\"name_hex\":\"78ff\",\"id\":\"fine\",\"none\":null}");
}

TEST_CASE("a list with everything in it", "[json]") {
  Scene scene;
  const auto writer = scene.process("a\x1b\xff");
  const auto reader = scene.process("b");
  scene.builder.snapshot().processes[reader].ns_pid = 7;
  scene.builder.snapshot().threads[reader].blocked_ns = 41'000'000'000;
  scene.builder.snapshot().threads[reader].last_run_ns = 41'000'100'000;
  scene.builder.snapshot().coverage.push_back(
      {"proc-fd", Coverage::State::partial, 10, 2, 0, "Permission denied", ""});
  const auto fifo = scene.builder.add_channel(Kind::fifo, "fifo:/x\xfe", "/x\xfe");
  scene.builder.channel(fifo).permissions = 0600;
  scene.builder.channel(fifo).depth_bytes = 5;
  scene.builder.natural(fifo, "inode", UINT64_MAX - 1);
  scene.builder.unknown(fifo, "buffers_used");
  scene.builder.boolean(fifo, "packet_mode", false);
  scene.builder.text(fifo, "what", "\xff");
  scene.builder.json(fifo, "list", R"([{"a":1}])");
  scene.end(fifo, writer, Role::writer, 3, 0, access_write);
  scene.end(fifo, reader, Role::reader, 4, 9, access_read);
  scene.end(fifo, no_index, Role::opener);
  scene.wait(fifo, reader, "read");
  scene.builder.add_channel(Kind::shm, "shm:3");
  const Snapshot snapshot = scene.builder.finish();

  const std::string text = captured([&](Output& out) {
    write_list_json(out, {.command = "ls", .snapshot = snapshot, .channels = {0, 1}});
  });
  const auto document = parsed(text);
  CHECK(text_of(document["schema"]) == "ipcscope/1");
  CHECK(text_of(document["coverage"][0]["state"]) == "partial");
  CHECK(document["coverage"][0]["hint"].IsNull());
  const auto& channel = document["channels"][0];
  CHECK(text_of(channel["id"]) == "fifo:/x\xef\xbf\xbd");
  CHECK(text_of(channel["id_hex"]) == "6669666f3a2f78fe");
  CHECK(text_of(channel["name_hex"]) == "2f78fe");
  CHECK(text_of(channel["permissions"]) == "0600");
  CHECK(channel["namespace"].IsNull());
  CHECK(channel["owner"].IsNull());
  CHECK(channel["depth"]["bytes"].GetInt64() == 5);
  CHECK(channel["capacity"]["bytes"].IsNull());
  CHECK(text_of(channel["attributes"]["inode"]) == "18446744073709551614");
  CHECK(channel["attributes"]["buffers_used"].IsNull());
  CHECK(channel["attributes"]["packet_mode"].IsFalse());
  CHECK(text_of(channel["attributes"]["what_hex"]) == "ff");
  CHECK(channel["attributes"]["list"][0]["a"].GetInt64() == 1);
  REQUIRE(channel["endpoints"].Size() == 3);
  CHECK(text_of(channel["endpoints"][0]["comm_hex"]) == "611bff");
  CHECK(text_of(channel["endpoints"][0]["access"]) == "w");
  CHECK(channel["endpoints"][0]["tid"].IsNull());
  CHECK_FALSE(channel["endpoints"][0].HasMember("ns_pid"));
  CHECK(channel["endpoints"][1]["ns_pid"].GetInt64() == 7);
  CHECK(channel["endpoints"][1]["inode"].GetInt64() == 9);
  CHECK(channel["endpoints"][2]["pid"].IsNull());
  CHECK(channel["endpoints"][2]["fd"].IsNull());
  CHECK(channel["waits"][0]["since_ms"].GetInt64() == 41'000);
  CHECK(text_of(channel["waits"][0]["since_bound"]) == "exact");
  CHECK(channel["waits"][0]["timeout_ms"].IsNull());
  CHECK(document["channels"][1]["endpoints"].Empty());
}

TEST_CASE("a list of nothing", "[json]") {
  const Snapshot snapshot = SnapshotBuilder().finish();
  const std::string text = captured([&](Output& out) {
    write_list_json(out, {.command = "ls", .snapshot = snapshot, .channels = {}});
  });
  CHECK(parsed(text)["channels"].Empty());
}

TEST_CASE("a failed write is remembered", "[output]") {
  const int fd = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  Output out(fd);
  out.write(std::string(1'000'000, 'x'));
  CHECK(out.error() == ENOSPC);
  out.write("more");
  out.close();
  CHECK(out.error() == ENOSPC);
}

TEST_CASE("output of any size arrives in order", "[output]") {
  std::string expected;
  const std::string text = captured([&](Output& out) {
    for (size_t i = 0; i < 300; i++) {
      const std::string part(i * 37 % 5000 + (i == 150 ? 600'000 : 0),
                             static_cast<char>('a' + i % 26));
      expected += part;
      out.write(part);
      expected += std::to_string(i);
      out.number(uint64_t{i});
    }
  });
  CHECK(text == expected);
}

}  // namespace ipcscope
