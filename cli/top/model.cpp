// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <iterator>

#include "cli/arguments.h"
#include "cli/render/column_list.h"
#include "cli/render/list.h"
#include "cli/render/text.h"
#include "cli/render/top.h"
#include "cli/render/wrap.h"
#include "cli/top/header.h"
#include "cli/top/help.h"
#include "collectors/model/duration.h"

namespace ipcscope {

namespace {

constexpr uint64_t least_interval_ns = 100'000'000;
constexpr std::string_view hints =
    "q quit  ? help  / search  \\ filter  s sort  Enter details  Space pause  d interval  w write";
constexpr std::string_view pane_hints = "Esc back  / search  w write";

bool is(const Key& key, char32_t value) { return key.name == Key::character && key.value == value; }
constexpr char32_t control(char letter) { return static_cast<char32_t>(letter) & 0x1fU; }

void append_utf8(std::string& out, char32_t value) {
  const auto byte = [&](char32_t bits) { out += static_cast<char>(bits); };
  if (value < 0x80) {
    byte(value);
  } else if (value < 0x800) {
    byte(0xc0 | value >> 6);
    byte(0x80 | (value & 0x3f));
  } else if (value < 0x10000) {
    byte(0xe0 | value >> 12);
    byte(0x80 | (value >> 6 & 0x3f));
    byte(0x80 | (value & 0x3f));
  } else {
    byte(0xf0 | value >> 18);
    byte(0x80 | (value >> 12 & 0x3f));
    byte(0x80 | (value >> 6 & 0x3f));
    byte(0x80 | (value & 0x3f));
  }
}

void remove_last_character(std::string& text) {
  while (!text.empty() && (text.back() & 0xc0) == 0x80) {
    text.pop_back();
  }
  if (!text.empty()) {
    text.pop_back();
  }
}

std::string seconds_text(uint64_t ns) {
  const uint64_t milliseconds = ns / 1'000'000;
  return fmt::format("{:g}", static_cast<double>(milliseconds) / 1000);
}

/// "ipcscope-channels-20261121-142405.txt"
std::string usual_path(Tab tab) {
  const time_t now = ::time(nullptr);
  tm parts{};
  ::localtime_r(&now, &parts);
  return fmt::format("ipcscope-{}-{:04}{:02}{:02}-{:02}{:02}{:02}.txt", tab_name(tab),
                     parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                     parts.tm_min, parts.tm_sec);
}

std::vector<Line> coverage_lines(const TopFrame& frame, size_t width, bool utf8) {
  const EscapeStyle style = {.utf8 = utf8, .blanks = false};
  const Terminal terminal = {.interactive = true, .width = width, .color = true, .utf8 = utf8};
  std::string text;
  Output memory(text);
  const std::vector<std::string> problems = coverage_problems(frame.coverage, style);
  for (const std::string& line : problems) {
    write_wrapped(memory, terminal, "", 2, line);
  }
  memory.write(problems.empty() ? "All that was looked at could be seen:\n" : "\nSeen in full:\n");
  for (const Coverage& each : frame.coverage) {
    if (each.state == Coverage::State::full) {
      write_wrapped(
          memory, terminal, "  ", 4,
          fmt::format("{}: {} checked", escaped(each.source, style), grouped(each.checked)));
    }
  }
  memory.flush();
  return lines_of_styled(text);
}

}  // namespace

TopModel::TopModel(const Form& form)
    : utf8_(form.utf8),
      tab_(form.tab),
      interval_ns_(form.interval_ns),
      filter_text_(form.filter),
      pids_(form.pids),
      filter_(form.filter, form.pids) {
  view().sort = form.sort;
  view().reverse = form.reverse;
}

void TopModel::resize(size_t width, size_t height) {
  width_ = std::max<size_t>(width, 1);
  height_ = std::max<size_t>(height, 1);
  if (detail_) {
    detail_->width = width_;
  }
  arrange();
}

void TopModel::take(std::shared_ptr<const TopFrame> frame) {
  // What was asked for in full comes even when the table stands still.
  if (paused_ && frame_ != nullptr && !detail_) {
    return;
  }
  rows_.reset();  // they refer to the frame before
  frame_ = std::move(frame);
  refresh();
}

size_t TopModel::header_height() const { return height_ >= 20 ? 4 : height_ >= 14 ? 2 : 1; }

size_t TopModel::body_height() const {
  const size_t around = header_height() + 3;  // tabs, headings, the last line
  return height_ > around ? height_ - around : 0;
}

size_t TopModel::pane_height() const { return height_ > 2 ? height_ - 2 : 0; }

void TopModel::refresh() {
  if (frame_ == nullptr) {
    return;
  }
  if (rows_ == nullptr) {
    rows_ = make_rows(*frame_, tab_, {.utf8 = utf8_, .blanks = false});
  }
  arrange();
}

void TopModel::arrange() {
  if (rows_ != nullptr) {
    view().arrange(*rows_, filter_, body_height());
  }
}

void TopModel::show_tab(Tab tab) {
  if (tab != tab_) {
    tab_ = tab;
    rows_.reset();
    refresh();
  }
}

void TopModel::select(size_t position) {
  if (rows_ != nullptr) {
    view().select(*rows_, position);
    view().show_selected(body_height());
    arrange();
  }
}

void TopModel::move(int64_t by) {
  const auto at = static_cast<int64_t>(view().position());
  select(static_cast<size_t>(std::max<int64_t>(at + by, 0)));
}

void TopModel::sort_by(size_t column) {
  TabView& of = view();
  of.reverse = of.sort == column && !of.reverse;
  of.sort = column;
  arrange();
}

void TopModel::open_detail() {
  if (rows_ == nullptr || view().size() == 0) {
    return;
  }
  detail_ = {tab_, rows_->identity(view().row(view().position())), width_};
  mode_ = Mode::detail;
  pane_first_ = 0;
}

Wanted TopModel::wanted() const {
  Wanted wanted;
  wanted.tab = tab_;
  wanted.interval_ns = interval_ns_;
  wanted.paused = paused_;
  wanted.detail = detail_;
  if (rows_ != nullptr && tab_ != Tab::limits) {
    const size_t end = std::min(view().first() + body_height(), view().size());
    for (size_t i = view().first(); i < end; i++) {
      const std::vector<int32_t> pids = rows_->pids(view().row(i));
      wanted.pids.insert(wanted.pids.end(), pids.begin(), pids.end());
    }
    std::sort(wanted.pids.begin(), wanted.pids.end());
    wanted.pids.erase(std::unique(wanted.pids.begin(), wanted.pids.end()), wanted.pids.end());
  }
  return wanted;
}

// --- keys -------------------------------------------------------------------------------------

void TopModel::begin(Prompt prompt, std::string text) {
  prompt_ = prompt;
  before_ = typed_ = std::move(text);
  search_begin_ = view().position();
}

Effect TopModel::press(const Key& key) {
  message_.clear();
  if (prompt_ != Prompt::none) {
    return press_prompt(key);
  }
  if (const std::optional<Effect> effect = press_anywhere(key)) {
    return *effect;
  }
  switch (mode_) {
    case Mode::sort:
      return press_sort(key);
    case Mode::detail:
    case Mode::help:
    case Mode::coverage:
      return press_pane(key);
    case Mode::table:
      break;
  }
  return press_table(key);
}

std::optional<Effect> TopModel::press_anywhere(const Key& key) {
  if (key.name == Key::redraw || is(key, control('L'))) {
    return Effect{Effect::redraw};
  }
  if (is(key, '/')) {
    begin(Prompt::search, {});
  } else if (is(key, 'w')) {
    begin(Prompt::write, usual_path(tab_));
  } else if (is(key, ' ') || is(key, 'p')) {
    paused_ = !paused_;
  } else if (is(key, 'd')) {
    begin(Prompt::interval, seconds_text(interval_ns_));
  } else {
    return std::nullopt;
  }
  return Effect{};
}

Effect TopModel::press_prompt(const Key& key) {
  switch (key.name) {
    case Key::enter:
      return finish_prompt();
    case Key::escape:
      if (prompt_ == Prompt::filter) {
        typed_ = before_;
        prompt_changed();
      } else if (prompt_ == Prompt::search && mode_ == Mode::table) {
        select(search_begin_);
      }
      prompt_ = Prompt::none;
      return {};
    case Key::backspace:
      if (typed_.empty()) {
        prompt_ = Prompt::none;
        return {};
      }
      remove_last_character(typed_);
      break;
    case Key::character:
      if (key.value == control('U')) {
        typed_.clear();
      } else if (key.value == control('W')) {
        while (typed_.ends_with(' ')) {
          typed_.pop_back();
        }
        typed_.resize(typed_.rfind(' ') == std::string::npos ? 0 : typed_.rfind(' ') + 1);
      } else if (key.value >= ' ' && key.value != 0x7f) {
        append_utf8(typed_, key.value);
      }
      break;
    default:
      return {};
  }
  prompt_changed();
  return {};
}

void TopModel::prompt_changed() {
  if (prompt_ == Prompt::filter) {
    filter_text_ = typed_;
    filter_ = RowFilter(filter_text_, pids_);
    arrange();
  } else if (prompt_ == Prompt::search && !typed_.empty()) {
    search_text_ = typed_;
    if (mode_ != Mode::table) {
      search_pane(true, true);
    } else if (rows_ != nullptr) {
      view().select(*rows_, search_begin_);
      search(true, true);
    }
  }
}

Effect TopModel::finish_prompt() {
  const Prompt prompt = prompt_;
  prompt_ = Prompt::none;
  if (prompt == Prompt::search) {
    if (typed_.empty()) {
      mode_ == Mode::table ? search(true, false) : search_pane(true, false);
    }
    return {};
  }
  if (prompt == Prompt::interval) {
    const Result<uint64_t> time = parse_duration(typed_);
    if (!time) {
      say(time.error().text());
    } else if (*time < least_interval_ns) {
      say("the interval is at least 0.1 seconds");
    } else {
      interval_ns_ = *time;
    }
    return {};
  }
  if (prompt == Prompt::write && !typed_.empty()) {
    return {Effect::write, typed_};
  }
  return {};
}

Effect TopModel::press_pane(const Key& key) {
  const size_t count = pane_lines().size();
  const size_t page = std::max<size_t>(pane_height(), 1);
  const size_t last = count > page ? count - page : 0;
  if (key.name == Key::escape || key.name == Key::left || is(key, 'q') ||
      (key.name == Key::enter && mode_ != Mode::help)) {
    mode_ = Mode::table;
    detail_.reset();
  } else if (key.name == Key::down || is(key, 'j') || key.name == Key::enter) {
    pane_first_++;
  } else if (key.name == Key::up || is(key, 'k')) {
    pane_first_ -= std::min<size_t>(pane_first_, 1);
  } else if (key.name == Key::page_down || is(key, control('F'))) {
    pane_first_ += page;
  } else if (key.name == Key::page_up || is(key, control('B'))) {
    pane_first_ -= std::min(pane_first_, page);
  } else if (key.name == Key::home || is(key, 'g')) {
    pane_first_ = 0;
  } else if (key.name == Key::end || is(key, 'G')) {
    pane_first_ = last;
  } else if (is(key, 'n') || is(key, 'N')) {
    search_pane(is(key, 'n'), false);
  }
  pane_first_ = std::min(pane_first_, last);
  return {};
}

Effect TopModel::press_sort(const Key& key) {
  const size_t count = columns_of(tab_).size();
  if (key.name == Key::escape || is(key, 'q') || is(key, 's')) {
    mode_ = Mode::table;
  } else if (key.name == Key::enter) {
    mode_ = Mode::table;
    if (sort_choice_ != view().sort) {
      sort_by(sort_choice_);
    }
  } else if (key.name == Key::down || is(key, 'j')) {
    sort_choice_ = std::min(sort_choice_ + 1, count - 1);
  } else if (key.name == Key::up || is(key, 'k')) {
    sort_choice_ -= std::min<size_t>(sort_choice_, 1);
  } else if (key.name == Key::home) {
    sort_choice_ = 0;
  } else if (key.name == Key::end) {
    sort_choice_ = count - 1;
  }
  return {};
}

Effect TopModel::press_table(const Key& key) {
  const auto page = static_cast<int64_t>(std::max<size_t>(body_height(), 1));
  const auto tab_at = [](size_t number) { return static_cast<Tab>(number % tab_count); };
  const size_t tab = static_cast<size_t>(tab_);
  switch (key.name) {
    case Key::up:
      move(-1);
      return {};
    case Key::down:
      move(1);
      return {};
    case Key::page_up:
      move(-page);
      return {};
    case Key::page_down:
      move(page);
      return {};
    case Key::home:
      view().home();
      arrange();
      return {};
    case Key::end:
      select(view().size());
      return {};
    case Key::tab:
    case Key::right:
      show_tab(tab_at(tab + 1));
      return {};
    case Key::back_tab:
    case Key::left:
      show_tab(tab_at(tab + tab_count - 1));
      return {};
    case Key::enter:
      open_detail();
      return {};
    case Key::escape:
      if (!filter_text_.empty()) {
        filter_text_.clear();
        filter_ = RowFilter({}, pids_);
        arrange();
      }
      return {};
    case Key::backspace:
    case Key::redraw:
      return {};
    case Key::character:
      break;
  }
  const size_t columns = columns_of(tab_).size();
  switch (key.value) {
    case 'q':
      return {Effect::quit};
    case 'k':
      move(-1);
      break;
    case 'j':
      move(1);
      break;
    case control('B'):
      move(-page);
      break;
    case control('F'):
      move(page);
      break;
    case 'g':
      view().home();
      arrange();
      break;
    case 'G':
      select(view().size());
      break;
    case 'f':
    case '\\':
      begin(Prompt::filter, filter_text_);
      break;
    case 'n':
    case 'N':
      search(key.value == 'n', false);
      break;
    case 's':
      mode_ = Mode::sort;
      sort_choice_ = view().sort;
      break;
    case '<':
    case '>':
      view().sort = (view().sort + (key.value == '>' ? 1 : columns - 1)) % columns;
      view().reverse = false;
      arrange();
      break;
    case 'r':
      view().reverse = !view().reverse;
      arrange();
      break;
    case 'c':
      mode_ = Mode::coverage;
      pane_first_ = 0;
      break;
    case '?':
    case 'h':
      mode_ = Mode::help;
      pane_first_ = 0;
      break;
    default:
      if (key.value >= '1' && key.value < '1' + tab_count) {
        show_tab(tab_at(key.value - '1'));
      }
  }
  return {};
}

Effect TopModel::click(const Click& click) {
  message_.clear();
  if (prompt_ != Prompt::none) {
    return {};
  }
  constexpr int64_t wheel = 3;
  const bool wheeled = click.kind == Click::wheel_up || click.kind == Click::wheel_down;
  if (mode_ != Mode::table) {
    if (wheeled) {
      const Key key = {click.kind == Click::wheel_up ? Key::up : Key::down};
      for (int64_t i = 0; i < (mode_ == Mode::sort ? 1 : wheel); i++) {
        mode_ == Mode::sort ? press_sort(key) : press_pane(key);
      }
    } else if (mode_ == Mode::sort && click.row >= 1 && click.row - 1 < columns_of(tab_).size()) {
      sort_choice_ = click.row - 1;
      return press_sort({Key::enter});
    }
    return {};
  }
  if (wheeled) {
    move(click.kind == Click::wheel_up ? -wheel : wheel);
    return {};
  }
  const size_t tabs = header_height();
  if (click.row == tabs) {
    for (size_t i = 0; i < tab_count; i++) {
      if (click.column >= tab_ranges_[i].begin && click.column < tab_ranges_[i].end) {
        show_tab(static_cast<Tab>(i));
      }
    }
  } else if (click.row == tabs + 1) {
    for (const FittedColumn& each : columns_) {
      if (click.column >= each.begin && click.column <= each.begin + each.width) {
        sort_by(each.column);
        break;
      }
    }
  } else if (click.row > tabs + 1 && click.row - tabs - 2 < body_height()) {
    const size_t position = view().first() + click.row - tabs - 2;
    if (position < view().size()) {
      select(position);
      if (click.kind == Click::open) {
        open_detail();
      }
    }
  }
  return {};
}

void TopModel::search(bool forward, bool from_here) {
  if (rows_ == nullptr || search_text_.empty() || view().size() == 0) {
    return;
  }
  TabView& of = view();
  of.sort_all(*rows_);
  const size_t count = of.size();
  for (size_t i = from_here ? 0 : 1; i <= count; i++) {
    const size_t step = i % count;
    const size_t at = (of.position() + (forward ? step : count - step)) % count;
    if (has_word(rows_->text(of.row(at)), search_text_)) {
      select(at);
      return;
    }
  }
  select(of.position());
  say(fmt::format("'{}' not found", escaped(search_text_, {.utf8 = utf8_, .blanks = false})));
}

void TopModel::search_pane(bool forward, bool from_here) {
  const std::vector<Line> lines = pane_lines();
  if (lines.empty() || search_text_.empty()) {
    return;
  }
  const size_t page = std::max<size_t>(pane_height(), 1);
  for (size_t i = from_here ? 0 : 1; i < lines.size(); i++) {
    const size_t at = (pane_first_ + (forward ? i : lines.size() - i)) % lines.size();
    if (has_word(lines[at].text(), search_text_)) {
      pane_first_ = std::min(at, lines.size() > page ? lines.size() - page : 0);
      return;
    }
  }
  say(fmt::format("'{}' not found", escaped(search_text_, {.utf8 = utf8_, .blanks = false})));
}

// --- the page ---------------------------------------------------------------------------------

std::string TopModel::pane_title() const {
  switch (mode_) {
    case Mode::help:
      return "ipcscope top: help";
    case Mode::coverage:
      return "Coverage: what could not be seen";
    case Mode::sort:
      return fmt::format("Sort {} by", tab_name(tab_));
    case Mode::detail:
    case Mode::table:
      break;
  }
  const EscapeStyle style = {.utf8 = utf8_, .blanks = false};
  const bool known = frame_ != nullptr && frame_->detail && detail_ &&
                     frame_->detail->identity == detail_->identity;
  return detail_ ? escaped(known ? frame_->detail->title : detail_->identity, style) : "";
}

std::vector<Line> TopModel::pane_lines() const {
  if (mode_ == Mode::help) {
    return help_lines(tab_, width_);
  }
  if (frame_ == nullptr) {
    return {};
  }
  if (mode_ == Mode::coverage) {
    return coverage_lines(*frame_, width_, utf8_);
  }
  if (frame_->detail && detail_ && frame_->detail->identity == detail_->identity &&
      frame_->detail->tab == detail_->tab) {
    std::vector<Line> lines = lines_of_styled(frame_->detail->text);
    if (!lines.empty() && lines[0].text() == pane_title()) {
      lines.erase(lines.begin());
    }
    return lines;
  }
  Line line;
  line.add("looking ...", Style::dim);
  return {line};
}

std::vector<Line> TopModel::sort_lines() const {
  std::vector<Line> lines;
  const std::span<const RowColumn> columns = columns_of(tab_);
  for (size_t i = 0; i < columns.size(); i++) {
    Line& line = lines.emplace_back();
    line.add(fmt::format(" {:<10} {}", column_heading(columns[i].name), columns[i].help));
    line.style = i == sort_choice_ ? LineStyle::selected : LineStyle::plain;
  }
  return lines;
}

Line TopModel::tab_line() {
  static constexpr std::string_view short_names[] = {"Chan", "Lock", "Proc", "Find", "Lim"};
  constexpr size_t roomy = 60;
  Line line;
  size_t at = 0;
  for (size_t i = 0; i < tab_count; i++) {
    std::string name(tab_name(static_cast<Tab>(i)));
    name[0] = static_cast<char>(name[0] - 'a' + 'A');
    name = width_ >= roomy ? name : std::string(short_names[i]);
    const std::string text = fmt::format(" {} {} ", i + 1, name);
    const bool selected = static_cast<Tab>(i) == tab_;
    const std::string_view shown =
        width_ >= roomy ? std::string_view(text) : std::string_view(text).substr(1);
    line.add(shown, selected ? Style::bold : Style::plain, selected);
    tab_ranges_[i] = {at, at + shown.size()};
    at += shown.size();
  }
  if (paused_) {
    line.add(" PAUSED", Style::alarm);
  }
  if (!filter_text_.empty()) {
    line.add("  filter: ");
    line.add(escaped(filter_text_, {.utf8 = utf8_, .blanks = false}), Style::bold);
  }
  if (!pids_.empty()) {
    line.add(fmt::format("  of {}", fmt::join(pids_, ",")), Style::bold);
  }
  const RowColumn& column = columns_of(tab_)[view().sort];
  // All of it or as much as fits, but no half of a word.
  const std::string order =
      fmt::format("  by {}{}", column_heading(column.name), view().reverse ? " reversed" : "");
  const std::string rows =
      fmt::format("{} row{}", grouped(view().size()), view().size() == 1 ? "" : "s");
  for (const std::string& text :
       {fmt::format("{}, {}", order, rows), order, fmt::format("  {}", rows)}) {
    if (line.width() + text.size() <= width_) {
      line.add(text, Style::dim);
      break;
    }
  }
  return cut(line, width_);
}

Line TopModel::heading_line() {
  const std::span<const RowColumn> all = columns_of(tab_);
  columns_ = fit_columns(all, width_);
  Line line;
  line.style = LineStyle::bar;
  for (const FittedColumn& each : columns_) {
    const RowColumn& column = all[each.column];
    line.add(each.begin > 0 ? " " : "");
    // The column that it is sorted by stands out of the bar.
    const bool sorted = each.column == view().sort;
    line.add(padded(column_heading(column.name), column, each.width, utf8_),
             sorted ? Style::bold : Style::plain, sorted);
  }
  return line;
}

Line TopModel::row_line(size_t position) {
  const uint32_t row = view().row(position);
  Line line;
  line.style = position == view().position() ? LineStyle::selected : LineStyle::plain;
  for (const FittedColumn& each : columns_) {
    line.add(each.begin > 0 ? " " : "");
    const Cell cell = rows_->cell(row, each.column);
    line.add(padded(cell.text, rows_->columns()[each.column], each.width, utf8_), cell.style);
  }
  return cut(line, width_);
}

/// Nothing is not the same as nothing seen yet.
std::string TopModel::empty_text() const {
  if (!filter_text_.empty()) {
    return "no row passes the filter; Esc clears it";
  }
  if (!pids_.empty()) {
    return "no row is about these processes";
  }
  const auto looked = [&](std::string_view nothing, const std::optional<int64_t>& at_ns) {
    if (!at_ns) {
      return std::string("looking ...");
    }
    std::string text(nothing);
    text += "; looked ";
    append_duration(text, static_cast<uint64_t>(std::max<int64_t>(frame_->boot_ns - *at_ns, 0)) /
                              1'000'000'000 * 1000);
    return text + " ago";
  };
  switch (tab_) {
    case Tab::locks:
      return frame_->locks != nullptr ? "nobody waited for a lock or for room"
                                      : "nobody waits for a lock or for room";
    case Tab::findings:
      return looked("nothing found", frame_->findings_ns);
    case Tab::limits:
      return looked("no limit could be read", frame_->limits_ns);
    case Tab::channels:
    case Tab::processes:
    case Tab::count:
      break;
  }
  return "nothing could be seen; c tells why";
}

void TopModel::add_table(Page& page) {
  const size_t body = body_height();
  for (Line& line : header_lines(*frame_, header_height(), width_, utf8_)) {
    page.lines.push_back(std::move(line));
  }
  page.lines.push_back(tab_line());
  page.lines.push_back(heading_line());
  const TabView& of = view();
  for (size_t i = of.first(); i < std::min(of.first() + body, of.size()); i++) {
    page.lines.push_back(row_line(i));
  }
  if (of.size() == 0 && body > 0) {
    Line line;
    line.add(empty_text(), Style::dim);
    page.lines.push_back(cut(line, width_));
  }
}

void TopModel::add_pane(Page& page) {
  Line title;
  title.style = LineStyle::bar;
  title.add(shortened(pane_title(), width_, true, utf8_));
  page.lines.push_back(std::move(title));
  const std::vector<Line> lines = mode_ == Mode::sort ? sort_lines() : pane_lines();
  size_t first = std::min(pane_first_, lines.size());
  if (mode_ == Mode::sort) {
    first = sort_choice_ >= pane_height() ? sort_choice_ - pane_height() + 1 : 0;
  }
  for (size_t i = first; i < std::min(first + pane_height(), lines.size()); i++) {
    page.lines.push_back(cut(lines[i], width_));
  }
}

Line TopModel::bottom_line(Page& page) const {
  Line line;
  if (prompt_ != Prompt::none) {
    static constexpr std::string_view names[] = {"", "/", "filter: ", "seconds: ", "write to: "};
    const std::string_view name = names[static_cast<size_t>(prompt_)];
    const std::string typed = escaped(typed_, {.utf8 = utf8_, .blanks = false});
    // The end of what is typed stays in sight, and a cell for the cursor.
    const size_t room = width_ > name.size() + 1 ? width_ - name.size() - 1 : 0;
    line.add(name, Style::bold);
    line.add(fitting_back(typed, room));
    page.cursor_row = page.lines.size();
    page.cursor_column = std::min(line.width(), width_ - 1);
    return cut(line, width_);
  }
  line.style = LineStyle::bar;
  const std::string_view hint = mode_ == Mode::table  ? hints
                                : mode_ == Mode::sort ? "Enter sort  Esc back"
                                                      : pane_hints;
  line.add(shortened(message_.empty() ? hint : std::string_view(message_), width_, false, utf8_));
  return line;
}

Page TopModel::page() {
  Page page;
  if (mode_ != Mode::table) {
    add_pane(page);
  } else if (frame_ != nullptr) {
    add_table(page);
  } else {
    page.lines.emplace_back().add(shortened("looking ...", width_, false, utf8_), Style::dim);
  }
  page.lines.resize(height_ - 1);
  Line last = bottom_line(page);
  page.lines.push_back(std::move(last));
  return page;
}

std::string TopModel::view_text() {
  std::string text;
  Output memory(text);
  if (mode_ == Mode::table && frame_ != nullptr) {
    TopForm form;
    form.tab = tab_;
    form.sort = view().sort;
    form.reverse = view().reverse;
    form.filter = filter_;
    write_top_frame(memory, {.interactive = false, .width = 0, .color = false, .utf8 = utf8_},
                    *frame_, form);
  } else {
    memory.write(pane_title() + "\n");
    for (const Line& line : pane_lines()) {
      memory.write(line.text() + "\n");
    }
  }
  memory.flush();
  return text;
}

}  // namespace ipcscope
