// SPDX-License-Identifier: MIT
// Serves 16 clients at once from one model, with two threads of its own: one takes requests, one gives text out. A
// client sends a line, and gets a text that goes on from it. What the clients wait for is computed together.
//
//   cc serve.c $(pkg-config --cflags --libs bitnet) -pthread -o serve
//   ./serve model.bitnet 7000 &
//   echo "It was" | nc localhost 7000
#define _POSIX_C_SOURCE 200809L  // NOLINT(bugprone-reserved-identifier): what POSIX calls it
#include <arpa/inet.h>
#include <bitnet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { CLIENTS = 16, LINE = 4096, CONTEXT = 1024, MOST_TOKENS = 60, PATIENCE_S = 10 };

struct client {
  bitnet_session* session;
  bitnet_generation* generation;
  int socket;  // -1: nobody's
};

static struct client clients[CLIENTS];
static bitnet_queue* queue;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;  // of the sockets
static pthread_cond_t one_is_free = PTHREAD_COND_INITIALIZER;

static struct client* wait_for_free_client(int socket) {
  pthread_mutex_lock(&mutex);
  struct client* found = NULL;
  while (found == NULL) {
    for (int i = 0; i < CLIENTS && found == NULL; ++i) {
      if (clients[i].socket < 0) found = &clients[i];
    }
    if (found == NULL) pthread_cond_wait(&one_is_free, &mutex);
  }
  found->socket = socket;
  pthread_mutex_unlock(&mutex);
  return found;
}

static void release(struct client* client) {
  bitnet_generation_free(client->generation);
  client->generation = NULL;
  close(client->socket);
  pthread_mutex_lock(&mutex);
  client->socket = -1;
  pthread_cond_signal(&one_is_free);
  pthread_mutex_unlock(&mutex);
}

// A client that does not take its text is let go: it must not hold up the others.
static int write_all(int socket, const char* text, size_t length) {
  while (length > 0) {
    const ssize_t sent = send(socket, text, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return 0;
    text += sent;
    length -= (size_t)sent;
  }
  return 1;
}

// Gives out one piece. Returns whether there is more to come.
static int give_out(struct client* client) {
  bitnet_piece piece = {.size = sizeof piece};
  const bitnet_status status = bitnet_generation_next(client->generation, &piece);
  if (status < 0) {
    fprintf(stderr, "serve: %s\n", bitnet_last_error());
    return 0;
  }
  if (!write_all(client->socket, piece.text, piece.length)) return 0;
  return status == BITNET_OK && bitnet_generation_submit(client->generation, queue, client) == BITNET_OK;
}

static void* give_texts(void* unused) {
  (void)unused;
  void* user = NULL;
  while (bitnet_queue_next(queue, UINT32_MAX, &user) == BITNET_OK) {
    if (!give_out(user)) release(user);
  }
  return NULL;
}

// Reads up to the end of the line. Returns its length; 0 if there is none.
static size_t read_line(int socket, char* line) {
  size_t length = 0;
  while (length < LINE) {
    const ssize_t got = recv(socket, line + length, LINE - length, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    char* const end = memchr(line + length, '\n', (size_t)got);
    if (end != NULL) return (size_t)(end - line);
    length += (size_t)got;
  }
  return length;
}

// One request after the other: a client may take PATIENCE_S to send its line.
static void serve(int socket) {
  char line[LINE];
  const struct timeval patience = {.tv_sec = PATIENCE_S};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const size_t length = read_line(socket, line);
  struct client* client = wait_for_free_client(socket);
  const bitnet_generate_options options = {
      .size = sizeof options, .max_tokens = MOST_TOKENS, .flags = BITNET_GENERATE_WHOLE};
  if (length == 0 ||
      bitnet_generation_start(client->session, line, length, &options, &client->generation) != BITNET_OK ||
      bitnet_generation_submit(client->generation, queue, client) != BITNET_OK) {
    release(client);
  }
}

// A socket of this machine that takes connections; -1 on failure.
static int listen_at(int port) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0) return -1;
  const int yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener, (struct sockaddr*)&address, size) != 0 || listen(listener, 2 * CLIENTS) != 0 ||
      getsockname(listener, (struct sockaddr*)&address, &size) != 0) {
    close(listener);
    return -1;
  }
  printf("serving at port %d\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s MODEL PORT\n", argv[0]);
    return 2;
  }
  bitnet_model* model = NULL;
  const bitnet_session_options options = {.size = sizeof options, .context = CONTEXT};
  int ready = bitnet_open(argv[1], NULL, &model) == BITNET_OK && bitnet_queue_create(&queue) == BITNET_OK;
  for (int i = 0; i < CLIENTS && ready; ++i) {
    clients[i].socket = -1;
    ready = bitnet_session_create(model, &options, &clients[i].session) == BITNET_OK;
  }
  bitnet_close(model);  // the sessions keep it
  if (!ready) {
    fprintf(stderr, "%s: %s\n", argv[0], bitnet_last_error());
    return 1;
  }
  const int listener = listen_at(atoi(argv[2]));
  if (listener < 0) {
    perror(argv[0]);
    return 1;
  }
  pthread_t thread;
  if (pthread_create(&thread, NULL, give_texts, NULL) != 0) return 1;
  for (;;) {
    const int socket = accept(listener, NULL, NULL);
    if (socket >= 0) serve(socket);
  }
}
