// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/types.h>

#include <vector>

#include "cli/render/output.h"
#include "cli/render/terminal.h"
#include "cli/selftest/catalogue.h"

namespace ipcscope {

void write_fixture_list(Output& out, const Terminal& terminal,
                        const std::vector<const FixtureEntry*>& fixtures);
/// The runbook of one.
void write_fixture(Output& out, const Terminal& terminal, const Catalogue& catalogue,
                   const FixtureEntry& fixture);
/// What somebody wants to know who has just started it, above its truth.
void write_fixture_hint(Output& out, const Terminal& terminal, const FixtureEntry& fixture);
void write_fixtures_json(Output& out, const std::vector<const FixtureEntry*>& fixtures);

}  // namespace ipcscope
