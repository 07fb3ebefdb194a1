// SPDX-License-Identifier: MIT
// Results as text: aligned columns, or a table of Markdown.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace bitnet::program {

// Rows of text, the first the heading.
using Cells = std::vector<std::vector<std::string>>;

// Columns from `first_number` on stand on the right.
std::string aligned(const Cells& cells, bool markdown, size_t first_number);

// As a field of CSV.
std::string quoted(const std::string& text);

}  // namespace bitnet::program
