// SPDX-License-Identifier: MIT
// Searches a folder of texts by meaning. Each paragraph of its files is embedded once and kept in an SQLite database; a
// question is embedded as well, and the paragraphs that are nearest to it are shown.
//
//   cc search.c $(pkg-config --cflags --libs bitnet sqlite3) -o search
//   ./search model.bitnet notes.db add FOLDER
//   ./search model.bitnet notes.db find "Which wine goes with fish?"
#include <bitnet.h>
#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOGETHER = 64, SHOWN = 3 };  // paragraphs that are embedded in one call; results

// How BitNet's embedding models want questions: paragraphs stand for themselves.
#define INSTRUCTION "Instruct: Given a question, retrieve passages that answer it\nQuery: "

typedef struct Search {
  bitnet_model* model;
  sqlite3* database;
  sqlite3_stmt* insert;
  bitnet_embed_options options;
  size_t bytes;  // of an embedding
} Search;

static int database_failed(const Search* search) {
  fprintf(stderr, "search: %s\n", sqlite3_errmsg(search->database));
  return -1;
}

static int library_failed(void) {
  fprintf(stderr, "search: %s\n", bitnet_last_error());
  return -1;
}

// ------------------------------------------------------------------ adding

// Paragraphs on their way into the database.
typedef struct Paragraphs {
  const char* texts[TOGETHER];
  size_t lengths[TOGETHER];
  size_t count;
} Paragraphs;

static int store(Search* search, const char* file, Paragraphs* some) {
  if (some->count == 0) return 0;
  char* const embeddings = malloc(some->count * search->bytes);
  if (embeddings == NULL) return -1;
  int result = 0;
  if (bitnet_embed(search->model, some->texts, some->lengths, some->count, &search->options, embeddings,
                   some->count * search->bytes) != BITNET_OK) {
    result = library_failed();
  }
  for (size_t i = 0; result == 0 && i < some->count; ++i) {
    sqlite3_bind_text(search->insert, 1, file, -1, SQLITE_STATIC);
    sqlite3_bind_text(search->insert, 2, some->texts[i], (int)some->lengths[i], SQLITE_STATIC);
    sqlite3_bind_blob(search->insert, 3, embeddings + i * search->bytes, (int)search->bytes, SQLITE_STATIC);
    if (sqlite3_step(search->insert) != SQLITE_DONE) result = database_failed(search);
    sqlite3_reset(search->insert);
  }
  free(embeddings);
  some->count = 0;
  return result;
}

// Paragraphs are parted by empty lines.
static int add_text(Search* search, const char* file, const char* text) {
  Paragraphs some = {.count = 0};
  while (*text != '\0') {
    text += strspn(text, "\r\n");
    const char* const end = strstr(text, "\n\n");
    const size_t room = end != NULL ? (size_t)(end - text) : strlen(text);
    size_t length = room;
    while (length != 0 && (text[length - 1] == '\n' || text[length - 1] == '\r')) --length;
    if (length != 0) {
      some.texts[some.count] = text;
      some.lengths[some.count++] = length;
    }
    text += room;
    if (some.count == TOGETHER && store(search, file, &some) != 0) return -1;
  }
  return store(search, file, &some);
}

// The file with a zero byte behind it, to be freed; NULL if it cannot be read.
static char* read_file(const char* path) {
  FILE* const file = fopen(path, "rb");
  if (file == NULL) return NULL;
  size_t length = 0, capacity = 1 << 16;
  char* text = malloc(capacity);
  while (text != NULL) {
    length += fread(text + length, 1, capacity - length - 1, file);
    if (length < capacity - 1) break;
    char* const larger = realloc(text, capacity *= 2);
    if (larger == NULL) free(text);
    text = larger;
  }
  fclose(file);
  if (text != NULL) text[length] = '\0';
  return text;
}

static int add_folder(Search* search, const char* folder) {
  DIR* const entries = opendir(folder);
  if (entries == NULL) {
    perror(folder);
    return -1;
  }
  int result = 0;
  for (struct dirent* entry; result == 0 && (entry = readdir(entries)) != NULL;) {
    const size_t length = strlen(entry->d_name);
    if (length < 5 || (strcmp(entry->d_name + length - 4, ".txt") != 0)) continue;
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path) continue;
    char* const text = read_file(path);
    if (text == NULL) continue;
    result = add_text(search, path, text);
    free(text);
  }
  closedir(entries);
  return result;
}

