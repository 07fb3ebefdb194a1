// SPDX-License-Identifier: MIT
#include "format/sentencepiece_model.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

#include "base/error.h"
#include "format/vocabulary_limits.h"

namespace bitnet {
namespace {

// Protocol Buffers' encoding: fields one after the other, each with its number and the way it is written.
struct Field {
  uint32_t number = 0;
  uint64_t value = 0;      // of a number
  std::string_view bytes;  // of a text or a message
};

class Message {
 public:
  explicit Message(std::string_view bytes) : rest_(bytes) {}

  bool next(Field& field) {
    if (rest_.empty()) return false;
    const uint64_t key = varint();
    field = {static_cast<uint32_t>(key >> 3), 0, {}};
    switch (key & 7) {
      case 0:
        field.value = varint();
        return true;
      case 1:
        field.value = fixed<uint64_t>();
        return true;
      case 2:
        field.bytes = take(varint());
        return true;
      case 5:
        field.value = fixed<uint32_t>();
        return true;
      default:
        fail(BITNET_ERROR_FORMAT, "is not SentencePiece's: field ", key >> 3, " is written in way ", key & 7);
    }
  }

 private:
  std::string_view take(uint64_t size) {
    require(size <= rest_.size(), BITNET_ERROR_FORMAT, "is not SentencePiece's, or cut short: a field has ", size,
            " bytes where ", rest_.size(), " are left");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  template <typename T>
  T fixed() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);  // little-endian, as this machine
    return value;
  }

  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<uint8_t>(take(1)[0]);
      value |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    fail(BITNET_ERROR_FORMAT, "is not SentencePiece's: a number has more than 64 bits");
  }

  std::string_view rest_;
};

// Calls `visit` for each field.
template <typename Visit>
void each_field(std::string_view bytes, const Visit& visit) {
  Message message(bytes);
  for (Field field; message.next(field);) visit(field);
}

void read_piece(std::string_view bytes, TokenizerFile& out) {
  std::string_view text;
  float score = 0;
  uint64_t type = 1;
  each_field(bytes, [&](const Field& field) {
    if (field.number == 1) text = field.bytes;
    if (field.number == 2) score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
    if (field.number == 3) type = field.value;
  });
  const size_t id = out.tokenizer.scores.size();
  require(type >= 1 && type <= 6, BITNET_ERROR_FORMAT, "piece ", id, " has the unknown type ", type);
  require(std::isfinite(score), BITNET_ERROR_FORMAT, "piece ", id, " has the score ", score);
  out.tokens.add(static_cast<int64_t>(id), text, static_cast<TokenType>(type), "pieces");  // the types are GGUF's
  out.tokenizer.scores.push_back(score);
}

const char* name_of_kind(uint64_t kind) {
  constexpr const char* kNames[] = {"unknown", "unigram", "BPE", "word", "char"};
  return kind < std::size(kNames) ? kNames[kind] : kNames[0];
}

void check_trainer(std::string_view bytes) {
  constexpr uint64_t kUnigram = 1, kBpe = 2;
  uint64_t kind = kUnigram, space_behind = 0;
  each_field(bytes, [&](const Field& field) {
    if (field.number == 3) kind = field.value;
    if (field.number == 24) space_behind = field.value;
  });
  require(kind == kBpe, BITNET_ERROR_UNSUPPORTED, "is of SentencePiece's kind ", name_of_kind(kind),
          " (trainer_spec.model_type ", kind, "); supported is BPE");
  require(space_behind == 0, BITNET_ERROR_UNSUPPORTED,
          "trainer_spec.treat_whitespace_as_suffix is true, which libbitnet does not have");
}

void read_normalizer(std::string_view bytes, TokenizerFile& out) {
  std::string_view name = "identity", map;
  uint64_t prefix = 1, removes = 1, marks = 1;
  each_field(bytes, [&](const Field& field) {
    if (field.number == 1) name = field.bytes;
    if (field.number == 2) map = field.bytes;
    if (field.number == 3) prefix = field.value;
    if (field.number == 4) removes = field.value;
    if (field.number == 5) marks = field.value;
  });
  require(map.empty(), BITNET_ERROR_UNSUPPORTED, "normalizer_spec: texts are normalized with ", name.substr(0, 40),
          "; supported is identity");
  require(removes == 0, BITNET_ERROR_UNSUPPORTED,
          "normalizer_spec.remove_extra_whitespaces is true, which libbitnet does not have");
  require(marks != 0, BITNET_ERROR_UNSUPPORTED,
          "normalizer_spec.escape_whitespaces is false, which libbitnet does not have");
  out.tokenizer.add_space_prefix = prefix != 0;
}

}  // namespace

TokenizerFile read_sentencepiece_model(std::string_view bytes) {
  TokenizerFile out;
  out.tokenizer.kind = fb::TokenizerKind::sentencepiece;
  std::string_view trainer, normalizer;
  each_field(bytes, [&](const Field& field) {
    if (field.number == 1) read_piece(field.bytes, out);
    if (field.number == 2) trainer = field.bytes;
    if (field.number == 3) normalizer = field.bytes;
  });
  require(out.tokens.size() > 0, BITNET_ERROR_FORMAT, "has no pieces");
  check_trainer(trainer);
  read_normalizer(normalizer, out);
  for (size_t i = 0; i < out.tokens.size(); ++i) {
    const auto token = static_cast<Token>(i);
    if (out.tokens.type(token) == TokenType::unknown) out.unknown = out.tokens.text(token);
  }
  return out;
}

}  // namespace bitnet
