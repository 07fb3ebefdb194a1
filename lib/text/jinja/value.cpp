// SPDX-License-Identifier: MIT
#include "text/jinja/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "text/utf8.h"

namespace bitnet::jinja {
namespace {

// Python's own limits are near.
constexpr int kDeepest = 1000;
constexpr size_t kHeaviest = size_t{1} << 30;

// If only one is a string, or their lengths differ, no bytes are compared.
size_t cost_of_equality(const Value& a, const Value& b) {
  const bool bytes = a.string() && b.string() && a.string()->size() == b.string()->size();
  return kCompare + (bytes ? a.string()->size() / kComparedAtOnce : 0);
}

// As Python's hash() does: a tuple is a key if all that it holds are.
void require_key(const Value& key, Budget& budget) {
  std::vector<const Value*> open{&key};
  while (!open.empty()) {
    const Value& value = *open.back();
    open.pop_back();
    require(!value.dict() && !value.is(ListKind::list), BITNET_ERROR_FORMAT, "chat template: ", value.type_name(),
            " as a key of a dictionary");
    if (!value.list()) continue;
    budget.charge(value.size());
    for (const Value& item : *value.list()) open.push_back(&item);
  }
}

[[noreturn]] void refuse(std::string_view operation, const Value& a, const Value& b) {
  fail(BITNET_ERROR_FORMAT, "chat template: cannot ", operation, " ", a.type_name(), " and ", b.type_name());
}

void require_fit(bool overflow) {
  require(!overflow, BITNET_ERROR_UNSUPPORTED, "chat template: a number does not fit in 64 bits");
}

int64_t whole(const Value& value) { return value.integer() ? *value.integer() : int64_t{*value.boolean()}; }

double as_real(const Value& value) { return value.real() ? *value.real() : static_cast<double>(whole(value)); }

void require_divisor(bool nonzero) { require(nonzero, BITNET_ERROR_FORMAT, "chat template: division by zero"); }

// Python's repr of a float: the shortest digits that read back, never without a point or an exponent.
std::string real_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  const double size = std::fabs(value);
  const bool plain = value == 0 || (size >= 1e-4 && size < 1e16);
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value,
                                 plain ? std::chars_format::fixed : std::chars_format::scientific);
  std::string text(buffer, end.ptr);
  if (plain && text.find('.') == text.npos) text += ".0";
  return text;
}

// Python's rules for the bounds of a slice; calls `take(i)` for each index in it.
template <typename Take>
void each_in_slice(int64_t count, const Value& start, const Value& stop, int64_t stride, Take take) {
  const int64_t lowest = stride > 0 ? 0 : -1, highest = stride > 0 ? count : count - 1;
  const auto bound = [&](const Value& value, int64_t otherwise) {
    if (value.is_none()) return otherwise;
    const int64_t at = to_integer(value, "a bound of a slice");
    return std::clamp(at < 0 ? at + count : at, lowest, highest);
  };
  const int64_t end = bound(stop, stride > 0 ? highest : lowest);
  int64_t i = bound(start, stride > 0 ? lowest : highest);
  while (stride > 0 ? i < end : i > end) {
    take(static_cast<size_t>(i));
    if (__builtin_add_overflow(i, stride, &i)) break;
  }
}

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

void Budget::charge(size_t work) {
  require(work <= left_, BITNET_ERROR_UNSUPPORTED, "chat template: rendering takes too much work or memory");
  left_ -= work;
}

struct Value::Extent {
  int depth = 1;
  size_t weight = sizeof(Value);

  void include(const Value& child) {
    depth = std::max(depth, child.depth() + 1);
    weight += child.weight();
    require(depth <= kDeepest && weight <= kHeaviest, BITNET_ERROR_UNSUPPORTED,
            "chat template: a list is too deep (more than ", kDeepest, ") or too large (more than ", kHeaviest,
            " bytes)");
  }
};

struct Value::ListData {
  List items;
  Extent extent;
  ListKind kind;
  mutable bool used = false;

  ~ListData() { destroy(std::move(items)); }
};

struct Value::DictData {
  Dict items;
  Extent extent;

  ~DictData() {
    List heap;
    for (auto& [key, item] : items) {
      heap.push_back(std::move(key));
      heap.push_back(std::move(item));
    }
    destroy(std::move(heap));
  }
};

