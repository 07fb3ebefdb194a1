// SPDX-License-Identifier: MIT
// JSON that others wrote: parsed within bounds, and its values in the types that we compute with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "model/architecture.h"

namespace bitnet {

using Json = nlohmann::json;

// Throws Error for what is not JSON, for a name that an object has twice, and for texts that would take much memory.
Json parse_json(std::string_view text);
// A file in a folder, of no more than `most_bytes`. Errors begin with the file's name, without the folder.
Json read_json_file(const std::string& folder, const std::string& name, size_t most_bytes);

// The members of an object by name; one that is null is not there. A value of another type than was asked for is
// refused, saying what it is and what it should be.
class JsonObject {
 public:
  // `where` is how messages name the object: "config.json". Of a value that is no object the error says so.
  JsonObject(const Json& json, std::string where);

  const Json& json() const { return *json_; }
  const std::string& where() const { return where_; }
  const Json* find(std::string_view key) const;

  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::string> string(std::string_view key) const;
  std::optional<uint32_t> count(std::string_view key, Bounds bounds) const;  // 4096, or 4096.0
  uint32_t needed_count(std::string_view key, Bounds bounds) const;
  std::optional<double> real(std::string_view key) const;  // finite
  std::optional<JsonObject> object(std::string_view key) const;

  // "config.json: rope_scaling.factor"
  std::string named(std::string_view key) const;
  [[noreturn]] void refuse(std::string_view key, std::string_view expected) const;

 private:
  const Json* json_;
  std::string where_;
};

// A value for messages: its beginning, as JSON.
std::string shown(const Json& value);

}  // namespace bitnet
