// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <clocale>
#include <cstdlib>

#include "cli/arguments.h"
#include "cli/command.h"
#include "collectors/kernel_layout.h"
#include "collectors/without.h"

namespace ipcscope {

namespace {

/// Where a standard descriptor is closed, the next file that is opened would get its number, and
/// what is meant for a person would be written into it.
void hold_standard_descriptors() {
  for (int fd = 0; fd <= STDERR_FILENO; fd++) {
    if (::fcntl(fd, F_GETFD) == -1) {
      // For reading only, so that a write to it still fails. The lowest free number is fd itself.
      (void)::open("/dev/null", O_RDONLY);
    }
  }
}

int check_output(Output& out, int status) {
  out.close();
  if (out.error() == 0) {
    return status;
  }
  if (out.error() == EPIPE) {
    // A parent that ignores SIGPIPE. Whoever closed the pipe has seen enough.
    return 128 + SIGPIPE;
  }
  complain(fmt::format("cannot write the output: {}", ::strerror(out.error())));
  return status_unanswered;
}

/// What is said about the kernel beyond the command: it lacks something, or has its types
/// elsewhere.
Result<void> prepare_kernel(const std::string& types) {
  if (const char* names = std::getenv("IPCSCOPE_WITHOUT"); names != nullptr) {
    if (Result<void> done = do_without(names); !done) {
      return done;
    }
  }
  if (!types.empty()) {
    return use_kernel_types(types);
  }
  const char* file = std::getenv("IPCSCOPE_BTF");
  return file != nullptr && *file != '\0' ? use_kernel_types(file) : Result<void>();
}

int run(int argc, const char* const* argv) {
  hold_standard_descriptors();
  std::setlocale(LC_CTYPE, "");
  ::signal(SIGPIPE, SIG_DFL);

  const Result<Invocation> invocation = parse_arguments(argc, argv);
  if (!invocation) {
    complain(invocation.error().text());
    return status_usage;
  }
  Output out(STDOUT_FILENO);
  if (invocation->command == nullptr) {
    out.write(invocation->text);
    return check_output(out, status_complete);
  }
  const Result<ProcRoot> proc = ProcRoot::open();
  if (!proc) {
    complain(fmt::format("cannot open {}; is /proc mounted?", proc.error().text()));
    return status_unanswered;
  }
  if (const Result<void> prepared = prepare_kernel(invocation->types); !prepared) {
    complain(prepared.error().text());
    return status_usage;
  }
  const Command& command = *invocation->command;
  const Terminal terminal = detect_terminal(invocation->options.color);
  const int status = command.run(invocation->options, {command.name, out, terminal, *proc});
  return check_output(out, status);
}

}  // namespace

}  // namespace ipcscope

int main(int argc, char** argv) { return ipcscope::run(argc, argv); }
