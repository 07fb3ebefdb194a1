// SPDX-License-Identifier: MIT
// The two ternary packings: how a matrix of weights in {-1, 0, 1} lies in memory, in files and for the kernels alike.
//
// A row is cut into blocks of 64 bytes. Rows go in groups of four, and within a group the blocks of its rows alternate,
// so that a product of four rows reads memory strictly forward:
//
//   group 0: row 0 block 0, row 1 block 0, row 2 block 0, row 3 block 0, row 0 block 1, ...   then group 1, ...
//
//   i2  2.0 bits a weight: byte i of a block holds weights 4i .. 4i+3, weight 4i+j as w+1 in bits 2j, 2j+1.
//       A block is 256 weights.
//   t5  1.6 bits a weight: byte i holds weights 5i .. 5i+4. With digits d = w+1 and v = 81 d0 + 27 d1 + 9 d2 + 3 d3 +
//   d4,
//       the byte is ceil(256 v / 243): a fraction of 256 from which each digit falls out in turn,
//       d = (3 * byte) >> 8, byte = (3 * byte) & 255.  A block is 320 weights.
//
// The last block of a row and the last group of a matrix are filled with zero weights (digit 1).
#pragma once

#include <cstddef>
#include <cstdint>

namespace bitnet {

enum class Packing : uint8_t { i2, t5 };

constexpr bool is_known(Packing p) {
  switch (p) {
    case Packing::i2:
    case Packing::t5:
      return true;
  }
  return false;
}

constexpr size_t kBlockBytes = 64;
constexpr size_t kGroupRows = 4;

// Weights in a byte.
constexpr size_t weights_per_byte(Packing p) {
  switch (p) {
    case Packing::i2:
      return 4;
    case Packing::t5:
      return 5;
  }
  return 1;
}
// Weights in a block of a row.
constexpr size_t weights_per_block(Packing p) { return kBlockBytes * weights_per_byte(p); }
// Blocks in a row of `cols` weights.
constexpr size_t blocks_per_row(Packing p, size_t cols) {
  return (cols + weights_per_block(p) - 1) / weights_per_block(p);
}
// `cols` filled up to whole blocks: the length of a row of quantized activations.
constexpr size_t padded_cols(Packing p, size_t cols) { return blocks_per_row(p, cols) * weights_per_block(p); }
constexpr size_t padded_rows(size_t rows) { return (rows + kGroupRows - 1) / kGroupRows * kGroupRows; }
// Bytes of a packed matrix.
constexpr size_t packed_bytes(Packing p, size_t rows, size_t cols) {
  return padded_rows(rows) * blocks_per_row(p, cols) * kBlockBytes;
}

// Packs the four rows of one group. trits: up to four rows of `cols` values in {-1, 0, 1}, `stride` apart; rows beyond
// `rows` are filled with zero weights. out: 4 * blocks_per_row * 64 bytes.
void pack_group(Packing p, const int8_t* trits, size_t stride, size_t rows, size_t cols, uint8_t* out);

// The reverse of pack_group: writes `rows` (at most four) rows of `cols` trits. Returns false if a byte is none that
// pack_group writes (i2: a field of 3; t5: a value between the 243 codes), leaving trits unspecified.
bool unpack_group(Packing p, const uint8_t* packed, size_t rows, size_t cols, int8_t* trits, size_t stride);

}  // namespace bitnet
