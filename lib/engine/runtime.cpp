// SPDX-License-Identifier: MIT
#include "engine/runtime.h"

#include <cstdlib>
#include <utility>

#include "base/error.h"

namespace bitnet {
namespace {

const Kernels* choose_kernels(const std::string& asked) {
  const char* environment = std::getenv("BITNET_ISA");
  const std::string name = !asked.empty() ? asked : environment != nullptr ? environment : "";
  if (const Kernels* kernels = find_kernels(name.c_str())) return kernels;
  std::string available;
  const KernelList list = available_kernels();
  for (size_t i = 0; i < list.count; i++) available += (i == 0 ? "" : ", ") + std::string(list.tables[i]->name);
  fail(BITNET_ERROR_UNSUPPORTED, "kernel set \"", name, "\"", asked.empty() ? " (from BITNET_ISA)" : "",
       " is not available: this CPU can run ", available, "; this build knows ", kernel_names());
}

}  // namespace

Runtime::Runtime(Model model, RuntimeOptions options)
    : model_(std::move(model)), kernels_(choose_kernels(options.isa)), log_(std::move(options.log)) {
  for (const Layer& layer : model_.layers) {
    require(layer.q.packing == layer.k.packing && layer.q.packing == layer.v.packing &&
                layer.gate.packing == layer.up.packing,
            BITNET_ERROR_UNSUPPORTED, "matrices that multiply the same activations are packed differently");
  }
  this->log(BITNET_LOG_INFO, std::string("kernels: ") + kernels_->name);
  chat_template_choice_ = choose_chat_template(options.chat_template, model_.vocabulary, log_);
  if (!options.chat_template.empty()) check_chat_template(options.chat_template, chat_template_choice_.source);
}

const Tokenizer& Runtime::tokenizer() const {
  const std::lock_guard lock(mutex_);
  if (!tokenizer_) tokenizer_ = std::make_unique<const Tokenizer>(model_.vocabulary);
  return *tokenizer_;
}

const ChatTemplate& Runtime::chat_template() const {
  const std::lock_guard lock(mutex_);
  if (chat_template_) return *chat_template_;
  const std::string& source = chat_template_choice_.source;
  require(!source.empty(), BITNET_ERROR_UNSUPPORTED,
          "the model has no chat template; name one (bitnet_open_options.chat_template), or write the prompt out as "
          "text");
  try {
    chat_template_ = std::make_unique<const ChatTemplate>(source);
  } catch (const Error& error) {
    fail(error.status(), "the file's chat template cannot be used: ", error.what(),
         "; name another one (bitnet_open_options.chat_template)");
  }
  return *chat_template_;
}

}  // namespace bitnet
