// SPDX-License-Identifier: MIT
// The smallest complete program: the model goes on with your text.
//
//   cc hello.c $(pkg-config --cflags --libs bitnet) -o hello
//   ./hello model.bitnet "It was a fine morning, and"
#include <bitnet.h>
#include <stdio.h>

// Called with every piece of text as it comes. Anything but 0 would end the text here.
static int print(void* user, const char* text, size_t length) {
  (void)user;
  fwrite(text, 1, length, stdout);
  return fflush(stdout);
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s MODEL PROMPT\n", argv[0]);
    return 2;
  }
  bitnet_model* model = NULL;
  bitnet_session* session = NULL;
  const bitnet_generate_options options = {.size = sizeof options, .max_tokens = 100};

  int failed = bitnet_open(argv[1], NULL, &model) != BITNET_OK ||
               bitnet_session_create(model, NULL, &session) != BITNET_OK ||
               bitnet_generate(session, argv[2], BITNET_NUL_TERMINATED, &options, print, NULL) != BITNET_OK;
  if (failed) {
    fprintf(stderr, "%s: %s\n", argv[0], bitnet_last_error());
  } else {
    puts("");
  }

  bitnet_session_free(session);
  bitnet_close(model);
  return failed;
}
