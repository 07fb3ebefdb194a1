// SPDX-License-Identifier: MIT
// What tests/bindings/overhead measures in other languages, in C: overhead MODEL
//
// Prints nanoseconds, the best of ten rounds: of a call that does nothing, of a short one, and what a generated token
// takes beside the evaluation and the sampling that the session's counters time. Then the longest of ten rounds from
// asking to cancel a long prompt to the call's return.
#define _POSIX_C_SOURCE 200809L  // NOLINT(bugprone-reserved-identifier): asks for clock_gettime
#include <bitnet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 10, CALLS = 100000, TOKENS = 200, CONTEXT = 16384 };

static bitnet_model* model;
static bitnet_session* session;
static atomic_bool cancelled;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void check(bitnet_status status) {
  if (status < 0) {
    fprintf(stderr, "overhead: %s\n", bitnet_last_error());
    exit(1);
  }
}

static double position(void) {
  const double start = now();
  for (int i = 0; i < CALLS; i++) bitnet_session_position(session);
  return (now() - start) / CALLS;
}

static double detokenize(void) {
  const bitnet_token token = 300;
  char text[64];
  size_t length = 0;
  const double start = now();
  for (int i = 0; i < CALLS; i++) check(bitnet_detokenize(model, &token, 1, 0, text, sizeof text, &length));
  return (now() - start) / CALLS;
}

static double token(void) {
  const bitnet_generate_options options = {
      .size = sizeof options, .max_tokens = TOKENS, .flags = BITNET_GENERATE_IGNORE_END};
  bitnet_generation* generation = NULL;
  bitnet_piece piece = {.size = sizeof piece};
  bitnet_perf perf = {.size = sizeof perf};
  check(bitnet_session_rewind(session, 0));
  bitnet_session_reset_perf(session);
  const double start = now();
  check(bitnet_generation_start(session, "It was a fine morning, and", BITNET_NUL_TERMINATED, &options, &generation));
  while (piece.finish == BITNET_FINISH_NOT) check(bitnet_generation_next(generation, &piece));
  bitnet_generation_free(generation);
  const double wall = now() - start;
  check(bitnet_session_get_perf(session, &perf));
  return (wall - (double)(perf.prompt_ns + perf.generated_ns + perf.sample_ns)) / TOKENS;
}

static int aborted(void* user) {
  (void)user;
  return cancelled;
}

static void* ask(void* asked) {
  const struct timespec moment = {.tv_nsec = 200000000};
  nanosleep(&moment, NULL);
  *(double*)asked = now();
  cancelled = 1;
  return NULL;
}

static double cancel(void) {
  static bitnet_token prompt[CONTEXT];
  for (int i = 0; i < CONTEXT; i++) prompt[i] = 5;
  check(bitnet_session_rewind(session, 0));
  double asked = 0;
  pthread_t other;
  pthread_create(&other, NULL, ask, &asked);
  const bitnet_status status = bitnet_eval(session, prompt, CONTEXT, BITNET_LOGITS_LAST);
  const double back = now();
  pthread_join(other, NULL);
  cancelled = 0;
  if (status != BITNET_ERROR_CANCELLED) exit(1);
  return back - asked;
}

static double least(double (*measure)(void)) {
  double best = measure();
  for (int i = 1; i < ROUNDS; i++) {
    const double time = measure();
    if (time < best) best = time;
  }
  return best;
}

static double most(double (*measure)(void)) {
  double worst = measure();
  for (int i = 1; i < ROUNDS; i++) {
    const double time = measure();
    if (time > worst) worst = time;
  }
  return worst;
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  check(bitnet_open(argv[1], NULL, &model));
  const bitnet_engine_options one_thread = {.size = sizeof one_thread, .threads = 1};
  bitnet_engine* engine = NULL;
  check(bitnet_engine_create(model, &one_thread, &engine));
  const bitnet_session_options options = {
      .size = sizeof options, .context = CONTEXT, .engine = engine, .abort = aborted};
  check(bitnet_session_create(model, &options, &session));
  printf("position %.0f\n", least(position));
  printf("detokenize %.0f\n", least(detokenize));
  printf("token %.0f\n", least(token));
  printf("cancel %.0f\n", most(cancel));
  bitnet_session_free(session);
  bitnet_engine_free(engine);
  bitnet_close(model);
  return 0;
}
