// SPDX-License-Identifier: MIT
// Attention over a KV cache.
#include "check.h"

namespace bitnet {
namespace {

Guarded<f16> cached(Check& c, size_t n) {
  const Guarded<float> x = c.in.floats(n);
  Guarded<f16> halves(n);
  c.scalar.to_f16(x.data(), n, halves.data());
  halves.seal();
  return halves;
}

void check_attention(Check& c) {
  std::vector<size_t> counts;
  for (size_t n = 1; n <= 40; ++n) counts.push_back(n);
  counts.push_back(257);
  for (size_t head_dim : {1, 3, 16, 64, 80, 100, 128, 130, 256}) {
    for (size_t length : counts) {
      const Values kind = length % 8 == 7 ? Values::nans : length % 4 ? Values::ordinary : Values::mixed;
      c.at("head_dim %zu, %zu positions, values %d", head_dim, length, int(kind));
      const size_t stride = head_dim + 5, values = (length - 1) * stride + head_dim;
      const Guarded<float> q = c.in.floats(head_dim, kind);
      const Guarded<f16> k = cached(c, values), v = cached(c, values);
      Guarded<float> expected(head_dim), actual(head_dim), scores((length + 15) / 16 * 16);
      Attention a{q.data(), k.data(), v.data(), stride, length, head_dim, 0.3f, scores.data(), expected.data()};
      c.scalar.attention(a);
      a.out = actual.data();
      c.table.attention(a);
      c.same(expected, actual);
    }
  }
}

void bench_attention(Bench& b) {
  constexpr size_t kLength = 1024, kDim = 128, kStride = 5 * kDim;
  Pages<f16> keys(kLength * kStride), values(kLength * kStride);
  Pages<float> q(kDim), scores(kLength), out(kDim);
  const Attention a{q.data(), keys.data(), values.data(), kStride, kLength, kDim, 0.1f, scores.data(), out.data()};
  b.measure("attention", formatted("%zu positions x %zu", kLength, kDim),
            {.float_macs = 2.0 * kLength * kDim, .bytes = 4.0 * kLength * kDim}, [&] { b.table.attention(a); });
}

constexpr KernelCheck kChecks[] = {{"attention", check_attention, bench_attention}};

}  // namespace

std::span<const KernelCheck> attention_checks() { return kChecks; }

}  // namespace bitnet
