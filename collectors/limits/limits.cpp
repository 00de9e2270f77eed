// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/limits.h"

#include "collectors/limits/gathering.h"
#include "collectors/mechanism.h"
#include "collectors/name_spaces.h"

namespace ipcscope {

Request limits_request() {
  Request request;
  for (const Kind kind : {Kind::pipe, Kind::fifo, Kind::unix_socket, Kind::tcp, Kind::udp, Kind::mq,
                          Kind::posixshm, Kind::posixsem, Kind::inotify, Kind::epoll}) {
    request.kinds.set(static_cast<size_t>(kind));
  }
  return request;
}

Result<LimitFacts> collect_limits(const Snapshot& snapshot, const ProcRoot& proc) {
  if (const Result<std::string> version = proc.read(std::string("sys/fs/file-nr")); !version) {
    return Failure(version.error());
  }
  LimitGathering gathering(snapshot, proc);
  gathering.live = is_live(proc);
  gathering.own_ipc_ns = own_namespace("ipc");
  gathering.own_net_ns = own_namespace("net");
  gathering.own_mnt_ns = own_namespace("mnt");
  gathering.own_pid_ns = own_namespace("pid");
  gathering.own_user_ns = own_namespace("user");
  gather_processes(gathering);
  gather_host_limits(gathering);
  gather_ipc_limits(gathering);
  gather_net_limits(gathering);
  gather_user_limits(gathering);
  gather_cgroup_limits(gathering);
  gather_shm_mounts(gathering);
  return std::move(gathering.facts);
}

}  // namespace ipcscope
