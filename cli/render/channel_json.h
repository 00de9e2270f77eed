// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/render/json.h"
#include "cli/render/text.h"
#include "cli/report.h"
#include "collectors/model/snapshot.h"

namespace ipcscope {

/// Writes the members that every command's object begins with.
void write_head(Json& json, std::string_view command, const Snapshot& snapshot);
/// The same for a command that takes no snapshot: about this machine, now.
void write_own_head(Json& json, std::string_view command,
                    const std::vector<Coverage>& coverage = {});
void write_coverage(Json& json, const std::vector<Coverage>& coverage);

/// Writes channels of one snapshot. Made for hundreds of thousands of endpoints: what they have in
/// common, their processes, is escaped once.
class ChannelJson {
 public:
  /// protocols: nothing where nobody asked for them; then the member is not there.
  ChannelJson(Output& out, Json& json, const Snapshot& snapshot,
              const Protocols* protocols = nullptr);

  void write(const Channel& channel);
  /// Without the brackets, for those who have more to say of it.
  void write_members(const Channel& channel);
  /// With the channel's id beside it where with_channel says so.
  void write(const Wait& wait, bool with_channel);

 private:
  struct Names {
    std::string front;  ///< {"pid":1,"tid":null,"comm":"x","role":"
    std::string back;   ///< ,"ns_pid":2}
  };

  void write_protocol(const Channel& channel);
  void write(const Endpoint& endpoint);
  void write(const Attribute& attribute);
  const Names& names(ProcessIndex process);

  Output& out_;
  Json& json_;
  const Snapshot& snapshot_;
  const Protocols* protocols_;
  std::vector<Names> names_;
  UserNames users_;
};

/// The whole object of `ls --json`, with a channel on each line.
void write_list_json(Output& out, const ListReport& report);

}  // namespace ipcscope
