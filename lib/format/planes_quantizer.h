// SPDX-License-Identifier: MIT
// Numbers into the bit-plane packings, with the least squared error that a search for each group's scale finds.
#pragma once

#include <cstddef>
#include <cstdint>

#include "planes.h"

namespace bitnet {

// Rows of `cols` finite halves. out: planes_bytes(planes, rows, cols) zeros. Fills in a scale and, unless bounds is
// null, a bound for each row.
void quantize_planes(Planes planes, const uint16_t* halves, size_t rows, size_t cols, uint8_t* out, float* scales,
                     float* bounds);

// The bound of row `row` of a row of tiles, which has this scale and was rounded from these halves. It says how far the
// screened logit s of a row, as head_q5 and head_q6 compute it, can be from its exact logit, as head_f16 does: |s -
// exact| <= bound * |x|, for any finite x in a range that the screen's user checks (no overflow, no underflow). With w
// the row, v what it was rounded to, y what the kernel rounds x to, n the columns, u = 2^-24:
//
//   w x - v y  =  (w - v) x + v (x - y), so that by Cauchy and Schwarz  |w x - v y| <= |w - v| |x| + |v| |x - y|.
//
// Each element of x - y is at most 0.52 steps, and a step is largest |x| / 32639, so |x - y| <= |x| sqrt(n) / 60000.
// Both kernels sum floats in chains of at most n / 16 + 8 terms (16 lanes; runs of 16 or 32 columns), and an error of
// d = (n / 16 + 16) u at most relative to the sum of the magnitudes of all products, which is at most |w| |x| and
// |v| |y|. |w| <= |v| + |w - v|, and twice d covers the products of these small factors. Together
//
//   bound = |w - v| (1 + 2 d) + |v| (sqrt(n) / 60000 + 4 d),  rounded up.
float screen_bound(Planes planes, const uint8_t* tiles, size_t row, float scale, const uint16_t* halves, size_t cols);

}  // namespace bitnet
