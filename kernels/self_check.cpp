// SPDX-License-Identifier: MIT
#include "self_check.h"

#include <cstring>
#include <memory>
#include <new>
#include <type_traits>

#include "layers.h"

namespace bitnet {
namespace {

// Sizes that fill no vector, tile or block. Two rows of queries see more than one block of keys.
constexpr size_t kCount = 77, kRows = 5, kTokens = 35, kQuantized = 300;
constexpr size_t kHeadDim = 20, kHeads = 2, kPositions = 70, kBlocks = 2, kQueryRows = 3;
constexpr size_t kStride = 80;  // of rows of the head

// Memory for the kernels' scratch, aligned to 64. Little of it is touched.
struct Scratch {
  static constexpr std::align_val_t kAlignment{64};
  static_assert(kTernaryScratchBytes >= kDenseScratchBytes);
  static_assert(kTernaryScratchBytes >= attention_scratch_bytes(KvType::f16, kQueryRows* kHeads, kHeadDim));
  void* const bytes = operator new(kTernaryScratchBytes, kAlignment);
  Scratch() = default;
  ~Scratch() { operator delete(bytes, kAlignment); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
};

// The same numbers each time.
class Numbers {
 public:
  uint32_t bits() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    return state_ ^= state_ << 5;
  }
  float value() { return static_cast<float>(static_cast<int32_t>(bits())) * 0x1p-29f; }  // -4 .. 4
  template <typename T, size_t n, typename F>
  static void fill(T (&values)[n], F next) {
    for (T& x : values) x = static_cast<T>(next());
  }

 private:
  uint32_t state_ = 2463534242;
};

struct Inputs {
  static constexpr size_t kBlockWeights = weights_per_block(Packing::t5);  // the longer
  static constexpr size_t kKvBytes = kBlocks * kKvBlock * (value_stride(kHeadDim) + 2) * sizeof(float);

  float x[kTokens * kCount], y[kTokens * kCount], steps[kTokens];
  f16 halves[kRows * kStride];
  int8_t bytes[kRows * kStride], activations[kTokens * kBlockWeights];
  alignas(64) uint8_t i2[2 * kGroupRows * kBlockBytes], t5[2 * kGroupRows * kBlockBytes];
  alignas(64) uint8_t tiles[2 * tile_bytes(Planes::q6)];
  alignas(64) uint8_t groups[group_bytes(kRows, kCount, kSmallestGroup)];
  alignas(64) uint8_t group_activations[kTokens * group_activation_bytes(kCount)];
  alignas(64) uint8_t keys[kKvBytes], values[kKvBytes];

  Inputs() {
    Numbers numbers;
    const auto value = [&] { return numbers.value(); };
    const auto bits = [&] { return numbers.bits(); };
    Numbers::fill(x, value);
    Numbers::fill(y, value);
    Numbers::fill(steps, [&] { return 1 + value() / 8; });
    scalar_layer.kernels.to_f16(x, kRows * kStride, halves);
    Numbers::fill(bytes, [&] { return bits() % 255 - 127; });
    Numbers::fill(activations, [&] { return bits() % 255 - 127; });
    const auto digit = [&] { return bits() % 3; };
    Numbers::fill(i2, [&] { return digit() | digit() << 2 | digit() << 4 | digit() << 6; });
    Numbers::fill(t5, [&] { return (256 * (bits() % 243) + 242) / 243; });
    Numbers::fill(tiles, bits);
  }

  void fill_groups(size_t group) {
    Numbers numbers;
    const auto digit = [&] { return numbers.bits() % 3; };
    Numbers::fill(groups, [&] { return digit() | digit() << 2 | digit() << 4 | digit() << 6; });
    std::memcpy(groups, halves, group_scale_bytes(group));
    for (size_t token = 0; token < kTokens; ++token) {
      scalar_layer.kernels.quantize_groups(x + token * kCount, kCount, group,
                                           group_activations + token * group_activation_bytes(kCount));
    }
  }

  void fill_cache(KvType type) {
    Numbers numbers;
    const auto fill = [&](uint8_t* block, size_t bytes, size_t steps_at) {
      for (size_t i = 0; i < bytes; ++i) block[i] = static_cast<uint8_t>(numbers.bits());
      for (size_t i = 0; i < kKvBlock; ++i)
        std::memcpy(block + steps_at + i * sizeof(float), steps + i % kTokens, sizeof(float));
    };
    for (size_t i = 0; i < kBlocks; ++i) {
      if (!has_codes(type)) {
        scalar_layer.kernels.to_f16(x, kHeadDim * kKvBlock, reinterpret_cast<f16*>(keys) + i * kHeadDim * kKvBlock);
        scalar_layer.kernels.to_f16(y, value_stride(kHeadDim) * kKvBlock,
                                    reinterpret_cast<f16*>(values) + i * value_stride(kHeadDim) * kKvBlock);
      } else {
        fill(keys + i * key_block_bytes(type, kHeadDim), key_block_bytes(type, kHeadDim), key_steps_at(type, kHeadDim));
        fill(values + i * value_block_bytes(type, kHeadDim), value_block_bytes(type, kHeadDim),
             value_steps_at(type, kHeadDim));
      }
    }
  }
};

bool same_bits(const void* a, const void* b, size_t bytes) { return std::memcmp(a, b, bytes) == 0; }

class SelfCheck {
 public:
  explicit SelfCheck(const Kernels& table) : table_(table) {}

