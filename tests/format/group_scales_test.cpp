// SPDX-License-Identifier: MIT
// The scales of groups as binary16, and what rounding to it costs.
#include "format/group_scales.h"

#include <gtest/gtest.h>

#include <bit>

#include "base/half.h"

namespace bitnet {
namespace {

// The scale of each group of a row, the tensor's or row's included.
std::vector<float> of_row(const GroupScales& scales, uint32_t row, size_t groups) {
  std::vector<uint16_t> halves(groups);
  scales.write_row(row, halves.data());
  const float factor = scales.of_tensor().size() == 1 ? scales.of_tensor()[0] : scales.of_tensor()[row];
  std::vector<float> all;
  for (const uint16_t half : halves) all.push_back(half_to_float(half) * factor);
  return all;
}

TEST(GroupScales, OfTheMatrixOrARowStayWhatTheyAre) {
  const TernaryScales one = {.scales = {0.1f}}, rows = {.scales = {0.1f, 1e-30f}};
  EXPECT_EQ(of_row(GroupScales(one, 2, 300, 128), 1, 3), std::vector<float>(3, 0.1f));
  EXPECT_EQ(of_row(GroupScales(rows, 2, 300, 128), 1, 3), std::vector<float>(3, 1e-30f));
  EXPECT_EQ(GroupScales(rows, 2, 300, 128).rounding().inexact, 0u);
}

TEST(GroupScales, OfBinary16AreGroupScalesOfATensorWithoutItsOwn) {
  const TernaryScales found = {.scales = {0.5f, 0.25f, 2, 1.5f}, .group = 128};
  const GroupScales scales(found, 2, 256, 128);
  EXPECT_EQ(scales.of_tensor(), std::vector<float>{1});
  EXPECT_EQ(of_row(scales, 1, 2), (std::vector<float>{2, 1.5f}));
  EXPECT_EQ(of_row(GroupScales(found, 2, 256, 64), 0, 4), (std::vector<float>{0.5f, 0.5f, 0.25f, 0.25f}));
}

// BF16 has fewer digits than F16 and a larger range.
TEST(GroupScales, BeyondBinary16sRangeAreExactByAPowerOfTwo) {
  const TernaryScales found = {.scales = {1e9f, 2e9f, 0x1p-40f, 0x1.8p-44f}, .group = 64};
  TernaryScales bfloat = found;
  for (float& scale : bfloat.scales)
    scale = bfloat_to_float(static_cast<uint16_t>(std::bit_cast<uint32_t>(scale) >> 16));
  const GroupScales scales(bfloat, 2, 128, 64);
  EXPECT_EQ(of_row(scales, 0, 2), (std::vector<float>{bfloat.scales[0], bfloat.scales[1]}));
  EXPECT_EQ(of_row(scales, 1, 2), (std::vector<float>{bfloat.scales[2], bfloat.scales[3]}));
  EXPECT_EQ(scales.rounding().inexact, 0u);
}

TEST(GroupScales, ThatAreNotExactAreCounted) {
  const TernaryScales found = {.scales = {0.1f, 0.5f}, .group = 64};
  const Rounding rounding = GroupScales(found, 1, 128, 64).rounding();
  EXPECT_EQ(rounding.values, 2u);
  EXPECT_EQ(rounding.inexact, 1u);
  EXPECT_GT(rounding.relative, 0);
  EXPECT_LT(rounding.relative, 0x1p-11);
}

TEST(Rounding, IsToldWithItsSize) {
  RoundingTotal total;
  std::string said;
  const Log log = [&](bitnet_log_level, const std::string& text) { said = text; };
  Rounding part;
  part.note(1, 1);
  total.add(part);
  total.report(log, BITNET_LOG_INFO);
  EXPECT_EQ(said, "");
  part.note(0.1f, half_to_float(float_to_half(0.1f)));
  total.add(part);
  total.report(log, BITNET_LOG_INFO);
  EXPECT_NE(said.find("1 of 3 numbers"), std::string::npos) << said;
  EXPECT_NE(said.find("of themselves"), std::string::npos) << said;
}

// What is below the normal range has no share of itself that says anything.
TEST(Rounding, OfTinyNumbersHasNoShare) {
  RoundingTotal total;
  std::string said;
  Rounding part;
  part.note(1e-8f, half_to_float(float_to_half(1e-8f)));
  total.add(part);
  total.report([&](bitnet_log_level, const std::string& text) { said = text; }, BITNET_LOG_INFO);
  EXPECT_NE(said.find("1 of 1 numbers"), std::string::npos) << said;
  EXPECT_EQ(said.find("of themselves"), std::string::npos) << said;
}

}  // namespace
}  // namespace bitnet
