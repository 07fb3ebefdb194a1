// SPDX-License-Identifier: MIT
#include "text/jinja/format.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "text/jinja/case.h"
#include "text/jinja/unicode.h"

namespace bitnet::jinja {
namespace {

[[noreturn]] void refuse(std::string_view what) { fail(BITNET_ERROR_FORMAT, "chat template: a format ", what); }

struct Spec {
  Text fill = Text(" ");
  std::optional<Align> align;
  bool zero = false;       // zeros between the sign and the digits
  bool alternate = false;  // 0x
  char sign = '-';
  char grouping = '\0';
  int width = 0;
  int precision = -1;
  char type = '\0';
};

constexpr int kWidest = 1000000, kMostPrecise = 400;
constexpr size_t kField = 64;  // what a field costs beside its text

// Reads the digits at `at`; 0 if there are none.
int read_number(std::string_view text, size_t& at) {
  int value = 0;
  for (; at < text.size() && is_digit(text[at]); ++at) {
    value = value * 10 + (text[at] - '0');
    if (value > kWidest) refuse("with a number that is too large");
  }
  return value;
}

// --- numbers ---

std::string real_digits(double value, char type, int precision) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return "inf";
  if (precision > kMostPrecise) refuse("with more digits than there are");
  const int digits = precision < 0 ? 6 : type == 'g' && precision == 0 ? 1 : precision;
  const auto style = type == 'e'   ? std::chars_format::scientific
                     : type == 'g' ? std::chars_format::general
                                   : std::chars_format::fixed;
  char buffer[1024];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, style, digits);
  return {buffer, end.ptr};
}

std::string whole_digits(uint64_t value, char type) {
  char buffer[80];
  const int base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, base);
  return {buffer, end.ptr};
}

std::string prefix_of(char type) {
  return type == 'x' ? "0x" : type == 'X' ? "0X" : type == 'o' ? "0o" : type == 'b' ? "0b" : "";
}

bool is_grouped_by_four(char type) { return type == 'x' || type == 'X' || type == 'o' || type == 'b'; }

// Separates the digits of the whole part: by three, or by four where the base is a power of two.
std::string grouped(std::string_view digits, const Spec& spec) {
  const bool by_four = is_grouped_by_four(spec.type);
  const size_t size = by_four ? 4 : 3;
  const size_t whole = by_four ? digits.size() : std::min(digits.find_first_not_of("0123456789"), digits.size());
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && i < whole && (whole - i) % size == 0) out += spec.grouping;
    out += digits[i];
  }
  return out;
}

// A number is written to its width and precision before its text can be counted.
void charge_for(const Spec& spec, Budget& budget) {
  budget.charge(static_cast<size_t>(spec.width) + static_cast<size_t>(std::max(spec.precision, 0)));
}

std::string upper_ascii(std::string text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return text;
}

Text with_sign(bool negative, std::string prefix, std::string digits, const Spec& spec, Budget& budget) {
  std::string sign = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  sign += prefix;
  if (spec.grouping) digits = grouped(digits, spec);
  const size_t width = static_cast<size_t>(spec.width);
  if (spec.zero && !spec.align && sign.size() + digits.size() < width) {
    if (spec.grouping) fail(BITNET_ERROR_UNSUPPORTED, "chat template: a format with zeros and groups");
    digits.insert(0, width - sign.size() - digits.size(), '0');
  }
  return padded(Text(sign + digits), spec.width, spec.align.value_or(Align::right), spec.fill, budget);
}

Text format_whole(const Value& value, const Spec& spec, Budget& budget) {
  const int64_t number = to_integer(value, "a number in a format");
  const uint64_t size = number < 0 ? uint64_t{0} - static_cast<uint64_t>(number) : static_cast<uint64_t>(number);
  std::string digits = whole_digits(size, spec.type);
  if (spec.precision > static_cast<int>(digits.size())) {
    digits.insert(0, static_cast<size_t>(spec.precision) - digits.size(), '0');
  }
  if (spec.type == 'X') digits = upper_ascii(std::move(digits));
  return with_sign(number < 0, spec.alternate ? prefix_of(spec.type) : "", std::move(digits), spec, budget);
}

