// SPDX-License-Identifier: MIT
// Unicode's Normalization Form C (UAX 15), by utf8proc: "e" and a combining acute accent become "é".
#pragma once

#include <string>
#include <string_view>

namespace bitnet {

// A quick look. False does not mean that composing changes anything.
bool is_surely_composed(std::string_view text);

// The text in NFC. Bytes that are not UTF-8 stay as they are, and nothing composes across them. Takes O(n log n),
// whatever the text.
std::string compose(std::string_view text);

}  // namespace bitnet
