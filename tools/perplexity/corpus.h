// SPDX-License-Identifier: MIT
// What `bitnet perplexity` scores: documents of tokens, cut into windows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bitnet.h"

namespace bitnet::program {

using Tokens = std::vector<bitnet_token>;

// Documents without their begin token.
struct Corpus {
  std::vector<Tokens> documents;
  uint64_t bytes = 0;  // of text; 0 where only tokens are known
};

struct CorpusOptions {
  std::string separator;  // between the documents of a text; "": it is one
  bool end_token = false, special = false;
};
Corpus text_corpus(const CorpusOptions& options, const std::string& text, const bitnet_model* model);
// A JSON list of documents, each a list of token numbers, or a single such document.
Corpus token_corpus(const std::string& path, const std::string& text, const bitnet_model* model);

// Tokens that are evaluated by themselves. Those from `first` on are scored, each predicted from all those before it.
struct Window {
  Tokens tokens;
  size_t first;  // at least 1
};

struct WindowOptions {
  uint32_t length = 512, stride = 0, skip = 0, most = 0;
};
// Without a stride, documents are cut into pieces, and the begin token is put before each if texts of the model begin
// so. With one, as others do it: the begin token stands before the document, windows of the whole length begin so many
// tokens apart, and in each what no window before has scored is scored. No window spans documents.
std::vector<Window> cut(const Corpus& corpus, const WindowOptions& options, const bitnet_model* model);

}  // namespace bitnet::program
