// SPDX-License-Identifier: MIT
#include "format/i2s.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace bitnet {
namespace {

class I2s : public CodedMatrix {
 public:
  explicit I2s(const CodedBytes& coded) : coded_(coded) {}

  std::vector<float> scales() const final {
    float scale;
    std::memcpy(&scale, coded_.bytes.data() + (coded_.bytes.size() - kI2sTail), sizeof scale);
    return {scale};
  }

 protected:
  const std::byte* codes() const { return coded_.bytes.data(); }
  uint32_t cols() const { return coded_.cols; }

  // One of the four codes of each byte, 0 the one in the top two bits. The result has the code 3 in it if any has.
  static unsigned read_field(const std::byte* bytes, size_t count, unsigned field, int8_t* out) {
    const unsigned shift = 6 - 2 * field;
    unsigned invalid = 0;
    for (size_t i = 0; i < count; ++i) {
      const unsigned code = std::to_integer<unsigned>(bytes[i]) >> shift & 3;
      invalid |= code & code >> 1;
      out[i] = static_cast<int8_t>(static_cast<int>(code) - 1);
    }
    return invalid;
  }

 private:
  const CodedBytes coded_;
};

// The matrix, rows end to end, in blocks of four runs: byte i of a block holds weight i of each run.
class I2sRuns final : public I2s {
 public:
  I2sRuns(const CodedBytes& coded, uint64_t run) : I2s(coded), run_(run) {}

  bool read(uint32_t row, int8_t* out) const override {
    const uint64_t begin = uint64_t{row} * cols(), end = begin + cols();
    unsigned invalid = 0;
    // The first and the last run may lie in the row only in part.
    for (uint64_t i = begin; i < end;) {
      const uint64_t size = std::min((i / run_ + 1) * run_, end) - i;
      const std::byte* const bytes = codes() + i / (4 * run_) * run_ + i % run_;
      invalid |= read_field(bytes, size, static_cast<unsigned>(i / run_ % 4), out);
      i += size;
      out += size;
    }
    return invalid == 0;
  }

 private:
  const uint64_t run_;
};

// Byte i of a group of four rows holds column i of each.
class I2sRows final : public I2s {
 public:
  using I2s::I2s;

  bool read(uint32_t row, int8_t* out) const override {
    return read_field(codes() + uint64_t{row / 4} * cols(), cols(), row % 4, out) == 0;
  }
};

}  // namespace

std::unique_ptr<CodedMatrix> open_i2s(const CodedBytes& coded, I2sLayout layout) {
  const auto runs = [&](uint64_t run) -> std::unique_ptr<CodedMatrix> {
    if (uint64_t{coded.rows} * coded.cols % (4 * run) != 0) return nullptr;
    return std::make_unique<I2sRuns>(coded, run);
  };
  switch (layout) {
    case I2sLayout::automatic:
      break;
    case I2sLayout::x86:
      return runs(32);
    case I2sLayout::arm:
      return runs(16);
    case I2sLayout::rows:
      return coded.rows % 4 == 0 ? std::make_unique<I2sRows>(coded) : nullptr;
  }
  fail(BITNET_ERROR_INTERNAL, "an I2_S matrix is read before its order is known");
}

}  // namespace bitnet
