// SPDX-License-Identifier: MIT
// A template's strings. Each knows which of its bytes are foreign: they came from a message, not from the template.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/marked_text.h"
#include "text/utf8.h"

namespace bitnet::jinja {

class Text {
 public:
  Text() = default;
  explicit Text(std::string bytes, bool foreign = false);

  const std::string& bytes() const { return bytes_; }
  const std::vector<Range>& foreign() const { return foreign_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  // Bytes in memory, about.
  size_t weight() const { return bytes_.size() + foreign_.size() * sizeof(Range); }

  // True if any of the bytes begin .. end is foreign.
  bool touches_foreign(size_t begin, size_t end) const;

  void append(std::string_view bytes, bool foreign = false);
  void append(const Text& text) { append_part(text, 0, text.size()); }
  void append_part(const Text& text, size_t begin, size_t end);

  // `inside` lies in bytes().
  Text part(std::string_view inside) const;
  void append_part(const Text& text, std::string_view inside);

  MarkedText take() && { return {std::move(bytes_), std::move(foreign_)}; }

 private:
  void mark(size_t begin, size_t end);

  std::string bytes_;
  std::vector<Range> foreign_;  // in order, none empty, none touching another
};

// Calls visit(character, foreign) for each character, or ill-formed byte, of the text.
template <typename Visit>
void each_character(const Text& text, Visit visit) {
  const std::string_view bytes = text.bytes();
  auto range = text.foreign().begin();
  for (size_t at = 0; at < bytes.size();) {
    const size_t size = next_utf8(bytes.substr(at)).size;
    while (range != text.foreign().end() && range->end <= at) ++range;
    visit(bytes.substr(at, size), range != text.foreign().end() && range->begin < at + size);
    at += size;
  }
}

}  // namespace bitnet::jinja
