// SPDX-License-Identifier: MIT
// Jinja's filters and tests (jinja2/filters.py, jinja2/tests.py) and Python's methods.
#include "text/jinja/builtins.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <locale>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "text/jinja/case.h"
#include "text/jinja/format.h"
#include "text/jinja/strings.h"
#include "text/jinja/unicode.h"

namespace bitnet::jinja {
namespace {

constexpr size_t kByName = std::numeric_limits<size_t>::max();  // the place of an argument that has a name only
constexpr size_t kStep = 64;                                    // what a step counts for, as in the machine

// --- what several filters do ---

// "a.b" or 0 of a value: what map, selectattr, sort and others go by.
Value attribute_of(Value value, const Value& path, Budget& budget) {
  if (path.integer()) return subscript(value, path, budget);
  std::string_view rest = to_string(path, "an attribute");
  for (;;) {
    const size_t dot = std::min(rest.find('.'), rest.size());
    const std::string_view part = rest.substr(0, dot);
    budget.charge(kStep + part.size());
    const std::optional<int64_t> place = read_integer(part, 10);
    value = subscript(value, place && *place >= 0 ? Value(*place) : Value(part), budget);
    if (dot == rest.size()) return value;
    rest.remove_prefix(dot + 1);
  }
}

Value attribute_or_self(const Value& value, const Value& attribute, Budget& budget) {
  return attribute.is_none() ? value : attribute_of(value, attribute, budget);
}

// The key to sort and compare by: letters without their case, unless that is asked for.
Value folded(const Value& value, bool case_sensitive, Budget& budget) {
  if (!value.string() || case_sensitive) return value;
  budget.charge(value.size());
  return lower(*value.string());
}

// Items with the keys that they are sorted by, in that order.
using Keyed = std::vector<std::pair<Value, Value>>;

void sort_keyed(Keyed& items, bool reverse, Budget& budget) {
  std::stable_sort(items.begin(), items.end(), [&](const auto& a, const auto& b) {
    budget.charge(a.first.weight() + b.first.weight());
    return reverse ? compare(b.first, a.first, budget) < 0 : compare(a.first, b.first, budget) < 0;
  });
}

Value pair_of(Value a, Value b) { return Value(List{std::move(a), std::move(b)}, ListKind::tuple); }

List items_of(const Value& value) {
  if (value.is_undefined()) return List();
  require(value.dict() != nullptr, BITNET_ERROR_FORMAT, "chat template: items of ", value.type_name());
  List items;
  for (const auto& [key, item] : *value.dict()) items.push_back(pair_of(key, item));
  return items;
}

Value generator(List items) { return Value(std::move(items), ListKind::generator); }

// --- numbers ---

// Python's int() and float() of a text, without locale.
std::optional<double> read_real(std::string_view text) {
  const std::string plain = without_underscores(strip(text, is_space_character));
  const bool form = !plain.empty() && plain.find_first_not_of("0123456789+-.eE") == plain.npos;
  if (!form) return {};
  std::istringstream stream(plain);
  stream.imbue(std::locale::classic());
  double value = 0;
  if (!(stream >> value) || !stream.eof()) return {};
  return value;
}

Value truncated(double value, const Value& otherwise) {
  constexpr double kLimit = 9223372036854775808.0;  // 2^63
  if (!std::isfinite(value)) return otherwise;
  require(std::fabs(value) < kLimit, BITNET_ERROR_UNSUPPORTED, "chat template: a number does not fit in 64 bits");
  return static_cast<int64_t>(value);
}

Value filter_int(const Value& value, Arguments& arguments, Budget&) {
  Value otherwise = arguments.get(0, "default", int64_t{0});
  const int64_t base = to_integer(arguments.get(1, "base", int64_t{10}), "the base of int");
  if (value.is_whole()) return to_integer(value, "int");
  if (value.real()) return truncated(*value.real(), otherwise);
  if (!value.string()) return otherwise;
  const std::string_view text = strip(value.string()->bytes(), is_space_character);
  if (const std::optional<int64_t> integer = read_integer(text, base)) return *integer;
  const std::optional<double> real = read_real(text);
  return real ? truncated(*real, otherwise) : otherwise;
}

Value filter_float(const Value& value, Arguments& arguments, Budget&) {
  const Value otherwise = arguments.get(0, "default", 0.0);
  if (value.is_number()) return to_real(value, "float");
  const std::optional<double> real = value.string() ? read_real(value.string()->bytes()) : std::nullopt;
  return real ? Value(*real) : otherwise;
}

Value filter_round(const Value& value, Arguments& arguments, Budget&) {
  constexpr int64_t kFinest = 300;
  const int64_t precision = to_integer(arguments.get(0, "precision", int64_t{0}), "the precision of round");
  const Value given = arguments.get(1, "method", "common");
  const std::string method = to_string(given, "the method of round");
  require(precision >= 0 && precision <= kFinest, BITNET_ERROR_UNSUPPORTED, "chat template: round to ", precision,
          " digits");
  if (method == "common") {
    if (value.is_whole()) return to_integer(value, "round");
    const double number = to_real(value, "what is rounded");
    if (!std::isfinite(number)) return number;
    return *read_real(fixed(number, static_cast<int>(precision)));
  }
  require(method == "ceil" || method == "floor", BITNET_ERROR_FORMAT,
          "chat template: round knows common, ceil and floor");
  const double scale = std::pow(10, static_cast<double>(precision));
  const double scaled = to_real(value, "what is rounded") * scale;
  return (method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale;
}

// --- filters ---

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
  for (Value& item : items) item = attribute_or_self(item, attribute, budget);
  return join(items, separator.text(budget), false, budget);
}

Value filter_replace(const Value& value, Arguments& arguments, Budget& budget) {
  const Value old = arguments.need(0, "old"), with = arguments.need(1, "new");
  const Value count = arguments.get(2, "count", None());
  return replace(value.text(budget), old.text(budget).bytes(), with.text(budget),
                 count.is_none() ? -1 : to_integer(count, "the count of replace"), budget);
}

Value filter_tojson(const Value& value, Arguments& arguments, Budget& budget) {
  JsonStyle style;
  const Value indent = arguments.get(1, "indent", None());
  style.ascii = arguments.get(0, "ensure_ascii", false).truth();
  const Value separators = arguments.get(2, "separators", None());
  style.sort_keys = arguments.get(3, "sort_keys", false).truth();
  style.has_indent = !indent.is_none();
  if (indent.string()) {
    style.indent = *indent.string();
  } else if (style.has_indent) {
    const int64_t width = to_integer(indent, "the indent of tojson");
    constexpr int64_t kWidest = 1000;
    require(width <= kWidest, BITNET_ERROR_UNSUPPORTED, "chat template: tojson with an indent above ", kWidest);
    style.indent = Text(std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' '));
  }
  style.item_separator = Text(style.has_indent ? "," : ", ");
  style.key_separator = Text(": ");
  if (!separators.is_none()) {
    require(separators.list() && separators.list()->size() == 2, BITNET_ERROR_FORMAT,
            "chat template: the separators of tojson are two strings");
    style.item_separator = to_text((*separators.list())[0], "a separator of tojson");
    style.key_separator = to_text((*separators.list())[1], "a separator of tojson");
  }
  return to_json(value, style, budget);
}

Value filter_reverse(const Value& value, Arguments&, Budget& budget) {
  if (value.string()) return slice(value, None(), None(), int64_t{-1}, budget);
  List items = iterate(value, budget);
  std::reverse(items.begin(), items.end());
  return generator(std::move(items));
}

// What map, select and their like go through: what is false is taken for nothing.
List items_if_true(const Value& value, Budget& budget) { return value.truth() ? iterate(value, budget) : List(); }

Value filter_map(const Value& value, Arguments& arguments, Budget& budget) {
  const Value attribute = arguments.get(kByName, "attribute", None());
  List items = items_if_true(value, budget);
  if (!attribute.is_none()) {
    const Value otherwise = arguments.get(kByName, "default", Value());
    for (Value& item : items) {
      item = attribute_of(item, attribute, budget);
      if (item.is_undefined()) item = otherwise;
    }
    return generator(std::move(items));
  }
  const Value given = arguments.need(0, "filter");
  const std::string& name = to_string(given, "the filter of map");
  const Filter filter = find_filter(name);
  require(filter != nullptr, BITNET_ERROR_UNSUPPORTED, "chat template: the filter \"", name, "\" is not supported");
  require(filter != filter_map, BITNET_ERROR_UNSUPPORTED, "chat template: map of map is not supported");
  const Arguments rest = arguments.rest(1);
  for (Value& item : items) {
    item = apply_filter(filter, item, rest, budget);
    budget.charge(item.weight());
  }
  return generator(std::move(items));
}

// select, reject, selectattr and rejectattr: the items whose value, or attribute, passes a test, or does not.
Value select(const Value& value, Arguments& arguments, Budget& budget, bool by_attribute, bool wanted) {
  const size_t first = by_attribute ? 1 : 0;
  const Value attribute = by_attribute ? arguments.need(0, "attribute") : Value(None());
  const Value given = arguments.get(first, "test", None());
  const std::string name = given.is_none() ? "" : to_string(given, "the name of a test");
  const Test test = find_test(name);
  require(name.empty() || test, BITNET_ERROR_UNSUPPORTED, "chat template: the test \"", name, "\" is not supported");
  const Arguments rest = arguments.rest(first + 1);
  List chosen;
  for (const Value& item : items_if_true(value, budget)) {
    const Value seen = attribute_or_self(item, attribute, budget);
    const bool passed = test ? apply_test(test, seen, rest, budget) : seen.truth();
    if (passed == wanted) chosen.push_back(item);
  }
  return generator(std::move(chosen));
}

Value filter_sort(const Value& value, Arguments& arguments, Budget& budget) {
  const bool reverse = arguments.get(0, "reverse", false).truth();
  const bool case_sensitive = arguments.get(1, "case_sensitive", false).truth();
  const Value attribute = arguments.get(2, "attribute", None());
  Keyed items;
  for (Value& item : iterate(value, budget)) {
    List keys;  // "a,b": by a, then by b
    if (attribute.string()) budget.charge(attribute.size());
    const std::string paths = attribute.string() ? attribute.string()->bytes() : "";
    for (size_t at = 0; at <= paths.size() && attribute.string();) {
      const size_t comma = std::min(paths.find(',', at), paths.size());
      keys.push_back(folded(attribute_of(item, paths.substr(at, comma - at), budget), case_sensitive, budget));
      at = comma + 1;
    }
    if (keys.empty()) keys.push_back(folded(attribute_or_self(item, attribute, budget), case_sensitive, budget));
    items.emplace_back(std::move(keys), std::move(item));
  }
  sort_keyed(items, reverse, budget);
  List sorted;
  for (auto& [key, item] : items) sorted.push_back(std::move(item));
  return sorted;
}

Value filter_dictsort(const Value& value, Arguments& arguments, Budget& budget) {
  const bool case_sensitive = arguments.get(0, "case_sensitive", false).truth();
  const Value given = arguments.get(1, "by", "key");
  const std::string& by = to_string(given, "what dictsort goes by");
  const bool reverse = arguments.get(2, "reverse", false).truth();
  require(by == "key" || by == "value", BITNET_ERROR_FORMAT, "chat template: dictsort goes by key or value");
  Keyed items;
  for (Value& item : items_of(value)) {
    Value key = folded((*item.list())[by == "key" ? 0 : 1], case_sensitive, budget);
    items.emplace_back(std::move(key), std::move(item));
  }
  sort_keyed(items, reverse, budget);
  List sorted;
  for (auto& [key, item] : items) sorted.push_back(std::move(item));
  return sorted;
}

Value filter_groupby(const Value& value, Arguments& arguments, Budget& budget) {
  const Value attribute = arguments.need(0, "attribute");
  const Value otherwise = arguments.get(1, "default", None());
  const bool case_sensitive = arguments.get(2, "case_sensitive", false).truth();
  Keyed items;
  for (Value& item : iterate(value, budget)) {
    Value key = attribute_of(item, attribute, budget);
    if (key.is_undefined()) key = otherwise;
    items.emplace_back(folded(key, case_sensitive, budget), std::move(item));
  }
  sort_keyed(items, false, budget);
  List groups;
  for (size_t begin = 0; begin < items.size();) {
    List group;
    size_t end = begin;
    for (; end < items.size() && equal(items[end].first, items[begin].first, budget); ++end) {
      group.push_back(items[end].second);
    }
    Value name = attribute_of(items[begin].second, attribute, budget);  // as it is written in the first of the group
    if (name.is_undefined()) name = otherwise;
    groups.push_back(Value(List{std::move(name), std::move(group)}, ListKind::group));
    begin = end;
  }
  return groups;
}

Value filter_unique(const Value& value, Arguments& arguments, Budget& budget) {
  const bool case_sensitive = arguments.get(0, "case_sensitive", false).truth();
  const Value attribute = arguments.get(1, "attribute", None());
  List seen, chosen;
  for (const Value& item : iterate(value, budget)) {
    const Value key = folded(attribute_or_self(item, attribute, budget), case_sensitive, budget);
    if (std::any_of(seen.begin(), seen.end(), [&](const Value& one) { return equal(one, key, budget); })) continue;
    seen.push_back(key);
    chosen.push_back(item);
  }
  return generator(std::move(chosen));
}

// min and max: the first of the least, or of the greatest.
Value extreme(const Value& value, Arguments& arguments, Budget& budget, bool greatest) {
  const bool case_sensitive = arguments.get(0, "case_sensitive", false).truth();
  const Value attribute = arguments.get(1, "attribute", None());
  Value best, best_key;
  bool any = false;
  for (const Value& item : iterate(value, budget)) {
    const Value key = folded(attribute_or_self(item, attribute, budget), case_sensitive, budget);
    const int order = any ? compare(key, best_key, budget) : 0;
    if (any && (greatest ? order <= 0 : order >= 0)) continue;
    any = true;
    best = item;
    best_key = key;
  }
  return best;
}

Value filter_sum(const Value& value, Arguments& arguments, Budget& budget) {
  const Value attribute = arguments.get(0, "attribute", None());
  Value total = arguments.get(1, "start", int64_t{0});
  require(!total.string(), BITNET_ERROR_FORMAT, "chat template: sum of strings; join them");
  for (const Value& item : iterate(value, budget)) {
    total = add(total, attribute_or_self(item, attribute, budget));
    budget.charge(total.weight());
  }
  return total;
}

Value filter_batch(const Value& value, Arguments& arguments, Budget& budget) {
  const int64_t count = to_integer(arguments.need(0, "linecount"), "the size of a batch");
  const Value fill = arguments.get(1, "fill_with", None());
  require(count > 0, BITNET_ERROR_FORMAT, "chat template: the size of a batch is ", count, "; it must be 1 or more");
  List batches, batch;
  const List items = iterate(value, budget);
  for (size_t i = 0; i < items.size(); ++i) {
    batch.push_back(items[i]);
    if (static_cast<int64_t>(batch.size()) == count) batches.emplace_back(std::exchange(batch, {}));
  }
  if (!batch.empty()) {
    while (!fill.is_none() && static_cast<int64_t>(batch.size()) < count) {
      budget.charge(fill.weight());
      batch.push_back(fill);
    }
    batches.emplace_back(std::move(batch));
  }
  return generator(std::move(batches));
}

Value filter_slice(const Value& value, Arguments& arguments, Budget& budget) {
  const int64_t slices = to_integer(arguments.need(0, "slices"), "the number of slices");
  const Value fill = arguments.get(1, "fill_with", None());
  require(slices > 0, BITNET_ERROR_FORMAT, "chat template: ", slices, " slices");
  constexpr size_t kList = 256;  // what an empty list takes
  const List items = iterate(value, budget);
  const auto count = static_cast<size_t>(slices);
  const size_t each = items.size() / count, longer = items.size() % count;
  List made;
  size_t at = 0;
  for (size_t i = 0; i < count; ++i) {
    budget.charge(kList);
    const size_t end = at + each + (i < longer ? 1 : 0);
    List slice(items.begin() + static_cast<ptrdiff_t>(at), items.begin() + static_cast<ptrdiff_t>(end));
    if (!fill.is_none() && i >= longer) slice.push_back(fill);
    made.emplace_back(std::move(slice));
    at = end;
  }
  return generator(std::move(made));
}

Value filter_format(const Value& value, Arguments& arguments, Budget& budget) {
  List places;
  Dict names;
  for (const auto& [name, argument] : arguments.take_all()) {
    if (name.empty()) {
      places.push_back(argument);
    } else {
      assign(names, name, argument, budget);
    }
  }
  require(places.empty() || names.empty(), BITNET_ERROR_FORMAT,
          "chat template: format takes values by place or by name, not both");
  const Value values = names.empty() ? Value(std::move(places), ListKind::tuple) : Value(std::move(names));
  return percent_format(value.text(budget), values, budget);
}

Value filter_indent(const Value& value, Arguments& arguments, Budget& budget) {
  const Value width = arguments.get(0, "width", int64_t{4});
  const bool first = arguments.get(1, "first", false).truth();
  const bool blank = arguments.get(2, "blank", false).truth();
  const Text indent =
      width.string() ? *width.string() : *multiply(" ", to_integer(width, "the width of indent"), budget).string();
  return indented(value.text(budget), indent, first, blank, budget);
}

Value filter_truncate(const Value& value, Arguments& arguments, Budget& budget) {
  const int64_t most = to_integer(arguments.get(0, "length", int64_t{255}), "the length of truncate");
  const bool cut_words = arguments.get(1, "killwords", false).truth();
  const Value end = arguments.get(2, "end", "...");
  const int64_t leeway = to_integer(arguments.get(3, "leeway", int64_t{5}), "the leeway of truncate");
  const Text text = value.text(budget);
  const Text& mark = to_text(end, "the end of truncate");
  const int64_t kept = most - count_characters(mark.bytes());
  require(kept >= 0 && leeway >= 0 && leeway <= std::numeric_limits<int32_t>::max() &&
              most <= std::numeric_limits<int32_t>::max(),
          BITNET_ERROR_FORMAT, "chat template: truncate to length ", most, ", with what stands for the rest");
  if (count_characters(text.bytes()) <= most + leeway) return text;
  Text out = *slice(text, None(), kept, None(), budget).string();
  if (!cut_words) {
    const std::string_view bytes = out.bytes();
    out = out.part(bytes.substr(0, std::min(bytes.rfind(' '), bytes.size())));
  }
  out.append(mark);
  return out;
}

Value filter_wordcount(const Value& value, Arguments&, Budget& budget) {
  const Text text = value.text(budget);
  int64_t words = 0;
  bool inside = false;
  for (const char c : text.bytes()) {
    const bool letter = is_ascii_word(c, "wordcount");
    words += letter && !inside ? 1 : 0;
    inside = letter;
  }
  return words;
}

Text url_quoted(const Text& text, bool query) {
  constexpr std::string_view kSafe = "_.-~";
  constexpr char kDigits[] = "0123456789ABCDEF";
  Text out;
  each_character(text, [&](std::string_view character, bool foreign) {
    for (const char c : character) {
      const auto byte = static_cast<unsigned char>(c);
      const bool letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      if (letter || kSafe.find(c) != kSafe.npos || (c == '/' && !query)) {
        out.append({&c, 1}, foreign);
      } else if (c == ' ' && query) {
        out.append("+", foreign);
      } else {
        out.append(std::string{'%', kDigits[byte >> 4], kDigits[byte & 15]}, foreign);
      }
    }
  });
  return out;
}

Value filter_urlencode(const Value& value, Arguments&, Budget& budget) {
  if (value.string() || !(value.list() || value.dict())) return url_quoted(value.text(budget), false);
  const List items = value.dict() ? items_of(value) : iterate(value, budget);
  Text out;
  for (const Value& item : items) {
    require(item.list() && item.list()->size() == 2, BITNET_ERROR_FORMAT,
            "chat template: urlencode of a list that is not one of pairs");
    budget.charge(item.weight());
    if (!out.empty()) out.append("&");
    out.append(url_quoted((*item.list())[0].text(budget), true));
    out.append("=");
    out.append(url_quoted((*item.list())[1].text(budget), true));
  }
  return out;
}

Value filter_escape(const Value& value, Arguments&, Budget& budget) {
  Text out;
  const Text text = value.text(budget);
  each_character(text, [&](std::string_view character, bool foreign) {
    constexpr std::string_view kPlain = "&<>'\"";
    constexpr std::string_view kEscaped[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    const size_t found = kPlain.find(character);
    out.append(found == kPlain.npos ? character : kEscaped[found], foreign);
  });
  return out;
}

Value filter_abs(const Value& value, Arguments&, Budget& budget) {
  return compare(value, int64_t{0}, budget) < 0 ? negate(value)
         : value.boolean()                      ? Value(to_integer(value, "abs"))
                                                : value;
}

const std::pair<std::string_view, Filter> kFilters[] = {
    {"abs", filter_abs},
    {"batch", filter_batch},
    {"capitalize", [](const Value& v, Arguments&, Budget& budget) { return Value(capitalize(v.text(budget))); }},
    {"center",
     [](const Value& v, Arguments& a, Budget& b) {
       const int64_t width = to_integer(a.get(0, "width", int64_t{80}), "the width of center");
       return Value(padded(v.text(b), width, Align::center, Text(" "), b));
     }},
    {"count", [](const Value& v, Arguments&, Budget&) { return Value(length(v)); }},
    {"d", filter_default},
    {"default", filter_default},
    {"dictsort", filter_dictsort},
    {"e", filter_escape},
    {"escape", filter_escape},
    {"first", filter_first},
    {"float", filter_float},
    {"forceescape", filter_escape},
    {"format", filter_format},
    {"groupby", filter_groupby},
    {"indent", filter_indent},
    {"int", filter_int},
    {"items", [](const Value& v, Arguments&, Budget&) { return generator(items_of(v)); }},
    {"join", filter_join},
    {"last", filter_last},
    {"length", [](const Value& v, Arguments&, Budget&) { return Value(length(v)); }},
    {"list", [](const Value& v, Arguments&, Budget& b) { return Value(iterate(v, b)); }},
    {"lower", [](const Value& v, Arguments&, Budget& budget) { return Value(lower(v.text(budget))); }},
    {"map", filter_map},
    {"max", [](const Value& v, Arguments& a, Budget& b) { return extreme(v, a, b, true); }},
    {"min", [](const Value& v, Arguments& a, Budget& b) { return extreme(v, a, b, false); }},
    {"reject", [](const Value& v, Arguments& a, Budget& b) { return select(v, a, b, false, false); }},
    {"rejectattr", [](const Value& v, Arguments& a, Budget& b) { return select(v, a, b, true, false); }},
    {"replace", filter_replace},
    {"reverse", filter_reverse},
    {"round", filter_round},
    {"safe", [](const Value& v, Arguments&, Budget& budget) { return Value(v.text(budget)); }},
    {"select", [](const Value& v, Arguments& a, Budget& b) { return select(v, a, b, false, true); }},
    {"selectattr", [](const Value& v, Arguments& a, Budget& b) { return select(v, a, b, true, true); }},
    {"slice", filter_slice},
    {"sort", filter_sort},
    {"string", [](const Value& v, Arguments&, Budget& budget) { return Value(v.text(budget)); }},
    {"sum", filter_sum},
    {"title", [](const Value& v, Arguments&, Budget& budget) { return Value(filter_title(v.text(budget))); }},
    {"tojson", filter_tojson},
    {"trim", [](const Value& v, Arguments& a,
                Budget& budget) { return Value(strip(v.text(budget), a.get(0, "chars", None()), Side::both)); }},
    {"truncate", filter_truncate},
    {"unique", filter_unique},
    {"upper", [](const Value& v, Arguments&, Budget& budget) { return Value(upper(v.text(budget))); }},
    {"urlencode", filter_urlencode},
    {"wordcount", filter_wordcount},
};

// --- tests ---

bool is_even(const Value& value) { return !modulo(value, int64_t{2}).truth(); }

bool test_eq(const Value& v, Arguments& a, Budget& b) { return equal(v, a.need(0, "other"), b); }
bool test_ne(const Value& v, Arguments& a, Budget& b) { return !equal(v, a.need(0, "other"), b); }
bool test_lt(const Value& v, Arguments& a, Budget& b) { return compare(v, a.need(0, "other"), b) < 0; }
bool test_le(const Value& v, Arguments& a, Budget& b) { return compare(v, a.need(0, "other"), b) <= 0; }
bool test_gt(const Value& v, Arguments& a, Budget& b) { return compare(v, a.need(0, "other"), b) > 0; }
bool test_ge(const Value& v, Arguments& a, Budget& b) { return compare(v, a.need(0, "other"), b) >= 0; }

// What has a length and can be indexed.
bool test_sequence(const Value& v, Arguments&, Budget&) {
  const bool lazy = v.is(ListKind::generator) || v.is(ListKind::view);
  return v.string() || (v.list() && !lazy) || v.dict() || v.is_undefined();
}

bool test_callable(const Value& v, Arguments&, Budget&) {
  return v.object() && v.object()->kind != Object::Kind::name_space;
}

const std::pair<std::string_view, Test> kTests[] = {
    {"!=", test_ne},
    {"<", test_lt},
    {"<=", test_le},
    {"==", test_eq},
    {">", test_gt},
    {">=", test_ge},
    {"boolean", [](const Value& v, Arguments&, Budget&) { return v.boolean() != nullptr; }},
    {"callable", test_callable},
    {"defined", [](const Value& v, Arguments&, Budget&) { return !v.is_undefined(); }},
    {"divisibleby", [](const Value& v, Arguments& a, Budget&) { return !modulo(v, a.need(0, "num")).truth(); }},
    {"eq", test_eq},
    {"equalto", test_eq},
    {"escaped", [](const Value&, Arguments&, Budget&) { return false; }},
    {"even", [](const Value& v, Arguments&, Budget&) { return is_even(v); }},
    {"false", [](const Value& v, Arguments&, Budget&) { return v.boolean() && !*v.boolean(); }},
    {"filter",
     [](const Value& v, Arguments&, Budget&) { return find_filter(to_string(v, "the name of a filter")) != nullptr; }},
    {"float", [](const Value& v, Arguments&, Budget&) { return v.real() != nullptr; }},
    {"ge", test_ge},
    {"greaterthan", test_gt},
    {"gt", test_gt},
    {"in", [](const Value& v, Arguments& a, Budget& b) { return contains(a.need(0, "seq"), v, b); }},
    {"integer", [](const Value& v, Arguments&, Budget&) { return v.integer() != nullptr; }},
    {"iterable",
     [](const Value& v, Arguments&, Budget&) { return v.string() || v.list() || v.dict() || v.is_undefined(); }},
    {"le", test_le},
    {"lessthan", test_lt},
    {"lower", [](const Value& v, Arguments&, Budget& budget) { return is_lower(v.text(budget).bytes()); }},
    {"lt", test_lt},
    {"mapping", [](const Value& v, Arguments&, Budget&) { return v.dict() != nullptr; }},
    {"ne", test_ne},
    {"none", [](const Value& v, Arguments&, Budget&) { return v.is_none(); }},
    {"number", [](const Value& v, Arguments&, Budget&) { return v.is_number(); }},
    {"odd", [](const Value& v, Arguments&, Budget&) { return !is_even(v); }},
    {"sameas", [](const Value& v, Arguments& a, Budget&) { return Value::same(v, a.need(0, "other")); }},
    {"sequence", test_sequence},
    {"string", [](const Value& v, Arguments&, Budget&) { return v.string() != nullptr; }},
    {"test",
     [](const Value& v, Arguments&, Budget&) { return find_test(to_string(v, "the name of a test")) != nullptr; }},
    {"true", [](const Value& v, Arguments&, Budget&) { return v.boolean() && *v.boolean(); }},
    {"undefined", [](const Value& v, Arguments&, Budget&) { return v.is_undefined(); }},
    {"upper", [](const Value& v, Arguments&, Budget& budget) { return is_upper(v.text(budget).bytes()); }},
};

// --- methods ---

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

bool is_digit(char c) { return c >= '0' && c <= '9'; }
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

template <typename Table>
auto* look_up(const Table& table, std::string_view name) {
  const auto found = std::find_if(std::begin(table), std::end(table), [&](auto& entry) { return entry.first == name; });
  return found == std::end(table) ? nullptr : &found->second;
}

bool is_sequence(const Value& value) { return value.is(ListKind::list) || value.is(ListKind::tuple); }

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

Filter find_filter(std::string_view name) {
  const Filter* found = look_up(kFilters, name);
  return found ? *found : nullptr;
}

Test find_test(std::string_view name) {
  const Test* found = look_up(kTests, name);
  return found ? *found : nullptr;
}

void charge_search(const Value& text, const Value& sought, Budget& budget) {
  constexpr size_t kAtOnce = 64;  // bytes that are compared in the time of one step
  if (!text.string() || !sought.string()) return;
  budget.charge(text.string()->size() * sought.string()->size() / kAtOnce + sought.string()->size());
}

Value apply_filter(Filter filter, const Value& value, Arguments arguments, Budget& budget) {
  budget.charge(value.size());
  for (const auto& [name, argument] : arguments.all()) {
    budget.charge(kStep + name.size());
    charge_search(value, argument, budget);
  }
  Value result = filter(value, arguments, budget);
  arguments.done();
  return result;
}

bool apply_test(Test test, const Value& value, Arguments arguments, Budget& budget) {
  budget.charge(value.size());
  for (const auto& [name, argument] : arguments.all()) {
    budget.charge(kStep + name.size() + value.weight() + argument.weight());
    charge_search(argument, value, budget);
  }
  const bool result = test(value, arguments, budget);
  arguments.done();
  return result;
}

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

Value call_function(std::string_view name, Arguments arguments, Budget& budget) {
  if (name == "range") return range(arguments, budget);
  if (name == "dict") return make_dict(arguments, budget);
  if (name == "raise_exception") {
    fail(BITNET_ERROR_ARGUMENT, "chat template: ", arguments.need(0, "message").text(budget).bytes());
  }
  fail(BITNET_ERROR_INTERNAL, "chat template: the function ", name, " has no code");
}

}  // namespace bitnet::jinja
