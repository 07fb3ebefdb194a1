// SPDX-License-Identifier: MIT
// The packings g128 and g64 of a ternary matrix in which 128 or 64 neighbouring columns of a row, a group, share a
// scale: how they lie in memory, in files and for the kernels alike.
//
// A weight is scale * group scale * trit: the scale, of the matrix or of the row, a float, the group scale a binary16.
// The matrix is cut into tiles of 16 rows x 256 columns, which lie one after the other along 16 rows, then the next 16
// rows follow. A tile has
//
//   64 bytes    (g64: 128) group scales: for each group of columns 16 halves, one for each row
//   1024 bytes  the codes, trit + 1, in 16 vectors of 64 bytes: that of row r, column 16 j + 4 k + i in the bits
//               2 k, 2 k + 1 of byte 4 r + i of vector j
//
// So a 32-bit lane of a vector is a row, and sums over columns never leave their lane.
//
// What fills up the last tiles has group scale 0 and code 1.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bitnet {

constexpr size_t kGroupTileRows = 16, kGroupTileCols = 256;
constexpr size_t kSmallestGroup = 64;

// Whether there is a packing for groups of so many columns.
constexpr bool is_group(size_t columns) { return columns == 64 || columns == 128; }
constexpr size_t groups_per_row(size_t cols, size_t group) { return (cols + group - 1) / group; }
constexpr size_t group_tiles_per_row(size_t cols) { return (cols + kGroupTileCols - 1) / kGroupTileCols; }
// Of a tile: its group scales, and all of it.
constexpr size_t group_scale_bytes(size_t group) { return kGroupTileCols / group * kGroupTileRows * sizeof(uint16_t); }
constexpr size_t group_tile_bytes(size_t group) {
  return group_scale_bytes(group) + kGroupTileRows * kGroupTileCols / 4;
}
// Bytes of a packed matrix.
constexpr size_t group_bytes(size_t rows, size_t cols, size_t group) {
  return (rows + kGroupTileRows - 1) / kGroupTileRows * group_tiles_per_row(cols) * group_tile_bytes(group);
}

// Where the code of a tile's row and column lies, from the tile's first code on.
struct GroupCodePlace {
  size_t byte, shift;
};
constexpr GroupCodePlace group_code_place(size_t row, size_t col) {
  return {col / 16 * 64 + 4 * row + col % 4, col % 16 / 4 * 2};
}

// Rows of trits, each with its group scales: what is packed together.
template <typename Trit, typename Half>
struct GroupRows {
  Trit* trits;  // `rows` rows of cols values in {-1, 0, 1}, trit_stride apart
  size_t trit_stride;
  Half* scales;  // `rows` rows of groups_per_row values, binary16, scale_stride apart
  size_t scale_stride;
  size_t rows, cols;  // rows: 1 .. kGroupTileRows
};

// Packs the rows of one row of tiles. out: group_tiles_per_row * group_tile_bytes bytes.
void pack_groups(size_t group, const GroupRows<const int8_t, const uint16_t>& rows, uint8_t* out);

// The reverse of pack_groups. Returns false if a code is 3, also in what fills up the tiles, leaving the rows
// unspecified.
bool unpack_groups(size_t group, const uint8_t* packed, const GroupRows<int8_t, uint16_t>& rows);

}  // namespace bitnet
