// SPDX-License-Identifier: MIT
#include "format/safetensors.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/half.h"
#include "base/path.h"
#include "format/json.h"

namespace bitnet {
namespace {

constexpr size_t kLengthBytes = 8;
constexpr uint64_t kMaxHeader = uint64_t{8} << 20;  // the largest that are published take less than 1 MiB
constexpr size_t kMaxIndex = size_t{16} << 20;      // of the largest models a tenth
constexpr size_t kMaxDimensions = 8;
constexpr size_t kMaxShards = 4096;

struct TypeInfo {
  std::string_view name;
  Safetype type;
  uint32_t bits;
};
// The types whose size is known, so that a tensor of one can be checked; the last are not read.
constexpr TypeInfo kTypes[] = {
    {"F64", Safetype::f64, 64},      {"F32", Safetype::f32, 32},      {"F16", Safetype::f16, 16},
    {"BF16", Safetype::bf16, 16},    {"I8", Safetype::i8, 8},         {"U8", Safetype::u8, 8},
    {"BOOL", Safetype::other, 8},    {"I16", Safetype::other, 16},    {"U16", Safetype::other, 16},
    {"I32", Safetype::other, 32},    {"U32", Safetype::other, 32},    {"I64", Safetype::other, 64},
    {"U64", Safetype::other, 64},    {"F8_E4M3", Safetype::other, 8}, {"F8_E5M2", Safetype::other, 8},
    {"F8_E8M0", Safetype::other, 8}, {"F6_E2M3", Safetype::other, 6}, {"F6_E3M2", Safetype::other, 6},
    {"F4", Safetype::other, 4},      {"C64", Safetype::other, 64},
};

std::string in_quotes(const std::string& name) { return JsonValue(Json(name)).shown(); }

// One entry of a header.
class Entry {
 public:
  Entry(const std::string& name, const JsonValue& value) : name_(name), value_(value) {}

  Safetensor read(std::span<const std::byte> data) const {
    Safetensor tensor;
    tensor.name = name_;
    tensor.type_name = value_.at("dtype").text();
    const auto* const info = std::ranges::find(kTypes, std::string_view(tensor.type_name), &TypeInfo::name);
    const bool known = info != std::end(kTypes);
    tensor.type = known ? info->type : Safetype::other;
    const uint64_t elements = read_shape(tensor);
    const auto [begin, end] = read_offsets(data.size());
    tensor.data = data.subspan(begin, end - begin);
    // No size of a type that nobody knows; such a tensor is refused when it is used.
    if (known) check_size(tensor, elements, info->bits);
    return tensor;
  }

 private:
  // Returns how many elements there are.
  uint64_t read_shape(Safetensor& tensor) const {
    const JsonValue shape = value_.at("shape");
    tensor.dimensions = shape.size();
    require(tensor.dimensions <= kMaxDimensions, BITNET_ERROR_UNSUPPORTED, "the tensor has ", tensor.dimensions,
            " dimensions; there are no more than ", kMaxDimensions);
    tensor.rows = tensor.cols = 1;
    uint64_t elements = 1;
    for (size_t i = 0; i < tensor.dimensions; ++i) {
      const auto size = static_cast<uint64_t>(shape[i].whole(0, INT64_MAX));
      // So that no size below overflows.
      require(size == 0 || elements <= (uint64_t{1} << 56) / size, BITNET_ERROR_FORMAT,
              "the tensor has a shape of more elements than any file holds");
      tensor.rows = elements;
      tensor.cols = size;
      elements *= size;
    }
    return elements;
  }

  std::pair<uint64_t, uint64_t> read_offsets(uint64_t size) const {
    const JsonValue offsets = value_.at("data_offsets");
    require(offsets.size() == 2, BITNET_ERROR_FORMAT, "data_offsets has ", counted(offsets.size(), "number"),
            "; expected are two");
    const int64_t begin = offsets[0].whole(0, INT64_MAX), end = offsets[1].whole(0, INT64_MAX);
    require(begin <= end, BITNET_ERROR_FORMAT, "the tensor ends before it begins (data_offsets ", begin, ", ", end,
            ")");
    require(static_cast<uint64_t>(end) <= size, BITNET_ERROR_FORMAT, "the tensor ends at byte ", end,
            " of the data, of which there are ", size, "; the file is cut short, or damaged");
    return {begin, end};
  }

  static void check_size(const Safetensor& tensor, uint64_t elements, uint32_t bits) {
    require(elements * bits % 8 == 0 && elements * bits / 8 == tensor.data.size(), BITNET_ERROR_FORMAT,
            "the tensor has ", tensor.data.size(), " bytes; ", elements, " elements of ", tensor.type_name, " take ",
            elements * bits / 8);
  }

