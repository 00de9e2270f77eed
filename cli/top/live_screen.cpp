// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/live_screen.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "cli/render/escape.h"
#include "cli/render/output.h"
#include "cli/top/screen.h"
#include "cli/top/worker.h"
#include "collectors/base/fd.h"

namespace ipcscope {

namespace {

/// Signals as something to be read. A signal that was ignored stays ignored: nohup.
class Signals {
 public:
  Signals() {
    ::sigemptyset(&set_);
    for (const int each : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH}) {
      struct sigaction action {};
      ::sigaction(each, nullptr, &action);
      if (action.sa_handler != SIG_IGN) {
        ::sigaddset(&set_, each);
      }
    }
    ::pthread_sigmask(SIG_BLOCK, &set_, &before_);
    file_ = Fd(::signalfd(-1, &set_, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  ~Signals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  [[nodiscard]] int descriptor() const { return file_.get(); }
  std::optional<int> read() {
    signalfd_siginfo info{};
    return ::read(file_.get(), &info, sizeof info) == sizeof info
               ? std::optional(static_cast<int>(info.ssi_signo))
               : std::nullopt;
  }
  /// What it does to a program that does nothing about it.
  static void obey(int number) {
    sigset_t one;
    ::sigemptyset(&one);
    ::sigaddset(&one, number);
    ::signal(number, SIG_DFL);
    ::raise(number);
    ::pthread_sigmask(SIG_UNBLOCK, &one, nullptr);  // here it arrives
    ::pthread_sigmask(SIG_BLOCK, &one, nullptr);
  }

 private:
  sigset_t set_{}, before_{};
  Fd file_;
};

/// Into a new file: nothing that is there is overwritten, and no link is followed.
std::string write_new_file(const std::string& path, const std::string& text) {
  const std::string shown = escaped(path, {});
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (file.get() < 0) {
    return fmt::format("cannot write {}: {}", shown, ::strerror(errno));
  }
  Output out(::dup(file.get()));
  out.write(text);
  out.close();
  return out.error() != 0 ? fmt::format("cannot write {}: {}", shown, ::strerror(out.error()))
                          : fmt::format("written to {}", shown);
}

class LiveScreen {
 public:
  LiveScreen(const TopModel::Form& form, uint64_t count) : model_(form), count_(count) {}

  Result<void> run(std::unique_ptr<Sampler> sampler, bool color);

 private:
  enum class Next : uint8_t { go_on, quit };

  Next handle_signals();
  Next handle_input();
  void handle_frame(Worker& worker);
  void fit();

  Signals signals_;  ///< the first, so that threads that begin later have none of them
  TopModel model_;
  std::unique_ptr<Screen> screen_;
  uint64_t count_;
  uint64_t frames_ = 0;
};

void LiveScreen::fit() {
  const Screen::Size size = screen_->measure();
  model_.resize(size.width, size.height);
}

LiveScreen::Next LiveScreen::handle_signals() {
  while (const std::optional<int> number = signals_.read()) {
    switch (*number) {
      case SIGWINCH:
        fit();
        break;
      case SIGTSTP:
        screen_->leave_for([] { Signals::obey(SIGTSTP); });
        fit();
        break;
      case SIGCONT:
        // Whoever stopped it may have used the terminal meanwhile.
        screen_->leave_for([] {});
        fit();
        break;
      default:
        screen_.reset();
        Signals::obey(*number);
        return Next::quit;  // it was ignored by somebody who started this program
    }
  }
  return Next::go_on;
}

LiveScreen::Next LiveScreen::handle_input() {
  while (true) {
    const Screen::Input input = screen_->read();
    if (input.kind == Screen::Input::none) {
      return Next::go_on;
    }
    const Effect effect = input.kind == Screen::Input::click ? model_.click(input.clicked)
                                                             : model_.press(input.pressed);
    switch (effect.kind) {
      case Effect::none:
        break;
      case Effect::quit:
        return Next::quit;
      case Effect::redraw:
        fit();
        screen_->forget();
        break;
      case Effect::write:
        model_.say(write_new_file(effect.path, model_.view_text()));
        break;
    }
  }
}

void LiveScreen::handle_frame(Worker& worker) {
  if (std::shared_ptr<const TopFrame> frame = worker.take()) {
    model_.take(std::move(frame));
    frames_++;
  }
}

Result<void> LiveScreen::run(std::unique_ptr<Sampler> sampler, bool color) {
  Worker worker(std::move(sampler), model_.wanted());
  Result<std::unique_ptr<Screen>> screen = Screen::open(color);
  if (!screen) {
    return Failure(screen.error());
  }
  screen_ = std::move(*screen);
  fit();
  while (count_ == 0 || frames_ <= count_) {
    screen_->draw(model_.page());
    worker.want(model_.wanted());
    enum { keyboard, frame, signal, all };
    pollfd files[all] = {{STDIN_FILENO, POLLIN, 0},
                         {worker.descriptor(), POLLIN, 0},
                         {signals_.descriptor(), POLLIN, 0}};
    if (::poll(files, all, -1) < 0) {
      continue;
    }
    if (files[signal].revents != 0 && handle_signals() == Next::quit) {
      break;
    }
    if ((files[keyboard].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) {
      break;  // the terminal is gone
    }
    if (files[keyboard].revents != 0 && handle_input() == Next::quit) {
      break;
    }
    if (files[frame].revents != 0) {
      handle_frame(worker);
    }
  }
  screen_.reset();
  return {};
}

}  // namespace

Result<void> run_live_screen(std::unique_ptr<Sampler> sampler, const TopModel::Form& form,
                             bool color, uint64_t count) {
  return LiveScreen(form, count).run(std::move(sampler), color);
}

}  // namespace ipcscope
