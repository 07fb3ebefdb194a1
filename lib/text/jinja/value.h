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

namespace bitnet::jinja {

class Value;
using List = std::vector<Value>;
using Dict = std::vector<std::pair<std::string, Value>>;  // in the order of insertion, as Python's

struct Undefined {
  bool operator==(const Undefined&) const = default;
};
struct None {
  bool operator==(const None&) const = default;
};

// What {% set ns.x = ... %} writes to. The renderer owns them all, so that one may hold itself and still be freed.
struct Namespace;

// Counts the work that a rendering does, in bytes written and roughly as many for every step, so that a hostile
// template can neither hang nor take much memory.
class Budget {
 public:
  void charge(size_t work);

 private:
  size_t left_ = size_t{1} << 28;
};

// Lists and dictionaries never change once made, so that copies share them and none can hold itself.
class Value {
 public:
  Value() = default;  // undefined
  Value(None none) : data_(none) {}
  Value(bool value) : data_(value) {}
  Value(int64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(std::string value) : data_(std::make_shared<const std::string>(std::move(value))) {}
  Value(std::string_view value) : Value(std::string(value)) {}
  Value(const char* value) : Value(std::string(value)) {}
  Value(List value);
  Value(Dict value);
  Value(Namespace* value) : data_(value) {}

  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_none() const { return std::holds_alternative<None>(data_); }
  const bool* boolean() const { return std::get_if<bool>(&data_); }
  const int64_t* integer() const { return std::get_if<int64_t>(&data_); }
  const double* real() const { return std::get_if<double>(&data_); }
  const std::string* string() const { return shared<std::string>(); }
  const List* list() const;
  const Dict* dict() const;
  Namespace* name_space() const;
  bool is_number() const { return integer() || real() || boolean(); }

  const char* type_name() const;
  bool truth() const;
  std::string text() const;  // as {{ }} prints it; lists and dictionaries are refused

  // About the bytes it takes to write the whole value out, what is shared counted each time.
  size_t weight() const;
  // The bytes of the value itself: what its items hold does not count.
  size_t size() const;

  friend bool operator==(const Value& a, const Value& b);

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

  std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const std::string>,
               std::shared_ptr<const ListData>, std::shared_ptr<const DictData>, Namespace*>
      data_;
};

struct Namespace {
  Dict values;
};

const Value* find(const Dict& dict, std::string_view key);
void assign(Dict& dict, std::string_view key, Value value);

// Whole numbers as such (bool included); BITNET_ERROR_FORMAT for anything else, saying what it was wanted for.
int64_t to_integer(const Value& value, std::string_view what);
const std::string& to_string(const Value& value, std::string_view what);

Value add(const Value& a, const Value& b);
Value subtract(const Value& a, const Value& b);
Value multiply(const Value& a, const Value& b);
Value divide(const Value& a, const Value& b);
Value floor_divide(const Value& a, const Value& b);
Value modulo(const Value& a, const Value& b);
Value negate(const Value& a);
int compare(const Value& a, const Value& b);  // below, equal, above zero
bool contains(const Value& container, const Value& item);

// What a for loop goes through: items, keys, or characters.
List iterate(const Value& value, Budget& budget);
int64_t length(const Value& value);
// a[i], a.name, a['name']; undefined if there is no such thing.
Value subscript(const Value& container, const Value& key);
Value slice(const Value& container, const Value& start, const Value& stop, const Value& step, Budget& budget);

// json.dumps(value, ensure_ascii=False, indent=indent); no indent if negative.
std::string to_json(const Value& value, int indent);

}  // namespace bitnet::jinja
