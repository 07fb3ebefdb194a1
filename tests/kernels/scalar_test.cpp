// SPDX-License-Identifier: MIT
// The scalar table, to which the others are held, against independent statements of the mathematics in wider types.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "inputs.h"

namespace bitnet {
namespace {

const Kernels& scalar() { return *find_kernels("scalar"); }

constexpr float kInfinity = std::numeric_limits<float>::infinity();

f16 half_of(float x) {
  f16 h;
  scalar().to_f16(&x, 1, &h);
  return h;
}

float float_of(f16 h) {
  float x;
  scalar().to_f32(&h, 1, &x);
  return x;
}

float exp_of(float x) {
  float e;
  scalar().exp_sum(&x, 0, 1, &e);
  return e;
}

// The definition of binary16.
double value_of(f16 h) {
  const int exponent = h >> 10 & 31, mantissa = h & 0x3ff;
  const double magnitude = exponent == 31  ? (mantissa ? std::nan("") : kInfinity)
                           : exponent == 0 ? std::ldexp(mantissa, -24)
                                           : std::ldexp(1024 + mantissa, exponent - 25);
  return h & 0x8000 ? -magnitude : magnitude;
}

TEST(Halves, EveryValueConvertsToItsFloatAndBack) {
  for (uint32_t i = 0; i < 1u << 16; ++i) {
    const f16 h = static_cast<f16>(i);
    const float x = float_of(h);
    if (std::isnan(value_of(h))) {
      ASSERT_TRUE(std::isnan(x)) << i;
      ASSERT_TRUE(std::isnan(value_of(half_of(x)))) << i;
      ASSERT_EQ(std::signbit(x), i >> 15) << i;
    } else {
      ASSERT_EQ(x, value_of(h)) << i;
      ASSERT_EQ(std::signbit(x), i >> 15) << i;
      ASSERT_EQ(half_of(x), h) << i;
    }
  }
}

TEST(Halves, RoundToNearestEven) {
  for (uint32_t i = 0; i < 0x7bff; ++i) {
    const f16 low = static_cast<f16>(i), high = static_cast<f16>(i + 1);
    const float middle = static_cast<float>((value_of(low) + value_of(high)) / 2);
    for (float sign : {1.0f, -1.0f}) {
      const uint32_t bit = sign < 0 ? 0x8000 : 0;
      ASSERT_EQ(half_of(sign * middle), bit | (i % 2 ? high : low)) << i;
      ASSERT_EQ(half_of(sign * std::nextafter(middle, 0.0f)), bit | low) << i;
      ASSERT_EQ(half_of(sign * std::nextafter(middle, kInfinity)), bit | high) << i;
    }
  }
}

TEST(Halves, OverflowAtTheMiddleOfTheNextStep) {
  EXPECT_EQ(half_of(std::nextafter(65520.0f, 0.0f)), 0x7bff);
  EXPECT_EQ(half_of(65520.0f), 0x7c00);
  EXPECT_EQ(half_of(-65520.0f), 0xfc00);
  EXPECT_EQ(half_of(std::numeric_limits<float>::max()), 0x7c00);
  EXPECT_EQ(half_of(kInfinity), 0x7c00);
}

TEST(Exp, IsWithinOneUlp) {
  for (double x = -87.3365; x < 88.722; x += 0.00037) {
    const float argument = static_cast<float>(x);
    const long double exact = std::exp(static_cast<long double>(argument));
    const float nearest = static_cast<float>(exact);
    const long double ulp = std::nextafter(nearest, kInfinity) - nearest;
    ASSERT_LE(std::abs(exp_of(argument) - exact), ulp) << argument;
  }
}

TEST(Exp, Limits) {
  EXPECT_EQ(exp_of(0.0f), 1.0f);
  EXPECT_EQ(exp_of(-0.0f), 1.0f);
  EXPECT_EQ(exp_of(-87.4f), 0.0f);
  EXPECT_EQ(exp_of(-kInfinity), 0.0f);
  EXPECT_EQ(exp_of(88.73f), kInfinity);
  EXPECT_EQ(exp_of(1e30f), kInfinity);
  EXPECT_EQ(exp_of(kInfinity), kInfinity);
  EXPECT_LT(exp_of(88.72f), kInfinity);
  EXPECT_GT(exp_of(-87.33f), 0.0f);
}

// kernels.h's order of a float reduction: what lane j holds of every 16th element, added in a tree.
float lane_sum(const std::vector<float>& x, size_t lane) {
  float sum = 0;
  for (size_t i = lane; i < x.size(); i += 16) sum += x[i];
  return sum;
}
float tree_sum(const std::vector<float>& x, size_t lane, size_t lanes) {
  if (lanes == 16) return lane_sum(x, lane);
  return tree_sum(x, lane, lanes * 2) + tree_sum(x, lane + lanes, lanes * 2);
}

TEST(Reduction, HasTheOrderOfTheSpecification) {
  Inputs in(1);
  for (size_t n = 1; n <= 200; ++n) {
    std::vector<float> x(n), ones(n, 1.0f);
    for (float& v : x) v = in.uniform() * std::exp2(static_cast<float>(in.below(40)));
    std::vector<f16> weights(n, 0x3c00);
    float out;
    scalar().head_f16({weights.data(), nullptr, n, n, 0, 1, x.data(), n, 1, &out, 1, nullptr});
    ASSERT_EQ(out, tree_sum(x, 0, 1)) << n;
  }
}

TEST(RmsNorm, NormalizesByTheRootOfTheMeanSquare) {
  Inputs in(2);
  for (size_t n : {1, 7, 64, 2560, 6912}) {
    const Guarded<float> x = in.floats(n), weight = in.floats(n);
    std::vector<float> y(n);
    scalar().rms_norm(x.data(), weight.data(), 1e-5f, n, y.data());
    double squares = 0;
    for (float v : x) squares += double(v) * v;
    const double factor = 1 / std::sqrt(squares / double(n) + double(1e-5f));
    for (size_t i = 0; i < n; ++i) ASSERT_NEAR(y[i], x[i] * factor * weight[i], 1e-5) << n;
  }
}

TEST(Quantize, IsAbsmaxToEvenInPlanes) {
  Inputs in(3);
  for (Packing p : {Packing::i2, Packing::t5}) {
    const size_t g = weights_per_byte(p), block = weights_per_block(p);
    for (size_t n : {1, 255, 256, 320, 321, 2560}) {
      const Guarded<float> x = in.floats(n);
      std::vector<int8_t> q(padded_cols(p, n), 99);
      const float step = scalar().quantize(p, x.data(), n, q.data());
      float largest = 0;
      for (float v : x) largest = std::max(largest, std::abs(v));
      ASSERT_NEAR(step * 127, largest, largest * 1e-6);
      for (size_t k = 0; k < q.size(); ++k) {
        const size_t position = k / block * block + k % block % g * kBlockBytes + k % block / g;
        const float expected = k < n ? std::nearbyint(x[k] * (127.0f / largest)) : 0;
        ASSERT_EQ(q[position], expected) << n << ", element " << k;
      }
    }
  }
}

TEST(Quantize, OfSilenceIsZero) {
  const std::vector<float> x(300, 0.0f);
  std::vector<int8_t> q(512, 99);
  const float step = scalar().quantize(Packing::i2, x.data(), 300, q.data());
  EXPECT_FLOAT_EQ(step, 1e-5f / 127);
  EXPECT_EQ(std::count(q.begin(), q.end(), 0), 512);
}

// From weights and floats as a model has them to the product, through packing and quantization.
TEST(Ternary, IsTheMatrixProduct) {
  Inputs in(4);
  for (Packing p : {Packing::i2, Packing::t5}) {
    for (size_t cols : {5, 256, 700, 2560}) {
      const size_t rows = 7, tokens = 3;
      std::vector<int8_t> weights(rows * cols);
      for (int8_t& w : weights) w = static_cast<int8_t>(static_cast<int>(in.below(3)) - 1);
      const Guarded<float> x = in.floats(tokens * cols), scales = in.floats(rows);
      std::vector<uint8_t> packed(packed_bytes(p, rows, cols));
      pack_group(p, weights.data(), cols, 4, cols, packed.data());
      pack_group(p, weights.data() + 4 * cols, cols, 3, cols, packed.data() + packed.size() / 2);

      const size_t padded = padded_cols(p, cols);
      std::vector<int8_t> q(tokens * padded);
      std::vector<float> steps(tokens), out(tokens * rows);
      for (size_t t = 0; t < tokens; ++t) {
        steps[t] = scalar().quantize(p, x.data() + t * cols, cols, q.data() + t * padded);
      }
      const TernaryProduct product{packed.data(),
                                   blocks_per_row(p, cols),
                                   0,
                                   rows,
                                   scales.data(),
                                   true,
                                   q.data(),
                                   steps.data(),
                                   tokens,
                                   out.data(),
                                   rows,
                                   nullptr};
      scalar().ternary.of(p).multiply(product);

      for (size_t t = 0; t < tokens; ++t) {
        for (size_t row = 0; row < rows; ++row) {
          double sum = 0;
          for (size_t k = 0; k < cols; ++k) {
            sum += weights[row * cols + k] * std::nearbyint(double(x[t * cols + k]) / steps[t]);
          }
          // A float product rounds at each of two steps; a value at a tie may quantize either way.
          ASSERT_NEAR(out[t * rows + row], sum * scales[row] * steps[t], std::abs(2.1 * scales[row] * steps[t]));
        }
      }
    }
  }
}

TEST(Head, F16IsTheMatrixProduct) {
  Inputs in(5);
  const size_t rows = 3, cols = 500, stride = 512, tokens = 2;
  std::vector<f16> weights(rows * stride);
  for (f16& w : weights) w = half_of(in.uniform());
  const Guarded<float> x = in.floats(tokens * cols);
  std::vector<float> out(tokens * rows);
  scalar().head_f16(
      {weights.data(), nullptr, cols, stride, 0, rows, x.data(), cols, tokens, out.data(), rows, nullptr});
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t row = 0; row < rows; ++row) {
      double sum = 0;
      for (size_t k = 0; k < cols; ++k) sum += value_of(weights[row * stride + k]) * x[t * cols + k];
      EXPECT_NEAR(out[t * rows + row], sum, 1e-3);
    }
  }
}

