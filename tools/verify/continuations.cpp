// SPDX-License-Identifier: MIT
#include "verify/continuations.h"

#include <algorithm>

#include "bench/together.h"
#include "handles.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

using Tokens = std::vector<bitnet_token>;

constexpr size_t kSessions = 16;  // that are computed together

// The likeliest tokens, of one prompt.
Tokens continuation(bitnet_model* model, bitnet_engine* engine, const Tokens& prompt, uint32_t count, bitnet_kv kv) {
  const auto context = static_cast<uint32_t>(prompt.size() + count);
  const Session session = make_session(model, engine, context, kv);
  bitnet_generate_options wanted = {};
  wanted.size = sizeof wanted;
  wanted.max_tokens = count;
  wanted.flags = BITNET_GENERATE_IGNORE_END;
  bitnet_generation* started = nullptr;
  check(bitnet_generation_start_tokens(session.get(), prompt.data(), prompt.size(), &wanted, &started));
  const Generation generation(started);
  Tokens tokens;
  bitnet_piece piece = {};
  piece.size = sizeof piece;
  for (;;) {
    const bitnet_status status = bitnet_generation_next(generation.get(), &piece);
    check(status);
    if (status == BITNET_END) return tokens;
    tokens.push_back(piece.token);
  }
}

}  // namespace

std::vector<Tokens> continuations(bitnet_model* model, const std::vector<Tokens>& prompts, uint32_t count,
                                  const SessionOptions& options) {
  const uint32_t context = model_info(model).context;
  for (size_t i = 0; i < prompts.size(); ++i) {
    if (prompts[i].size() + count <= context) continue;
    throw Stop(kUsage, formatted("prompt %zu has %zu tokens, and %u more do not fit the model's context of %u", i + 1,
                                 prompts[i].size(), count, context));
  }
  const Engine engine = make_engine(model, options);
  ProgressBar bar("continuing", ProgressBar::Unit::texts);
  std::vector<Tokens> texts(prompts.size());
  for (size_t begin = 0; begin < prompts.size(); begin += kSessions) {
    Threads threads;
    for (size_t i = begin; i < std::min(begin + kSessions, prompts.size()); ++i) {
      threads.start([&, i] {
        texts[i] = prompts[i];
        const Tokens added = continuation(model, engine.get(), prompts[i], count, options.kv);
        texts[i].insert(texts[i].end(), added.begin(), added.end());
      });
    }
    threads.join();
    bar.update(std::min(begin + kSessions, prompts.size()), prompts.size());
  }
  bar.clear();
  return texts;
}

}  // namespace bitnet::program
