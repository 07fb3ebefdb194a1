// SPDX-License-Identifier: MIT
// An open model with what all its sessions share: kernels, tokenizer, chat template, log.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/log.h"
#include "bitnet.h"
#include "kernels.h"
#include "model/model.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace bitnet {

struct RuntimeOptions {
  std::string isa = {};            // name of a kernel set; empty for $BITNET_ISA or else the fastest
  std::string chat_template = {};  // as bitnet_open_options has it; empty for the model's own
  Log log = {};
};

class Runtime {
 public:
  // Throws Error if the CPU lacks the kernel set.
  Runtime(Model model, RuntimeOptions options);

  const Model& model() const { return model_; }
  const Kernels& kernels() const { return *kernels_; }
  void log(bitnet_log_level level, const std::string& message) const {
    if (log_) log_(level, message);
  }

  // Made when first asked for, since not every program that opens a model reads or writes text. Thread-safe.
  const Tokenizer& tokenizer() const;
  const ChatTemplate& chat_template() const;

 private:
  Model model_;
  const Kernels* kernels_;
  Log log_;
  mutable std::mutex mutex_;
  mutable std::unique_ptr<const Tokenizer> tokenizer_;
  mutable std::unique_ptr<const ChatTemplate> chat_template_;
};

}  // namespace bitnet
