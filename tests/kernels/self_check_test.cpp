// SPDX-License-Identifier: MIT
#include "self_check.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "layers.h"

namespace bitnet {
namespace {

TEST(SelfCheck, PassesWithEveryTableOfThisCpu) {
  const KernelList list = available_kernels();
  for (size_t i = 0; i < list.count; ++i) {
    // Those that need a request may not be run without it.
    if (find_kernels(list.tables[i]->name) == nullptr) continue;
    EXPECT_TRUE(passes_self_check(*list.tables[i])) << list.tables[i]->name;
  }
}

// Each function as a CPU with a fault would leave it: with one bit in its output that is wrong.
template <auto function>
struct Faulty;
template <typename... Arguments, void (*Kernels::*function)(Arguments...)>
struct Faulty<function> {
  static void run(Arguments... arguments) { last(arguments...); }
  template <typename... T>
  static void last(T... arguments) {
    (scalar_layer.kernels.*function)(arguments...);
    spoil(arguments...);
  }
  static void spoil(const HeadProduct& p) { flip(p.out); }
  static void spoil(const GroupProduct& p) { flip(p.out); }
  static void spoil(const Attention& a) { flip(a.states); }
  static void spoil(float* x, size_t, size_t, const float*, const float*) { flip(x); }         // rope
  static void spoil(float* state, const float*, size_t) { flip(state); }                       // attention_merge, add
  static void spoil(const float*, size_t, void* out) { flip(out); }                            // halves, finish
  static void spoil(const f16*, size_t, float* out) { flip(out); }                             // to_f32
  static void spoil(const float*, size_t, size_t, void* out) { flip(out); }                    // quantize_groups
  static void spoil(const uint8_t*, size_t, size_t, size_t, float, float* out) { flip(out); }  // groups_to_f32
  static void spoil(const float*, const float*, size_t, float* out) { flip(out); }             // gates
  static void spoil(const float*, const float*, float, size_t, float* out) { flip(out); }      // rms_norm
  static void flip(void* out) { *static_cast<unsigned char*>(out) ^= 1; }
};
template <typename... Arguments, float (*Kernels::*function)(Arguments...)>
struct Faulty<function> {
  static float run(Arguments... arguments) {
    return __builtin_bit_cast(float, __builtin_bit_cast(uint32_t, (scalar_layer.kernels.*function)(arguments...)) ^ 1);
  }
};

template <auto function>
void expect_found(const char* name) {
  Kernels table = scalar_layer.kernels;
  table.*function = Faulty<function>::run;
  EXPECT_FALSE(passes_self_check(table)) << name;
}

TEST(SelfCheck, FindsAFaultOfEachFunction) {
  EXPECT_TRUE(passes_self_check(scalar_layer.kernels));
#define BITNET_EXPECT_FOUND(function) expect_found<&Kernels::function>(#function)
  BITNET_EXPECT_FOUND(rms_norm);
  BITNET_EXPECT_FOUND(quantize);
  BITNET_EXPECT_FOUND(head_f16);
  BITNET_EXPECT_FOUND(head_int8);
  BITNET_EXPECT_FOUND(head_q5);
  BITNET_EXPECT_FOUND(head_q6);
  BITNET_EXPECT_FOUND(quantize_groups);
  BITNET_EXPECT_FOUND(multiply_groups);
  BITNET_EXPECT_FOUND(groups_to_f32);
  BITNET_EXPECT_FOUND(round_activations);
  BITNET_EXPECT_FOUND(dense_f16);
  BITNET_EXPECT_FOUND(dense_f32);
  BITNET_EXPECT_FOUND(rope);
  BITNET_EXPECT_FOUND(attention_f16);
  BITNET_EXPECT_FOUND(attention_int8);
  BITNET_EXPECT_FOUND(attention_int16);
  BITNET_EXPECT_FOUND(quantize_kv_int8);
  BITNET_EXPECT_FOUND(quantize_kv_int16);
  BITNET_EXPECT_FOUND(attention_merge);
  BITNET_EXPECT_FOUND(attention_finish);
  BITNET_EXPECT_FOUND(gate_relu2);
  BITNET_EXPECT_FOUND(gate_silu);
  BITNET_EXPECT_FOUND(gate_gelu);
  BITNET_EXPECT_FOUND(add);
  BITNET_EXPECT_FOUND(to_f16);
  BITNET_EXPECT_FOUND(to_f32);
  BITNET_EXPECT_FOUND(exp_sum);
#undef BITNET_EXPECT_FOUND
}

// Of ternary products, each way through them: a fault from a number of tokens on.
template <Packing packing, size_t tokens>
void faulty_product(const TernaryProduct& p) {
  scalar_layer.kernels.ternary.of(packing).multiply(p);
  if (p.tokens >= tokens) p.out[(tokens - 1) * p.out_stride] += 1;
}
template <size_t tokens>
void expect_product_found() {
  Kernels table = scalar_layer.kernels;
  table.ternary.i2.multiply = faulty_product<Packing::i2, tokens>;
  EXPECT_FALSE(passes_self_check(table)) << "i2, " << tokens;
  table = scalar_layer.kernels;
  table.ternary.t5.multiply = faulty_product<Packing::t5, tokens>;
  EXPECT_FALSE(passes_self_check(table)) << "t5, " << tokens;
}
TEST(SelfCheck, FindsAFaultOfTernaryProducts) {
  expect_product_found<1>();
  expect_product_found<5>();
  expect_product_found<16>();
  expect_product_found<32>();
}

}  // namespace
}  // namespace bitnet
