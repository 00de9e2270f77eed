// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/trace/trace_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstring>
#include <utility>

#include "collectors/base/fd.h"

namespace ipcscope {

namespace {

constexpr size_t padded(size_t bytes) { return (bytes + 7) & ~size_t{7}; }

/// What the names were when the file was written.
class FileNames final : public TraceNames {
 public:
  void take(const TraceNameRecord& record, std::string_view id) {
    names_[{record.key, record.pid}] = {std::string(id), static_cast<uint8_t>(record.channel_kind)};
  }
  TraceName name(const trace_channel_record& record, int32_t /*pid*/) override {
    return find(record.key, 0, static_cast<uint8_t>(record.channel_kind));
  }
  TraceName futex(int32_t pid, uint64_t address, bool /*is_private*/) override {
    return find(address, pid, TRACE_FUTEX);
  }

 private:
  TraceName find(uint64_t key, int32_t pid, uint8_t kind) {
    const auto found = names_.find({key, pid});
    if (found != names_.end()) {
      return found->second;
    }
    return {fmt::format("{}:?{:x}", trace_word(kind), key), kind};
  }
  std::map<std::pair<uint64_t, int32_t>, TraceName> names_;
};

}  // namespace

size_t trace_record_size(std::span<const std::byte> data) {
  uint16_t kind = 0;
  if (data.size() < 8) {
    return 0;
  }
  std::memcpy(&kind, data.data(), sizeof kind);
  size_t size = 0;
  switch (kind) {
    case TRACE_EVENT: {
      trace_event_record event;
      if (data.size() < sizeof event) {
        return 0;
      }
      std::memcpy(&event, data.data(), sizeof event);
      size = sizeof event + padded(event.payload) + size_t{event.stack} * 8;
      break;
    }
    case TRACE_CHANNEL:
      size = sizeof(trace_channel_record);
      break;
    case TRACE_THREAD:
      size = sizeof(trace_thread_record);
      break;
    case TRACE_LOST:
      size = sizeof(trace_lost_record);
      break;
    case trace_name_kind: {
      TraceNameRecord name;
      if (data.size() < sizeof name) {
        return 0;
      }
      std::memcpy(&name, data.data(), sizeof name);
      size = sizeof name + padded(name.length);
      break;
    }
    case trace_coverage_kind: {
      TraceCoverageRecord coverage;
      if (data.size() < sizeof coverage) {
        return 0;
      }
      std::memcpy(&coverage, data.data(), sizeof coverage);
      size = sizeof coverage +
             padded(size_t{coverage.source_bytes} + coverage.reason_bytes + coverage.hint_bytes);
      break;
    }
    default:
      return 0;
  }
  return size <= data.size() ? size : 0;
}

void append_coverage_record(std::string& out, const Coverage& coverage) {
  TraceCoverageRecord record;
  record.state = static_cast<uint16_t>(coverage.state);
  record.source_bytes = static_cast<uint16_t>(coverage.source.size());
  record.reason_bytes = static_cast<uint16_t>(coverage.reason.size());
  record.hint_bytes = static_cast<uint16_t>(coverage.hint.size());
  record.checked = coverage.checked;
  record.unreadable = coverage.unreadable;
  out.append(reinterpret_cast<const char*>(&record), sizeof record);
  const std::string text = coverage.source + coverage.reason + coverage.hint;
  out += text;
  out.append(padded(text.size()) - text.size(), '\0');
}

void RecordedTraceNames::append(const TraceName& name, uint64_t key, int32_t pid) {
  TraceNameRecord record;
  record.channel_kind = name.kind;
  record.length = static_cast<uint32_t>(name.id.size());
  record.key = key;
  record.pid = pid;
  out_.append(reinterpret_cast<const char*>(&record), sizeof record);
  out_ += name.id;
  out_.append(padded(name.id.size()) - name.id.size(), '\0');
}

TraceName RecordedTraceNames::name(const trace_channel_record& record, int32_t pid) {
  TraceName name = from_.name(record, pid);
  append(name, record.key, 0);
  return name;
}

TraceName RecordedTraceNames::futex(int32_t pid, uint64_t address, bool is_private) {
  TraceName name = from_.futex(pid, address, is_private);
  append(name, address, pid);
  return name;
}

Result<TraceFile> TraceFile::open(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    return system_failure(fmt::format("cannot open '{}'", path));
  }
  TraceFile file;
  if (!S_ISREG(status.st_mode) || status.st_size < static_cast<off_t>(sizeof(TraceFileHeader))) {
    return failure(fmt::format("'{}' is no file of ipcscope trace --write", path));
  }
  file.bytes_ = static_cast<size_t>(status.st_size);
  void* data = ::mmap(nullptr, file.bytes_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (data == MAP_FAILED) {
    return system_failure(fmt::format("cannot read '{}'", path));
  }
  file.data_ = static_cast<const std::byte*>(data);
  std::memcpy(&file.header_, data, sizeof file.header_);
  const TraceFileHeader expected;
  if (std::memcmp(file.header_.magic, expected.magic, sizeof expected.magic) != 0) {
    return failure(fmt::format("'{}' is no file of ipcscope trace --write", path));
  }
  if (file.header_.version != expected.version ||
      file.header_.event_bytes != expected.event_bytes) {
    return failure(fmt::format("'{}' is of another version of ipcscope", path));
  }
  file.header_.host[sizeof file.header_.host - 1] = '\0';
  file.header_.kernel[sizeof file.header_.kernel - 1] = '\0';
  file.read_coverage();
  return file;
}

void TraceFile::read_coverage() {
  std::span<const std::byte> left(data_ + sizeof(TraceFileHeader),
                                  bytes_ - sizeof(TraceFileHeader));
  for (size_t size = 0; (size = trace_record_size(left)) != 0; left = left.subspan(size)) {
    TraceCoverageRecord record;
    std::memcpy(&record.kind, left.data(), sizeof record.kind);
    if (record.kind != trace_coverage_kind) {
      break;
    }
    std::memcpy(&record, left.data(), sizeof record);
    const std::string_view text(reinterpret_cast<const char*>(left.data()) + sizeof record,
                                size - sizeof record);
    Coverage coverage;
    coverage.state = record.state == 0   ? Coverage::State::full
                     : record.state == 1 ? Coverage::State::partial
                                         : Coverage::State::unavailable;
    coverage.source = text.substr(0, record.source_bytes);
    coverage.reason = text.substr(record.source_bytes, record.reason_bytes);
    coverage.hint =
        text.substr(size_t{record.source_bytes} + record.reason_bytes, record.hint_bytes);
    coverage.checked = record.checked;
    coverage.unreadable = record.unreadable;
    coverage_.push_back(std::move(coverage));
  }
}

TraceFile::TraceFile(TraceFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(other.bytes_),
      header_(other.header_),
      coverage_(std::move(other.coverage_)) {}

TraceFile::~TraceFile() {
  if (data_ != nullptr) {
    ::munmap(const_cast<std::byte*>(data_), bytes_);
  }
}

bool TraceFile::decode(TraceSink& sink, uint64_t& events) {
  FileNames names;
  TraceDecoder decoder(names);
  std::span<const std::byte> left(data_ + sizeof(TraceFileHeader),
                                  bytes_ - sizeof(TraceFileHeader));
  bool whole = true;
  while (!left.empty() && whole) {
    const size_t size = trace_record_size(left);
    if (size == 0) {
      whole = false;
      break;
    }
    uint16_t kind = 0;
    std::memcpy(&kind, left.data(), sizeof kind);
    if (kind == trace_name_kind) {
      TraceNameRecord record;
      std::memcpy(&record, left.data(), sizeof record);
      names.take(record,
                 {reinterpret_cast<const char*>(left.data()) + sizeof record, record.length});
    } else if (kind != trace_coverage_kind) {
      whole = decoder.take(left.first(size), sink);
    }
    left = left.subspan(size);
  }
  events = decoder.events();
  return whole;
}

}  // namespace ipcscope
