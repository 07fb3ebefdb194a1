/* SPDX-License-Identifier: MIT */
/*
 * libbitnet: runs 1.58-bit (ternary) language models on a CPU, inside your program.
 *
 * This header is the manual. The smallest use:
 *
 *     bitnet_model* model = NULL;
 *     bitnet_session* session = NULL;
 *     if (bitnet_open("model.bitnet", NULL, &model) != BITNET_OK) { puts(bitnet_last_error()); return 1; }
 *     if (bitnet_session_create(model, NULL, &session) == BITNET_OK)
 *       bitnet_generate(session, "Once upon a time", BITNET_NUL_TERMINATED, NULL, print_piece, NULL);
 *     bitnet_session_free(session);
 *     bitnet_close(model);
 *
 * Objects
 *   bitnet_model       weights and vocabulary; read only once open; shared by any number of sessions
 *   bitnet_pool        threads that compute; engines of several models may share one
 *   bitnet_engine      computes what the sessions of a model ask for, together
 *   bitnet_session     one sequence of tokens with its KV cache and its last logits
 *   bitnet_sampler     turns logits into a token; holds the random state
 *   bitnet_generation  text being generated in a session, pulled piece by piece
 *   bitnet_queue       tells which of many generations have a piece ready
 *   bitnet_decoder     tokens to text as they come, never splitting a UTF-8 character
 *   bitnet_chat        a conversation: its messages, and replies to them that a session generates
 *
 * Lifetime. Each create, open or start has one close or free, which accepts NULL. Objects may be freed in any order: a
 * session keeps its model alive, a generation and a chat keep their session alive, a decoder keeps its model alive. A
 * pointer that a function hands out is valid as long as that function's comment says. The caller never frees it.
 *
 * Threads. Any number of threads may use a bitnet_model at once. One thread at a time may use any other object; it need
 * not always be the same thread. Functions with other rules say so. The only global state is each thread's last error
 * message. After fork() the child process must not use objects that the parent made; it opens its own.
 *
 * Errors. Functions return a bitnet_status. A negative status means that nothing was done and that output parameters
 * are untouched; exceptions are noted at the function. bitnet_last_error() says what was wrong, where, and what to do.
 * A NULL that is not allowed is an ARGUMENT error. Dangling pointers and buffers shorter than stated cannot be
 * detected. No function ends the process, prints, installs a signal handler or changes the locale.
 *
 * Options. An options struct begins with its size. A member that is zero means its default. So
 *     bitnet_session_options options = {.size = sizeof options};
 * is complete. Later versions may add members at the end. NULL options mean all defaults. Members that this version
 * does not know must be zero. Texts and arrays that options point to are copied.
 *
 * Text is UTF-8 with a length in bytes. The length BITNET_NUL_TERMINATED means "up to the terminating zero byte". Text
 * that a function gives out ends with a zero byte, which its length does not count, unless the function says otherwise.
 *
 * Determinism. The same model and the same tokens give the same logits, bit for bit, on every CPU and instruction set,
 * at any thread count, however the tokens are divided into calls. The same sampler options and the same seed then draw
 * the same tokens.
 *
 * Versions. Until 1.0 a new minor version may change this interface; soname and symbol versions then change as well.
 * From 1.0 on programs keep running with every later 1.x; only the last section, "experimental", may change.
 */
#ifndef BITNET_H
#define BITNET_H

#include <stddef.h>
#include <stdint.h>

#define BITNET_VERSION_MAJOR 0
#define BITNET_VERSION_MINOR 2
#define BITNET_VERSION_PATCH 0

/* On Windows, define BITNET_STATIC to link the archive and not the DLL; the packages of CMake and pkg-config do. */
#if defined(_WIN32) && !defined(BITNET_STATIC)
#define BITNET_API __declspec(dllimport)
#elif defined(__GNUC__) && !defined(_WIN32)
#define BITNET_API __attribute__((visibility("default")))
#else
#define BITNET_API
#endif

/* Enums are ints: a value that this version does not know is refused, not undefined behaviour. */
#ifdef __cplusplus
#define BITNET_AS_INT : int
#else
#define BITNET_AS_INT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ status */

/* What a call came to. */
typedef enum bitnet_status BITNET_AS_INT {
  BITNET_OK = 0,                 /* it is done */
  BITNET_END = 1,                /* not an error: the generation has ended */
  BITNET_ERROR_ARGUMENT = -1,    /* an argument or option is wrong: the caller's mistake */
  BITNET_ERROR_MEMORY = -2,      /* out of memory */
  BITNET_ERROR_NOT_FOUND = -3,   /* the file to read does not exist */
  BITNET_ERROR_IO = -4,          /* the system refused to open, read or write a file for another reason */
  BITNET_ERROR_FORMAT = -5,      /* a file is damaged, truncated or not what it claims to be */
  BITNET_ERROR_UNSUPPORTED = -6, /* well-formed, but this version cannot do it (architecture, tensor type, ISA) */
  BITNET_ERROR_CONTEXT = -7,     /* the tokens do not fit the session's context */
  BITNET_ERROR_CANCELLED = -8,   /* a callback or bitnet_generation_cancel asked to stop */
  BITNET_ERROR_BUFFER = -9,      /* the caller's buffer is too small; the size needed has been stored */
  BITNET_ERROR_MISMATCH = -10,   /* a saved state belongs to another model or kind of session */
  BITNET_ERROR_INTERNAL = -11,   /* a mistake in the library: please report it */
  BITNET_ERROR_BUSY = -12,       /* another call uses the session */
} bitnet_status;

/* What a status means, in a few English words. Never NULL; a static string. Thread-safe. */
BITNET_API const char* bitnet_status_message(bitnet_status status);

/* What went wrong in this thread's latest failed call: one line without a newline; "" if no call has failed yet.
 * Asking for a size with a NULL buffer is no failure, and leaves it as it is. Valid until this thread's next call of
 * the library. */
BITNET_API const char* bitnet_last_error(void);

/* ----------------------------------------------------------- this library */

/* The version of the library that runs, which may be newer than this header: major << 16 | minor << 8 | patch. */
BITNET_API uint32_t bitnet_version(void);
BITNET_API const char* bitnet_version_string(void); /* "0.2.0"; static */

/* The CPU's vector features that matter here, separated by spaces; static. */
BITNET_API const char* bitnet_cpu_features(void);

/* The kernel sets that this CPU can run, fastest first: "avx512", ..., "scalar". NULL from index count on; static.
 * "amx": on Linux a process must request AMX before it uses it. Listing names requests nothing. bitnet_open requests
 * AMX if it is going to use this set: where the CPU has AMX, and neither `isa` nor BITNET_ISA names another set. The
 * grant is for the whole process and cannot be given back. From then on a stack for signal handlers must hold
 * getauxval(AT_MINSIGSTKSZ) bytes, or sigaltstack() refuses it. If a thread already has a smaller one, Linux refuses
 * the request, and the next set is used. A host that cannot have this names another set: BITNET_ISA=avx512vnni in the
 * environment, or `isa` in bitnet_open_options. */
BITNET_API const char* bitnet_isa_name(size_t index);

/* ------------------------------------------------------------------ models */

typedef struct bitnet_model bitnet_model;
typedef struct bitnet_pool bitnet_pool;
typedef struct bitnet_engine bitnet_engine;
typedef struct bitnet_session bitnet_session;
typedef struct bitnet_sampler bitnet_sampler;
typedef struct bitnet_generation bitnet_generation;
typedef struct bitnet_queue bitnet_queue;
typedef struct bitnet_decoder bitnet_decoder;
typedef struct bitnet_chat bitnet_chat;

typedef int32_t bitnet_token; /* 0 .. vocabulary-1 */

#define BITNET_NO_TOKEN ((bitnet_token)-1)
#define BITNET_NUL_TERMINATED ((size_t)-1)

/* Called during long work, on the thread that called the function, with done <= total in bytes. Return 0 to go on.
 * Anything else cancels the work; the function then returns BITNET_ERROR_CANCELLED. */
