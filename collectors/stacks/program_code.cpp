// SPDX-License-Identifier: GPL-2.0-or-later
#include "collectors/stacks/program_code.h"

#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <deque>
#include <unordered_map>

#include "collectors/stacks/address_space.h"

namespace ipcscope {

namespace {

using Clock = std::chrono::steady_clock;

// The places of x86-64's registers in i386's numbering, for a 32-bit process on such a kernel.
[[maybe_unused]] constexpr std::array<size_t, 9> i386_registers = {0, 2, 1, 3, 7, 6, 4, 5, 16};

bool uses_32_bits(AddressSpace& space) {
  unsigned char ident[EI_NIDENT] = {};
  return !space.modules().empty() &&
         space.read(space.mappings()[space.modules().front().first].start, ident, sizeof ident) &&
         ident[EI_CLASS] == ELFCLASS32;
}

/// What a word of the stack is without the signature that a return address may have on arm64
/// (pointer authentication): it is in the bits above those of a program's addresses.
uint64_t without_signature([[maybe_unused]] const AddressSpace& space, uint64_t word) {
#if defined(__aarch64__)
  constexpr uint64_t most_address = (uint64_t{1} << 48) - 1;
  if (word > most_address) {
    const UserMapping* const mapping = space.find(word & most_address);
    return mapping != nullptr && mapping->executable ? word & most_address : word;
  }
#endif
  return word;
}

/// Whether the program itself has line information. That of a separate file is not used: it takes
/// 25 ms to decompress that of the C library alone.
bool has_lines(Dwfl_Module* module) {
  Dwarf_Addr bias = 0;
  Elf* const elf = ::dwfl_module_getelf(module, &bias);
  size_t names = 0;
  if (elf == nullptr || ::elf_getshdrstrndx(elf, &names) != 0) {
    return false;
  }
  Elf_Scn* section = nullptr;
  while ((section = ::elf_nextscn(elf, section)) != nullptr) {
    GElf_Shdr header;
    const char* const name = ::gelf_getshdr(section, &header) != nullptr
                                 ? ::elf_strptr(elf, names, header.sh_name)
                                 : nullptr;
    if (name != nullptr && std::string_view(name) == ".debug_line") {
      return true;
    }
  }
  return false;
}

void find_line(Dwfl_Module* module, uint64_t address, Frame& frame) {
  int number = 0;
  const char* file = nullptr;
  if (Dwfl_Line* const line = ::dwfl_module_getsrc(module, address)) {
    file = ::dwfl_lineinfo(line, nullptr, &number, nullptr, nullptr, nullptr);
  } else {
    // clang and rustc write no table of address ranges, without which the library finds no unit.
    constexpr int most_units = 2000;
    Dwarf_Die* unit = nullptr;
    Dwarf_Addr bias = 0;
    for (int i = 0; i < most_units && file == nullptr; i++) {
      unit = ::dwfl_module_nextcu(module, unit, &bias);
      if (unit == nullptr) {
        break;
      }
      Dwarf_Line* const found = ::dwarf_haspc(unit, address - bias) == 1
                                    ? ::dwarf_getsrc_die(unit, address - bias)
                                    : nullptr;
      if (found != nullptr) {
        file = ::dwarf_linesrc(found, nullptr, nullptr);
        ::dwarf_lineno(found, &number);
      }
    }
  }
  if (file != nullptr) {
    frame.file = file;
    frame.line = number;
  }
}

/// Whether an address, as the object numbers it, lies in a page of what the loader maps of it.
bool is_in_segments(Elf* elf, uint64_t address) {
  constexpr uint64_t page = 4096;
  size_t count = 0;
  if (::elf_getphdrnum(elf, &count) != 0) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    GElf_Phdr segment;
    if (::gelf_getphdr(elf, static_cast<int>(i), &segment) != nullptr &&
        segment.p_type == PT_LOAD && address >= (segment.p_vaddr & ~(page - 1)) &&
        address < ((segment.p_vaddr + segment.p_memsz + page - 1) & ~(page - 1))) {
      return true;
    }
  }
  return false;
}

/// Where a module ends: with its .bss, which is an anonymous mapping right behind the file's.
uint64_t end_of(const AddressSpace& space, const UserModule& module) {
  const UserMapping& last = space.mappings()[module.last];
  if (module.last + 1 < space.mappings().size()) {
    const UserMapping& next = space.mappings()[module.last + 1];
    if (next.start == last.end && next.inode == 0 && next.path.empty()) {
      return next.end;
    }
  }
  return last.end;
}

}  // namespace

