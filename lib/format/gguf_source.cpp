// SPDX-License-Identifier: MIT
// A GGUF file as the source of a conversion.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <string>
#include <unordered_set>

#include "base/error.h"
#include "base/file.h"
#include "base/finite.h"
#include "base/half.h"
#include "base/parallel.h"
#include "format/gguf.h"
#include "format/gguf_metadata.h"
#include "format/i2s.h"
#include "format/i2s_order.h"
#include "format/source.h"

namespace bitnet {
namespace {

constexpr std::string_view kWeightSuffix = ".weight", kScaleSuffix = ".scale";

// How much of a model is looked at to find the order of its I2_S weights.
constexpr size_t kOrderLayers = 4, kOrderTokens = 8;
constexpr uint32_t kOrderColumns = 1 << 16;  // wider matrices are left out: bounds memory

// One row whose values are all -s, 0 or s.
struct RowScale {
  float scale;  // 0: no value but 0
  bool ternary;
};

RowScale find_row_scale(std::span<const float> row) {
  float scale = 0;
  bool ternary = true;
  for (const float value : row) {
    const float magnitude = std::fabs(value);
    if (magnitude == 0) continue;
    if (scale == 0) scale = magnitude;
    ternary &= magnitude == scale;
  }
  return {scale, ternary};
}

class GgufSource final : public Source {
 public:
  GgufSource(std::span<const std::byte> file, const GgufSourceOptions& options)
      : gguf_(file),
        options_(options),
        model_(read_gguf_metadata(gguf_, options.activation, options.log)),
        layout_(options.layout) {
    model_.tied = !has(kHeadName);
  }

  fb::ModelT describe() const override { return model_; }

  bool has(std::string_view name) const override {
    return name != kScreenName && gguf_.find_tensor(name) != nullptr;  // GGUF knows of no screens
  }

  void check(const std::vector<TensorSpec>& specs) const override {
    size_t known = 0;
    for (const TensorSpec& spec : specs) {
      const GgufTensor& tensor = find(spec);
      require(tensor.rows == spec.rows && tensor.cols == spec.cols, BITNET_ERROR_FORMAT, "tensor ", spec.name, " is ",
              tensor.rows, " x ", tensor.cols, "; the hyperparameters ask for ", spec.rows, " x ", spec.cols);
      require(!is_i2s(tensor) || spec.role == Role::linear, BITNET_ERROR_UNSUPPORTED, "tensor ", spec.name,
              " is in I2_S, which is only for ternary matrices");
      known += 1 + (spec.role == Role::linear && find_scale(spec) != nullptr);
    }
    if (known != gguf_.tensors().size()) check_all_known(specs);
    if (std::ranges::any_of(specs, [&](const TensorSpec& spec) { return is_i2s(spec); })) choose_layout(specs);
  }

  std::optional<Tensor> stored(const TensorSpec& spec, fb::Type type) const override {
    const GgufTensor& tensor = find(spec);
    const bool same = type == fb::Type::f16 && tensor.type->number == kGgufF16;
    if (!same || row_stride(type, spec.cols) != spec.cols) return std::nullopt;
    if (reinterpret_cast<uintptr_t>(tensor.data.data()) % alignof(uint16_t) != 0) return std::nullopt;
    return Tensor{spec.name, type, spec.rows, spec.cols, spec.cols, tensor.data, {}, {}, 0};
  }

  // Files of a matrix packing come from BitNet's own tools.
  std::optional<ActivationBits> activation_bits() const override {
    const bool coded = std::ranges::any_of(gguf_.tensors(), [](const GgufTensor& t) { return is_i2s(t); });
    if (coded || require_architecture(model_.architecture).ternary) return ActivationBits::int8;
    return std::nullopt;
  }

  TernaryScales ternary_scales(const TensorSpec& spec) const override {
    const GgufTensor& tensor = find(spec);
    TernaryScales result = is_i2s(tensor) ? i2s_scale(spec, tensor) : scales_by_values(spec, tensor);
    const float factor = separate_scale(spec);
    for (float& scale : result.scales) {
      scale *= factor;
      require(std::isfinite(scale) && scale > 0, BITNET_ERROR_FORMAT, "tensor ", spec.name, " has the scale ", scale,
              "; a scale must be finite and positive");
    }
    return result;
  }

  void read_trits(const TensorSpec& spec, const TernaryScales& scales, uint32_t row, uint32_t count,
                  int8_t* out) const override {
    const GgufTensor& tensor = find(spec);
    if (is_i2s(tensor)) return read_codes(spec, tensor, row, count, out);
    std::vector<float> values(spec.cols);
    for (uint32_t r = 0; r < count; ++r, out += spec.cols) {
      read_row(tensor, row + r, values);
      if (scales.inverse_mean == 0) {
        for (uint32_t c = 0; c < spec.cols; ++c) out[c] = static_cast<int8_t>((values[c] > 0) - (values[c] < 0));
      } else {
        for (uint32_t c = 0; c < spec.cols; ++c) {
          out[c] = static_cast<int8_t>(std::clamp(std::nearbyint(values[c] * scales.inverse_mean), -1.0f, 1.0f));
        }
      }
    }
  }

