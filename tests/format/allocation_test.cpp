// SPDX-License-Identifier: MIT
// Opening a model fails as it should wherever memory runs out. This program's operator new fails on demand, once.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "base/error.h"
#include "format/convert.h"
#include "format/files.h"
#include "format/load.h"
#include "format/sample_model.h"

namespace {

constexpr long kNever = -1;
std::atomic<long> failing{kNever};  // how many allocations succeed before one fails
std::atomic<long> living{0};

void* allocate(size_t size, size_t alignment) {
  if (failing.load() != kNever && failing.fetch_sub(1) == 0) throw std::bad_alloc();
  void* const memory = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  ++living;
  return memory;
}

void release(void* memory) noexcept {
  if (memory == nullptr) return;
  --living;
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

}  // namespace
