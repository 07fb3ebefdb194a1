// SPDX-License-Identifier: MIT
// The values that a template computes with, and Python's rules for them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja/text.h"

namespace bitnet::jinja {

class Value;
struct Object;
using List = std::vector<Value>;
using Dict = std::vector<std::pair<Value, Value>>;  // in the order of insertion, as Python's

struct Undefined {
  bool operator==(const Undefined&) const = default;
};
struct None {
  bool operator==(const None&) const = default;
};

// What Python has instead of one kind of list. A view is a dictionary's, a generator can be gone through once, and a
// group is the tuple that groupby makes.
enum class ListKind { list, tuple, range, view, generator, group };

// Counts the work that a rendering does, in bytes written and roughly as many for every step, so that a hostile
// template can neither hang nor take much memory.
class Budget {
 public:
  // Before the work is done.
  void charge(size_t work);

 private:
  size_t left_ = size_t{1} << 28;
};

// What it costs to compare two values, and how many of their bytes are compared for 1 more.
constexpr size_t kCompare = 8, kComparedAtOnce = 16;

// Lists and dictionaries never change once made, so that copies share them and none can hold itself. (Hugging Face's
// sandbox does not let a template change one either.) Nothing here recurses: values may nest deeper than the caller's
// stack.
class Value {
 public:
  Value() = default;  // undefined
  Value(None none) : data_(none) {}
  Value(bool value) : data_(value) {}
  Value(int64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(Text value) : data_(std::make_shared<const Text>(std::move(value))) {}
  Value(std::string value) : Value(Text(std::move(value))) {}
  Value(std::string_view value) : Value(std::string(value)) {}
  Value(const char* value) : Value(std::string(value)) {}
  Value(List value, ListKind kind = ListKind::list);
  Value(Dict value);
  Value(Object* value) : data_(value) {}

  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_none() const { return std::holds_alternative<None>(data_); }
  const bool* boolean() const { return std::get_if<bool>(&data_); }
  const int64_t* integer() const { return std::get_if<int64_t>(&data_); }
  const double* real() const { return std::get_if<double>(&data_); }
  const Text* string() const { return shared<Text>(); }
  const List* list() const;
  const Dict* dict() const;
  Object* object() const;
  ListKind list_kind() const;  // of a list
  bool is_number() const { return integer() || real() || boolean(); }
  bool is_whole() const { return integer() || boolean(); }
  bool is(ListKind kind) const { return list() && list_kind() == kind; }
  // True for a generator that was gone through; the second call for the same one says so.
  bool used_up() const;
  // Python's "is".
  static bool same(const Value& a, const Value& b);

  const char* type_name() const;
  bool truth() const;
  Text text(Budget& budget) const;  // Python's str()
  Text leaf_text() const;           // the same of a value that holds no others

  // About the bytes it takes to write the whole value out, what is shared counted each time.
  size_t weight() const;
  // The bytes of the value itself: what its items hold does not count.
  size_t size() const;

  // Python's "==".
  friend bool equal(const Value& a, const Value& b, Budget& budget);

 private:
  struct Extent;
  struct ListData;
  struct DictData;

  template <typename T>
  const T* shared() const {
    const auto* pointer = std::get_if<std::shared_ptr<const T>>(&data_);
    return pointer ? pointer->get() : nullptr;
  }
  int depth() const;
  void give_up_items(List& heap);
  static void destroy(List heap);
  static bool equal_leaves(const Value& a, const Value& b);

  std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const Text>, std::shared_ptr<const ListData>,
               std::shared_ptr<const DictData>, Object*>
      data_;
};

struct Macro;
struct Scope;

// What can change or be called. The machine owns them all until the rendering ends.
struct Object {
  enum class Kind { name_space, function, method, macro, loop, cycler, joiner };

  explicit Object(Kind what) : kind(what) {}

  Kind kind;
  std::string name;  // of a function, method or macro
  Value self;        // what a method belongs to; a joiner's separator; what loop.changed() saw last
  Dict values;       // a namespace's
  List items;        // a loop's, a cycler's
  size_t at = 0;     // of the items; a joiner: how often it was called
  int level = 0;     // a loop's depth0
  const Macro* macro = nullptr;
  Scope* scope = nullptr;  // where a macro was defined
  size_t entry = 0;        // a recursive loop: where the code begins that a call of it runs
  size_t begin = 0;        // and where its begin_loop stands
};

bool equal(const Value& a, const Value& b, Budget& budget);

// These go through the whole dictionary, and charge for that.
const Value* find(const Dict& dict, std::string_view key, Budget& budget);
const Value* find(const Dict& dict, const Value& key, Budget& budget);
void assign(Dict& dict, const Value& key, Value value, Budget& budget);

// Whole numbers as such (bool included); BITNET_ERROR_FORMAT for anything else, saying what it was wanted for.
int64_t to_integer(const Value& value, std::string_view what);
const Text& to_text(const Value& value, std::string_view what);
const std::string& to_string(const Value& value, std::string_view what);
double to_real(const Value& value, std::string_view what);

Value add(const Value& a, const Value& b);
Value subtract(const Value& a, const Value& b);
Value multiply(const Value& a, const Value& b, Budget& budget);
Value divide(const Value& a, const Value& b);
Value floor_divide(const Value& a, const Value& b);
Value modulo(const Value& a, const Value& b);  // of numbers
Value power(const Value& a, const Value& b);
Value negate(const Value& a);
int compare(const Value& a, const Value& b, Budget& budget);  // below, equal, above zero
bool contains(const Value& container, const Value& item, Budget& budget);

// What a for loop goes through: items, keys, or characters.
List iterate(const Value& value, Budget& budget);
int64_t length(const Value& value);
int64_t count_characters(std::string_view text);
std::vector<Text> characters(const Text& text);
// a[i], a['name']; undefined if there is no such thing.
Value subscript(const Value& container, const Value& key, Budget& budget);
Value slice(const Value& container, const Value& start, const Value& stop, const Value& step, Budget& budget);

// json.dumps().
struct JsonStyle {
  Text indent;
  bool has_indent = false;
  Text item_separator, key_separator;
  bool sort_keys = false;
  bool ascii = false;
};
Text to_json(const Value& value, const JsonStyle& style, Budget& budget);

// Python's repr().
Text repr(const Value& value, Budget& budget);

}  // namespace bitnet::jinja
