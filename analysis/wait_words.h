// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>

#include "analysis/wait_graph.h"
#include "collectors/model/snapshot.h"

namespace ipcscope {

/// "nginx[812]". This and what follows have raw bytes of names in them.
std::string process_label(const Process& process);
/// "nginx[812]", of a thread that does not lead its process "worker[812/815]".
std::string thread_label(const Snapshot& snapshot, ThreadIndex thread);
/// "41s", ">=41s" where it may be longer, "an unknown time".
std::string since_text(const Thread& thread);
/// "340ms", "3.2s", "5m12s".
std::string duration_text(uint64_t milliseconds);

/// What a thread does: "write 4096 B to pipe:4455 (65536 of 65536 B)".
std::string wait_text(const Snapshot& snapshot, const Wait& wait);
/// The D-Bus daemon from which a thread waits to hear: the other end of its UNIX socket. The daemon
/// passes on what others send, and nothing outside it tells who is to send it. no_index elsewhere.
ProcessIndex message_bus(const Snapshot& snapshot, const Wait& wait);
/// What else is to be said of a wait, a sentence without its stop. Empty: nothing.
std::string wait_note(const Snapshot& snapshot, const Wait& wait);
/// What a thread that could end the wait is to it: "holder", "reader", "child".
std::string_view releaser_role(const Snapshot& snapshot, const Wait& wait);
/// What such a thread has that is waited for: "holds flock:/x", "has the read end of pipe:4455".
std::string holding_text(const Snapshot& snapshot, const Wait& wait);

/// Whether a wait is for one holder, or for room: it goes on by itself in a healthy program, while
/// a wait for work or data can be that of an idle one.
bool wants_progress(const Snapshot& snapshot, const Wait& wait);
/// Whether it waits for room to write.
bool waits_for_room(const Wait& wait);

/// The verdict in words: "running on CPU", "waiting for host 10.1.2.3:443".
std::string root_text(const Snapshot& snapshot, const WaitGraph::Chain& chain);

}  // namespace ipcscope
