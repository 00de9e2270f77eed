// SPDX-License-Identifier: GPL-2.0-or-later
#include "fixtures/plot.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <sstream>

using namespace ipcscope::fixtures;

namespace {

std::string plain(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

Diagram diagram(std::vector<Series> series) {
  return {"title", "x", "y", plain, plain, {}, std::move(series)};
}

size_t count(const std::string& text, const std::string& word) {
  size_t found = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    found++;
  }
  return found;
}

/// The points of each line, in pixels.
std::vector<std::vector<std::pair<double, double>>> lines_of(const std::string& svg) {
  std::vector<std::vector<std::pair<double, double>>> lines;
  const std::string begin = "<polyline points=\"";
  for (size_t at = svg.find(begin); at != std::string::npos; at = svg.find(begin, at + 1)) {
    const size_t first = at + begin.size();
    std::istringstream points(svg.substr(first, svg.find('"', first) - first));
    lines.emplace_back();
    double x = 0;
    double y = 0;
    char comma = 0;
    while (points >> x >> comma >> y) {
      lines.back().emplace_back(x, y);
    }
  }
  return lines;
}

/// Whether every element that is opened is closed, in order, and every attribute quoted.
bool is_well_formed(const std::string& svg) {
  std::vector<std::string> open;
  for (size_t at = 0; at < svg.size(); at++) {
    if (svg[at] == '&') {
      const size_t end = svg.find(';', at);
      if (end == std::string::npos || end - at > 6) {
        return false;
      }
    }
    if (svg[at] != '<') {
      continue;
    }
    const size_t end = svg.find('>', at);
    if (end == std::string::npos) {
      return false;
    }
    const std::string tag = svg.substr(at + 1, end - at - 1);
    if (count(tag, "\"") % 2 != 0 || tag.find('<') != std::string::npos) {
      return false;
    }
    if (tag[0] == '/') {
      if (open.empty() || open.back() != tag.substr(1)) {
        return false;
      }
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
    at = end;
  }
  return open.empty();
}

}  // namespace

TEST_CASE("a diagram has a line and a legend for each series", "[plot]") {
  const std::string svg =
      to_svg({diagram({{"one", {{1, 1}, {10, 10}, {100, 100}}}, {"two", {{1, 100}, {100, 1}}}})});
  CHECK(is_well_formed(svg));
  const auto lines = lines_of(svg);
  REQUIRE(lines.size() == 2);
  REQUIRE(lines[0].size() == 3);
  CHECK(count(svg, ">one</text>") == 1);
  CHECK(count(svg, ">two</text>") == 1);
  // Both axes are logarithmic: equal factors are equal ways, and upwards is less of y.
  CHECK(lines[0][1].first - lines[0][0].first ==
        Approx(lines[0][2].first - lines[0][1].first).margin(0.2));
  CHECK(lines[0][0].second - lines[0][1].second ==
        Approx(lines[0][1].second - lines[0][2].second).margin(0.2));
  CHECK(lines[0][0].second > lines[0][2].second);
  CHECK(lines[1][0].second < lines[1][1].second);
}

TEST_CASE("a series looks the same in each diagram and has one legend", "[plot]") {
  const Series one{"one", {{1, 1}, {10, 10}}};
  const Series two{"two", {{1, 2}, {10, 20}}};
  const std::string svg = to_svg({diagram({one, two}), diagram({two})});
  CHECK(is_well_formed(svg));
  CHECK(lines_of(svg).size() == 3);
  CHECK(count(svg, ">two</text>") == 1);
  const size_t first = svg.find("<title>two</title>");
  const size_t second = svg.find("<title>two</title>", first + 1);
  REQUIRE(second != std::string::npos);
  const auto style = [&](size_t at) {
    const size_t begin = svg.rfind("stroke=", at);
    return svg.substr(begin, svg.find('>', begin) - begin);
  };
  CHECK(style(first) == style(second));
}

TEST_CASE("names cannot break a picture", "[plot]") {
  const std::string svg = to_svg({diagram({{"<a & \"b\">\x1b", {{1, 1}, {2, 2}}}})});
  CHECK(is_well_formed(svg));
  CHECK(svg.find("&lt;a &amp; &quot;b&quot;&gt;?") != std::string::npos);
}

TEST_CASE("what a logarithm does not know is left out", "[plot]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const std::string svg =
      to_svg({diagram({{"some", {{0, 1}, {1, -1}, {1, 5}, {nan, 1}, {2, infinity}, {10, 50}}}})});
  const auto lines = lines_of(svg);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].size() == 2);
  CHECK(svg.find("nan") == std::string::npos);
  CHECK(svg.find("inf") == std::string::npos);
  for (const auto& empty : {diagram({}), diagram({{"none", {}}}), diagram({{"one", {{5, 5}}}})}) {
    const std::string picture = to_svg({empty});
    CHECK(is_well_formed(picture));
    CHECK(picture.find("nan") == std::string::npos);
    CHECK(picture.find("inf") == std::string::npos);
  }
}
