// SPDX-License-Identifier: MIT
#include "known_models.h"

#include <string_view>

#include "api/handles.h"
#include "engine/session.h"
#include "format/shapes.h"

namespace bitnet::program {

namespace {

Weights weights_of(const Matrix& matrix) {
  if (packing_of(matrix.numbers)) return Weights::ternary;
  return group_of(matrix.numbers) ? Weights::groups : Weights::dense;
}

// Converters have three names for the graph with sub-norms, and some files the activation of another.
bool same_graph(const Architecture& a, const Architecture& b) {
  return a.name == b.name || (a.sub_norms == Part::required && b.sub_norms == Part::required);
}

bool has_shape(const bitnet::Model& model, const Shape& shape) {
  const HyperParameters &ours = model.hyper, theirs = shape.hyper();
  const Layer& layer = model.layers.front();
  return same_graph(*ours.architecture, *theirs.architecture) && ours.layers == theirs.layers &&
         ours.hidden == theirs.hidden && ours.ffn == theirs.ffn && ours.heads == theirs.heads &&
         ours.kv_heads == theirs.kv_heads && ours.head_dim == theirs.head_dim && ours.experts == theirs.experts &&
         ours.vocabulary == theirs.vocabulary && ours.activation == theirs.activation && model.tied == shape.tied &&
         (model.head.data == nullptr) == shape.embeds && (layer.q.norm != nullptr) == shape.input_norms &&
         weights_of(layer.q.weights) == shape.weights;
}

}  // namespace

std::vector<KnownModel> known_models(const bitnet_model* model) {
  std::vector<KnownModel> found;
  for (const auto& family : known_families()) {
    for (const auto& one : family["models"]) {
      const auto name = one["shape"].get<std::string>();
      const Shape* const shape = find_shape(name);
      if (shape == nullptr || !has_shape(model->runtime->model(), *shape)) continue;
      found.push_back({name, family["family"], one.value("repo", ""), family.value("license", ""),
                       family.value("mistakes", std::vector<std::string>())});
    }
  }
  return found;
}

}  // namespace bitnet::program
