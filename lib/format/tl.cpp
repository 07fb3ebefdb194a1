// SPDX-License-Identifier: MIT
#include "format/tl.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

namespace bitnet {
namespace {

constexpr uint32_t kTileRows2 = 32;   // TL2's tiles have no other height
constexpr uint64_t kTl2Paired = 256;  // columns that TL2's size has room for in pairs

// A matrix is cut into bands of `rows` rows, a band into panels of `cols` columns, and a panel into tiles of `tile`
// rows. bitnet.cpp calls the three BM, BK and bm.
struct Blocking {
  uint32_t rows, cols, tile;
  bool operator==(const Blocking&) const = default;
};

struct Shape {
  uint32_t rows, cols;
  std::array<Blocking, std::size(kTlNames)> tl1;
  Blocking tl2;
};

// The lines for codegen_tl1.py and codegen_tl2.py in bitnet.cpp's setup_env.py, and its preset_kernels. These differ
// for TL1 of Llama3-8B-1.58-100B-tokens alone.
constexpr Shape kShapes[] = {
    // bitnet_b1_58-large
    {1536, 4096, {{{256, 128, 32}, {256, 128, 32}}}, {256, 96, 32}},
    {1536, 1536, {{{128, 64, 64}, {128, 64, 64}}}, {128, 192, 32}},
    {4096, 1536, {{{256, 128, 32}, {256, 128, 32}}}, {256, 96, 32}},
    // bitnet_b1_58-3B
    {3200, 8640, {{{160, 64, 32}, {160, 64, 32}}}, {160, 96, 32}},
    {3200, 3200, {{{320, 128, 64}, {320, 128, 64}}}, {320, 96, 32}},
    {8640, 3200, {{{320, 64, 32}, {320, 64, 32}}}, {320, 96, 32}},
    // Llama3-8B-1.58-100B-tokens
    {14336, 4096, {{{256, 128, 32}, {256, 128, 64}}}, {256, 96, 32}},
    {4096, 14336, {{{128, 64, 64}, {256, 128, 32}}}, {128, 96, 32}},
    {1024, 4096, {{{256, 128, 32}, {128, 64, 64}}}, {256, 96, 32}},
    {4096, 4096, {{{128, 64, 64}, {128, 64, 32}}}, {128, 96, 32}},
};
// What is taken for other shapes.
constexpr Blocking kOtherTl1 = {128, 128, 32}, kOtherTl2 = {128, 96, 32};

const Shape* find_shape(const CodedBytes& coded) {
  const auto* const found = std::ranges::find_if(
      kShapes, [&](const Shape& shape) { return shape.rows == coded.rows && shape.cols == coded.cols; });
  return found == std::end(kShapes) ? nullptr : found;
}

unsigned byte_at(const std::byte* data, size_t i) { return std::to_integer<unsigned>(data[i]); }

// The weights that a code of two stands for, 3 a + b + 4.
void put_pair(unsigned code, int8_t* out) {
  out[0] = static_cast<int8_t>(static_cast<int>(code / 3) - 1);
  out[1] = static_cast<int8_t>(static_cast<int>(code % 3) - 1);
}
constexpr unsigned kPairs = 9;

// A matrix in tiles: where a row lies in it.
class Tiles {
 public:
  Tiles(const Blocking& blocking, uint32_t cols, uint32_t row)
      : panels_(cols / blocking.cols),
        tiles_(blocking.rows / blocking.tile),
        band_(row / blocking.rows),
        tile_(row % blocking.rows / blocking.tile) {}

  uint64_t tile(uint32_t panel) const { return (uint64_t{band_} * panels_ + panel) * tiles_ + tile_; }

 private:
  const uint32_t panels_, tiles_, band_, tile_;
};

// A tile of TL1 is cut into steps of 256 / tile columns, a step into groups of 16 rows, and a group into four columns
// of 16 bytes, a byte a row: the first two weights in the high half.
class Tl1 final : public CodedMatrix {
 public:
  Tl1(const CodedBytes& coded, const Blocking& blocking) : coded_(coded), blocking_(blocking) {}

  static bool fits(const CodedBytes& coded, const Blocking& b) {
    return coded.rows % b.rows == 0 && coded.cols % b.cols == 0;
  }

  std::vector<float> scales() const override { return {}; }

  bool read(uint32_t row, int8_t* out) const override {
    const uint32_t step_cols = 256 / blocking_.tile, in_tile = row % blocking_.tile;
    const Tiles tiles(blocking_, coded_.cols, row);
    bool valid = true;
    for (uint32_t panel = 0; panel < coded_.cols / blocking_.cols; ++panel) {
      const std::byte* const tile = coded_.bytes.data() + tiles.tile(panel) * (blocking_.tile * blocking_.cols / 4);
      for (uint32_t step = 0; step < blocking_.cols / step_cols; ++step) {
        const std::byte* const group = tile + (step * blocking_.tile / 16 + in_tile / 16) * (step_cols * 4);
        for (uint32_t quad = 0; quad < step_cols / 4; ++quad, out += 4) {
          const unsigned byte = byte_at(group, quad * 16 + in_tile % 16);
          valid &= byte >> 4 < kPairs && (byte & 15) < kPairs;
          put_pair(byte >> 4, out);
          put_pair(byte & 15, out + 2);
        }
      }
    }
    return valid;
  }

 private:
  const CodedBytes coded_;
  const Blocking blocking_;
};

// TL2 has the columns that fill whole panels in threes and the others in twos. First the magnitudes of all threes, as
// |9 a + 3 b + c|, then their signs, a bit each, then the twos as in TL1, in panels of 32 columns. A byte has two codes
// of one row, the first in the high half. The 32 rows of a tile lie in the order of kPlaces.
class Tl2 final : public CodedMatrix {
 public:
  Tl2(const CodedBytes& coded, const Blocking& blocking)
      : coded_(coded), blocking_(blocking), triple_cols_(coded.cols - coded.cols % blocking.cols) {}

