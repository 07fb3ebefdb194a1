// SPDX-License-Identifier: MIT
// GGUF files that hold something else than a model, or a model that cannot be computed as its tensors stand.
#pragma once

#include "format/gguf.h"

namespace bitnet {

// Looks at the metadata alone. Throws an Error that says what the file is.
void require_model(const Gguf& gguf);

}  // namespace bitnet
