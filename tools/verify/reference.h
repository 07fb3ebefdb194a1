// SPDX-License-Identifier: MIT
// A plain forward pass in F32, to hold the engine to: over whole texts, by loops over floats that follow the formulas
// of the papers, with the model's own rounding of activations and no other. Of the engine it has the model alone, whose
// packed weights it unpacks by the definitions of packing.h, groups.h and planes.h. Only `bitnet verify --lossless`
// uses it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "bitnet.h"
#include "kernels.h"
#include "model/model.h"

namespace bitnet::program {

// Floats of some tokens.
struct Rows {
  size_t width;
  std::vector<float> values;

  Rows(size_t count, size_t width) : width(width), values(count * width) {}
  size_t count() const { return values.size() / width; }
  std::span<float> operator[](size_t row) { return {values.data() + row * width, width}; }
  std::span<const float> operator[](size_t row) const { return {values.data() + row * width, width}; }
};

// What a linear was given, behind its norm, and what it made of that, before its bias.
struct SeenProduct {
  uint32_t layer;
  const Linear& linear;
  const Rows &input, &output;
};

struct ReferenceOptions {
  std::optional<KvType> cache = {};  // queries, keys and values are rounded as with this cache; none: not at all
  std::function<void(const SeenProduct&)> product = {};
  std::function<bool(uint32_t layer)> progress = {};  // false: ends the pass with Stop
};

class Reference {
 public:
  explicit Reference(const bitnet::Model& model) : model_(model), hyper_(model.hyper) {}

  // Logits of the tokens of each text from `first` on are given to `see`, in order.
  struct Text {
    std::span<const bitnet_token> tokens;
    size_t first;
  };
  using See = std::function<void(size_t text, size_t position, std::span<const float> logits)>;
  void run(std::span<const Text> texts, const ReferenceOptions& options, const See& see) const;

 private:
  struct Place {
    size_t begin, position;  // the text's first row, and the token's place in the text
  };
  Rows embed(std::span<const Text> texts) const;
  Rows multiply(const Linear& linear, const Rows& x, uint32_t layer, const ReferenceOptions& options) const;
  void turn(Rows& heads, const float* norm, uint32_t layer, std::span<const Place> places) const;
  Rows attend(const Rows& q, const Rows& k, const Rows& v, uint32_t layer, std::span<const Place> places) const;
  Rows gated(Rows gate, const Rows& up) const;
  Rows feed(const Layer& layer, const Rows& x, uint32_t index, const ReferenceOptions& options) const;
  Rows feed_experts(const Layer& layer, const Rows& x, uint32_t index, const ReferenceOptions& options) const;
  void add(Rows& x, const Rows& y, const float* norm) const;

  const bitnet::Model& model_;
  const HyperParameters& hyper_;
};

}  // namespace bitnet::program
