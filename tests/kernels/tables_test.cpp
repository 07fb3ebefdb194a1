// SPDX-License-Identifier: MIT
// Every kernel of every table that this CPU can run, against the scalar table, bit for bit. All buffers end at a
// guard page; outputs start out filled with the same bytes, so that a stray write shows as a difference.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <string>
#include <vector>

#include "inputs.h"

namespace bitnet {
namespace {

std::vector<const Kernels*> vector_tables() {
  const KernelList list = available_kernels();
  return {list.tables, list.tables + list.count - 1};
}

const Kernels& scalar() { return *find_kernels("scalar"); }

class Tables : public testing::TestWithParam<const Kernels*> {
 protected:
  const Kernels& table() { return *GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(Kernels, Tables, testing::ValuesIn(vector_tables()),
                         [](const auto& info) { return std::string(info.param->name); });

template <typename T>
testing::AssertionResult same(const Guarded<T>& expected, const Guarded<T>& actual) {
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::memcmp(&expected[i], &actual[i], sizeof(T)) != 0) {
      return testing::AssertionFailure() << "element " << i << " is " << actual[i] << ", not " << expected[i];
    }
  }
  return testing::AssertionSuccess();
}

testing::AssertionResult same(float expected, float actual) {
  if (std::bit_cast<uint32_t>(expected) == std::bit_cast<uint32_t>(actual)) return testing::AssertionSuccess();
  return testing::AssertionFailure() << actual << ", not " << expected;
}

// Every count up to a few vectors, then those of real models and their neighbours.
std::vector<size_t> lengths() {
  std::vector<size_t> n;
  for (size_t i = 0; i <= 70; ++i) n.push_back(i);
  for (size_t i : {100, 127, 128, 319, 320, 321, 640, 2047, 2560, 3200, 6912, 8640}) n.push_back(i);
  return n;
}

TEST_P(Tables, RmsNorm) {
  Inputs in(1);
  for (size_t n : lengths()) {
    if (n == 0) continue;
    for (Values kind : kAllValues) {
      const Guarded<float> x = in.floats(n, kind), weight = in.floats(n);
      Guarded<float> expected(n), actual(n), in_place(std::span(x.begin(), n));
      scalar().rms_norm(x.data(), weight.data(), 1e-5f, n, expected.data());
      table().rms_norm(x.data(), weight.data(), 1e-5f, n, actual.data());
      ASSERT_TRUE(same(expected, actual)) << "n " << n << " values " << int(kind);
      table().rms_norm(in_place.data(), weight.data(), 1e-5f, n, in_place.data());
      ASSERT_TRUE(same(expected, in_place)) << "n " << n << " values " << int(kind);
    }
  }
}

TEST_P(Tables, Quantize) {
  Inputs in(2);
  for (Packing p : {Packing::i2, Packing::t5}) {
    for (size_t n : lengths()) {
      for (Values kind : kAllValues) {
        const Guarded<float> x = in.floats(n, kind);
        Guarded<int8_t> expected(padded_cols(p, n)), actual(padded_cols(p, n));
        const float step = scalar().quantize(p, x.data(), n, expected.data());
        ASSERT_TRUE(same(step, table().quantize(p, x.data(), n, actual.data())));
        ASSERT_TRUE(same(expected, actual)) << "n " << n << " values " << int(kind);
      }
    }
  }
}

TEST_P(Tables, QuantizeRoundsTiesToEven) {
  // The largest value makes the scale exactly 1.
  Guarded<float> x(256);
  for (size_t i = 0; i < 255; ++i) x[i] = static_cast<float>(i) - 127.0f + 0.5f;
  x[254] = 126.5f;
  x[255] = -127.0f;
  Guarded<int8_t> expected(256), actual(256);
  scalar().quantize(Packing::i2, x.data(), 256, expected.data());
  table().quantize(Packing::i2, x.data(), 256, actual.data());
  EXPECT_TRUE(same(expected, actual));
}

enum class Trits { random, all_minus, all_plus, all_zero };
enum class Activations { random, all_plus, all_minus, alternating };

// A ternary product and all that it points to.
struct TernaryCase {
  Guarded<uint8_t> weights;
  Guarded<int8_t> activations;
  Guarded<float> scales, steps;
  Guarded<std::byte> scratch{kTernaryScratchBytes};
  TernaryProduct product;

