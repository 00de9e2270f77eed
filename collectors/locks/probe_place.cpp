// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/locks/probe_place.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace ipcscope {

#if defined(__x86_64__)

namespace {

constexpr int stack_pointer = 4, second_register = 6, first_register = 7;  // rsp, rsi, rdi

enum class Step : uint8_t { over, emulated, stop };

/// As much of x86-64 as the beginnings of functions are made of. What is not known ends it.
class Instruction {
 public:
  explicit Instruction(std::span<const uint8_t> code) : code_(code) {}

  Step decode();
  [[nodiscard]] size_t length() const { return at_; }
  /// Number of the register that it writes; -1: none.
  [[nodiscard]] int written() const { return written_; }

 private:
  uint8_t next() {
    if (at_ >= code_.size()) {
      short_ = true;
      return 0;
    }
    return code_[at_++];
  }
  void skip(size_t bytes) {
    at_ += bytes;
    short_ = short_ || at_ > code_.size();
  }
  bool read_operands();
  Step decode_opcode(uint8_t opcode);
  Step decode_two_bytes();
  Step arithmetic_immediate(size_t immediate);

  std::span<const uint8_t> code_;
  size_t at_ = 0;
  bool short_ = false;
  uint8_t rex_ = 0;
  bool operand_size_ = false;  ///< prefix 66
  bool repeat_ = false;        ///< prefix f3
  bool segment_ = false;
  int reg_ = 0, rm_ = 0;
  bool rm_is_register_ = false;
  int written_ = -1;
};

/// ModRM, SIB and displacement.
bool Instruction::read_operands() {
  const uint8_t modrm = next();
  const int mod = modrm >> 6;
  reg_ = (modrm >> 3 & 7) | (rex_ & 4) << 1;
  rm_ = (modrm & 7) | (rex_ & 1) << 3;
  rm_is_register_ = mod == 3;
  if (mod == 3) {
    return !short_;
  }
  if ((modrm & 7) == 4) {
    const uint8_t sib = next();
    if (mod == 0 && (sib & 7) == 5) {
      skip(4);
    }
  } else if (mod == 0 && (modrm & 7) == 5) {
    skip(4);
  }
  skip(mod == 1 ? 1 : mod == 2 ? 4 : 0);
  return !short_;
}

Step Instruction::arithmetic_immediate(size_t immediate) {
  if (!read_operands()) {
    return Step::stop;
  }
  skip(immediate);
  if ((reg_ & 7) == 7) {  // cmp
    return Step::over;
  }
  if (!rm_is_register_) {
    return Step::stop;
  }
  written_ = rm_;
  return Step::over;
}

Step Instruction::decode_two_bytes() {
  const uint8_t opcode = next();
  if (opcode >= 0x80 && opcode <= 0x8f) {  // jcc
    return operand_size_ || repeat_ ? Step::stop : Step::emulated;
  }
  if (opcode == 0x1e && repeat_) {  // endbr64, a nop where it does nothing
    return next() == 0xfa ? Step::over : Step::stop;
  }
  if (opcode == 0x1f) {  // a long nop, which only the newest kernels emulate
    return read_operands() ? Step::over : Step::stop;
  }
  if (opcode == 0xb6 || opcode == 0xb7) {  // movzx
    written_ = read_operands() ? reg_ : first_register;
    return Step::over;
  }
  return Step::stop;
}

Step Instruction::decode_opcode(uint8_t opcode) {
  const bool plain = !operand_size_ && !repeat_ && !segment_;
  const size_t immediate = operand_size_ ? 2 : 4;
  if (opcode >= 0x50 && opcode <= 0x57) {  // push; with a prefix for the upper registers
    return plain ? Step::emulated : Step::stop;
  }
  if (opcode >= 0x70 && opcode <= 0x7f) {  // jcc
    return plain ? Step::emulated : Step::stop;
  }
  if (opcode >= 0xb8 && opcode <= 0xbf) {  // mov immediate
    written_ = (opcode & 7) | (rex_ & 1) << 3;
    skip((rex_ & 8) != 0 ? 8 : immediate);
    return Step::over;
  }
  switch (opcode) {
    case 0x90:
      return segment_ || rex_ != 0 ? Step::stop : repeat_ ? Step::over : Step::emulated;
    case 0xe8:  // call, jmp
    case 0xe9:
    case 0xeb:
      return plain ? Step::emulated : Step::stop;
    case 0x0f:
      return decode_two_bytes();
    case 0x89:  // mov, add, or, and, sub, xor: to a register or, in the first form, to memory
    case 0x01:
    case 0x09:
    case 0x21:
    case 0x29:
    case 0x31:
      if (!read_operands() || !rm_is_register_) {
        return Step::stop;
      }
      written_ = rm_;
      return Step::over;
    case 0x8b:
    case 0x8d:  // lea
    case 0x03:
    case 0x0b:
    case 0x23:
    case 0x2b:
    case 0x33:
      written_ = read_operands() ? reg_ : first_register;
      return Step::over;
    case 0x39:  // cmp, test
    case 0x3b:
    case 0x85:
    case 0x84:
    case 0x38:
    case 0x3a:
      return read_operands() ? Step::over : Step::stop;
    case 0x80:
    case 0x83:
      return arithmetic_immediate(1);
    case 0x81:
      return arithmetic_immediate(immediate);
    case 0xa8:  // test al
    case 0x3c:  // cmp al
      skip(1);
      return Step::over;
    case 0xa9:
    case 0x3d:
      skip(immediate);
      return Step::over;
    case 0x25:  // and eax
      skip(immediate);
      written_ = 0;
      return Step::over;
    default:
      return Step::stop;
  }
}

Step Instruction::decode() {
  uint8_t byte = next();
  for (;; byte = next()) {
    if (byte == 0x66) {
      operand_size_ = true;
    } else if (byte == 0xf3) {
      repeat_ = true;
    } else if (byte == 0x64) {
      segment_ = true;  // fs: the thread's own
    } else {
      break;
    }
  }
  if ((byte & 0xf0) == 0x40) {
    rex_ = byte;
    byte = next();
  }
  const Step step = decode_opcode(byte);
  return short_ ? Step::stop : step;
}

/// Where a jump at the beginning of this code goes, relative to it.
std::optional<int64_t> jump_of(std::span<const uint8_t> code) {
  const uint8_t first = code[0];
  if (code.size() >= 2 && (first == 0xeb || (first >= 0x70 && first <= 0x7f) ||
                           (first >= 0xe0 && first <= 0xe3))) {  // loop, jrcxz
    return 2 + static_cast<int8_t>(code[1]);
  }
  const size_t prefix = first == 0xe9 ? 1 : 2;
  const bool near =
      first == 0xe9 || (code.size() >= 2 && first == 0x0f && (code[1] & 0xf0) == 0x80);
  if (!near || code.size() < prefix + 4) {
    return std::nullopt;
  }
  int32_t distance = 0;
  std::memcpy(&distance, code.data() + prefix, sizeof distance);
  return static_cast<int64_t>(prefix) + 4 + distance;
}

}  // namespace

