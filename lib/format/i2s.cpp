// SPDX-License-Identifier: MIT
#include "format/i2s.h"

#include <algorithm>

#include "base/error.h"

namespace bitnet {
namespace {

// One of the four codes of each byte, 0 the one in the top two bits. The result has the code 3 in it if any has.
unsigned read_field(const std::byte* bytes, size_t count, unsigned field, int8_t* out) {
  const unsigned shift = 6 - 2 * field;
  unsigned invalid = 0;
  for (size_t i = 0; i < count; ++i) {
    const unsigned code = std::to_integer<unsigned>(bytes[i]) >> shift & 3;
    invalid |= code & code >> 1;
    out[i] = static_cast<int8_t>(static_cast<int>(code) - 1);
  }
  return invalid;
}

// The matrix, rows end to end, in blocks of four runs: byte i of a block holds weight i of each run.
bool read_runs(uint64_t run, const I2sMatrix& matrix, uint32_t row, uint32_t count, int8_t* out) {
  const uint64_t begin = uint64_t{row} * matrix.cols, end = begin + uint64_t{count} * matrix.cols;
  unsigned invalid = 0;
  // The first and the last run may lie in the range only in part.
  for (uint64_t i = begin; i < end;) {
    const uint64_t size = std::min((i / run + 1) * run, end) - i;
    const std::byte* const bytes = matrix.codes.data() + i / (4 * run) * run + i % run;
    invalid |= read_field(bytes, size, static_cast<unsigned>(i / run % 4), out);
    i += size;
    out += size;
  }
  return invalid == 0;
}

// Byte i of a group of four rows holds column i of each.
bool read_row_groups(const I2sMatrix& matrix, uint32_t row, uint32_t count, int8_t* out) {
  unsigned invalid = 0;
  for (uint32_t r = row; r < row + count; ++r, out += matrix.cols) {
    invalid |= read_field(matrix.codes.data() + uint64_t{r / 4} * matrix.cols, matrix.cols, r % 4, out);
  }
  return invalid == 0;
}

}  // namespace

const char* i2s_name(I2sLayout layout) {
  switch (layout) {
    case I2sLayout::automatic:
      return "auto";
    case I2sLayout::x86:
      return "x86";
    case I2sLayout::arm:
      return "arm";
    case I2sLayout::rows:
      return "rows";
  }
  return "";
}

bool i2s_fits(I2sLayout layout, uint32_t rows, uint32_t cols) {
  switch (layout) {
    case I2sLayout::automatic:
      return false;
    case I2sLayout::x86:
      return uint64_t{rows} * cols % 128 == 0;
    case I2sLayout::arm:
      return uint64_t{rows} * cols % 64 == 0;
    case I2sLayout::rows:
      return rows % 4 == 0;
  }
  return false;
}

bool read_i2s(I2sLayout layout, const I2sMatrix& matrix, uint32_t row, uint32_t count, int8_t* out) {
  switch (layout) {
    case I2sLayout::automatic:
      break;
    case I2sLayout::x86:
      return read_runs(32, matrix, row, count, out);
    case I2sLayout::arm:
      return read_runs(16, matrix, row, count, out);
    case I2sLayout::rows:
      return read_row_groups(matrix, row, count, out);
  }
  fail(BITNET_ERROR_INTERNAL, "an I2_S matrix is read before its order is known");
}

}  // namespace bitnet
