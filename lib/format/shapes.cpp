// SPDX-License-Identifier: MIT
#include "format/shapes.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace bitnet {
namespace {

constexpr Llama3Scaling kLlama3 = {
    .factor = 32, .low_frequency_factor = 1, .high_frequency_factor = 4, .original_context = 8192};

// Families, of which each shape takes what all its members have in common.
constexpr Shape bitnet_shape(std::string_view name, uint32_t hidden, uint32_t ffn, uint32_t layers, uint32_t heads) {
  return {name,  "bitnet-b1.58", Weights::ternary, true,  false, hidden, ffn,   layers,
          heads, heads,          hidden / heads,   32002, 2048,  10000,  1e-5f, RopeKind::plain};
}
constexpr Shape bitnet_silu(std::string_view name, uint32_t hidden, uint32_t ffn, uint32_t layers, uint32_t heads) {
  Shape shape = bitnet_shape(name, hidden, ffn, layers, heads);
  shape.architecture = "bitnet";
  return shape;
}
constexpr Shape falcon3(std::string_view name, uint32_t hidden, uint32_t ffn, uint32_t layers, uint32_t heads,
                        uint32_t context) {
  return {name, "llama", Weights::ternary, false,   false, hidden,         ffn, layers, heads, 4,
          256,  131072,  context,          1000042, 1e-6f, RopeKind::plain};
}
constexpr Shape falcon_e(std::string_view name, uint32_t ffn, uint32_t layers) {
  return {name,  "llama", Weights::ternary, false, false,          2048, ffn, layers, 16, 2, 128,
          32768, 32768,   500042,           1e-5f, RopeKind::plain};
}
constexpr Shape trilm(std::string_view name, uint32_t hidden, uint32_t ffn, uint32_t layers, uint32_t heads,
                      uint32_t vocabulary) {
  return {name,  "llama", Weights::groups, false,      false, hidden, ffn,   layers,
          heads, heads,   hidden / heads,  vocabulary, 2048,  10000,  1e-5f, RopeKind::plain};
}
constexpr Shape qwen3(std::string_view name, uint32_t hidden, uint32_t ffn, uint32_t layers, uint32_t heads,
                      bool tied) {
  return {name, "qwen3", Weights::dense, tied,    false, hidden,         ffn, layers, heads, 8,
          128,  151936,  40960,          1000000, 1e-6f, RopeKind::plain};
}
constexpr Shape bonsai(std::string_view name, uint32_t hidden, uint32_t ffn, uint32_t layers, uint32_t heads, bool tied,
                       uint32_t context) {
  Shape shape = qwen3(name, hidden, ffn, layers, heads, tied);
  shape.weights = Weights::groups;
  shape.ternary_tokens = true;
  shape.context = context;
  shape.rope = RopeKind::yarn;
  return shape;
}
constexpr Shape smollm2(std::string_view name, uint32_t hidden, uint32_t ffn, uint32_t layers, uint32_t heads,
                        uint32_t kv_heads, float theta) {
  return {name, "llama", Weights::dense, true,  false, hidden,         ffn, layers, heads, kv_heads,
          64,   49152,   8192,           theta, 1e-5f, RopeKind::plain};
}

// No windows, as bitnet.cpp has it.
constexpr Shape gemma3(std::string_view name, uint32_t hidden, uint32_t ffn, uint32_t layers, uint32_t heads,
                       uint32_t kv_heads, uint32_t window) {
  Shape shape = {name, "gemma3", Weights::dense, true,    false, hidden,         ffn, layers, heads, kv_heads,
                 256,  262144,   32768,          1000000, 1e-6f, RopeKind::plain};
  shape.window = window;
  return shape;
}
constexpr Shape embedding(Shape shape) {
  shape.weights = Weights::ternary;
  shape.tied = false;
  shape.embeds = true;
  shape.input_norms = true;
  return shape;
}
constexpr Shape embedding_270m(std::string_view name) {
  Shape shape = embedding(gemma3(name, 640, 2048, 18, 4, 1, 0));
  shape.rope_theta = 10000;
  return shape;
}
constexpr Shape grouped(Shape shape) {
  shape.weights = Weights::groups;
  return shape;
}
constexpr Shape minicpm(std::string_view name, uint32_t hidden, uint32_t ffn, uint32_t layers, uint32_t heads,
                        bool tied) {
  return {name,  "minicpm", Weights::groups, tied,  false, hidden, ffn,   layers,
          heads, 2,         hidden / heads,  73448, 32768, 10000,  1e-6f, RopeKind::plain};
}
constexpr Shape with_experts(Shape shape, uint32_t experts, uint32_t used) {
  shape.architecture = "qwen3moe";
  shape.experts = experts;
  shape.experts_used = used;
  return shape;
}
// As its configuration says; its code sees `window` tokens besides the own one.
constexpr Shape maple(std::string_view name, uint32_t window, uint32_t experts, uint32_t used) {
  Shape shape = {name, "maple", Weights::groups, false, false, 2048,           512, 24, 16, 4,
                 128,  151936,  131072,          10000, 1e-6f, RopeKind::plain};
  shape.window = window + 1;
  shape.experts = experts;
  shape.experts_used = used;
  shape.maple = true;
  return shape;
}
constexpr Shape in_quarters(Shape shape) {  // of layers, of which the last has no window
  shape.layers = 4;
  return shape;
}
constexpr Shape with_context(Shape shape, uint32_t context) {
  shape.context = context;
  return shape;
}

constexpr Shape with_tokens(Shape shape, uint32_t kv_heads, uint32_t vocabulary, float theta, uint32_t context) {
  shape.kv_heads = kv_heads;
  shape.vocabulary = vocabulary;
  shape.rope_theta = theta;
  shape.context = context;
  return shape;
}

// A family on a scale for tests: sizes that fill no blocks, but for those of Q2_0, and heads that are not the
// embedding's share.
constexpr Shape tiny(std::string_view name, Shape family, uint32_t kv_heads, uint32_t head_dim) {
  family.name = name;
  family.hidden = 320;
  family.ffn = 832;
  family.layers = 3;
  family.heads = 4;
  family.kv_heads = kv_heads;
  family.head_dim = head_dim;
  family.vocabulary = 1000;
  family.context = 512;
  return family;
}

// The same in whole blocks of TQ2_0.
constexpr Shape in_blocks(Shape shape) {
  shape.hidden = 512;
  shape.ffn = 768;
  return shape;
}

// In whole blocks of I2_S.
constexpr Shape in_i2s(Shape shape) {
  shape.hidden = 384;
  shape.ffn = 896;
  return shape;
}

constexpr Shape kLlama3Ternary = {
    "Llama3-8B-1.58", "llama", Weights::ternary, false, false,          4096, 14336, 32, 32, 8, 128,
    128256,           8192,    500000,           1e-5f, RopeKind::plain};
constexpr Shape kLlama32 = {"Llama-3.2-1B", "llama", Weights::dense, true,  false,           2048, 8192, 16, 32, 8, 64,
                            128256,         131072,  500000,         1e-5f, RopeKind::llama3};
constexpr Shape kQwen25 = {"Qwen2.5-1.5B", "qwen2", Weights::dense, true,  false,          1536, 8960, 28, 12, 2, 128,
                           151936,         32768,   1000000,        1e-6f, RopeKind::plain};
// A norm before each matrix.
constexpr Shape kQwen25Normed = {"Qwen2.5-32B-BitNet",
                                 "qwen2",
                                 Weights::ternary,
                                 false,
                                 false,
                                 5120,
                                 27648,
                                 64,
                                 40,
                                 8,
                                 128,
                                 152064,
                                 32768,
                                 1000000,
                                 1e-5f,
                                 RopeKind::plain,
                                 0,
                                 false,
                                 true};
constexpr Shape kVibeAsr = {"VibeASR", "qwen2", Weights::ternary, false, false,   1536,  8960,           28, 12,
                            2,         128,     151936,           32768, 1000000, 1e-6f, RopeKind::plain};

// Where the numbers are from.
// 125M to 100B: utils/generate-dummy-bitnet-model.py of bitnet.cpp; 700M and 3B are the shapes of bitnet_b1_58.
// bitnet_b1_58, 2B-4T, Llama3-8B-1.58, Falcon3, Llama-3.2, Qwen and SmolLM2: their published configurations.
// Falcon-E: layers and widths that fit the sizes of its published files; heads and theta are a guess.
// TriLM: Spectra (arXiv 2407.12327), table of hyperparameters.
// Bonsai: its model cards, which name Qwen3's shapes with other contexts.
// BitNet-embedding: docs/bitnet-embeddings-i2s-guide.md of bitnet.cpp. Gemma-3-270M: its published configuration.
// Qwen2.5-32B-BitNet: pull request 522 of bitnet.cpp, Qwen2.5-32B. BitCPM4: the published configurations of
// MiniCPM4-0.5B and -8B, from which these were made. Neutrino-8B: Qwen3-8B, from which it was made. Maple-20B-A1B and
// Qwen3-30B-A3B: their published configurations. VibeASR: Qwen2.5-1.5B, by the README of VibeASR.cpp, with a head of
// its own, by the size of its file.
constexpr auto kShapes = std::to_array<Shape>({
    with_tokens(bitnet_shape("tiny", 320, 864, 3, 4), 2, 1000, 10000, 512),
    bitnet_shape("125M", 768, 3072, 11, 12),
    bitnet_shape("350M", 1024, 3072, 24, 16),
    bitnet_shape("700M", 1536, 4096, 24, 16),
    bitnet_shape("1B", 2048, 3584, 24, 32),
    bitnet_shape("1.5B", 1536, 9216, 28, 32),
    with_tokens(bitnet_shape("2B-4T", 2560, 6912, 30, 20), 5, 128256, 500000, 4096),
    bitnet_shape("2.7B", 3072, 7680, 24, 32),
    bitnet_shape("3B", 3200, 8640, 26, 32),
    bitnet_shape("3.8B", 3840, 8192, 24, 32),
    bitnet_shape("7B", 4096, 12032, 32, 32),
    bitnet_shape("13B", 5120, 13824, 40, 40),
    bitnet_shape("30B", 6656, 16384, 60, 52),
    bitnet_shape("70B", 8192, 24576, 80, 64),
    bitnet_shape("100B", 8192, 45568, 72, 64),

    bitnet_silu("bitnet_b1_58-large", 1536, 4096, 24, 16),
    bitnet_silu("bitnet_b1_58-3B", 3200, 8640, 26, 32),
    kLlama3Ternary,
    falcon3("Falcon3-1B-1.58", 2048, 8192, 18, 8, 8192),
    falcon3("Falcon3-3B-1.58", 3072, 9216, 22, 12, 32768),
    falcon3("Falcon3-7B-1.58", 3072, 23040, 28, 12, 32768),
    falcon3("Falcon3-10B-1.58", 3072, 23040, 40, 12, 32768),
    falcon_e("Falcon-E-1B", 9216, 24),
    falcon_e("Falcon-E-3B", 13312, 32),
    trilm("TriLM-99M", 512, 1280, 16, 8, 50304),
    trilm("TriLM-190M", 768, 2048, 16, 12, 50304),
    trilm("TriLM-390M", 1024, 2560, 24, 16, 50304),
    trilm("TriLM-560M", 1280, 3072, 24, 20, 50304),
    trilm("TriLM-830M", 1536, 4096, 24, 24, 50304),
    trilm("TriLM-1.1B", 1792, 5120, 24, 28, 50432),
    trilm("TriLM-1.5B", 2048, 6144, 24, 32, 50432),
    trilm("TriLM-2.4B", 2304, 7680, 30, 36, 50304),
    trilm("TriLM-3.9B", 3072, 9216, 30, 24, 50688),
    bonsai("Bonsai-1.7B", 2048, 6144, 28, 16, true, 32768),
    bonsai("Bonsai-4B", 2560, 9728, 36, 32, true, 32768),
    bonsai("Bonsai-8B", 4096, 12288, 36, 32, false, 65536),
    kQwen25Normed,
    minicpm("BitCPM4-0.5B", 1024, 4096, 24, 16, true),
    minicpm("BitCPM4-CANN-8B", 4096, 16384, 32, 32, false),
    grouped(qwen3("Neutrino-8B", 4096, 12288, 36, 32, false)),
    maple("Maple-20B-A1B", 512, 256, 8),
    with_experts(with_tokens(qwen3("Qwen3-30B-A3B", 2048, 768, 48, 32, false), 4, 151936, 1000000, 40960), 128, 8),
    kVibeAsr,
    kLlama32,
    kQwen25,
    qwen3("Qwen3-0.6B", 1024, 3072, 28, 16, true),
    qwen3("Qwen3-1.7B", 2048, 6144, 28, 16, true),
    qwen3("Qwen3-4B", 2560, 9728, 36, 32, true),
    qwen3("Qwen3-8B", 4096, 12288, 36, 32, false),
    embedding(with_context(qwen3("BitNet-embedding-0.6B", 1024, 3072, 28, 16, true), 32768)),
    embedding_270m("BitNet-embedding-270M"),
    gemma3("Gemma-3-270M", 640, 2048, 18, 4, 1, 512),
    smollm2("SmolLM2-135M", 576, 1536, 30, 9, 3, 100000),
    smollm2("SmolLM2-360M", 960, 2560, 32, 15, 5, 100000),
    smollm2("SmolLM2-1.7B", 2048, 8192, 24, 32, 32, 130000),

    tiny("tiny-bitnet", bitnet_silu("", 320, 864, 3, 4), 4, 80),
    tiny("tiny-falcon3", falcon3("", 320, 864, 3, 4, 512), 2, 96),
    tiny("tiny-trilm", trilm("", 320, 864, 3, 4, 1000), 4, 80),
    tiny("tiny-bonsai", bonsai("", 320, 864, 3, 4, true, 512), 2, 128),
    tiny("tiny-bonsai-8b", bonsai("", 320, 864, 3, 4, false, 512), 2, 128),
    in_blocks(tiny("tiny-vibeasr", kVibeAsr, 2, 128)),
    in_i2s(tiny("tiny-qwen2-normed", kQwen25Normed, 2, 128)),
    tiny("tiny-minicpm", minicpm("", 320, 864, 3, 4, true), 2, 80),
    in_quarters(tiny("tiny-maple", maple("", 40, 12, 3), 2, 96)),
    tiny("tiny-qwen3moe", with_experts(qwen3("", 320, 864, 3, 4, false), 6, 2), 2, 96),
    tiny("tiny-llama", kLlama32, 2, 64),
    tiny("tiny-qwen2", kQwen25, 2, 80),
    tiny("tiny-qwen3", qwen3("", 320, 864, 3, 4, false), 2, 96),
    tiny("tiny-gemma3", gemma3("", 320, 864, 3, 4, 1, 64), 1, 128),
    in_i2s(tiny("tiny-embedding", embedding(qwen3("", 320, 864, 3, 4, true)), 2, 128)),
    in_i2s(tiny("tiny-embedding-gemma", embedding_270m(""), 1, 128)),
});

constexpr uint32_t kWindowPeriod = 6, kMaplePeriod = 4;  // Gemma 3's, Maple's
constexpr float kMapleLimit = 7;
constexpr float kWindowTheta = 10000;

bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace

HyperParameters Shape::hyper() const {
  HyperParameters result;
  result.architecture = &require_architecture(architecture);
  result.layers = layers;
  result.hidden = hidden;
  result.ffn = ffn;
  result.heads = heads;
  result.kv_heads = kv_heads;
  result.head_dim = head_dim;
  result.vocabulary = vocabulary;
  result.context = context;
  result.rms_epsilon = rms_epsilon;
  result.rope_theta = rope_theta;
  result.rope_magnitude = rope_scaling(*this).magnitude;
  result.activation = result.architecture->activation;
  if (result.architecture->scales) {
    result.embedding_scale = 12;
    result.residual_scale = 1.4f / std::sqrt(static_cast<float>(layers));
    result.logit_scale = static_cast<float>(hidden) / 256;
  }
  if (window != 0) {
    result.window = window;
    result.window_period = kWindowPeriod;
    result.window_theta = kWindowTheta;
  }
  result.experts = experts;
  result.experts_used = experts_used;
  result.normalised = experts != 0;
  if (maple) {
    result.window_period = kMaplePeriod;
    result.window_theta = rope_theta;
    result.only_windows_turn = true;
    result.rotary_dim = head_dim / 2;
    result.ffn_limit = kMapleLimit;
  }
  return result;
}

std::span<const Shape> shapes() { return kShapes; }

const Shape* find_shape(std::string_view name) {
  const auto* const found = std::ranges::find_if(kShapes, [&](const Shape& s) { return same_name(s.name, name); });
  return found == kShapes.end() ? nullptr : found;
}

RopeScaling rope_scaling(const Shape& shape) {
  const RopeBase base = {shape.head_dim, shape.rope_theta};
  switch (shape.rope) {
    case RopeKind::plain:
      return {};
    case RopeKind::llama3:
      return scale_rope_as_llama3(base, kLlama3);
    case RopeKind::yarn: {
      YarnScaling yarn = {.factor = kYarnFactor, .original_context = static_cast<double>(shape.context) / kYarnFactor};
      yarn.magnitude = yarn_magnitude(kYarnFactor);
      return scale_rope_by_yarn(base, yarn);
    }
  }
  return {};
}

}  // namespace bitnet
