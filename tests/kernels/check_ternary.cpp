// SPDX-License-Identifier: MIT
// Products of ternary matrices and int8 activations.
#include "check.h"

namespace bitnet {
namespace {

enum class Trits { random, all_minus, all_plus, all_zero };
enum class Activations { random, all_plus, all_minus, alternating };

int8_t trit(Inputs& in, Trits trits) {
  return trits == Trits::random     ? static_cast<int8_t>(in.below(3)) - 1
         : trits == Trits::all_plus ? 1
         : trits == Trits::all_zero ? 0
                                    : -1;
}

Guarded<int8_t> activations_of(Inputs& in, size_t n, Activations kind) {
  if (kind == Activations::random) return in.int8s(n);
  int8_t next = kind == Activations::all_minus ? -127 : 127;
  return in.made<int8_t>(n, [&] {
    const int8_t value = next;
    if (kind == Activations::alternating) next = static_cast<int8_t>(-next);
    return value;
  });
}

struct Shape {
  size_t rows, cols, tokens;
  bool row_scales = true;
  Trits trits = Trits::random;
  Activations activations = Activations::random;
};

// A product and all that it points to.
class TernaryCase {
 public:
  TernaryCase(Inputs& in, Packing p, const Shape& s)
      : weights_(packed(in, p, s)),
        activations_(activations_of(in, s.tokens * padded_cols(p, s.cols), s.activations)),
        scales_(in.floats(s.row_scales ? s.rows : 1)),
        steps_(in.floats(s.tokens)),
        product{weights_.data(),
                blocks_per_row(p, s.cols),
                0,
                s.rows,
                scales_.data(),
                s.row_scales,
                activations_.data(),
                steps_.data(),
                s.tokens,
                nullptr,
                s.rows + 3,
                scratch_.data()} {}

  Guarded<float> run(void (*kernel)(const TernaryProduct&)) {
    Guarded<float> out((product.tokens - 1) * product.out_stride + product.row_end);
    product.out = out.data();
    kernel(product);
    return out;
  }

 private:
  static Guarded<uint8_t> packed(Inputs& in, Packing p, const Shape& s) {
    Guarded<uint8_t> weights(packed_bytes(p, s.rows, s.cols));
    std::vector<int8_t> group(kGroupRows * s.cols);
    for (size_t row = 0; row < s.rows; row += kGroupRows) {
      for (int8_t& w : group) w = trit(in, s.trits);
      pack_group(p, group.data(), s.cols, std::min(kGroupRows, s.rows - row), s.cols,
                 weights.data() + packed_bytes(p, row, s.cols));
    }
    weights.seal();
    return weights;
  }

  Guarded<uint8_t> weights_;
  Guarded<int8_t> activations_;
  Guarded<float> scales_, steps_;
  Guarded<std::byte> scratch_{kTernaryScratchBytes};

