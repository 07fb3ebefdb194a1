// SPDX-License-Identifier: MIT
#include "text/jinja/lexer.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "text/jinja/unicode.h"
#include "text/utf8.h"

namespace bitnet::jinja {
namespace {

using Kind = Lexeme::Kind;

bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name(char c) { return is_name_start(c) || is_digit(c); }

// As Jinja does before anything else: every line ends in "\n", and the last line end of all is dropped.
std::string normalized(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalized(source)), rest_(source_) {}

  std::vector<Lexeme> run() {
    while (!rest_.empty()) {
      const size_t tag = next_tag();
      const std::string_view text = rest_.substr(0, tag);
      if (tag == rest_.size()) {
        add(Kind::text, std::string(text));
        advance(tag);
        break;
      }
      add(Kind::text, std::string(before_tag(text, rest_.substr(tag))));
      advance(tag);
      if (raw()) continue;
      const char opener = rest_[1];
      advance(2);
      if (rest_.starts_with('-') || rest_.starts_with('+')) advance(1);
      if (opener == '#') {
        comment();
      } else {
        add(opener == '{' ? Kind::print_begin : Kind::block_begin, "");
        inside(opener == '{');
      }
    }
    add(Kind::end, "");
    return std::move(lexemes_);
  }

 private:
  [[noreturn]] void error(const char* what) const {
    fail(BITNET_ERROR_FORMAT, "chat template, line ", line_, ": ", what);
  }

  void add(Kind kind, std::string text) {
    if (kind != Kind::text || !text.empty()) lexemes_.push_back({kind, std::move(text), line_});
  }

  void advance(size_t count) {
    line_ += static_cast<uint32_t>(std::count(rest_.begin(), rest_.begin() + count, '\n'));
    if (count > 0) line_start_ = rest_[count - 1] == '\n';
    rest_.remove_prefix(count);
  }

  size_t next_tag() const {
    for (size_t at = rest_.find('{'); at != rest_.npos; at = rest_.find('{', at + 1)) {
      const char next = at + 1 < rest_.size() ? rest_[at + 1] : '\0';
      if (next == '{' || next == '%' || next == '#') return at;
    }
    return rest_.size();
  }

  // What the tag leaves of the text before it: "{%-" takes all white space away, and lstrip_blocks an indentation.
  std::string_view before_tag(std::string_view text, std::string_view tag) const {
    const char sign = tag.size() > 2 ? tag[2] : '\0';
    if (sign == '-') return strip_right(text, is_space_character);
    if (sign == '+' || tag[1] == '{') return text;
    const size_t line = text.rfind('\n') + 1;
    if (line == 0 && !line_start_) return text;
    const bool indentation = strip_left(text.substr(line), is_space_character).empty();
    return indentation ? text.substr(0, line) : text;
  }

  // Behind a tag: "-" takes all white space away, and trim_blocks a line end.
  void after_tag(bool strip, bool trim) {
    if (strip) {
      advance(rest_.size() - strip_left(rest_, is_space_character).size());
    } else if (trim && rest_.starts_with('\n')) {
      advance(1);
    }
  }

  // The size of a tag that consists of a keyword only, "{%- raw %}", or 0; `sign` is what stands before its end.
  static size_t bare_tag(std::string_view text, std::string_view keyword, char& sign) {
    std::string_view rest = text;
    if (!rest.starts_with("{%")) return 0;
    rest.remove_prefix(2);
    if (rest.starts_with('-') || rest.starts_with('+')) rest.remove_prefix(1);
    rest = strip_left(rest, is_space_character);
    if (!rest.starts_with(keyword)) return 0;
    rest = strip_left(rest.substr(keyword.size()), is_space_character);
    sign = rest.starts_with('-') || rest.starts_with('+') ? rest[0] : '\0';
    if (sign != '\0') rest.remove_prefix(1);
    return rest.starts_with("%}") ? text.size() - rest.size() + 2 : 0;
  }

  // Everything between "{% raw %}" and "{% endraw %}" is text.
  bool raw() {
    char sign = '\0';
    const size_t begin = bare_tag(rest_, "raw", sign);
    if (begin == 0) return false;
    advance(begin);
    line_start_ = false;
    after_tag(sign == '-', false);
    for (size_t at = rest_.find("{%"); at != rest_.npos; at = rest_.find("{%", at + 1)) {
      const size_t end = bare_tag(rest_.substr(at), "endraw", sign);
      if (end == 0) continue;
      add(Kind::text, std::string(before_tag(rest_.substr(0, at), rest_.substr(at))));
      advance(at + end);
      after_tag(sign == '-', sign == '\0');
      return true;
    }
    error("\"raw\" has no end");
  }

  void comment() {
    const size_t end = rest_.find("#}");
    if (end == rest_.npos) error("a comment has no end");
    const char sign = end > 0 ? rest_[end - 1] : '\0';
    advance(end + 2);
    after_tag(sign == '-', sign != '+');
  }

  void inside(bool print) {
    const std::string_view close = print ? "}}" : "%}";
    std::string brackets;
    for (;;) {
      const std::string_view spaceless = strip_left(rest_, is_space_character);
      advance(rest_.size() - spaceless.size());
      if (rest_.empty()) error("a tag has no end");
      const bool minus = rest_[0] == '-', plus = rest_[0] == '+' && !print;
      const size_t sign = (minus || plus) && rest_.substr(1).starts_with(close) ? 1 : 0;
      if (brackets.empty() && rest_.substr(sign).starts_with(close)) {
        add(print ? Kind::print_end : Kind::block_end, "");
        advance(sign + 2);
        after_tag(sign == 1 && minus, !print && sign == 0);
        return;
      }
      lexeme(brackets);
    }
  }