typedef int (*bitnet_progress_fn)(void* user, uint64_t done, uint64_t total);

/* How much a line of the log matters. */
typedef enum bitnet_log_level BITNET_AS_INT {
  BITNET_LOG_WARNING = 1, /* something to look at */
  BITNET_LOG_INFO = 2,    /* what was chosen */
} bitnet_log_level;

/* Called with one line of text, without a newline, about what the library chose or noticed. Any thread that uses the
 * model may call it, also several at once. The text is valid during the call. */
typedef void (*bitnet_log_fn)(void* user, bitnet_log_level level, const char* message);

/* How ternary weights with one scale for a matrix or a row are packed. Those with a scale for each group of columns
 * have a packing of their own, of 2 bits a weight. */
typedef enum bitnet_packing BITNET_AS_INT {
  BITNET_PACKING_DEFAULT = 0, /* BITNET_PACKING_I2; of a `.bitnet` file that is converted, as it is */
  BITNET_PACKING_I2 = 1,      /* 2 bits a weight */
  BITNET_PACKING_T5 = 2,      /* 1.6 bits a weight, five in a byte; the same results */
} bitnet_packing;

/* How the matrices of a model that is not ternary are kept. */
typedef enum bitnet_dense BITNET_AS_INT {
  BITNET_DENSE_DEFAULT = 0, /* BITNET_DENSE_F16; of a `.bitnet` file that is converted, as it is */
  BITNET_DENSE_F16 = 1,     /* exact where F16 holds the published numbers; otherwise the log tells the largest error */
  BITNET_DENSE_F32 = 2,     /* exact, embedding and head included; twice the bytes */
  BITNET_DENSE_INT8 = 3,    /* 8 bits a weight with a scale per row: half the bytes, slightly other logits */
} bitnet_dense;

/* How activations that meet ternary weights are rounded. */
typedef enum bitnet_activation_bits BITNET_AS_INT {
  BITNET_ACTIVATION_BITS_DEFAULT = 0, /* as the model was published */
  BITNET_ACTIVATION_BITS_INT8 = 1,    /* to 8 bits with a step for a token, as BitNet b1.58 was trained */
  BITNET_ACTIVATION_BITS_INT16 = 2,   /* to 16 bits with a step for each group of columns, for models that were
                                         published with activations in floating point */
} bitnet_activation_bits;

/* How the output head (hidden x vocabulary) is kept. A head of ternary weights stays as it is. */
typedef enum bitnet_head BITNET_AS_INT {
  BITNET_HEAD_DEFAULT = 0,  /* BITNET_HEAD_F16. Of a file that is converted: BITNET_HEAD_SCREENED for a vocabulary of
                               16384 tokens or more; a `.bitnet` file stays as it is */
  BITNET_HEAD_F16 = 1,      /* as published */
  BITNET_HEAD_INT8 = 2,     /* 8 bits a weight with a scale per row: half the bytes, slightly other logits */
  BITNET_HEAD_Q6 = 3,       /* 6 bits a weight with a scale for every 16: 0.41 of the bytes, slightly other logits */
  BITNET_HEAD_SCREENED = 4, /* BITNET_HEAD_F16 with a screen of 5 bits a weight beside it: the same logits and tokens;
                              greedy and top-k sampling read little more than the screen, 0.34 of the bytes */
} bitnet_head;

/* The order of the weights in the I2_S tensors of a GGUF file. The file does not say it: it depends on the CPU and the
 * build of bitnet.cpp that wrote it. */
typedef enum bitnet_i2s_layout BITNET_AS_INT {
  BITNET_I2S_AUTO = 0, /* found out from the weights; BITNET_I2S_X86, with a warning, where they do not tell */
  BITNET_I2S_X86 = 1,  /* written on x86: blocks of 128 weights of a row, bytes of weights 32 apart */
  BITNET_I2S_ARM = 2,  /* written on Arm: blocks of 64 weights of a row, bytes of weights 16 apart */
  BITNET_I2S_ROWS = 3, /* written on x86 by a build without ACT_PARALLEL: bytes of one column of four rows */
} bitnet_i2s_layout;

/* What the feed-forward network does with its gate. */
typedef enum bitnet_activation BITNET_AS_INT {
  BITNET_ACTIVATION_DEFAULT = 0, /* as the file says or its architecture means; a file that leaves it open is refused */
  BITNET_ACTIVATION_RELU2 = 1,   /* squared ReLU: BitNet b1.58 2B-4T */
  BITNET_ACTIVATION_SILU = 2,    /* SiLU: 1bitLLM's bitnet_b1_58-large and -3B */
} bitnet_activation;

/* How a model is opened. */
typedef struct bitnet_open_options {
  size_t size;                 /* sizeof(bitnet_open_options) */
  const char* isa;             /* kernel set, see bitnet_isa_name; NULL: $BITNET_ISA, or else the fastest */
  int verify;                  /* nonzero: check every tensor's checksum, which reads the whole file */
  bitnet_packing packing;      /* how the weights of a file that is not `.bitnet` are packed in memory */
  bitnet_head head;            /* likewise, how its head is kept */
  bitnet_i2s_layout i2s;       /* how the I2_S tensors of a GGUF file lie */
  bitnet_progress_fn progress; /* told how far the work has come, on the calling thread; NULL: nobody is */
  void* progress_user;
  bitnet_log_fn log; /* told what the library chooses or notices, on any thread that uses the model, as long as it
                        lives; NULL: nobody is */
  void* log_user;
  const char* chat_template;    /* in place of the file's: the name of a known template (see bitnet_chat_template_name),
                                   Jinja source (whatever contains "{{" or "{%"), or else the path of a file that holds
                                   it. Must be usable, or opening fails. NULL or "": the file's own, or the right one
                                   where the file's is a known mistake */
  bitnet_activation activation; /* for files that do not name it; it counts even against one that does */
  bitnet_dense dense;           /* how the matrices of a file that is not `.bitnet`, nor ternary, are kept in memory */
  bitnet_activation_bits activation_bits; /* of a file that is not `.bitnet` and does not say it */
} bitnet_open_options;

/* Opens a model. A `.bitnet` file is mapped and used as it lies. Others are repacked in memory: a GGUF file (version 2
 * or 3), a split one by its first part; a Hugging Face folder, by its path or that of its config.json or of a
 * .safetensors file in it. Files must not change while the model lives. Where the file system cannot map files, they
 * are read into memory, with a warning in the log. Errors: NOT_FOUND; IO; FORMAT and UNSUPPORTED (naming tensor or
 * key); MEMORY; CANCELLED; ARGUMENT. */
BITNET_API bitnet_status bitnet_open(const char* path, const bitnet_open_options* options, bitnet_model** model);

/* The same for a file that is in memory. `data` is used as it lies: it must start on a multiple of 64 bytes, and must
 * stay unchanged and in place until the model and everything made from it have been freed. */
BITNET_API bitnet_status bitnet_open_memory(const void* data, size_t length, const bitnet_open_options* options,
                                            bitnet_model** model);

/* Frees the model once nothing uses it any more: sessions, generations and decoders keep it alive. */
BITNET_API void bitnet_close(bitnet_model* model);

