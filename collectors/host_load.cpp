// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/host_load.h"

#include <charconv>
#include <string_view>

#include "collectors/base/parse.h"

namespace ipcscope {

namespace {

std::optional<double> fraction(std::string_view word) {
  double value = 0;
  const auto [end, error] =
      std::from_chars(word.data(), word.data() + word.size(), value, std::chars_format::fixed);
  return error == std::errc{} && end == word.data() + word.size() ? std::optional(value)
                                                                  : std::nullopt;
}

/// avg10 of "some avg10=0.12 avg60=..." (kernel/sched/psi.c, psi_show()).
std::optional<double> pressure(const ProcRoot& proc, const char* path) {
  const Result<std::string> text = proc.read(std::string(path));
  std::string_view rest = text ? std::string_view(*text) : std::string_view();
  constexpr std::string_view key = "avg10=";
  if (next_word(rest) != "some") {
    return std::nullopt;
  }
  const std::string_view word = next_word(rest);
  return word.starts_with(key) ? fraction(word.substr(key.size())) : std::nullopt;
}

}  // namespace

HostLoad read_host_load(const ProcRoot& proc) {
  HostLoad load;
  if (const Result<std::string> text = proc.read(std::string("uptime"))) {
    std::string_view rest = *text;
    if (const auto seconds = fraction(next_word(rest)); seconds && *seconds >= 0) {
      load.uptime_s = static_cast<uint64_t>(*seconds);
    }
  }
  if (const Result<std::string> text = proc.read(std::string("loadavg"))) {
    std::string_view rest = *text;
    const auto one = fraction(next_word(rest));
    const auto five = fraction(next_word(rest));
    const auto fifteen = fraction(next_word(rest));
    if (one && five && fifteen) {
      load.averages = {*one, *five, *fifteen};
    }
  }
  load.cpu_pressure = pressure(proc, "pressure/cpu");
  load.memory_pressure = pressure(proc, "pressure/memory");
  load.io_pressure = pressure(proc, "pressure/io");
  return load;
}

}  // namespace ipcscope
