// SPDX-License-Identifier: MIT
// The model that seeds are made of.
#pragma once

#include <memory>

#include "engine/session.h"
#include "format/load.h"
#include "format/open.h"
#include "format/sample_model.h"

namespace bitnet_test {

// TQ blocks are 256 weights; otherwise it is as small as a model can be.
inline SampleModel seed_model(Encoding weights, bool own_head) {
  SampleModel model = small_model();
  model.hidden = model.ffn = weights == Encoding::tq1_0 || weights == Encoding::tq2_0 ? 256 : 16;
  model.heads = 2;
  model.kv_heads = 1;
  model.vocabulary = 6;
  model.weights = weights;
  model.own_head = own_head;
  return model.draw();
}

// A session of it with three tokens.
inline std::unique_ptr<bitnet::Session> seed_session(bitnet::KvType kv) {
  static const std::string file = seed_model(Encoding::f32, false).gguf().build();
  alignas(64) static std::byte memory[1 << 16];
  std::memcpy(memory, file.data(), std::min(file.size(), sizeof memory));
  const auto container = bitnet::open_container(std::span<const std::byte>(memory).first(file.size()));
  const auto runtime = std::make_shared<const bitnet::Runtime>(bitnet::load_model(container), bitnet::RuntimeOptions{});
  auto session =
      std::make_unique<bitnet::Session>(runtime, bitnet::SessionOptions{.context = 32, .threads = 1, .kv = kv});
  const bitnet::Token tokens[] = {1, 2, 3};
  session->eval(tokens, BITNET_LOGITS_NONE);
  return session;
}

}  // namespace bitnet_test