/* What is known of a model; "" where its file says nothing. */
typedef struct bitnet_model_info {
  size_t size;                      /* sizeof(bitnet_model_info), set by the caller */
  const char* name;                 /* the model's name */
  const char* license;              /* its license */
  const char* architecture;         /* the family whose graph it has: "bitnet-b1.58", "llama", "qwen3", ... */
  const char* isa;                  /* kernel set in use */
  const char* packing;              /* of the layers' weights: "i2", "t5", "g128", "g64"; of a model that is not ternary
                                       "f16", "f32" or "int8" */
  const char* head;                 /* "f16", "int8", "q6", "screened", "f32", or the packing of a ternary head; "none":
                                       the model makes embeddings only */
  uint64_t parameters;              /* number of weights, embedding included, a tied head not counted again */
  uint64_t ternary_parameters;      /* how many of them are ternary */
  uint64_t file_bytes;              /* size of the file */
  uint64_t resident_bytes;          /* size of all weights as they are used; file-backed where mapped */
  uint32_t vocabulary;              /* number of tokens */
  uint32_t context;                 /* tokens it was trained for */
  uint32_t layers;                  /* number of layers */
  uint32_t hidden;                  /* width of the residual stream */
  uint32_t ffn;                     /* width of the feed-forward network */
  uint32_t heads;                   /* number of attention heads */
  uint32_t kv_heads;                /* number of heads of keys and values */
  uint32_t head_dim;                /* width of a head */
  bitnet_token bos;                 /* the token that begins a text; BITNET_NO_TOKEN if there is none */
  bitnet_token eos;                 /* the token that ends a text; BITNET_NO_TOKEN if there is none */
  int has_chat_template;            /* nonzero: there is a chat template, and bitnet_chat_tokenize works */
  const char* chat_template;        /* Jinja source of the chat template in use; "" if there is none */
  const char* chat_template_source; /* where it is from: "file", "option", or the name of the known template that stands
                                       in for the file's, which is a known mistake; "" if there is none */
  const char* activation;           /* "relu2", "silu" or "gelu" */
  const char* pooling;              /* how the model was published to make embeddings: "last", "mean" or "cls"; "" if it
                                       was not */
} bitnet_model_info;

/* Fills in *info, as many members as info->size covers. Its strings live as long as the model. */
BITNET_API bitnet_status bitnet_model_get_info(const bitnet_model* model, bitnet_model_info* info);

/* Entry `index` of the file's free-form metadata (GGUF's key-value pairs), as two strings that live as long as the
 * model. Numbers are in decimal. Returns BITNET_END if there is no such entry. */
BITNET_API bitnet_status bitnet_model_metadata(const bitnet_model* model, size_t index, const char** key,
                                               const char** value);

/* -------------------------------------------------------------------- text */

/* How text becomes tokens, and tokens text. */
enum {
  BITNET_TEXT_SPECIAL = 1, /* to tokens: text such as "<|eot_id|>" becomes that control token. Never for text from
                              strangers. To text: control tokens are written out; otherwise they are left out */
  BITNET_TEXT_BOS_EOS = 2, /* to tokens: add the begin and end tokens that the model's vocabulary asks for, also where
                              the text spells them with BITNET_TEXT_SPECIAL: they are then there twice, as with Hugging
                              Face. bitnet_generation_start does not repeat the begin token */
};

/* Writes the tokens of a text to tokens[0 .. *count). If there are more than `capacity`, it stores their number in
 * *count and returns BITNET_ERROR_BUFFER. To ask for the number, pass capacity 0 and tokens NULL. The text may hold any
 * bytes, valid UTF-8 or not. Thread-safe. */
BITNET_API bitnet_status bitnet_tokenize(const bitnet_model* model, const char* text, size_t length, uint32_t flags,
                                         bitnet_token* tokens, size_t capacity, size_t* count);

/* Writes the text of tokens to text[0 .. *length), and a zero byte if there is room. If it is longer than `capacity`,
 * it stores the length in *length and returns BITNET_ERROR_BUFFER. The bytes are exactly those of the tokens. They may
 * end in the middle of a UTF-8 character: for streams use a bitnet_decoder. Thread-safe. Errors: ARGUMENT for a token
 * that is out of range. */
BITNET_API bitnet_status bitnet_detokenize(const bitnet_model* model, const bitnet_token* tokens, size_t count,
                                           uint32_t flags, char* text, size_t capacity, size_t* length);

/* Whether the token is a control token, which plain text never gives, and whether it ends a generation. 0 or 1; 0 for a
 * token that is out of range. Thread-safe. */
BITNET_API int bitnet_token_is_control(const bitnet_model* model, bitnet_token token);
BITNET_API int bitnet_token_is_end(const bitnet_model* model, bitnet_token token);

/* A streaming detokenizer; flags as for bitnet_detokenize. */
BITNET_API bitnet_status bitnet_decoder_create(const bitnet_model* model, uint32_t flags, bitnet_decoder** decoder);

/* Takes a token and gives the text that it completes, which may be empty. The text is always whole UTF-8 characters:
 * bytes that can no longer become one are replaced by U+FFFD. *text is valid until the next call with this decoder. */
BITNET_API bitnet_status bitnet_decoder_push(bitnet_decoder* decoder, bitnet_token token, const char** text,
                                             size_t* length);

/* Gives the rest of the text (at most one U+FFFD) and makes the decoder ready for another text. */
BITNET_API bitnet_status bitnet_decoder_finish(bitnet_decoder* decoder, const char** text, size_t* length);
BITNET_API void bitnet_decoder_free(bitnet_decoder* decoder);

/* -------------------------------------------------------------------- chat */

/* One turn of a conversation. In an array all messages have the same size, which is the way from one to the next. */
typedef struct bitnet_message {
  size_t size;         /* sizeof(bitnet_message) */
  const char* role;    /* "system", "user", "assistant", as the model's template knows them; zero-terminated */
  const char* content; /* UTF-8 */
  size_t length;       /* of the content in bytes; 0: up to its terminating zero byte */
} bitnet_message;

/* How a conversation is written. */
enum {
  BITNET_CHAT_REPLY = 1, /* end where the assistant's reply begins */
  BITNET_CHAT_TRUST = 2, /* control tokens spelt out in contents ("<|eot_id|>") are those tokens. Never for text from
                            strangers, who could then speak for others */
  BITNET_CHAT_PLAIN = 4, /* where the model has no template, a conversation is plain text: one content after the other,
                            those of the user, but for the first message, on a new line. The model goes on with it */
};

/* The tokens of a conversation as the model's chat template writes it, for bitnet_generation_start_tokens (with
 * BITNET_GENERATE_WHOLE) or bitnet_eval. Control tokens are those that the template itself writes; what contents spell
 * is plain text, also where the template trims or changes it. Added tokens that are not control tokens are recognised
 * everywhere, as Hugging Face does. Nothing else is added: the template writes the begin token. For conversations
 * that go on, a bitnet_chat does all of this. Buffer handling as in bitnet_tokenize. Thread-safe. Errors: UNSUPPORTED
 * if the model has no template (but see BITNET_CHAT_PLAIN) or the template uses a construct that this library does not
 * know (named in bitnet_last_error); ARGUMENT with the template's own message if it refuses the conversation. */
BITNET_API bitnet_status bitnet_chat_tokenize(const bitnet_model* model, const bitnet_message* messages, size_t count,
                                              uint32_t flags, bitnet_token* tokens, size_t capacity,
                                              size_t* token_count);

/* The same as text, to look at or to store. Buffer handling as in bitnet_detokenize. Text does not tell the template's
 * control tokens from contents that spell one: to compute with it, use bitnet_chat_tokenize. BITNET_CHAT_TRUST changes
 * nothing here. Errors: as bitnet_chat_tokenize. */
BITNET_API bitnet_status bitnet_chat_format(const bitnet_model* model, const bitnet_message* messages, size_t count,
                                            uint32_t flags, char* text, size_t capacity, size_t* length);

/* The names of the known chat templates ("chatml", "llama3", ...), for bitnet_open_options. NULL from index count on;
 * static. */
BITNET_API const char* bitnet_chat_template_name(size_t index);

/* ----------------------------------------------------------------- engines */

/* A program that asks for nothing gets one engine for each model, and one pool for all of them: it needs nothing of
 * this section. */

/* Runs task(task_data, 0), ..., task(task_data, count - 1) in any order, on any threads, also at the same time. Returns
 * when all of them have returned. */
typedef void (*bitnet_parallel_fn)(void* user, uint32_t count, void (*task)(void* task_data, uint32_t index),
                                   void* task_data);

/* Called once on each thread that a pool starts, before it computes: sets its name, priority, affinity or the like.
 * `index` counts them from 1. It must not call the library. */
typedef void (*bitnet_thread_start_fn)(void* user, uint32_t index);

