// SPDX-License-Identifier: MIT
#include "format/safetensors_writer.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "format/safetensors.h"

namespace bitnet {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors are written as they lie in memory");

using OrderedJson = nlohmann::ordered_json;

constexpr size_t kHeaderAlignment = 8;

const char* name_of_type(WrittenType type) {
  switch (type) {
    case WrittenType::f32:
      return "F32";
    case WrittenType::f16:
      return "F16";
    case WrittenType::bf16:
      return "BF16";
    case WrittenType::u8:
      return "U8";
  }
  return "";
}

}  // namespace

uint32_t bytes_of(WrittenType type) {
  switch (type) {
    case WrittenType::f32:
      return 4;
    case WrittenType::f16:
    case WrittenType::bf16:
      return 2;
    case WrittenType::u8:
      return 1;
  }
  return 0;
}

size_t SafetensorsWriter::add(std::string name, WrittenType type, std::vector<uint64_t> shape) {
  uint64_t bytes = bytes_of(type);
  for (const uint64_t extent : shape) bytes *= extent;
  tensors_.push_back({std::move(name), type, std::move(shape), bytes});
  return tensors_.size() - 1;
}

// In turn, so that what belongs together is near. In a shard the widest numbers are first, so that each lies where a
// number of its type may.
void SafetensorsWriter::divide(uint64_t shard_bytes) {
  uint64_t filled = 0;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (shards_.empty() || (filled != 0 && filled + tensors_[i].bytes > shard_bytes)) {
      shards_.emplace_back();
      filled = 0;
    }
    filled += tensors_[i].bytes;
    shards_.back().tensors.push_back(i);
    tensors_[i].shard = shards_.size() - 1;
  }
  for (Shard& shard : shards_) {
    std::ranges::stable_sort(shard.tensors, std::greater(), [&](size_t i) { return bytes_of(tensors_[i].type); });
  }
}

// One entry after the other, since a model of many experts has tens of thousands.
std::string SafetensorsWriter::header(Shard& shard) {
  uint64_t place = 0;
  std::string json = R"({"__metadata__":{"format":"pt"})";
  for (const size_t i : shard.tensors) {
    Tensor& tensor = tensors_[i];
    tensor.place = place;
    place += tensor.bytes;
    const OrderedJson entry = {
        {"dtype", name_of_type(tensor.type)}, {"shape", tensor.shape}, {"data_offsets", {tensor.place, place}}};
    json += "," + OrderedJson(tensor.name).dump() + ":" + entry.dump();
  }
  json += '}';
  json.resize((json.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment, ' ');
  std::string out;
  for (int shift = 0; shift < 64; shift += 8) out += static_cast<char>(json.size() >> shift);
  out += json;
  shard.data = out.size();
  file_bytes_ += out.size() + place;
  return out;
}

std::string SafetensorsWriter::name_of(size_t shard) const {
  if (shards_.size() == 1) return kSafetensorsFile;
  char name[64];
  std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", shard + 1, shards_.size());
  return name;
}

void SafetensorsWriter::begin(OutputFolder& folder, uint64_t shard_bytes) {
  divide(shard_bytes);
  for (size_t i = 0; i < shards_.size(); ++i) {
    Shard& shard = shards_[i];
    const std::string head = header(shard);
    shard.file = std::make_unique<OutputFile>(folder.file(name_of(i)));
    uint64_t bytes = head.size();
    for (const size_t tensor : shard.tensors) bytes += tensors_[tensor].bytes;
    shard.file->reserve(bytes);
    shard.file->write_at(0, std::as_bytes(std::span(head)));
  }
}

void SafetensorsWriter::write(size_t tensor, uint64_t offset, std::span<const std::byte> bytes) {
  const Tensor& written = tensors_[tensor];
  require(offset + bytes.size() <= written.bytes, BITNET_ERROR_INTERNAL, "tensor ", written.name, " is overrun");
  const Shard& shard = shards_[written.shard];
  shard.file->write_at(shard.data + written.place + offset, bytes);
}

void SafetensorsWriter::finish(OutputFolder& folder) {
  for (Shard& shard : shards_) {
    shard.file->commit();
    shard.file.reset();
  }
  if (shards_.size() == 1) return;
  const std::string text = index();
  OutputFile file(folder.file(kSafetensorsIndex));
  file.write_at(0, std::as_bytes(std::span(text)));
  file.commit();
  file_bytes_ += text.size();
}

std::string SafetensorsWriter::index() const {
  std::string out = R"({"metadata":{"total_size":)" + std::to_string(tensor_bytes()) + R"(},"weight_map":{)";
  for (const Tensor& tensor : tensors_) {
    if (out.back() != '{') out += ',';
    out += "\n" + OrderedJson(tensor.name).dump() + ":" + OrderedJson(name_of(tensor.shard)).dump();
  }
  return out + "}}\n";
}

uint64_t SafetensorsWriter::tensor_bytes() const {
  uint64_t bytes = 0;
  for (const Tensor& tensor : tensors_) bytes += tensor.bytes;
  return bytes;
}

}  // namespace bitnet