  void lexeme(std::string& brackets) {
    const char c = rest_[0];
    if (is_name_start(c)) {
      add(Kind::name, take_while(is_name));
    } else if (is_digit(c)) {
      number();
    } else if (c == '"' || c == '\'') {
      string();
    } else {
      symbol(brackets);
    }
  }

  std::string take_while(bool (*belongs)(char)) {
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), belongs);
    std::string taken(rest_.begin(), end);
    advance(taken.size());
    return taken;
  }

  std::string digits() {
    std::string taken = take_while([](char c) { return is_digit(c) || c == '_'; });
    std::erase(taken, '_');
    return taken;
  }

  void number() {
    if (rest_[0] == '0' && rest_.size() > 1 && std::string_view("xXoObB").find(rest_[1]) != std::string_view::npos) {
      return based_number();
    }
    std::string text = digits();
    Kind kind = Kind::integer;
    if (rest_.size() > 1 && rest_[0] == '.' && is_digit(rest_[1])) {
      advance(1);
      text += '.' + digits();
      kind = Kind::real;
    }
    if (const size_t exponent = exponent_size(); exponent > 0) {
      text += rest_.substr(0, exponent);
      advance(exponent);
      text += digits();
      kind = Kind::real;
    }
    if (!rest_.empty() && is_name(rest_[0])) error("a number of a form that is not supported");
    add(kind, std::move(text));
  }

  // The size of "e", "e+" or "e-" before a digit.
  size_t exponent_size() const {
    if (!rest_.starts_with('e') && !rest_.starts_with('E')) return 0;
    const size_t size = rest_.substr(1).starts_with('+') || rest_.substr(1).starts_with('-') ? 2 : 1;
    return rest_.size() > size && is_digit(rest_[size]) ? size : 0;
  }

  // 0x1F, 0o17, 0b11.
  void based_number() {
    const char kind = static_cast<char>(rest_[1] | 0x20);
    const int base = kind == 'x' ? 16 : kind == 'o' ? 8 : 2;
    advance(2);
    std::string text = take_while(is_name);
    std::erase(text, '_');
    uint64_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size()) {
      error("a number that is not one, or does not fit");
    }
    add(Kind::integer, std::to_string(value));
  }

  void string() {
    const char quote = rest_[0];
    size_t end = 1;
    while (end < rest_.size() && rest_[end] != quote) end += rest_[end] == '\\' ? 2 : 1;
    if (end >= rest_.size()) error("a string has no end");
    add(Kind::string, unescaped(rest_.substr(1, end - 1)));
    advance(end + 1);
  }

  // Python's escapes; one that Python does not know stands for itself, backslash and all.
  std::string unescaped(std::string_view text) const {
    std::string out;
    while (!text.empty()) {
      if (text[0] != '\\') {
        out += text[0];
        text.remove_prefix(1);
        continue;
      }
      const char kind = text[1];
      text.remove_prefix(2);
      constexpr std::string_view kNames = "ntrabfv\\'\"", kMeanings = "\n\t\r\a\b\f\v\\'\"";
      if (const size_t known = kNames.find(kind); known != kNames.npos) {
        out += kMeanings[known];
      } else if (kind == 'x' || kind == 'u' || kind == 'U') {
        const size_t length = kind == 'x' ? 2 : kind == 'u' ? 4 : 8;
        append_utf8(code_point(text.substr(0, length), length), out);
        text.remove_prefix(length);
      } else if (kind >= '0' && kind <= '7') {
        size_t length = 0;
        char32_t point = static_cast<char32_t>(kind - '0');
        while (length < 2 && length < text.size() && text[length] >= '0' && text[length] <= '7') {
          point = point << 3 | static_cast<char32_t>(text[length++] - '0');
        }
        append_utf8(point, out);
        text.remove_prefix(length);
      } else if (kind == 'N') {
        error("a named escape in a string is not supported");
      } else if (kind != '\n') {
        out += '\\';
        out += kind;
      }
    }
    return out;
  }

  char32_t code_point(std::string_view hex, size_t length) const {
    constexpr std::string_view kDigits = "0123456789abcdef";
    char32_t point = 0;
    for (const char c : hex) {
      const size_t digit = kDigits.find(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
      if (digit == kDigits.npos) error("an escape in a string is not hexadecimal");
      point = point << 4 | static_cast<char32_t>(digit);
    }
    if (hex.size() < length || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) {
      error("an escape in a string is not a character");
    }
    return point;
  }

  void symbol(std::string& brackets) {
    constexpr std::string_view kSymbols[] = {"==", "!=", ">=", "<=", "//", "**", "+", "-", "/", "*", "%", "~", "[",
                                             "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    const auto found = std::find_if(std::begin(kSymbols), std::end(kSymbols),
                                    [this](std::string_view symbol) { return rest_.starts_with(symbol); });
    if (found == std::end(kSymbols)) error("a character that has no meaning in a tag");
    const char c = (*found)[0];
    if (c == '(' || c == '[' || c == '{') {
      brackets += c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
      if (brackets.empty() || brackets.back() != c) error("a bracket is closed that was not opened");
      brackets.pop_back();
    }
    add(Kind::symbol, std::string(*found));
    advance(found->size());
  }

  std::string source_;
  std::string_view rest_;
  std::vector<Lexeme> lexemes_;
  uint32_t line_ = 1;
  bool line_start_ = true;  // what was just read ended a line
};

}  // namespace

std::vector<Lexeme> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace bitnet::jinja