  static bool fits(const CodedBytes& coded, const Blocking& b) {
    return coded.rows % b.rows == 0 && coded.cols % b.cols % kPairPanel == 0;
  }

  std::vector<float> scales() const override { return {}; }

  bool read(uint32_t row, int8_t* out) const override {
    const bool triples = read_triples(row, out), pairs = read_pairs(row, out + triple_cols_);
    return triples && pairs;
  }

 private:
  static constexpr uint32_t kPairPanel = 32, kSignStep = 8;
  static constexpr unsigned kTriples = 14;  // magnitudes

  // The middle two of a tile's four groups of eight rows change places.
  static uint32_t place(uint32_t row) {
    constexpr uint32_t kPlaces[] = {0, 2, 1, 3};
    return kPlaces[row % kTileRows2 / 8] * 8 + row % 8;
  }

  const std::byte* signs() const { return coded_.bytes.data() + uint64_t{coded_.rows} * triple_cols_ / 6; }
  const std::byte* pairs() const { return signs() + uint64_t{coded_.rows} * triple_cols_ / 24; }

  static bool put_triple(unsigned magnitude, bool negative, int8_t* out) {
    const bool valid = magnitude < kTriples && !(negative && magnitude == 0);
    const unsigned code = !valid ? 13 : negative ? 13 - magnitude : 13 + magnitude;
    out[0] = static_cast<int8_t>(static_cast<int>(code / 9) - 1);
    out[1] = static_cast<int8_t>(static_cast<int>(code / 3 % 3) - 1);
    out[2] = static_cast<int8_t>(static_cast<int>(code % 3) - 1);
    return valid;
  }

  // The signs of eight triples of 32 rows are 16 words of 16 bits. Taken triple by triple, sign n is in word n % 16,
  // and the first ones are in the top bits.
  bool is_negative(uint64_t tile, uint32_t triple, uint32_t row) const {
    const uint32_t sign = triple % kSignStep * kTileRows2 + row % kTileRows2;
    const uint64_t step = tile * (blocking_.cols / 3 / kSignStep) + triple / kSignStep;
    uint16_t word;
    std::memcpy(&word, signs() + 2 * (step * 16 + sign % 16), sizeof word);
    return (word >> (15 - sign / 16) & 1) != 0;
  }

  bool read_triples(uint32_t row, int8_t* out) const {
    const Tiles tiles(blocking_, triple_cols_, row);
    const uint32_t in_panel = blocking_.cols / 3;
    bool valid = true;
    for (uint32_t panel = 0; panel < triple_cols_ / blocking_.cols; ++panel) {
      const uint64_t tile = tiles.tile(panel);
      const std::byte* const codes = coded_.bytes.data() + tile * (in_panel / 2 * kTileRows2) + place(row);
      for (uint32_t triple = 0; triple < in_panel; ++triple, out += 3) {
        const unsigned byte = byte_at(codes, size_t{triple / 2} * kTileRows2);
        valid &= put_triple(triple % 2 == 0 ? byte >> 4 : byte & 15, is_negative(tile, triple, row), out);
      }
    }
    return valid;
  }

  bool read_pairs(uint32_t row, int8_t* out) const {
    const uint32_t cols = coded_.cols - triple_cols_;
    const Tiles tiles({blocking_.rows, kPairPanel, kTileRows2}, cols, row);
    bool valid = true;
    for (uint32_t panel = 0; panel < cols / kPairPanel; ++panel) {
      const std::byte* const codes = pairs() + tiles.tile(panel) * (kPairPanel / 4 * kTileRows2) + place(row);
      for (uint32_t quad = 0; quad < kPairPanel / 4; ++quad, out += 4) {
        const unsigned byte = byte_at(codes, size_t{quad} * kTileRows2);
        valid &= byte >> 4 < kPairs && (byte & 15) < kPairs;
        put_pair(byte >> 4, out);
        put_pair(byte & 15, out + 2);
      }
    }
    return valid;
  }

  const CodedBytes coded_;
  const Blocking blocking_;
  const uint32_t triple_cols_;
};

}  // namespace

uint64_t tl1_bytes(uint64_t rows, uint64_t cols) { return cols % 4 == 0 ? rows * cols / 4 : 0; }

// Room for the last 256 columns in twos, more than there ever are.
uint64_t tl2_bytes(uint64_t rows, uint64_t cols) {
  return cols >= kTl2Paired ? (cols - kTl2Paired) * rows / 3 * 5 / 8 + kTl2Paired * rows / 4 : 0;
}

std::unique_ptr<CodedMatrix> open_tl(const CodedBytes& coded, size_t order) {
  const Shape* const shape = find_shape(coded);
  if (coded.coding == Coding::tl1) {
    const Blocking blocking = shape != nullptr ? shape->tl1[order] : kOtherTl1;
    return Tl1::fits(coded, blocking) ? std::make_unique<Tl1>(coded, blocking) : nullptr;
  }
  const Blocking blocking = shape != nullptr ? shape->tl2 : kOtherTl2;
  return Tl2::fits(coded, blocking) ? std::make_unique<Tl2>(coded, blocking) : nullptr;
}

OrderKnowledge tl_knowledge(const CodedBytes& coded) {
  const Shape* const shape = find_shape(coded);
  if (shape == nullptr) return OrderKnowledge::assumed;
  const bool differ = coded.coding == Coding::tl1 && shape->tl1[0] != shape->tl1[1];
  return differ ? OrderKnowledge::open : OrderKnowledge::certain;
}

}  // namespace bitnet