  const std::string& name_;
  const JsonValue& value_;
};

// Bytes that belong to two tensors would be read in two ways. The tensors are in the order of their places.
void check_overlaps(const std::vector<Safetensor>& tensors) {
  const Safetensor* before = nullptr;
  for (const Safetensor& tensor : tensors) {
    if (tensor.data.empty()) continue;
    if (before != nullptr && tensor.data.data() < before->data.data() + before->data.size()) {
      fail(BITNET_ERROR_FORMAT, "tensors ", in_quotes(before->name), " and ", in_quotes(tensor.name), " overlap");
    }
    before = &tensor;
  }
}

// A name in an index that leads out of the folder is no file of the checkpoint.
bool is_plain_file_name(const std::string& name) {
  return !name.empty() && name.size() <= 255 && name.find_first_of(std::string("/\\\0", 3)) == name.npos &&
         name != "." && name != "..";
}

// The shards that an index names, each with the tensors that lie in it.
std::map<std::string, std::vector<std::string>> read_weight_map(const Json& json) {
  std::map<std::string, std::vector<std::string>> shards;
  const JsonValue map = JsonValue(json).at("weight_map");
  for (const auto& [name, shard] : map.object().items()) {
    const bool plain = shard.is_string() && is_plain_file_name(shard.get_ref<const std::string&>());
    require(plain, BITNET_ERROR_FORMAT, "the shard of ", in_quotes(name), " is ", JsonValue(shard).shown(),
            "; expected is the name of a file in the same folder");
    shards[shard.get<std::string>()].push_back(name);
  }
  require(!shards.empty(), BITNET_ERROR_FORMAT, "names no shards");
  require(shards.size() <= kMaxShards, BITNET_ERROR_UNSUPPORTED, "names ", shards.size(),
          " shards; there are no more than ", kMaxShards);
  return shards;
}

}  // namespace

std::vector<Safetensor> read_safetensors(std::span<const std::byte> file) {
  require(file.size() > kLengthBytes, BITNET_ERROR_FORMAT, "is too short for a safetensors file");
  uint64_t length;
  std::memcpy(&length, file.data(), sizeof length);
  const std::string_view start(reinterpret_cast<const char*>(file.data()), std::min<size_t>(file.size(), 64));
  require(!start.starts_with("version https://git-lfs"), BITNET_ERROR_FORMAT,
          "is a pointer of Git LFS and not the file that it stands for; fetch that with \"git lfs pull\"");
  require(length <= kMaxHeader, BITNET_ERROR_FORMAT, "is no safetensors file: its header would have ", length,
          " bytes; the largest are a few MiB");
  require(length <= file.size() - kLengthBytes, BITNET_ERROR_FORMAT, "is cut short: its header has ", length,
          " bytes, and ", file.size() - kLengthBytes, " are there");
  const std::string_view header(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
  require(header.starts_with('{'), BITNET_ERROR_FORMAT, "is no safetensors file: its header is not JSON");
  const Json json = parse_json(header);
  const auto data = file.subspan(kLengthBytes + length);
  std::vector<Safetensor> tensors;
  for (const auto& item : json.items()) {
    if (item.key() == "__metadata__") continue;
    with_path("tensor " + in_quotes(item.key()),
              [&] { tensors.push_back(Entry(item.key(), JsonValue(item.value())).read(data)); });
  }
  std::ranges::stable_sort(tensors, {}, [](const Safetensor& tensor) { return tensor.data.data(); });
  check_overlaps(tensors);
  return tensors;
}

void safetensor_values(const Safetensor& tensor, uint64_t first, std::span<float> out) {
  const auto decode = [&]<typename Stored>(Stored, const auto& convert) {
    const std::byte* const data = tensor.data.data() + first * sizeof(Stored);
    for (size_t i = 0; i < out.size(); ++i) {
      Stored value;
      std::memcpy(&value, data + i * sizeof value, sizeof value);  // nothing is said about where tensors lie
      out[i] = convert(value);
    }
  };
  switch (tensor.type) {
    case Safetype::f64:
      return decode(double{}, [](double value) { return static_cast<float>(value); });
    case Safetype::f32:
      std::memcpy(out.data(), tensor.data.data() + first * sizeof(float), out.size() * sizeof(float));
      return;
    case Safetype::f16:
      return decode(uint16_t{}, half_to_float);
    case Safetype::bf16:
      return decode(uint16_t{}, bfloat_to_float);
    case Safetype::i8:
      return decode(int8_t{}, [](int8_t value) { return static_cast<float>(value); });
    case Safetype::u8:
      return decode(uint8_t{}, [](uint8_t value) { return static_cast<float>(value); });
    case Safetype::other:
      fail(BITNET_ERROR_INTERNAL, "tensor ", in_quotes(tensor.name), " is read as if its type were known");
  }
}

Safetensors::Safetensors(const std::string& folder) {
  if (!exists(joined(folder, kSafetensorsFile)) && exists(joined(folder, kSafetensorsIndex))) {
    open_shards(folder);
  } else {
    with_path(kSafetensorsFile, [&] { add(folder, kSafetensorsFile); });
  }
}

void Safetensors::open_shards(const std::string& folder) {
  const auto shards = with_path(
      kSafetensorsIndex, [&] { return read_weight_map(read_json(joined(folder, kSafetensorsIndex), kMaxIndex)); });
  for (const auto& [shard, names] : shards) {
    try {
      add(folder, shard);
    } catch (const Error& error) {
      const bool missing = error.status() == BITNET_ERROR_NOT_FOUND;
      fail(error.status(), shard, ": ", error.what(),
           missing ? std::string("; ") + kSafetensorsIndex + " names it as a shard of the model" : "");
    }
    for (const std::string& name : names) {
      require(by_name_.contains(name), BITNET_ERROR_FORMAT, shard, ": tensor ", in_quotes(name),
              " is not in it, though ", kSafetensorsIndex, " says so; fetch the file again");
    }
  }
}

void Safetensors::add(const std::string& folder, const std::string& name) {
  files_.emplace_back(joined(folder, name), "a .safetensors file");
  for (Safetensor& tensor : read_safetensors(files_.back().bytes())) {
    const bool added = by_name_.emplace(tensor.name, tensors_.size()).second;
    require(added, BITNET_ERROR_FORMAT, "tensor ", in_quotes(tensor.name), " is in an earlier shard, too");
    tensors_.push_back(std::move(tensor));
  }
}

const Safetensor* Safetensors::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

uint64_t Safetensors::file_bytes() const {
  uint64_t total = 0;
  for (const MappedFile& file : files_) total += file.bytes().size();
  return total;
}

uint64_t Safetensors::owned_bytes() const {
  uint64_t total = 0;
  for (const MappedFile& file : files_) total += file.owned_bytes();
  return total;
}

}  // namespace bitnet
