// SPDX-License-Identifier: MIT
// Attention over a KV cache.
#include <algorithm>

#include "check.h"

namespace bitnet {
namespace {

// Queries, keys and values of one split. Keys that no row sees are NaN.
struct Split {
  Split(Check& c, size_t head_dim, size_t rows, size_t group, size_t length, Values kind)
      : head_dim(head_dim),
        rows(rows),
        group(group),
        length(length),
        q(c.in.floats((rows * group - 1) * (head_dim + 3) + group * head_dim, kind)),
        keys((seen() + kKvBlock - 1) / kKvBlock * kKvBlock * head_dim),
        values(seen() * value_stride(head_dim)) {
    std::fill(keys.begin(), keys.end(), f16{0x7e00});
    std::fill(values.begin(), values.end(), f16{0});
    for (size_t position = 0; position < seen(); ++position) {
      f16* const key = keys.data() + position / kKvBlock * kKvBlock * head_dim + position % kKvBlock;
      for (size_t d = 0; d < head_dim; ++d) {
        const float x = c.in.value(kind), y = c.in.value(kind);
        c.scalar.to_f16(&x, 1, key + d * kKvBlock);
        c.scalar.to_f16(&y, 1, values.data() + position * value_stride(head_dim) + d);
      }
    }
    keys.seal();
    values.seal();
  }

  size_t seen() const { return std::min(length + rows - 1, kKvSplit); }

  Guarded<float> states(const Kernels& k, float scale) const {
    Guarded<float> states(rows * group * attention_state_floats(head_dim));
    Guarded<std::byte> scratch((attention_scratch_bytes(rows * group, head_dim) + 63) / 64 * 64);
    k.attention({q.data(), group * (head_dim + 3), rows, group, keys.data(), values.data(), head_dim, length, scale,
                 states.data(), scratch.data()});
    if (!scratch.intact()) throw Check::Difference{"it wrote outside of its scratch"};
    return states;
  }

  size_t head_dim, rows, group, length;
  Guarded<float> q;
  Guarded<f16> keys, values;
};

void check_split(Check& c, size_t head_dim, size_t rows, size_t group, size_t length, Values kind, float scale) {
  c.at("head_dim %zu, %zu rows of %zu heads, %zu positions, values %d, scale %g", head_dim, rows, group, length,
       int(kind), double(scale));
  const Split split(c, head_dim, rows, group, length, kind);
  c.same(split.states(c.scalar, scale), split.states(c.table, scale));
}

void check_attention(Check& c) {
  std::vector<size_t> lengths = {31, 63, 64, 65, 127, 128, 129, 300, 511, 512};
  for (size_t n = 1; n <= 20; ++n) lengths.push_back(n);
  for (size_t head_dim : {1, 3, 16, 64, 80, 100, 128, 130, 256}) {
    for (size_t length : lengths) {
      const Values kind = length % 8 == 7 ? Values::nans : length % 4 ? Values::ordinary : Values::mixed;
      const size_t groups[] = {1, 2, 3, 4, 5, 8};
      check_split(c, head_dim, 1, groups[length % 6], length, kind, 0.1f);
    }
  }
  for (size_t group : {1, 3, 4}) {
    for (size_t rows : {2, 3, 16, 70}) {
      for (size_t length : {1, 40, 63, 64, 65, 448, 500, 512}) {
        check_split(c, 20, rows, group, length, Values::ordinary, 0.1f);
      }
    }
  }
  for (Values kind : kAllValues) check_split(c, 80, 5, 4, 100, kind, 0.1f);
  // Scores so far apart that weights and factors vanish, then that they overflow.
  for (float scale : {30.0f, 1e3f, 1e30f, 3e38f}) check_split(c, 80, 5, 4, 200, Values::ordinary, scale);
}

void check_attention_merge(Check& c) {
  for (size_t head_dim : {1, 16, 80, 100, 128}) {
    for (float scale : {0.1f, 10.0f, 1e30f}) {
      for (Values kind : {Values::ordinary, Values::nans}) {
        c.at("head_dim %zu, scale %g, values %d", head_dim, double(scale), int(kind));
        const size_t floats = attention_state_floats(head_dim);
        const Guarded<float> states = Split(c, head_dim, 1, 2, 100, kind).states(c.scalar, scale);
        Guarded<float> expected(std::span(states.data(), floats)), next(std::span(states.data() + floats, floats));
        next.seal();
        Guarded<float> actual = expected.copy();
        c.scalar.attention_merge(expected.data(), next.data(), head_dim);
        c.table.attention_merge(actual.data(), next.data(), head_dim);
        c.same(expected, actual);
      }
    }
  }
}

void check_attention_finish(Check& c) {
  for (size_t head_dim : {1, 3, 16, 80, 100, 128}) {
    c.at("head_dim %zu", head_dim);
    const Guarded<float> state = c.in.floats(attention_state_floats(head_dim));
    Guarded<float> expected(head_dim), actual(head_dim);
    c.scalar.attention_finish(state.data(), head_dim, expected.data());
    c.table.attention_finish(state.data(), head_dim, actual.data());
    c.same(expected, actual);
  }
}

// The last rows of a whole split, with heads as 2B-4T has them: in generation and in a prompt.
void bench_attention(Bench& b) {
  constexpr size_t kDim = 128, kGroup = 4;
  for (size_t rows : {1, 16}) {
    const size_t queries = rows * kGroup;
    Pages<f16> keys(kKvSplit * kDim), values(kKvSplit * kDim);
    Pages<float> q(queries * kDim), states(queries * attention_state_floats(kDim));
    Pages<std::byte> scratch(attention_scratch_bytes(queries, kDim));
    const Attention a{q.data(), kGroup * kDim,       rows, kGroup,        keys.data(),   values.data(),
                      kDim,     kKvSplit - rows + 1, 0.1f, states.data(), scratch.data()};
    b.measure("attention", formatted("%zu queries, %zu positions x %zu", queries, kKvSplit, kDim),
              {.float_macs = 2.0 * static_cast<double>(queries * kKvSplit * kDim), .bytes = 4.0 * kKvSplit * kDim},
              [&] { b.table.attention(a); });
  }
}

void bench_attention_merge(Bench& b) {
  constexpr size_t kDim = 128;
  Pages<float> state(attention_state_floats(kDim)), next(attention_state_floats(kDim));
  b.measure("attention_merge", formatted("%zu", kDim), {.bytes = 12.0 * attention_state_floats(kDim)},
            [&] { b.table.attention_merge(state.data(), next.data(), kDim); });
}

void bench_attention_finish(Bench& b) {
  constexpr size_t kDim = 128;
  Pages<float> state(attention_state_floats(kDim)), out(kDim);
  b.measure("attention_finish", formatted("%zu", kDim), {.bytes = 8.0 * kDim},
            [&] { b.table.attention_finish(state.data(), kDim, out.data()); });
}

constexpr KernelCheck kChecks[] = {
    {"attention", check_attention, bench_attention},
    {"attention_merge", check_attention_merge, bench_attention_merge},
    {"attention_finish", check_attention_finish, bench_attention_finish},
};

}  // namespace

std::span<const KernelCheck> attention_checks() { return kChecks; }

}  // namespace bitnet