Text format_real(const Value& value, const Spec& spec, Budget& budget) {
  if (spec.alternate) fail(BITNET_ERROR_UNSUPPORTED, "chat template: a format with \"#\" of a float");
  double number = to_real(value, "a number in a format");
  if (spec.type == '%') number *= 100;
  const char lower = static_cast<char>(spec.type | 0x20);
  std::string digits = real_digits(std::fabs(number), spec.type == '%' || lower == 'f' ? 'f' : lower, spec.precision);
  if (spec.type == '%') digits += '%';
  if (spec.type >= 'A' && spec.type <= 'Z') digits = upper_ascii(std::move(digits));
  return with_sign(std::signbit(number), "", std::move(digits), spec, budget);
}

Text format_text(const Text& text, const Spec& spec, Budget& budget) {
  budget.charge(text.weight());
  Text cut;
  int64_t count = 0;
  each_character(text, [&](std::string_view character, bool foreign) {
    if (spec.precision < 0 || count++ < spec.precision) cut.append(character, foreign);
  });
  return padded(cut, spec.width, spec.align.value_or(Align::left), spec.fill, budget);
}

Text one_character(const Value& value) {
  if (value.string()) {
    if (count_characters(value.string()->bytes()) != 1) refuse("with %c of more than one character");
    return *value.string();
  }
  const int64_t point = to_integer(value, "%c");
  if (point < 0 || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) refuse("with %c of no character");
  std::string bytes;
  append_utf8(static_cast<char32_t>(point), bytes);
  return Text(bytes);
}

// --- "%" ---

class Percent {
 public:
  Percent(const Text& format, const Value& values, Budget& budget)
      : format_(format), bytes_(format.bytes()), values_(values), budget_(budget) {}

  Text run() {
    while (at_ < bytes_.size()) {
      const size_t percent = std::min(bytes_.find('%', at_), bytes_.size());
      out_.append_part(format_, at_, percent);
      at_ = percent + 1;
      if (percent < bytes_.size()) conversion();
    }
    const size_t given = values_.is(ListKind::tuple) ? values_.list()->size() : 1;
    if (!values_.dict() && used_ < given) refuse("has fewer places than there are values");
    return std::move(out_);
  }

 private:
  char peek() const {
    if (at_ >= bytes_.size()) refuse("ends behind \"%\"");
    return bytes_[at_];
  }

  void conversion() {
    budget_.charge(kField);
    std::optional<Value> named;
    if (peek() == '(') named = take_named();
    Spec spec;
    flags(spec);
    spec.width = take_count(spec);
    if (peek() == '.') {
      ++at_;
      Spec ignored;
      spec.precision = take_count(ignored);
    }
    while (peek() == 'h' || peek() == 'l' || peek() == 'L') ++at_;
    spec.type = bytes_[at_++];
    if (spec.type == '%') return out_.append("%");
    const Value value = named ? *named : next();
    charge_for(spec, budget_);
    const Text text = converted(value, spec);
    budget_.charge(text.size());
    out_.append(text);
  }

  Value take_named() {
    const size_t end = bytes_.find(')', at_);
    if (end == bytes_.npos) refuse("has a name without an end");
    const std::string_view name = bytes_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    if (!values_.dict()) refuse("names its values, and there is no dictionary of them");
    const Value* found = find(*values_.dict(), name, budget_);
    if (!found) refuse("names a value that is not there");
    return *found;
  }

  void flags(Spec& spec) {
    for (;; ++at_) {
      switch (peek()) {
        case '-':
          spec.align = Align::left;
          break;
        case '+':
          spec.sign = '+';
          break;
        case ' ':
          if (spec.sign == '-') spec.sign = ' ';
          break;
        case '0':
          spec.zero = true;
          break;
        case '#':
          spec.alternate = true;
          break;
        default:
          return;
      }
    }
  }

  int take_count(Spec& spec) {
    if (peek() != '*') return read_number(bytes_, at_);
    ++at_;
    const int64_t count = to_integer(next(), "a width in a format");
    if (count < 0) spec.align = Align::left;
    if (count > kWidest || count < -kWidest) refuse("with a number that is too large");
    return static_cast<int>(count < 0 ? -count : count);
  }

  Value next() {
    const size_t place = used_++;
    if (!values_.is(ListKind::tuple)) {
      if (place > 0) refuse("has more places than there are values");
      return values_;
    }
    if (place >= values_.list()->size()) refuse("has more places than there are values");
    return (*values_.list())[place];
  }

