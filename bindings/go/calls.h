/* SPDX-License-Identifier: MIT */
/* What cgo cannot say in Go: callbacks, and numbers that C knows as pointers. */
#include <bitnet.h>

/* The calls that call back, to the Go functions of the listener behind a cgo.Handle: a number, which must not stand as
 * a pointer in Go's memory. */
bitnet_status bitnet_go_open(const char* path, const bitnet_open_options* options, uintptr_t listener,
                             bitnet_model** model);
bitnet_status bitnet_go_open_memory(const void* data, size_t length, const bitnet_open_options* options,
                                    uintptr_t listener, bitnet_model** model);
bitnet_status bitnet_go_convert(const char* input, const char* output, const bitnet_convert_options* options,
                                uintptr_t listener);
bitnet_status bitnet_go_verify(const char* path, uintptr_t listener);
bitnet_status bitnet_go_verify_against(const char* path, const char* original, uintptr_t listener);

/* Embeds until *stop is set. */
bitnet_status bitnet_go_embed(bitnet_model* model, const bitnet_token* tokens, const size_t* counts, size_t count,
                              const bitnet_embed_options* options, int* stop, void* embeddings, size_t capacity);
void bitnet_go_stop(int* stop);

/* What a queue gives is a number as well. */
bitnet_status bitnet_go_submit(bitnet_generation* generation, bitnet_queue* queue, uintptr_t number);
bitnet_status bitnet_go_queue_next(bitnet_queue* queue, uint32_t timeout_ms, uintptr_t* number);
