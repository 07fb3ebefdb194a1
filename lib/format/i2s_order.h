// SPDX-License-Identifier: MIT
// Finds out in which order a trained model's I2_S weights lie. The orders differ in which weight belongs to which
// column, so the right one is the one under which the columns fit what is known of their channels from tensors of
// numbers. docs/format.md states the test and how often it errs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "format/i2s.h"

namespace bitnet {

struct I2sSample {
  I2sMatrix matrix;
  std::vector<float> gains;   // of the norm before the matrix, one for each column; empty if there is none
  bool reads_stream = false;  // its columns are the channels of the embedding
};

struct I2sOrder {
  std::optional<I2sLayout> layout;  // none: the weights do not tell
  std::string evidence;             // for the log
};

// `embedding` holds some tokens' rows of `hidden` values. Samples need not fit all orders.
I2sOrder find_i2s_order(const std::vector<I2sSample>& samples, const std::vector<float>& embedding, size_t hidden);

}  // namespace bitnet
