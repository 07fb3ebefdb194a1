// SPDX-License-Identifier: MIT
// Kernels over rows of floats.
#include <bit>

#include "check.h"

namespace bitnet {
namespace {

void check_rms_norm(Check& c) {
  for (size_t n : lengths()) {
    if (n == 0) continue;
    for (Values kind : kAllValues) {
      c.at("n %zu, values %d", n, int(kind));
      const Guarded<float> x = c.in.floats(n, kind), weight = c.in.floats(n);
      Guarded<float> expected(n), actual(n), in_place = x.copy();
      c.scalar.rms_norm(x.data(), weight.data(), 1e-5f, n, expected.data());
      c.table.rms_norm(x.data(), weight.data(), 1e-5f, n, actual.data());
      c.same(expected, actual);
      c.table.rms_norm(in_place.data(), weight.data(), 1e-5f, n, in_place.data());
      c.same(expected, in_place);
    }
  }
}

void check_one_quantize(Check& c, Packing p, const Guarded<float>& x) {
  Guarded<int8_t> expected(padded_cols(p, x.size())), actual(padded_cols(p, x.size()));
  const float step = c.scalar.quantize(p, x.data(), x.size(), expected.data());
  c.same(step, c.table.quantize(p, x.data(), x.size(), actual.data()));
  c.same(expected, actual);
}

void check_quantize(Check& c) {
  for (Packing p : {Packing::i2, Packing::t5}) {
    for (size_t n : lengths()) {
      for (Values kind : kAllValues) {
        c.at("packing %d, n %zu, values %d", int(p), n, int(kind));
        check_one_quantize(c, p, c.in.floats(n, kind));
      }
    }
    c.at("packing %d, ties", int(p));
    Guarded<float> ties(256);
    for (size_t i = 0; i < 255; ++i) ties[i] = static_cast<float>(i) - 127.0f + 0.5f;
    ties[254] = 126.5f;
    ties[255] = -127.0f;  // the largest, so that the scale is exactly 1
    check_one_quantize(c, p, ties);
  }
}

void check_rope(Check& c) {
  for (size_t head_dim : {2, 4, 10, 34, 64, 80, 96, 100, 128, 130, 256}) {
    for (Values kind : kAllValues) {
      c.at("head_dim %zu, values %d", head_dim, int(kind));
      const size_t heads = 3;
      const Guarded<float> cosines = c.in.floats(head_dim / 2), sines = c.in.floats(head_dim / 2);
      const Guarded<float> x = c.in.floats(heads * head_dim, kind);
      Guarded<float> expected = x.copy(), actual = x.copy();
      c.scalar.rope(expected.data(), heads, head_dim, cosines.data(), sines.data());
      c.table.rope(actual.data(), heads, head_dim, cosines.data(), sines.data());
      c.same(expected, actual);
    }
  }
}

template <auto gate_kernel>
void check_gate(Check& c) {
  for (size_t n : lengths()) {
    for (Values kind : kAllValues) {
      c.at("n %zu, values %d", n, int(kind));
      const Guarded<float> gate = c.in.floats(n, kind), up = c.in.floats(n, Values::mixed);
      Guarded<float> expected(n), actual(n);
      (c.scalar.*gate_kernel)(gate.data(), up.data(), n, expected.data());
      (c.table.*gate_kernel)(gate.data(), up.data(), n, actual.data());
      c.same(expected, actual);
    }
  }
}

void check_add(Check& c) {
  for (size_t n : lengths()) {
    for (Values kind : kAllValues) {
      c.at("n %zu, values %d", n, int(kind));
      const Guarded<float> x = c.in.floats(n, Values::mixed), y = c.in.floats(n, kind);
      Guarded<float> expected = x.copy(), actual = x.copy();
      c.scalar.add(expected.data(), y.data(), n);
      c.table.add(actual.data(), y.data(), n);
      c.same(expected, actual);
    }
  }
}

void check_one_round(Check& c, const Guarded<float>& x) {
  Guarded<float> expected(x.size()), actual(x.size()), in_place = x.copy();
  c.scalar.round_activations(x.data(), x.size(), expected.data());
  c.table.round_activations(x.data(), x.size(), actual.data());
  c.same(expected, actual);
  c.table.round_activations(in_place.data(), x.size(), in_place.data());
  c.same(expected, in_place);
}

void check_round_activations(Check& c) {
  c.at("all signs and exponents, with the mantissas at and around every tie of 13 bits among others");
  std::vector<float> x;
  for (uint32_t top = 0; top < 1u << 16; ++top) {
    for (uint32_t low : {0u, 1u, 0x3ffu, 0x400u, 0x401u, 0xc00u, 0xffffu, c.in.bits() & 0xffff}) {
      x.push_back(std::bit_cast<float>(top << 16 | low));
    }
  }
  check_one_round(c, Guarded<float>(std::span<const float>(x)));
  for (size_t n = 0; n <= 70; ++n) {
    c.at("n %zu", n);
    check_one_round(c, c.in.floats(n));
  }
}

void check_one_to_f16(Check& c, const Guarded<float>& x) {
  Guarded<f16> expected(x.size()), actual(x.size());
  c.scalar.to_f16(x.data(), x.size(), expected.data());
  c.table.to_f16(x.data(), x.size(), actual.data());
  c.same(expected, actual);
}

void check_to_f16(Check& c) {
  c.at("all signs and exponents, with the mantissas at and around every tie of binary16 among others");
  std::vector<float> x;
  for (uint32_t top = 0; top < 1u << 16; ++top) {
    for (uint32_t low : {0u, 1u, 0xfffu, 0x1000u, 0x1001u, 0xffffu, c.in.bits() & 0xffff}) {
      x.push_back(std::bit_cast<float>(top << 16 | low));
    }
  }
  check_one_to_f16(c, Guarded<float>(std::span<const float>(x)));
  for (size_t n = 0; n <= 70; ++n) {
    c.at("n %zu", n);
    check_one_to_f16(c, c.in.floats(n));
  }
}

void check_to_f32(Check& c) {
  constexpr size_t kAll = 1 << 16;
  for (size_t n : {size_t{0}, size_t{1}, size_t{7}, size_t{37}, kAll}) {
    c.at("the last %zu of all halves", n);
    uint32_t next = static_cast<uint32_t>(kAll - n);
    const Guarded<f16> x = c.in.made<f16>(n, [&] { return static_cast<f16>(next++); });
    Guarded<float> expected(n), actual(n);
    c.scalar.to_f32(x.data(), n, expected.data());
    c.table.to_f32(x.data(), n, actual.data());
    c.same(expected, actual);
  }
}

void check_one_exp_sum(Check& c, const Guarded<float>& x, float shift) {
  Guarded<float> expected(x.size()), actual(x.size()), in_place = x.copy();
  const float sum = c.scalar.exp_sum(x.data(), shift, x.size(), expected.data());
  c.same(sum, c.table.exp_sum(x.data(), shift, x.size(), actual.data()));
  c.same(expected, actual);
  c.same(sum, c.table.exp_sum(in_place.data(), shift, x.size(), in_place.data()));
  c.same(expected, in_place);
}

void check_exp_sum(Check& c) {
  for (size_t n : lengths()) {
    for (float range : {1.0f, 20.0f, 100.0f, 300.0f}) {
      c.at("n %zu, up to %g", n, double(range));
      check_one_exp_sum(c, c.in.made<float>(n, [&] { return c.in.uniform() * range; }), 0.75f);
    }
    c.at("n %zu, NaN among them", n);
    check_one_exp_sum(c, c.in.floats(n, Values::nans), 0.75f);
  }
  c.at("floats of all sizes");
  std::vector<float> x;
  for (uint64_t bits = c.in.below(9973); bits < uint64_t{1} << 32; bits += 9973) {
    const float value = std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (!std::isnan(value)) x.push_back(value);
  }
  for (float edge : {-87.3365f, 88.72284f, 89.0f, std::numeric_limits<float>::infinity()}) {
    for (float v : {std::nextafter(edge, -100.0f), edge, std::nextafter(edge, 100.0f), -edge}) x.push_back(v);
  }
  check_one_exp_sum(c, Guarded<float>(std::span<const float>(x)), 0);
}

// Measured on rows as long as those of the 2B-4T model's FFN.
constexpr size_t kRow = 6912;
constexpr size_t kRowBytes = kRow * sizeof(float);

void bench_rms_norm(Bench& b) {
  Pages<float> x(kRow), y(kRow);
  b.measure("rms_norm", formatted("%zu", kRow), {.float_macs = 2.0 * kRow, .bytes = 3.0 * kRowBytes},
            [&] { b.table.rms_norm(x.data(), x.data(), 1e-5f, kRow, y.data()); });
}

void bench_quantize(Bench& b) {
  Pages<float> x(kRow);
  for (Packing p : {Packing::i2, Packing::t5}) {
    Pages<int8_t> q(padded_cols(p, kRow));
    b.measure("quantize", formatted("%s %zu", p == Packing::i2 ? "i2" : "t5", kRow), {.bytes = 1.25 * kRowBytes},
              [&] { b.table.quantize(p, x.data(), kRow, q.data()); });
  }
}

void bench_rope(Bench& b) {
  constexpr size_t kHeads = 20, kDim = 128;
  Pages<float> x(kHeads * kDim), turns(kDim);
  b.measure("rope", formatted("%zu x %zu", kHeads, kDim), {.bytes = 2.0 * kHeads * kDim * sizeof(float)},
            [&] { b.table.rope(x.data(), kHeads, kDim, turns.data(), turns.data()); });
}

template <auto gate_kernel>
void bench_gate(Bench& b) {
  Pages<float> gate(kRow), up(kRow), y(kRow);
  const char* const name = gate_kernel == &Kernels::gate_relu2  ? "gate_relu2"
                           : gate_kernel == &Kernels::gate_silu ? "gate_silu"
                                                                : "gate_gelu";
  b.measure(name, formatted("%zu", kRow), {.bytes = 3.0 * kRowBytes},
            [&] { (b.table.*gate_kernel)(gate.data(), up.data(), kRow, y.data()); });
}

void bench_add(Bench& b) {
  Pages<float> x(kRow), y(kRow);
  b.measure("add", formatted("%zu", kRow), {.bytes = 3.0 * kRowBytes}, [&] { b.table.add(x.data(), y.data(), kRow); });
}

void bench_round(Bench& b) {
  Pages<float> x(kRow), y(kRow);
  b.measure("round_activations", formatted("%zu", kRow), {.bytes = 2.0 * kRowBytes},
            [&] { b.table.round_activations(x.data(), kRow, y.data()); });
}

void bench_halves(Bench& b) {
  Pages<float> x(kRow);
  Pages<f16> h(kRow);
  b.measure("to_f16", formatted("%zu", kRow), {.bytes = 1.5 * kRowBytes},
            [&] { b.table.to_f16(x.data(), kRow, h.data()); });
}

void bench_floats(Bench& b) {
  Pages<float> x(kRow);
  Pages<f16> h(kRow);
  b.measure("to_f32", formatted("%zu", kRow), {.bytes = 1.5 * kRowBytes},
            [&] { b.table.to_f32(h.data(), kRow, x.data()); });
}

void bench_exp_sum(Bench& b) {
  Pages<float> x(kRow), p(kRow);
  b.measure("exp_sum", formatted("%zu", kRow), {.bytes = 2.0 * kRowBytes},
            [&] { b.table.exp_sum(x.data(), 1.0f, kRow, p.data()); });
}

constexpr KernelCheck kChecks[] = {
    {"rms_norm", same_entry<&Kernels::rms_norm>, check_rms_norm, bench_rms_norm},
    {"quantize", same_entry<&Kernels::quantize>, check_quantize, bench_quantize},
    {"rope", same_entry<&Kernels::rope>, check_rope, bench_rope},
    {"gate_relu2", same_entry<&Kernels::gate_relu2>, check_gate<&Kernels::gate_relu2>,
     bench_gate<&Kernels::gate_relu2>},
    {"gate_silu", same_entry<&Kernels::gate_silu>, check_gate<&Kernels::gate_silu>, bench_gate<&Kernels::gate_silu>},
    {"gate_gelu", same_entry<&Kernels::gate_gelu>, check_gate<&Kernels::gate_gelu>, bench_gate<&Kernels::gate_gelu>},
    {"add", same_entry<&Kernels::add>, check_add, bench_add},
    {"round_activations", same_entry<&Kernels::round_activations>, check_round_activations, bench_round},
    {"to_f16", same_entry<&Kernels::to_f16>, check_to_f16, bench_halves},
    {"to_f32", same_entry<&Kernels::to_f32>, check_to_f32, bench_floats},
    {"exp_sum", same_entry<&Kernels::exp_sum>, check_exp_sum, bench_exp_sum},
};

}  // namespace

std::span<const KernelCheck> float_checks() { return kChecks; }

}  // namespace bitnet
