// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <vector>

#include "bitnet.h"
#include "options.h"

namespace bitnet::program {

// Each prompt, of a token at least, with the `count` likeliest tokens one after the other, whatever ends a text.
std::vector<std::vector<bitnet_token>> continuations(bitnet_model* model,
                                                     const std::vector<std::vector<bitnet_token>>& prompts,
                                                     uint32_t count, const SessionOptions& options);

}  // namespace bitnet::program
