// SPDX-License-Identifier: MIT
// A conversation: each line of standard input is a message, and the model's reply follows.
//
//   cc chat.c $(pkg-config --cflags --libs bitnet) -o chat
//   ./chat model.bitnet            # or a GGUF file
//   ./chat model.bitnet chatml     # with a known chat template, or a file of one, in place of the model's
#define _POSIX_C_SOURCE 200809L  // NOLINT(bugprone-reserved-identifier): asks for getline
#include <bitnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What was said so far. The contents are this program's own copies.
struct conversation {
  bitnet_message* messages;
  size_t count;
};

static void* grown(void* memory, size_t size) {
  memory = realloc(memory, size);
  if (memory == NULL) abort();
  return memory;
}

static void say(struct conversation* all, const char* role, const char* text, size_t length) {
  char* copy = grown(NULL, length + 1);
  memcpy(copy, text, length);
  copy[length] = '\0';
  all->messages = grown(all->messages, (all->count + 1) * sizeof *all->messages);
  all->messages[all->count++] = (bitnet_message){.role = role, .content = copy, .length = length};
}

// The conversation as tokens, up to where the reply begins. What a message spells is text, never a control token.
static bitnet_status make_prompt(const bitnet_model* model, const struct conversation* all, bitnet_token** prompt,
                                 size_t* count) {
  bitnet_status status = bitnet_chat_tokenize(model, all->messages, all->count, BITNET_CHAT_REPLY, NULL, 0, count);
  if (status != BITNET_ERROR_BUFFER) return status;  // with no room, this is how the number of tokens is told
  *prompt = grown(*prompt, *count * sizeof **prompt);
  return bitnet_chat_tokenize(model, all->messages, all->count, BITNET_CHAT_REPLY, *prompt, *count, count);
}

// Writes the reply as it comes, and adds it to the conversation.
static bitnet_status answer(bitnet_session* session, const bitnet_token* prompt, size_t count,
                            struct conversation* all) {
  // The prompt is the whole conversation: what the session holds of it already is kept, only the rest is computed.
  const bitnet_sampler_options sampler = {.size = sizeof sampler, .seed = 42, .temperature = 0.7f, .top_p = 0.95f};
  const bitnet_generate_options options = {
      .size = sizeof options, .max_tokens = 300, .flags = BITNET_GENERATE_WHOLE, .sampler = &sampler};
  bitnet_generation* generation = NULL;
  bitnet_status status = bitnet_generation_start_tokens(session, prompt, count, &options, &generation);
  bitnet_piece piece = {.size = sizeof piece};
  char* reply = NULL;
  size_t length = 0;
  while (status == BITNET_OK) {
    status = bitnet_generation_next(generation, &piece);
    if (status < 0) break;
    fwrite(piece.text, 1, piece.length, stdout);
    fflush(stdout);
    reply = grown(reply, length + piece.length + 1);
    memcpy(reply + length, piece.text, piece.length);
    length += piece.length;
  }
  putchar('\n');
  if (status == BITNET_END) say(all, "assistant", reply, length);
  free(reply);
  bitnet_generation_free(generation);
  return status;
}

static bitnet_status converse(const bitnet_model* model, bitnet_session* session) {
  struct conversation all = {NULL, 0};
  bitnet_status status = BITNET_OK;
  bitnet_token* prompt = NULL;
  char* line = NULL;
  size_t count = 0, capacity = 0;
  for (ssize_t length; status >= 0 && (length = getline(&line, &capacity, stdin)) > 0;) {
    if (line[length - 1] == '\n') length--;
    say(&all, "user", line, (size_t)length);
    status = make_prompt(model, &all, &prompt, &count);
    if (status == BITNET_OK) status = answer(session, prompt, count, &all);
  }
  for (size_t i = 0; i < all.count; i++) free((char*)all.messages[i].content);
  free(all.messages);
  free(prompt);
  free(line);
  return status;
}

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    fprintf(stderr, "usage: %s MODEL [TEMPLATE]\n", argv[0]);
    return 2;
  }
  const bitnet_open_options options = {.size = sizeof options, .chat_template = argv[2]};
  bitnet_model* model = NULL;
  bitnet_session* session = NULL;
  bitnet_status status = bitnet_open(argv[1], &options, &model);
  if (status == BITNET_OK) status = bitnet_session_create(model, NULL, &session);
  if (status == BITNET_OK) status = converse(model, session);
  if (status < 0) fprintf(stderr, "%s: %s\n", argv[0], bitnet_last_error());
  bitnet_session_free(session);
  bitnet_close(model);
  return status < 0;
}
