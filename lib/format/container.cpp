// SPDX-License-Identifier: MIT
#include "format/container.h"

#include <flatbuffers/flatbuffers.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "format/converter.h"
#include "format/header.h"
#include "format/open_questions.h"
#include "format/source.h"
#include "format/zstd.h"

namespace bitnet {
namespace {

std::string_view view(const flatbuffers::String* string) {
  return string == nullptr ? std::string_view() : std::string_view(string->data(), string->size());
}

template <typename T>
std::span<const std::byte> bytes_of(const flatbuffers::Vector<T>* vector) {
  if (vector == nullptr) return {};
  return {reinterpret_cast<const std::byte*>(vector->Data()),
          vector->size() * sizeof(typename flatbuffers::IndirectHelper<T>::return_type)};
}

bool is_aligned(const void* data) { return reinterpret_cast<uintptr_t>(data) % kCacheLine == 0; }

// --- .bitnet -------------------------------------------------------------------------------------------------------

bool is_bitnet(std::span<const std::byte> file) {
  return file.size() >= kBitnetMagic.size() && std::memcmp(file.data(), kBitnetMagic.data(), kBitnetMagic.size()) == 0;
}

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
  require(ZSTD_getFrameContentSize(stored.data(), stored.size()) == header.metadata_raw_size, BITNET_ERROR_FORMAT,
          "the metadata's frame does not announce the size that the header does; the file is damaged");
  Buffer raw(header.metadata_raw_size);
  decompress(stored, raw.bytes(), "the metadata");
  return raw;
}

// Bytes of all texts and arrays if each has a place of its own. Offsets in a table may point to one and the same.
uint64_t variable_bytes(const fb::Model& model) {
  uint64_t total = 0;
  const auto add = [&total](const auto*... arrays) {
    ((total += arrays == nullptr ? 0 : uint64_t{arrays->size()} * sizeof arrays->data()[0]), ...);
  };
  const fb::Tokenizer& t = *model.tokenizer();
  add(model.architecture(), model.name(), model.license(), model.chat_template(), model.tensors(), model.notes());
  add(t.pre_tokenizer(), t.pieces(), t.ends(), t.types(), t.scores(), t.end_tokens());
  if (t.merges() != nullptr) total += t.merges()->size() * sizeof(fb::Merge);
  for (const fb::Tensor* tensor : *model.tensors()) add(tensor->name(), tensor->scales(), tensor->bounds());
  if (model.notes() == nullptr) return total;
  for (const fb::KeyValue* note : *model.notes()) add(note->key(), note->text());
  return total;
}

void verify_metadata(const Buffer& raw) {
  flatbuffers::Verifier verifier(raw.as<uint8_t>(), raw.size());
  require(fb::VerifyModelBuffer(verifier), BITNET_ERROR_FORMAT,
          "the metadata is not a valid table; the file is damaged");
  const uint64_t size = variable_bytes(*fb::GetModel(raw.data()));
  require(size <= kMaxMetadata, BITNET_ERROR_FORMAT, "the metadata holds ", size,
          " bytes of texts and arrays, many in one place; the format allows ", kMaxMetadata);
}

void check_scales(const Tensor& tensor) {
  const size_t count = tensor.scales.size();
  const bool fits = is_ternary(tensor.type)                                   ? count == 1 || count == tensor.rows
                    : tensor.type == fb::Type::int8 || is_planes(tensor.type) ? count == tensor.rows
                                                                              : count == 0;
  require(fits, BITNET_ERROR_FORMAT, "tensor ", tensor.name, " of ", tensor.rows, " rows has ", count, " scales");
  for (const float scale : tensor.scales) {
    require(std::isfinite(scale) && scale > 0, BITNET_ERROR_FORMAT, "tensor ", tensor.name, " has the scale ", scale,
            "; a scale must be finite and positive");
  }
}

void check_bounds(const Tensor& tensor) {
  const size_t count = tensor.name == kScreenName ? tensor.rows : 0;
  require(tensor.bounds.size() == count, BITNET_ERROR_FORMAT, "tensor ", tensor.name, " of ", tensor.rows, " rows has ",
          tensor.bounds.size(), " bounds");
  for (const float bound : tensor.bounds) {
    require(std::isfinite(bound) && bound >= 0, BITNET_ERROR_FORMAT, "tensor ", tensor.name, " has the bound ", bound,
            "; a bound must be finite and not negative");
  }
}

// All that can be said of a tensor without looking where it lies.
Tensor read_tensor(const fb::Tensor& entry) {
  Tensor tensor{view(entry.name()), entry.type(), entry.rows(), entry.cols(), entry.stride(), {}, {}, {},
                entry.checksum()};
  require(tensor.type <= fb::Type::MAX && entry.codec() <= fb::Codec::MAX, BITNET_ERROR_UNSUPPORTED, "tensor ",
          tensor.name, " is of a type or codec that this library does not know; a newer libbitnet may");
  require(tensor.rows >= 1 && tensor.rows <= kMaxExtent && tensor.cols >= 1 && tensor.cols <= kMaxExtent,
          BITNET_ERROR_FORMAT, "tensor ", tensor.name, " has an impossible shape, ", tensor.rows, " x ", tensor.cols);
  require(tensor.stride == row_stride(tensor.type, tensor.cols) &&
              entry.raw_size() == raw_bytes(tensor.type, tensor.rows, tensor.cols),
          BITNET_ERROR_FORMAT, "tensor ", tensor.name, " of shape ", tensor.rows, " x ", tensor.cols, " has ",
          entry.raw_size(), " bytes in rows of ", tensor.stride, "; that does not fit its type");
  if (entry.scales() != nullptr) tensor.scales = {entry.scales()->data(), entry.scales()->size()};
  if (entry.bounds() != nullptr) tensor.bounds = {entry.bounds()->data(), entry.bounds()->size()};
  check_scales(tensor);
  check_bounds(tensor);
  return tensor;
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
    require(entry.raw_size() / kMaxRatio <= range.size() &&
                ZSTD_getFrameContentSize(range.data(), range.size()) == entry.raw_size(),
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
void place_tensors(std::span<const std::byte> file, const fb::Model& model, const OpenOptions& options,
                   Container::Parts& parts) {
  std::vector<std::span<const std::byte>> stored;
  std::vector<size_t> moving, work;
  uint64_t total = 0, moving_bytes = 0;
  for (const fb::Tensor* entry : *model.tensors()) {
    Tensor tensor = read_tensor(*entry);
    stored.push_back(stored_range(file, *entry));
    tensor.data = stored.back();
    const bool moves = entry->codec() != fb::Codec::none || !is_aligned(tensor.data.data());
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
    if (moving_bytes != 0) require_memory(need(), parts.file.owned_bytes(), memory_limit());
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
        decompress(source, out, "tensor ", tensor.name);
      } else {
        std::memcpy(out.data(), source.data(), out.size());
      }
    }
    if (options.verify_checksums) check_checksum(tensor);
    // Opening is no reason for a whole file to be in memory at once.
    if (parts.file.is_mapped()) drop_pages(source);
    meter.advance(tensor.data.size());
  });
  meter.advance(0);
}

