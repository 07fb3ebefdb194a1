// SPDX-License-Identifier: MIT
#include "format/gguf_writer.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/half.h"
#include "base/parallel.h"
#include "format/coded_matrix.h"
#include "format/converter.h"
#include "format/gguf.h"
#include "format/group_scales.h"
#include "format/metadata.h"
#include "format/open_questions.h"
#include "format/scale_finder.h"
#include "format/tl.h"

namespace bitnet {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is written as it lies in memory");

constexpr uint64_t kAlignment = 32;
constexpr uint32_t kQuantizationVersion = 2;  // of how the types that have blocks lie

// Blocks of the same number of values, row by row; what follows all blocks of a matrix. TL1 and TL2 have no blocks of
// a row, and their size is not that of such.
struct Encoding {
  GgufWeights weights;
  const char* name;
  uint32_t number;     // of the type
  uint32_t file_type;  // of a file that is mostly in it; 0 with another type than f32: none is known
  uint32_t block, block_bytes, tail_bytes;
};
constexpr auto kEncodings = std::to_array<Encoding>({
    {GgufWeights::f16, "f16", 1, 1, 1, 2, 0},
    {GgufWeights::f32, "f32", 0, 0, 1, 4, 0},
    {GgufWeights::i2_s, "i2_s", 36, 40, 128, 32, 32},
    {GgufWeights::tq1_0, "tq1_0", 34, 36, 256, 54, 0},
    {GgufWeights::tq2_0, "tq2_0", 35, 37, 256, 66, 0},
    {GgufWeights::q2_0, "q2_0", 42, 0, 64, 18, 0},
    {GgufWeights::tl1, "tl1", 38, 38, 4, 1, 0},
    {GgufWeights::tl2, "tl2", 39, 39, 4, 1, 0},
});
const Encoding& encoding_of(GgufWeights weights) { return kEncodings[static_cast<size_t>(weights)]; }
constexpr bool in_order() {
  for (size_t i = 0; i < kEncodings.size(); ++i) {
    if (static_cast<size_t>(kEncodings[i].weights) != i) return false;
  }
  return true;
}
static_assert(in_order());

// Of the types that pack a matrix as a whole, with its scale in a tensor of its own.
std::optional<Coding> coding_of(GgufWeights weights) {
  switch (weights) {
    case GgufWeights::tl1:
      return Coding::tl1;
    case GgufWeights::tl2:
      return Coding::tl2;
    case GgufWeights::f16:
    case GgufWeights::f32:
    case GgufWeights::i2_s:
    case GgufWeights::tq1_0:
    case GgufWeights::tq2_0:
    case GgufWeights::q2_0:
      break;
  }
  return std::nullopt;
}

bool are_halves(const std::vector<float>& values) {
  return std::ranges::all_of(values, [](float v) { return half_to_float(float_to_half(v)) == v; });
}

// Weight `run` * n + i of a block in field n of byte i, from the lowest bits on.
void write_fields(const int8_t* trits, size_t run, std::byte* out) {
  for (size_t i = 0; i < run; ++i) {
    unsigned byte = 0;
    for (size_t n = 0; n < 4; ++n) byte |= static_cast<unsigned>(trits[run * n + i] + 1) << 2 * n;
    out[i] = static_cast<std::byte>(byte);
  }
}
// The same from the highest bits on.
void write_i2s_block(const int8_t* trits, std::byte* out) {
  for (size_t i = 0; i < 32; ++i) {
    unsigned byte = 0;
    for (size_t n = 0; n < 4; ++n) byte |= static_cast<unsigned>(trits[32 * n + i] + 1) << (6 - 2 * n);
    out[i] = static_cast<std::byte>(byte);
  }
}
// `run` bytes of `digits` trits each in base 3, the first digit the highest: weight `run` * n + i is digit n of byte i.
// A byte is the value as a fraction of 3^5, rounded up, so that each digit is read by a multiplication.
void write_digits(const int8_t*& trits, size_t run, size_t digits, std::byte*& out) {
  for (size_t i = 0; i < run; ++i) {
    unsigned value = 0;
    for (size_t n = 0; n < 5; ++n) value = 3 * value + (n < digits ? static_cast<unsigned>(trits[run * n + i] + 1) : 0);
    *out++ = static_cast<std::byte>((value * 256 + 242) / 243);
  }
  trits += run * digits;
}
void write_tq1_0_block(const int8_t* trits, uint16_t scale, std::byte* out) {
  write_digits(trits, 32, 5, out);
  write_digits(trits, 16, 5, out);
  write_digits(trits, 4, 4, out);
  std::memcpy(out, &scale, sizeof scale);
}
void write_tq2_0_block(const int8_t* trits, uint16_t scale, std::byte* out) {
  write_fields(trits, 32, out);
  write_fields(trits + 128, 32, out + 32);
  std::memcpy(out + 64, &scale, sizeof scale);
}
void write_q2_0_block(const int8_t* trits, uint16_t scale, std::byte* out) {
  std::memcpy(out, &scale, sizeof scale);
  for (size_t i = 0; i < 64; i += 4) write_fields(trits + i, 1, out + 2 + i / 4);
}

// The header: everything before the tensors' bytes.
class Header {
 public:
  void number(const std::string& key, uint32_t value) { pair(key, GgufKind::u32, value); }
  void long_number(const std::string& key, int64_t value) { pair(key, GgufKind::i64, value); }
  void real(const std::string& key, float value) { pair(key, GgufKind::f32, value); }
  void boolean(const std::string& key, bool value) { pair(key, GgufKind::boolean, static_cast<uint8_t>(value)); }
  void text(const std::string& key, std::string_view value) {
    begin(key, GgufKind::string);
    add_text(pairs_, value);
  }
  // write(i) adds element i.
  template <typename Write>
  void array(const std::string& key, GgufKind element, uint64_t size, const Write& write) {
    begin(key, GgufKind::array);
    add(pairs_, element);
    add(pairs_, size);
    for (uint64_t i = 0; i < size; ++i) write(i, pairs_);
  }
  bool has(const std::string& key) const { return keys_.contains(key); }
  void tensor(std::string_view name, const TensorSpec& spec, uint32_t type, uint64_t offset) {
    add_text(tensors_, name);
    add(tensors_, uint32_t{spec.rows == 1 ? 1u : spec.experts == 0 ? 2u : 3u});
    add(tensors_, uint64_t{spec.cols});
    if (spec.rows != 1) add(tensors_, uint64_t{spec.rows / std::max(spec.experts, 1u)});
    if (spec.experts != 0) add(tensors_, uint64_t{spec.experts});
    add(tensors_, type);
    add(tensors_, offset);
    ++tensor_count_;
  }
  // A single number, as bitnet.cpp's converter has it: without dimensions.
  void number_tensor(std::string_view name, uint64_t offset) {
    add_text(tensors_, name);
    add(tensors_, uint32_t{0});
    add(tensors_, encoding_of(GgufWeights::f32).number);
    add(tensors_, offset);
    ++tensor_count_;
  }

