// SPDX-License-Identifier: MIT
// Jinja's filters (jinja2/filters.py).
#include <algorithm>
#include <cmath>
#include <functional>
#include <locale>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "text/jinja/builtin_tables.h"
#include "text/jinja/case.h"
#include "text/jinja/format.h"
#include "text/jinja/strings.h"
#include "text/jinja/unicode.h"

namespace bitnet::jinja {
namespace {

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

}  // namespace

Filter find_filter(std::string_view name) {
  const Filter* found = look_up(kFilters, name);
  return found ? *found : nullptr;
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

}  // namespace bitnet::jinja
