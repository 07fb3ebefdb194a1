// SPDX-License-Identifier: MIT
// The model that seeds are made of.
#pragma once

#include <memory>

#include "engine/session.h"
#include "format/load.h"
#include "format/open.h"
#include "format/sample_model.h"

namespace bitnet_test {

// Rows or columns that a type needs for a whole block.
inline uint32_t least_width(Encoding weights) {
  switch (weights) {
    case Encoding::tq1_0:
    case Encoding::tq2_0:
    case Encoding::tl1:
    case Encoding::tl2:
    case Encoding::q6_k:
      return 256;
    case Encoding::q2_0_128:
    case Encoding::pq2_0:
    case Encoding::ptq1_0:
      return 128;
    case Encoding::q2_0:
    case Encoding::iq1_bn:
    case Encoding::iq2_bn:
    case Encoding::iq2_bn_r4:
      return 64;
    case Encoding::f32:
    case Encoding::f16:
    case Encoding::bf16:
    case Encoding::q8_0:
    case Encoding::i2_s:
    case Encoding::i2_s_arm:
    case Encoding::i2_s_rows:
      break;
  }
  return 16;
}

// It is as small as a model can be.
inline SampleModel seed_model(Encoding weights, bool own_head) {
  SampleModel model = small_model();
  model.hidden = model.ffn = least_width(weights);
  model.heads = 2;
  model.kv_heads = 1;
  model.vocabulary = 6;
  model.weights = weights;
  model.own_head = own_head;
  return model.draw();
}

// A session of it with three tokens.
inline std::shared_ptr<bitnet::Session> seed_session(bitnet::KvType kv) {
  static const std::string file = seed_model(Encoding::f32, false).gguf().build();
  alignas(64) static std::byte memory[1 << 16];
  std::memcpy(memory, file.data(), std::min(file.size(), sizeof memory));
  const auto container = bitnet::open_container(std::span<const std::byte>(memory).first(file.size()));
  const auto runtime = std::make_shared<const bitnet::Runtime>(bitnet::load_model(container), bitnet::RuntimeOptions{});
  auto session = bitnet::Session::create(bitnet::Engine::create(runtime, {.threads = 1}), {.context = 32, .kv = kv});
  const bitnet::Token tokens[] = {1, 2, 3};
  session->eval(tokens, BITNET_LOGITS_NONE);
  return session;
}

}  // namespace bitnet_test
