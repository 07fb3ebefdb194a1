// SPDX-License-Identifier: MIT
// JSON from outside, and the errors that say where in it something is wrong. nlohmann-json reads it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace bitnet {

using Json = nlohmann::json;

// BITNET_ERROR_FORMAT for what is no JSON, has a name twice in an object, or is nested deeper than any file that
// libbitnet reads. Takes up to some 50 times as much memory as the text.
Json parse_json(std::string_view text);

// The same of a file of no more than `most` bytes. Errors do not name the path.
Json read_json(const std::string& path, size_t most);

// A value, and the keys that led to it. The JSON must outlive it.
class JsonValue {
 public:
  explicit JsonValue(const Json& root) : json_(&root) {}

  // null counts as missing.
  std::optional<JsonValue> find(const std::string& key) const;
  JsonValue at(const std::string& key) const;
  size_t size() const;  // of an array
  JsonValue operator[](size_t index) const;

  std::string_view text() const;
  bool truth() const;
  int64_t whole(int64_t low, int64_t high) const;
  double real() const;  // finite
  const Json& array() const;
  const Json& object() const;

  bool is_text() const { return json_->is_string(); }
  bool is_array() const { return json_->is_array(); }
  bool is_object() const { return json_->is_object(); }
  const std::string& place() const { return place_; }
  // For messages: its beginning.
  std::string shown() const;

  [[noreturn]] void refuse(const std::string& expected) const;

 private:
  JsonValue(const Json& json, std::string place) : json_(&json), place_(std::move(place)) {}

  const Json* json_;
  std::string place_;  // "model.vocab"; empty: all of it
};

}  // namespace bitnet
