// SPDX-License-Identifier: MIT
// Chooses among the tables of a CPU.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "cpu.h"
#include "kernels.h"

namespace bitnet {

class Dispatch {
 public:
  explicit Dispatch(const Cpu& cpu);

  KernelList available() const { return {available_.data(), available_.size()}; }
  // As find_kernels. Makes the request of a set only if the sets before it cannot be meant.
  const Kernels* find(std::string_view name) const;
  // As find_unrequested_kernels.
  const Kernels* find_unrequested() const;

  const std::string& names() const { return names_; }
  const std::string& features() const { return features_; }

 private:
  struct Table {
    Kernels kernels;
    bool runs;
    bool (*request)();
  };

  std::deque<Table> tables_;               // fastest first; the last is scalar
  std::vector<const Kernels*> available_;  // those that run
  std::string names_, features_;
};

}  // namespace bitnet
