// SPDX-License-Identifier: MIT
#include "groups.h"

#include <gtest/gtest.h>

#include <vector>

#include "inputs.h"

namespace bitnet {
namespace {

class Groups : public testing::TestWithParam<size_t> {};

INSTANTIATE_TEST_SUITE_P(Kernels, Groups, testing::Values(64, 128),
                         [](const auto& info) { return "g" + std::to_string(info.param); });

TEST_P(Groups, RoundTrip) {
  const size_t group = GetParam();
  Inputs in(1);
  for (size_t cols : {1, 3, 63, 64, 65, 128, 129, 255, 256, 257, 600}) {
    for (size_t rows : {1, 2, 15, 16}) {
      const size_t groups = groups_per_row(cols, group), stride = cols + 2, scale_stride = groups + 1;
      Guarded<int8_t> trits(stride * (rows - 1) + cols), back(trits.size(), 7);
      for (int8_t& w : trits) w = static_cast<int8_t>(static_cast<int>(in.below(3)) - 1);
      const Guarded<f16> scales = in.halves(scale_stride * (rows - 1) + groups);
      Guarded<f16> scales_back(scales.size(), 7);
      Guarded<uint8_t> packed(group_bytes(rows, cols, group));
      pack_groups(group, {trits.data(), stride, scales.data(), scale_stride, rows, cols}, packed.data());
      ASSERT_TRUE(
          unpack_groups(group, packed.data(), {back.data(), stride, scales_back.data(), scale_stride, rows, cols}));
      for (size_t i = 0; i < trits.size(); ++i) {
        ASSERT_EQ(back[i], i % stride < cols ? trits[i] : 7) << rows << " x " << cols << ", " << i;
      }
      for (size_t i = 0; i < scales.size(); ++i) {
        ASSERT_EQ(scales_back[i], i % scale_stride < groups ? scales[i] : 0x0707) << rows << " x " << cols << ", " << i;
      }
    }
  }
}

// The places of one weight and of its group's scale, worked out from the description in groups.h. All else is what
// fills up tiles.
TEST_P(Groups, Layout) {
  const size_t group = GetParam(), cols = 300, groups = groups_per_row(cols, group);
  const size_t scale_bytes = 256 / group * 32, tile_bytes = scale_bytes + 1024;
  EXPECT_EQ(group_tile_bytes(group), tile_bytes);
  for (size_t row = 0; row < 16; row += 5) {
    for (size_t col = 0; col < cols; col += 7) {
      std::vector<int8_t> trits(16 * cols);
      std::vector<f16> scales(16 * groups);
      trits[row * cols + col] = 1;
      scales[row * groups + col / group] = 0x4321;
      std::vector<uint8_t> packed(group_bytes(16, cols, group));
      ASSERT_EQ(packed.size(), 2 * tile_bytes);
      pack_groups(group, {trits.data(), cols, scales.data(), groups, 16, cols}, packed.data());
      const size_t tile = col / 256 * tile_bytes, c = col % 256;
      const size_t scale = tile + c / group * 32 + row * 2;
      const size_t code = tile + scale_bytes + c / 16 * 64 + 4 * row + c % 4, shift = c % 16 / 4 * 2;
      for (size_t i = 0; i < packed.size(); ++i) {
        const unsigned expected = i == scale                     ? 0x21
                                  : i == scale + 1               ? 0x43
                                  : i % tile_bytes < scale_bytes ? 0
                                  : i == code                    ? 0x55 + (1u << shift)
                                                                 : 0x55;
        ASSERT_EQ(packed[i], expected) << row << ", " << col << ": " << i;
      }
    }
  }
}

// Also in what fills up a tile, of columns and of rows.
TEST_P(Groups, RefusesCodesThatAreNone) {
  const size_t group = GetParam();
  const std::vector<int8_t> trits(100);
  const std::vector<f16> scales(2);
  std::vector<int8_t> back(100);
  std::vector<f16> scales_back(2);
  std::vector<uint8_t> packed(group_bytes(1, 100, group));
  pack_groups(group, {trits.data(), 100, scales.data(), 2, 1, 100}, packed.data());
  const auto unpacks = [&] {
    return unpack_groups(group, packed.data(), {back.data(), 100, scales_back.data(), 2, 1, 100});
  };
  EXPECT_TRUE(unpacks());
  for (size_t at = group_scale_bytes(group); at < packed.size(); ++at) {
    for (unsigned shift = 0; shift < 8; shift += 2) {
      const uint8_t good = packed[at];
      packed[at] = static_cast<uint8_t>(good | 3u << shift);
      ASSERT_FALSE(unpacks()) << at << ", " << shift;
      packed[at] = good;
    }
  }
}

TEST(GroupBytes, OfRealShapes) {
  EXPECT_EQ(group_bytes(2048, 2048, 128), 2048u * 2048 / 4 + 2048 * 16 * 2);
  EXPECT_EQ(group_bytes(2048, 6144, 64), 2048u * 6144 / 4 + 2048 * 96 * 2);
  EXPECT_EQ(group_bytes(17, 257, 128), 4u * 1088);
  EXPECT_TRUE(is_group(64) && is_group(128));
  EXPECT_FALSE(is_group(0) || is_group(32) || is_group(256));
}

}  // namespace
}  // namespace bitnet
