// SPDX-License-Identifier: MIT
// A GGUF model as the source of a conversion.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string>
#include <unordered_set>

#include "base/error.h"
#include "base/file.h"
#include "base/finite.h"
#include "base/half.h"
#include "base/parallel.h"
#include "format/coded_order.h"
#include "format/gguf.h"
#include "format/gguf_metadata.h"
#include "format/metadata.h"
#include "format/scale_finder.h"
#include "format/source.h"

namespace bitnet {
namespace {

// How much of a model is looked at to find the order of its codes.
constexpr size_t kOrderLayers = 4, kOrderTokens = 8;
constexpr uint32_t kOrderColumns = 1 << 16;  // wider matrices are left out: bounds memory

class GgufSource final : public Source {
 public:
  GgufSource(std::span<const std::span<const std::byte>> parts, const GgufSourceOptions& options)
      : gguf_(parts), options_(options) {
    GgufDescription description = read_gguf_metadata(gguf_, options.activation, options.log);
    model_ = std::move(description.model);
    rope_factors_ = std::move(description.rope_factors);
    require(rope_factors_.empty() || gguf_.find_tensor(kRopeFactorsName) == nullptr, BITNET_ERROR_UNSUPPORTED,
            "tensor ", kRopeFactorsName, " scales the rotary embedding, and so do the metadata keys ",
            model_.architecture, ".rope.scaling; which of them counts is not known");
    architecture_ = &require_architecture(model_.architecture);
    model_.headless = !has(kHeadName) && model_.pooling != fb::Pooling::none;
    model_.tied = !has(kHeadName) && !model_.headless;
    const HyperParameters hyper = read_hyperparameters(model_);
    head_dim_ = hyper.head_dim;
  }

  fb::ModelT describe() const override { return model_; }

  bool has(std::string_view name) const override {
    if (name == kRopeFactorsName && !rope_factors_.empty()) return true;
    return name != kScreenName && find_tensor(name) != nullptr;  // GGUF knows of no screens
  }

  void check(const std::vector<TensorSpec>& specs) const override {
    size_t known = 0;
    for (const std::string_view name : {kShortFactorsName, kLongFactorsName})
      known += gguf_.find_tensor(name) != nullptr;
    for (const TensorSpec& spec : specs) {
      if (is_computed(spec)) continue;
      const GgufTensor& tensor = find(spec);
      check_shape(spec, tensor);
      require(!is_coded(tensor) || (spec.role == Role::linear && spec.experts == 0), BITNET_ERROR_UNSUPPORTED,
              "tensor ", spec.name, " is in ", tensor.type->name, ", which is only for ternary matrices",
              spec.experts != 0 ? ", not those of experts" : "");
      known += 1 + find_scales(spec).size();
    }
    if (known != gguf_.tensors().size()) check_all_known(specs);
    for (size_t coding = 0; coding < kCodings; ++coding) choose_order(static_cast<Coding>(coding), specs);
  }

  std::optional<Tensor> stored(const TensorSpec& spec, fb::Type type) const override {
    if (is_computed(spec)) return std::nullopt;
    const GgufTensor& tensor = find(spec);
    const bool same =
        type == fb::Type::f16 && tensor.type->number == kGgufF16 && !is_permuted(spec) && find_scales(spec).empty();
    if (!same || row_stride(type, spec.cols) != spec.cols) return std::nullopt;
    if (reinterpret_cast<uintptr_t>(tensor.data.data()) % alignof(uint16_t) != 0) return std::nullopt;
    return Tensor{spec.name, type, spec.rows, spec.cols, spec.cols, tensor.data, {}, {}, 0};
  }

  // bitnet.cpp's types are of its own models. ik_llama.cpp has others in its types, too.
  std::optional<ActivationBits> activation_bits() const override {
    const bool bitnet = std::ranges::any_of(gguf_.tensors(), [](const GgufTensor& tensor) {
      const auto coding = tensor.type->coding;
      return coding == Coding::i2_s || coding == Coding::tl1 || coding == Coding::tl2;
    });
    if (bitnet || architecture_->ternary || has_input_norms()) return ActivationBits::int8;
    return std::nullopt;
  }