  std::string bytes() const {
    std::string out = "GGUF";
    add(out, uint32_t{3});
    add(out, tensor_count_);
    add(out, uint64_t{keys_.size()});
    out += pairs_ + tensors_;
    out.resize((out.size() + kAlignment - 1) / kAlignment * kAlignment);
    return out;
  }

  template <typename Value>
  static void add(std::string& out, Value value) {
    const auto bytes = std::bit_cast<std::array<char, sizeof value>>(value);
    out.append(bytes.data(), bytes.size());
  }
  static void add_text(std::string& out, std::string_view text) {
    add(out, uint64_t{text.size()});
    out += text;
  }

 private:
  void begin(const std::string& key, GgufKind kind) {
    add_text(pairs_, key);
    add(pairs_, kind);
    keys_.insert(key);
  }
  template <typename Value>
  void pair(const std::string& key, GgufKind kind, Value value) {
    begin(key, kind);
    add(pairs_, value);
  }

  std::set<std::string> keys_;
  std::string pairs_, tensors_;
  uint64_t tensor_count_ = 0;
};

const char* activation_text(fb::Activation activation) {
  switch (activation) {
    case fb::Activation::relu2:
      return "relu2";
    case fb::Activation::silu:
      return "silu";
    case fb::Activation::gelu:
      return "gelu_pytorch_tanh";
  }
  fail(BITNET_ERROR_INTERNAL, "activation ", static_cast<int>(activation), " has no name in GGUF");
}

uint32_t pooling_number(fb::Pooling pooling) {
  switch (pooling) {
    case fb::Pooling::none:
      return 0;
    case fb::Pooling::mean:
      return 1;
    case fb::Pooling::cls:
      return 2;
    case fb::Pooling::last:
      return 3;
  }
  fail(BITNET_ERROR_INTERNAL, "pooling ", static_cast<int>(pooling), " has no number in GGUF");
}

uint32_t gating_number(fb::Gating gating) {
  switch (gating) {
    case fb::Gating::softmax:
      return 1;
    case fb::Gating::sigmoid:
      return 2;
  }
  fail(BITNET_ERROR_INTERNAL, "gating ", static_cast<int>(gating), " has no number in GGUF");
}

void add_experts(Header& header, const std::string& prefix, const fb::HyperParametersT& hyper) {
  header.number(prefix + "expert_count", hyper.experts);
  header.number(prefix + "expert_used_count", hyper.experts_used);
  header.number(prefix + "expert_feed_forward_length", hyper.ffn);
  header.number(prefix + "expert_gating_func", gating_number(hyper.gating));
  header.boolean(prefix + "expert_weights_norm", hyper.normalised);
  header.real(prefix + "expert_weights_scale", hyper.expert_scale);
  if (hyper.ffn_limit == 0) return;
  header.array(prefix + "swiglu_clamp_exp", GgufKind::f32, hyper.layers,
               [&](uint64_t, std::string& out) { Header::add(out, hyper.ffn_limit); });
}

void add_hyperparameters(Header& header, const fb::ModelT& model) {
  const std::string prefix = model.architecture + ".";
  const fb::HyperParametersT& hyper = *model.hyper;
  header.number(prefix + "vocab_size", hyper.vocabulary);
  header.number(prefix + "context_length", hyper.context);
  header.number(prefix + "embedding_length", hyper.hidden);
  header.number(prefix + "block_count", hyper.layers);
  header.number(prefix + "feed_forward_length", hyper.ffn);
  header.number(prefix + "attention.head_count", hyper.heads);
  header.number(prefix + "attention.head_count_kv", hyper.kv_heads);
  header.number(prefix + "attention.key_length", hyper.head_dim);
  header.number(prefix + "attention.value_length", hyper.head_dim);
  header.number(prefix + "rope.dimension_count", hyper.rotary_dim != 0 ? hyper.rotary_dim : hyper.head_dim);
  header.real(prefix + "attention.layer_norm_rms_epsilon", hyper.rms_epsilon);
  header.real(prefix + "rope.freq_base", hyper.rope_theta);
  header.text(prefix + "hidden_activation", activation_text(hyper.activation));
  if (require_architecture(model.architecture).scales) {
    header.real(prefix + "embedding_scale", hyper.embedding_scale);
    header.real(prefix + "residual_scale", hyper.residual_scale);
    header.real(prefix + "logit_scale", hyper.logit_scale);
  }
  if (hyper.attention_scale != 0) header.real(prefix + "attention.scale", hyper.attention_scale);
  if (hyper.experts != 0) add_experts(header, prefix, hyper);
  if (hyper.window != 0 && hyper.only_windows_turn) {  // as Maple's have it
    const auto windowed = [&](uint64_t i) { return static_cast<uint8_t>((i + 1) % hyper.window_period != 0); };
    header.number(prefix + "attention.sliding_window", hyper.window);
    header.array(prefix + "attention.sliding_window_pattern", GgufKind::boolean, hyper.layers,
                 [&](uint64_t i, std::string& out) { Header::add(out, windowed(i)); });
    header.real(prefix + "rope.freq_base_swa", hyper.window_theta);
  } else if (hyper.window != 0) {
    header.number(prefix + "attention.sliding_window", hyper.window);
    header.number(prefix + "attention.sliding_window_pattern", hyper.window_period);
    header.real(prefix + "rope.freq_base_swa", hyper.window_theta);
  }
  if (model.pooling != fb::Pooling::none) header.number(prefix + "pooling_type", pooling_number(model.pooling));
}

bool is_rope_note(const fb::ModelT& model, const fb::KeyValueT& note) {
  return note.key.starts_with(model.architecture + ".rope.scaling.");
}

void add_note(Header& header, const fb::KeyValueT& note) {
  switch (note.kind) {
    case fb::ValueKind::text:
      return header.text(note.key, note.text);
    case fb::ValueKind::integer:
      return std::in_range<uint32_t>(note.integer) ? header.number(note.key, static_cast<uint32_t>(note.integer))
                                                   : header.long_number(note.key, note.integer);
    case fb::ValueKind::real:
      return header.real(note.key, static_cast<float>(note.real));
    case fb::ValueKind::boolean:
      return header.boolean(note.key, note.integer != 0);
  }
}

// What the model's own source said of it, where that was GGUF and is not said yet: how rotary positions are scaled, of
// which the model has only what it comes to, tokens for special uses, who made it. What it said of its own tensors and
// of the file is of no use here.
void add_notes(Header& header, const fb::ModelT& model) {
  const auto is_of_gguf = [&](const std::string& key) {
    constexpr std::string_view kOfTheFile[] = {"general.file_type", "general.quantization_version",
                                               "general.alignment"};
    const bool known =
        key.starts_with("general.") || key.starts_with("tokenizer.") || key.starts_with(model.architecture + ".");
    return known && std::ranges::find(kOfTheFile, key) == std::end(kOfTheFile);
  };
  for (const auto& note : model.notes) {
    if (is_of_gguf(note->key) && !header.has(note->key)) add_note(header, *note);
  }
}

void add_tokenizer(Header& header, const fb::ModelT& model) {
  const fb::TokenizerT& tokenizer = *model.tokenizer;
  const std::string prefix = "tokenizer.ggml.";
  const Pieces pieces(tokenizer.pieces, tokenizer.ends);
  const bool bytes = tokenizer.kind == fb::TokenizerKind::byte_bpe;
  header.text(prefix + "model", bytes ? "gpt2" : "llama");
  if (bytes) header.text(prefix + "pre", tokenizer.pre_tokenizer);
  header.array(prefix + "tokens", GgufKind::string, pieces.size(),
               [&](uint64_t i, std::string& out) { Header::add_text(out, pieces[i]); });
  header.array(prefix + "token_type", GgufKind::i32, tokenizer.types.size(),
               [&](uint64_t i, std::string& out) { Header::add(out, int32_t{tokenizer.types[i]}); });
  if (bytes) {
    header.array(prefix + "merges", GgufKind::string, tokenizer.merges.size(), [&](uint64_t i, std::string& out) {
      const auto piece = [&](int32_t token) { return std::string(pieces[static_cast<size_t>(token)]); };
      Header::add_text(out, piece(tokenizer.merges[i].left()) + " " + piece(tokenizer.merges[i].right()));
    });
  } else {
    header.array(prefix + "scores", GgufKind::f32, tokenizer.scores.size(),
                 [&](uint64_t i, std::string& out) { Header::add(out, tokenizer.scores[i]); });
    header.boolean(prefix + "add_space_prefix", tokenizer.add_space_prefix);
  }
  const auto token = [&](const char* key, int32_t value) {
    if (value >= 0) header.number(prefix + key, static_cast<uint32_t>(value));
  };
  token("bos_token_id", tokenizer.bos);
  token("eos_token_id", tokenizer.eos);
  token("unknown_token_id", tokenizer.unknown);
  token("padding_token_id", tokenizer.padding);
  if (!tokenizer.end_tokens.empty()) token("eot_token_id", tokenizer.end_tokens.front());
  header.boolean(prefix + "add_bos_token", tokenizer.add_bos);
  header.boolean(prefix + "add_eos_token", tokenizer.add_eos);
  if (!model.chat_template.empty()) header.text("tokenizer.chat_template", model.chat_template);
}

class Writer {
 public:
  Writer(const std::string& out, const Source& source, const GgufWriterOptions& options)
      : source_(source),
        options_(options),
        file_(std::make_unique<OutputFile>(out)),
        model_(described(source, options)),
        hyper_(read_hyperparameters(model_)) {
    check_hyperparameters(hyper_);
    require(hyper_.input_epsilon == 0 || options.lossy, BITNET_ERROR_UNSUPPORTED,
            "the norms before single matrices have an epsilon of their own, ", hyper_.input_epsilon,
            ", and GGUF has one for all norms: this would lose something; the option lossy (--lossy) lets it be ",
            hyper_.rms_epsilon);
    const bool scaled_by_keys =
        std::ranges::any_of(model_.notes, [&](const auto& note) { return is_rope_note(model_, *note); });
    specs_ = tensor_specs(hyper_, [&](std::string_view name) {
      if (name == kScreenName || (name == kHeadName && model_.tied)) return false;
      return source.has(name) && !(name == kRopeFactorsName && scaled_by_keys);
    });
    const auto first = std::ranges::find(specs_, Role::linear, &TensorSpec::role);
    linear_ = &encoding_of(options.weights.value_or(usual_weights(*first)));
    check_kernels();
  }

