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

static int is_stopped(void* stop) { return __atomic_load_n((int*)stop, __ATOMIC_RELAXED); }

void bitnet_go_stop(int* stop) { __atomic_store_n(stop, 1, __ATOMIC_RELAXED); }

bitnet_status bitnet_go_embed(bitnet_model* model, const bitnet_token* tokens, const size_t* counts, size_t count,
                              const bitnet_embed_options* options, int* stop, void* embeddings, size_t capacity) {
  bitnet_embed_options with = *options;
  with.abort = is_stopped;
  with.abort_user = stop;
  return bitnet_embed_tokens(model, tokens, counts, count, &with, embeddings, capacity);
}

bitnet_status bitnet_go_submit(bitnet_generation* generation, bitnet_queue* queue, uintptr_t number) {
  return bitnet_generation_submit(generation, queue, (void*)number);
}

bitnet_status bitnet_go_queue_next(bitnet_queue* queue, uint32_t timeout_ms, uintptr_t* number) {
  void* user = NULL;
  const bitnet_status status = bitnet_queue_next(queue, timeout_ms, &user);
  *number = (uintptr_t)user;
  return status;
}
