// SPDX-License-Identifier: MIT
#include "engine/scalar_backend.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <utility>

#include "engine/experts.h"

namespace bitnet {

// Of each part, a row for each position.
class ScalarBackend::Sequence final : public SequenceState {
 public:
  using Rows = std::vector<std::vector<std::byte>>;

  Sequence(const HyperParameters& hyper, KvType type, uint32_t context, Mistake mistake)
      : type_(type),
        context_(context),
        row_bytes_(KvCache::row_bytes(type, hyper.head_dim)),
        mistake_(mistake),
        parts_(make_parts(size_t{2} * hyper.layers * hyper.kv_heads)) {}

  KvType type() const override { return type_; }
  uint32_t context() const override { return context_; }
  bool prepare(size_t begin, size_t end) override {
    truncate(begin);
    for (Rows& rows : *parts_) rows.resize(std::max(rows.size(), end));
    return true;
  }
  bool renew(size_t end) override {
    parts_ = make_parts(parts());
    return prepare(0, end);
  }
  void settle() override {}
  void truncate(size_t position) override {
    for (Rows& rows : *parts_) rows.resize(std::min(rows.size(), position));
  }
  void share(const SequenceState& other, size_t positions) override {
    const auto& from = static_cast<const Sequence&>(other).parts_;
    parts_ = mistake_ == Mistake::aliased_forks ? from : std::make_shared<std::vector<Rows>>(*from);
    if (mistake_ != Mistake::aliased_forks) truncate(positions);
  }
  void keep(uint64_t, std::span<const Token>) override {}
  size_t find(uint64_t, std::span<const Token>, size_t) override { return 0; }
  size_t parts() const override { return parts_->size(); }
  size_t row_bytes() const override { return row_bytes_; }
  void read(size_t part, size_t positions, std::byte* rows) const override {
    for (size_t i = 0; i < positions; i++) std::memcpy(rows + i * row_bytes_, row(part, i).data(), row_bytes_);
  }
  void write(size_t part, size_t positions, const std::byte* rows) override {
    for (size_t i = 0; i < positions; i++) row(part, i).assign(rows + i * row_bytes_, rows + (i + 1) * row_bytes_);
  }

  std::vector<std::byte>& row(size_t part, size_t position) { return (*parts_)[part].at(position); }
  const std::vector<std::byte>& row(size_t part, size_t position) const { return (*parts_)[part].at(position); }

 private:
  static std::shared_ptr<std::vector<Rows>> make_parts(size_t count) {
    return std::make_shared<std::vector<Rows>>(count);
  }

  const KvType type_;
  const uint32_t context_;
  const size_t row_bytes_;
  const Mistake mistake_;
  std::shared_ptr<std::vector<Rows>> parts_;
};

ScalarBackend::ScalarBackend(const Model& model, Mistake mistake, bool is_exact)
    : model_(model),
      hyper_(model.hyper),
      kernels_(*find_kernels("scalar")),
      mistake_(mistake),
      is_exact_(is_exact),
      rope_(model.hyper.turned_dim(), model.hyper.rope_theta, model.rope_factors, model.hyper.rope_magnitude),
      window_rope_(model.hyper.turned_dim(),
                   model.hyper.window == 0 ? model.hyper.rope_theta : model.hyper.window_theta, nullptr, 1),
      head_(model, kernels_, alone_),
      pages_(model.hyper, {}),
      thread_([this] { work(); }) {}

ScalarBackend::~ScalarBackend() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::unique_ptr<SequenceState> ScalarBackend::make_state(KvType type, uint32_t context, bool) {
  return std::make_unique<Sequence>(hyper_, type, context, mistake_);
}

// ------------------------------------------------------------------------------------------------- the caller's thread

void ScalarBackend::submit(std::vector<Row>& rows) {
  rows_ = &rows;
  places_.clear();
  std::vector<Part> parts;
  for (const Row& row : rows) {
    places_.push_back(parts.size());
    parts.push_back({.row = row});
    if (row.given != nullptr) parts.back().given.assign(row.given, row.given + hyper_.hidden);
  }
  passes_++;
  const std::lock_guard lock(mutex_);
  parts_ = std::move(parts);
  error_ = nullptr;
  computing_ = true;
  changed_.notify_all();
}

bool ScalarBackend::wait() {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, std::chrono::milliseconds(1), [&] { return !computing_; })) return false;
  if (error_ != nullptr) std::rethrow_exception(std::exchange(error_, nullptr));
  for (const Part& part : parts_) {
    const Row& row = part.row;
    if (row.left && mistake_ != Mistake::late_results) continue;
    if (row.hidden != nullptr && !part.hidden.empty()) std::ranges::copy(part.hidden, row.hidden);
    if (row.logits != nullptr && !part.logits.empty()) std::ranges::copy(part.logits, row.logits);
    if (row.screened != nullptr && !part.screened.values.empty()) *row.screened = part.screened;
  }
  if (mistake_ == Mistake::wrong_bit && passes_ % 3 == 0 && !rows_->empty() && rows_->back().logits != nullptr) {
    rows_->back().logits[passes_ % hyper_.vocabulary] += 1e-5f;
  }
  return true;
}

