// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cerrno>
#include <string>
#include <system_error>
#include <tl/expected.hpp>
#include <utility>

namespace ipcscope {

/// What failed, and in the course of what.
struct Error {
  std::error_code code;
  std::string context;

  [[nodiscard]] std::string text() const {
    return code ? context + ": " + code.message() : context;
  }
};

/// A value or the reason why there is none.
template <typename T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

using Failure = tl::unexpected<Error>;

/// The failure of a system call: errno as it stands now.
inline Failure system_failure(std::string context, int number = errno) {
  return Failure(Error{std::error_code(number, std::generic_category()), std::move(context)});
}

/// A failure that no errno describes.
inline Failure failure(std::string context) { return Failure(Error{{}, std::move(context)}); }

}  // namespace ipcscope
