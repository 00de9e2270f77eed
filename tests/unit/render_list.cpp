// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/render/list.h"

#include <catch2/catch.hpp>

#include "cli/render/attributes.h"
#include "tests/unit/render_harness.h"

namespace ipcscope {

namespace {

std::string list(const Snapshot& snapshot, const ListForm& form) {
  ListReport report = {.command = "ls", .snapshot = snapshot, .channels = {}};
  for (ChannelIndex i = 0; i < snapshot.channels.size(); i++) {
    report.channels.push_back(i);
  }
  return captured([&](Output& out) {
    form.tree ? write_tree(out, {}, report, form) : write_list(out, {}, report, form);
  });
}

/// One column of every channel, a line each.
std::string column(const Snapshot& snapshot, std::string_view name, bool raw = false) {
  ListForm form;
  form.columns = *parse_columns(name, {});
  form.headings = false;
  form.raw = raw;
  return list(snapshot, form);
}

Snapshot pipe(const std::vector<Role>& roles, uint64_t readers = 1, uint64_t writers = 1) {
  Scene scene;
  const auto channel = scene.builder.add_channel(Kind::pipe, "pipe:1");
  scene.builder.natural(channel, "readers", readers);
  scene.builder.natural(channel, "writers", writers);
  for (const Role role : roles) {
    scene.end(channel, scene.process("p"), role, 3);
  }
  return scene.builder.finish();
}

}  // namespace

TEST_CASE("who is at a pipe", "[list]") {
  CHECK(column(pipe({Role::reader, Role::writer}), "who") == "p[2] -> p[1]\n");
  CHECK(column(pipe({Role::reader}), "who") == "- -> p[1]\n");
  CHECK(column(pipe({Role::reader}, 1, 0), "who") == "closed -> p[1]\n");
  CHECK(column(pipe({Role::writer}, 0, 1), "who") == "p[1] -> closed\n");
  CHECK(column(pipe({Role::writer, Role::writer, Role::writer, Role::writer, Role::reader}),
               "who") == "p[1],p[2]+2 -> p[5]\n");
  CHECK(column(pipe({Role::writer, Role::writer, Role::writer, Role::reader}), "writers") ==
        "p[1],p[2],p[3]\n");
  CHECK(column(pipe({Role::writer, Role::reader}), "pids") == "1,2\n");
}

TEST_CASE("a pair within one process collapses", "[list]") {
  Scene scene;
  const auto process = scene.process("redis");
  const auto channel = scene.builder.add_channel(Kind::unix_socket, "unix:7");
  scene.end(channel, process, Role::peer, 3, 7);
  scene.end(channel, process, Role::peer, 4, 8);
  CHECK(column(scene.builder.finish(), "who") == "redis[1]\n");
}

TEST_CASE("a socket pair", "[list]") {
  Scene scene;
  const auto a = scene.process("a");
  const auto b = scene.process("b");
  const auto channel = scene.builder.add_channel(Kind::unix_socket, "unix:7", "/run/s");
  scene.end(channel, a, Role::peer, 3, 7);
  scene.end(channel, b, Role::peer, 4, 8);
  const auto alone = scene.builder.add_channel(Kind::unix_socket, "unix:9");
  scene.end(alone, a, Role::peer, 3, 9);
  const auto remote = scene.builder.add_channel(Kind::tcp, "tcp:a-b");
  scene.end(remote, b, Role::peer, 3, 10);
  CHECK(column(scene.builder.finish(), "who") == "a[1] <-> b[2] (/run/s)\na[1] <-> -\nb[2]\n");
}

TEST_CASE("a queue's openers, and an object that nobody has", "[list]") {
  Scene scene;
  const auto a = scene.process("a");
  const auto b = scene.process("b");
  const auto one_way = scene.builder.add_channel(Kind::mq, "mq:/a");
  scene.end(one_way, a, Role::opener, 3, 0, access_write);
  scene.end(one_way, b, Role::opener, 3, 0, access_read);
  const auto both = scene.builder.add_channel(Kind::mq, "mq:/b");
  scene.end(both, a, Role::opener, 3, 0, access_read | access_write);
  scene.builder.add_channel(Kind::mq, "mq:/c");
  CHECK(column(scene.builder.finish(), "who", true) == "a[1]_->_b[2]\na[1]\n-\n");
}

TEST_CASE("how full", "[list]") {
  Scene scene;
  const auto add = [&](Kind kind, std::optional<uint64_t> bytes, std::optional<uint64_t> capacity,
                       std::optional<uint64_t> messages = {}, std::optional<uint64_t> limit = {}) {
    Channel& channel = scene.builder.channel(scene.builder.add_channel(kind, "x"));
    channel.depth_bytes = bytes;
    channel.capacity_bytes = capacity;
    channel.depth_messages = messages;
    channel.capacity_messages = limit;
  };
  add(Kind::pipe, 4096, 65536);
  add(Kind::pipe, {}, 65536);
  add(Kind::pipe, {}, {});
  add(Kind::shm, {}, 1 << 20);
  add(Kind::msg, 100, 16384, 3);
  add(Kind::mq, 30, {}, 3, 10);
  const Snapshot snapshot = scene.builder.finish();
  CHECK(column(snapshot, "fill") == "4.0K/64K 6%\n-/64K\n-\n1.0M\n100/16K 1%\n3/10 30%\n");
  CHECK(column(snapshot, "fill", true) ==
        "4096/65536,6%\n-/65536\n-\n1048576\n100/16384,1%\n3/10,30%\n");
  CHECK(column(snapshot, "use", true) == "6%\n-\n-\n-\n1%\n30%\n");
  CHECK(column(snapshot, "bytes", true) == "4096\n-\n-\n1048576\n100\n30\n");
}

TEST_CASE("the longest wait, and how many others", "[list]") {
  Scene scene;
  const auto a = scene.process("a");
  const auto b = scene.process("b");
  scene.builder.snapshot().threads[a].blocked_ns = 5'000'000'000;
  scene.builder.snapshot().threads[b].blocked_ns = 41'000'000'000;
  scene.builder.snapshot().threads[b].last_run_ns = 41'000'000'000;
  const auto channel = scene.builder.add_channel(Kind::pipe, "pipe:1");
  scene.wait(channel, a, "poll");
  scene.wait(channel, b, "read");
  const Snapshot snapshot = scene.builder.finish();
  CHECK(column(snapshot, "waiting") == "b[2] read 41s +1\n");
  CHECK(column(snapshot, "since", true) == "41000\n");
}

TEST_CASE("hostile names", "[list]") {
  Scene scene;
  const auto evil = scene.process("\x1b]0;x\a\n");
  const auto channel = scene.builder.add_channel(Kind::fifo, "fifo:/a b\n\x9b", "/a b\n\x9b");
  scene.end(channel, evil, Role::writer);
  const Snapshot snapshot = scene.builder.finish();
  CHECK(column(snapshot, "id") == "fifo:/a b\\n\\x9b\n");
  CHECK(column(snapshot, "id,who", true) == "fifo:/a\\x20b\\n\\x9b \\x1b]0;x\\x07\\n[1]_->_-\n");
}

TEST_CASE("the tree of processes", "[list]") {
  Scene scene;
  scene.process("init");
  const auto parent = scene.process("parent", 1);
  const auto child = scene.process("child", 2);
  scene.process("idle", 1);
  const auto channel = scene.builder.add_channel(Kind::pipe, "pipe:1");
  scene.end(channel, parent, Role::writer, 3);
  scene.end(channel, child, Role::reader, 4);
  ListForm form;
  form.columns = *parse_columns("role,fds,others", {});
  form.tree = true;
  CHECK(list(scene.builder.finish(), form) ==
        "PROCESS       ROLE    FDS  OTHERS\n"
        "init[1]\n"
        "`-parent[2]\n"
        "  |-pipe:1    writer  3    child[3]\n"
        "  `-child[3]\n"
        "    `-pipe:1  reader  4    parent[2]\n");
}

TEST_CASE("a loop of parents cannot hang the tree", "[list]") {
  Scene scene;
  const auto a = scene.process("a", 2);
  scene.process("b", 1);
  scene.end(scene.builder.add_channel(Kind::pipe, "pipe:1"), a, Role::writer, 3);
  ListForm form;
  form.tree = true;
  list(scene.builder.finish(), form);
}

TEST_CASE("columns by name", "[columns]") {
  CHECK(parse_columns("id,KIND", {})->size() == 2);
  CHECK(parse_columns("+ns", default_columns())->size() == default_columns().size() + 1);
  CHECK_FALSE(parse_columns("", {}));
  CHECK_FALSE(parse_columns("id,", {}));
  CHECK(parse_columns("knid", {}).error().text() == "unknown column 'knid'; did you mean 'kind'?");
  CHECK(parse_columns("sndbuf", {}));
}

TEST_CASE("no attribute hides behind a column of the same name", "[columns]") {
  for (const AttributeInfo& attribute : attribute_table()) {
    INFO(attribute.key);
    CHECK(std::count_if(all_columns().begin(), all_columns().end(),
                        [&](const Column& each) { return each.name == attribute.key; }) == 1);
  }
}

TEST_CASE("the summary", "[list]") {
  Scene scene;
  const auto a = scene.process("a");
  const auto first = scene.builder.add_channel(Kind::pipe, "pipe:1");
  const auto second = scene.builder.add_channel(Kind::unix_socket, "unix:1");
  scene.builder.add_channel(Kind::unix_socket, "unix:2");
  scene.wait(first, a, "poll");
  scene.wait(second, a, "poll");
  const Snapshot snapshot = scene.builder.finish();
  CHECK(summary({.command = "ls", .snapshot = snapshot, .channels = {0, 1, 2}}) ==
        "3 channels: 2 unix, 1 pipe; 1 thread waits");
  CHECK(summary({.command = "ls", .snapshot = snapshot, .channels = {}}) ==
        "0 channels; 0 threads wait");
}

TEST_CASE("coverage speaks only of problems", "[list]") {
  CHECK(coverage_problems({{"a", Coverage::State::full, 5, 0, 0, "", ""}}, {}).empty());
  CHECK(coverage_problems({{"b", Coverage::State::partial, 5, 2, 1, "no\n", "do"}}, {}) ==
        std::vector<std::string>{"b: partial, 2 of 5 unreadable, 1 lost: no\\n; do"});
}

}  // namespace ipcscope