/* How a pool computes. */
typedef struct bitnet_pool_options {
  size_t size;                 /* sizeof(bitnet_pool_options) */
  uint32_t threads;            /* threads that compute, the one that leads a pass included, at most 512; 0: one per
                                  physical core. No more than the CPUs that the creating thread may run on, within its
                                  control group's share of CPU time */
  bitnet_parallel_fn parallel; /* your own pool in place of threads of the library; `threads` then is the number of
                                  pieces that work is cut into. One of the threads that wait for a pass calls it, for
                                  all of them, or once something has been submitted, a thread of the engine. It must be
                                  able to run all pieces by itself if your other threads wait in the library */
  void* parallel_user;
  bitnet_thread_start_fn on_thread_start; /* told of each thread that is started; NULL: nobody is. Priorities and
                                             affinities are otherwise those of the thread that makes the pool */
  void* on_thread_start_user;
} bitnet_pool_options;

/* Makes a pool. Its threads start now, and sleep when there is nothing to do. Engines that use it take turns, a pass at
 * a time. Thread-safe. Errors: ARGUMENT (too many threads), MEMORY (the system allows no more threads). */
BITNET_API bitnet_status bitnet_pool_create(const bitnet_pool_options* options, bitnet_pool** pool);

/* Frees the pool once no engine uses it any more. */
BITNET_API void bitnet_pool_free(bitnet_pool* pool);

/* How an engine computes. */
typedef struct bitnet_engine_options {
  size_t size;       /* sizeof(bitnet_engine_options) */
  bitnet_pool* pool; /* whose threads compute; NULL: one of its own with `threads`, or if that is 0, the default pool,
                        which all engines that ask for none share */
  uint32_t threads;  /* without `pool`: as in bitnet_pool_options */
  uint32_t generation_threads; /* of the pool's threads, those that compute a token by itself; 0: as many as turn out
                                  fastest, which is found by trying fewer for a token now and then. With a pool of your
                                  own 0 means all of them */
  uint32_t batch;              /* the most tokens in a pass, at most 4096; 0: 256 */
  uint32_t pass_ms;            /* while several sessions compute, prompts are cut so that a pass takes about so many
                                  milliseconds, and with it the time between two tokens of the others; at most 60000; 0:
                                  100 */
  uint64_t prefix_bytes; /* the most that is kept of the keys and values of prompts that no session holds any more,
                            for sessions with a `prefix_scope`; 0: 268435456 */
  uint64_t kv_bytes;     /* the most that keys and values of its sessions take, prompts that are kept included; 0: as
                            much as its sessions may hold. A session that it leaves no room for is not made, so that
                            evaluations never run out of memory */
  int overcommit;    /* nonzero: each session's context need only fit `kv_bytes` by itself. Where an evaluation finds
                        no room, prompts that are kept go first; then it waits as long as `queue_ms`; then it is
                        an error (MEMORY) of that evaluation alone, its session unchanged */
  uint32_t queue_ms; /* with `overcommit`: how many milliseconds an evaluation waits for others to leave room, at most
                        3600000; what fits goes first, whoever waits longer. A session waits with what it holds */
} bitnet_engine_options;

/* Stores in *bytes the memory that an engine with these options takes, besides the model, its sessions and what it
 * keeps of prompts. Thread-safe. */
BITNET_API bitnet_status bitnet_engine_memory(const bitnet_model* model, const bitnet_engine_options* options,
                                              uint64_t* bytes);

/* Makes an engine: work space, and the order in which sessions are computed. What its sessions ask for at the same time
 * is computed together, in one pass over the weights, which takes little more time than one session's alone. A
 * session's results are the same bits as if it were alone. Its own errors, callbacks and cancellation concern nobody
 * else. The first time that several threads evaluate at once, or when a generation is submitted, it starts one thread
 * more, which leads passes. Thread-safe. Errors: ARGUMENT (counts out of range), MEMORY (the message says how much was
 * needed). */
BITNET_API bitnet_status bitnet_engine_create(bitnet_model* model, const bitnet_engine_options* options,
                                              bitnet_engine** engine);

/* Gives memory back to the system that an engine does not need at the moment: what it keeps of prompts, and its work
 * space. For systems that ask for it, such as phones; the next evaluations take a little longer. `engine` NULL: the
 * model's default engine. Stores in *bytes, unless `bytes` is NULL, how much of the memory of prompts went back. Waits
 * for the pass that runs. Thread-safe. Errors: ARGUMENT (an engine of another model). */
BITNET_API bitnet_status bitnet_engine_trim(bitnet_model* model, bitnet_engine* engine, uint64_t* bytes);

/* Frees the engine once no session uses it any more. */
BITNET_API void bitnet_engine_free(bitnet_engine* engine);

/* ---------------------------------------------------------------- sessions */

/* How a session stores the keys and values of its tokens. Each kind rounds in its own way: logits differ slightly. */
typedef enum bitnet_kv BITNET_AS_INT {
  BITNET_KV_DEFAULT = 0, /* BITNET_KV_INT16 */
  BITNET_KV_F16 = 1,     /* half-precision floats, multiplied as floats: slower at depth */
  BITNET_KV_INT8 = 2,    /* integers of 8 bits with a scale for each head and token: half the memory, quicker at depth,
                            rounded more coarsely */
  BITNET_KV_INT16 = 3,   /* integers of 16 bits with such scales: about the memory of BITNET_KV_F16, half its rounding
                            error */
} bitnet_kv;

/* Whose rows go into a pass first. */
typedef enum bitnet_priority BITNET_AS_INT {
  BITNET_PRIORITY_INTERACTIVE = 0, /* somebody waits for it */
  BITNET_PRIORITY_BACKGROUND = 1,  /* computed as far as passes stay within `pass_ms`, and in one of 20 at least */
} bitnet_priority;

/* What a session is. */
typedef struct bitnet_session_options {
  size_t size;           /* sizeof(bitnet_session_options) */
  uint32_t context;      /* tokens it can hold; 0: what the model was trained for, at most 8192. More is allowed; beyond
                            what it was trained for, quality fades */
  bitnet_kv kv;          /* how keys and values are kept */
  bitnet_engine* engine; /* of the same model; NULL: the model's default engine, made when it is first asked for */
  bitnet_priority priority; /* when others compute as well */
  int (*abort)(void* user); /* asked between layers, or while others compute every millisecond, on the thread that
                               called; nonzero cancels the evaluation. It must not call back into the library, but for
                               bitnet_session_free and bitnet_session_cancel. Not asked for what is submitted */
  void* abort_user;
  uint64_t prefix_scope; /* sessions of one engine with the same number share what they compute of the same first
                            tokens; 0: with nobody. How long a prompt takes then tells whether others in the scope had
                            the same text: give users who must not learn this different numbers */
} bitnet_session_options;

/* Stores in *bytes the memory that a session with these options takes at most, besides the model and its engine: KV
 * cache and logits. Thread-safe. */
BITNET_API bitnet_status bitnet_session_memory(const bitnet_model* model, const bitnet_session_options* options,
                                               uint64_t* bytes);

/* Makes an empty session. It reserves all the memory that bitnet_session_memory states, so that evaluation cannot run
 * out of it, unless its engine overcommits; the system gives memory as it is used, that of the KV cache 64 tokens at a
 * time. If a control group of the process certainly does not allow that much, or the engine's `kv_bytes` do not, the
 * error is MEMORY. It starts no thread. Thread-safe.
 *
 * Each session may be used by one thread at a time: a second one gets BUSY. Different sessions may be used at the same
 * time, and are then computed together (bitnet_engine_create). bitnet_session_position, _context, _tokens, _get_perf
 * and _reset_perf answer at any time. Errors: ARGUMENT (counts out of range, an engine of another model), MEMORY (the
 * message says how much was needed). */
BITNET_API bitnet_status bitnet_session_create(bitnet_model* model, const bitnet_session_options* options,
                                               bitnet_session** session);

/* Frees the session. If another thread is in a call with it, that is cancelled first, and awaited. A callback of a call
 * may free the session of this call, which then lives until the call returns. */
BITNET_API void bitnet_session_free(bitnet_session* session);

