// SPDX-License-Identifier: MIT
// Changes of case, as Python's str makes them: Unicode's full mappings, with the sigma that ends a word.
#pragma once

#include <string_view>

#include "text/jinja/text.h"

namespace bitnet::jinja {

Text lower(const Text& text);
Text upper(const Text& text);
Text capitalize(const Text& text);
Text title(const Text& text);
// Jinja's filter: words begin behind white space and -({[<.
Text filter_title(const Text& text);

// All characters that have a case have this one, and one has.
bool is_lower(std::string_view text);
bool is_upper(std::string_view text);

}  // namespace bitnet::jinja
