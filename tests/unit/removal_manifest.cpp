// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/removal/manifest.h"

#include <catch2/catch.hpp>

using namespace ipcscope;

namespace {

Saved example() {
  Saved saved;
  saved.number = 7;
  Target& object = saved.object;
  object.type = Target::Type::mq;
  object.id = "mq:/a";
  object.name_space = 4026531839;
  object.pids = {1, 812};
  object.path = "/a \xff\n\"";
  object.sysv_id = -5;
  object.key = 0xfffffffe;
  object.uid = 1;
  object.gid = 2;
  object.cuid = 3;
  object.cgid = 4;
  object.mode = 0640;
  object.creator = 5;
  object.last = 6;
  object.times[0] = -1;
  object.times[1] = 1700000000;
  object.times[2] = 7;
  object.bytes = UINT64_MAX;
  object.messages = 9;
  object.inode = uint64_t{1} << 63;
  object.device = 10;
  saved.own = true;
  saved.limit = 11;
  saved.message_bytes = 12;
  saved.page_bytes = 13;
  saved.locked = true;
  saved.file = "0007.data";
  saved.file_bytes = 14;
  saved.checksum = 0xffffffff;
  return saved;
}

const std::string head = head_line({"host", "6.18", "boot", "2026-01-01T00:00:00Z", 42});

}  // namespace

TEST_CASE("a manifest says what was written into it", "[removal]") {
  const Saved saved = example();
  const auto manifest = parse_manifest(head + saved_line(saved));
  REQUIRE(manifest);
  CHECK(manifest->head.host == "host");
  CHECK(manifest->head.kernel == "6.18");
  CHECK(manifest->head.boot == "boot");
  CHECK(manifest->head.pid == 42);
  CHECK(manifest->damaged.empty());
  REQUIRE(manifest->objects.size() == 1);
  const Saved& read = manifest->objects[0];
  CHECK(read.state == Saved::State::saved);
  CHECK(read.object.path == saved.object.path);
  CHECK(read.object.pids == saved.object.pids);
  // Every member is in the line.
  CHECK(saved_line(read) == saved_line(saved));
  CHECK(read.object.inode == uint64_t{1} << 63);
  CHECK(read.object.sysv_id == -5);
}

TEST_CASE("the lines of a manifest tell what became of an object", "[removal]") {
  Saved saved = example();
  saved.state = Saved::State::draining;
  std::string text = head + saved_line(saved);
  const auto state = [&text] { return parse_manifest(text)->objects.at(0).state; };
  CHECK(state() == Saved::State::draining);
  saved.state = Saved::State::saved;
  text += saved_line(saved);
  CHECK(state() == Saved::State::saved);
  CHECK(parse_manifest(text)->objects.size() == 1);
  CHECK(parse_manifest(text + kept_line(7, "in use"))->objects.at(0).state == Saved::State::kept);
  text += removed_line(7);
  CHECK(state() == Saved::State::removed);
  text += restoring_line(7, {100, 200, std::nullopt}) + made_line(7, 300);
  const auto attempted = parse_manifest(text);
  REQUIRE(attempted->objects[0].attempt);
  CHECK(attempted->objects[0].attempt->pid == 100);
  CHECK(attempted->objects[0].attempt->time == 200);
  CHECK(attempted->objects[0].attempt->result == 300U);
  // What the attempt before made is no result of this one.
  text += restoring_line(7, {101, 201, std::nullopt});
  CHECK_FALSE(parse_manifest(text)->objects[0].attempt->result);
  text += restored_line(7, "mq:/b");
  CHECK(state() == Saved::State::restored);
  CHECK(parse_manifest(text)->objects[0].new_id == "mq:/b");
}

TEST_CASE("a manifest that was cut off is whole up to its last line", "[removal]") {
  Saved second = example();
  second.number = 8;
  const std::string whole = head + saved_line(example());
  const std::string last = saved_line(second);
  for (size_t size = 0; size < last.size(); size++) {
    const auto manifest = parse_manifest(whole + last.substr(0, size));
    REQUIRE(manifest);
    CHECK(manifest->objects.size() == 1);
    CHECK(manifest->damaged.empty());
    CHECK(manifest->whole_bytes == whole.size());
  }
  CHECK(parse_manifest(whole + last)->objects.size() == 2);
}

TEST_CASE("damaged lines of a manifest are named and skipped", "[removal]") {
  const std::string good = saved_line(example());
  const auto replaced = [&good](const std::string& part, const std::string& other) {
    std::string line = good;
    REQUIRE(line.find(part) != std::string::npos);
    return line.replace(line.find(part), part.size(), other);
  };
  for (const std::string& bad : {
           std::string("garbage\n"),
           std::string("{}\n"),
           std::string("\n"),
           std::string("[1,2]\n"),
           std::string(100000, '[') + "\n",
           removed_line(99),  // an object that is not there
           made_line(7, 1),   // without an attempt
           replaced("\"mq\"", "\"unknown\""),
           replaced("\"uid\":1,", "\"uid\":-1,"),
           replaced("\"uid\":1,", "\"uid\":4294967296,"),
           replaced("\"uid\":1,", "\"uid\":\"1\","),
           replaced("\"uid\":1,", ""),
           replaced("\"n\":7", "\"n\":7.5"),
           replaced("0007.data", "../../etc/shadow"),  // never outside of the directory
           replaced("0007.data", "manifest.jsonl"),
           replaced("0007.data", ".."),
           replaced("path_hex\":\"2f", "path_hex\":\"2g"),
           replaced("path_hex\":\"2f", "path_hex\":\"f"),
       }) {
    INFO(bad.substr(0, 400));
    Saved first = example();
    std::string text = head;
    text.append(saved_line(first)).append(bad).append(removed_line(7));
    const auto manifest = parse_manifest(text);
    REQUIRE(manifest);
    CHECK(manifest->damaged == std::vector<size_t>{3});
    CHECK(manifest->objects.size() == 1);
    CHECK(manifest->objects[0].state == Saved::State::removed);
  }
}

TEST_CASE("what is no manifest is refused", "[removal]") {
  CHECK_FALSE(parse_manifest(""));
  CHECK_FALSE(parse_manifest("{\"schema\":\"ipcscope-backup/1\""));
  CHECK_FALSE(parse_manifest("{\"schema\":\"ipcscope-backup/2\"}\n"));
  CHECK_FALSE(parse_manifest("{\"schema\":1}\n"));
  CHECK_FALSE(parse_manifest(saved_line(example())));
}
