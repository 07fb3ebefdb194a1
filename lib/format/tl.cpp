// SPDX-License-Identifier: MIT
#include "format/tl.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/parallel.h"

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

struct TlShape {
  uint32_t rows, cols;
  std::array<Blocking, std::size(kTlNames)> tl1;
  Blocking tl2;
};

// The lines for codegen_tl1.py and codegen_tl2.py in bitnet.cpp's setup_env.py, and its preset_kernels. These differ
// for TL1 of Llama3-8B-1.58-100B-tokens alone.
constexpr TlShape kTlShapes[] = {
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

const TlShape* find_tl_shape(const CodedBytes& coded) {
  const auto* const found = std::ranges::find_if(
      kTlShapes, [&](const TlShape& shape) { return shape.rows == coded.rows && shape.cols == coded.cols; });
  return found == std::end(kTlShapes) ? nullptr : found;
}

unsigned byte_at(const std::byte* data, size_t i) { return std::to_integer<unsigned>(data[i]); }

// The weights that a code of two stands for, 3 a + b + 4; and the code of two weights.
void put_pair(unsigned code, int8_t* out) {
  out[0] = static_cast<int8_t>(static_cast<int>(code / 3) - 1);
  out[1] = static_cast<int8_t>(static_cast<int>(code % 3) - 1);
}
unsigned pair_code(const int8_t* weights) { return static_cast<unsigned>(3 * weights[0] + weights[1] + 4); }
constexpr unsigned kPairs = 9;

// A byte of two such codes, the first in the high half.
bool read_quad(std::byte code, int8_t* out) {
  const auto byte = std::to_integer<unsigned>(code);
  put_pair(byte >> 4, out);
  put_pair(byte & 15, out + 2);
  return byte >> 4 < kPairs && (byte & 15) < kPairs;
}
std::byte quad_code(const int8_t* weights) {
  return static_cast<std::byte>(pair_code(weights) << 4 | pair_code(weights + 2));
}

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
// of 16 bytes, a byte a row.
class Tl1Layout {
 public:
  Tl1Layout(uint32_t cols, const Blocking& blocking) : cols_(cols), blocking_(blocking) {}

  static bool fits(uint32_t rows, uint32_t cols, const Blocking& b) { return rows % b.rows == 0 && cols % b.cols == 0; }

  // Calls visit(place) for each byte of a row, which has four weights.
  template <typename Visit>
  void each_quad(uint32_t row, const Visit& visit) const {
    const uint32_t step_cols = 256 / blocking_.tile, in_tile = row % blocking_.tile;
    const Tiles tiles(blocking_, cols_, row);
    for (uint32_t panel = 0; panel < cols_ / blocking_.cols; ++panel) {
      const uint64_t tile = tiles.tile(panel) * (blocking_.tile * blocking_.cols / 4);
      for (uint32_t step = 0; step < blocking_.cols / step_cols; ++step) {
        const uint64_t group = tile + (step * blocking_.tile / 16 + in_tile / 16) * (step_cols * 4);
        for (uint32_t quad = 0; quad < step_cols / 4; ++quad) visit(group + quad * 16 + in_tile % 16);
      }
    }
  }

  void write(uint32_t row, const int8_t* weights, std::byte* out) const {
    each_quad(row, [&](uint64_t place) {
      out[place] = quad_code(weights);
      weights += 4;
    });
  }

 private:
  const uint32_t cols_;
  const Blocking blocking_;
};

class Tl1 final : public CodedMatrix {
 public:
  Tl1(const CodedBytes& coded, const Blocking& blocking) : coded_(coded), layout_(coded.cols, blocking) {}

  std::vector<float> scales() const override { return {}; }

  bool read(uint32_t row, int8_t* out) const override {
    bool valid = true;
    layout_.each_quad(row, [&](uint64_t place) {
      valid &= read_quad(coded_.bytes[place], out);
      out += 4;
    });
    return valid;
  }

 private:
  const CodedBytes coded_;
  const Tl1Layout layout_;
};

// TL2 has the columns that fill whole panels in threes and the others in twos. First the magnitudes of all threes, as
// |9 a + 3 b + c|, then their signs, a bit each, then the twos as in TL1, in panels of 32 columns. A byte has two codes
// of one row, the first in the high half. The 32 rows of a tile lie in the order of kPlaces.
class Tl2Layout {
 public:
  Tl2Layout(uint32_t rows, uint32_t cols, const Blocking& blocking)
      : blocking_(blocking),
        cols_(cols),
        triple_cols_(cols - cols % blocking.cols),
        signs_(uint64_t{rows} * triple_cols_ / 6),
        pairs_(signs_ + uint64_t{rows} * triple_cols_ / 24) {}

  static bool fits(uint32_t rows, uint32_t cols, const Blocking& b) {
    return rows % b.rows == 0 && cols % b.cols % kPairPanel == 0;
  }

  // The sign of a triple: a bit of a word of 16.
  struct Sign {
    uint64_t place;
    uint32_t bit;
  };

  // Calls visit(place, sign, sign) for each byte of a row that has two triples.
  template <typename Visit>
  void each_triples(uint32_t row, const Visit& visit) const {
    const Tiles tiles(blocking_, triple_cols_, row);
    const uint32_t in_panel = blocking_.cols / 3;
    for (uint32_t panel = 0; panel < triple_cols_ / blocking_.cols; ++panel) {
      const uint64_t tile = tiles.tile(panel), codes = tile * (in_panel / 2 * kTileRows2) + place(row);
      for (uint32_t triple = 0; triple < in_panel; triple += 2) {
        visit(codes + uint64_t{triple / 2} * kTileRows2, sign(tile, triple, row), sign(tile, triple + 1, row));
      }
    }
  }

  // Calls visit(place) for each byte of a row that has two pairs.
  template <typename Visit>
  void each_quad(uint32_t row, const Visit& visit) const {
    const uint32_t cols = cols_ - triple_cols_;
    const Tiles tiles({blocking_.rows, kPairPanel, kTileRows2}, cols, row);
    for (uint32_t panel = 0; panel < cols / kPairPanel; ++panel) {
      const uint64_t codes = pairs_ + tiles.tile(panel) * (kPairPanel / 4 * kTileRows2) + place(row);
      for (uint32_t quad = 0; quad < kPairPanel / 4; ++quad) visit(codes + uint64_t{quad} * kTileRows2);
    }
  }

  // Into zeros.
  void write(uint32_t row, const int8_t* weights, std::byte* out) const {
    const auto put_triple = [&](const Sign& sign) {
      const int code = 9 * weights[0] + 3 * weights[1] + weights[2];
      weights += 3;
      if (code < 0) out[sign.place + sign.bit / 8] |= static_cast<std::byte>(1u << sign.bit % 8);
      return static_cast<unsigned>(code < 0 ? -code : code);
    };
    each_triples(row, [&](uint64_t place, const Sign& first, const Sign& second) {
      const unsigned high = put_triple(first);
      out[place] = static_cast<std::byte>(high << 4 | put_triple(second));
    });
    each_quad(row, [&](uint64_t place) {
      out[place] = quad_code(weights);
      weights += 4;
    });
  }

 private:
  static constexpr uint32_t kPairPanel = 32, kSignStep = 8;

  // The middle two of a tile's four groups of eight rows change places.
  static uint32_t place(uint32_t row) {
    constexpr uint32_t kPlaces[] = {0, 2, 1, 3};
    return kPlaces[row % kTileRows2 / 8] * 8 + row % 8;
  }

  // The signs of eight triples of 32 rows are 16 words of 16 bits. Taken triple by triple, sign n is in word n % 16,
  // and the first ones are in the top bits.
  Sign sign(uint64_t tile, uint32_t triple, uint32_t row) const {
    const uint32_t sign = triple % kSignStep * kTileRows2 + row % kTileRows2;
    const uint64_t step = tile * (blocking_.cols / 3 / kSignStep) + triple / kSignStep;
    return {signs_ + 2 * (step * 16 + sign % 16), 15 - sign / 16};
  }

  const Blocking blocking_;
  const uint32_t cols_, triple_cols_;
  const uint64_t signs_, pairs_;  // where they begin
};

class Tl2 final : public CodedMatrix {
 public:
  Tl2(const CodedBytes& coded, const Blocking& blocking) : coded_(coded), layout_(coded.rows, coded.cols, blocking) {}

  std::vector<float> scales() const override { return {}; }

  bool read(uint32_t row, int8_t* out) const override {
    const std::byte* const bytes = coded_.bytes.data();
    bool valid = true;
    const auto read_triple = [&](unsigned magnitude, const Tl2Layout::Sign& sign) {
      const bool negative = (byte_at(bytes, sign.place + sign.bit / 8) >> sign.bit % 8 & 1) != 0;
      valid &= put_triple(magnitude, negative, out);
      out += 3;
    };
    layout_.each_triples(row, [&](uint64_t place, const Tl2Layout::Sign& first, const Tl2Layout::Sign& second) {
      const unsigned byte = byte_at(bytes, place);
      read_triple(byte >> 4, first);
      read_triple(byte & 15, second);
    });
    layout_.each_quad(row, [&](uint64_t place) {
      valid &= read_quad(bytes[place], out);
      out += 4;
    });
    return valid;
  }

 private:
  static constexpr unsigned kTriples = 14;  // magnitudes

  static bool put_triple(unsigned magnitude, bool negative, int8_t* out) {
    const bool valid = magnitude < kTriples && !(negative && magnitude == 0);
    const unsigned code = !valid ? 13 : negative ? 13 - magnitude : 13 + magnitude;
    out[0] = static_cast<int8_t>(static_cast<int>(code / 9) - 1);
    out[1] = static_cast<int8_t>(static_cast<int>(code / 3 % 3) - 1);
    out[2] = static_cast<int8_t>(static_cast<int>(code % 3) - 1);
    return valid;
  }

  const CodedBytes coded_;
  const Tl2Layout layout_;
};

}  // namespace

