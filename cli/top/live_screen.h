// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <memory>

#include "cli/top/model.h"
#include "cli/top/sampler.h"
#include "collectors/base/result.h"

namespace ipcscope {

/// Shows frames on the terminal until somebody quits, or for count frames (0: without an end). A
/// signal that ends programs ends this one, too, after the terminal has been given back.
Result<void> run_live_screen(std::unique_ptr<Sampler> sampler, const TopModel::Form& form,
                             bool color, uint64_t count);

}  // namespace ipcscope
