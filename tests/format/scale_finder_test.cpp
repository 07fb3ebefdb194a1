// SPDX-License-Identifier: MIT
// Scales are found wherever they are shared, and nowhere else.
#include "format/scale_finder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

using namespace bitnet;

namespace {

using Scale = std::function<float(uint32_t row, uint32_t col)>;

TernaryScales find(uint32_t rows, uint32_t cols, const Scale& value) {
  ScaleFinder finder(rows, cols);
  std::vector<float> values(cols);
  for (uint32_t row = rows; row-- > 0;) {
    for (uint32_t col = 0; col < cols; ++col) values[col] = value(row, col);
    finder.add_row(row, values);
  }
  return finder.result();
}

// Weights -s, 0, s with 0 only where it leaves another in each group of 64.
float trit(uint32_t row, uint32_t col) { return static_cast<float>((row + col) % 3) - 1; }

// 1 / (1 / x) is not x for every float, and the model's own code divides twice.
TEST(RoundByAbsmean, IsTheArithmeticOfTheModelsOwnCode) {
  uint32_t unlike = 0;
  for (float mean = 0.01f; mean < 0.02f; mean = std::nextafter(mean * 1.0001f, 1.0f)) {
    const float inverse = 1 / mean;
    const TernaryScales rounded = round_by_absmean(mean);
    EXPECT_EQ(rounded.inverse_mean, inverse);
    EXPECT_EQ(rounded.scales, std::vector<float>{1 / inverse});
    unlike += 1 / inverse != mean;
  }
  EXPECT_GT(unlike, 0u);
  EXPECT_EQ(round_by_absmean(0).inverse_mean, 1 / 1e-5f);
  EXPECT_EQ(round_by_absmean(0.1 + 1e-12).inverse_mean, 1 / 0.1f) << "the mean is a float32";
}

TEST(RoundByAbsmean, RoundsHalvesToEvenAndNoFartherThanOne) {
  const std::vector<float> values = {0.5f, -0.5f, 0.50000006f, -1.5f, 9, -9, 0, -0.0f};
  std::vector<int8_t> trits(values.size());
  round_to_trits(values, 1, trits.data());
  EXPECT_EQ(trits, (std::vector<int8_t>{0, 0, 1, -1, 1, -1, 0, 0}));
}

TEST(ScaleFinder, FindsOneScale) {
  const auto result = find(5, 200, [](uint32_t r, uint32_t c) { return 0.25f * trit(r, c); });
  EXPECT_TRUE(result.is_ternary());
  EXPECT_EQ(result.group, 0u);
  EXPECT_EQ(result.scales, std::vector<float>{0.25f});
}

TEST(ScaleFinder, FindsAScaleForEachRow) {
  const auto result = find(3, 200, [](uint32_t r, uint32_t c) { return static_cast<float>(r + 1) * trit(r, c); });
  EXPECT_EQ(result.group, 0u);
  EXPECT_EQ(result.scales, (std::vector<float>{1, 2, 3}));
}

TEST(ScaleFinder, FindsGroupsOf128AndOf64Columns) {
  for (const uint32_t group : {128u, 64u}) {
    const auto scale = [&](uint32_t r, uint32_t c) {
      const uint32_t number = c / group;
      return 1.0f + static_cast<float>(8 * r + number);
    };
    const auto result = find(3, 320, [&](uint32_t r, uint32_t c) { return scale(r, c) * trit(r, c); });
    EXPECT_TRUE(result.is_ternary()) << result.not_ternary;
    EXPECT_EQ(result.group, group);
    std::vector<float> expected;
    for (uint32_t r = 0; r < 3; ++r) {
      for (uint32_t c = 0; c < 320; c += group) expected.push_back(scale(r, c));
    }
    EXPECT_EQ(result.scales, expected);
  }
}

TEST(ScaleFinder, RepeatsTheScaleOfAShard) {
  const auto result = find(2, 512, [](uint32_t r, uint32_t c) { return (c < 256 ? 1.0f : 2.0f) * trit(r, c); });
  EXPECT_EQ(result.group, 128u);
  EXPECT_EQ(result.scales, (std::vector<float>{1, 1, 2, 2, 1, 1, 2, 2}));
}

TEST(ScaleFinder, ZerosFitAnyScaleAndScalesAreNever0) {
  const auto zeros = find(3, 128, [](uint32_t, uint32_t) { return 0.0f; });
  EXPECT_EQ(zeros.scales, std::vector<float>{1});
  const auto row = find(3, 128, [](uint32_t r, uint32_t c) { return r == 1 ? 0.0f : 0.5f * trit(r, c); });
  EXPECT_EQ(row.scales, std::vector<float>{0.5f});
  const auto rows = find(3, 128, [](uint32_t r, uint32_t c) { return static_cast<float>(r) * trit(r, c); });
  EXPECT_EQ(rows.scales, (std::vector<float>{1, 1, 2}));
  // Groups of 64: 0 0 3 5 | 0 0 0 0 | 7 0 0 9. The zeros do not keep the rest from being in groups of 64.
  const float scales[3][4] = {{0, 0, 3, 5}, {0, 0, 0, 0}, {7, 0, 0, 9}};
  const auto groups = find(3, 256, [&](uint32_t r, uint32_t c) { return scales[r][c / 64] * trit(r, c); });
  EXPECT_EQ(groups.group, 64u);
  EXPECT_EQ(groups.scales, (std::vector<float>{3, 3, 3, 5, 3, 3, 3, 3, 7, 7, 7, 9}));
  // A group of 128 may be half zeros.
  const auto half = find(1, 256, [](uint32_t r, uint32_t c) { return (c < 64 ? 0.0f : c < 128 ? 3 : 5) * trit(r, c); });
  EXPECT_EQ(half.group, 128u);
  EXPECT_EQ(half.scales, (std::vector<float>{3, 5}));
}

TEST(ScaleFinder, SaysWhereAndHowFarAMatrixIsNotTernary) {
  const auto result = find(4, 128, [](uint32_t r, uint32_t c) { return r == 2 && c == 70 ? 0.75f : 0.5f; });
  EXPECT_FALSE(result.is_ternary());
  EXPECT_TRUE(result.scales.empty());
  EXPECT_NE(result.not_ternary.find("row 2, column 70 holds 0.75 beside weights of magnitude 0.5"), std::string::npos)
      << result.not_ternary;
  EXPECT_NE(result.not_ternary.find("12.5 % of the groups of 64 columns"), std::string::npos) << result.not_ternary;
  EXPECT_NEAR(result.mean, (4 * 128 * 0.5 + 0.25) / (4 * 128), 1e-12);
}

}  // namespace
