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

Kernels table_of(const Layer& layer) {
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

Dispatch::Dispatch(const Cpu& cpu) {
  for (const InstructionSet& set : cpu.sets) tables_.push_back({table_of(*set.layer), set.runs, set.request});
  tables_.push_back({table_of(scalar_layer), true, nullptr});
  for (const Table& table : tables_) {
    if (table.runs) available_.push_back(&table.kernels);
    add_name(names_, ", ", table.kernels.name);
  }
  for (const Feature& feature : cpu.features) {
    if (feature.present) add_name(features_, " ", feature.name);
  }
}

const Kernels* Dispatch::find(std::string_view name) const {
  const auto usable = [&](const Table& table) {
    return table.runs && (name.empty() || name == table.kernels.name) && (table.request == nullptr || table.request());
  };
  const auto found = std::ranges::find_if(tables_, usable);
  return found == tables_.end() ? nullptr : &found->kernels;
}

const Kernels* Dispatch::find_unrequested() const {
  const auto usable = [](const Table& table) { return table.runs && table.request == nullptr; };
  return &std::ranges::find_if(tables_, usable)->kernels;
}

KernelList available_kernels() { return dispatch().available(); }

const Kernels* find_kernels(const char* name) { return dispatch().find(name != nullptr ? name : ""); }

const Kernels* find_unrequested_kernels() { return dispatch().find_unrequested(); }

const char* kernel_names() { return dispatch().names().c_str(); }

const char* cpu_features() { return dispatch().features().c_str(); }

}  // namespace bitnet
