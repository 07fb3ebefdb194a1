// SPDX-License-Identifier: MIT
// What a template can call by name: filters, tests and the methods of strings and dictionaries.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace bitnet::jinja {

bool is_filter(std::string_view name);
bool is_test(std::string_view name);
bool is_method(std::string_view name);
bool is_function(std::string_view name);

// The arguments of one call, taken by place or by name.
class Arguments {
 public:
  Arguments(std::string_view function, std::vector<std::pair<std::string, Value>> values)
      : function_(function), values_(std::move(values)) {}

  // The argument, or `otherwise` if it was not given.
  Value get(size_t place, std::string_view name, Value otherwise);
  Value need(size_t place, std::string_view name);
  const std::vector<std::pair<std::string, Value>>& all() const { return values_; }
  Arguments rest(size_t from) const;

  // Refuses what nobody asked for: every get() and need() before it says what there may be.
  void done() const;

 private:
  std::string_view function_;
  std::vector<std::pair<std::string, Value>> values_;
  std::vector<std::pair<size_t, std::string_view>> known_;
};

Value apply_filter(std::string_view name, const Value& value, Arguments arguments, Budget& budget);
bool apply_test(std::string_view name, const Value& value, Arguments arguments, Budget& budget);
Value call_method(std::string_view name, const Value& value, Arguments arguments, Budget& budget);

// range(), dict() and raise_exception(); namespace() is the renderer's.
Value call_function(std::string_view name, Arguments arguments, Budget& budget);

}  // namespace bitnet::jinja
