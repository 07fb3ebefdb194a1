// SPDX-License-Identifier: MIT
#include "format/hf_source.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/finite.h"
#include "base/half.h"
#include "base/parallel.h"
#include "format/hf_config.h"
#include "format/hf_folder.h"
#include "format/hf_tokenizer.h"
#include "format/metadata.h"
#include "format/open.h"
#include "format/safetensors.h"
#include "format/scale_finder.h"
#include "model/model.h"

namespace bitnet {
namespace {

constexpr std::string_view kHfHead = "lm_head.weight";

// Buffers that transformers computes anew, which old versions wrote all the same.
bool is_buffer(std::string_view name) {
  return name.ends_with(".rotary_emb.inv_freq") || name.ends_with(".rotary_emb.cos_cached") ||
         name.ends_with(".rotary_emb.sin_cached");
}

// Whether transformers would have a tensor's codes multiplied or divided by a scale that lies beside it.
bool has_scales(HfWeights weights) {
  switch (weights) {
    case HfWeights::plain:
    case HfWeights::rounded:
    case HfWeights::master:
      return false;
    case HfWeights::divided:
    case HfWeights::multiplied:
      return true;
  }
  return false;
}

class HfSource final : public Source {
 public:
  HfSource(const std::string& folder, const HfSourceOptions& options) : files_(folder), config_(read_config(folder)) {
    model_.architecture = config_.architecture;
    model_.hyper = std::make_unique<fb::HyperParametersT>(config_.hyper);
    const HyperParameters hyper = read_hyperparameters(model_);
    with_path("config.json", [&] { check_hyperparameters(hyper); });
    if (!files_.is_mapped()) log_unmapped(folder, files_.owned_bytes(), options.log);
    find_tensors(hyper);
    check_input_norms();
    if (config_.stretched) say_stretched(options.log);
    // The weights of BitLinear, which norms its inputs itself, are rounded wherever they are used.
    if (by_name_.contains(std::string(kInputNormName)) && config_.weights == HfWeights::plain) {
      config_.weights = HfWeights::rounded;
    }
    const bool head = by_name_.contains(std::string(kHeadName));
    model_.headless = config_.headless && !head;
    // Where nothing is said, the classes do not tie; but then there has to be a head.
    model_.tied = !model_.headless && config_.tied.value_or(!head);
    model_.pooling = hf_pooling(folder);
    model_.name = hf_name(folder);
    model_.license = hf_license(folder);
    model_.notes = hf_notes(folder);
    HfTokenizer texts = read_hf_tokenizer(folder, hyper.vocabulary, options.log);
    model_.tokenizer = std::move(texts.tokenizer);
    model_.chat_template = std::move(texts.chat_template);
    model_.settled = true;
  }

  const Safetensors& files() const { return files_; }

  fb::ModelT describe() const override { return model_; }

  bool has(std::string_view name) const override {
    if (name == kRopeFactorsName) return !config_.rope_factors.empty();
    if (name == kHeadName) return !model_.tied && !model_.headless;
    return by_name_.contains(std::string(name));
  }

  std::string own_name(const TensorSpec& spec) const override {
    return is_computed(spec) ? spec.name : find(spec).name;
  }

  void check(const std::vector<TensorSpec>& specs) const override {
    for (const TensorSpec& spec : specs) {
      if (is_computed(spec)) continue;
      for (uint32_t i = 0; i < parts(spec); ++i) check_tensor(spec, part(spec, i));
    }
    check_all_known(specs);
    check_biases(specs);
    if (model_.tied) check_tied_head(specs.front());
  }

  std::optional<Tensor> stored(const TensorSpec& spec, fb::Type type) const override {
    const bool meant = spec.role != Role::linear || config_.weights == HfWeights::plain;
    if (is_computed(spec) || !meant || spec.experts != 0) return std::nullopt;
    const Safetensor& tensor = find(spec);
    const bool same = type == fb::Type::f16 && tensor.type == Safetype::f16;
    if (!same || row_stride(type, spec.cols) != spec.cols) return std::nullopt;
    if (reinterpret_cast<uintptr_t>(tensor.data.data()) % alignof(uint16_t) != 0) return std::nullopt;
    return Tensor{spec.name, type, spec.rows, spec.cols, spec.cols, tensor.data, {}, {}, 0};
  }

  // What transformers does: activations of a layer that config.json does not make BitNet's stay floats.
  std::optional<ActivationBits> activation_bits() const override {
    return config_.weights == HfWeights::plain ? ActivationBits::int16 : ActivationBits::int8;
  }

