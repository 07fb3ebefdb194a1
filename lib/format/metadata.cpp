// SPDX-License-Identifier: MIT
#include "format/metadata.h"

#include <cstring>

#include "base/error.h"

namespace bitnet {
namespace {

// Bytes of all texts and arrays if each has a place of its own. Offsets in a table may point to one and the same.
uint64_t variable_bytes(const fb::Model& model) {
  uint64_t total = 0;
  const auto add = [&total](const auto*... arrays) {
    ((total += arrays == nullptr ? 0 : uint64_t{arrays->size()} * sizeof arrays->data()[0]), ...);
  };
  const fb::Tokenizer& t = *model.tokenizer();
  add(model.architecture(), model.name(), model.license(), model.chat_template(), model.tensors(), model.notes());
  add(t.pre_tokenizer(), t.pieces(), t.ends(), t.types(), t.scores(), t.end_tokens());
  if (t.merges() != nullptr) total += t.merges()->size() * sizeof(fb::Merge);
  for (const fb::Tensor* tensor : *model.tensors()) add(tensor->name(), tensor->scales(), tensor->bounds());
  if (model.notes() == nullptr) return total;
  for (const fb::KeyValue* note : *model.notes()) add(note->key(), note->text());
  return total;
}

// The same of a model that is still to be packed: most of what it will take.
uint64_t variable_bytes(const fb::ModelT& model) {
  uint64_t total = 0;
  const auto add = [&total](const auto&... arrays) { ((total += arrays.size() * sizeof arrays[0]), ...); };
  add(model.architecture, model.name, model.license, model.chat_template, model.tensors, model.notes);
  if (const auto* const t = model.tokenizer.get()) {
    add(t->pre_tokenizer, t->pieces, t->ends, t->types, t->scores, t->merges, t->end_tokens);
  }
  for (const auto& tensor : model.tensors) add(tensor->name, tensor->scales, tensor->bounds);
  for (const auto& note : model.notes) add(note->key, note->text);
  return total;
}

HyperParameters read_fields(std::string_view architecture, const fb::HyperParametersT& in) {
  HyperParameters out;
  out.architecture = &require_architecture(architecture);
  out.layers = in.layers;
  out.hidden = in.hidden;
  out.ffn = in.ffn;
  out.heads = in.heads;
  out.kv_heads = in.kv_heads;
  out.head_dim = in.head_dim;
  out.vocabulary = in.vocabulary;
  out.context = in.context;
  out.rms_epsilon = in.rms_epsilon;
  out.rope_theta = in.rope_theta;
  out.rope_magnitude = in.rope_magnitude;
  out.attention_scale = in.attention_scale;
  out.window = in.window;
  out.window_period = in.window_period;
  out.window_theta = in.window_theta;
  out.input_epsilon = in.input_epsilon;
  out.embedding_scale = in.embedding_scale;
  out.residual_scale = in.residual_scale;
  out.logit_scale = in.logit_scale;
  out.experts = in.experts;
  out.experts_used = in.experts_used;
  out.normalised = in.normalised;
  out.expert_scale = in.expert_scale;
  out.ffn_limit = in.ffn_limit;
  out.rotary_dim = in.rotary_dim;
  out.only_windows_turn = in.only_windows_turn;
  out.gating = read_gating(in.gating);
  out.activation = read_activation(in.activation);
  return out;
}

}  // namespace

void verify_metadata(std::span<const std::byte> raw) {
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t*>(raw.data()), raw.size());
  require(fb::VerifyModelBuffer(verifier), BITNET_ERROR_FORMAT,
          "the metadata is not a valid table; the file is damaged");
  const uint64_t size = variable_bytes(*fb::GetModel(raw.data()));
  require(size <= kMaxMetadata, BITNET_ERROR_FORMAT, "the metadata holds ", size,
          " bytes of texts and arrays, many in one place; the format allows ", kMaxMetadata);
}

Buffer pack_metadata(const fb::ModelT& model) {
  const auto check = [](uint64_t size) {
    require(size <= kMaxMetadata, BITNET_ERROR_UNSUPPORTED, "the metadata takes ", size, " bytes; the format allows ",
            kMaxMetadata);
  };
  check(variable_bytes(model));  // first, since the builder's sizes have 32 bits
  flatbuffers::FlatBufferBuilder builder;
  fb::FinishModelBuffer(builder, fb::Model::Pack(builder, &model));
  check(builder.GetSize());
  Buffer buffer(builder.GetSize());
  std::memcpy(buffer.data(), builder.GetBufferPointer(), builder.GetSize());
  return buffer;
}

