// SPDX-License-Identifier: MIT
// Attention over a KV cache.
#include <algorithm>
#include <limits>

#include "check.h"

namespace bitnet {
namespace {

auto attention(const Kernels& k, KvType type) {
  return type == KvType::f16 ? k.attention_f16 : type == KvType::int8 ? k.attention_int8 : k.attention_int16;
}

// Queries, keys and values of one split, each block by itself. What no row sees is NaN.
struct Split {
  Split(Check& c, KvType type, size_t head_dim, size_t rows, size_t group, size_t length, Values kind)
      : type(type),
        head_dim(head_dim),
        rows(rows),
        group(group),
        length(length),
        q((rows * group - 1) * (head_dim + 3) + group * head_dim) {
    for (float& x : q) x = c.in.value(kind);
    for (size_t begin = 0; begin < seen(); begin += kKvBlock) {
      const size_t count = std::min(seen() - begin, kKvBlock);
      keys.emplace_back(key_block_bytes(type, head_dim));
      values.emplace_back(has_codes(type) ? value_block_bytes(type, head_dim)
                                          : count * value_stride(head_dim) * sizeof(f16));
      if (has_codes(type)) {
        fill_codes(c, kind, keys.back(), key_steps_at(type, head_dim), count);
        fill_codes(c, kind, values.back(), value_steps_at(type, head_dim), count);
      } else {
        fill_f16(c, kind, count);
      }
    }
  }

  void set_queries(float x) { std::fill(q.begin(), q.end(), x); }
  void seal() {
    q.seal();
    for (auto* blocks : {&keys, &values}) {
      for (auto& block : *blocks) block.seal();
    }
  }

  size_t seen() const { return std::min(length + rows - 1, kKvSplit); }

  Guarded<float> states(const Kernels& k, float scale, size_t window = SIZE_MAX) const {
    Guarded<float> states(rows * group * attention_state_floats(head_dim));
    Guarded<std::byte> scratch((attention_scratch_bytes(type, rows * group, head_dim) + 63) / 64 * 64);
    const auto key_list = listed(keys), value_list = listed(values);
    attention(k, type)({q.data(), group * (head_dim + 3), rows, group, key_list.data(), value_list.data(), head_dim,
                        length, scale, states.data(), scratch.data(), window});
    if (!scratch.intact()) throw Check::Difference{"it wrote outside of its scratch"};
    return states;
  }

  KvType type;
  size_t head_dim, rows, group, length;
  Guarded<float> q;
  std::vector<Guarded<uint8_t>> keys, values;

 private:
  // After the last one comes a pointer to memory that may not be touched.
  std::vector<const void*> listed(const std::vector<Guarded<uint8_t>>& blocks) const {
    std::vector<const void*> list;
    for (const auto& block : blocks) list.push_back(block.data());
    list.push_back(untouchable.data());
    return list;
  }

  void fill_f16(Check& c, Values kind, size_t count) {
    auto* const k = reinterpret_cast<f16*>(keys.back().data());
    auto* const v = reinterpret_cast<f16*>(values.back().data());
    std::fill_n(k, keys.back().size() / sizeof(f16), f16{0x7e00});
    std::fill_n(v, values.back().size() / sizeof(f16), f16{0});
    for (size_t position = 0; position < count; ++position) {
      for (size_t d = 0; d < head_dim; ++d) {
        const float x = c.in.value(kind), y = c.in.value(kind);
        c.scalar.to_f16(&x, 1, k + d * kKvBlock + position);
        c.scalar.to_f16(&y, 1, v + position * value_stride(head_dim) + d);
      }
    }
  }

  // Any code may stand anywhere.
  static void fill_codes(Check& c, Values kind, Guarded<uint8_t>& block, size_t steps_at, size_t count) {
    for (uint8_t& code : block) code = static_cast<uint8_t>(c.in.bits());
    for (size_t position = 0; position < kKvBlock; ++position) {
      const float step = position < count ? c.in.value(kind) : std::numeric_limits<float>::quiet_NaN();
      std::memcpy(block.data() + steps_at + position * sizeof step, &step, sizeof step);
    }
  }