ProbePlace choose_probe_place(std::span<const uint8_t> code, bool second_argument,
                              const std::function<bool(size_t)>& is_target) {
  size_t at = 0;
  while (at < std::min(code.size(), probe_reach) && (at == 0 || !is_target(at))) {
    Instruction instruction(code.subspan(at));
    const Step step = instruction.decode();
    if (step == Step::emulated) {
      return {static_cast<uint32_t>(at), true};
    }
    const int written = instruction.written();
    if (step == Step::stop || written == first_register || written == stack_pointer ||
        (second_argument && written == second_register)) {
      break;
    }
    at += instruction.length();
  }
  return {};
}

std::vector<uint64_t> jump_targets(std::span<const uint8_t> text, uint64_t text_address,
                                   std::span<const uint64_t> entries) {
  std::vector<uint64_t> targets;
  for (size_t i = 0; i < text.size(); i++) {
    const std::optional<int64_t> distance = jump_of(text.subspan(i));
    if (!distance) {
      continue;
    }
    const uint64_t target = text_address + i + static_cast<uint64_t>(*distance);
    const auto behind = std::lower_bound(entries.begin(), entries.end(), target);
    if (behind != entries.begin() && target - *(behind - 1) <= probe_reach) {
      targets.push_back(target);
    }
  }
  std::sort(targets.begin(), targets.end());
  targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
  return targets;
}

#else

// Instructions of other architectures are not known here: each probe is at its function's entry.
ProbePlace choose_probe_place(std::span<const uint8_t> /*code*/, bool /*second_argument*/,
                              const std::function<bool(size_t)>& /*is_target*/) {
  return {};
}

std::vector<uint64_t> jump_targets(std::span<const uint8_t> /*text*/, uint64_t /*text_address*/,
                                   std::span<const uint64_t> /*entries*/) {
  return {};
}

#endif

}  // namespace ipcscope