  TernaryScales ternary_scales(const TensorSpec& spec) const override {
    const GgufTensor& tensor = find(spec);
    TernaryScales result = is_coded(tensor) ? coded_scales(spec, tensor) : scales_by_values(spec, tensor);
    if (!result.is_ternary() && spec.role == Role::linear && has_input_norms()) return round_by_absmean(result.mean);
    const float factor = separate_scale(spec);
    result.mean *= factor;
    for (float& scale : result.scales) {
      scale *= factor;
      require(std::isfinite(scale) && scale > 0, BITNET_ERROR_FORMAT, "tensor ", spec.name, " has the scale ", scale,
              "; a scale must be finite and positive",
              scale == 0 ? ". All weights are zero: the file is damaged; get it anew" : "");
    }
    return result;
  }

  void read_trits(const TensorSpec& spec, const TernaryScales& scales, uint32_t row, uint32_t count,
                  int8_t* out) const override {
    const GgufTensor& tensor = find(spec);
    if (is_coded(tensor)) return read_codes(spec, *open(spec, tensor), row, count, out);
    std::vector<float> values(spec.cols);
    for (uint32_t r = row; r < row + count; ++r, out += spec.cols) {
      read_row(tensor, stored_row(spec, r), values);
      round_to_trits(values, scales.inverse_mean, out);
    }
  }

  void read_values(const TensorSpec& spec, uint32_t row, uint32_t count, float* out) const override {
    if (is_computed(spec)) {
      std::ranges::copy(rope_factors_, out);
      return;
    }
    const GgufTensor& tensor = find(spec);
    if (is_coded(tensor)) return read_coded_values(spec, tensor, row, count, out);
    const float factor = separate_scale(spec);
    for (uint32_t r = row; r < row + count; ++r, out += spec.cols) {
      const std::span values(out, spec.cols);
      read_row(tensor, stored_row(spec, r), values);
      if (spec.rows == 1 && is_permuted(spec)) unpermute(values);
      if (factor == 1) continue;
      for (float& value : values) value *= factor;
    }
  }

  void release(const TensorSpec& spec, uint32_t row, uint32_t count) const override {
    if (!options_.mapped || is_computed(spec)) return;
    const auto data = find(spec).data;
    // Where rows lie in other places, these are near; what is dropped too early is read again.
    const uint64_t row_bytes = data.size() / spec.rows;
    drop_pages(data.subspan(row_bytes * row, row_bytes * count));
  }

 private:
  static void check_shape(const TensorSpec& spec, const GgufTensor& tensor) {
    const uint64_t matrices = std::max(spec.experts, 1u);
    if (tensor.rows == spec.rows && tensor.cols == spec.cols && tensor.matrices == matrices) return;
    const auto shape = [](uint64_t count, uint64_t rows, uint64_t cols) {
      const std::string matrix = std::to_string(rows / count) + " x " + std::to_string(cols);
      return count == 1 ? matrix : std::to_string(count) + " matrices of " + matrix;
    };
    fail(BITNET_ERROR_FORMAT, "tensor ", spec.name, " is ", shape(tensor.matrices, tensor.rows, tensor.cols),
         "; the hyperparameters ask for ", shape(matrices, spec.rows, spec.cols));
  }

  // To leave a tensor out would be to compute something else than the model.
  void check_all_known(const std::vector<TensorSpec>& specs) const {
    std::unordered_set<std::string_view> expected = {kShortFactorsName,
                                                     kLongFactorsName};  // of which metadata was made
    for (const TensorSpec& spec : specs) {
      expected.insert(is_computed(spec) ? std::string_view(spec.name) : find(spec).name);
      for (const GgufTensor* const scale : find_scales(spec)) expected.insert(scale->name);
    }
    for (const GgufTensor& tensor : gguf_.tensors()) {
      require(expected.contains(tensor.name), BITNET_ERROR_UNSUPPORTED, "tensor ", tensor.name,
              " is not part of the architecture ", model_.architecture, " as libbitnet knows it");
    }
  }

  // BitLinear's own norms: its weights are rounded by absmean wherever they are used, and its activations to int8.
  bool has_input_norms() const { return has(kInputNormName); }

  // By our name for it. Norms before single matrices have others in some families.
  const GgufTensor* find_tensor(std::string_view name) const {
    const GgufTensor* const tensor = gguf_.find_tensor(name);
    if (tensor != nullptr || !name.ends_with(kInputNormEnd)) return tensor;
    return gguf_.find_tensor(gguf_input_norm(*architecture_, name));
  }

  const GgufTensor& find(const TensorSpec& spec) const {
    const GgufTensor* const tensor = find_tensor(spec.name);
    require(tensor != nullptr, BITNET_ERROR_FORMAT, "tensor ", spec.name, " is missing");
    return *tensor;
  }

