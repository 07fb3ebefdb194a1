// SPDX-License-Identifier: MIT
// An open model with what all its sessions share: kernels, tokenizer, chat template, log.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/log.h"
#include "base/memory.h"
#include "bitnet.h"
#include "kernels.h"
#include "model/model.h"
#include "text/chat_template.h"
#include "text/chat_template_choice.h"
#include "text/tokenizer.h"

namespace bitnet {

struct RuntimeOptions {
  std::string isa = {};            // name of a kernel set; empty for $BITNET_ISA or else the fastest
  std::string chat_template = {};  // as bitnet_open_options has it; empty for the model's own
  Log log = {};
};

class Runtime {
 public:
  // Throws Error if the CPU lacks the kernel set, or the chat template asked for cannot be had.
  Runtime(Model model, RuntimeOptions options);

  const Model& model() const { return model_; }
  const Kernels& kernels() const { return *kernels_; }
  void log(bitnet_log_level level, const std::string& message) const {
    if (log_) log_(level, message);
  }

  // Of the process's control groups (memory.h).
  uint64_t memory_limit() const { return memory_limit_.get(); }

  // Made when first asked for, since not every program that opens a model reads or writes text. Thread-safe.
  const Tokenizer& tokenizer() const;
  // A template of the file that cannot be used is found out here: a model may be opened for other things.
  const ChatTemplate& chat_template() const;

  const ChatTemplateChoice& chat_template_choice() const { return chat_template_choice_; }

 private:
  Model model_;
  const Kernels* kernels_;
  Log log_;
  ChatTemplateChoice chat_template_choice_;
  mutable RecentMemoryLimit memory_limit_;
  mutable std::mutex mutex_;
  mutable std::unique_ptr<const Tokenizer> tokenizer_;
  mutable std::unique_ptr<const ChatTemplate> chat_template_;
};

}  // namespace bitnet