void read_bitnet(std::span<const std::byte> file, const OpenOptions& options, Container::Parts& parts) {
  const FileHeader header = read_header(file);
  parts.metadata = read_metadata(file, header);
  verify_metadata(parts.metadata);
  if (fb::ModelT settled; settle(*fb::GetModel(parts.metadata.data()), options.activation, options.log, settled)) {
    parts.metadata = pack_metadata(settled);
  }
  const fb::Model& model = *fb::GetModel(parts.metadata.data());
  place_tensors(file, model, options, parts);
  check_overlap(header, model);
}

// --- GGUF ----------------------------------------------------------------------------------------------------------

// Keeps the converted tensors in memory; what can be used in the source stays there.
class MemorySink final : public Sink {
 public:
  std::vector<Buffer>& owned() { return owned_; }
  const std::vector<std::span<const std::byte>>& data() const { return data_; }

  void expect(uint64_t) override {}

 private:
  void begin_tensor(fb::TensorT& tensor) override {
    const auto need = [&] {
      return MemoryNeed{tensor.raw_size,
                        "tensor " + tensor.name + ", after " + size_text(taken_) +
                            " for the weights before it, which opening this file repacks in memory",
                        "convert it to a .bitnet file once, which is mapped instead"};
    };
    with_memory(need, [&] {
      require_memory(need(), taken_, limit_);
      owned_.emplace_back(tensor.raw_size);
    });
    taken_ += tensor.raw_size;
    data_.emplace_back(owned_.back().bytes());
    position_ = owned_.back().data();
  }
  void write_piece(std::span<const std::byte> bytes) override {
    std::memcpy(position_, bytes.data(), bytes.size());
    position_ += bytes.size();
  }
  void end_tensor(fb::TensorT& tensor) override { tensor.stored_size = tensor.raw_size; }
  bool adopt(fb::TensorT& tensor, std::span<const std::byte> bytes) override {
    if (!is_aligned(bytes.data())) return false;
    data_.push_back(bytes);
    tensor.stored_size = tensor.raw_size;
    return true;
  }