  const Guarded<uint8_t> untouchable{0};
};

void check_split(Check& c, KvType type, size_t head_dim, size_t rows, size_t group, size_t length, Values kind,
                 float scale) {
  c.at("head_dim %zu, %zu rows of %zu heads, %zu positions, values %d, scale %g", head_dim, rows, group, length,
       int(kind), double(scale));
  Split split(c, type, head_dim, rows, group, length, kind);
  split.seal();
  c.same(split.states(c.scalar, scale), split.states(c.table, scale));
}

// Windows that hide nothing, some of a block, whole blocks, all of the split to the first rows or to all.
void check_windows(Check& c, KvType type) {
  for (size_t length : {5, 64, 130, 500, 700}) {
    for (size_t window : {1, 5, 60, 64, 65, 200, 699}) {
      for (size_t rows : {1, 5, 70}) {
        c.at("%zu rows, %zu positions, windows of %zu", rows, length, window);
        Split split(c, type, 20, rows, 3, length, Values::ordinary);
        split.seal();
        c.same(split.states(c.scalar, 0.1f, window), split.states(c.table, 0.1f, window));
      }
    }
  }
}

// Every code the same, and every step.
void fill_block(uint8_t* block, size_t steps_at, int16_t code, float step) {
  for (size_t i = 0; i < steps_at; i += sizeof code) std::memcpy(block + i, &code, sizeof code);
  for (size_t i = 0; i < kKvBlock; ++i) std::memcpy(block + steps_at + i * sizeof step, &step, sizeof step);
}

template <KvType type>
void check_attention(Check& c) {
  std::vector<size_t> lengths = {31, 64, 129, 300};
  if (!c.brief) lengths.insert(lengths.end(), {63, 65, 127, 128, 511, 512});
  for (size_t n = 1; n <= (c.brief ? 3 : 20); ++n) lengths.push_back(n);
  for (size_t head_dim : {1, 3, 16, 64, 80, 100, 128, 130, 256}) {
    for (size_t length : lengths) {
      const Values kind = length % 8 == 7 ? Values::nans : length % 4 ? Values::ordinary : Values::mixed;
      const size_t groups[] = {1, 2, 3, 4, 5, 8};
      check_split(c, type, head_dim, 1, groups[length % 6], length, kind, 0.1f);
    }
  }
  for (size_t group : {1, 3, 4}) {
    for (size_t rows : {2, 3, 16, 70}) {
      if (c.brief && group == 1) continue;
      for (size_t length : {1, 40, 63, 64, 65, 448, 500, 512}) {
        if (c.brief && rows * length > 1500) continue;
        check_split(c, type, 20, rows, group, length, Values::ordinary, 0.1f);
      }
    }
  }
  for (Values kind : kAllValues) check_split(c, type, 80, 5, 4, 100, kind, 0.1f);
  check_windows(c, type);
  // Scores so far apart that weights and factors vanish, then that they overflow.
  for (float scale : {30.0f, 1e3f, 1e30f, 3e38f}) check_split(c, type, 80, 5, 4, 200, Values::ordinary, scale);
}

// All codes, and so all factors, as large as can be: the largest sums, which fit 32 bits.
template <KvType type>
void check_largest_sums(Check& c, size_t head_dim, int16_t key, float key_step, int16_t value) {
  for (float sign : {-1.0f, 1.0f}) {
    c.at("head_dim %zu, keys %d, values %d, sign %g", head_dim, key, value, double(sign));
    Split split(c, type, head_dim, 2, 3, 200, Values::signed_zeros);
    for (auto& block : split.keys) fill_block(block.data(), key_steps_at(type, head_dim), key, key_step);
    for (auto& block : split.values) fill_block(block.data(), value_steps_at(type, head_dim), value, 1.0f);
    split.set_queries(sign);
    c.same(split.states(c.scalar, 1.0f), split.states(c.table, 1.0f));
  }
}

void check_attention_int8(Check& c) {
  check_attention<KvType::int8>(c);
  for (int16_t codes : {0x0000, -1}) check_largest_sums<KvType::int8>(c, kMostHeadDim, codes, 1.0f, codes);
}

void check_attention_int16(Check& c) {
  check_attention<KvType::int16>(c);
  for (size_t head_dim : {1, 3, 128, 512, int{kMostHeadDim}}) {  // one dimension, and all
    const std::vector<float> row(head_dim, 1.0f);
    std::vector<int16_t> codes(head_dim);
    const float step = c.scalar.quantize_kv_int16(row.data(), head_dim, codes.data());
    for (int16_t value : {-32767, 32767}) check_largest_sums<KvType::int16>(c, head_dim, codes[0], step, value);
  }
}

template <auto quantize, typename Code>
void check_quantize_kv(Check& c) {
  for (Values kind : kAllValues) {
    for (size_t n : lengths()) {
      c.at("%zu values %d", n, int(kind));
      const Guarded<float> x = c.in.floats(n, kind);
      Guarded<Code> expected(n), actual(n);
      c.same((c.scalar.*quantize)(x.data(), n, expected.data()), (c.table.*quantize)(x.data(), n, actual.data()));
      c.same(expected, actual);
    }
  }
}

void check_attention_merge(Check& c) {
  for (size_t head_dim : {1, 16, 80, 100, 128}) {
    for (float scale : {0.1f, 10.0f, 1e30f}) {
      for (Values kind : {Values::ordinary, Values::nans}) {
        c.at("head_dim %zu, scale %g, values %d", head_dim, double(scale), int(kind));
        const size_t floats = attention_state_floats(head_dim);
        const Guarded<float> states = Split(c, KvType::f16, head_dim, 1, 2, 100, kind).states(c.scalar, scale);
        Guarded<float> expected(std::span(states.data(), floats)), next(std::span(states.data() + floats, floats));
        next.seal();
        Guarded<float> actual = expected.copy();
        c.scalar.attention_merge(expected.data(), next.data(), head_dim);
        c.table.attention_merge(actual.data(), next.data(), head_dim);
        c.same(expected, actual);
      }
    }
  }
}

void check_attention_finish(Check& c) {
  for (size_t head_dim : {1, 3, 16, 80, 100, 128}) {
    c.at("head_dim %zu", head_dim);
    const Guarded<float> state = c.in.floats(attention_state_floats(head_dim));
    Guarded<float> expected(head_dim), actual(head_dim);
    c.scalar.attention_finish(state.data(), head_dim, expected.data());
    c.table.attention_finish(state.data(), head_dim, actual.data());
    c.same(expected, actual);
  }
}

// The last rows of a whole split, with heads as 2B-4T has them: in generation and in a prompt.
template <KvType type>
void bench_attention(Bench& b) {
  constexpr size_t kDim = 128, kGroup = 4, kBlocks = kKvSplit / kKvBlock;
  constexpr size_t kKeyBytes = kBlocks * key_block_bytes(type, kDim);
  constexpr size_t kValueBytes = kBlocks * value_block_bytes(type, kDim);
  for (size_t rows : {1, 32}) {
    const size_t queries = rows * kGroup;
    Pages<std::byte> keys(kKeyBytes), values(kValueBytes), scratch(attention_scratch_bytes(type, queries, kDim));
    Pages<float> q(queries * kDim), states(queries * attention_state_floats(kDim));
    const KvBlocks key_blocks(keys.data(), key_block_bytes(type, kDim));
    const KvBlocks value_blocks(values.data(), value_block_bytes(type, kDim));
    const Attention a{q.data(), kGroup * kDim,       rows, kGroup,        key_blocks.at, value_blocks.at,
                      kDim,     kKvSplit - rows + 1, 0.1f, states.data(), scratch.data()};
    b.measure(type == KvType::f16    ? "attention_f16"
              : type == KvType::int8 ? "attention_int8"
                                     : "attention_int16",
              formatted("%zu queries, %zu positions x %zu", queries, kKvSplit, kDim),
              {.float_macs = 2.0 * static_cast<double>(queries * kKvSplit * kDim), .bytes = kKeyBytes + kValueBytes},
              [&] { attention(b.table, type)(a); });
  }
}

template <auto quantize, typename Code>
void bench_quantize_kv(Bench& b) {
  constexpr size_t kDim = 128;
  Pages<float> x(kDim);
  Pages<Code> codes(kDim);
  b.measure(sizeof(Code) == 1 ? "quantize_kv_int8" : "quantize_kv_int16", formatted("%zu", kDim),
            {.bytes = static_cast<double>((sizeof(float) + sizeof(Code)) * kDim)},
            [&] { (b.table.*quantize)(x.data(), kDim, codes.data()); });
}

void bench_attention_merge(Bench& b) {
  constexpr size_t kDim = 128;
  Pages<float> state(attention_state_floats(kDim)), next(attention_state_floats(kDim));
  b.measure("attention_merge", formatted("%zu", kDim), {.bytes = 12.0 * attention_state_floats(kDim)},
            [&] { b.table.attention_merge(state.data(), next.data(), kDim); });
}

void bench_attention_finish(Bench& b) {
  constexpr size_t kDim = 128;
  Pages<float> state(attention_state_floats(kDim)), out(kDim);
  b.measure("attention_finish", formatted("%zu", kDim), {.bytes = 8.0 * kDim},
            [&] { b.table.attention_finish(state.data(), kDim, out.data()); });
}

constexpr KernelCheck kChecks[] = {
    {"attention_f16", same_entry<&Kernels::attention_f16>, check_attention<KvType::f16>, bench_attention<KvType::f16>},
    {"attention_int8", same_entry<&Kernels::attention_int8>, check_attention_int8, bench_attention<KvType::int8>},
    {"attention_int16", same_entry<&Kernels::attention_int16>, check_attention_int16, bench_attention<KvType::int16>},
    {"quantize_kv_int8", same_entry<&Kernels::quantize_kv_int8>, check_quantize_kv<&Kernels::quantize_kv_int8, uint8_t>,
     bench_quantize_kv<&Kernels::quantize_kv_int8, uint8_t>},
    {"quantize_kv_int16", same_entry<&Kernels::quantize_kv_int16>,
     check_quantize_kv<&Kernels::quantize_kv_int16, int16_t>, bench_quantize_kv<&Kernels::quantize_kv_int16, int16_t>},
    {"attention_merge", same_entry<&Kernels::attention_merge>, check_attention_merge, bench_attention_merge},
    {"attention_finish", same_entry<&Kernels::attention_finish>, check_attention_finish, bench_attention_finish},
};

}  // namespace

std::span<const KernelCheck> attention_checks() { return kChecks; }

}  // namespace bitnet
