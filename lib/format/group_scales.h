// SPDX-License-Identifier: MIT
// The scales of a ternary matrix as the types g128 and g64 hold them, and what rounding to binary16 does to a model.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "base/log.h"
#include "format/source.h"

namespace bitnet {

// Values that were rounded to binary16, and by how much.
struct Rounding {
  uint64_t values = 0, inexact = 0;
  double largest = 0;   // |error|
  double relative = 0;  // the largest |error| / |value| of values in binary16's normal range

  void note(float value, float rounded);
};
// Of several threads.
class RoundingTotal {
 public:
  void add(const Rounding& part);
  bool is_exact() const { return total_.inexact == 0; }
  // What was rounded, in words: to that type.
  std::string text(const char* type = "F16") const;
  // Says so, if anything was.
  void report(const Log& log, bitnet_log_level level) const;

 private:
  std::mutex mutex_;
  Rounding total_;
};

// A weight is scale of the tensor or row x group scale x trit. Scales that binary16 holds are group scales as they are;
// otherwise each row has a power of two by which its group scales come into binary16's range. What has one scale for a
// row or for the matrix keeps it there, exactly, and its group scales are 1.
class GroupScales {
 public:
  GroupScales(const TernaryScales& found, uint32_t rows, uint32_t cols, uint32_t group);

  const std::vector<float>& of_tensor() const { return of_tensor_; }
  // The group scales of a row as binary16.
  void write_row(uint32_t row, uint16_t* out) const;
  Rounding rounding() const;

 private:
  float scale_at(uint32_t row, uint32_t group) const;
  float factor(uint32_t row) const { return of_tensor_.size() == 1 ? of_tensor_[0] : of_tensor_[row]; }

  const TernaryScales& found_;
  const uint32_t rows_, groups_, found_groups_, repeat_;
  std::vector<float> of_tensor_;
};

}  // namespace bitnet
