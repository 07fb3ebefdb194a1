// SPDX-License-Identifier: MIT
// What all that a template can call has in common, and the functions.
#include "text/jinja/builtins.h"

#include <algorithm>

#include "base/error.h"
#include "text/jinja/builtin_tables.h"

namespace bitnet::jinja {
namespace {

Value range(Arguments& arguments, Budget& budget) {
  const Value first = arguments.need(0, "start"), second = arguments.get(1, "stop", None());
  const int64_t step = to_integer(arguments.get(2, "step", int64_t{1}), "range's step");
  require(step != 0, BITNET_ERROR_FORMAT, "chat template: a range with a step of zero");
  int64_t at = second.is_none() ? 0 : to_integer(first, "range's start");
  const int64_t stop = to_integer(second.is_none() ? first : second, "range's end");
  List numbers;
  while (step > 0 ? at < stop : at > stop) {
    budget.charge(sizeof(Value));
    numbers.emplace_back(at);
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  return Value(std::move(numbers), ListKind::range);
}

// dict(a=1), dict({...}), dict([[k, v], ...]).
Value make_dict(Arguments& arguments, Budget& budget) {
  Dict dict;
  bool first = true;
  for (const auto& [name, value] : arguments.take_all()) {
    if (!name.empty()) {
      assign(dict, name, value, budget);
    } else {
      require(first, BITNET_ERROR_FORMAT, "chat template: dict() takes one value by place");
      for (const Value& item : value.dict() ? items_of(value) : iterate(value, budget)) {
        require(item.list() && item.list()->size() == 2, BITNET_ERROR_FORMAT, "chat template: dict() of no pairs");
        assign(dict, (*item.list())[0], (*item.list())[1], budget);
      }
    }
    first = false;
  }
  return dict;
}

}  // namespace

Value Arguments::get(size_t place, std::string_view name, Value otherwise) {
  known_.emplace_back(place, name);
  for (size_t i = 0; i < values_.size(); ++i) {
    if (values_[i].first.empty() ? i == place : values_[i].first == name) return values_[i].second;
  }
  return otherwise;
}

Value Arguments::need(size_t place, std::string_view name) {
  const bool given = std::any_of(values_.begin(), values_.end(), [&](auto& value) { return value.first == name; }) ||
                     (place < values_.size() && values_[place].first.empty());
  require(given, BITNET_ERROR_FORMAT, "chat template: ", function_, " needs the argument ", name);
  return get(place, name, {});
}

const std::vector<std::pair<std::string, Value>>& Arguments::take_all() {
  all_known_ = true;
  return values_;
}

Arguments Arguments::rest(size_t from) {
  all_known_ = true;
  const auto begin = values_.begin() + static_cast<ptrdiff_t>(std::min(from, values_.size()));
  return Arguments(function_, {begin, values_.end()});
}

void Arguments::done() const {
  for (size_t i = 0; i < values_.size() && !all_known_; ++i) {
    const std::string& name = values_[i].first;
    const bool known = std::any_of(known_.begin(), known_.end(),
                                   [&](const auto& one) { return name.empty() ? one.first == i : one.second == name; });
    if (known) continue;
    if (!name.empty()) {
      fail(BITNET_ERROR_UNSUPPORTED, "chat template: ", function_, " with the argument ", name, " is not supported");
    }
    const auto places = std::count_if(known_.begin(), known_.end(), [](auto& one) { return one.first != kByName; });
    fail(BITNET_ERROR_UNSUPPORTED, "chat template: ", function_, " with ", counted(values_.size(), "argument"),
         " is not supported: at most ", places, places == 1 ? " is" : " are", " known");
  }
}

void charge_search(const Value& text, const Value& sought, Budget& budget) {
  constexpr size_t kAtOnce = 64;  // bytes that are compared in the time of one step
  if (!text.string() || !sought.string()) return;
  budget.charge(text.string()->size() * sought.string()->size() / kAtOnce + sought.string()->size());
}

Value pair_of(Value a, Value b) { return Value(List{std::move(a), std::move(b)}, ListKind::tuple); }

List items_of(const Value& value) {
  if (value.is_undefined()) return List();
  require(value.dict() != nullptr, BITNET_ERROR_FORMAT, "chat template: items of ", value.type_name());
  List items;
  for (const auto& [key, item] : *value.dict()) items.push_back(pair_of(key, item));
  return items;
}

Value call_function(std::string_view name, Arguments arguments, Budget& budget) {
  if (name == "range") return range(arguments, budget);
  if (name == "dict") return make_dict(arguments, budget);
  if (name == "raise_exception") {
    fail(BITNET_ERROR_ARGUMENT, "chat template: ", arguments.need(0, "message").text(budget).bytes());
  }
  fail(BITNET_ERROR_INTERNAL, "chat template: the function ", name, " has no code");
}

}  // namespace bitnet::jinja
