// SPDX-License-Identifier: MIT
// How much memory a conversion takes.
#pragma once

#include <cstdint>
#include <optional>

#include "format/container.h"

namespace bitnet {

// The most bytes that converting a model of this metadata holds at once on that many CPUs: pieces of its tensors, the
// vocabulary, and what the compressor works with.
// `whole`: the trits of a matrix, and what they are packed into, are in memory together.
uint64_t convert_memory(const fb::ModelT& model, std::optional<int> zstd_level, unsigned cpus, bool whole = false);

}  // namespace bitnet
