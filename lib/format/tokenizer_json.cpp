// SPDX-License-Identifier: MIT
#include "format/tokenizer_json.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "format/vocabulary_limits.h"
#include "text/splitting_rules.h"
#include "text/utf8.h"

namespace bitnet {
namespace {

constexpr std::string_view kSpaceMark = "\u2581";  // SentencePiece writes a space so

std::string quoted(std::string_view text) {
  constexpr size_t kLongest = 200;
  return '"' + std::string(text.substr(0, valid_utf8_prefix(text.substr(0, kLongest)))) + '"';
}

[[noreturn]] void refuse_type(const JsonValue& step) {
  fail(BITNET_ERROR_UNSUPPORTED, step.place(), " is of the type ", quoted(step.at("type").text()),
       ", which libbitnet does not have");
}

bool flag(const JsonValue& in, const char* key, bool otherwise) {
  const auto value = in.find(key);
  return value ? value->truth() : otherwise;
}

std::string_view text_or(const JsonValue& in, const char* key, std::string_view otherwise) {
  const auto value = in.find(key);
  return value ? value->text() : otherwise;
}

// What a key holds, or all that a Sequence of such holds: {"type": "Sequence", `list`: [...]}.
template <typename Visit>
void for_each_step(const JsonValue& root, const char* key, const char* list, const Visit& visit) {
  const auto each = [&](const auto& self, const JsonValue& step) -> void {
    if (step.at("type").text() != "Sequence") return visit(step);
    const JsonValue steps = step.at(list);
    for (size_t i = 0; i < steps.size(); ++i) self(self, steps[i]);
  };
  if (const auto step = root.find(key)) each(each, *step);
}

// --- normalizer -----------------------------------------------------------------------------------------------------

struct Normalization {
  bool composes = false;      // NFC
  bool marks_spaces = false;  // each space becomes U+2581
  bool prepends = false;      // U+2581 before each stretch
};

bool is_replacement_of_spaces(const JsonValue& step) {
  const auto pattern = step.at("pattern").find("String");
  return pattern && pattern->text() == " " && step.at("content").text() == kSpaceMark;
}

Normalization read_normalizer(const JsonValue& root) {
  Normalization out;
  for_each_step(root, "normalizer", "normalizers", [&](const JsonValue& step) {
    const std::string_view type = step.at("type").text();
    if (type == "NFC") {
      out.composes = true;
    } else if (type == "Prepend" && step.at("prepend").text() == kSpaceMark) {
      out.prepends = true;
    } else if (type == "Replace" && is_replacement_of_spaces(step)) {
      out.marks_spaces = true;
    } else {
      refuse_type(step);
    }
  });
  return out;
}

// --- pre_tokenizer, byte-level BPE ----------------------------------------------------------------------------------

// Line breaks are written out in some files, and escaped in others.
std::string with_escaped_breaks(std::string_view expression) {
  std::string out;
  for (const char c : expression) {
    if (c == '\r') {
      out += "\\r";
    } else if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

class RuleReader {
 public:
  void read(const JsonValue& step) {
    const std::string_view type = step.at("type").text();
    if (type == "Split") {
      read_split(step);
    } else if (type == "Punctuation" && !behind_bytes_ && text_or(step, "behavior", "") == "Contiguous") {
      add(cuts::kPunctuation, step);
    } else if (type == "Digits") {
      const bool each = flag(step, "individual_digits", false);
      add(behind_bytes_ ? (each ? cuts::kEachByteDigit : cuts::kByteDigits) : (each ? cuts::kEachDigit : cuts::kDigits),
          step);
    } else if (type == "ByteLevel" && !behind_bytes_) {
      require(
          !flag(step, "add_prefix_space", true), BITNET_ERROR_UNSUPPORTED, step.place(),
          ".add_prefix_space is true: a space is put before a text, which libbitnet does not do for byte-level BPE");
      if (flag(step, "use_regex", true)) add(cuts::kByteLevel, step);
      behind_bytes_ = true;
    } else {
      refuse_type(step);
    }
  }

  std::string_view name(const Normalization& normalization, bool ignores_merges) {
    rule_.composes = normalization.composes;
    rule_.ignores_merges = ignores_merges;
    const SplittingRule* const found = find_rule(rule_);
    if (found != nullptr) return found->name;
    std::string steps;
    for (size_t i = 0; i < count_; ++i) steps += (i == 0 ? "" : ", ") + quoted(rule_.cuts[i].expression);
    fail(BITNET_ERROR_UNSUPPORTED, "pre_tokenizer: no tokenizer that libbitnet knows cuts texts by ",
         count_ == 0 ? "nothing" : steps, rule_.composes ? " after NFC" : "",
         ignores_merges ? ", with model.ignore_merges" : "");
  }

 private:
  void add(const Cut& cut, const JsonValue& step) {
    require(count_ < rule_.cuts.size(), BITNET_ERROR_UNSUPPORTED, step.place(),
            ": no tokenizer that libbitnet knows has "
            "more than ",
            rule_.cuts.size(), " such steps");
    rule_.cuts[count_++] = cut;
  }

  // "Removed" with "invert" keeps what the expression matches and drops what it does not: for an expression that
  // matches everything the same as "Isolated".
  void read_split(const JsonValue& step) {
    const auto regex = step.at("pattern").find("Regex");
    require(regex.has_value(), BITNET_ERROR_UNSUPPORTED, step.place(), ".pattern is not a Regex");
    const std::string expression = with_escaped_breaks(regex->text());
    const Cut* const cut = find_cut(expression, behind_bytes_);
    require(cut != nullptr, BITNET_ERROR_UNSUPPORTED, regex->place(), " is ", quoted(regex->text()),
            ", which no tokenizer that libbitnet knows has");
    const std::string_view behavior = step.at("behavior").text();
    const bool inverted = flag(step, "invert", false);
    const bool complete = expression.ends_with(R"(|\s+)");
    require((behavior == "Isolated" && !inverted) || (behavior == "Removed" && inverted && complete),
            BITNET_ERROR_UNSUPPORTED, step.place(), ".behavior is ", quoted(behavior), inverted ? ", inverted" : "",
            ", which libbitnet does not have");
    add(*cut, step);
  }

  SplittingRule rule_ = {};
  size_t count_ = 0;
  bool behind_bytes_ = false;  // Hugging Face has written the text in GPT-2's alphabet
};

// --- pre_tokenizer, SentencePiece -----------------------------------------------------------------------------------

void read_metaspace(const JsonValue& step, const Normalization& normalization, fb::TokenizerT& out) {
  require(!normalization.prepends && !normalization.marks_spaces, BITNET_ERROR_UNSUPPORTED, step.place(),
          " marks spaces that the normalizer has marked already");
  require(text_or(step, "replacement", kSpaceMark) == kSpaceMark && !flag(step, "split", true),
          BITNET_ERROR_UNSUPPORTED, step.place(),
          ": a Metaspace other than of U+2581 that does not split is not "
          "supported");
  const std::string_view scheme =
      text_or(step, "prepend_scheme", flag(step, "add_prefix_space", true) ? "always" : "never");
  require(scheme == "always" || scheme == "first" || scheme == "never", BITNET_ERROR_FORMAT, step.place(),
          ".prepend_scheme is ", quoted(scheme), "; there are always, first and never");
  out.add_space_prefix = scheme != "never";
  out.space_prefix = scheme == "first" ? fb::SpacePrefix::first : fb::SpacePrefix::missing;
}

// Gemma's cuts behind each space; but its normalizer leaves none.
bool cuts_at_spaces(const JsonValue& step) {
  if (step.at("type").text() != "Split") return false;
  const auto pattern = step.at("pattern").find("String");
  return pattern && pattern->text() == " ";
}

void read_spaces(const JsonValue& root, const Normalization& normalization, fb::TokenizerT& out) {
  require(!normalization.composes, BITNET_ERROR_UNSUPPORTED,
          "normalizer: NFC before SentencePiece BPE is not supported");
  out.add_space_prefix = normalization.prepends;
  bool marked = normalization.marks_spaces;
  for_each_step(root, "pre_tokenizer", "pretokenizers", [&](const JsonValue& step) {
    if (step.at("type").text() == "Metaspace") {
      read_metaspace(step, normalization, out);
      marked = true;
    } else if (!normalization.marks_spaces || !cuts_at_spaces(step)) {
      refuse_type(step);
    }
  });
  require(marked, BITNET_ERROR_UNSUPPORTED,
          "normalizer, pre_tokenizer: neither ByteLevel nor a U+2581 for each space; libbitnet has byte-level BPE and "
          "SentencePiece BPE");
}

// --- model ----------------------------------------------------------------------------------------------------------

void check_model(const JsonValue& model) {
  const std::string_view type = text_or(model, "type", "BPE");
  require(type == "BPE", BITNET_ERROR_UNSUPPORTED, "model.type is ", quoted(type), "; supported is BPE");
  for (const char* const key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    require(text_or(model, key, "").empty(), BITNET_ERROR_UNSUPPORTED, "model.", key,
            " is not empty, which libbitnet does not have");
  }
}

bool is_byte_name(std::string_view text) {
  const auto digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
  return text.size() == 6 && text.starts_with("<0x") && text[5] == '>' && digit(text[3]) && digit(text[4]);
}

void read_vocabulary(const JsonValue& model, bool sentencepiece, TokenList& out) {
  const JsonValue vocabulary = model.at("vocab");
  const Json& pieces = vocabulary.object();
  require(!pieces.empty(), BITNET_ERROR_FORMAT, vocabulary.place(), " is empty");
  require(pieces.size() <= kMaxTokens, BITNET_ERROR_UNSUPPORTED, vocabulary.place(), " has ", pieces.size(),
          " tokens; supported are ", kMaxTokens);
  for (const auto& [text, id] : pieces.items()) {
    require(id.is_number_integer(), BITNET_ERROR_FORMAT, vocabulary.place(), ": ", quoted(text), " is no whole number");
    const bool byte = sentencepiece && is_byte_name(text);
    out.add(id.is_number_unsigned() ? static_cast<int64_t>(std::min<uint64_t>(id.get<uint64_t>(), kMaxTokens))
                                    : id.get<int64_t>(),
            text, byte ? TokenType::byte : TokenType::normal, vocabulary.place());
  }
}

// A merge is written as "a b" or ["a", "b"].
std::array<std::string_view, 2> parts_of(const JsonValue& merge) {
  if (merge.is_array() && merge.size() == 2) return {merge[0].text(), merge[1].text()};
  if (!merge.is_text()) merge.refuse("two tokens");
  const std::string_view text = merge.text();
  const size_t space = text.find(' ');
  if (space == text.npos || text.find(' ', space + 1) != text.npos) merge.refuse("two tokens with a space between");
  return {text.substr(0, space), text.substr(space + 1)};
}

void read_merges(const JsonValue& model, const TokenList& tokens, fb::TokenizerT& out) {
  const JsonValue merges = model.at("merges");
  require(merges.size() <= kMaxMerges, BITNET_ERROR_UNSUPPORTED, merges.place(), " has ", merges.size(),
          " elements; supported are ", kMaxMerges);
  out.merges.reserve(merges.size());
  for (size_t i = 0; i < merges.size(); ++i) {
    const auto [left, right] = parts_of(merges[i]);
    const auto a = tokens.find(left), b = tokens.find(right);
    const bool known = a && b && tokens.find(std::string(left).append(right));
    require(known, BITNET_ERROR_FORMAT, merges.place(), "[", i, "]: ", quoted(left), " and ", quoted(right),
            " do not make a token of model.vocab, or are none");
    out.merges.emplace_back(*a, *b);
  }
}

void check_sentencepiece(const JsonValue& model, TokenizerFile& out) {
  require(!out.tokenizer.merges.empty(), BITNET_ERROR_FORMAT, "model.merges is empty");
  require(flag(model, "byte_fallback", false), BITNET_ERROR_UNSUPPORTED,
          "model.byte_fallback is false; SentencePiece BPE without byte tokens is not supported");
  require(!flag(model, "ignore_merges", false), BITNET_ERROR_UNSUPPORTED,
          "model.ignore_merges is true, which libbitnet has only for byte-level BPE");
  size_t bytes = 0;
  for (size_t i = 0; i < out.tokens.size(); ++i) {
    bytes += out.tokens.has(static_cast<int64_t>(i)) && out.tokens.type(static_cast<Token>(i)) == TokenType::byte;
  }
  require(bytes == 256 || flag(model, "fuse_unk", false), BITNET_ERROR_UNSUPPORTED, "model.vocab has ", bytes,
          " of 256 byte tokens, and model.fuse_unk is false");
  const auto unknown = out.unknown ? out.tokens.find(*out.unknown) : std::nullopt;
  if (unknown) out.tokens.set_type(*unknown, TokenType::unknown);
}

// --- what stands around a text --------------------------------------------------------------------------------------

Token token_of_template(const JsonValue& processor, std::string_view name) {
  const JsonValue ids = processor.at("special_tokens").at(std::string(name)).at("ids");
  require(ids.size() == 1, BITNET_ERROR_UNSUPPORTED, ids.place(), " has ", ids.size(), " elements; supported is one");
  return static_cast<Token>(ids[0].whole(0, kMaxTokens - 1));
}

void read_template(const JsonValue& processor, TokenizerFile& out) {
  const JsonValue single = processor.at("single");
  bool text = false;
  for (size_t i = 0; i < single.size(); ++i) {
    if (single[i].find("Sequence")) {
      text = true;
      continue;
    }
    const Token token = token_of_template(processor, single[i].at("SpecialToken").at("id").text());
    std::optional<Token>& place = text ? out.back : out.front;
    require(!place, BITNET_ERROR_UNSUPPORTED, single.place(), " puts several tokens ", text ? "behind" : "before",
            " a text; supported is one");
    require(out.tokens.has(token), BITNET_ERROR_FORMAT, single.place(), " names token ", token,
            ", which is not in the vocabulary");
    place = token;
  }
}

void read_post_processor(const JsonValue& root, TokenizerFile& out) {
  for_each_step(root, "post_processor", "processors", [&](const JsonValue& step) {
    const std::string_view type = step.at("type").text();
    if (type == "ByteLevel") return;  // concerns offsets only
    if (type != "TemplateProcessing") refuse_type(step);
    read_template(step, out);
  });
}

bool is_byte_level(const JsonValue& root) {
  bool found = false;
  for_each_step(root, "pre_tokenizer", "pretokenizers",
                [&](const JsonValue& step) { found |= step.at("type").text() == "ByteLevel"; });
  return found;
}

void read_added_tokens(const JsonValue& root, const Log& log, TokenizerFile& out) {
  const auto added = root.find("added_tokens");
  if (!added) return;
  require(added->size() <= kMaxTokens, BITNET_ERROR_UNSUPPORTED, "added_tokens has ", added->size(), " elements");
  for (size_t i = 0; i < added->size(); ++i) {
    const JsonValue entry = (*added)[i];
    add_described_token(entry.at("id").whole(0, kMaxTokens - 1), entry, log, out);
  }
}

}  // namespace

// A token with U+2581 in it is found where a text has U+2581, not where it has a space. To libbitnet the two are one;
// such tokens come of merges anyway.
void add_described_token(int64_t id, const JsonValue& entry, const Log& log, TokenizerFile& out) {
  const std::string_view text = entry.at("content").text();
  const bool special = flag(entry, "special", false);
  const bool sentencepiece = out.tokenizer.kind == fb::TokenizerKind::sentencepiece;
  TokenType type = special ? TokenType::control : TokenType::user_defined;
  if (sentencepiece && text == out.unknown) type = TokenType::unknown;
  if (sentencepiece && !special && text.find(kSpaceMark) != text.npos && out.tokens.find(text) == id) return;
  out.tokens.add_or_mark(id, text, type, entry.place());
  for (const char* const key : {"single_word", "lstrip", "rstrip"}) {
    if (!flag(entry, key, false)) continue;
    say(log, BITNET_LOG_WARNING, entry.place(), ".", key, " of the token ", quoted(text),
        " is true, which libbitnet does not have; texts with white space beside that token may be encoded otherwise");
  }
}

TokenizerFile read_tokenizer_json(const Json& json, const Log& log) {
  const JsonValue root(json);
  const JsonValue model = root.at("model");
  check_model(model);
  TokenizerFile out;
  if (const auto unknown = model.find("unk_token")) out.unknown = unknown->text();
  const Normalization normalization = read_normalizer(root);
  const bool bytes = is_byte_level(root);
  out.tokenizer.kind = bytes ? fb::TokenizerKind::byte_bpe : fb::TokenizerKind::sentencepiece;
  if (bytes) {
    require(!normalization.marks_spaces && !normalization.prepends, BITNET_ERROR_UNSUPPORTED,
            "normalizer: U+2581 for spaces before byte-level BPE is not supported");
    RuleReader rule;
    for_each_step(root, "pre_tokenizer", "pretokenizers", [&](const JsonValue& step) { rule.read(step); });
    out.tokenizer.pre_tokenizer = rule.name(normalization, flag(model, "ignore_merges", false));
  } else {
    read_spaces(root, normalization, out.tokenizer);
  }
  read_vocabulary(model, !bytes, out.tokens);
  read_merges(model, out.tokens, out.tokenizer);
  if (!bytes) check_sentencepiece(model, out);
  read_added_tokens(root, log, out);
  read_post_processor(root, out);
  return out;
}

}  // namespace bitnet
