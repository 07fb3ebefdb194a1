// SPDX-License-Identifier: MIT
#include "format/json.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace bitnet {
namespace {

// A value takes some 100 bytes however short its text is. The index of the largest models names some 100000 tensors.
constexpr size_t kMostValues = size_t{1} << 20;
constexpr int kMostDepth = 32;
constexpr size_t kShownBytes = 100;

// What nlohmann's messages say after their own numbering: "parse error at line 1, column 2: ...".
std::string_view reason(const char* what) {
  const std::string_view message = what;
  const size_t end = message.find("] ");
  return end == message.npos ? message : message.substr(end + 2);
}

// Watches the parser: how much it makes, how deep, and whether a name comes twice, of which it would keep the last.
class Watch {
 public:
  bool operator()(int depth, Json::parse_event_t event, const Json& parsed) {
    require(++values_ <= kMostValues, BITNET_ERROR_UNSUPPORTED, "the JSON holds more than ", kMostValues, " values");
    require(depth <= kMostDepth, BITNET_ERROR_UNSUPPORTED, "the JSON is nested deeper than ", kMostDepth, " levels");
    switch (event) {
      case Json::parse_event_t::object_start:
        names_.emplace_back();
        break;
      case Json::parse_event_t::object_end:
        names_.pop_back();
        break;
      case Json::parse_event_t::key:
        require(names_.back().insert(parsed.get_ref<const std::string&>()).second, BITNET_ERROR_FORMAT, "the JSON has ",
                shown(parsed), " twice in one object");
        break;
      case Json::parse_event_t::array_start:
      case Json::parse_event_t::array_end:
      case Json::parse_event_t::value:
        break;
    }
    return true;
  }

 private:
  size_t values_ = 0;
  std::vector<std::unordered_set<std::string>> names_;  // of the objects that are open
};

}  // namespace

Json parse_json(std::string_view text) {
  Watch watch;
  try {
    return Json::parse(
        text, [&](int depth, Json::parse_event_t event, const Json& parsed) { return watch(depth, event, parsed); });
  } catch (const Json::exception& error) {
    fail(BITNET_ERROR_FORMAT, "is not JSON: ", reason(error.what()).substr(0, 2 * kShownBytes));
  }
}

Json read_json_file(const std::string& folder, const std::string& name, size_t most_bytes) {
  return with_path(name, [&] {
    const std::string text = read_start(folder + "/" + name, most_bytes + 1);
    require(text.size() <= most_bytes, BITNET_ERROR_UNSUPPORTED, "has more than ", most_bytes,
            " bytes, more than such a file ever has");
    return parse_json(text);
  });
}

std::string shown(const Json& value) {
  // Of a long value only the beginning is looked at.
  if (value.is_array() || value.is_object()) {
    return (value.is_array() ? "an array of " : "an object of ") + counted(value.size(), "value");
  }
  std::string text =
      value.is_string() ? "\"" + value.get_ref<const std::string&>().substr(0, kShownBytes) + "\"" : value.dump();
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < ' '; }, '?');
  return text;
}

JsonObject::JsonObject(const Json& json, std::string where) : json_(&json), where_(std::move(where)) {
  require(json.is_object(), BITNET_ERROR_FORMAT, where_, " is ", shown(json), "; expected is an object");
}

std::string JsonObject::named(std::string_view key) const {
  const bool file = where_.ends_with(".json");
  return where_ + (file ? ": " : ".") + std::string(key);
}

void JsonObject::refuse(std::string_view key, std::string_view expected) const {
  fail(BITNET_ERROR_FORMAT, named(key), " is ", shown(*find(key)), "; expected is ", expected);
}

const Json* JsonObject::find(std::string_view key) const {
  const auto found = json_->find(std::string(key));
  return found == json_->end() || found->is_null() ? nullptr : &*found;
}

std::optional<bool> JsonObject::boolean(std::string_view key) const {
  const Json* const value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) refuse(key, "true or false");
  return value->get<bool>();
}

std::optional<std::string> JsonObject::string(std::string_view key) const {
  const Json* const value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) refuse(key, "a string");
  return value->get<std::string>();
}

std::optional<double> JsonObject::real(std::string_view key) const {
  const Json* const value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number() || !std::isfinite(value->get<double>())) refuse(key, "a finite number");
  return value->get<double>();
}

std::optional<uint32_t> JsonObject::count(std::string_view key, Bounds bounds) const {
  const Json* const value = find(key);
  if (value == nullptr) return std::nullopt;
  const double number = value->is_number() ? value->get<double>() : -1;
  const bool fits = number >= static_cast<double>(bounds.low) && number <= static_cast<double>(bounds.high);
  if (!fits || number != std::floor(number)) {
    refuse(key, "a whole number from " + std::to_string(bounds.low) + " to " + std::to_string(bounds.high));
  }
  return static_cast<uint32_t>(number);
}

uint32_t JsonObject::needed_count(std::string_view key, Bounds bounds) const {
  const auto value = count(key, bounds);
  require(value.has_value(), BITNET_ERROR_FORMAT, named(key), " is missing");
  return *value;
}

std::optional<JsonObject> JsonObject::object(std::string_view key) const {
  const Json* const value = find(key);
  if (value == nullptr) return std::nullopt;
  return JsonObject(*value, named(key));
}

}  // namespace bitnet
