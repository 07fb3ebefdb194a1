// SPDX-License-Identifier: MIT
#include "table.h"

#include <algorithm>

namespace bitnet::program {

namespace {

// Code points, each as wide as the next in what is written here.
size_t width(const std::string& text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

std::string aligned(const Cells& cells, bool markdown, size_t first_number) {
  std::vector<size_t> widths(cells.front().size());
  for (const auto& row : cells) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::string text;
  for (const auto& row : cells) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string filling(widths[i] - width(row[i]), ' ');
      line += (markdown ? "| "
               : i      ? "  "
                        : "") +
              (i < first_number ? row[i] + filling : filling + row[i]) + (markdown ? " " : "");
    }
    text += line + (markdown ? "|\n" : "\n");
    if (!markdown || &row != &cells.front()) continue;
    for (size_t i = 0; i < row.size(); ++i) {
      text += "|" + std::string(widths[i] + 1, '-') + (i < first_number ? "-" : ":");
    }
    text += "|\n";
  }
  return text;
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) result += c == '"' ? "\"\"" : std::string(1, c);
  return result + "\"";
}

}  // namespace bitnet::program