TEST(Dense, IsTheMatrixProduct) {
  Inputs in(17);
  const size_t rows = 3, cols = 500, stride = 512, tokens = 2;
  const Guarded<float> weights = in.floats(rows * stride), x = in.floats(tokens * cols);
  std::vector<f16> halves(rows * stride);
  scalar().to_f16(weights.data(), halves.size(), halves.data());
  std::vector<float> out(tokens * rows), out_f16(tokens * rows);
  const auto product = [&](const void* w, std::vector<float>& y) {
    return HeadProduct{w, nullptr, cols, stride, 0, rows, x.data(), cols, tokens, y.data(), rows, nullptr};
  };
  scalar().dense_f32(product(weights.data(), out));
  scalar().dense_f16(product(halves.data(), out_f16));
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t row = 0; row < rows; ++row) {
      double sum = 0, sum_f16 = 0;
      for (size_t k = 0; k < cols; ++k) {
        sum += double(weights[row * stride + k]) * x[t * cols + k];
        sum_f16 += value_of(halves[row * stride + k]) * x[t * cols + k];
      }
      EXPECT_NEAR(out[t * rows + row], sum, 1e-3);
      EXPECT_NEAR(out_f16[t * rows + row], sum_f16, 1e-3);
    }
  }
}

TEST(RoundActivations, LeavesThirteenBits) {
  const auto rounded = [](float x) {
    scalar().round_activations(&x, 1, &x);
    return x;
  };
  EXPECT_EQ(rounded(4096), 4096);
  EXPECT_EQ(rounded(8191), 8191);  // 13 bits
  EXPECT_EQ(rounded(16383), 16384);
  EXPECT_EQ(rounded(16381), 16380);  // ties to even
  EXPECT_EQ(rounded(-16383), -16384);
  EXPECT_EQ(rounded(0x1p-100f), 0x1p-100f);
  EXPECT_EQ(rounded(std::nextafter(0x1p-100f, 0.0f)), 0);
  EXPECT_EQ(rounded(0x1.fffp111f), 0x1.fffp111f);
  EXPECT_EQ(rounded(0x1.ffffp111f), kInfinity);
  EXPECT_EQ(rounded(-0x1p112f), -kInfinity);
  EXPECT_EQ(rounded(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(rounded(std::nanf(""))));
  Inputs in(18);
  for (int i = 0; i < 1000; ++i) {
    const float x = in.value(Values::ordinary), y = rounded(x);
    EXPECT_LE(std::abs(y - x), std::abs(x) * 0x1p-13f);
    EXPECT_EQ(y, rounded(y));
  }
}

// What lets kernels use fused multiply-adds: the products that round_activations leaves are exact.
TEST(RoundActivations, MakesProductsWithHalvesExact) {
  Inputs in(19);
  const Guarded<f16> halves = in.halves(100000);
  for (const f16 h : halves) {
    float x = std::bit_cast<float>(in.bits());
    scalar().round_activations(&x, 1, &x);
    if (!std::isfinite(x)) continue;
    const float w = float_of(h), product = w * x;
    EXPECT_EQ(double(product), double(w) * double(x)) << w << " * " << x;
  }
}

// From trits, scales and floats as a model has them to the product.
TEST(Groups, AreTheMatrixProduct) {
  Inputs in(20);
  for (const size_t group : {size_t{64}, size_t{128}}) {
    for (const size_t cols : {size_t{5}, size_t{200}, size_t{700}}) {
      const size_t rows = 16, tokens = 2, groups = groups_per_row(cols, group);
      std::vector<int8_t> trits(rows * cols);
      for (int8_t& w : trits) w = static_cast<int8_t>(static_cast<int>(in.below(3)) - 1);
      std::vector<f16> group_scales(rows * groups);
      for (f16& scale : group_scales) scale = half_of(in.uniform());
      std::vector<uint8_t> packed(group_bytes(rows, cols, group));
      pack_groups(group, {trits.data(), cols, group_scales.data(), groups, rows, cols}, packed.data());

      const Guarded<float> scales = in.floats(rows);
      // One channel is a thousand times the rest: it costs its own group's precision, no other's.
      Guarded<float> x = in.floats(tokens * cols).copy();
      x[0] = 4000;
      const size_t bytes = group_activation_bytes(cols);
      std::vector<uint8_t> q(tokens * bytes);
      for (size_t t = 0; t < tokens; ++t)
        scalar().quantize_groups(x.data() + t * cols, cols, group, q.data() + t * bytes);
      std::vector<float> out(tokens * rows), row_floats(cols);
      scalar().multiply_groups(
          {packed.data(), cols, group, 0, rows, scales.data(), true, q.data(), bytes, tokens, out.data(), rows});
      for (size_t row = 0; row < rows; ++row) {
        scalar().groups_to_f32(packed.data(), cols, group, row, scales[row], row_floats.data());
        for (size_t t = 0; t < tokens; ++t) {
          double sum = 0, bound = 0;
          for (size_t k = 0; k < cols; ++k) {
            const double weight =
                trits[row * cols + k] * value_of(group_scales[row * groups + k / group]) * scales[row];
            EXPECT_FLOAT_EQ(row_floats[k], static_cast<float>(weight));
            sum += weight * x[t * cols + k];
            const float largest = t == 0 && k < group ? 4000 : 4;  // an activation is off by half a step at most
            bound += std::abs(weight) * largest / 32639 / 2 * 1.01 + std::abs(weight * x[t * cols + k]) * 1e-6;
          }
          EXPECT_NEAR(out[t * rows + row], sum, bound) << group << ", " << cols;
        }
      }
    }
  }
}

TEST(Head, PlanesAreTheMatrixProduct) {
  Inputs in(16);
  const size_t rows = 18, cols = 100, tokens = 2, tiles_a_row = tiles_per_row(cols);
  for (const Planes planes : {Planes::q5, Planes::q6}) {
    std::vector<uint8_t> tiles(planes_bytes(planes, rows, cols));
    for (uint8_t& byte : tiles) byte = static_cast<uint8_t>(in.bits());
    const Guarded<float> x = in.floats(tokens * cols), scales = in.floats(rows);
    std::vector<float> out(tokens * rows), scratch(tokens * tiles_a_row * kTileCols);
    (planes == Planes::q5 ? scalar().head_q5 : scalar().head_q6)(
        {tiles.data(), scales.data(), cols, 0, 0, rows, x.data(), cols, tokens, out.data(), rows, scratch.data()});
    for (size_t t = 0; t < tokens; ++t) {
      for (size_t row = 0; row < rows; ++row) {
        double sum = 0;
        for (size_t k = 0; k < cols; ++k) {
          const uint8_t* tile = tiles.data() + (row / kTileRows * tiles_a_row + k / kTileCols) * tile_bytes(planes);
          const auto scale = static_cast<int8_t>(tile[k % kTileCols / kGroupCols * kTileRows + row % kTileRows]);
          sum += double(scale) * (read_code(planes, tile, row % kTileRows, k % kTileCols) - middle_code(planes)) *
                 x[t * cols + k];
        }
        // Each activation is off by at most half a step of 4 / 32639, and the largest weight is 128 * 32.
        EXPECT_NEAR(out[t * rows + row], sum * scales[row], std::abs(scales[row]) * 128 * 32 * 100 * 4 / 32639);
      }
    }
  }
}

TEST(Head, Int8IsTheMatrixProduct) {
  Inputs in(6);
  const size_t rows = 3, cols = 500, stride = 512, tokens = 2;
  std::vector<int8_t> weights(rows * stride);
  for (int8_t& w : weights) w = static_cast<int8_t>(static_cast<int>(in.below(255)) - 127);
  const Guarded<float> x = in.floats(tokens * cols), scales = in.floats(rows);
  std::vector<float> out(tokens * rows);
  std::vector<int16_t> scratch(tokens * stride);
  scalar().head_int8(
      {weights.data(), scales.data(), cols, stride, 0, rows, x.data(), cols, tokens, out.data(), rows, scratch.data()});
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t row = 0; row < rows; ++row) {
      double sum = 0;
      for (size_t k = 0; k < cols; ++k) sum += double(weights[row * stride + k]) * x[t * cols + k];
      // Each activation is off by at most half a step of 4 / 32767.
      EXPECT_NEAR(out[t * rows + row], sum * scales[row], std::abs(scales[row]) * 127 * 500 * 4 / 32767 / 2);
    }
  }
}

