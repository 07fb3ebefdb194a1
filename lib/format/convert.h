// SPDX-License-Identifier: MIT
// Models in files of another format, or in another form: GGUF and Hugging Face folders into .bitnet files, and each of
// these into GGUF and into Hugging Face folders.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "format/gguf_writer.h"
#include "format/hf_writer.h"
#include "format/open.h"

namespace bitnet {

struct ConvertOptions {
  // Not given: i2 and F16, for large vocabularies with a screen; of a .bitnet file what it has.
  std::optional<Packing> packing = {};
  std::optional<Dense> dense = {};
  std::optional<HeadType> head = {};
  std::optional<ActivationBits> activations = {};  // not given: as published
  std::optional<int> zstd_level = {};  // compress the tensors, for a smaller download that takes longer to open
  std::string name = {};               // of the model, instead of the source's own

  bool gguf = false;                             // write this; then what stands above has no meaning
  std::optional<GgufWeights> gguf_weights = {};  // not given: what programs take that read such models
  bool folder = false;                           // write a Hugging Face folder; likewise
  std::optional<HfForm> hf_form = {};            // not given: as the model is
  uint64_t shard_bytes = kShardBytes;            // of a folder's files
  bool lossy = false;                            // what GGUF or a folder does not hold may be rounded, or left out

  I2sLayout layout = I2sLayout::automatic;        // of a GGUF file
  Quantize quantize = Quantize::refuse;           // of a GGUF file
  std::optional<fb::Activation> activation = {};  // of a file that does not name it
  std::string chat_template = {};                 // Jinja source; empty for the source's own
  Progress progress = {};
  Log log = {};
};

// Holds what convert_memory() tells, whatever the size of the model. Until all is written nothing appears under `out`.
// Returns the size of the new file, or of all files of the new folder.
uint64_t convert(const std::string& in, const std::string& out, const ConvertOptions& options = {});

}  // namespace bitnet
