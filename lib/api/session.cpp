// SPDX-License-Identifier: MIT
#include "api/handles.h"
#include "base/file.h"

using namespace bitnet;

namespace {

KvType make_kv(bitnet_kv kv) {
  switch (kv) {
    case BITNET_KV_DEFAULT:
      return SessionOptions{}.kv;
    case BITNET_KV_F16:
      return KvType::f16;
    case BITNET_KV_INT8:
      return KvType::int8;
    case BITNET_KV_INT16:
      return KvType::int16;
  }
  fail(BITNET_ERROR_ARGUMENT, "KV cache of kind ", static_cast<int>(kv), " does not exist");
}

SessionOptions make_options(const bitnet_session_options& o) {
  return {
      .context = o.context,
      .kv = make_kv(o.kv),
      .prefix_scope = o.prefix_scope,
      .priority = make_priority(o.priority),
      .abort = o.abort,
      .abort_user = o.abort_user,
  };
}

// Calls keep the session, in case another thread frees its handle.
std::shared_ptr<Session> get(const bitnet_session* session) {
  require_pointer(session, "session");
  return session->session;
}

Session::Item make_item(const bitnet_batch_item& item) {
  return {get(item.session).get(), read_array(item.tokens, item.count, "tokens"), item.logits};
}

}  // namespace

bitnet_status bitnet_session_memory(const bitnet_model* model, const bitnet_session_options* options, uint64_t* bytes) {
  return guard([&] {
    require_pointer(model, "model");
    require_pointer(bytes, "bytes");
    *bytes = Session::bytes(model->runtime->model(), make_options(read_options(options, "bitnet_session_options")));
  });
}

bitnet_status bitnet_session_create(bitnet_model* model, const bitnet_session_options* options,
                                    bitnet_session** session) {
  return guard([&] {
    require_pointer(model, "model");
    require_pointer(session, "session");
    const auto o = read_options(options, "bitnet_session_options");
    const SessionOptions checked = make_options(o);
    *session =
        new bitnet_session{Session::create(engine_of(*model, o.engine, "bitnet_session_options.engine"), checked)};
  });
}

void bitnet_session_free(bitnet_session* session) {
  if (session != nullptr) session->session->close();
  delete session;
}

void bitnet_session_cancel(bitnet_session* session, int cancel) {
  if (session != nullptr) session->session->cancel(cancel != 0);
}

bitnet_status bitnet_session_fork(const bitnet_session* session, bitnet_session** fork) {
  return guard([&] {
    require_pointer(fork, "fork");
    *fork = new bitnet_session{get(session)->fork()};
  });
}

uint32_t bitnet_session_position(const bitnet_session* session) {
  return session != nullptr ? session->session->position() : 0;
}

uint32_t bitnet_session_context(const bitnet_session* session) {
  return session != nullptr ? session->session->context() : 0;
}

bitnet_status bitnet_session_tokens(const bitnet_session* session, const bitnet_token** tokens, size_t* count) {
  return guard([&] {
    require_pointer(tokens, "tokens");
    require_pointer(count, "count");
    const auto held = get(session)->tokens();
    *tokens = held.data();
    *count = held.size();
  });
}

bitnet_status bitnet_session_rewind(bitnet_session* session, uint32_t position) {
  return guard([&] { get(session)->rewind(position); });
}

bitnet_status bitnet_session_save(const bitnet_session* session, const char* path) {
  return guard([&] {
    require_pointer(path, "path");
    const std::vector<std::byte> state = get(session)->save();
    OutputFile file(path);
    file.write_at(0, state);
    file.commit();
  });
}

bitnet_status bitnet_session_load(bitnet_session* session, const char* path) {
  return guard([&] {
    const auto target = get(session);
    require_pointer(path, "path");
    with_path(path, [&] { target->load(MappedFile(path, "a saved session").bytes()); });
  });
}

bitnet_status bitnet_session_save_memory(const bitnet_session* session, void* data, size_t capacity, size_t* length) {
  return guard([&] {
    const std::vector<std::byte> state = get(session)->save();
    return write_array(std::span(state), static_cast<std::byte*>(data), capacity, length);
  });
}

bitnet_status bitnet_session_load_memory(bitnet_session* session, const void* data, size_t length) {
  return guard([&] { get(session)->load(read_array(static_cast<const std::byte*>(data), length, "data")); });
}

bitnet_status bitnet_session_get_perf(const bitnet_session* session, bitnet_perf* out) {
  return guard([&] {
    const Perf perf = get(session)->perf();
    const bitnet_perf info = {
        .size = sizeof info,
        .prompt_tokens = perf.prompt_tokens,
        .prompt_ns = perf.prompt_ns,
        .generated_tokens = perf.generated_tokens,
        .generated_ns = perf.generated_ns,
        .sampled_tokens = perf.sampled_tokens,
        .sample_ns = perf.sample_ns,
        .passes = perf.passes,
        .pass_sessions = perf.pass_sessions,
        .reused_tokens = perf.reused_tokens,
    };
    write_info(info, out, "bitnet_perf");
  });
}

void bitnet_session_reset_perf(bitnet_session* session) {
  if (session != nullptr) session->session->reset_perf();
}

bitnet_status bitnet_eval(bitnet_session* session, const bitnet_token* tokens, size_t count, bitnet_logits_of logits) {
  return guard([&] { get(session)->eval(read_array(tokens, count, "tokens"), logits); });
}

bitnet_status bitnet_eval_batch(const bitnet_batch_item* items, size_t count) {
  return guard([&] {
    std::vector<Session::Item> batch;
    for (const bitnet_batch_item& item : read_array(items, count, "items")) batch.push_back(make_item(item));
    Session::eval_batch(batch);
  });
}

bitnet_status bitnet_session_logits(const bitnet_session* session, size_t index, const float** logits) {
  return guard([&] {
    require_pointer(logits, "logits");
    *logits = get(session)->logits(index).data();
  });
}
