// SPDX-License-Identifier: MIT
// What a template can call by name: filters, tests and the methods of strings, lists and dictionaries.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace bitnet::jinja {

// The arguments of one call, taken by place or by name.
class Arguments {
 public:
  Arguments(std::string_view function, std::vector<std::pair<std::string, Value>> values)
      : function_(function), values_(std::move(values)) {}

  // The argument, or `otherwise` if it was not given.
  Value get(size_t place, std::string_view name, Value otherwise);
  Value need(size_t place, std::string_view name);
  const std::vector<std::pair<std::string, Value>>& all() const { return values_; }
  // All, however many.
  const std::vector<std::pair<std::string, Value>>& take_all();
  // All from that place on.
  Arguments rest(size_t from);

  // Refuses what nobody asked for: every get() and need() before it says what there may be.
  void done() const;

 private:
  std::string function_;
  std::vector<std::pair<std::string, Value>> values_;
  std::vector<std::pair<size_t, std::string_view>> known_;
  bool all_known_ = false;
};

using Filter = Value (*)(const Value&, Arguments&, Budget&);
using Test = bool (*)(const Value&, Arguments&, Budget&);

// What looking for one string in another, or for one's characters, costs at worst.
void charge_search(const Value& text, const Value& sought, Budget& budget);

// Null if there is none of that name.
Filter find_filter(std::string_view name);
Test find_test(std::string_view name);

Value apply_filter(Filter filter, const Value& value, Arguments arguments, Budget& budget);
bool apply_test(Test test, const Value& value, Arguments arguments, Budget& budget);

bool has_method(const Value& value, std::string_view name);
Value call_method(std::string_view name, const Value& value, Arguments arguments, Budget& budget);

// The functions that need nothing but their arguments. Others are the machine's.
Value call_function(std::string_view name, Arguments arguments, Budget& budget);

}  // namespace bitnet::jinja
