// SPDX-License-Identifier: MIT
#include "calls.h"

#include "_cgo_export.h"

static int progress(void* user, uint64_t done, uint64_t total) {
  return bitnetGoProgress((uintptr_t)user, done, total);
}

static void log_line(void* user, bitnet_log_level level, const char* message) {
  bitnetGoLog((uintptr_t)user, level, (char*)message);
}

static bitnet_open_options with_callbacks(const bitnet_open_options* options, uintptr_t listener) {
  bitnet_open_options result = *options;
  result.progress = progress;
  result.log = log_line;
  result.progress_user = result.log_user = (void*)listener;
  return result;
}

bitnet_status bitnet_go_open(const char* path, const bitnet_open_options* options, uintptr_t listener,
                             bitnet_model** model) {
  const bitnet_open_options with = with_callbacks(options, listener);
  return bitnet_open(path, &with, model);
}

bitnet_status bitnet_go_open_memory(const void* data, size_t length, const bitnet_open_options* options,
                                    uintptr_t listener, bitnet_model** model) {
  const bitnet_open_options with = with_callbacks(options, listener);
  return bitnet_open_memory(data, length, &with, model);
}

bitnet_status bitnet_go_convert(const char* input, const char* output, const bitnet_convert_options* options,
                                uintptr_t listener) {
  bitnet_convert_options with = *options;
  with.progress = progress;
  with.log = log_line;
  with.progress_user = with.log_user = (void*)listener;
  return bitnet_convert(input, output, &with);
}

bitnet_status bitnet_go_verify(const char* path, uintptr_t listener) {
  return bitnet_verify(path, progress, (void*)listener);
}

bitnet_status bitnet_go_verify_against(const char* path, const char* original, uintptr_t listener) {
  return bitnet_verify_against(path, original, progress, (void*)listener);
}

// Of the call that runs on this thread. Not of the session: a fork has the callback of its origin.
static _Thread_local const int32_t* running;

static int aborted(void* user) {
  (void)user;
  return running != NULL && __atomic_load_n(running, __ATOMIC_RELAXED) != 0;
}

bitnet_status bitnet_go_session_create(bitnet_model* model, const bitnet_session_options* options,
                                       bitnet_session** session) {
  bitnet_session_options with = *options;
  with.abort = aborted;
  return bitnet_session_create(model, &with, session);
}

bitnet_status bitnet_go_eval(bitnet_session* session, const bitnet_token* tokens, size_t count, bitnet_logits_of logits,
                             const int32_t* cancel) {
  running = cancel;
  const bitnet_status status = bitnet_eval(session, tokens, count, logits);
  running = NULL;
  return status;
}

bitnet_status bitnet_go_eval_batch(const bitnet_batch_item* items, size_t count, const int32_t* cancel) {
  running = cancel;
  const bitnet_status status = bitnet_eval_batch(items, count);
  running = NULL;
  return status;
}

bitnet_status bitnet_go_next(bitnet_generation* generation, bitnet_piece* piece, const int32_t* cancel) {
  running = cancel;
  const bitnet_status status = bitnet_generation_next(generation, piece);
  running = NULL;
  return status;
}