  Text converted(const Value& value, const Spec& spec) {
    Spec plain = spec;
    plain.zero = false;
    if (!plain.align) plain.align = Align::right;
    switch (spec.type) {
      case 's':
        return format_text(value.text(budget_), plain, budget_);
      case 'r':
        return format_text(repr(value, budget_), plain, budget_);
      case 'c':
        return format_text(one_character(value), plain, budget_);
      case 'd':
      case 'i':
      case 'u':
        if (value.real()) return format_whole(truncated(*value.real()), spec, budget_);
        return format_whole(value, spec, budget_);
      case 'x':
      case 'X':
      case 'o':
        return format_whole(value, spec, budget_);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        return format_real(value, spec, budget_);
      default:
        refuse("has a conversion that Python does not know");
    }
  }

  static Value truncated(double value) {
    constexpr double kLimit = 9223372036854775808.0;  // 2^63
    if (!(std::fabs(value) < kLimit)) refuse("with %d of a number beyond 64 bits");
    return static_cast<int64_t>(value);
  }

  const Text& format_;
  std::string_view bytes_;
  const Value& values_;
  Budget& budget_;
  size_t at_ = 0, used_ = 0;
  Text out_;
};

// --- "{}" ---

Spec parse_spec(std::string_view text) {
  Spec spec;
  const auto align_of = [](char c) -> std::optional<Align> {
    if (c == '<') return Align::left;
    if (c == '>') return Align::right;
    if (c == '^') return Align::middle;
    return {};
  };
  size_t at = 0;
  const size_t first = text.empty() ? 0 : next_utf8(text).size;
  if (first < text.size() && align_of(text[first])) {
    spec.fill = Text(std::string(text.substr(0, first)));
    spec.align = align_of(text[first]);
    at = first + 1;
  } else if (!text.empty() && align_of(text[0])) {
    spec.align = align_of(text[0]);
    at = 1;
  }
  const auto skip = [&](char c) { return at < text.size() && text[at] == c && ++at; };
  for (const char sign : {'+', '-', ' '}) {
    if (skip(sign)) spec.sign = sign;
  }
  spec.alternate = skip('#');
  spec.zero = skip('0');
  spec.width = read_number(text, at);
  for (const char grouping : {',', '_'}) {
    if (skip(grouping)) spec.grouping = grouping;
  }
  if (skip('.')) spec.precision = read_number(text, at);
  if (at < text.size()) spec.type = text[at++];
  if (at < text.size()) refuse("has a specification that is not understood");
  return spec;
}

Text formatted(const Value& value, Spec spec, Budget& budget) {
  constexpr std::string_view kReal = "eEfFgG%", kWhole = "dxXob";
  const bool number = value.is_number() && !value.boolean();
  const bool whole = spec.type == '\0' ? value.integer() != nullptr : kWhole.find(spec.type) != kWhole.npos;
  if (whole && spec.precision >= 0) refuse("with a precision of an integer");
  if (spec.grouping == ',' && is_grouped_by_four(spec.type)) refuse("with \",\" of digits that are not decimal");
  if (spec.type != '\0' && kReal.find(spec.type) != kReal.npos) return format_real(value, spec, budget);
  if (whole) return format_whole(value, spec, budget);
  if (spec.type != '\0' && spec.type != 's') refuse("has a type that is not understood");
  if (spec.type == 's' && !value.string()) refuse("with \"s\" of something that is not a string");
  if (number && spec.precision >= 0) {
    fail(BITNET_ERROR_UNSUPPORTED, "chat template: a format with a precision and no type");
  }
  if (number) {
    const std::string digits = value.leaf_text().bytes();
    const bool negative = digits.starts_with('-');
    return with_sign(negative, "", digits.substr(negative ? 1 : 0), spec, budget);
  }
  return format_text(value.text(budget), spec, budget);
}

class Braces {
 public:
  Braces(const Text& format, const std::vector<std::pair<std::string, Value>>& values, Budget& budget)
      : format_(format), bytes_(format.bytes()), values_(values), budget_(budget) {
    for (const auto& [name, value] : values) {
      if (name.empty()) places_.push_back(&value);
    }
  }

  Text run() {
    while (at_ < bytes_.size()) {
      const size_t brace = std::min(bytes_.find_first_of("{}", at_), bytes_.size());
      out_.append_part(format_, at_, brace);
      at_ = brace + 1;
      if (brace >= bytes_.size()) break;
      if (at_ < bytes_.size() && bytes_[at_] == bytes_[brace]) {
        out_.append_part(format_, brace, brace + 1);
        ++at_;
      } else if (bytes_[brace] == '{') {
        field();
      } else {
        refuse("has a single \"}\"");
      }
    }
    return std::move(out_);
  }

