// SPDX-License-Identifier: MIT
// Tables are made in layers: the scalar kernels below, and over them what each instruction set does better. Layers are
// data, so that no instruction of a set runs before the set is used.
#pragma once

#include <tuple>

#include "kernels.h"

namespace bitnet {

// What an instruction set has of its own: a table in which null means what the layer below has.
struct KernelLayer {
  Kernels kernels;
  const KernelLayer* below = nullptr;  // of the sets that every CPU with this one has; null: all is its own
};

extern const KernelLayer scalar_layer;
extern const KernelLayer portable_layer;  // the vector extensions of GCC and Clang, on any processor

extern const KernelLayer sse2_layer;        // x86-64 baseline
extern const KernelLayer sse41_layer;       // SSSE3, SSE4.1
extern const KernelLayer avx2_layer;        // AVX2, F16C
extern const KernelLayer fma_layer;         // and FMA
extern const KernelLayer avxvnni_layer;     // and AVX-VNNI
extern const KernelLayer avx512_layer;      // AVX-512 F, BW, VL, DQ
extern const KernelLayer avx512vnni_layer;  // and VNNI
extern const KernelLayer avx512vbmi_layer;  // and VBMI
extern const KernelLayer amx_layer;         // and the int8 tiles of AMX

extern const KernelLayer neon_layer;     // Armv8-A baseline
extern const KernelLayer dotprod_layer;  // and the dot products of Armv8.2-A
extern const KernelLayer i8mm_layer;     // and the int8 matrix products of Armv8.6-A

// Every function of a table but the ternary products, which come together.
constexpr std::tuple kFunctions = {
    &Kernels::rms_norm,
    &Kernels::quantize,
    &Kernels::head_f16,
    &Kernels::head_int8,
    &Kernels::head_q5,
    &Kernels::head_q6,
    &Kernels::quantize_groups,
    &Kernels::multiply_groups,
    &Kernels::groups_to_f32,
    &Kernels::round_activations,
    &Kernels::dense_f16,
    &Kernels::dense_f32,
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
    &Kernels::gate_gelu,
    &Kernels::add,
    &Kernels::to_f16,
    &Kernels::to_f32,
    &Kernels::exp_sum,
};
static_assert(sizeof(Kernels) == sizeof(const char*) + sizeof(TernaryKernels) +
                                     std::tuple_size_v<decltype(kFunctions)> * sizeof(void (*)()),
              "kFunctions lacks a function of Kernels");

// The layer over all those below it.
Kernels table_of(const KernelLayer& layer);

}  // namespace bitnet
