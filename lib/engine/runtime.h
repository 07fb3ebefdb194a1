// SPDX-License-Identifier: MIT
// An open model with what all its sessions share: kernels, tokenizer, chat template, log.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "bitnet.h"
#include "kernels.h"
#include "model/model.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace bitnet {

using Log = std::function<void(bitnet_log_level, const std::string&)>;

class Runtime {
 public:
  // isa: name of a kernel set; empty for $BITNET_ISA or else the fastest. Throws Error if the CPU lacks it.
  Runtime(Model model, const std::string& isa, Log log);

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
