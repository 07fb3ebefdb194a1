// SPDX-License-Identifier: MIT
#include "format/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <string>

#include "base/error.h"
#include "format/gguf_kind.h"
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
  uint32_t number;  // of its type
  uint64_t rows, cols, matrices, offset;
  uint64_t room = 0;  // up to the next tensor, or the end of the file
  const GgufType* type = nullptr;
  uint64_t size = 0;
};

void check_shape(const TensorInfo& info) {
  // 2^40 values: more than any file holds, and far from overflowing.
  require(info.rows != 0 && info.cols != 0 && info.cols <= (uint64_t{1} << 40) / info.rows, BITNET_ERROR_FORMAT,
          "tensor ", info.name, " has an impossible shape, ", info.rows, " x ", info.cols);
}

TensorInfo read_tensor_info(Cursor& in) {
  TensorInfo info;
  info.name = gguf_text(in.string("a tensor's name"));
  const auto dimensions = in.number<uint32_t>("a tensor's dimensions");
  require(dimensions <= 4, BITNET_ERROR_FORMAT, "tensor ", info.name, " has ", dimensions,
          " dimensions; GGUF allows up to 4");
  std::array<uint64_t, 4> shape = {1, 1, 1, 1};  // a tensor without dimensions is one number
  for (uint32_t i = 0; i < dimensions; ++i) shape[i] = in.number<uint64_t>("a tensor's shape");
  require(shape[3] == 1, BITNET_ERROR_UNSUPPORTED, "tensor ", info.name,
          " has more than three dimensions; no tensor of a supported model has");
  constexpr uint64_t kMost = uint64_t{1} << 40;
  require(shape[2] != 0 && shape[1] <= kMost / shape[2], BITNET_ERROR_FORMAT, "tensor ", info.name,
          " has an impossible shape, ", shape[2], " matrices of ", shape[1], " x ", shape[0]);
  info.cols = shape[0];
  info.rows = shape[1] * shape[2];
  info.matrices = shape[2];
  info.number = in.number<uint32_t>("a tensor's type");
  check_shape(info);
  info.offset = in.number<uint64_t>("a tensor's offset");
  return info;
}

// Bytes that a tensor takes; 0 if the type does not allow its shape.
uint64_t tensor_size(const GgufType& type, const TensorInfo& info) {
  if (type.coding) return coded_bytes(*type.coding, info.rows, info.cols);
  return info.cols % type.block == 0 ? info.rows * (info.cols / type.block) * type.block_bytes : 0;
}

void set_rooms(std::vector<TensorInfo>& infos, uint64_t data_size) {
  std::vector<TensorInfo*> order;
  for (TensorInfo& info : infos) order.push_back(&info);
  std::ranges::sort(order, {}, &TensorInfo::offset);
  for (size_t i = 0; i < order.size(); ++i) {
    const uint64_t end = i + 1 < order.size() ? order[i + 1]->offset : data_size;
    order[i]->room = end - std::min(end, order[i]->offset);
  }
}

// Whether all tensors with the type's number have just the room that it needs.
bool fills_rooms(const GgufType& type, const std::vector<TensorInfo>& infos, uint64_t alignment) {
  return std::ranges::all_of(infos, [&](const TensorInfo& info) {
    if (info.number != type.number) return true;
    const uint64_t size = tensor_size(type, info);
    return size != 0 && size <= info.room && info.room - size < alignment;
  });
}

