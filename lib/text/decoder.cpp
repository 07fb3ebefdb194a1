// SPDX-License-Identifier: MIT
#include "text/decoder.h"

#include "text/utf8.h"

namespace bitnet {
namespace {

// Appends the well-formed form of the bytes, up to a character that is unfinished at their end; returns what it took.
size_t append_complete(std::string_view bytes, std::string& out) {
  size_t at = 0;
  while (at < bytes.size()) {
    const Utf8Step step = next_utf8(bytes.substr(at));
    if (step.kind == Utf8Step::Kind::truncated) break;
    append_utf8(step.point, out);
    at += step.size;
  }
  return at;
}

}  // namespace

size_t StreamDecoder::push(Token token, std::string& out) {
  DecodeOptions options = options_;
  options.continuation = continuation_;
  const bool written = (options.special || !tokenizer_->is_control(token)) && !tokenizer_->piece(token).empty();
  tokenizer_->decode({&token, 1}, options, pending_);
  continuation_ = continuation_ || written;
  return flush(out, false);
}

size_t StreamDecoder::finish(std::string& out) {
  const size_t written = flush(out, true);
  continuation_ = options_.continuation;
  return written;
}

size_t StreamDecoder::flush(std::string& out, bool last) {
  const size_t begin = out.size();
  pending_.erase(0, append_complete(pending_, out));
  if (last && !pending_.empty()) {
    append_utf8(kReplacement, out);
    pending_.clear();
  }
  return out.size() - begin;
}

std::string StreamDecoder::push(Token token) {
  std::string out;
  push(token, out);
  return out;
}

std::string StreamDecoder::finish() {
  std::string out;
  finish(out);
  return out;
}

void append_well_formed(std::string_view bytes, std::string& out) {
  if (append_complete(bytes, out) < bytes.size()) append_utf8(kReplacement, out);
}

}  // namespace bitnet
