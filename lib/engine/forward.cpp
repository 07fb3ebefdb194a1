// SPDX-License-Identifier: MIT
#include "engine/forward.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <utility>

namespace bitnet {
namespace {

// Rows whose logits are computed in one pass over the head.
constexpr uint32_t kHeadRows = 16;
// What a thread takes of a ternary product at a time. Of few tokens, some rows: enough bytes to read straight on, few
// enough to balance. Of many, some tokens and, if those go round, all rows, as the kernels' tables of sums cost the
// same for any number of rows.
constexpr uint32_t kFewRows = 128;
constexpr uint32_t kManyTokens = 12;
constexpr uint32_t kTokensAtATime = 64;
constexpr uint32_t kHeadChunk = 512;

constexpr size_t round_up(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

}  // namespace

ForwardPass::Layout::Layout(const HyperParameters& hyper, uint32_t threads, uint32_t batch, uint32_t session_context)
    : widest(std::max({hyper.hidden, hyper.heads * hyper.head_dim, hyper.ffn})),
      attention(hyper.heads * hyper.head_dim),
      kv(hyper.kv_heads * hyper.head_dim),
      context(static_cast<uint32_t>(round_up(session_context, 16))) {
  size_t end = 0;
  auto take = [&end](size_t rows, size_t row_bytes) {
    const size_t begin = end;
    end += round_up(rows * row_bytes, 64);
    return begin;
  };
  x = take(batch, hyper.hidden * sizeof(float));
  cosines = take(batch, hyper.head_dim / 2 * sizeof(float));
  sines = take(batch, hyper.head_dim / 2 * sizeof(float));
  steps = take(batch, sizeof(float));
  quantized = take(batch, std::max(padded_cols(Packing::i2, widest), padded_cols(Packing::t5, widest)));
  const size_t shared = end;
  q = take(batch, attention * sizeof(float));
  k = take(batch, kv * sizeof(float));
  v = take(batch, kv * sizeof(float));
  mixed = take(batch, attention * sizeof(float));
  const size_t attention_end = std::exchange(end, shared);
  gate = take(batch, hyper.ffn * sizeof(float));
  up = take(batch, hyper.ffn * sizeof(float));
  const size_t ffn_end = std::exchange(end, shared);
  y = take(batch, hyper.hidden * sizeof(float));
  end = std::max({attention_end, ffn_end, end});
  normed = take(threads, widest * sizeof(float));
  scores = take(threads, context * sizeof(float));
  scratch_bytes = round_up(std::max(kTernaryScratchBytes, 2 * kHeadRows * round_up(hyper.hidden, 64)), 64);
  scratch = take(threads, scratch_bytes);
  last = take(kHeadRows, hyper.hidden * sizeof(float));
  logits = take(kHeadRows, hyper.vocabulary * sizeof(float));
  total = end;
}

uint64_t ForwardPass::bytes(const HyperParameters& hyper, uint32_t threads, uint32_t batch, uint32_t context) {
  return Layout(hyper, threads, batch, context).total;
}

ForwardPass::ForwardPass(const Model& model, const Kernels& kernels, ThreadPool& threads, uint32_t batch,
                         uint32_t context)
    : model_(model),
      hyper_(model.hyper),
      kernels_(kernels),
      threads_(threads),
      rope_(model.hyper.head_dim, model.hyper.rope_theta),
      layout_(model.hyper, threads.width(), batch, context),
      memory_(layout_.total),
      x_(floats(layout_.x)),
      cosines_(floats(layout_.cosines)),
      sines_(floats(layout_.sines)),
      steps_(floats(layout_.steps)),
      q_(floats(layout_.q)),
      k_(floats(layout_.k)),
      v_(floats(layout_.v)),
      mixed_(floats(layout_.mixed)),
      gate_(floats(layout_.gate)),
      up_(floats(layout_.up)),
      y_(floats(layout_.y)),
      quantized_(reinterpret_cast<int8_t*>(memory_.data() + layout_.quantized)) {}

bool ForwardPass::run(std::span<const Row> rows, const std::function<bool()>& cancelled) {
  rows_ = rows;
  for (uint32_t i = 0; i < hyper_.layers; i++) {
    if (cancelled()) return false;
    layer(model_.layers[i], i);
  }
  if (cancelled()) return false;
  logits();
  return true;
}

// One block of the transformer: BitNet b1.58 2B4T (arXiv 2504.12285), section 2; each multiply() is a BitLinear.
void ForwardPass::layer(const Layer& layer, uint32_t index) {
  norm_quantize(index == 0 ? &ForwardPass::embedded : &ForwardPass::added, layer.attention_norm, hyper_.hidden,
                layer.q.packing);
  multiply({{layer.q, q_}, {layer.k, k_}, {layer.v, v_}});
  rotate_and_store(index);
  attend(index);
  norm_quantize(&ForwardPass::attended, layer.attention_sub_norm, layout_.attention, layer.o.packing);
  multiply({{layer.o, y_}});

  norm_quantize(&ForwardPass::added, layer.ffn_norm, hyper_.hidden, layer.gate.packing);
  multiply({{layer.gate, gate_}, {layer.up, up_}});
  norm_quantize(&ForwardPass::activated, layer.ffn_sub_norm, hyper_.ffn, layer.down.packing);
  multiply({{layer.down, y_}});
}

// The residual stream as it begins, and with it what attention needs to know of the row's position.
float* ForwardPass::embedded(uint32_t t) {
  const auto* table = static_cast<const f16*>(model_.embedding.data);
  const size_t half = hyper_.head_dim / 2;
  float* const x = x_ + size_t{t} * hyper_.hidden;
  kernels_.to_f32(table + static_cast<size_t>(rows_[t].token) * model_.embedding.stride, hyper_.hidden, x);
  rope_.angles(rows_[t].position, cosines_ + t * half, sines_ + t * half);
  return x;
}

// The residual stream with what the latest product adds to it.
float* ForwardPass::added(uint32_t t) {
  float* const x = x_ + size_t{t} * hyper_.hidden;
  kernels_.add(x, y_ + size_t{t} * hyper_.hidden, hyper_.hidden);
  return x;
}

float* ForwardPass::attended(uint32_t t) { return mixed_ + size_t{t} * layout_.attention; }

float* ForwardPass::activated(uint32_t t) {
  float* const gate = gate_ + size_t{t} * hyper_.ffn;
  const float* const up = up_ + size_t{t} * hyper_.ffn;
  (hyper_.activation == Activation::relu2 ? kernels_.gate_relu2 : kernels_.gate_silu)(gate, up, hyper_.ffn, gate);
  return gate;
}

// RMSNorm of rows of n floats, rounded to int8 in the order that products of `packing` read. A row is made, normed and
// rounded by one thread at one go, while the nearest caches hold it.
void ForwardPass::norm_quantize(RowOf row, const float* weight, uint32_t n, Packing packing) {
  quantized_stride_ = padded_cols(packing, n);
  each_row([&](uint32_t t, uint32_t worker) {
    float* normed = floats(layout_.normed) + size_t{worker} * layout_.widest;
    kernels_.rms_norm((this->*row)(t), weight, hyper_.rms_epsilon, n, normed);
    steps_[t] = kernels_.quantize(packing, normed, n, quantized_ + t * quantized_stride_);
  });
}

// Products of ternary matrices, all of the same columns, with the quantized activations of every row.
void ForwardPass::multiply(std::initializer_list<Product> products) {
  const auto tokens = static_cast<uint32_t>(rows_.size());
  const uint32_t parts = (tokens + kTokensAtATime - 1) / kTokensAtATime;  // of the tokens
  auto grain = [&](const TernaryMatrix& matrix) {
    if (tokens < kManyTokens) return kFewRows;
    const uint32_t row_parts = (threads_.width() + parts - 1) / parts;
    const uint32_t rows = (matrix.rows + row_parts - 1) / row_parts;
    return std::max(kFewRows, static_cast<uint32_t>(round_up(rows, kGroupRows)));
  };
  auto chunks = [&](const TernaryMatrix& matrix) { return (matrix.rows + grain(matrix) - 1) / grain(matrix) * parts; };
  uint32_t count = 0;
  for (const Product& product : products) count += chunks(product.matrix);

  each(count, [&](uint32_t chunk, uint32_t worker) {
    const Product* product = products.begin();
    for (; chunk >= chunks(product->matrix); product++) chunk -= chunks(product->matrix);
    const TernaryMatrix& m = product->matrix;
    const uint32_t begin = chunk / parts * grain(m);
    const uint32_t token = chunk % parts * kTokensAtATime;
    const TernaryProduct task = {
        .weights = m.data,
        .blocks = blocks_per_row(m.packing, m.cols),
        .row_begin = begin,
        .row_end = std::min(begin + grain(m), m.rows),
        .scales = m.scales,
        .row_scales = m.row_scales,
        .activations = quantized_ + token * quantized_stride_,
        .steps = steps_ + token,
        .tokens = std::min(kTokensAtATime, tokens - token),
        .out = product->out + size_t{token} * m.rows,
        .out_stride = m.rows,
        .scratch = scratch(worker),
    };
    (m.packing == Packing::i2 ? kernels_.ternary_i2 : kernels_.ternary_t5)(task);
  });
}

// Turns queries and keys by their positions; keys and values go to the cache.
void ForwardPass::rotate_and_store(uint32_t layer) {
  const size_t dim = hyper_.head_dim;
  each_row([&](uint32_t t, uint32_t) {
    const Row& row = rows_[t];
    const float* cosines = cosines_ + t * (dim / 2);
    const float* sines = sines_ + t * (dim / 2);
    float* k = k_ + size_t{t} * layout_.kv;
    const float* v = v_ + size_t{t} * layout_.kv;
    kernels_.rope(q_ + size_t{t} * layout_.attention, hyper_.heads, dim, cosines, sines);
    kernels_.rope(k, hyper_.kv_heads, dim, cosines, sines);
    for (uint32_t h = 0; h < hyper_.kv_heads; h++) {
      kernels_.to_f16(k + h * dim, dim, row.cache->keys(layer, h) + row.position * dim);
      kernels_.to_f16(v + h * dim, dim, row.cache->values(layer, h) + row.position * dim);
    }
  });
}

// Each query head of each row over the keys and values up to its own position; query heads share them in groups.
void ForwardPass::attend(uint32_t layer) {
  const size_t dim = hyper_.head_dim;
  const uint32_t group = hyper_.heads / hyper_.kv_heads;
  const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
  each(static_cast<uint32_t>(rows_.size()) * hyper_.kv_heads, [&](uint32_t i, uint32_t worker) {
    const uint32_t t = i / hyper_.kv_heads, kv_head = i % hyper_.kv_heads;
    const Row& row = rows_[t];
    for (uint32_t h = kv_head * group; h < (kv_head + 1) * group; h++) {
      const size_t at = size_t{t} * layout_.attention + h * dim;
      kernels_.attention({
          .q = q_ + at,
          .keys = row.cache->keys(layer, kv_head),
          .values = row.cache->values(layer, kv_head),
          .kv_stride = dim,
          .length = row.position + size_t{1},
          .head_dim = dim,
          .scale = scale,
          .scores = floats(layout_.scores) + size_t{worker} * layout_.context,
          .out = mixed_ + at,
      });
    }
  });
}

// The output head, for the rows that want it, kHeadRows at a time.
void ForwardPass::logits() {
  const PlainMatrix& m = model_.head;
  const auto product = m.type == PlainMatrix::Type::f16 ? kernels_.head_f16 : kernels_.head_int8;
  float* last = floats(layout_.last);
  float* out = floats(layout_.logits);
  float* wanted[kHeadRows];
  for (size_t t = 0; t < rows_.size();) {
    uint32_t tokens = 0;
    for (; t < rows_.size() && tokens < kHeadRows; t++) {
      if (rows_[t].logits == nullptr) continue;
      kernels_.rms_norm(added(static_cast<uint32_t>(t)), model_.output_norm, hyper_.rms_epsilon, hyper_.hidden,
                        last + size_t{tokens} * hyper_.hidden);
      wanted[tokens++] = rows_[t].logits;
    }
    if (tokens == 0) return;
    each((m.rows + kHeadChunk - 1) / kHeadChunk, [&](uint32_t chunk, uint32_t worker) {
      product({
          .weights = m.data,
          .scales = m.scales,
          .cols = m.cols,
          .stride = m.stride,
          .row_begin = size_t{chunk} * kHeadChunk,
          .row_end = std::min<size_t>(size_t{chunk + 1} * kHeadChunk, m.rows),
          .x = last,
          .x_stride = hyper_.hidden,
          .tokens = tokens,
          .out = out,
          .out_stride = m.rows,
          .scratch = scratch(worker),
      });
    });
    for (uint32_t i = 0; i < tokens; i++) {
      std::memcpy(wanted[i], out + size_t{i} * m.rows, m.rows * sizeof(float));
    }
  }
}

template <typename Function>
void ForwardPass::each_row(const Function& function) {
  each(static_cast<uint32_t>(rows_.size()), function);
}

template <typename Function>
void ForwardPass::each(uint32_t count, const Function& function) {
  std::atomic<uint32_t> next{0};
  threads_.run(std::min(count, threads_.width()), [&](uint32_t worker) {
    for (uint32_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) function(i, worker);
  });
}

}  // namespace bitnet
