// SPDX-License-Identifier: MIT
// Jinja's filters and tests (jinja2/filters.py, jinja2/tests.py) and Python's methods, as far as chat templates use
// them. Changes of case are those of ASCII.
#include "text/jinja/builtins.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "text/jinja/unicode.h"

namespace bitnet::jinja {
namespace {

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
char to_lower(char c) { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; }
char to_upper(char c) { return is_lower(c) ? static_cast<char>(c - 'a' + 'A') : c; }

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), to_lower);
  return text;
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), to_upper);
  return text;
}

std::string capitalize(std::string text) {
  text = lower(std::move(text));
  if (!text.empty()) text[0] = to_upper(text[0]);
  return text;
}

// Python's str.title(): whatever is not a letter begins a word. Jinja's filter has its own idea of what does.
bool begins_word(char before) { return !is_lower(before) && !is_upper(before); }
bool begins_filter_word(char before) { return std::string_view(" \t\n\r\v\f-({[<").find(before) != std::string::npos; }

std::string title(std::string text, bool (*begins)(char before)) {
  char before = ' ';
  for (char& c : text) {
    c = begins(before) ? to_upper(c) : to_lower(c);
    before = c;
  }
  return text;
}

enum class Side { left, right, both };

std::string strip(std::string_view text, const Value& characters, Side side) {
  const auto unwanted = [&](std::string_view character) {
    if (characters.is_none()) return is_space_character(character);
    return to_string(characters, "what is stripped").find(character) != std::string::npos;
  };
  if (side != Side::right) text = strip_left(text, unwanted);
  if (side != Side::left) text = strip_right(text, unwanted);
  return std::string(text);
}

std::string replace(std::string_view text, std::string_view old, std::string_view with, int64_t most, Budget& budget) {
  require(!old.empty(), BITNET_ERROR_UNSUPPORTED, "chat template: replace of an empty string");
  std::string out;
  size_t at = 0;
  for (int64_t done = 0; most < 0 || done < most; ++done) {
    const size_t found = text.find(old, at);
    if (found == text.npos) break;
    budget.charge(found - at + with.size());
    out.append(text, at, found - at).append(with);
    at = found + old.size();
  }
  return out.append(text, at);
}

List split(std::string_view text, const Value& separator, int64_t most, Budget& budget) {
  constexpr size_t kPart = 64;  // what a part takes beside its text
  List parts;
  if (separator.is_none()) {
    for (;;) {
      text = strip_left(text, is_space_character);
      if (text.empty()) return parts;
      if (most >= 0 && static_cast<int64_t>(parts.size()) == most) break;
      budget.charge(kPart);
      const std::string_view rest = strip_left(text, [](std::string_view c) { return !is_space_character(c); });
      parts.emplace_back(text.substr(0, text.size() - rest.size()));
      text = rest;
    }
    parts.emplace_back(text);
    return parts;
  }
  const std::string& mark = to_string(separator, "what a string is split at");
  require(!mark.empty(), BITNET_ERROR_FORMAT, "chat template: split at an empty string");
  while (most < 0 || static_cast<int64_t>(parts.size()) < most) {
    const size_t found = text.find(mark);
    if (found == text.npos) break;
    budget.charge(kPart);
    parts.emplace_back(text.substr(0, found));
    text.remove_prefix(found + mark.size());
  }
  parts.emplace_back(text);
  return parts;
}

std::string join(const List& items, std::string_view separator, Budget& budget) {
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    const std::string text = items[i].text();
    budget.charge(text.size() + separator.size() + 1);
    if (i > 0) out += separator;
    out += text;
  }
  return out;
}

bool has_affix(const std::string& text, const Value& affix, bool at_start) {
  if (affix.list()) {
    return std::any_of(affix.list()->begin(), affix.list()->end(),
                       [&](const Value& one) { return has_affix(text, one, at_start); });
  }
  const std::string& sought = to_string(affix, "what a string starts or ends with");
  return at_start ? text.starts_with(sought) : text.ends_with(sought);
}

Value items_of(const Value& value) {
  if (value.is_undefined()) return List();
  require(value.dict() != nullptr, BITNET_ERROR_FORMAT, "chat template: items of ", value.type_name());
  List items;
  for (const auto& [key, item] : *value.dict()) items.push_back(List{key, item});
  return items;
}

