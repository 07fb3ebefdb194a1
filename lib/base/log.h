// SPDX-License-Identifier: MIT
// Where the library says what it chose or noticed: nowhere, unless the caller gave a function for it.
#pragma once

#include <functional>
#include <locale>
#include <sstream>
#include <string>
#include <utility>

#include "bitnet.h"

namespace bitnet {

using Log = std::function<void(bitnet_log_level, const std::string&)>;

// Logs the parts written one after the other.
template <typename... Parts>
void say(const Log& log, bitnet_log_level level, const Parts&... parts) {
  if (!log) return;
  std::ostringstream message;
  message.imbue(std::locale::classic());
  (message << ... << parts);
  log(level, std::move(message).str());
}

}  // namespace bitnet