  TernaryCase(Inputs& in, Packing p, size_t rows, size_t cols, size_t tokens, bool row_scales, Trits trits,
              Activations kind)
      : weights(packed_bytes(p, rows, cols)),
        activations(tokens * padded_cols(p, cols)),
        scales(in.floats(row_scales ? rows : 1)),
        steps(in.floats(tokens)) {
    std::vector<int8_t> group(kGroupRows * cols);
    for (size_t row = 0; row < rows; row += kGroupRows) {
      for (int8_t& w : group) {
        w = trits == Trits::random     ? static_cast<int8_t>(in.below(3)) - 1
            : trits == Trits::all_plus ? 1
            : trits == Trits::all_zero ? 0
                                       : -1;
      }
      pack_group(p, group.data(), cols, std::min(kGroupRows, rows - row), cols,
                 weights.data() + packed_bytes(p, row, cols));
    }
    for (size_t i = 0; i < activations.size(); ++i) {
      activations[i] = kind == Activations::random      ? static_cast<int8_t>(static_cast<int>(in.below(255)) - 127)
                       : kind == Activations::all_plus  ? 127
                       : kind == Activations::all_minus ? -127
                       : i % 2                          ? 127
                                                        : -127;
    }
    product = {weights.data(),
               blocks_per_row(p, cols),
               0,
               rows,
               scales.data(),
               row_scales,
               activations.data(),
               steps.data(),
               tokens,
               nullptr,
               rows + 3,
               scratch.data()};
  }

  Guarded<float> run(void (*kernel)(const TernaryProduct&)) {
    Guarded<float> out((product.tokens - 1) * product.out_stride + product.row_end);
    product.out = out.data();
    kernel(product);
    return out;
  }
};

auto ternary_of(const Kernels& table, Packing p) { return p == Packing::i2 ? table.ternary_i2 : table.ternary_t5; }

class Ternary : public testing::TestWithParam<std::tuple<const Kernels*, Packing>> {
 protected:
  Packing packing() { return std::get<Packing>(GetParam()); }
  testing::AssertionResult same_as_scalar(TernaryCase& c) {
    return same(c.run(ternary_of(scalar(), packing())),
                c.run(ternary_of(*std::get<const Kernels*>(GetParam()), packing())));
  }
};

INSTANTIATE_TEST_SUITE_P(
    Kernels, Ternary, testing::Combine(testing::ValuesIn(vector_tables()), testing::Values(Packing::i2, Packing::t5)),
    [](const auto& info) {
      return std::string(std::get<0>(info.param)->name) + (std::get<1>(info.param) == Packing::i2 ? "_i2" : "_t5");
    });

TEST_P(Ternary, Tokens) {
  Inputs in(3);
  std::vector<size_t> counts;
  for (size_t tokens = 1; tokens <= 40; ++tokens) counts.push_back(tokens);
  counts.push_back(64);
  counts.push_back(129);
  for (size_t tokens : counts) {
    TernaryCase c(in, packing(), 9, 700, tokens, tokens % 2, Trits::random, Activations::random);
    ASSERT_TRUE(same_as_scalar(c)) << tokens << " tokens";
  }
}

TEST_P(Ternary, Shapes) {
  Inputs in(4);
  for (size_t cols : {1, 63, 255, 256, 257, 320, 321, 640, 2560, 3200, 6912, 8640}) {
    for (size_t rows : {1, 2, 3, 4, 5, 18}) {
      for (size_t tokens : {1, 3, 33}) {
        TernaryCase c(in, packing(), rows, cols, tokens, true, Trits::random, Activations::random);
        ASSERT_TRUE(same_as_scalar(c)) << rows << " x " << cols << ", " << tokens << " tokens";
      }
    }
  }
}

TEST_P(Ternary, ManyRows) {
  Inputs in(5);
  TernaryCase c(in, packing(), 9001, 300, 35, true, Trits::random, Activations::random);
  EXPECT_TRUE(same_as_scalar(c));
}

TEST_P(Ternary, PartOfTheRows) {
  Inputs in(6);
  for (size_t tokens : {1, 2, 40}) {
    TernaryCase c(in, packing(), 50, 512, tokens, true, Trits::random, Activations::random);
    c.product.row_begin = 12;
    c.product.row_end = 31;
    ASSERT_TRUE(same_as_scalar(c)) << tokens << " tokens";
  }
}

// The largest sums there are: no partial sum may overflow.
TEST_P(Ternary, Extremes) {
  Inputs in(7);
  for (Trits trits : {Trits::all_minus, Trits::all_plus, Trits::all_zero}) {
    for (Activations kind : {Activations::all_plus, Activations::all_minus, Activations::alternating}) {
      for (size_t tokens : {1, 2, 40}) {
        TernaryCase c(in, packing(), 4, 8640, tokens, false, trits, kind);
        ASSERT_TRUE(same_as_scalar(c)) << "trits " << int(trits) << " activations " << int(kind) << ", " << tokens;
      }
    }
  }
}

TEST_P(Ternary, LongestRows) {
  Inputs in(8);
  for (size_t tokens : {1, 33}) {
    TernaryCase c(in, packing(), 4, 131072, tokens, false, Trits::all_plus, Activations::all_minus);
    ASSERT_TRUE(same_as_scalar(c)) << tokens << " tokens";
  }
}

// A product of the head and all that it points to; T is the type of the weights.
template <typename T>
struct HeadCase {
  Guarded<T> weights;
  Guarded<float> scales, x;
  Guarded<int16_t> scratch;
  HeadProduct product;

