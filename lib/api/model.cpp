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
      .packing = make_packing(o.packing),
      .dense = make_dense(o.dense),
      .head = make_head(o.head),
      .activations = make_activation_bits(o.activation_bits),
      .layout = make_layout(o.i2s),
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

// `path` is what messages call the file.
bitnet_model* make_model(const std::string& path, std::shared_ptr<const Container> container,
                         const bitnet_open_options& o) {
  Model model = with_path(path, [&] { return load_model(std::move(container)); });
  auto handle = std::make_unique<bitnet_model>();
  handle->name = model.name;
  handle->license = model.license;
  handle->architecture = model.hyper.architecture->name;
  handle->metadata = read_metadata(*model.container);
  handle->runtime = std::make_shared<const Runtime>(
      std::move(model), RuntimeOptions{.isa = o.isa != nullptr ? o.isa : "",
                                       .chat_template = o.chat_template != nullptr ? o.chat_template : "",
                                       .log = make_log(o.log, o.log_user)});
  handle->engine = std::make_unique<DefaultEngine>(handle->runtime);
  return handle.release();
}

bool is_ternary(const Matrix& matrix) { return packing_of(matrix.numbers) || group_of(matrix.numbers); }
uint64_t size_of(const Matrix& matrix) { return uint64_t{matrix.rows} * matrix.cols; }

struct Parameters {
  uint64_t all = 0, ternary = 0;
};

Parameters count_parameters(const Model& model) {
  Parameters count;
  const auto add = [&](const Matrix& matrix) {
    count.all += size_of(matrix);
    if (is_ternary(matrix)) count.ternary += size_of(matrix);
  };
  const auto has = [&](std::string_view name) { return model.container->find(name) != nullptr; };
  for (const TensorSpec& spec : tensor_specs(model.hyper, has)) {
    const bool vector = spec.role == Role::vector || spec.role == Role::bias;
    if (vector && spec.name != kRopeFactorsName) count.all += spec.cols;
  }
  for (const Layer& layer : model.layers) {
    add(layer.router.weights);
    for (const auto linear : kLinears) add((layer.*linear).weights);
  }
  add(model.embedding);
  if (!model.tied) add(model.head);
  return count;
}

const char* name_of(Numbers numbers) {
  switch (numbers) {
    case Numbers::f32:
      return "f32";
    case Numbers::f16:
      return "f16";
    case Numbers::int8:
      return "int8";
    case Numbers::q5:
      return "q5";
    case Numbers::q6:
      return "q6";
    case Numbers::i2:
      return "i2";
    case Numbers::t5:
      return "t5";
    case Numbers::g128:
      return "g128";
    case Numbers::g64:
      return "g64";
  }
  return "";
}

const char* head_name(const Model& model) {
  if (model.head.data == nullptr) return "none";
  return model.screen.data != nullptr ? "screened" : name_of(model.head.numbers);
}

const char* name_of(Pooling pooling) {
  switch (pooling) {
    case Pooling::none:
      return "";
    case Pooling::mean:
      return "mean";
    case Pooling::cls:
      return "cls";
    case Pooling::last:
      return "last";
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
    *model = with_memory(need, [&] { return make_model(path, open_container(path, make_open_options(o)), o); });
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
    *model = with_memory(need, [&] { return make_model("data", open_container(bytes, make_open_options(o)), o); });
  });
}

void bitnet_close(bitnet_model* model) { delete model; }

bitnet_status bitnet_model_get_info(const bitnet_model* handle, bitnet_model_info* out) {
  return guard([&] {
    require_pointer(handle, "model");
    const Model& model = handle->runtime->model();
    const HyperParameters& h = model.hyper;
    const ChatTemplateChoice& chat = handle->runtime->chat_template_choice();
    const Parameters parameters = count_parameters(model);
    const bitnet_model_info info = {
        .size = sizeof info,
        .name = handle->name.c_str(),
        .license = handle->license.c_str(),
        .architecture = handle->architecture.c_str(),
        .isa = handle->runtime->kernels().name,
        .packing = name_of(model.layers.front().q.weights.numbers),
        .head = head_name(model),
        .parameters = parameters.all,
        .ternary_parameters = parameters.ternary,
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
        .pooling = name_of(model.pooling),
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
