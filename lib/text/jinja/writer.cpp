// SPDX-License-Identifier: MIT
// Values as text: json.dumps() and repr().
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "text/jinja/value.h"
#include "text/utf8.h"

namespace bitnet::jinja {
namespace {

bool in_ranges(char32_t point, std::initializer_list<std::pair<char32_t, char32_t>> ranges) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [point](const auto& range) { return point >= range.first && point <= range.second; });
}

// Controls, formats, white space other than " ", private use. Python also escapes what its version of Unicode has not
// assigned yet.
bool repr_escapes(char32_t c) {
  if (c < 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0xAD) return true;
  if (c < 0x600) return false;
  return in_ranges(c,
                   {{0x600, 0x605},     {0x61C, 0x61C},     {0x6DD, 0x6DD},     {0x70F, 0x70F},     {0x890, 0x891},
                    {0x8E2, 0x8E2},     {0x1680, 0x1680},   {0x180E, 0x180E},   {0x2000, 0x200F},   {0x2028, 0x202F},
                    {0x205F, 0x206F},   {0x3000, 0x3000},   {0xE000, 0xF8FF},   {0xFEFF, 0xFEFF},   {0xFFF9, 0xFFFB},
                    {0xFFFE, 0xFFFF},   {0x110BD, 0x110BD}, {0x110CD, 0x110CD}, {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3},
                    {0x1D173, 0x1D17A}, {0xE0001, 0xE007F}, {0xF0000, 0x10FFFF}});
}

std::string hex(uint32_t value, int digits) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) text += kDigits[value >> shift & 15];
  return text;
}

std::string python_escape(char32_t c) {
  if (c < 0x100) return "\\x" + hex(c, 2);
  return c < 0x10000 ? "\\u" + hex(c, 4) : "\\U" + hex(c, 8);
}

std::string json_escape(char32_t c) {
  if (c < 0x10000) return "\\u" + hex(c, 4);
  return "\\u" + hex(0xD800 + ((c - 0x10000) >> 10), 4) + "\\u" + hex(0xDC00 + ((c - 0x10000) & 0x3FF), 4);
}

void append_repr(const Text& text, Text& out) {
  const bool doubled = text.bytes().find('\'') != std::string::npos && text.bytes().find('"') == std::string::npos;
  const char quote = doubled ? '"' : '\'';
  out.append(std::string_view(&quote, 1));
  each_character(text, [&](std::string_view character, bool foreign) {
    const Utf8Step step = next_utf8(character);
    constexpr std::string_view kPlain = "\n\r\t\\", kLetters = "nrt\\";
    const char c = character[0];
    if (const size_t known = kPlain.find(c); known != kPlain.npos) {
      out.append(std::string{'\\', kLetters[known]}, foreign);
    } else if (c == quote) {
      out.append(std::string{'\\', c}, foreign);
    } else if (step.kind == Utf8Step::Kind::valid && repr_escapes(step.point)) {
      out.append(python_escape(step.point), foreign);
    } else {
      out.append(character, foreign);
    }
  });
  out.append(std::string_view(&quote, 1));
}

void append_json_string(const Text& text, bool ascii, Text& out) {
  out.append("\"");
  each_character(text, [&](std::string_view character, bool foreign) {
    constexpr std::string_view kPlain = "\"\\\n\r\t\b\f", kLetters = "\"\\nrtbf";
    const char c = character[0];
    const Utf8Step step = next_utf8(character);
    if (const size_t known = kPlain.find(c); known != kPlain.npos) {
      out.append(std::string{'\\', kLetters[known]}, foreign);
    } else if (static_cast<unsigned char>(c) < 0x20 ||
               (ascii && static_cast<unsigned char>(c) >= 0x7F && step.kind == Utf8Step::Kind::valid && c != 0x7F)) {
      out.append(json_escape(step.point), foreign);
    } else {
      out.append(character, foreign);
    }
  });
  out.append("\"");
}

// Writes a value with a stack of its own.
class Writer {
 public:
  explicit Writer(Budget& budget) : budget_(budget) {}
  virtual ~Writer() = default;

  Text write(const Value& root) {
    begin(root);
    while (!levels_.empty()) step();
    return std::move(out_);
  }

 protected:
  using Entries = std::vector<const Dict::value_type*>;
  struct Level {
    const Value* container;
    Entries entries;  // of a dictionary, in the order in which they are written
    size_t next = 0;

    size_t count() const { return container->list() ? container->list()->size() : entries.size(); }
  };

  virtual void leaf(const Value& value) = 0;
  virtual void key(const Value& key) = 0;
  virtual Entries ordered(const Dict& dict) const {
    Entries entries;
    for (const auto& entry : dict) entries.push_back(&entry);
    return entries;
  }
  virtual void open(const Level& level) = 0;
  virtual void between(bool first) = 0;  // before each item
  virtual void close(const Level& level) = 0;

  size_t depth() const { return levels_.size(); }

