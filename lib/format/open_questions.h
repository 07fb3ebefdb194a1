// SPDX-License-Identifier: MIT
// What model files leave open, and how it is decided: by the vocabulary, the shape, and what the caller says. The
// reader of GGUF asks here, and so does the reader of .bitnet files whose writer did not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <span>
#include <string_view>

#include "base/log.h"
#include "model_generated.h"

namespace bitnet {

// The pieces of a vocabulary. Ends that lie outside the text give empty pieces.
class Pieces {
 public:
  Pieces(std::span<const uint8_t> text, std::span<const uint32_t> ends) : text_(text), ends_(ends) {}
  size_t size() const { return ends_.size(); }
  std::string_view operator[](size_t index) const;  // empty beyond the last
  std::optional<int32_t> find(std::string_view piece) const;

 private:
  std::span<const uint8_t> text_;
  std::span<const uint32_t> ends_;
};

// A published byte-level BPE vocabulary, known by tokens that no other has (in those places).
struct KnownVocabulary {
  const char* name;  // for people
  const char* rule;  // tokenizer.ggml.pre
  const char* bos;   // what its published tokenizer puts before a text; null: nothing
  const char* eos;
};
const KnownVocabulary* recognise(const Pieces& pieces);

// Whether a text begins with BOS where a file with that splitting rule does not say it.
bool rule_adds_bos(std::string_view rule);

// The splitting rule of a byte-level vocabulary where the file says `named`: "" and "default" are what writers put that
// do not know it.
struct Rule {
  std::string_view name;
  const KnownVocabulary* vocabulary;  // that decided it; null if the file did, or nothing could
};
Rule decide_rule(std::string_view named, const Pieces& pieces);

// The only architecture that names two kinds of models, and what tells them apart where the file does not name the
// activation.
constexpr std::string_view kOpenArchitecture = "bitnet-b1.58";
struct ActivationSigns {
  bool sentencepiece;
  bool llama3;  // the vocabulary is Llama 3's
  uint32_t vocabulary, heads, kv_heads;
  float rope_theta;
};
// Whether squared ReLU, though decided, may be wrong: the vocabulary is not Llama 3's, and the shape is as 1bitLLM's.
bool is_doubtful(const ActivationSigns& signs);
// Null: it could be either.
std::optional<fb::Activation> decide_activation(const ActivationSigns& signs);
std::ostream& operator<<(std::ostream& out, const ActivationSigns& signs);
// The error for which decide_activation has no answer.
[[noreturn]] void fail_activation(const ActivationSigns& signs);
const char* name_of(fb::Activation activation);     // as the option has it
const char* example_of(fb::Activation activation);  // ", as" a published model, for messages

// Puts right what earlier versions of libbitnet wrote into .bitnet files where the GGUF left it open, and applies the
// caller's choice. Says in the log what it changed. False: nothing was to change, and `out` was not touched.
bool settle(const fb::Model& model, std::optional<fb::Activation> activation, const Log& log, fb::ModelT& out);

}  // namespace bitnet
