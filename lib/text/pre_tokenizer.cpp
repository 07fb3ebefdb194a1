// SPDX-License-Identifier: MIT
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pre_tokenizer.h"

#include <pcre2.h>

#include <limits>
#include <new>
#include <string>

#include "base/error.h"
#include "text/composition.h"
#include "text/splitting_rules.h"
#include "text/utf8.h"

namespace bitnet {
namespace {

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

PreTokenizer::CodePtr compile(const Cut& cut) {
  const std::string_view expression = cut.linear.empty() ? cut.expression : cut.linear;
  const std::string source = with_unicode_white_space(expression);
  const uint32_t options = cut.bytes ? 0 : PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK;
  int error = 0;
  PCRE2_SIZE where = 0;
  PreTokenizer::CodePtr code(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(source.data()), source.size(), options, &error, &where, nullptr));
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

  // The next match at or after `from`; empty at the end of the text if there is none. The text must be valid UTF-8,
  // unless the expression is one of bytes.
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
  const SplittingRule& rule = rule_named(name);
  composes_ = rule.composes;
  ignores_merges_ = rule.ignores_merges;
  for (const Cut& cut : rule.cuts) {
    if (!cut.expression.empty()) expressions_.push_back(compile(cut));
  }
}

PreTokenizer::~PreTokenizer() = default;

void PreTokenizer::split(std::string_view text, const Emit& emit) const {
  std::string composed;
  if (composes_ && !is_surely_composed(text)) text = composed = compose(text);
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
