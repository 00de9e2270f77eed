// SPDX-License-Identifier: GPL-2.0-or-later
#include "analysis/finding.h"

namespace ipcscope {

std::string finding_identity(const Finding& finding) {
  std::string text = finding.rule;
  for (const int32_t tid : finding.tids) {
    text += ' ' + std::to_string(tid);
  }
  for (const std::string& channel : finding.channels) {
    text += ' ' + channel;
  }
  return text;
}

}  // namespace ipcscope