TEST(Rope, RotatesPairs) {
  Inputs in(7);
  const size_t heads = 2, dim = 100;
  const Guarded<float> x = in.floats(heads * dim), angles = in.floats(dim / 2);
  std::vector<float> y(x.begin(), x.end()), cosines(dim / 2), sines(dim / 2);
  for (size_t i = 0; i < dim / 2; ++i) {
    cosines[i] = std::cos(angles[i]);
    sines[i] = std::sin(angles[i]);
  }
  scalar().rope(y.data(), heads, dim, cosines.data(), sines.data());
  for (size_t head = 0; head < heads; ++head) {
    for (size_t i = 0; i < dim / 2; ++i) {
      const double a = x[head * dim + i], b = x[head * dim + i + dim / 2], angle = angles[i];
      EXPECT_NEAR(y[head * dim + i], a * std::cos(angle) - b * std::sin(angle), 1e-5);
      EXPECT_NEAR(y[head * dim + i + dim / 2], b * std::cos(angle) + a * std::sin(angle), 1e-5);
    }
  }
}

// Keys and values of one KV head in the layout of attention.
class KeysAndValues {
 public:
  KeysAndValues(size_t head_dim, size_t positions)
      : head_dim_(head_dim),
        keys_((positions + kKvBlock - 1) / kKvBlock * kKvBlock * head_dim),
        values_(positions * value_stride(head_dim)) {}

