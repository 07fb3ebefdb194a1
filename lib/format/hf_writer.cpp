// SPDX-License-Identifier: MIT
#include "format/hf_writer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/half.h"
#include "base/parallel.h"
#include "base/path.h"
#include "format/converter.h"
#include "format/differences.h"
#include "format/form.h"
#include "format/group_scales.h"
#include "format/hf_config.h"
#include "format/hf_config_writer.h"
#include "format/hf_folder.h"
#include "format/hf_tokenizer.h"
#include "format/hf_tokenizer_writer.h"
#include "format/metadata.h"
#include "format/safetensors_writer.h"
#include "format/scale_finder.h"

namespace bitnet {
namespace {

const char* name_of(WrittenType type) {
  switch (type) {
    case WrittenType::f32:
      return "float32";
    case WrittenType::f16:
      return "float16";
    case WrittenType::bf16:
      return "bfloat16";
    case WrittenType::u8:
      return "uint8";
  }
  return "";
}

float rounded(float value, WrittenType type) {
  switch (type) {
    case WrittenType::f16:
      return half_to_float(float_to_half(value));
    case WrittenType::bf16:
      return bfloat_to_float(float_to_bfloat(value));
    case WrittenType::f32:
    case WrittenType::u8:
      break;
  }
  return value;
}

void encode(float value, WrittenType type, std::byte* out) {
  if (type == WrittenType::f32) {
    std::memcpy(out, &value, sizeof value);
    return;
  }
  const uint16_t bits = type == WrittenType::f16 ? float_to_half(value) : float_to_bfloat(value);
  std::memcpy(out, &bits, sizeof bits);
}

bool all_are(std::span<const float> values, WrittenType type) {
  return std::ranges::all_of(values, [type](float value) { return rounded(value, type) == value; });
}

// The float of which `scale` is the reciprocal, as it is computed in float; the nearest if there is none.
float reciprocal_for(float scale) {
  const float near = 1 / scale;
  for (const float tried : {near, std::nextafter(near, 0.0f), std::nextafter(near, INFINITY)}) {
    if (1 / tried == scale) return tried;
  }
  return near;
}

// A tensor of the model and those of the files that hold it: one, or one for each expert.
struct Planned {
  const TensorSpec* spec;
  WrittenType type;
  std::vector<size_t> tensors = {};
  std::optional<size_t> scale = {};
};

class Writer {
 public:
  Writer(const std::string& out, const Source& source, const HfWriterOptions& options)
      : source_(source),
        options_(options),
        folder_(std::make_unique<OutputFolder>(out)),
        model_(described(source, options)),
        hyper_(read_hyperparameters(model_)) {
    check_hyperparameters(hyper_);
    specs_ = tensor_specs(hyper_, [&](std::string_view name) {
      if (name == kScreenName || name == kRopeFactorsName || (name == kHeadName && model_.tied)) return false;
      return source.has(name);
    });
    input_norms_ = source.has(kInputNormName);
    biases_ = std::ranges::find(specs_, Role::bias, &TensorSpec::role) != specs_.end();
  }

  static fb::ModelT described(const Source& source, const HfWriterOptions& options) {
    fb::ModelT model = source.describe();
    if (options.describe) options.describe(model);
    return model;
  }

  WrittenFolder run() {
    choose_form();
    read_rope_factors();
    plan();
    write_texts();
    check_texts();
    files_.begin(*folder_, options_.shard_bytes);
    uint64_t total = 0;
    for (const TensorSpec& spec : specs_) total += uint64_t{spec.rows} * spec.cols;
    ProgressMeter meter(options_.progress, total);
    for (const Planned& planned : planned_) write(planned, meter);
    if (!rounding_.is_exact()) {
      lose(rounding_.text(name_of(numbers_)), packed_ ? "" : "; f32 holds every number");
    }
    files_.finish(*folder_);
    return {std::move(folder_), texts_bytes_ + files_.file_bytes()};
  }

