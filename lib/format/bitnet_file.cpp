// SPDX-License-Identifier: MIT
#include "format/bitnet_file.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/compression.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "format/header.h"
#include "format/metadata.h"
#include "format/open_questions.h"

namespace bitnet {
namespace {

FileHeader read_header(std::span<const std::byte> file) {
  FileHeader header;
  require(file.size() >= sizeof header, BITNET_ERROR_FORMAT, "the file ends inside its header, after ", file.size(),
          " bytes; it is truncated");
  std::memcpy(&header, file.data(), sizeof header);
  require(header.version == kFormatVersion, BITNET_ERROR_UNSUPPORTED, "the file has format version ", header.version,
          "; this library reads version ", kFormatVersion, "; it is damaged or needs a newer libbitnet");
  require(header.header_checksum == header.compute_checksum(), BITNET_ERROR_FORMAT,
          "the header's checksum is wrong; the file is damaged");
  require(header.header_size == sizeof header, BITNET_ERROR_UNSUPPORTED, "the header has ", header.header_size,
          " bytes instead of ", sizeof header);
  require(header.file_size == file.size(), BITNET_ERROR_FORMAT, "the file has ", file.size(), " bytes instead of ",
          header.file_size, "; it is truncated or was changed");
  return header;
}

Buffer read_metadata(std::span<const std::byte> file, const FileHeader& header) {
  const uint64_t offset = header.metadata_offset, size = header.metadata_stored_size;
  require(offset >= sizeof header && offset <= file.size() && size <= file.size() - offset, BITNET_ERROR_FORMAT,
          "the metadata (", size, " bytes at ", offset, ") lies outside the file");
  const auto stored = file.subspan(offset, size);
  require(hash(stored) == header.metadata_checksum, BITNET_ERROR_FORMAT,
          "the metadata's checksum is wrong; the file is damaged");
  require(header.metadata_raw_size <= kMaxMetadata, BITNET_ERROR_FORMAT, "the metadata claims to unpack to ",
          header.metadata_raw_size, " bytes; the format allows ", kMaxMetadata);
  require(announced_size(stored) == header.metadata_raw_size, BITNET_ERROR_FORMAT,
          "the metadata's frame does not announce the size that the header does; the file is damaged");
  Buffer raw(header.metadata_raw_size);
  decompress(stored, raw.bytes(), "the metadata");
  return raw;
}

std::span<const std::byte> stored_range(std::span<const std::byte> file, const fb::Tensor& entry) {
  const auto name = view(entry.name());
  require(entry.offset() <= file.size() && entry.stored_size() <= file.size() - entry.offset(), BITNET_ERROR_FORMAT,
          "tensor ", name, " (", entry.stored_size(), " bytes at ", entry.offset(), ") lies outside the file");
  require(entry.offset() % kCacheLine == 0, BITNET_ERROR_FORMAT, "tensor ", name, " begins at ", entry.offset(),
          ", no multiple of ", kCacheLine);
  const auto range = file.subspan(entry.offset(), entry.stored_size());
  if (entry.codec() == fb::Codec::none) {
    require(range.size() == entry.raw_size(), BITNET_ERROR_FORMAT, "tensor ", name, " is stored in ", range.size(),
            " bytes instead of ", entry.raw_size());
  } else {
    require(entry.raw_size() / kMaxRatio <= range.size() && announced_size(range) == entry.raw_size(),
            BITNET_ERROR_FORMAT, "tensor ", name, " claims to unpack from ", range.size(), " to ", entry.raw_size(),
            " bytes, which its frame does not say or the format does not allow");
  }
  return range;
}

void check_overlap(const FileHeader& header, const fb::Model& model) {
  struct Extent {
    uint64_t begin, end;
    std::string_view name;
  };
  std::vector<Extent> extents = {
      {0, sizeof header, "the header"},
      {header.metadata_offset, header.metadata_offset + header.metadata_stored_size, "the metadata"}};
  for (const fb::Tensor* entry : *model.tensors()) {
    extents.push_back({entry->offset(), entry->offset() + entry->stored_size(), view(entry->name())});
  }
  std::ranges::sort(extents, {}, &Extent::begin);
  for (size_t i = 1; i < extents.size(); ++i) {
    require(extents[i - 1].end <= extents[i].begin, BITNET_ERROR_FORMAT, extents[i - 1].name, " and ", extents[i].name,
            " overlap in the file");
  }
}

void check_checksum(const Tensor& tensor) {
  require(hash(tensor.data) == tensor.checksum, BITNET_ERROR_FORMAT, "tensor ", tensor.name,
          "'s checksum is wrong; the file is damaged");
}

// Lets the tensors point to where they lie; unpacks or copies those that cannot be used there.
void place_tensors(std::span<const std::byte> file, const fb::Model& model, const ReadOptions& options,
                   Container::Parts& parts) {
  std::vector<std::span<const std::byte>> stored;
  std::vector<size_t> moving, work;
  uint64_t total = 0, moving_bytes = 0;
  for (const fb::Tensor* entry : *model.tensors()) {
    Tensor tensor = read_tensor(*entry);
    stored.push_back(stored_range(file, *entry));
    tensor.data = stored.back();
    const bool moves = entry->codec() != fb::Codec::none || !is_aligned(tensor.data);
    if (moves) {
      moving.push_back(parts.tensors.size());
      moving_bytes += entry->raw_size();
    }
    if (moves || options.verify_checksums) {
      work.push_back(parts.tensors.size());
      total += entry->raw_size();
    }
    parts.tensors.push_back(tensor);
  }
  const auto need = [&] {
    return MemoryNeed{moving_bytes, "the weights of a compressed file",
                      "convert it to a .bitnet file that is not compressed, which is mapped instead"};
  };
  with_memory(need, [&] {
    if (moving_bytes != 0) require_memory(need(), parts.files.front().owned_bytes(), memory_limit());
    for (const size_t i : moving) {
      parts.owned.emplace_back(model.tensors()->Get(static_cast<uint32_t>(i))->raw_size());
      parts.tensors[i].data = parts.owned.back().bytes();
    }
  });
  ProgressMeter meter(options.progress, total);
  parallel_for(work.size(), [&](size_t i) {
    const Tensor& tensor = parts.tensors[work[i]];
    const auto source = stored[work[i]];
    if (tensor.data.data() != source.data()) {
      const std::span out(const_cast<std::byte*>(tensor.data.data()), tensor.data.size());
      if (model.tensors()->Get(static_cast<uint32_t>(work[i]))->codec() == fb::Codec::zstd) {
        decompress(source, out, "tensor " + std::string(tensor.name));
      } else {
        std::memcpy(out.data(), source.data(), out.size());
      }
    }
    if (options.verify_checksums) check_checksum(tensor);
    // Opening is no reason for a whole file to be in memory at once.
    if (parts.files.front().is_mapped()) drop_pages(source);
    meter.advance(tensor.data.size());
  });
  meter.advance(0);
}

}  // namespace

bool is_bitnet_file(std::span<const std::byte> file) {
  return file.size() >= kBitnetMagic.size() && std::memcmp(file.data(), kBitnetMagic.data(), kBitnetMagic.size()) == 0;
}

std::shared_ptr<const Container> read_bitnet_file(std::span<const std::byte> file, MappedFile mapped,
                                                  const ReadOptions& options) {
  Container::Parts parts;
  parts.file_bytes = file.size();
  parts.files.push_back(std::move(mapped));
  const FileHeader header = read_header(file);
  parts.metadata = read_metadata(file, header);
  verify_metadata(std::as_const(parts.metadata).bytes());
  if (fb::ModelT settled; settle(*fb::GetModel(parts.metadata.data()), options.activation, options.log, settled)) {
    parts.metadata = pack_metadata(settled);
  }
  const fb::Model& model = *fb::GetModel(parts.metadata.data());
  place_tensors(file, model, options, parts);
  check_overlap(header, model);
  return std::make_shared<const Container>(std::move(parts));
}

}  // namespace bitnet