/* Makes the evaluation that runs, or else the next one, return BITNET_ERROR_CANCELLED within a layer's time (with your
 * own thread pool: at the latest when the pass that its thread leads is over). Others that are computed with it do not
 * notice. With `cancel` 0 takes that back. Any thread may call this while the session exists. */
BITNET_API void bitnet_session_cancel(bitnet_session* session, int cancel);

/* Makes a second session with the same tokens, KV cache and options. The two share the memory of their tokens, 64 at a
 * time, until one of them writes there: a fork of any length takes well below a millisecond. Errors: MEMORY, BUSY. */
BITNET_API bitnet_status bitnet_session_fork(const bitnet_session* session, bitnet_session** fork);

/* Number of tokens evaluated so far, and the number that fit. 0 for NULL. */
BITNET_API uint32_t bitnet_session_position(const bitnet_session* session);
BITNET_API uint32_t bitnet_session_context(const bitnet_session* session);

/* The tokens evaluated so far; valid until the session is next changed. */
BITNET_API bitnet_status bitnet_session_tokens(const bitnet_session* session, const bitnet_token** tokens,
                                               size_t* count);

/* Removes the tokens from `position` on; 0 empties the session. Their memory goes back to the system, 64 at a time, but
 * for a little that is used again. The session has no logits until the next evaluation.
 * Errors: ARGUMENT if position is beyond the end. */
BITNET_API bitnet_status bitnet_session_rewind(bitnet_session* session, uint32_t position);

/* Saving writes tokens and KV cache to a file, compressed and with a checksum. The file appears under its name only
 * when it is complete. Loading reads it into a session of the same model and replaces what that session holds. Errors
 * of loading: NOT_FOUND, IO, FORMAT, MISMATCH (another model, packing or kind of KV cache), CONTEXT (more tokens than
 * this session can hold). The session is then unchanged. */
BITNET_API bitnet_status bitnet_session_save(const bitnet_session* session, const char* path);
BITNET_API bitnet_status bitnet_session_load(bitnet_session* session, const char* path);

/* The same to and from memory. Saving stores the length in *length. If that is more than `capacity`, it returns
 * BITNET_ERROR_BUFFER. */
BITNET_API bitnet_status bitnet_session_save_memory(const bitnet_session* session, void* data, size_t capacity,
                                                    size_t* length);
BITNET_API bitnet_status bitnet_session_load_memory(bitnet_session* session, const void* data, size_t length);

/* Counters of a session. */
typedef struct bitnet_perf {
  size_t size;               /* sizeof(bitnet_perf), set by the caller */
  uint64_t prompt_tokens;    /* tokens evaluated by calls with more than one for the session */
  uint64_t prompt_ns;        /* the session's share of the time of their passes, in nanoseconds */
  uint64_t generated_tokens; /* tokens evaluated one by one */
  uint64_t generated_ns;     /* the session's share of the time of their passes, in nanoseconds */
  uint64_t sampled_tokens;   /* tokens drawn */
  uint64_t sample_ns;        /* time that took, in nanoseconds; with the head if the model's head is "screened" */
  uint64_t passes;           /* passes over the weights that computed for the session */
  uint64_t pass_sessions;    /* sessions that they computed for, summed: divided by `passes`, how many shared one */
  uint64_t reused_tokens;    /* tokens that needed no evaluation, because the session's `prefix_scope` had them */
} bitnet_perf;

/* Counters since the session was made or since they were last reset. */
BITNET_API bitnet_status bitnet_session_get_perf(const bitnet_session* session, bitnet_perf* perf);
BITNET_API void bitnet_session_reset_perf(bitnet_session* session);

/* -------------------------------------------------------------- evaluation */

/* Which tokens' logits an evaluation computes. */
typedef enum bitnet_logits_of BITNET_AS_INT {
  BITNET_LOGITS_LAST = 0, /* of the last token given */
  BITNET_LOGITS_ALL = 1,  /* of every token given: 4 * vocabulary bytes each */
  BITNET_LOGITS_NONE = 2, /* none: quicker */
} bitnet_logits_of;

/* Appends tokens to the session and computes their keys, values and logits. With a `prefix_scope`, where the session
 * ends at a multiple of 64 tokens, it takes over those that others in the scope have computed after the same tokens, 64
 * at a time. The last token is evaluated in any case, for its logits; with BITNET_LOGITS_ALL all are. The results are
 * the same bits. A session that was loaded takes and gives nothing until it is rewound to 0, since whoever wrote the
 * file could give others wrong texts. On an error or cancellation the session is as before the call, without logits.
 * Errors: ARGUMENT (no tokens, or one out of range), CONTEXT, MEMORY (for BITNET_LOGITS_ALL), CANCELLED, BUSY. */
BITNET_API bitnet_status bitnet_eval(bitnet_session* session, const bitnet_token* tokens, size_t count,
                                     bitnet_logits_of logits);

/* Logits of the session's last evaluation: stores a pointer to `vocabulary` floats. With BITNET_LOGITS_ALL, `index`
 * counts the tokens of that call; with BITNET_LOGITS_LAST it is 0. The pointer is valid until the session is next
 * changed. If the model's head is "screened", the first call computes the logits of BITNET_LOGITS_LAST with the
 * engine's threads, because bitnet_sample mostly needs only a few of them. Errors: ARGUMENT if there is no such row.
 */
BITNET_API bitnet_status bitnet_session_logits(const bitnet_session* session, size_t index, const float** logits);

/* ---------------------------------------------------------------- sampling */

typedef struct bitnet_logit_bias {
  bitnet_token token;
  float bias; /* added to the logit; -INFINITY forbids the token */
} bitnet_logit_bias;

/* How tokens are drawn. All zero means the most likely token each time. The order is: `logit_bias`, penalties, `top_k`,
 * `temperature`, `top_p`, `min_p`, draw. With `temperature` 0 the most likely token is taken after the penalties. Among
 * equal logits the lower token comes first. */
typedef struct bitnet_sampler_options {
  size_t size;                         /* sizeof(bitnet_sampler_options) */
  uint64_t seed;                       /* seed of the random numbers (PCG-XSH-RR 64/32) */
  float temperature;                   /* divides the logits; 0: always the most likely token */
  uint32_t top_k;                      /* keep the k most likely; 0: all */
  float top_p;                         /* keep the fewest most likely tokens whose probabilities reach p; 0 or 1: all */
  float min_p;                         /* keep tokens at least `min_p` times as likely as the most likely one; 0: all */
  float repetition_penalty;            /* divides positive, multiplies negative logits of recent tokens; 0 or 1: none */
  float frequency_penalty;             /* subtracted once for every occurrence among the recent tokens */
  float presence_penalty;              /* subtracted if a token occurs among the recent ones at all */
  uint32_t penalty_window;             /* how many of the last tokens count as recent; 0: 64 */
  const bitnet_logit_bias* logit_bias; /* added to the logits of tokens; -INFINITY forbids a token */
  size_t logit_bias_count;
} bitnet_sampler_options;

/* Makes a sampler. Errors: ARGUMENT for an option that is out of its range or not a number. */
BITNET_API bitnet_status bitnet_sampler_create(const bitnet_sampler_options* options, bitnet_sampler** sampler);
BITNET_API void bitnet_sampler_free(bitnet_sampler* sampler);

/* Starts the random numbers again, from this seed. */
BITNET_API void bitnet_sampler_reseed(bitnet_sampler* sampler, uint64_t seed);

/* Draws a token from the last row of the session's logits. Penalties count the session's tokens. The token is not
 * evaluated. Errors: ARGUMENT if the session has no logits. */
BITNET_API bitnet_status bitnet_sample(bitnet_sampler* sampler, bitnet_session* session, bitnet_token* token);

/* The same from `count` logits of your own. Penalties count the tokens in `recent`, the newest last. Computes with
 * $BITNET_ISA, or else with the fastest kernel set but AMX. Errors: UNSUPPORTED if that set is not available. */
BITNET_API bitnet_status bitnet_sample_logits(bitnet_sampler* sampler, const float* logits, size_t count,
                                              const bitnet_token* recent, size_t recent_count, bitnet_token* token);

