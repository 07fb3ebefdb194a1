// SPDX-License-Identifier: MIT
#include "format/gguf_kind.h"

#include "base/error.h"
#include "format/gguf_values.h"

namespace bitnet {
namespace {

constexpr std::string_view kType = "general.type", kArchitecture = "general.architecture";

// What writers say of files that go with a model.
struct Kind {
  std::string_view key, text;
  const char* what;
};
constexpr Kind kKinds[] = {
    {kType, "adapter",
     "an adapter, which changes a model's weights (LoRA); merge it into its model, as llama.cpp's "
     "llama-export-lora does, and open that"},
    {kType, "mmproj", "a projector, the part of a model that takes images or sound; open the model's own file"},
    {kArchitecture, "clip", "a projector, the part of a model that takes images or sound; open the model's own file"},
    {kType, "imatrix", "an importance matrix, which only helps to quantize a model; open the model's own file"},
    {kArchitecture, "controlvector", "a control vector, which steers a model; open the model's own file"},
};

bool says(const Gguf& gguf, const Kind& kind) {
  const GgufValue* const value = gguf.find(kind.key);
  return value != nullptr && value->kind == GgufKind::string && gguf_text(value->payload) == kind.text;
}

}  // namespace

void require_model(const Gguf& gguf) {
  for (const Kind& kind : kKinds) {
    require(!says(gguf, kind), BITNET_ERROR_UNSUPPORTED, "the file is no model but ", kind.what, " (metadata key ",
            kind.key, " is ", kind.text, ")");
  }
  for (const GgufValue& value : gguf.values()) {
    require(!value.key.starts_with("prism.hadamard."), BITNET_ERROR_UNSUPPORTED,
            "the model's weights are rotated (metadata key ", value.key,
            "), as those of Bonsai 2 are, which libbitnet does not compute");
  }
}

}  // namespace bitnet