class ProgramCode::State {
 public:
  explicit State(AddressSpace&& from) : space(std::move(from)), narrow(uses_32_bits(space)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (dwfl != nullptr) {
      ::dwfl_end(dwfl);
    }
  }
  void report();
  bool attach(int pid);
  using Rules = std::unique_ptr<Dwarf_Frame, decltype(&::free)>;
  /// The entry of the unwind tables for an address, or none.
  Rules rules_at(uint64_t address);
  /// Whether the tables say that nothing called the function there: a thread begins in it.
  bool is_outermost(uint64_t address);
  /// Why unwinding could not go on from here.
  std::string end_reason(uint64_t address, bool all_registers);
  /// Function, object and line of an address; those of the call when it is behind one.
  Frame describe(uint64_t address, bool behind_call);
  static int take_frame(Dwfl_Frame* frame, void* argument);

  AddressSpace space;
  bool narrow;  ///< a 32-bit process
  Dwfl* dwfl = nullptr;
  bool attached = false;
  std::deque<std::vector<char>> images;  ///< files put together from memory
  std::unordered_map<uint64_t, Frame> described;

  // The thread that is being unwound.
  const ThreadRegisters* thread = nullptr;
  UserStack* stack = nullptr;
  size_t most_frames = 0;
  Clock::time_point deadline;

 private:
  struct Reported {
    State* state;
    const UserModule* module;
  };
  static Reported& reported(void** userdata) { return *static_cast<Reported*>(*userdata); }
  static State& of(void* argument) { return *static_cast<State*>(argument); }

  static int find_elf(Dwfl_Module* module, void** userdata, const char* name, Dwarf_Addr base,
                      char** file_name, Elf** elf);
  static int find_debuginfo(Dwfl_Module* module, void** userdata, const char* name, Dwarf_Addr base,
                            const char* file_name, const char* link, GElf_Word checksum,
                            char** debug_name);
  static pid_t next_thread(Dwfl* dwfl, void* argument, void** thread_argument);
  static bool get_thread(Dwfl* dwfl, pid_t tid, void* argument, void** thread_argument);
  static bool memory_read(Dwfl* dwfl, Dwarf_Addr address, Dwarf_Word* result, void* argument);
  static bool set_registers(Dwfl_Thread* thread, void* thread_argument);

  std::deque<Reported> reported_;
};

int ProgramCode::State::find_elf(Dwfl_Module* /*module*/, void** userdata, const char* /*name*/,
                                 Dwarf_Addr /*base*/, char** /*file_name*/, Elf** elf) {
  const auto& [state, module] = reported(userdata);
  Fd file = state->space.open_file(*module);
  if (file) {
    const int number = ::dup(file.get());  // libdwfl closes it
    return number;
  }
  // The vDSO, or a file that is deleted or may not be opened.
  std::vector<char> image = state->space.image(*module);
  if (!image.empty()) {
    state->images.push_back(std::move(image));
    *elf = ::elf_memory(state->images.back().data(), state->images.back().size());
  }
  return -1;
}

int ProgramCode::State::find_debuginfo(Dwfl_Module* module, void** userdata, const char* /*name*/,
                                       Dwarf_Addr /*base*/, const char* /*file_name*/,
                                       const char* /*link*/, GElf_Word /*checksum*/,
                                       char** /*debug_name*/) {
  // Only what is installed, by build ID. The library's own search would also walk the directories
  // of the target's files in our mount namespace, and ask a debuginfo server.
  const unsigned char* bits = nullptr;
  GElf_Addr address = 0;
  const int size = ::dwfl_module_build_id(module, &bits, &address);
  if (size < 2) {
    return -1;
  }
  std::string path = fmt::format("/usr/lib/debug/.build-id/{:02x}/", bits[0]);
  for (int i = 1; i < size; i++) {
    path += fmt::format("{:02x}", bits[i]);
  }
  const Fd file = reported(userdata).state->space.open_path(path + ".debug");
  return file ? ::dup(file.get()) : -1;
}