 private:
  // Something that a folder does not hold.
  template <typename... Parts>
  void lose(const Parts&... parts) const {
    if (!options_.lossy) {
      fail(BITNET_ERROR_UNSUPPORTED, parts...,
           ": this would lose something; the option lossy (--lossy) lets it be lost");
    }
    say(options_.log, BITNET_LOG_WARNING, parts...);
  }

  // --- the form ---------------------------------------------------------------------------------------------------

  bool rounds() const { return options_.quantize == Quantize::absmean; }

  void choose_form() {
    const Survey found = survey(source_, specs_);
    ternary_ = found.ternary || rounds();
    if (!ternary_) {
      require(!hyper_.architecture->ternary, BITNET_ERROR_UNSUPPORTED, found.not_ternary,
              ": the model is not ternary, as its architecture asks for; the option quantize (--quantize) makes it so");
    } else {
      bits_ = choose_bits(source_, found, {.activations = options_.activations, .log = options_.log});
    }
    const std::string not_packed = why_not_packed(found);
    packed_ = options_.form ? *options_.form == HfForm::packed : not_packed.empty();
    require(!packed_ || not_packed.empty(), BITNET_ERROR_UNSUPPORTED, "the model cannot be packed: ", not_packed);
    if (!packed_) check_numbers(not_packed);
    numbers_ = choose_numbers();
    say(options_.log, BITNET_LOG_INFO, packed_ ? "linear layers are packed, other" : "all", " numbers are written as ",
        name_of(numbers_));
  }

  // Empty: it can be.
  std::string why_not_packed(const Survey& found) const {
    if (!ternary_) return found.not_ternary;
    if (bits_ == ActivationBits::int16) {
      return "it is computed with activations of 16 bits, and the layers that have packed weights take 8";
    }
    if (found.ternary && !found.scales_alone) return "its matrices have more than one scale each";
    if (hyper_.experts != 0) return "no class of transformers has packed experts";
    for (const TensorSpec& spec : specs_) {
      if (spec.role == Role::linear && spec.rows % kHfRowsInByte != 0) {
        return "tensor " + source_.own_name(spec) + " has " + std::to_string(spec.rows) +
               " rows, which is no multiple of 4";
      }
    }
    return "";
  }

  // Whether a reader of numbers computes the same.
  void check_numbers(const std::string& not_packed) const {
    const std::string advice =
        not_packed.empty() ? "; packed weights say it" : "; packed weights would say it, but " + not_packed;
    require(!input_norms_, BITNET_ERROR_UNSUPPORTED, "a norm stands before each linear layer, whose weights are ",
            "rounded anew wherever they are numbers, to another scale", advice);
    if (!ternary_) return;
    const bool int8 = hyper_.architecture->ternary;  // of a class that says nothing else
    if (int8 == (bits_ == ActivationBits::int8)) return;
    lose("that activations have ", int8 ? 16 : 8, " bits is not said where the weights of this class are numbers",
         int8 ? "" : advice);
  }

  WrittenType choose_numbers() const {
    switch (options_.form.value_or(HfForm::packed)) {
      case HfForm::bf16:
        return WrittenType::bf16;
      case HfForm::f16:
        return WrittenType::f16;
      case HfForm::f32:
        return WrittenType::f32;
      case HfForm::packed:
        break;
    }
    for (const WrittenType type : {WrittenType::bf16, WrittenType::f16}) {
      const auto holds = [&](const TensorSpec& spec) { return !is_matrix(spec) || all_values_are(spec, type); };
      if (std::ranges::all_of(specs_, holds) && (!packed_ || all_others_are(type))) return type;
    }
    return WrittenType::f32;
  }

  // Beside packed matrices transformers takes all numbers as they come, and stops where two types meet.
  bool all_others_are(WrittenType type) const {
    return all_scales_are(type) && std::ranges::all_of(specs_, [&](const TensorSpec& spec) {
             return spec.role == Role::linear || is_matrix(spec) || all_values_are(spec, type);
           });
  }

