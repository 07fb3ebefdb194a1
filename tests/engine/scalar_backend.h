// SPDX-License-Identifier: MIT
// A backend that is as plain as can be, so that the interface is not made for one alone: a thread of its own computes
// one row after the other by the scalar kernels, what sequences leave behind are rows in plain vectors, and nothing of
// the caller's memory is read or written but in submit() and wait(). It keeps no prefixes. It can be told to make a
// mistake.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/backend.h"
#include "engine/head.h"
#include "engine/kv_cache.h"
#include "engine/kv_pages.h"
#include "engine/linear.h"
#include "engine/rope.h"
#include "engine/thread_pool.h"
#include "model/model.h"

namespace bitnet {

enum class Mistake : uint8_t {
  none,
  wrong_bit,      // in one of the logits, now and then
  aliased_forks,  // a fork writes what the other reads
  late_results,   // also of rows that have been dropped
};

class ScalarBackend final : public Backend {
 public:
  explicit ScalarBackend(const Model& model, Mistake mistake = Mistake::none, bool is_exact = true);
  ~ScalarBackend() override;

  bool is_exact() const override { return is_exact_; }
  bool has_screen() const override { return model_.screen.data != nullptr; }
  std::unique_ptr<SequenceState> make_state(KvType type, uint32_t context, bool prefixes) override;
  void submit(std::vector<Row>& rows) override;
  bool wait() override;
  void drop_left() noexcept override;
  uint64_t trim() override { return 0; }

 private:
  class Sequence;
  struct Part {  // a row of the pass, and what comes of it
    Row row;
    std::vector<float> given, hidden, logits;
    Screened screened;
  };

  void work();
  void compute(Part& part);
  bool enter(const Part* part);
  void compute_layer(const Layer& layer, uint32_t index, const Part& part);
  std::vector<float> mix_experts(const Layer& layer);
  std::vector<float> feed_forward(const Linear& gate, const Linear& up, const Linear& down, const Layer& layer);
  std::vector<float> multiply(const Linear& linear, const float* norm, std::vector<float> x);
  std::vector<float> attend(uint32_t layer, const Part& part, const std::vector<float>& q);
  void rotate(std::vector<float>& heads, const float* norm, const Rope* rope, uint32_t position) const;
  std::vector<std::byte> round(KvType type, const float* x) const;
  void finish(Part& part);

  const Model& model_;
  const HyperParameters& hyper_;
  const Kernels& kernels_;
  const Mistake mistake_;
  const bool is_exact_;
  ThreadPool alone_{{.threads = 1}};
  const Rope rope_, window_rope_;
  Head head_;
  KvPages pages_;  // for one head at a time, as the kernels of attention read it
  std::vector<float> x_;

  std::vector<Row>* rows_ = nullptr;  // the caller's
  std::vector<size_t> places_;        // theirs in parts_
  uint32_t passes_ = 0;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<Part> parts_;
  const Part* current_ = nullptr;  // at work; between layers another may become that
  bool computing_ = false, stopping_ = false;
  std::exception_ptr error_;
  std::thread thread_;
};

}  // namespace bitnet
