// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

namespace ipcscope {

/// A number that may be unknown, in the space of the number: its largest value stands for unknown.
/// There are hundreds of thousands of channels with half a dozen of these each.
template <typename T>
class Maybe {
 public:
  constexpr Maybe() = default;
  constexpr Maybe(T value) : value_(value) {}     // NOLINT(google-explicit-constructor)
  constexpr Maybe(std::nullopt_t /*unknown*/) {}  // NOLINT(google-explicit-constructor)
  template <typename U>
  requires(sizeof(U) <= sizeof(T)) constexpr Maybe(
      std::optional<U> value)  // NOLINT(google-explicit-constructor)
      : value_(value ? T{*value} : unknown) {}
  constexpr operator std::optional<T>() const {  // NOLINT(google-explicit-constructor)
    return has_value() ? std::optional<T>(value_) : std::nullopt;
  }

  [[nodiscard]] constexpr bool has_value() const { return value_ != unknown; }
  constexpr explicit operator bool() const { return has_value(); }
  constexpr const T& operator*() const { return value_; }
  [[nodiscard]] constexpr T value_or(T other) const { return has_value() ? value_ : other; }
  constexpr bool operator==(const Maybe&) const = default;

 private:
  static constexpr T unknown = std::numeric_limits<T>::max();
  T value_ = unknown;
};

}  // namespace ipcscope
