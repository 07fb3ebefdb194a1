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

// Deep enough for any conversation, shallow enough for the recursions over values.
constexpr int kDeepest = 64;
constexpr size_t kHeaviest = size_t{1} << 30;

[[noreturn]] void refuse(std::string_view operation, const Value& a, const Value& b) {
  fail(BITNET_ERROR_FORMAT, "chat template: cannot ", operation, " ", a.type_name(), " and ", b.type_name());
}

void require_fit(bool overflow) {
  require(!overflow, BITNET_ERROR_UNSUPPORTED, "chat template: a number does not fit in 64 bits");
}

bool is_whole(const Value& value) { return value.integer() || value.boolean(); }

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

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const size_t size = next_utf8(text).size;
    out.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return out;
}

int64_t count_characters(std::string_view text) {
  int64_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(next_utf8(text).size);
  return count;
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

void append_json_string(std::string_view text, std::string& out) {
  constexpr char kDigits[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\\u00";
          out += kDigits[c >> 4];
          out += kDigits[c & 15];
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

class JsonWriter {
 public:
  explicit JsonWriter(int indent) : indent_(indent) {}

  void write(const Value& value, int level) {
    if (const List* list = value.list()) {
      write_all(*list, '[', ']', level, [&](const Value& item) { write(item, level + 1); });
    } else if (const Dict* dict = value.dict()) {
      write_all(*dict, '{', '}', level, [&](const auto& entry) {
        append_json_string(entry.first, out);
        out += ": ";
        write(entry.second, level + 1);
      });
    } else if (const std::string* string = value.string()) {
      append_json_string(*string, out);
    } else if (value.is_none()) {
      out += "null";
    } else if (const bool* boolean = value.boolean()) {
      out += *boolean ? "true" : "false";
    } else if (value.is_number()) {
      out += value.text();
    } else {
      fail(BITNET_ERROR_FORMAT, "chat template: tojson of ", value.type_name());
    }
  }

  std::string out;

 private:
  template <typename Container, typename Write>
  void write_all(const Container& items, char open, char close, int level, Write write_item) {
    out += open;
    bool first = true;
    for (const auto& item : items) {
      if (!first) out += indent_ < 0 ? ", " : ",";
      first = false;
      break_line(level + 1);
      write_item(item);
    }
    if (!first) break_line(level);
    out += close;
  }

  void break_line(int level) {
    if (indent_ >= 0) out.append(1, '\n').append(static_cast<size_t>(indent_) * level, ' ');
  }

  int indent_;
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
};

struct Value::DictData {
  Dict items;
  Extent extent;
};

Value::Value(List value) {
  Extent extent;
  for (const Value& item : value) extent.include(item);
  data_ = std::make_shared<const ListData>(ListData{std::move(value), extent});
}

Value::Value(Dict value) {
  Extent extent;
  for (const auto& [key, item] : value) {
    extent.include(item);
    extent.weight += key.size();
  }
  data_ = std::make_shared<const DictData>(DictData{std::move(value), extent});
}

const List* Value::list() const {
  const ListData* data = shared<ListData>();
  return data ? &data->items : nullptr;
}

const Dict* Value::dict() const {
  const DictData* data = shared<DictData>();
  return data ? &data->items : nullptr;
}

Namespace* Value::name_space() const {
  Namespace* const* pointer = std::get_if<Namespace*>(&data_);
  return pointer ? *pointer : nullptr;
}

int Value::depth() const {
  if (const ListData* data = shared<ListData>()) return data->extent.depth;
  if (const DictData* data = shared<DictData>()) return data->extent.depth;
  return 0;
}

const char* Value::type_name() const {
  constexpr const char* kNames[] = {"undefined", "none",   "a boolean",    "an integer", "a float",
                                    "a string",  "a list", "a dictionary", "a namespace"};
  return kNames[data_.index()];
}

bool Value::truth() const {
  if (is_undefined() || is_none()) return false;
  if (is_number()) return as_real(*this) != 0;
  if (string()) return !string()->empty();
  if (list()) return !list()->empty();
  if (dict()) return !dict()->empty();
  return true;
}

std::string Value::text() const {
  if (is_undefined()) return "";
  if (is_none()) return "None";
  if (boolean()) return *boolean() ? "True" : "False";
  if (integer()) return std::to_string(*integer());
  if (real()) return real_text(*real());
  if (string()) return *string();
  fail(BITNET_ERROR_UNSUPPORTED, "chat template: ", type_name(), " is printed; only tojson can write it");
}

size_t Value::weight() const {
  if (string()) return sizeof(Value) + string()->size();
  if (const ListData* data = shared<ListData>()) return data->extent.weight;
  if (const DictData* data = shared<DictData>()) return data->extent.weight;
  return sizeof(Value);
}

size_t Value::size() const {
  if (string()) return string()->size();
  return sizeof(Value) * (list() ? list()->size() : dict() ? dict()->size() : 1);
}

bool operator==(const Value& a, const Value& b) {
  if (is_whole(a) && is_whole(b)) return whole(a) == whole(b);
  if (a.is_number() && b.is_number()) return as_real(a) == as_real(b);
  if (a.data_.index() != b.data_.index()) return false;
  if (a.string()) return *a.string() == *b.string();
  if (a.list()) return *a.list() == *b.list();
  if (a.dict()) {
    return a.dict()->size() == b.dict()->size() && std::all_of(a.dict()->begin(), a.dict()->end(), [&](auto& entry) {
             const Value* other = find(*b.dict(), entry.first);
             return other && *other == entry.second;
           });
  }
  return a.name_space() == b.name_space();  // both are one and the same, or undefined, or none
}

const Value* find(const Dict& dict, std::string_view key) {
  const auto found = std::find_if(dict.begin(), dict.end(), [&](const auto& entry) { return entry.first == key; });
  return found == dict.end() ? nullptr : &found->second;
}

void assign(Dict& dict, std::string_view key, Value value) {
  const auto found = std::find_if(dict.begin(), dict.end(), [&](const auto& entry) { return entry.first == key; });
  if (found == dict.end()) {
    dict.emplace_back(key, std::move(value));
  } else {
    found->second = std::move(value);
  }
}

int64_t to_integer(const Value& value, std::string_view what) {
  require(is_whole(value), BITNET_ERROR_FORMAT, "chat template: ", what, " must be an integer, not ",
          value.type_name());
  return whole(value);
}

const std::string& to_string(const Value& value, std::string_view what) {
  require(value.string() != nullptr, BITNET_ERROR_FORMAT, "chat template: ", what, " must be a string, not ",
          value.type_name());
  return *value.string();
}

Value add(const Value& a, const Value& b) {
  if (a.string() && b.string()) return *a.string() + *b.string();
  if (a.list() && b.list()) {
    List joined = *a.list();
    joined.insert(joined.end(), b.list()->begin(), b.list()->end());
    return joined;
  }
  if (is_whole(a) && is_whole(b)) {
    int64_t sum = 0;
    require_fit(__builtin_add_overflow(whole(a), whole(b), &sum));
    return sum;
  }
  if (a.is_number() && b.is_number()) return as_real(a) + as_real(b);
  refuse("add", a, b);
}

Value subtract(const Value& a, const Value& b) {
  if (is_whole(a) && is_whole(b)) {
    int64_t difference = 0;
    require_fit(__builtin_sub_overflow(whole(a), whole(b), &difference));
    return difference;
  }
  if (a.is_number() && b.is_number()) return as_real(a) - as_real(b);
  refuse("subtract", a, b);
}

Value multiply(const Value& a, const Value& b) {
  if (is_whole(a) && is_whole(b)) {
    int64_t product = 0;
    require_fit(__builtin_mul_overflow(whole(a), whole(b), &product));
    return product;
  }
  if (a.is_number() && b.is_number()) return as_real(a) * as_real(b);
  if (a.string() && is_whole(b)) {
    constexpr size_t kLongest = size_t{1} << 24;
    const auto times = static_cast<size_t>(std::max<int64_t>(whole(b), 0));
    if (times == 0 || a.string()->empty()) return "";
    require(times <= kLongest / a.string()->size(), BITNET_ERROR_UNSUPPORTED, "chat template: a string repeated ",
            times, " times");
    std::string repeated;
    for (size_t i = 0; i < times; ++i) repeated += *a.string();
    return repeated;
  }
  if (is_whole(a) && b.string()) return multiply(b, a);
  refuse("multiply", a, b);
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
  if (!is_whole(a) || !is_whole(b)) return std::floor(as_real(a) / as_real(b));
  const int64_t x = whole(a), y = whole(b);
  if (y == -1) return subtract(int64_t{0}, a);
  return x / y - (x % y != 0 && (x % y < 0) != (y < 0) ? 1 : 0);
}

Value modulo(const Value& a, const Value& b) {
  require(!a.string(), BITNET_ERROR_UNSUPPORTED, "chat template: a string is formatted with %");
  if (!a.is_number() || !b.is_number()) refuse("divide", a, b);
  require_divisor(as_real(b) != 0);
  if (is_whole(a) && is_whole(b)) {
    const int64_t x = whole(a), y = whole(b);
    if (y == -1) return int64_t{0};
    const int64_t remainder = x % y;
    return remainder != 0 && (remainder < 0) != (y < 0) ? remainder + y : remainder;
  }
  const double x = as_real(a), y = as_real(b);
  const double remainder = std::fmod(x, y);
  return remainder != 0 && (remainder < 0) != (y < 0) ? remainder + y : remainder;
}

Value negate(const Value& a) {
  if (a.real()) return -*a.real();
  return subtract(int64_t{0}, a);
}

int compare(const Value& a, const Value& b) {
  const auto order = [](const auto& x, const auto& y) { return x < y ? -1 : y < x ? 1 : 0; };
  if (is_whole(a) && is_whole(b)) return order(whole(a), whole(b));
  if (a.is_number() && b.is_number()) return order(as_real(a), as_real(b));
  if (a.string() && b.string()) return order(*a.string(), *b.string());
  refuse("compare", a, b);
}

bool contains(const Value& container, const Value& item) {
  if (container.string())
    return container.string()->find(to_string(item, "what is looked for in a string")) != std::string::npos;
  if (container.list())
    return std::find(container.list()->begin(), container.list()->end(), item) != container.list()->end();
  if (container.dict()) return item.string() && find(*container.dict(), *item.string());
  if (container.is_undefined()) return false;
  fail(BITNET_ERROR_FORMAT, "chat template: cannot look for something in ", container.type_name());
}

List iterate(const Value& value, Budget& budget) {
  constexpr size_t kCharacter = 64;  // a character by itself is that much larger than within its string
  budget.charge(value.string() ? value.size() * kCharacter : value.size());
  if (value.list()) return *value.list();
  if (value.is_undefined()) return {};
  List items;
  if (value.dict()) {
    for (const auto& [key, item] : *value.dict()) items.emplace_back(key);
  } else if (value.string()) {
    for (const std::string_view character : characters(*value.string())) items.emplace_back(character);
  } else {
    fail(BITNET_ERROR_FORMAT, "chat template: cannot go through ", value.type_name());
  }
  return items;
}

int64_t length(const Value& value) {
  if (value.list()) return static_cast<int64_t>(value.list()->size());
  if (value.dict()) return static_cast<int64_t>(value.dict()->size());
  if (value.string()) return count_characters(*value.string());
  if (value.is_undefined()) return 0;
  fail(BITNET_ERROR_FORMAT, "chat template: ", value.type_name(), " has no length");
}

Value subscript(const Value& container, const Value& key) {
  require(!container.is_undefined(), BITNET_ERROR_FORMAT,
          "chat template: ", key.string() ? "'" + *key.string() + "'" : key.text(), " of something undefined");
  if (container.dict() || container.name_space()) {
    const Dict& dict = container.dict() ? *container.dict() : container.name_space()->values;
    const Value* found = key.string() ? find(dict, *key.string()) : nullptr;
    return found ? *found : Value();
  }
  if (!is_whole(key)) return {};
  const int64_t count = container.list() || container.string() ? length(container) : 0;
  const int64_t at = whole(key) < 0 ? whole(key) + count : whole(key);
  if (at < 0 || at >= count) return {};
  if (container.list()) return (*container.list())[at];
  return characters(*container.string())[at];
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
    return taken;
  }
  const std::vector<std::string_view> all = characters(*container.string());
  std::string taken;
  each_in_slice(static_cast<int64_t>(all.size()), start, stop, stride, [&](size_t i) { taken += all[i]; });
  return taken;
}

std::string to_json(const Value& value, int indent) {
  JsonWriter writer(indent);
  writer.write(value, 0);
  return std::move(writer.out);
}

}  // namespace bitnet::jinja
