// SPDX-License-Identifier: MIT
// Out of memory at every allocation in turn: each is an error, nothing leaks (the address sanitizer looks), and the
// next call works.
#include <atomic>
#include <cstdlib>
#include <functional>
#include <new>

#include "test_model.h"

namespace {

std::atomic<long> allocations_left{-1};  // negative: no limit

void* allocate(size_t size, size_t alignment) {
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
  const bitnet_session_options options = {.size = sizeof options, .context = 64, .threads = 3};
  Session session;
  const long count = fail_every_allocation([&] {
    bitnet_session* raw = nullptr;
    const bitnet_status status = bitnet_session_create(model.get(), &options, &raw);
    session.reset(raw);
    return status;
  });
  EXPECT_GT(count, 5);
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

TEST(Memory, EvaluationTakesNone) {
  const Model model = open(model_path());
  const Session session = make_session(model, {.size = sizeof(bitnet_session_options), .context = 64, .threads = 2});
  const Tokens tokens = random_tokens(40);
  allocations_left = 0;
  const bitnet_status prompt = bitnet_eval(session.get(), tokens.data(), 39, BITNET_LOGITS_LAST);
  const bitnet_status next = bitnet_eval(session.get(), tokens.data() + 39, 1, BITNET_LOGITS_LAST);
  allocations_left = -1;
  EXPECT_EQ(prompt, BITNET_OK);
  EXPECT_EQ(next, BITNET_OK);
}

TEST(Memory, TheForetoldNeedIsWhatASessionTakes) {
  const Model model = open(model_path());
  bitnet_session_options options = {.size = sizeof options, .context = 512, .threads = 2};
  uint64_t small = 0, large = 0;
  ASSERT_OK(bitnet_session_memory(model.get(), &options, &small));
  options.context = 16384;
  ASSERT_OK(bitnet_session_memory(model.get(), &options, &large));
  // KV cache: 3 layers, 2 heads of 80, keys and values in 16 bits, with a step for each.
  EXPECT_GE(large - small, uint64_t{16384 - 512} * 3 * 2 * (80 * 2 + sizeof(float)) * 2);
  uint64_t int8 = 0, f16 = 0;
  options.kv = BITNET_KV_INT8;
  ASSERT_OK(bitnet_session_memory(model.get(), &options, &int8));
  options.kv = BITNET_KV_F16;
  ASSERT_OK(bitnet_session_memory(model.get(), &options, &f16));
  EXPECT_EQ(large - int8, uint64_t{16384} * 3 * 2 * 80 * 2) << "a byte a number";
  EXPECT_EQ(large - f16, uint64_t{16384} * 3 * 2 * sizeof(float) * 2) << "the steps";
}

}  // namespace
}  // namespace bitnet_test
