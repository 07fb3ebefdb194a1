// SPDX-License-Identifier: MIT
#include "packing.h"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <vector>

#include "inputs.h"

namespace bitnet {
namespace {

class Packings : public testing::TestWithParam<Packing> {};

INSTANTIATE_TEST_SUITE_P(Kernels, Packings, testing::Values(Packing::i2, Packing::t5),
                         [](const auto& info) { return info.param == Packing::i2 ? "i2" : "t5"; });

TEST_P(Packings, RoundTrip) {
  const Packing p = GetParam();
  Inputs in(1);
  for (size_t cols : {1, 3, 4, 5, 255, 256, 257, 319, 320, 321, 1000}) {
    for (size_t rows = 1; rows <= kGroupRows; ++rows) {
      const size_t stride = cols + 2;
      Guarded<int8_t> trits(stride * (rows - 1) + cols), back(trits.size(), 7);
      for (int8_t& w : trits) w = static_cast<int8_t>(static_cast<int>(in.below(3)) - 1);
      Guarded<uint8_t> packed(packed_bytes(p, rows, cols));
      pack_group(p, trits.data(), stride, rows, cols, packed.data());
      ASSERT_TRUE(unpack_group(p, packed.data(), rows, cols, back.data(), stride));
      for (size_t i = 0; i < trits.size(); ++i) {
        ASSERT_EQ(back[i], i % stride < cols ? trits[i] : 7) << rows << " x " << cols << ", " << i;
      }
    }
  }
}

// The place and value of one weight, worked out from the description in packing.h.
TEST_P(Packings, Layout) {
  const Packing p = GetParam();
  const size_t cols = 2 * weights_per_block(p), g = weights_per_byte(p);
  for (size_t row = 0; row < kGroupRows; ++row) {
    for (size_t col = 0; col < cols; col += 7) {
      std::vector<int8_t> trits(kGroupRows * cols, -1);
      trits[row * cols + col] = 1;
      std::vector<uint8_t> packed(packed_bytes(p, kGroupRows, cols));
      pack_group(p, trits.data(), cols, kGroupRows, cols, packed.data());
      const size_t block = col / weights_per_block(p);
      const size_t place = (block * kGroupRows + row) * 64 + col % weights_per_block(p) / g;
      const unsigned powers[5] = {81, 27, 9, 3, 1};
      const unsigned byte = p == Packing::i2 ? 2u << 2 * (col % 4) : (256 * 2 * powers[col % 5] + 242) / 243;
      for (size_t i = 0; i < packed.size(); ++i) ASSERT_EQ(packed[i], i == place ? byte : 0) << row << ", " << col;
    }
  }
}

TEST_P(Packings, RestIsFilledWithZeroWeights) {
  const Packing p = GetParam();
  const int8_t one = 1;
  std::vector<uint8_t> packed(packed_bytes(p, 1, 1));
  pack_group(p, &one, 1, 1, 1, packed.data());
  const size_t cols = weights_per_block(p);
  std::vector<int8_t> trits(kGroupRows * cols);
  ASSERT_TRUE(unpack_group(p, packed.data(), kGroupRows, cols, trits.data(), cols));
  for (size_t i = 0; i < trits.size(); ++i) ASSERT_EQ(trits[i], i == 0) << i;
}

// Every byte, in padding too, is either one that pack_group writes or refused.
TEST_P(Packings, RefusesBytesThatAreNoCodes) {
  const Packing p = GetParam();
  const size_t cols = weights_per_byte(p);
  std::set<std::vector<int8_t>> tuples;
  size_t refused = 0;
  for (unsigned byte = 0; byte < 256; ++byte) {
    std::vector<int8_t> trits(cols, 0);
    std::vector<uint8_t> packed(packed_bytes(p, 1, cols));
    pack_group(p, trits.data(), cols, 1, cols, packed.data());
    packed[0] = static_cast<uint8_t>(byte);
    if (unpack_group(p, packed.data(), 1, cols, trits.data(), cols)) {
      tuples.insert(trits);
      std::vector<uint8_t> again(packed.size());
      pack_group(p, trits.data(), cols, 1, cols, again.data());
      EXPECT_EQ(again, packed) << byte;
    } else {
      ++refused;
      packed[0] = 0;
      packed.back() = static_cast<uint8_t>(byte);
      EXPECT_FALSE(unpack_group(p, packed.data(), 1, cols, trits.data(), cols)) << byte;
    }
  }
  const size_t codes = p == Packing::i2 ? 81 : 243;
  EXPECT_EQ(tuples.size(), codes);
  EXPECT_EQ(refused, 256 - codes);
}

TEST(PackedBytes, OfRealShapes) {
  EXPECT_EQ(packed_bytes(Packing::i2, 2560, 2560), 2560u * 2560 / 4);
  EXPECT_EQ(packed_bytes(Packing::i2, 2560, 6912), 2560u * 6912 / 4);
  EXPECT_EQ(packed_bytes(Packing::t5, 2560, 2560), 2560u * 2560 / 5);
  EXPECT_EQ(packed_bytes(Packing::i2, 5, 257), 8u * 2 * 64);
}

}  // namespace
}  // namespace bitnet
