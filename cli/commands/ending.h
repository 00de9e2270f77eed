// SPDX-License-Identifier: GPL-2.0-or-later
// What ends a command that goes on.
#pragma once

namespace ipcscope {

/// From now on SIGINT and SIGTERM are noted, and end what sleeps: no call is restarted. The second
/// one ends the program, also where it takes long to answer.
void heed_interrupts();

/// Whether one of them has come.
[[nodiscard]] bool is_interrupted();

/// Whether standard output is a pipe or socket whose reader is gone.
[[nodiscard]] bool is_reader_gone();

}  // namespace ipcscope
