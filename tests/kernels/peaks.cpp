// SPDX-License-Identifier: MIT
#include "peaks.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "pages.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "x86/tiles.h"
#define BITNET_REGISTER "v"
#elif defined(__aarch64__)
#include <arm_neon.h>
#define BITNET_REGISTER "w"
#endif

namespace bitnet {
namespace {

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
double cpu_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double shortest(double (*seconds)(), const std::function<void()>& run) {
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    const double begin = seconds();
    run();
    best = std::min(best, seconds() - begin);
  }
  return best;
}

constexpr size_t kAccumulators = 12;  // enough to hide the latency of an instruction, few enough for 16 registers

// A function that applies `step`, an expression of an accumulator s and operands a and b, to independent accumulators.
// The empty asm makes the compiler take its values for new ones each time.
// NOLINTBEGIN(bugprone-macro-parentheses): a type cannot be in parentheses
#define BITNET_PEAK(name, features, Vector, step)                          \
  features void name(size_t rounds) {                                      \
    Vector sums[kAccumulators] = {}, a = {}, b = {};                       \
    for (size_t round = 0; round < rounds; ++round) {                      \
      _Pragma("GCC unroll 12") for (Vector & s : sums) {                   \
        asm volatile("" : "+" BITNET_REGISTER(a), "+" BITNET_REGISTER(b)); \
        step;                                                              \
        asm volatile("" : "+" BITNET_REGISTER(s));                         \
      }                                                                    \
    }                                                                      \
  }
// NOLINTEND(bugprone-macro-parentheses)
// A product that nothing waits for and a sum, as in a loop over independent elements.
#define BITNET_FLOAT_STEP(multiply, add)       \
  const auto product = multiply(a, b);         \
  asm volatile("" ::BITNET_REGISTER(product)); \
  s = add(s, b)

#if defined(__x86_64__)
#define BITNET_FOR(features) __attribute__((target(features)))
BITNET_PEAK(dot_sse2, , __m128i, s = _mm_add_epi32(s, _mm_madd_epi16(a, b)))
BITNET_PEAK(dot_ssse3, BITNET_FOR("ssse3"), __m128i, s = _mm_add_epi16(s, _mm_maddubs_epi16(a, b)))
BITNET_PEAK(dot_avx2, BITNET_FOR("avx2"), __m256i, s = _mm256_add_epi16(s, _mm256_maddubs_epi16(a, b)))
BITNET_PEAK(dot_avxvnni, BITNET_FOR("avxvnni"), __m256i, s = _mm256_dpbusd_avx_epi32(s, a, b))
BITNET_PEAK(dot_avx512, BITNET_FOR("avx512bw"), __m512i, s = _mm512_add_epi16(s, _mm512_maddubs_epi16(a, b)))
BITNET_PEAK(dot_avx512vnni, BITNET_FOR("avx512vnni"), __m512i, s = _mm512_dpbusd_epi32(s, a, b))
BITNET_PEAK(float_sse2, , __m128, BITNET_FLOAT_STEP(_mm_mul_ps, _mm_add_ps))
BITNET_PEAK(float_avx2, BITNET_FOR("avx2"), __m256, BITNET_FLOAT_STEP(_mm256_mul_ps, _mm256_add_ps))
BITNET_PEAK(fused_fma, BITNET_FOR("avx2,fma"), __m256, s = _mm256_fmadd_ps(a, b, s))
BITNET_PEAK(fused_avx512, BITNET_FOR("avx512f"), __m512, s = _mm512_fmadd_ps(a, b, s))
BITNET_PEAK(float_avx512, BITNET_FOR("avx512f"), __m512, BITNET_FLOAT_STEP(_mm512_mul_ps, _mm512_add_ps))

// Products of tiles with sums of their own, as many as are in flight at a time. The table's being there means that
// tiles may be used.
BITNET_FOR("amx-tile,amx-int8") void dot_amx(size_t rounds) {
  const TileShape shape;
  asm volatile("ldtilecfg %0" : : "m"(shape));
  for (size_t round = 0; round < rounds; ++round) {
    static_assert(kAccumulators % 6 == 0);
    for (size_t i = 0; i < kAccumulators; i += 6) {
      asm volatile(
          "tdpbusd %tmm6, %tmm7, %tmm0\n\ttdpbusd %tmm6, %tmm7, %tmm1\n\ttdpbusd %tmm6, %tmm7, %tmm2\n\t"
          "tdpbusd %tmm6, %tmm7, %tmm3\n\ttdpbusd %tmm6, %tmm7, %tmm4\n\ttdpbusd %tmm6, %tmm7, %tmm5");
    }
  }
  asm volatile("tilerelease");
}
#elif defined(__aarch64__)
#if defined(__clang__)
#define BITNET_FOR(feature) __attribute__((target(feature)))
#else
#define BITNET_FOR(feature) __attribute__((target("arch=armv8.2-a+" feature)))
#endif
BITNET_PEAK(dot_neon, , int16x8_t,
            s = vmlal_high_s8(vmlal_s8(s, vget_low_s8((int8x16_t)a), vget_low_s8((int8x16_t)b)), (int8x16_t)a,
                              (int8x16_t)b))
BITNET_PEAK(dot_dotprod, BITNET_FOR("dotprod"), int32x4_t, s = vdotq_s32(s, (int8x16_t)a, (int8x16_t)b))
BITNET_PEAK(dot_i8mm, BITNET_FOR("i8mm"), int32x4_t, s = vmmlaq_s32(s, (int8x16_t)a, (int8x16_t)b))
BITNET_PEAK(float_neon, , float32x4_t, BITNET_FLOAT_STEP(vmulq_f32, vaddq_f32))
BITNET_PEAK(fused_neon, , float32x4_t, s = vfmaq_f32(s, a, b))
#endif

struct Instructions {
  const char* isa;
  void (*dot)(size_t);
  size_t int8_macs;  // of a step
  void (*multiply_add)(size_t);
  size_t float_macs;
  void (*fused)(size_t) = nullptr;  // likewise, in one instruction
};

// Of processors that this file knows.
const std::vector<Instructions> kInstructions = {
#if defined(__x86_64__)
    {"sse2", dot_sse2, 8, float_sse2, 4},
    {"sse41", dot_ssse3, 16, float_sse2, 4},
    {"avx2", dot_avx2, 32, float_avx2, 8},
    {"fma", dot_avx2, 32, float_avx2, 8, fused_fma},
    {"avxvnni", dot_avxvnni, 32, float_avx2, 8, fused_fma},
    {"avx512", dot_avx512, 64, float_avx512, 16, fused_avx512},
    {"avx512vnni", dot_avx512vnni, 64, float_avx512, 16, fused_avx512},
    {"avx512vbmi", dot_avx512vnni, 64, float_avx512, 16, fused_avx512},
    {"amx", dot_amx, 16 * 16 * 64, float_avx512, 16, fused_avx512},
#elif defined(__aarch64__)
    {"neon", dot_neon, 16, float_neon, 4, fused_neon},
    {"dotprod", dot_dotprod, 16, float_neon, 4, fused_neon},
    {"i8mm", dot_i8mm, 32, float_neon, 4, fused_neon},
#endif
};

double per_second(void (*steps)(size_t), size_t macs) {
  constexpr size_t kRounds = 1 << 20;
  return double(kRounds * kAccumulators * macs) / shortest(cpu_seconds, [&] { steps(kRounds); });
}

// The sum is of no use but to need every byte.
uint64_t sum_of(const uint64_t* words, size_t count) {
  uint64_t sums[8] = {};
  for (size_t i = 0; i + 8 <= count; i += 8) {
    for (size_t j = 0; j < 8; ++j) sums[j] += words[i + j];
  }
  uint64_t total = 0;
  for (uint64_t sum : sums) total += sum;
  return total;
}

double read_rate(Pages<uint64_t>& memory, size_t words, unsigned threads) {
  const auto read = [&] {
    std::vector<std::thread> others;
    const auto part = [&](unsigned i) {
      const uint64_t sum = sum_of(memory.data() + words / threads * i, words / threads);
      asm volatile("" ::"r"(sum));
    };
    for (unsigned i = 1; i < threads; ++i) others.emplace_back(part, i);
    part(0);
    for (std::thread& other : others) other.join();
  };
  return double(words * sizeof(uint64_t)) / shortest(wall_seconds, read);
}

}  // namespace

ComputePeaks measure_compute(const char* isa) {
  for (const Instructions& i : kInstructions) {
    if (std::strcmp(i.isa, isa) != 0) continue;
    const double floats = per_second(i.multiply_add, i.float_macs);
    return {per_second(i.dot, i.int8_macs), floats, i.fused == nullptr ? floats : per_second(i.fused, i.float_macs)};
  }
  return {};
}

MemoryPeaks measure_memory() {
  constexpr size_t kWords = size_t{512} << 17;  // 512 MiB: more than caches hold
  MemoryPeaks peaks{std::max(1U, std::thread::hardware_concurrency()), 0, 0, 0, 0};
  for (const PageSize size : {PageSize::small, PageSize::huge}) {
    Pages<uint64_t> memory(kWords, size);
    std::memset(memory.data(), 1, kWords * sizeof(uint64_t));
    (size == PageSize::small ? peaks.one_small : peaks.one_huge) = read_rate(memory, kWords, 1);
    (size == PageSize::small ? peaks.all_small : peaks.all_huge) = read_rate(memory, kWords, peaks.threads);
  }
  return peaks;
}

}  // namespace bitnet