pid_t ProgramCode::State::next_thread(Dwfl* /*dwfl*/, void* /*argument*/,
                                      void** /*thread_argument*/) {
  return 0;
}

bool ProgramCode::State::get_thread(Dwfl* /*dwfl*/, pid_t tid, void* argument,
                                    void** thread_argument) {
  *thread_argument = argument;
  return of(argument).thread->tid == tid;
}

bool ProgramCode::State::memory_read(Dwfl* /*dwfl*/, Dwarf_Addr address, Dwarf_Word* result,
                                     void* argument) {
  State& state = of(argument);
  if (Clock::now() > state.deadline) {
    return false;
  }
  uint64_t value = 0;
  const bool done = state.space.read(address, &value, state.narrow ? 4 : 8);
  *result = without_signature(state.space, value);
  return done;
}

bool ProgramCode::State::set_registers(Dwfl_Thread* thread, void* thread_argument) {
  const State& state = of(thread_argument);
  const auto& values = state.thread->values;
  const auto set = [&](size_t number, uint64_t value) {
    const Dwarf_Word word = value;
    return ::dwfl_thread_state_registers(thread, static_cast<int>(number), 1, &word);
  };
  const bool all = state.thread->known == ThreadRegisters::Known::all;
  ::dwfl_thread_state_register_pc(thread, state.thread->instruction);
#if defined(__x86_64__)
  constexpr size_t stack_place = 7;
  constexpr size_t pc_place = 16;
  if (state.narrow) {
    for (size_t i = 0; i < i386_registers.size(); i++) {
      const size_t from = i386_registers[i];
      const uint64_t value =
          from == pc_place ? state.thread->instruction : values[from] & UINT32_MAX;
      if ((all || from == stack_place || from == pc_place) && !set(i, value)) {
        return false;
      }
    }
    return true;
  }
  if (!set(pc_place, state.thread->instruction)) {
    return false;
  }
  constexpr size_t count = pc_place;
#else
  constexpr size_t stack_place = 31;
  constexpr size_t count = REGISTERS;
#endif
  if (all) {
    return ::dwfl_thread_state_registers(thread, 0, count, values.data());
  }
  return set(stack_place, values[stack_place]);
}

void ProgramCode::State::report() {
  static const Dwfl_Callbacks callbacks = {find_elf, find_debuginfo, nullptr, nullptr};
  ::elf_version(EV_CURRENT);
  dwfl = ::dwfl_begin(&callbacks);
  if (dwfl == nullptr) {
    return;
  }
  for (const UserModule& module : space.modules()) {
    const UserMapping& first = space.mappings()[module.first];
    if (!module.executable) {
      continue;
    }
    Dwfl_Module* const known =
        ::dwfl_report_module(dwfl, first.path.c_str(), first.start, end_of(space, module));
    void** userdata = nullptr;
    if (known != nullptr && ::dwfl_module_info(known, &userdata, nullptr, nullptr, nullptr, nullptr,
                                               nullptr, nullptr) != nullptr) {
      reported_.push_back({this, &module});
      *userdata = &reported_.back();
    }
  }
  ::dwfl_report_end(dwfl, nullptr, nullptr);
}

bool ProgramCode::State::attach(int pid) {
  static const Dwfl_Thread_Callbacks callbacks = {next_thread,   get_thread, memory_read,
                                                  set_registers, nullptr,    nullptr};
  attached =
      attached || (dwfl != nullptr && ::dwfl_attach_state(dwfl, nullptr, pid, &callbacks, this));
  return attached;
}

