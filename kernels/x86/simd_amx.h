// SPDX-License-Identifier: MIT
// The int8 tiles of Intel AMX.
#pragma once

#include "x86/simd_avx512vbmi.h"
#include "x86/tiles.h"

namespace bitnet {
namespace {

struct Amx : Avx512Vbmi {
  static constexpr Tuning kTuning = {
      // 5 on a free core, 9 (i2) or 7 (t5) while the core's other thread, perhaps a neighbour's, also uses the tile
      // unit.
      .i2 = {.prepared = 8},
      .t5 = {.prepared = 6},
      .dot_tokens = 4,
      .attention = {.rows = 4, .vectors = 4},
      .converted = {.rows = 8, .vectors = 2},
      .head_f16 = {.rows = 4, .tokens = 4},
      .head_int8 = {.rows = 4, .tokens = 4},
      .group_tokens = 8,
      .planes = {.prepared = 2, .vectors = 1, .tokens = 16},
  };
  using Tiles = AmxTiles;
};

}  // namespace
}  // namespace bitnet
