// SPDX-License-Identifier: MIT
// bitnet bench --report: the results as JSON, and a page that Python's bitnet.report makes of it.
#pragma once

#include <string>

namespace bitnet::program {

class Report {
 public:
  // Throws Stop if there the files cannot be written, before anything is measured.
  explicit Report(const std::string& path);
  // Writes the JSON and has the page made; where that is not installed, says how to install it.
  void write(const std::string& json) const;

 private:
  std::string page_, json_;
};

}  // namespace bitnet::program