// A number with several meanings: the one under which the tensors lie end to end, as all writers lay them.
const GgufType& decide_type(std::span<const GgufType> types, const TensorInfo& info,
                            const std::vector<TensorInfo>& infos, uint64_t alignment) {
  if (types.size() == 1 && types[0].other == nullptr) return types[0];
  const GgufType* decided = nullptr;
  std::string meanings;
  for (const GgufType& type : types) {
    meanings.append(meanings.empty() ? "" : " or ").append(type.name);
    if (type.other != nullptr) meanings.append(" or ").append(type.other);
    if (!fills_rooms(type, infos, alignment)) continue;
    require(decided == nullptr, BITNET_ERROR_UNSUPPORTED, "tensor ", info.name, " has GGUF type ", info.number, ", ",
            meanings, ", and the sizes of the tensors do not show which");
    decided = &type;
  }
  require(decided != nullptr, BITNET_ERROR_UNSUPPORTED, "tensor ", info.name, " has GGUF type ", info.number, ", ",
          meanings, "; the sizes of the tensors are not those of ",
          types.size() == 1 ? types[0].name : "either of the two", ", the only meaning that libbitnet reads");
  return *decided;
}

void set_types(std::vector<TensorInfo>& infos, uint64_t alignment) {
  std::unordered_map<uint32_t, const GgufType*> types;
  for (TensorInfo& info : infos) {
    const auto [type, added] = types.emplace(info.number, nullptr);
    if (added) type->second = &decide_type(gguf_types(info.name, info.number), info, infos, alignment);
    info.type = type->second;
    info.size = tensor_size(*info.type, info);
    require(info.size != 0 || info.type->coding, BITNET_ERROR_FORMAT, "tensor ", info.name, " of type ",
            info.type->name, " has rows of ", info.cols, " values, no multiple of ", info.type->block);
    require(info.size != 0, BITNET_ERROR_FORMAT, "tensor ", info.name, " is ", info.rows, " x ", info.cols,
            "; no matrix of that shape has the type ", info.type->name);
  }
}

void check_places(const std::vector<TensorInfo>& infos, uint64_t alignment, uint64_t data_size) {
  std::vector<const TensorInfo*> order;
  for (const TensorInfo& info : infos) {
    require(info.offset % alignment == 0, BITNET_ERROR_FORMAT, "tensor ", info.name, " begins at ", info.offset,
            ", no multiple of the alignment ", alignment);
    require(info.offset <= data_size && info.size <= data_size - info.offset, BITNET_ERROR_FORMAT, "tensor ", info.name,
            " (", info.size, " bytes at ", info.offset, ") reaches beyond the end of the file, which has ", data_size,
            " bytes of tensors; it is truncated or damaged");
    order.push_back(&info);
  }
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

// A file as it lies: what it begins with, then its values, then descriptions of its tensors, then these.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> file) : file_(file), in_(file) {
    check_version(in_);
    tensor_count_ = in_.number<uint64_t>("the number of tensors");
    const auto value_count = in_.number<uint64_t>("the number of metadata values");
    // The smallest value takes 13 bytes, the smallest tensor description 24.
    require(value_count <= in_.left() / 13, BITNET_ERROR_FORMAT, "the file claims ", value_count,
            " metadata values, more than it can hold; it is truncated or damaged");
    for (uint64_t i = 0; i < value_count; ++i) {
      values_.push_back(read_value(in_));
      require(index_.emplace(values_.back().key, i).second, BITNET_ERROR_FORMAT, "metadata key ", values_.back().key,
              " appears twice");
    }
  }

  const std::vector<GgufValue>& values() const { return values_; }
  const std::unordered_map<std::string_view, size_t>& index() const { return index_; }
  const GgufValue* find(std::string_view key) const {
    const auto found = index_.find(key);
    return found == index_.end() ? nullptr : &values_[found->second];
  }

  std::vector<GgufTensor> read_tensors() {
    require(tensor_count_ <= in_.left() / 24, BITNET_ERROR_FORMAT, "the file claims ", tensor_count_,
            " tensors, more than it can hold; it is truncated or damaged");
    std::vector<TensorInfo> infos;
    for (uint64_t i = 0; i < tensor_count_; ++i) infos.push_back(read_tensor_info(in_));
    const uint64_t alignment = read_alignment(find("general.alignment"));
    const uint64_t begin = (in_.position() + alignment - 1) / alignment * alignment;
    const uint64_t size = file_.size() - std::min<uint64_t>(begin, file_.size());
    set_rooms(infos, size);
    set_types(infos, alignment);
    check_places(infos, alignment, size);
    std::vector<GgufTensor> tensors;
    for (const TensorInfo& info : infos) {
      tensors.push_back(
          {info.name, info.type, info.rows, info.cols, info.matrices, file_.subspan(begin + info.offset, info.size)});
    }
    return tensors;
  }

 private:
  std::span<const std::byte> file_;
  Cursor in_;
  uint64_t tensor_count_ = 0;
  std::vector<GgufValue> values_;
  std::unordered_map<std::string_view, size_t> index_;
};

