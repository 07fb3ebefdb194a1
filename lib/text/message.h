// SPDX-License-Identifier: MIT
// One turn of a conversation, as it is kept.
#pragma once

#include <string>

namespace bitnet {

struct Message {
  std::string role, content;  // the content may hold any bytes
};

}  // namespace bitnet
