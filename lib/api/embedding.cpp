// SPDX-License-Identifier: MIT
#include "engine/embedding.h"

#include "api/handles.h"

using namespace bitnet;

namespace {

Pooling make_pooling(bitnet_pooling pooling) {
  switch (pooling) {
    case BITNET_POOLING_MODEL:
      return Pooling::none;
    case BITNET_POOLING_LAST:
      return Pooling::last;
    case BITNET_POOLING_MEAN:
      return Pooling::mean;
    case BITNET_POOLING_CLS:
      return Pooling::cls;
  }
  fail(BITNET_ERROR_ARGUMENT, "pooling ", static_cast<int>(pooling), " does not exist");
}

EmbeddingNumbers make_numbers(bitnet_embed_format format) {
  switch (format) {
    case BITNET_EMBED_FLOAT:
      return EmbeddingNumbers::f32;
    case BITNET_EMBED_INT8:
      return EmbeddingNumbers::int8;
    case BITNET_EMBED_INT4:
      return EmbeddingNumbers::int4;
    case BITNET_EMBED_INT2:
      return EmbeddingNumbers::int2;
    case BITNET_EMBED_INT1:
      return EmbeddingNumbers::int1;
  }
  fail(BITNET_ERROR_ARGUMENT, "embeddings of format ", static_cast<int>(format), " do not exist");
}

bool make_cut(bitnet_embed_fit fit) {
  switch (fit) {
    case BITNET_EMBED_FIT_REFUSE:
      return false;
    case BITNET_EMBED_FIT_CUT:
      return true;
  }
  fail(BITNET_ERROR_ARGUMENT, "there is no such way to fit a text: ", static_cast<int>(fit));
}

EmbeddingOptions make_options(const bitnet_embed_options& o, const Model& model) {
  return with_defaults(
      {
          .pooling = make_pooling(o.pooling),
          .numbers = make_numbers(o.format),
          .normalize = o.raw == 0,
          .dimensions = o.dimensions,
          .most_tokens = o.max_tokens,
          .cut = make_cut(o.fit),
          .priority = make_priority(o.priority),
          .abort = o.abort,
          .abort_user = o.abort_user,
      },
      model);
}

// What both ways to give texts have in common, once these are tokens.
void write_embeddings(const bitnet_model* model, std::span<const std::span<const Token>> texts,
                      const bitnet_embed_options* options, void* embeddings, size_t capacity) {
  const auto o = read_options(options, "bitnet_embed_options");
  const EmbeddingOptions checked = make_options(o, model->runtime->model());
  const auto engine = engine_of(*model, o.engine, "bitnet_embed_options.engine");
  if (texts.empty()) return;
  require_pointer(embeddings, "embeddings");
  const size_t bytes = embedding_bytes(checked);
  require(texts.size() <= capacity / bytes, BITNET_ERROR_BUFFER, "the output buffer holds ", capacity,
          " bytes, but embeddings of ", counted(texts.size(), "text"), " take ", bytes, " each");
  embed(*engine, texts, checked, static_cast<std::byte*>(embeddings));
}

}  // namespace

bitnet_status bitnet_embed_size(const bitnet_model* model, const bitnet_embed_options* options, size_t* bytes) {
  return guard([&] {
    require_pointer(model, "model");
    require_pointer(bytes, "bytes");
    const auto o = read_options(options, "bitnet_embed_options");
    *bytes = embedding_bytes(make_options(o, model->runtime->model()));
  });
}

bitnet_status bitnet_embed(bitnet_model* model, const char* const* texts, const size_t* lengths, size_t count,
                           const bitnet_embed_options* options, void* embeddings, size_t capacity) {
  return guard([&] {
    require_pointer(model, "model");
    const Tokenizer& tokenizer = model->runtime->tokenizer();
    std::vector<std::vector<Token>> tokens;
    for (const char* const text : read_array(texts, count, "texts")) {
      const size_t length = lengths != nullptr ? lengths[tokens.size()] : BITNET_NUL_TERMINATED;
      require(text != nullptr || length == 0, BITNET_ERROR_ARGUMENT, "text ", tokens.size(), " is NULL");
      tokens.push_back(tokenizer.encode(read_text(text, length, "text"), {.bos_eos = true}));
    }
    write_embeddings(model, std::vector<std::span<const Token>>(tokens.begin(), tokens.end()), options, embeddings,
                     capacity);
  });
}

bitnet_status bitnet_embed_tokens(bitnet_model* model, const bitnet_token* tokens, const size_t* counts, size_t count,
                                  const bitnet_embed_options* options, void* embeddings, size_t capacity) {
  return guard([&] {
    require_pointer(model, "model");
    std::vector<std::span<const Token>> texts;
    for (const size_t length : read_array(counts, count, "counts")) {
      texts.push_back(read_array(tokens, length, "tokens"));
      tokens += length;
    }
    write_embeddings(model, texts, options, embeddings, capacity);
  });
}