Value to_int(const Value& value, const Value& otherwise) {
  if (value.integer() || value.boolean()) return to_integer(value, "int");
  if (const double* real = value.real()) {
    constexpr double kLimit = 9223372036854775808.0;  // 2^63
    return std::fabs(*real) < kLimit ? Value(static_cast<int64_t>(*real)) : otherwise;
  }
  if (!value.string()) return otherwise;
  const std::string text = strip(*value.string(), None(), Side::both);
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  int64_t integer = 0;
  const auto read = std::from_chars(begin, text.data() + text.size(), integer);
  return read.ec == std::errc() && read.ptr == text.data() + text.size() ? Value(integer) : otherwise;
}

// "a.b" of a value: what map, selectattr and rejectattr go by.
Value attribute_of(const Value& value, std::string_view path) {
  const size_t dot = path.find('.');
  const Value attribute = subscript(value, path.substr(0, dot));
  return dot == path.npos ? attribute : attribute_of(attribute, path.substr(dot + 1));
}

// --- filters ---

using Filter = Value (*)(const Value&, Arguments&, Budget&);

Value filter_default(const Value& value, Arguments& arguments, Budget&) {
  const Value otherwise = arguments.get(0, "default_value", "");
  const bool boolean = arguments.get(1, "boolean", false).truth();
  return value.is_undefined() || (boolean && !value.truth()) ? otherwise : value;
}

Value filter_first(const Value& value, Arguments&, Budget& budget) {
  const List items = iterate(value, budget);
  return items.empty() ? Value() : items.front();
}

Value filter_last(const Value& value, Arguments&, Budget& budget) {
  const List items = iterate(value, budget);
  return items.empty() ? Value() : items.back();
}

Value filter_join(const Value& value, Arguments& arguments, Budget& budget) {
  const Value separator = arguments.get(0, "d", "");
  const Value attribute = arguments.get(1, "attribute", None());
  List items = iterate(value, budget);
  if (!attribute.is_none()) {
    for (Value& item : items) item = attribute_of(item, to_string(attribute, "join's attribute"));
  }
  return join(items, separator.text(), budget);
}

Value filter_replace(const Value& value, Arguments& arguments, Budget& budget) {
  const Value old = arguments.need(0, "old"), with = arguments.need(1, "new");
  const Value count = arguments.get(2, "count", None());
  return replace(value.text(), old.text(), with.text(), count.is_none() ? -1 : to_integer(count, "count"), budget);
}

Value filter_tojson(const Value& value, Arguments& arguments, Budget& budget) {
  constexpr int64_t kWidest = 16;
  const bool ascii = arguments.get(2, "ensure_ascii", false).truth();
  require(!ascii, BITNET_ERROR_UNSUPPORTED, "chat template: tojson with ensure_ascii=true");
  const Value given = arguments.get(0, "indent", None());
  const int64_t indent = given.is_none() ? -1 : to_integer(given, "tojson's indent");
  require(indent <= kWidest, BITNET_ERROR_UNSUPPORTED, "chat template: tojson with an indent above ", kWidest);
  budget.charge(value.weight());
  std::string json = to_json(value, static_cast<int>(std::max<int64_t>(indent, -1)));
  budget.charge(json.size());
  return json;
}

Value filter_reverse(const Value& value, Arguments&, Budget& budget) {
  return slice(value, None(), None(), int64_t{-1}, budget);
}

Value filter_map(const Value& value, Arguments& arguments, Budget& budget) {
  const Value attribute = arguments.get(std::numeric_limits<size_t>::max(), "attribute", None());
  List items = iterate(value, budget);
  if (!attribute.is_none()) {
    const Value otherwise = arguments.get(std::numeric_limits<size_t>::max(), "default", Value());
    for (Value& item : items) {
      item = attribute_of(item, to_string(attribute, "map's attribute"));
      if (item.is_undefined()) item = otherwise;
    }
    return items;
  }
  const std::string name = to_string(arguments.need(0, "filter"), "map's filter");
  require(is_filter(name), BITNET_ERROR_UNSUPPORTED, "chat template: the filter \"", name, "\" is not supported");
  require(name != "map", BITNET_ERROR_UNSUPPORTED, "chat template: map of map");
  for (Value& item : items) item = apply_filter(name, item, arguments.rest(1), budget);
  arguments = Arguments("map", {});
  return items;
}

