// SPDX-License-Identifier: MIT
// An imported tokenizer as the library's own code sees it.
#pragma once

#include "model_generated.h"
#include "text/vocabulary.h"

namespace bitnet {

// Valid as long as the table.
inline Vocabulary view_of(const fb::TokenizerT& in) {
  Vocabulary out;
  out.kind = static_cast<TokenizerKind>(in.kind);
  out.pre_tokenizer = in.pre_tokenizer;
  out.pieces = {{reinterpret_cast<const char*>(in.pieces.data()), in.pieces.size()}, in.ends};
  out.types = in.types;
  out.scores = in.scores;
  out.merges = {reinterpret_cast<const Merge*>(in.merges.data()), in.merges.size()};
  out.bos = in.bos;
  out.eos = in.eos;
  out.unknown = in.unknown;
  out.padding = in.padding;
  out.end_tokens = in.end_tokens;
  out.add_bos = in.add_bos;
  out.add_eos = in.add_eos;
  out.add_space_prefix = in.add_space_prefix;
  out.space_prefix = static_cast<SpacePrefix>(in.space_prefix);
  return out;
}

}  // namespace bitnet
