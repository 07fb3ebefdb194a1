// SPDX-License-Identifier: MIT
// Published models, by what docs/models.json says of them.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bitnet.h"

namespace bitnet::program {

// One that a model has the shape of. There may be several, and what is made of a model has its shape as well.
struct KnownModel {
  std::string name, family;
  std::string repository;             // where it is published; "": no address is known
  std::string license;                // as its card says; "": it could not be seen
  std::vector<std::string> mistakes;  // of files that go about
};
std::vector<KnownModel> known_models(const bitnet_model* model);

// What docs/models.json holds.
nlohmann::json known_families();

}  // namespace bitnet::program
