// SPDX-License-Identifier: MIT
#include "api/handles.h"
#include "api/open_options.h"
#include "base/memory.h"
#include "format/compare.h"
#include "format/convert.h"
#include "format/load.h"
#include "format/verify.h"

using namespace bitnet;

namespace {

std::optional<GgufWeights> make_gguf_weights(bitnet_gguf gguf) {
  switch (gguf) {
    case BITNET_GGUF_NONE:
    case BITNET_GGUF_AUTO:
      return std::nullopt;
    case BITNET_GGUF_F16:
      return GgufWeights::f16;
    case BITNET_GGUF_F32:
      return GgufWeights::f32;
    case BITNET_GGUF_I2_S:
      return GgufWeights::i2_s;
    case BITNET_GGUF_TQ1_0:
      return GgufWeights::tq1_0;
    case BITNET_GGUF_TQ2_0:
      return GgufWeights::tq2_0;
    case BITNET_GGUF_Q2_0:
      return GgufWeights::q2_0;
    case BITNET_GGUF_TL1:
      return GgufWeights::tl1;
    case BITNET_GGUF_TL2:
      return GgufWeights::tl2;
  }
  fail(BITNET_ERROR_ARGUMENT, "gguf is ", static_cast<int>(gguf), ", which is no value of bitnet_gguf");
}

std::optional<HfForm> make_hf_form(bitnet_safetensors safetensors) {
  switch (safetensors) {
    case BITNET_SAFETENSORS_NONE:
    case BITNET_SAFETENSORS_AUTO:
      return std::nullopt;
    case BITNET_SAFETENSORS_PACKED:
      return HfForm::packed;
    case BITNET_SAFETENSORS_BF16:
      return HfForm::bf16;
    case BITNET_SAFETENSORS_F16:
      return HfForm::f16;
    case BITNET_SAFETENSORS_F32:
      return HfForm::f32;
  }
  fail(BITNET_ERROR_ARGUMENT, "safetensors is ", static_cast<int>(safetensors),
       ", which is no value of bitnet_safetensors");
}

// What of the options says how a .bitnet file is kept is out of place where something else is written.
void require_form(const bitnet_convert_options& o) {
  const bool gguf = o.gguf != BITNET_GGUF_NONE, folder = o.safetensors != BITNET_SAFETENSORS_NONE;
  require(!gguf || !folder, BITNET_ERROR_ARGUMENT,
          "gguf and safetensors are two kinds of output; leave one of them out");
  const bool formed = o.packing != BITNET_PACKING_DEFAULT || o.head != BITNET_HEAD_DEFAULT ||
                      o.dense != BITNET_DENSE_DEFAULT || o.zstd_level != 0;
  require(!(gguf || folder) || !formed, BITNET_ERROR_ARGUMENT,
          "packing, head, dense and zstd_level say how a .bitnet file is kept, and ", gguf ? "GGUF" : "a folder",
          " is to be written; leave them out");
}

}  // namespace

bitnet_status bitnet_convert(const char* input, const char* output, const bitnet_convert_options* options) {
  return guard([&] {
    require_pointer(input, "input");
    require_pointer(output, "output");
    const auto o = read_options(options, "bitnet_convert_options");
    require(o.zstd_level >= 0 && o.zstd_level <= 19, BITNET_ERROR_ARGUMENT, "zstd_level is ", o.zstd_level,
            "; it must lie between 0 and 19");
    ConvertOptions result;
    result.gguf = o.gguf != BITNET_GGUF_NONE;
    result.gguf_weights = make_gguf_weights(o.gguf);
    result.lossy = o.lossy != 0;
    result.folder = o.safetensors != BITNET_SAFETENSORS_NONE;
    result.hf_form = make_hf_form(o.safetensors);
    require_form(o);
    if (o.packing != BITNET_PACKING_DEFAULT) result.packing = make_packing(o.packing);
    if (o.dense != BITNET_DENSE_DEFAULT) result.dense = make_dense(o.dense);
    result.activations = make_activation_bits(o.activation_bits);
    if (o.head != BITNET_HEAD_DEFAULT) result.head = make_head(o.head);
    if (o.zstd_level != 0) result.zstd_level = o.zstd_level;
    result.layout = make_layout(o.i2s);
    result.quantize = o.quantize != 0 ? Quantize::absmean : Quantize::refuse;
    result.activation = make_activation(o.activation);
    result.progress = make_progress(o.progress, o.progress_user);
    result.log = make_log(o.log, o.log_user);
    if (o.chat_template != nullptr && *o.chat_template != '\0') {
      result.chat_template = read_chat_template(o.chat_template, result.log);
      parse_chat_template(o.chat_template, result.chat_template);
    }
    const auto need = [&] {
      return MemoryNeed{0, "converting " + file_with_size(input),
                        "it takes up to 200 MiB besides the largest tensor, and more with a high zstd_level"};
    };
    with_memory(need, [&] { convert(input, output, result); });
  });
}

bitnet_status bitnet_verify(const char* path, bitnet_progress_fn progress, void* progress_user) {
  return guard([&] {
    require_pointer(path, "path");
    const auto need = [&] { return MemoryNeed{0, "verifying " + file_with_size(path), "raise the limit (ulimit -v)"}; };
    const VerifyReport report = with_memory(need, [&] { return verify(path, make_progress(progress, progress_user)); });
    for (const TensorReport& tensor : report.tensors) {
      require(tensor.problem.empty(), BITNET_ERROR_FORMAT, path, ": tensor ", tensor.name, ": ", tensor.problem);
    }
    check_model(path);
  });
}

bitnet_status bitnet_verify_against(const char* path, const char* original, bitnet_progress_fn progress,
                                    void* progress_user) {
  return guard([&] {
    require_pointer(path, "path");
    require_pointer(original, "original");
    CompareOptions options;
    options.progress = make_progress(progress, progress_user);
    const auto need = [&] { return MemoryNeed{0, "comparing " + file_with_size(path), "raise the limit (ulimit -v)"}; };
    const Comparison comparison = with_memory(need, [&] { return compare(path, original, options); });
    require(comparison.lossless(), BITNET_ERROR_FORMAT, path, ": the file is ", comparison.verdict());
  });
}
