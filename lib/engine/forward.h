// SPDX-License-Identifier: MIT
// The forward pass of a transformer over a batch of rows, each the next token of some session.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/pages.h"
#include "engine/backend.h"
#include "engine/experts.h"
#include "engine/head.h"
#include "engine/kv_cache.h"
#include "engine/linear.h"
#include "engine/rope.h"
#include "engine/thread_pool.h"
#include "kernels.h"
#include "model/model.h"

namespace bitnet {

class ForwardPass {
 public:
  // `batch`: the most rows that begin() takes. Takes all the memory it will ever use.
  ForwardPass(const Model& model, const Kernels& kernels, ThreadPool& threads, uint32_t batch);

  static uint64_t bytes(const Model& model, uint32_t threads, uint32_t batch);

  // As submit(), wait() and drop_left() of a Backend. A step is a layer; the last is the head.
  void begin(std::vector<Row>& rows);
  bool step();
  void drop_left();

  // Gives the memory of the work space back to the system until it is used again.
  void discard() { discard_pages(memory_.data(), memory_.size()); }

 private:
  // Neighbouring rows of one sequence, which attention takes together.
  struct Tile {
    uint32_t begin, rows;
  };

  // Neighbouring splits of a row alone, whose states lie in `slot` and those that follow.
  struct SplitRun {
    uint32_t row, split, splits, slot;
  };
  // Neighbouring pairs of a row and a choice of it, all of one expert.
  struct ExpertRun {
    uint32_t expert, begin, pairs, first_piece;
  };
  // By which the rotary embedding turns each row: head_dim / 2 of each for a row.
  struct Angles {
    float *cosines, *sines;
  };
  // Makes or finds row t of the floats that a step works on.
  using RowOf = float* (ForwardPass::*)(uint32_t t);

  void cut_tiles();
  void compute_layer(const Layer& layer, uint32_t index);
  float* embed(uint32_t t);
  float* add_product(uint32_t t);
  float* residual(uint32_t t);
  float* attention_output(uint32_t t);
  float* activate_gate(uint32_t t);
  void feed_experts(const Layer& layer);
  void choose(const Layer& layer);
  void sort_by_expert();
  void mix_experts();
  void project(RowOf row, RowOf again, const float* norm, std::initializer_list<Product> products);
  void prepare(RowOf row, const float* norm, const Linear& linear);
  void prepare(RowOf row, const float* norm, const Linear& linear, uint32_t rows, const uint32_t* places,
               uint32_t copies);
  void multiply(std::initializer_list<Product> products);
  void multiply_by_experts(std::initializer_list<Product> products);
  void rotate_and_store(const Layer& layer, uint32_t index);
  void turn(float* heads, uint32_t count, const float* norm, const Angles* angles, uint32_t t) const;
  const Angles* angles_of(uint32_t layer) const;
  void round_kv(KvType type, const float* x, std::byte* row) const;
  void attend(uint32_t layer);
  void attend_tile(uint32_t layer, Tile tile, uint32_t kv_head, uint32_t worker);
  void attend_rows_alone(uint32_t layer);
  bool next_wave();
  void attend_wave(uint32_t layer);
  void finish_run(const SplitRun& run, uint32_t head);
  void attend_split(uint32_t layer, uint32_t kv_head, Tile tile, uint32_t begin, float* states, uint32_t worker);
  void finish_rows();
  KvCache& cache(uint32_t t) const { return static_cast<KvCache&>(*rows_[t].state); }

  const Model& model_;
  const HyperParameters& hyper_;
  const Kernels& kernels_;
  ThreadPool& threads_;
  const Rope rope_;
  const std::optional<Rope> window_rope_;  // of layers with windows
  // Of the current pass:
  std::vector<Row>* taken_ = nullptr;
  std::span<const Row> rows_;  // those
  uint32_t next_layer_ = 0;
  std::vector<Tile> tiles_;      // all rows
  std::vector<Tile> shared_;     // the tiles of several rows
  std::vector<uint32_t> alone_;  // the rows of the others
  std::vector<SplitRun> wave_;   // splits of those that are computed together
  // Of the current layer, experts_used for each row: choices, and in what place each lies among all, sorted by expert.
  std::vector<Choice> choices_;
  std::vector<uint32_t> places_;
  std::vector<ExpertRun> runs_;  // those that have any
  std::vector<uint32_t> begins_;

  // Where things lie in the work space, in bytes from its start.
  struct Layout {
    Layout(const Model& model, uint32_t threads, uint32_t batch);
    // One row of floats for each token of the batch:
    size_t x;               // hidden: the residual stream
    size_t cosines, sines;  // head_dim / 2
    size_t window_cosines, window_sines;
    size_t steps;        // 1: value of a unit of the quantized activations
    size_t activations;  // those of the product at hand (Activations)
    // Likewise, but these three take turns in the same space:
    size_t q, k, v, mixed;  // heads * head_dim, kv_heads * head_dim; mixed: what attention makes of them
    size_t gate, up;        // ffn
    size_t y;               // hidden: what attention and feed-forward add to the residual stream
    // With experts, of which each row has several, gate and up are theirs, and there are besides:
    size_t scores;  // experts: of the router
    size_t made;    // hidden, for each expert of a row
    // One for each thread:
    size_t normed;   // a row on its way to the activations
    size_t states;   // of attention: those of a tile for all splits so far, then for one
    size_t scratch;  // of the kernels
    size_t scratch_bytes;
    // For rows alone, kSplitSlots for each head:
    size_t split_states;
    // For the head:
    size_t last;  // Head::kRows rows of hidden
    size_t total;
    uint32_t widest;     // hidden, heads * head_dim or ffn
    uint32_t attention;  // heads * head_dim
    uint32_t kv;         // kv_heads * head_dim
    uint32_t state;      // floats of a state of attention
    uint32_t tile_rows;  // the most rows in a tile
  };
  float* states(uint32_t worker, uint32_t set) {
    return floats(layout_.states) + (size_t{worker} * 2 + set) * tile_queries() * layout_.state;
  }
  float* split_state(uint32_t slot, uint32_t head) {
    return floats(layout_.split_states) + (size_t{slot} * hyper_.heads + head) * layout_.state;
  }
  uint32_t count() const { return static_cast<uint32_t>(rows_.size()); }
  // Of the group of query heads that share a KV head.
  uint32_t group() const { return hyper_.heads / hyper_.kv_heads; }
  uint32_t pairs() const { return count() * hyper_.experts_used; }
  uint32_t tile_queries() const { return layout_.tile_rows * group(); }
  float* floats(size_t offset) { return reinterpret_cast<float*>(memory_.data() + offset); }
  uint8_t* scratch(uint32_t worker) {
    return reinterpret_cast<uint8_t*>(memory_.data()) + layout_.scratch + worker * layout_.scratch_bytes;
  }

  const Layout layout_;
  Buffer memory_;
  Head head_;
  const Angles angles_, window_angles_;
  const float* added_norm_ = nullptr;  // of what add_product adds; null: none
  float *x_, *steps_, *q_, *k_, *v_, *mixed_, *gate_, *up_, *y_, *scores_, *made_;
  Activations activations_{};  // of the product at hand
};

}  // namespace bitnet
