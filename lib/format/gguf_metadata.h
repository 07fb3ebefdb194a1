// SPDX-License-Identifier: MIT
// What a GGUF file's metadata says of a model, in our own schema.
#pragma once

#include <optional>
#include <vector>

#include "base/log.h"
#include "format/gguf.h"
#include "model_generated.h"

namespace bitnet {

struct GgufDescription {
  fb::ModelT model;
  std::vector<float> rope_factors;  // that the scaling of the rotary embedding comes to; none: no frequency changes
};

// All but the tensors and whether the head is tied. What the file leaves open is decided (open_questions.h), and the
// log told; `activation` is the caller's word on it. Throws Error naming the key that is missing, wrong or unsupported.
GgufDescription read_gguf_metadata(const Gguf& gguf, std::optional<fb::Activation> activation, const Log& log);

}  // namespace bitnet
