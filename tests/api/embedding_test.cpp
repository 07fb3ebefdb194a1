// SPDX-License-Identifier: MIT
// Embeddings: the same bits however texts are given and whatever is computed beside them, every way to pool them and to
// write them, and what is refused. Whether they are right is asked of an oracle (tests/oracle/check_embeddings.py).
#include <cmath>
#include <cstring>
#include <map>
#include <thread>

#include "format/dummy.h"
#include "test_model.h"

namespace bitnet_test {
namespace {

using Bytes = std::vector<std::byte>;

// A model that makes embeddings only, of a shape that `dummy` knows.
Model open_dummy(const std::string& shape) {
  static std::map<std::string, std::string> paths;
  std::string& path = paths[shape];
  if (path.empty()) {
    path = temporary_folder() + "/" + shape + ".bitnet";
    bitnet::write_dummy(path, shape, {});
  }
  return open(path);
}

constexpr bitnet_embed_options kOptions = {.size = sizeof(bitnet_embed_options)};

size_t size_of(const Model& model, const bitnet_embed_options& options) {
  size_t bytes = 0;
  EXPECT_OK(bitnet_embed_size(model.get(), &options, &bytes));
  return bytes;
}

bitnet_status embed(const Model& model, const std::vector<Tokens>& texts, const bitnet_embed_options& options,
                    Bytes& out) {
  Tokens all;
  std::vector<size_t> counts;
  for (const Tokens& text : texts) {
    all.insert(all.end(), text.begin(), text.end());
    counts.push_back(text.size());
  }
  size_t bytes = 0;
  bitnet_embed_size(model.get(), &options, &bytes);
  out.assign(texts.size() * bytes, std::byte{0xaa});
  return bitnet_embed_tokens(model.get(), all.data(), counts.data(), counts.size(), &options, out.data(), out.size());
}

Bytes embedded(const Model& model, const std::vector<Tokens>& texts, const bitnet_embed_options& options = kOptions) {
  Bytes out;
  EXPECT_OK(embed(model, texts, options, out));
  return out;
}

std::vector<float> floats(std::span<const std::byte> bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

double length(std::span<const float> x) {
  double squares = 0;
  for (const float value : x) squares += double{value} * value;
  return std::sqrt(squares);
}

std::vector<Tokens> some_texts() {
  std::vector<Tokens> texts;
  for (const size_t count : {1, 5, 300, 17, 64, 65, 2, 100, 31}) texts.push_back(random_tokens(count, 20 + count));
  return texts;
}

// The hidden state behind the last norm does not come out of a session; what stands before it in the head does. A model
// whose head is the identity in part would show it, but an oracle does that better: here only bits are compared.
TEST(Embedding, IsTheSameWhateverIsComputedBesideIt) {
  for (const char* const shape : {"tiny-embedding", "tiny-embedding-gemma", "tiny-gemma3", "tiny-llama"}) {
    const Model model = open_dummy(shape);
    const std::vector<Tokens> texts = some_texts();
    const Bytes together = embedded(model, texts);
    const size_t bytes = size_of(model, kOptions);
    for (size_t i = 0; i < texts.size(); i++) {
      const Bytes alone = embedded(model, {texts[i]});
      EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + static_cast<ptrdiff_t>(i * bytes)))
          << shape << ", text " << i;
    }
    const Engine small = make_engine(model, {.size = sizeof(bitnet_engine_options), .threads = 1, .batch = 7});
    bitnet_embed_options options = kOptions;
    options.engine = small.get();
    EXPECT_EQ(embedded(model, texts, options), together) << shape << ", in passes of 7 rows";
    std::vector<std::thread> threads;
    std::vector<Bytes> results(3);
    for (Bytes& result : results) threads.emplace_back([&] { result = embedded(model, texts); });
    for (std::thread& thread : threads) thread.join();
    for (const Bytes& result : results) EXPECT_EQ(result, together) << shape << ", beside others";
  }
}

TEST(Embedding, IsTheSameInEveryKernelSet) {
  open_dummy("tiny-embedding-gemma");
  const std::string path = temporary_folder() + "/tiny-embedding-gemma.bitnet";
  const Bytes expected = embedded(open(path, "scalar"), {random_tokens(70)});
  for (size_t i = 0; const char* const name = bitnet_isa_name(i); i++) {
    EXPECT_EQ(embedded(open(path, name), {random_tokens(70)}), expected) << name;
  }
}

TEST(Embedding, OfATextHasTheTokensThatItsModelAdds) {
  const Model model = open_dummy("tiny-embedding");
  const char* const text = "Some words";
  Tokens tokens(64);
  size_t count = 0;
  ASSERT_OK(bitnet_tokenize(model.get(), text, BITNET_NUL_TERMINATED, BITNET_TEXT_BOS_EOS, tokens.data(), tokens.size(),
                            &count));
  tokens.resize(count);
  EXPECT_TRUE(bitnet_token_is_end(model.get(), tokens.back()));
  std::vector<float> found(size_of(model, kOptions) / sizeof(float));
  ASSERT_OK(bitnet_embed(model.get(), &text, nullptr, 1, &kOptions, found.data(), found.size() * sizeof(float)));
  EXPECT_EQ(found, floats(embedded(model, {tokens})));
  const size_t length = 4;
  ASSERT_OK(bitnet_embed(model.get(), &text, &length, 1, &kOptions, found.data(), found.size() * sizeof(float)));
  const char* const first = "Some";
  std::vector<float> of_first(found.size());
  ASSERT_OK(bitnet_embed(model.get(), &first, nullptr, 1, nullptr, of_first.data(), found.size() * sizeof(float)));
  EXPECT_EQ(found, of_first);
}

// The end token alone stands for an empty text, as Hugging Face's tokenizer has it.
TEST(Embedding, OfAnEmptyText) {
  const Model model = open_dummy("tiny-embedding");
  const char* const text = "";
  std::vector<float> found(size_of(model, kOptions) / sizeof(float));
  ASSERT_OK(bitnet_embed(model.get(), &text, nullptr, 1, nullptr, found.data(), found.size() * sizeof(float)));
  bitnet_model_info info = {.size = sizeof info};
  ASSERT_OK(bitnet_model_get_info(model.get(), &info));
  EXPECT_EQ(found, floats(embedded(model, {{info.eos}})));
  Bytes out;
  EXPECT_EQ(embed(model, {random_tokens(3), {}}, kOptions, out), BITNET_ERROR_ARGUMENT);
  EXPECT_NE(std::string(bitnet_last_error()).find("text 1 has no tokens"), std::string::npos) << bitnet_last_error();
  EXPECT_OK(bitnet_embed(model.get(), nullptr, nullptr, 0, nullptr, nullptr, 0));  // no texts, no embeddings
}

TEST(Embedding, HasLengthOneUnlessItIsRaw) {
  const Model model = open_dummy("tiny-embedding");
  bitnet_embed_options options = kOptions;
  const std::vector<Tokens> texts = {random_tokens(40)};
  const std::vector<float> unit = floats(embedded(model, texts));
  EXPECT_NEAR(length(unit), 1, 1e-6);
  options.raw = 1;
  const std::vector<float> raw = floats(embedded(model, texts, options));
  ASSERT_EQ(raw.size(), unit.size());
  const double scale = length(raw);
  EXPECT_GT(std::fabs(scale - 1), 0.1);
  for (size_t i = 0; i < raw.size(); i++) EXPECT_NEAR(unit[i], raw[i] / scale, 1e-6);
  options.raw = 0;
  options.dimensions = 100;  // of which the length counts
  const std::vector<float> fewer = floats(embedded(model, texts, options));
  ASSERT_EQ(fewer.size(), 100U);
  EXPECT_NEAR(length(fewer), 1, 1e-6);
  for (size_t i = 0; i < fewer.size(); i++) {
    EXPECT_NEAR(fewer[i], raw[i] / length(std::span(raw).first(100)), 1e-6);
  }
}

TEST(Embedding, IsPooledAsTheModelSaysOrAsAsked) {
  const Model model = open_dummy("tiny-embedding");
  bitnet_model_info info = {.size = sizeof info};
  ASSERT_OK(bitnet_model_get_info(model.get(), &info));
  EXPECT_STREQ(info.pooling, "last");
  EXPECT_STREQ(info.head, "none");
  const Tokens tokens = random_tokens(30);
  bitnet_embed_options raw = kOptions;
  raw.raw = 1;
  const auto pooled = [&](const Tokens& text, bitnet_pooling pooling) {
    raw.pooling = pooling;
    return floats(embedded(model, {text}, raw));
  };
  EXPECT_EQ(pooled(tokens, BITNET_POOLING_MODEL), pooled(tokens, BITNET_POOLING_LAST));
  // The first token sees itself only, and the last of a beginning what it sees in the whole.
  EXPECT_EQ(pooled(tokens, BITNET_POOLING_CLS), pooled({tokens[0]}, BITNET_POOLING_LAST));
  std::vector<double> sum(info.hidden);
  for (size_t i = 1; i <= tokens.size(); i++) {
    const auto last = pooled(Tokens(tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(i)), BITNET_POOLING_LAST);
    for (size_t d = 0; d < sum.size(); d++) sum[d] += last[d];
  }
  const auto mean = pooled(tokens, BITNET_POOLING_MEAN);
  for (size_t d = 0; d < sum.size(); d++) EXPECT_FLOAT_EQ(mean[d], static_cast<float>(sum[d] / 30)) << d;
  const Model generative = open_dummy("tiny-llama");
  ASSERT_OK(bitnet_model_get_info(generative.get(), &info));
  EXPECT_STREQ(info.pooling, "");
  raw.pooling = BITNET_POOLING_LAST;
  const Bytes last = embedded(generative, {tokens}, raw);
  raw.pooling = BITNET_POOLING_MODEL;
  EXPECT_EQ(embedded(generative, {tokens}, raw), last);
}

TEST(Embedding, InFewerBitsHasItsSize) {
  const Model model = open_dummy("tiny-embedding");
  bitnet_embed_options options = kOptions;
  options.dimensions = 101;
  const std::pair<bitnet_embed_format, size_t> sizes[] = {{BITNET_EMBED_FLOAT, 404},
                                                          {BITNET_EMBED_INT8, 101},
                                                          {BITNET_EMBED_INT4, 51},
                                                          {BITNET_EMBED_INT2, 26},
                                                          {BITNET_EMBED_INT1, 13}};
  for (const auto& [format, bytes] : sizes) {
    options.format = format;
    EXPECT_EQ(size_of(model, options), bytes);
  }
  options.format = BITNET_EMBED_INT1;
  const Bytes bits = embedded(model, {random_tokens(9)}, options);
  options.format = BITNET_EMBED_FLOAT;
  const std::vector<float> exact = floats(embedded(model, {random_tokens(9)}, options));
  for (size_t i = 0; i < 104; i++) {
    const bool bit = (static_cast<unsigned>(bits[i / 8]) >> (7 - i % 8) & 1) != 0;
    EXPECT_EQ(bit, i < exact.size() && exact[i] > 0) << i;
  }
}

TEST(Embedding, OfATextThatIsTooLongIsRefusedOrCut) {
  const Model model = open_dummy("tiny-embedding");
  bitnet_model_info info = {.size = sizeof info};
  ASSERT_OK(bitnet_model_get_info(model.get(), &info));
  Tokens text = random_tokens(50);
  text.push_back(info.eos);
  bitnet_embed_options options = kOptions;
  options.max_tokens = 20;
  Bytes out;
  EXPECT_EQ(embed(model, {{1}, text}, options, out), BITNET_ERROR_CONTEXT);
  EXPECT_NE(std::string(bitnet_last_error()).find("text 1 has 51 tokens; the most is 20"), std::string::npos)
      << bitnet_last_error();
  options.fit = BITNET_EMBED_FIT_CUT;
  Tokens cut(text.begin(), text.begin() + 20);
  cut.back() = info.eos;  // which stands for the text
  EXPECT_EQ(embedded(model, {{1}, text, {2}, text}, options), embedded(model, {{1}, cut, {2}, cut}));
  const Tokens plain = random_tokens(30);
  EXPECT_EQ(embedded(model, {plain}, options), embedded(model, {Tokens(plain.begin(), plain.begin() + 20)}));
  Bytes all;
  EXPECT_EQ(embed(model, {random_tokens(info.context + 1)}, kOptions, all), BITNET_ERROR_CONTEXT);
}

TEST(Embedding, MistakesAreNamed) {
  const Model model = open_dummy("tiny-embedding"), other = open_dummy("tiny-llama");
  const auto status = [&](const auto& change) {
    bitnet_embed_options options = kOptions;
    change(options);
    Bytes out;
    return embed(model, {{1, 2}}, options, out);
  };
  EXPECT_EQ(status([](auto& o) { o.dimensions = 385; }), BITNET_ERROR_ARGUMENT);
  EXPECT_NE(std::string(bitnet_last_error()).find("385 dimensions asked for; the model's have 384"), std::string::npos)
      << bitnet_last_error();
  EXPECT_EQ(status([](auto& o) { o.pooling = static_cast<bitnet_pooling>(9); }), BITNET_ERROR_ARGUMENT);
  EXPECT_EQ(status([](auto& o) { o.format = static_cast<bitnet_embed_format>(9); }), BITNET_ERROR_ARGUMENT);
  EXPECT_EQ(status([](auto& o) { o.fit = static_cast<bitnet_embed_fit>(9); }), BITNET_ERROR_ARGUMENT);
  EXPECT_EQ(status([](auto& o) { o.priority = static_cast<bitnet_priority>(9); }), BITNET_ERROR_ARGUMENT);
  EXPECT_EQ(status([](auto& o) { o.size = 3; }), BITNET_ERROR_ARGUMENT);
  EXPECT_EQ(status([](auto& o) {
              o.raw = 1;
              o.format = BITNET_EMBED_INT8;
            }),
            BITNET_ERROR_ARGUMENT);
  const Engine engine = make_engine(other);
  EXPECT_EQ(status([&](auto& o) { o.engine = engine.get(); }), BITNET_ERROR_ARGUMENT);
  Bytes out;
  EXPECT_EQ(embed(model, {{1}, {1, 1000}}, kOptions, out), BITNET_ERROR_ARGUMENT);
  EXPECT_NE(std::string(bitnet_last_error()).find("text 1: token 1000 at index 1"), std::string::npos)
      << bitnet_last_error();
  const char* texts[] = {"a", "b", nullptr};
  std::vector<float> room(3 * 384);
  EXPECT_EQ(bitnet_embed(model.get(), texts, nullptr, 2, nullptr, room.data(), 2 * 384 * 4 - 1), BITNET_ERROR_BUFFER);
  EXPECT_EQ(bitnet_embed(model.get(), texts, nullptr, 3, nullptr, room.data(), 3 * 384 * 4), BITNET_ERROR_ARGUMENT);
  EXPECT_EQ(bitnet_embed(model.get(), texts, nullptr, 2, nullptr, nullptr, 0), BITNET_ERROR_ARGUMENT);
  EXPECT_EQ(bitnet_embed(nullptr, texts, nullptr, 2, nullptr, room.data(), 3 * 384 * 4), BITNET_ERROR_ARGUMENT);
}

TEST(Embedding, IsCancelledByAbort) {
  const Model model = open_dummy("tiny-embedding");
  bitnet_embed_options options = kOptions;
  int asked = 0;
  options.abort_user = &asked;
  options.abort = [](void* user) { return ++*static_cast<int*>(user) > 2 ? 1 : 0; };
  Bytes out;
  EXPECT_EQ(embed(model, some_texts(), options, out), BITNET_ERROR_CANCELLED);
  EXPECT_GT(asked, 2);
  options.abort = [](void* user) { return ++*static_cast<int*>(user) < 0 ? 1 : 0; };
  EXPECT_EQ(embedded(model, some_texts(), options), embedded(model, some_texts()));
}

// A model without a head opens, but writes no text.
TEST(Embedding, OfAModelWithoutAHeadIsAllThatItDoes) {
  const Model model = open_dummy("tiny-embedding");
  const Session session = make_session(model);
  const Tokens tokens = random_tokens(3);
  for (const auto which : {BITNET_LOGITS_LAST, BITNET_LOGITS_ALL}) {
    EXPECT_EQ(bitnet_eval(session.get(), tokens.data(), 3, which), BITNET_ERROR_UNSUPPORTED);
    EXPECT_NE(std::string(bitnet_last_error()).find("the model has no head"), std::string::npos) << bitnet_last_error();
  }
  EXPECT_OK(bitnet_eval(session.get(), tokens.data(), 3, BITNET_LOGITS_NONE));
  bitnet_generation* generation = nullptr;
  ASSERT_OK(bitnet_generation_start_tokens(session.get(), tokens.data(), 3, nullptr, &generation));
  bitnet_piece piece = {.size = sizeof piece};
  EXPECT_EQ(bitnet_generation_next(generation, &piece), BITNET_ERROR_UNSUPPORTED);
  bitnet_generation_free(generation);
}

}  // namespace
}  // namespace bitnet_test
