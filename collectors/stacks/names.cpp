// SPDX-License-Identifier: GPL-2.0-or-later
#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "collectors/stacks.h"

namespace ipcscope {

namespace {

/// Where a part of a function's name stands.
enum class At { start, anywhere };

struct Sign {
  std::string_view runtime;
  At at;
  std::string_view text;
};

// Functions that wait, or that only this runtime has. Names of Rust symbols that were not demangled
// (v0 mangling) hold their path's parts too, hence those without "::".
constexpr Sign signs[] = {
    {"Go", At::start, "runtime.futex"},
    {"Go", At::start, "runtime.park"},
    {"Go", At::start, "runtime.gopark"},
    {"Go", At::start, "runtime.note"},
    {"Go", At::start, "runtime.mcall"},
    {"Go", At::start, "runtime.epollwait"},
    {"Go", At::start, "runtime.netpoll"},
    {"Go", At::start, "runtime.usleep"},
    {"Go", At::start, "runtime.schedule"},
    {"Go", At::start, "runtime.mstart"},
    {"Go", At::start, "runtime/internal/"},
    {"Go", At::start, "internal/runtime/"},
    {"Go", At::start, "crosscall"},
    {"Java", At::anywhere, "Unsafe_Park"},
    {"Java", At::anywhere, "LockSupport"},
    {"Java", At::anywhere, "Parker::park"},
    {"Java", At::anywhere, "ParkEvent::park"},
    {"Java", At::anywhere, "ObjectMonitor::"},
    {"Java", At::anywhere, "JavaThread::"},
    {"Java", At::start, "JavaMain"},
    {"Node", At::start, "node::"},
    {"Node", At::start, "v8::"},
    {"Python", At::start, "PyThread_acquire_lock"},
    {"Python", At::start, "take_gil"},
    {"Python", At::start, "_PyMutex_Lock"},
    {"Python", At::start, "_PyParkingLot_Park"},
    {"Python", At::start, "PyEval_"},
    {"Python", At::start, "_PyEval_"},
    {"Python", At::start, "Py_RunMain"},
    {"Python", At::start, "Py_BytesMain"},
    {"Rust", At::anywhere, "std::sys::"},
    {"Rust", At::anywhere, "std::thread::park"},
    {"Rust", At::anywhere, "std::thread::Thread::park"},
    {"Rust", At::anywhere, "std::rt::lang_start"},
    {"Rust", At::anywhere, "std::sys_common::"},
    {"Rust", At::anywhere, "parking_lot"},
    {"Rust", At::start, "_RN"},
};

struct ObjectSign {
  std::string_view runtime;
  std::string_view name;  ///< how the last part of the path begins
};
constexpr ObjectSign object_signs[] = {
    {"Java", "libjvm.so"},
    {"Node", "libnode.so"},
    {"Python", "libpython"},
};

/// "::h" and 16 hexadecimal digits, which rustc puts behind each name.
bool has_rust_hash(std::string_view name) {
  constexpr size_t size = 19;
  return name.size() > size && name.substr(name.size() - size, 3) == "::h" &&
         name.substr(name.size() - 16).find_first_not_of("0123456789abcdef") ==
             std::string_view::npos;
}

/// A symbol without what a compiler puts behind the name of a copy or a part of a function.
std::string_view without_clone(std::string_view symbol) {
  for (const std::string_view mark : {".isra.", ".constprop.", ".part.", ".cold", ".lto_priv."}) {
    if (const size_t at = symbol.find(mark); at != std::string_view::npos && at > 0) {
      symbol = symbol.substr(0, at);
    }
  }
  return symbol;
}

std::string_view runtime_of(const Frame& frame) {
  for (const Sign& sign : signs) {
    const size_t at = frame.function.find(sign.text);
    if (at != std::string::npos && (sign.at == At::anywhere || at == 0)) {
      return sign.runtime;
    }
  }
  const std::string_view object = frame.object;
  const std::string_view name = object.substr(object.rfind('/') + 1);
  for (const ObjectSign& sign : object_signs) {
    if (name.starts_with(sign.name)) {
      return sign.runtime;
    }
  }
  return {};
}

}  // namespace

std::string_view runtime_of(const UserStack& stack) {
  for (const Frame& frame : stack.frames) {
    if (const std::string_view runtime = runtime_of(frame); !runtime.empty()) {
      return runtime;
    }
  }
  return {};
}

std::string demangled(std::string_view symbol) {
  // "name@@VERSION" of a versioned symbol in .symtab.
  std::string name(without_clone(symbol.substr(0, symbol.find('@'))));
  if (!name.starts_with("_Z")) {
    return name;
  }
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), std::free);
  if (status != 0 || !text) {
    return name;
  }
  name = text.get();
  if (has_rust_hash(name)) {
    name.resize(name.size() - 19);
  }
  return name;
}

}  // namespace ipcscope
