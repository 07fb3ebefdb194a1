// SPDX-License-Identifier: MIT
#include "format/load.h"

#include <algorithm>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/finite.h"
#include "format/metadata.h"
#include "format/open.h"
#include "text/tokenizer.h"

namespace bitnet {
namespace {

Token check_special(const char* what, int32_t id, size_t tokens) {
  require(id == kNoToken || (id >= 0 && static_cast<size_t>(id) < tokens), BITNET_ERROR_FORMAT, "the tokenizer's ",
          what, " token is ", id, ", outside the vocabulary of ", counted(tokens, "token"));
  return id;
}

void check_pieces(const StringTable& pieces) {
  uint32_t begin = 0;
  for (size_t i = 0; i < pieces.size(); begin = pieces.ends[i++]) {
    require(pieces.ends[i] >= begin && pieces.ends[i] <= pieces.bytes.size(), BITNET_ERROR_FORMAT,
            "the tokenizer's token ", i, " ends at ", pieces.ends[i], ", outside the text of the tokens");
  }
}

std::span<const Merge> read_merges(const fb::Tokenizer& in, size_t tokens) {
  static_assert(sizeof(Merge) == sizeof(fb::Merge));
  static_assert(alignof(Merge) == alignof(fb::Merge));
  if (in.merges() == nullptr) return {};
  const std::span merges(reinterpret_cast<const Merge*>(in.merges()->Data()), in.merges()->size());
  const auto valid = [tokens](Token id) { return id >= 0 && static_cast<size_t>(id) < tokens; };
  const auto bad = std::ranges::find_if(merges, [&](Merge m) { return !valid(m.left) || !valid(m.right); });
  require(bad == merges.end(), BITNET_ERROR_FORMAT, "the tokenizer's merge ", bad - merges.begin(),
          " names tokens that do not exist");
  return merges;
}

TokenizerKind read_kind(fb::TokenizerKind kind) {
  switch (kind) {
    case fb::TokenizerKind::byte_bpe:
      return TokenizerKind::byte_bpe;
    case fb::TokenizerKind::sentencepiece:
      return TokenizerKind::sentencepiece;
  }
  fail(BITNET_ERROR_UNSUPPORTED, "the tokenizer is of a kind that this library does not know; a newer libbitnet may");
}

SpacePrefix read_space_prefix(fb::SpacePrefix prefix) {
  switch (prefix) {
    case fb::SpacePrefix::always:
      return SpacePrefix::always;
    case fb::SpacePrefix::missing:
      return SpacePrefix::missing;
    case fb::SpacePrefix::first:
      return SpacePrefix::first;
  }
  fail(BITNET_ERROR_UNSUPPORTED,
       "the tokenizer puts spaces before texts in a way that this library does not know; a "
       "newer libbitnet may");
}

Vocabulary read_vocabulary(const fb::Model& model, size_t tokens) {
  const fb::Tokenizer& in = *model.tokenizer();
  Vocabulary out;
  out.kind = read_kind(in.kind());
  out.merges = read_merges(in, tokens);
  const bool scored = out.kind == TokenizerKind::sentencepiece && out.merges.empty();
  out.pre_tokenizer = view(in.pre_tokenizer());
  const auto bytes = view(in.pieces());
  out.pieces = {{reinterpret_cast<const char*>(bytes.data()), bytes.size()}, view(in.ends())};
  out.types = view(in.types());
  out.scores = view(in.scores());
  require(out.pieces.size() == tokens && out.types.size() == tokens && out.scores.size() == (scored ? tokens : 0),
          BITNET_ERROR_FORMAT, "the tokenizer has ", counted(out.pieces.size(), "token"), ", ",
          counted(out.types.size(), "type"), " and ", counted(out.scores.size(), "score"), " for a vocabulary of ",
          tokens);
  check_pieces(out.pieces);
  const auto bad_type = std::ranges::find_if(out.types, [](uint8_t type) { return type < 1 || type > 6; });
  require(bad_type == out.types.end(), BITNET_ERROR_FORMAT, "the tokenizer's token ", bad_type - out.types.begin(),
          " has an unknown type");
  const size_t bad_score = find_nonfinite(out.scores);
  require(bad_score == out.scores.size(), BITNET_ERROR_FORMAT, "the tokenizer's token ", bad_score,
          " has a score that is no number");
  out.bos = check_special("bos", in.bos(), tokens);
  out.eos = check_special("eos", in.eos(), tokens);
  out.unknown = check_special("unknown", in.unknown(), tokens);
  out.padding = check_special("padding", in.padding(), tokens);
  out.end_tokens = view(in.end_tokens());
  for (const Token token : out.end_tokens) check_special("end", token, tokens);
  out.add_bos = in.add_bos() && out.bos != kNoToken;
  out.add_eos = in.add_eos() && out.eos != kNoToken;
  out.add_space_prefix = in.add_space_prefix();
  out.space_prefix = read_space_prefix(in.space_prefix());
  out.chat_template = view(model.chat_template());
  return out;
}

// Puts the tensors of a container, which check_tensors has seen to be there, into their places.
class Loader {
 public:
  Loader(const Container& container, Model& model) : container_(container), model_(model) {
    model_.layers.resize(model_.hyper.layers);
  }