constexpr std::string_view kSplitNumber = "split.no", kSplitCount = "split.count",
                           kSplitTensors = "split.tensors.count";
constexpr uint64_t kMostParts = 99999;  // that names have digits for

uint64_t split_number(const Reader& reader, std::string_view key, uint64_t missing, uint64_t most) {
  const GgufValue* const value = reader.find(key);
  if (value == nullptr) return missing;
  const auto number = whole_number(*value);
  require(number && *number <= most, BITNET_ERROR_FORMAT, "metadata key ", key, " is ", describe(*value),
          "; expected is a whole number up to ", most);
  return *number;
}

// A count of 0 is some writers' way to say that the model is not split.
GgufSplit read_split(const Reader& reader) {
  const uint64_t parts = std::max<uint64_t>(split_number(reader, kSplitCount, 1, kMostParts), 1);
  return {parts == 1 ? 0 : split_number(reader, kSplitNumber, 0, parts - 1), parts};
}

}  // namespace

bool Gguf::is_gguf(std::span<const std::byte> file) { return gguf_text(file).starts_with(kMagic); }

GgufSplit Gguf::split(std::span<const std::byte> file) { return read_split(Reader(file)); }

Gguf::Gguf(std::span<const std::span<const std::byte>> parts) {
  add_part(parts, 0);
  for (size_t i = 1; i < parts.size(); ++i) {
    try {
      add_part(parts, i);
    } catch (const Error& error) {
      fail(error.status(), "part ", i + 1, " of ", parts.size(), ": ", error.what());
    }
  }
  const GgufValue* const count = find(kSplitTensors);
  const auto expected = count == nullptr ? std::nullopt : whole_number(*count);
  require(!expected || parts.size() == 1 || *expected == tensors_.size(), BITNET_ERROR_FORMAT, "the ", parts.size(),
          " parts hold ", tensors_.size(), " tensors, but metadata key ", kSplitTensors, " is ", expected.value_or(0),
          "; a part belongs to another model");
}

void Gguf::add_part(std::span<const std::span<const std::byte>> parts, size_t number) {
  Reader reader(parts[number]);
  if (number == 0) {
    values_ = reader.values();
    value_index_ = reader.index();
    require_model(*this);
  }
  const GgufSplit split = read_split(reader);
  require(split.parts == parts.size() && split.part == number, BITNET_ERROR_UNSUPPORTED, "the file is part ",
          split.part + 1, " of ", split.parts, " of a model (metadata keys ", kSplitNumber, ", ", kSplitCount, ")",
          parts.size() == 1 ? "; open the model by the path of its first part, with the others beside it"
                            : ", and another one by its name");
  for (GgufTensor& tensor : reader.read_tensors()) {
    require(tensor_index_.emplace(tensor.name, tensors_.size()).second, BITNET_ERROR_FORMAT, "tensor ", tensor.name,
            " appears twice");
    tensors_.push_back(tensor);
  }
  require(!tensors_.empty() || parts.size() > 1, BITNET_ERROR_UNSUPPORTED,
          find("tokenizer.ggml.tokens") != nullptr ? "the file holds a vocabulary without a model, no tensors"
                                                   : "the file holds no tensors");
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