// Moves the items of a value that nobody else holds to the heap, so that freeing the value frees leaves only.
void Value::give_up_items(List& heap) {
  if (auto* list = std::get_if<std::shared_ptr<const ListData>>(&data_); list && list->use_count() == 1) {
    List& items = const_cast<ListData&>(**list).items;  // made without const; nobody else sees it
    std::move(items.begin(), items.end(), std::back_inserter(heap));
    items.clear();
  } else if (auto* dict = std::get_if<std::shared_ptr<const DictData>>(&data_); dict && dict->use_count() == 1) {
    Dict& items = const_cast<DictData&>(**dict).items;
    for (auto& [key, item] : items) {
      heap.push_back(std::move(key));
      heap.push_back(std::move(item));
    }
    items.clear();
  }
}

void Value::destroy(List heap) {
  while (!heap.empty()) {
    Value value = std::move(heap.back());
    heap.pop_back();
    value.give_up_items(heap);
  }
}

Value::Value(List value, ListKind kind) {
  Extent extent;
  for (const Value& item : value) extent.include(item);
  auto data = std::make_shared<ListData>();
  data->items = std::move(value);
  data->extent = extent;
  data->kind = kind;
  data_ = std::shared_ptr<const ListData>(std::move(data));
}

Value::Value(Dict value) {
  Extent extent;
  for (const auto& [key, item] : value) {
    extent.include(key);
    extent.include(item);
  }
  auto data = std::make_shared<DictData>();
  data->items = std::move(value);
  data->extent = extent;
  data_ = std::shared_ptr<const DictData>(std::move(data));
}

const List* Value::list() const {
  const ListData* data = shared<ListData>();
  return data ? &data->items : nullptr;
}

const Dict* Value::dict() const {
  const DictData* data = shared<DictData>();
  return data ? &data->items : nullptr;
}

Object* Value::object() const {
  Object* const* pointer = std::get_if<Object*>(&data_);
  return pointer ? *pointer : nullptr;
}

ListKind Value::list_kind() const { return shared<ListData>()->kind; }

bool Value::used_up() const { return is(ListKind::generator) && std::exchange(shared<ListData>()->used, true); }

int Value::depth() const {
  if (const ListData* data = shared<ListData>()) return data->extent.depth;
  if (const DictData* data = shared<DictData>()) return data->extent.depth;
  return 0;
}

const char* Value::type_name() const {
  constexpr const char* kLists[] = {"a list", "a tuple", "a range", "a view of a dictionary", "a generator", "a group"};
  constexpr const char* kObjects[] = {"a namespace", "a function", "a method", "a macro",
                                      "a loop",      "a cycler",   "a joiner"};
  constexpr const char* kNames[] = {"an undefined value", "none",   "a boolean",   "an integer", "a float",
                                    "a string",           "a list", "a dictionary"};
  if (list()) return kLists[static_cast<size_t>(list_kind())];
  if (object()) return kObjects[static_cast<size_t>(object()->kind)];
  return kNames[data_.index()];
}

bool Value::truth() const {
  if (is_undefined() || is_none()) return false;
  if (is_number()) return as_real(*this) != 0;
  if (string()) return !string()->empty();
  if (list()) return list_kind() == ListKind::generator || !list()->empty();
  if (dict()) return !dict()->empty();
  return true;
}

Text Value::text(Budget& budget) const {
  if (list() || dict()) return repr(*this, budget);
  budget.charge(size());
  return leaf_text();
}

Text Value::leaf_text() const {
  if (string()) return *string();
  if (is_undefined()) return {};
  if (is_none()) return Text("None");
  if (boolean()) return Text(*boolean() ? "True" : "False");
  if (integer()) return Text(std::to_string(*integer()));
  if (real()) return Text(real_text(*real()));
  fail(BITNET_ERROR_UNSUPPORTED, "chat template: ", type_name(), " is printed");
}

size_t Value::weight() const {
  if (string()) return sizeof(Value) + string()->weight();
  if (const ListData* data = shared<ListData>()) return data->extent.weight;
  if (const DictData* data = shared<DictData>()) return data->extent.weight;
  return sizeof(Value);
}

size_t Value::size() const {
  if (string()) return string()->weight();
  return sizeof(Value) * (list() ? list()->size() : dict() ? dict()->size() : 1);
}

// Of values that hold no others.
bool Value::equal_leaves(const Value& a, const Value& b) {
  if (a.is_whole() && b.is_whole()) return whole(a) == whole(b);
  if (a.is_number() && b.is_number()) return as_real(a) == as_real(b);
  if (a.data_.index() != b.data_.index()) return false;
  if (a.string()) return a.string()->bytes() == b.string()->bytes();
  return a.object() == b.object();  // both are one and the same, or undefined, or none
}

bool Value::same(const Value& a, const Value& b) {
  if (a.data_.index() != b.data_.index()) return false;
  if (a.string() || a.list() || a.dict()) return a.data_ == b.data_;  // the same pointer
  return equal_leaves(a, b);
}

