// SPDX-License-Identifier: MIT
// Numbers of any kind as one.
#pragma once

#include <cstdint>

#include "text/jinja/value.h"

namespace bitnet::jinja {

// Of is_whole().
inline int64_t whole(const Value& value) { return value.integer() ? *value.integer() : int64_t{*value.boolean()}; }

// Of is_number().
inline double as_real(const Value& value) { return value.real() ? *value.real() : static_cast<double>(whole(value)); }

}  // namespace bitnet::jinja
