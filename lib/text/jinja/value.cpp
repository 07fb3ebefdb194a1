// SPDX-License-Identifier: MIT
#include "text/jinja/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "text/jinja/number.h"

namespace bitnet::jinja {
namespace {

// Python's own limits are near.
constexpr int kDeepestValue = 1000;
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
    require(depth <= kDeepestValue && weight <= kHeaviest, BITNET_ERROR_UNSUPPORTED,
            "chat template: a list is too deep (more than ", kDeepestValue, ") or too large (more than ", kHeaviest,
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
  constexpr const char* kNames[] = {"an undefined value", "none",   "a boolean",    "an integer", "a float",
                                    "a string",           "a list", "a dictionary", "an object"};
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

}  // namespace bitnet::jinja
