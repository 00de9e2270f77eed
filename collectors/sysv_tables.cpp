// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/sysv_tables.h"

#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

#include <cstring>

#include "collectors/base/parse.h"

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

}  // namespace ipcscope