// select, reject, selectattr and rejectattr: the items whose value, or attribute, passes a test, or does not.
Value select(const Value& value, Arguments& arguments, Budget& budget, bool by_attribute, bool wanted) {
  const size_t first = by_attribute ? 1 : 0;
  const std::string attribute = by_attribute ? to_string(arguments.need(0, "attribute"), "an attribute") : "";
  const Value test = arguments.get(first, "test", None());
  const std::string name = test.is_none() ? "" : to_string(test, "the name of a test");
  require(name.empty() || is_test(name), BITNET_ERROR_UNSUPPORTED, "chat template: the test \"", name,
          "\" is not supported");
  List chosen;
  for (const Value& item : iterate(value, budget)) {
    const Value seen = by_attribute ? attribute_of(item, attribute) : item;
    const bool passed = name.empty() ? seen.truth() : apply_test(name, seen, arguments.rest(first + 1), budget);
    if (passed == wanted) chosen.push_back(item);
  }
  arguments = Arguments("select", {});
  return chosen;
}

const std::pair<std::string_view, Filter> kFilters[] = {
    {"abs", [](const Value& v, Arguments&, Budget&) { return compare(v, int64_t{0}) < 0 ? negate(v) : v; }},
    {"capitalize", [](const Value& v, Arguments&, Budget&) { return Value(capitalize(v.text())); }},
    {"count", [](const Value& v, Arguments&, Budget&) { return Value(length(v)); }},
    {"d", filter_default},
    {"default", filter_default},
    {"first", filter_first},
    {"int", [](const Value& v, Arguments& a, Budget&) { return to_int(v, a.get(0, "default", int64_t{0})); }},
    {"items", [](const Value& v, Arguments&, Budget&) { return items_of(v); }},
    {"join", filter_join},
    {"last", filter_last},
    {"length", [](const Value& v, Arguments&, Budget&) { return Value(length(v)); }},
    {"list", [](const Value& v, Arguments&, Budget& b) { return Value(iterate(v, b)); }},
    {"lower", [](const Value& v, Arguments&, Budget&) { return Value(lower(v.text())); }},
    {"map", filter_map},
    {"reject", [](const Value& v, Arguments& a, Budget& b) { return select(v, a, b, false, false); }},
    {"rejectattr", [](const Value& v, Arguments& a, Budget& b) { return select(v, a, b, true, false); }},
    {"replace", filter_replace},
    {"reverse", filter_reverse},
    {"safe", [](const Value& v, Arguments&, Budget&) { return v; }},
    {"select", [](const Value& v, Arguments& a, Budget& b) { return select(v, a, b, false, true); }},
    {"selectattr", [](const Value& v, Arguments& a, Budget& b) { return select(v, a, b, true, true); }},
    {"string", [](const Value& v, Arguments&, Budget&) { return Value(v.text()); }},
    {"title", [](const Value& v, Arguments&, Budget&) { return Value(title(v.text(), begins_filter_word)); }},
    {"tojson", filter_tojson},
    {"trim", [](const Value& v, Arguments& a,
                Budget&) { return Value(strip(v.text(), a.get(0, "chars", None()), Side::both)); }},
    {"upper", [](const Value& v, Arguments&, Budget&) { return Value(upper(v.text())); }},
};

// --- tests ---

using Test = bool (*)(const Value&, Arguments&);

bool is_even(const Value& value) { return to_integer(value, "what is even or odd") % 2 == 0; }

