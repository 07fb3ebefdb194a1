// SPDX-License-Identifier: MIT
#include "engine/runtime.h"

#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "engine/kernel_choice.h"

namespace bitnet {

Runtime::Runtime(Model model, RuntimeOptions options)
    : model_(std::move(model)), kernels_(&choose_kernels(options.isa)), log_(std::move(options.log)) {
  this->log(BITNET_LOG_INFO, std::string("kernels: ") + kernels_->name);
  const KernelList list = available_kernels();
  for (size_t i = 0; i < list.count; i++) {
    const char* const name = list.tables[i]->name;
    if (!is_distrusted(name)) continue;
    this->log(BITNET_LOG_WARNING, std::string("kernel set \"") + name +
                                      "\" is not used: the CPU says that it has these instructions, but they do not "
                                      "compute what they should");
  }
  chat_template_choice_ = choose_chat_template(options.chat_template, model_.vocabulary, log_);
  if (options.chat_template.empty()) return;
  chat_template_ = parse_chat_template(options.chat_template, chat_template_choice_.source);
}

const Tokenizer& Runtime::tokenizer() const {
  const std::lock_guard lock(mutex_);
  const auto need = [&] {
    return MemoryNeed{0, "making the tokenizer of " + counted(model_.hyper.vocabulary, "token"),
                      "raise the limit (ulimit -v)"};
  };
  if (!tokenizer_) {
    tokenizer_ = with_memory(need, [&] { return std::make_unique<const Tokenizer>(model_.vocabulary); });
  }
  return *tokenizer_;
}

const ChatTemplate& Runtime::chat_template() const {
  const std::lock_guard lock(mutex_);
  if (chat_template_) return *chat_template_;
  const std::string& source = chat_template_choice_.source;
  require(!source.empty(), BITNET_ERROR_UNSUPPORTED,
          "the model has no chat template; name one with the option chat_template (bitnet_open_options; "
          "--chat-template), or write the prompt out as text");
  try {
    chat_template_ = std::make_unique<const ChatTemplate>(source);
  } catch (const Error& error) {
    fail(error.status(), "the file's chat template cannot be used: ", error.what(),
         "; name another one with the option chat_template (bitnet_open_options; --chat-template)");
  }
  return *chat_template_;
}

}  // namespace bitnet
