// SPDX-License-Identifier: MIT
// Text of which some parts are foreign: they came from a conversation's messages, not from the model's template.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace bitnet {

// Bytes begin .. end of a text.
struct Range {
  size_t begin, end;
  bool operator==(const Range&) const = default;
};

struct MarkedText {
  std::string text;
  std::vector<Range> foreign;  // in order, none empty, none touching another
};

}  // namespace bitnet
