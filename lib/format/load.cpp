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

PlainMatrix::Type plain_type(const Tensor& tensor) {
  switch (tensor.type) {
    case fb::Type::f16:
      return PlainMatrix::Type::f16;
    case fb::Type::int8:
      return PlainMatrix::Type::int8;
    case fb::Type::q5:
      return PlainMatrix::Type::q5;
    case fb::Type::q6:
      return PlainMatrix::Type::q6;
    case fb::Type::f32:
    case fb::Type::i2:
    case fb::Type::t5:
      break;
  }
  fail(BITNET_ERROR_INTERNAL, "tensor ", tensor.name, " of type ", name_of(tensor.type), " is no embedding or head");
}

// The tensors by name; check_tensors has seen that they are there.
class Tensors {
 public:
  explicit Tensors(const Container& container) : container_(container) {}

  const float* norm(const std::string& name) const {
    const Tensor& tensor = get(name);
    const std::span values(reinterpret_cast<const float*>(tensor.data.data()), tensor.cols);
    const size_t bad = find_nonfinite(values);
    require(bad == values.size(), BITNET_ERROR_FORMAT, "tensor ", name, ", column ", bad,
            " is no finite number; the file is damaged");
    return values.data();
  }

  // One packing for all: matrices that share their activations must read them in the same order.
  TernaryMatrix ternary(const std::string& name) {
    const Tensor& tensor = get(name);
    const Packing packing = *tensor_type(tensor.type).packing;
    if (!packing_) packing_ = packing;
    require(*packing_ == packing, BITNET_ERROR_UNSUPPORTED, "tensor ", name,
            " is packed otherwise than the tensors before; convert the file to one packing");
    return {packing,
            tensor.rows,
            tensor.cols,
            reinterpret_cast<const uint8_t*>(tensor.data.data()),
            tensor.scales.data(),
            tensor.scales.size() > 1};
  }

  PlainMatrix plain(std::string_view name) const {
    const Tensor& tensor = get(name);
    return {plain_type(tensor), tensor.rows,          tensor.cols,         tensor.stride,
            tensor.data.data(), tensor.scales.data(), tensor.bounds.data()};
  }

 private:
  const Tensor& get(std::string_view name) const { return *container_.find(name); }

  const Container& container_;
  std::optional<Packing> packing_;
};

Layer load_layer(Tensors& tensors, const std::string& prefix) {
  Layer layer;
  layer.attention_norm = tensors.norm(prefix + "attn_norm.weight");
  layer.q = tensors.ternary(prefix + "attn_q.weight");
  layer.k = tensors.ternary(prefix + "attn_k.weight");
  layer.v = tensors.ternary(prefix + "attn_v.weight");
  layer.attention_sub_norm = tensors.norm(prefix + "attn_sub_norm.weight");
  layer.o = tensors.ternary(prefix + "attn_output.weight");
  layer.ffn_norm = tensors.norm(prefix + "ffn_norm.weight");
  layer.gate = tensors.ternary(prefix + "ffn_gate.weight");
  layer.up = tensors.ternary(prefix + "ffn_up.weight");
  layer.ffn_sub_norm = tensors.norm(prefix + "ffn_sub_norm.weight");
  layer.down = tensors.ternary(prefix + "ffn_down.weight");
  return layer;
}

}  // namespace

Model load_model(std::shared_ptr<const Container> container) {
  const fb::Model& in = container->metadata();
  require(activation_of(view(in.architecture())).has_value(), BITNET_ERROR_UNSUPPORTED, "the architecture is ",
          view(in.architecture()).substr(0, 100), "; supported are bitnet-b1.58, bitnet-25 and bitnet");
  const HyperParameters hyper = read_hyperparameters(in);
  check_hyperparameters(hyper);
  const bool has_head = container->find(kHeadName) != nullptr;
  require(has_head || in.tied(), BITNET_ERROR_FORMAT, "tensor ", kHeadName, " is missing");
  const bool has_screen = container->find(kScreenName) != nullptr;
  check_tensors(*container, tensor_specs(hyper, has_head, has_screen));

  Model model;
  model.name = view(in.name());
  model.license = view(in.license());
  model.hyper = hyper;
  model.vocabulary = read_vocabulary(in, hyper.vocabulary);
  Tensors tensors(*container);
  model.embedding = tensors.plain(kEmbeddingName);
  model.layers.reserve(hyper.layers);
  for (uint32_t i = 0; i < hyper.layers; ++i) {
    model.layers.push_back(load_layer(tensors, "blk." + std::to_string(i) + "."));
  }
  model.output_norm = tensors.norm("output_norm.weight");
  model.head = has_head ? tensors.plain(kHeadName) : model.embedding;
  if (has_screen) model.screen = tensors.plain(kScreenName);
  model.tied = in.tied();
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