bool equal(const Value& a, const Value& b, Budget& budget) {
  budget.charge(cost_of_equality(a, b));
  if (!a.list() && !a.dict()) return Value::equal_leaves(a, b);
  std::vector<std::pair<const Value*, const Value*>> pairs{{&a, &b}};
  while (!pairs.empty()) {
    const auto [x, y] = pairs.back();
    pairs.pop_back();
    budget.charge(cost_of_equality(*x, *y));
    if (x->list() && y->list()) {
      if (x->list_kind() != y->list_kind() || x->list()->size() != y->list()->size()) return false;
      budget.charge(x->size());
      for (size_t i = 0; i < x->list()->size(); ++i) pairs.emplace_back(&(*x->list())[i], &(*y->list())[i]);
    } else if (x->dict() && y->dict()) {
      if (x->dict()->size() != y->dict()->size()) return false;
      for (const auto& [key, item] : *x->dict()) {
        const Value* other = find(*y->dict(), key, budget);
        if (!other) return false;
        pairs.emplace_back(&item, other);
      }
    } else if (x->list() || y->list() || x->dict() || y->dict() || !Value::equal_leaves(*x, *y)) {
      return false;
    }
  }
  return true;
}

const Value* find(const Dict& dict, std::string_view key, Budget& budget) {
  budget.charge(dict.size() * (kCompare + key.size() / kComparedAtOnce));
  const auto found = std::find_if(dict.begin(), dict.end(), [&](const auto& entry) {
    return entry.first.string() && entry.first.string()->bytes() == key;
  });
  return found == dict.end() ? nullptr : &found->second;
}

const Value* find(const Dict& dict, const Value& key, Budget& budget) {
  if (key.string()) return find(dict, std::string_view(key.string()->bytes()), budget);
  const auto found =
      std::find_if(dict.begin(), dict.end(), [&](const auto& entry) { return equal(entry.first, key, budget); });
  return found == dict.end() ? nullptr : &found->second;
}

void assign(Dict& dict, const Value& key, Value value, Budget& budget) {
  require_key(key, budget);
  if (const Value* found = find(dict, key, budget)) {
    const_cast<Value&>(*found) = std::move(value);  // `dict` is not const
  } else {
    dict.emplace_back(key, std::move(value));
  }
}

int64_t to_integer(const Value& value, std::string_view what) {
  require(value.is_whole(), BITNET_ERROR_FORMAT, "chat template: ", what, " must be an integer, not ",
          value.type_name());
  return whole(value);
}

double to_real(const Value& value, std::string_view what) {
  require(value.is_number(), BITNET_ERROR_FORMAT, "chat template: ", what, " must be a number, not ",
          value.type_name());
  return as_real(value);
}

const Text& to_text(const Value& value, std::string_view what) {
  require(value.string() != nullptr, BITNET_ERROR_FORMAT, "chat template: ", what, " must be a string, not ",
          value.type_name());
  return *value.string();
}

const std::string& to_string(const Value& value, std::string_view what) { return to_text(value, what).bytes(); }

Value add(const Value& a, const Value& b) {
  if (a.string() && b.string()) {
    Text joined = *a.string();
    joined.append(*b.string());
    return joined;
  }
  const bool lists = a.list() && b.list() && a.list_kind() == b.list_kind();
  if (lists && (a.is(ListKind::list) || a.is(ListKind::tuple))) {
    List joined = *a.list();
    joined.insert(joined.end(), b.list()->begin(), b.list()->end());
    return Value(std::move(joined), a.list_kind());
  }
  if (a.is_whole() && b.is_whole()) {
    int64_t sum = 0;
    require_fit(__builtin_add_overflow(whole(a), whole(b), &sum));
    return sum;
  }
  if (a.is_number() && b.is_number()) return as_real(a) + as_real(b);
  refuse("add", a, b);
}

Value subtract(const Value& a, const Value& b) {
  if (a.is_whole() && b.is_whole()) {
    int64_t difference = 0;
    require_fit(__builtin_sub_overflow(whole(a), whole(b), &difference));
    return difference;
  }
  if (a.is_number() && b.is_number()) return as_real(a) - as_real(b);
  refuse("subtract", a, b);
}