  std::vector<Buffer> owned_;
  std::vector<std::span<const std::byte>> data_;  // of each tensor in turn
  std::byte* position_ = nullptr;
  uint64_t taken_ = 0;
  const uint64_t limit_ = memory_limit();
};

void read_gguf(std::span<const std::byte> file, const OpenOptions& options, Container::Parts& parts) {
  const bool mapped = parts.file.is_mapped();
  const auto source =
      open_gguf_source(file, {options.layout, options.quantize, mapped, options.activation, options.log});
  MemorySink sink;
  parts.metadata = pack_metadata(convert_model(*source, {options.packing, options.head}, sink, options.progress));
  parts.owned = std::move(sink.owned());
  const auto& entries = *fb::GetModel(parts.metadata.data())->tensors();
  for (uint32_t i = 0; i < entries.size(); ++i) {
    parts.tensors.push_back(read_tensor(*entries[i]));
    parts.tensors.back().data = sink.data()[i];
  }
  // Reading a page maps its neighbours too, also those that have been dropped; so the end of the work drops them all.
  if (mapped) drop_pages(file);
}

std::shared_ptr<const Container> open_parts(std::span<const std::byte> file, const OpenOptions& options,
                                            Container::Parts parts) {
  parts.file_bytes = file.size();
  if (is_bitnet(file)) {
    read_bitnet(file, options, parts);
  } else if (Gguf::is_gguf(file)) {
    read_gguf(file, options, parts);
  } else {
    fail(BITNET_ERROR_FORMAT, "is neither a .bitnet nor a GGUF file");
  }
  return std::make_shared<const Container>(std::move(parts));
}

}  // namespace

Container::Container(Parts parts) : parts_(std::move(parts)), model_(fb::GetModel(parts_.metadata.data())) {
  for (size_t i = 0; i < parts_.tensors.size(); ++i) {
    require(index_.emplace(parts_.tensors[i].name, i).second, BITNET_ERROR_FORMAT, "tensor ", parts_.tensors[i].name,
            " appears twice");
  }
  fingerprint_ = compute_fingerprint();
}

const Tensor* Container::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &parts_.tensors[found->second];
}

bool Container::is_mapped(std::span<const std::byte> range) const {
  const auto file = parts_.file.bytes();
  return parts_.file.is_mapped() && std::less_equal<>()(file.data(), range.data()) &&
         std::less_equal<>()(range.data() + range.size(), file.data() + file.size());
}

uint64_t Container::tensor_bytes() const {
  uint64_t bytes = 0;
  for (const Tensor& tensor : parts_.tensors) bytes += tensor.data.size();
  return bytes;
}