/* -------------------------------------------------------------- generation */

/* How a prompt is read and a text goes on. */
enum {
  BITNET_GENERATE_SPECIAL_PROMPT = 1, /* the prompt's text may name control tokens. Never for text from strangers:
                                         conversations come as tokens from bitnet_chat_tokenize */
  BITNET_GENERATE_SPECIAL_OUTPUT = 2, /* write control tokens out as text */
  BITNET_GENERATE_IGNORE_END = 4,     /* go on after an end token */
  BITNET_GENERATE_WHOLE = 8,          /* the prompt is the whole text from position 0: what the session holds of it
                                         already is kept, the rest forgotten. Otherwise the prompt is appended */
};

/* How a text is generated. */
typedef struct bitnet_generate_options {
  size_t size;                           /* sizeof(bitnet_generate_options) */
  uint32_t max_tokens;                   /* 0: until an end token or the context is full */
  uint32_t flags;                        /* BITNET_GENERATE_... */
  const bitnet_sampler_options* sampler; /* how tokens are drawn; NULL: the most likely one each time */
  const char* const* stop;               /* the text ends before the first of these, which is not given out */
  size_t stop_count;
} bitnet_generate_options;

/* Why a text ended. */
typedef enum bitnet_finish BITNET_AS_INT {
  BITNET_FINISH_NOT = 0,        /* there is more to come */
  BITNET_FINISH_END_TOKEN = 1,  /* the model ended it */
  BITNET_FINISH_STOP = 2,       /* a stop string came */
  BITNET_FINISH_MAX_TOKENS = 3, /* as many tokens as were asked for */
  BITNET_FINISH_CONTEXT = 4,    /* the session is full */
} bitnet_finish;

typedef struct bitnet_piece {
  size_t size;          /* sizeof(bitnet_piece), set by the caller */
  const char* text;     /* whole UTF-8 characters; valid until the next call with this generation */
  size_t length;        /* may be 0 */
  bitnet_token token;   /* the token just drawn; BITNET_NO_TOKEN with BITNET_END */
  bitnet_finish finish; /* BITNET_FINISH_NOT until BITNET_END */
} bitnet_piece;

/* Prepares to continue the session with a prompt. Nothing is evaluated yet. The prompt is tokenized as by
 * bitnet_tokenize. If the session is empty, or with BITNET_GENERATE_WHOLE, the begin token that the vocabulary asks for
 * comes first, unless the prompt's tokens begin with it. No end token is added. The prompt may be empty if the session
 * is not. From the first piece on, until the generation has ended or been freed, other calls that use the session get
 * BUSY. */
BITNET_API bitnet_status bitnet_generation_start(bitnet_session* session, const char* prompt, size_t length,
                                                 const bitnet_generate_options* options,
                                                 bitnet_generation** generation);

/* The same with a prompt of tokens. Nothing is added to them. */
BITNET_API bitnet_status bitnet_generation_start_tokens(bitnet_session* session, const bitnet_token* prompt,
                                                        size_t count, const bitnet_generate_options* options,
                                                        bitnet_generation** generation);

/* Waits for the next token, and returns BITNET_OK with it and the text that it completes. After the last token it
 * returns BITNET_END with the rest of the text and the reason in piece->finish; later calls return the same reason
 * without text. The session then holds the prompt and every token drawn (with BITNET_FINISH_CONTEXT, all but the last).
 * While other sessions compute, and after bitnet_generation_submit, the engine evaluates and draws up to one token more
 * than it has given out: position and counters of the session may be so far ahead.
 * A generation that is freed or cancelled before its end leaves the prompt and all tokens given out but the last, and
 * no logits. Errors: CONTEXT if the prompt does not fit; CANCELLED, after bitnet_generation_cancel for good; BUSY while
 * it is submitted. */
BITNET_API bitnet_status bitnet_generation_next(bitnet_generation* generation, bitnet_piece* piece);

/* Makes the running call of bitnet_generation_next, or the next one, return BITNET_ERROR_CANCELLED within a layer's
 * time; what is submitted comes back through its queue. Any thread may call this while the generation exists. */
BITNET_API void bitnet_generation_cancel(bitnet_generation* generation);

/* Frees the generation. If it is being computed, waits until that has been left, which takes a layer's time; a queue to
 * which it was submitted does not give it any more. */
BITNET_API void bitnet_generation_free(bitnet_generation* generation);

/* Makes an empty queue. One thread that waits at a queue can drive any number of generations, of any models. */
BITNET_API bitnet_status bitnet_queue_create(bitnet_queue** queue);

/* Asks for the next piece without waiting for it. When bitnet_generation_next would return at once, with a piece, the
 * end or an error, the queue gives `user`. Until then the generation can be cancelled and freed, but not used
 * otherwise. Errors: as bitnet_generation_next before there is anything to wait for; BUSY if it has been submitted
 * already. */
BITNET_API bitnet_status bitnet_generation_submit(bitnet_generation* generation, bitnet_queue* queue, void* user);

/* Waits up to `timeout_ms` milliseconds (UINT32_MAX: as long as it takes) for what has been submitted to the queue, and
 * stores its `user`. Returns BITNET_END if there was nothing in that time, or bitnet_queue_wake was called. Any number
 * of threads may wait; each submission goes to one of them. Thread-safe. */
BITNET_API bitnet_status bitnet_queue_next(bitnet_queue* queue, uint32_t timeout_ms, void** user);

/* Makes one call of bitnet_queue_next return BITNET_END: the one that waits, or else the next. Thread-safe. */
BITNET_API void bitnet_queue_wake(bitnet_queue* queue);

/* Frees the queue. What is submitted to it still is computed, and given to nobody. No thread may wait there. */
BITNET_API void bitnet_queue_free(bitnet_queue* queue);

/* Called with each piece of text that is not empty; the text ends with a zero byte. Return 0 to go on, else to stop. */
typedef int (*bitnet_text_fn)(void* user, const char* text, size_t length);

/* A whole generation in one call. If `callback` is NULL, only the session advances. Returns BITNET_OK when the text has
 * ended, for whatever reason, the callback's included. Errors: as bitnet_generation_start and _next. */
BITNET_API bitnet_status bitnet_generate(bitnet_session* session, const char* prompt, size_t length,
                                         const bitnet_generate_options* options, bitnet_text_fn callback, void* user);

/* ----------------------------------------------------------- conversations */

/* What is done about a history that leaves too little room for a reply. */
typedef enum bitnet_chat_fit BITNET_AS_INT {
  BITNET_CHAT_FIT_DROP_OLDEST = 0, /* the oldest turns are left out of the prompt, but for leading system messages */
  BITNET_CHAT_FIT_REFUSE = 1,      /* the reply is refused with CONTEXT: the caller shortens the history */
} bitnet_chat_fit;

/* How a conversation is held. */
typedef struct bitnet_chat_options {
  size_t size;         /* sizeof(bitnet_chat_options) */
  uint32_t flags;      /* BITNET_CHAT_TRUST, BITNET_CHAT_PLAIN */
  bitnet_chat_fit fit; /* what is done about a history that is too long */
  uint32_t reserve;    /* tokens of the context that a prompt leaves free for the reply; 0: the reply's `max_tokens`, or
                          256, but no more than a quarter of the context */
} bitnet_chat_options;

/* Makes an empty conversation, whose replies the session generates. The session's tokens are an aid: what it holds of a
 * prompt is not evaluated again, and a reply is the same whatever it holds. It may be used for other things, or by
 * other chats, between replies. While one thread pulls a reply, another may call functions of its chat; otherwise one
 * thread at a time uses a chat. Errors: ARGUMENT; UNSUPPORTED or FORMAT if the model has no template that can be used.
 */
BITNET_API bitnet_status bitnet_chat_create(bitnet_session* session, const bitnet_chat_options* options,
                                            bitnet_chat** chat);
BITNET_API void bitnet_chat_free(bitnet_chat* chat);

