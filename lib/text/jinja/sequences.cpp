// SPDX-License-Identifier: MIT
// What Python does with sequences: going through them, their length, items and slices.
#include <algorithm>

#include "base/error.h"
#include "text/jinja/number.h"
#include "text/utf8.h"

namespace bitnet::jinja {
namespace {

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

}  // namespace

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

}  // namespace bitnet::jinja