  f16& key(size_t position, size_t d) {
    return keys_[position / kKvBlock * kKvBlock * head_dim_ + d * kKvBlock + position % kKvBlock];
  }
  f16& value(size_t position, size_t d) { return values_[position * value_stride(head_dim_) + d]; }

  // What a query gets from the first `length` positions.
  std::vector<float> attend(const float* q, size_t length, float scale, size_t window = SIZE_MAX) {
    const size_t floats = attention_state_floats(head_dim_);
    std::vector<float> state(floats), next(floats), out(head_dim_);
    for (size_t begin = 0; begin < length; begin += kKvSplit) {
      float* const states = begin == 0 ? state.data() : next.data();
      const KvBlocks keys(keys_.data() + begin * head_dim_, key_block_bytes(KvType::f16, head_dim_));
      const KvBlocks values(values_.data() + begin * value_stride(head_dim_),
                            value_block_bytes(KvType::f16, head_dim_));
      scalar().attention_f16(
          {q, head_dim_, 1, 1, keys.at, values.at, head_dim_, length - begin, scale, states, nullptr, window});
      if (begin != 0) scalar().attention_merge(state.data(), states, head_dim_);
    }
    scalar().attention_finish(state.data(), head_dim_, out.data());
    return out;
  }

 private:
  size_t head_dim_;
  std::vector<f16> keys_, values_;
};

TEST(Attention, IsTheSoftmaxOfTheScores) {
  Inputs in(8);
  const size_t dim = 80;
  for (size_t length : {1, 2, 17, 64, 65, 300, 512, 513, 1200}) {
    const Guarded<float> q = in.floats(dim);
    KeysAndValues kv(dim, length);
    for (size_t i = 0; i < length; ++i) {
      for (size_t d = 0; d < dim; ++d) {
        kv.key(i, d) = half_of(in.uniform());
        kv.value(i, d) = half_of(in.uniform());
      }
    }
    const std::vector<float> out = kv.attend(q.data(), length, 0.25f);

    std::vector<double> weights(length);
    double sum = 0;
    for (size_t i = 0; i < length; ++i) {
      double dot = 0;
      for (size_t d = 0; d < dim; ++d) dot += q[d] * value_of(kv.key(i, d));
      sum += weights[i] = std::exp(dot * 0.25);
    }
    for (size_t d = 0; d < dim; ++d) {
      double expected = 0;
      for (size_t i = 0; i < length; ++i) expected += weights[i] / sum * value_of(kv.value(i, d));
      ASSERT_NEAR(out[d], expected, 1e-5) << length;
    }
  }
}

