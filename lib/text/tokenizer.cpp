// SPDX-License-Identifier: MIT
#include "text/tokenizer.h"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "text/byte_alphabet.h"
#include "text/utf8.h"

namespace bitnet {
namespace {

constexpr std::string_view kSpaceMark = "\u2581";  // SentencePiece writes a space so

// Where this is a control token, it is an end. Elsewhere it is HTML: in Qwen's and Gemma's vocabularies, for example.
constexpr std::string_view kEndOrMarkup = "</s>";

// Tokens that end a text or a turn carry no mark of their own in a model file; they are known by name, and are control
// tokens whatever the file says (llama.cpp does the same; converters often get their type wrong).
constexpr std::string_view kEndNames[] = {
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|end_of_turn|>",
    "<EOT>",
    "<|end▁of▁sentence|>",
    "<｜end▁of▁sentence｜>",
};

// Tokens that begin a turn or part its head from its text. They are control tokens whatever the file says: files in the
// wild call Gemma's normal, which a template's spelling would then not become, and others user-defined, which a message
// could then forge.
constexpr std::string_view kTurnNames[] = {
    "<start_of_turn>",
    "<|im_start|>",
    "<|im_sep|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|system|>",
    "<|assistant|>",
    "<|user|>",
    "[INST]",
    "[/INST]",
};

template <size_t count>
bool is_one_of(const std::string_view (&names)[count], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

uint64_t hash_of(std::string_view text) { return XXH3_64bits(text.data(), text.size()); }

uint64_t hash_of(Merge merge) {
  const Token pair[] = {merge.left, merge.right};
  return XXH3_64bits(pair, sizeof pair);
}

std::string with_spaces_for_marks(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t mark = text.find(kSpaceMark);
    out += text.substr(0, mark);
    if (mark == std::string_view::npos) break;
    out += ' ';
    text.remove_prefix(mark + kSpaceMark.size());
  }
  return out;
}

// Up to the first space behind another character.
size_t word_end(std::string_view text) {
  const size_t begin = text.find_first_not_of(' ');
  return std::min(text.find(' ', std::min(begin, text.size())), text.size());
}

// The byte that a SentencePiece byte token is named for: "<0x0A>".
std::optional<uint8_t> named_byte(std::string_view name) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  if (name.size() != 6 || !name.starts_with("<0x") || name[5] != '>') return std::nullopt;
  const size_t high = kDigits.find(name[3]), low = kDigits.find(name[4]);
  if (high == kDigits.npos || low == kDigits.npos) return std::nullopt;
  return static_cast<uint8_t>(high << 4 | low);
}

}  // namespace

Tokenizer::Tokenizer(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
  check();
  types_.assign(vocabulary_.types.begin(), vocabulary_.types.end());
  spell_out();
  mark_turns();
  index_pieces();
  find_byte_tokens();
  user_defined_.emplace(texts_, tokens_of({TokenType::user_defined}));
  all_added_.emplace(texts_, tokens_of({TokenType::user_defined, TokenType::control, TokenType::unknown}));
  index_merges();
  if (vocabulary_.kind == TokenizerKind::byte_bpe) {
    const std::string_view rule = vocabulary_.pre_tokenizer;
    pre_tokenizer_.emplace(rule.empty() ? "default" : rule);
  }
}

void Tokenizer::check() const {
  const Vocabulary& v = vocabulary_;
  const size_t count = v.pieces.size();
  require(count > 0, BITNET_ERROR_FORMAT, "vocabulary: it has no tokens");
  require(count <= std::numeric_limits<Token>::max(), BITNET_ERROR_FORMAT, "vocabulary: ", count, " tokens");
  uint32_t last = 0;
  for (const uint32_t end : v.pieces.ends) {
    require(last <= end && end <= v.pieces.bytes.size(), BITNET_ERROR_FORMAT,
            "vocabulary: the pieces do not lie end to end");
    last = end;
  }
  require(v.types.size() == count, BITNET_ERROR_FORMAT, "vocabulary: ", counted(count, "piece"), " but ",
          counted(v.types.size(), "token type"));
  for (const auto& [name, token] : {std::pair{"BOS", v.bos}, {"EOS", v.eos}, {"unknown", v.unknown}}) {
    require(token == kNoToken || (token >= 0 && static_cast<size_t>(token) < count), BITNET_ERROR_FORMAT,
            "vocabulary: the ", name, " token is ", token, ", outside the vocabulary of ", counted(count, "token"));
  }
  require(!v.add_bos || v.bos != kNoToken, BITNET_ERROR_FORMAT, "vocabulary: it asks for a BOS token but has none");
  require(!v.add_eos || v.eos != kNoToken, BITNET_ERROR_FORMAT, "vocabulary: it asks for an EOS token but has none");
  if (v.kind == TokenizerKind::sentencepiece && v.merges.empty()) {
    require(v.scores.size() == count, BITNET_ERROR_FORMAT, "vocabulary: ", counted(count, "piece"), " but ",
            counted(v.scores.size(), "score"));
    require(std::none_of(v.scores.begin(), v.scores.end(), [](float score) { return std::isnan(score); }),
            BITNET_ERROR_FORMAT, "vocabulary: a score is not a number");
  }
}