Value multiply(const Value& a, const Value& b, Budget& budget) {
  if (a.is_whole() && b.is_whole()) {
    int64_t product = 0;
    require_fit(__builtin_mul_overflow(whole(a), whole(b), &product));
    return product;
  }
  if (a.is_number() && b.is_number()) return as_real(a) * as_real(b);
  if (a.is_whole() && (b.string() || b.list())) return multiply(b, a, budget);
  const bool repeats = a.string() || a.is(ListKind::list) || a.is(ListKind::tuple);
  if (!repeats || !b.is_whole()) refuse("multiply", a, b);
  const auto times = static_cast<size_t>(std::max<int64_t>(whole(b), 0));
  size_t work = 0;
  if (__builtin_mul_overflow(times, std::max<size_t>(a.weight(), 1), &work)) work = std::numeric_limits<size_t>::max();
  const bool nothing = a.string() ? a.string()->empty() : a.list()->empty();
  if (nothing || times == 0) return a.string() ? Value("") : Value(List(), a.list_kind());
  budget.charge(work);
  if (a.list()) {
    List repeated;
    for (size_t i = 0; i < times; ++i) repeated.insert(repeated.end(), a.list()->begin(), a.list()->end());
    return Value(std::move(repeated), a.list_kind());
  }
  Text repeated;
  for (size_t i = 0; i < times; ++i) repeated.append(*a.string());
  return repeated;
}

Value divide(const Value& a, const Value& b) {
  if (!a.is_number() || !b.is_number()) refuse("divide", a, b);
  require_divisor(as_real(b) != 0);
  return as_real(a) / as_real(b);
}

// Python rounds the quotient down, and gives the remainder the sign of the divisor.
Value floor_divide(const Value& a, const Value& b) {
  if (!a.is_number() || !b.is_number()) refuse("divide", a, b);
  require_divisor(as_real(b) != 0);
  if (!a.is_whole() || !b.is_whole()) return std::floor(as_real(a) / as_real(b));
  const int64_t x = whole(a), y = whole(b);
  if (y == -1) return subtract(int64_t{0}, a);
  return x / y - (x % y != 0 && (x % y < 0) != (y < 0) ? 1 : 0);
}

Value modulo(const Value& a, const Value& b) {
  if (!a.is_number() || !b.is_number()) refuse("divide", a, b);
  require_divisor(as_real(b) != 0);
  if (a.is_whole() && b.is_whole()) {
    const int64_t x = whole(a), y = whole(b);
    if (y == -1) return int64_t{0};
    const int64_t remainder = x % y;
    return remainder != 0 && (remainder < 0) != (y < 0) ? remainder + y : remainder;
  }
  const double x = as_real(a), y = as_real(b);
  const double remainder = std::fmod(x, y);
  return remainder != 0 && (remainder < 0) != (y < 0) ? remainder + y : remainder;
}

Value power(const Value& a, const Value& b) {
  if (!a.is_number() || !b.is_number()) refuse("raise", a, b);
  if (!a.is_whole() || !b.is_whole() || whole(b) < 0) {
    require(as_real(a) != 0 || as_real(b) >= 0, BITNET_ERROR_FORMAT, "chat template: zero to a negative power");
    const double result = std::pow(as_real(a), as_real(b));
    require(!std::isnan(result) && !std::isinf(result), BITNET_ERROR_FORMAT,
            "chat template: a power that is not a finite number");
    return result;
  }
  int64_t result = 1, factor = whole(a);
  for (int64_t exponent = whole(b); exponent > 0; exponent >>= 1) {
    if (exponent & 1) require_fit(__builtin_mul_overflow(result, factor, &result));
    if (exponent > 1) require_fit(__builtin_mul_overflow(factor, factor, &factor));
  }
  return result;
}

Value negate(const Value& a) {
  if (a.real()) return -*a.real();
  require(a.is_number(), BITNET_ERROR_FORMAT, "chat template: cannot negate ", a.type_name());
  return subtract(int64_t{0}, a);
}

int compare(const Value& first, const Value& second, Budget& budget) {
  const auto order = [](const auto& x, const auto& y) { return x < y ? -1 : y < x ? 1 : 0; };
  const Value *a = &first, *b = &second;
  // The first items that differ decide, and of those again.
  while (a->list() && b->list() && a->list_kind() == b->list_kind()) {
    const List &x = *a->list(), &y = *b->list();
    size_t i = 0;
    while (i < std::min(x.size(), y.size()) && equal(x[i], y[i], budget)) ++i;
    if (i == std::min(x.size(), y.size())) return order(x.size(), y.size());
    a = &x[i];
    b = &y[i];
  }
  budget.charge(kCompare + (a->string() && b->string() ? std::min(a->size(), b->size()) / kComparedAtOnce : 0));
  if (a->is_whole() && b->is_whole()) return order(whole(*a), whole(*b));
  if (a->is_number() && b->is_number()) return order(as_real(*a), as_real(*b));
  if (a->string() && b->string()) return order(a->string()->bytes(), b->string()->bytes());
  refuse("compare", *a, *b);
}