  HeadCase(Inputs& in, Guarded<T> matrix, size_t rows, size_t cols, size_t stride, size_t tokens, Values kind)
      : weights(std::move(matrix)),
        scales(in.floats(rows)),
        x(in.floats((tokens - 1) * (cols + 1) + cols, kind)),
        scratch(tokens * stride) {
    for (size_t i = 0; i < weights.size(); ++i) {
      if (i % stride >= cols) weights[i] = 0;
    }
    product = {weights.data(), scales.data(), cols,   stride,  0,        rows,
               x.data(),       cols + 1,      tokens, nullptr, rows + 2, scratch.data()};
  }

  Guarded<float> run(void (*kernel)(const HeadProduct&)) {
    Guarded<float> out((product.tokens - 1) * product.out_stride + product.row_end);
    product.out = out.data();
    kernel(product);
    return out;
  }
};

struct HeadShape {
  size_t rows, cols, stride, tokens;
};
std::vector<HeadShape> head_shapes() {
  std::vector<HeadShape> shapes;
  for (size_t cols = 1; cols <= 66; ++cols) shapes.push_back({3, cols, cols + cols % 3, 1 + cols % 6});
  for (size_t tokens = 1; tokens <= 9; ++tokens) shapes.push_back({7, 100, 128, tokens});
  shapes.push_back({5, 2560, 2560, 5});
  shapes.push_back({2, 8640, 8640, 1});
  return shapes;
}

TEST_P(Tables, HeadF16) {
  Inputs in(9);
  for (const HeadShape& s : head_shapes()) {
    for (Values kind : kAllValues) {
      HeadCase<f16> c(in, in.halves(s.rows * s.stride), s.rows, s.cols, s.stride, s.tokens, kind);
      ASSERT_TRUE(same(c.run(scalar().head_f16), c.run(table().head_f16))) << s.cols << " columns, " << s.tokens;
      c.product.row_begin = s.rows / 2;
      ASSERT_TRUE(same(c.run(scalar().head_f16), c.run(table().head_f16))) << s.cols << " columns, second half";
    }
  }
}

Guarded<int8_t> int8_matrix(Inputs& in, size_t n) {
  Guarded<int8_t> weights(n);
  for (int8_t& w : weights) w = static_cast<int8_t>(static_cast<int>(in.below(255)) - 127);
  return weights;
}

TEST_P(Tables, HeadInt8) {
  Inputs in(10);
  for (const HeadShape& s : head_shapes()) {
    for (Values kind : kAllValues) {
      HeadCase<int8_t> c(in, int8_matrix(in, s.rows * s.stride), s.rows, s.cols, s.stride, s.tokens, kind);
      ASSERT_TRUE(same(c.run(scalar().head_int8), c.run(table().head_int8))) << s.cols << " columns, " << s.tokens;
      c.product.row_begin = s.rows / 2;
      ASSERT_TRUE(same(c.run(scalar().head_int8), c.run(table().head_int8))) << s.cols << " columns, second half";
    }
  }
}

// Sums far beyond 32 bits.
TEST_P(Tables, HeadInt8Extremes) {
  Inputs in(11);
  for (int8_t weight : {127, -127, -128}) {
    HeadCase<int8_t> c(in, Guarded<int8_t>(2 * 33001, static_cast<unsigned char>(weight)), 2, 33001, 33001, 1,
                       Values::ordinary);
    std::fill(c.x.begin(), c.x.end(), -3.0f);
    ASSERT_TRUE(same(c.run(scalar().head_int8), c.run(table().head_int8))) << int(weight);
  }
}

TEST_P(Tables, Rope) {
  Inputs in(12);
  for (size_t head_dim : {2, 4, 10, 34, 64, 80, 96, 100, 128, 130, 256}) {
    for (Values kind : kAllValues) {
      const size_t heads = 3;
      const Guarded<float> cosines = in.floats(head_dim / 2), sines = in.floats(head_dim / 2);
      Guarded<float> expected = in.floats(heads * head_dim, kind);
      Guarded<float> actual(std::span<const float>(expected.begin(), expected.size()));
      scalar().rope(expected.data(), heads, head_dim, cosines.data(), sines.data());
      table().rope(actual.data(), heads, head_dim, cosines.data(), sines.data());
      ASSERT_TRUE(same(expected, actual)) << "head_dim " << head_dim << " values " << int(kind);
    }
  }
}

TEST_P(Tables, Attention) {
  Inputs in(13);
  std::vector<size_t> counts;
  for (size_t n = 1; n <= 40; ++n) counts.push_back(n);
  counts.push_back(257);
  for (size_t head_dim : {1, 3, 16, 64, 80, 100, 128, 130, 256}) {
    for (size_t length : counts) {
      const size_t stride = head_dim + 5, cached = (length - 1) * stride + head_dim;
      const Guarded<float> q = in.floats(head_dim, length % 4 ? Values::ordinary : Values::mixed);
      Guarded<f16> keys(cached), values(cached);
      const Guarded<float> k = in.floats(cached), v = in.floats(cached);
      scalar().to_f16(k.data(), cached, keys.data());
      scalar().to_f16(v.data(), cached, values.data());
      Guarded<float> expected(head_dim), actual(head_dim), scores((length + 15) / 16 * 16);
      Attention a{q.data(), keys.data(), values.data(), stride, length, head_dim, 0.3f, scores.data(), expected.data()};
      scalar().attention(a);
      a.out = actual.data();
      table().attention(a);
      ASSERT_TRUE(same(expected, actual)) << "head_dim " << head_dim << ", " << length << " positions";
    }
  }
}

TEST_P(Tables, Gates) {
  Inputs in(14);
  for (size_t n : lengths()) {
    for (Values kind : kAllValues) {
      const Guarded<float> gate = in.floats(n, kind), up = in.floats(n, Values::mixed);
      Guarded<float> expected(n), actual(n);
      scalar().gate_relu2(gate.data(), up.data(), n, expected.data());
      table().gate_relu2(gate.data(), up.data(), n, actual.data());
      ASSERT_TRUE(same(expected, actual)) << "relu2, n " << n << " values " << int(kind);
      scalar().gate_silu(gate.data(), up.data(), n, expected.data());
      table().gate_silu(gate.data(), up.data(), n, actual.data());
      ASSERT_TRUE(same(expected, actual)) << "silu, n " << n << " values " << int(kind);
    }
  }
}

TEST_P(Tables, Add) {
  Inputs in(15);
  for (size_t n : lengths()) {
    for (Values kind : kAllValues) {
      const Guarded<float> y = in.floats(n, kind);
      Guarded<float> expected = in.floats(n, Values::mixed);
      Guarded<float> actual(std::span<const float>(expected.begin(), n));
      scalar().add(expected.data(), y.data(), n);
      table().add(actual.data(), y.data(), n);
      ASSERT_TRUE(same(expected, actual)) << "n " << n << " values " << int(kind);
    }
  }
}

TEST_P(Tables, HalvesOfEveryKindOfFloat) {
  // All signs and exponents, with the mantissas at and around every tie of binary16 among others.
  Inputs in(16);
  std::vector<float> x;
  for (uint32_t top = 0; top < 1u << 16; ++top) {
    for (uint32_t low : {0u, 1u, 0xfffu, 0x1000u, 0x1001u, 0xffffu, in.bits() & 0xffff}) {
      x.push_back(std::bit_cast<float>(top << 16 | low));
    }
  }
  Guarded<float> values{std::span<const float>(x)};
  Guarded<f16> expected(x.size()), actual(x.size());
  scalar().to_f16(values.data(), x.size(), expected.data());
  table().to_f16(values.data(), x.size(), actual.data());
  EXPECT_TRUE(same(expected, actual));
  for (size_t n = 0; n <= 70; ++n) {
    const Guarded<float> some = in.floats(n);
    Guarded<f16> a(n), b(n);
    scalar().to_f16(some.data(), n, a.data());
    table().to_f16(some.data(), n, b.data());
    ASSERT_TRUE(same(a, b)) << n;
  }
}

TEST_P(Tables, FloatsOfEveryHalf) {
  Guarded<f16> halves(1 << 16);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<f16>(i);
  for (size_t n : {size_t{1}, size_t{7}, size_t{37}, halves.size()}) {
    Guarded<float> expected(n), actual(n);
    const f16* last = halves.end() - n;
    scalar().to_f32(last, n, expected.data());
    table().to_f32(last, n, actual.data());
    ASSERT_TRUE(same(expected, actual)) << n;
  }
}

TEST_P(Tables, ExpSum) {
  Inputs in(17);
  for (size_t n : lengths()) {
    for (float range : {1.0f, 20.0f, 100.0f, 300.0f}) {
      Guarded<float> x(n);
      for (float& v : x) v = in.uniform() * range;
      Guarded<float> expected(n), actual(n);
      const float sum = scalar().exp_sum(x.data(), 0.75f, n, expected.data());
      ASSERT_TRUE(same(sum, table().exp_sum(x.data(), 0.75f, n, actual.data()))) << "n " << n;
      ASSERT_TRUE(same(expected, actual)) << "n " << n;
      ASSERT_TRUE(same(sum, table().exp_sum(x.data(), 0.75f, n, x.data()))) << "n " << n;
      ASSERT_TRUE(same(expected, x)) << "n " << n << ", in place";
    }
  }
}

TEST_P(Tables, ExpOfFloatsOfAllSizes) {
  std::vector<float> x;
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 9973) {
    const float value = std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (!std::isnan(value)) x.push_back(value);
  }
  for (float edge : {-87.3365f, 88.72284f, 89.0f}) {
    for (float v : {std::nextafter(edge, -100.0f), edge, std::nextafter(edge, 100.0f)}) x.push_back(v);
  }
  x.push_back(std::numeric_limits<float>::infinity());
  x.push_back(-std::numeric_limits<float>::infinity());
  Guarded<float> expected(x.size()), actual(x.size());
  scalar().exp_sum(x.data(), 0, x.size(), expected.data());
  table().exp_sum(x.data(), 0, x.size(), actual.data());
  EXPECT_TRUE(same(expected, actual));
}

// A NaN that comes in is a NaN that goes out, in every table: a broken model must not look like a working one.
class AllTables : public testing::TestWithParam<const Kernels*> {};

INSTANTIATE_TEST_SUITE_P(Kernels, AllTables,
                         testing::ValuesIn(available_kernels().tables,
                                           available_kernels().tables + available_kernels().count),
                         [](const auto& info) { return std::string(info.param->name); });

TEST_P(AllTables, NanIsNotLost) {
  const Kernels& k = *GetParam();
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

    std::vector<int8_t> weights(40, 1);
    std::vector<int16_t> scratch(64);
    HeadProduct head{weights.data(), ones.data(), 40, 40, 0, 1, x.data(), 40, 1, y.data(), 1, scratch.data()};
    k.head_int8(head);
    EXPECT_TRUE(std::isnan(y[0]));

    std::vector<f16> cache(40, 0x3c00);
    std::vector<float> scores(16);
    k.attention({x.data(), cache.data(), cache.data(), 40, 1, 40, 1.0f, scores.data(), y.data()});
    EXPECT_TRUE(std::isnan(y[0]));
  }
}

}  // namespace
}  // namespace bitnet
