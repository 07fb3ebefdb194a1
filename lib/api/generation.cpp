// SPDX-License-Identifier: MIT
#include "api/handles.h"
#include "engine/chat_prompt.h"

using namespace bitnet;

namespace {

constexpr uint32_t kKnownFlags = BITNET_GENERATE_SPECIAL_PROMPT | BITNET_GENERATE_SPECIAL_OUTPUT |
                                 BITNET_GENERATE_IGNORE_END | BITNET_GENERATE_WHOLE;

}  // namespace

GenerationOptions bitnet::make_generation_options(const bitnet_generate_options* options) {
  const auto o = read_options(options, "bitnet_generate_options");
  require((o.flags & ~kKnownFlags) == 0, BITNET_ERROR_ARGUMENT,
          "bitnet_generate_options.flags has unknown bits: ", o.flags);
  GenerationOptions result = {
      .max_tokens = o.max_tokens,
      .flags = o.flags,
      .sampler = make_sampler_options(o.sampler),
      .stop = {},
  };
  for (const char* stop : read_array(o.stop, o.stop_count, "stop")) {
    require_pointer(stop, "a stop string");
    result.stop.emplace_back(stop);
  }
  return result;
}

namespace {

bitnet_generation* start(bitnet_session* session, std::vector<Token> prompt, GenerationOptions options) {
  return new bitnet_generation{{session->session, std::move(prompt), std::move(options)}};
}

// The begin token belongs to the start of the whole text only.
std::vector<Token> encode_prompt(const Session& session, std::string_view text, uint32_t flags) {
  const bool at_start = session.position() == 0 || (flags & BITNET_GENERATE_WHOLE) != 0;
  const Tokenizer& tokenizer = session.runtime().tokenizer();
  std::vector<Token> tokens =
      tokenizer.encode(text, {.special = (flags & BITNET_GENERATE_SPECIAL_PROMPT) != 0, .bos_eos = false});
  if (at_start) add_begin_token(tokenizer.vocabulary(), tokens);
  return tokens;
}

// What a chat's generation gives out, it gives to the chat, too.
const Generation::Piece& next_piece(bitnet_generation& generation) {
  if (generation.reply == nullptr) return generation.generation.next();
  try {
    const Generation::Piece& piece = generation.generation.next();
    generation.reply->take(piece);
    return piece;
  } catch (const Error&) {
    if (generation.generation.is_cancelled()) generation.reply->break_off();
    throw;
  }
}

bitnet_status fill(const Generation::Piece& piece, bitnet_piece* out) {
  const bitnet_piece info = {
      .size = sizeof info,
      .text = piece.text.c_str(),
      .length = piece.text.size(),
      .token = piece.token,
      .finish = piece.finish,
  };
  write_info(info, out, "bitnet_piece");
  return piece.finish == BITNET_FINISH_NOT ? BITNET_OK : BITNET_END;
}

}  // namespace

void bitnet::push_text(bitnet_generation& generation, bitnet_text_fn callback, void* user) {
  for (bool going = true; going;) {
    const Generation::Piece& piece = next_piece(generation);
    going = piece.finish == BITNET_FINISH_NOT;
    if (callback == nullptr || piece.text.empty()) continue;
    if (callback(user, piece.text.c_str(), piece.text.size()) != 0) return;
  }
}

bitnet_status bitnet_generation_start(bitnet_session* session, const char* prompt, size_t length,
                                      const bitnet_generate_options* options, bitnet_generation** generation) {
  return guard([&] {
    require_pointer(session, "session");
    require_pointer(generation, "generation");
    GenerationOptions o = make_generation_options(options);
    std::vector<Token> tokens = encode_prompt(*session->session, read_text(prompt, length, "prompt"), o.flags);
    *generation = start(session, std::move(tokens), std::move(o));
  });
}

bitnet_status bitnet_generation_start_tokens(bitnet_session* session, const bitnet_token* prompt, size_t count,
                                             const bitnet_generate_options* options, bitnet_generation** generation) {
  return guard([&] {
    require_pointer(session, "session");
    require_pointer(generation, "generation");
    const auto tokens = read_array(prompt, count, "prompt");
    *generation = start(session, {tokens.begin(), tokens.end()}, make_generation_options(options));
  });
}

bitnet_status bitnet_generation_next(bitnet_generation* generation, bitnet_piece* piece) {
  return guard([&] {
    require_pointer(generation, "generation");
    require_pointer(piece, "bitnet_piece");
    return fill(next_piece(*generation), piece);
  });
}

void bitnet_generation_cancel(bitnet_generation* generation) {
  if (generation != nullptr) generation->generation.cancel();
}

void bitnet_generation_free(bitnet_generation* generation) { delete generation; }

bitnet_status bitnet_generate(bitnet_session* session, const char* prompt, size_t length,
                              const bitnet_generate_options* options, bitnet_text_fn callback, void* user) {
  return guard([&] {
    require_pointer(session, "session");
    GenerationOptions o = make_generation_options(options);
    const auto kept = session->session;  // also if the callback frees the handle
    std::vector<Token> tokens = encode_prompt(*kept, read_text(prompt, length, "prompt"), o.flags);
    bitnet_generation generation{{kept, std::move(tokens), std::move(o)}};
    push_text(generation, callback, user);
  });
}

bitnet_status bitnet_queue_create(bitnet_queue** queue) {
  return guard([&] {
    require_pointer(queue, "queue");
    *queue = new bitnet_queue{std::make_shared<CompletionQueue>()};
  });
}

void bitnet_queue_free(bitnet_queue* queue) { delete queue; }

bitnet_status bitnet_generation_submit(bitnet_generation* generation, bitnet_queue* queue, void* user) {
  return guard([&] {
    require_pointer(generation, "generation");
    require_pointer(queue, "queue");
    generation->generation.submit(queue->queue, user);
  });
}

bitnet_status bitnet_queue_next(bitnet_queue* queue, uint32_t timeout_ms, void** user) {
  return guard([&] {
    require_pointer(queue, "queue");
    require_pointer(user, "user");
    return queue->queue->next(std::chrono::milliseconds(timeout_ms), *user) ? BITNET_OK : BITNET_END;
  });
}

void bitnet_queue_wake(bitnet_queue* queue) {
  if (queue != nullptr) queue->queue->wake();
}
