// SPDX-License-Identifier: MIT
#include "format/gguf_metadata.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/error.h"

namespace bitnet {
namespace {

constexpr size_t kMaxTokens = size_t{1} << 22;
constexpr size_t kMaxMerges = size_t{1} << 23;
constexpr size_t kMaxTextBytes = size_t{64} << 20;  // of all pieces, or of all notes
constexpr size_t kMaxNoteBytes = size_t{64} << 10;  // longer texts are not for people

std::string_view text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <typename Number>
Number load(std::span<const std::byte> bytes, size_t index = 0) {
  Number value;
  std::memcpy(&value, bytes.data() + index * sizeof value, sizeof value);
  return value;
}

// Calls use(value) with the number's own type; false for what is no number.
template <typename Use>
bool with_number(const GgufValue& value, const Use& use) {
  const auto bytes = value.payload;
  switch (value.kind) {
    case GgufKind::u8:
      use(load<uint8_t>(bytes));
      return true;
    case GgufKind::i8:
      use(load<int8_t>(bytes));
      return true;
    case GgufKind::u16:
      use(load<uint16_t>(bytes));
      return true;
    case GgufKind::i16:
      use(load<int16_t>(bytes));
      return true;
    case GgufKind::u32:
      use(load<uint32_t>(bytes));
      return true;
    case GgufKind::i32:
      use(load<int32_t>(bytes));
      return true;
    case GgufKind::u64:
      use(load<uint64_t>(bytes));
      return true;
    case GgufKind::i64:
      use(load<int64_t>(bytes));
      return true;
    case GgufKind::f32:
      use(load<float>(bytes));
      return true;
    case GgufKind::f64:
      use(load<double>(bytes));
      return true;
    default:
      return false;
  }
}

class Metadata {
 public:
  explicit Metadata(const Gguf& gguf) : gguf_(gguf) {}

  std::optional<std::string_view> string(std::string_view key) const {
    const GgufValue* const value = gguf_.find(key);
    if (value == nullptr) return std::nullopt;
    require(value->kind == GgufKind::string, BITNET_ERROR_FORMAT, "metadata key ", key, " is not a string");
    return text(value->payload);
  }

  std::optional<uint32_t> count(const std::string& key) const {
    const GgufValue* const value = gguf_.find(key);
    if (value == nullptr) return std::nullopt;
    std::optional<uint32_t> result;
    with_number(*value, [&](auto number) {
      if constexpr (std::is_integral_v<decltype(number)>) {
        if (std::in_range<uint32_t>(number)) result = static_cast<uint32_t>(number);
      }
    });
    require(result.has_value(), BITNET_ERROR_FORMAT, "metadata key ", key, " is not a whole number of 32 bits");
    return result;
  }

  uint32_t needed_count(const std::string& key) const {
    const auto value = count(key);
    require(value.has_value(), BITNET_ERROR_FORMAT, "metadata key ", key, " is missing");
    return *value;
  }

  std::optional<float> real(const std::string& key) const {
    const GgufValue* const value = gguf_.find(key);
    if (value == nullptr) return std::nullopt;
    float result = 0;
    require(with_number(*value, [&](auto number) { result = static_cast<float>(number); }), BITNET_ERROR_FORMAT,
            "metadata key ", key, " is not a number");
    return result;
  }

  std::optional<bool> boolean(std::string_view key) const {
    const GgufValue* const value = gguf_.find(key);
    if (value == nullptr) return std::nullopt;
    require(value->kind == GgufKind::boolean, BITNET_ERROR_FORMAT, "metadata key ", key, " is not a boolean");
    return load<uint8_t>(value->payload) != 0;
  }

  // An array of that kind; null if there is none.
  const GgufValue* array(std::string_view key, GgufKind element) const {
    const GgufValue* const value = gguf_.find(key);
    if (value == nullptr) return nullptr;
    require(value->kind == GgufKind::array && value->element == element, BITNET_ERROR_FORMAT, "metadata key ", key,
            " is not an array of the kind it should be");
    return value;
  }

