// SPDX-License-Identifier: GPL-2.0-or-later
#include "fixtures/fit.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

using namespace ipcscope::fixtures;

namespace {

/// What the model says, times a factor for each.
std::vector<Observation> costs(double per_buffer, double per_byte,
                               const std::vector<double>& factors) {
  std::vector<Observation> observations;
  double bytes = 1;
  for (const double factor : factors) {
    const double buffers = std::ceil(bytes / 4096);
    observations.push_back({{buffers, bytes}, factor * (per_buffer * buffers + per_byte * bytes)});
    bytes *= 16;
  }
  return observations;
}

}  // namespace

TEST_CASE("a fit finds the coefficients that made the values", "[fit]") {
  const auto fit = fit_relative(costs(12.5, 0.0003, {1, 1, 1, 1, 1, 1}));
  REQUIRE(fit);
  CHECK(fit->coefficients[0] == Approx(12.5));
  CHECK(fit->coefficients[1] == Approx(0.0003));
  CHECK(fit->error == Approx(0).margin(1e-9));
  CHECK(fit->residuals.size() == 6);
}

TEST_CASE("a fit tells how far off it is", "[fit]") {
  // A single coefficient: the mean of the relative values, for equal factors.
  const auto fit = fit_relative({{{1}, 9}, {{1}, 11}});
  REQUIRE(fit);
  // Least (1 - c/9)^2 + (1 - c/11)^2.
  const double expected = (1.0 / 9 + 1.0 / 11) / (1.0 / 81 + 1.0 / 121);
  CHECK(fit->coefficients[0] == Approx(expected));
  CHECK(fit->residuals[0] == Approx(1 - expected / 9));
  CHECK(fit->residuals[1] == Approx(1 - expected / 11));
  CHECK(fit->error ==
        Approx(std::sqrt((std::pow(1 - expected / 9, 2) + std::pow(1 - expected / 11, 2)) / 2)));
}

TEST_CASE("a fit counts small values like large ones", "[fit]") {
  // One large value is twice what it should be: the small ones keep their coefficient.
  auto observations = costs(10, 0.001, {1, 1, 1, 1, 1, 2});
  const auto fit = fit_relative(observations);
  REQUIRE(fit);
  CHECK(fit->coefficients[0] == Approx(10).epsilon(0.05));
  CHECK(std::abs(fit->residuals[0]) < 0.05);
}

TEST_CASE("costs are never negative", "[fit]") {
  // Falls with the size: the slope would be negative.
  const std::vector<Observation> falling{{{1, 1}, 10}, {{1, 100}, 9}, {{1, 1000}, 8}};
  const auto free = fit_relative(falling);
  REQUIRE(free);
  CHECK(free->coefficients[1] < 0);
  const auto fit = fit_costs(falling);
  REQUIRE(fit);
  CHECK(fit->coefficients[0] > 8);
  CHECK(fit->coefficients[1] == 0);
  CHECK(fit->error > free->error);
  // Where none is negative, both are the same.
  const auto observations = costs(3, 0.01, {1, 1.1, 0.9, 1});
  CHECK(fit_costs(observations)->coefficients == fit_relative(observations)->coefficients);
}

TEST_CASE("what cannot be fitted is not", "[fit]") {
  CHECK_FALSE(fit_relative({}));
  CHECK_FALSE(fit_costs({}));
  CHECK_FALSE(fit_relative({{{1, 2}, 3}}));                            // too few
  CHECK_FALSE(fit_relative({{{1, 2}, 3}, {{2, 4}, 6}, {{3, 6}, 9}}));  // not told apart
  CHECK_FALSE(fit_relative({{{1, 1}, 0}, {{1, 2}, 1}, {{1, 3}, 2}}));  // not positive
  CHECK_FALSE(fit_relative({{{1, 0}, 1}, {{1, 0}, 1}}));               // a factor is never there
  CHECK_FALSE(fit_relative({{{1}, std::numeric_limits<double>::quiet_NaN()}}));
}

TEST_CASE("quantiles are values that were there", "[fit]") {
  CHECK(quantile({}, 0.5) == 0);
  CHECK(quantile({7}, 0.99) == 7);
  CHECK(quantile({3, 1, 2}, 0.5) == 2);
  CHECK(quantile({4, 1, 3, 2}, 0.5) == 2);
  std::vector<double> hundred;
  for (int i = 100; i > 0; i--) {
    hundred.push_back(i);
  }
  CHECK(quantile(hundred, 0.99) == 99);
  CHECK(quantile(hundred, 1) == 100);
  CHECK(quantile(hundred, 0) == 1);
}
