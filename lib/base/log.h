// SPDX-License-Identifier: MIT
// Where the library says what it chose or noticed: nowhere, unless the caller gave a function for it.
#pragma once

#include <functional>
#include <string>

#include "bitnet.h"

namespace bitnet {

using Log = std::function<void(bitnet_log_level, const std::string&)>;

}  // namespace bitnet
