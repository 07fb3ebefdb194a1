// SPDX-License-Identifier: MIT
#include "perplexity/corpus.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "options.h"

namespace bitnet::program {

namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> split(const std::string& text, const std::string& separator) {
  if (separator.empty()) return {text};
  std::vector<std::string> parts;
  size_t at = 0;
  for (size_t next; (next = text.find(separator, at)) != text.npos; at = next + separator.size()) {
    parts.push_back(text.substr(at, next - at));
  }
  parts.push_back(text.substr(at));
  std::erase(parts, "");
  return parts;
}

// The token that the model expects before a text, or none, though it may have a begin token.
Tokens text_begin(const bitnet_model* model) {
  return texts_begin_with_token(model) ? Tokens{model_info(model).bos} : Tokens{};
}

// It is put where it belongs anyway.
Tokens without_begin_token(Tokens document, const Tokens& begin) {
  if (!begin.empty() && !document.empty() && document.front() == begin.front()) document.erase(document.begin());
  return document;
}

void cut_pieces(const Tokens& document, const WindowOptions& options, const Tokens& begin,
                std::vector<Window>& windows) {
  for (size_t at = 0; at < document.size(); at += options.length) {
    Window window{begin, std::max<size_t>(begin.size() + options.skip, 1)};
    const size_t end = std::min<size_t>(at + options.length, document.size());
    window.tokens.insert(window.tokens.end(), document.begin() + static_cast<std::ptrdiff_t>(at),
                         document.begin() + static_cast<std::ptrdiff_t>(end));
    windows.push_back(std::move(window));
  }
}

void cut_strides(const Tokens& document, const WindowOptions& options, const Tokens& begin,
                 std::vector<Window>& windows) {
  Tokens all = begin;
  all.insert(all.end(), document.begin(), document.end());
  size_t scored = 0;  // by the windows before
  for (size_t at = 0; scored < all.size(); at += options.stride) {
    const size_t end = std::min<size_t>(at + options.length, all.size());
    const auto from = all.begin() + static_cast<std::ptrdiff_t>(at);
    windows.push_back({Tokens(from, all.begin() + static_cast<std::ptrdiff_t>(end)),
                       std::max<size_t>({1, options.skip, scored - std::min(scored, at)})});
    scored = end;
  }
}

}  // namespace

Corpus text_corpus(const CorpusOptions& options, const std::string& text, const bitnet_model* model) {
  Corpus corpus;
  const bitnet_model_info info = model_info(model);
  const uint32_t flags = options.special ? uint32_t{BITNET_TEXT_SPECIAL} : 0;
  for (const std::string& document : split(text, options.separator)) {
    corpus.bytes += document.size();
    Tokens tokens = tokenized(model, document, flags);
    const bool ended = !tokens.empty() && tokens.back() == info.eos;
    if (options.end_token && !ended && info.eos != BITNET_NO_TOKEN) tokens.push_back(info.eos);
    corpus.documents.push_back(without_begin_token(std::move(tokens), text_begin(model)));
  }
  return corpus;
}

Corpus token_corpus(const std::string& path, const std::string& text, const bitnet_model* model) {
  Corpus corpus;
  try {
    const auto json = Json::parse(text);
    if (!json.empty() && json.front().is_number()) {
      corpus.documents.push_back(json.get<Tokens>());
    } else {
      corpus.documents = json.get<std::vector<Tokens>>();
    }
  } catch (const Json::exception& error) {
    throw Stop(kFailure, path + " is not a JSON list of lists of token numbers: " + error.what());
  }
  for (Tokens& document : corpus.documents) document = without_begin_token(std::move(document), text_begin(model));
  return corpus;
}

std::vector<Window> cut(const Corpus& corpus, const WindowOptions& options, const bitnet_model* model) {
  const Tokens begin = text_begin(model);
  std::vector<Window> windows;
  for (const Tokens& document : corpus.documents) {
    if (options.stride == 0) {
      cut_pieces(document, options, begin, windows);
    } else {
      cut_strides(document, options, begin, windows);
    }
  }
  if (options.most > 0 && windows.size() > options.most) windows.resize(options.most);
  return windows;
}

}  // namespace bitnet::program