  TernaryScales ternary_scales(const TensorSpec& spec) const override {
    const Safetensor& tensor = find(spec);
    if (is_packed(tensor)) return {.scales = scales_beside(spec)};
    TernaryScales result = scales_by_values(spec);
    if (spec.role != Role::linear) return result;
    require(spec.experts == 0 || config_.weights == HfWeights::plain, BITNET_ERROR_UNSUPPORTED, "tensor ", tensor.name,
            " is an expert's, whose weights are supported as they are or packed, not to be rounded or scaled");
    const bool masters = config_.weights == HfWeights::master && !result.is_ternary();
    if (masters || config_.weights == HfWeights::rounded) return round_by_absmean(result.mean);
    const float factor = scale_beside(tensor);
    result.mean *= factor;
    for (float& scale : result.scales) {
      scale *= factor;
      require(std::isfinite(scale) && scale > 0, BITNET_ERROR_FORMAT, "tensor ", tensor.name, " has the scale ", scale,
              "; a scale must be finite and positive",
              scale == 0 ? ". All weights are zero: the file is damaged; get it anew" : "");
    }
    return result;
  }

  void read_trits(const TensorSpec& spec, const TernaryScales& scales, uint32_t row, uint32_t count,
                  int8_t* out) const override {
    std::vector<float> values(spec.cols);
    for (uint32_t r = 0; r < count; ++r, out += spec.cols) {
      const Safetensor& tensor = part(spec, (row + r) / part_rows(spec));
      const uint32_t own = (row + r) % part_rows(spec);
      if (is_packed(tensor)) {
        read_codes(tensor, own, out);
        continue;
      }
      safetensor_values(tensor, uint64_t{own} * spec.cols, values);
      if (spec.role == Role::linear) multiply_by_scale(tensor, values);
      round_to_trits(values, scales.inverse_mean, out);
    }
  }

  void read_values(const TensorSpec& spec, uint32_t row, uint32_t count, float* out) const override {
    if (is_computed(spec)) {
      std::ranges::copy(config_.rope_factors, out);
      return;
    }
    for (uint32_t r = row, left = count; left != 0;) {
      const uint32_t own = r % part_rows(spec), rows = std::min(left, part_rows(spec) - own);
      read_part(spec, part(spec, r / part_rows(spec)), own, rows, out);
      out += size_t{rows} * spec.cols;
      r += rows;
      left -= rows;
    }
  }

  void read_part(const TensorSpec& spec, const Safetensor& tensor, uint32_t row, uint32_t count, float* out) const {
    const std::span values(out, size_t{count} * spec.cols);
    if (is_packed(tensor)) {
      std::vector<int8_t> codes(spec.cols);
      for (uint32_t r = 0; r < count; ++r) {
        read_codes(tensor, row + r, codes.data());
        std::ranges::copy(codes, out + size_t{r} * spec.cols);
      }
    } else {
      safetensor_values(tensor, uint64_t{row} * spec.cols, values);
    }
    if (spec.role == Role::linear) multiply_by_scale(tensor, values);
    if (is_less_one(spec)) {
      for (float& value : values) value += 1;
    }
  }

  void release(const TensorSpec& spec, uint32_t row, uint32_t count) const override {
    if (is_computed(spec) || !files_.is_mapped()) return;
    if (spec.experts != 0) return release_experts(spec, row, count);
    const Safetensor& tensor = find(spec);
    const uint64_t row_bytes = tensor.data.size() / tensor.rows;
    if (!is_packed(tensor)) return drop_pages(tensor.data.subspan(row_bytes * row, row_bytes * count));
    // A byte holds weights of four rows, of which the last is read last.
    const uint64_t before = tensor.rows * (kHfRowsInByte - 1), begin = std::max<uint64_t>(row, before),
                   end = uint64_t{row} + count;
    if (begin < end) drop_pages(tensor.data.subspan(row_bytes * (begin - before), row_bytes * (end - begin)));
  }

 private:
  // The tensors of a matrix: one, or one for each expert.
  static uint32_t parts(const TensorSpec& spec) { return std::max(spec.experts, 1u); }
  static uint32_t part_rows(const TensorSpec& spec) { return spec.rows / parts(spec); }
  const Safetensor& part(const TensorSpec& spec, uint32_t index) const {
    return spec.experts == 0 ? find(spec) : *experts_.at(spec.name)[index];
  }