// What a query gets from float keys and values [position][dim].
std::vector<double> softmax_of(const float* q, const std::vector<float>& keys, const std::vector<float>& values,
                               size_t dim, float scale) {
  const size_t length = keys.size() / dim;
  std::vector<double> out(dim);
  double sum = 0;
  for (size_t i = 0; i < length; ++i) {
    double dot = 0;
    for (size_t d = 0; d < dim; ++d) dot += double{q[d]} * keys[i * dim + d];
    const double weight = std::exp(dot * scale);
    sum += weight;
    for (size_t d = 0; d < dim; ++d) out[d] += weight * values[i * dim + d];
  }
  for (double& x : out) x /= sum;
  return out;
}

// Keys and values of one KV head, made codes, in the layout of attention; and as the numbers that the codes stand for.
template <KvType type>
class CodedKeysAndValues {
 public:
  CodedKeysAndValues(size_t dim, const std::vector<float>& keys, const std::vector<float>& values) : dim_(dim) {
    const size_t length = keys.size() / dim, blocks = (length + kKvBlock - 1) / kKvBlock;
    keys_.resize(blocks * key_block_bytes(type, dim));
    values_.resize(blocks * value_block_bytes(type, dim));
    for (size_t i = 0; i < length; ++i) {
      uint8_t* const k = keys_.data() + i / kKvBlock * key_block_bytes(type, dim);
      uint8_t* const v = values_.data() + i / kKvBlock * value_block_bytes(type, dim);
      const size_t within = i % kKvBlock, words = key_words(type, dim);
      key_numbers.resize(keys.size());
      value_numbers.resize(keys.size());
      add(&keys[i * dim], k + key_steps_at(type, dim) + within * sizeof(float), &key_numbers[i * dim], [&](size_t d) {
        return k + (d % words * kKvBlock + within) * sizeof(uint32_t) + d / words * code_bytes(type);
      });
      add(&values[i * dim], v + value_steps_at(type, dim) + within * sizeof(float), &value_numbers[i * dim],
          [&](size_t d) {
            return v + (within % value_words(type) * value_stride(dim) + d) * sizeof(uint32_t) +
                   within / value_words(type) * code_bytes(type);
          });
    }
  }

  std::vector<float> attend(const float* q, float scale) const {
    std::vector<float> state(attention_state_floats(dim_)), out(dim_);
    const KvBlocks keys(keys_.data(), key_block_bytes(type, dim_));
    const KvBlocks values(values_.data(), value_block_bytes(type, dim_));
    (type == KvType::int8 ? scalar().attention_int8 : scalar().attention_int16)(
        {q, dim_, 1, 1, keys.at, values.at, dim_, key_numbers.size() / dim_, scale, state.data(), nullptr});
    scalar().attention_finish(state.data(), dim_, out.data());
    return out;
  }

  std::vector<float> key_numbers, value_numbers;

 private:
  template <typename Place>
  void add(const float* x, uint8_t* step_at, float* numbers, Place place) {
    std::vector<uint8_t> bytes(dim_);
    std::vector<int16_t> codes(dim_);
    const float step = type == KvType::int8 ? scalar().quantize_kv_int8(x, dim_, bytes.data())
                                            : scalar().quantize_kv_int16(x, dim_, codes.data());
    std::memcpy(step_at, &step, sizeof step);
    for (size_t d = 0; d < dim_; ++d) {
      const void* const code = type == KvType::int8 ? static_cast<const void*>(&bytes[d]) : &codes[d];
      std::memcpy(place(d), code, code_bytes(type));
      numbers[d] = step * static_cast<float>(type == KvType::int8 ? bytes[d] - kKvMiddle : codes[d]);
    }
  }

  size_t dim_;
  std::vector<uint8_t> keys_, values_;
};

template <KvType type>
void expect_softmax_of_codes() {
  Inputs in(9);
  for (size_t dim : {1, 2, 6, 7, 80, 128, 512, int{kMostHeadDim}}) {
    for (size_t length : {1, 3, 64, 150}) {
      const Guarded<float> q = in.floats(dim);
      std::vector<float> keys(length * dim), values(length * dim);
      for (float& x : keys) x = in.uniform();
      for (float& x : values) x = in.uniform();
      const CodedKeysAndValues<type> kv(dim, keys, values);
      const float scale = 1 / std::sqrt(static_cast<float>(dim));
      const std::vector<float> out = kv.attend(q.data(), scale);
      std::vector<float> scaled(q.data(), q.data() + dim);
      for (float& x : scaled) x *= scale;
      const std::vector<float> query = CodedKeysAndValues<type>(dim, scaled, scaled).key_numbers;  // rounded like a key
      const std::vector<double> expected = softmax_of(query.data(), kv.key_numbers, kv.value_numbers, dim, 1);
      for (size_t d = 0; d < dim; ++d) ASSERT_NEAR(out[d], expected[d], 1e-4) << dim << " x " << length;
    }
  }
}

TEST(Attention, OfInt8IsTheSoftmaxOfItsNumbers) { expect_softmax_of_codes<KvType::int8>(); }
TEST(Attention, OfInt16IsTheSoftmaxOfItsNumbers) { expect_softmax_of_codes<KvType::int16>(); }

