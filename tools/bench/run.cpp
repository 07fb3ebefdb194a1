// SPDX-License-Identifier: MIT
#include "bench/run.h"

#include <algorithm>
#include <stdexcept>

#include "terminal.h"

namespace bitnet::program {

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::prompt:
      return "prompt";
    case Kind::generation:
      return "generation";
    case Kind::scenario:
      return "scenario";
    case Kind::forward:
      return "forward";
    case Kind::sessions:
      return "sessions";
  }
  return "";
}

std::string Test::name() const {
  const std::string at = depth ? "@" + std::to_string(depth) : "";
  switch (kind) {
    case Kind::prompt:
      return "pp" + std::to_string(prompt) + at;
    case Kind::generation:
      return "tg" + std::to_string(generate) + at;
    case Kind::scenario:
      return scenario;
    case Kind::forward:
      return formatted("fw%ux%u", batch, prompt);
    case Kind::sessions:
      return formatted("tg%ux%u", generate, batch);
  }
  return "";
}

void Run::add(const std::string& name, double value) {
  const auto found = std::ranges::find(metrics, name, &Metric::name);
  if (found != metrics.end()) return found->values.push_back(value);
  metrics.push_back({name, {value}});
}

const Metric* Run::find(std::string_view name) const {
  const auto found = std::ranges::find(metrics, name, &Metric::name);
  return found == metrics.end() ? nullptr : &*found;
}

const Metric& Run::at(std::string_view name) const {
  const Metric* metric = find(name);
  if (metric == nullptr) throw std::logic_error("no metric " + std::string(name));
  return *metric;
}

}  // namespace bitnet::program