  // Of packed ones nothing: rows of all of an expert's quarters share bytes.
  void release_experts(const TensorSpec& spec, uint32_t row, uint32_t count) const {
    while (count != 0) {
      const uint32_t own = row % part_rows(spec), rows = std::min(count, part_rows(spec) - own);
      const Safetensor& tensor = part(spec, row / part_rows(spec));
      const uint64_t row_bytes = tensor.data.size() / part_rows(spec);
      if (!is_packed(tensor)) drop_pages(tensor.data.subspan(row_bytes * own, row_bytes * rows));
      row += rows;
      count -= rows;
    }
  }

  // Of packed matrices: one scale, or the experts' for each row.
  std::vector<float> scales_beside(const TensorSpec& spec) const {
    std::vector<float> scales;
    for (uint32_t i = 0; i < parts(spec); ++i) {
      scales.insert(scales.end(), spec.experts == 0 ? 1 : part_rows(spec), scale_beside(part(spec, i)));
    }
    const float first = scales.front();
    if (std::ranges::all_of(scales, [first](float scale) { return scale == first; })) scales.resize(1);
    return scales;
  }

  static HfConfig read_config(const std::string& folder) {
    return with_path("config.json", [&] { return read_hf_config(read_json(folder + "/config.json", kMaxConfig)); });
  }

  // By the names that we have for them. Tensors that no specification asks for are not among them.
  void find_tensors(const HyperParameters& hyper) {
    for (const TensorSpec& spec : tensor_specs(hyper, [](std::string_view) { return true; })) {
      for (const std::string& name : spec.hf_names) {
        const Safetensor* const tensor = find_file(spec.experts == 0 ? name : expert_name(name, 0));
        if (tensor != nullptr) by_name_.emplace(spec.name, tensor);
        if (tensor != nullptr && spec.experts != 0) find_experts(spec, name);
      }
    }
  }

  const Safetensor* find_file(const std::string& name) const {
    const Safetensor* const tensor = files_.find(name);
    // A class that is the network alone has no "model." before its names.
    constexpr std::string_view kModel = "model.";
    return tensor == nullptr && name.starts_with(kModel) ? files_.find(name.substr(kModel.size())) : tensor;
  }

  void find_experts(const TensorSpec& spec, const std::string& pattern) {
    auto& found = experts_[spec.name];
    for (uint32_t i = 0; i < spec.experts; ++i) {
      const std::string name = expert_name(pattern, i);
      found.push_back(find_file(name));
      require(found.back() != nullptr, BITNET_ERROR_FORMAT, "tensor ", name,
              " is missing; by config.json each layer has ", spec.experts, " experts (num_experts)");
    }
  }

  // transformers does not look at norms of which the quantization does not speak.
  void check_input_norms() const {
    const auto norm = by_name_.find(std::string(kInputNormName));
    const bool there = norm != by_name_.end();
    if (!config_.input_norms || *config_.input_norms == there) return;
    require(
        there, BITNET_ERROR_FORMAT, "config.json says that a norm stands before each linear layer ",
        "(quantization_config.use_rms_norm), but tensor model.layers.0.self_attn.q_proj.rms_norm.weight is missing");
    fail(BITNET_ERROR_FORMAT, "tensor ", norm->second->name, " is there, but config.json does not say that a norm ",
         "stands before each linear layer (quantization_config.use_rms_norm)");
  }

  void say_stretched(const Log& log) const {
    say(log, BITNET_LOG_WARNING, "texts beyond ", model_.hyper->context,
        " tokens would need other factors of the rotary embedding from their first token on; the model is taken to "
        "have ",
        "a context of ", model_.hyper->context, ", not of ", *config_.stretched);
  }

  static bool is_computed(const TensorSpec& spec) { return spec.name == kRopeFactorsName; }

  // Gemma's own norms, but not those that BitLinear adds.
  bool is_less_one(const TensorSpec& spec) const {
    const bool of_linear = std::holds_alternative<Linear Layer::*>(spec.place);
    return spec.role == Role::vector && !of_linear && require_architecture(model_.architecture).norms_less_one;
  }

  const Safetensor& find(const TensorSpec& spec) const {
    const auto found = by_name_.find(spec.name);
    if (found != by_name_.end()) return *found->second;
    const bool head = spec.name == kHeadName;
    std::string name = spec.hf_names.empty() ? spec.name : spec.hf_names.front();
    if (spec.experts != 0) name = expert_name(name, 0);
    fail(BITNET_ERROR_FORMAT, "tensor ", name, " is missing; ",
         head ? "config.json says that it is not the embedding (tie_word_embeddings)" : "config.json asks for it");
  }

  // --- whether the tensors are those that config.json describes ---

