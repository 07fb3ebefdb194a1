// SPDX-License-Identifier: MIT
#include "format/open_questions.h"

#include <algorithm>
#include <array>
#include <ostream>

#include "base/error.h"
#include "format/metadata.h"

namespace bitnet {
namespace {

constexpr uint32_t kLlama3Size = 128256;
constexpr float kOldTheta = 10000;

struct Telling {
  int64_t id;  // -1: wherever it is
  std::string_view piece;
};

struct Entry {
  KnownVocabulary vocabulary;
  size_t least_size;
  std::array<Telling, 3> tokens;  // all of them
};

// Control tokens of Llama 3 stand in derived vocabularies of any size; ChatML's are in many that have nothing else in
// common, so that Qwen's have to be in their places. GPT-2's has words that no later vocabulary kept.
constexpr Entry kEntries[] = {
    {{"Llama 3's", "llama-bpe", "<|begin_of_text|>", "<|end_of_text|>"},
     0,
     {{{-1, "<|begin_of_text|>"}, {-1, "<|eot_id|>"}, {-1, "<|end_of_text|>"}}}},
    {{"GPT-2's", "gpt-2", nullptr, nullptr},
     50257,
     {{{50256, "<|endoftext|>"}, {43453, "\u0120SolidGoldMagikarp"}, {0, "!"}}}},
    {{"Qwen2's", "qwen2", nullptr, nullptr},
     151646,
     {{{151643, "<|endoftext|>"}, {151644, "<|im_start|>"}, {151645, "<|im_end|>"}}}},
    {{"Falcon3's", "falcon3", nullptr, nullptr},
     131072,
     {{{0, ">>TITLE<<"}, {6, ">>QUESTION<<"}, {11, "<|endoftext|>"}}}},
};

bool is_there(const Telling& token, const Pieces& pieces) {
  if (token.id < 0) return pieces.find(token.piece).has_value();
  return pieces[static_cast<size_t>(token.id)] == token.piece;
}

// Whether the source of a .bitnet file had that key, a single value.
bool has_note(const fb::Model& model, std::string_view key) {
  if (model.notes() == nullptr) return false;
  return std::ranges::any_of(*model.notes(), [&](const fb::KeyValue* note) { return view(note->key()) == key; });
}

bool names_activation(const fb::Model& model) {
  const std::string architecture(view(model.architecture()));
  return has_note(model, architecture + ".hidden_act") || has_note(model, architecture + ".hidden_activation");
}

// Made from a GGUF file by a version that did not look at what the file leaves open.
bool is_unsettled(const fb::Model& model) { return !model.settled() && has_note(model, "general.architecture"); }

ActivationSigns signs_of(const fb::Model& model, const Pieces& pieces) {
  const fb::HyperParameters& hyper = *model.hyper();
  const KnownVocabulary* const known = recognise(pieces);
  return {model.tokenizer()->kind() == fb::TokenizerKind::sentencepiece,
          known != nullptr && known->rule == std::string_view("llama-bpe"),
          hyper.vocabulary(),
          hyper.heads(),
          hyper.kv_heads(),
          hyper.rope_theta()};
}

// What the file's activation should be.
fb::Activation find_activation(const fb::Model& model, const Pieces& pieces, std::optional<fb::Activation> wanted) {
  if (wanted) return *wanted;
  const fb::Activation stored = model.hyper()->activation();
  const bool open = stored == fb::Activation::relu2 && view(model.architecture()) == kOpenArchitecture;
  if (!open || !is_unsettled(model) || names_activation(model)) return stored;
  const ActivationSigns signs = signs_of(model, pieces);
  const auto decided = decide_activation(signs);
  if (!decided) fail_activation(signs);
  return *decided;
}

struct Start {
  int32_t bos;
  bool add_bos;
};

// Where the rule was only found now, so is what the published tokenizer begins a text with.
Start find_start(const fb::Model& model, const KnownVocabulary& vocabulary, const Pieces& pieces) {
  const fb::Tokenizer& tokenizer = *model.tokenizer();
  Start start = {tokenizer.bos(), tokenizer.add_bos()};
  if (vocabulary.bos == nullptr || has_note(model, "tokenizer.ggml.add_bos_token")) return start;
  if (start.bos == -1 && !has_note(model, "tokenizer.ggml.bos_token_id")) {
    start.bos = pieces.find(vocabulary.bos).value_or(-1);
  }
  start.add_bos = start.bos != -1;
  return start;
}

}  // namespace

std::string_view Pieces::operator[](size_t index) const {
  if (index >= ends_.size()) return {};
  const uint32_t begin = index == 0 ? 0 : ends_[index - 1], end = ends_[index];
  if (begin > end || end > text_.size()) return {};
  return {reinterpret_cast<const char*>(text_.data()) + begin, end - begin};
}

std::optional<int32_t> Pieces::find(std::string_view piece) const {
  for (size_t i = 0; i < size(); ++i) {
    if ((*this)[i] == piece) return static_cast<int32_t>(i);
  }
  return std::nullopt;
}

const KnownVocabulary* recognise(const Pieces& pieces) {
  for (const Entry& entry : kEntries) {
    if (pieces.size() < entry.least_size) continue;
    if (std::ranges::all_of(entry.tokens, [&](const Telling& token) { return is_there(token, pieces); })) {
      return &entry.vocabulary;
    }
  }
  return nullptr;
}

bool rule_adds_bos(std::string_view rule) {
  // Falcon3 has Llama 3's expression too, but begins no text with BOS.
  constexpr std::string_view kRules[] = {"llama-bpe", "llama3", "llama-v3", "tekken"};
  return std::ranges::find(kRules, rule) != std::end(kRules);
}

Rule decide_rule(std::string_view named, const Pieces& pieces) {
  if (!named.empty() && named != "default") return {named, nullptr};
  const KnownVocabulary* const known = recognise(pieces);
  return {known != nullptr ? known->rule : "default", known};
}

std::optional<fb::Activation> decide_activation(const ActivationSigns& signs) {
  // bitnet.cpp computes squared ReLU for this architecture, and BitNet b1.58 2B-4T, with Llama 3's vocabulary, is so.
  // Since July 2026 its converter gives the same name to 1bitLLM's models, which have SiLU: all of those have a
  // SentencePiece vocabulary, theta 10000 and a key head for each head.
  if (!signs.sentencepiece || signs.llama3 || signs.vocabulary == kLlama3Size) return fb::Activation::relu2;
  if (signs.rope_theta == kOldTheta && signs.heads == signs.kv_heads) return fb::Activation::silu;
  return std::nullopt;
}

bool is_doubtful(const ActivationSigns& signs) {
  return decide_activation(signs) == fb::Activation::relu2 && !signs.llama3 && signs.rope_theta == kOldTheta &&
         signs.heads == signs.kv_heads;
}

std::ostream& operator<<(std::ostream& out, const ActivationSigns& signs) {
  return out << (signs.llama3          ? "Llama 3's vocabulary"
                 : signs.sentencepiece ? "a SentencePiece vocabulary"
                                       : "byte-level BPE")
             << " of " << signs.vocabulary << " tokens, theta " << signs.rope_theta << ", " << signs.heads << " heads, "
             << signs.kv_heads << " for keys and values";
}

void fail_activation(const ActivationSigns& signs) {
  fail(BITNET_ERROR_UNSUPPORTED, "the architecture ", kOpenArchitecture,
       " has squared ReLU as BitNet b1.58 2B-4T or SiLU as 1bitLLM's models; the file does not say which, and "
       "what else it says (",
       signs,
       ") fits neither; say it with the option activation (bitnet_open_options, bitnet_convert_options; "
       "--activation relu2 or --activation silu)");
}

const char* name_of(fb::Activation activation) {
  switch (activation) {
    case fb::Activation::relu2:
      return "relu2";
    case fb::Activation::silu:
      return "silu";
    case fb::Activation::gelu:
      return "gelu";
  }
  return "unknown";
}

const char* example_of(fb::Activation activation) {
  switch (activation) {
    case fb::Activation::relu2:
      return ", as BitNet b1.58 2B-4T";
    case fb::Activation::silu:
      return ", as 1bitLLM's models";
    case fb::Activation::gelu:
      return ", as Gemma";
  }
  return "";
}

bool settle(const fb::Model& model, std::optional<fb::Activation> activation, const Log& log, fb::ModelT& out) {
  const fb::Tokenizer& tokenizer = *model.tokenizer();
  const Pieces pieces(view(tokenizer.pieces()), view(tokenizer.ends()));
  const fb::Activation stored = model.hyper()->activation(), right = find_activation(model, pieces, activation);
  Rule rule = {};
  if (is_unsettled(model) && tokenizer.kind() == fb::TokenizerKind::byte_bpe) {
    rule = decide_rule(view(tokenizer.pre_tokenizer()), pieces);
  }
  if (right == stored && rule.vocabulary == nullptr) return false;

  model.UnPackTo(&out);
  if (right != stored) {
    out.hyper->activation = right;
    if (activation) {
      say(log, BITNET_LOG_INFO, "activation ", name_of(right), " as asked for, not the file's ", name_of(stored));
    } else {
      say(log, BITNET_LOG_WARNING, "the file was converted as if its model had the activation ", name_of(stored),
          "; it is 1bitLLM's and has ", name_of(right), ", with which it is read; convert it again to settle that");
    }
  }
  if (rule.vocabulary != nullptr) {
    const Start start = find_start(model, *rule.vocabulary, pieces);
    out.tokenizer->pre_tokenizer = rule.name;
    out.tokenizer->bos = start.bos;
    out.tokenizer->add_bos = start.add_bos;
    say(log, BITNET_LOG_WARNING, "the file does not know how its texts are cut into words; its vocabulary is ",
        rule.vocabulary->name, ", so it is read with the rule ", rule.name, start.add_bos ? " and begins with BOS" : "",
        "; convert it again to settle that");
  }
  out.settled = true;
  return true;
}

}  // namespace bitnet
