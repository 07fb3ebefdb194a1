// SPDX-License-Identifier: MIT
#include "format/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <string>

#include "base/error.h"
#include "format/gguf_values.h"

namespace bitnet {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr uint64_t kMaxAlignment = 1 << 16;

// Bytes of a value of fixed size; 0 for strings and arrays.
size_t width_of(GgufKind kind) {
  constexpr std::array<uint8_t, 13> kWidths = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return kWidths[static_cast<size_t>(kind)];
}

// Reads little-endian numbers and strings off the front of the file.
class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> file) : file_(file) {}

  uint64_t position() const { return position_; }
  uint64_t left() const { return file_.size() - position_; }

  std::span<const std::byte> take(uint64_t size, const char* what) {
    require(size <= left(), BITNET_ERROR_FORMAT, "the file ends inside ", what, " at byte ", position_, ": ", size,
            " bytes wanted, ", left(), " left; the file is truncated or damaged");
    const auto bytes = file_.subspan(position_, size);
    position_ += size;
    return bytes;
  }
  template <typename Number>
  Number number(const char* what) {
    Number value;
    std::memcpy(&value, take(sizeof value, what).data(), sizeof value);
    return value;
  }
  std::span<const std::byte> string(const char* what) { return take(number<uint64_t>(what), what); }

 private:
  std::span<const std::byte> file_;
  uint64_t position_ = 0;
};

GgufKind read_kind(Cursor& in, std::string_view key) {
  const auto kind = in.number<uint32_t>("a metadata type");
  require(kind <= static_cast<uint32_t>(GgufKind::f64), BITNET_ERROR_FORMAT, "metadata key ", key, " has unknown type ",
          kind);
  return static_cast<GgufKind>(kind);
}

struct ArrayHead {
  GgufKind element;
  uint64_t count;
};

// The type and the number of an array's elements; no more of them than the rest of the file can hold.
ArrayHead read_array_head(Cursor& in, std::string_view key) {
  const GgufKind element = read_kind(in, key);
  const auto count = in.number<uint64_t>("an array's length");
  constexpr uint64_t kArrayHead = sizeof(uint32_t) + sizeof(uint64_t);
  const uint64_t smallest = element == GgufKind::string  ? sizeof(uint64_t)
                            : element == GgufKind::array ? kArrayHead
                                                         : width_of(element);
  require(count <= in.left() / smallest, BITNET_ERROR_FORMAT, "metadata key ", key, " is an array of ", count,
          " elements, more than the rest of the file can hold; the file is truncated or damaged");
  return {element, count};
}

// Passes over the elements of an array that holds no arrays.
void skip_elements(Cursor& in, const ArrayHead& head) {
  if (head.element == GgufKind::string) {
    for (uint64_t i = 0; i < head.count; ++i) in.string("a string of an array");
  } else {
    in.take(head.count * width_of(head.element), "an array");
  }
}

// Passes over the elements of an array of arrays, however deep they nest. Arrays that are still to come are counted
// level by level; a level is forgotten with its last array, so that the list takes less memory than the file.
void skip_arrays(Cursor& in, std::string_view key, uint64_t count) {
  std::vector<uint64_t> to_come = {count};
  while (!to_come.empty()) {
    if (to_come.back() == 0) {
      to_come.pop_back();
      continue;
    }
    if (--to_come.back() == 0) to_come.pop_back();
    const ArrayHead head = read_array_head(in, key);
    if (head.element == GgufKind::array) {
      to_come.push_back(head.count);
    } else {
      skip_elements(in, head);
    }
  }
}

void read_array(Cursor& in, GgufValue& value) {
  const ArrayHead head = read_array_head(in, value.key);
  value.element = head.element;
  value.count = head.count;
  const uint64_t begin = in.position();
  Cursor elements = in;
  if (head.element == GgufKind::array) {
    skip_arrays(in, value.key, head.count);
  } else {
    skip_elements(in, head);
  }
  value.payload = elements.take(in.position() - begin, "an array");
}

GgufValue read_value(Cursor& in) {
  GgufValue value;
  value.key = gguf_text(in.string("a metadata key"));
  value.kind = read_kind(in, value.key);
  if (value.kind == GgufKind::array) {
    read_array(in, value);
  } else if (value.kind == GgufKind::string) {
    value.payload = in.string("a metadata string");
  } else {
    value.payload = in.take(width_of(value.kind), "a metadata value");
  }
  return value;
}

void check_version(Cursor& in) {
  in.take(kMagic.size(), "the magic number");
  const auto version = in.number<uint32_t>("the version");
  require((version & 0xffff) != 0 || version == 0, BITNET_ERROR_UNSUPPORTED,
          "this is a big-endian GGUF file; convert the model to a little-endian one");
  require(version == 2 || version == 3, BITNET_ERROR_UNSUPPORTED, "GGUF version ", version,
          " is not supported, only 2 and 3 are; convert the model with a current version of its converter");
}

struct TensorInfo {
  std::string_view name;
  const GgufType* type;
  uint64_t rows = 1, cols = 1;
  uint64_t offset, size;
};

uint64_t tensor_size(const TensorInfo& info) {
  // I2_S: a quarter byte for each weight and then 32 bytes that begin with the scale.
  if (info.type->number == kGgufI2_S) return info.rows * info.cols / 4 + 32;
  return info.rows * (info.cols / info.type->block) * info.type->block_bytes;
}

