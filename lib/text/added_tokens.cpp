// SPDX-License-Identifier: MIT
#include "text/added_tokens.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace bitnet {
namespace {

uint8_t byte_at(std::string_view text, size_t i) { return static_cast<uint8_t>(text[i]); }

}  // namespace

AddedTokens::AddedTokens(const StringTable& texts, std::vector<Token> tokens)
    : texts_(texts), sorted_(std::move(tokens)), first_byte_{} {
  std::erase_if(sorted_, [&](Token token) { return texts_[token].empty(); });
  for (const Token token : sorted_) {
    require(texts_[token].size() <= kLongest, BITNET_ERROR_FORMAT, "vocabulary: special token ", token, " has ",
            texts_[token].size(), " bytes; no more than ", kLongest, " are supported");
  }
  std::sort(sorted_.begin(), sorted_.end(), [&](Token a, Token b) {
    const int order = texts_[a].compare(texts_[b]);
    return order != 0 ? order < 0 : a < b;
  });
  for (const Token token : sorted_) ++first_byte_[byte_at(texts_[token], 0) + 1];
  for (size_t byte = 0; byte < 256; ++byte) first_byte_[byte + 1] += first_byte_[byte];
}

AddedTokens::Match AddedTokens::find(std::string_view text, size_t from) const {
  if (sorted_.empty()) return {};
  for (size_t at = from; at < text.size(); ++at) {
    if (const Match match = longest_at(text, at); match.token != kNoToken) return match;
  }
  return {};
}

// Narrows the range of sorted texts byte by byte, as a walk down a trie would.
AddedTokens::Match AddedTokens::longest_at(std::string_view text, size_t at) const {
  Match best;
  const uint8_t first = byte_at(text, at);
  if (first_byte_[first] == first_byte_[first + 1]) return best;
  auto begin = sorted_.begin() + first_byte_[first];
  auto end = sorted_.begin() + first_byte_[first + 1];
  for (size_t depth = 1; begin != end; ++depth) {
    if (texts_[*begin].size() == depth) best = {at, depth, *begin};
    if (at + depth == text.size()) break;
    const uint8_t wanted = byte_at(text, at + depth);
    const auto key = [&](Token token) {  // a text that ends here comes before all that go on
      const std::string_view other = texts_[token];
      return other.size() == depth ? -1 : int{byte_at(other, depth)};
    };
    begin = std::partition_point(begin, end, [&](Token token) { return key(token) < wanted; });
    end = std::partition_point(begin, end, [&](Token token) { return key(token) == wanted; });
  }
  return best;
}

}  // namespace bitnet
