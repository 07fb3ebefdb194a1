// SPDX-License-Identifier: MIT
#include "verify/reference.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "base/half.h"
#include "base/parallel.h"
#include "engine/linear.h"
#include "groups.h"
#include "handles.h"
#include "planes.h"

namespace bitnet::program {

namespace {

constexpr size_t kChunk = 16;  // rows of a matrix that are unpacked at a time: whole groups and tiles

// Of trits and whole numbers of 8 bits it is exact, as long as a row can be, but for the last rounding to a float.
float dot(const float* a, const float* b, size_t n) {
  std::array<float, 16> sums = {};
  size_t i = 0;
  for (; i + sums.size() <= n; i += sums.size()) {
    for (size_t lane = 0; lane < sums.size(); ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  for (; i < n; ++i) sums[i % sums.size()] += a[i] * b[i];
  return static_cast<float>(std::accumulate(sums.begin(), sums.end(), 0.0));
}

void norm(std::span<float> x, const float* weight, float epsilon) {
  const float factor = 1 / std::sqrt(dot(x.data(), x.data(), x.size()) / static_cast<float>(x.size()) + epsilon);
  for (size_t i = 0; i < x.size(); ++i) x[i] *= factor * weight[i];
}

Rows normed(Rows x, const float* weight, float epsilon) {
  for (size_t t = 0; weight != nullptr && t < x.count(); ++t) norm(x[t], weight, epsilon);
  return x;
}

void unpack_ternary(const Matrix& m, Packing packing, size_t row, size_t count, float* out) {
  std::vector<int8_t> trits(kGroupRows * m.cols);
  const size_t bytes = packed_bytes(packing, kGroupRows, m.cols);
  const auto* packed = static_cast<const uint8_t*>(m.data) + row / kGroupRows * bytes;
  for (size_t r = 0; r < count; r += kGroupRows, packed += bytes) {
    const size_t rows = std::min(kGroupRows, count - r);
    if (!unpack_group(packing, packed, rows, m.cols, trits.data(), m.cols)) throw Stop(kFailure, "an invalid code");
    std::copy_n(trits.data(), rows * m.cols, out + r * m.cols);
  }
}

void unpack_grouped(const Matrix& m, size_t group, size_t row, size_t count, float* out) {
  const size_t groups = groups_per_row(m.cols, group);
  std::vector<int8_t> trits(count * m.cols);
  std::vector<uint16_t> scales(count * groups);
  const auto* const packed = static_cast<const uint8_t*>(m.data) + group_bytes(row, m.cols, group);
  if (!unpack_groups(group, packed, {trits.data(), m.cols, scales.data(), groups, count, m.cols}))
    throw Stop(kFailure, "an invalid code");
  for (size_t i = 0; i < count * m.cols; ++i) {
    const float scale = half_to_float(scales[i / m.cols * groups + i % m.cols / group]);
    out[i] = static_cast<float>(trits[i]) * scale;
  }
}

void unpack_planes(const Matrix& m, Planes planes, size_t row, size_t count, float* out) {
  const auto* const tiles = static_cast<const uint8_t*>(m.data) + planes_bytes(planes, row, m.cols);
  for (size_t r = 0; r < count; ++r) {
    for (size_t col = 0; col < m.cols; ++col) {
      const uint8_t* const tile = tiles + col / kTileCols * tile_bytes(planes);
      const auto scale = static_cast<int8_t>(tile[col % kTileCols / kGroupCols * kTileRows + r]);
      const int code = read_code(planes, tile, r, col % kTileCols) - middle_code(planes);
      out[r * m.cols + col] = static_cast<float>(scale * code);
    }
  }
}

template <typename Number, typename Convert>
void unpack_numbers(const Matrix& m, size_t row, size_t count, float* out, const Convert& convert) {
  const auto* numbers = static_cast<const Number*>(m.data) + row * m.stride;
  for (size_t r = 0; r < count; ++r, numbers += m.stride, out += m.cols)
    std::transform(numbers, numbers + m.cols, out, convert);
}

// Up to kChunk rows from a multiple of it on, without the scale that a row has.
void unpack(const Matrix& m, size_t row, size_t count, float* out) {
  switch (m.numbers) {
    case Numbers::f32:
      return unpack_numbers<float>(m, row, count, out, [](float x) { return x; });
    case Numbers::f16:
      return unpack_numbers<uint16_t>(m, row, count, out, half_to_float);
    case Numbers::int8:
      return unpack_numbers<int8_t>(m, row, count, out, [](int8_t x) { return static_cast<float>(x); });
    case Numbers::q5:
      return unpack_planes(m, Planes::q5, row, count, out);
    case Numbers::q6:
      return unpack_planes(m, Planes::q6, row, count, out);
    case Numbers::i2:
    case Numbers::t5:
      return unpack_ternary(m, *packing_of(m.numbers), row, count, out);
    case Numbers::g128:
    case Numbers::g64:
      return unpack_grouped(m, *group_of(m.numbers), row, count, out);
  }
}

float scale_of(const Matrix& m, size_t row) { return m.scales == nullptr ? 1 : m.scales[m.row_scales ? row : 0]; }

// out[t][row] = dot(weights of the row, x[t]) * (scale of the row * steps[t])
void multiply_matrix(const Matrix& m, const Rows& x, std::span<const float> steps, Rows& out) {
  parallel_for((m.rows + kChunk - 1) / kChunk, [&](size_t chunk) {
    const size_t begin = chunk * kChunk, count = std::min(kChunk, m.rows - begin);
    std::vector<float> weights(count * m.cols);
    unpack(m, begin, count, weights.data());
    for (size_t r = 0; r < count; ++r) {
      const float scale = scale_of(m, begin + r);
      for (size_t t = 0; t < x.count(); ++t)
        out[t][begin + r] = dot(weights.data() + r * m.cols, x[t].data(), m.cols) * (scale * steps[t]);
    }
  });
}

// Activations as BitNet b1.58 was trained with them (arXiv 2402.17764): whole numbers of at most 127 and their step.
float round_to_int8(std::span<float> x) {
  float largest = 1e-5F;
  for (const float value : x) largest = std::max(largest, std::abs(value));
  const float scale = 127 / largest;
  for (float& value : x) value = std::nearbyint(value * scale);
  return 1 / scale;
}

// A key or value of a head as a cache gives it back; or a query, which the kernels of caches of codes round likewise.
void round_as(KvType type, std::span<float> x) {
  const Kernels& kernels = *find_kernels("scalar");
  switch (type) {
    case KvType::f16:
      for (float& value : x) value = half_to_float(float_to_half(value));
      return;
    case KvType::int8: {
      std::vector<uint8_t> codes(x.size());
      const float step = kernels.quantize_kv_int8(x.data(), x.size(), codes.data());
      for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(codes[i] - kKvMiddle) * step;
      return;
    }
    case KvType::int16: {
      std::vector<int16_t> codes(x.size());
      const float step = kernels.quantize_kv_int16(x.data(), x.size(), codes.data());
      for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(codes[i]) * step;
      return;
    }
  }
}

void round_heads(std::optional<KvType> type, Rows& rows, size_t head_dim) {
  if (!type) return;
  for (size_t begin = 0; begin < rows.values.size(); begin += head_dim)
    round_as(*type, std::span(rows.values).subspan(begin, head_dim));
}

// What each expert's output is multiplied by; 0: it is not among the chosen.
std::vector<float> expert_weights(const HyperParameters& hyper, const float* bias, std::span<const float> scores) {
  std::vector<float> probabilities(scores.size()), weights(scores.size());
  const float largest = std::ranges::max(scores);
  float sum = 0;
  for (const float score : scores) sum += std::exp(score - largest);
  for (size_t i = 0; i < scores.size(); ++i) {
    probabilities[i] =
        hyper.gating == Gating::softmax ? std::exp(scores[i] - largest) / sum : 1 / (1 + std::exp(-scores[i]));
  }
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto rank = [&](size_t i) { return probabilities[i] + (bias == nullptr ? 0 : bias[i]); };
  std::ranges::stable_sort(order, std::ranges::greater(), rank);
  order.resize(hyper.experts_used);
  float chosen = 0;
  for (const size_t i : order) chosen += probabilities[i];
  const float divisor = hyper.normalised ? std::max(chosen, 1e-20F) : 1;
  for (const size_t i : order) weights[i] = probabilities[i] / divisor * hyper.expert_scale;
  return weights;
}

}  // namespace

void Reference::run(std::span<const Text> texts, const ReferenceOptions& options, const See& see) const {
  std::vector<Place> places;
  for (const Text& text : texts) {
    const size_t begin = places.size();
    for (size_t i = 0; i < text.tokens.size(); ++i) places.push_back({begin, i});
  }
  const float epsilon = hyper_.rms_epsilon;
  Rows x = embed(texts);
  for (uint32_t i = 0; i < hyper_.layers; ++i) {
    if (options.progress && !options.progress(i)) throw Stop(kInterrupted, "");
    const Layer& layer = model_.layers[i];
    const auto product = [&](const Linear& linear, const Rows& in) { return multiply(linear, in, i, options); };

    const Rows attention_in = normed(x, layer.attention_norm, epsilon);
    Rows q = product(layer.q, attention_in), k = product(layer.k, attention_in), v = product(layer.v, attention_in);
    turn(q, layer.q_norm, i, places);
    turn(k, layer.k_norm, i, places);
    if (options.cache && has_codes(*options.cache)) round_heads(options.cache, q, hyper_.head_dim);
    round_heads(options.cache, k, hyper_.head_dim);
    round_heads(options.cache, v, hyper_.head_dim);
    const Rows mixed = normed(attend(q, k, v, i, places), layer.attention_sub_norm, epsilon);
    add(x, product(layer.o, mixed), layer.attention_post_norm);

    const Rows ffn_in = normed(x, layer.ffn_norm, epsilon);
    const bool experts = layer.router.weights.data != nullptr;
    add(x, experts ? feed_experts(layer, ffn_in, i, options) : feed(layer, ffn_in, i, options), layer.ffn_post_norm);
  }

  for (size_t i = 0, row = 0; i < texts.size(); row += texts[i++].tokens.size()) {
    const size_t count = texts[i].tokens.size() - texts[i].first;
    Rows last(count, hyper_.hidden), logits(count, hyper_.vocabulary);
    for (size_t t = 0; t < count; ++t) std::ranges::copy(x[row + texts[i].first + t], last[t].begin());
    last = normed(last, model_.output_norm, epsilon);
    for (float& value : last.values) value /= hyper_.logit_scale;
    multiply_matrix(model_.head, last, std::vector<float>(count, 1.0F), logits);
    for (size_t t = 0; t < count; ++t) see(i, texts[i].first + t, logits[t]);
  }
}

Rows Reference::embed(std::span<const Text> texts) const {
  const Matrix& m = model_.embedding;
  std::vector<float> rows(kChunk * m.cols);
  const float factor =
      hyper_.architecture->scaled_embedding ? std::sqrt(static_cast<float>(hyper_.hidden)) : hyper_.embedding_scale;
  Rows x(0, hyper_.hidden);
  for (const Text& text : texts) {
    for (const bitnet_token token : text.tokens) {
      const size_t row = static_cast<size_t>(token), begin = row / kChunk * kChunk;
      unpack(m, begin, std::min(kChunk, m.rows - begin), rows.data());
      const float* const from = rows.data() + (row - begin) * m.cols;
      const float scale = scale_of(m, row) * factor;
      for (size_t i = 0; i < m.cols; ++i) x.values.push_back(from[i] * scale);
    }
  }
  return x;
}

Rows Reference::multiply(const Linear& linear, const Rows& x, uint32_t layer, const ReferenceOptions& options) const {
  const Matrix& m = linear.weights;
  const Rows input = normed(x, linear.norm, hyper_.linear_epsilon());
  Rows rounded = input, out(x.count(), m.rows);
  std::vector<float> steps(x.count(), 1.0F);
  if (packing_of(m.numbers)) {
    for (size_t t = 0; t < x.count(); ++t) steps[t] = round_to_int8(rounded[t]);
  }
  multiply_matrix(m, rounded, steps, out);
  if (options.product) options.product({layer, linear, input, out});
  for (size_t t = 0; linear.bias != nullptr && t < x.count(); ++t) {
    for (size_t i = 0; i < m.rows; ++i) out[t][i] += linear.bias[i];
  }
  return out;
}

// Rotary embedding (arXiv 2104.09864): pairs are the two halves of a head, or of its part that is turned.
void Reference::turn(Rows& heads, const float* weight, uint32_t layer, std::span<const Place> places) const {
  const size_t dim = hyper_.head_dim, turned = hyper_.turns(layer) ? hyper_.turned_dim() : 0, half = turned / 2;
  const bool window = hyper_.has_window(layer);
  const float theta = window ? hyper_.window_theta : hyper_.rope_theta, magnitude = window ? 1 : hyper_.rope_magnitude;
  const float* const factors = window ? nullptr : model_.rope_factors;
  for (size_t t = 0; t < heads.count(); ++t) {
    for (size_t begin = 0; begin < heads.width; begin += dim) {
      const std::span<float> head = heads[t].subspan(begin, dim);
      if (weight != nullptr) norm(head, weight, hyper_.rms_epsilon);
      for (size_t i = 0; i < half; ++i) {
        const float power = std::pow(theta, static_cast<float>(2 * i) / static_cast<float>(turned));
        const float frequency = 1 / power / (factors == nullptr ? 1 : factors[i]);
        const float angle = static_cast<float>(places[t].position) * frequency;
        const float cosine = std::cos(angle) * magnitude, sine = std::sin(angle) * magnitude;
        const float a = head[i], b = head[i + half];
        head[i] = a * cosine - b * sine;
        head[i + half] = b * cosine + a * sine;
      }
    }
  }
}

Rows Reference::attend(const Rows& q, const Rows& k, const Rows& v, uint32_t layer,
                       std::span<const Place> places) const {
  const size_t dim = hyper_.head_dim, group = hyper_.heads / hyper_.kv_heads;
  const float scale = hyper_.attention_scale != 0 ? hyper_.attention_scale : 1 / std::sqrt(static_cast<float>(dim));
  const size_t window = hyper_.has_window(layer) ? hyper_.window : SIZE_MAX;
  Rows mixed(q.count(), q.width);
  parallel_for(q.count(), [&](size_t t) {
    const auto [begin, position] = places[t];
    const size_t from = position >= window ? position + 1 - window : 0;
    std::vector<float> weights(position + 1);
    for (size_t head = 0; head < hyper_.heads; ++head) {
      const size_t at = head / group * dim;
      for (size_t p = from; p <= position; ++p)
        weights[p] = dot(q[t].data() + head * dim, k[begin + p].data() + at, dim) * scale;
      const float largest = *std::max_element(weights.begin() + static_cast<std::ptrdiff_t>(from), weights.end());
      float sum = 0;
      for (size_t p = from; p <= position; ++p) sum += weights[p] = std::exp(weights[p] - largest);
      for (size_t p = from; p <= position; ++p) {
        for (size_t i = 0; i < dim; ++i) mixed[t][head * dim + i] += weights[p] / sum * v[begin + p][at + i];
      }
    }
  });
  return mixed;
}

Rows Reference::feed(const Layer& layer, const Rows& x, uint32_t index, const ReferenceOptions& options) const {
  const Rows activated = gated(multiply(layer.gate, x, index, options), multiply(layer.up, x, index, options));
  return multiply(layer.down, normed(activated, layer.ffn_sub_norm, hyper_.rms_epsilon), index, options);
}

// Experts one after the other, each with the tokens that chose it.
Rows Reference::feed_experts(const Layer& layer, const Rows& x, uint32_t index, const ReferenceOptions& options) const {
  Rows scores = multiply(layer.router, x, index, options), y(x.count(), hyper_.hidden);
  std::vector<std::vector<float>> weights(x.count());
  for (size_t t = 0; t < x.count(); ++t) weights[t] = expert_weights(hyper_, layer.expert_bias, scores[t]);
  for (uint32_t expert = 0; expert < hyper_.experts; ++expert) {
    std::vector<size_t> tokens;
    Rows in(0, hyper_.hidden);
    for (size_t t = 0; t < x.count(); ++t) {
      if (weights[t][expert] == 0) continue;
      tokens.push_back(t);
      in.values.insert(in.values.end(), x[t].begin(), x[t].end());
    }
    if (tokens.empty()) continue;
    const auto own = [&](const Linear& all, uint32_t rows) {
      return Linear{rows_of(all.weights, expert * rows, rows), nullptr, all.norm};
    };
    Layer of_expert = layer;
    of_expert.gate = own(layer.gate, hyper_.ffn);
    of_expert.up = own(layer.up, hyper_.ffn);
    of_expert.down = own(layer.down, hyper_.hidden);
    const Rows out = feed(of_expert, in, index, options);
    for (size_t i = 0; i < tokens.size(); ++i) {
      for (size_t d = 0; d < y.width; ++d) y[tokens[i]][d] += weights[tokens[i]][expert] * out[i][d];
    }
  }
  return y;
}

Rows Reference::gated(Rows gate, const Rows& up) const {
  const float limit = hyper_.ffn_limit != 0 ? hyper_.ffn_limit : std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < gate.values.size(); ++i) {
    float& x = gate.values[i];
    x = std::min(x, limit);
    switch (hyper_.activation) {
      case Activation::relu2:
        x = x > 0 ? x * x : 0;
        break;
      case Activation::silu:
        x = x / (1 + std::exp(-x));
        break;
      case Activation::gelu:
        x = 0.5F * x * (1 + std::tanh(0.7978845608F * (x + 0.044715F * x * x * x)));
        break;
    }
    x *= std::clamp(up.values[i], -limit, limit);
  }
  return gate;
}

void Reference::add(Rows& x, const Rows& y, const float* weight) const {
  const Rows added = normed(y, weight, hyper_.rms_epsilon);
  for (size_t i = 0; i < x.values.size(); ++i) x.values[i] += added.values[i] * hyper_.residual_scale;
}

}  // namespace bitnet::program