  void read_values(const TensorSpec& spec, uint32_t row, uint32_t count, float* out) const override {
    const GgufTensor& tensor = find(spec);
    for (uint32_t r = 0; r < count; ++r) read_row(tensor, row + r, {out + size_t{r} * spec.cols, spec.cols});
  }

  void release(const TensorSpec& spec, uint32_t row, uint32_t count) const override {
    if (!options_.mapped) return;
    const auto data = find(spec).data;
    const uint64_t row_bytes = data.size() / spec.rows;
    drop_pages(data.subspan(row_bytes * row, row_bytes * count));
  }

 private:
  // To leave a tensor out would be to compute something else than the model.
  void check_all_known(const std::vector<TensorSpec>& specs) const {
    std::unordered_set<std::string> expected;
    for (const TensorSpec& spec : specs) {
      expected.insert(spec.name);
      if (spec.role == Role::linear) expected.insert(scale_name(spec));
    }
    for (const GgufTensor& tensor : gguf_.tensors()) {
      require(expected.contains(std::string(tensor.name)), BITNET_ERROR_UNSUPPORTED, "tensor ", tensor.name,
              " is not part of the architecture ", model_.architecture, " as libbitnet knows it");
    }
  }

  const GgufTensor& find(const TensorSpec& spec) const {
    const GgufTensor* const tensor = gguf_.find_tensor(spec.name);
    require(tensor != nullptr, BITNET_ERROR_FORMAT, "tensor ", spec.name, " is missing");
    return *tensor;
  }

  static void read_row(const GgufTensor& tensor, uint64_t row, std::span<float> out) {
    const uint64_t row_bytes = tensor.cols / tensor.type->block * tensor.type->block_bytes;
    gguf_decode(*tensor.type, tensor.data.data() + row * row_bytes, out.size(), out.data());
  }

  // llama.cpp's own "bitnet" files may keep a matrix's scale apart: blk.0.attn_q.weight, blk.0.attn_q.scale.
  static std::string scale_name(const TensorSpec& spec) {
    return spec.name.substr(0, spec.name.size() - kWeightSuffix.size()) + std::string(kScaleSuffix);
  }
  const GgufTensor* find_scale(const TensorSpec& spec) const { return gguf_.find_tensor(scale_name(spec)); }

  float separate_scale(const TensorSpec& spec) const {
    const GgufTensor* const tensor = find_scale(spec);
    if (tensor == nullptr) return 1;
    require(tensor->rows == 1 && tensor->cols == 1 && !is_i2s(*tensor), BITNET_ERROR_UNSUPPORTED, "tensor ",
            tensor->name, " is not a single number");
    float scale;
    gguf_decode(*tensor->type, tensor->data.data(), 1, &scale);
    return scale;
  }

  static bool is_i2s(const GgufTensor& tensor) { return tensor.type->number == kGgufI2_S; }
  bool is_i2s(const TensorSpec& spec) const { return spec.role == Role::linear && is_i2s(find(spec)); }
  static I2sMatrix i2s_matrix(const TensorSpec& spec, const GgufTensor& tensor) {
    return {tensor.data, spec.rows, spec.cols};
  }

  TernaryScales i2s_scale(const TensorSpec& spec, const GgufTensor& tensor) const {
    require(i2s_fits(layout_, spec.rows, spec.cols), BITNET_ERROR_UNSUPPORTED, "tensor ", spec.name, " is ", spec.rows,
            " x ", spec.cols, ", no whole number of blocks in the I2_S layout ", i2s_name(layout_),
            "; choose another one (--i2s, i2s)");
    float scale;
    std::memcpy(&scale, tensor.data.data() + tensor.rows * tensor.cols / 4, sizeof scale);
    return {.scales = {scale}};
  }

  void read_codes(const TensorSpec& spec, const GgufTensor& tensor, uint32_t row, uint32_t count, int8_t* out) const {
    require(read_i2s(layout_, i2s_matrix(spec, tensor), row, count, out), BITNET_ERROR_FORMAT, "tensor ", spec.name,
            " has codes that mean no weight between rows ", row, " and ", row + count - 1, "; the file is damaged");
  }

  void choose_layout(const std::vector<TensorSpec>& specs) const {
    const I2sOrder order = find_i2s_order(order_samples(specs), order_tokens(specs.front()), specs.front().cols);
    const bool given = options_.layout != I2sLayout::automatic;
    if (!given) layout_ = order.layout.value_or(I2sLayout::x86);
    if (!options_.log) return;
    const std::string evidence = " (" + order.evidence + ")", used = i2s_name(layout_);
    if (!given && order.layout) {
      options_.log(BITNET_LOG_INFO, "I2_S layout: " + used + ", found from the weights" + evidence);
    } else if (!given) {
      options_.log(BITNET_LOG_WARNING,
                   "the file does not say in which layout its I2_S weights lie, and the weights do not show it" +
                       evidence +
                       "; x86 is assumed. If the model writes nonsense, choose arm or rows (--i2s, i2s)");
    } else if (order.layout && *order.layout != layout_) {
      options_.log(BITNET_LOG_WARNING, "the I2_S layout " + used + " was chosen, but the weights lie as in " +
                                           i2s_name(*order.layout) + evidence + "; the model may write nonsense");
    }
  }