 public:
  TernaryProduct product;
};

template <Packing p>
void check_rows(Check& c, const Shape& s, size_t row_begin, size_t row_end) {
  c.at("rows %zu to %zu of %zu, %zu columns, %zu tokens, trits %d, activations %d", row_begin, row_end, s.rows, s.cols,
       s.tokens, int(s.trits), int(s.activations));
  TernaryCase t(c.in, p, s);
  t.product.row_begin = row_begin;
  t.product.row_end = row_end;
  const Guarded<float> expected = t.run(c.scalar.ternary.of(p).multiply);
  c.same(expected, t.run(c.table.ternary.of(p).multiply));
}

template <Packing p>
void check_shape(Check& c, const Shape& s) {
  check_rows<p>(c, s, 0, s.rows);
}

template <Packing p>
void check_ternary(Check& c) {
  for (size_t tokens = 1; tokens <= 40; ++tokens) check_shape<p>(c, {9, 700, tokens, tokens % 2 == 1});
  for (size_t tokens : {64, 100, 129}) check_shape<p>(c, {9, 700, tokens});
  for (size_t cols : {1, 63, 255, 256, 257, 320, 321, 640, 2560, 3200, 6912, 8640}) {
    if (c.brief && cols > 640) break;
    for (size_t rows : {1, 2, 3, 4, 5, 18}) {
      for (size_t tokens : {1, 3, 33}) check_shape<p>(c, {rows, cols, tokens});
    }
  }
  for (size_t tokens : {1, 2, 40}) check_rows<p>(c, {50, 512, tokens}, 12, 31);
  // More rows than a vector kernel's tile has.
  check_shape<p>(c, {300, 700, 34});
  if (c.brief) return;
  // Than have their digits separated at a time; than its scratch holds sums of.
  check_shape<p>(c, {1501, 700, 19});
  check_shape<p>(c, {3000, 100, 130});
  check_shape<p>(c, {9001, 300, 35});
  // Than are unpacked at a time, in columns that are taken in turns.
  check_shape<p>(c, {230, 6912, 27});
  // The largest sums there are: no partial sum may overflow.
  for (Trits trits : {Trits::all_minus, Trits::all_plus, Trits::all_zero}) {
    for (Activations activations : {Activations::all_plus, Activations::all_minus, Activations::alternating}) {
      for (size_t tokens : {1, 2, 8, 40, 100}) check_shape<p>(c, {4, 8640, tokens, false, trits, activations});
    }
  }
  for (size_t tokens : {1, 8, 33}) {
    check_shape<p>(c, {4, 131072, tokens, false, Trits::all_plus, Activations::all_minus});
  }
  check_shape<p>(c, {4, size_t{1} << 19, 1, false, Trits::all_plus, Activations::all_plus});
  check_shape<p>(c, {4, size_t{1} << 19, 1, false, Trits::all_plus, Activations::all_minus});
}

// Codes that the packing has, in no order.
void fill_with_codes(Pages<uint8_t>& weights, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    // Any four fields below 3 are an i2 byte; of t5 a kernel takes any byte.
    const unsigned r = static_cast<unsigned>(i * 2654435761u >> 8);
    weights[i] = static_cast<uint8_t>(r % 3 | r / 3 % 3 << 2 | r / 9 % 3 << 4 | r / 27 % 3 << 6);
  }
}

template <Packing p>
void bench_shape(Bench& b, size_t rows, size_t cols, size_t tokens) {
  // Few tokens are bound by memory: take turns among copies that no cache holds together.
  const bool from_memory = tokens <= 16;
  const size_t bytes = packed_bytes(p, rows, cols), padded = padded_cols(p, cols);
  const size_t copies = from_memory ? (size_t{256} << 20) / bytes : 1;
  Pages<uint8_t> weights(bytes * copies);
  fill_with_codes(weights, bytes * copies);
  Pages<int8_t> activations(tokens * padded);
  for (size_t i = 0; i < tokens * padded; ++i) activations[i] = static_cast<int8_t>(i * 37 % 255 - 127);
  Pages<float> scales(1), steps(tokens), out(tokens * rows);
  Pages<std::byte> scratch(kTernaryScratchBytes);
  TernaryProduct product{weights.data(),
                         blocks_per_row(p, cols),
                         0,
                         rows,
                         scales.data(),
                         false,
                         activations.data(),
                         steps.data(),
                         tokens,
                         out.data(),
                         rows,
                         scratch.data()};
  const auto run = [&] {
    for (size_t copy = 0; copy < copies; ++copy) {
      product.weights = weights.data() + copy * bytes;
      b.table.ternary.of(p).multiply(product);
    }
  };
  b.measure(
      p == Packing::i2 ? "ternary_i2" : "ternary_t5", formatted("%zu x %zu, %zu tokens", rows, cols, tokens),
      {.int8_macs = double(rows) * double(cols) * double(tokens), .bytes = double(bytes), .from_memory = from_memory},
      run, copies);
}

template <Packing p>
void bench_ternary(Bench& b) {
  for (size_t tokens : {1, 2, 4, 8, 16, 128}) bench_shape<p>(b, 2560, 2560, tokens);
  for (size_t tokens : {1, 16, 128}) bench_shape<p>(b, 6912, 2560, tokens);
  for (size_t tokens : {1, 16, 128}) bench_shape<p>(b, 2560, 6912, tokens);
}

template <Packing packing>
bool same_product(const Kernels& a, const Kernels& b) {
  return a.ternary.of(packing).multiply == b.ternary.of(packing).multiply;
}

constexpr KernelCheck kChecks[] = {
    {"ternary_i2", same_product<Packing::i2>, check_ternary<Packing::i2>, bench_ternary<Packing::i2>},
    {"ternary_t5", same_product<Packing::t5>, check_ternary<Packing::t5>, bench_ternary<Packing::t5>},
};

}  // namespace

std::span<const KernelCheck> ternary_checks() { return kChecks; }

}  // namespace bitnet
