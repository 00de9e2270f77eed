// SPDX-License-Identifier: GPL-2.0-or-later
// Several ring buffers become one stream. The buffers are files in memory, laid out as the kernel
// lays out its own: the reader's page, the writer's page, the records.
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <ctime>

#include "collectors/base/fd.h"
#include "collectors/trace/rings.h"

using namespace ipcscope;

namespace {

constexpr size_t ring_bytes = 4096;
constexpr uint32_t busy = 1U << 31;
constexpr uint32_t discarded = 1U << 30;

class PaperRing {
 public:
  PaperRing() : file_(::memfd_create("ipcscope-test-ring", MFD_CLOEXEC)) {
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    const size_t bytes = 2 * page + 2 * ring_bytes;
    REQUIRE(::ftruncate(file_.get(), static_cast<off_t>(bytes)) == 0);
    memory_ = static_cast<char*>(
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0));
    REQUIRE(memory_ != MAP_FAILED);
    consumed_ = reinterpret_cast<uint64_t*>(memory_);
    produced_ = reinterpret_cast<uint64_t*>(memory_ + page);
    data_ = memory_ + 2 * page;
    bytes_ = bytes;
  }
  ~PaperRing() { ::munmap(memory_, bytes_); }
  PaperRing(const PaperRing&) = delete;
  PaperRing& operator=(const PaperRing&) = delete;

  RingReader reader() {
    Result<RingReader> reader = RingReader::open(file_.get(), ring_bytes);
    REQUIRE(reader.has_value());
    return std::move(*reader);
  }
  template <typename Record>
  uint64_t put(const Record& record, uint32_t bits = 0) {
    const uint64_t at = *produced_;
    const uint32_t head[2] = {static_cast<uint32_t>(sizeof record) | bits, 0};
    std::memcpy(data_ + at, head, sizeof head);
    std::memcpy(data_ + at + sizeof head, &record, sizeof record);
    *produced_ = at + sizeof head + sizeof record;
    return at;
  }
  void event(uint64_t end_ns, uint32_t tid, uint32_t bits = 0) {
    trace_event_record record{};
    record.kind = TRACE_EVENT;
    record.tid = tid;
    record.end_ns = end_ns;
    last_ = put(record, bits);
  }
  void thread(uint32_t tid) {
    trace_thread_record record{};
    record.kind = TRACE_THREAD;
    record.tid = tid;
    put(record);
  }
  /// The event that was busy is whole.
  void complete() {
    const uint32_t size = sizeof(trace_event_record);
    std::memcpy(data_ + last_, &size, sizeof size);
  }
  [[nodiscard]] bool is_read() const { return *consumed_ == *produced_; }

 private:
  Fd file_;
  char* memory_ = nullptr;
  char* data_ = nullptr;
  size_t bytes_ = 0;
  uint64_t* consumed_ = nullptr;
  uint64_t* produced_ = nullptr;
  uint64_t last_ = 0;
};

/// What comes out: "t7" the record of a thread, "7" an event of it.
std::string drained(TraceRings& rings, bool all = false) {
  std::string text;
  const size_t count = rings.drain(
      [&](std::span<const std::byte> record) {
        uint16_t kind = 0;
        std::memcpy(&kind, record.data(), sizeof kind);
        uint32_t tid = 0;
        std::memcpy(&tid, record.data() + 4, sizeof tid);
        text +=
            fmt::format("{}{}{}", text.empty() ? "" : " ", kind == TRACE_THREAD ? "t" : "", tid);
      },
      all);
  CHECK(count ==
        (text.empty() ? 0U : 1U + static_cast<size_t>(std::count(text.begin(), text.end(), ' '))));
  return text;
}

}  // namespace

TEST_CASE("trace rings: events of several come in the order of their ends", "[trace]") {
  PaperRing a;
  PaperRing b;
  PaperRing empty;
  TraceRings rings;
  rings.add(a.reader());
  rings.add(empty.reader());
  rings.add(b.reader());
  a.thread(1);
  a.event(100, 1);
  a.event(110, 1);
  a.event(400, 1);
  b.event(105, 2);
  b.thread(3);  // belongs to what stands behind it
  b.event(300, 3);
  b.event(310, 2, discarded);
  b.event(320, 2);
  CHECK(drained(rings) == "t1 1 2 1 t3 3 2 1");
  CHECK(a.is_read());
  CHECK(b.is_read());
  CHECK(drained(rings).empty());
  b.event(500, 2);
  a.event(450, 1);
  CHECK(drained(rings) == "1 2");
}

TEST_CASE("trace rings: nothing overtakes what is still on its way", "[trace]") {
  PaperRing a;
  PaperRing b;
  TraceRings rings;
  rings.add(a.reader());
  rings.add(b.reader());
  a.event(100, 1);
  a.event(200, 1, busy);
  b.event(90, 2);
  b.event(300, 2);
  CHECK(drained(rings) == "2 1");
  CHECK(drained(rings).empty());
  a.complete();
  CHECK(drained(rings) == "1 2");

  // What ended this very moment: another ring may yet get something older.
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const uint64_t soon = static_cast<uint64_t>(now.tv_sec + 60) * 1'000'000'000;
  b.event(soon, 2);
  a.event(400, 1);
  CHECK(drained(rings) == "1");
  a.thread(5);
  CHECK(drained(rings, true) == "2 t5");  // at the end, all of it
  CHECK(a.is_read());
  CHECK(b.is_read());
}