  Text out_;
  Budget& budget_;

 private:
  void begin(const Value& value) {
    constexpr size_t kItem = 64;
    budget_.charge(out_.size() - charged_ + kItem);
    charged_ = out_.size();
    if (value.string() || value.dict()) budget_.charge(value.size());
    if (!value.list() && !value.dict()) return leaf(value);
    levels_.push_back({&value, value.dict() ? ordered(*value.dict()) : Entries()});
    open(levels_.back());
  }

  void step() {
    Level& level = levels_.back();
    if (level.next == level.count()) {
      const Level done = std::move(levels_.back());
      levels_.pop_back();
      close(done);
      return;
    }
    const size_t at = level.next++;
    between(at == 0);
    if (level.container->list()) return begin((*level.container->list())[at]);
    const auto& [name, value] = *level.entries[at];
    budget_.charge(name.size());
    key(name);
    begin(value);
  }

  size_t charged_ = 0;
  std::vector<Level> levels_;
};

class JsonWriter : public Writer {
 public:
  JsonWriter(const JsonStyle& style, Budget& budget) : Writer(budget), style_(style) {}

 private:
  void leaf(const Value& value) override {
    if (value.string()) {
      append_json_string(*value.string(), style_.ascii, out_);
    } else if (value.is_none()) {
      out_.append("null");
    } else if (const bool* boolean = value.boolean()) {
      out_.append(*boolean ? "true" : "false");
    } else if (value.is_number()) {
      out_.append(number(value));
    } else {
      fail(BITNET_ERROR_FORMAT, "chat template: tojson of ", value.type_name());
    }
  }

  static std::string number(const Value& value) {
    if (!value.real() || std::isfinite(*value.real())) return value.leaf_text().bytes();
    return std::isnan(*value.real()) ? "NaN" : *value.real() < 0 ? "-Infinity" : "Infinity";
  }

  void key(const Value& key) override {
    if (key.string()) {
      leaf(key);
    } else {
      require(!key.list(), BITNET_ERROR_FORMAT, "chat template: tojson of a dictionary with a key that is ",
              key.type_name());
      out_.append("\"");
      leaf(key);
      out_.append("\"");
    }
    out_.append(style_.key_separator);
  }

  Entries ordered(const Dict& dict) const override {
    Entries entries = Writer::ordered(dict);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(),
                       [this](auto* a, auto* b) { return compare(a->first, b->first, budget_) < 0; });
    }
    return entries;
  }

  void open(const Level& level) override {
    const bool lazy = level.container->list() && level.container->list_kind() != ListKind::list &&
                      level.container->list_kind() != ListKind::tuple;
    require(!lazy, BITNET_ERROR_FORMAT, "chat template: tojson of ", level.container->type_name());
    out_.append(level.container->list() ? "[" : "{");
  }

  void between(bool first) override {
    if (!first) out_.append(style_.item_separator);
    break_line(depth());
  }

  void close(const Level& level) override {
    if (level.count() > 0) break_line(depth());
    out_.append(level.container->list() ? "]" : "}");
  }

  void break_line(size_t level) {
    if (!style_.has_indent) return;
    budget_.charge(level * style_.indent.weight());
    out_.append("\n");
    for (size_t i = 0; i < level; ++i) out_.append(style_.indent);
  }

  const JsonStyle& style_;
};

class ReprWriter : public Writer {
 public:
  explicit ReprWriter(Budget& budget) : Writer(budget) {}

 private:
  void leaf(const Value& value) override {
    if (value.string()) {
      append_repr(*value.string(), out_);
    } else if (value.is_undefined()) {
      out_.append("Undefined");
    } else {
      out_.append(value.leaf_text());
    }
  }

  void key(const Value& key) override {
    if (key.list()) {
      out_.append(key.text(budget_));
    } else {
      leaf(key);
    }
    out_.append(": ");
  }

  void open(const Level& level) override {
    require(level.container->dict() || is_printed(level.container->list_kind()), BITNET_ERROR_UNSUPPORTED,
            "chat template: ", level.container->type_name(), " is printed; the filter \"list\" makes it a list");
    out_.append(level.container->dict() ? "{" : level.container->is(ListKind::list) ? "[" : "(");
  }

  static bool is_printed(ListKind kind) {
    return kind == ListKind::list || kind == ListKind::tuple || kind == ListKind::group;
  }

  void between(bool first) override {
    if (!first) out_.append(", ");
  }

  void close(const Level& level) override {
    const bool list = level.container->is(ListKind::list);
    out_.append(level.container->dict() ? "}" : list ? "]" : level.count() == 1 ? ",)" : ")");
  }
};

}  // namespace

Text to_json(const Value& value, const JsonStyle& style, Budget& budget) {
  return JsonWriter(style, budget).write(value);
}

Text repr(const Value& value, Budget& budget) { return ReprWriter(budget).write(value); }

}  // namespace bitnet::jinja
