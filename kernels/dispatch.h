// SPDX-License-Identifier: MIT
// Chooses among the tables of a CPU.
#pragma once

#include <atomic>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "cpu.h"
#include "kernels.h"
#include "self_check.h"

namespace bitnet {

class Dispatch {
 public:
  // A set is used if its table passes the check, which is made when it is first chosen.
  explicit Dispatch(const Cpu& cpu, bool (*check)(const Kernels&) = passes_self_check);

  KernelList available() const { return {available_.data(), available_.size()}; }
  // As find_kernels. Makes the request of a set only if the sets before it cannot be meant.
  const Kernels* find(std::string_view name) const;
  // As find_unrequested_kernels.
  const Kernels* find_unrequested() const;
  // As is_distrusted.
  bool is_distrusted(std::string_view name) const;

  const std::string& names() const { return names_; }
  const std::string& features() const { return features_; }

 private:
  struct Table {
    Table(const Kernels& kernels, bool runs, bool (*request)()) : kernels(kernels), runs(runs), request(request) {}
    const Kernels kernels;
    const bool runs;
    bool (*const request)();
    mutable std::once_flag checked;
    mutable std::atomic<bool> fails = false;
  };
  bool is_usable(const Table& table) const;

  bool (*check_)(const Kernels&);
  std::deque<Table> tables_;               // fastest first; the last is scalar
  std::vector<const Kernels*> available_;  // those that run
  std::string names_, features_;
};

}  // namespace bitnet