const std::pair<std::string_view, Test> kTests[] = {
    {"!=", [](const Value& v, Arguments& a) { return !(v == a.need(0, "other")); }},
    {"<", [](const Value& v, Arguments& a) { return compare(v, a.need(0, "other")) < 0; }},
    {"<=", [](const Value& v, Arguments& a) { return compare(v, a.need(0, "other")) <= 0; }},
    {"==", [](const Value& v, Arguments& a) { return v == a.need(0, "other"); }},
    {">", [](const Value& v, Arguments& a) { return compare(v, a.need(0, "other")) > 0; }},
    {">=", [](const Value& v, Arguments& a) { return compare(v, a.need(0, "other")) >= 0; }},
    {"boolean", [](const Value& v, Arguments&) { return v.boolean() != nullptr; }},
    {"defined", [](const Value& v, Arguments&) { return !v.is_undefined(); }},
    {"divisibleby", [](const Value& v, Arguments& a) { return modulo(v, a.need(0, "num")) == Value(int64_t{0}); }},
    {"eq", [](const Value& v, Arguments& a) { return v == a.need(0, "other"); }},
    {"equalto", [](const Value& v, Arguments& a) { return v == a.need(0, "other"); }},
    {"even", [](const Value& v, Arguments&) { return is_even(v); }},
    {"false", [](const Value& v, Arguments&) { return v.boolean() && !*v.boolean(); }},
    {"float", [](const Value& v, Arguments&) { return v.real() != nullptr; }},
    {"ge", [](const Value& v, Arguments& a) { return compare(v, a.need(0, "other")) >= 0; }},
    {"gt", [](const Value& v, Arguments& a) { return compare(v, a.need(0, "other")) > 0; }},
    {"in", [](const Value& v, Arguments& a) { return contains(a.need(0, "seq"), v); }},
    {"integer", [](const Value& v, Arguments&) { return v.integer() != nullptr; }},
    {"iterable", [](const Value& v, Arguments&) { return v.string() || v.list() || v.dict() || v.is_undefined(); }},
    {"le", [](const Value& v, Arguments& a) { return compare(v, a.need(0, "other")) <= 0; }},
    {"lower",
     [](const Value& v, Arguments&) {
       const std::string text = v.text();
       return std::any_of(text.begin(), text.end(), is_lower) && std::none_of(text.begin(), text.end(), is_upper);
     }},
    {"lt", [](const Value& v, Arguments& a) { return compare(v, a.need(0, "other")) < 0; }},
    {"mapping", [](const Value& v, Arguments&) { return v.dict() != nullptr; }},
    {"ne", [](const Value& v, Arguments& a) { return !(v == a.need(0, "other")); }},
    {"none", [](const Value& v, Arguments&) { return v.is_none(); }},
    {"number", [](const Value& v, Arguments&) { return v.is_number(); }},
    {"odd", [](const Value& v, Arguments&) { return !is_even(v); }},
    {"sequence", [](const Value& v, Arguments&) { return v.string() || v.list() || v.dict() || v.is_undefined(); }},
    {"string", [](const Value& v, Arguments&) { return v.string() != nullptr; }},
    {"true", [](const Value& v, Arguments&) { return v.boolean() && *v.boolean(); }},
    {"undefined", [](const Value& v, Arguments&) { return v.is_undefined(); }},
    {"upper",
     [](const Value& v, Arguments&) {
       const std::string text = v.text();
       return std::any_of(text.begin(), text.end(), is_upper) && std::none_of(text.begin(), text.end(), is_lower);
     }},
};

// --- methods ---

using StringMethod = Value (*)(const std::string&, Arguments&, Budget&);
using DictMethod = Value (*)(const Dict&, Arguments&);

Value method_find(const std::string& text, Arguments& arguments, Budget&) {
  const size_t found = text.find(to_string(arguments.need(0, "sub"), "what find() looks for"));
  return found == text.npos ? int64_t{-1} : length(text.substr(0, found));
}

Value method_count(const std::string& text, Arguments& arguments, Budget&) {
  const Value sub = arguments.need(0, "sub");
  const std::string& sought = to_string(sub, "what count() looks for");
  require(!sought.empty(), BITNET_ERROR_UNSUPPORTED, "chat template: count of an empty string");
  int64_t count = 0;
  for (size_t at = text.find(sought); at != text.npos; at = text.find(sought, at + sought.size())) ++count;
  return count;
}

const std::pair<std::string_view, StringMethod> kStringMethods[] = {
    {"capitalize", [](const std::string& s, Arguments&, Budget&) { return Value(capitalize(s)); }},
    {"count", method_count},
    {"endswith",
     [](const std::string& s, Arguments& a, Budget&) { return Value(has_affix(s, a.need(0, "suffix"), false)); }},
    {"find", method_find},
    {"join", [](const std::string& s, Arguments& a,
                Budget& b) { return Value(join(iterate(a.need(0, "iterable"), b), s, b)); }},
    {"lower", [](const std::string& s, Arguments&, Budget&) { return Value(lower(s)); }},
    {"lstrip", [](const std::string& s, Arguments& a,
                  Budget&) { return Value(strip(s, a.get(0, "chars", None()), Side::left)); }},
    {"replace",
     [](const std::string& s, Arguments& a, Budget& b) {
       const Value old = a.need(0, "old"), with = a.need(1, "new");
       return Value(replace(s, to_string(old, "what is replaced"), to_string(with, "the replacement"),
                            to_integer(a.get(2, "count", int64_t{-1}), "count"), b));
     }},
    {"rstrip", [](const std::string& s, Arguments& a,
                  Budget&) { return Value(strip(s, a.get(0, "chars", None()), Side::right)); }},
    {"split",
     [](const std::string& s, Arguments& a, Budget& b) {
       const int64_t most = to_integer(a.get(1, "maxsplit", int64_t{-1}), "maxsplit");
       return Value(split(s, a.get(0, "sep", None()), most, b));
     }},
    {"startswith",
     [](const std::string& s, Arguments& a, Budget&) { return Value(has_affix(s, a.need(0, "prefix"), true)); }},
    {"strip", [](const std::string& s, Arguments& a,
                 Budget&) { return Value(strip(s, a.get(0, "chars", None()), Side::both)); }},
    {"title", [](const std::string& s, Arguments&, Budget&) { return Value(title(s, begins_word)); }},
    {"upper", [](const std::string& s, Arguments&, Budget&) { return Value(upper(s)); }},
};

