// SPDX-License-Identifier: MIT
// Finds whether a matrix of numbers is ternary: whether the weights of the whole, of each row, or of each group of 128
// or 64 columns of a row are -s, 0 and s.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "format/source.h"

namespace bitnet {

class ScaleFinder {
 public:
  ScaleFinder(uint32_t rows, uint32_t cols);

  // Each row once, of finite values, in any order and from any thread.
  void add_row(uint32_t row, std::span<const float> values);

  // After all rows. One scale if it fits everywhere, else one for each row, else for each 128 columns, else for
  // each 64. What consists of zeros fits any scale. It gets that of the group before it in its row, or else of the next
  // one; a row of zeros gets the first scale of the matrix, and a matrix of zeros gets 1. So scales are never 0.
  TernaryScales result() const;

 private:
  struct Row {
    double sum = 0;               // of magnitudes
    uint32_t mixed = 0;           // groups that have more than one magnitude
    uint32_t first = 0;           // the first column that has another one than its group
    float found = 0, before = 0;  // the magnitude there, and the group's
  };

  void describe(TernaryScales& result, uint64_t mixed) const;

  const uint32_t rows_, cols_, groups_;
  std::vector<Row> found_;
  std::vector<float> scales_;  // rows x groups of 64 columns; 0: zeros
};

// How BitNet b1.58 rounds a matrix that is not ternary, by the mean of its magnitudes.
//
// This is WeightQuant of transformers and weight_quant of 1bitLLM and bitnet.cpp, which compute in float32 whatever the
// type of the weights: with s = 1 / max(mean |w|, 1e-5) a weight is round(w * s) within -1 .. 1, divided by s. In which
// order they add the magnitudes depends on the machine; here the mean is the nearest float32 to the exact one. A model
// that they hold in a smaller type gets the quotients in that type, and so a scale that is rounded once more; here, as
// in float32, it is not.
TernaryScales round_by_absmean(double mean);

// A row's weights: their signs, or with inverse_mean the nearest of -1, 0, 1 to w * inverse_mean.
void round_to_trits(std::span<const float> values, float inverse_mean, int8_t* out);

}  // namespace bitnet