uint64_t Container::owned_bytes() const {
  uint64_t bytes = parts_.metadata.size() + parts_.file.owned_bytes();
  for (const Buffer& buffer : parts_.owned) bytes += buffer.size();
  return bytes;
}

uint64_t Container::compute_fingerprint() const {
  Hasher hasher;
  hasher.add(view(model_->architecture()));
  const fb::HyperParameters& hyper = *model_->hyper();
  for (const uint32_t value : {hyper.layers(), hyper.hidden(), hyper.ffn(), hyper.heads(), hyper.kv_heads(),
                               hyper.head_dim(), hyper.vocabulary(), static_cast<uint32_t>(hyper.activation())}) {
    hasher.add_value(value);
  }
  hasher.add_value(hyper.rms_epsilon());
  hasher.add_value(hyper.rope_theta());
  const fb::Tokenizer& tokenizer = *model_->tokenizer();
  hasher.add(bytes_of(tokenizer.pieces()));
  hasher.add(bytes_of(tokenizer.ends()));
  for (const Tensor& tensor : parts_.tensors) {
    if (tensor.name == kScreenName) continue;  // changes no result
    hasher.add(tensor.name);
    hasher.add_value(tensor.type);
    hasher.add_value(tensor.checksum);
    hasher.add(std::as_bytes(tensor.scales));
  }
  return hasher.digest();
}

void check_tensors(const Container& container, const std::vector<TensorSpec>& specs) {
  for (const TensorSpec& spec : specs) {
    const Tensor* const tensor = container.find(spec.name);
    require(tensor != nullptr, BITNET_ERROR_FORMAT, "tensor ", spec.name, " is missing");
    require(tensor->rows == spec.rows && tensor->cols == spec.cols, BITNET_ERROR_FORMAT, "tensor ", spec.name, " is ",
            tensor->rows, " x ", tensor->cols, "; the hyperparameters ask for ", spec.rows, " x ", spec.cols);
    const bool fits = spec.role == Role::ternary     ? is_ternary(tensor->type)
                      : spec.role == Role::norm      ? tensor->type == fb::Type::f32
                      : spec.role == Role::embedding ? tensor->type == fb::Type::f16
                      : spec.role == Role::screen    ? tensor->type == fb::Type::q5
                                                  : tensor->type == fb::Type::f16 || tensor->type == fb::Type::int8 ||
                                                        tensor->type == fb::Type::q6;
    require(fits, BITNET_ERROR_FORMAT, "tensor ", spec.name, " is of type ", fb::EnumNameType(tensor->type),
            ", which is none for its place");
  }
  const Tensor* const head = container.find(kHeadName);
  require(container.find(kScreenName) == nullptr || head == nullptr || head->type == fb::Type::f16, BITNET_ERROR_FORMAT,
          "tensor ", kScreenName, " stands beside a head that is not F16");
  require(specs.size() == container.tensors().size(), BITNET_ERROR_UNSUPPORTED,
          "the file holds tensors that its architecture does not have; a newer libbitnet may know them");
}

void log_unmapped(const std::string& path, uint64_t bytes, const Log& log) {
  if (!log) return;
  log(BITNET_LOG_WARNING, path + ": its file system cannot map files; all " + size_text(bytes) +
                              " were read into memory, which takes longer and is not shared with other processes");
}

std::shared_ptr<const Container> open_container(const std::string& path, const OpenOptions& options) {
  return with_path(path, [&] {
    Container::Parts parts;
    parts.file = MappedFile(path);
    const auto file = parts.file.bytes();
    if (!parts.file.is_mapped()) log_unmapped(path, file.size(), options.log);
    return open_parts(file, options, std::move(parts));
  });
}

std::shared_ptr<const Container> open_container(std::span<const std::byte> file, const OpenOptions& options) {
  return with_path("data", [&] { return open_parts(file, options, {}); });
}

}  // namespace bitnet
