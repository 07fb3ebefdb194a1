// SPDX-License-Identifier: MIT
#include "text/composition.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "text/utf8.h"

namespace bitnet {
namespace {

using Points = std::vector<utf8proc_int32_t>;

constexpr auto kForm = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);

int combining_class(utf8proc_int32_t point) { return utf8proc_get_property(point)->combining_class; }

void append_decomposed(char32_t point, Points& out) {
  std::array<utf8proc_int32_t, 32> parts;  // no canonical decomposition has more than four
  int boundary = 0;
  const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(point), parts.data(),
                                             static_cast<utf8proc_ssize_t>(parts.size()), kForm, &boundary);
  require(count > 0 && static_cast<size_t>(count) <= parts.size(), BITNET_ERROR_INTERNAL,
          "utf8proc cannot decompose the character ", static_cast<uint32_t>(point));
  out.insert(out.end(), parts.begin(), parts.begin() + count);
}

// Sorts each run of combining marks. utf8proc_decompose would do it, but in quadratic time.
void order_marks(Points& points) {
  for (auto begin = points.begin(); begin != points.end();) {
    begin = std::find_if(begin, points.end(), combining_class);
    const auto end = std::find_if_not(begin, points.end(), combining_class);
    std::stable_sort(begin, end, [](auto a, auto b) { return combining_class(a) < combining_class(b); });
    begin = end;
  }
}

// One stretch that nothing composes across.
void append_composed(Points& points, std::string& out) {
  order_marks(points);
  const auto count = utf8proc_normalize_utf32(points.data(), static_cast<utf8proc_ssize_t>(points.size()), kForm);
  require(count >= 0, BITNET_ERROR_INTERNAL, "utf8proc cannot compose a text: ", utf8proc_errmsg(count));
  for (utf8proc_ssize_t i = 0; i < count; ++i) append_utf8(static_cast<char32_t>(points[i]), out);
  points.clear();
}

}  // namespace

// What lies before U+0300 is in NFC, and nothing before it composes with what comes before.
bool is_surely_composed(std::string_view text) {
  constexpr uint8_t kFirstLead = 0xCC;  // of U+0300 and all above
  return std::ranges::none_of(text, [](char byte) { return static_cast<uint8_t>(byte) >= kFirstLead; });
}

std::string compose(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  Points points;  // since the last place that nothing composes across: before ASCII, and around what is not UTF-8
  while (!text.empty()) {
    const Utf8Step step = next_utf8(text);
    const bool valid = step.kind == Utf8Step::Kind::valid;
    if (!valid || step.point < 0x80) append_composed(points, out);
    if (valid) {
      append_decomposed(step.point, points);
    } else {
      out += text.substr(0, step.size);
    }
    text.remove_prefix(step.size);
  }
  append_composed(points, out);
  return out;
}

}  // namespace bitnet
