// SPDX-License-Identifier: MIT
#include "format/hf_tokenizer_writer.h"

#include <bit>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "format/open_questions.h"
#include "text/splitting_rules.h"
#include "text/utf8.h"
#include "text/vocabulary.h"

namespace bitnet {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr const char* kSpaceMark = "\u2581";  // SentencePiece writes a space so

// The pieces of a vocabulary, each of them text that JSON holds.
class Tokens {
 public:
  explicit Tokens(const fb::TokenizerT& tokenizer) : tokenizer_(tokenizer), pieces_(tokenizer.pieces, tokenizer.ends) {
    std::unordered_map<std::string_view, size_t> known;
    for (size_t i = 0; i < pieces_.size(); ++i) {
      const auto [first, added] = known.emplace(pieces_[i], i);
      require(added, BITNET_ERROR_UNSUPPORTED, "tokens ", first->second, " and ", i,
              " have the same text, by which Hugging Face's files tell tokens apart");
      require(valid_utf8_prefix(pieces_[i]) == pieces_[i].size(), BITNET_ERROR_UNSUPPORTED, "token ", i,
              " is not text in UTF-8, which Hugging Face's files do not hold");
    }
  }

  size_t size() const { return pieces_.size(); }
  std::string text(size_t token) const { return std::string(pieces_[token]); }
  TokenType type(size_t token) const { return static_cast<TokenType>(tokenizer_.types[token]); }
  bool has(int32_t token) const { return token >= 0 && static_cast<size_t>(token) < size(); }

  // Readers give such names to the numbers that no token has.
  bool is_filler(size_t token) const {
    return type(token) == TokenType::unused && pieces_[token] == "[PAD" + std::to_string(token) + "]";
  }
  // Found in texts before these are cut.
  bool is_added(size_t token) const {
    return type(token) == TokenType::control || type(token) == TokenType::user_defined;
  }

 private:
  const fb::TokenizerT& tokenizer_;
  const Pieces pieces_;
};

// --- tokenizer.json ------------------------------------------------------------------------------------------------

// Lists of many small things are written piece by piece, not made of as many JSON values first.
template <typename Write>
std::string list(char open, size_t count, char close, const Write& write) {
  std::string out(1, open);
  for (size_t i = 0; i < count; ++i) {
    const std::string element = write(i);
    if (element.empty()) continue;
    if (out.size() > 1) out += ',';
    out += element;
  }
  return out + close;
}

std::string quoted(const std::string& text) { return OrderedJson(text).dump(); }

OrderedJson sequence(const char* list, OrderedJson steps) {
  if (steps.empty()) return nullptr;
  if (steps.size() == 1) return std::move(steps[0]);
  return {{"type", "Sequence"}, {list, std::move(steps)}};
}

OrderedJson byte_level(bool cuts) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", cuts}};
}

OrderedJson cutting_step(const Cut& cut) {
  if (cut == cuts::kPunctuation) return {{"type", "Punctuation"}, {"behavior", "Contiguous"}};
  if (cut == cuts::kDigits || cut == cuts::kByteDigits) return {{"type", "Digits"}, {"individual_digits", false}};
  if (cut == cuts::kEachDigit || cut == cuts::kEachByteDigit) return {{"type", "Digits"}, {"individual_digits", true}};
  return {{"type", "Split"},
          {"pattern", {{"Regex", std::string(cut.expression)}}},
          {"behavior", "Isolated"},
          {"invert", false}};
}

// What cuts characters, the alphabet of bytes, what cuts bytes. GPT-2's expression is a part of the alphabet's step.
OrderedJson cutting_steps(const SplittingRule& rule) {
  OrderedJson steps = OrderedJson::array();
  size_t i = 0;
  const auto at = [&](size_t place) { return place < rule.cuts.size() ? rule.cuts[place] : Cut{}; };
  const auto is_text = [&](size_t place) { return !at(place).expression.empty() && !at(place).bytes; };
  while (is_text(i) && !(at(i) == cuts::kByteLevel && !is_text(i + 1))) steps.push_back(cutting_step(at(i++)));
  const bool own = at(i) == cuts::kByteLevel;
  steps.push_back(byte_level(own));
  for (i += own ? 1 : 0; !at(i).expression.empty(); ++i) steps.push_back(cutting_step(at(i)));
  return steps;
}

