// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/sysv_tables.h"

#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

#include <cstring>

#include "collectors/base/parse.h"
#include "collectors/take_bytes.h"

namespace ipcscope {

namespace {

/// Reads the columns of one line in their order.
class Columns {
 public:
  explicit Columns(std::string_view line) : line_(line) {}

  template <typename T>
  Columns& number(T& out, int base = 10) {
    const auto value = next_number<T>(line_, base);
    good_ = good_ && value.has_value();
    out = value.value_or(T{});
    return *this;
  }
  /// Printed with %d, although it is a bit pattern.
  Columns& key(uint32_t& out) {
    int64_t value = 0;
    number(value);
    out = static_cast<uint32_t>(value);
    return *this;
  }
  Columns& owner(SysvRow& row) {
    return number(row.uid).number(row.gid).number(row.cuid).number(row.cgid);
  }
  [[nodiscard]] bool good() const { return good_; }

 private:
  std::string_view line_;
  bool good_ = true;
};

template <typename Row, typename Parse>
std::vector<Row> parse_lines(std::string_view text, Parse parse) {
  std::vector<Row> rows;
  next_line(text);  // the headings
  while (!text.empty()) {
    Row row;
    Columns columns(next_line(text));
    parse(columns, row);
    if (columns.good()) {
      rows.push_back(row);
    }
  }
  return rows;
}

union SemaphoreArgument {
  int value;
  semid_ds* status;
  unsigned short* values;
};

std::vector<SemaphoreState> ask_semaphores(int id, uint32_t count) {
  std::vector<unsigned short> values(count);
  SemaphoreArgument argument{};
  argument.values = values.data();
  if (count == 0 || ::semctl(id, 0, GETALL, argument) < 0) {
    return {};
  }
  std::vector<SemaphoreState> states(count);
  for (uint32_t i = 0; i < count; i++) {
    const int index = static_cast<int>(i);
    states[i].value = values[i];
    states[i].pid = ::semctl(id, index, GETPID);
    states[i].increase_waiters = ::semctl(id, index, GETNCNT);
    states[i].zero_waiters = ::semctl(id, index, GETZCNT);
  }
  return states;
}

constexpr uint32_t tables_magic = 0x56737973;

struct TablesHead {
  uint32_t magic, name_space;
  int32_t error;
  uint32_t denied, shm_bytes, sem_bytes, msg_bytes, sets, queues;
};

}  // namespace

std::vector<ShmRow> parse_shm(std::string_view text) {
  return parse_lines<ShmRow>(text, [](Columns& columns, ShmRow& row) {
    columns.key(row.key).number(row.id).number(row.mode, 8).number(row.bytes).number(row.creator);
    columns.number(row.last).number(row.attaches).owner(row).number(row.attach_time);
    columns.number(row.detach_time).number(row.change_time);
  });
}

std::vector<SemRow> parse_sem(std::string_view text) {
  return parse_lines<SemRow>(text, [](Columns& columns, SemRow& row) {
    columns.key(row.key).number(row.id).number(row.mode, 8).number(row.semaphores).owner(row);
    columns.number(row.operate_time).number(row.change_time);
  });
}

std::vector<MsgRow> parse_msg(std::string_view text) {
  return parse_lines<MsgRow>(text, [](Columns& columns, MsgRow& row) {
    columns.key(row.key).number(row.id).number(row.mode, 8).number(row.bytes).number(row.messages);
    columns.number(row.last_sender).number(row.last_receiver).owner(row).number(row.send_time);
    columns.number(row.receive_time).number(row.change_time);
  });
}

std::optional<uint64_t> ask_queue_limit(int id) {
  // By index MSG_STAT_ANY needs no read permission, as /proc does not (Linux 4.17). The index is
  // the low 15 bits of the id, 24 with the boot parameter ipcmni_extend (ipc/util.h).
  for (const int mask : {0x7fff, 0xffffff}) {
    msqid_ds status{};
    if (::msgctl(id & mask, MSG_STAT_ANY, &status) == id) {
      return status.msg_qbytes;
    }
  }
  msqid_ds status{};
  if (::msgctl(id, IPC_STAT, &status) == 0) {
    return status.msg_qbytes;
  }
  return std::nullopt;
}

SysvTables read_sysv_tables(const ProcRoot& proc, bool ask_kernel) {
  SysvTables tables;
  // The kernel picks the namespace when the file is opened: that of the opener (ipc/util.c,
  // sysvipc_proc_open).
  for (auto [path, text] :
       {std::pair("sysvipc/shm", &tables.shm), std::pair("sysvipc/sem", &tables.sem),
        std::pair("sysvipc/msg", &tables.msg)}) {
    if (const Result<void> done = proc.read(path, *text); !done) {
      tables.error = done.error().code.value();
    }
  }
  if (!ask_kernel) {
    return tables;
  }
  for (const SemRow& row : parse_sem(tables.sem)) {
    std::vector<SemaphoreState> states = ask_semaphores(row.id, row.semaphores);
    if (states.empty()) {
      tables.denied++;
    } else {
      tables.semaphores.emplace(row.id, std::move(states));
    }
  }
  for (const MsgRow& row : parse_msg(tables.msg)) {
    if (const auto limit = ask_queue_limit(row.id)) {
      tables.queue_limit.emplace(row.id, *limit);
    }
  }
  return tables;
}

std::string encode_tables(const SysvTables& tables) {
  std::string out;
  put_bytes(out, TablesHead{tables_magic, tables.name_space, tables.error, tables.denied,
                            static_cast<uint32_t>(tables.shm.size()),
                            static_cast<uint32_t>(tables.sem.size()),
                            static_cast<uint32_t>(tables.msg.size()),
                            static_cast<uint32_t>(tables.semaphores.size()),
                            static_cast<uint32_t>(tables.queue_limit.size())});
  out += tables.shm;
  out += tables.sem;
  out += tables.msg;
  for (const auto& [id, states] : tables.semaphores) {
    put_bytes(out, id);
    put_bytes(out, static_cast<uint32_t>(states.size()));
    for (const SemaphoreState& state : states) {
      put_bytes(out, state);
    }
  }
  for (const auto& [id, limit] : tables.queue_limit) {
    put_bytes(out, id);
    put_bytes(out, limit);
  }
  return out;
}

std::optional<SysvTables> decode_tables(std::string_view& bytes) {
  ByteTaker from(bytes);
  const auto head = from.value<TablesHead>();
  if (!from.good() || head.magic != tables_magic) {
    return std::nullopt;
  }
  SysvTables tables;
  tables.name_space = head.name_space;
  tables.error = head.error;
  tables.denied = head.denied;
  tables.shm = from.bytes(head.shm_bytes);
  tables.sem = from.bytes(head.sem_bytes);
  tables.msg = from.bytes(head.msg_bytes);
  for (uint32_t i = 0; i < head.sets && from.good(); i++) {
    const auto id = from.value<int32_t>();
    const auto count = from.value<uint32_t>();
    const std::string_view packed = from.bytes(size_t{count} * sizeof(SemaphoreState));
    if (from.good()) {
      std::vector<SemaphoreState> states(count);
      if (count > 0) {
        std::memcpy(states.data(), packed.data(), packed.size());
      }
      tables.semaphores.emplace(id, std::move(states));
    }
  }
  for (uint32_t i = 0; i < head.queues && from.good(); i++) {
    const auto id = from.value<int32_t>();
    tables.queue_limit.emplace(id, from.value<uint64_t>());
  }
  if (!from.good()) {
    return std::nullopt;
  }
  bytes = from.left();
  return tables;
}

}  // namespace ipcscope