  // A matrix that is written as numbers. Norms, biases and routers may have more digits than these.
  bool is_matrix(const TensorSpec& spec) const {
    switch (spec.role) {
      case Role::linear:
        return !packed_;
      case Role::embedding:
      case Role::head:
        return true;
      case Role::vector:
      case Role::bias:
      case Role::router:
      case Role::screen:
        return false;
    }
    return false;
  }

  bool all_values_are(const TensorSpec& spec, WrittenType type) const {
    const TernaryScales found = is_matrix(spec) ? scales_of(spec) : TernaryScales{.not_ternary = "numbers"};
    if (found.is_ternary()) return all_are(found.scales, type);
    std::atomic<bool> all = true;
    const uint32_t step = rows_at_once(spec);
    parallel_for((spec.rows + step - 1) / step, [&](size_t part) {
      if (!all) return;
      const auto row = static_cast<uint32_t>(part * step);
      const uint32_t count = std::min(step, spec.rows - row);
      if (!all_are(read_values(spec, found, row, count), type)) all = false;
      source_.release(spec, row, count);
    });
    return all;
  }

  // --- texts ------------------------------------------------------------------------------------------------------

  void read_rope_factors() {
    if (!source_.has(kRopeFactorsName)) return;
    const auto specs = tensor_specs(hyper_, [](std::string_view name) { return name == kRopeFactorsName; });
    const auto spec = std::ranges::find(specs, kRopeFactorsName, &TensorSpec::name);
    rope_factors_.resize(spec->cols);
    source_.read_values(*spec, 0, 1, rope_factors_.data());
  }

