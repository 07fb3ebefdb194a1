// SPDX-License-Identifier: MIT
// Jinja's tests (jinja2/tests.py).
#include "text/jinja/builtin_tables.h"
#include "text/jinja/case.h"

namespace bitnet::jinja {
namespace {

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

}  // namespace

Test find_test(std::string_view name) {
  const Test* found = look_up(kTests, name);
  return found ? *found : nullptr;
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

}  // namespace bitnet::jinja