int ProgramCode::State::take_frame(Dwfl_Frame* frame, void* argument) {
  State& state = of(argument);
  Dwarf_Addr address = 0;
  bool is_activation = false;
  if (!::dwfl_frame_pc(frame, &address, &is_activation)) {
    return DWARF_CB_ABORT;
  }
  const UserMapping* mapping = state.space.find(address);
  if (mapping == nullptr || !mapping->executable) {
    state.stack->problem = "the stack leads out of the code";
    return DWARF_CB_ABORT;
  }
  if (state.stack->frames.size() == state.most_frames) {
    state.stack->problem = fmt::format("more than {} functions", state.most_frames);
    return DWARF_CB_ABORT;
  }
  Frame& added = state.stack->frames.emplace_back();
  added.address = address;
  added.offset = is_activation ? 0 : 1;  // until it is described: how far before it to look
  return DWARF_CB_OK;
}

ProgramCode::State::Rules ProgramCode::State::rules_at(uint64_t address) {
  Dwfl_Module* const module = ::dwfl_addrmodule(dwfl, address);
  for (const auto tables_of : {::dwfl_module_eh_cfi, ::dwfl_module_dwarf_cfi}) {
    Dwarf_Addr bias = 0;
    Dwarf_CFI* const tables = module == nullptr ? nullptr : tables_of(module, &bias);
    Dwarf_Frame* rules = nullptr;
    if (tables != nullptr && ::dwarf_cfi_addrframe(tables, address - bias, &rules) == 0) {
      return {rules, ::free};
    }
  }
  return {nullptr, ::free};
}

bool ProgramCode::State::is_outermost(uint64_t address) {
  const Rules rules = rules_at(address);
  if (!rules) {
    return false;
  }
  // A register without a rule (same value) has no operations either, but elsewhere.
  std::array<Dwarf_Op, 3> space_for_operations;
  Dwarf_Op* operations = nullptr;
  size_t count = 0;
  const int caller = ::dwarf_frame_info(rules.get(), nullptr, nullptr, nullptr);
  return caller >= 0 &&
         ::dwarf_frame_register(rules.get(), caller, space_for_operations.data(), &operations,
                                &count) == 0 &&
         count == 0 && operations == space_for_operations.data();
}

std::string ProgramCode::State::end_reason(uint64_t address, bool all_registers) {
  const UserMapping* mapping = space.find(address);
  Dwfl_Module* const module = ::dwfl_addrmodule(dwfl, address);
  if (Clock::now() > deadline) {
    return "no time left";
  }
  if (mapping == nullptr || module == nullptr) {
    return "code of no file, without unwind tables";
  }
  Dwarf_Addr bias = 0;
  if (::dwfl_module_getelf(module, &bias) == nullptr) {
    return fmt::format("{} is {}", mapping->path,
                       mapping->local ? "not readable" : "on a file system that may be remote");
  }
  if (!rules_at(address)) {
    return fmt::format("{} has no unwind table for it", mapping->path);
  }
  return all_registers ? "its caller cannot be read"
                       : "the next frame needs a register that only BPF can tell";
}

Frame ProgramCode::State::describe(uint64_t address, bool behind_call) {
  Frame frame;
  frame.address = address;
  const UserMapping* mapping = space.find(address);
  if (mapping == nullptr) {
    return frame;
  }
  frame.object = mapping->path;
  frame.object_offset = address - mapping->start + mapping->offset;
  Dwfl_Module* const module = ::dwfl_addrmodule(dwfl, address);
  if (module == nullptr) {
    return frame;
  }
  Dwarf_Addr bias = 0;
  Elf* const elf = ::dwfl_module_getelf(module, &bias);
  if (elf == nullptr || !is_in_segments(elf, address - bias)) {
    return frame;  // what is behind its .bss is another's
  }
  if (const char* const name = ::dwfl_module_info(module, nullptr, nullptr, nullptr, nullptr,
                                                  nullptr, nullptr, nullptr)) {
    frame.object = name;
  }
  frame.object_offset = address - bias;
  const uint64_t inside = address - (behind_call ? 1 : 0);
  GElf_Off offset = 0;
  GElf_Sym symbol{};
  const char* const function =
      ::dwfl_module_addrinfo(module, inside, &offset, &symbol, nullptr, nullptr, nullptr);
  if (function != nullptr && (symbol.st_size == 0 || offset < symbol.st_size)) {
    frame.function = demangled(function);
    frame.offset = offset + (address - inside);
  }
  if (!has_lines(module)) {
    return frame;
  }
  find_line(module, inside, frame);
  return frame;
}