uint64_t tl1_bytes(uint64_t rows, uint64_t cols) { return cols % 4 == 0 ? rows * cols / 4 : 0; }

// Room for the last 256 columns in twos, more than there ever are.
uint64_t tl2_bytes(uint64_t rows, uint64_t cols) {
  return cols >= kTl2Paired ? (cols - kTl2Paired) * rows / 3 * 5 / 8 + kTl2Paired * rows / 4 : 0;
}

std::unique_ptr<CodedMatrix> open_tl(const CodedBytes& coded, size_t order) {
  const TlShape* const shape = find_tl_shape(coded);
  if (coded.coding == Coding::tl1) {
    const Blocking blocking = shape != nullptr ? shape->tl1[order] : kOtherTl1;
    const bool fits = Tl1Layout::fits(coded.rows, coded.cols, blocking);
    return fits ? std::make_unique<Tl1>(coded, blocking) : nullptr;
  }
  const Blocking blocking = shape != nullptr ? shape->tl2 : kOtherTl2;
  const bool fits = Tl2Layout::fits(coded.rows, coded.cols, blocking);
  return fits ? std::make_unique<Tl2>(coded, blocking) : nullptr;
}

OrderKnowledge tl_knowledge(const CodedBytes& coded) {
  const TlShape* const shape = find_tl_shape(coded);
  if (shape == nullptr) return OrderKnowledge::assumed;
  const bool differ = coded.coding == Coding::tl1 && shape->tl1[0] != shape->tl1[1];
  return differ ? OrderKnowledge::open : OrderKnowledge::certain;
}