  static void read_row(const GgufTensor& tensor, uint64_t row, std::span<float> out) {
    const uint64_t row_bytes = tensor.cols / tensor.type->block * tensor.type->block_bytes;
    gguf_decode(*tensor.type, tensor.data.data() + row * row_bytes, out.size(), out.data());
  }

  // --- rows of queries and keys -----------------------------------------------------------------------------------
  // Where rotary pairs are neighbours, rows 2 i and 2 i + 1 of a head are rows i and i + half of ours.

  // Made of metadata.
  bool is_computed(const TensorSpec& spec) const { return spec.name == kRopeFactorsName && !rope_factors_.empty(); }

  bool is_permuted(const TensorSpec& spec) const { return spec.turned && architecture_->neighbour_pairs; }
  uint32_t unpermuted(uint32_t row) const {
    const uint32_t half = head_dim_ / 2, in_head = row % head_dim_;
    return row - in_head + in_head % half * 2 + in_head / half;
  }
  // Where the file has a row.
  uint32_t stored_row(const TensorSpec& spec, uint32_t row) const {
    return spec.rows > 1 && is_permuted(spec) ? unpermuted(row) : row;
  }
  void unpermute(std::span<float> values) const {
    const std::vector<float> stored(values.begin(), values.end());
    for (uint32_t i = 0; i < values.size(); ++i) values[i] = stored[unpermuted(i)];
  }

  // --- scales that are tensors of their own -----------------------------------------------------------------------

  // Of blk.0.attn_q.weight: blk.0.attn_q.weight_scale of bitnet.cpp, blk.0.attn_q.scale of llama.cpp.
  std::vector<const GgufTensor*> find_scales(const TensorSpec& spec) const {
    constexpr std::string_view kWeight = ".weight";
    if (spec.role != Role::linear) return {};
    std::vector<const GgufTensor*> scales;
    const std::string stem = spec.name.substr(0, spec.name.size() - kWeight.size());
    for (const char* const suffix : {".weight_scale", ".scale"}) {
      if (const GgufTensor* const scale = gguf_.find_tensor(stem + suffix)) scales.push_back(scale);
    }
    return scales;
  }

  float separate_scale(const TensorSpec& spec) const {
    float product = 1;
    for (const GgufTensor* const tensor : find_scales(spec)) {
      require(tensor->rows == 1 && tensor->cols == 1 && !is_coded(*tensor), BITNET_ERROR_UNSUPPORTED, "tensor ",
              tensor->name, " is not a single number");
      float scale;
      gguf_decode(*tensor->type, tensor->data.data(), 1, &scale);
      product *= scale;
    }
    return product;
  }

  // --- matrices of trits ------------------------------------------------------------------------------------------

  static bool is_coded(const GgufTensor& tensor) { return tensor.type->coding.has_value(); }
  static CodedBytes coded_bytes_of(const TensorSpec& spec, const GgufTensor& tensor) {
    return {*tensor.type->coding, tensor.data, spec.rows, spec.cols};
  }
  size_t& order_of(Coding coding) const { return orders_[static_cast<size_t>(coding)]; }

  std::unique_ptr<CodedMatrix> open(const TensorSpec& spec, const GgufTensor& tensor) const {
    const CodedBytes coded = coded_bytes_of(spec, tensor);
    const size_t order = order_of(coded.coding);
    auto matrix = open_coded(coded, order);
    if (matrix != nullptr) return matrix;
    const bool i2s = coded.coding == Coding::i2_s;
    fail(BITNET_ERROR_UNSUPPORTED, "tensor ", spec.name, " is ", spec.rows, " x ", spec.cols,
         ", no whole number of blocks in the ", tensor.type->name, " layout",
         i2s ? std::string(" ") + coded_orders(coded.coding)[order] : "",
         i2s ? "; choose another one (the option i2s; --i2s)"
             : " that is taken for this shape; convert the model from its original, or from its F16 or I2_S file");
  }

  TernaryScales coded_scales(const TensorSpec& spec, const GgufTensor& tensor) const {
    const std::vector<float> stored = open(spec, tensor)->scales();
    if (stored.empty()) {
      require(!find_scales(spec).empty(), BITNET_ERROR_FORMAT, "tensor ", spec.name, " has no scale; tensor ",
              spec.name, "_scale is missing");
      return {.scales = {1}};
    }
    if (stored.size() == 1) return {.scales = stored};
    // A row of zeros fits any scale.
    const auto nonzero = std::ranges::find_if(stored, [](float scale) { return scale != 0; });
    const float common = nonzero == stored.end() ? 1 : *nonzero;
    std::vector<float> scales(spec.rows);
    for (uint32_t row = 0; row < spec.rows; ++row) {
      const float scale = stored[stored_row(spec, row)];
      scales[row] = scale == 0 ? common : scale;
    }
    if (std::ranges::all_of(scales, [&](float scale) { return scale == common; })) scales.resize(1);
    return {.scales = std::move(scales)};
  }

