// SPDX-License-Identifier: MIT
// Opening a model fails as it should wherever memory runs out, and converting takes no more than it says. This
// program's operator new fails on demand, once, and counts.
#include <gtest/gtest.h>
#include <malloc.h>
#include <zstd.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "base/cores.h"
#include "base/error.h"
#include "format/convert.h"
#include "format/convert_memory.h"
#include "format/files.h"
#include "format/load.h"
#include "format/sample_model.h"
#include "format/source.h"

namespace {

constexpr long kNever = -1;
std::atomic<long> failing{kNever};  // how many allocations succeed before one fails
std::atomic<long> living{0};
std::atomic<size_t> held{0}, most_held{0};  // bytes

void* allocate(size_t size, size_t alignment) {
  if (failing.load() != kNever && failing.fetch_sub(1) == 0) throw std::bad_alloc();
  void* const memory = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  ++living;
  const size_t now = held += malloc_usable_size(memory);
  for (size_t most = most_held; now > most && !most_held.compare_exchange_weak(most, now);) {
  }
  return memory;
}

void release(void* memory) noexcept {
  if (memory == nullptr) return;
  --living;
  held -= malloc_usable_size(memory);
  std::free(memory);
}

}  // namespace

void* operator new(size_t size) { return allocate(size == 0 ? 1 : size, alignof(std::max_align_t)); }
void* operator new[](size_t size) { return operator new(size); }
void* operator new(size_t size, std::align_val_t alignment) {
  return allocate(size == 0 ? 1 : size, static_cast<size_t>(alignment));
}
void* operator new[](size_t size, std::align_val_t alignment) { return operator new(size, alignment); }
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, size_t) noexcept { release(memory); }
void operator delete[](void* memory, size_t) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { release(memory); }
void operator delete[](void* memory, size_t, std::align_val_t) noexcept { release(memory); }

namespace {

using namespace bitnet;
using namespace bitnet_test;

// Runs the work again and again, each time with a later allocation failing, until none does.
void expect_survives(const std::function<void()>& work) {
  work();  // what is made once and kept
  long n = 0;
  for (;; ++n) {
    const long before = living.load();
    bool failed = false;
    failing = n;
    try {
      work();
    } catch (const std::bad_alloc&) {
      failed = true;
    } catch (const Error& error) {
      failing = kNever;
      failed = true;
      ASSERT_EQ(error.status(), BITNET_ERROR_MEMORY)
          << "allocation " << n << " failed and was reported as: " << error.what();
    }
    const bool reached = failed || failing.exchange(kNever) < 0;
    EXPECT_EQ(living.load(), before) << "allocation " << n << " failed and something leaked";
    if (!reached) break;
    EXPECT_TRUE(failed) << "allocation " << n << " failed and nobody noticed";
  }
  EXPECT_GT(n, 20);
}

class Allocation : public testing::Test {
 protected:
  Allocation() {
    write_file(folder / "model.gguf", small_model().gguf().build());
    convert(folder / "model.gguf", folder / "model.bitnet");
    convert(folder / "model.gguf", folder / "packed.bitnet", {.zstd_level = 3});
  }
  void expect_open_survives(const std::string& name) {
    expect_survives([path = folder / name] { load_model(open_container(path)); });
  }
  TemporaryFolder folder;
};

TEST_F(Allocation, OfOpeningABitnetFile) { expect_open_survives("model.bitnet"); }
TEST_F(Allocation, OfOpeningACompressedBitnetFile) { expect_open_survives("packed.bitnet"); }
TEST_F(Allocation, OfOpeningAGguf) { expect_open_survives("model.gguf"); }
TEST_F(Allocation, OfConverting) {
  expect_survives([this] { convert(folder / "model.gguf", folder / "out.bitnet"); });
  EXPECT_EQ(folder.files(), 4u);
}

constexpr uint64_t kMiB = 1 << 20;

fb::ModelT describe(const std::string& gguf) {
  const MappedFile file(gguf);
  const auto bytes = file.bytes();
  return open_gguf_source({&bytes, 1}, {})->describe();
}

// What the library itself holds at most while it converts.
uint64_t measure(const std::string& from, const std::string& to) {
  const size_t before = held;
  most_held = before;
  convert(from, to);
  return most_held - before;
}

TEST(ConvertMemory, OfASmallModelIsLittle) {
  TemporaryFolder folder;
  write_file(folder / "model.gguf", small_model().gguf().build());
  const uint64_t told = convert_memory(describe(folder / "model.gguf"), std::nullopt, usable_cpus());
  EXPECT_GT(told, measure(folder / "model.gguf", folder / "model.bitnet"));
  EXPECT_LT(told, 4 * kMiB);
  EXPECT_LT(convert_memory(describe(folder / "model.gguf"), 19, 16), 16 * kMiB);
}

TEST(ConvertMemory, OfALargeTensorIsThatOfItsPieces) {
  TemporaryFolder folder;
  SampleModel model;
  model.vocabulary = 40000;
  model.embedding_type = Encoding::f32;
  write_file(folder / "model.gguf", model.draw().gguf().build());
  const uint64_t told = convert_memory(describe(folder / "model.gguf"), std::nullopt, usable_cpus());
  const uint64_t most = measure(folder / "model.gguf", folder / "model.bitnet");
  EXPECT_GT(told, most);
  EXPECT_LT(told, 2 * most + 32 * kMiB) << "the compressor of the metadata is not counted in " << most;
  EXPECT_LT(told, convert_memory(describe(folder / "model.gguf"), std::nullopt, usable_cpus() + 1));
}

TEST(ConvertMemory, CountsWhatTheCompressorHolds) {
  TemporaryFolder folder;
  SampleModel model;
  model.vocabulary = 40000;
  write_file(folder / "model.gguf", model.draw().gguf().build());
  const fb::ModelT large = describe(folder / "model.gguf");
  std::string tensor(2 * size_t{model.vocabulary} * model.hidden, '\0');
  uint32_t random = 1;
  for (char& byte : tensor) byte = static_cast<char>((random = random * 1664525 + 1013904223) >> 24);
  for (const int level : {1, 3, 9}) {
    for (const unsigned cpus : {1u, 2u, 8u}) {
      const std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(), ZSTD_freeCCtx);
      ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level);
      ZSTD_CCtx_setParameter(context.get(), ZSTD_c_nbWorkers, static_cast<int>(cpus));
      ZSTD_CCtx_setPledgedSrcSize(context.get(), tensor.size());
      std::string packed(ZSTD_compressBound(tensor.size()), '\0');
      ZSTD_outBuffer out{packed.data(), packed.size(), 0};
      ZSTD_inBuffer in{tensor.data(), tensor.size(), 0};
      while (ZSTD_compressStream2(context.get(), &out, &in, ZSTD_e_end) != 0) {
      }
      const uint64_t told = convert_memory(large, level, cpus) - convert_memory(large, std::nullopt, cpus);
      const uint64_t taken = ZSTD_sizeof_CCtx(context.get());
      EXPECT_GT(told, taken) << "level " << level << ", " << cpus << " CPUs";
    }
  }
}

}  // namespace