  static fb::ModelT described(const Source& source, const GgufWriterOptions& options) {
    fb::ModelT model = source.describe();
    if (options.describe) options.describe(model);
    return model;
  }

  WrittenGguf run() {
    Header header;
    header.text("general.architecture", model_.architecture);
    if (!model_.name.empty()) header.text("general.name", model_.name);
    if (!model_.license.empty()) header.text("general.license", model_.license);
    if (linear_->file_type != 0 || linear_->weights == GgufWeights::f32) {
      header.number("general.file_type", linear_->file_type);
    }
    if (linear_->block > 1) header.number("general.quantization_version", kQuantizationVersion);
    add_hyperparameters(header, model_);
    add_tokenizer(header, model_);
    add_notes(header, model_);
    uint64_t total = 0;
    for (const TensorSpec& spec : specs_) {
      const Encoding& encoding = encoding_for(spec);
      const bool input_norm = spec.name.ends_with(kInputNormEnd);
      header.tensor(input_norm ? gguf_input_norm(*hyper_.architecture, spec.name) : spec.name, spec, encoding.number,
                    total);
      total += aligned(stored_bytes(spec, encoding));
      if (!coding_of(encoding.weights)) continue;
      header.number_tensor(spec.name + "_scale", total);
      total += aligned(sizeof(float));
    }
    const std::string bytes = header.bytes();
    file_->reserve(bytes.size() + total);
    file_->write_at(0, std::as_bytes(std::span(bytes)));
    position_ = bytes.size();
    ProgressMeter meter(options_.progress, total);
    for (const TensorSpec& spec : specs_) write(spec, encoding_for(spec), meter);
    require(options_.lossy || rounding_.is_exact(), BITNET_ERROR_UNSUPPORTED, rounding_.text(),
            ": this would lose something. F32 holds every number; the option lossy (--lossy) lets them be rounded");
    if (!rounding_.is_exact()) say(options_.log, BITNET_LOG_WARNING, rounding_.text());
    file_->truncate(position_);
    return {std::move(file_), position_};
  }

