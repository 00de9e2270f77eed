// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/leak_judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <vector>

namespace ipcscope {

namespace {

constexpr int64_t second_ns = 1'000'000'000;
/// Objects keep whole seconds, and the two clocks are not read at one instant.
constexpr int64_t tolerance_ns = 2 * second_ns;
/// They are dated by the clock as the last timer tick left it (Linux 6.18
/// kernel/time/timekeeping.c, ktime_get_real_seconds): a tick is 10 ms at most, an idle CPU's is
/// late.
constexpr int64_t tick_ns = 100'000'000;
/// The first uid of people rather than services, as in login.defs(5).
constexpr uint32_t first_person = 1000;
constexpr uint32_t nobody = 65534;
constexpr size_t most_holders = 3;
constexpr std::string_view untold = "who made it is not recorded";

std::string with_number(std::string_view command, int32_t pid) {
  return command.empty() ? fmt::format("{}", pid) : fmt::format("{}[{}]", command, pid);
}

}  // namespace

Verdict Witness::allows() const {
  switch (state) {
    case State::ended:
    case State::reused:
      return Verdict::leaked;
    case State::lives:
      return Verdict::live;
    case State::unknown:
      break;
  }
  return Verdict::suspect;
}

Judge::Judge(const Snapshot& snapshot, const Leftovers& leftovers, const LeakQuery& query)
    : snapshot_(snapshot), leftovers_(leftovers), query_(query) {
  if (const Process* own = snapshot.process(query.own_pid)) {
    own_ipc_ns_ = own->ipc_ns;
  }
  for (const Process& process : snapshot.processes) {
    if (snapshot.has_ended(process)) {
      continue;
    }
    if (process.uid >= first_person && process.uid != nobody) {
      sessions_.insert(process.uid);
    }
    // Without an address space it is a kernel thread, or has ended.
    if (process.mm != 0 && process.pid != query.own_pid) {
      able_.push_back(&process);
    }
  }
}

Judge::Order Judge::started(std::optional<uint64_t> start_ns, int64_t remembered) const {
  const int64_t boot = snapshot_.time_ns - snapshot_.boot_ns;  // when the machine was started
  if (!start_ns || remembered <= 0 || remembered > INT64_MAX / second_ns) {
    return Order::unknown;
  }
  const int64_t noted = remembered * second_ns;
  // Nothing in the kernel is older than the machine's start: the clock has been set since.
  if (noted + tolerance_ns < boot) {
    return Order::unknown;
  }
  return boot + static_cast<int64_t>(*start_ns) > noted + tolerance_ns ? Order::later
                                                                       : Order::not_later;
}

Witness Judge::witness(int32_t pid, int64_t remembered) const {
  using State = Witness::State;
  Witness found;
  found.name = fmt::format("{}", pid);
  const Process* process = snapshot_.process(pid);
  std::optional<uint64_t> start_ns;
  if (pid == query_.own_pid && pid != 0) {
    found.state = State::reused;
    found.text = "ended, its number is now ipcscope's";
    found.brief = "now ipcscope";
    return found;
  }
  if (process != nullptr) {
    if (snapshot_.has_ended(*process)) {
      found.state = State::ended;
      found.name = label(*process);
      found.text = "ended (its parent has not yet collected it)";
      found.brief = "ended";
      return found;
    }
    start_ns = process->start_ns;
  } else {
    const auto fact = leftovers_.pids.find(pid);
    if (fact == leftovers_.pids.end()) {
      found.text = "is not known to have ended";
      return found;
    }
    if (!fact->second.exists) {
      found.state = State::ended;
      found.text = found.brief = "ended";
      return found;
    }
    start_ns = fact->second.start_ns;
  }
  const std::string_view command = process != nullptr ? process->command() : std::string_view();
  switch (started(start_ns, remembered)) {
    case Order::later:
      found.state = State::reused;
      found.text = command.empty() ? "ended, its number is another process's"
                                   : fmt::format("ended, its number is now {}'s", command);
      found.brief = fmt::format("now {}", command.empty() ? "another process" : command);
      break;
    case Order::not_later:
      found.state = State::lives;
      found.name = with_number(command, pid);
      found.text = found.brief = "lives";
      break;
    case Order::unknown:
      found.name = with_number(command, pid);
      found.text = "may be the one that was meant: times cannot be compared";
  }
  return found;
}

void Judge::add_possible_creator(Leak& leak, std::optional<uint32_t> creator_uid,
                                 int64_t change_time) const {
  constexpr const char* fact = "creator";
  if (leak.verdict == Verdict::live) {
    return;  // whoever made it
  }
  if (!creator_uid) {
    leak.add(fact, fmt::format("{}, nor of which user", untold), Verdict::suspect,
             "creator and its user unknown");
    return;
  }
  if ((change_time + 1) * second_ns + tick_ns > snapshot_.time_ns) {
    // Its creator may have begun after the processes were listed.
    leak.add(fact, fmt::format("{}, and it was made or changed only now: look again", untold),
             Verdict::suspect, "made or changed only now");
    return;
  }
  const uint32_t where = leak.name_space != 0 ? leak.name_space : own_ipc_ns_;
  std::vector<const Process*> creators = possible_creators(creator_uid, where, change_time);
  std::string_view whose = "of its user";
  if (creators.empty() && *creator_uid == 0) {
    // Programs begin as root and then give that up; among other users only root can.
    creators = possible_creators(std::nullopt, where, change_time);
    whose = "there";
  }
  if (!creators.empty()) {
    add_creators(leak, creators, whose);
    return;
  }
  if (const std::string blind = unseen_creator(*creator_uid, change_time); !blind.empty()) {
    leak.add(fact, fmt::format("{}: {} may have", untold, blind), Verdict::suspect,
             "perhaps of a process that is hidden");
    return;
  }
  leak.add(fact, "no process of its creator's user is as old as it", Verdict::leaked,
           "no process of its user is as old");
}

void Judge::add_creators(Leak& leak, const std::vector<const Process*>& creators,
                         std::string_view whose) {
  // A program makes its objects when it begins.
  const Process& nearest = **std::max_element(
      creators.begin(), creators.end(),
      [](const Process* a, const Process* b) { return a->start_ns < b->start_ns; });
  const std::string who = label(nearest);
  const std::string_view advice =
      "if no such program needs it, it was left behind: answer 'each' to --clean --force";
  const size_t others = creators.size() - 1;
  if (others == 0) {
    leak.add("creator", fmt::format("{}: {} may have; {}", untold, who, advice), Verdict::suspect,
             "perhaps of " + who);
  } else {
    leak.add(
        "creator",
        fmt::format("{}: {} or {} {} may have; {}", untold, who,
                    others == 1 ? "one other process" : fmt::format("{} other processes", others),
                    whose, advice),
        Verdict::suspect, fmt::format("perhaps of {} or {} more", who, others));
  }
}

std::vector<const Process*> Judge::possible_creators(std::optional<uint32_t> uid, uint32_t ipc_ns,
                                                     int64_t change_time) const {
  std::vector<const Process*> found;
  std::copy_if(able_.begin(), able_.end(), std::back_inserter(found), [&](const Process* process) {
    const bool inside = ipc_ns == 0 || process->ipc_ns == 0 || process->ipc_ns == ipc_ns;
    return inside && (!uid || process->uid == *uid) &&
           started(process->start_ns, change_time) != Order::later;
  });
  return found;
}

std::string Judge::unseen_creator(uint32_t uid, int64_t change_time) const {
  for (const UnseenProcess& each : leftovers_.unseen) {
    // Of one that was listed all is known that makes a creator.
    const bool matches = each.uids.empty() || uid == 0 ||
                         std::find(each.uids.begin(), each.uids.end(), uid) != each.uids.end();
    if (snapshot_.process(each.pid) == nullptr && matches &&
        started(each.start_ns, change_time) != Order::later) {
      return fmt::format("{}, which could not be inspected,", each.name);
    }
  }
  return leftovers_.processes_outside ? "a process outside this PID namespace" : "";
}

std::string Judge::unseen() const {
  const size_t count = leftovers_.unseen.size();
  if (count > 0) {
    const std::string& example = leftovers_.unseen.front().name;
    return count == 1 ? fmt::format("{}, which could not be inspected,", example)
                      : fmt::format("{} or another of {} processes that could not be inspected",
                                    example, count);
  }
  return leftovers_.processes_outside ? "a process outside this PID namespace" : "";
}

void Judge::add_age(Leak& leak, std::optional<int64_t> latest, uint64_t least) const {
  const int64_t now = snapshot_.time_ns / second_ns;
  const uint64_t limit = query_.min_age_s.value_or(least);
  if (latest && *latest > 0) {
    leak.age_s = static_cast<uint64_t>(std::max<int64_t>(now - *latest, 0));
  }
  if (limit == 0) {
    return;
  }
  if (!leak.age_s) {
    leak.add("age", "how old it is, is unknown", Verdict::suspect);
  } else if (*leak.age_s < limit) {
    leak.add("age", fmt::format("young: used or changed {} s ago", *leak.age_s), Verdict::suspect);
  } else {
    leak.add("age", fmt::format("not used or changed for {} s", *leak.age_s), Verdict::leaked);
  }
}

std::string Judge::label(const Process& process) {
  return with_number(process.command(), process.pid);
}

std::string Judge::holders(const Channel& channel) const {
  std::vector<ProcessIndex> seen;
  bool nameless = false;
  for (const Endpoint& endpoint : snapshot_.endpoints_of(channel)) {
    if (endpoint.process == no_index) {
      nameless = true;
    } else if (std::find(seen.begin(), seen.end(), endpoint.process) == seen.end()) {
      seen.push_back(endpoint.process);
    }
  }
  std::string out;
  for (size_t i = 0; i < std::min(seen.size(), most_holders); i++) {
    out += out.empty() ? "" : ", ";
    out += label(snapshot_.processes[seen[i]]);
  }
  if (seen.size() > most_holders) {
    fmt::format_to(std::back_inserter(out), " and {} more", seen.size() - most_holders);
  }
  // A descriptor that sits in the queue of a socket.
  return out.empty() && nameless ? "a message in flight" : out;
}

const ObjectFacts& Judge::facts(ChannelIndex channel) const {
  static const ObjectFacts nothing;
  const auto found = leftovers_.objects.find(channel);
  return found == leftovers_.objects.end() ? nothing : found->second;
}

std::optional<int64_t> Judge::number(const Channel& channel, std::string_view key) const {
  const Attribute* attribute = snapshot_.attribute(channel, key);
  if (attribute != nullptr && attribute->type == Attribute::Type::integer) {
    return attribute->integer;
  }
  if (attribute != nullptr && attribute->type == Attribute::Type::natural &&
      attribute->natural <= INT64_MAX) {
    return static_cast<int64_t>(attribute->natural);
  }
  return std::nullopt;
}

std::optional<bool> Judge::boolean(const Channel& channel, std::string_view key) const {
  const Attribute* attribute = snapshot_.attribute(channel, key);
  if (attribute == nullptr || attribute->type != Attribute::Type::boolean) {
    return std::nullopt;
  }
  return attribute->boolean;
}

std::string_view Judge::text(const Channel& channel, std::string_view key) const {
  const Attribute* attribute = snapshot_.attribute(channel, key);
  const bool is_text = attribute != nullptr && (attribute->type == Attribute::Type::text ||
                                                attribute->type == Attribute::Type::json);
  return is_text ? attribute->string() : std::string_view();
}

std::string counted(uint64_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

}  // namespace ipcscope
