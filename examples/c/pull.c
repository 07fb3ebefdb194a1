// SPDX-License-Identifier: MIT
// Pulling the text piece by piece, drawing tokens at random by a seed, and stopping from another thread.
//
//   cc pull.c $(pkg-config --cflags --libs bitnet) -pthread -o pull
//   ./pull model.bitnet "Dear Jane," 42 5        # the seed, and how many seconds it may take
#include <bitnet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct watch {
  bitnet_generation* generation;
  pthread_mutex_t lock;
  pthread_cond_t over;
  int finished;
  struct timespec deadline;
};

// Cancels the generation at the deadline, unless it is over before. The call of bitnet_generation_next that is under
// way then returns BITNET_ERROR_CANCELLED.
static void* cancel_at_deadline(void* argument) {
  struct watch* watch = argument;
  pthread_mutex_lock(&watch->lock);
  int late = 0;
  while (!watch->finished && !late) late = pthread_cond_timedwait(&watch->over, &watch->lock, &watch->deadline) != 0;
  if (!watch->finished) bitnet_generation_cancel(watch->generation);
  pthread_mutex_unlock(&watch->lock);
  return NULL;
}

static const char* reason(bitnet_finish finish) {
  switch (finish) {
    case BITNET_FINISH_END_TOKEN:
      return "the model ended it";
    case BITNET_FINISH_STOP:
      return "a stop string came";
    case BITNET_FINISH_MAX_TOKENS:
      return "the limit was reached";
    case BITNET_FINISH_CONTEXT:
      return "the context is full";
    default:
      return "it goes on";
  }
}

// Writes the text as it comes. Returns what ended it.
static bitnet_status write_text(bitnet_generation* generation) {
  bitnet_piece piece = {.size = sizeof piece};
  bitnet_status status;
  do {
    status = bitnet_generation_next(generation, &piece);
    if (status < 0) return status;
    fwrite(piece.text, 1, piece.length, stdout);
    fflush(stdout);
  } while (status != BITNET_END);
  printf("\n[%s]\n", reason(piece.finish));
  return status;
}

int main(int argc, char** argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: %s MODEL PROMPT SEED SECONDS\n", argv[0]);
    return 2;
  }
  // The usual knobs; every one left at zero is off. The same seed gives the same text on every machine.
  const bitnet_sampler_options sampler = {.size = sizeof sampler,
                                          .seed = strtoull(argv[3], NULL, 10),
                                          .temperature = 0.8f,
                                          .top_p = 0.95f,
                                          .repetition_penalty = 1.1f};
  const char* const stop[] = {"\n\n"};
  const bitnet_generate_options options = {
      .size = sizeof options, .max_tokens = 200, .sampler = &sampler, .stop = stop, .stop_count = 1};

  bitnet_model* model = NULL;
  bitnet_session* session = NULL;
  bitnet_generation* generation = NULL;
  bitnet_status status = bitnet_open(argv[1], NULL, &model);
  if (status == BITNET_OK) status = bitnet_session_create(model, NULL, &session);
  if (status == BITNET_OK)
    status = bitnet_generation_start(session, argv[2], BITNET_NUL_TERMINATED, &options, &generation);

  if (status == BITNET_OK) {
    struct watch watch = {
        .generation = generation, .lock = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER};
    watch.deadline.tv_sec = time(NULL) + strtol(argv[4], NULL, 10);
    pthread_t thread;
    if (pthread_create(&thread, NULL, cancel_at_deadline, &watch) != 0) abort();

    status = write_text(generation);

    pthread_mutex_lock(&watch.lock);
    watch.finished = 1;
    pthread_cond_signal(&watch.over);
    pthread_mutex_unlock(&watch.lock);
    pthread_join(thread, NULL);
  }

  if (status == BITNET_ERROR_CANCELLED)
    puts("\n[the time is over]");
  else if (status < 0)
    fprintf(stderr, "%s: %s\n", argv[0], bitnet_last_error());

  // In any order: a generation keeps its session alive, and a session its model.
  bitnet_close(model);
  bitnet_session_free(session);
  bitnet_generation_free(generation);
  return status < 0 && status != BITNET_ERROR_CANCELLED;
}
