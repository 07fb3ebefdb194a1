// SPDX-License-Identifier: MIT
// Python's operators.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "text/jinja/number.h"

namespace bitnet::jinja {
namespace {

[[noreturn]] void refuse(std::string_view operation, const Value& a, const Value& b) {
  fail(BITNET_ERROR_FORMAT, "chat template: cannot ", operation, " ", a.type_name(), " and ", b.type_name());
}

void require_fit(bool overflow) {
  require(!overflow, BITNET_ERROR_UNSUPPORTED, "chat template: a number does not fit in 64 bits");
}

void require_divisor(bool nonzero) { require(nonzero, BITNET_ERROR_FORMAT, "chat template: division by zero"); }

}  // namespace

Value add(const Value& a, const Value& b) {
  if (a.string() && b.string()) {
    Text joined = *a.string();
    joined.append(*b.string());
    return joined;
  }
  const bool lists = a.list() && b.list() && a.list_kind() == b.list_kind();
  if (lists && (a.is(ListKind::list) || a.is(ListKind::tuple))) {
    List joined = *a.list();
    joined.insert(joined.end(), b.list()->begin(), b.list()->end());
    return Value(std::move(joined), a.list_kind());
  }
  if (a.is_whole() && b.is_whole()) {
    int64_t sum = 0;
    require_fit(__builtin_add_overflow(whole(a), whole(b), &sum));
    return sum;
  }
  if (a.is_number() && b.is_number()) return as_real(a) + as_real(b);
  refuse("add", a, b);
}

Value subtract(const Value& a, const Value& b) {
  if (a.is_whole() && b.is_whole()) {
    int64_t difference = 0;
    require_fit(__builtin_sub_overflow(whole(a), whole(b), &difference));
    return difference;
  }
  if (a.is_number() && b.is_number()) return as_real(a) - as_real(b);
  refuse("subtract", a, b);
}

Value multiply(const Value& a, const Value& b, Budget& budget) {
  if (a.is_whole() && b.is_whole()) {
    int64_t product = 0;
    require_fit(__builtin_mul_overflow(whole(a), whole(b), &product));
    return product;
  }
  if (a.is_number() && b.is_number()) return as_real(a) * as_real(b);
  if (a.is_whole() && (b.string() || b.list())) return multiply(b, a, budget);
  const bool repeats = a.string() || a.is(ListKind::list) || a.is(ListKind::tuple);
  if (!repeats || !b.is_whole()) refuse("multiply", a, b);
  const auto times = static_cast<size_t>(std::max<int64_t>(whole(b), 0));
  size_t work = 0;
  if (__builtin_mul_overflow(times, std::max<size_t>(a.weight(), 1), &work)) work = std::numeric_limits<size_t>::max();
  const bool nothing = a.string() ? a.string()->empty() : a.list()->empty();
  if (nothing || times == 0) return a.string() ? Value("") : Value(List(), a.list_kind());
  budget.charge(work);
  if (a.list()) {
    List repeated;
    for (size_t i = 0; i < times; ++i) repeated.insert(repeated.end(), a.list()->begin(), a.list()->end());
    return Value(std::move(repeated), a.list_kind());
  }
  Text repeated;
  for (size_t i = 0; i < times; ++i) repeated.append(*a.string());
  return repeated;
}

Value divide(const Value& a, const Value& b) {
  if (!a.is_number() || !b.is_number()) refuse("divide", a, b);
  require_divisor(as_real(b) != 0);
  return as_real(a) / as_real(b);
}

// Python rounds the quotient down, and gives the remainder the sign of the divisor.
Value floor_divide(const Value& a, const Value& b) {
  if (!a.is_number() || !b.is_number()) refuse("divide", a, b);
  require_divisor(as_real(b) != 0);
  if (!a.is_whole() || !b.is_whole()) return std::floor(as_real(a) / as_real(b));
  const int64_t x = whole(a), y = whole(b);
  if (y == -1) return subtract(int64_t{0}, a);
  return x / y - (x % y != 0 && (x % y < 0) != (y < 0) ? 1 : 0);
}

Value modulo(const Value& a, const Value& b) {
  if (!a.is_number() || !b.is_number()) refuse("divide", a, b);
  require_divisor(as_real(b) != 0);
  if (a.is_whole() && b.is_whole()) {
    const int64_t x = whole(a), y = whole(b);
    if (y == -1) return int64_t{0};
    const int64_t remainder = x % y;
    return remainder != 0 && (remainder < 0) != (y < 0) ? remainder + y : remainder;
  }
  const double x = as_real(a), y = as_real(b);
  const double remainder = std::fmod(x, y);
  return remainder != 0 && (remainder < 0) != (y < 0) ? remainder + y : remainder;
}

Value power(const Value& a, const Value& b) {
  if (!a.is_number() || !b.is_number()) refuse("raise", a, b);
  if (!a.is_whole() || !b.is_whole() || whole(b) < 0) {
    require(as_real(a) != 0 || as_real(b) >= 0, BITNET_ERROR_FORMAT, "chat template: zero to a negative power");
    const double result = std::pow(as_real(a), as_real(b));
    require(!std::isnan(result) && !std::isinf(result), BITNET_ERROR_FORMAT,
            "chat template: a power that is not a finite number");
    return result;
  }
  int64_t result = 1, factor = whole(a);
  for (int64_t exponent = whole(b); exponent > 0; exponent >>= 1) {
    if (exponent & 1) require_fit(__builtin_mul_overflow(result, factor, &result));
    if (exponent > 1) require_fit(__builtin_mul_overflow(factor, factor, &factor));
  }
  return result;
}

Value negate(const Value& a) {
  if (a.real()) return -*a.real();
  require(a.is_number(), BITNET_ERROR_FORMAT, "chat template: cannot negate ", a.type_name());
  return subtract(int64_t{0}, a);
}

int compare(const Value& first, const Value& second, Budget& budget) {
  const auto order = [](const auto& x, const auto& y) { return x < y ? -1 : y < x ? 1 : 0; };
  const Value *a = &first, *b = &second;
  // The first items that differ decide, and of those again.
  while (a->list() && b->list() && a->list_kind() == b->list_kind()) {
    const List &x = *a->list(), &y = *b->list();
    size_t i = 0;
    while (i < std::min(x.size(), y.size()) && equal(x[i], y[i], budget)) ++i;
    if (i == std::min(x.size(), y.size())) return order(x.size(), y.size());
    a = &x[i];
    b = &y[i];
  }
  budget.charge(kCompare + (a->string() && b->string() ? std::min(a->size(), b->size()) / kComparedAtOnce : 0));
  if (a->is_whole() && b->is_whole()) return order(whole(*a), whole(*b));
  if (a->is_number() && b->is_number()) return order(as_real(*a), as_real(*b));
  if (a->string() && b->string()) return order(a->string()->bytes(), b->string()->bytes());
  refuse("compare", *a, *b);
}

bool contains(const Value& container, const Value& item, Budget& budget) {
  if (container.string())
    return container.string()->bytes().find(to_string(item, "what is looked for in a string")) != std::string::npos;
  if (container.list()) {
    if (container.used_up()) return false;
    return std::any_of(container.list()->begin(), container.list()->end(),
                       [&](const Value& one) { return equal(one, item, budget); });
  }
  if (container.dict()) return find(*container.dict(), item, budget) != nullptr;
  if (container.is_undefined()) return false;
  fail(BITNET_ERROR_FORMAT, "chat template: cannot look for something in ", container.type_name());
}

}  // namespace bitnet::jinja
