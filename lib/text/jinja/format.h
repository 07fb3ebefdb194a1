// SPDX-License-Identifier: MIT
// Python's two ways to fill a format: "%s" % values and "{}".format(values).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace bitnet::jinja {

Text percent_format(const Text& format, const Value& values, Budget& budget);
Text brace_format(const Text& format, const std::vector<std::pair<std::string, Value>>& values, Budget& budget);

enum class Align { left, right, center, middle };  // center: str.center(); middle: "^" in a format
// `width` in characters; `fill` is one character.
Text padded(const Text& text, int64_t width, Align align, const Text& fill, Budget& budget);

// The decimal number with `precision` digits behind the point, rounded as Python does.
std::string fixed(double value, int precision);

}  // namespace bitnet::jinja
