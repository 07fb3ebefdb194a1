// SPDX-License-Identifier: MIT
#include <charconv>

#include "api/handles.h"
#include "api/open_options.h"
#include "base/memory.h"
#include "format/load.h"
#include "format/open_questions.h"

using namespace bitnet;

namespace {

constexpr const char* kOpenAdvice =
    "a GGUF or compressed file is unpacked into about as much memory as it has bytes; raise the limit (ulimit -v), or "
    "convert the file to an uncompressed .bitnet file, which is mapped";

OpenOptions make_open_options(const bitnet_open_options& o) {
  return {
      .packing = make_packing(o.gguf_packing),
      .head = make_head(o.gguf_head),
      .layout = make_layout(o.gguf_i2s),
      .quantize = Quantize::refuse,
      .activation = make_activation(o.activation),
      .verify_checksums = o.verify != 0,
      .progress = make_progress(o.progress, o.progress_user),
      .log = make_log(o.log, o.log_user),
  };
}

std::string metadata_text(const fb::KeyValue& entry) {
  switch (entry.kind()) {
    case fb::ValueKind::text:
      return entry.text() != nullptr ? entry.text()->str() : "";
    case fb::ValueKind::integer:
      return std::to_string(entry.integer());
    case fb::ValueKind::boolean:
      return entry.integer() != 0 ? "true" : "false";
    case fb::ValueKind::real:
      break;
  }
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, entry.real()).ptr;
  return {text, end};
}

std::vector<std::pair<std::string, std::string>> read_metadata(const Container& container) {
  std::vector<std::pair<std::string, std::string>> result;
  const auto* entries = container.metadata().notes();
  if (entries == nullptr) return result;
  for (const fb::KeyValue* entry : *entries) result.emplace_back(entry->key()->str(), metadata_text(*entry));
  return result;
}

bitnet_model* make_model(std::shared_ptr<const Container> container, const bitnet_open_options& o) {
  Model model = load_model(std::move(container));
  auto handle = std::make_unique<bitnet_model>();
  handle->name = model.name;
  handle->license = model.license;
  handle->architecture = model.hyper.architecture;
  handle->metadata = read_metadata(*model.container);
  handle->runtime = std::make_shared<const Runtime>(
      std::move(model), RuntimeOptions{.isa = o.isa != nullptr ? o.isa : "",
                                       .chat_template = o.chat_template != nullptr ? o.chat_template : "",
                                       .log = make_log(o.log, o.log_user)});
  return handle.release();
}

// Calls visit(matrix) for each ternary matrix.
template <typename Visit>
void each_matrix(const Model& model, const Visit& visit) {
  for (const Layer& layer : model.layers) {
    for (const TernaryMatrix* m : {&layer.q, &layer.k, &layer.v, &layer.o, &layer.gate, &layer.up, &layer.down}) {
      visit(*m);
    }
  }
}

uint64_t ternary_parameters(const Model& model) {
  uint64_t count = 0;
  each_matrix(model, [&](const TernaryMatrix& m) { count += uint64_t{m.rows} * m.cols; });
  return count;
}

uint64_t plain_parameters(const Model& model) {
  const HyperParameters& h = model.hyper;
  const uint64_t norms = uint64_t{h.layers} * (2 * h.hidden + h.heads * h.head_dim + h.ffn) + h.hidden;
  return norms + uint64_t{h.vocabulary} * h.hidden * (model.tied ? 1 : 2);
}

const char* packing_name(const Model& model) {
  // The loader sees to it that all matrices have one packing.
  switch (model.layers.front().q.packing) {
    case Packing::i2:
      return "i2";
    case Packing::t5:
      return "t5";
  }
  return "";
}

const char* head_name(const Model& model) {
  if (model.screen.data != nullptr) return "screened";
  switch (model.head.type) {
    case PlainMatrix::Type::f16:
      return "f16";
    case PlainMatrix::Type::int8:
      return "int8";
    case PlainMatrix::Type::q5:
      return "q5";
    case PlainMatrix::Type::q6:
      return "q6";
  }
  return "";
}

}  // namespace

bitnet_status bitnet_open(const char* path, const bitnet_open_options* options, bitnet_model** model) {
  return guard([&] {
    require_pointer(path, "path");
    require_pointer(model, "model");
    const auto o = read_options(options, "bitnet_open_options");
    const auto need = [&] { return MemoryNeed{0, "opening " + file_with_size(path), kOpenAdvice}; };
    *model = with_memory(need, [&] { return make_model(open_container(path, make_open_options(o)), o); });
  });
}

bitnet_status bitnet_open_memory(const void* data, size_t length, const bitnet_open_options* options,
                                 bitnet_model** model) {
  return guard([&] {
    require_pointer(model, "model");
    const auto bytes = read_array(static_cast<const std::byte*>(data), length, "data");
    require(reinterpret_cast<uintptr_t>(data) % 64 == 0, BITNET_ERROR_ARGUMENT,
            "data does not start on a multiple of 64 bytes; use aligned_alloc, or map the file");
    const auto o = read_options(options, "bitnet_open_options");
    const auto need = [&] { return MemoryNeed{0, "opening a file of " + size_text(length), kOpenAdvice}; };
    *model = with_memory(need, [&] { return make_model(open_container(bytes, make_open_options(o)), o); });
  });
}

void bitnet_close(bitnet_model* model) { delete model; }

bitnet_status bitnet_model_get_info(const bitnet_model* handle, bitnet_model_info* out) {
  return guard([&] {
    require_pointer(handle, "model");
    const Model& model = handle->runtime->model();
    const HyperParameters& h = model.hyper;
    const ChatTemplateChoice& chat = handle->runtime->chat_template_choice();
    const uint64_t ternary = ternary_parameters(model);
    const bitnet_model_info info = {
        .size = sizeof info,
        .name = handle->name.c_str(),
        .license = handle->license.c_str(),
        .architecture = handle->architecture.c_str(),
        .isa = handle->runtime->kernels().name,
        .packing = packing_name(model),
        .head = head_name(model),
        .parameters = ternary + plain_parameters(model),
        .ternary_parameters = ternary,
        .file_bytes = model.container->file_bytes(),
        .resident_bytes = model.container->tensor_bytes(),
        .vocabulary = h.vocabulary,
        .context = h.context,
        .layers = h.layers,
        .hidden = h.hidden,
        .ffn = h.ffn,
        .heads = h.heads,
        .kv_heads = h.kv_heads,
        .head_dim = h.head_dim,
        .bos = model.vocabulary.bos,
        .eos = model.vocabulary.eos,
        .has_chat_template = !chat.source.empty(),
        .chat_template = chat.source.c_str(),
        .chat_template_source = chat.origin.c_str(),
        .activation = name_of(model.container->metadata().hyper()->activation()),
    };
    write_info(info, out, "bitnet_model_info");
  });
}

bitnet_status bitnet_model_metadata(const bitnet_model* model, size_t index, const char** key, const char** value) {
  return guard([&] {
    require_pointer(model, "model");
    require_pointer(key, "key");
    require_pointer(value, "value");
    if (index >= model->metadata.size()) return BITNET_END;
    *key = model->metadata[index].first.c_str();
    *value = model->metadata[index].second.c_str();
    return BITNET_OK;
  });
}