/* The history. Nothing is evaluated by changing it. A reply that is being generated ends with any change, as if its
 * generation had been freed, and its generation is cancelled. Role and content are copied. bitnet_chat_add puts a
 * message at the end, bitnet_chat_insert before message `index`. bitnet_chat_remove takes out `count` messages from
 * `index` on; SIZE_MAX: all from there. Errors: ARGUMENT (no role, no content, an index beyond the end). */
BITNET_API bitnet_status bitnet_chat_add(bitnet_chat* chat, const bitnet_message* message);
BITNET_API bitnet_status bitnet_chat_insert(bitnet_chat* chat, size_t index, const bitnet_message* message);
BITNET_API bitnet_status bitnet_chat_remove(bitnet_chat* chat, size_t index, size_t count);

/* The number of messages; 0 for NULL. */
BITNET_API size_t bitnet_chat_count(const bitnet_chat* chat);

/* Fills in *message, whose size the caller has set. Role and content end with a zero byte, and are valid until that
 * message is removed, or the chat freed. Errors: ARGUMENT if there is no message `index`. */
BITNET_API bitnet_status bitnet_chat_message(const bitnet_chat* chat, size_t index, bitnet_message* message);

/* Prepares a reply to the history, which bitnet_generation_next then generates. The model's template writes the prompt,
 * and BITNET_GENERATE_WHOLE is implied: what the session holds of the prompt is not evaluated again. Nothing is
 * evaluated yet.
 *
 * When the text has ended, for whatever reason, it is added to the history, as a message of the "assistant", before
 * bitnet_generation_next returns BITNET_END. If the generation is cancelled or freed before, what had been given out is
 * added, or nothing if there was no text: remove it, if you do not want it. With BITNET_GENERATE_SPECIAL_OUTPUT the end
 * token is given out, but not added. Changing the history, or asking for another reply, ends a reply in the same way.
 *
 * With BITNET_CHAT_FIT_DROP_OLDEST a prompt that leaves less than `reserve` tokens free begins later: with the first
 * turn from which on so many, and at least a quarter of the context, are free. The next prompts begin alike, and find
 * that evaluated. A turn is a message of the user and what follows it. The last one is always there, even if it leaves
 * less. The history stays whole; bitnet_chat_get_prompt tells what was left out.
 *
 * Errors: ARGUMENT (no messages; options); CONTEXT if the history does not fit: see bitnet_chat_get_prompt; of the
 * template as bitnet_chat_tokenize. The history is then unchanged. */
BITNET_API bitnet_status bitnet_chat_reply(bitnet_chat* chat, const bitnet_generate_options* options,
                                           bitnet_generation** generation);

/* Prepares another reply in place of the last message, which must be the assistant's. That message stays until the text
 * has ended; if the generation is cancelled or freed before it gave out any text, it stays for good. Errors: as
 * bitnet_chat_reply; ARGUMENT if the last message is not the assistant's. */
BITNET_API bitnet_status bitnet_chat_regenerate(bitnet_chat* chat, const bitnet_generate_options* options,
                                                bitnet_generation** generation);

/* Adds a message of the user, and the reply to it, in one call. Returns BITNET_OK when the text has ended, for whatever
 * reason, the callback's included, after which what it was given is the reply. If `callback` is NULL, the reply is only
 * added. Errors: as bitnet_chat_reply and bitnet_generation_next, also after text was given out. The history is then as
 * before. */
BITNET_API bitnet_status bitnet_chat_send(bitnet_chat* chat, const char* text, size_t length,
                                          const bitnet_generate_options* options, bitnet_text_fn callback, void* user);

/* The latest prompt, also one that was refused with CONTEXT. */
typedef struct bitnet_chat_prompt {
  size_t size;            /* sizeof(bitnet_chat_prompt), set by the caller */
  size_t left_out;        /* messages that were left out of it; 0: none */
  size_t left_out_from;   /* the first of these, in the history as it was then; they stand side by side */
  uint32_t tokens;        /* tokens that it has */
  uint32_t tokens_needed; /* tokens of context that it and the room for the reply take */
} bitnet_chat_prompt;

/* Fills in *prompt; numbers are 0 before the first reply. */
BITNET_API bitnet_status bitnet_chat_get_prompt(const bitnet_chat* chat, bitnet_chat_prompt* prompt);

/* Saving writes the history as JSON, an object that other programs know as well:
 *     {"model": "the model's name", "messages": [{"role": "user", "content": "Hi"}, ...]}
 * Bytes that are not UTF-8 become U+FFFD. The file appears under its name only when it is complete. Loading replaces
 * the history; of what stands beside "messages" it reads nothing, and of messages role and content only: any other
 * member that is not null is refused rather than lost. At most 16 MiB are saved or loaded. Errors: NOT_FOUND; IO;
 * FORMAT; UNSUPPORTED (a longer history; a message with more in it; a library that was built without JSON,
 * BITNET_CORE). The history is then unchanged. */
BITNET_API bitnet_status bitnet_chat_save(const bitnet_chat* chat, const char* path);
BITNET_API bitnet_status bitnet_chat_load(bitnet_chat* chat, const char* path);

/* The same to and from memory. Buffer handling as in bitnet_detokenize. */
BITNET_API bitnet_status bitnet_chat_save_memory(const bitnet_chat* chat, char* text, size_t capacity, size_t* length);
BITNET_API bitnet_status bitnet_chat_load_memory(bitnet_chat* chat, const char* text, size_t length);

/* -------------------------------------------------------------- embeddings */

/* What stands for a text: the hidden states of its tokens behind the model's last norm, or one of them. */
typedef enum bitnet_pooling BITNET_AS_INT {
  BITNET_POOLING_MODEL = 0, /* as the model was published; BITNET_POOLING_LAST where it was not to make embeddings */
  BITNET_POOLING_LAST = 1,  /* the last token's, which has seen all others */
  BITNET_POOLING_MEAN = 2,  /* the mean of all tokens' */
  BITNET_POOLING_CLS = 3,   /* the first token's; of a model whose tokens see only those before them, of little use */
} bitnet_pooling;

/* The numbers of an embedding. An embedding counts by its direction: the similarity of two is the cosine between them.
 * What is smaller than a byte lies with the first number in the highest bits, and zeros fill up the last byte. */
typedef enum bitnet_embed_format BITNET_AS_INT {
  BITNET_EMBED_FLOAT = 0, /* floats of 32 bits */
  BITNET_EMBED_INT8 = 1,  /* signed bytes, in steps of 1/127 of the largest magnitude */
  BITNET_EMBED_INT4 = 2,  /* 4 bits: code c stands for 2 c - 15 */
  BITNET_EMBED_INT2 = 3,  /* 2 bits: code c stands for 2 c - 3 */
  BITNET_EMBED_INT1 = 4,  /* 1 bit: 1 where the number is positive. The fewer bits differ, the more alike are two */
} bitnet_embed_format;

/* What becomes of a text that is too long. */
typedef enum bitnet_embed_fit BITNET_AS_INT {
  BITNET_EMBED_FIT_REFUSE = 0, /* the call is refused with CONTEXT */
  BITNET_EMBED_FIT_CUT = 1,    /* its end is left out, but for an end token that the vocabulary asks for */
} bitnet_embed_fit;

/* How texts are embedded. */
typedef struct bitnet_embed_options {
  size_t size;                /* sizeof(bitnet_embed_options) */
  bitnet_pooling pooling;     /* what stands for a text */
  bitnet_embed_format format; /* the numbers of an embedding */
  uint32_t dimensions;        /* how many of them, the first ones; for models that were trained for it. 0: all */
  int raw;                    /* nonzero: as the model has them, in floats, rather than brought to length 1 */
  bitnet_embed_fit fit;       /* what becomes of texts with more tokens */
  uint32_t max_tokens;        /* most tokens of a text; 0: what the model was trained for */
  bitnet_engine* engine;      /* of the same model; NULL: the model's default engine */
  bitnet_priority priority;   /* when others compute as well */
  int (*abort)(void* user);   /* as in bitnet_session_options; nonzero cancels the call */
  void* abort_user;
} bitnet_embed_options;