void ScalarBackend::drop_left() noexcept {
  std::vector<size_t> kept;
  {
    std::unique_lock lock(mutex_);
    for (size_t i = 0; i < rows_->size(); i++) {
      parts_[places_[i]].row.left |= (*rows_)[i].left;
      if (!(*rows_)[i].left) kept.push_back(places_[i]);
    }
    changed_.wait(lock,
                  [&] { return current_ == nullptr || !current_->row.left || mistake_ == Mistake::late_results; });
  }
  std::erase_if(*rows_, [](const Row& row) { return row.left; });
  places_ = std::move(kept);
}

// -------------------------------------------------------------------------------------------------------- the
// backend's

void ScalarBackend::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return computing_ || stopping_; });
    if (stopping_) return;
    lock.unlock();
    std::exception_ptr error;
    try {
      for (Part& part : parts_) compute(part);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    current_ = nullptr;
    error_ = error;
    computing_ = false;
    changed_.notify_all();
  }
}

// The part is worked on from here on; false: nobody waits for it any more.
bool ScalarBackend::enter(const Part* part) {
  const std::lock_guard lock(mutex_);
  current_ = part->row.left && mistake_ != Mistake::late_results ? nullptr : part;
  changed_.notify_all();
  return current_ != nullptr;
}

void ScalarBackend::compute(Part& part) {
  if (!part.given.empty()) {
    part.hidden = part.given;
    return finish(part);
  }
  if (!enter(&part)) return;
  x_.resize(hyper_.hidden);
  read_row(kernels_, model_.embedding, static_cast<size_t>(part.row.token), x_.data());
  const float factor =
      hyper_.architecture->scaled_embedding ? std::sqrt(static_cast<float>(hyper_.hidden)) : hyper_.embedding_scale;
  for (float& x : x_) x *= factor;
  for (uint32_t i = 0; i < hyper_.layers; i++) {
    if (!enter(&part)) return;
    compute_layer(model_.layers[i], i, part);
  }
  if (!enter(&part)) return;
  part.hidden.resize(hyper_.hidden);
  kernels_.rms_norm(x_.data(), model_.output_norm, hyper_.rms_epsilon, hyper_.hidden, part.hidden.data());
  for (float& x : part.hidden) x /= hyper_.logit_scale;
  finish(part);
}

void ScalarBackend::finish(Part& part) {
  float* logits = nullptr;
  if (part.row.logits != nullptr) {
    part.logits.resize(hyper_.vocabulary);
    logits = part.logits.data();
    head_.logits(part.hidden.data(), {&logits, 1});
  }
  Screened* const screened = &part.screened;
  if (part.row.screened != nullptr) head_.screen(part.hidden.data(), {&screened, 1});
}

