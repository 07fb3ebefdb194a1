// SPDX-License-Identifier: MIT
// What was measured of an instruction set, all in one place: each struct of simd.h has a Tuning.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bitnet {

// Ternary products of one packing.
struct TernaryTuning {
  // At or above this many tokens, products of many are faster than dot products (TernaryKernel::prepared).
  size_t prepared;
  // Of sum tables: at or above this many tokens, tiles of 16 and of 32 are faster than what comes after them, which are
  // smaller tiles and dot products.
  size_t tiles_of_16 = 0, tiles_of_32 = 0;
};

// Dense products.
struct DenseTuning {
  size_t prepared = SIZE_MAX;  // at or above this many tokens, weights are converted first; never if these are cheap
  size_t tokens = 1;           // then, in registers with four rows
};

// Products with bit planes.
struct PlanesTuning {
  size_t prepared = SIZE_MAX;      // at or above this many tokens, weights are unpacked to 16 bits first; or never
  size_t vectors = 1, tokens = 1;  // then, in registers: so many vectors of rows with so many tokens
};

struct Tuning {
  // Sums that stay in registers.
  struct AttentionTile {
    size_t rows, vectors;
  };
  struct HeadTile {
    size_t rows, tokens;
  };

  TernaryTuning i2, t5;
  size_t dot_tokens;             // that a dot product takes at a time, with four rows
  AttentionTile attention;       // of keys and values as they lie
  AttentionTile converted;       // of those that were converted to floats first
  HeadTile head_f16, head_int8;  // rows read and converted once for several tokens
  size_t group_tokens;           // of g128 and g64, in registers with the rows of one or two vectors
  DenseTuning dense = {};
  PlanesTuning planes = {};
  size_t tile_tokens = 32;                    // many tokens come in whole tiles of so many,
  size_t tokens_at_a_time = 4 * tile_tokens;  // and at most so many share what is prepared
};

}  // namespace bitnet