  void write_text(const char* name, const std::string& text) {
    OutputFile file(folder_->file(name));
    file.write_at(0, std::as_bytes(std::span(text)));
    file.commit();
    texts_bytes_ += text.size();
  }
  void write_json(const char* name, const OrderedJson& json) {
    write_text(name, json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n");
  }

  void write_texts() {
    write_json("config.json", hf_config({model_, rope_factors_, packed_, input_norms_, biases_, name_of(computed_)}));
    write_json("generation_config.json", hf_generation_config(model_));
    const HfVocabularyFile vocabulary = hf_vocabulary(*model_.tokenizer);
    write_text(vocabulary.name, vocabulary.bytes);
    write_text("tokenizer_config.json", hf_tokenizer_config(model_));
    if (!model_.chat_template.empty()) write_text("chat_template.jinja", model_.chat_template);
    const bool plain = std::ranges::all_of(
        model_.license, [](unsigned char c) { return c >= ' ' && c < 127 && c != '"' && c != '\\'; });
    if (!model_.license.empty() && plain) {
      write_text("README.md", "---\nlicense: \"" + model_.license + "\"\n---\nWritten by libbitnet.\n");
    }
    if (model_.pooling == fb::Pooling::none) return;
    write_json("modules.json", hf_modules());
    folder_->make(kHfPoolingFolder);
    folder_->make(kHfNormalizeFolder);  // which has nothing in it
    write_json((std::string(kHfPoolingFolder) + "/config.json").c_str(), hf_pooling_config(model_));
  }

  // Reads what was written, and compares.
  void check_texts() const {
    try {
      const HfConfig config = read_hf_config(read_json(joined(folder_->path(), "config.json"), kMaxConfig));
      fb::ModelT read;
      read.architecture = config.architecture;
      read.hyper = std::make_unique<fb::HyperParametersT>(config.hyper);
      read.headless = config.headless;
      read.tied = config.tied.value_or(false) && !config.headless;
      read.pooling = hf_pooling(folder_->path());
      for (const std::string& difference : differing_hyperparameters(read, model_)) lose_text(difference);
      check_biases();
      if (!rope_factors_.empty() && config.rope_factors != rope_factors_) lose_text("the rotary factors are others");
      const HfTokenizer texts = read_hf_tokenizer(folder_->path(), model_.hyper->vocabulary, {});
      for (const std::string& difference : differing_tokenizers(*texts.tokenizer, *model_.tokenizer)) {
        lose_text(difference);
      }
    } catch (const Lost&) {
      throw;
    } catch (const Error& error) {
      fail(BITNET_ERROR_UNSUPPORTED, "the files of a Hugging Face folder cannot describe this model: ", error.what());
    }
  }

  // config.json has one word for the biases of all four matrices of attention.
  void check_biases() const {
    const auto count = static_cast<uint64_t>(std::ranges::count(specs_, Role::bias, &TensorSpec::role));
    const bool all = count == 0 || count == uint64_t{4} * hyper_.layers;
    require(all || hyper_.architecture->qkv_biases == Part::required, BITNET_ERROR_UNSUPPORTED,
            "of attention all four matrices or none have biases (attention_bias), and this model has ", count, " in ",
            counted(hyper_.layers, "layer"));
  }

  // Not to be taken for what a reader found.
  struct Lost : Error {
    using Error::Error;
  };
  void lose_text(const std::string& difference) const {
    try {
      lose("in a Hugging Face folder ", difference);
    } catch (const Error& error) {
      throw Lost(error.status(), error.what());
    }
  }

  // --- weights ----------------------------------------------------------------------------------------------------

  static uint32_t parts(const TensorSpec& spec) { return std::max(spec.experts, 1u); }
  static uint32_t part_rows(const TensorSpec& spec) { return spec.rows / parts(spec); }

  // Of names that are the same to us the one that the layers of this form have.
  std::string hf_name(const TensorSpec& spec) const {
    if (hyper_.architecture->partial_rotary && spec.role == Role::embedding) return spec.hf_names.back();  // Maple's
    const auto is_rms_norm = [](const std::string& name) { return name.ends_with(".rms_norm.weight"); };
    const auto rms_norm = std::ranges::find_if(spec.hf_names, is_rms_norm);
    const std::string& name = rms_norm != spec.hf_names.end() ? *rms_norm : spec.hf_names.front();
    constexpr std::string_view kModel = "model.";  // which a class that is the network alone does not have
    return model_.headless && name.starts_with(kModel) ? name.substr(kModel.size()) : name;
  }

  WrittenType type_for(const TensorSpec& spec) const {
    if (spec.role == Role::linear && packed_) return WrittenType::u8;
    return is_matrix(spec) || all_values_are(spec, numbers_) ? numbers_ : WrittenType::f32;
  }

  void plan() {
    for (const TensorSpec& spec : specs_) {
      Planned planned = {&spec, type_for(spec)};
      const std::string name = hf_name(spec);
      const uint64_t rows = part_rows(spec) / (planned.type == WrittenType::u8 ? kHfRowsInByte : 1);
      for (uint32_t i = 0; i < parts(spec); ++i) {
        const bool vector = spec.role == Role::vector || spec.role == Role::bias;
        planned.tensors.push_back(
            files_.add(spec.experts == 0 ? name : expert_name(name, i), planned.type,
                       vector ? std::vector<uint64_t>{spec.cols} : std::vector<uint64_t>{rows, spec.cols}));
      }
      if (planned.type == WrittenType::u8) planned.scale = files_.add(name + "_scale", numbers_, {1});
      planned_.push_back(std::move(planned));
    }
    // transformers computes in one type, to which it rounds what is wider.
    const auto is_wider = [&](const Planned& planned) { return planned.type == WrittenType::f32; };
    computed_ = std::ranges::any_of(planned_, is_wider) ? WrittenType::f32 : numbers_;
  }

  bool all_scales_are(WrittenType type) const {
    return std::ranges::all_of(specs_, [&](const TensorSpec& spec) {
      if (spec.role != Role::linear) return true;
      for (const float scale : scales_of(spec).scales) {
        const float stored = biases_ ? reciprocal_for(scale) : scale;
        if (rounded(stored, type) != stored) return false;
      }
      return true;
    });
  }

  TernaryScales scales_of(const TensorSpec& spec) const {
    TernaryScales found = source_.ternary_scales(spec);
    const bool round = rounds() && spec.role == Role::linear && !found.is_ternary();
    return round ? round_by_absmean(found.mean) : found;
  }

  // A multiple of 16, as sources read trits.
  static uint32_t rows_at_once(const TensorSpec& spec) {
    constexpr size_t kGroup = 16;
    const size_t rows = kPieceBytes / (spec.cols * sizeof(float)) / kGroup * kGroup;
    return static_cast<uint32_t>(std::max(rows, kGroup));
  }

  void write(const Planned& planned, ProgressMeter& meter) {
    if (planned.type == WrittenType::u8) {
      write_packed(planned);
      meter.advance(uint64_t{planned.spec->rows} * planned.spec->cols);
    } else {
      write_numbers(planned, meter);
    }
  }

  // A byte has a weight of each quarter of the rows, from the lowest bits on, so that the whole matrix is needed.
  void write_packed(const Planned& planned) {
    const TensorSpec& spec = *planned.spec;
    const TernaryScales found = scales_of(spec);
    require(found.is_ternary(), BITNET_ERROR_UNSUPPORTED, "tensor ", source_.own_name(spec), ": ", found.not_ternary,
            ": the matrix is not ternary, as those of the first layer are");
    if (found.scales.size() != 1) {
      fail(BITNET_ERROR_UNSUPPORTED, "tensor ", source_.own_name(spec), " has ", found.scales.size(),
           " scales, and those of the first layer one each; packed, it would have one");
    }
    std::vector<int8_t> trits(size_t{spec.rows} * spec.cols);
    const uint32_t step = rows_at_once(spec);
    parallel_for((spec.rows + step - 1) / step, [&](size_t part) {
      const auto row = static_cast<uint32_t>(part * step);
      const uint32_t count = std::min(step, spec.rows - row);
      source_.read_trits(spec, found, row, count, &trits[size_t{row} * spec.cols]);
      source_.release(spec, row, count);
    });
    const size_t quarter = trits.size() / kHfRowsInByte;
    std::vector<std::byte> bytes(quarter);
    for (size_t i = 0; i < quarter; ++i) {
      unsigned byte = 0;
      for (unsigned n = 0; n < kHfRowsInByte; ++n) byte |= static_cast<unsigned>(trits[n * quarter + i] + 1) << 2 * n;
      bytes[i] = static_cast<std::byte>(byte);
    }
    files_.write(planned.tensors.front(), 0, bytes);
    const float scale = stored_scale(spec, found.scales.front());
    std::byte stored[sizeof scale];
    encode(scale, numbers_, stored);
    files_.write(*planned.scale, 0, std::span(stored).first(bytes_of(numbers_)));
  }

  float stored_scale(const TensorSpec& spec, float scale) const {
    if (!biases_) return scale;
    const float reciprocal = reciprocal_for(scale);
    if (1 / reciprocal != scale) {
      lose("tensor ", source_.own_name(spec), " has the scale ", scale,
           ", of which layers with biases store the reciprocal, and no number's reciprocal is that");
    }
    return reciprocal;
  }

  void write_numbers(const Planned& planned, ProgressMeter& meter) {
    const TensorSpec& spec = *planned.spec;
    const bool matrix = is_matrix(spec);
    const TernaryScales found = matrix ? scales_of(spec) : TernaryScales{.not_ternary = "numbers"};
    const uint32_t step = rows_at_once(spec);
    const size_t width = bytes_of(planned.type) * size_t{spec.cols};
    for (uint64_t begin = 0; begin < spec.rows; begin += uint64_t{step} * kPiecesAtOnce) {
      std::vector<std::byte> pieces[kPiecesAtOnce];
      const size_t count = std::min<size_t>(kPiecesAtOnce, (spec.rows - begin + step - 1) / step);
      parallel_for(count, [&](size_t i) {
        const auto row = static_cast<uint32_t>(begin + i * step);
        const uint32_t rows = std::min(step, spec.rows - row);
        pieces[i] = encoded(read_values(spec, found, row, rows), planned.type);
        source_.release(spec, row, rows);
      });
      for (size_t i = 0; i < count; ++i) {
        put_rows(planned, static_cast<uint32_t>(begin + i * step), width, pieces[i]);
        meter.advance(pieces[i].size() / bytes_of(planned.type));
      }
    }
  }

  void put_rows(const Planned& planned, uint32_t row, size_t width, std::span<const std::byte> bytes) {
    const uint32_t of_part = part_rows(*planned.spec);
    while (!bytes.empty()) {
      const uint32_t own = row % of_part;
      const auto rows = static_cast<uint32_t>(std::min<size_t>(of_part - own, bytes.size() / width));
      files_.write(planned.tensors[row / of_part], own * width, bytes.first(rows * width));
      bytes = bytes.subspan(rows * width);
      row += rows;
    }
  }

  std::vector<std::byte> encoded(const std::vector<float>& values, WrittenType type) {
    std::vector<std::byte> out(values.size() * bytes_of(type));
    Rounding rounding;
    for (size_t i = 0; i < values.size(); ++i) {
      encode(values[i], type, &out[i * bytes_of(type)]);
      rounding.note(values[i], rounded(values[i], type));
    }
    rounding_.add(rounding);
    return out;
  }

  // Gemma's own norms are less 1 there, but not those that BitLinear adds.
  bool is_less_one(const TensorSpec& spec) const {
    const bool of_linear = std::holds_alternative<Linear Layer::*>(spec.place);
    return spec.role == Role::vector && !of_linear && hyper_.architecture->norms_less_one;
  }

  std::vector<float> read_values(const TensorSpec& spec, const TernaryScales& found, uint32_t row,
                                 uint32_t count) const {
    std::vector<float> values(size_t{count} * spec.cols);
    if (found.is_ternary()) {
      read_products(spec, found, row, count, values);
    } else {
      source_.read_values(spec, row, count, values.data());
    }
    if (!is_less_one(spec)) return values;
    for (float& value : values) {
      const float less = value - 1;
      if (less + 1 != value) lose("tensor ", spec.name, " has the weight ", value, ", which is not exact less 1");
      value = less;
    }
    return values;
  }

  void read_products(const TensorSpec& spec, const TernaryScales& found, uint32_t row, uint32_t count,
                     std::vector<float>& values) const {
    std::vector<int8_t> trits(values.size());
    source_.read_trits(spec, found, row, count, trits.data());
    const uint32_t group = found.group == 0 ? spec.cols : found.group;
    const size_t groups = (spec.cols + group - 1) / group;
    for (uint32_t r = 0, i = 0; r < count; ++r) {
      for (uint32_t c = 0; c < spec.cols; ++c, ++i) {
        const size_t scale = found.scales.size() == 1 ? 0 : (row + r) * groups + c / group;
        values[i] = static_cast<float>(trits[i]) * found.scales[scale];
      }
    }
  }

  const Source& source_;
  const HfWriterOptions& options_;
  std::unique_ptr<OutputFolder> folder_;
  const fb::ModelT model_;
  const HyperParameters hyper_;
  std::vector<TensorSpec> specs_;
  std::vector<float> rope_factors_;
  bool input_norms_ = false, biases_ = false;
  bool ternary_ = false, packed_ = false;
  std::optional<ActivationBits> bits_;
  WrittenType numbers_ = WrittenType::f32;
  WrittenType computed_ = WrittenType::f32;  // that holds all numbers
  uint64_t texts_bytes_ = 0;
  SafetensorsWriter files_;
  std::vector<Planned> planned_;
  RoundingTotal rounding_;
};

}  // namespace

WrittenFolder write_hf(const std::string& out, const Source& source, const HfWriterOptions& options) {
  return Writer(out, source, options).run();
}

}  // namespace bitnet
