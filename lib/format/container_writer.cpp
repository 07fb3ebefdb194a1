// SPDX-License-Identifier: MIT
#include "format/container_writer.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/cores.h"
#include "base/error.h"
#include "format/header.h"
#include "format/metadata.h"

namespace bitnet {

ContainerWriter::ContainerWriter(const std::string& path, std::optional<int> zstd_level)
    : file_(path), position_(sizeof(FileHeader)) {
  if (!zstd_level) return;
  require_compression(*zstd_level);
  compressor_.emplace(*zstd_level, std::min(usable_cpus(), kMostCompressors),
                      [this](std::span<const std::byte> part) { append(part); });
}

void ContainerWriter::expect(uint64_t raw_bytes) {
  if (!compressor_) file_.reserve(sizeof(FileHeader) + raw_bytes);
}

void ContainerWriter::append(std::span<const std::byte> bytes) {
  file_.write_at(position_, bytes);
  position_ += bytes.size();
}

// Leaves a hole, which reads as zeros.
void ContainerWriter::align(uint64_t alignment) { position_ = (position_ + alignment - 1) / alignment * alignment; }

void ContainerWriter::begin_tensor(fb::TensorT& tensor) {
  align(tensor.rows > 1 && !compressor_ ? kWeightPage : kCacheLine);
  tensor_begin_ = position_;
  if (compressor_) compressor_->announce(tensor.raw_size);
}

void ContainerWriter::write_piece(std::span<const std::byte> bytes) {
  if (compressor_) {
    compressor_->add(bytes);
  } else {
    append(bytes);
  }
}

// Lengthens what is stored of this tensor to at least `wanted` bytes with a skippable frame, which every decoder passes
// over.
void ContainerWriter::pad_frame(uint64_t wanted) {
  constexpr std::array<uint8_t, 4> kSkippable = {0x50, 0x2a, 0x4d, 0x18};
  while (position_ - tensor_begin_ < wanted) {
    const auto size = static_cast<uint32_t>(std::min<uint64_t>(wanted - (position_ - tensor_begin_), 1 << 20));
    std::vector<std::byte> frame(sizeof kSkippable + sizeof size + size);
    std::memcpy(frame.data(), kSkippable.data(), sizeof kSkippable);
    std::memcpy(frame.data() + sizeof kSkippable, &size, sizeof size);
    append(frame);
  }
}

void ContainerWriter::end_tensor(fb::TensorT& tensor) {
  if (compressor_) {
    compressor_->end();
    pad_frame(tensor.raw_size / kMaxRatio + 1);
  }
  tensor.codec = compressor_ ? fb::Codec::zstd : fb::Codec::none;
  tensor.offset = tensor_begin_;
  tensor.stored_size = position_ - tensor_begin_;
}

void ContainerWriter::finish(const fb::ModelT& model) {
  const Buffer raw = pack_metadata(model);
  // A file whose tensors are not compressed is read without Zstandard.
  const auto stored = compressor_ ? compress(raw.bytes(), kMetadataLevel) : store(raw.bytes());
  align(kCacheLine);
  FileHeader header;
  header.metadata_offset = position_;
  header.metadata_stored_size = stored.size();
  header.metadata_raw_size = raw.size();
  header.metadata_checksum = hash(stored);
  append(stored);
  header.file_size = position_;
  header.header_checksum = header.compute_checksum();
  file_.write_at(0, std::as_bytes(std::span(&header, 1)));
  file_.truncate(position_);  // what was reserved beyond
}

uint64_t ContainerWriter::commit() {
  file_.commit();
  return position_;
}

}  // namespace bitnet
