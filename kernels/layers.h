// SPDX-License-Identifier: MIT
// Tables are made in layers: the scalar kernels below, and over them what each instruction set does better. Layers are
// data, so that no instruction of a set runs before the set is used.
#pragma once

#include <tuple>

#include "kernels.h"

namespace bitnet {

// What an instruction set has of its own: a table in which null means what the layer below has.
struct Layer {
  Kernels kernels;
  const Layer* below = nullptr;  // of the sets that every CPU with this one has; null: all is its own
};

extern const Layer scalar_layer;
extern const Layer portable_layer;  // the vector extensions of GCC and Clang, on any processor

extern const Layer sse2_layer;        // x86-64 baseline
extern const Layer sse41_layer;       // SSSE3, SSE4.1
extern const Layer avx2_layer;        // AVX2, F16C
extern const Layer avxvnni_layer;     // and AVX-VNNI
extern const Layer avx512_layer;      // AVX-512 F, BW, VL, DQ
extern const Layer avx512vnni_layer;  // and VNNI
extern const Layer avx512vbmi_layer;  // and VBMI
extern const Layer amx_layer;         // and the int8 tiles of AMX

extern const Layer neon_layer;     // Armv8-A baseline
extern const Layer dotprod_layer;  // and the dot products of Armv8.2-A
extern const Layer i8mm_layer;     // and the int8 matrix products of Armv8.6-A

// Every function of a table but the ternary products, which come together.
constexpr std::tuple kFunctions = {
    &Kernels::rms_norm,
    &Kernels::quantize,
    &Kernels::head_f16,
    &Kernels::head_int8,
    &Kernels::head_q5,
    &Kernels::head_q6,
    &Kernels::rope,
    &Kernels::attention_f16,
    &Kernels::attention_int8,
    &Kernels::attention_int16,
    &Kernels::quantize_kv_int8,
    &Kernels::quantize_kv_int16,
    &Kernels::attention_merge,
    &Kernels::attention_finish,
    &Kernels::gate_relu2,
    &Kernels::gate_silu,
    &Kernels::add,
    &Kernels::to_f16,
    &Kernels::to_f32,
    &Kernels::exp_sum,
};
static_assert(sizeof(Kernels) == sizeof(const char*) + sizeof(TernaryKernels) +
                                     std::tuple_size_v<decltype(kFunctions)> * sizeof(void (*)()),
              "kFunctions lacks a function of Kernels");

// The layer over all those below it.
Kernels table_of(const Layer& layer);

}  // namespace bitnet
