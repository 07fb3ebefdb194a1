// SPDX-License-Identifier: MIT
// Small random checkpoints as Hugging Face folders, whose tensors a test may spoil before they are written.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "base/half.h"
#include "format/files.h"
#include "format/safetensors_builder.h"

namespace bitnet_test {

struct HfTensor {
  std::string dtype;
  std::vector<uint64_t> shape;
  std::string bytes;
};

inline HfTensor f32_tensor(const std::vector<uint64_t>& shape, const std::vector<float>& values) {
  return {"F32", shape, {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)}};
}
inline HfTensor f16_tensor(const std::vector<uint64_t>& shape, const std::vector<float>& values) {
  std::string bytes;
  for (const float value : values) {
    const uint16_t half = bitnet::float_to_half(value);
    bytes.append(reinterpret_cast<const char*>(&half), sizeof half);
  }
  return {"F16", shape, bytes};
}
// Rounded towards zero.
inline HfTensor bf16_tensor(const std::vector<uint64_t>& shape, const std::vector<float>& values) {
  std::string bytes;
  for (const float value : values) {
    const char* const bits = reinterpret_cast<const char*>(&value);
    bytes.append(bits + 2, 2);
  }
  return {"BF16", shape, bytes};
}

// Weights in [rows x cols], packed as transformers does: rows r, r + rows/4, ... in bits 0, 2, ... of a byte.
inline HfTensor packed_tensor(uint64_t rows, uint64_t cols, const std::vector<int8_t>& trits) {
  std::string bytes(rows / 4 * cols, '\0');
  for (size_t i = 0; i < trits.size(); ++i) {
    const size_t quarter = i / bytes.size(), at = i % bytes.size();
    bytes[at] = static_cast<char>(bytes[at] | (trits[i] + 1) << 2 * quarter);
  }
  return {"U8", {rows / 4, cols}, bytes};
}

struct HfSample {
  static constexpr uint32_t kHidden = 128, kFfn = 192, kHeads = 2, kHeadDim = 64, kVocabulary = 272;
  nlohmann::json config;
  std::map<std::string, HfTensor> tensors;

  // A BitNet b1.58 2B-4T of one layer, packed, with a tied head.
  HfSample() {
    config = {{"architectures", {"BitNetForCausalLM"}},
              {"model_type", "bitnet"},
              {"hidden_act", "relu2"},
              {"hidden_size", kHidden},
              {"intermediate_size", kFfn},
              {"num_hidden_layers", 1},
              {"num_attention_heads", kHeads},
              {"num_key_value_heads", 1},
              {"vocab_size", kVocabulary},
              {"max_position_embeddings", 64},
              {"rms_norm_eps", 1e-5},
              {"rope_theta", 10000.0},
              {"tie_word_embeddings", true}};
    quantization("autobitlinear", "offline");
    tensors["model.embed_tokens.weight"] = bf16_tensor({kVocabulary, kHidden}, numbers(kVocabulary * kHidden));
    for (const char* const name :
         {"model.norm", "model.layers.0.input_layernorm", "model.layers.0.post_attention_layernorm",
          "model.layers.0.self_attn.attn_sub_norm"}) {
      tensors[name + std::string(".weight")] = bf16_tensor({kHidden}, numbers(kHidden));
    }
    tensors["model.layers.0.mlp.ffn_sub_norm.weight"] = bf16_tensor({kFfn}, numbers(kFfn));
    for (const auto& [name, shape] : linears()) {
      trits[name] = draw_trits(shape.first * shape.second);
      tensors[name + ".weight"] = packed_tensor(shape.first, shape.second, trits[name]);
      tensors[name + ".weight_scale"] = bf16_tensor({1}, {0.25f});
    }
  }

  // A plain Llama: no sub-norms, linears as `make` gives them from rows, cols and name.
  template <typename Make>
  void be_llama(const Make& make) {
    config["architectures"] = nlohmann::json::array({"LlamaForCausalLM"});
    config["model_type"] = "llama";
    config["hidden_act"] = "silu";
    config.erase("quantization_config");
    tensors.erase("model.layers.0.self_attn.attn_sub_norm.weight");
    tensors.erase("model.layers.0.mlp.ffn_sub_norm.weight");
    be_numbers(make);
  }
  // Linears as `make` gives them, without scales beside.
  template <typename Make>
  void be_numbers(const Make& make) {
    for (const auto& [name, shape] : linears()) {
      tensors.erase(name + ".weight_scale");
      tensors[name + ".weight"] = make(shape.first, shape.second, name);
    }
  }

  void quantization(const char* linear_class, const char* mode) {
    config["quantization_config"] = {
        {"quant_method", "bitnet"}, {"linear_class", linear_class}, {"quantization_mode", mode}};
  }

  static std::map<std::string, std::pair<uint64_t, uint64_t>> linears() {
    const std::string layer = "model.layers.0.";
    return {{layer + "self_attn.q_proj", {kHeads * kHeadDim, kHidden}},
            {layer + "self_attn.k_proj", {kHeadDim, kHidden}},
            {layer + "self_attn.v_proj", {kHeadDim, kHidden}},
            {layer + "self_attn.o_proj", {kHidden, kHeads * kHeadDim}},
            {layer + "mlp.gate_proj", {kFfn, kHidden}},
            {layer + "mlp.up_proj", {kFfn, kHidden}},
            {layer + "mlp.down_proj", {kHidden, kFfn}}};
  }

  std::vector<float> numbers(size_t count) {
    std::vector<float> values(count);
    for (float& value : values) value = static_cast<float>(static_cast<int>(random() % 255) - 127) / 64;
    return values;
  }
  std::vector<int8_t> draw_trits(size_t count) {
    std::vector<int8_t> drawn(count);
    for (int8_t& trit : drawn) trit = static_cast<int8_t>(random() % 3) - 1;
    return drawn;
  }

  // A vocabulary of the bytes, as GPT-2's alphabet writes them, in Llama 3's form.
  static nlohmann::json tokenizer() {
    nlohmann::json vocabulary = nlohmann::json::object();
    int other = 256;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
      const int character = printable ? byte : other++;
      std::string text;
      if (character < 128) {
        text = static_cast<char>(character);
      } else {
        text += static_cast<char>(0xc0 | character >> 6);
        text += static_cast<char>(0x80 | (character & 63));
      }
      vocabulary[text] = byte;
    }
    const nlohmann::json byte_level = {
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
    const char* const pattern =
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
    return {{"version", "1.0"},
            {"added_tokens", nlohmann::json::array()},
            {"normalizer", nullptr},
            {"pre_tokenizer",
             {{"type", "Sequence"},
              {"pretokenizers",
               {{{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}},
                byte_level}}}},
            {"post_processor", byte_level},
            {"decoder", byte_level},
            {"model",
             {{"type", "BPE"}, {"ignore_merges", true}, {"vocab", vocabulary}, {"merges", nlohmann::json::array()}}}};
  }

  std::string file() const {
    SafetensorsBuilder builder;
    builder.metadata = R"({"format":"pt"})";
    for (const auto& [name, tensor] : tensors) builder.tensor(name, tensor.dtype, tensor.shape, tensor.bytes);
    return builder.build();
  }

  void write(const TemporaryFolder& folder) const {
    write_file(folder / "config.json", config.dump());
    write_file(folder / "tokenizer.json", tokenizer().dump());
    write_file(folder / "model.safetensors", file());
  }

  std::map<std::string, std::vector<int8_t>> trits;  // of each packed linear
  std::mt19937 random{7};
};

}  // namespace bitnet_test
