// SPDX-License-Identifier: MIT
// Python's methods of strings, lists and dictionaries.
#include <algorithm>
#include <functional>

#include "base/error.h"
#include "text/jinja/builtin_tables.h"
#include "text/jinja/case.h"
#include "text/jinja/format.h"
#include "text/jinja/strings.h"
#include "text/jinja/unicode.h"

namespace bitnet::jinja {
namespace {

using StringMethod = Value (*)(const Text&, Arguments&, Budget&);
using ListMethod = Value (*)(const List&, Arguments&, Budget&);
using DictMethod = Value (*)(const Dict&, Arguments&, Budget&);

Value find_in(const Text& text, Arguments& arguments, bool last, bool must) {
  const Value given = arguments.need(0, "sub");
  const std::string& sub = to_string(given, "what is looked for in a string");
  const Window window = window_of(text, arguments);
  const size_t found = window.outside ? std::string::npos : last ? window.bytes.rfind(sub) : window.bytes.find(sub);
  require(found != std::string::npos || !must, BITNET_ERROR_FORMAT, "chat template: index of what is not in a string");
  return found == std::string::npos ? int64_t{-1} : window.start + count_characters(window.bytes.substr(0, found));
}

Value method_count(const Text& text, Arguments& arguments, Budget&) {
  const Value given = arguments.need(0, "sub");
  const std::string& sub = to_string(given, "what count() looks for");
  const Window window = window_of(text, arguments);
  if (window.outside) return int64_t{0};
  if (sub.empty()) return count_characters(window.bytes) + 1;
  int64_t count = 0;
  for (size_t at = window.bytes.find(sub); at != window.bytes.npos; at = window.bytes.find(sub, at + sub.size())) {
    ++count;
  }
  return count;
}

Value has_affix(const Text& text, Arguments& arguments, Budget& budget, bool at_start) {
  const Value affix = arguments.need(0, at_start ? "prefix" : "suffix");
  budget.charge(affix.weight());
  const Window window = window_of(text, arguments);
  const List affixes = affix.is(ListKind::tuple) ? *affix.list() : List{affix};
  return std::any_of(affixes.begin(), affixes.end(), [&](const Value& one) {
    const std::string& sought = to_string(one, "what a string starts or ends with");
    return !window.outside && (at_start ? window.bytes.starts_with(sought) : window.bytes.ends_with(sought));
  });
}

Value method_split(const Text& text, Arguments& arguments, Budget& budget, bool from_right) {
  const Value separator = arguments.get(0, "sep", None());
  const int64_t most = to_integer(arguments.get(1, "maxsplit", int64_t{-1}), "maxsplit");
  return from_right ? rsplit(text, separator, most, budget) : split(text, separator, most, budget);
}

Value method_partition(const Text& text, Arguments& arguments, bool last) {
  const Value given = arguments.need(0, "sep");
  const Text& separator = to_text(given, "what a string is split at");
  require(!separator.empty(), BITNET_ERROR_FORMAT, "chat template: partition at an empty string");
  const std::string_view bytes = text.bytes();
  const size_t found = last ? bytes.rfind(separator.bytes()) : bytes.find(separator.bytes());
  if (found == bytes.npos) {
    return Value(last ? List{"", "", text} : List{text, "", ""}, ListKind::tuple);
  }
  return Value(List{text.part(bytes.substr(0, found)), text.part(bytes.substr(found, separator.size())),
                    text.part(bytes.substr(found + separator.size()))},
               ListKind::tuple);
}

Value method_removed(const Text& text, Arguments& arguments, bool prefix) {
  const Value given = arguments.need(0, prefix ? "prefix" : "suffix");
  const std::string& affix = to_string(given, "what is removed");
  std::string_view bytes = text.bytes();
  if (prefix && bytes.starts_with(affix)) bytes.remove_prefix(affix.size());
  if (!prefix && bytes.ends_with(affix)) bytes.remove_suffix(affix.size());
  return text.part(bytes);
}

Value method_pad(const Text& text, Arguments& arguments, Budget& budget, Align align) {
  const int64_t width = to_integer(arguments.need(0, "width"), "a width");
  const Value given = arguments.get(1, "fillchar", " ");
  const Text& fill = to_text(given, "what fills a width");
  require(count_characters(fill.bytes()) == 1, BITNET_ERROR_FORMAT,
          "chat template: what fills a width must be one character");
  return padded(text, width, align, fill, budget);
}

Value method_zfill(const Text& text, Arguments& arguments, Budget& budget) {
  const int64_t width = to_integer(arguments.need(0, "width"), "a width");
  const std::string_view bytes = text.bytes();
  const size_t sign = bytes.starts_with('+') || bytes.starts_with('-') ? 1 : 0;
  Text out = text.part(bytes.substr(0, sign));
  out.append(
      padded(text.part(bytes.substr(sign)), width - static_cast<int64_t>(sign), Align::right, Text("0"), budget));
  return out;
}

template <bool (*kHolds)(char)>
Value all_ascii(const Text& text, Arguments&, Budget&) {
  for (const char c : text.bytes()) {
    require_ascii(c, "isalpha(), isdigit() and their like");
    if (!kHolds(c)) return false;
  }
  return !text.empty();
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_letter_or_digit(char c) { return is_letter(c) || is_digit(c); }

Value method_isspace(const Text& text, Arguments&, Budget&) {
  return !text.empty() && strip_left(text.bytes(), is_space_character).empty();
}

const std::pair<std::string_view, StringMethod> kStringMethods[] = {
    {"capitalize", [](const Text& s, Arguments&, Budget&) { return Value(capitalize(s)); }},
    {"center", [](const Text& s, Arguments& a, Budget& b) { return method_pad(s, a, b, Align::center); }},
    {"count", method_count},
    {"endswith", [](const Text& s, Arguments& a, Budget& b) { return has_affix(s, a, b, false); }},
    {"find", [](const Text& s, Arguments& a, Budget&) { return find_in(s, a, false, false); }},
    {"format", [](const Text& s, Arguments& a, Budget& b) { return Value(brace_format(s, a.take_all(), b)); }},
    {"index", [](const Text& s, Arguments& a, Budget&) { return find_in(s, a, false, true); }},
    {"isalnum", all_ascii<is_letter_or_digit>},
    {"isalpha", all_ascii<is_letter>},
    {"isdecimal", all_ascii<is_digit>},
    {"isdigit", all_ascii<is_digit>},
    {"islower", [](const Text& s, Arguments&, Budget&) { return Value(is_lower(s.bytes())); }},
    {"isnumeric", all_ascii<is_digit>},
    {"isspace", method_isspace},
    {"isupper", [](const Text& s, Arguments&, Budget&) { return Value(is_upper(s.bytes())); }},
    {"join",
     [](const Text& s, Arguments& a, Budget& b) { return Value(join(iterate(a.need(0, "iterable"), b), s, true, b)); }},
    {"ljust", [](const Text& s, Arguments& a, Budget& b) { return method_pad(s, a, b, Align::left); }},
    {"lower", [](const Text& s, Arguments&, Budget&) { return Value(lower(s)); }},
    {"lstrip",
     [](const Text& s, Arguments& a, Budget&) { return Value(strip(s, a.get(0, "chars", None()), Side::left)); }},
    {"partition", [](const Text& s, Arguments& a, Budget&) { return method_partition(s, a, false); }},
    {"removeprefix", [](const Text& s, Arguments& a, Budget&) { return method_removed(s, a, true); }},
    {"removesuffix", [](const Text& s, Arguments& a, Budget&) { return method_removed(s, a, false); }},
    {"replace",
     [](const Text& s, Arguments& a, Budget& b) {
       const Value old = a.need(0, "old"), with = a.need(1, "new");
       return Value(replace(s, to_string(old, "what is replaced"), to_text(with, "the replacement"),
                            to_integer(a.get(2, "count", int64_t{-1}), "the count of replace"), b));
     }},
    {"rfind", [](const Text& s, Arguments& a, Budget&) { return find_in(s, a, true, false); }},
    {"rindex", [](const Text& s, Arguments& a, Budget&) { return find_in(s, a, true, true); }},
    {"rjust", [](const Text& s, Arguments& a, Budget& b) { return method_pad(s, a, b, Align::right); }},
    {"rpartition", [](const Text& s, Arguments& a, Budget&) { return method_partition(s, a, true); }},
    {"rsplit", [](const Text& s, Arguments& a, Budget& b) { return method_split(s, a, b, true); }},
    {"rstrip",
     [](const Text& s, Arguments& a, Budget&) { return Value(strip(s, a.get(0, "chars", None()), Side::right)); }},
    {"split", [](const Text& s, Arguments& a, Budget& b) { return method_split(s, a, b, false); }},
    {"splitlines",
     [](const Text& s, Arguments& a, Budget& b) { return Value(lines_of(s, a.get(0, "keepends", false).truth(), b)); }},
    {"startswith", [](const Text& s, Arguments& a, Budget& b) { return has_affix(s, a, b, true); }},
    {"strip",
     [](const Text& s, Arguments& a, Budget&) { return Value(strip(s, a.get(0, "chars", None()), Side::both)); }},
    {"title", [](const Text& s, Arguments&, Budget&) { return Value(title(s)); }},
    {"upper", [](const Text& s, Arguments&, Budget&) { return Value(upper(s)); }},
    {"zfill", method_zfill},
};

const std::pair<std::string_view, ListMethod> kListMethods[] = {
    {"copy", [](const List& l, Arguments&, Budget&) { return Value(l); }},
    {"count",
     [](const List& l, Arguments& a, Budget& b) {
       const Value wanted = a.need(0, "value");
       const auto is_wanted = [&](const Value& item) { return equal(item, wanted, b); };
       return Value(int64_t{std::count_if(l.begin(), l.end(), is_wanted)});
     }},
    {"index",
     [](const List& l, Arguments& a, Budget& b) {
       const Value wanted = a.need(0, "value");
       const auto is_wanted = [&](const Value& item) { return equal(item, wanted, b); };
       const auto found = std::find_if(l.begin(), l.end(), is_wanted);
       require(found != l.end(), BITNET_ERROR_FORMAT, "chat template: index of what is not in a list");
       return Value(int64_t{found - l.begin()});
     }},
};

const std::pair<std::string_view, DictMethod> kDictMethods[] = {
    {"copy", [](const Dict& d, Arguments&, Budget&) { return Value(d); }},
    {"get",
     [](const Dict& d, Arguments& a, Budget& b) {
       const Value key = a.need(0, "key"), otherwise = a.get(1, "default", None());
       const Value* found = find(d, key, b);
       return found ? *found : otherwise;
     }},
    {"items", [](const Dict& d, Arguments&, Budget&) { return Value(items_of(d), ListKind::view); }},
    {"keys",
     [](const Dict& d, Arguments&, Budget&) {
       List keys;
       for (const auto& [key, value] : d) keys.emplace_back(key);
       return Value(std::move(keys), ListKind::view);
     }},
    {"values",
     [](const Dict& d, Arguments&, Budget&) {
       List values;
       for (const auto& [key, value] : d) values.push_back(value);
       return Value(std::move(values), ListKind::view);
     }},
};
bool is_sequence(const Value& value) { return value.is(ListKind::list) || value.is(ListKind::tuple); }

}  // namespace

bool has_method(const Value& value, std::string_view name) {
  return (value.string() && look_up(kStringMethods, name)) || (value.dict() && look_up(kDictMethods, name)) ||
         (is_sequence(value) && look_up(kListMethods, name));
}

Value call_method(std::string_view name, const Value& value, Arguments arguments, Budget& budget) {
  // What Hugging Face's sandbox refuses: it would change the value.
  constexpr std::string_view kChanging[] = {"append", "clear",   "extend",     "insert", "pop",   "popitem",
                                            "remove", "reverse", "setdefault", "sort",   "update"};
  const bool changing = std::find(std::begin(kChanging), std::end(kChanging), name) != std::end(kChanging);
  require(!changing || !(value.list() || value.dict()), BITNET_ERROR_FORMAT, "chat template: the method \"", name,
          "\" would change ", value.type_name(), ", which a template may not do");
  budget.charge(value.size());
  for (const auto& argument : arguments.all()) {
    budget.charge(argument.second.size());
    charge_search(value, argument.second, budget);
  }
  Value result;
  if (const auto* of_string = value.string() ? look_up(kStringMethods, name) : nullptr) {
    result = (*of_string)(*value.string(), arguments, budget);
  } else if (const auto* of_list = is_sequence(value) ? look_up(kListMethods, name) : nullptr) {
    budget.charge(value.weight());
    result = (*of_list)(*value.list(), arguments, budget);
  } else if (const auto* of_dict = value.dict() ? look_up(kDictMethods, name) : nullptr) {
    result = (*of_dict)(*value.dict(), arguments, budget);
  } else {
    fail(value.string() ? BITNET_ERROR_UNSUPPORTED : BITNET_ERROR_FORMAT, "chat template: the method \"", name,
         "\" of ", value.type_name(), " is not supported");
  }
  arguments.done();
  return result;
}

}  // namespace bitnet::jinja
