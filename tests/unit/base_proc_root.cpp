// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/base/proc_root.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "tests/unit/fake_tree.h"

using namespace ipcscope;

namespace {

ProcRoot open_root(const FakeTree& tree) {
  Result<ProcRoot> root = ProcRoot::open(tree.path().c_str());
  REQUIRE(root);
  return std::move(*root);
}

}  // namespace

TEST_CASE("files are read whole, whatever their size", "[base]") {
  const FakeTree tree;
  const ProcRoot root = open_root(tree);
  for (const size_t size : {0U, 1U, 4095U, 4096U, 4097U, 8192U, 300000U}) {
    CAPTURE(size);
    tree.file("file", std::string(size, 'x'));
    const auto text = root.read(std::string("file"));
    REQUIRE(text);
    CHECK(*text == std::string(size, 'x'));
  }
  std::string reused = "what was there before";
  tree.file("file", "new");
  REQUIRE(root.read("file", reused));
  CHECK(reused == "new");
}

TEST_CASE("what cannot be read says which and why", "[base]") {
  const FakeTree tree;
  const ProcRoot root = open_root(tree);
  std::string text = "old";
  const auto done = root.read("100/status", text);
  REQUIRE_FALSE(done);
  CHECK(text.empty());
  CHECK(done.error().code == std::errc::no_such_file_or_directory);
  CHECK(done.error().text() == "100/status: No such file or directory");
  CHECK(root.link("100/exe").error().code == std::errc::no_such_file_or_directory);
  CHECK_FALSE(root.numbers("100"));
  CHECK_FALSE(ProcRoot::open((tree.path() + "/absent").c_str()));
  tree.file("file", "");
  CHECK_FALSE(ProcRoot::open((tree.path() + "/file").c_str()));
}

TEST_CASE("only the numbers of a directory are processes", "[base]") {
  const FakeTree tree;
  const ProcRoot root = open_root(tree);
  for (const char* name : {"1/x", "200/x", "self/x", "12a/x", "99999999999/x", "3"}) {
    tree.file(name, "");
  }
  auto numbers = root.numbers(".");
  REQUIRE(numbers);
  std::sort(numbers->begin(), numbers->end());
  CHECK(*numbers == std::vector<int>{1, 3, 200});

  int seen = 0;
  REQUIRE(root.list(".", [&](const char*) { return ++seen < 2; }));
  CHECK(seen == 2);
}

TEST_CASE("links are read, never followed", "[base]") {
  const FakeTree tree;
  const ProcRoot root = open_root(tree);
  tree.link("1/fd/0", "pipe:[4455]");
  tree.link("1/ns/ipc", "ipc:[4026531839]");
  tree.link("1/ns/net", "net:[x]");
  tree.link("1/ns/mnt", "mnt");
  CHECK(root.link("1/fd/0").value() == "pipe:[4455]");
  CHECK(root.namespace_id(1, "ipc") == 4026531839U);
  CHECK_FALSE(root.namespace_id(1, "net"));
  CHECK_FALSE(root.namespace_id(1, "mnt"));
  CHECK_FALSE(root.namespace_id(2, "ipc"));
}