  void load(const TensorSpec& spec) {
    const Tensor& tensor = *container_.find(spec.name);
    switch (spec.role) {
      case Role::vector:
        return load_vector(spec, tensor);
      case Role::bias:
        linear(spec).bias = finite(tensor);
        return;
      case Role::linear:
      case Role::router:
        linear(spec).weights = matrix(tensor);
        return;
      case Role::embedding:
      case Role::head:
      case Role::screen:
        model_.*std::get<Matrix Model::*>(spec.place) = matrix(tensor);
        return;
    }
  }

 private:
  Layer& layer(const TensorSpec& spec) { return model_.layers[spec.layer]; }
  Linear& linear(const TensorSpec& spec) { return layer(spec).*std::get<Linear Layer::*>(spec.place); }

  void load_vector(const TensorSpec& spec, const Tensor& tensor) {
    if (const auto* const place = std::get_if<const float * Layer::*>(&spec.place)) {
      layer(spec).** place = finite(tensor);
    } else if (std::holds_alternative<Linear Layer::*>(spec.place)) {
      linear(spec).norm = finite(tensor);
    } else {
      model_.*std::get<const float * Model::*>(spec.place) = finite(tensor);
    }
  }

  static const float* finite(const Tensor& tensor) {
    const std::span values(reinterpret_cast<const float*>(tensor.data.data()), tensor.cols);
    const size_t bad = find_nonfinite(values);
    require(bad == values.size(), BITNET_ERROR_FORMAT, "tensor ", tensor.name, ", column ", bad,
            " is no finite number; the file is damaged");
    return values.data();
  }

  static Matrix matrix(const Tensor& tensor) {
    return {tensor_type(tensor.type).numbers,
            tensor.rows,
            tensor.cols,
            tensor.stride,
            tensor.data.data(),
            tensor.scales.data(),
            tensor.scales.size() > 1,
            tensor.bounds.data()};
  }

  const Container& container_;
  Model& model_;
};

// Matrices that share their activations must read them in the same form.
void check_shared(const Layer& layer, uint32_t index) {
  const auto same = [](const Linear& a, const Linear& b) { return a.weights.numbers == b.weights.numbers; };
  require(same(layer.q, layer.k) && same(layer.q, layer.v) && same(layer.gate, layer.up), BITNET_ERROR_UNSUPPORTED,
          "in layer ", index, " matrices that share their input are packed differently; convert the file again");
}

// By each of them a frequency is divided.
void check_rope_factors(const Model& model) {
  if (model.rope_factors == nullptr) return;
  const std::span factors(model.rope_factors, model.hyper.head_dim / 2);
  const auto bad = std::ranges::find_if(factors, [](float factor) { return !(factor > 0); });
  require(bad == factors.end(), BITNET_ERROR_FORMAT, "tensor ", kRopeFactorsName, ", column ", bad - factors.begin(),
          " is ", bad == factors.end() ? 0 : *bad, "; a rotary factor must be positive");
}

}  // namespace

Model load_model(std::shared_ptr<const Container> container) {
  const fb::Model& in = container->metadata();
  const HyperParameters hyper = read_hyperparameters(in);
  check_hyperparameters(hyper);
  const auto has = [&](std::string_view name) { return container->find(name) != nullptr; };
  require(has(kHeadName) || in.tied() || in.headless(), BITNET_ERROR_FORMAT, "tensor ", kHeadName, " is missing");
  require(!(in.headless() && (has(kHeadName) || has(kScreenName) || in.tied())), BITNET_ERROR_FORMAT,
          "the model has a head, but its metadata says that it has none");
  const auto specs = tensor_specs(hyper, has);
  check_tensors(*container, specs);

  Model model;
  model.name = view(in.name());
  model.license = view(in.license());
  model.hyper = hyper;
  model.vocabulary = read_vocabulary(in, hyper.vocabulary);
  Loader loader(*container, model);
  for (const TensorSpec& spec : specs) loader.load(spec);
  for (uint32_t i = 0; i < hyper.layers; ++i) check_shared(model.layers[i], i);
  check_rope_factors(model);
  if (!has(kHeadName) && !in.headless()) model.head = model.embedding;
  model.tied = in.tied();
  model.pooling = read_pooling(in.pooling());
  model.owned_bytes = container->owned_bytes();
  model.fingerprint = container->fingerprint();
  model.container = std::move(container);
  return model;
}

void check_tokenizer(const fb::Model& metadata) {
  const Tokenizer tokenizer(read_vocabulary(metadata, metadata.hyper()->vocabulary()));
}

void check_model(const std::string& path) {
  const Model model = load_model(open_container(path));
  with_path(path, [&] { check_tokenizer(model.container->metadata()); });
}

}  // namespace bitnet
