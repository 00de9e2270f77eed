// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <memory>

#include "cli/top/frame.h"
#include "cli/top/wanted.h"
#include "collectors/base/proc_root.h"
#include "collectors/base/result.h"
#include "collectors/request.h"

namespace ipcscope {

/// Looks at the host and makes frames of it. Measures only what somebody looks at; what costs much
/// (the whole snapshot, findings, limits) it does as often as its share of one CPU allows. Not for
/// several threads at a time.
class Sampler {
 public:
  struct Form {
    SourceChoice source = SourceChoice::automatic;
    bool utf8 = false;
  };
  /// Takes the first snapshot. proc has to live as long. Fails as take_snapshot() does.
  static Result<std::unique_ptr<Sampler>> start(const Form& form, const ProcRoot& proc);
  ~Sampler();
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  /// Attaches the probes that are wanted from now on, and detaches others.
  void prepare(const Wanted& wanted);
  /// Whether a probe has to be polled.
  [[nodiscard]] bool polls() const;
  /// Takes in what the probes report, for at most this long; returns early on a signal.
  void poll(std::chrono::milliseconds timeout);
  /// A frame about the time since the last one. at_once: a frame with what is known already, the
  /// numbers of the last window included; nothing is measured for it.
  std::shared_ptr<const TopFrame> sample(const Wanted& wanted, bool at_once);

 private:
  class State;
  explicit Sampler(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ipcscope
