// SPDX-License-Identifier: MIT
// The bit-plane packings q5 and q6 of a matrix of numbers: how they lie in memory, in files and for the kernels alike.
//
// A weight is row scale * group scale * (code - middle): the row scale a float, the group scale an int8 for 16 columns
// of a row, the code 5 or 6 bits with its middle at 16 or 32. The matrix is cut into tiles of 16 rows x 64 columns,
// which lie one after the other along 16 rows, then the next 16 rows follow. A tile has
//
//   64 bytes    group scales: byte 16 * g + r is that of columns 16 g .. 16 g + 15 of row r
//   512 bytes   the codes' lower four bits
//   128 bytes   (q6: 256) the rest of the codes, one or two bits each
//
// Codes go in 16 vectors of 64 bytes, the code of row r, column 4 j + i being byte 4 * r + i of vector j. So a 32-bit
// lane of a vector is a row, and sums over columns never leave their lane. Of each group's four vectors, the first two
// are the lower halves, the last two the upper halves of the group's two vectors of lower bits; the remaining bits of
// vector j lie at bit j * w % 8 of the bytes of plane vector j * w / 8, w being their number.
//
// What fills up the last tiles has group scale 0 and the middle code.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bitnet {

enum class Planes : uint8_t { q5, q6 };

constexpr size_t kTileRows = 16, kTileCols = 64;
constexpr size_t kGroupCols = 16;  // that share a group scale

constexpr size_t upper_bits(Planes p) {
  switch (p) {
    case Planes::q5:
      return 1;
    case Planes::q6:
      return 2;
  }
  return 0;
}
constexpr int middle_code(Planes p) { return 8 << upper_bits(p); }
// Columns for which the sum of weight * q is an exact integer of 32 bits, the weight being group scale * (code -
// middle) and q an activation in 16 bits: 2^7 * middle * 32639 * run_cols < 2^31.
constexpr size_t run_cols(Planes p) { return static_cast<size_t>(512 / middle_code(p)); }
constexpr size_t tile_bytes(Planes p) { return 64 + 512 + 128 * upper_bits(p); }
constexpr size_t tiles_per_row(size_t cols) { return (cols + kTileCols - 1) / kTileCols; }
// Bytes of a packed matrix.
constexpr size_t planes_bytes(Planes p, size_t rows, size_t cols) {
  return (rows + kTileRows - 1) / kTileRows * tiles_per_row(cols) * tile_bytes(p);
}

// Where the lower and the upper bits of the code of a tile's row and column lie.
struct CodePlace {
  size_t lower_byte, lower_shift, upper_byte, upper_shift;
};
constexpr CodePlace code_place(Planes p, size_t row, size_t col) {
  const size_t vector = col / 4, byte = 4 * row + col % 4, upper = vector * upper_bits(p);
  return {64 + (vector / 4 * 2 + vector % 2) * 64 + byte, vector % 4 / 2 * 4, 64 + 512 + upper / 8 * 64 + byte,
          upper % 8};
}
constexpr int read_code(Planes p, const uint8_t* tile, size_t row, size_t col) {
  const CodePlace at = code_place(p, row, col);
  const int lower = tile[at.lower_byte] >> at.lower_shift & 15;
  return lower | (tile[at.upper_byte] >> at.upper_shift & ((1 << upper_bits(p)) - 1)) << 4;
}
// Into bits that are zero.
constexpr void write_code(Planes p, uint8_t* tile, size_t row, size_t col, int code) {
  const CodePlace at = code_place(p, row, col);
  tile[at.lower_byte] = static_cast<uint8_t>(tile[at.lower_byte] | (code & 15) << at.lower_shift);
  tile[at.upper_byte] = static_cast<uint8_t>(tile[at.upper_byte] | code >> 4 << at.upper_shift);
}

}  // namespace bitnet