// Where no space is put before a text, or before every stretch of it, the normalizer marks spaces; else Metaspace.
bool has_metaspace(const fb::TokenizerT& tokenizer) { return tokenizer.space_prefix != fb::SpacePrefix::always; }

OrderedJson metaspace(const fb::TokenizerT& tokenizer) {
  const char* const scheme = !tokenizer.add_space_prefix                        ? "never"
                             : tokenizer.space_prefix == fb::SpacePrefix::first ? "first"
                                                                                : "always";
  return {{"type", "Metaspace"}, {"replacement", kSpaceMark}, {"prepend_scheme", scheme}, {"split", false}};
}

OrderedJson replace(const char* from, const char* to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

OrderedJson normalizer(const fb::TokenizerT& tokenizer, const SplittingRule* rule) {
  OrderedJson steps = OrderedJson::array();
  if (rule != nullptr) {
    if (rule->composes) steps.push_back({{"type", "NFC"}});
  } else if (!has_metaspace(tokenizer)) {
    if (tokenizer.add_space_prefix) steps.push_back({{"type", "Prepend"}, {"prepend", kSpaceMark}});
    steps.push_back(replace(" ", kSpaceMark));
  }
  return sequence("normalizers", steps);
}

OrderedJson pre_tokenizer(const fb::TokenizerT& tokenizer, const SplittingRule* rule) {
  if (rule != nullptr) return sequence("pretokenizers", cutting_steps(*rule));
  return has_metaspace(tokenizer) ? metaspace(tokenizer) : OrderedJson(nullptr);
}

OrderedJson decoder(const fb::TokenizerT& tokenizer, bool bytes) {
  if (bytes) return byte_level(true);
  OrderedJson steps = {replace(kSpaceMark, " "), OrderedJson{{"type", "ByteFallback"}}, OrderedJson{{"type", "Fuse"}}};
  if (tokenizer.add_space_prefix) {
    steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  return sequence("decoders", steps);
}

// What stands around a text.
OrderedJson post_processor(const fb::TokenizerT& tokenizer, const Tokens& vocabulary, bool bytes) {
  OrderedJson steps = OrderedJson::array(), specials = OrderedJson::object();
  if (bytes) steps.push_back(byte_level(true));
  const auto special = [&](int32_t token, int type) {
    const std::string text = vocabulary.text(static_cast<size_t>(token));
    specials[text] =
        OrderedJson{{"id", text}, {"ids", OrderedJson::array({token})}, {"tokens", OrderedJson::array({text})}};
    return OrderedJson{{"SpecialToken", {{"id", text}, {"type_id", type}}}};
  };
  const auto around = [&](const char* name, int type, OrderedJson& out) {
    if (tokenizer.add_bos) out.push_back(special(tokenizer.bos, type));
    out.push_back({{"Sequence", {{"id", name}, {"type_id", type}}}});
    if (tokenizer.add_eos) out.push_back(special(tokenizer.eos, type));
  };
  if (tokenizer.add_bos || tokenizer.add_eos) {
    OrderedJson single = OrderedJson::array(), pair = OrderedJson::array();
    around("A", 0, single);
    around("A", 0, pair);
    around("B", 1, pair);
    steps.push_back({{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", specials}});
  }
  return sequence("processors", steps);
}

std::string added_token(const Tokens& vocabulary, size_t token) {
  const bool added = vocabulary.is_added(token) || vocabulary.type(token) == TokenType::unknown;
  if (!added) return "";
  return OrderedJson{{"id", token},
                     {"content", vocabulary.text(token)},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", vocabulary.type(token) != TokenType::user_defined}}
      .dump();
}

// All tokens are in it, those that are added, too: so each keeps its number, whatever lies between them.
std::string model(const fb::TokenizerT& tokenizer, const Tokens& vocabulary, const SplittingRule* rule) {
  const bool bytes = rule != nullptr;
  const auto piece = [&](int32_t token) { return vocabulary.text(static_cast<size_t>(token)); };
  const bool unknown = !bytes && vocabulary.has(tokenizer.unknown);
  OrderedJson head = {{"type", "BPE"},
                      {"dropout", nullptr},
                      {"unk_token", unknown ? OrderedJson(piece(tokenizer.unknown)) : OrderedJson(nullptr)},
                      {"continuing_subword_prefix", nullptr},
                      {"end_of_word_suffix", nullptr},
                      {"fuse_unk", !bytes},
                      {"byte_fallback", !bytes},
                      {"ignore_merges", bytes && rule->ignores_merges}};
  std::string out = head.dump();
  out.back() = ',';
  out += "\"vocab\":" + list('{', vocabulary.size(), '}', [&](size_t i) {
           return vocabulary.is_filler(i) ? "" : quoted(vocabulary.text(i)) + ":" + std::to_string(i);
         });
  // No piece of the alphabet of bytes holds a space.
  out += ",\"merges\":" + list('[', tokenizer.merges.size(), ']', [&](size_t i) {
           const std::string left = piece(tokenizer.merges[i].left()), right = piece(tokenizer.merges[i].right());
           return bytes ? quoted(left + " " + right) : "[" + quoted(left) + "," + quoted(right) + "]";
         });
  return out + "}";
}

std::string tokenizer_json(const fb::TokenizerT& tokenizer) {
  const Tokens vocabulary(tokenizer);
  const bool bytes = tokenizer.kind == fb::TokenizerKind::byte_bpe;
  const SplittingRule* const rule = bytes ? &rule_named(tokenizer.pre_tokenizer) : nullptr;
  const auto member = [](const char* name, const std::string& json) {
    return ",\n  \"" + std::string(name) + "\": " + json;
  };
  std::string out = "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null";
  out +=
      member("added_tokens", list('[', vocabulary.size(), ']', [&](size_t i) { return added_token(vocabulary, i); }));
  out += member("normalizer", normalizer(tokenizer, rule).dump());
  out += member("pre_tokenizer", pre_tokenizer(tokenizer, rule).dump());
  out += member("post_processor", post_processor(tokenizer, vocabulary, bytes).dump());
  out += member("decoder", decoder(tokenizer, bytes).dump());
  out += member("model", model(tokenizer, vocabulary, rule));
  return out + "\n}\n";
}

// --- tokenizer.model: sentencepiece_model.proto ---------------------------------------------------------------------

void put_varint(uint64_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}
void put_number(uint32_t field, uint64_t value, std::string& out) {
  put_varint(field << 3, out);
  put_varint(value, out);
}
void put_bytes(uint32_t field, std::string_view bytes, std::string& out) {
  put_varint(field << 3 | 2, out);
  put_varint(bytes.size(), out);
  out += bytes;
}
void put_float(uint32_t field, float value, std::string& out) {
  put_varint(field << 3 | 5, out);
  const auto bits = std::bit_cast<uint32_t>(value);
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(bits >> shift);
}

std::string sentencepiece_model(const fb::TokenizerT& tokenizer) {
  enum : uint32_t { kPieces = 1, kTrainer = 2, kNormalizer = 3 };                                // ModelProto
  enum : uint32_t { kPiece = 1, kScore = 2, kType = 3 };                                         // SentencePiece
  enum : uint32_t { kModelType = 3, kVocabularySize = 4, kByteFallback = 35, kUnknown = 40 };    // TrainerSpec
  enum : uint32_t { kBos = 41, kEos = 42, kPad = 43 };                                           // likewise
  enum : uint32_t { kName = 1, kAddDummyPrefix = 3, kRemoveExtra = 4, kEscapeWhitespaces = 5 };  // NormalizerSpec
  constexpr uint64_t kBpe = 2;
  const Tokens vocabulary(tokenizer);
  std::string out;
  for (size_t i = 0; i < vocabulary.size(); ++i) {
    std::string piece;
    put_bytes(kPiece, vocabulary.text(i), piece);
    put_float(kScore, tokenizer.scores[i], piece);
    put_number(kType, static_cast<uint64_t>(vocabulary.type(i)), piece);
    put_bytes(kPieces, piece, out);
  }
  std::string trainer;
  put_number(kModelType, kBpe, trainer);
  put_number(kVocabularySize, vocabulary.size(), trainer);
  put_number(kByteFallback, 1, trainer);
  const auto put_token = [&](uint32_t field, int32_t token) {  // -1, none, as ten bytes
    put_number(field, static_cast<uint64_t>(int64_t{token}), trainer);
  };
  put_token(kUnknown, tokenizer.unknown);
  put_token(kBos, tokenizer.bos);
  put_token(kEos, tokenizer.eos);
  put_token(kPad, tokenizer.padding);
  put_bytes(kTrainer, trainer, out);
  std::string normalizer;
  put_bytes(kName, "identity", normalizer);
  put_number(kAddDummyPrefix, tokenizer.add_space_prefix ? 1 : 0, normalizer);
  put_number(kRemoveExtra, 0, normalizer);
  put_number(kEscapeWhitespaces, 1, normalizer);
  put_bytes(kNormalizer, normalizer, out);
  return out;
}

bool has_scores(const fb::TokenizerT& tokenizer) {
  return tokenizer.kind == fb::TokenizerKind::sentencepiece && !tokenizer.scores.empty();
}

}  // namespace

HfVocabularyFile hf_vocabulary(const fb::TokenizerT& tokenizer) {
  if (has_scores(tokenizer)) return {"tokenizer.model", sentencepiece_model(tokenizer)};
  return {"tokenizer.json", tokenizer_json(tokenizer)};
}

// transformers' class for SentencePiece goes by its options; what tokenizer.json says needs no class of its own.
std::string hf_tokenizer_config(const fb::ModelT& model) {
  const fb::TokenizerT& tokenizer = *model.tokenizer;
  const Tokens vocabulary(tokenizer);
  OrderedJson out;
  if (has_scores(tokenizer)) {
    out["tokenizer_class"] = "LlamaTokenizer";
    out["add_bos_token"] = tokenizer.add_bos;
    out["add_eos_token"] = tokenizer.add_eos;
    out["add_prefix_space"] = tokenizer.add_space_prefix;
    out["legacy"] = true;  // a space before every stretch between added tokens, as SentencePiece itself
  } else {
    out["tokenizer_class"] = "PreTrainedTokenizerFast";
  }
  out["clean_up_tokenization_spaces"] = false;
  out["model_max_length"] = model.hyper->context;
  // Of tokens that texts may hold like any other, the numbers in config.json tell.
  const auto name = [&](const char* key, int32_t token) {
    if (!vocabulary.has(token)) return;
    const TokenType type = vocabulary.type(static_cast<size_t>(token));
    if (type == TokenType::control || type == TokenType::unknown)
      out[key] = vocabulary.text(static_cast<size_t>(token));
  };
  name("bos_token", tokenizer.bos);
  name("eos_token", tokenizer.eos);
  name("pad_token", tokenizer.padding);
  if (vocabulary.has(tokenizer.unknown)) out["unk_token"] = vocabulary.text(static_cast<size_t>(tokenizer.unknown));
  return out.dump(2) + "\n";
}

}  // namespace bitnet
