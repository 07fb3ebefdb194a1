// SPDX-License-Identifier: MIT
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pre_tokenizer.h"

#include <pcre2.h>

#include <array>
#include <limits>
#include <new>
#include <string>

#include "base/error.h"
#include "text/utf8.h"

namespace bitnet {
namespace {

// The expressions as the models' tokenizer.json files (or tiktoken) publish them.
constexpr std::string_view kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken = R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
                                     R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
                                     R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDigit = R"(\p{N})";
constexpr std::string_view kThreeDigits = R"([0-9][0-9][0-9])";
constexpr std::string_view kFalconPunctuation = R"([\p{P}\$\+<=>\^~\|`]+)";
constexpr std::string_view kDefaultPunctuation = R"([\p{P}\$\+<=>\^~\|]+)";
constexpr std::string_view kDigits = R"(\p{N}+)";

struct Rule {
  std::string_view name;
  std::array<std::string_view, 4> expressions;
  bool ignores_merges = false;
};

// Which name means which expressions: llama.cpp, which coined the names, checks each against the model's original.
constexpr Rule kRules[] = {
    {"llama-bpe", {kLlama3}, true},
    {"llama3", {kLlama3}, true},
    {"llama-v3", {kLlama3}, true},
    {"falcon3", {kLlama3}, true},
    {"falcon-h1", {kLlama3}, true},
    {"falcon_e", {kLlama3}, true},
    {"smaug-bpe", {kLlama3}},
    {"dbrx", {kLlama3}},
    {"gpt-2", {kGpt2}},
    {"gpt2", {kGpt2}},
    {"phi-2", {kGpt2}},
    {"mpt", {kGpt2}},
    {"olmo", {kGpt2}},
    {"qwen2", {kQwen2}},
    {"stablelm2", {kQwen2}},
    {"deepseek-r1-qwen", {kQwen2}},
    {"gpt-4o", {kGpt4o}},
    {"llama4", {kGpt4o}},
    {"tekken", {kTekken}, true},
    {"starcoder", {kDigit, kGpt2}},
    {"refact", {kDigit, kGpt2}},
    {"command-r", {kDigit, kGpt2}},
    {"smollm", {kDigit, kGpt2}},
    {"codeshell", {kDigit, kGpt2}},
    {"falcon", {kFalconPunctuation, kGpt2, kThreeDigits}},
    {"default", {kDefaultPunctuation, kGpt2, kDigits, kThreeDigits}},
};

const Rule& rule_named(std::string_view name) {
  std::string known;
  for (const Rule& rule : kRules) {
    if (rule.name == name) return rule;
    known.append(known.empty() ? "" : ", ").append(rule.name);
  }
  fail(BITNET_ERROR_UNSUPPORTED, "tokenizer: unknown pre-tokenizer \"", name, "\"; known are ", known);
}

// The expressions were published for engines whose \s is Unicode's White_Space. PCRE2's takes U+180E as well, which
// left that set with Unicode 6.3.
std::string with_unicode_white_space(std::string_view expression) {
  std::string out;
  for (size_t i = 0; i < expression.size(); ++i) {
    const char next = i + 1 < expression.size() ? expression[i + 1] : '\0';
    if (expression[i] == '\\' && (next == 's' || next == 'S')) {
      out += next == 's' ? R"(\p{White_Space})" : R"(\P{White_Space})";
      ++i;
    } else {
      out += expression[i];
    }
  }
  return out;
}

PreTokenizer::CodePtr compile(std::string_view expression) {
  const std::string source = with_unicode_white_space(expression);
  int error = 0;
  PCRE2_SIZE where = 0;
  PreTokenizer::CodePtr code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(source.data()), source.size(),
                                           PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK, &error, &where, nullptr));
  if (code == nullptr && error == PCRE2_ERROR_HEAP_FAILED) throw std::bad_alloc();
  require(code != nullptr, BITNET_ERROR_INTERNAL, "tokenizer: PCRE2 error ", error, " at offset ", where,
          " of the expression ", expression, "; PCRE2 10.40 or newer is needed");
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // where the system forbids it, the interpreter does the work
  return code;
}

struct FreeMatch {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

// One expression at work on one text.
class Matcher {
 public:
  explicit Matcher(const pcre2_code* code)
      : code_(code), data_(pcre2_match_data_create(1, nullptr)), context_(pcre2_match_context_create(nullptr)) {
    if (!data_ || !context_) throw std::bad_alloc();
    // The expressions are linear in the text. Backing out of a run of white space counts one match per character, so
    // that PCRE2's default limit would refuse a long run.
    pcre2_set_match_limit(context_.get(), std::numeric_limits<uint32_t>::max());
  }

  // The next match at or after `from`; empty at the end of the text if there is none. The text must be valid UTF-8.
  std::string_view next(std::string_view text, size_t from) {
    int found = match(text, from, PCRE2_NO_UTF_CHECK);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = match(text, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT);
    if (found == PCRE2_ERROR_NOMATCH) return text.substr(text.size());
    if (found == PCRE2_ERROR_NOMEMORY) throw std::bad_alloc();
    require(found >= 0, BITNET_ERROR_INTERNAL, "tokenizer: PCRE2 error ", found, " in a text of ", text.size(),
            " bytes");
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data_.get());
    return text.substr(ends[0], ends[1] - ends[0]);
  }

 private:
  int match(std::string_view text, size_t from, uint32_t options) {
    return pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from, options, data_.get(),
                       context_.get());
  }

  const pcre2_code* code_;
  std::unique_ptr<pcre2_match_data, FreeMatch> data_;
  std::unique_ptr<pcre2_match_context, FreeMatch> context_;
};

size_t invalid_prefix(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const Utf8Step step = next_utf8(text.substr(at));
    if (step.kind == Utf8Step::Kind::valid) break;
    at += step.size;
  }
  return at;
}

}  // namespace

void PreTokenizer::FreeCode::operator()(pcre2_code_8* code) const { pcre2_code_free(code); }

PreTokenizer::PreTokenizer(std::string_view name) {
  const Rule& rule = rule_named(name);
  ignores_merges_ = rule.ignores_merges;
  for (const std::string_view expression : rule.expressions) {
    if (!expression.empty()) expressions_.push_back(compile(expression));
  }
}

PreTokenizer::~PreTokenizer() = default;

void PreTokenizer::split(std::string_view text, const Emit& emit) const {
  while (!text.empty()) {
    if (const size_t valid = valid_utf8_prefix(text); valid > 0) {
      split_valid(text.substr(0, valid), 0, emit);
      text.remove_prefix(valid);
    }
    if (const size_t invalid = invalid_prefix(text); invalid > 0) {
      emit(text.substr(0, invalid));
      text.remove_prefix(invalid);
    }
  }
}

// What an expression matches is a piece, and so is what lies between two matches ("isolated", in Hugging Face's words).
void PreTokenizer::split_valid(std::string_view text, size_t expression, const Emit& emit) const {
  const auto pass_on = [&](std::string_view piece) {
    if (piece.empty()) return;
    if (expression + 1 < expressions_.size()) {
      split_valid(piece, expression + 1, emit);
    } else {
      emit(piece);
    }
  };
  Matcher matcher(expressions_[expression].get());
  size_t at = 0;
  while (at < text.size()) {
    const std::string_view match = matcher.next(text, at);
    const size_t begin = match.data() - text.data();
    pass_on(text.substr(at, begin - at));
    pass_on(match);
    at = begin + match.size();
  }
}

}  // namespace bitnet