  void read_codes(const TensorSpec& spec, const CodedMatrix& matrix, uint32_t row, uint32_t count, int8_t* out) const {
    for (uint32_t r = row; r < row + count; ++r, out += spec.cols) {
      require(matrix.read(stored_row(spec, r), out), BITNET_ERROR_FORMAT, "tensor ", spec.name,
              " has codes that mean no weight in row ", r, "; the file is damaged");
    }
  }

  void read_coded_values(const TensorSpec& spec, const GgufTensor& tensor, uint32_t row, uint32_t count,
                         float* out) const {
    const auto scales = ternary_scales(spec).scales;
    std::vector<int8_t> trits(spec.cols);
    const auto matrix = open(spec, tensor);
    for (uint32_t r = row; r < row + count; ++r, out += spec.cols) {
      read_codes(spec, *matrix, r, 1, trits.data());
      const float scale = scales[scales.size() == 1 ? 0 : r];
      std::ranges::transform(trits, out, [&](int8_t trit) { return static_cast<float>(trit) * scale; });
    }
  }

  // --- their order ------------------------------------------------------------------------------------------------

  void choose_order(Coding coding, const std::vector<TensorSpec>& specs) const {
    std::vector<const TensorSpec*> open;
    const TensorSpec* assumed = nullptr;
    for (const TensorSpec& spec : specs) {
      if (is_computed(spec)) continue;
      const GgufTensor& tensor = find(spec);
      if (tensor.type->coding != coding) continue;
      switch (order_knowledge(coded_bytes_of(spec, tensor))) {
        case OrderKnowledge::certain:
          break;
        case OrderKnowledge::assumed:
          if (assumed == nullptr) assumed = &spec;
          break;
        case OrderKnowledge::open:
          open.push_back(&spec);
          break;
      }
    }
    if (assumed != nullptr) {
      say(options_.log, BITNET_LOG_WARNING, "bitnet.cpp generates no ", find(*assumed).type->name,
          " kernels for matrices of ", assumed->rows, " x ", assumed->cols, " (", assumed->name,
          "), so that the order of their weights is assumed. If the model writes nonsense, convert it from its "
          "original");
    }
    if (open.empty()) return;
    const auto names = coded_orders(coding);
    const FoundOrder found =
        find_order(names, order_samples(open, specs), order_tokens(specs.front()), specs.front().cols);
    if (coding == Coding::i2_s) return choose_i2s(found, names);
    require(found.order.has_value(), BITNET_ERROR_UNSUPPORTED, "the file does not say in which order its ",
            find(*open.front()).type->name, " weights lie, which is another one for bitnet.cpp's pretuned kernels of ",
            "this model than for those that it generates, and the weights do not show it (", found.evidence,
            "); convert the model from its original");
    order_of(coding) = *found.order;
    say(options_.log, BITNET_LOG_INFO, find(*open.front()).type->name, " order: ", names[*found.order],
        ", found from the weights (", found.evidence, ")");
  }

  void choose_i2s(const FoundOrder& found, std::span<const char* const> names) const {
    const bool given = options_.layout != I2sLayout::automatic;
    size_t& order = order_of(Coding::i2_s);
    order = given ? static_cast<size_t>(std::ranges::find(kI2sLayouts, options_.layout) - kI2sLayouts)
                  : found.order.value_or(0);
    const std::string evidence = " (" + found.evidence + ")", used = names[order];
    if (!given && found.order) {
      say(options_.log, BITNET_LOG_INFO, "I2_S layout: ", used, ", found from the weights", evidence);
    } else if (!given) {
      say(options_.log, BITNET_LOG_WARNING,
          "the file does not say in which layout its I2_S weights lie, and the weights do not show it", evidence, "; ",
          used, " is assumed. If the model writes nonsense, choose arm or rows (the option i2s; --i2s)");
    } else if (found.order && *found.order != order) {
      say(options_.log, BITNET_LOG_WARNING, "the I2_S layout ", used, " was chosen, but the weights lie as in ",
          names[*found.order], evidence, "; the model may write nonsense");
    }
  }

