// SPDX-License-Identifier: MIT
#include "dispatch.h"

#include <algorithm>
#include <tuple>

namespace bitnet {
namespace {

const Dispatch& dispatch() {
  static const Dispatch of_this_cpu(this_cpu());
  return of_this_cpu;
}

void add_name(std::string& line, const char* separator, const char* name) {
  if (!line.empty()) line += separator;
  line += name;
}

}  // namespace

Kernels table_of(const KernelLayer& layer) {
  if (layer.below == nullptr) return layer.kernels;
  Kernels table = table_of(*layer.below);
  table.name = layer.kernels.name;
  if (layer.kernels.ternary.i2.multiply != nullptr) table.ternary = layer.kernels.ternary;
  const auto take = [&](auto function) {
    if (layer.kernels.*function != nullptr) table.*function = layer.kernels.*function;
  };
  std::apply([&](auto... function) { (take(function), ...); }, kFunctions);
  return table;
}

Dispatch::Dispatch(const Cpu& cpu, bool (*check)(const Kernels&)) : check_(check) {
  for (const InstructionSet& set : cpu.sets) tables_.emplace_back(table_of(*set.layer), set.runs, set.request);
  tables_.emplace_back(table_of(scalar_layer), true, nullptr);
  for (const Table& table : tables_) {
    if (table.runs) available_.push_back(&table.kernels);
    add_name(names_, ", ", table.kernels.name);
  }
  for (const Feature& feature : cpu.features) {
    if (feature.present) add_name(features_, " ", feature.name);
  }
}

bool Dispatch::is_usable(const Table& table) const {
  if (!table.runs || (table.request != nullptr && !table.request())) return false;
  std::call_once(table.checked, [&] { table.fails = !check_(table.kernels); });
  return !table.fails;
}

const Kernels* Dispatch::find(std::string_view name) const {
  const auto found = std::ranges::find_if(
      tables_, [&](const Table& table) { return (name.empty() || name == table.kernels.name) && is_usable(table); });
  return found == tables_.end() ? nullptr : &found->kernels;
}

const Kernels* Dispatch::find_unrequested() const {
  const auto found =
      std::ranges::find_if(tables_, [&](const Table& table) { return table.request == nullptr && is_usable(table); });
  return found == tables_.end() ? nullptr : &found->kernels;
}

bool Dispatch::is_distrusted(std::string_view name) const {
  return std::ranges::any_of(tables_, [&](const Table& table) { return name == table.kernels.name && table.fails; });
}

KernelList available_kernels() { return dispatch().available(); }

const Kernels* find_kernels(const char* name) { return dispatch().find(name != nullptr ? name : ""); }

const Kernels* find_unrequested_kernels() { return dispatch().find_unrequested(); }

bool is_distrusted(const char* name) { return dispatch().is_distrusted(name); }

const char* kernel_names() { return dispatch().names().c_str(); }

const char* cpu_features() { return dispatch().features().c_str(); }

}  // namespace bitnet
