// SPDX-License-Identifier: MIT
#include "format/container_writer.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/cores.h"
#include "base/error.h"
#include "format/header.h"
#include "format/layout.h"
#include "format/zstd.h"

namespace bitnet {
namespace {

std::span<const std::byte> compress_metadata(const Buffer& raw, std::vector<std::byte>& stored) {
  stored.resize(ZSTD_compressBound(raw.size()));
  const auto context = make_compressor();
  return {stored.data(), check_compression(ZSTD_compressCCtx(context.get(), stored.data(), stored.size(), raw.data(),
                                                             raw.size(), kMetadataLevel))};
}

}  // namespace

struct ContainerWriter::Compressor {
  ZstdCompressor context = make_compressor();
  std::vector<std::byte> out = std::vector<std::byte>(ZSTD_CStreamOutSize());
};

ContainerWriter::ContainerWriter(const std::string& path, std::optional<int> zstd_level)
    : file_(path), position_(sizeof(FileHeader)) {
  if (!zstd_level) return;
  require(*zstd_level >= ZSTD_minCLevel() && *zstd_level <= ZSTD_maxCLevel(), BITNET_ERROR_ARGUMENT,
          "Zstandard has no level ", *zstd_level, "; its levels end at ", ZSTD_maxCLevel());
  compressor_ = std::make_unique<Compressor>();
  ZSTD_CCtx* const context = compressor_->context.get();
  check_compression(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, *zstd_level));
  // Where Zstandard was built without threads, this is refused and it works alone.
  ZSTD_CCtx_setParameter(context, ZSTD_c_nbWorkers, static_cast<int>(std::min(usable_cpus(), kMostCompressors)));
}

ContainerWriter::~ContainerWriter() = default;

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
  if (compressor_) check_compression(ZSTD_CCtx_setPledgedSrcSize(compressor_->context.get(), tensor.raw_size));
}

void ContainerWriter::write_piece(std::span<const std::byte> bytes) {
  if (compressor_) {
    compress(bytes, false);
  } else {
    append(bytes);
  }
}

void ContainerWriter::compress(std::span<const std::byte> bytes, bool last) {
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  size_t left;
  do {
    ZSTD_outBuffer out{compressor_->out.data(), compressor_->out.size(), 0};
    left = check_compression(
        ZSTD_compressStream2(compressor_->context.get(), &out, &in, last ? ZSTD_e_end : ZSTD_e_continue));
    append(std::span<const std::byte>(compressor_->out).first(out.pos));
  } while (last ? left != 0 : in.pos < in.size);
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
    compress({}, true);
    pad_frame(tensor.raw_size / kMaxRatio + 1);
  }
  tensor.codec = compressor_ ? fb::Codec::zstd : fb::Codec::none;
  tensor.offset = tensor_begin_;
  tensor.stored_size = position_ - tensor_begin_;
}

uint64_t ContainerWriter::finish(const fb::ModelT& model) {
  const Buffer raw = pack_metadata(model);
  std::vector<std::byte> memory;
  const auto stored = compress_metadata(raw, memory);
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
  file_.commit();
  return position_;
}

}  // namespace bitnet