// All that is rounded on the way from the numbers of a model, together, is less with int16 than with f16.
TEST(Attention, OfInt16IsCloserThanOfF16) {
  Inputs in(10);
  const size_t dim = 128, length = 300;
  double f16_error = 0, int16_error = 0;
  for (int round = 0; round < 20; ++round) {
    Guarded<float> q(dim);
    std::vector<float> keys(length * dim), values(length * dim);
    const auto fill = [&](auto& numbers) {
      for (float& x : numbers) x = in.value(Values::ordinary);
    };
    fill(q), fill(keys), fill(values);
    KeysAndValues f16(dim, length);
    for (size_t i = 0; i < length; ++i) {
      for (size_t d = 0; d < dim; ++d) {
        f16.key(i, d) = half_of(keys[i * dim + d]);
        f16.value(i, d) = half_of(values[i * dim + d]);
      }
    }
    const std::vector<double> expected = softmax_of(q.data(), keys, values, dim, 0.1f);
    const std::vector<float> with_f16 = f16.attend(q.data(), length, 0.1f);
    const std::vector<float> with_int16 = CodedKeysAndValues<KvType::int16>(dim, keys, values).attend(q.data(), 0.1f);
    for (size_t d = 0; d < dim; ++d) {
      f16_error += std::pow(with_f16[d] - expected[d], 2);
      int16_error += std::pow(with_int16[d] - expected[d], 2);
    }
  }
  EXPECT_LT(int16_error, 0.5 * f16_error);  // of their squares; 0.3 of them
}

TEST(QuantizeKv, RoundsToTheStep) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float x[] = {-2.54f, 2.54f, 0, 0.0101f, 0.0099f, -0.0301f, nan};
  uint8_t bytes[7];
  EXPECT_FLOAT_EQ(scalar().quantize_kv_int8(x, 6, bytes), 0.02f);
  EXPECT_EQ(std::vector<uint8_t>(bytes, bytes + 6), (std::vector<uint8_t>{1, 255, 128, 129, 128, 126}));
  EXPECT_TRUE(std::isnan(scalar().quantize_kv_int8(x, 7, bytes)));
  EXPECT_EQ(std::vector<uint8_t>(bytes, bytes + 7), std::vector<uint8_t>(7, 128));

  const float y[] = {3, -4, 0, 0.00016f, nan};  // of norm 5
  int16_t codes[5];
  EXPECT_FLOAT_EQ(scalar().quantize_kv_int16(y, 4, codes), 4.0f / 32767);
  EXPECT_EQ(std::vector<int16_t>(codes, codes + 4), (std::vector<int16_t>{24575, -32767, 0, 1}));
  EXPECT_TRUE(std::isnan(scalar().quantize_kv_int16(y, 5, codes)));
  EXPECT_EQ(std::vector<int16_t>(codes, codes + 5), std::vector<int16_t>(5, 0));
  const float ones[] = {1, -1, 1, 1};
  EXPECT_FLOAT_EQ(scalar().quantize_kv_int16(ones, 4, codes), 2.0f / 46000);
  EXPECT_EQ(std::vector<int16_t>(codes, codes + 4), (std::vector<int16_t>{23000, -23000, 23000, 23000}));
}

// The largest score is at the beginning, at the end, in another block or in another split.
TEST(Attention, SurvivesScoresThatOverflowTheExponential) {
  const float q = 1000;
  for (size_t length : {2, 65, 130, 600, 1300}) {
    for (size_t at : {size_t{0}, length / 2, length - 1}) {
      KeysAndValues kv(1, length);
      for (size_t i = 0; i < length; ++i) {
        kv.key(i, 0) = half_of(i == at ? 60000.0f : -60000.0f);
        kv.value(i, 0) = half_of(i == at ? 2.0f : 3.0f);
      }
      EXPECT_EQ(kv.attend(&q, length, 1.0f).front(), 2.0f) << at << " of " << length;
    }
  }
}

TEST(Attention, ARowOfSeveralSeesWhatItSeesAlone) {
  Inputs in(11);
  const size_t dim = 20, rows = 5, group = 3;
  for (size_t length : {1, 62, 510}) {
    const Guarded<float> q = in.floats(rows * group * dim);
    const Guarded<f16> key_halves = in.halves(kKvSplit * dim), value_halves = in.halves(kKvSplit * value_stride(dim));
    const KvBlocks keys(key_halves.data(), key_block_bytes(KvType::f16, dim));
    const KvBlocks values(value_halves.data(), value_block_bytes(KvType::f16, dim));
    const size_t floats = attention_state_floats(dim);
    std::vector<float> together(rows * group * floats), alone(floats);
    scalar().attention_f16(
        {q.data(), group * dim, rows, group, keys.at, values.at, dim, length, 1e-5f, together.data(), nullptr});
    for (size_t row = 0; row < rows; ++row) {
      for (size_t head = 0; head < group; ++head) {
        const size_t i = row * group + head;
        scalar().attention_f16({q.data() + i * dim, dim, 1, 1, keys.at, values.at, dim,
                                std::min(length + row, kKvSplit), 1e-5f, alone.data(), nullptr});
        EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + static_cast<ptrdiff_t>(i * floats)))
            << length << ", row " << row;
      }
    }
  }
}