bool contains(const Value& container, const Value& item, Budget& budget) {
  if (container.string())
    return container.string()->bytes().find(to_string(item, "what is looked for in a string")) != std::string::npos;
  if (container.list()) {
    if (container.used_up()) return false;
    return std::any_of(container.list()->begin(), container.list()->end(),
                       [&](const Value& one) { return equal(one, item, budget); });
  }
  if (container.dict()) return find(*container.dict(), item, budget) != nullptr;
  if (container.is_undefined()) return false;
  fail(BITNET_ERROR_FORMAT, "chat template: cannot look for something in ", container.type_name());
}

List iterate(const Value& value, Budget& budget) {
  constexpr size_t kCharacter = 64;  // a character by itself is that much larger than within its string
  budget.charge(value.string() ? value.size() * kCharacter : value.size());
  if (value.list()) return value.used_up() ? List() : *value.list();
  if (value.is_undefined()) return {};
  List items;
  if (value.dict()) {
    for (const auto& [key, item] : *value.dict()) items.emplace_back(key);
  } else if (value.string()) {
    for (Text& character : characters(*value.string())) items.emplace_back(std::move(character));
  } else {
    fail(BITNET_ERROR_FORMAT, "chat template: cannot go through ", value.type_name());
  }
  return items;
}

int64_t length(const Value& value) {
  if (value.list() && value.list_kind() != ListKind::generator) return static_cast<int64_t>(value.list()->size());
  if (value.dict()) return static_cast<int64_t>(value.dict()->size());
  if (value.string()) return count_characters(value.string()->bytes());
  if (value.is_undefined()) return 0;
  fail(BITNET_ERROR_FORMAT, "chat template: ", value.type_name(), " has no length");
}

int64_t count_characters(std::string_view text) {
  int64_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(next_utf8(text).size);
  return count;
}

std::vector<Text> characters(const Text& text) {
  std::vector<Text> out;
  each_character(text, [&](std::string_view bytes, bool foreign) { out.emplace_back(std::string(bytes), foreign); });
  return out;
}

Value subscript(const Value& container, const Value& key, Budget& budget) {
  if (container.is_undefined()) {
    fail(BITNET_ERROR_FORMAT, "chat template: ", key.string() ? "'" + key.string()->bytes() + "'" : "an item",
         " of something undefined");
  }
  if (container.dict()) {
    const Value* found = find(*container.dict(), key, budget);
    return found ? *found : Value();
  }
  if (!key.is_whole()) return {};
  if (container.string()) budget.charge(container.size());
  const bool indexed =
      container.string() || (container.list() && !container.is(ListKind::generator) && !container.is(ListKind::view));
  const int64_t count = indexed ? length(container) : 0;
  const int64_t at = whole(key) < 0 ? whole(key) + count : whole(key);
  if (at < 0 || at >= count) return {};
  if (container.list()) return (*container.list())[at];
  std::string_view rest = container.string()->bytes();
  for (int64_t i = 0; i < at; ++i) rest.remove_prefix(next_utf8(rest).size);
  return container.string()->part(rest.substr(0, next_utf8(rest).size));
}

Value slice(const Value& container, const Value& start, const Value& stop, const Value& step, Budget& budget) {
  budget.charge(container.size() * sizeof(std::string_view));  // a string is taken apart into its characters
  require(container.list() || container.string(), BITNET_ERROR_FORMAT, "chat template: ", container.type_name(),
          " cannot be sliced");
  const int64_t stride = step.is_none() ? 1 : to_integer(step, "the step of a slice");
  require(stride != 0, BITNET_ERROR_FORMAT, "chat template: a slice with a step of zero");
  if (const List* list = container.list()) {
    List taken;
    each_in_slice(length(container), start, stop, stride, [&](size_t i) { taken.push_back((*list)[i]); });
    return Value(std::move(taken), container.list_kind());
  }
  std::vector<std::string_view> all;
  each_character(*container.string(), [&](std::string_view character, bool) { all.push_back(character); });
  Text taken;
  each_in_slice(static_cast<int64_t>(all.size()), start, stop, stride,
                [&](size_t i) { taken.append_part(*container.string(), all[i]); });
  return taken;
}

Text to_json(const Value& value, const JsonStyle& style, Budget& budget) {
  return JsonWriter(style, budget).write(value);
}

Text repr(const Value& value, Budget& budget) { return ReprWriter(budget).write(value); }

}  // namespace bitnet::jinja