  bool passes() {
    return floats_agree() && heads_agree() && dense_agree() && groups_agree() && attention_agrees() && ternary_agrees();
  }

 private:
  // Whether run(function, output) leaves the same in both outputs. What both tables have is not run.
  template <typename Function, typename F>
  bool agree(Function Kernels::*function, F run) {
    if (table_.*function == scalar_.*function) return true;
    std::memcpy(expected_, in_.y, sizeof expected_);
    std::memcpy(actual_, in_.y, sizeof actual_);
    run(scalar_.*function, expected_);
    run(table_.*function, actual_);
    return same_bits(expected_, actual_, sizeof actual_);
  }

  bool floats_agree() {
    const float *const x = in_.x, *const y = in_.y;
    const auto gate = [&](auto f, float* out) { f(x, y, kCount, out); };
    return agree(&Kernels::rms_norm, [&](auto f, float* out) { f(x, y, 1e-5f, kCount, out); }) &&
           agree(&Kernels::quantize,
                 [&](auto f, float* out) {
                   auto* const codes = reinterpret_cast<int8_t*>(out + 2);
                   out[0] = f(Packing::i2, x, kQuantized, codes);
                   out[1] = f(Packing::t5, x, kQuantized, codes + padded_cols(Packing::i2, kQuantized));
                 }) &&
           agree(&Kernels::round_activations, [&](auto f, float* out) { f(x, kCount, out); }) &&
           agree(&Kernels::rope, [&](auto f, float* out) { f(out, kHeads, kCount / 2 * 2, x, x + kCount); }) &&
           agree(&Kernels::gate_relu2, gate) && agree(&Kernels::gate_silu, gate) && agree(&Kernels::gate_gelu, gate) &&
           agree(&Kernels::add, [&](auto f, float* out) { f(out, x, kCount); }) &&
           agree(&Kernels::to_f16, [&](auto f, float* out) { f(x, kCount, reinterpret_cast<f16*>(out)); }) &&
           agree(&Kernels::to_f32, [&](auto f, float* out) { f(in_.halves, kCount, out); }) &&
           agree(&Kernels::exp_sum, [&](auto f, float* out) { out[kCount] = f(x, 4, kCount, out); });
  }

  bool head_agrees(void (*Kernels::*function)(const HeadProduct&), const void* weights, size_t tokens = kRows) {
    return agree(function, [&](auto f, float* out) {
      f({.weights = weights,
         .scales = in_.steps,
         .cols = kCount,
         .stride = kStride,
         .row_begin = 0,
         .row_end = kRows,
         .x = in_.x,
         .x_stride = kCount,
         .tokens = tokens,
         .out = out,
         .out_stride = kRows,
         .scratch = scratch_.bytes});
    });
  }
  // With one token and with many, which take another way.
  bool planes_agree(void (*Kernels::*function)(const HeadProduct&)) {
    return head_agrees(function, in_.tiles, 1) && head_agrees(function, in_.tiles, kTokens);
  }
  bool heads_agree() {
    for (size_t row = 0; row < kRows; ++row) {  // zeros between the rows
      std::memset(in_.halves + row * kStride + kCount, 0, (kStride - kCount) * sizeof(f16));
      std::memset(in_.bytes + row * kStride + kCount, 0, kStride - kCount);
    }
    return head_agrees(&Kernels::head_f16, in_.halves) && head_agrees(&Kernels::head_int8, in_.bytes) &&
           planes_agree(&Kernels::head_q5) && planes_agree(&Kernels::head_q6);
  }

  // With few tokens and with many, which take another way.
  bool dense_agrees(void (*Kernels::*function)(const HeadProduct&), const void* weights, const float* x) {
    const auto agrees = [&](size_t tokens) {
      return agree(function, [&](auto f, float* out) {
        f({.weights = weights,
           .scales = nullptr,
           .cols = kCount,
           .stride = kCount,
           .row_begin = 0,
           .row_end = kRows,
           .x = x,
           .x_stride = kCount,
           .tokens = tokens,
           .out = out,
           .out_stride = kRows,
           .scratch = scratch_.bytes});
      });
    };
    return agrees(1) && agrees(kTokens);
  }
  bool dense_agree() {
    alignas(64) float rounded[kTokens * kCount];
    scalar_.round_activations(in_.x, kTokens * kCount, rounded);
    return dense_agrees(&Kernels::dense_f16, in_.halves, rounded) && dense_agrees(&Kernels::dense_f32, in_.y, in_.x);
  }