 private:
  GgufWeights usual_weights(const TensorSpec& linear) const {
    TernaryScales found = source_.ternary_scales(linear);
    if (!found.is_ternary() && options_.quantize == Quantize::absmean) found = round_by_absmean(found.mean);
    if (!found.is_ternary()) return GgufWeights::f16;
    const auto in_blocks_of = [&](GgufWeights weights) {
      return std::ranges::all_of(specs_, [&](const TensorSpec& spec) {
        return spec.role != Role::linear || spec.cols % encoding_of(weights).block == 0;
      });
    };
    const bool exact = options_.lossy || are_halves(found.scales), one = found.scales.size() == 1;
    if (found.group != 0) return exact && in_blocks_of(GgufWeights::q2_0) ? GgufWeights::q2_0 : GgufWeights::f32;
    if (one && hyper_.experts == 0 && (hyper_.architecture->ternary || source_.has(kInputNormName)))
      return GgufWeights::i2_s;
    if (exact && in_blocks_of(GgufWeights::tq2_0)) return GgufWeights::tq2_0;
    return exact ? GgufWeights::f16 : one && hyper_.experts == 0 ? GgufWeights::i2_s : GgufWeights::f32;
  }

  const Encoding& encoding_for(const TensorSpec& spec) const {
    switch (spec.role) {
      case Role::vector:
      case Role::bias:
      case Role::router:
        return encoding_of(GgufWeights::f32);
      case Role::linear:
        return *linear_;
      case Role::embedding:
      case Role::head:
      case Role::screen:
        break;
    }
    if (linear_->weights == GgufWeights::f32) return *linear_;
    const bool groups = linear_->weights == GgufWeights::q2_0 && source_.ternary_scales(spec).group != 0;
    return groups ? *linear_ : encoding_of(GgufWeights::f16);
  }

