// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/top/column_fit.h"
#include "cli/top/frame.h"
#include "cli/top/key.h"
#include "cli/top/page.h"
#include "cli/top/row_filter.h"
#include "cli/top/tab_view.h"
#include "cli/top/wanted.h"

namespace ipcscope {

/// What the screen has to do beyond drawing the page.
struct Effect {
  enum Kind : uint8_t { none, quit, write, redraw };
  Kind kind = none;
  std::string path = {};  ///< to write to
};

/// What is on the screen and what keys do to it. It knows neither a terminal nor the host: it is
/// given keys and frames, and gives pages.
class TopModel {
 public:
  struct Form {
    Tab tab = Tab::channels;
    size_t sort = 0;
    bool reverse = false;
    std::string filter = {};
    std::vector<int32_t> pids = {};  ///< only rows about these; empty: any
    uint64_t interval_ns = 1'000'000'000;
    bool utf8 = false;
  };
  explicit TopModel(const Form& form);

  void resize(size_t width, size_t height);
  /// The newest frame. While paused it is not taken.
  void take(std::shared_ptr<const TopFrame> frame);
  Effect press(const Key& key);
  Effect click(const Click& click);
  /// A line for a person below the table, until the next key.
  void say(std::string message) { message_ = std::move(message); }

  [[nodiscard]] Page page();
  [[nodiscard]] Wanted wanted() const;
  [[nodiscard]] bool paused() const { return paused_; }
  /// All of what the screen shows a part of, as plain text.
  [[nodiscard]] std::string view_text();

 private:
  enum class Mode : uint8_t { table, detail, help, coverage, sort };
  enum class Prompt : uint8_t { none, search, filter, interval, write };

  [[nodiscard]] TabView& view() { return views_[static_cast<size_t>(tab_)]; }
  [[nodiscard]] const TabView& view() const { return views_[static_cast<size_t>(tab_)]; }
  [[nodiscard]] size_t header_height() const;
  [[nodiscard]] size_t body_height() const;
  [[nodiscard]] size_t pane_height() const;

  void show_tab(Tab tab);
  void refresh();
  void arrange();
  void select(size_t position);
  void move(int64_t by);
  void sort_by(size_t column);
  void open_detail();
  void begin(Prompt prompt, std::string text);
  Effect press_prompt(const Key& key);
  Effect finish_prompt();
  void prompt_changed();
  Effect press_pane(const Key& key);
  Effect press_sort(const Key& key);
  Effect press_table(const Key& key);
  std::optional<Effect> press_anywhere(const Key& key);
  void search(bool forward, bool from_here);
  void search_pane(bool forward, bool from_here);

  [[nodiscard]] std::vector<Line> pane_lines() const;
  [[nodiscard]] std::vector<Line> sort_lines() const;
  [[nodiscard]] std::string pane_title() const;
  [[nodiscard]] Line tab_line();
  [[nodiscard]] Line heading_line();
  [[nodiscard]] Line row_line(size_t position);
  [[nodiscard]] Line bottom_line(Page& page) const;
  [[nodiscard]] std::string empty_text() const;
  void add_table(Page& page);
  void add_pane(Page& page);

  struct TabRange {
    size_t begin = 0, end = 0;
  };

  bool utf8_;
  size_t width_ = 80, height_ = 24;
  Tab tab_;
  Mode mode_ = Mode::table;
  Prompt prompt_ = Prompt::none;
  bool paused_ = false;
  uint64_t interval_ns_;
  std::string typed_;   ///< into the prompt
  std::string before_;  ///< what a cancelled prompt goes back to
  std::string filter_text_;
  std::string search_text_;
  size_t search_begin_ = 0;
  std::string message_;
  const std::vector<int32_t> pids_;
  RowFilter filter_;
  std::array<TabView, tab_count> views_;
  std::shared_ptr<const TopFrame> frame_;
  std::unique_ptr<Rows> rows_;  ///< of the frame and tab; null: to be made
  std::optional<WantedDetail> detail_;
  size_t pane_first_ = 0;  ///< line
  size_t sort_choice_ = 0;
  // Where things are on the page, for the mouse.
  std::vector<FittedColumn> columns_;
  std::array<TabRange, tab_count> tab_ranges_{};
};

}  // namespace ipcscope
