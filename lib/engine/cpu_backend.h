// SPDX-License-Identifier: MIT
// The backend of this machine's processors: the threads of a pool compute, a layer with each call of wait(). Keys and
// values lie in pages (kv_pages.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/backend.h"
#include "engine/forward.h"
#include "engine/kv_pages.h"
#include "engine/thread_pool.h"
#include "engine/thread_tuner.h"
#include "kernels.h"
#include "model/model.h"

namespace bitnet {

struct CpuOptions {
  uint32_t batch = 0;               // the most rows in a pass
  uint32_t generation_threads = 0;  // that compute a row alone; 0: found on the way
  KvBudget budget;
};

class CpuBackend final : public Backend {
 public:
  // All but make_state() is called in a turn of the pool.
  CpuBackend(const Model& model, const Kernels& kernels, ThreadPool& pool, const CpuOptions& options);

  static uint64_t bytes(const Model& model, uint32_t threads, uint32_t batch);

  bool is_exact() const override { return true; }
  bool has_screen() const override { return model_.screen.data != nullptr; }
  std::unique_ptr<SequenceState> make_state(KvType type, uint32_t context, bool prefixes) override;
  void submit(std::vector<Row>& rows) override;
  bool wait() override;
  void drop_left() noexcept override { forward_.drop_left(); }
  uint64_t trim() override;

 private:
  const Model& model_;
  ThreadPool& pool_;
  KvPages pages_;
  ForwardPass forward_;
  ThreadTuner tuner_;
  bool single_ = false;  // the current pass began with a row alone
  std::chrono::steady_clock::time_point start_;
};

}  // namespace bitnet