/* Stores in *bytes the size of one embedding: dimensions times 4, 1, 1/2, 1/4 or 1/8, rounded up. Thread-safe. Errors:
 * ARGUMENT, as bitnet_embed. */
BITNET_API bitnet_status bitnet_embed_size(const bitnet_model* model, const bitnet_embed_options* options,
                                           size_t* bytes);

/* Writes the embeddings of `count` texts to `embeddings`, one after the other, each as long as bitnet_embed_size says.
 * `lengths` are those of the texts in bytes; NULL: all are zero-terminated. The begin and end tokens that the model's
 * vocabulary asks for are added; control tokens that a text spells are plain text. A text without any token, such as an
 * empty one of a model that adds none, is refused. Models that were trained with instructions want them in the text.
 *
 * Any model makes embeddings, but those of models that were not trained for it tell less. Texts of any lengths are
 * computed together, as many as fit into a pass (bitnet_engine_options.batch); an embedding has the same bits whatever
 * is computed beside it. Give many texts in one call. Nothing is kept of them.
 *
 * Thread-safe. Errors: ARGUMENT (a text without tokens; dimensions that the model does not have; `raw` with integers;
 * an engine of another model); BUFFER if `capacity`, in bytes, is less than all embeddings take; CONTEXT (a text that
 * is too long, named by its index); CANCELLED; MEMORY. After an error `embeddings` may be written in part. */
BITNET_API bitnet_status bitnet_embed(bitnet_model* model, const char* const* texts, const size_t* lengths,
                                      size_t count, const bitnet_embed_options* options, void* embeddings,
                                      size_t capacity);

/* The same for tokens: those of all texts one after the other, `counts[i]` of text i. Nothing is added. Errors: also
 * ARGUMENT for a token that is out of range. */
BITNET_API bitnet_status bitnet_embed_tokens(bitnet_model* model, const bitnet_token* tokens, const size_t* counts,
                                             size_t count, const bitnet_embed_options* options, void* embeddings,
                                             size_t capacity);

/* ------------------------------------------------------------------- files */

/* Whether a model is written as GGUF, and with which type of weights. */
typedef enum bitnet_gguf BITNET_AS_INT {
  BITNET_GGUF_NONE = 0,  /* as a `.bitnet` file */
  BITNET_GGUF_AUTO = 1,  /* with the type that other programs take of such a model */
  BITNET_GGUF_F16 = 2,   /* numbers in 16 bits */
  BITNET_GGUF_F32 = 3,   /* numbers in 32 bits */
  BITNET_GGUF_I2_S = 4,  /* bitnet.cpp, ik_llama.cpp: ternary, a scale for a matrix */
  BITNET_GGUF_TQ1_0 = 5, /* llama.cpp: ternary, 1.69 bits a weight, scales that F16 holds */
  BITNET_GGUF_TQ2_0 = 6, /* llama.cpp: ternary, 2.06 bits */
  BITNET_GGUF_Q2_0 = 7,  /* llama.cpp: ternary, an F16 scale for each 64 weights of a row */
  BITNET_GGUF_TL1 = 8,   /* bitnet.cpp on Arm: ternary, a scale for a matrix, of shapes that it has kernels for */
  BITNET_GGUF_TL2 = 9,   /* bitnet.cpp on x86-64: likewise */
} bitnet_gguf;

/* Whether a model is written as a folder of Hugging Face's layout, which transformers loads, and how its linear layers
 * lie there. */
typedef enum bitnet_safetensors BITNET_AS_INT {
  BITNET_SAFETENSORS_NONE = 0,   /* as a file */
  BITNET_SAFETENSORS_AUTO = 1,   /* packed where that is the model's, or else the narrowest numbers that hold it */
  BITNET_SAFETENSORS_PACKED = 2, /* 2 bits a weight and a scale for a matrix, with activations of 8 bits: BitNet's */
  BITNET_SAFETENSORS_BF16 = 3,   /* numbers in 16 bits */
  BITNET_SAFETENSORS_F16 = 4,    /* likewise */
  BITNET_SAFETENSORS_F32 = 5,    /* numbers in 32 bits */
} bitnet_safetensors;

/* How a file is converted. */
typedef struct bitnet_convert_options {
  size_t size;            /* sizeof(bitnet_convert_options) */
  bitnet_packing packing; /* how the weights of the output are packed */
  bitnet_head head;       /* how the head of the output is kept */
  bitnet_i2s_layout i2s;  /* how the I2_S tensors of a GGUF file that is read lie */
  int quantize;           /* nonzero: weights that are not ternary yet become so (scale = mean |w|, as BitNet b1.58
                             is published). Otherwise BitNet's architectures refuse them, and others keep numbers */
  int zstd_level;         /* 0: tensors as they are, so that the file is mapped and used at once. 1 .. 19: compressed
                             for download; such a file is unpacked into memory when it is opened */
  bitnet_progress_fn progress; /* told how far the work has come, on the calling thread; NULL: nobody is */
  void* progress_user;
  const char* chat_template;              /* to be stored in place of the input's; as in bitnet_open_options */
  bitnet_activation activation;           /* to be stored; as in bitnet_open_options */
  bitnet_dense dense;                     /* how the matrices of a model that is not ternary are kept */
  bitnet_activation_bits activation_bits; /* for ternary weights of files that do not say it */
  bitnet_log_fn log; /* told what the library chooses or notices, during the call; NULL: nobody is */
  void* log_user;
  bitnet_gguf gguf; /* writes GGUF, so that other programs open the model; `packing`, `head`, `dense` and `zstd_level`
                       then have to be left out */
  int lossy;        /* nonzero: numbers that the GGUF type does not hold are rounded, and what a folder does not say is
                       left out; otherwise they are an error (UNSUPPORTED) */
  bitnet_safetensors safetensors; /* writes a folder in place of a file; `gguf` and what that excludes then have to be
                                     left out. It must be new, or empty */
} bitnet_convert_options;

/* Writes whatever bitnet_open takes as a `.bitnet` file, as GGUF or as a folder. Works tensor by tensor and needs less
 * than 200 MiB besides the largest tensor. The output appears under its name only when it is complete; it replaces a
 * file of that name. Of a symbolic link it replaces what the link points to. It may be the input. The permissions of a
 * replaced file are kept. Errors: as bitnet_open; IO if the disk is full (nothing is left behind). */
BITNET_API bitnet_status bitnet_convert(const char* input, const char* output, const bitnet_convert_options* options);

/* Reads a whole `.bitnet` file and checks every checksum, every packed weight and every scale. */
BITNET_API bitnet_status bitnet_verify(const char* path, bitnet_progress_fn progress, void* progress_user);

/* ------------------------------------------------------------ experimental */

/* What follows works and is tested like the rest, but its form may still change in any minor version, also from 1.0 on.
 * It then changes its name as well: a program that uses the old one does not start, rather than going wrong. */

typedef struct bitnet_batch_item {
  bitnet_session* session;
  const bitnet_token* tokens;
  size_t count;
  bitnet_logits_of logits;
} bitnet_batch_item;

/* bitnet_eval for several sessions of one model by one thread. Each session gets the logits that it would get alone. If
 * one of the items cannot be evaluated, nothing is. From then on each session is for itself: if some are cancelled, the
 * call returns CANCELLED, these are as before, and the others have advanced (bitnet_session_position). Errors: as
 * bitnet_eval; ARGUMENT if a session appears twice or the models differ. */
BITNET_API bitnet_status bitnet_eval_batch(const bitnet_batch_item* items, size_t count);

/* Compares a `.bitnet` file with what it was converted from: a GGUF file, a Hugging Face folder or another `.bitnet`
 * file. Returns BITNET_OK if it is lossless: each weight is the original's to the last bit, and so are the
 * hyperparameters and the vocabulary. The chat template may differ. Otherwise returns FORMAT, and the message says what
 * the first difference is. Does not do what bitnet_verify does. */
BITNET_API bitnet_status bitnet_verify_against(const char* path, const char* original, bitnet_progress_fn progress,
                                               void* progress_user);

#ifdef __cplusplus
}
#endif

#endif /* BITNET_H */
