// SPDX-License-Identifier: MIT
// The steps that bitnet_generate takes, one by one: tokenize, evaluate, sample, decode. The prompt is evaluated once;
// each variation continues a fork of that session, with a seed of its own.
//
//   cc variations.c $(pkg-config --cflags --libs bitnet) -o variations
//   ./variations model.bitnet "She opened the letter and" 3
#include <bitnet.h>
#include <stdio.h>
#include <stdlib.h>

enum { LENGTH = 40 };

// The tokens of the text, begin token included, to be freed by the caller. NULL on failure.
static bitnet_token* tokenize(const bitnet_model* model, const char* text, size_t* count) {
  // Asked with no room, it tells how much is needed.
  bitnet_status status = bitnet_tokenize(model, text, BITNET_NUL_TERMINATED, BITNET_TEXT_BOS_EOS, NULL, 0, count);
  if (status != BITNET_ERROR_BUFFER) return NULL;
  bitnet_token* tokens = malloc(*count * sizeof *tokens);
  if (tokens != NULL &&
      bitnet_tokenize(model, text, BITNET_NUL_TERMINATED, BITNET_TEXT_BOS_EOS, tokens, *count, count) != BITNET_OK) {
    free(tokens);
    return NULL;
  }
  return tokens;
}

// Draws, prints and evaluates LENGTH tokens, or fewer if the model ends the text.
static bitnet_status continue_text(const bitnet_model* model, bitnet_session* session, bitnet_sampler* sampler,
                                   bitnet_decoder* decoder) {
  const char* text;
  size_t length;
  for (int i = 0; i < LENGTH; ++i) {
    bitnet_token token;
    bitnet_status status = bitnet_sample(sampler, session, &token);
    if (status != BITNET_OK) return status;
    if (bitnet_token_is_end(model, token)) break;
    // A token may be half a character: the decoder gives text only when it is whole.
    if ((status = bitnet_decoder_push(decoder, token, &text, &length)) != BITNET_OK) return status;
    fwrite(text, 1, length, stdout);
    if ((status = bitnet_eval(session, &token, 1, BITNET_LOGITS_LAST)) != BITNET_OK) return status;
  }
  bitnet_status status = bitnet_decoder_finish(decoder, &text, &length);
  if (status == BITNET_OK) fwrite(text, 1, length, stdout);
  return status;
}

static bitnet_status write_variation(const bitnet_model* model, const bitnet_session* prompt, uint64_t seed) {
  const bitnet_sampler_options options = {.size = sizeof options, .seed = seed, .temperature = 0.9f, .min_p = 0.05f};
  bitnet_session* session = NULL;
  bitnet_sampler* sampler = NULL;
  bitnet_decoder* decoder = NULL;
  bitnet_status status = bitnet_session_fork(prompt, &session);
  if (status == BITNET_OK) status = bitnet_sampler_create(&options, &sampler);
  if (status == BITNET_OK) status = bitnet_decoder_create(model, 0, &decoder);
  if (status == BITNET_OK) status = continue_text(model, session, sampler, decoder);
  bitnet_decoder_free(decoder);
  bitnet_sampler_free(sampler);
  bitnet_session_free(session);
  return status;
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: %s MODEL PROMPT COUNT\n", argv[0]);
    return 2;
  }
  bitnet_model* model = NULL;
  bitnet_session* session = NULL;
  bitnet_token* tokens = NULL;
  size_t count = 0;
  int done = 0;

  if (bitnet_open(argv[1], NULL, &model) == BITNET_OK && bitnet_session_create(model, NULL, &session) == BITNET_OK &&
      (tokens = tokenize(model, argv[2], &count)) != NULL &&
      bitnet_eval(session, tokens, count, BITNET_LOGITS_LAST) == BITNET_OK) {
    const int variations = atoi(argv[3]);
    while (done < variations) {
      printf("%d. %s", done + 1, argv[2]);
      if (write_variation(model, session, (uint64_t)done) != BITNET_OK) break;
      puts("\n");
      ++done;
    }
  }
  const int failed = done < atoi(argv[3]);
  if (failed) fprintf(stderr, "%s: %s\n", argv[0], bitnet_last_error());

  free(tokens);
  bitnet_session_free(session);
  bitnet_close(model);
  return failed;
}
