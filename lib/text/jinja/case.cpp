// SPDX-License-Identifier: MIT
#include "text/jinja/case.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "text/jinja/case_table.h"
#include "text/jinja/unicode.h"

namespace bitnet::jinja {
namespace {

// The last entry of a sorted table that begins at or before a point.
template <typename Entry, size_t kCount, typename First>
const Entry* last_before(const Entry (&table)[kCount], char32_t point, First first) {
  const auto above = std::upper_bound(std::begin(table), std::end(table), point,
                                      [&](char32_t p, const Entry& entry) { return p < first(entry); });
  return above == std::begin(table) ? nullptr : above - 1;
}

template <size_t kCount>
bool has(const CaseRange (&table)[kCount], char32_t point) {
  const CaseRange* found = last_before(table, point, [](const CaseRange& range) { return range.first; });
  return found && point <= found->last;
}

bool is_cased(char32_t point) { return has(kLowercase, point) || has(kUppercase, point) || has(kTitlecase, point); }

struct Character {
  std::string_view bytes;
  bool foreign;
  bool valid;
  char32_t point;
};

std::vector<Character> characters_of(const Text& text) {
  std::vector<Character> all;
  each_character(text, [&](std::string_view bytes, bool foreign) {
    const Utf8Step step = next_utf8(bytes);
    all.push_back({bytes, foreign, step.kind == Utf8Step::Kind::valid, step.point});
  });
  return all;
}

template <size_t kSteps, size_t kTexts>
void append_changed(const Character& c, const CaseStep (&steps)[kSteps], const CaseText (&texts)[kTexts], Text& out) {
  if (!c.valid) return out.append(c.bytes, c.foreign);
  std::string changed;
  const CaseText* text = last_before(texts, c.point, [](const CaseText& entry) { return entry.point; });
  if (text && text->point == c.point) {
    for (const char32_t* p = text->text; *p; ++p) append_utf8(*p, changed);
    return out.append(changed, c.foreign);
  }
  const CaseStep* run = last_before(steps, c.point, [](const CaseStep& entry) { return entry.first; });
  const bool moves = run && c.point <= run->last && (c.point - run->first) % static_cast<char32_t>(run->step) == 0;
  if (!moves) return out.append(c.bytes, c.foreign);
  append_utf8(static_cast<char32_t>(static_cast<int32_t>(c.point) + run->distance), changed);
  out.append(changed, c.foreign);
}

// A capital sigma ends a word if a letter stands before it and none behind it.
bool ends_word(const std::vector<Character>& all, size_t begin, size_t at) {
  size_t before = at;
  while (before > begin && has(kCaseIgnorable, all[before - 1].point)) --before;
  if (before == begin || !is_cased(all[before - 1].point)) return false;
  size_t behind = at + 1;
  while (behind < all.size() && has(kCaseIgnorable, all[behind].point)) ++behind;
  return behind == all.size() || !is_cased(all[behind].point);
}

// `begin` is where the text that the rule for sigma looks at begins.
void append_lower(const std::vector<Character>& all, size_t begin, size_t at, Text& out) {
  constexpr char32_t kSigma = 0x3A3, kFinalSigma = 0x3C2;
  if (all[at].valid && all[at].point == kSigma && ends_word(all, begin, at)) {
    std::string sigma;
    append_utf8(kFinalSigma, sigma);
    out.append(sigma, all[at].foreign);
  } else {
    append_changed(all[at], kLowerSteps, kLowerTexts, out);
  }
}

void append_title(const Character& c, Text& out) { append_changed(c, kTitleSteps, kTitleTexts, out); }

template <size_t kCount>
bool is_all(std::string_view text, const CaseRange (&wanted)[kCount]) {
  bool found = false;
  while (!text.empty()) {
    const Utf8Step step = next_utf8(text);
    text.remove_prefix(step.size);
    if (step.kind != Utf8Step::Kind::valid) continue;
    if (has(wanted, step.point)) {
      found = true;
    } else if (is_cased(step.point)) {
      return false;
    }
  }
  return found;
}

}  // namespace

Text lower(const Text& text) {
  Text out;
  const std::vector<Character> all = characters_of(text);
  for (size_t i = 0; i < all.size(); ++i) append_lower(all, 0, i, out);
  return out;
}

Text upper(const Text& text) {
  Text out;
  for (const Character& c : characters_of(text)) append_changed(c, kUpperSteps, kUpperTexts, out);
  return out;
}

Text capitalize(const Text& text) {
  Text out;
  const std::vector<Character> all = characters_of(text);
  for (size_t i = 0; i < all.size(); ++i) {
    if (i == 0) {
      append_title(all[i], out);
    } else {
      append_lower(all, 0, i, out);
    }
  }
  return out;
}

Text title(const Text& text) {
  Text out;
  const std::vector<Character> all = characters_of(text);
  bool inside = false;
  for (size_t i = 0; i < all.size(); ++i) {
    if (inside) {
      append_lower(all, 0, i, out);
    } else {
      append_title(all[i], out);
    }
    inside = all[i].valid && is_cased(all[i].point);
  }
  return out;
}

Text filter_title(const Text& text) {
  Text out;
  std::vector<Character> all = characters_of(text);
  // A word is a text of its own to the rule for sigma.
  const auto begins = [](const Character& c) {
    return is_space_character(c.bytes) || std::string_view("-({[<").find(c.bytes[0]) != std::string_view::npos;
  };
  for (size_t begin = 0; begin < all.size();) {
    const bool kind = begins(all[begin]);
    size_t end = begin + 1;
    while (end < all.size() && begins(all[end]) == kind) ++end;
    const std::vector<Character> word(all.begin() + static_cast<ptrdiff_t>(begin),
                                      all.begin() + static_cast<ptrdiff_t>(end));
    append_changed(word[0], kUpperSteps, kUpperTexts, out);
    for (size_t i = 1; i < word.size(); ++i) append_lower(word, 1, i, out);
    begin = end;
  }
  return out;
}

bool is_lower(std::string_view text) { return is_all(text, kLowercase); }
bool is_upper(std::string_view text) { return is_all(text, kUppercase); }

}  // namespace bitnet::jinja
