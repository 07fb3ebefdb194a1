// SPDX-License-Identifier: MIT
// A conversation: each line of standard input is a message, and the model's reply follows.
//
//   cc chat.c $(pkg-config --cflags --libs bitnet) -o chat
//   ./chat model.bitnet                     # or a GGUF file
//   ./chat model.bitnet chatml              # with a known chat template, or a file of one, in place of the model's
//   ./chat model.bitnet "" evening.json     # goes on with a conversation that was saved, and saves it in the end
#define _POSIX_C_SOURCE 200809L  // NOLINT(bugprone-reserved-identifier): asks for getline
#include <bitnet.h>
#include <stdio.h>
#include <stdlib.h>

// Called with every piece of a reply as it comes. Anything but 0 would end the reply here.
static int print(void* user, const char* text, size_t length) {
  (void)user;
  fwrite(text, 1, length, stdout);
  return fflush(stdout);
}

// Tells what the model did not read any more, because the context is full. The history still has it.
static void tell_left_out(const bitnet_chat* chat) {
  static size_t told = 0;
  bitnet_chat_prompt prompt = {.size = sizeof prompt};
  if (bitnet_chat_get_prompt(chat, &prompt) != BITNET_OK || prompt.left_out == told) return;
  fprintf(stderr, "[the oldest %zu messages are left out]\n", prompt.left_out);
  told = prompt.left_out;
}

static bitnet_status converse(bitnet_chat* chat) {
  const bitnet_sampler_options sampler = {.size = sizeof sampler, .seed = 42, .temperature = 0.7f, .top_p = 0.95f};
  const bitnet_generate_options options = {.size = sizeof options, .max_tokens = 300, .sampler = &sampler};
  bitnet_status status = BITNET_OK;
  char* line = NULL;
  size_t capacity = 0;
  for (ssize_t length; status == BITNET_OK && (length = getline(&line, &capacity, stdin)) > 0;) {
    if (line[length - 1] == '\n') length--;
    // What a message spells is text, never a control token. Only what is new is computed.
    status = bitnet_chat_send(chat, line, (size_t)length, &options, print, NULL);
    putchar('\n');
    if (status == BITNET_OK) tell_left_out(chat);
  }
  free(line);
  return status;
}

// A conversation that was not saved yet begins here.
static bitnet_status load(bitnet_chat* chat, const char* path) {
  const bitnet_status status = bitnet_chat_load(chat, path);
  return status == BITNET_ERROR_NOT_FOUND ? BITNET_OK : status;
}

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) {
    fprintf(stderr, "usage: %s MODEL [TEMPLATE [FILE]]\n", argv[0]);
    return 2;
  }
  const char* file = argc == 4 ? argv[3] : NULL;
  const bitnet_open_options options = {.size = sizeof options, .chat_template = argc > 2 ? argv[2] : NULL};
  bitnet_model* model = NULL;
  bitnet_session* session = NULL;
  bitnet_chat* chat = NULL;
  bitnet_status status = bitnet_open(argv[1], &options, &model);
  if (status == BITNET_OK) status = bitnet_session_create(model, NULL, &session);
  if (status == BITNET_OK) status = bitnet_chat_create(session, NULL, &chat);
  if (status == BITNET_OK && file != NULL) status = load(chat, file);
  if (status == BITNET_OK) status = converse(chat);
  if (status == BITNET_OK && file != NULL) status = bitnet_chat_save(chat, file);
  if (status != BITNET_OK) fprintf(stderr, "%s: %s\n", argv[0], bitnet_last_error());
  bitnet_chat_free(chat);
  bitnet_session_free(session);
  bitnet_close(model);
  return status != BITNET_OK;
}
