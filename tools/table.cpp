// SPDX-License-Identifier: MIT
#include "table.h"

#include <algorithm>
#include <cmath>

namespace bitnet::program {

std::string aligned(const Cells& cells, bool markdown, size_t first_number) {
  std::vector<size_t> widths(cells.front().size());
  for (const auto& row : cells) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : cells) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string filling(widths[i] - row[i].size(), ' ');
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

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double quantile(std::vector<double> values, double share) {
  std::ranges::sort(values);
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::min(std::max<size_t>(rank, 1), values.size()) - 1];
}

}  // namespace bitnet::program
