// SPDX-License-Identifier: MIT
// What check_kernels is made of: for each entry of the kernel table a function that holds a table to the scalar one,
// and a function that measures it. There is a file for each family of kernels.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inputs.h"
#include "pages.h"

namespace bitnet {

// A table held to the scalar one. Its first difference ends the kernel's check.
class Check {
 public:
  struct Difference {
    std::string what;
  };

  Check(const Kernels& table, uint32_t seed, bool brief) : table(table), brief(brief), in(seed) {}

  const Kernels& scalar = *find_kernels("scalar");
  const Kernels& table;
  const bool brief;  // fewer cases, but each instruction
  Inputs in;

  // Says what is tried next, for the message if it goes wrong.
  [[gnu::format(BITNET_PRINTF_FORMAT, 2, 3)]] void at(const char* format, ...);

  // Throws unless all bits agree and nothing around `actual` was touched. Any NaN agrees with any other.
  template <typename T>
  void same(const Guarded<T>& expected, const Guarded<T>& actual) {
    ++cases;
    for (size_t i = 0; i < expected.size(); ++i) {
      digest = (digest ^ bits_of(expected[i])) * 0x100000001b3;  // FNV-1a, by elements
      if (agree(expected[i], actual[i])) continue;
      throw Difference{"element " + std::to_string(i) + " is " + text_of(actual[i]) + ", not " + text_of(expected[i])};
    }
    if (!actual.intact()) throw Difference{"it wrote outside of its output"};
  }
  void same(float expected, float actual) {
    if (!agree(expected, actual)) throw Difference{"it returned " + text_of(actual) + ", not " + text_of(expected)};
  }

  size_t cases = 0;
  // Of all that the scalar table gave: the same for the same seed on every architecture.
  uint64_t digest = 0xcbf29ce484222325;

 private:
  template <typename T>
  static uint64_t bits_of(T x) {
    if (x != x) return 1;
    uint64_t bits = 0;
    std::memcpy(&bits, &x, sizeof x);
    return bits;
  }
  template <typename T>
  static bool agree(T a, T b) {
    return std::memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b);
  }
  static std::string text_of(double x) {
    char text[40];
    std::snprintf(text, sizeof text, "%.9g (%a)", x, x);
    return text;
  }
};

// What one call of a kernel has to do at the least, in units that the machine's limits are known in.
struct Work {
  double int8_macs = 0, int16_macs = 0;   // int16: of ternary weights and activations in 16 bits
  double float_macs = 0, exact_macs = 0;  // exact: whose products need not be rounded
  double bytes = 0;                       // read and written
  bool from_memory = false;               // no cache holds them
};

struct Measurement {
  std::string isa, kernel, shape;
  Work work;
  double seconds;
};

// Measures kernels of one table.
class Bench {
 public:
  Bench(const Kernels& table, std::vector<Measurement>& results) : table(table), results_(results) {}

  const Kernels& table;

  // `calls`: how often `run` calls the kernel.
  void measure(const char* kernel, const std::string& shape, const Work& work, const std::function<void()>& run,
               size_t calls = 1);

 private:
  std::vector<Measurement>& results_;
};

[[gnu::format(BITNET_PRINTF_FORMAT, 1, 2)]] std::string formatted(const char* format, ...);

struct KernelCheck {
  const char* name;                                 // of the entry in Kernels
  bool (*is_same)(const Kernels&, const Kernels&);  // whether two tables have the same function there
  void (*check)(Check&);
  void (*bench)(Bench&);
};

template <auto entry>
bool same_entry(const Kernels& a, const Kernels& b) {
  return a.*entry == b.*entry;
}

std::span<const KernelCheck> float_checks();
std::span<const KernelCheck> ternary_checks();
std::span<const KernelCheck> group_checks();
std::span<const KernelCheck> head_checks();
std::span<const KernelCheck> attention_checks();

}  // namespace bitnet
