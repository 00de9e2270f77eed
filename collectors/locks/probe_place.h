// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace ipcscope {

/// Where in a function a probe is to be.
struct ProbePlace {
  uint32_t offset = 0;  ///< from its entry
  /// The kernel emulates the instruction there; else it has the thread execute it in a copy of its
  /// own and stop again, which takes many times as long (arch/x86/kernel/uprobes.c).
  bool emulated = false;
};

/// How far from the entry a place is looked for.
constexpr size_t probe_reach = 48;

/// The first instruction that each call comes by exactly once, with its arguments still in their
/// registers, and that the kernel emulates: a push, a nop, a call or a jump. The entry itself when
/// there is none, or when the code is not known well enough.
///
/// code: from the entry on. second_argument: whether that one is needed, too. is_target: whether
/// something jumps to this distance from the entry.
ProbePlace choose_probe_place(std::span<const uint8_t> code, bool second_argument,
                              const std::function<bool(size_t)>& is_target);

/// Addresses behind each of these entries, up to probe_reach, to which something in the text may
/// jump; sorted. Bytes that only look like a jump count, too. entries are sorted.
std::vector<uint64_t> jump_targets(std::span<const uint8_t> text, uint64_t text_address,
                                   std::span<const uint64_t> entries);

}  // namespace ipcscope
