// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/target_memory.h"

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace ipcscope {

namespace {

constexpr size_t most_at_once = 256;  // iovecs; the kernel allows 1024 (UIO_MAXIOV)

iovec remote_part(uint64_t address, size_t size) {
  return {reinterpret_cast<void*>(address), size};
}

}  // namespace

TargetMemory::Handle TargetMemory::add(uint32_t group, int32_t tid, uint64_t address, size_t size) {
  if (address == 0 || size == 0) {
    return none;
  }
  asked_++;
  requests_.push_back({group, tid, address, wanted_, static_cast<uint32_t>(size), false});
  wanted_ += size;
  return static_cast<Handle>(requests_.size() - 1);
}

void TargetMemory::note_failure(int error, size_t count) {
  if (error == EPERM || error == EACCES) {
    refused_ += count;
  }
}

void TargetMemory::run() {
  buffer_.resize(wanted_);
  if (!enabled_) {
    return;
  }
  std::array<iovec, most_at_once> remote;
  for (size_t first = 0; first < requests_.size();) {
    size_t count = 0;
    size_t bytes = 0;
    while (first + count < requests_.size() && count < most_at_once &&
           requests_[first + count].group == requests_[first].group) {
      const Request& request = requests_[first + count];
      remote[count++] = remote_part(request.address, request.size);
      bytes += request.size;
    }
    // What one group asks for lies in one piece in buffer_.
    const iovec local{buffer_.data() + requests_[first].place, bytes};
    const ssize_t got =
        ::process_vm_readv(requests_[first].tid, &local, 1, remote.data(), count, 0);
    if (got < 0 && errno == ESRCH) {
      first++;  // this thread is gone, others of its process may still be there
      continue;
    }
    if (got < 0 && errno != EFAULT) {
      note_failure(errno, count);
      first += count;
      continue;
    }
    size_t left = got < 0 ? 0 : static_cast<size_t>(got);
    size_t done = 0;
    while (done < count && requests_[first + done].size <= left) {
      left -= requests_[first + done].size;
      requests_[first + done++].done = true;
    }
    first += done < count ? done + 1 : done;  // the one after the last is what stopped it
  }
}

std::string_view TargetMemory::bytes(Handle handle) const {
  if (handle >= requests_.size() || !requests_[handle].done) {
    return {};
  }
  return {buffer_.data() + requests_[handle].place, requests_[handle].size};
}

bool TargetMemory::read(int32_t tid, uint64_t address, void* to, size_t size) {
  if (!enabled_ || address == 0) {
    return false;
  }
  asked_++;
  const iovec local{to, size};
  const iovec remote = remote_part(address, size);
  const ssize_t got = ::process_vm_readv(tid, &local, 1, &remote, 1, 0);
  if (got < 0) {
    note_failure(errno);
  }
  return got == static_cast<ssize_t>(size);
}

std::optional<std::string> TargetMemory::read_string(int32_t tid, uint64_t address, size_t limit) {
  constexpr uint64_t step = 4096;  // never across a page: the next one may not be there
  std::string text;
  while (text.size() < limit) {
    const uint64_t from = address + text.size();
    const size_t size = std::min<size_t>(limit - text.size(), step - from % step);
    const size_t before = text.size();
    text.resize(before + size);
    if (!read(tid, from, text.data() + before, size)) {
      return std::nullopt;
    }
    if (const size_t end = text.find('\0', before); end != std::string::npos) {
      text.resize(end);
      return text;
    }
  }
  return std::nullopt;
}

}  // namespace ipcscope
