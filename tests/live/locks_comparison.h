// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "tests/live/comparison.h"

namespace ipcscope::live {

/// Where the answer of `locks --json` is not what a contest's second line says that it did: counts
/// of waits within 1 %, their time within 5 %, and of exact agreement what has no tolerance: kinds,
/// primitives, results, holders, who starves. later_ns: how long, at most, the answer's window went
/// on after the fixture had written that line; waits without an end went on too.
Problems compare_locks(const Json& did, const Json& answer, double later_ns);

/// One line for a person: what was compared, and how near it was.
std::string describe_locks(const Json& did, const Json& answer);

}  // namespace ipcscope::live
