// SPDX-License-Identifier: MIT
#include "format/json.h"

#include <cmath>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "text/utf8.h"

namespace bitnet {
namespace {

constexpr int kMostDepth = 64;
constexpr size_t kMostShown = 100;  // bytes of a value in a message

// Watches the parser. Of a name that comes twice the parser would keep the last value, and others the first.
class Watch {
 public:
  bool operator()(int depth, Json::parse_event_t event, const Json& parsed) {
    require(depth <= kMostDepth, BITNET_ERROR_FORMAT, "the JSON is nested deeper than ", kMostDepth);
    switch (event) {
      case Json::parse_event_t::object_start:
        names_.push_back(0);
        break;
      case Json::parse_event_t::key:
        ++names_.back();
        break;
      case Json::parse_event_t::object_end:
        if (names_.back() != parsed.size()) {
          fail(BITNET_ERROR_FORMAT,
               "is not JSON that can be read: an object has the same name twice; its first name is ",
               JsonValue(Json(parsed.begin().key())).shown());
        }
        names_.pop_back();
        break;
      case Json::parse_event_t::array_start:
      case Json::parse_event_t::array_end:
      case Json::parse_event_t::value:
        break;
    }
    return true;
  }

 private:
  std::vector<size_t> names_;  // of each object that is open, how many so far
};

}  // namespace

Json parse_json(std::string_view text) {
  Watch watch;
  try {
    return Json::parse(
        text, [&](int depth, Json::parse_event_t event, const Json& parsed) { return watch(depth, event, parsed); });
  } catch (const Json::parse_error& error) {
    fail(BITNET_ERROR_FORMAT, "is not JSON: there is a mistake at byte ", error.byte, " of ", text.size());
  } catch (const Json::exception& error) {  // a number that no double holds
    fail(BITNET_ERROR_FORMAT, "is not JSON that can be read: ", error.what());
  }
}

Json read_json(const std::string& path, size_t most) {
  const std::string text = read_start(path, most + 1);
  require(text.size() <= most, BITNET_ERROR_UNSUPPORTED, "has more than ", most, " bytes");
  return parse_json(text);
}

std::string JsonValue::shown() const {
  if (json_->is_array()) return "an array of " + counted(json_->size(), "element");
  if (json_->is_object()) return "an object of " + counted(json_->size(), "member");
  const std::string text = json_->dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.substr(0, valid_utf8_prefix(std::string_view(text).substr(0, kMostShown)));
}

void JsonValue::refuse(const std::string& expected) const {
  fail(BITNET_ERROR_FORMAT, place_.empty() ? "the whole" : place_, " is ", shown(), "; expected is ", expected);
}

std::optional<JsonValue> JsonValue::find(const std::string& key) const {
  const auto found = object().find(key);
  if (found == json_->end() || found->is_null()) return std::nullopt;
  return JsonValue(*found, place_.empty() ? key : place_ + "." + key);
}

JsonValue JsonValue::at(const std::string& key) const {
  const auto value = find(key);
  require(value.has_value(), BITNET_ERROR_FORMAT, place_, place_.empty() ? "" : ".", key, " is missing");
  return *value;
}

size_t JsonValue::size() const { return array().size(); }

JsonValue JsonValue::operator[](size_t index) const {
  return {array()[index], place_ + "[" + std::to_string(index) + "]"};
}

std::string_view JsonValue::text() const {
  if (!json_->is_string()) refuse("a string");
  return json_->get_ref<const std::string&>();
}

bool JsonValue::truth() const {
  if (!json_->is_boolean()) refuse("true or false");
  return json_->get<bool>();
}

int64_t JsonValue::whole(int64_t low, int64_t high) const {
  const bool fits = json_->is_number_unsigned() ? json_->get<uint64_t>() <= INT64_MAX : json_->is_number_integer();
  if (!fits || json_->get<int64_t>() < low || json_->get<int64_t>() > high) {
    refuse("a whole number from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return json_->get<int64_t>();
}

double JsonValue::real() const {
  if (!json_->is_number() || !std::isfinite(json_->get<double>())) refuse("a finite number");
  return json_->get<double>();
}

const Json& JsonValue::array() const {
  if (!json_->is_array()) refuse("an array");
  return *json_;
}

const Json& JsonValue::object() const {
  if (!json_->is_object()) refuse("an object");
  return *json_;
}

}  // namespace bitnet
