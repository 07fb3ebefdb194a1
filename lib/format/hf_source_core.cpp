// SPDX-License-Identifier: MIT
// In place of hf_source.cpp where there is no JSON.
#include "base/error.h"
#include "format/hf_source.h"

namespace bitnet {

HfCheckpoint open_hf_checkpoint(const std::string&, const HfSourceOptions&) {
  fail(BITNET_ERROR_UNSUPPORTED,
       "is a Hugging Face checkpoint, which this build of libbitnet (BITNET_CORE) does not read; convert it to a "
       ".bitnet file elsewhere");
}

}  // namespace bitnet