  void check_tensor(const TensorSpec& spec, const Safetensor& tensor) const {
    require(tensor.type != Safetype::other, BITNET_ERROR_UNSUPPORTED, "tensor ", tensor.name, " is of type ",
            tensor.type_name, "; supported are F64, F32, F16, BF16, I8 and U8");
    if (spec.role == Role::linear) {
      check_weights(tensor);
    } else {
      require(tensor.type != Safetype::u8 && tensor.type != Safetype::i8, BITNET_ERROR_UNSUPPORTED, "tensor ",
              tensor.name, " is of type ", tensor.type_name, ", which is only for matrices of linear layers");
    }
    const uint64_t rows = tensor.rows * (is_packed(tensor) ? kHfRowsInByte : 1);
    const bool matrix = spec.role == Role::embedding || spec.role == Role::head;
    const uint32_t wanted = part_rows(spec);
    require(rows == wanted && tensor.cols == spec.cols && tensor.dimensions <= 2, BITNET_ERROR_FORMAT, "tensor ",
            tensor.name, " is ", rows, " x ", tensor.cols, "; config.json asks for ", wanted, " x ", spec.cols,
            matrix ? " (vocab_size x hidden_size)" : "");
  }

  // The type of a linear layer's weights against what config.json says of its quantization.
  void check_weights(const Safetensor& tensor) const {
    const bool packed = is_packed(tensor);
    switch (config_.weights) {
      case HfWeights::plain:
      case HfWeights::master:
        require(!packed, BITNET_ERROR_FORMAT, "tensor ", tensor.name,
                " is packed (U8), but config.json has no quantization_config, which says how its scale is meant");
        break;
      case HfWeights::rounded:
        require(!packed, BITNET_ERROR_FORMAT, "tensor ", tensor.name, " is packed (U8), but ",
                "by config.json the weights are numbers, to be rounded (quantization_mode online)");
        break;
      case HfWeights::divided:
        require(packed, BITNET_ERROR_FORMAT, "tensor ", tensor.name, " is of type ", tensor.type_name,
                ", but by config.json's quantization_config the weights are packed (U8)");
        break;
      case HfWeights::multiplied:
        break;
    }
    if (has_scales(config_.weights)) scale_beside(tensor);
  }

  // To leave a tensor out would be to compute something else than the model.
  void check_all_known(const std::vector<TensorSpec>& specs) const {
    std::unordered_set<std::string_view> known;
    for (const TensorSpec& spec : specs) {
      if (is_computed(spec)) continue;
      for (uint32_t i = 0; i < parts(spec); ++i) {
        known.insert(part(spec, i).name);
        if (spec.role == Role::linear && has_scales(config_.weights)) known.insert(find_scale(part(spec, i)).name);
      }
    }
    if (model_.tied) known.insert(kHfHead);
    for (const Safetensor& tensor : files_.tensors()) {
      require(known.contains(tensor.name) || is_buffer(tensor.name), BITNET_ERROR_UNSUPPORTED, "tensor ", tensor.name,
              " is not part of the model that config.json describes (", model_.architecture, ", ",
              counted(model_.hyper->layers, "layer"), "), as libbitnet knows it");
    }
  }

  // Where biases are a matter of config.json, they are there if it says so, and only then.
  void check_biases(const std::vector<TensorSpec>& specs) const {
    const Architecture& architecture = require_architecture(model_.architecture);
    const bool said = config_.attention_bias.value_or(false);
    if (architecture.qkv_biases == Part::required) return;
    for (const TensorSpec& spec : specs) {
      if (spec.role == Role::bias) {
        require(said, BITNET_ERROR_FORMAT, "tensor ", find(spec).name,
                " is there, but config.json says that there are no biases (attention_bias)");
      }
    }
    const auto count = static_cast<uint64_t>(std::ranges::count(specs, Role::bias, &TensorSpec::role));
    require(!said || count == uint64_t{4} * model_.hyper->layers, BITNET_ERROR_FORMAT, "config.json says that ",
            "attention has biases (attention_bias), but there are ", count, " tensors of them; ",
            counted(model_.hyper->layers, "layer"), " have four each");
  }

  // Old versions of transformers wrote both.
  void check_tied_head(const TensorSpec& embedding) const {
    const Safetensor* const head = files_.find(std::string(kHfHead));
    if (head == nullptr) return;
    const Safetensor& tensor = find(embedding);
    constexpr size_t kStep = size_t{4} << 20;
    const size_t size = tensor.data.size();
    bool same = head->type == tensor.type && head->data.size() == size;
    for (size_t begin = 0; same && begin < size; begin += kStep) {
      const auto a = tensor.data.subspan(begin, std::min(kStep, size - begin)), b = head->data.subspan(begin, a.size());
      same = std::memcmp(a.data(), b.data(), a.size()) == 0;
      if (!files_.is_mapped()) continue;
      drop_pages(a);
      drop_pages(b);
    }
    require(same, BITNET_ERROR_FORMAT, "config.json says that the head is the embedding (tie_word_embeddings), but ",
            "tensor ", head->name, " differs from ", tensor.name);
  }

