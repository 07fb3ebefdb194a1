// SPDX-License-Identifier: MIT
#include "text/jinja/strings.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace bitnet::jinja {
namespace {

constexpr size_t kPart = 64;  // what a part takes beside its text

bool is_text_character(std::string_view character) { return !is_space_character(character); }

const std::string& mark_of(const Value& separator) {
  const std::string& mark = to_string(separator, "what a string is split at");
  require(!mark.empty(), BITNET_ERROR_FORMAT, "chat template: split at an empty string");
  return mark;
}

bool may_cut(int64_t most, const List& parts) { return most < 0 || static_cast<int64_t>(parts.size()) < most; }

List split_at_space(const Text& text, int64_t most, Budget& budget) {
  List parts;
  for (std::string_view rest = text.bytes();;) {
    rest = strip_left(rest, is_space_character);
    if (rest.empty()) return parts;
    if (!may_cut(most, parts)) {
      parts.emplace_back(text.part(rest));
      return parts;
    }
    budget.charge(kPart);
    const std::string_view behind = strip_left(rest, is_text_character);
    parts.emplace_back(text.part(rest.substr(0, rest.size() - behind.size())));
    rest = behind;
  }
}

List rsplit_at_space(const Text& text, int64_t most, Budget& budget) {
  List parts;
  for (std::string_view rest = text.bytes();;) {
    rest = strip_right(rest, is_space_character);
    if (rest.empty()) break;
    if (!may_cut(most, parts)) {
      parts.emplace_back(text.part(rest));
      break;
    }
    budget.charge(kPart);
    const std::string_view before = strip_right(rest, is_text_character);
    parts.emplace_back(text.part(rest.substr(before.size())));
    rest = before;
  }
  return {parts.rbegin(), parts.rend()};
}

// Bytes of the line end that the text begins with, by Python's idea of one; 0 if there is none.
size_t line_end(std::string_view text) {
  if (text.starts_with("\r\n")) return 2;
  const Utf8Step step = next_utf8(text);
  if (step.kind != Utf8Step::Kind::valid) return 0;
  const char32_t c = step.point;
  const bool ends = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
  return ends ? step.size : 0;
}

// Calls visit(line, end) with a view of each line and of what ends it.
template <typename Visit>
void each_line(std::string_view text, Visit visit) {
  for (size_t begin = 0, at = 0; begin < text.size();) {
    size_t end = 0;
    while (at < text.size() && (end = line_end(text.substr(at))) == 0) at += next_utf8(text.substr(at)).size;
    visit(text.substr(begin, at - begin), text.substr(at, end));
    begin = at = at + end;
  }
}

// An empty string is found before every character and at the end.
Text replace_between(const Text& text, const Text& with, int64_t most, Budget& budget) {
  Text out;
  int64_t done = 0;
  const auto insert = [&] {
    if (most >= 0 && done >= most) return;
    budget.charge(with.weight());
    out.append(with);
    ++done;
  };
  each_character(text, [&](std::string_view character, bool foreign) {
    insert();
    out.append(character, foreign);
  });
  insert();
  return out;
}

}  // namespace

Text strip(const Text& text, const Value& characters, Side side) {
  const auto unwanted = [&](std::string_view character) {
    if (characters.is_none()) return is_space_character(character);
    return to_string(characters, "what is stripped").find(character) != std::string::npos;
  };
  std::string_view bytes = text.bytes();
  if (side != Side::right) bytes = strip_left(bytes, unwanted);
  if (side != Side::left) bytes = strip_right(bytes, unwanted);
  return text.part(bytes);
}

Text replace(const Text& text, const std::string& old, const Text& with, int64_t most, Budget& budget) {
  if (old.empty()) return replace_between(text, with, most, budget);
  Text out;
  size_t at = 0;
  for (int64_t done = 0; most < 0 || done < most; ++done) {
    const size_t found = text.bytes().find(old, at);
    if (found == std::string::npos) break;
    budget.charge(found - at + with.weight() + 1);
    out.append_part(text, at, found);
    out.append(with);
    at = found + old.size();
  }
  out.append_part(text, at, text.size());
  return out;
}

List split(const Text& text, const Value& separator, int64_t most, Budget& budget) {
  if (separator.is_none()) return split_at_space(text, most, budget);
  const std::string& mark = mark_of(separator);
  List parts;
  std::string_view rest = text.bytes();
  while (may_cut(most, parts)) {
    const size_t found = rest.find(mark);
    if (found == rest.npos) break;
    budget.charge(kPart);
    parts.emplace_back(text.part(rest.substr(0, found)));
    rest.remove_prefix(found + mark.size());
  }
  parts.emplace_back(text.part(rest));
  return parts;
}

