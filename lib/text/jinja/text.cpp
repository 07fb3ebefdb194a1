// SPDX-License-Identifier: MIT
#include "text/jinja/text.h"

#include <algorithm>

namespace bitnet::jinja {
namespace {

// The first range that ends behind `at`.
auto first_behind(const std::vector<Range>& ranges, size_t at) {
  return std::upper_bound(ranges.begin(), ranges.end(), at,
                          [](size_t place, const Range& range) { return place < range.end; });
}

}  // namespace

Text::Text(std::string bytes, bool foreign) : bytes_(std::move(bytes)) {
  if (foreign) mark(0, bytes_.size());
}

void Text::mark(size_t begin, size_t end) {
  if (begin == end) return;
  if (!foreign_.empty() && foreign_.back().end == begin) {
    foreign_.back().end = end;
  } else {
    foreign_.push_back({begin, end});
  }
}

bool Text::touches_foreign(size_t begin, size_t end) const {
  const auto range = first_behind(foreign_, begin);
  return range != foreign_.end() && range->begin < end;
}

void Text::append(std::string_view bytes, bool foreign) {
  if (foreign) mark(bytes_.size(), bytes_.size() + bytes.size());
  bytes_ += bytes;
}

void Text::append_part(const Text& text, size_t begin, size_t end) {
  const size_t shift = bytes_.size();
  for (auto range = first_behind(text.foreign_, begin); range != text.foreign_.end() && range->begin < end; ++range) {
    mark(std::max(range->begin, begin) - begin + shift, std::min(range->end, end) - begin + shift);
  }
  bytes_.append(text.bytes_, begin, end - begin);
}

void Text::append_part(const Text& text, std::string_view inside) {
  const auto begin = static_cast<size_t>(inside.data() - text.bytes_.data());
  append_part(text, begin, begin + inside.size());
}

Text Text::part(std::string_view inside) const {
  Text made;
  made.append_part(*this, inside);
  return made;
}

}  // namespace bitnet::jinja