void check_shape(const TensorInfo& info) {
  // 2^40 values: more than any file holds, and far from overflowing.
  require(info.rows != 0 && info.cols != 0 && info.cols <= (uint64_t{1} << 40) / info.rows, BITNET_ERROR_FORMAT,
          "tensor ", info.name, " has an impossible shape, ", info.rows, " x ", info.cols);
  require(info.cols % info.type->block == 0, BITNET_ERROR_FORMAT, "tensor ", info.name, " of type ", info.type->name,
          " has rows of ", info.cols, " values, no multiple of ", info.type->block);
}

TensorInfo read_tensor_info(Cursor& in) {
  TensorInfo info;
  info.name = gguf_text(in.string("a tensor's name"));
  const auto dimensions = in.number<uint32_t>("a tensor's dimensions");
  require(dimensions <= 4, BITNET_ERROR_FORMAT, "tensor ", info.name, " has ", dimensions,
          " dimensions; GGUF allows up to 4");
  std::array<uint64_t, 4> shape = {1, 1, 1, 1};  // a tensor without dimensions is one number
  for (uint32_t i = 0; i < dimensions; ++i) shape[i] = in.number<uint64_t>("a tensor's shape");
  require(shape[2] == 1 && shape[3] == 1, BITNET_ERROR_UNSUPPORTED, "tensor ", info.name,
          " has more than two dimensions; no tensor of a BitNet model has");
  info.cols = shape[0];
  info.rows = shape[1];
  const auto type = in.number<uint32_t>("a tensor's type");
  info.type = &gguf_type(info.name, type);
  check_shape(info);
  info.offset = in.number<uint64_t>("a tensor's offset");
  info.size = tensor_size(info);
  return info;
}

void check_overlap(const std::vector<TensorInfo>& infos) {
  std::vector<const TensorInfo*> order;
  for (const TensorInfo& info : infos) order.push_back(&info);
  std::ranges::sort(order, {}, &TensorInfo::offset);
  for (size_t i = 1; i < order.size(); ++i) {
    require(order[i - 1]->offset + order[i - 1]->size <= order[i]->offset, BITNET_ERROR_FORMAT, "tensors ",
            order[i - 1]->name, " and ", order[i]->name, " overlap");
  }
}

uint64_t read_alignment(const GgufValue* value) {
  if (value == nullptr) return 32;
  const auto alignment = whole_number(*value);
  require(alignment && std::has_single_bit(*alignment) && *alignment <= kMaxAlignment, BITNET_ERROR_FORMAT,
          "metadata key general.alignment is ", describe(*value), "; expected is a power of two up to ", kMaxAlignment);
  return *alignment;
}

}  // namespace

bool Gguf::is_gguf(std::span<const std::byte> file) { return gguf_text(file).starts_with(kMagic); }

Gguf::Gguf(std::span<const std::byte> file) {
  Cursor in(file);
  check_version(in);
  const auto tensor_count = in.number<uint64_t>("the number of tensors");
  const auto value_count = in.number<uint64_t>("the number of metadata values");
  // The smallest value takes 13 bytes, the smallest tensor description 24.
  require(value_count <= in.left() / 13, BITNET_ERROR_FORMAT, "the file claims ", value_count,
          " metadata values, more than it can hold; it is truncated or damaged");
  for (uint64_t i = 0; i < value_count; ++i) {
    values_.push_back(read_value(in));
    require(value_index_.emplace(values_.back().key, i).second, BITNET_ERROR_FORMAT, "metadata key ",
            values_.back().key, " appears twice");
  }
  require(tensor_count <= in.left() / 24, BITNET_ERROR_FORMAT, "the file claims ", tensor_count,
          " tensors, more than it can hold; it is truncated or damaged");
  std::vector<TensorInfo> infos;
  for (uint64_t i = 0; i < tensor_count; ++i) {
    infos.push_back(read_tensor_info(in));
    require(tensor_index_.emplace(infos.back().name, i).second, BITNET_ERROR_FORMAT, "tensor ", infos.back().name,
            " appears twice");
  }
  const uint64_t alignment = read_alignment(find("general.alignment"));
  const uint64_t data_begin = (in.position() + alignment - 1) / alignment * alignment;
  const uint64_t data_size = file.size() - std::min<uint64_t>(data_begin, file.size());
  for (const TensorInfo& info : infos) {
    require(info.offset % alignment == 0, BITNET_ERROR_FORMAT, "tensor ", info.name, " begins at ", info.offset,
            ", no multiple of the alignment ", alignment);
    require(info.offset <= data_size && info.size <= data_size - info.offset, BITNET_ERROR_FORMAT, "tensor ", info.name,
            " (", info.size, " bytes at ", info.offset, ") reaches beyond the end of the file, which has ", data_size,
            " bytes of tensors; it is truncated or damaged");
    tensors_.push_back({info.name, info.type, info.rows, info.cols, file.subspan(data_begin + info.offset, info.size)});
  }
  check_overlap(infos);
}

const GgufValue* Gguf::find(std::string_view key) const {
  const auto found = value_index_.find(key);
  return found == value_index_.end() ? nullptr : &values_[found->second];
}

const GgufTensor* Gguf::find_tensor(std::string_view name) const {
  const auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

std::string_view GgufStrings::next() {
  // Gguf's constructor has walked over the array before and checked every length.
  uint64_t size;
  std::memcpy(&size, rest_.data(), sizeof size);
  const std::string_view string = gguf_text(rest_.subspan(sizeof size, size));
  rest_ = rest_.subspan(sizeof size + size);
  --left_;
  return string;
}

}  // namespace bitnet
