// SPDX-License-Identifier: MIT
// Out of memory at every allocation in turn: each is an error, nothing leaks (the address sanitizer looks), and the
// next call works. Out of memory for much: the error says for how much, for what, and what takes less.
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <new>

#include "base/memory.h"
#include "format/sample_model.h"
#include "test_model.h"

namespace {

std::atomic<long> allocations_left{-1};  // negative: no limit
std::atomic<size_t> largest_allocation{SIZE_MAX}, largest_mapping{SIZE_MAX};

void* allocate(size_t size, size_t alignment) {
  if (size > largest_allocation) throw std::bad_alloc();
  if (allocations_left >= 0 && allocations_left-- == 0) {
    allocations_left = 0;
    throw std::bad_alloc();
  }
  size = (size + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, size == 0 ? alignment : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// The pair of operators below does match; g++ sees only one half of it at a time.
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void* operator new(size_t size) { return allocate(size, alignof(std::max_align_t)); }
void* operator new(size_t size, std::align_val_t alignment) { return allocate(size, static_cast<size_t>(alignment)); }
// The linker gives this in place of mmap (--wrap).
// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" void* __real_mmap(void* address, size_t length, int protection, int flags, int fd, off_t offset);
extern "C" void* __wrap_mmap(void* address, size_t length, int protection, int flags, int fd, off_t offset) {
  if (length <= (fd < 0 ? largest_allocation : largest_mapping)) {
    return __real_mmap(address, length, protection, flags, fd, offset);
  }
  errno = ENOMEM;
  return MAP_FAILED;
}
// NOLINTEND(bugprone-reserved-identifier)
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

namespace bitnet_test {
namespace {

// Calls with one more allocation allowed each time, until it succeeds. Returns how many that took.
long fail_every_allocation(const std::function<bitnet_status()>& call) {
  for (long n = 0;; n++) {
    allocations_left = n;
    const bitnet_status status = call();
    allocations_left = -1;
    if (status == BITNET_OK) return n;
    EXPECT_EQ(status, BITNET_ERROR_MEMORY) << "allocation " << n << ": " << bitnet_last_error();
    if (status != BITNET_ERROR_MEMORY || n > 100000) return n;
  }
}

TEST(Memory, EveryAllocationOfOpenMayFail) {
  const std::string path = model_path();
  Model model;
  const long count = fail_every_allocation([&] {
    bitnet_model* raw = nullptr;
    const bitnet_status status = bitnet_open(path.c_str(), nullptr, &raw);
    model.reset(raw);
    return status;
  });
  EXPECT_GT(count, 10);
  EXPECT_NE(model, nullptr);
}

TEST(Memory, EveryAllocationOfASessionMayFail) {
  const Model model = open(model_path());
  const bitnet_pool_options pool_options = {.size = sizeof pool_options, .threads = 3};
  bitnet_engine_options engine_options = {.size = sizeof engine_options};
  bitnet_session_options options = {.size = sizeof options, .context = 64};
  Pool pool;
  Engine engine;
  Session session;
  const long count = fail_every_allocation([&] {
    bitnet_pool* raw_pool = nullptr;
    bitnet_status status = bitnet_pool_create(&pool_options, &raw_pool);
    pool.reset(raw_pool);
    if (status != BITNET_OK) return status;
    bitnet_engine* raw_engine = nullptr;
    engine_options.pool = pool.get();
    status = bitnet_engine_create(model.get(), &engine_options, &raw_engine);
    engine.reset(raw_engine);
    if (status != BITNET_OK) return status;
    bitnet_session* raw = nullptr;
    options.engine = engine.get();
    status = bitnet_session_create(model.get(), &options, &raw);
    session.reset(raw);
    return status;
  });
  EXPECT_GT(count, 10);
  eval(session, random_tokens(10));
}

TEST(Memory, EveryAllocationOfAGenerationMayFail) {
  const Model model = open(model_path());
  const Session session = make_session(model, {.size = sizeof(bitnet_session_options), .context = 64});
  const bitnet_generate_options options = {.size = sizeof options, .max_tokens = 5};
  const long count = fail_every_allocation([&] {
    EXPECT_OK(bitnet_session_rewind(session.get(), 0));
    return bitnet_generate(session.get(), "Hello", 5, &options, nullptr, nullptr);
  });
  EXPECT_GT(count, 5);
}

// What a pass may be for one session, beside a neighbour that is not to notice anything.
class PassMemory : public testing::Test {
 protected:
  PassMemory() {
    session = make(3);
    neighbour = make(0);
    eval(session, start);
    eval(neighbour, start);
  }

  Session make(uint64_t scope) {
    const bitnet_session_options options = {
        .size = sizeof options, .context = 256, .engine = engine.get(), .prefix_scope = scope};
    bitnet_session* made = nullptr;
    EXPECT_OK(bitnet_session_create(model.get(), &options, &made));
    return Session(made);
  }

  std::vector<float> alone(const Tokens& tokens) {
    const Session other = make(0);
    eval(other, tokens);
    return logits(other);
  }

  // The session holds the start alone, before each try and after each that fails.
  void fail_each(const std::function<bitnet_status()>& call) {
    const long count = fail_every_allocation([&] {
      const bitnet_status status = call();
      const long left = allocations_left.exchange(-1);
      if (status != BITNET_OK) {
        EXPECT_EQ(bitnet_session_position(session.get()), start.size());
        EXPECT_EQ(bitnet_session_position(neighbour.get()), start.size());
      }
      EXPECT_OK(bitnet_session_rewind(session.get(), static_cast<uint32_t>(start.size())));
      EXPECT_OK(bitnet_session_rewind(neighbour.get(), static_cast<uint32_t>(start.size())));
      allocations_left = left;
      return status;
    });
    EXPECT_GT(count, 0);
    for (const Session* each : {&session, &neighbour}) {
      eval(*each, more);
      EXPECT_TRUE(same_bits(logits(*each), expected));
      EXPECT_OK(bitnet_session_rewind(each->get(), static_cast<uint32_t>(start.size())));
    }
  }

  static Tokens joined(Tokens first, const Tokens& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
  }

  const Model model = open(model_path(BITNET_PACKING_I2, BITNET_HEAD_SCREENED));
  const Engine engine = make_engine(model, {.threads = 2, .batch = 64});
  const Tokens start = random_tokens(100, 1), more = random_tokens(70, 2);
  const std::vector<float> expected = alone(joined(start, more));
  Session session, neighbour;
};

TEST_F(PassMemory, OfAForkThatWrites) {
  fail_each([&] {
    bitnet_session* fork = nullptr;
    bitnet_status status = bitnet_session_fork(session.get(), &fork);
    const Session owner(fork);
    if (status == BITNET_OK) status = bitnet_eval(fork, more.data(), more.size(), BITNET_LOGITS_LAST);
    if (status == BITNET_OK) status = bitnet_eval(session.get(), more.data(), more.size(), BITNET_LOGITS_LAST);
    return status;
  });
}

TEST_F(PassMemory, OfReusedPrefixes) {
  const Tokens whole = joined(start, more);
  {
    const Session other = make(3);
    eval(other, whole);
  }
  fail_each([&] {
    const Session other = [&] {
      const long left = allocations_left.exchange(-1);
      Session made = make(3);
      allocations_left = left;
      return made;
    }();
    const bitnet_status status = bitnet_eval(other.get(), whole.data(), whole.size(), BITNET_LOGITS_LAST);
    if (status != BITNET_OK) return status;
    return bitnet_eval(session.get(), more.data(), more.size(), BITNET_LOGITS_ALL);
  });
}

TEST_F(PassMemory, OfABatch) {
  const bitnet_batch_item items[] = {{session.get(), more.data(), more.size(), BITNET_LOGITS_ALL},
                                     {neighbour.get(), more.data(), more.size(), BITNET_LOGITS_LAST}};
  fail_each([&] { return bitnet_eval_batch(items, 2); });
}

TEST_F(PassMemory, OfAGenerationsTokens) {
  const bitnet_sampler_options knobs = {.size = sizeof knobs, .temperature = 1, .top_k = 5, .repetition_penalty = 1.1f};
  const char* const stops[] = {"no such text"};
  const bitnet_generate_options options = {.size = sizeof options,
                                           .max_tokens = 6,
                                           .flags = BITNET_GENERATE_IGNORE_END,
                                           .sampler = &knobs,
                                           .stop = stops,
                                           .stop_count = 1};
  const auto pull = [&](bitnet_session* from, Tokens& drawn) {
    bitnet_generation* raw = nullptr;
    bitnet_status status = bitnet_generation_start_tokens(from, more.data(), 20, &options, &raw);
    const Generation generation(raw);
    bitnet_piece piece = {.size = sizeof piece};
    while (status == BITNET_OK && (status = bitnet_generation_next(raw, &piece)) == BITNET_OK) {
      const long left = allocations_left.exchange(-1);
      drawn.push_back(piece.token);
      allocations_left = left;
    }
    return status == BITNET_END ? BITNET_OK : status;
  };
  Tokens expected_tokens;
  ASSERT_OK(pull(neighbour.get(), expected_tokens));
  ASSERT_OK(bitnet_session_rewind(neighbour.get(), static_cast<uint32_t>(start.size())));
  Tokens drawn;
  drawn.reserve(10);
  const long count = fail_every_allocation([&] {
    drawn.clear();
    const bitnet_status status = pull(session.get(), drawn);
    const long left = allocations_left.exchange(-1);
    EXPECT_TRUE(std::equal(drawn.begin(), drawn.end(), expected_tokens.begin())) << "what came was right";
    EXPECT_GE(bitnet_session_position(session.get()), start.size());
    EXPECT_OK(bitnet_session_rewind(session.get(), static_cast<uint32_t>(start.size())));
    allocations_left = left;
    return status;
  });
  EXPECT_GT(count, 5);
  EXPECT_EQ(drawn, expected_tokens);
}

TEST(Memory, EvaluationTakesNone) {
  const Model model = open(model_path());
  const Session session = make_session(model, {.size = sizeof(bitnet_session_options), .context = 64}, {.threads = 2});
  const Tokens tokens = random_tokens(40);
  allocations_left = 0;
  const bitnet_status prompt = bitnet_eval(session.get(), tokens.data(), 39, BITNET_LOGITS_LAST);
  const bitnet_status next = bitnet_eval(session.get(), tokens.data() + 39, 1, BITNET_LOGITS_LAST);
  allocations_left = -1;
  EXPECT_EQ(prompt, BITNET_OK);
  EXPECT_EQ(next, BITNET_OK);
}

// Of a KV cache of the test model: 3 layers, 2 heads of 80. Pages of 64 positions end where the system's do, and one
// more is needed while another is copied.
uint64_t cache_bytes(uint64_t positions, size_t bytes_of_a_number, bool steps) {
  const auto unit = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t row = 80 * bytes_of_a_number + (steps ? sizeof(float) : 0);
  const uint64_t page = 64 * (3 * 2 * 2 * row + sizeof(bitnet_token));
  return (positions / 64 + 1) * ((page + unit - 1) / unit * unit);
}

TEST(Memory, TheForetoldNeedIsWhatASessionTakes) {
  const Model model = open(model_path());
  bitnet_session_options options = {.size = sizeof options, .context = 512};
  uint64_t small = 0, large = 0;
  ASSERT_OK(bitnet_session_memory(model.get(), &options, &small));
  options.context = 16384;
  ASSERT_OK(bitnet_session_memory(model.get(), &options, &large));
  const uint64_t tokens = (16384 - 512) * sizeof(bitnet_token);
  EXPECT_EQ(large - small, cache_bytes(16384, 2, true) - cache_bytes(512, 2, true) + tokens);
  uint64_t int8 = 0, f16 = 0;
  options.kv = BITNET_KV_INT8;
  ASSERT_OK(bitnet_session_memory(model.get(), &options, &int8));
  options.kv = BITNET_KV_F16;
  ASSERT_OK(bitnet_session_memory(model.get(), &options, &f16));
  EXPECT_EQ(large - int8, cache_bytes(16384, 2, true) - cache_bytes(16384, 1, true)) << "a byte a number";
  EXPECT_EQ(large - f16, cache_bytes(16384, 2, true) - cache_bytes(16384, 2, false)) << "the steps";
}

// While it lives, nothing larger is allocated.
struct LargestAllocation {
  explicit LargestAllocation(size_t size) { largest_allocation = size; }
  ~LargestAllocation() { largest_allocation = SIZE_MAX; }
};

// Expects the call to run out of memory with a message that has all these words.
void expect_told(bitnet_status status, std::initializer_list<const char*> words) {
  EXPECT_EQ(status, BITNET_ERROR_MEMORY);
  for (const char* word : words) {
    EXPECT_NE(std::string(bitnet_last_error()).find(word), std::string::npos) << word << ": " << bitnet_last_error();
  }
}

TEST(Memory, AnErrorOfASessionSaysHowMuchAndWhatTakesLess) {
  const Model model = open(model_path());
  bitnet_session* session = nullptr;
  bitnet_session_options options = {.size = sizeof options, .context = 1 << 20};
  const auto cache_of = [](size_t bytes_of_a_number) {
    return "KV cache " + bitnet::size_text(cache_bytes(1 << 20, bytes_of_a_number, true));
  };
  const LargestAllocation limit(size_t{64} << 20);
  expect_told(
      bitnet_session_create(model.get(), &options, &session),
      {"for a session of 1048576 tokens", cache_of(2).c_str(), "a smaller context or an int8 KV cache takes less"});
  options.kv = BITNET_KV_INT8;
  expect_told(bitnet_session_create(model.get(), &options, &session),
              {cache_of(1).c_str(), "; a smaller context takes less"});
  EXPECT_EQ(session, nullptr);
}

TEST(Memory, AnErrorOfAnEngineSaysHowMuchAndWhatTakesLess) {
  const Model model = open(model_path());
  const bitnet_engine_options options = {.size = sizeof options, .threads = 2, .batch = 4096};
  uint64_t bytes = 0;
  ASSERT_OK(bitnet_engine_memory(model.get(), &options, &bytes));
  EXPECT_GT(bytes, uint64_t{8} << 20);
  const LargestAllocation limit(8 << 20);
  bitnet_engine* engine = nullptr;
  expect_told(bitnet_engine_create(model.get(), &options, &engine),
              {"for an engine of", "fewer threads or a smaller batch take less"});
  EXPECT_EQ(engine, nullptr);
}

TEST(Memory, AnErrorOfAForkOrASavedSessionNamesIt) {
  const Model model = open(model_path());
  const Session session = make_session(model, {.context = 65536}, {.threads = 1});
  eval(session, random_tokens(512), BITNET_LOGITS_NONE);
  bitnet_session* fork = nullptr;
  std::vector<unsigned char> state(4 << 20);
  size_t length = 0;
  ASSERT_OK(bitnet_session_save_memory(session.get(), state.data(), state.size(), &length));
  const LargestAllocation limit(1 << 18);
  expect_told(bitnet_session_fork(session.get(), &fork), {"for the fork of a session of 65536 tokens"});
  expect_told(bitnet_session_save_memory(session.get(), state.data(), state.size(), &length),
              {"for saving a session of 512 tokens", "int8"});
  expect_told(bitnet_session_load_memory(session.get(), state.data(), length),
              {"for a saved session of 512 tokens while it is loaded"});
  EXPECT_EQ(bitnet_session_position(session.get()), 512u);
}

TEST(Memory, AnErrorOfLogitsSaysOfHowManyTokens) {
  const Model model = open(model_path());
  const Session session = make_session(model, {.context = 512}, {.threads = 1});
  const Tokens tokens = random_tokens(512);
  const LargestAllocation limit(1 << 20);
  expect_told(bitnet_eval(session.get(), tokens.data(), tokens.size(), BITNET_LOGITS_ALL),
              {"cannot allocate 2.0 MiB for the logits of 512 tokens", "fewer tokens"});
  eval(session, std::span(tokens).first(128), BITNET_LOGITS_ALL);
}

TEST(Memory, AnErrorOfOpeningSaysWhatToConvert) {
  const std::string gguf = temporary_folder() + "/large.gguf", packed = temporary_folder() + "/packed.bitnet";
  SampleModel sample;
  sample.weights = Encoding::tq2_0;  // the order of I2_S would be looked for first
  std::ofstream(gguf) << sample.draw().gguf().build();
  const bitnet_convert_options compress = {.size = sizeof compress, .zstd_level = 1};
  ASSERT_OK(bitnet_convert(model_path().c_str(), packed.c_str(), &compress));
  bitnet_model* model = nullptr;
  {
    const LargestAllocation limit(15 << 10);
    expect_told(bitnet_open(gguf.c_str(), nullptr, &model),
                {"large.gguf", "cannot allocate 16.0 KiB for tensor blk.0.attn_q.weight", "convert it to a .bitnet"});
    largest_allocation = 512 << 10;
    expect_told(bitnet_open(packed.c_str(), nullptr, &model),
                {"packed.bitnet", "for the weights of a compressed file", "not compressed"});
  }
  largest_mapping = 1 << 14;
  expect_told(bitnet_open(model_path().c_str(), nullptr, &model), {"address space", "ulimit -v"});
  largest_mapping = SIZE_MAX;
}

}  // namespace
}  // namespace bitnet_test
