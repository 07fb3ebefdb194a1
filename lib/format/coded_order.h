// SPDX-License-Identifier: MIT
// Finds out in which order a trained model's codes lie, where its file does not say it: bitnet.cpp's I2_S, and TL1 of
// some models. The orders differ in which weight belongs to which column, so the right one is the one under which the
// columns fit what is known of their channels from tensors of numbers. docs/format.md states the test and how often it
// errs.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "format/coded_matrix.h"

namespace bitnet {

struct OrderSample {
  uint32_t rows, cols;
  std::vector<std::unique_ptr<CodedMatrix>> orders;  // the matrix in each order; null where it does not fit
  std::vector<float> gains;   // of the norm before the matrix, one for each column; empty if there is none
  bool reads_stream = false;  // its columns are the channels of the embedding
};

struct FoundOrder {
  std::optional<size_t> order;  // none: the weights do not tell
  std::string evidence;         // for the log
};

// `embedding` holds some tokens' rows of `hidden` values.
FoundOrder find_order(std::span<const char* const> names, const std::vector<OrderSample>& samples,
                      const std::vector<float>& embedding, size_t hidden);

}  // namespace bitnet
