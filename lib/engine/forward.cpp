// SPDX-License-Identifier: MIT
#include "engine/forward.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/round_up.h"
#include "engine/elementwise.h"

namespace bitnet {
namespace {

// Queries that share the keys and values of a tile: enough that converting these costs little, few enough that the
// tile's states stay in a core's own cache.
constexpr uint32_t kTileQueries = 128;
// Splits of rows alone whose states are kept at a time. Sequences of 32768 tokens fit; longer ones take another wave.
constexpr uint32_t kSplitSlots = 64;
// Up to so many states are merged by the calling thread, which takes less time than to call the others.
constexpr uint32_t kFewMerges = 128;

// Of a token, for whichever matrix of a layer takes most.
size_t most_activation_bytes(const Layer& layer) {
  const Matrix& router = layer.router.weights;
  size_t most = router.data == nullptr ? 0 : Activations::bytes(router.numbers, router.cols);
  for (const auto linear : kLinears) {
    const Matrix& m = (layer.*linear).weights;
    most = std::max(most, Activations::bytes(m.numbers, m.cols));
  }
  return round_up(most, 64);
}

size_t most_scratch_bytes(const Layer& layer) {
  const Matrix& router = layer.router.weights;
  size_t most = router.data == nullptr ? 0 : product_scratch_bytes(router.numbers, router.cols);
  for (const auto linear : kLinears) {
    const Matrix& m = (layer.*linear).weights;
    most = std::max(most, product_scratch_bytes(m.numbers, m.cols));
  }
  return most;
}

// What attention works in, over a cache of whichever kind takes most.
size_t attention_bytes(size_t queries, size_t head_dim) {
  size_t most = 0;
  for (uint8_t i = 0; is_known(static_cast<KvType>(i)); i++) {
    most = std::max(most, attention_scratch_bytes(static_cast<KvType>(i), queries, head_dim));
  }
  return most;
}

auto attention_kernel(const Kernels& kernels, KvType type) {
  switch (type) {
    case KvType::f16:
      return kernels.attention_f16;
    case KvType::int8:
      return kernels.attention_int8;
    case KvType::int16:
      return kernels.attention_int16;
  }
  return kernels.attention_f16;
}

// By which an embedding is multiplied as it enters the residual stream.
float embedding_factor(const HyperParameters& hyper) {
  return hyper.architecture->scaled_embedding ? std::sqrt(static_cast<float>(hyper.hidden)) : hyper.embedding_scale;
}

}  // namespace

ForwardPass::Layout::Layout(const Model& model, uint32_t threads, uint32_t batch)
    : widest(std::max({model.hyper.hidden, model.hyper.heads * model.hyper.head_dim, model.hyper.ffn})),
      attention(model.hyper.heads * model.hyper.head_dim),
      kv(model.hyper.kv_heads * model.hyper.head_dim),
      state(static_cast<uint32_t>(attention_state_floats(model.hyper.head_dim))),
      tile_rows(std::clamp(kTileQueries * model.hyper.kv_heads / model.hyper.heads, 1u, batch)) {
  const HyperParameters& hyper = model.hyper;
  size_t activation_bytes = 0, product_scratch = 0;
  for (const Layer& layer : model.layers) {
    activation_bytes = std::max(activation_bytes, most_activation_bytes(layer));
    product_scratch = std::max(product_scratch, most_scratch_bytes(layer));
  }
  const size_t tile_queries = size_t{tile_rows} * hyper.heads / hyper.kv_heads;
  size_t end = 0;
  auto take = [&end](size_t rows, size_t row_bytes) {
    const size_t begin = end;
    end += round_up(rows * row_bytes, 64);
    return begin;
  };
  x = take(batch, hyper.hidden * sizeof(float));
  cosines = take(batch, hyper.head_dim / 2 * sizeof(float));
  sines = take(batch, hyper.head_dim / 2 * sizeof(float));
  const size_t of_windows = hyper.window == 0 ? 0 : batch;
  window_cosines = take(of_windows, hyper.head_dim / 2 * sizeof(float));
  window_sines = take(of_windows, hyper.head_dim / 2 * sizeof(float));
  const size_t networks = size_t{batch} * std::max(hyper.experts_used, 1u);  // that compute all rows
  steps = take(networks, sizeof(float));
  activations = take(networks, activation_bytes);
  scores = take(batch, hyper.experts * sizeof(float));
  const size_t shared = end;
  q = take(batch, attention * sizeof(float));
  k = take(batch, kv * sizeof(float));
  v = take(batch, kv * sizeof(float));
  mixed = take(batch, attention * sizeof(float));
  const size_t attention_end = std::exchange(end, shared);
  gate = take(networks, hyper.ffn * sizeof(float));
  up = take(networks, hyper.ffn * sizeof(float));
  const size_t ffn_end = std::exchange(end, shared);
  y = take(batch, hyper.hidden * sizeof(float));
  end = std::max({attention_end, ffn_end, end});
  made = take(hyper.experts == 0 ? 0 : networks, hyper.hidden * sizeof(float));
  normed = take(threads, widest * sizeof(float));
  states = take(threads, 2 * tile_queries * state * sizeof(float));
  scratch_bytes = round_up(std::max(product_scratch, attention_bytes(tile_queries, hyper.head_dim)), 64);
  scratch = take(threads, scratch_bytes);
  split_states = take(hyper.heads, kSplitSlots * state * sizeof(float));
  last = take(Head::kRows, hyper.hidden * sizeof(float));
  total = end;
}

uint64_t ForwardPass::bytes(const Model& model, uint32_t threads, uint32_t batch) {
  return Layout(model, threads, batch).total + Head::bytes(model, threads);
}

ForwardPass::ForwardPass(const Model& model, const Kernels& kernels, ThreadPool& threads, uint32_t batch)
    : model_(model),
      hyper_(model.hyper),
      kernels_(kernels),
      threads_(threads),
      rope_(model.hyper.turned_dim(), model.hyper.rope_theta, model.rope_factors, model.hyper.rope_magnitude),
      window_rope_(model.hyper.window == 0 ? std::nullopt
                                           : std::optional<Rope>(std::in_place, model.hyper.turned_dim(),
                                                                 model.hyper.window_theta, nullptr, 1)),
      layout_(model, threads.threads(), batch),
      memory_(layout_.total),
      head_(model, kernels, threads),
      angles_{floats(layout_.cosines), floats(layout_.sines)},
      window_angles_{floats(layout_.window_cosines), floats(layout_.window_sines)},
      x_(floats(layout_.x)),
      steps_(floats(layout_.steps)),
      q_(floats(layout_.q)),
      k_(floats(layout_.k)),
      v_(floats(layout_.v)),
      mixed_(floats(layout_.mixed)),
      gate_(floats(layout_.gate)),
      up_(floats(layout_.up)),
      y_(floats(layout_.y)),
      scores_(floats(layout_.scores)),
      made_(floats(layout_.made)) {
  const size_t pairs = size_t{batch} * model.hyper.experts_used;
  choices_.resize(pairs);
  places_.resize(pairs);
  runs_.reserve(std::min<size_t>(pairs, model.hyper.experts));
  begins_.resize(model.hyper.experts);
  tiles_.reserve(batch);
  shared_.reserve(batch);
  alone_.reserve(batch);
  wave_.reserve(kSplitSlots);
}

void ForwardPass::begin(std::vector<Row>& rows) {
  taken_ = &rows;
  rows_ = rows;
  const bool head_alone = rows.front().given != nullptr;
  next_layer_ = head_alone ? hyper_.layers : 0;
  if (!head_alone) cut_tiles();
}

bool ForwardPass::step() {
  if (rows_.empty()) return true;
  if (next_layer_ == hyper_.layers) {
    finish_rows();
    return true;
  }
  compute_layer(model_.layers[next_layer_], next_layer_);
  next_layer_++;
  return false;
}

// Between two layers a row is its residual stream, what is to be added to it, and the angles of its position.
void ForwardPass::drop_left() {
  std::vector<Row>& rows = *taken_;
  const size_t half = hyper_.turned_dim() / 2;
  const auto move = [](float* data, size_t to, size_t from, size_t n) {
    std::memcpy(data + to * n, data + from * n, n * sizeof(float));
  };
  size_t kept = 0;
  for (size_t t = 0; t < rows.size(); t++) {
    if (rows[t].left) continue;
    if (kept != t) {
      rows[kept] = rows[t];
      move(x_, kept, t, hyper_.hidden);
      move(y_, kept, t, hyper_.hidden);
      move(angles_.cosines, kept, t, half);
      move(angles_.sines, kept, t, half);
      if (window_rope_) {
        move(window_angles_.cosines, kept, t, half);
        move(window_angles_.sines, kept, t, half);
      }
    }
    kept++;
  }
  rows.erase(rows.begin() + static_cast<std::ptrdiff_t>(kept), rows.end());
  rows_ = rows;
  cut_tiles();
}

// One block of the transformer: Llama's (arXiv 2302.13971) with what the architecture adds to it; BitNet b1.58 2B4T
// (arXiv 2504.12285), section 2, has norms before the output and down projections, Qwen3 (arXiv 2505.09388) norms of
// query and key heads, Gemma 3 (arXiv 2503.19786) norms of what is added to the residual stream, and BitNet's embedding
// models (arXiv 2606.25674) one before each matrix. What a layer does not have is null.
void ForwardPass::compute_layer(const Layer& layer, uint32_t index) {
  project(index == 0 ? &ForwardPass::embed : &ForwardPass::add_product, &ForwardPass::residual, layer.attention_norm,
          {{layer.q, q_}, {layer.k, k_}, {layer.v, v_}});
  rotate_and_store(layer, index);
  attend(index);
  project(&ForwardPass::attention_output, nullptr, layer.attention_sub_norm, {{layer.o, y_}});
  added_norm_ = layer.attention_post_norm;

  if (layer.router.weights.data != nullptr) {
    feed_experts(layer);
  } else {
    project(&ForwardPass::add_product, &ForwardPass::residual, layer.ffn_norm, {{layer.gate, gate_}, {layer.up, up_}});
    project(&ForwardPass::activate_gate, nullptr, layer.ffn_sub_norm, {{layer.down, y_}});
  }
  added_norm_ = layer.ffn_post_norm;
}

// Experts in place of one feed-forward network (Shazeer et al., arXiv 1701.06538): the rows of each expert lie
// together, so that its matrices are read once. What a row gets does not depend on which others are there.
void ForwardPass::feed_experts(const Layer& layer) {
  project(&ForwardPass::add_product, nullptr, layer.ffn_norm, {{layer.router, scores_}});
  choose(layer);
  prepare(&ForwardPass::residual, layer.ffn_norm, layer.gate, count(), places_.data(), hyper_.experts_used);
  multiply_by_experts({{layer.gate, gate_}, {layer.up, up_}});
  prepare(&ForwardPass::activate_gate, nullptr, layer.down, pairs(), nullptr, 1);
  multiply_by_experts({{layer.down, made_}});
  mix_experts();
}

void ForwardPass::choose(const Layer& layer) {
  threads_.each(count(), [&](uint32_t t, uint32_t) {
    choose_experts(kernels_, hyper_, layer.expert_bias, scores_ + size_t{t} * hyper_.experts,
                   &choices_[size_t{t} * hyper_.experts_used]);
  });
  sort_by_expert();
}

// Of one expert the rows keep their order.
void ForwardPass::sort_by_expert() {
  std::ranges::fill(begins_, 0);
  for (uint32_t i = 0; i < pairs(); i++) begins_[choices_[i].expert]++;
  runs_.clear();
  uint32_t begin = 0;
  for (uint32_t expert = 0; expert < hyper_.experts; expert++) {
    const uint32_t pairs = std::exchange(begins_[expert], begin);
    if (pairs != 0) runs_.push_back({expert, begin, pairs, 0});
    begin += pairs;
  }
  for (uint32_t i = 0; i < pairs(); i++) places_[i] = begins_[choices_[i].expert]++;
}

void ForwardPass::mix_experts() {
  const uint32_t used = hyper_.experts_used;
  threads_.each(count(), [&](uint32_t t, uint32_t) {
    const size_t first = size_t{t} * used;
    const auto made = [&](uint32_t k) { return made_ + size_t{places_[first + k]} * hyper_.hidden; };
    mix(&choices_[first], used, hyper_.hidden, made, y_ + size_t{t} * hyper_.hidden);
  });
}

// The residual stream as it begins, and with it what attention needs to know of the row's position.
float* ForwardPass::embed(uint32_t t) {
  const size_t half = hyper_.turned_dim() / 2;
  float* const x = x_ + size_t{t} * hyper_.hidden;
  read_row(kernels_, model_.embedding, static_cast<size_t>(rows_[t].token), x);
  multiply_all(x, hyper_.hidden, embedding_factor(hyper_));
  rope_.angles(rows_[t].position, angles_.cosines + t * half, angles_.sines + t * half);
  if (window_rope_) {
    window_rope_->angles(rows_[t].position, window_angles_.cosines + t * half, window_angles_.sines + t * half);
  }
  return x;
}

// The residual stream with what the latest product adds to it.
float* ForwardPass::add_product(uint32_t t) {
  float* const x = residual(t);
  float* const y = y_ + size_t{t} * hyper_.hidden;
  if (added_norm_ != nullptr) kernels_.rms_norm(y, added_norm_, hyper_.rms_epsilon, hyper_.hidden, y);
  multiply_all(y, hyper_.hidden, hyper_.residual_scale);
  kernels_.add(x, y, hyper_.hidden);
  return x;
}

float* ForwardPass::residual(uint32_t t) { return x_ + size_t{t} * hyper_.hidden; }

float* ForwardPass::attention_output(uint32_t t) { return mixed_ + size_t{t} * layout_.attention; }

float* ForwardPass::activate_gate(uint32_t t) {
  float* const gate = gate_ + size_t{t} * hyper_.ffn;
  float* const up = up_ + size_t{t} * hyper_.ffn;
  limit_gate(gate, up, hyper_.ffn, hyper_.ffn_limit);
  switch (hyper_.activation) {
    case Activation::relu2:
      kernels_.gate_relu2(gate, up, hyper_.ffn, gate);
      break;
    case Activation::silu:
      kernels_.gate_silu(gate, up, hyper_.ffn, gate);
      break;
    case Activation::gelu:
      kernels_.gate_gelu(gate, up, hyper_.ffn, gate);
      break;
  }
  return gate;
}

// Products of the same rows. Where the linears have norms of their own, each gets the rows anew, from `again` on.
void ForwardPass::project(RowOf row, RowOf again, const float* norm, std::initializer_list<Product> products) {
  const bool shared = std::ranges::none_of(products, [](const Product& p) { return p.linear.norm != nullptr; });
  if (shared) {
    prepare(row, norm, products.begin()->linear);
    return multiply(products);
  }
  for (const Product& product : products) {
    prepare(std::exchange(row, again), norm, product.linear);
    multiply({product});
  }
}

// Rows in the form that products of `linear`, and of those beside it, take. A row is made, normed if there is a norm,
// and rounded by one thread at one go, while the nearest caches hold it.
void ForwardPass::prepare(RowOf row, const float* norm, const Linear& linear) {
  prepare(row, norm, linear, count(), nullptr, 1);
}

// Row t goes to `copies` places, from places[t * copies] on; null: to place t.
void ForwardPass::prepare(RowOf row, const float* norm, const Linear& linear, uint32_t rows, const uint32_t* places,
                          uint32_t copies) {
  const Matrix& m = linear.weights;
  activations_ = {m.numbers, m.cols, round_up(Activations::bytes(m.numbers, m.cols), 64),
                  memory_.data() + layout_.activations, steps_};
  threads_.each(rows, [&](uint32_t t, uint32_t worker) {
    const float* x = (this->*row)(t);
    float* const normed = floats(layout_.normed) + size_t{worker} * layout_.widest;
    if (norm != nullptr) {
      kernels_.rms_norm(x, norm, hyper_.rms_epsilon, m.cols, normed);
      x = normed;
    }
    if (linear.norm != nullptr) {
      kernels_.rms_norm(x, linear.norm, hyper_.linear_epsilon(), m.cols, normed);
      x = normed;
    }
    const uint32_t place = places == nullptr ? t : places[size_t{t} * copies];
    activations_.store(kernels_, place, x);
    for (uint32_t k = 1; k < copies; k++) activations_.copy(place, places[size_t{t} * copies + k]);
  });
}

// Likewise of the matrices of experts, each with its own rows. Threads take pieces of all of them.
void ForwardPass::multiply_by_experts(std::initializer_list<Product> products) {
  const auto multiplier_of = [&](const ExpertRun& run) {
    return Multiplier(kernels_, threads_, activations_.from(run.begin), run.pairs);
  };
  const auto part_of = [&](const ExpertRun& run, const Product& product) {
    const uint32_t rows = product.linear.weights.rows / hyper_.experts;
    return Linear{.weights = rows_of(product.linear.weights, run.expert * rows, rows)};
  };
  uint32_t pieces = 0;
  bool waits = true;
  for (ExpertRun& run : runs_) {
    const Multiplier multiplier = multiplier_of(run);
    run.first_piece = pieces;
    for (const Product& product : products) pieces += multiplier.pieces(part_of(run, product).weights);
    waits = waits && multiplier.waits_for_memory();
  }
  const auto piece = [&](uint32_t i, uint32_t worker) {
    const ExpertRun& run = *(std::ranges::upper_bound(runs_, i, {}, &ExpertRun::first_piece) - 1);
    const Multiplier multiplier = multiplier_of(run);
    i -= run.first_piece;
    for (const Product& product : products) {
      const Linear part = part_of(run, product);
      const uint32_t own = multiplier.pieces(part.weights);
      if (i < own)
        return multiplier.multiply({part, product.out + size_t{run.begin} * part.weights.rows}, i, scratch(worker));
      i -= own;
    }
  };
  if (waits) {
    threads_.each_in_runs(pieces, piece);
  } else {
    threads_.each(pieces, piece);
  }
}

void ForwardPass::multiply(std::initializer_list<Product> products) {
  const Multiplier multiplier(kernels_, threads_, activations_, count());
  multiplier.run(products, [this](uint32_t worker) { return scratch(worker); });
}

void ForwardPass::cut_tiles() {
  tiles_.clear();
  for (uint32_t t = 0; t < count(); t++) {
    if (!tiles_.empty() && tiles_.back().rows < layout_.tile_rows && rows_[t].state == rows_[t - 1].state) {
      tiles_.back().rows++;
    } else {
      tiles_.push_back({t, 1});
    }
  }
  shared_.clear();
  alone_.clear();
  for (const Tile& tile : tiles_) {
    if (tile.rows == 1) {
      alone_.push_back(tile.begin);
    } else {
      shared_.push_back(tile);
    }
  }
}

// Turns queries and keys by their positions; keys and values go to the cache.
void ForwardPass::rotate_and_store(const Layer& layer, uint32_t index) {
  const size_t dim = hyper_.head_dim;
  const Angles* const angles = angles_of(index);
  // A thread takes one head of several rows, because the keys of neighbouring positions share cache lines.
  threads_.each(static_cast<uint32_t>(tiles_.size()) * hyper_.kv_heads, [&](uint32_t i, uint32_t worker) {
    const Tile tile = tiles_[i / hyper_.kv_heads];
    const uint32_t kv_head = i % hyper_.kv_heads;
    for (uint32_t t = tile.begin; t < tile.begin + tile.rows; t++) {
      float* k = k_ + size_t{t} * layout_.kv + kv_head * dim;
      const float* v = v_ + size_t{t} * layout_.kv + kv_head * dim;
      auto* row = reinterpret_cast<std::byte*>(scratch(worker));
      turn(q_ + size_t{t} * layout_.attention + kv_head * group() * dim, group(), layer.q_norm, angles, t);
      turn(k, 1, layer.k_norm, angles, t);
      KvCache& cache = this->cache(t);
      const size_t head = cache.head(index, kv_head);
      cache.begin_row(head, rows_[t].position);
      round_kv(cache.type(), k, row);
      cache.store_key(head, rows_[t].position, row);
      round_kv(cache.type(), v, row);
      cache.store_value(head, rows_[t].position, row);
    }
  });
}

// By which a layer turns queries and keys; null: it does not.
const ForwardPass::Angles* ForwardPass::angles_of(uint32_t layer) const {
  if (!hyper_.turns(layer)) return nullptr;
  return hyper_.has_window(layer) ? &window_angles_ : &angles_;
}

// Norms heads, if there is a norm for them, and turns them by the position of row t, if they are turned: the first
// dimensions, where not all are.
void ForwardPass::turn(float* heads, uint32_t count, const float* norm, const Angles* angles, uint32_t t) const {
  const size_t dim = hyper_.head_dim, turned = hyper_.turned_dim(), at = t * (turned / 2);
  for (uint32_t i = 0; norm != nullptr && i < count; i++) {
    kernels_.rms_norm(heads + i * dim, norm, hyper_.rms_epsilon, dim, heads + i * dim);
  }
  if (angles == nullptr) return;
  if (turned == dim) return kernels_.rope(heads, count, dim, angles->cosines + at, angles->sines + at);
  for (uint32_t i = 0; i < count; i++) {
    kernels_.rope(heads + i * dim, 1, turned, angles->cosines + at, angles->sines + at);
  }
}

// A key or value as a row of the cache.
void ForwardPass::round_kv(KvType type, const float* x, std::byte* row) const {
  const uint32_t n = hyper_.head_dim;
  float step = 0;
  switch (type) {
    case KvType::f16:
      kernels_.to_f16(x, n, reinterpret_cast<f16*>(row));
      break;
    case KvType::int8:
      step = kernels_.quantize_kv_int8(x, n, reinterpret_cast<uint8_t*>(row));
      break;
    case KvType::int16:
      step = kernels_.quantize_kv_int16(x, n, reinterpret_cast<int16_t*>(row));
      break;
  }
  if (has_codes(type)) std::memcpy(row + n * code_bytes(type), &step, sizeof step);
}

// Each query head of each row over the keys and values up to its own position; query heads share them in groups.
void ForwardPass::attend(uint32_t layer) {
  const auto pieces = static_cast<uint32_t>(shared_.size()) * hyper_.kv_heads;
  threads_.each(pieces, [&](uint32_t i, uint32_t worker) {
    const uint32_t from_end = pieces - 1 - i;  // later rows have more to do: first, so that threads finish together
    attend_tile(layer, shared_[from_end / hyper_.kv_heads], from_end % hyper_.kv_heads, worker);
  });
  attend_rows_alone(layer);
}

// One KV head of a tile, split after split.
void ForwardPass::attend_tile(uint32_t layer, Tile tile, uint32_t kv_head, uint32_t worker) {
  const size_t dim = hyper_.head_dim;
  const uint32_t length = rows_[tile.begin].position + 1;  // of the first row
  for (uint32_t split = 0; split < length + tile.rows - 1; split += kKvSplit) {
    const uint32_t row = split < length ? 0 : split + 1 - length;  // the first that sees any of the split
    attend_split(layer, kv_head, {tile.begin + row, tile.rows - row}, split, states(worker, split != 0), worker);
    if (split == 0) continue;
    for (uint32_t i = row * group(); i < tile.rows * group(); i++) {
      kernels_.attention_merge(states(worker, 0) + size_t{i} * layout_.state,
                               states(worker, 1) + size_t{i - row * group()} * layout_.state, dim);
    }
  }
  for (uint32_t i = 0; i < tile.rows * group(); i++) {
    const uint32_t t = tile.begin + i / group(), head = kv_head * group() + i % group();
    kernels_.attention_finish(states(worker, 0) + size_t{i} * layout_.state, dim,
                              mixed_ + size_t{t} * layout_.attention + head * dim);
  }
}

// Rows alone, as in generation: threads share their splits too.
void ForwardPass::attend_rows_alone(uint32_t layer) {
  wave_.clear();
  while (next_wave()) attend_wave(layer);
}

// The next splits, from the end of the wave before, of as many rows as there are slots for. A row that goes on has what
// came before merged in its first slot. Returns false if there are none left.
bool ForwardPass::next_wave() {
  size_t i = 0;  // of alone_
  uint32_t split = 0, slot = 0;
  if (!wave_.empty()) {
    const SplitRun last = wave_.back();
    split = last.split + last.splits;
    while (alone_[i] != last.row) i++;
    if (split > rows_[last.row].position / kKvSplit) {
      i++;
      split = 0;
    } else {
      std::memmove(split_state(0, 0), split_state(last.slot, 0), hyper_.heads * layout_.state * sizeof(float));
    }
  }
  wave_.clear();
  for (; i < alone_.size() && slot < kSplitSlots; i++, split = 0) {
    const uint32_t carried = split != 0, left = rows_[alone_[i]].position / kKvSplit + 1 - split;
    const uint32_t splits = std::min(left, kSplitSlots - slot - carried);
    wave_.push_back({alone_[i], split, splits, slot});
    slot += carried + splits;
    if (splits < left) break;
  }
  return !wave_.empty();
}

void ForwardPass::attend_wave(uint32_t layer) {
  uint32_t splits = 0;
  for (const SplitRun& run : wave_) splits += run.splits;
  threads_.each(splits * hyper_.kv_heads, [&](uint32_t i, uint32_t worker) {  // in the order in which they lie
    const SplitRun* run = wave_.data();
    for (; i >= run->splits * hyper_.kv_heads; run++) i -= run->splits * hyper_.kv_heads;
    const uint32_t kv_head = i / run->splits, split = i % run->splits, carried = run->split != 0;
    attend_split(layer, kv_head, {run->row, 1}, (run->split + split) * kKvSplit,
                 split_state(run->slot + carried + split, kv_head * group()), worker);
  });
  const uint32_t heads = static_cast<uint32_t>(wave_.size()) * hyper_.heads;
  const auto finish = [&](uint32_t i, uint32_t) { finish_run(wave_[i / hyper_.heads], i % hyper_.heads); };
  if (splits * hyper_.heads > kFewMerges) return threads_.each(heads, finish);
  for (uint32_t i = 0; i < heads; i++) finish(i, 0);
}

// Merges the states of one query head, always in the order of the splits.
void ForwardPass::finish_run(const SplitRun& run, uint32_t head) {
  const size_t dim = hyper_.head_dim;
  const uint32_t states = run.splits + (run.split != 0);
  float* const first = split_state(run.slot, head);
  for (uint32_t i = 1; i < states; i++) kernels_.attention_merge(first, split_state(run.slot + i, head), dim);
  const bool last = run.split + run.splits > rows_[run.row].position / kKvSplit;
  if (last) kernels_.attention_finish(first, dim, mixed_ + size_t{run.row} * layout_.attention + head * dim);
}

// One KV head of a tile whose rows all see something of the split that begins at position `begin`.
void ForwardPass::attend_split(uint32_t layer, uint32_t kv_head, Tile tile, uint32_t begin, float* states,
                               uint32_t worker) {
  const size_t dim = hyper_.head_dim;
  const Row& first = rows_[tile.begin];
  const KvCache& cache = this->cache(tile.begin);
  const KvCache::Split split = cache.split(cache.head(layer, kv_head), begin);
  attention_kernel(kernels_, cache.type())({
      .q = q_ + size_t{tile.begin} * layout_.attention + size_t{kv_head} * group() * dim,
      .q_stride = layout_.attention,
      .rows = tile.rows,
      .group = group(),
      .keys = split.keys.data(),
      .values = split.values.data(),
      .head_dim = dim,
      .length = first.position + size_t{1} - begin,
      .scale = hyper_.attention_scale != 0 ? hyper_.attention_scale : 1.0f / std::sqrt(static_cast<float>(dim)),
      .states = states,
      .scratch = scratch(worker),
      .window = hyper_.has_window(layer) ? hyper_.window : SIZE_MAX,
  });
}

// What the head multiplies, for the rows that want something of it; then their logits, or what the screen says of them.
void ForwardPass::finish_rows() {
  const size_t n = hyper_.hidden;
  float* const last = floats(layout_.last);
  std::array<float*, Head::kRows> logits;
  std::array<Screened*, Head::kRows> screened;
  // Rows that want the same of the head are gathered, for as many as it multiplies at a time.
  const auto gather = [&](auto& out, auto member, const auto& compute) {
    uint32_t count = 0;
    for (uint32_t t = 0; t < rows_.size(); t++) {
      if (rows_[t].*member != nullptr) {
        std::memcpy(last + count * n, y_ + size_t{t} * n, n * sizeof(float));
        out[count++] = rows_[t].*member;
      }
      if (count == Head::kRows || (count > 0 && t + 1 == rows_.size()))
        compute(std::span(out).first(std::exchange(count, 0)));
    }
  };
  for (uint32_t t = 0; t < rows_.size(); t++) {
    const Row& row = rows_[t];
    if (row.logits == nullptr && row.hidden == nullptr && row.screened == nullptr) continue;
    float* const y = y_ + size_t{t} * n;
    if (row.given != nullptr) {
      std::memcpy(y, row.given, n * sizeof(float));
    } else {
      kernels_.rms_norm(add_product(t), model_.output_norm, hyper_.rms_epsilon, n, y);
      divide_all(y, n, hyper_.logit_scale);
    }
    if (row.hidden != nullptr) std::memcpy(row.hidden, y, n * sizeof(float));
  }
  gather(logits, &Row::logits, [&](std::span<float* const> out) { head_.logits(last, out); });
  gather(screened, &Row::screened, [&](std::span<Screened* const> out) { head_.screen(last, out); });
}

}  // namespace bitnet
