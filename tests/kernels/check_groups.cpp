// SPDX-License-Identifier: MIT
// Products of ternary matrices whose columns share scales in groups.
#include "check.h"

namespace bitnet {
namespace {

constexpr size_t kGroupSizes[] = {64, 128};

enum class Trits { random, all_minus, all_plus, any_bytes };

struct Shape {
  size_t rows, cols, tokens;
  bool row_scales = true;
  Trits trits = Trits::random;
};

Guarded<uint8_t> packed(Inputs& in, size_t group, const Shape& s) {
  Guarded<uint8_t> weights(group_bytes(s.rows, s.cols, group));
  const size_t groups = groups_per_row(s.cols, group);
  std::vector<int8_t> trits(kGroupTileRows * s.cols);
  for (size_t row = 0; row < s.rows; row += kGroupTileRows) {
    for (int8_t& trit : trits) {
      trit = s.trits == Trits::all_minus  ? -1
             : s.trits == Trits::all_plus ? 1
                                          : static_cast<int8_t>(static_cast<int>(in.below(3)) - 1);
    }
    const Guarded<f16> scales = in.halves(kGroupTileRows * groups);
    pack_groups(group, {trits.data(), s.cols, scales.data(), groups, std::min(kGroupTileRows, s.rows - row), s.cols},
                weights.data() + group_bytes(row, s.cols, group));
  }
  if (s.trits == Trits::any_bytes) {  // codes that are none, and what kernels must not use of tiles that are not full
    for (size_t i = 0; i < weights.size(); ++i) {
      if (i % group_tile_bytes(group) >= group_scale_bytes(group)) weights[i] = static_cast<uint8_t>(in.bits());
    }
  }
  weights.seal();
  return weights;
}

Guarded<uint8_t> quantized(Check& c, size_t group, const Guarded<float>& x, size_t cols) {
  const size_t bytes = group_activation_bytes(cols);
  Guarded<uint8_t> q(x.size() / cols * bytes);
  for (size_t t = 0; t < x.size() / cols; ++t) {
    c.scalar.quantize_groups(x.data() + t * cols, cols, group, q.data() + t * bytes);
  }
  q.seal();
  return q;
}

void check_product(Check& c, size_t group, const Shape& s, const Guarded<float>& x, size_t row_begin) {
  const Guarded<uint8_t> weights = packed(c.in, group, s), activations = quantized(c, group, x, s.cols);
  const Guarded<float> scales = c.in.floats(s.row_scales ? s.rows : 1);
  const size_t out_stride = s.rows + 3, size = (s.tokens - 1) * out_stride + s.rows;
  Guarded<float> expected(size), actual(size);
  GroupProduct product{.weights = weights.data(),
                       .cols = s.cols,
                       .group = group,
                       .row_begin = row_begin,
                       .row_end = s.rows,
                       .scales = scales.data(),
                       .row_scales = s.row_scales,
                       .activations = activations.data(),
                       .activation_stride = group_activation_bytes(s.cols),
                       .tokens = s.tokens,
                       .out = expected.data(),
                       .out_stride = out_stride};
  c.scalar.multiply_groups(product);
  product.out = actual.data();
  c.table.multiply_groups(product);
  c.same(expected, actual);
}

void check_shape(Check& c, const Shape& s, Values kind = Values::ordinary, size_t row_begin = 0) {
  for (const size_t group : kGroupSizes) {
    c.at("groups of %zu, rows %zu to %zu, %zu columns, %zu tokens, trits %d, values %d", group, row_begin, s.rows,
         s.cols, s.tokens, int(s.trits), int(kind));
    check_product(c, group, s, c.in.floats(s.tokens * s.cols, kind), row_begin);
  }
}

void check_multiply(Check& c) {
  for (size_t tokens = 1; tokens <= 20; ++tokens) check_shape(c, {19, 300, tokens, tokens % 2 == 1});
  for (size_t tokens : {31, 32, 33, 40, 70}) check_shape(c, {5, 300, tokens});
  for (size_t rows = 1; rows <= 34; ++rows) check_shape(c, {rows, 200, 1 + rows % 3});
  for (size_t cols :
       {1, 3, 15, 16, 17, 63, 64, 65, 127, 128, 129, 191, 192, 193, 255, 256, 257, 512, 1000, 2048, 6144}) {
    if (c.brief && cols > 600) break;
    for (size_t tokens : {1, 2, 9}) {
      check_shape(c, {18, cols, tokens});
      check_shape(c, {18, cols, tokens, false, Trits::any_bytes});
    }
  }
  for (Values kind : kAllValues) {
    for (size_t tokens : {1, 9}) check_shape(c, {17, 333, tokens}, kind);
  }
  for (size_t tokens : {1, 5}) check_shape(c, {50, 512, tokens}, Values::ordinary, 32);
  // The largest sums there are, and the largest of the upper and of the lower halves of activations.
  constexpr size_t kCols = 512;
  for (Trits trits : {Trits::all_minus, Trits::all_plus}) {
    for (size_t tokens : {1, 8}) {
      for (float most : {1.0f, -1.0f, 128 / 32639.0f, -128 / 32639.0f, -32512 / 32639.0f}) {
        c.at("activations of %g, %zu tokens, trits %d", double(most), tokens, int(trits));
        size_t i = 0;
        const auto x = c.in.made<float>(tokens * kCols, [&] { return i++ % 64 == 0 ? 1 : most; });
        for (const size_t group : kGroupSizes) check_product(c, group, {16, kCols, tokens, false, trits}, x, 0);
      }
    }
  }
}

void check_one_quantize(Check& c, size_t group, const Guarded<float>& x) {
  const size_t bytes = group_activation_bytes(x.size());
  Guarded<uint8_t> expected(bytes), actual(bytes);
  c.scalar.quantize_groups(x.data(), x.size(), group, expected.data());
  c.table.quantize_groups(x.data(), x.size(), group, actual.data());
  c.same(expected, actual);
}

void check_quantize(Check& c) {
  for (const size_t group : kGroupSizes) {
    for (size_t n : lengths()) {
      for (Values kind : kAllValues) {
        c.at("groups of %zu, n %zu, values %d", group, n, int(kind));
        check_one_quantize(c, group, c.in.floats(n, kind));
      }
    }
    c.at("groups of %zu, ties", group);
    check_one_quantize(c, group, c.in.made<float>(512, [&, i = 0]() mutable {
      return i++ % 64 == 0 ? 32639.0f : static_cast<float>(c.in.below(65200)) - 32600.0f + 0.5f;
    }));
  }
}

void check_to_f32(Check& c) {
  for (const size_t group : kGroupSizes) {
    for (size_t cols : {1, 15, 16, 17, 31, 63, 64, 65, 127, 128, 129, 255, 256, 257, 300, 2048}) {
      const Guarded<uint8_t> weights = packed(c.in, group, {20, cols, 1});
      for (size_t row = 0; row < 20; ++row) {
        c.at("groups of %zu, %zu columns, row %zu", group, cols, row);
        const float scale = c.in.uniform();
        Guarded<float> expected(cols), actual(cols);
        c.scalar.groups_to_f32(weights.data(), cols, group, row, scale, expected.data());
        c.table.groups_to_f32(weights.data(), cols, group, row, scale, actual.data());
        c.same(expected, actual);
      }
    }
  }
}

void bench_shape(Bench& b, size_t group, size_t rows, size_t cols, size_t tokens) {
  // Few tokens are bound by memory: take turns among copies that no cache holds together.
  const bool from_memory = tokens <= 16;
  const size_t bytes = group_bytes(rows, cols, group), token_bytes = group_activation_bytes(cols);
  const size_t copies = from_memory ? (size_t{256} << 20) / bytes : 1;
  Pages<uint8_t> weights(bytes * copies), activations(tokens * token_bytes);
  std::memset(weights.data(), 0x15, bytes * copies);
  Pages<float> x(cols), scales(1), out(tokens * rows);
  for (size_t i = 0; i < cols; ++i) x[i] = static_cast<float>(i * 37 % 255) - 127;
  for (size_t t = 0; t < tokens; ++t) {
    b.table.quantize_groups(x.data(), cols, group, activations.data() + t * token_bytes);
  }
  GroupProduct product{.weights = weights.data(),
                       .cols = cols,
                       .group = group,
                       .row_begin = 0,
                       .row_end = rows,
                       .scales = scales.data(),
                       .row_scales = false,
                       .activations = activations.data(),
                       .activation_stride = token_bytes,
                       .tokens = tokens,
                       .out = out.data(),
                       .out_stride = rows};
  const auto run = [&] {
    for (size_t copy = 0; copy < copies; ++copy) {
      product.weights = weights.data() + copy * bytes;
      b.table.multiply_groups(product);
    }
  };
  // An activation of 16 bits is two of 8 bits.
  b.measure(
      "multiply_groups", formatted("g%zu %zu x %zu, %zu tokens", group, rows, cols, tokens),
      {.int16_macs = double(rows) * double(cols) * double(tokens), .bytes = double(bytes), .from_memory = from_memory},
      run, copies);
}

void bench_multiply(Bench& b) {
  for (size_t tokens : {1, 2, 4, 8, 16, 128}) bench_shape(b, 128, 2048, 2048, tokens);
  for (size_t tokens : {1, 16, 128}) bench_shape(b, 128, 6144, 2048, tokens);
  for (size_t tokens : {1, 128}) bench_shape(b, 128, 2048, 6144, tokens);
  for (size_t tokens : {1, 128}) bench_shape(b, 64, 2048, 2048, tokens);
}

void bench_quantize(Bench& b) {
  constexpr size_t kCols = 6144;
  Pages<float> x(kCols);
  Pages<uint8_t> q(group_activation_bytes(kCols));
  b.measure("quantize_groups", formatted("g128 %zu", kCols), {.bytes = 6.0 * kCols},
            [&] { b.table.quantize_groups(x.data(), kCols, 128, q.data()); });
}

void bench_to_f32(Bench& b) {
  constexpr size_t kCols = 6144;
  Pages<float> y(kCols);
  Pages<uint8_t> weights(group_bytes(1, kCols, 128));
  b.measure("groups_to_f32", formatted("g128 %zu", kCols), {.bytes = 4.25 * kCols},
            [&] { b.table.groups_to_f32(weights.data(), kCols, 128, 3, 1.0f, y.data()); });
}

constexpr KernelCheck kChecks[] = {
    {"quantize_groups", same_entry<&Kernels::quantize_groups>, check_quantize, bench_quantize},
    {"multiply_groups", same_entry<&Kernels::multiply_groups>, check_multiply, bench_multiply},
    {"groups_to_f32", same_entry<&Kernels::groups_to_f32>, check_to_f32, bench_to_f32},
};

}  // namespace

std::span<const KernelCheck> group_checks() { return kChecks; }

}  // namespace bitnet