std::string tl_shapes() {
  std::string list;
  for (const TlShape& shape : kTlShapes) {
    list.append(list.empty() ? "" : ", ").append(std::to_string(shape.rows) + " x " + std::to_string(shape.cols));
  }
  return list;
}

std::vector<std::byte> encode_tl(const CodedShape& coded, std::span<const int8_t> trits) {
  const TlShape* const shape = find_tl_shape({coded.coding, {}, coded.rows, coded.cols});
  require(shape != nullptr, BITNET_ERROR_INTERNAL, "no kernels for matrices of ", coded.rows, " x ", coded.cols);
  std::vector<std::byte> bytes(coded_bytes(coded.coding, coded.rows, coded.cols));
  const bool tl1 = coded.coding == Coding::tl1;
  const Blocking blocking = tl1 ? shape->tl1[0] : shape->tl2;
  const Tl1Layout quads(coded.cols, blocking);
  const Tl2Layout triples(coded.rows, coded.cols, blocking);
  // A row shares bytes with others of its band.
  parallel_for(coded.rows / blocking.rows, [&](size_t band) {
    for (size_t row = band * blocking.rows; row < (band + 1) * blocking.rows; ++row) {
      const int8_t* const weights = &trits[row * coded.cols];
      if (tl1) {
        quads.write(static_cast<uint32_t>(row), weights, bytes.data());
      } else {
        triples.write(static_cast<uint32_t>(row), weights, bytes.data());
      }
    }
  });
  return bytes;
}

}  // namespace bitnet
