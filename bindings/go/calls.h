/* SPDX-License-Identifier: MIT */
/* What cgo cannot say in Go: callbacks, and calls that one of them looks into. */
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

/* The calls that evaluate are cancelled as soon as *cancel is not zero. */
bitnet_status bitnet_go_session_create(bitnet_model* model, const bitnet_session_options* options,
                                       bitnet_session** session);
bitnet_status bitnet_go_eval(bitnet_session* session, const bitnet_token* tokens, size_t count, bitnet_logits_of logits,
                             const int32_t* cancel);
bitnet_status bitnet_go_eval_batch(const bitnet_batch_item* items, size_t count, const int32_t* cancel);
bitnet_status bitnet_go_next(bitnet_generation* generation, bitnet_piece* piece, const int32_t* cancel);