  bool groups_agree(size_t group) {
    in_.fill_groups(group);
    const auto multiply_agrees = [&](size_t tokens) {
      return agree(&Kernels::multiply_groups, [&](auto f, float* out) {
        f({.weights = in_.groups,
           .cols = kCount,
           .group = group,
           .row_begin = 0,
           .row_end = kRows,
           .scales = in_.steps,
           .row_scales = true,
           .activations = in_.group_activations,
           .activation_stride = group_activation_bytes(kCount),
           .tokens = tokens,
           .out = out,
           .out_stride = kRows});
      });
    };
    return agree(&Kernels::quantize_groups, [&](auto f, float* out) { f(in_.x, kCount, group, out); }) &&
           agree(&Kernels::groups_to_f32,
                 [&](auto f, float* out) { f(in_.groups, kCount, group, kRows - 1, in_.steps[0], out); }) &&
           multiply_agrees(1) && multiply_agrees(kTokens);
  }
  bool groups_agree() { return groups_agree(64) && groups_agree(128); }

  bool attention_agrees(void (*Kernels::*function)(const Attention&), KvType type, size_t window) {
    in_.fill_cache(type);
    static_assert(kBlocks == 2);
    const void* const keys[] = {in_.keys, in_.keys + key_block_bytes(type, kHeadDim), in_.keys};
    const void* const values[] = {in_.values, in_.values + value_block_bytes(type, kHeadDim), in_.values};
    return agree(function, [&](auto f, float* out) {
      f({.q = in_.x,
         .q_stride = kHeads * kHeadDim,
         .rows = kQueryRows,
         .group = kHeads,
         .keys = keys,
         .values = values,
         .head_dim = kHeadDim,
         .length = kPositions,
         .scale = 0.25f,
         .states = out,
         .scratch = scratch_.bytes,
         .window = window});
      // Of a state, what follows the largest score and the sum is not used.
      constexpr size_t kFloats = attention_state_floats(kHeadDim), kUsed = value_stride(kHeadDim) + 2;
      for (size_t i = 0; i < kQueryRows * kHeads; ++i)
        std::memset(out + i * kFloats + kUsed, 0, (kFloats - kUsed) * sizeof(float));
    });
  }
  bool attention_agrees() {
    const auto quantize_kv = [&](auto f, float* out) {
      out[0] = f(in_.x, kCount, reinterpret_cast<std::remove_pointer_t<decltype(codes_of(f))>*>(out + 1));
    };
    const auto attends = [&](size_t window) {
      return attention_agrees(&Kernels::attention_f16, KvType::f16, window) &&
             attention_agrees(&Kernels::attention_int8, KvType::int8, window) &&
             attention_agrees(&Kernels::attention_int16, KvType::int16, window);
    };
    return attends(SIZE_MAX) && attends(kPositions - kQueryRows) && agree(&Kernels::quantize_kv_int8, quantize_kv) &&
           agree(&Kernels::quantize_kv_int16, quantize_kv) &&
           agree(&Kernels::attention_merge, [&](auto f, float* out) { f(out, in_.x, kHeadDim); }) &&
           agree(&Kernels::attention_finish, [&](auto f, float* out) { f(in_.x, kHeadDim, out); });
  }
  template <typename Code>
  static Code* codes_of(float (*)(const float*, size_t, Code*));

  // By counts of tokens that take each way through the products.
  bool ternary_agrees(Packing packing, const uint8_t* weights) {
    const auto multiply = [&](const TernaryKernel& kernel, size_t tokens, float* out) {
      kernel.multiply({.weights = weights,
                       .blocks = 1,
                       .row_begin = 0,
                       .row_end = kRows,
                       .scales = in_.steps,
                       .row_scales = true,
                       .activations = in_.activations,
                       .steps = in_.steps,
                       .tokens = tokens,
                       .out = out,
                       .out_stride = kRows,
                       .scratch = scratch_.bytes});
    };
    const TernaryKernel &kernel = table_.ternary.of(packing), &scalar = scalar_.ternary.of(packing);
    if (kernel.multiply == scalar.multiply) return true;
    multiply(scalar, kTokens, expected_);
    for (const size_t tokens : {size_t{3}, size_t{7}, size_t{11}, kTokens}) {
      std::memset(actual_, 0, sizeof actual_);
      multiply(kernel, tokens, actual_);
      if (!same_bits(expected_, actual_, tokens * kRows * sizeof(float))) return false;
    }
    return true;
  }
  bool ternary_agrees() { return ternary_agrees(Packing::i2, in_.i2) && ternary_agrees(Packing::t5, in_.t5); }

  const Kernels &table_, &scalar_ = scalar_layer.kernels;
  Inputs in_;
  const Scratch scratch_;
  alignas(64) float expected_[kTokens * kCount], actual_[kTokens * kCount];
};

}  // namespace

bool passes_self_check(const Kernels& table) { return std::make_unique<SelfCheck>(table)->passes(); }

}  // namespace bitnet
