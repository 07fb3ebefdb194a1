// SPDX-License-Identifier: MIT
#include "format/convert.h"

#include <functional>
#include <memory>
#include <utility>

#include "base/cores.h"
#include "base/error.h"
#include "base/memory.h"
#include "format/container_writer.h"
#include "format/convert_memory.h"
#include "format/converter.h"
#include "format/gguf_files.h"
#include "format/hf_source.h"
#include "format/load.h"
#include "format/metadata.h"
#include "format/source.h"

namespace bitnet {
namespace {

// A control group that cannot hold the work ends the process without a word, so it is asked before.
void require_memory_to_convert(const fb::ModelT& model, const ConvertOptions& options, uint64_t taken) {
  const uint64_t limit = memory_limit();
  if (limit == UINT64_MAX) return;
  check_hyperparameters(read_hyperparameters(model));
  const char* const advice = options.zstd_level ? "a lower level of compression takes less, and none the least"
                                                : "raise the limit, or convert the file elsewhere";
  const bool coded = options.gguf_weights == GgufWeights::tl1 || options.gguf_weights == GgufWeights::tl2;
  require_memory({convert_memory(model, options.zstd_level, usable_cpus(), options.folder || coded),
                  "converting, for pieces of the tensors and the vocabulary", advice},
                 taken, limit);
}

// What could not be done, or used afterwards, is refused before time or a file is spent on it.
void check_source(const Source& source, const ConvertOptions& options, uint64_t taken) {
  const fb::ModelT model = source.describe();
  require_memory_to_convert(model, options, taken);
  const Buffer metadata = pack_metadata(model);
  check_tokenizer(*fb::GetModel(metadata.data()));
}

struct Paths {
  const std::string &in, &out;
};

using Commit = std::function<uint64_t()>;  // gives a finished file its name, and returns its size

// What a caller says of a model, in place of what its source says.
void describe_anew(fb::ModelT& model, const ConvertOptions& options) {
  if (!options.name.empty()) model.name = options.name;
  if (!options.chat_template.empty()) model.chat_template = options.chat_template;
}

Commit write_bitnet(const Source& source, const ConverterOptions& form, const std::string& out,
                    const ConvertOptions& options) {
  const auto writer = std::make_shared<ContainerWriter>(out, options.zstd_level);
  fb::ModelT model = convert_model(source, form, *writer, options.progress);
  describe_anew(model, options);
  writer->finish(model);
  return [writer] { return writer->commit(); };
}

Commit write_gguf(const Source& source, const std::string& out, const ConvertOptions& options) {
  const auto written = std::make_shared<WrittenGguf>(
      bitnet::write_gguf(out, source,
                         {.weights = options.gguf_weights,
                          .quantize = options.quantize,
                          .lossy = options.lossy,
                          .describe = [&options](fb::ModelT& model) { describe_anew(model, options); },
                          .progress = options.progress,
                          .log = options.log}));
  return [written] { return written->commit(); };
}

Commit write_folder(const Source& source, const std::string& out, const ConvertOptions& options) {
  const auto written = std::make_shared<WrittenFolder>(
      write_hf(out, source,
               {.form = options.hf_form,
                .activations = options.activations,
                .quantize = options.quantize,
                .lossy = options.lossy,
                .shard_bytes = options.shard_bytes,
                .describe = [&options](fb::ModelT& model) { describe_anew(model, options); },
                .progress = options.progress,
                .log = options.log}));
  return [written] { return written->commit(); };
}

Commit write(const Source& source, const ConverterOptions& form, const Paths& paths, const ConvertOptions& options,
             uint64_t taken) {
  try {
    check_source(source, options, taken);
    if (options.folder) return write_folder(source, paths.out, options);
    return options.gguf ? write_gguf(source, paths.out, options) : write_bitnet(source, form, paths.out, options);
  } catch (const Error& error) {
    if (error.status() == BITNET_ERROR_IO) throw;  // the writers' errors name the file that they write
    fail(error.status(), named(paths.in), ": ", error.what());
  }
}

// Of a source that is no .bitnet file.
ConverterOptions form_of(const Source& source, const ConvertOptions& options) {
  return {options.packing.value_or(Packing::i2),
          options.dense.value_or(Dense::f16),
          options.head.value_or(default_head(source.describe().hyper->vocabulary)),
          options.quantize,
          options.activations,
          BITNET_LOG_WARNING,
          options.log};
}

Commit convert_gguf(MappedFile file, const Paths& paths, const ConvertOptions& options) {
  const GgufFiles files = with_path(paths.in, [&] { return GgufFiles(paths.in, std::move(file)); });
  const auto source = with_path(paths.in, [&] {
    return open_gguf_source(files.parts(), {options.layout, files.is_mapped(), options.activation, options.log});
  });
  return write(*source, form_of(*source, options), paths, options, files.owned_bytes());
}

Commit convert_hf(const Paths& paths, const ConvertOptions& options) {
  const HfCheckpoint checkpoint = with_path(paths.in, [&] { return open_hf_checkpoint(paths.in, {options.log}); });
  return write(*checkpoint.source, form_of(*checkpoint.source, options), paths, options, checkpoint.owned_bytes);
}

// What a .bitnet file is packed in now.
ConverterOptions form_of(const Container& container) {
  ConverterOptions form;
  for (const Tensor& tensor : container.tensors()) {
    form.packing = tensor_type(tensor.type).packing.value_or(form.packing);
  }
  if (const Tensor* const linear = container.find("blk.0.attn_q.weight")) {  // one layer tells of all
    if (linear->type == fb::Type::f32) form.dense = Dense::f32;
    if (linear->type == fb::Type::int8) form.dense = Dense::int8;
  }
  const Tensor* const head = container.find(kHeadName);
  const fb::Type type = head != nullptr ? head->type : fb::Type::f16;
  form.head = head_type(type, container.find(kScreenName) != nullptr).value_or(form.head);
  return form;
}

Commit convert_bitnet(const Paths& paths, const ConvertOptions& options) {
  OpenOptions open;
  open.verify_checksums = true;
  open.activation = options.activation;
  open.log = options.log;
  const auto container = open_container(paths.in, open);
  ConverterOptions form = form_of(*container);
  form.packing = options.packing.value_or(form.packing);
  form.dense = options.dense.value_or(form.dense);
  form.head = options.head.value_or(form.head);
  form.activations = options.activations;
  form.log = options.log;
  return write(*open_container_source(container), form, paths, options, container->owned_bytes());
}

Commit convert_any(const Paths& paths, const ConvertOptions& options) {
  if (is_hf_folder(paths.in)) return convert_hf(paths, options);
  MappedFile file = with_path(paths.in, [&] { return MappedFile(paths.in); });
  if (!Gguf::is_gguf(file.bytes())) {
    file = MappedFile();
    return convert_bitnet(paths, options);
  }
  if (!file.is_mapped()) log_unmapped(paths.in, file.bytes().size(), options.log);
  return convert_gguf(std::move(file), paths, options);
}

}  // namespace

// The input is closed before the output takes its name, which may be that of the input: Windows replaces no mapped
// file.
uint64_t convert(const std::string& in, const std::string& out, const ConvertOptions& options) {
  return convert_any({in, out}, options)();
}

}  // namespace bitnet
