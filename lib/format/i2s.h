// SPDX-License-Identifier: MIT
// bitnet.cpp's I2_S: ternary weights in two bits, code = weight + 1, whose order depends on the program that wrote
// them. docs/format.md says who writes which.
#pragma once

#include "format/coded_matrix.h"

namespace bitnet {

// The order of weights in a GGUF file's I2_S tensors, which the file does not say (see bitnet_i2s_layout).
enum class I2sLayout : uint8_t { automatic, x86, arm, rows };

constexpr I2sLayout kI2sLayouts[] = {I2sLayout::x86, I2sLayout::arm, I2sLayout::rows};
constexpr const char* kI2sNames[] = {"x86", "arm", "rows"};  // of kI2sLayouts

// After the codes come the scale in F32 and 28 bytes that mean nothing.
constexpr uint64_t kI2sTail = 32;

std::unique_ptr<CodedMatrix> open_i2s(const CodedBytes& coded, I2sLayout layout);

}  // namespace bitnet
