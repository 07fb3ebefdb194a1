// SPDX-License-Identifier: MIT
#include "format/files.h"

#include <flatbuffers/flatbuffers.h>
#include <xxhash.h>
#include <zstd.h>

namespace bitnet_test {
namespace {

constexpr size_t kMetadataChecksum = 48, kHeaderChecksum = 56;

uint64_t get(const std::string& file, size_t at) {
  uint64_t value;
  std::memcpy(&value, file.data() + at, sizeof value);
  return value;
}

void put(std::string& file, size_t at, uint64_t value) { std::memcpy(file.data() + at, &value, sizeof value); }

std::string unpack_metadata(const std::string& file) {
  std::string raw(get(file, kMetadataRaw), '\0');
  const size_t size =
      ZSTD_decompress(raw.data(), raw.size(), file.data() + get(file, kMetadataOffset), get(file, kMetadataStored));
  if (size != raw.size()) throw std::string("not a sound .bitnet file");
  return raw;
}

}  // namespace

std::string set_header(std::string file, HeaderField field, uint64_t value) {
  if (field == kVersion) {
    std::memcpy(file.data() + field, &value, sizeof(uint32_t));
  } else {
    put(file, field, value);
  }
  put(file, kHeaderChecksum, XXH3_64bits(file.data(), kHeaderChecksum));
  return file;
}

std::string replace_frame(const std::string& file, std::string_view frame, uint64_t raw_size) {
  std::string out = file.substr(0, get(file, kMetadataOffset));  // the metadata is the last thing in a file
  out += frame;
  put(out, kFileSize, out.size());
  put(out, kMetadataStored, frame.size());
  put(out, kMetadataChecksum, XXH3_64bits(frame.data(), frame.size()));
  return set_header(std::move(out), kMetadataRaw, raw_size);
}

std::string replace_metadata(const std::string& file, std::string_view raw) {
  std::string frame(ZSTD_compressBound(raw.size()), '\0');
  frame.resize(ZSTD_compress(frame.data(), frame.size(), raw.data(), raw.size(), 3));
  return replace_frame(file, frame, raw.size());
}

std::string reseal(const std::string& file, const std::function<void(bitnet::fb::ModelT&)>& change) {
  const std::string raw = unpack_metadata(file);
  bitnet::fb::ModelT model;
  bitnet::fb::GetModel(raw.data())->UnPackTo(&model);
  change(model);
  flatbuffers::FlatBufferBuilder builder;
  bitnet::fb::FinishModelBuffer(builder, bitnet::fb::Model::Pack(builder, &model));
  return replace_metadata(file, {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()});
}

}  // namespace bitnet_test
