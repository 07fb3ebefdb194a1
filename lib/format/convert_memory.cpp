// SPDX-License-Identifier: MIT
#include "format/convert_memory.h"

#include <algorithm>
#include <bit>

#include "format/container_writer.h"
#include "format/converter.h"
#include "format/metadata.h"

namespace bitnet {
namespace {

// Each piece that is being converted is there as floats and as F16, and each that waits to be written as at most F16.
uint64_t pieces_at_work(uint64_t values, uint32_t cols, unsigned cpus) {
  constexpr uint64_t kWorking = sizeof(float) + sizeof(uint16_t), kWaiting = sizeof(uint16_t);
  const uint64_t piece = std::max<uint64_t>(kPieceBytes / sizeof(float), uint64_t{kTileRows} * cols);
  const uint64_t waiting = std::min(kPiecesAtOnce * piece, values);
  const uint64_t working = std::min(std::min<uint64_t>(cpus, kPiecesAtOnce) * piece, values);
  return waiting * kWaiting + working * kWorking;
}

// Scales are looked for in groups of 64 columns, and kept until the tensor is written.
uint64_t scales_at_work(uint64_t values, uint32_t rows) {
  constexpr uint64_t kFoundOfRow = 32;
  return rows * kFoundOfRow + 2 * sizeof(float) * (values / 64 + rows);
}

// The window that Zstandard looks back in at a level, from its table of levels; no larger than what is compressed.
uint64_t zstd_window(int level, uint64_t bytes) {
  constexpr int kLog[] = {21, 19, 20, 21, 21, 21, 21, 21, 21, 22, 22, 22, 22, 22, 22, 22, 22, 23, 23, 23, 25, 26, 27};
  const int log = level < 0 ? kLog[1] : kLog[std::min<size_t>(static_cast<size_t>(level), std::size(kLog) - 1)];
  return std::min(uint64_t{1} << log, std::bit_ceil(bytes));
}

// Zstandard cuts what it compresses into jobs of four windows. Each busy thread has three jobs in hand, as they come
// and as they go, and tables of up to twelve windows; as much waits between them.
uint64_t compressor(int level, uint64_t bytes, unsigned cpus) {
  const uint64_t window = zstd_window(level, bytes), job = 4 * window;
  const uint64_t busy = std::min<uint64_t>(std::min(cpus, kMostCompressors), (bytes + job - 1) / job);
  return 24 * window * (busy + 1);
}

// The metadata is compressed at once, by one thread.
uint64_t metadata_compressor(uint64_t bytes) {
  constexpr uint64_t kMost = uint64_t{96} << 20;
  return std::min(16 * zstd_window(kMetadataLevel, bytes), kMost);
}

uint64_t metadata_bytes(const fb::ModelT& model) {
  const fb::TokenizerT& tokenizer = *model.tokenizer;
  return tokenizer.pieces.size() + tokenizer.types.size() + sizeof(uint32_t) * tokenizer.ends.size() +
         sizeof(float) * tokenizer.scores.size() + sizeof(fb::Merge) * tokenizer.merges.size() +
         model.chat_template.size();
}

}  // namespace

uint64_t convert_memory(const fb::ModelT& model, std::optional<int> zstd_level, unsigned cpus, bool whole) {
  constexpr uint64_t kProgram = uint64_t{2} << 20;  // stacks, lists and all else that is small
  constexpr uint64_t kCopies = 6;  // of the metadata: as it is read, indexed, and packed in buffers that double
  const auto has = [](std::string_view) { return true; };
  uint64_t tensors = 0;
  for (const TensorSpec& spec : tensor_specs(read_hyperparameters(model), has)) {
    const uint64_t values = uint64_t{spec.rows} * spec.cols;
    const uint64_t packing = zstd_level ? compressor(*zstd_level, 2 * values, cpus) : 0;
    const uint64_t trits = whole && spec.role == Role::linear ? values + values / 4 : 0;
    tensors = std::max(tensors,
                       pieces_at_work(values, spec.cols, cpus) + scales_at_work(values, spec.rows) + packing + trits);
  }
  const uint64_t metadata = metadata_bytes(model);
  return kProgram + kCopies * metadata + std::max(tensors, metadata_compressor(metadata));
}

}  // namespace bitnet
