// SPDX-License-Identifier: MIT
#include "verify/products.h"

#include <algorithm>
#include <bit>

#include "base/buffer.h"
#include "base/parallel.h"
#include "engine/linear.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

constexpr uint32_t kTokens = 40;       // more than any kernel takes at a time, and no whole number of tiles
constexpr uint32_t kRowsAtOnce = 256;  // a multiple of 16

// The first tokens of `x` times the matrix, as the engine does it.
Rows multiplied(const Kernels& kernels, const Matrix& m, const Rows& x, uint32_t tokens) {
  const size_t stride = (Activations::bytes(m.numbers, m.cols) + 63) / 64 * 64;
  Buffer memory(stride * tokens);
  std::vector<float> steps(tokens);
  const Activations activations{m.numbers, m.cols, stride, memory.data(), steps.data()};
  for (uint32_t t = 0; t < tokens; ++t) activations.store(kernels, t, x[t].data());
  Rows out(tokens, m.rows);
  parallel_for((m.rows + kRowsAtOnce - 1) / kRowsAtOnce, [&](size_t part) {
    Buffer scratch(std::max<size_t>(product_scratch_bytes(m.numbers, m.cols), 64));
    const auto begin = static_cast<uint32_t>(part) * kRowsAtOnce;
    multiply_piece(kernels, activations,
                   {m, begin, std::min(begin + kRowsAtOnce, m.rows), 0, tokens, out.values.data()}, scratch.data());
  });
  return out;
}

// Of an expert there is only a view.
const char* linear_name(const Layer& layer, const Linear& linear) {
  constexpr std::array names = {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"};
  static_assert(names.size() == std::size(kLinears));
  for (size_t i = 0; i < names.size(); ++i) {
    if (&(layer.*kLinears[i]) == &linear) return names[i];
  }
  return &layer.router == &linear ? "ffn_gate_inp" : "an expert";
}

}  // namespace

void ProductCheck::check(const SeenProduct& seen) {
  const Matrix& m = seen.linear.weights;
  const auto tokens = static_cast<uint32_t>(std::min<size_t>(seen.input.count(), kTokens));
  const Rows ours = multiplied(kernels_, m, seen.input, tokens);
  const Rows scalar =
      packing_of(m.numbers) ? Rows(0, m.rows) : multiplied(*find_kernels("scalar"), m, seen.input, tokens);
  const Rows& wanted = packing_of(m.numbers) ? seen.output : scalar;
  ++counts_.matrices;
  for (size_t i = 0; i < ours.values.size(); ++i) {
    ++counts_.values;
    if (std::bit_cast<uint32_t>(ours.values[i]) == std::bit_cast<uint32_t>(wanted.values[i])) continue;
    if (counts_.differing++ > 0) continue;
    counts_.first = formatted("blk.%u.%s, row %zu, token %zu: %.9g, and %.9g by the reference", seen.layer,
                              linear_name(model_.layers[seen.layer], seen.linear), i % m.rows, i / m.rows,
                              static_cast<double>(ours.values[i]), static_cast<double>(wanted.values[i]));
  }
}

}  // namespace bitnet::program