// What a row sees within a window is the same as if there were nothing before it, but for the order of sums.
TEST(Attention, AWindowHidesWhatComesBefore) {
  Inputs in(12);
  const size_t dim = 20, length = 300;
  const Guarded<float> q = in.floats(dim);
  for (size_t window : {1, 63, 64, 100, 299, 300, 400}) {
    KeysAndValues whole(dim, length), part(dim, std::min(window, length));
    const size_t hidden = length - std::min(window, length);
    Guarded<f16> numbers = in.halves(2 * length * dim);
    for (size_t i = 0; i < length * dim; ++i) {
      whole.key(i / dim, i % dim) = numbers[i];
      whole.value(i / dim, i % dim) = numbers[length * dim + i];
      if (i / dim < hidden) continue;
      part.key(i / dim - hidden, i % dim) = numbers[i];
      part.value(i / dim - hidden, i % dim) = numbers[length * dim + i];
    }
    const std::vector<float> seen = whole.attend(q.data(), length, 0.1f, window);
    const std::vector<float> alone = part.attend(q.data(), length - hidden, 0.1f);
    for (size_t d = 0; d < dim; ++d) EXPECT_NEAR(seen[d], alone[d], 1e-4) << window;
  }
}

TEST(Gates, AreTheirFormulas) {
  Inputs in(9);
  const Guarded<float> gate = in.floats(999), up = in.floats(999);
  std::vector<float> y(999);
  scalar().gate_relu2(gate.data(), up.data(), 999, y.data());
  for (size_t i = 0; i < 999; ++i) EXPECT_NEAR(y[i], std::pow(std::max(double(gate[i]), 0.0), 2) * up[i], 1e-5);
  scalar().gate_silu(gate.data(), up.data(), 999, y.data());
  for (size_t i = 0; i < 999; ++i) EXPECT_NEAR(y[i], gate[i] / (1 + std::exp(-double(gate[i]))) * up[i], 1e-5);
  scalar().gate_gelu(gate.data(), up.data(), 999, y.data());
  for (size_t i = 0; i < 999; ++i) {
    const double x = gate[i], z = std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x);
    EXPECT_NEAR(y[i], 0.5 * x * (1 + std::tanh(z)) * up[i], 1e-5);
  }
}

TEST(Gates, GeluOfLargeMagnitudes) {
  const float gate[4] = {-200, 200, -1e30f, 1e30f}, up[4] = {1, 1, 1, 1};
  float y[4];
  scalar().gate_gelu(gate, up, 4, y);
  EXPECT_EQ(y[0], 0.0f);
  EXPECT_EQ(y[1], 200.0f);
  EXPECT_EQ(y[2], 0.0f);
  EXPECT_EQ(y[3], 1e30f);
}

TEST(Gates, SiluOfLargeMagnitudes) {
  const float gate[2] = {-200, 200}, up[2] = {1, 1};
  float y[2];
  scalar().gate_silu(gate, up, 2, y);
  EXPECT_EQ(y[0], 0.0f);
  EXPECT_EQ(y[1], 200.0f);
}

// FNV-1a over the bytes of what the kernels write.
class Hash {
 public:
  template <typename T>
  void add(const std::vector<T>& values) {
    for (T value : values) {
      for (std::byte b : std::bit_cast<std::array<std::byte, sizeof(T)>>(value)) {
        hash_ = (hash_ ^ static_cast<uint64_t>(b)) * 0x100000001b3u;
      }
    }
  }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325u;
};

// One number for every machine and compiler: if it changes, the bits that the library promises have changed.
TEST(Promise, BitsAreTheSameOnEveryMachine) {
  const Kernels& k = scalar();
  Inputs in(10);
  Hash hash;
  const size_t n = 1000;
  const Guarded<float> x = in.floats(n), w = in.floats(n), mixed = in.floats(n, Values::mixed);
  std::vector<float> y(n);
  k.rms_norm(x.data(), w.data(), 1e-5f, n, y.data());
  hash.add(y);
  k.gate_relu2(x.data(), w.data(), n, y.data());
  hash.add(y);
  k.gate_silu(x.data(), w.data(), n, y.data());
  hash.add(y);
  k.exp_sum(mixed.data(), 1.0f, n, y.data());
  hash.add(y);
  y.assign(x.begin(), x.end());
  k.rope(y.data(), 10, 100, w.data(), w.data() + 50);
  hash.add(y);
  k.add(y.data(), mixed.data(), n);
  hash.add(y);
  std::vector<f16> halves(n);
  k.to_f16(mixed.data(), n, halves.data());
  hash.add(halves);
  k.to_f16(w.data(), n, halves.data());

  std::vector<float> out(10);
  k.head_f16({halves.data(), nullptr, 100, 100, 0, 10, x.data(), 100, 1, out.data(), 10, nullptr});
  hash.add(out);
  KeysAndValues kv(100, 5);
  for (size_t i = 0; i < 500; ++i) {
    kv.key(i / 100, i % 100) = halves[i];
    kv.value(i / 100, i % 100) = halves[500 + i];
  }
  hash.add(kv.attend(x.data(), 5, 0.2f));

  for (Packing p : {Packing::i2, Packing::t5}) {
    const size_t padded = padded_cols(p, n);
    std::vector<int8_t> q(padded), trits(4 * n);
    std::vector<float> step{k.quantize(p, x.data(), n, q.data())}, sums(4);
    hash.add(q);
    hash.add(step);
    for (int8_t& t : trits) t = static_cast<int8_t>(static_cast<int>(in.below(3)) - 1);
    std::vector<uint8_t> packed(packed_bytes(p, 4, n));
    pack_group(p, trits.data(), n, 4, n, packed.data());
    hash.add(packed);
    k.ternary.of(p).multiply(
        {packed.data(), blocks_per_row(p, n), 0, 4, w.data(), true, q.data(), step.data(), 1, sums.data(), 4, nullptr});
    hash.add(sums);
    std::vector<int16_t> scratch(n);
    k.head_int8({trits.data(), w.data(), n, n, 0, 4, x.data(), n, 1, sums.data(), 4, scratch.data()});
    hash.add(sums);
  }
  EXPECT_EQ(hash.value(), 11642175571097599566u);
}

