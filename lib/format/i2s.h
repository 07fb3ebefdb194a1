// SPDX-License-Identifier: MIT
// bitnet.cpp's I2_S: ternary weights in two bits, code = weight + 1, whose order depends on the program that wrote
// them. docs/format.md says who writes which.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace bitnet {

// The order of weights in a GGUF file's I2_S tensors, which the file does not say (see bitnet_i2s_layout).
enum class I2sLayout : uint8_t { automatic, x86, arm, rows };

struct I2sMatrix {
  std::span<const std::byte> codes;  // rows * cols / 4 bytes
  uint32_t rows, cols;
};

constexpr I2sLayout kI2sLayouts[] = {I2sLayout::x86, I2sLayout::arm, I2sLayout::rows};
const char* i2s_name(I2sLayout layout);

// Whether a matrix of this shape can lie in this order: it consists of whole blocks.
bool i2s_fits(I2sLayout layout, uint32_t rows, uint32_t cols);

// Rows `row` to `row + count`, for a layout that fits. False if a code is 3, which means no weight.
bool read_i2s(I2sLayout layout, const I2sMatrix& matrix, uint32_t row, uint32_t count, int8_t* out);

}  // namespace bitnet