ProgramCode::ProgramCode(std::unique_ptr<State> state) : state_(std::move(state)) {}

ProgramCode::~ProgramCode() = default;

Result<std::unique_ptr<ProgramCode>> ProgramCode::open(const ProcRoot& proc, int tid) {
  Result<AddressSpace> space = AddressSpace::open(proc, tid);
  if (!space) {
    return Failure(space.error());
  }
  auto state = std::make_unique<State>(std::move(*space));
  state->report();
  return std::unique_ptr<ProgramCode>(new ProgramCode(std::move(state)));
}

void ProgramCode::forget_memory() { state_->space.forget(); }

void ProgramCode::lay_over(uint64_t address, std::span<const char> bytes) {
  state_->space.lay_over(address, bytes);
}

void ProgramCode::prefetch_stacks(std::span<const ThreadRegisters> threads) {
  std::vector<uint64_t> stacks;
  for (const ThreadRegisters& thread : threads) {
    if (thread.known != ThreadRegisters::Known::nothing) {
      stacks.push_back(thread.stack());
    }
  }
  state_->space.prefetch(stacks);
}

void ProgramCode::unwind(const ThreadRegisters& thread, size_t frames, Clock::time_point deadline,
                         UserStack& stack) {
  if (thread.known == ThreadRegisters::Known::nothing) {
    stack.problem = thread.running ? "it is running" : "its registers cannot be read";
    return;
  }
  if (Clock::now() > deadline) {
    stack.problem = "no time left";
    return;
  }
  state_->thread = &thread;
  state_->stack = &stack;
  state_->most_frames = frames;
  state_->deadline = deadline;
  if (!state_->attach(thread.tid)) {
    // Without any readable program there is still the place where it waits.
    stack.frames.emplace_back().address = thread.instruction;
    stack.problem = "none of its programs can be read";
    return;
  }
  // The result does not tell an end from a caller that could not be found.
  ::dwfl_getthread_frames(state_->dwfl, thread.tid, State::take_frame, state_.get());
  if (!stack.problem.empty()) {
    return;
  }
  Frame last;
  last.address = thread.instruction;
  if (!stack.frames.empty()) {
    last = stack.frames.back();
  }
  stack.complete = state_->is_outermost(last.address - last.offset);
  if (!stack.complete) {
    stack.problem =
        state_->end_reason(last.address - last.offset, thread.known == ThreadRegisters::Known::all);
  }
}

void ProgramCode::name_frames(UserStack& stack, Clock::time_point deadline) {
  for (Frame& frame : stack.frames) {
    const bool behind_call = frame.offset != 0;
    auto known = state_->described.find(frame.address - frame.offset);
    if (known == state_->described.end()) {
      if (Clock::now() > deadline || state_->dwfl == nullptr) {
        frame.offset = 0;
        continue;
      }
      known =
          state_->described
              .emplace(frame.address - frame.offset, state_->describe(frame.address, behind_call))
              .first;
    }
    frame = known->second;
  }
}

std::string ProgramCode::name(uint64_t address) {
  const UserMapping* mapping = state_->space.find(address);
  if (mapping == nullptr || state_->dwfl == nullptr) {
    return {};
  }
  const auto place = [](std::string_view what, uint64_t offset) {
    return offset == 0 ? std::string(what) : fmt::format("{}+{:#x}", what, offset);
  };
  const Frame found = state_->describe(address, false);
  if (!found.function.empty()) {
    return place(found.function, found.offset);
  }
  if (!found.object.empty()) {
    return place(found.object, found.object_offset);
  }
  return place(fmt::format("anonymous memory {:x}", mapping->start), address - mapping->start);
}

}  // namespace ipcscope
