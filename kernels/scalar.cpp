// SPDX-License-Identifier: MIT
// The specification of the kernels: every other table gives the bits that this one gives. Nothing here is fast.
#include "layers.h"

namespace bitnet {
namespace {

float as_float(uint32_t bits) { return __builtin_bit_cast(float, bits); }
uint32_t as_bits(float x) { return __builtin_bit_cast(uint32_t, x); }

// The float reduction of kernels.h.
class Lanes {
 public:
  void add(size_t element, float value) { lane_[element % 16] += value; }
  float sum() {
    for (size_t half = 8; half > 0; half /= 2) {
      for (size_t j = 0; j < half; ++j) lane_[j] += lane_[j + half];
    }
    return lane_[0];
  }

 private:
  float lane_[16] = {};
};

// Adding 1.5 * 2^23 leaves no bits for a fraction, so the addition itself rounds to an integer, ties to even.
// For |x| < 2^22; NaN gives 0.
int32_t round_to_int(float x) {
  if (x != x) return 0;
  return static_cast<int32_t>((x + 12582912.0f) - 12582912.0f);
}

// Compared as integers, which orders the magnitudes and puts NaN above all, so that NaN is not lost.
float largest_magnitude(const float* x, size_t n) {
  uint32_t largest = 0;
  for (size_t i = 0; i < n; ++i) {
    const uint32_t magnitude = as_bits(x[i]) & 0x7fffffff;
    if (magnitude > largest) largest = magnitude;
  }
  return as_float(largest);
}

// The larger of the two; NaN if x is.
float at_least(float x, float least) { return x < least ? least : x; }

float step_by_largest(const float* x, size_t n, float least, float most) {
  return at_least(largest_magnitude(x, n), least) / most;
}

f16 f16_from(float x) {
  const uint32_t sign = as_bits(x) >> 16 & 0x8000;
  const uint32_t magnitude = as_bits(x) & 0x7fffffff;
  if (magnitude > 0x7f800000) return static_cast<f16>(sign | 0x7e00 | (magnitude >> 13 & 0x1ff));  // quiet NaN
  if (magnitude >= 0x47800000) return static_cast<f16>(sign | 0x7c00);                             // 2^16 and more
  if (magnitude < 0x38800000) {
    // Below 2^-14: a multiple of 2^-24, which is the last place of the floats from 1/2 to 1.
    const float rounded = as_float(magnitude) + 0.5f;
    return static_cast<f16>(sign | (as_bits(rounded) - as_bits(0.5f)));
  }
  // A carry out of the mantissa raises the exponent, up to infinity, as it should.
  const uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
  return static_cast<f16>(sign | ((rounded >> 13) - ((127 - 15) << 10)));
}

float f32_from(f16 h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16;
  const uint32_t exponent = h >> 10 & 31, mantissa = h & 0x3ff;
  if (exponent == 31) return as_float(sign | 0x7f800000 | (mantissa ? 0x400000 : 0) | mantissa << 13);
  if (exponent == 0) return as_float(sign | as_bits(static_cast<float>(mantissa) * 0x1p-24f));
  return as_float(sign | (exponent + 127 - 15) << 23 | mantissa << 13);
}

// e^x = 2^n * e^r with n = round(x / ln 2) and |r| <= ln(2) / 2; e^r - 1 - r = r^2 * (a polynomial of degree 4).
// The polynomial is a minimax fit; ln 2 is split so that n times its upper part is exact. The error is below 1 ulp.
float exp_of(float x) {
  if (x < -87.3365f) return 0;  // where 2^n would leave the normal numbers
  if (x > 89.0f) x = 89.0f;     // already infinite
  const float shifted = x * 0x1.715476p+0f + 12582912.0f;
  const float n = shifted - 12582912.0f;
  const float r = (x - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
  float p = 0x1.6a23eap-10f;
  p = p * r + 0x1.123a22p-7f;
  p = p * r + 0x1.5558f2p-5f;
  p = p * r + 0x1.555492p-3f;
  p = p * r + 0x1.fffffcp-2f;
  const float e = (p * (r * r) + r) + 1.0f;
  // 2^n in two factors, because n reaches 128. Unsigned, because n is any bits if x is NaN.
  const uint32_t exponent = as_bits(shifted) - as_bits(12582912.0f);
  const uint32_t half = static_cast<uint32_t>(static_cast<int32_t>(exponent) >> 1);
  return e * as_float((half + 127) << 23) * as_float((exponent - half + 127) << 23);
}

void rms_norm(const float* x, const float* weight, float eps, size_t n, float* y) {
  Lanes squares;
  for (size_t i = 0; i < n; ++i) squares.add(i, x[i] * x[i]);
  const float mean = squares.sum() / static_cast<float>(n);
  const float factor = 1.0f / __builtin_sqrtf(mean + eps);
  for (size_t i = 0; i < n; ++i) y[i] = (x[i] * factor) * weight[i];
}

float quantize(Packing p, const float* x, size_t n, int8_t* q) {
  const size_t per_byte = weights_per_byte(p), per_block = weights_per_block(p), padded = padded_cols(p, n);
  const float scale = 127.0f / at_least(largest_magnitude(x, n), 1e-5f);
  for (size_t k = 0; k < padded; ++k) {
    const size_t within = k % per_block, i = within % per_byte, j = within / per_byte;
    q[k - within + kBlockBytes * i + j] = k < n ? static_cast<int8_t>(round_to_int(x[k] * scale)) : 0;
  }
  return 1.0f / scale;
}

// The digits of one byte, in the order of the weights.
struct I2Digits {
  static constexpr size_t count = 4;
  unsigned byte;
  int32_t next() {
    const unsigned digit = byte & 3;
    byte >>= 2;
    return static_cast<int32_t>(digit);
  }
};
struct T5Digits {
  static constexpr size_t count = 5;
  unsigned byte;
  int32_t next() {
    const unsigned digit = 3 * byte >> 8;
    byte = 3 * byte & 255;
    return static_cast<int32_t>(digit);
  }
};

template <typename Digits>
int32_t dot_row(const TernaryProduct& p, size_t row, const int8_t* q) {
  int32_t sum = 0;
  for (size_t block = 0; block < p.blocks; ++block, q += Digits::count * kBlockBytes) {
    const uint8_t* bytes = p.weights + ((row / 4 * p.blocks + block) * 4 + row % 4) * kBlockBytes;
    for (size_t j = 0; j < kBlockBytes; ++j) {
      Digits digits{bytes[j]};
      for (size_t i = 0; i < Digits::count; ++i) sum += (digits.next() - 1) * q[kBlockBytes * i + j];
    }
  }
  return sum;
}

template <typename Digits>
void ternary(const TernaryProduct& p) {
  const size_t cols = p.blocks * Digits::count * kBlockBytes;
  for (size_t row = p.row_begin; row < p.row_end; ++row) {
    const float scale = p.scales[p.row_scales ? row : 0];
    for (size_t t = 0; t < p.tokens; ++t) {
      const int32_t sum = dot_row<Digits>(p, row, p.activations + t * cols);
      p.out[t * p.out_stride + row] = static_cast<float>(sum) * (scale * p.steps[t]);
    }
  }
}

float number(f16 x) { return f32_from(x); }
float number(float x) { return x; }

template <typename T>
void dense(const HeadProduct& p) {
  for (size_t row = p.row_begin; row < p.row_end; ++row) {
    const T* weights = static_cast<const T*>(p.weights) + row * p.stride;
    for (size_t t = 0; t < p.tokens; ++t) {
      const float* x = p.x + t * p.x_stride;
      Lanes products;
      for (size_t i = 0; i < p.cols; ++i) products.add(i, number(weights[i]) * x[i]);
      p.out[t * p.out_stride + row] = products.sum();
    }
  }
}

void head_int8(const HeadProduct& p) {
  for (size_t t = 0; t < p.tokens; ++t) {
    const float* x = p.x + t * p.x_stride;
    const float step = at_least(largest_magnitude(x, p.cols), 1e-30f) / 32767.0f;
    const float inverse = 1.0f / step;
    for (size_t row = p.row_begin; row < p.row_end; ++row) {
      const int8_t* weights = static_cast<const int8_t*>(p.weights) + row * p.stride;
      int64_t sum = 0;
      for (size_t i = 0; i < p.cols; ++i) sum += weights[i] * round_to_int(x[i] * inverse);
      p.out[t * p.out_stride + row] = static_cast<float>(sum) * (p.scales[row] * step);
    }
  }
}

template <Planes planes>
void head_planes(const HeadProduct& p) {
  const size_t tiles = tiles_per_row(p.cols);
  for (size_t t = 0; t < p.tokens; ++t) {
    const float* x = p.x + t * p.x_stride;
    const float step = at_least(largest_magnitude(x, p.cols), 1e-30f) / 32639.0f;
    const float inverse = 1.0f / step;
    for (size_t row = p.row_begin; row < p.row_end; ++row) {
      const uint8_t* tile = static_cast<const uint8_t*>(p.weights) + row / kTileRows * tiles * tile_bytes(planes);
      float sum = 0;
      for (size_t begin = 0; begin < tiles * kTileCols; begin += run_cols(planes)) {
        int32_t products = 0;
        for (size_t k = begin; k < begin + run_cols(planes) && k < p.cols; ++k) {
          const size_t within = k % kTileCols;
          const auto scale = static_cast<int8_t>(tile[within / kGroupCols * kTileRows + row % kTileRows]);
          const int code = read_code(planes, tile, row % kTileRows, within) - middle_code(planes);
          products += scale * code * round_to_int(x[k] * inverse);
        }
        sum += static_cast<float>(products);
        if ((begin + run_cols(planes)) % kTileCols == 0) tile += tile_bytes(planes);
      }
      p.out[t * p.out_stride + row] = sum * (p.scales[row] * step);
    }
  }
}

void quantize_groups(const float* x, size_t n, size_t group, void* activations) {
  auto* tile = static_cast<GroupActivations*>(activations);
  for (size_t begin = 0; begin < n; begin += kGroupTileCols, ++tile) {
    *tile = {};
    for (size_t first = begin; first < n && first < begin + kGroupTileCols; first += group) {
      const size_t count = n - first < group ? n - first : group, g = (first - begin) / group;
      const float step = step_by_largest(x + first, count, 1e-30f, 32639.0f), inverse = 1.0f / step;
      for (size_t i = 0; i < count; ++i) {
        const int32_t q = round_to_int(x[first + i] * inverse), upper = (q + 128) >> 8;
        tile->upper[first - begin + i] = static_cast<int8_t>(upper);
        tile->lower[first - begin + i] = static_cast<int8_t>(q - 256 * upper);
        tile->sums[g] += q;
      }
      tile->steps[g] = step;
    }
  }
}

// A row of a matrix whose columns share scales in groups.
class GroupRow {
 public:
  GroupRow(const uint8_t* weights, size_t cols, size_t group, size_t row)
      : first_tile_(weights + group_bytes(row / kGroupTileRows * kGroupTileRows, cols, group)),
        group_(group),
        row_(row % kGroupTileRows) {}
  int32_t trit(size_t col) const {
    const GroupCodePlace at = group_code_place(row_, col % kGroupTileCols);
    return (tile(col)[group_scale_bytes(group_) + at.byte] >> at.shift & 3) - 1;
  }
  float scale(size_t col) const {
    f16 scale;
    const size_t at = col % kGroupTileCols / group_ * kGroupTileRows + row_;
    __builtin_memcpy(&scale, tile(col) + at * sizeof scale, sizeof scale);
    return f32_from(scale);
  }

 private:
  const uint8_t* tile(size_t col) const { return first_tile_ + col / kGroupTileCols * group_tile_bytes(group_); }

  const uint8_t* const first_tile_;
  const size_t group_, row_;
};

void multiply_groups(const GroupProduct& p) {
  for (size_t t = 0; t < p.tokens; ++t) {
    const auto* tiles =
        reinterpret_cast<const GroupActivations*>(static_cast<const uint8_t*>(p.activations) + t * p.activation_stride);
    for (size_t r = p.row_begin; r < p.row_end; ++r) {
      const GroupRow row(p.weights, p.cols, p.group, r);
      float sum = 0;
      for (size_t first = 0; first < p.cols; first += p.group) {
        int32_t products = 0;
        for (size_t col = first; col < first + p.group && col < p.cols; ++col) {
          const GroupActivations& a = tiles[col / kGroupTileCols];
          const size_t at = col % kGroupTileCols;
          products += row.trit(col) * (256 * a.upper[at] + a.lower[at]);
        }
        const float step = tiles[first / kGroupTileCols].steps[first % kGroupTileCols / p.group];
        sum += static_cast<float>(products) * (row.scale(first) * step);
      }
      p.out[t * p.out_stride + r] = sum * p.scales[p.row_scales ? r : 0];
    }
  }
}

void groups_to_f32(const uint8_t* weights, size_t cols, size_t group, size_t row, float scale, float* y) {
  const GroupRow from(weights, cols, group, row);
  for (size_t i = 0; i < cols; ++i) y[i] = static_cast<float>(from.trit(i)) * (scale * from.scale(i));
}

// Of the 23 bits of a float's mantissa 11 go. A carry out of the mantissa raises the exponent, as it should.
float rounded_activation(float x) {
  const uint32_t magnitude = as_bits(x) & 0x7fffffff, sign = as_bits(x) & 0x80000000;
  if (magnitude > as_bits(__builtin_inff())) return x;
  if (magnitude < as_bits(0x1p-100f)) return as_float(sign);
  const uint32_t rounded = (magnitude + 0x3ff + (magnitude >> 11 & 1)) & ~uint32_t{0x7ff};
  return as_float(sign | (rounded < as_bits(0x1p112f) ? rounded : as_bits(__builtin_inff())));
}
void round_activations(const float* x, size_t n, float* y) {
  for (size_t i = 0; i < n; ++i) y[i] = rounded_activation(x[i]);
}

void rope(float* x, size_t heads, size_t head_dim, const float* cosines, const float* sines) {
  const size_t half = head_dim / 2;
  for (size_t head = 0; head < heads; ++head, x += head_dim) {
    for (size_t i = 0; i < half; ++i) {
      const float a = x[i], b = x[i + half];
      x[i] = a * cosines[i] - b * sines[i];
      x[i + half] = b * cosines[i] + a * sines[i];
    }
  }
}

float exp_sum(const float* x, float shift, size_t n, float* p) {
  Lanes sum;
  for (size_t i = 0; i < n; ++i) {
    p[i] = exp_of(x[i] - shift);
    sum.add(i, p[i]);
  }
  return sum.sum();
}

// A state of attention, by name.
struct AttentionState {
  float* values;
  float* largest;
  float* sum;
  AttentionState(float* state, size_t head_dim)
      : values(state), largest(state + value_stride(head_dim)), sum(largest + 1) {}
};

// What a row sees of a block: the positions from `begin` below `end`.
struct Seen {
  size_t begin, end;
};

// The scores of the positions of a block become weights; of those before `begin`, 0. Returns what earlier sums are
// multiplied by.
float weigh(float* scores, Seen seen, AttentionState state) {
  const size_t count = seen.end;
  for (size_t position = 0; position < seen.begin; ++position) scores[position] = -__builtin_inff();
  float largest = *state.largest;
  for (size_t position = 0; position < count; ++position) {
    if (scores[position] > largest) largest = scores[position];
  }
  largest += 0.0f;  // a zero is +0, whichever was first
  const float factor = exp_of(*state.largest - largest);
  *state.largest = largest;
  *state.sum = *state.sum * factor + exp_sum(scores, largest, count, scores);
  return factor;
}

void attend_f16(const Attention& a, size_t block, Seen seen, const float* q, AttentionState state) {
  const size_t count = seen.end;
  const auto* keys = static_cast<const f16*>(a.keys[block]);
  const auto* values = static_cast<const f16*>(a.values[block]);
  float weights[kKvBlock];
  for (size_t position = 0; position < count; ++position) {
    float score = 0;
    for (size_t d = 0; d < a.head_dim; ++d) score += (q[d] * a.scale) * f32_from(keys[d * kKvBlock + position]);
    weights[position] = score;
  }
  const float factor = weigh(weights, seen, state);
  for (size_t d = 0; d < value_stride(a.head_dim); ++d) {
    float sum = state.values[d] * factor;
    for (size_t position = 0; position < count; ++position) {
      sum += weights[position] * f32_from(values[position * value_stride(a.head_dim) + d]);
    }
    state.values[d] = sum;
  }
}

float step_by_norm(const float* x, size_t n) {
  Lanes squares;
  for (size_t i = 0; i < n; ++i) squares.add(i, x[i] * x[i]);
  return at_least(__builtin_sqrtf(squares.sum()) / 46000.0f, step_by_largest(x, n, 1e-15f, 32767.0f));
}
float step_by_sum(const float* x, size_t n) {
  Lanes magnitudes;
  for (size_t i = 0; i < n; ++i) magnitudes.add(i, __builtin_fabsf(x[i]));
  return at_least(magnitudes.sum() / 65000.0f, step_by_largest(x, n, 1e-30f, 32767.0f));
}

// Code i of a word, as a factor.
template <KvType type>
int32_t code_at(const uint8_t* words, size_t word, size_t i) {
  if (has_byte_codes(type)) return words[word * sizeof(uint32_t) + i] - kKvMiddle;
  int16_t code;
  __builtin_memcpy(&code, words + word * sizeof(uint32_t) + i * sizeof code, sizeof code);
  return code;
}

template <KvType type>
void attend_codes(const Attention& a, size_t block, Seen seen, const float* q, AttentionState state) {
  const size_t count = seen.end;
  const size_t width = value_stride(a.head_dim);
  const auto* keys = static_cast<const uint8_t*>(a.keys[block]);
  const auto* values = static_cast<const uint8_t*>(a.values[block]);
  float key_steps[kKvBlock], value_steps[kKvBlock];
  __builtin_memcpy(key_steps, keys + key_steps_at(type, a.head_dim), sizeof key_steps);
  __builtin_memcpy(value_steps, values + value_steps_at(type, a.head_dim), sizeof value_steps);

  float scaled[kMostHeadDim] = {}, weights[kKvBlock];
  for (size_t d = 0; d < a.head_dim; ++d) scaled[d] = q[d] * a.scale;
  const float query_step =
      has_byte_codes(type) ? step_by_largest(scaled, a.head_dim, 1e-30f, 127.0f) : step_by_norm(scaled, a.head_dim);
  const float inverse = 1.0f / query_step;
  const size_t words = key_words(type, a.head_dim);
  for (size_t position = 0; position < count; ++position) {
    uint32_t sum = 0;
    for (size_t d = 0; d < a.head_dim; ++d) {
      const int32_t key = code_at<type>(keys, d % words * kKvBlock + position, d / words);
      sum += static_cast<uint32_t>(round_to_int(scaled[d] * inverse) * key);
    }
    weights[position] = static_cast<float>(static_cast<int32_t>(sum)) * (query_step * key_steps[position]);
  }
  const float factor = weigh(weights, seen, state);
  for (size_t position = 0; position < count; ++position) weights[position] *= value_steps[position];
  const float step =
      has_byte_codes(type) ? step_by_largest(weights, count, 1e-30f, 32767.0f) : step_by_sum(weights, count);
  const float inverse_weight = 1.0f / step;
  for (size_t d = 0; d < width; ++d) {
    uint32_t sum = 0;
    for (size_t position = 0; position < count; ++position) {
      const size_t word = position % value_words(type), within = position / value_words(type);
      const int32_t value = code_at<type>(values, word * width + d, within);
      sum += static_cast<uint32_t>(round_to_int(weights[position] * inverse_weight) * value);
    }
    state.values[d] = state.values[d] * factor + static_cast<float>(static_cast<int32_t>(sum)) * step;
  }
}

template <void attend(const Attention&, size_t block, Seen seen, const float* q, AttentionState)>
void attention(const Attention& a) {
  for (size_t i = 0; i < a.rows * a.group; ++i) {
    const size_t row = i / a.group, head = i % a.group;
    float* memory = a.states + i * attention_state_floats(a.head_dim);
    for (size_t d = 0; d < attention_state_floats(a.head_dim); ++d) memory[d] = 0;
    const AttentionState state(memory, a.head_dim);
    *state.largest = -__FLT_MAX__;
    const size_t length = a.length + row, end = length < kKvSplit ? length : kKvSplit;
    const size_t first = length > a.window ? length - a.window : 0;
    for (size_t begin = first / kKvBlock * kKvBlock; begin < end; begin += kKvBlock) {
      const Seen seen = {first > begin ? first - begin : 0, end - begin < kKvBlock ? end - begin : kKvBlock};
      attend(a, begin / kKvBlock, seen, a.q + row * a.q_stride + head * a.head_dim, state);
    }
  }
}

float quantize_kv_int8(const float* x, size_t n, uint8_t* codes) {
  const float step = step_by_largest(x, n, 1e-30f, 127.0f), inverse = 1.0f / step;
  for (size_t i = 0; i < n; ++i) codes[i] = static_cast<uint8_t>(kKvMiddle + round_to_int(x[i] * inverse));
  return step;
}

float quantize_kv_int16(const float* x, size_t n, int16_t* codes) {
  const float step = step_by_norm(x, n), inverse = 1.0f / step;
  for (size_t i = 0; i < n; ++i) codes[i] = static_cast<int16_t>(round_to_int(x[i] * inverse));
  return step;
}

void attention_merge(float* state_memory, const float* next_memory, size_t head_dim) {
  const AttentionState state(state_memory, head_dim), next(const_cast<float*>(next_memory), head_dim);
  const float largest = *next.largest > *state.largest ? *next.largest : *state.largest;
  const float factor = exp_of(*state.largest - largest), next_factor = exp_of(*next.largest - largest);
  for (size_t d = 0; d < value_stride(head_dim); ++d) {
    state.values[d] = state.values[d] * factor + next.values[d] * next_factor;
  }
  *state.largest = largest;
  *state.sum = *state.sum * factor + *next.sum * next_factor;
}

void attention_finish(const float* state, size_t head_dim, float* out) {
  const float sum = state[value_stride(head_dim) + 1];
  for (size_t d = 0; d < head_dim; ++d) out[d] = state[d] / sum;
}

void gate_relu2(const float* gate, const float* up, size_t n, float* y) {
  for (size_t i = 0; i < n; ++i) {
    const float positive = at_least(gate[i], 0);
    y[i] = (positive * positive) * up[i];
  }
}

void gate_silu(const float* gate, const float* up, size_t n, float* y) {
  for (size_t i = 0; i < n; ++i) y[i] = (gate[i] / (1.0f + exp_of(-gate[i]))) * up[i];
}

void gate_gelu(const float* gate, const float* up, size_t n, float* y) {
  for (size_t i = 0; i < n; ++i) {
    const float z = gate[i] * (kGeluLinear + kGeluCubic * (gate[i] * gate[i]));
    y[i] = (gate[i] / (1.0f + exp_of(-z))) * up[i];
  }
}

void add(float* x, const float* y, size_t n) {
  for (size_t i = 0; i < n; ++i) x[i] += y[i];
}

void to_f16(const float* x, size_t n, f16* y) {
  for (size_t i = 0; i < n; ++i) y[i] = f16_from(x[i]);
}

void to_f32(const f16* x, size_t n, float* y) {
  for (size_t i = 0; i < n; ++i) y[i] = f32_from(x[i]);
}

}  // namespace

constexpr KernelLayer scalar_layer = {
    .kernels =
        {
            .name = "scalar",
            .ternary = {.i2 = {.prepared = SIZE_MAX, .multiply = ternary<I2Digits>},  // never
                        .t5 = {.prepared = SIZE_MAX, .multiply = ternary<T5Digits>},
                        .tile_tokens = 32,
                        .tokens_at_a_time = 128},
            .rms_norm = rms_norm,
            .quantize = quantize,
            .head_f16 = dense<f16>,
            .head_int8 = head_int8,
            .head_q5 = head_planes<Planes::q5>,
            .head_q6 = head_planes<Planes::q6>,
            .quantize_groups = quantize_groups,
            .multiply_groups = multiply_groups,
            .groups_to_f32 = groups_to_f32,
            .round_activations = round_activations,
            .dense_f16 = dense<f16>,
            .dense_f32 = dense<float>,
            .rope = rope,
            .attention_f16 = attention<attend_f16>,
            .attention_int8 = attention<attend_codes<KvType::int8>>,
            .attention_int16 = attention<attend_codes<KvType::int16>>,
            .quantize_kv_int8 = quantize_kv_int8,
            .quantize_kv_int16 = quantize_kv_int16,
            .attention_merge = attention_merge,
            .attention_finish = attention_finish,
            .gate_relu2 = gate_relu2,
            .gate_silu = gate_silu,
            .gate_gelu = gate_gelu,
            .add = add,
            .to_f16 = to_f16,
            .to_f32 = to_f32,
            .exp_sum = exp_sum,
        },
};

}  // namespace bitnet
