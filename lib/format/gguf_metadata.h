// SPDX-License-Identifier: MIT
// What a GGUF file's metadata says of a model, in our own schema.
#pragma once

#include "format/gguf.h"
#include "format/layout.h"

namespace bitnet {

// All but the tensors and whether the head is tied. Throws Error naming the key that is missing, wrong or unsupported.
fb::ModelT read_gguf_metadata(const Gguf& gguf);

}  // namespace bitnet
