// SPDX-License-Identifier: GPL-2.0-or-later
// Sockets, FIFOs and lock files that were left in a directory.
#include <fmt/format.h>

#include "analysis/leak_judge.h"

namespace ipcscope {

namespace {

void judge_socket(const PathFact& path, Leak& leak) {
  if (!path.used) {
    leak.add("bound", "whether a socket is bound to it is unknown", Verdict::suspect);
  } else if (*path.used) {
    leak.add("bound", "a socket is bound to it", Verdict::live);
  } else {
    leak.add("bound", "no socket is bound to it in any network namespace", Verdict::leaked,
             "no socket is bound to it");
  }
}

void judge_fifo(const PathFact& path, Leak& leak) {
  if (!path.used) {
    leak.add("opener", "whether a process has it open is unknown", Verdict::info);
  } else if (*path.used) {
    leak.add("opener", "a process has it open", Verdict::live);
  } else {
    leak.add("opener", "no process has it open", Verdict::info);
  }
}

void judge_lock_file(const Judge& judge, const PathFact& path, Leak& leak) {
  if (path.pid <= 0) {
    leak.add("pid", "it names no process", Verdict::live);
    return;
  }
  const Witness witness = judge.witness(path.pid, path.change_time);
  leak.creator = path.pid;
  leak.creator_text = fmt::format("{}, {}", witness.name, witness.brief);
  leak.add("pid", fmt::format("it names process {}, which {}", witness.name, witness.text),
           witness.is_gone() ? Verdict::info : Verdict::live,
           witness.is_gone() ? fmt::format("it names {}, which ended", path.pid) : "");
  if (!path.used) {
    leak.add("lock", "whether a lock is held on it is unknown", Verdict::info);
  } else {
    leak.add("lock", *path.used ? "a lock is held on it" : "nobody holds a lock on it",
             *path.used ? Verdict::live : Verdict::info);
  }
}

}  // namespace

void judge_path(const Judge& judge, Leak& leak) {
  const PathFact& path = *leak.path;
  switch (path.type) {
    case PathFact::Type::socket:
      judge_socket(path, leak);
      break;
    case PathFact::Type::fifo:
      judge_fifo(path, leak);
      break;
    case PathFact::Type::lock_file:
      judge_lock_file(judge, path, leak);
      break;
  }
  judge.add_age(leak, path.change_time, 0);
}

}  // namespace ipcscope