 private:
  void field() {
    const size_t end = bytes_.find('}', at_);
    if (end == bytes_.npos) refuse("has a \"{\" without an end");
    budget_.charge(kField + end - at_);
    std::string_view inside = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    if (inside.find('{') != inside.npos) {
      fail(BITNET_ERROR_UNSUPPORTED, "chat template: a format with a field inside a field");
    }
    const size_t colon = std::min(inside.find(':'), inside.size());
    const std::string_view spec = inside.substr(std::min(colon + 1, inside.size()));
    inside = inside.substr(0, colon);
    char conversion = '\0';
    if (const size_t mark = inside.find('!'); mark != inside.npos) {
      if (mark + 2 != inside.size()) refuse("has a conversion that Python does not know");
      conversion = inside[mark + 1];
      inside = inside.substr(0, mark);
    }
    Value value = named(inside);
    if (conversion == 's') value = value.text(budget_);
    if (conversion == 'r') value = repr(value, budget_);
    if (conversion != '\0' && conversion != 's' && conversion != 'r') refuse("has a conversion that is not understood");
    const Spec parsed = parse_spec(spec);
    charge_for(parsed, budget_);
    const Text text = formatted(value, parsed, budget_);
    budget_.charge(text.size());
    out_.append(text);
  }

  // "0", "name", "name[key]", "name[0]"; attributes are not supported.
  Value named(std::string_view path) {
    const size_t end = std::min(path.find_first_of(".["), path.size());
    Value value = first(path.substr(0, end));
    path.remove_prefix(end);
    while (!path.empty()) {
      const size_t close = path.find(']');
      if (path[0] != '[' || close == path.npos) {
        fail(BITNET_ERROR_UNSUPPORTED, "chat template: a format with an attribute of a value");
      }
      const std::string_view key = path.substr(1, close - 1);
      size_t at = 0;
      const bool number = !key.empty() && std::all_of(key.begin(), key.end(), is_digit);
      value = subscript(value, number ? Value(int64_t{read_number(key, at)}) : Value(key), budget_);
      path.remove_prefix(close + 1);
    }
    return value;
  }

  Value first(std::string_view name) {
    if (std::all_of(name.begin(), name.end(), is_digit)) {
      size_t at = 0;
      const size_t place = name.empty() ? next_++ : static_cast<size_t>(read_number(name, at));
      if (place >= places_.size()) refuse("has a place without a value");
      return *places_[place];
    }
    budget_.charge(values_.size() * kCompare);
    for (const auto& [given, value] : values_) {
      if (given == name) return value;
    }
    refuse("names a value that is not there");
  }

  const Text& format_;
  std::string_view bytes_;
  const std::vector<std::pair<std::string, Value>>& values_;
  std::vector<const Value*> places_;  // the values without a name
  Budget& budget_;
  size_t at_ = 0, next_ = 0;
  Text out_;
};

}  // namespace

Text percent_format(const Text& format, const Value& values, Budget& budget) {
  budget.charge(format.size());
  return Percent(format, values, budget).run();
}

Text brace_format(const Text& format, const std::vector<std::pair<std::string, Value>>& values, Budget& budget) {
  budget.charge(format.size() + values.size() * kField);
  return Braces(format, values, budget).run();
}

Text padded(const Text& text, int64_t width, Align align, const Text& fill, Budget& budget) {
  const int64_t missing = width - count_characters(text.bytes());
  if (missing <= 0) return text;
  size_t work = 0;
  if (__builtin_mul_overflow(static_cast<size_t>(missing), fill.weight(), &work)) work = SIZE_MAX;
  budget.charge(work);
  int64_t left = 0;
  switch (align) {
    case Align::left:
      break;
    case Align::right:
      left = missing;
      break;
    case Align::center:  // the odd one goes to the left if the width is odd
      left = missing / 2 + (missing & width & 1);
      break;
    case Align::middle:
      left = missing / 2;
      break;
  }
  Text out;
  for (int64_t i = 0; i < left; ++i) out.append(fill);
  out.append(text);
  for (int64_t i = left; i < missing; ++i) out.append(fill);
  return out;
}

std::string fixed(double value, int precision) {
  return (std::signbit(value) ? "-" : "") + real_digits(std::fabs(value), 'f', precision);
}

}  // namespace bitnet::jinja
