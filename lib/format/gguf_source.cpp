// SPDX-License-Identifier: MIT
// A GGUF file as the source of a conversion.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/half.h"
#include "base/parallel.h"
#include "format/gguf.h"
#include "format/gguf_metadata.h"
#include "format/source.h"

namespace bitnet {
namespace {

constexpr std::string_view kWeightSuffix = ".weight", kScaleSuffix = ".scale";

// I2_S cuts the matrix, rows end to end, into blocks of four runs; byte i of a block holds weight i of each run, the
// first run in its top two bits (quantize_i2_s in bitnet.cpp's ggml-bitnet-mad.cpp). The code is the weight + 1.
size_t i2s_run(I2sLayout layout) { return layout == I2sLayout::arm ? 16 : 32; }

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
      : gguf_(file), options_(options), model_(read_gguf_metadata(gguf_, options.activation, options.log)) {
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
      require(tensor.type->number != kGgufI2_S || spec.role == Role::ternary, BITNET_ERROR_UNSUPPORTED, "tensor ",
              spec.name, " is in I2_S, which is only for ternary matrices");
      known += 1 + (spec.role == Role::ternary && find_scale(spec) != nullptr);
    }
    if (known == gguf_.tensors().size()) return;
    // To leave a tensor out would be to compute something else than the model.
    for (const GgufTensor& tensor : gguf_.tensors()) {
      const bool expected = std::ranges::any_of(specs, [&](const TensorSpec& spec) {
        return spec.name == tensor.name || (spec.role == Role::ternary && scale_name(spec) == tensor.name);
      });
      require(expected, BITNET_ERROR_UNSUPPORTED, "tensor ", tensor.name,
              " is not part of this architecture as libbitnet knows it (biases and other additions are not supported)");
    }
  }

  std::optional<Tensor> stored(const TensorSpec& spec, fb::Type type) const override {
    const GgufTensor& tensor = find(spec);
    const bool same = type == fb::Type::f16 && tensor.type->number == kGgufF16;
    if (!same || row_stride(type, spec.cols) != spec.cols) return std::nullopt;
    if (reinterpret_cast<uintptr_t>(tensor.data.data()) % alignof(uint16_t) != 0) return std::nullopt;
    return Tensor{spec.name, type, spec.rows, spec.cols, spec.cols, tensor.data, {}, {}, 0};
  }

  TernaryScales ternary_scales(const TensorSpec& spec) const override {
    const GgufTensor& tensor = find(spec);
    TernaryScales result = tensor.type->number == kGgufI2_S ? i2s_scale(spec, tensor) : scales_by_values(spec, tensor);
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
    if (tensor.type->number == kGgufI2_S) return read_i2s(spec, tensor, row, count, out);
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
    require(tensor->rows == 1 && tensor->cols == 1 && tensor->type->number != kGgufI2_S, BITNET_ERROR_UNSUPPORTED,
            "tensor ", tensor->name, " is not a single number");
    float scale;
    gguf_decode(*tensor->type, tensor->data.data(), 1, &scale);
    return scale;
  }

  TernaryScales i2s_scale(const TensorSpec& spec, const GgufTensor& tensor) const {
    const uint64_t count = tensor.rows * tensor.cols;
    require(count % (4 * i2s_run(options_.layout)) == 0, BITNET_ERROR_UNSUPPORTED, "tensor ", spec.name, " has ", count,
            " weights, no whole number of I2_S blocks");
    float scale;
    std::memcpy(&scale, tensor.data.data() + count / 4, sizeof scale);
    return {{scale}, 0};
  }

  void read_i2s(const TensorSpec& spec, const GgufTensor& tensor, uint32_t row, uint32_t count, int8_t* out) const {
    const uint64_t run = i2s_run(options_.layout), begin = uint64_t{row} * spec.cols;
    const uint64_t end = begin + uint64_t{count} * spec.cols;
    unsigned invalid = 0;
    // Run by run; the first and the last may lie in the range only in part.
    for (uint64_t i = begin; i < end;) {
      const uint64_t run_end = std::min((i / run + 1) * run, end);
      const unsigned shift = 6 - 2 * (i / run % 4);
      const std::byte* const bytes = tensor.data.data() + i / (4 * run) * run + i % run;
      const uint64_t n = run_end - i;
      for (uint64_t j = 0; j < n; ++j) {
        const unsigned code = std::to_integer<unsigned>(bytes[j]) >> shift & 3;
        invalid |= code & code >> 1;
        out[j] = static_cast<int8_t>(static_cast<int>(code) - 1);
      }
      i = run_end;
      out += n;
    }
    require(invalid == 0, BITNET_ERROR_FORMAT, "tensor ", spec.name, " has codes that mean no weight between rows ",
            row, " and ", row + count - 1, "; the file is damaged");
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
    require(options_.quantize == Quantize::absmean, BITNET_ERROR_UNSUPPORTED, "tensor ", spec.name, ", row ",
            other - rows.begin(),
            " holds other values than -s, 0 and s: the model is not ternary; to round it so by BitNet's rule, which "
            "loses what training did not prepare for, choose the quantization absmean");
    return absmean(sums, spec);
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
    if (std::ranges::all_of(rows, fits)) return {{common}, 0};
    std::vector<float> scales;
    scales.reserve(rows.size());
    for (const RowScale& row : rows) scales.push_back(row.scale == 0 ? common : row.scale);
    return {std::move(scales), 0};
  }

  // weight_quant of BitNet b1.58: scale = 1 / max(mean |w|, 1e-5), the weights round(w * scale) within -1 .. 1.
  static TernaryScales absmean(const std::vector<double>& sums, const TensorSpec& spec) {
    double sum = 0;
    for (const double row : sums) sum += row;
    const float mean = std::max(static_cast<float>(sum / (static_cast<double>(spec.rows) * spec.cols)), 1e-5f);
    return {{mean}, 1 / mean};
  }

  Gguf gguf_;
  GgufSourceOptions options_;
  fb::ModelT model_;  // without tensors
};

}  // namespace

std::unique_ptr<Source> open_gguf_source(std::span<const std::byte> file, const GgufSourceOptions& options) {
  return std::make_unique<GgufSource>(file, options);
}

}  // namespace bitnet
