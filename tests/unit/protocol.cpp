// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/protocol.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>

#include "tests/unit/fake_tree.h"
#include "tests/unit/paper_host.h"

using namespace ipcscope;

namespace {

std::string_view by_name(std::string_view name) {
  const auto found = protocol_of_name(name);
  return found ? found->name : std::string_view();
}

/// Two processes at one socket, and what they have mapped.
class Scene {
 public:
  Scene() : server_(host_.process(10)), client_(host_.process(20)) {}

  ChannelIndex connection(Kind kind, const std::string& name) {
    const ChannelIndex made = add(kind, name);
    host_.end(made, server_, Role::peer, 1);
    host_.end(made, client_, Role::peer, 2);
    return made;
  }
  ChannelIndex listener(Kind kind, const std::string& name) {
    const ChannelIndex made = add(kind, name);
    host_.end(made, server_, Role::listener, 3);
    return made;
  }
  void maps(int pid, const std::string& libraries) const {
    tree_.file(std::to_string(pid) + "/maps", libraries);
  }
  void name_server(const char* comm) { host_.name(server_, comm); }

  /// The label of each channel, in the order in which they were made.
  std::vector<std::string_view> labels() {
    const Snapshot snapshot = host_.take();
    std::vector<ChannelIndex> all(snapshot.channels.size());
    std::iota(all.begin(), all.end(), 0U);
    const Result<ProcRoot> proc = ProcRoot::open(tree_.path().c_str());
    REQUIRE(proc);
    const Protocols found = find_protocols(snapshot, all, *proc);
    std::vector<std::string_view> labels;
    for (const std::string& id : ids_) {
      const auto of_id = [&](ChannelIndex each) { return snapshot.channels[each].id == id; };
      const auto at = found.find(*std::find_if(all.begin(), all.end(), of_id));
      labels.push_back(at == found.end() ? std::string_view() : at->second.name);
    }
    return labels;
  }

 private:
  ChannelIndex add(Kind kind, const std::string& name) {
    const ChannelIndex made = host_.channel(kind, name);
    ids_.emplace_back(host_.snapshot().channels[made].id);
    return made;
  }

  FakeTree tree_;
  Host host_;
  ProcessIndex server_, client_;
  std::vector<std::string> ids_;
};

constexpr const char* zmq = "7f00-7f01 r-xp 0 00:1 5 /usr/lib/x86_64-linux-gnu/libzmq.so.5.2.4\n";
constexpr const char* dbus = "7f00-7f01 r-xp 0 00:1 6 /lib/libdbus-1.so.3\n";
constexpr const char* tirpc = "7f00-7f01 r-xp 0 00:1 7 /lib/libtirpc.so.3 (deleted)\n";
constexpr const char* libc = "7f00-7f01 r-xp 0 00:1 8 /lib/libc.so.6\n";

}  // namespace

TEST_CASE("well-known names and ports tell a protocol", "[protocol]") {
  CHECK(by_name("/run/dbus/system_bus_socket") == "D-Bus");
  CHECK(by_name("/run/user/1000/bus") == "D-Bus");
  CHECK(by_name("@/tmp/.X11-unix/X0") == "X11");
  CHECK(by_name("/var/run/postgresql/.s.PGSQL.5432") == "PostgreSQL");
  CHECK(by_name("/run/user/1000/a/bus").empty());
  CHECK(by_name("/srv/run/dbus/system_bus_socket").empty());
  CHECK(by_name("").empty());
  CHECK(protocol_of_port(111) == Protocol{"ONC RPC", protocol_from_port});
  CHECK_FALSE(protocol_of_port(112));
}

TEST_CASE("a library tells a protocol where both ends have it", "[protocol]") {
  Scene scene;
  scene.connection(Kind::unix_socket, "/srv/x");
  scene.listener(Kind::unix_socket, "/srv/x");
  scene.connection(Kind::unix_socket, "");  // a pair
  scene.connection(Kind::tcp, "");
  scene.connection(Kind::pipe, "");
  scene.maps(10, std::string(libc) + zmq);
  SECTION("both") {
    scene.maps(20, std::string(zmq) + libc);
    CHECK(scene.labels() == std::vector<std::string_view>{"ZeroMQ", "ZeroMQ", "", "ZeroMQ", ""});
  }
  SECTION("one") {
    scene.maps(20, libc);
    CHECK(scene.labels() == std::vector<std::string_view>{"", "ZeroMQ", "", "", ""});
  }
  SECTION("one, and the other cannot be read") {
    CHECK(scene.labels() == std::vector<std::string_view>{"", "ZeroMQ", "", "", ""});
  }
  SECTION("both, but two of them") {
    scene.maps(10, std::string(zmq) + "/lib/libnng.so.1\n");
    scene.maps(20, std::string(zmq) + "/lib/libnng.so.1\n");
    CHECK(scene.labels() == std::vector<std::string_view>{"", "", "", "", ""});
  }
}

TEST_CASE("a library that many have for other reasons tells less", "[protocol]") {
  Scene scene;
  scene.connection(Kind::unix_socket, "/srv/x");
  scene.connection(Kind::tcp, "");
  SECTION("D-Bus without its daemon") {
    scene.maps(10, dbus);
    scene.maps(20, dbus);
    CHECK(scene.labels() == std::vector<std::string_view>{"", ""});
  }
  SECTION("D-Bus with its daemon") {
    scene.maps(10, dbus);
    scene.maps(20, dbus);
    scene.name_server("dbus-daemon");
    CHECK(scene.labels() == std::vector<std::string_view>{"D-Bus", "D-Bus"});
  }
  SECTION("RPC between those who only log in") {
    scene.maps(10, tirpc);
    scene.maps(20, tirpc);
    CHECK(scene.labels() == std::vector<std::string_view>{"", "ONC RPC"});
  }
}

TEST_CASE("ports are taken from both ends of an identifier", "[protocol]") {
  const FakeTree tree;
  const Result<ProcRoot> proc = ProcRoot::open(tree.path().c_str());
  REQUIRE(proc);
  SnapshotBuilder builder;
  const char* const ids[] = {"tcp:0.0.0.0:111", "tcp:127.0.0.1:111-127.0.0.1:830@4026532181",
                             "tcp:[::1]:40000-[::1]:2049", "udp:[::]:111@4026532181",
                             "tcp:127.0.0.1:1110"};
  for (const char* id : ids) {
    builder.add_channel(std::string_view(id).starts_with("udp") ? Kind::udp : Kind::tcp, id, {});
  }
  const Snapshot snapshot = builder.finish();
  for (ChannelIndex i = 0; i < snapshot.channels.size(); i++) {
    INFO(snapshot.channels[i].id);
    const Protocols found = find_protocols(snapshot, {&i, 1}, *proc);
    CHECK(found.size() == (snapshot.channels[i].id.ends_with("1110") ? 0 : 1));
  }
}
