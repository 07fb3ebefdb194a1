// SPDX-License-Identifier: MIT
#include "groups.h"

#include <cstring>

namespace bitnet {
namespace {

constexpr uint8_t kZeroWeights = 0x55;  // four codes of 1

bool has_only_codes(const uint8_t* bytes, size_t n) {
  unsigned found = 0;
  for (size_t i = 0; i < n; ++i) found |= bytes[i] & bytes[i] >> 1 & 0x55;
  return found == 0;
}

// Calls f(tile, first column of it, its columns, its groups) for each tile along some rows.
template <typename Byte, typename F>
void for_tiles(size_t group, size_t cols, Byte* tile, F f) {
  for (size_t first = 0; first < cols; first += kGroupTileCols, tile += group_tile_bytes(group)) {
    const size_t inside = cols - first < kGroupTileCols ? cols - first : kGroupTileCols;
    f(tile, first, inside, groups_per_row(inside, group));
  }
}

// Of a tile's group of columns and row, in bytes.
size_t scale_at(size_t group, size_t row) { return (group * kGroupTileRows + row) * sizeof(uint16_t); }

}  // namespace

void pack_groups(size_t group, const GroupRows<const int8_t, const uint16_t>& rows, uint8_t* out) {
  for_tiles(group, rows.cols, out, [&](uint8_t* tile, size_t first, size_t inside, size_t groups) {
    uint8_t* const codes = tile + group_scale_bytes(group);
    std::memset(tile, 0, group_scale_bytes(group));
    std::memset(codes, kZeroWeights, group_tile_bytes(group) - group_scale_bytes(group));
    for (size_t row = 0; row < rows.rows; ++row) {
      const uint16_t* const scales = rows.scales + row * rows.scale_stride + first / group;
      for (size_t g = 0; g < groups; ++g) std::memcpy(tile + scale_at(g, row), scales + g, sizeof *scales);
      const int8_t* const trits = rows.trits + row * rows.trit_stride + first;
      for (size_t col = 0; col < inside; ++col) {
        const GroupCodePlace at = group_code_place(row, col);
        const unsigned others = codes[at.byte] & ~(3u << at.shift);
        codes[at.byte] = static_cast<uint8_t>(others | static_cast<unsigned>(trits[col] + 1) << at.shift);
      }
    }
  });
}

bool unpack_groups(size_t group, const uint8_t* packed, const GroupRows<int8_t, uint16_t>& rows) {
  bool valid = true;
  for_tiles(group, rows.cols, packed, [&](const uint8_t* tile, size_t first, size_t inside, size_t groups) {
    const uint8_t* const codes = tile + group_scale_bytes(group);
    valid = valid && has_only_codes(codes, group_tile_bytes(group) - group_scale_bytes(group));
    for (size_t row = 0; row < rows.rows; ++row) {
      uint16_t* const scales = rows.scales + row * rows.scale_stride + first / group;
      for (size_t g = 0; g < groups; ++g) std::memcpy(scales + g, tile + scale_at(g, row), sizeof *scales);
      int8_t* const trits = rows.trits + row * rows.trit_stride + first;
      for (size_t col = 0; col < inside; ++col) {
        const GroupCodePlace at = group_code_place(row, col);
        trits[col] = static_cast<int8_t>((codes[at.byte] >> at.shift & 3) - 1);
      }
    }
  });
  return valid;
}

}  // namespace bitnet