// User-defined and control tokens of byte-level BPE are written as they are, not in its alphabet.
void Tokenizer::spell_out() {
  const StringTable& pieces = vocabulary_.pieces;
  ends_.reserve(pieces.size());
  bytes_.reserve(pieces.bytes.size());
  for (size_t i = 0; i < pieces.size(); ++i) {
    const TokenType type = type_of(static_cast<Token>(i));
    const bool added = type == TokenType::control || type == TokenType::unknown || type == TokenType::user_defined;
    if (vocabulary_.kind == TokenizerKind::byte_bpe) {
      if (added) {
        bytes_ += pieces[i];
      } else {
        append_spelled_bytes(pieces[i], bytes_);
      }
    } else if (const auto byte = named_byte(pieces[i]); byte && type == TokenType::byte) {
      bytes_ += static_cast<char>(*byte);
    } else {
      bytes_ += with_spaces_for_marks(pieces[i]);
    }
    ends_.push_back(static_cast<uint32_t>(bytes_.size()));
  }
  texts_ = {bytes_, ends_};
}

void Tokenizer::mark_turns() {
  for (size_t i = 0; i < size(); ++i) {
    const std::string_view name = vocabulary_.pieces[i];
    if (!name.starts_with('<') && !name.starts_with('[')) continue;
    uint8_t& type = types_[i];
    const bool markup = name == kEndOrMarkup && type_of(static_cast<Token>(i)) == TokenType::control;
    const bool ends = markup || is_one_of(kEndNames, name);
    if (ends || is_one_of(kTurnNames, name)) type = static_cast<uint8_t>(TokenType::control);
    if (ends) end_of_generation_.push_back(static_cast<Token>(i));
  }
  if (vocabulary_.eos != kNoToken) end_of_generation_.push_back(vocabulary_.eos);
  const auto ends = vocabulary_.end_tokens;
  end_of_generation_.insert(end_of_generation_.end(), ends.begin(), ends.end());
  std::sort(end_of_generation_.begin(), end_of_generation_.end());
}

std::vector<Token> Tokenizer::tokens_of(std::initializer_list<TokenType> types) const {
  std::vector<Token> tokens;
  for (size_t i = 0; i < size(); ++i) {
    const Token token = static_cast<Token>(i);
    if (std::find(types.begin(), types.end(), type_of(token)) != types.end()) tokens.push_back(token);
  }
  return tokens;
}

void Tokenizer::index_pieces() {
  ordinary_ = IndexTable(size());
  for (uint32_t i = 0; i < size(); ++i) {
    if (type_of(static_cast<Token>(i)) != TokenType::normal || texts_[i].empty()) continue;
    longest_ = std::max(longest_, texts_[i].size());
    spaces_lead_ = spaces_lead_ && word_end(texts_[i]) == texts_[i].size();
    ordinary_.insert(hash_of(texts_[i]), i, [&](uint32_t other) { return texts_[other] == texts_[i]; });
  }
}

void Tokenizer::index_merges() {
  const std::span<const Merge> merges = vocabulary_.merges;
  require(merges.size() < IndexTable::kAbsent, BITNET_ERROR_FORMAT, "vocabulary: ", merges.size(), " merges");
  merges_ = IndexTable(merges.size());
  for (uint32_t rank = 0; rank < merges.size(); ++rank) {
    const Merge& merge = merges[rank];
    const auto known = [&](Token token) { return token >= 0 && static_cast<size_t>(token) < size(); };
    require(known(merge.left) && known(merge.right), BITNET_ERROR_FORMAT, "vocabulary: merge ", rank, " joins tokens ",
            merge.left, " and ", merge.right, ", outside the vocabulary of ", counted(size(), "token"));
    merges_.insert(hash_of(merge), rank, [&](uint32_t other) {
      return merges[other].left == merge.left && merges[other].right == merge.right;
    });
  }
}

