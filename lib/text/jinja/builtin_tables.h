// SPDX-License-Identifier: MIT
// What the tables of filters, tests and methods share.
#pragma once

#include <algorithm>
#include <iterator>
#include <limits>
#include <string_view>

#include "text/jinja/builtins.h"

namespace bitnet::jinja {

constexpr size_t kStep = 64;                                    // what a step counts for, as in the machine
constexpr size_t kByName = std::numeric_limits<size_t>::max();  // the place of an argument that has a name only

// What the table holds under that name; null if there is none.
template <typename Table>
auto* look_up(const Table& table, std::string_view name) {
  const auto found = std::find_if(std::begin(table), std::end(table), [&](auto& entry) { return entry.first == name; });
  return found == std::end(table) ? nullptr : &found->second;
}

// The pairs of a dictionary; none of what is undefined.
List items_of(const Value& value);
Value pair_of(Value a, Value b);

}  // namespace bitnet::jinja