  // The I2_S matrices of some layers, with the gains of the norm before each.
  std::vector<I2sSample> order_samples(const std::vector<TensorSpec>& specs) const {
    const auto layer_of = [](const TensorSpec& spec) { return spec.name.substr(0, spec.name.find('.', 4)); };
    std::vector<std::string> layers;
    for (const TensorSpec& spec : specs) {
      if (is_i2s(spec) && (layers.empty() || layers.back() != layer_of(spec))) layers.push_back(layer_of(spec));
    }
    const size_t count = std::min(layers.size(), kOrderLayers);
    std::vector<std::string> chosen;
    for (size_t i = 0; i < count; ++i) chosen.push_back(layers[(2 * i + 1) * layers.size() / (2 * count)]);

    std::vector<I2sSample> samples;
    const TensorSpec* norm = nullptr;
    for (const TensorSpec& spec : specs) {
      if (spec.role == Role::vector) norm = &spec;
      if (!is_i2s(spec) || spec.cols > kOrderColumns || std::ranges::count(chosen, layer_of(spec)) == 0) continue;
      I2sSample sample{i2s_matrix(spec, find(spec)), {}, false};
      if (norm != nullptr && norm->cols == spec.cols) {
        sample.gains = finite_row(*norm, 0);
        sample.reads_stream = !norm->name.ends_with("_sub_norm.weight") && spec.cols == specs.front().cols;
      }
      samples.push_back(std::move(sample));
    }
    return samples;
  }

  // Some rows of the embedding, from all over the vocabulary.
  std::vector<float> order_tokens(const TensorSpec& embedding) const {
    std::vector<float> values;
    const size_t count = std::min<size_t>(embedding.rows, kOrderTokens);
    for (size_t i = 0; i < count; ++i) {
      const auto row = finite_row(embedding, (2 * i + 1) * embedding.rows / (2 * count));
      values.insert(values.end(), row.begin(), row.end());
    }
    return values;
  }

  // What is not finite is refused later, by name.
  std::vector<float> finite_row(const TensorSpec& spec, uint64_t row) const {
    std::vector<float> values(spec.cols);
    read_row(find(spec), row, values);
    for (float& value : values) value = std::isfinite(value) ? value : 0;
    return values;
  }

  TernaryScales scales_by_values(const TensorSpec& spec, const GgufTensor& tensor) const {
    std::vector<RowScale> rows(spec.rows);
    std::vector<double> sums(spec.rows);
    constexpr uint32_t kStep = 64;
    parallel_for((spec.rows + kStep - 1) / kStep, [&](size_t part) {
      std::vector<float> values(spec.cols);
      const auto begin = static_cast<uint32_t>(part * kStep), count = std::min(kStep, spec.rows - begin);
      for (uint32_t row = begin; row < begin + count; ++row) {
        read_row(tensor, row, values);
        check_finite(spec, row, values);
        rows[row] = find_row_scale(values);
        for (const float value : values) sums[row] += std::fabs(value);
      }
      release(spec, begin, count);
    });
    const auto other = std::ranges::find(rows, false, &RowScale::ternary);
    if (other == rows.end()) return collect(rows);
    double sum = 0;
    for (const double row : sums) sum += row;
    return {.mean = sum / (static_cast<double>(spec.rows) * spec.cols),
            .not_ternary = "row " + std::to_string(other - rows.begin()) + " holds other values than -s, 0 and s"};
  }

  static void check_finite(const TensorSpec& spec, uint32_t row, std::span<const float> values) {
    const size_t bad = find_nonfinite(values);
    require(bad == values.size(), BITNET_ERROR_FORMAT, "tensor ", spec.name, ", row ", row, ", column ", bad, " is ",
            bad == values.size() ? 0 : values[bad], "; the model is damaged");
  }

  // One scale if all rows have the same. A row of zeros fits any scale.
  static TernaryScales collect(const std::vector<RowScale>& rows) {
    const auto first = std::ranges::find_if(rows, [](const RowScale& row) { return row.scale != 0; });
    const float common = first == rows.end() ? 1 : first->scale;
    const auto fits = [common](const RowScale& row) { return row.scale == 0 || row.scale == common; };
    if (std::ranges::all_of(rows, fits)) return {.scales = {common}};
    std::vector<float> scales;
    scales.reserve(rows.size());
    for (const RowScale& row : rows) scales.push_back(row.scale == 0 ? common : row.scale);
    return {.scales = std::move(scales)};
  }

  Gguf gguf_;
  GgufSourceOptions options_;
  fb::ModelT model_;          // without tensors
  mutable I2sLayout layout_;  // check() makes it a definite one, before weights are read
};

}  // namespace

std::unique_ptr<Source> open_gguf_source(std::span<const std::byte> file, const GgufSourceOptions& options) {
  return std::make_unique<GgufSource>(file, options);
}

}  // namespace bitnet