void Tokenizer::find_byte_tokens() {
  byte_tokens_.fill(kNoToken);
  if (vocabulary_.kind == TokenizerKind::byte_bpe) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const char text = static_cast<char>(byte);
      byte_tokens_[byte] = find_ordinary({&text, 1});
    }
    return;
  }
  for (const Token token : tokens_of({TokenType::byte})) {
    const std::string_view text = texts_[token];
    if (text.size() != 1) continue;
    Token& slot = byte_tokens_[static_cast<uint8_t>(text[0])];
    if (slot == kNoToken) slot = token;
  }
}

std::string_view Tokenizer::text_of(Token token) const {
  require(token >= 0 && static_cast<size_t>(token) < size(), BITNET_ERROR_ARGUMENT, "token ", token,
          " is not in the vocabulary of ", size());
  return texts_[token];
}

Token Tokenizer::find_ordinary(std::string_view text) const {
  if (text.size() > longest_) return kNoToken;
  const uint32_t found = ordinary_.find(hash_of(text), [&](uint32_t other) { return texts_[other] == text; });
  return found == IndexTable::kAbsent ? kNoToken : static_cast<Token>(found);
}

bool Tokenizer::is_control(Token token) const {
  text_of(token);
  return type_of(token) == TokenType::control || type_of(token) == TokenType::unknown;
}

bool Tokenizer::is_end_of_generation(Token token) const {
  return std::binary_search(end_of_generation_.begin(), end_of_generation_.end(), token);
}

std::vector<Token> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  std::vector<Token> out;
  if (options.bos_eos && vocabulary_.add_bos) out.push_back(vocabulary_.bos);
  const AddedTokens& added = options.special ? *all_added_ : *user_defined_;
  encode_parts(
      text, [&](size_t from) { return added.find(text, from); }, out);
  if (options.bos_eos && vocabulary_.add_eos) out.push_back(vocabulary_.eos);
  return out;
}

std::vector<Token> Tokenizer::encode(const MarkedText& marked) const {
  const std::string_view text = marked.text;
  std::vector<Token> out;
  auto range = marked.foreign.begin();  // the first that does not end before `at`
  const auto longest_at = [&](size_t at) {
    while (range != marked.foreign.end() && range->end <= at) ++range;
    const size_t foreign = range == marked.foreign.end() ? text.size() : range->begin;
    const AddedTokens::Match anywhere = user_defined_->longest_at(text, at);
    if (foreign <= at) return anywhere;
    const AddedTokens::Match own = all_added_->longest_at(text.substr(0, foreign), at);
    return own.size >= anywhere.size ? own : anywhere;
  };
  encode_parts(
      text,
      [&](size_t from) {
        for (size_t at = from; at < text.size(); ++at) {
          if (const AddedTokens::Match match = longest_at(at); match.token != kNoToken) return match;
        }
        return AddedTokens::Match();
      },
      out);
  return out;
}

// `find(from)` gives the next added token; what lies between those is plain text.
template <typename Find>
void Tokenizer::encode_parts(std::string_view text, const Find& find, std::vector<Token>& out) const {
  require(text.size() <= std::numeric_limits<int32_t>::max(), BITNET_ERROR_ARGUMENT, "a text of ", text.size(),
          " bytes is more than can be tokenized at once; split it");
  PairMerger merger;
  for (size_t at = 0; at < text.size();) {
    const AddedTokens::Match match = find(at);
    encode_plain(text.substr(at, match.begin == text.npos ? text.npos : match.begin - at), at == 0, merger, out);
    if (match.token == kNoToken) break;
    out.push_back(match.token);
    at = match.begin + match.size;
  }
}

// A stretch between added tokens; `first`: the text begins with it.
void Tokenizer::encode_plain(std::string_view text, bool first, PairMerger& merger, std::vector<Token>& out) const {
  if (text.empty()) return;
  switch (vocabulary_.kind) {
    case TokenizerKind::byte_bpe:
      return pre_tokenizer_->split(text, [&](std::string_view word) { encode_byte_bpe(word, merger, out); });
    case TokenizerKind::sentencepiece:
      return encode_sentencepiece(text, first, merger, out);
  }
}