static int add(Search* search, const char* folder) {
  const char* const insert = "INSERT INTO paragraphs (file, text, embedding) VALUES (?, ?, ?)";
  if (sqlite3_exec(search->database, "BEGIN", NULL, NULL, NULL) != SQLITE_OK ||
      sqlite3_prepare_v2(search->database, insert, -1, &search->insert, NULL) != SQLITE_OK) {
    return database_failed(search);
  }
  const int result = add_folder(search, folder);
  sqlite3_finalize(search->insert);
  if (result != 0) return result;
  return sqlite3_exec(search->database, "COMMIT", NULL, NULL, NULL) == SQLITE_OK ? 0 : database_failed(search);
}

// ----------------------------------------------------------------- finding

// nearness(embedding): the cosine between it and the question's; both have length 1.
static void nearness(sqlite3_context* context, int count, sqlite3_value** values) {
  (void)count;
  const float* const question = sqlite3_user_data(context);
  const float* const embedding = sqlite3_value_blob(values[0]);
  double sum = 0;
  for (size_t i = 0; i < (size_t)sqlite3_value_bytes(values[0]) / sizeof(float); ++i) sum += question[i] * embedding[i];
  sqlite3_result_double(context, sum);
}

static int show_nearest(const Search* search, const float* question) {
  sqlite3_stmt* select = NULL;
  if (sqlite3_create_function(search->database, "nearness", 1, SQLITE_UTF8, (void*)question, nearness, NULL, NULL) !=
          SQLITE_OK ||
      sqlite3_prepare_v2(search->database,
                         "SELECT nearness(embedding) AS near, file, text FROM paragraphs WHERE length(embedding) = ? "
                         "ORDER BY near DESC LIMIT ?",
                         -1, &select, NULL) != SQLITE_OK) {
    return database_failed(search);
  }
  sqlite3_bind_int64(select, 1, (sqlite3_int64)search->bytes);
  sqlite3_bind_int(select, 2, SHOWN);
  int step;
  while ((step = sqlite3_step(select)) == SQLITE_ROW) {
    printf("%.3f  %s\n%s\n\n", sqlite3_column_double(select, 0), (const char*)sqlite3_column_text(select, 1),
           (const char*)sqlite3_column_text(select, 2));
  }
  sqlite3_finalize(select);
  return step == SQLITE_DONE ? 0 : database_failed(search);
}

static int find(const Search* search, const char* question) {
  const size_t length = sizeof INSTRUCTION + strlen(question);
  char* const text = malloc(length);
  float* const embedding = malloc(search->bytes);
  int result = -1;
  if (text != NULL && embedding != NULL) {
    snprintf(text, length, "%s%s", INSTRUCTION, question);
    const char* const texts[] = {text};
    const bitnet_status status =
        bitnet_embed(search->model, texts, NULL, 1, &search->options, embedding, search->bytes);
    result = status == BITNET_OK ? show_nearest(search, embedding) : library_failed();
  }
  free(text);
  free(embedding);
  return result;
}

int main(int argc, char** argv) {
  const int adds = argc == 5 && strcmp(argv[3], "add") == 0, finds = argc == 5 && strcmp(argv[3], "find") == 0;
  if (!adds && !finds) {
    fprintf(stderr, "usage: %s MODEL DATABASE add FOLDER\n       %s MODEL DATABASE find QUESTION\n", argv[0], argv[0]);
    return 2;
  }
  Search search = {.options = {.size = sizeof search.options, .fit = BITNET_EMBED_FIT_CUT}};
  int result = -1;
  if (bitnet_open(argv[1], NULL, &search.model) != BITNET_OK ||
      bitnet_embed_size(search.model, &search.options, &search.bytes) != BITNET_OK) {
    library_failed();
  } else if (sqlite3_open(argv[2], &search.database) != SQLITE_OK ||
             sqlite3_exec(search.database,
                          "CREATE TABLE IF NOT EXISTS paragraphs (file TEXT, text TEXT, embedding BLOB)", NULL, NULL,
                          NULL) != SQLITE_OK) {
    database_failed(&search);
  } else {
    result = adds ? add(&search, argv[4]) : find(&search, argv[4]);
  }
  sqlite3_close(search.database);
  bitnet_close(search.model);
  return result == 0 ? 0 : 1;
}