const std::pair<std::string_view, DictMethod> kDictMethods[] = {
    {"get",
     [](const Dict& d, Arguments& a) {
       const Value key = a.need(0, "key"), otherwise = a.get(1, "default", None());
       const Value* found = find(d, to_string(key, "a key"));
       return found ? *found : otherwise;
     }},
    {"items", [](const Dict& d, Arguments&) { return items_of(d); }},
    {"keys",
     [](const Dict& d, Arguments&) {
       List keys;
       for (const auto& [key, value] : d) keys.emplace_back(key);
       return Value(std::move(keys));
     }},
    {"values",
     [](const Dict& d, Arguments&) {
       List values;
       for (const auto& [key, value] : d) values.push_back(value);
       return Value(std::move(values));
     }},
};

template <typename Table>
auto* look_up(const Table& table, std::string_view name) {
  const auto found = std::find_if(std::begin(table), std::end(table), [&](auto& entry) { return entry.first == name; });
  return found == std::end(table) ? nullptr : &found->second;
}

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
  return numbers;
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

Arguments Arguments::rest(size_t from) const {
  const auto begin = values_.begin() + static_cast<ptrdiff_t>(std::min(from, values_.size()));
  return Arguments(function_, {begin, values_.end()});
}

void Arguments::done() const {
  for (size_t i = 0; i < values_.size(); ++i) {
    const std::string& name = values_[i].first;
    const bool known = std::any_of(known_.begin(), known_.end(),
                                   [&](const auto& one) { return name.empty() ? one.first == i : one.second == name; });
    require(known, BITNET_ERROR_UNSUPPORTED, "chat template: ", function_, " with ",
            name.empty() ? "so many arguments" : "the argument " + name, " is not supported");
  }
}

bool is_filter(std::string_view name) { return look_up(kFilters, name) != nullptr; }
bool is_test(std::string_view name) { return look_up(kTests, name) != nullptr; }
bool is_method(std::string_view name) { return look_up(kStringMethods, name) || look_up(kDictMethods, name); }
bool is_function(std::string_view name) {
  // strftime_now() would make the text depend on the day. Templates ask whether it is defined, and it is not.
  constexpr std::string_view kFunctions[] = {"dict", "namespace", "raise_exception", "range", "strftime_now"};
  return std::find(std::begin(kFunctions), std::end(kFunctions), name) != std::end(kFunctions);
}

Value apply_filter(std::string_view name, const Value& value, Arguments arguments, Budget& budget) {
  budget.charge(value.size());
  Value result = (*look_up(kFilters, name))(value, arguments, budget);
  arguments.done();
  return result;
}

bool apply_test(std::string_view name, const Value& value, Arguments arguments, Budget& budget) {
  budget.charge(value.size());
  for (const auto& argument : arguments.all()) budget.charge(value.weight() + argument.second.weight());
  const bool result = (*look_up(kTests, name))(value, arguments);
  arguments.done();
  return result;
}

Value call_method(std::string_view name, const Value& value, Arguments arguments, Budget& budget) {
  budget.charge(value.size());
  Value result;
  if (const auto* method = value.string() ? look_up(kStringMethods, name) : nullptr) {
    result = (*method)(*value.string(), arguments, budget);
  } else if (const auto* method = value.dict() ? look_up(kDictMethods, name) : nullptr) {
    result = (*method)(*value.dict(), arguments);
  } else {
    fail(BITNET_ERROR_FORMAT, "chat template: ", value.type_name(), " has no method ", name);
  }
  arguments.done();
  return result;
}

Value call_function(std::string_view name, Arguments arguments, Budget& budget) {
  if (name == "range") return range(arguments, budget);
  if (name == "dict") {
    Dict dict;
    for (const auto& [key, value] : arguments.all()) {
      require(!key.empty(), BITNET_ERROR_UNSUPPORTED, "chat template: dict() of something without a name");
      assign(dict, key, value);
    }
    return dict;
  }
  if (name == "raise_exception") {
    fail(BITNET_ERROR_ARGUMENT, "chat template: ", arguments.need(0, "message").text());
  }
  fail(BITNET_ERROR_UNSUPPORTED, "chat template: ", name, "() is not supported");
}

}  // namespace bitnet::jinja
