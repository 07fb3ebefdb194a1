// SPDX-License-Identifier: MIT
// Products of the output head and of dense matrices.
#include "check.h"

namespace bitnet {
namespace {

struct Shape {
  size_t rows, cols, stride, tokens;
};

std::vector<Shape> shapes() {
  std::vector<Shape> shapes;
  for (size_t cols = 1; cols <= 66; ++cols) shapes.push_back({3, cols, cols + cols % 3, 1 + cols % 6});
  for (size_t tokens = 1; tokens <= 9; ++tokens) shapes.push_back({7, 100, 128, tokens});
  shapes.push_back({5, 2560, 2560, 5});
  shapes.push_back({2, 8640, 8640, 1});
  shapes.push_back({5, 8640, 8640, 7});
  shapes.push_back({5, 70, 128, 35});
  return shapes;
}

// A product and all that it points to; T is the type of the weights.
template <typename T>
class HeadCase {
 public:
  HeadCase(Inputs& in, const Guarded<T>& weights, const Shape& s, Values kind)
      : weights_(weights.copy()),
        scales_(in.floats(s.rows)),
        x_(in.floats((s.tokens - 1) * (s.cols + 1) + s.cols, kind)),
        scratch_(s.tokens * s.stride),
        product{weights_.data(), scales_.data(), s.cols,   s.stride, 0,          s.rows,
                x_.data(),       s.cols + 1,     s.tokens, nullptr,  s.rows + 2, scratch_.data()} {
    for (size_t i = 0; i < weights_.size(); ++i) {
      if (i % s.stride >= s.cols) weights_[i] = 0;
    }
    weights_.seal();
  }

  Guarded<float> run(void (*kernel)(const HeadProduct&)) {
    Guarded<float> out((product.tokens - 1) * product.out_stride + product.row_end);
    product.out = out.data();
    kernel(product);
    return out;
  }

 private:
  Guarded<T> weights_;
  Guarded<float> scales_, x_;
  Guarded<int16_t> scratch_;