  static uint64_t aligned(uint64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

  static uint64_t stored_bytes(const TensorSpec& spec, const Encoding& encoding) {
    if (const auto coding = coding_of(encoding.weights)) return coded_bytes(*coding, spec.rows, spec.cols);
    return uint64_t{spec.rows} * spec.cols / encoding.block * encoding.block_bytes + encoding.tail_bytes;
  }

  static bool is_ternary(GgufWeights weights) {
    switch (weights) {
      case GgufWeights::f16:
      case GgufWeights::f32:
        return false;
      case GgufWeights::i2_s:
      case GgufWeights::tq1_0:
      case GgufWeights::tq2_0:
      case GgufWeights::q2_0:
      case GgufWeights::tl1:
      case GgufWeights::tl2:
        return true;
    }
    return false;
  }

  TernaryScales scales_of(const TensorSpec& spec, const Encoding& encoding) const {
    TernaryScales found = source_.ternary_scales(spec);
    const bool rounds = options_.quantize == Quantize::absmean && is_ternary(encoding.weights);
    return rounds && !found.is_ternary() ? round_by_absmean(found.mean) : found;
  }

  // Of the types whose order suits kernels that bitnet.cpp generates for a shape, before any work is done.
  void check_kernels() const {
    const auto coding = coding_of(linear_->weights);
    if (!coding) return;
    for (const TensorSpec& spec : specs_) {
      if (spec.role != Role::linear) continue;
      require(tl_knowledge({*coding, {}, spec.rows, spec.cols}) != OrderKnowledge::assumed, BITNET_ERROR_UNSUPPORTED,
              "tensor ", spec.name, " of ", spec.rows, " x ", spec.cols, " cannot be written as ", linear_->name,
              ": where its weights lie depends on the kernels that bitnet.cpp's setup_env.py generates, which are for ",
              "matrices of ", tl_shapes(), ". i2_s has the same weights for any shape");
    }
    say(options_.log, BITNET_LOG_INFO, linear_->name,
        ": the order is that of the kernels that setup_env.py generates, ", "not of preset_kernels");
  }

  // Rows that lie together: whole heads, and what sources read at once.
  uint32_t rows_at_once() const { return std::lcm(hyper_.head_dim, uint32_t{16}); }

  void write(const TensorSpec& spec, const Encoding& encoding, ProgressMeter& meter) {
    const TernaryScales found = scales_of(spec, encoding);
    check_encoding(spec, encoding, found);
    if (const auto coding = coding_of(encoding.weights)) return write_coded(spec, *coding, found, meter);
    const uint32_t step = rows_at_once();
    for (uint64_t begin = 0; begin < spec.rows; begin += uint64_t{step} * kPiecesAtOnce) {
      std::vector<std::byte> pieces[kPiecesAtOnce];
      const size_t parts = std::min<size_t>(kPiecesAtOnce, (spec.rows - begin + step - 1) / step);
      parallel_for(parts, [&](size_t i) {
        const auto row = static_cast<uint32_t>(begin + i * step);
        const uint32_t count = std::min(step, spec.rows - row);
        pieces[i] = encode(spec, encoding, found, row, count);
        source_.release(spec, row, count);
      });
      for (size_t i = 0; i < parts; ++i) append(pieces[i], meter);
    }
    if (encoding.tail_bytes != 0) {
      std::vector<std::byte> tail(encoding.tail_bytes);
      std::memcpy(tail.data(), found.scales.data(), sizeof(float));
      append(tail, meter);
    }
    align(meter);
  }

  void align(ProgressMeter& meter) {
    append(std::vector<std::byte>((kAlignment - position_ % kAlignment) % kAlignment), meter);
  }

  void write_coded(const TensorSpec& spec, Coding coding, const TernaryScales& found, ProgressMeter& meter) {
    std::vector<int8_t> trits(size_t{spec.rows} * spec.cols);
    const uint32_t step = rows_at_once();
    parallel_for((spec.rows + step - 1) / step, [&](size_t part) {
      const auto row = static_cast<uint32_t>(part * step);
      const uint32_t count = std::min(step, spec.rows - row);
      std::ranges::copy(read_trits(spec, found, row, count), &trits[size_t{row} * spec.cols]);
      source_.release(spec, row, count);
    });
    append(encode_tl({coding, spec.rows, spec.cols}, trits), meter);
    align(meter);
    append(std::as_bytes(std::span(found.scales)), meter);
    align(meter);
  }

  void append(std::span<const std::byte> bytes, ProgressMeter& meter) {
    file_->write_at(position_, bytes);
    position_ += bytes.size();
    meter.advance(bytes.size());
  }

  // A type that does not hold the weights as they are is refused. What F16 rounds is known when all is written.
  void check_encoding(const TensorSpec& spec, const Encoding& encoding, const TernaryScales& found) const {
    const auto refuse_unless = [&](bool fits, const char* why) {
      require(fits, BITNET_ERROR_UNSUPPORTED, "tensor ", spec.name, " of ", spec.rows, " x ", spec.cols,
              " cannot be written as ", encoding.name, ": ", why);
    };
    const auto halves = [&] { return options_.lossy || are_halves(found.scales); };
    switch (encoding.weights) {
      case GgufWeights::f16:
      case GgufWeights::f32:
        return;
      case GgufWeights::i2_s:
        refuse_unless(found.is_ternary(), "it is not ternary");
        refuse_unless(spec.experts == 0, "it holds the matrices of experts");
        refuse_unless(found.scales.size() == 1, "it has more than one scale");
        return refuse_unless(uint64_t{spec.rows} * spec.cols % encoding.block == 0 && spec.cols % 8 == 0,
                             "it is no whole number of blocks of 128");
      case GgufWeights::tq1_0:
      case GgufWeights::tq2_0:
        refuse_unless(found.is_ternary(), "it is not ternary");
        refuse_unless(found.group == 0, "its groups have scales of their own");
        refuse_unless(spec.cols % encoding.block == 0, "its rows are no whole blocks of 256");
        return refuse_unless(halves(), "its scales are not exact in F16");
      case GgufWeights::q2_0:
        refuse_unless(found.is_ternary(), "it is not ternary");
        refuse_unless(spec.cols % encoding.block == 0, "its rows are no whole blocks of 64");
        return refuse_unless(halves(), "its scales are not exact in F16");
      case GgufWeights::tl1:
      case GgufWeights::tl2:
        refuse_unless(found.is_ternary(), "it is not ternary");
        refuse_unless(spec.experts == 0, "it holds the matrices of experts");
        refuse_unless(found.scales.size() == 1, "it has more than one scale");
        return;
    }
  }

  // Our row that stands at a row of the file: there, rotary pairs may be neighbours.
  uint32_t source_row(const TensorSpec& spec, uint32_t row) const {
    if (!spec.turned || !hyper_.architecture->neighbour_pairs) return row;
    const uint32_t in_head = row % hyper_.head_dim;
    return row - in_head + in_head % 2 * (hyper_.head_dim / 2) + in_head / 2;
  }

  std::vector<std::byte> encode(const TensorSpec& spec, const Encoding& encoding, const TernaryScales& found,
                                uint32_t row, uint32_t count) {
    switch (encoding.weights) {
      case GgufWeights::f16:
        return encode_values<uint16_t>(spec, found, row, count);
      case GgufWeights::f32:
        return encode_values<float>(spec, found, row, count);
      case GgufWeights::i2_s:
      case GgufWeights::tq1_0:
      case GgufWeights::tq2_0:
      case GgufWeights::q2_0:
        return encode_trits(spec, encoding, found, row, count);
      case GgufWeights::tl1:
      case GgufWeights::tl2:
        break;
    }
    return {};
  }

  // The trits of rows of the file.
  std::vector<int8_t> read_trits(const TensorSpec& spec, const TernaryScales& found, uint32_t row,
                                 uint32_t count) const {
    const size_t cols = spec.cols;
    std::vector<int8_t> ours(count * cols), trits(count * cols);
    source_.read_trits(spec, found, row, count, ours.data());
    for (uint32_t r = 0; r < count; ++r) {
      std::copy_n(&ours[(source_row(spec, row + r) - row) * cols], cols, &trits[r * cols]);
    }
    return trits;
  }

  // The scale of a weight of the file.
  float scale_at(const TensorSpec& spec, const TernaryScales& found, uint32_t row, uint32_t col) const {
    if (found.scales.size() == 1) return found.scales[0];
    const size_t groups = found.group == 0 ? 1 : (spec.cols + found.group - 1) / found.group;
    return found.scales[source_row(spec, row) * groups + (found.group == 0 ? 0 : col / found.group)];
  }

  std::vector<std::byte> encode_trits(const TensorSpec& spec, const Encoding& encoding, const TernaryScales& found,
                                      uint32_t row, uint32_t count) const {
    const std::vector<int8_t> trits = read_trits(spec, found, row, count);
    std::vector<std::byte> out(trits.size() / encoding.block * encoding.block_bytes);
    std::byte* to = out.data();
    for (size_t i = 0; i < trits.size(); i += encoding.block, to += encoding.block_bytes) {
      const auto scale = [&] {
        return float_to_half(
            scale_at(spec, found, row + static_cast<uint32_t>(i / spec.cols), static_cast<uint32_t>(i % spec.cols)));
      };
      switch (encoding.weights) {
        case GgufWeights::i2_s:
          write_i2s_block(&trits[i], to);
          break;
        case GgufWeights::tq1_0:
          write_tq1_0_block(&trits[i], scale(), to);
          break;
        case GgufWeights::tq2_0:
          write_tq2_0_block(&trits[i], scale(), to);
          break;
        case GgufWeights::q2_0:
          write_q2_0_block(&trits[i], scale(), to);
          break;
        case GgufWeights::f16:
        case GgufWeights::f32:
        case GgufWeights::tl1:
        case GgufWeights::tl2:
          break;
      }
    }
    return out;
  }

  std::vector<float> read_values(const TensorSpec& spec, const TernaryScales& found, uint32_t row,
                                 uint32_t count) const {
    std::vector<float> values(size_t{count} * spec.cols);
    const bool numbers = spec.role == Role::vector || spec.role == Role::bias || spec.role == Role::router;
    if (!numbers && found.is_ternary()) {
      const std::vector<int8_t> trits = read_trits(spec, found, row, count);
      for (uint32_t r = 0, i = 0; r < count; ++r) {
        for (uint32_t c = 0; c < spec.cols; ++c, ++i) {
          values[i] = static_cast<float>(trits[i]) * scale_at(spec, found, row + r, c);
        }
      }
      return values;
    }
    std::vector<float> ours(values.size());
    source_.read_values(spec, row, count, ours.data());
    if (spec.rows == 1) {  // a bias has a value for each row of its matrix
      for (uint32_t c = 0; c < spec.cols; ++c) values[c] = ours[source_row(spec, c)];
      return values;
    }
    for (uint32_t r = 0; r < count; ++r) {
      std::copy_n(&ours[size_t{source_row(spec, row + r) - row} * spec.cols], spec.cols,
                  &values[size_t{r} * spec.cols]);
    }
    return values;
  }

  template <typename Number>
  std::vector<std::byte> encode_values(const TensorSpec& spec, const TernaryScales& found, uint32_t row,
                                       uint32_t count) {
    const std::vector<float> values = read_values(spec, found, row, count);
    std::vector<std::byte> out(values.size() * sizeof(Number));
    if constexpr (std::is_same_v<Number, float>) {
      std::memcpy(out.data(), values.data(), out.size());
    } else {
      auto* const halves = reinterpret_cast<uint16_t*>(out.data());
      Rounding rounding;
      for (size_t i = 0; i < values.size(); ++i) {
        halves[i] = float_to_half(values[i]);
        rounding.note(values[i], half_to_float(halves[i]));
      }
      rounding_.add(rounding);
    }
    return out;
  }

  const Source& source_;
  const GgufWriterOptions& options_;
  std::unique_ptr<OutputFile> file_;
  const fb::ModelT model_;
  const HyperParameters hyper_;
  std::vector<TensorSpec> specs_;
  const Encoding* linear_ = nullptr;
  uint64_t position_ = 0;
  RoundingTotal rounding_;
};

}  // namespace

const char* gguf_name(GgufWeights weights) { return encoding_of(weights).name; }

WrittenGguf write_gguf(const std::string& out, const Source& source, const GgufWriterOptions& options) {
  return Writer(out, source, options).run();
}

}  // namespace bitnet