List rsplit(const Text& text, const Value& separator, int64_t most, Budget& budget) {
  if (separator.is_none()) return rsplit_at_space(text, most, budget);
  const std::string& mark = mark_of(separator);
  List parts;
  std::string_view rest = text.bytes();
  while (may_cut(most, parts)) {
    const size_t found = rest.rfind(mark);
    if (found == rest.npos) break;
    budget.charge(kPart);
    parts.emplace_back(text.part(rest.substr(found + mark.size())));
    rest = rest.substr(0, found);
  }
  parts.emplace_back(text.part(rest));
  return {parts.rbegin(), parts.rend()};
}

Text join(const List& items, const Text& separator, bool strict, Budget& budget) {
  Text out;
  for (size_t i = 0; i < items.size(); ++i) {
    budget.charge(items[i].weight() + separator.weight() + 1);
    if (i > 0) out.append(separator);
    out.append(strict ? to_text(items[i], "what is joined") : items[i].text(budget));
  }
  return out;
}

List lines_of(const Text& text, bool keep_ends, Budget& budget) {
  List lines;
  each_line(text.bytes(), [&](std::string_view line, std::string_view end) {
    budget.charge(kPart);
    Text made = text.part(line);
    if (keep_ends) made.append_part(text, end);
    lines.emplace_back(std::move(made));
  });
  return lines;
}

Text indented(const Text& text, const Text& indent, bool first, bool blank, Budget& budget) {
  // The filter adds a line end before it cuts the text into lines.
  Text whole = text;
  whole.append("\n");
  Text out;
  if (first) out.append(indent);
  bool begun = false, foreign_end = false;
  each_line(whole.bytes(), [&](std::string_view line, std::string_view end) {
    budget.charge(indent.weight() + line.size() + 1);
    if (begun) out.append("\n", foreign_end);
    if (begun && (blank || !line.empty())) out.append(indent);
    out.append_part(whole, line);
    begun = true;
    const auto at = static_cast<size_t>(end.data() - whole.bytes().data());
    foreign_end = whole.touches_foreign(at, at + end.size());
  });
  return out;
}

Window window_of(const Text& text, Arguments& arguments) {
  const Value start = arguments.get(1, "start", None()), end = arguments.get(2, "end", None());
  const std::string_view bytes = text.bytes();
  if (start.is_none() && end.is_none()) return {bytes, 0, false};
  const int64_t count = count_characters(bytes);
  const auto place = [&](const Value& value, int64_t otherwise) {
    if (value.is_none()) return otherwise;
    const int64_t at = to_integer(value, "a place in a string");
    return at < 0 ? std::max<int64_t>(at + count, 0) : at;
  };
  const int64_t first = place(start, 0), last = std::min(place(end, count), count);
  if (first > last) return {{}, first, true};
  const auto offset = [&](int64_t characters) {
    size_t at = 0;
    for (int64_t i = 0; i < characters; ++i) at += next_utf8(bytes.substr(at)).size;
    return at;
  };
  const size_t begin = offset(first);
  return {bytes.substr(begin, offset(last) - begin), first, false};
}

std::string without_underscores(std::string_view text) {
  std::string out(text);
  std::erase(out, '_');
  return out;
}

std::optional<int64_t> read_integer(std::string_view text, int64_t base) {
  require(base >= 2 && base <= 36, BITNET_ERROR_UNSUPPORTED, "chat template: int with the base ", base);
  std::string plain = without_underscores(text);
  const bool negative = plain.starts_with('-');
  if (negative || plain.starts_with('+')) plain.erase(0, 1);
  const char* prefix = base == 16 ? "xX" : base == 8 ? "oO" : base == 2 ? "bB" : "";
  const bool prefixed =
      plain.size() > 2 && plain[0] == '0' && std::string_view(prefix).find(plain[1]) != std::string_view::npos;
  if (prefixed) plain.erase(0, 2);
  if (plain.empty() || plain[0] == '-' || plain[0] == '+') return {};
  if (negative) plain.insert(0, 1, '-');
  int64_t value = 0;
  const auto read = std::from_chars(plain.data(), plain.data() + plain.size(), value, static_cast<int>(base));
  if (read.ptr != plain.data() + plain.size()) return {};
  require(read.ec != std::errc::result_out_of_range, BITNET_ERROR_UNSUPPORTED,
          "chat template: a number does not fit in 64 bits");
  return read.ec == std::errc() ? std::optional(value) : std::nullopt;
}

void require_ascii(char c, std::string_view what) {
  require(static_cast<unsigned char>(c) < 0x80, BITNET_ERROR_UNSUPPORTED, "chat template: ", what,
          " of characters beyond ASCII");
}

bool is_ascii_word(char c, std::string_view what) {
  require_ascii(c, what);
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

}  // namespace bitnet::jinja
