// SPDX-License-Identifier: MIT
// The kernels of an instruction set as a layer. scalar.cpp is the specification. Where a kernel here is not
// plainly the same, a comment says why it is.
#pragma once

#include "generic/attention.h"
#include "generic/attention_codes.h"
#include "generic/dense.h"
#include "generic/floats.h"
#include "generic/groups.h"
#include "generic/head.h"
#include "generic/quantize.h"
#include "kernels.h"

namespace bitnet {
namespace {

// Ternary products of any number of tokens. Products, which derives from DotProducts, takes the tokens that it
// multiplies faster than dot products do; multiply_many returns the first that is left.
template <typename Products>
struct TernaryProducts : Products {
  template <typename P>
  static void multiply(const TernaryProduct& p) {
    constexpr size_t kDotTokens = Products::kTuning.dot_tokens;
    size_t t = Products::template multiply_many<P>(p);
    const size_t passes = (p.tokens - t) / kDotTokens;
    for (size_t pass = 0; pass < passes; ++pass, t += kDotTokens) {
      Products::template dot_products<P, kDotTokens>(p, t, pass, passes);
    }
    for (; t + 2 <= p.tokens; t += 2) Products::template dot_products<P, 2>(p, t);
    for (; t < p.tokens; ++t) Products::template dot_products<P, 1>(p, t);
  }
  template <typename P>
  static constexpr TernaryKernel kernel() {
    return {.prepared = P::kTuning.prepared, .multiply = multiply<P>};
  }
};

// Layers (layers.h), by what a set improves. Products is of the same set as Simd.
template <typename Products>
constexpr Kernels ternary_layer(const char* name) {
  using Ternary = TernaryProducts<Products>;
  Kernels layer = {};
  layer.name = name;
  layer.ternary = {
      .i2 = Ternary::template kernel<typename Ternary::I2>(),
      .t5 = Ternary::template kernel<typename Ternary::T5>(),
      .tile_tokens = Products::kTuning.tile_tokens,
      .tokens_at_a_time = Products::kTuning.tokens_at_a_time,
  };
  return layer;
}

// What multiplies four bytes of a lane.
template <typename Simd, typename Products>
constexpr Kernels quads_layer(const char* name) {
  Kernels layer = ternary_layer<Products>(name);
  layer.head_q5 = Head<Simd>::template head_planes<Planes::q5>;
  layer.head_q6 = Head<Simd>::template head_planes<Planes::q6>;
  layer.multiply_groups = Groups<Simd>::multiply_groups;
  layer.attention_int8 = CodeAttention<Simd>::template attention_codes<KvType::int8>;
  return layer;
}

// And what multiplies pairs of 16-bit values.
template <typename Simd, typename Products>
constexpr Kernels integer_layer(const char* name) {
  Kernels layer = quads_layer<Simd, Products>(name);
  layer.head_int8 = Head<Simd>::head_int8;
  layer.attention_int16 = CodeAttention<Simd>::template attention_codes<KvType::int16>;
  return layer;
}

// What adds exact products.
template <typename Simd>
constexpr Kernels exact_layer(const char* name) {
  Kernels layer = {};
  layer.name = name;
  layer.dense_f16 = Dense<Simd>::dense_f16;
  return layer;
}

// And all else.
template <typename Simd, typename Products>
constexpr Kernels whole_layer(const char* name) {
  const Kernels integers = integer_layer<Simd, Products>(name);
  return {
      .name = name,
      .ternary = integers.ternary,
      .rms_norm = Floats<Simd>::rms_norm,
      .quantize = Quantization<Simd>::quantize,
      .head_f16 = Head<Simd>::head_f16,
      .head_int8 = integers.head_int8,
      .head_q5 = integers.head_q5,
      .head_q6 = integers.head_q6,
      .quantize_groups = Groups<Simd>::quantize_groups,
      .multiply_groups = integers.multiply_groups,
      .groups_to_f32 = Groups<Simd>::groups_to_f32,
      .round_activations = Dense<Simd>::round_activations,
      .dense_f16 = Dense<Simd>::dense_f16,
      .dense_f32 = Dense<Simd>::dense_f32,
      .rope = Floats<Simd>::rope,
      .attention_f16 = FloatAttention<Simd>::attention_f16,
      .attention_int8 = integers.attention_int8,
      .attention_int16 = integers.attention_int16,
      .quantize_kv_int8 = CodeAttention<Simd>::quantize_kv_int8,
      .quantize_kv_int16 = CodeAttention<Simd>::quantize_kv_int16,
      .attention_merge = FloatAttention<Simd>::attention_merge,
      .attention_finish = FloatAttention<Simd>::attention_finish,
      .gate_relu2 = Floats<Simd>::gate_relu2,
      .gate_silu = Floats<Simd>::gate_silu,
      .gate_gelu = Floats<Simd>::gate_gelu,
      .add = Floats<Simd>::add,
      .to_f16 = Floats<Simd>::to_f16,
      .to_f32 = Floats<Simd>::to_f32,
      .exp_sum = Floats<Simd>::exp_sum,
  };
}

}  // namespace
}  // namespace bitnet
