// SPDX-License-Identifier: MIT
#include "bench/token_weights.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "api/handles.h"
#include "format/container.h"

namespace bitnet::program {

namespace {

constexpr size_t kPiece = size_t{1} << 20;

bool takes_part(const Tensor& tensor, const Model& model, bool logits) {
  const Matrix& head = model.screen.data != nullptr && !logits ? model.screen : model.head;
  const auto is_of = [&](const Layer& layer) {
    return std::ranges::any_of(kLinears,
                               [&](auto linear) { return (layer.*linear).weights.data == tensor.data.data(); });
  };
  return tensor.data.data() == head.data || std::ranges::any_of(model.layers, is_of);
}

// Needs a word of each cache line, and so has all of the line come. The sum is of no use.
void need(std::span<const std::byte> bytes) {
  constexpr size_t kAhead = 4096;  // across the ends of pages, where the processor's own prefetching stops
  uint64_t sum = 0;
  for (size_t i = 0; i + kCacheLine <= bytes.size(); i += kCacheLine) {
    uint64_t word;
    __builtin_prefetch(bytes.data() + i + kAhead, 0, 2);
    std::memcpy(&word, bytes.data() + i, sizeof word);
    sum += word;
  }
  asm volatile("" ::"r"(sum));
}

}  // namespace

TokenWeights::TokenWeights(const bitnet_model& handle, bool logits) {
  const Model& model = handle.runtime->model();
  for (const Tensor& tensor : model.container->tensors()) {
    if (!takes_part(tensor, model, logits)) continue;
    // Of matrices of experts as much as those have that compute a token.
    const bool experts = tensor.name.ends_with("_exps.weight");
    const size_t bytes =
        experts ? tensor.data.size() / model.hyper.experts * model.hyper.experts_used : tensor.data.size();
    bytes_ += bytes;
    for (auto rest = tensor.data.first(bytes); !rest.empty(); rest = rest.subspan(std::min(kPiece, rest.size()))) {
      pieces_.push_back(rest.first(std::min(kPiece, rest.size())));
    }
  }
}

double TokenWeights::read(unsigned threads) const {
  std::atomic<size_t> next{0};
  const auto part = [&] {
    for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < pieces_.size();) need(pieces_[i]);
  };
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> others;
  for (unsigned i = 1; i < threads; ++i) others.emplace_back(part);
  part();
  for (std::thread& other : others) other.join();
  return static_cast<double>(bytes_) / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace bitnet::program
