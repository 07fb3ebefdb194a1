// SPDX-License-Identifier: MIT
// pre_tokenizer.h for a build without PCRE2: a model can be opened and its tokens written as text, but text is not cut.
#include "base/error.h"
#include "text/pre_tokenizer.h"

namespace bitnet {

void PreTokenizer::FreeCode::operator()(pcre2_code_8*) const {}

PreTokenizer::PreTokenizer(std::string_view) {}

PreTokenizer::~PreTokenizer() = default;

void PreTokenizer::split(std::string_view, const Emit&) const {
  fail(BITNET_ERROR_UNSUPPORTED,
       "this build of libbitnet cannot turn text into this model's tokens: byte-level BPE needs PCRE2, which it does "
       "not have (BITNET_CORE); give it tokens instead");
}

}  // namespace bitnet