void ScalarBackend::compute_layer(const Layer& layer, uint32_t index, const Part& part) {
  auto& sequence = static_cast<Sequence&>(*part.row.state);
  const uint32_t position = part.row.position, dim = hyper_.head_dim;
  std::vector<float> q = multiply(layer.q, layer.attention_norm, x_), k = multiply(layer.k, layer.attention_norm, x_),
                     v = multiply(layer.v, layer.attention_norm, x_);
  const Rope& rope = hyper_.has_window(index) ? window_rope_ : rope_;
  const bool turned = hyper_.turns(index);
  rotate(q, layer.q_norm, turned ? &rope : nullptr, position);
  rotate(k, layer.k_norm, turned ? &rope : nullptr, position);
  for (uint32_t head = 0; head < hyper_.kv_heads; head++) {
    const size_t at = size_t{2} * (size_t{index} * hyper_.kv_heads + head);
    sequence.row(at, position) = round(sequence.type(), k.data() + size_t{head} * dim);
    sequence.row(at + 1, position) = round(sequence.type(), v.data() + size_t{head} * dim);
  }
  const auto add = [&](std::vector<float> y, const float* norm) {
    if (norm != nullptr) kernels_.rms_norm(y.data(), norm, hyper_.rms_epsilon, hyper_.hidden, y.data());
    for (float& value : y) value *= hyper_.residual_scale;
    kernels_.add(x_.data(), y.data(), hyper_.hidden);
  };
  add(multiply(layer.o, layer.attention_sub_norm, attend(index, part, q)), layer.attention_post_norm);
  if (layer.router.weights.data != nullptr) return add(mix_experts(layer), layer.ffn_post_norm);
  add(feed_forward(layer.gate, layer.up, layer.down, layer), layer.ffn_post_norm);
}

// Each expert by itself.
std::vector<float> ScalarBackend::mix_experts(const Layer& layer) {
  std::vector<float> scores = multiply(layer.router, layer.ffn_norm, x_), y(hyper_.hidden);
  std::vector<Choice> choices(hyper_.experts_used);
  choose_experts(kernels_, hyper_, layer.expert_bias, scores.data(), choices.data());
  std::vector<std::vector<float>> made;
  for (const Choice choice : choices) {
    const auto own = [&](const Linear& all) {
      const uint32_t rows = all.weights.rows / hyper_.experts;
      return Linear{.weights = rows_of(all.weights, choice.expert * rows, rows)};
    };
    made.push_back(feed_forward(own(layer.gate), own(layer.up), own(layer.down), layer));
  }
  mix(
      choices.data(), hyper_.experts_used, hyper_.hidden, [&](uint32_t k) { return made[k].data(); }, y.data());
  return y;
}

std::vector<float> ScalarBackend::feed_forward(const Linear& gate_linear, const Linear& up_linear,
                                               const Linear& down_linear, const Layer& layer) {
  std::vector<float> gate = multiply(gate_linear, layer.ffn_norm, x_), up = multiply(up_linear, layer.ffn_norm, x_);
  if (const float limit = hyper_.ffn_limit; limit != 0) {
    for (float& x : gate) x = x > limit ? limit : x;
    for (float& x : up) x = std::isnan(x) ? x : std::clamp(x, -limit, limit);
  }
  switch (hyper_.activation) {
    case Activation::relu2:
      kernels_.gate_relu2(gate.data(), up.data(), hyper_.ffn, gate.data());
      break;
    case Activation::silu:
      kernels_.gate_silu(gate.data(), up.data(), hyper_.ffn, gate.data());
      break;
    case Activation::gelu:
      kernels_.gate_gelu(gate.data(), up.data(), hyper_.ffn, gate.data());
      break;
  }
  return multiply(down_linear, layer.ffn_sub_norm, gate);
}

std::vector<float> ScalarBackend::multiply(const Linear& linear, const float* norm, std::vector<float> x) {
  const Matrix& m = linear.weights;
  if (norm != nullptr) kernels_.rms_norm(x.data(), norm, hyper_.rms_epsilon, m.cols, x.data());
  if (linear.norm != nullptr) kernels_.rms_norm(x.data(), linear.norm, hyper_.linear_epsilon(), m.cols, x.data());
  Buffer activations(Activations::bytes(m.numbers, m.cols) + 64),
      scratch(product_scratch_bytes(m.numbers, m.cols) + 64);
  float step = 0;
  const Activations given = {m.numbers, m.cols, (activations.size() - 64 + 63) / 64 * 64, activations.data(), &step};
  given.store(kernels_, 0, x.data());
  std::vector<float> out(m.rows);
  Multiplier(kernels_, alone_, given, 1).run({{linear, out.data()}}, [&](uint32_t) { return scratch.data(); });
  return out;
}

