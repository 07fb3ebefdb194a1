// SPDX-License-Identifier: MIT
// How the library's own code reports failure: it throws Error, and lib/api turns it into a status and a message.
#pragma once

#include <cstdint>
#include <exception>
#include <locale>
#include <sstream>
#include <string>
#include <utility>

#include "bitnet.h"

namespace bitnet {

class Error : public std::exception {
 public:
  Error(bitnet_status status, std::string message) : status_(status), message_(std::move(message)) {}
  bitnet_status status() const noexcept { return status_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  bitnet_status status_;
  std::string message_;
};

// Throws an Error whose message is the parts written one after the other. A message says what is wrong, where
// (file, tensor, key), and what to do about it.
template <typename... Parts>
[[noreturn]] void fail(bitnet_status status, const Parts&... parts) {
  std::ostringstream message;
  message.imbue(std::locale::classic());
  (message << ... << parts);
  throw Error(status, std::move(message).str());
}

template <typename... Parts>
void require(bool condition, bitnet_status status, const Parts&... parts) {
  if (!condition) fail(status, parts...);
}

// "1 token", "2 tokens": for messages, whose nouns all take an s.
inline std::string counted(uint64_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

// A path as messages name it.
inline std::string named(const std::string& path) { return path.empty() ? "\"\"" : path; }

// Runs the body; what it throws about a file gets the file's path in front.
template <typename Body>
auto with_path(const std::string& path, const Body& body) {
  try {
    return body();
  } catch (const Error& error) {
    fail(error.status(), named(path), ": ", error.what());
  }
}

}  // namespace bitnet