  // The norm whose output a matrix reads; null if there is none.
  static const TensorSpec* norm_before(const TensorSpec& spec, const std::vector<TensorSpec>& specs) {
    struct Pair {
      std::string_view matrix, norm;
    };
    constexpr Pair kPairs[] = {
        {".attn_q.weight", ".attn_norm.weight"},     {".attn_k.weight", ".attn_norm.weight"},
        {".attn_v.weight", ".attn_norm.weight"},     {".attn_output.weight", ".attn_sub_norm.weight"},
        {".ffn_gate.weight", ".ffn_norm.weight"},    {".ffn_up.weight", ".ffn_norm.weight"},
        {".ffn_down.weight", ".ffn_sub_norm.weight"}};
    for (const Pair& pair : kPairs) {
      if (!spec.name.ends_with(pair.matrix)) continue;
      const std::string name = spec.name.substr(0, spec.name.size() - pair.matrix.size()) + std::string(pair.norm);
      const auto norm = std::ranges::find(specs, name, &TensorSpec::name);
      return norm == specs.end() || norm->cols != spec.cols ? nullptr : &*norm;
    }
    return nullptr;
  }

  // Matrices of some layers, with the gains of the norm before each.
  std::vector<OrderSample> order_samples(const std::vector<const TensorSpec*>& matrices,
                                         const std::vector<TensorSpec>& specs) const {
    const auto layer_of = [](const TensorSpec& spec) { return spec.name.substr(0, spec.name.find('.', 4)); };
    std::vector<std::string> layers;
    for (const TensorSpec* const spec : matrices) {
      if (layers.empty() || layers.back() != layer_of(*spec)) layers.push_back(layer_of(*spec));
    }
    const size_t count = std::min(layers.size(), kOrderLayers);
    std::vector<std::string> chosen;
    for (size_t i = 0; i < count; ++i) chosen.push_back(layers[(2 * i + 1) * layers.size() / (2 * count)]);

    std::vector<OrderSample> samples;
    for (const TensorSpec* const spec : matrices) {
      if (spec->cols > kOrderColumns || std::ranges::count(chosen, layer_of(*spec)) == 0) continue;
      OrderSample sample{spec->rows, spec->cols, {}, {}, false};
      const CodedBytes coded = coded_bytes_of(*spec, find(*spec));
      for (size_t order = 0; order < coded_orders(coded.coding).size(); ++order) {
        sample.orders.push_back(open_coded(coded, order));
      }
      if (const TensorSpec* const norm = norm_before(*spec, specs)) {
        sample.gains = finite_row(*norm, 0);
        sample.reads_stream = !norm->name.ends_with("_sub_norm.weight") && spec->cols == specs.front().cols;
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

  // --- scales of numbers ------------------------------------------------------------------------------------------

  TernaryScales scales_by_values(const TensorSpec& spec, const GgufTensor& tensor) const {
    ScaleFinder finder(spec.rows, spec.cols);
    constexpr uint32_t kStep = 64;
    parallel_for((spec.rows + kStep - 1) / kStep, [&](size_t part) {
      std::vector<float> values(spec.cols);
      const auto begin = static_cast<uint32_t>(part * kStep), count = std::min(kStep, spec.rows - begin);
      for (uint32_t row = begin; row < begin + count; ++row) {
        read_row(tensor, stored_row(spec, row), values);
        check_finite(spec, row, values);
        finder.add_row(row, values);
      }
      release(spec, begin, count);
    });
    return finder.result();
  }

  static void check_finite(const TensorSpec& spec, uint32_t row, std::span<const float> values) {
    const size_t bad = find_nonfinite(values);
    require(bad == values.size(), BITNET_ERROR_FORMAT, "tensor ", spec.name, ", row ", row, ", column ", bad, " is ",
            bad == values.size() ? 0 : values[bad], "; the model is damaged");
  }

  Gguf gguf_;
  GgufSourceOptions options_;
  fb::ModelT model_;  // without tensors
  std::vector<float> rope_factors_;
  const Architecture* architecture_;
  uint32_t head_dim_;
  mutable std::array<size_t, kCodings> orders_{};  // of each coding; check() decides them, before weights are read
};

}  // namespace

std::unique_ptr<Source> open_gguf_source(std::span<const std::span<const std::byte>> parts,
                                         const GgufSourceOptions& options) {
  return std::make_unique<GgufSource>(parts, options);
}

}  // namespace bitnet
