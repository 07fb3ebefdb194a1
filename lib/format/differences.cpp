// SPDX-License-Identifier: MIT
#include "format/differences.h"

#include <algorithm>
#include <locale>
#include <set>
#include <sstream>
#include <string_view>

#include "format/open_questions.h"
#include "model/architecture.h"
#include "text/splitting_rules.h"
#include "text/vocabulary.h"

namespace bitnet {
namespace {

class List {
 public:
  template <typename Value>
  void expect(std::string_view what, const Value& ours, const Value& theirs) {
    if (ours == theirs) return;
    std::ostringstream text;
    text.imbue(std::locale::classic());
    text.precision(9);
    text << what << " is " << ours << ", originally " << theirs;
    texts_.push_back(std::move(text).str());
  }
  void expect_same(const char* differ, bool same) {
    if (!same) texts_.emplace_back(differ);
  }
  std::vector<std::string> take() { return std::move(texts_); }

 private:
  std::vector<std::string> texts_;
};

// The name of one architecture of those with the same graph.
std::string_view graph_of(std::string_view architecture) {
  const Architecture* const found = find_architecture(architecture);
  const bool bitnet = found != nullptr && found->sub_norms == Part::required;
  return bitnet ? kOpenArchitecture : architecture;
}

std::string_view meaning_of(std::string_view rule) {
  const SplittingRule* const first = rule.empty() ? nullptr : find_rule(rule_named(rule));
  return first == nullptr ? rule : first->name;
}

// The kinds of tokens, as far as they matter. Every rule cuts a text like "<|unused_5|>" or "[PAD5]" apart, so that no
// text makes such a token, be it called unused or not.
std::vector<uint8_t> kinds_of(const fb::TokenizerT& tokenizer) {
  const Pieces pieces(tokenizer.pieces, tokenizer.ends);
  std::vector<uint8_t> kinds = tokenizer.types;
  if (tokenizer.kind != fb::TokenizerKind::byte_bpe) return kinds;
  for (size_t i = 0; i < kinds.size(); ++i) {
    const std::string_view piece = pieces[i];
    const bool bracketed =
        (piece.starts_with('<') && piece.ends_with('>')) || (piece.starts_with('[') && piece.ends_with(']'));
    const bool word =
        std::ranges::any_of(piece, [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
    if (static_cast<TokenType>(kinds[i]) == TokenType::unused && bracketed && word) {
      kinds[i] = static_cast<uint8_t>(TokenType::normal);
    }
  }
  return kinds;
}

std::set<int32_t> ends_of(const fb::TokenizerT& tokenizer) {
  std::set<int32_t> ends(tokenizer.end_tokens.begin(), tokenizer.end_tokens.end());
  ends.insert(tokenizer.eos);
  return ends;
}

}  // namespace

std::vector<std::string> differing_hyperparameters(const fb::ModelT& ours, const fb::ModelT& theirs) {
  const fb::HyperParametersT &a = *ours.hyper, &b = *theirs.hyper;
  List list;
  list.expect("the architecture", graph_of(ours.architecture), graph_of(theirs.architecture));
  list.expect("layers", a.layers, b.layers);
  list.expect("hidden", a.hidden, b.hidden);
  list.expect("ffn", a.ffn, b.ffn);
  list.expect("heads", a.heads, b.heads);
  list.expect("kv_heads", a.kv_heads, b.kv_heads);
  list.expect("head_dim", a.head_dim, b.head_dim);
  list.expect("vocabulary", a.vocabulary, b.vocabulary);
  list.expect("context", a.context, b.context);
  list.expect("rms_epsilon", a.rms_epsilon, b.rms_epsilon);
  list.expect("input_epsilon", a.input_epsilon, b.input_epsilon);
  list.expect("rope_theta", a.rope_theta, b.rope_theta);
  list.expect("rope_magnitude", a.rope_magnitude, b.rope_magnitude);
  list.expect("rotary_dim", a.rotary_dim, b.rotary_dim);
  list.expect("only_windows_turn", a.only_windows_turn, b.only_windows_turn);
  list.expect("attention_scale", a.attention_scale, b.attention_scale);
  list.expect("embedding_scale", a.embedding_scale, b.embedding_scale);
  list.expect("residual_scale", a.residual_scale, b.residual_scale);
  list.expect("logit_scale", a.logit_scale, b.logit_scale);
  list.expect("window", a.window, b.window);
  list.expect("window_period", a.window_period, b.window_period);
  list.expect("window_theta", a.window_theta, b.window_theta);
  list.expect("experts", a.experts, b.experts);
  list.expect("experts_used", a.experts_used, b.experts_used);
  list.expect("gating", static_cast<int>(a.gating), static_cast<int>(b.gating));
  list.expect("normalised", a.normalised, b.normalised);
  list.expect("expert_scale", a.expert_scale, b.expert_scale);
  list.expect("ffn_limit", a.ffn_limit, b.ffn_limit);
  list.expect("the activation", std::string_view(name_of(a.activation)), std::string_view(name_of(b.activation)));
  list.expect("whether the head is the embedding", ours.tied, theirs.tied);
  list.expect("whether there is no head", ours.headless, theirs.headless);
  list.expect("the pooling", static_cast<int>(ours.pooling), static_cast<int>(theirs.pooling));
  return list.take();
}

std::vector<std::string> differing_tokenizers(const fb::TokenizerT& ours, const fb::TokenizerT& theirs) {
  const Pieces a(ours.pieces, ours.ends), b(theirs.pieces, theirs.ends);
  List list;
  list.expect("the kind of tokenizer", static_cast<int>(ours.kind), static_cast<int>(theirs.kind));
  list.expect("the rule that cuts texts into words", meaning_of(ours.pre_tokenizer), meaning_of(theirs.pre_tokenizer));
  list.expect("tokens", a.size(), b.size());
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i] == b[i]) continue;
    list.expect("token " + std::to_string(i), a[i], b[i]);
    break;
  }
  const auto same_merge = [](const fb::Merge& x, const fb::Merge& y) {
    return x.left() == y.left() && x.right() == y.right();
  };
  list.expect_same("merges differ", std::ranges::equal(ours.merges, theirs.merges, same_merge));
  list.expect_same("kinds of tokens differ", kinds_of(ours) == kinds_of(theirs));
  list.expect_same("scores of tokens differ", ours.scores == theirs.scores);
  list.expect("bos", ours.bos, theirs.bos);
  list.expect("eos", ours.eos, theirs.eos);
  list.expect_same("tokens that end a text differ", ends_of(ours) == ends_of(theirs));
  list.expect("unknown", ours.unknown, theirs.unknown);
  list.expect("padding", ours.padding, theirs.padding);
  list.expect("add_bos", ours.add_bos, theirs.add_bos);
  list.expect("add_eos", ours.add_eos, theirs.add_eos);
  list.expect("add_space_prefix", ours.add_space_prefix, theirs.add_space_prefix);
  list.expect("space_prefix", static_cast<int>(ours.space_prefix), static_cast<int>(theirs.space_prefix));
  return list.take();
}

}  // namespace bitnet