 public:
  HeadProduct product;
};

template <auto head, typename T>
void check_case(Check& c, HeadCase<T>& h) {
  const Guarded<float> expected = h.run(c.scalar.*head);
  c.same(expected, h.run(c.table.*head));
}

Guarded<float> rounded(Check& c, const Guarded<float>& x) {
  Guarded<float> y(x.size());
  c.scalar.round_activations(x.data(), x.size(), y.data());
  y.seal();
  return y;
}

template <auto dense, typename T>
void check_dense_case(Check& c, const Guarded<T>& weights, const Shape& s, const Guarded<float>& x, size_t row_begin) {
  HeadCase<T> h(c.in, weights, s, Values::ordinary);
  const Guarded<float> exact = rounded(c, x);
  Guarded<std::byte> scratch(kDenseScratchBytes);
  h.product.x = dense == &Kernels::dense_f16 ? exact.data() : x.data();
  h.product.scratch = scratch.data();
  h.product.row_begin = row_begin;
  check_case<dense>(c, h);
}

template <auto dense, typename T>
void check_dense(Check& c, Guarded<T> (*weights)(Inputs&, size_t)) {
  std::vector<Shape> all = shapes();
  all.push_back({9, 576, 576, 13});
  all.push_back({41, 1100, 1104, 12});                // more rows than are converted at a time
  if (!c.brief) all.push_back({5, 17000, 17000, 8});  // and not four of such rows
  for (const Shape& s : all) {
    for (Values kind : kAllValues) {
      for (size_t row_begin : {size_t{0}, s.rows / 2}) {
        c.at("rows %zu to %zu, %zu columns, %zu tokens, values %d", row_begin, s.rows, s.cols, s.tokens, int(kind));
        const auto x = c.in.floats((s.tokens - 1) * (s.cols + 1) + s.cols, kind);
        check_dense_case<dense>(c, weights(c.in, s.rows * s.stride), s, x, row_begin);
      }
    }
  }
  // Any floats, in sums of few, which are seldom infinite.
  for (size_t cols : {1, 2, 5, 16, 33}) {
    for (size_t i = 0; i < 200; ++i) {
      const Shape s{4, cols, cols, 1 + i % 12};
      c.at("%zu columns of any floats, %zu tokens", cols, s.tokens);
      const auto x = c.in.made<float>((s.tokens - 1) * (cols + 1) + cols, [&] {
        const float any = __builtin_bit_cast(float, c.in.bits());
        return std::isnan(any) ? 1 : any;
      });
      check_dense_case<dense>(c, weights(c.in, s.rows * s.stride), s, x, 0);
    }
  }
}

void check_dense_f16(Check& c) {
  check_dense<&Kernels::dense_f16, f16>(c, [](Inputs& in, size_t n) { return in.halves(n); });
}
void check_dense_f32(Check& c) {
  check_dense<&Kernels::dense_f32, float>(c, [](Inputs& in, size_t n) { return in.floats(n, Values::mixed); });
}

template <auto head, typename T>
void check_shapes(Check& c, Guarded<T> (Inputs::*weights)(size_t)) {
  for (const Shape& s : shapes()) {
    for (Values kind : kAllValues) {
      HeadCase<T> h(c.in, (c.in.*weights)(s.rows * s.stride), s, kind);
      for (size_t row_begin : {size_t{0}, s.rows / 2}) {
        c.at("rows %zu to %zu, %zu columns, %zu tokens, values %d", row_begin, s.rows, s.cols, s.tokens, int(kind));
        h.product.row_begin = row_begin;
        check_case<head>(c, h);
      }
    }
  }
}

void check_head_f16(Check& c) { check_shapes<&Kernels::head_f16, f16>(c, &Inputs::halves); }

void check_head_int8(Check& c) {
  check_shapes<&Kernels::head_int8, int8_t>(c, &Inputs::int8s);
  // Sums far beyond 32 bits.
  constexpr size_t kCols = 33001;
  for (int8_t weight : {127, -127, -128}) {
    c.at("all weights %d", weight);
    HeadCase<int8_t> h(c.in, Guarded<int8_t>(2 * kCols, static_cast<unsigned char>(weight)), {2, kCols, kCols, 1},
                       Values::ordinary);
    const Guarded<float> x = c.in.made<float>(kCols, [] { return -3.0f; });
    h.product.x = x.data();
    check_case<&Kernels::head_int8>(c, h);
  }
}

// Random bytes are tiles: all codes and group scales there are.
template <auto head, Planes planes>
void check_planes(Check& c) {
  const auto check = [&](const Guarded<uint8_t>& tiles, const Guarded<float>& scales, const Guarded<float>& x,
                         size_t row_begin, size_t row_end, size_t cols, size_t tokens) {
    Guarded<std::byte> scratch(kPlanesScratch * tokens * tiles_per_row(cols) * kTileCols);
    const size_t out_stride = row_end + 2;
    Guarded<float> expected((tokens - 1) * out_stride + row_end), actual((tokens - 1) * out_stride + row_end);
    HeadProduct product{tiles.data(), scales.data(),   cols,       0,
                        row_begin,    row_end,         x.data(),   cols + 1,
                        tokens,       expected.data(), out_stride, scratch.data()};
    (c.scalar.*head)(product);
    product.out = actual.data();
    (c.table.*head)(product);
    c.same(expected, actual);
  };
  constexpr size_t kRows = 21;
  for (size_t cols : {1, 15, 16, 17, 63, 64, 65, 200, 2560}) {
    for (size_t tokens : {1, 2, 3, 8, 17, 31}) {
      if (tokens > 8 && cols > 65) continue;
      for (Values kind : kAllValues) {
        const auto tiles =
            c.in.made<uint8_t>(planes_bytes(planes, kRows, cols), [&] { return static_cast<uint8_t>(c.in.bits()); });
        const Guarded<float> scales = c.in.floats(kRows), x = c.in.floats((tokens - 1) * (cols + 1) + cols, kind);
        for (size_t row_begin : {size_t{0}, kTileRows}) {
          c.at("rows from %zu, %zu columns, %zu tokens, values %d", row_begin, cols, tokens, int(kind));
          check(tiles, scales, x, row_begin, kRows, cols, tokens);
        }
      }
    }
  }
  // The largest sums there are: a run's is the largest integer of 32 bits but a few.
  constexpr size_t kCols = 8640;
  for (uint8_t codes : {0x00, 0xff}) {
    for (uint8_t scale : {0x00, 0x80, 0xff, 0x7f}) {
      for (size_t tokens : {1, 2}) {
        c.at("all codes %d, all group scales %d, %zu tokens", codes, scale, tokens);
        size_t i = 0;
        const auto tiles = c.in.made<uint8_t>(planes_bytes(planes, kTileRows, kCols),
                                              [&] { return i++ % tile_bytes(planes) < 64 ? scale : codes; });
        const Guarded<float> scales = c.in.floats(kTileRows);
        const Guarded<float> x = c.in.made<float>((tokens - 1) * (kCols + 1) + kCols, [] { return -3.0f; });
        check(tiles, scales, x, 0, kTileRows, kCols, tokens);
      }
    }
  }
}

template <auto head, Planes planes>
void bench_planes(Bench& b) {
  constexpr size_t kRows = 32064, kCols = 2560, kBytes = planes_bytes(planes, kRows, kCols);
  for (size_t tokens : {1, 8, 16}) {
    Pages<uint8_t> tiles(kBytes), scratch(kPlanesScratch * tokens * kCols);
    std::memset(tiles.data(), 1, kBytes);
    Pages<float> scales(kRows), x(tokens * kCols), out(tokens * kRows);
    const HeadProduct product{tiles.data(), scales.data(), kCols,  0,          0,     kRows,
                              x.data(),     kCols,         tokens, out.data(), kRows, scratch.data()};
    b.measure(planes == Planes::q5 ? "head_q5" : "head_q6", formatted("%zu x %zu, %zu tokens", kRows, kCols, tokens),
              {.float_macs = double(kRows * kCols * tokens), .bytes = double(kBytes), .from_memory = true},
              [&] { (b.table.*head)(product); });
  }
}

template <auto head>
void bench_head(Bench& b) {
  constexpr bool kInt8 = head == &Kernels::head_int8;
  constexpr size_t kRows = 128256, kCols = 2560, kBytes = kRows * kCols * (kInt8 ? 1 : 2);
  for (size_t tokens : {1, 8}) {
    Pages<uint8_t> weights(kBytes), scratch(2 * tokens * kCols);
    std::memset(weights.data(), 1, kBytes);
    Pages<float> scales(kRows), x(tokens * kCols), out(tokens * kRows);
    const HeadProduct product{weights.data(), scales.data(), kCols,  kCols,      0,     kRows,
                              x.data(),       kCols,         tokens, out.data(), kRows, scratch.data()};
    b.measure(kInt8 ? "head_int8" : "head_f16", formatted("%zu x %zu, %zu tokens", kRows, kCols, tokens),
              {.float_macs = double(kRows * kCols * tokens), .bytes = double(kBytes), .from_memory = true},
              [&] { (b.table.*head)(product); });
  }
}

template <auto dense>
void bench_dense(Bench& b) {
  constexpr bool kF16 = dense == &Kernels::dense_f16;
  const auto measure = [&](size_t rows, size_t cols, size_t tokens) {
    // Few tokens are bound by memory: take turns among copies that no cache holds together.
    const bool from_memory = tokens <= 4;
    const size_t bytes = rows * cols * (kF16 ? 2 : 4);
    const size_t copies = from_memory ? (size_t{256} << 20) / bytes : 1;
    Pages<uint8_t> weights(bytes * copies), scratch(kDenseScratchBytes);
    std::memset(weights.data(), 1, bytes * copies);
    Pages<float> x(tokens * cols), out(tokens * rows);
    for (size_t i = 0; i < tokens * cols; ++i) x[i] = 1;
    HeadProduct product{weights.data(), nullptr, cols,   cols,       0,    rows,
                        x.data(),       cols,    tokens, out.data(), rows, scratch.data()};
    const auto run = [&] {
      for (size_t copy = 0; copy < copies; ++copy) {
        product.weights = weights.data() + copy * bytes;
        (b.table.*dense)(product);
      }
    };
    const double macs = double(rows) * double(cols) * double(tokens);
    b.measure(kF16 ? "dense_f16" : "dense_f32", formatted("%zu x %zu, %zu tokens", rows, cols, tokens),
              {.float_macs = kF16 ? 0 : macs,
               .exact_macs = kF16 ? macs : 0,
               .bytes = double(bytes),
               .from_memory = from_memory},
              run, copies);
  };
  for (size_t tokens : {1, 4, 8, 16, 128}) measure(576, 1536, tokens);
  for (size_t tokens : {1, 128}) measure(1536, 576, tokens);
  for (size_t tokens : {1, 128}) measure(2048, 8192, tokens);
}

constexpr KernelCheck kChecks[] = {
    {"head_f16", same_entry<&Kernels::head_f16>, check_head_f16, bench_head<&Kernels::head_f16>},
    {"head_int8", same_entry<&Kernels::head_int8>, check_head_int8, bench_head<&Kernels::head_int8>},
    {"head_q5", same_entry<&Kernels::head_q5>, check_planes<&Kernels::head_q5, Planes::q5>,
     bench_planes<&Kernels::head_q5, Planes::q5>},
    {"head_q6", same_entry<&Kernels::head_q6>, check_planes<&Kernels::head_q6, Planes::q6>,
     bench_planes<&Kernels::head_q6, Planes::q6>},
    {"dense_f16", same_entry<&Kernels::dense_f16>, check_dense_f16, bench_dense<&Kernels::dense_f16>},
    {"dense_f32", same_entry<&Kernels::dense_f32>, check_dense_f32, bench_dense<&Kernels::dense_f32>},
};

}  // namespace

std::span<const KernelCheck> head_checks() { return kChecks; }

}  // namespace bitnet