  // An array of one element for each token, if it is there.
  const GgufValue* token_array(std::string_view key, GgufKind element, size_t tokens) const {
    const GgufValue* const value = array(key, element);
    require(value == nullptr || value->count == tokens, BITNET_ERROR_FORMAT, "metadata key ", key, " has ",
            value == nullptr ? 0 : value->count, " elements for ", tokens, " tokens");
    return value;
  }

 private:
  const Gguf& gguf_;
};

void refuse_rope_scaling(const Metadata& in, const std::string& architecture) {
  const auto type = in.string(architecture + ".rope.scaling.type");
  const float factor = in.real(architecture + ".rope.scaling.factor").value_or(1);
  const float linear = in.real(architecture + ".rope.scale_linear").value_or(1);
  require((!type || *type == "none" || factor == 1) && linear == 1, BITNET_ERROR_UNSUPPORTED,
          "the model scales its rotary embedding, which no supported architecture does");
}

// Newer writers name the activation, in a key of either name; otherwise the architecture says which it is.
fb::Activation read_activation(const Metadata& in, const std::string& architecture) {
  for (const char* const name : {".hidden_activation", ".hidden_act"}) {
    const std::string key = architecture + name;
    const std::optional<std::string_view> value = in.string(key);
    if (!value) continue;
    if (*value == "silu") return fb::Activation::silu;
    if (*value == "relu2") return fb::Activation::relu2;
    fail(BITNET_ERROR_UNSUPPORTED, "metadata key ", key, " is ", value->substr(0, 100),
         "; supported are silu and relu2");
  }
  return *activation_of(architecture);
}

std::unique_ptr<fb::HyperParametersT> read_hyperparameters(const Metadata& in, const std::string& architecture) {
  const std::string prefix = architecture + ".";
  auto hyper = std::make_unique<fb::HyperParametersT>();
  hyper->layers = in.needed_count(prefix + "block_count");
  hyper->hidden = in.needed_count(prefix + "embedding_length");
  hyper->ffn = in.needed_count(prefix + "feed_forward_length");
  hyper->heads = in.needed_count(prefix + "attention.head_count");
  require(hyper->heads != 0, BITNET_ERROR_FORMAT, "metadata key ", prefix, "attention.head_count is 0");
  hyper->kv_heads = in.count(prefix + "attention.head_count_kv").value_or(hyper->heads);
  hyper->head_dim = in.count(prefix + "attention.key_length").value_or(hyper->hidden / hyper->heads);
  for (const char* const key : {"attention.value_length", "rope.dimension_count"}) {
    const uint32_t other = in.count(prefix + key).value_or(hyper->head_dim);
    require(other == hyper->head_dim, BITNET_ERROR_UNSUPPORTED, "metadata key ", prefix, key, " is ", other,
            ", not the length of a head, ", hyper->head_dim);
  }
  hyper->context = in.needed_count(prefix + "context_length");
  const auto epsilon = in.real(prefix + "attention.layer_norm_rms_epsilon");
  require(epsilon.has_value(), BITNET_ERROR_FORMAT, "metadata key ", prefix,
          "attention.layer_norm_rms_epsilon is missing");
  hyper->rms_epsilon = *epsilon;
  hyper->rope_theta = in.real(prefix + "rope.freq_base").value_or(10000);
  refuse_rope_scaling(in, architecture);
  hyper->activation = read_activation(in, architecture);
  return hyper;
}

void read_pieces(const Metadata& in, fb::TokenizerT& out) {
  const GgufValue* const tokens = in.array("tokenizer.ggml.tokens", GgufKind::string);
  require(tokens != nullptr && tokens->count > 0, BITNET_ERROR_FORMAT,
          "metadata key tokenizer.ggml.tokens is missing; the model has no vocabulary");
  require(tokens->count <= kMaxTokens && tokens->payload.size() <= kMaxTextBytes, BITNET_ERROR_UNSUPPORTED,
          "the vocabulary of ", tokens->count, " tokens is larger than the format allows (", kMaxTokens, ")");
  out.ends.reserve(tokens->count);
  for (GgufStrings strings(*tokens); strings.left() != 0;) {
    const std::string_view piece = strings.next();
    out.pieces.insert(out.pieces.end(), piece.begin(), piece.end());
    out.ends.push_back(static_cast<uint32_t>(out.pieces.size()));
  }
}

void read_types(const Metadata& in, fb::TokenizerT& out) {
  constexpr uint8_t kNormal = 1, kLast = 6;
  const size_t tokens = out.ends.size();
  out.types.assign(tokens, kNormal);
  const GgufValue* const types = in.token_array("tokenizer.ggml.token_type", GgufKind::i32, tokens);
  if (types == nullptr) return;
  for (size_t i = 0; i < tokens; ++i) {
    const auto type = load<int32_t>(types->payload, i);
    require(type >= 1 && type <= kLast, BITNET_ERROR_FORMAT, "metadata key tokenizer.ggml.token_type: token ", i,
            " has unknown type ", type);
    out.types[i] = static_cast<uint8_t>(type);
  }
}

void read_scores(const Metadata& in, fb::TokenizerT& out) {
  const size_t tokens = out.ends.size();
  const GgufValue* const scores = in.token_array("tokenizer.ggml.scores", GgufKind::f32, tokens);
  require(scores != nullptr, BITNET_ERROR_FORMAT, "metadata key tokenizer.ggml.scores is missing");
  out.scores.resize(tokens);
  std::memcpy(out.scores.data(), scores->payload.data(), tokens * sizeof(float));
  const size_t bad = find_nonfinite(std::span<const float>(out.scores));
  require(bad == tokens, BITNET_ERROR_FORMAT, "metadata key tokenizer.ggml.scores: token ", bad, " has the score ",
          bad == tokens ? 0 : out.scores[bad]);
}

// GGUF spells a merge as its two pieces with a space between; no piece of the alphabet holds a space itself.
void read_merges(const Metadata& in, fb::TokenizerT& out) {
  const GgufValue* const merges = in.array("tokenizer.ggml.merges", GgufKind::string);
  require(merges != nullptr, BITNET_ERROR_FORMAT, "metadata key tokenizer.ggml.merges is missing");
  require(merges->count <= kMaxMerges, BITNET_ERROR_UNSUPPORTED, "metadata key tokenizer.ggml.merges has ",
          merges->count, " elements; the format allows ", kMaxMerges);
  std::unordered_map<std::string_view, int32_t> ids;
  ids.reserve(out.ends.size());
  const std::string_view pieces(reinterpret_cast<const char*>(out.pieces.data()), out.pieces.size());
  for (size_t i = 0, begin = 0; i < out.ends.size(); begin = out.ends[i++]) {
    ids.emplace(pieces.substr(begin, out.ends[i] - begin), static_cast<int32_t>(i));
  }
  for (GgufStrings strings(*merges); strings.left() != 0;) {
    const std::string_view merge = strings.next();
    const size_t space = merge.find(' ', 1);
    const auto left = ids.find(merge.substr(0, space));
    const auto right = space == merge.npos ? ids.end() : ids.find(merge.substr(space + 1));
    require(left != ids.end() && right != ids.end(), BITNET_ERROR_FORMAT, "metadata key tokenizer.ggml.merges: \"",
            merge.substr(0, 100), "\" is not two tokens of the vocabulary");
    out.merges.emplace_back(left->second, right->second);
  }
}

int32_t read_special(const Metadata& in, const std::string& key, size_t tokens, std::optional<uint32_t> otherwise) {
  const auto id = in.count(key);
  if (!id && (!otherwise || *otherwise >= tokens)) return -1;
  // 2^32 - 1 is how some writers say that there is none.
  if (id == UINT32_MAX) return -1;
  require(id.value_or(0) < tokens, BITNET_ERROR_FORMAT, "metadata key ", key, " is ", id.value_or(0),
          ", but there are only ", tokens, " tokens");
  return static_cast<int32_t>(id ? *id : *otherwise);
}

std::unique_ptr<fb::TokenizerT> read_tokenizer(const Metadata& in) {
  auto out = std::make_unique<fb::TokenizerT>();
  const std::string_view kind = in.string("tokenizer.ggml.model").value_or("missing");
  require(kind == "gpt2" || kind == "llama", BITNET_ERROR_UNSUPPORTED, "the tokenizer (tokenizer.ggml.model) is ",
          kind.substr(0, 100), "; supported are gpt2 (byte-level BPE) and llama (SentencePiece BPE)");
  read_pieces(in, *out);
  read_types(in, *out);
  const size_t tokens = out->ends.size();
  const bool sentencepiece = kind == "llama";
  // Where a key is missing, what llama.cpp takes for that tokenizer.
  std::optional<uint32_t> bos, eos, unknown;
  bool add_bos;
  if (sentencepiece) {
    out->kind = fb::TokenizerKind::sentencepiece;
    read_scores(in, *out);
    unknown = 0, bos = 1, eos = 2;
    add_bos = true;
    out->add_space_prefix = in.boolean("tokenizer.ggml.add_space_prefix").value_or(true);
  } else {
    out->kind = fb::TokenizerKind::byte_bpe;
    out->pre_tokenizer = in.string("tokenizer.ggml.pre").value_or("default");
    read_merges(in, *out);
    add_bos = out->pre_tokenizer == "llama3" || out->pre_tokenizer == "llama-v3" || out->pre_tokenizer == "llama-bpe";
  }
  out->bos = read_special(in, "tokenizer.ggml.bos_token_id", tokens, bos);
  out->eos = read_special(in, "tokenizer.ggml.eos_token_id", tokens, eos);
  out->unknown = read_special(in, "tokenizer.ggml.unknown_token_id", tokens, unknown);
  out->padding = read_special(in, "tokenizer.ggml.padding_token_id", tokens, std::nullopt);
  out->add_bos = in.boolean("tokenizer.ggml.add_bos_token").value_or(add_bos) && out->bos != -1;
  out->add_eos = in.boolean("tokenizer.ggml.add_eos_token").value_or(false) && out->eos != -1;
  return out;
}

// Every single value that is not the chat template: arrays have been read, or nobody looks at them.
std::vector<std::unique_ptr<fb::KeyValueT>> read_notes(const Gguf& gguf) {
  std::vector<std::unique_ptr<fb::KeyValueT>> notes;
  size_t total = 0;
  for (const GgufValue& value : gguf.values()) {
    const size_t size = value.key.size() + value.payload.size();
    if (value.kind == GgufKind::array || value.key.starts_with("tokenizer.chat_template") || size > kMaxNoteBytes)
      continue;
    total += size;
    require(total <= kMaxTextBytes, BITNET_ERROR_UNSUPPORTED, "the file has too much metadata");
    auto note = std::make_unique<fb::KeyValueT>();
    note->key = value.key;
    if (value.kind == GgufKind::string) {
      note->kind = fb::ValueKind::text;
      note->text = text(value.payload);
    } else if (value.kind == GgufKind::boolean) {
      note->kind = fb::ValueKind::boolean;
      note->integer = load<uint8_t>(value.payload) != 0;
    } else {
      with_number(value, [&](auto number) {
        const bool whole = std::is_integral_v<decltype(number)>;
        note->kind = whole ? fb::ValueKind::integer : fb::ValueKind::real;
        if (whole) {
          note->integer = static_cast<int64_t>(number);
        } else {
          note->real = static_cast<double>(number);
        }
      });
    }
    notes.push_back(std::move(note));
  }
  return notes;
}

}  // namespace

fb::ModelT read_gguf_metadata(const Gguf& gguf) {
  const Metadata in(gguf);
  fb::ModelT model;
  const auto architecture = in.string("general.architecture");
  require(architecture.has_value(), BITNET_ERROR_FORMAT, "metadata key general.architecture is missing");
  require(activation_of(*architecture).has_value(), BITNET_ERROR_UNSUPPORTED, "the architecture is ",
          architecture->substr(0, 100), "; supported are bitnet-b1.58, bitnet-25 and bitnet");
  model.architecture = *architecture;
  model.name = in.string("general.name").value_or("");
  model.license = in.string("general.license").value_or("");
  model.hyper = read_hyperparameters(in, model.architecture);
  model.tokenizer = read_tokenizer(in);
  model.hyper->vocabulary = static_cast<uint32_t>(model.tokenizer->ends.size());
  model.chat_template = in.string("tokenizer.chat_template").value_or("");
  model.notes = read_notes(gguf);
  return model;
}

}  // namespace bitnet
