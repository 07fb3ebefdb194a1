// SPDX-License-Identifier: MIT
#include "format/open.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/memory.h"
#include "format/bitnet_file.h"
#include "format/converter.h"
#include "format/gguf_files.h"
#include "format/hf_source.h"
#include "format/metadata.h"

namespace bitnet {
namespace {

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
    if (!is_aligned(bytes)) return false;
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

// `parts` holds what the source refers to.
std::shared_ptr<const Container> convert_in_memory(const Source& source, Container::Parts parts,
                                                   const OpenOptions& options) {
  MemorySink sink;
  const ConverterOptions form = {options.packing,     options.dense,   options.head, options.quantize,
                                 options.activations, BITNET_LOG_INFO, options.log};
  parts.metadata = pack_metadata(convert_model(source, form, sink, options.progress));
  parts.owned = std::move(sink.owned());
  const auto& entries = *fb::GetModel(parts.metadata.data())->tensors();
  for (uint32_t i = 0; i < entries.size(); ++i) {
    parts.tensors.push_back(read_tensor(*entries[i]));
    parts.tensors.back().data = sink.data()[i];
  }
  return std::make_shared<const Container>(std::move(parts));
}

// `files` are those that `gguf` lies in, if it lies in any.
std::shared_ptr<const Container> open_gguf(std::span<const std::span<const std::byte>> gguf,
                                           std::vector<MappedFile> files, const OpenOptions& options) {
  const bool mapped = !files.empty() && std::ranges::all_of(files, &MappedFile::is_mapped);
  const auto source = open_gguf_source(gguf, {options.layout, mapped, options.activation, options.log});
  Container::Parts parts;
  for (const auto bytes : gguf) parts.file_bytes += bytes.size();
  parts.files = std::move(files);
  auto container = convert_in_memory(*source, std::move(parts), options);
  // Reading a page maps its neighbours too, also those that have been dropped; so the end of the work drops them all.
  if (mapped) std::ranges::for_each(gguf, drop_pages);
  return container;
}

std::shared_ptr<const Container> open_hf(const std::string& path, const OpenOptions& options) {
  HfCheckpoint checkpoint = open_hf_checkpoint(path, {options.log});
  const std::shared_ptr<const Source> source = std::move(checkpoint.source);
  Container::Parts parts;
  parts.file_bytes = checkpoint.file_bytes;
  parts.source = source;
  return convert_in_memory(*source, std::move(parts), options);
}

ReadOptions read_options(const OpenOptions& options) {
  return {options.activation, options.verify_checksums, options.progress, options.log};
}

[[noreturn]] void fail_kind(const char* advice) {
  fail(BITNET_ERROR_FORMAT, "is neither a .bitnet nor a GGUF file", advice);
}

}  // namespace

void log_unmapped(const std::string& path, uint64_t bytes, const Log& log) {
  if (!log) return;
  log(BITNET_LOG_WARNING, path + ": its file system cannot map files; all " + size_text(bytes) +
                              " were read into memory, which takes longer and is not shared with other processes");
}

std::shared_ptr<const Container> open_container(const std::string& path, const OpenOptions& options) {
  return with_path(path, [&] {
    if (is_hf_folder(path)) return open_hf(path, options);
    MappedFile mapping(path);
    const auto file = mapping.bytes();
    if (!mapping.is_mapped()) log_unmapped(path, file.size(), options.log);
    if (is_bitnet_file(file)) return read_bitnet_file(file, std::move(mapping), read_options(options));
    if (!Gguf::is_gguf(file)) fail_kind("; of a Hugging Face checkpoint name the folder");
    GgufFiles files(path, std::move(mapping));
    const auto parts = files.parts();
    return open_gguf(parts, std::move(files).take(), options);
  });
}

std::shared_ptr<const Container> open_container(std::span<const std::byte> file, const OpenOptions& options) {
  return with_path("data", [&] {
    if (is_bitnet_file(file)) return read_bitnet_file(file, {}, read_options(options));
    if (!Gguf::is_gguf(file)) fail_kind("");
    return open_gguf({&file, 1}, {}, options);
  });
}

}  // namespace bitnet
