// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/removal/removal.h"

namespace ipcscope {

constexpr const char* manifest_name = "manifest.jsonl";
constexpr const char* backup_schema = "ipcscope-backup/1";

/// One attempt to restore an object: enough to know what it left behind when it was cut off.
struct Attempt {
  int32_t pid = 0;
  int64_t time = 0;                ///< seconds since the epoch
  std::optional<uint64_t> result;  ///< identifier or inode number of what it made
};

/// An object of a backup. object is as the kernel had it, not as it was judged, and its namespace
/// number is always set.
struct Saved {
  enum class State : uint8_t {
    draining,  ///< a queue whose messages go to the data file one by one
    saved,     ///< everything is in the backup; it may or may not have been removed
    removed,
    kept,  ///< it was not removed after all
    restored,
  };
  State state = State::saved;
  uint32_t number = 0;
  Target object;
  bool own = false;            ///< its namespace was that of the process that removed it
  uint64_t limit = 0;          ///< msg: msg_qbytes; mq: mq_maxmsg
  uint64_t message_bytes = 0;  ///< mq: mq_msgsize
  uint64_t page_bytes = 0;     ///< shm: of a huge page, 0 normal pages
  bool locked = false;         ///< shm: SHM_LOCK
  std::string file;            ///< with the content, in the directory of the manifest; empty: none
  uint64_t file_bytes = 0;
  uint32_t checksum = 0;
  std::optional<Attempt> attempt;
  std::string new_id;  ///< of a restored one
};

/// What stands in front of a manifest.
struct ManifestHead {
  std::string host, kernel, boot, time;
  int32_t pid = 0;
};

struct Manifest {
  ManifestHead head;
  std::vector<Saved> objects;
  std::vector<size_t> damaged;  ///< numbers of lines that are none, from 1; not a cut off last one
  size_t whole_bytes = 0;       ///< up to the end of the last whole line
};

/// Lines of a manifest, each a JSON object with its newline.
std::string head_line(const ManifestHead& head);
std::string saved_line(const Saved& saved);  ///< draining or saved
std::string removed_line(uint32_t number);
std::string kept_line(uint32_t number, const std::string& reason);
std::string restoring_line(uint32_t number, const Attempt& attempt);
std::string made_line(uint32_t number, uint64_t result);
std::string restored_line(uint32_t number, const std::string& new_id);

/// Fails when the first line is not that of a manifest. A last line without its newline is one that
/// was being written when everything stopped: nothing depended on it.
Result<Manifest> parse_manifest(std::string_view text);

const char* type_name(Target::Type type);

}  // namespace ipcscope