HyperParameters read_hyperparameters(const fb::Model& model) {
  fb::HyperParametersT hyper;
  model.hyper()->UnPackTo(&hyper);
  return read_fields(view(model.architecture()), hyper);
}

HyperParameters read_hyperparameters(const fb::ModelT& model) { return read_fields(model.architecture, *model.hyper); }

fb::HyperParametersT store_hyperparameters(const HyperParameters& in) {
  fb::HyperParametersT out;
  out.layers = in.layers;
  out.hidden = in.hidden;
  out.ffn = in.ffn;
  out.heads = in.heads;
  out.kv_heads = in.kv_heads;
  out.head_dim = in.head_dim;
  out.vocabulary = in.vocabulary;
  out.context = in.context;
  out.rms_epsilon = in.rms_epsilon;
  out.rope_theta = in.rope_theta;
  out.rope_magnitude = in.rope_magnitude;
  out.attention_scale = in.attention_scale;
  out.window = in.window;
  out.window_period = in.window_period;
  out.window_theta = in.window_theta;
  out.input_epsilon = in.input_epsilon;
  out.embedding_scale = in.embedding_scale;
  out.residual_scale = in.residual_scale;
  out.logit_scale = in.logit_scale;
  out.experts = in.experts;
  out.experts_used = in.experts_used;
  out.normalised = in.normalised;
  out.expert_scale = in.expert_scale;
  out.ffn_limit = in.ffn_limit;
  out.rotary_dim = in.rotary_dim;
  out.only_windows_turn = in.only_windows_turn;
  out.gating = stored_gating(in.gating);
  out.activation = stored_activation(in.activation);
  return out;
}

Activation read_activation(fb::Activation activation) {
  switch (activation) {
    case fb::Activation::relu2:
      return Activation::relu2;
    case fb::Activation::silu:
      return Activation::silu;
    case fb::Activation::gelu:
      return Activation::gelu;
  }
  fail(BITNET_ERROR_UNSUPPORTED, "unknown activation ", static_cast<int>(activation),
       "; a newer libbitnet may know it");
}

fb::Activation stored_activation(Activation activation) {
  switch (activation) {
    case Activation::relu2:
      return fb::Activation::relu2;
    case Activation::silu:
      return fb::Activation::silu;
    case Activation::gelu:
      return fb::Activation::gelu;
  }
  fail(BITNET_ERROR_INTERNAL, "activation ", static_cast<int>(activation), " cannot be stored");
}

Gating read_gating(fb::Gating gating) {
  switch (gating) {
    case fb::Gating::softmax:
      return Gating::softmax;
    case fb::Gating::sigmoid:
      return Gating::sigmoid;
  }
  fail(BITNET_ERROR_UNSUPPORTED, "unknown gating of experts ", static_cast<int>(gating),
       "; a newer libbitnet may know it");
}

fb::Gating stored_gating(Gating gating) {
  switch (gating) {
    case Gating::softmax:
      return fb::Gating::softmax;
    case Gating::sigmoid:
      return fb::Gating::sigmoid;
  }
  fail(BITNET_ERROR_INTERNAL, "gating ", static_cast<int>(gating), " cannot be stored");
}

Pooling read_pooling(fb::Pooling pooling) {
  switch (pooling) {
    case fb::Pooling::none:
      return Pooling::none;
    case fb::Pooling::mean:
      return Pooling::mean;
    case fb::Pooling::cls:
      return Pooling::cls;
    case fb::Pooling::last:
      return Pooling::last;
  }
  fail(BITNET_ERROR_UNSUPPORTED, "unknown pooling ", static_cast<int>(pooling), "; a newer libbitnet may know it");
}

std::vector<std::byte> canonical_bytes(const fb::HyperParameters& hyper) {
  fb::HyperParametersT unpacked;
  hyper.UnPackTo(&unpacked);
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(fb::HyperParameters::Pack(builder, &unpacked));
  const auto* const bytes = reinterpret_cast<const std::byte*>(builder.GetBufferPointer());
  return {bytes, bytes + builder.GetSize()};
}

}  // namespace bitnet
