// SPDX-License-Identifier: MIT
#include "text/splitting_rules.h"

#include <algorithm>
#include <string>

#include "base/error.h"

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
constexpr std::string_view kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDigit = R"(\p{N})";
constexpr std::string_view kDigits = R"(\p{N}+)";
constexpr std::string_view kUpToThreeDigits = R"(\p{N}{1,3})";
constexpr std::string_view kLatinDigit = "[0-9]";
constexpr std::string_view kThreeLatinDigits = "[0-9][0-9][0-9]";
constexpr std::string_view kPunctuationRuns = R"([\p{P}\$\+<=>\^~\|`]+)";
constexpr std::string_view kDefaultPunctuation = R"([\p{P}\$\+<=>\^~\|]+)";
// What GPT-2's alphabet writes as a digit: the Latin ones, and bytes that it writes as superscripts and fractions.
constexpr std::string_view kByteDigit = R"([0-9\xB2\xB3\xB9\xBC-\xBE])";
constexpr std::string_view kByteDigits = R"([0-9\xB2\xB3\xB9\xBC-\xBE]+)";

// DeepSeek's, in turn. The letters are those with case, as an early Unicode had them.
constexpr std::string_view kLineBreak = R"([\r\n])";
constexpr std::string_view kCasedLetters =
    "\\s?[A-Za-z"
    "\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF\u0370-\u0373\u0376"
    "\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F"
    "\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77"
    "\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D"
    "\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB"
    "\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128"
    "\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4"
    "\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF"
    "\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\U00010400-\U0001044F\U000104B0-\U000104D3"
    "\U000104D8-\U000104FB\U00010C80-\U00010CB2\U00010CC0-\U00010CF2\U000118A0-\U000118DF\U0001E900-\U0001E943"
    "]+";
constexpr std::string_view kWidePunctuation = "\\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+";
constexpr Cut kSpaceAtEnd = {R"(\s+$)", false, R"((?<!\s)\s++$)"};
constexpr std::string_view kEastAsian = "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+";
constexpr std::string_view kLetters = R"(\s?\p{L}+)";
constexpr std::string_view kPunctuationMarks = R"(\s?\p{P}+)";
constexpr std::string_view kEastAsian3 = "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+";
constexpr std::string_view kDeepseek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr Cut bytes(std::string_view expression) { return {expression, true}; }
constexpr Cut text(std::string_view expression) { return {expression}; }

constexpr bool kComposes = true, kTakesWhole = true;

// Which name means what: llama.cpp, which coined most names, checks each against the model's original. Of rules that do
// the same, the first gives its name to a tokenizer.json.
constexpr SplittingRule kRules[] = {
    {"llama-bpe", {text(kLlama3)}, false, kTakesWhole},
    {"llama3", {text(kLlama3)}, false, kTakesWhole},
    {"llama-v3", {text(kLlama3)}, false, kTakesWhole},
    {"falcon-h1", {text(kLlama3)}, false, kTakesWhole},
    {"smaug-bpe", {text(kLlama3)}},
    {"dbrx", {text(kLlama3)}},
    {"gpt-2", {text(kGpt2)}},
    {"gpt2", {text(kGpt2)}},
    {"phi-2", {text(kGpt2)}},
    {"gpt-neox", {text(kGpt2)}, kComposes},
    {"mpt", {text(kGpt2)}, kComposes},
    {"olmo", {text(kGpt2)}, kComposes},
    {"qwen2", {text(kQwen2)}, kComposes},
    {"deepseek-r1-qwen", {text(kQwen2)}},
    {"stablelm2", {text(kQwen2)}},
    {"qwen35", {text(kQwen35)}, kComposes},
    {"gpt-4o", {text(kGpt4o)}},
    {"llama4", {text(kGpt4o)}},
    {"tekken", {text(kTekken)}, false, kTakesWhole},
    {"smollm", {text(kDigit), text(kGpt2)}},
    {"starcoder", {text(kDigit), text(kGpt2)}},
    {"refact", {text(kDigit), text(kGpt2)}},
    {"command-r", {text(kDigit), text(kGpt2)}},
    {"codeshell", {text(kDigit), text(kGpt2)}},
    {"falcon", {text(kPunctuationRuns), text(kGpt2), bytes(kByteDigits), bytes(kThreeLatinDigits)}},
    {"falcon3", {text(kPunctuationRuns), text(kGpt2), bytes(kLatinDigit)}},
    {"falcon_e", {text(kPunctuationRuns), text(kGpt2), bytes(kLatinDigit)}},
    {"deepseek-llm",
     {text(kLineBreak), text(kCasedLetters), text(kWidePunctuation), kSpaceAtEnd, text(kEastAsian), text(kDigit)}},
    {"deepseek-coder", {text(kLineBreak), text(kLetters), text(kPunctuationMarks), text(kEastAsian), text(kDigit)}},
    {"deepseek-v3", {text(kUpToThreeDigits), text(kEastAsian3), text(kDeepseek3)}},
    {"default", {text(kDefaultPunctuation), text(kGpt2), text(kDigits), text(kThreeLatinDigits)}},
};

}  // namespace

namespace cuts {
const Cut kByteLevel = text(kGpt2);
const Cut kPunctuation = text(kPunctuationRuns);
const Cut kDigits = text(bitnet::kDigits), kByteDigits = bytes(bitnet::kByteDigits);
const Cut kEachDigit = text(kDigit), kEachByteDigit = bytes(kByteDigit);
}  // namespace cuts

const SplittingRule& rule_named(std::string_view name) {
  std::string known;
  for (const SplittingRule& rule : kRules) {
    if (rule.name == name) return rule;
    known.append(known.empty() ? "" : ", ").append(rule.name);
  }
  fail(BITNET_ERROR_UNSUPPORTED, "tokenizer: unknown pre-tokenizer \"", name, "\"; known are ", known);
}

const Cut* find_cut(std::string_view expression, bool bytes) {
  for (const SplittingRule& rule : kRules) {
    const auto found = std::ranges::find(rule.cuts, Cut{expression, bytes});
    if (found != rule.cuts.end()) return &*found;
  }
  return nullptr;
}

const SplittingRule* find_rule(const SplittingRule& wanted) {
  const auto found = std::ranges::find_if(kRules, [&](const SplittingRule& rule) {
    return rule.cuts == wanted.cuts && rule.composes == wanted.composes && rule.ignores_merges == wanted.ignores_merges;
  });
  return found == std::end(kRules) ? nullptr : found;
}

}  // namespace bitnet
