// SPDX-License-Identifier: MIT
// In place of hf_writer.cpp where there is no JSON.
#include "base/error.h"
#include "format/hf_writer.h"

namespace bitnet {

WrittenFolder write_hf(const std::string&, const Source&, const HfWriterOptions&) {
  fail(BITNET_ERROR_UNSUPPORTED,
       "this build of libbitnet (BITNET_CORE) does not write Hugging Face folders; convert the model elsewhere");
}

}  // namespace bitnet
