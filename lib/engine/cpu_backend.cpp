// SPDX-License-Identifier: MIT
#include "engine/cpu_backend.h"

#include "engine/kv_cache.h"

namespace bitnet {

CpuBackend::CpuBackend(const Model& model, const Kernels& kernels, ThreadPool& pool, const CpuOptions& options)
    : model_(model),
      pool_(pool),
      pages_(model.hyper, options.budget),
      forward_(model, kernels, pool, options.batch),
      tuner_(options.generation_threads != 0 ? options.generation_threads : pool.threads(),
             options.generation_threads != 0 || pool.is_callers()) {}

uint64_t CpuBackend::bytes(const Model& model, uint32_t threads, uint32_t batch) {
  return ForwardPass::bytes(model, threads, batch);
}

std::unique_ptr<SequenceState> CpuBackend::make_state(KvType type, uint32_t context, bool prefixes) {
  return std::make_unique<KvCache>(pages_, type, context, prefixes);
}

void CpuBackend::submit(std::vector<Row>& rows) {
  const bool head_alone = rows.front().given != nullptr;
  single_ = rows.size() == 1 && !head_alone;
  pool_.use(single_ || head_alone ? tuner_.threads() : pool_.threads());
  start_ = std::chrono::steady_clock::now();
  forward_.begin(rows);
}

bool CpuBackend::wait() {
  if (!forward_.step()) return false;
  if (single_) tuner_.record(std::chrono::steady_clock::now() - start_);
  return true;
}

uint64_t CpuBackend::trim() {
  forward_.discard();
  return pages_.trim();
}

}  // namespace bitnet