  // --- weights ---

  bool is_packed(const Safetensor& tensor) const { return tensor.type == Safetype::u8; }

  const Safetensor& find_scale(const Safetensor& tensor) const {
    const Safetensor* const scale = files_.find(tensor.name + "_scale");
    require(scale != nullptr, BITNET_ERROR_FORMAT, "tensor ", tensor.name,
            "_scale is missing; by config.json's quantization_config each linear layer has one");
    return *scale;
  }

  // What a tensor's codes are to be multiplied by.
  float scale_beside(const Safetensor& tensor) const {
    if (!has_scales(config_.weights)) return 1;
    const Safetensor& scale = find_scale(tensor);
    require(scale.rows == 1 && scale.cols == 1 && scale.type != Safetype::other, BITNET_ERROR_UNSUPPORTED, "tensor ",
            scale.name, " is ", scale.rows, " x ", scale.cols, " of type ", scale.type_name,
            "; supported is a single number");
    float value = 0;
    safetensor_values(scale, 0, {&value, 1});
    const float factor = config_.weights == HfWeights::divided ? 1 / value : value;
    require(std::isfinite(factor) && factor > 0, BITNET_ERROR_FORMAT, "tensor ", scale.name, " is ", value,
            ", by which weights would have the scale ", factor, "; a scale must be finite and positive");
    return factor;
  }

  void multiply_by_scale(const Safetensor& tensor, std::span<float> values) const {
    if (!has_scales(config_.weights)) return;
    const float factor = scale_beside(tensor);
    for (float& value : values) value *= factor;
  }

  // A quarter of the rows lies in each two bits of the bytes, from the lowest up.
  static void read_codes(const Safetensor& tensor, uint32_t row, int8_t* out) {
    const auto* const bytes = reinterpret_cast<const uint8_t*>(tensor.data.data()) + row % tensor.rows * tensor.cols;
    const auto shift = static_cast<int>(row / tensor.rows * 2);
    bool bad = false;
    for (uint64_t c = 0; c < tensor.cols; ++c) {
      const int code = bytes[c] >> shift & 3;
      bad |= code == 3;
      out[c] = static_cast<int8_t>(code - 1);
    }
    require(!bad, BITNET_ERROR_FORMAT, "tensor ", tensor.name, " has a code that means no weight in row ", row,
            "; the file is damaged");
  }

  TernaryScales scales_by_values(const TensorSpec& spec) const {
    ScaleFinder finder(spec.rows, spec.cols);
    constexpr uint32_t kStep = 64;
    parallel_for((spec.rows + kStep - 1) / kStep, [&](size_t part) {
      std::vector<float> values(spec.cols);
      const auto begin = static_cast<uint32_t>(part * kStep), count = std::min(kStep, spec.rows - begin);
      for (uint32_t row = begin; row < begin + count; ++row) {
        const Safetensor& tensor = this->part(spec, row / part_rows(spec));
        safetensor_values(tensor, uint64_t{row % part_rows(spec)} * spec.cols, values);
        const size_t bad = find_nonfinite(std::span<const float>(values));
        if (bad != values.size()) {
          fail(BITNET_ERROR_FORMAT, "tensor ", tensor.name, ", row ", row % part_rows(spec), ", column ", bad, " is ",
               values[bad], "; the model is damaged");
        }
        finder.add_row(row, values);
      }
      release(spec, begin, count);
    });
    return finder.result();
  }

  Safetensors files_;
  HfConfig config_;
  fb::ModelT model_;                                            // without tensors
  std::unordered_map<std::string, const Safetensor*> by_name_;  // by our names; of experts the first
  std::unordered_map<std::string, std::vector<const Safetensor*>> experts_;
};

}  // namespace

HfCheckpoint open_hf_checkpoint(const std::string& path, const HfSourceOptions& options) {
  const std::string folder = hf_folder_of(path);
  check_hf_folder(folder);
  auto source = std::make_unique<HfSource>(folder, options);
  const Safetensors& files = source->files();
  return {std::move(source), files.file_bytes(), files.owned_bytes()};
}

}  // namespace bitnet
