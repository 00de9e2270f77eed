// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/socket.h"

#include <fmt/format.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <iterator>

#include "bpf/socket.h"
#include "collectors/base/identity_map.h"

namespace ipcscope {

namespace {

std::string netlink_protocol(uint16_t protocol) {
  // include/uapi/linux/netlink.h
  static constexpr const char* names[] = {
      "route",         "unused",   "usersock", "firewall",       "sock_diag",  "nflog",
      "xfrm",          "selinux",  "iscsi",    "audit",          "fib_lookup", "connector",
      "netfilter",     "ip6_fw",   "dnrtmsg",  "kobject_uevent", "generic",    "dm",
      "scsitransport", "ecryptfs", "rdma",     "crypto",         "smc"};
  return protocol < std::size(names) ? names[protocol] : fmt::format("{}", protocol);
}

/// vsock uses some of TCP's states (net/vmw_vsock/af_vsock.c).
const char* vsock_state(uint16_t state) {
  switch (state) {
    case 1:
      return "established";
    case 2:
      return "syn-sent";
    case 7:
      return "closed";
    case 10:
      return "listening";
    case 11:
      return "closing";
    default:
      return "unknown";
  }
}

/// VMADDR_CID_ANY and VMADDR_PORT_ANY are -1, and so is what is not known.
void write_address(SnapshotBuilder& builder, ChannelIndex channel, const char* key, uint32_t cid,
                   uint32_t port) {
  if (port == UNKNOWN_U32) {
    builder.unknown(channel, key);
    return;
  }
  builder.text(channel, key,
               cid == UNKNOWN_U32 ? fmt::format("*:{}", port) : fmt::format("{}:{}", cid, port));
}

class OtherSockets final : public Mechanism {
 public:
  void take(const record& fact, Assembly& assembly) override;
  void finish(Assembly& /*assembly*/) override {}

 private:
  static ChannelIndex describe(const socket_record& from, Assembly& assembly);
  IdentityMap channels_;
};

void OtherSockets::take(const record& fact, Assembly& assembly) {
  const auto& from = reinterpret_cast<const socket_record&>(fact);
  bool is_new = false;
  uint32_t& channel = channels_.slot(from.file.object, is_new);
  if (is_new) {
    channel = describe(from, assembly);
  }
  assembly.add_endpoint(channel, from.file, Role::opener, access_read | access_write,
                        static_cast<uint32_t>(from.file.inode));
}

ChannelIndex OtherSockets::describe(const socket_record& from, Assembly& assembly) {
  SnapshotBuilder& builder = assembly.builder;
  const Kind kind = from.family == AF_NETLINK  ? Kind::netlink
                    : from.family == AF_PACKET ? Kind::packet
                    : from.family == AF_VSOCK  ? Kind::vsock
                                               : Kind::raw;
  const ChannelIndex index =
      builder.add_channel(kind, fmt::format("{}:{}", kind_name(kind), from.file.inode));
  Channel& channel = builder.channel(index);
  channel.name_space = Assembly::foreign(from.net_ns, assembly.own_net_ns);
  channel.uid = known32(from.file.uid);
  channel.depth_bytes = known32(from.rx_memory);
  channel.capacity_bytes = known32(from.rcvbuf);
  if (kind == Kind::netlink) {
    builder.text(index, "protocol", netlink_protocol(from.protocol));
  } else if (kind == Kind::raw) {
    builder.text(index, "protocol", fmt::format("{}/{}", from.family, from.protocol));
  } else {
    builder.integer(index, "protocol", from.protocol);
  }
  builder.natural(index, "inode", from.file.inode);
  if (kind == Kind::netlink) {
    builder.natural32(index, "port", from.port);
    builder.natural32(index, "drops", from.drops);
  }
  if (kind == Kind::vsock) {
    // /proc has nothing about them but the descriptor; vsock_diag is rarely built.
    if (from.state == 0) {
      builder.unknown(index, "state");
    } else {
      builder.text(index, "state", vsock_state(from.state));
    }
    write_address(builder, index, "local", from.cid, from.port);
    write_address(builder, index, "remote", from.peer_cid, from.peer_port);
  }
  return index;
}

constexpr Kind kinds[] = {Kind::netlink, Kind::packet, Kind::raw, Kind::vsock};
constexpr record_kind records[] = {RECORD_SOCKET};

}  // namespace

const MechanismEntry socket_mechanism = {
    "socket", kinds, records, [] { return std::unique_ptr<Mechanism>(new OtherSockets); }};

}  // namespace ipcscope
