// SPDX-License-Identifier: MIT
// Speed of the kernels on one thread, for each table that this CPU can run:
//
//   bench_kernels [table ...]     multiply-adds and weight bytes per second of the large products
//   bench_kernels --list          the tables' names
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "kernels.h"

namespace {

using namespace bitnet;

template <typename T>
struct Free {
  void operator()(T* p) const { std::free(p); }
};
template <typename T>
using Buffer = std::unique_ptr<T[], Free<T>>;

// Filled with bytes that are valid in every packing.
template <typename T>
Buffer<T> buffer(size_t n) {
  const size_t bytes = (n * sizeof(T) + 4095) / 4096 * 4096;
  T* p = static_cast<T*>(std::aligned_alloc(4096, bytes));
  if (p == nullptr) std::abort();
  std::memset(p, 0, bytes);
  return Buffer<T>(p);
}

double cpu_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// The shortest of several runs, in CPU time, which other programs disturb least.
double seconds(const std::function<void()>& run) {
  double best = 1e9;
  const double start = cpu_seconds();
  for (int i = 0; i < 3 || cpu_seconds() - start < 0.2; ++i) {
    const double begin = cpu_seconds();
    run();
    best = std::min(best, cpu_seconds() - begin);
  }
  return best;
}

void report(const Kernels& k, const char* kernel, size_t rows, size_t cols, size_t tokens, double bytes, double time) {
  std::printf("%-11s %-10s %5zu x %-5zu %4zu tokens %8.3f ms %7.1f GMAC/s %6.1f GB/s\n", k.name, kernel, rows, cols,
              tokens, time * 1e3, 1e-9 * double(rows) * double(cols) * double(tokens) / time, 1e-9 * bytes / time);
}

void bench_ternary(const Kernels& k, Packing packing, size_t rows, size_t cols, size_t tokens) {
  const size_t bytes = packed_bytes(packing, rows, cols), padded = padded_cols(packing, cols);
  // Few tokens are bound by memory: take turns among copies that no cache holds together.
  const size_t copies = tokens > 8 ? 1 : (size_t{256} << 20) / bytes;
  const auto weights = buffer<uint8_t>(bytes * copies);
  for (size_t i = 0; i < bytes * copies; ++i) {
    // Any four fields below 3 are an i2 byte; t5 bytes are not checked by kernels.
    const unsigned r = static_cast<unsigned>(i * 2654435761u >> 8);
    weights[i] = static_cast<uint8_t>(r % 3 | r / 3 % 3 << 2 | r / 9 % 3 << 4 | r / 27 % 3 << 6);
  }
  const auto activations = buffer<int8_t>(tokens * padded);
  for (size_t i = 0; i < tokens * padded; ++i) activations[i] = static_cast<int8_t>(i * 37 % 255 - 127);
  const auto scales = buffer<float>(1), steps = buffer<float>(tokens), out = buffer<float>(tokens * rows);
  const auto scratch = buffer<char>(kTernaryScratchBytes);
  TernaryProduct p{weights.get(),
                   blocks_per_row(packing, cols),
                   0,
                   rows,
                   scales.get(),
                   false,
                   activations.get(),
                   steps.get(),
                   tokens,
                   out.get(),
                   rows,
                   scratch.get()};
  const auto kernel = packing == Packing::i2 ? k.ternary_i2 : k.ternary_t5;
  const double time = seconds([&] {
    for (size_t copy = 0; copy < copies; ++copy) {
      p.weights = weights.get() + copy * bytes;
      kernel(p);
    }
  });
  report(k, packing == Packing::i2 ? "ternary_i2" : "ternary_t5", rows, cols, tokens, double(bytes),
         time / double(copies));
}

void bench_head(const Kernels& k, bool int8, size_t tokens) {
  const size_t rows = 32064, cols = 2560, bytes = rows * cols * (int8 ? 1 : 2);
  const auto weights = buffer<uint8_t>(bytes), scratch = buffer<uint8_t>(2 * tokens * cols);
  const auto scales = buffer<float>(rows), x = buffer<float>(tokens * cols), out = buffer<float>(tokens * rows);
  const HeadProduct p{weights.get(), scales.get(), cols,   cols,      0,    rows,
                      x.get(),       cols,         tokens, out.get(), rows, scratch.get()};
  const auto kernel = int8 ? k.head_int8 : k.head_f16;
  report(k, int8 ? "head_int8" : "head_f16", rows, cols, tokens, double(bytes), seconds([&] { kernel(p); }));
}

void bench_attention(const Kernels& k) {
  const size_t length = 1024, dim = 128, stride = 640;
  const auto keys = buffer<f16>(length * stride), values = buffer<f16>(length * stride);
  const auto q = buffer<float>(dim), scores = buffer<float>(length), out = buffer<float>(dim);
  const Attention a{q.get(), keys.get(), values.get(), stride, length, dim, 0.1f, scores.get(), out.get()};
  report(k, "attention", 2 * length, dim, 1, double(4 * length * dim), seconds([&] { k.attention(a); }));
}

}  // namespace

int main(int argc, char** argv) {
  const KernelList list = available_kernels();
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
    for (size_t i = 0; i < list.count; ++i) std::printf("%s\n", list.tables[i]->name);
    return 0;
  }
  std::vector<const Kernels*> tables(list.tables, list.tables + list.count - 1);
  if (argc > 1) tables.clear();
  for (int i = 1; i < argc; ++i) {
    const Kernels* table = find_kernels(argv[i]);
    if (table == nullptr) {
      std::fprintf(stderr, "bench_kernels: no table '%s' here; this build knows %s\n", argv[i], kernel_names());
      return 1;
    }
    tables.push_back(table);
  }
  for (const Kernels* table : tables) {
    for (Packing packing : {Packing::i2, Packing::t5}) {
      for (size_t tokens : {1, 4, 8, 16, 32, 128}) {
        bench_ternary(*table, packing, 2560, 2560, tokens);
        bench_ternary(*table, packing, 6912, 2560, tokens);
        bench_ternary(*table, packing, 2560, 6912, tokens);
      }
    }
    for (bool int8 : {false, true}) {
      for (size_t tokens : {1, 8}) bench_head(*table, int8, tokens);
    }
    bench_attention(*table);
  }
}