void ScalarBackend::rotate(std::vector<float>& heads, const float* norm, const Rope* rope, uint32_t position) const {
  const size_t dim = hyper_.head_dim, count = heads.size() / dim, turned = hyper_.turned_dim();
  std::vector<float> cosines(turned / 2), sines(turned / 2);
  for (size_t i = 0; norm != nullptr && i < count; i++) {
    kernels_.rms_norm(heads.data() + i * dim, norm, hyper_.rms_epsilon, dim, heads.data() + i * dim);
  }
  if (rope == nullptr) return;
  rope->angles(position, cosines.data(), sines.data());
  for (size_t i = 0; i < count; i++) kernels_.rope(heads.data() + i * dim, 1, turned, cosines.data(), sines.data());
}

std::vector<std::byte> ScalarBackend::round(KvType type, const float* x) const {
  const size_t n = hyper_.head_dim;
  std::vector<std::byte> row(KvCache::row_bytes(type, n));
  float step = 0;
  switch (type) {
    case KvType::f16:
      kernels_.to_f16(x, n, reinterpret_cast<f16*>(row.data()));
      break;
    case KvType::int8:
      step = kernels_.quantize_kv_int8(x, n, reinterpret_cast<uint8_t*>(row.data()));
      break;
    case KvType::int16:
      step = kernels_.quantize_kv_int16(x, n, reinterpret_cast<int16_t*>(row.data()));
      break;
  }
  if (has_codes(type)) std::memcpy(row.data() + n * code_bytes(type), &step, sizeof step);
  return row;
}

// Over all positions up to the row's own, a split after the other.
std::vector<float> ScalarBackend::attend(uint32_t layer, const Part& part, const std::vector<float>& q) {
  const auto& sequence = static_cast<const Sequence&>(*part.row.state);
  const uint32_t dim = hyper_.head_dim, group = hyper_.heads / hyper_.kv_heads, length = part.row.position + 1;
  const KvType type = sequence.type();
  const size_t floats = attention_state_floats(dim);
  KvCache blocks(pages_, type, length, false);
  blocks.prepare(0, length);
  Buffer scratch(attention_scratch_bytes(type, group, dim) + 64), states(2 * group * floats * sizeof(float));
  std::vector<float> mixed(size_t{hyper_.heads} * dim);
  for (uint32_t kv_head = 0; kv_head < hyper_.kv_heads; kv_head++) {
    const size_t head = blocks.head(layer, kv_head);
    for (uint32_t i = 0; i < length; i++) {
      blocks.store_key(head, i, sequence.row(2 * head, i).data());
      blocks.store_value(head, i, sequence.row(2 * head + 1, i).data());
    }
    for (uint32_t begin = 0; begin < length; begin += kKvSplit) {
      float* const into = states.as<float>() + (begin == 0 ? 0 : group * floats);
      const KvCache::Split split = blocks.split(head, begin);
      const Attention attention = {
          .q = q.data() + size_t{kv_head} * group * dim,
          .q_stride = q.size(),
          .rows = 1,
          .group = group,
          .keys = split.keys.data(),
          .values = split.values.data(),
          .head_dim = dim,
          .length = length - begin,
          .scale = hyper_.attention_scale != 0 ? hyper_.attention_scale : 1.0f / std::sqrt(static_cast<float>(dim)),
          .states = into,
          .scratch = scratch.data(),
          .window = hyper_.has_window(layer) ? hyper_.window : SIZE_MAX,
      };
      switch (type) {
        case KvType::f16:
          kernels_.attention_f16(attention);
          break;
        case KvType::int8:
          kernels_.attention_int8(attention);
          break;
        case KvType::int16:
          kernels_.attention_int16(attention);
          break;
      }
      for (uint32_t i = 0; begin != 0 && i < group; i++) {
        kernels_.attention_merge(states.as<float>() + i * floats, into + i * floats, dim);
      }
    }
    for (uint32_t i = 0; i < group; i++) {
      kernels_.attention_finish(states.as<float>() + i * floats, dim,
                                mixed.data() + (size_t{kv_head} * group + i) * dim);
    }
  }
  return mixed;
}

}  // namespace bitnet