void Tokenizer::encode_byte_bpe(std::string_view word, PairMerger& merger, std::vector<Token>& out) const {
  if (pre_tokenizer_->ignores_merges()) {
    if (const Token whole = find_ordinary(word); whole != kNoToken) {
      out.push_back(whole);
      return;
    }
  }
  merger.clear();
  for (size_t i = 0; i < word.size(); ++i) {
    merger.add({word.substr(i, 1), byte_tokens_[static_cast<uint8_t>(word[i])]});
  }
  merger.merge([this](const Symbol& left, const Symbol& right) { return merge_rank(left, right); });
  append_tokens(merger, out);
}

bool Tokenizer::needs_space(std::string_view text, bool first) const {
  if (!vocabulary_.add_space_prefix) return false;
  const bool missing = !text.starts_with(' ') && !text.starts_with(kSpaceMark);
  switch (vocabulary_.space_prefix) {
    case SpacePrefix::always:
      return true;
    case SpacePrefix::missing:
      return missing;
    case SpacePrefix::first:
      return missing && first;
  }
  return false;
}

// SentencePiece works on the whole text at once, with a space put before it. Where no piece has a space behind another
// character, nothing can join across such a place, and working on the words between them gives the same, sooner.
void Tokenizer::encode_sentencepiece(std::string_view text, bool first, PairMerger& merger,
                                     std::vector<Token>& out) const {
  std::string spaced = needs_space(text, first) ? " " : "";
  spaced += with_spaces_for_marks(text);
  for (std::string_view rest = spaced; !rest.empty();) {
    const size_t word = spaces_lead_ ? word_end(rest) : rest.size();
    encode_word(rest.substr(0, word), merger, out);
    rest.remove_prefix(word);
  }
}

void Tokenizer::encode_word(std::string_view word, PairMerger& merger, std::vector<Token>& out) const {
  merger.clear();
  while (!word.empty()) {
    const std::string_view character = word.substr(0, next_utf8(word).size);
    merger.add({character, find_ordinary(character)});
    word.remove_prefix(character.size());
  }
  const bool ranked = !vocabulary_.merges.empty();
  merger.merge([this, ranked](const Symbol& left, const Symbol& right) {
    return ranked ? merge_rank(left, right) : join_score(left, right);
  });
  append_tokens(merger, out);
}

void Tokenizer::append_tokens(const PairMerger& merger, std::vector<Token>& out) const {
  merger.each([&](const Symbol& symbol) {
    if (symbol.token != kNoToken) {
      out.push_back(symbol.token);
    } else {
      append_bytes(symbol.text, out);
    }
  });
}

std::optional<Joined> Tokenizer::merge_rank(const Symbol& left, const Symbol& right) const {
  const Merge wanted{left.token, right.token};
  const std::span<const Merge> merges = vocabulary_.merges;
  const uint32_t rank = merges_.find(hash_of(wanted), [&](uint32_t other) {
    return merges[other].left == wanted.left && merges[other].right == wanted.right;
  });
  if (rank == IndexTable::kAbsent) return std::nullopt;
  const Token token = find_ordinary({left.text.data(), left.text.size() + right.text.size()});
  if (token == kNoToken) return std::nullopt;
  return Joined{static_cast<double>(rank), token};
}

std::optional<Joined> Tokenizer::join_score(const Symbol& left, const Symbol& right) const {
  const Token token = find_ordinary({left.text.data(), left.text.size() + right.text.size()});
  if (token == kNoToken) return std::nullopt;
  return Joined{-static_cast<double>(vocabulary_.scores[token]), token};
}

// For what the vocabulary has no piece: its bytes; lacking any of those, the unknown token, once for a run of such;
// lacking that too, nothing, as in the reference implementations.
void Tokenizer::append_bytes(std::string_view text, std::vector<Token>& out) const {
  const auto token_of = [this](char byte) { return byte_tokens_[static_cast<uint8_t>(byte)]; };
  if (std::none_of(text.begin(), text.end(), [&](char byte) { return token_of(byte) == kNoToken; })) {
    std::transform(text.begin(), text.end(), std::back_inserter(out), token_of);
  } else if (vocabulary_.unknown != kNoToken && (out.empty() || out.back() != vocabulary_.unknown)) {
    out.push_back(vocabulary_.unknown);
  }
}

void Tokenizer::decode(std::span<const Token> tokens, DecodeOptions options, std::string& out) const {
  const size_t begin = out.size();
  for (const Token token : tokens) {
    const std::string_view text = text_of(token);
    if (options.special || !is_control(token)) out += text;
  }
  const bool strip = vocabulary_.kind == TokenizerKind::sentencepiece && vocabulary_.add_space_prefix;
  if (strip && !options.continuation && out.size() > begin && out[begin] == ' ') out.erase(begin, 1);
}

}  // namespace bitnet