// Likewise of dense matrices and of those whose columns share scales in groups.
TEST(Promise, BitsOfGroupsAndDenseMatricesAreTheSameOnEveryMachine) {
  const Kernels& k = scalar();
  Inputs in(21);
  Hash hash;
  const size_t n = 1000, rows = 16;
  const Guarded<float> x = in.floats(n), w = in.floats(rows * n);
  std::vector<f16> halves(rows * n);
  k.to_f16(w.data(), rows * n, halves.data());
  std::vector<float> y(n), out(rows);
  k.round_activations(x.data(), n, y.data());
  hash.add(y);
  k.dense_f16({halves.data(), nullptr, n, n, 0, rows, y.data(), n, 1, out.data(), rows, nullptr});
  hash.add(out);
  k.dense_f32({w.data(), nullptr, n, n, 0, rows, x.data(), n, 1, out.data(), rows, nullptr});
  hash.add(out);
  std::vector<int8_t> trits(rows * n);
  for (int8_t& t : trits) t = static_cast<int8_t>(static_cast<int>(in.below(3)) - 1);
  for (const size_t group : {size_t{64}, size_t{128}}) {
    std::vector<uint8_t> packed(group_bytes(rows, n, group)), q(group_activation_bytes(n));
    pack_groups(group, {trits.data(), n, halves.data(), groups_per_row(n, group), rows, n}, packed.data());
    hash.add(packed);
    k.quantize_groups(x.data(), n, group, q.data());
    hash.add(q);
    k.multiply_groups({packed.data(), n, group, 0, rows, w.data(), true, q.data(), q.size(), 1, out.data(), rows});
    hash.add(out);
    k.groups_to_f32(packed.data(), n, group, 3, 0.5f, y.data());
    hash.add(y);
  }
  EXPECT_EQ(hash.value(), 13240853653725162811u);
}

// A broken model must not look like a working one.
TEST(Nan, ThatComesInGoesOut) {
  const Kernels& k = scalar();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (size_t at : {0, 5, 17, 39}) {
    std::vector<float> x(40, 1.0f), ones(40, 1.0f), y(40);
    x[at] = nan;
    std::vector<int8_t> q(320);
    EXPECT_TRUE(std::isnan(k.quantize(Packing::i2, x.data(), 40, q.data())));
    EXPECT_TRUE(std::isnan(k.exp_sum(x.data(), 0, 40, y.data())));
    EXPECT_TRUE(std::isnan(y[at]));
    k.rms_norm(x.data(), ones.data(), 1e-5f, 40, y.data());
    EXPECT_TRUE(std::isnan(y[0]));
    k.gate_relu2(x.data(), ones.data(), 40, y.data());
    EXPECT_TRUE(std::isnan(y[at]));
    k.gate_silu(x.data(), ones.data(), 40, y.data());
    EXPECT_TRUE(std::isnan(y[at]));
    k.gate_gelu(x.data(), ones.data(), 40, y.data());
    EXPECT_TRUE(std::isnan(y[at]));

    std::vector<int8_t> weights(40, 1);
    std::vector<int16_t> scratch(64);
    HeadProduct head{weights.data(), ones.data(), 40, 40, 0, 1, x.data(), 40, 1, y.data(), 1, scratch.data()};
    k.head_int8(head);
    EXPECT_TRUE(std::isnan(y[0]));
    std::vector<uint8_t> tiles(tile_bytes(Planes::q5), 1);
    std::vector<float> planes_scratch(64);
    head = {tiles.data(), ones.data(), 40, 0, 0, 1, x.data(), 40, 1, y.data(), 1, planes_scratch.data()};
    k.head_q5(head);
    EXPECT_TRUE(std::isnan(y[0]));

    std::vector<uint8_t> q_groups(group_activation_bytes(40)), matrix(group_bytes(16, 40, 64), 0x15);
    k.quantize_groups(x.data(), 40, 64, q_groups.data());
    k.multiply_groups(
        {matrix.data(), 40, 64, 0, 16, ones.data(), false, q_groups.data(), q_groups.size(), 1, y.data(), 16});
    EXPECT_TRUE(std::isnan(y[0]));
    k.round_activations(x.data(), 40, y.data());
    EXPECT_TRUE(std::isnan(y[at]));
  }
}

// In the query, or in a key or value that is seen; what comes after does not matter.
TEST(Nan, ThatAttentionSeesGoesOut) {
  const f16 nan = 0x7e00;
  const size_t dim = 10;
  for (size_t at : {0, 5, 63, 64, 511, 512, 600}) {
    Inputs in(12);
    const size_t length = at + 1;
    Guarded<float> q = in.floats(dim).copy();
    KeysAndValues kv(dim, length + 1);
    const auto is_nan = [&](size_t positions) { return std::isnan(kv.attend(q.data(), positions, 0.1f)[7]); };
    kv.key(length, 3) = nan;
    kv.value(length, 7) = nan;
    EXPECT_FALSE(is_nan(length)) << at;
    EXPECT_TRUE(is_nan(length + 1)) << at;
    kv.key(at, 3) = nan;
    EXPECT_TRUE(is_nan(length)) << at;
    kv.key(at, 3) = 0;
    kv.value(at, 7) = nan;
    EXPECT_TRUE(is_nan(length)) << at;
    kv.value(at, 7) = 0;
    q[9] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(is_nan(length)) << at;
  }
}

}  // namespace
}  // namespace bitnet
