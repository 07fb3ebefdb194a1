// SPDX-License-Identifier: MIT
#include "test_model.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <random>
#include <tuple>

#include "format/dummy.h"

namespace bitnet_test {
namespace {

struct TemporaryFolder {
  std::string path =
      (std::filesystem::temp_directory_path() / ("bitnet_test_" + std::to_string(std::random_device()()))).string();
  TemporaryFolder() { std::filesystem::create_directories(path); }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
};

}  // namespace

const std::string& temporary_folder() {
  static const TemporaryFolder folder;
  return folder.path;
}

std::string model_path(bitnet_packing packing, bitnet_head head, uint64_t seed) {
  static std::map<std::tuple<bitnet_packing, bitnet_head, uint64_t>, std::string> written;
  std::string& path = written[{packing, head, seed}];
  if (!path.empty()) return path;
  path = temporary_folder() + "/model" + std::to_string(written.size()) + ".bitnet";
  if (packing == BITNET_PACKING_I2 && head == BITNET_HEAD_F16) {
    bitnet::write_dummy(path, "tiny", {.seed = seed});
  } else {
    const bitnet_convert_options options = {.size = sizeof options, .packing = packing, .head = head};
    EXPECT_OK(bitnet_convert(model_path(BITNET_PACKING_I2, BITNET_HEAD_F16, seed).c_str(), path.c_str(), &options));
  }
  return path;
}

Model open(const std::string& path, const char* isa) {
  bitnet_model* model = nullptr;
  const bitnet_open_options options = {.size = sizeof options, .isa = isa};
  EXPECT_OK(bitnet_open(path.c_str(), &options, &model));
  return Model(model);
}

Pool make_pool(bitnet_pool_options options) {
  options.size = sizeof options;
  bitnet_pool* pool = nullptr;
  EXPECT_OK(bitnet_pool_create(&options, &pool));
  return Pool(pool);
}

Engine make_engine(const Model& model, bitnet_engine_options options) {
  options.size = sizeof options;
  bitnet_engine* engine = nullptr;
  EXPECT_OK(bitnet_engine_create(model.get(), &options, &engine));
  return Engine(engine);
}

Queue make_queue() {
  bitnet_queue* queue = nullptr;
  EXPECT_OK(bitnet_queue_create(&queue));
  return Queue(queue);
}

Session make_session(const Model& model, bitnet_session_options options, bitnet_engine_options engine) {
  const Engine own = make_engine(model, engine);
  options.engine = own.get();
  return make_session(model, options);
}

Session make_session(const Model& model, bitnet_session_options options) {
  options.size = sizeof options;
  bitnet_session* session = nullptr;
  EXPECT_OK(bitnet_session_create(model.get(), &options, &session));
  return Session(session);
}

void eval(const Session& session, std::span<const bitnet_token> tokens, bitnet_logits_of which) {
  EXPECT_OK(bitnet_eval(session.get(), tokens.data(), tokens.size(), which));
}

std::vector<float> logits(const Session& session, size_t row) {
  const float* data = nullptr;
  EXPECT_OK(bitnet_session_logits(session.get(), row, &data));
  return data != nullptr ? std::vector<float>(data, data + kVocabulary) : std::vector<float>();
}

Tokens random_tokens(size_t count, uint32_t seed) {
  std::minstd_rand random(seed);
  Tokens tokens(count);
  for (bitnet_token& token : tokens) token = static_cast<bitnet_token>(random() % kVocabulary);
  return tokens;
}

testing::AssertionResult same_bits(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return testing::AssertionFailure() << a.size() << " logits against " << b.size();
  for (size_t i = 0; i < a.size(); i++) {
    if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0) {
      return testing::AssertionFailure() << "logit " << i << ": " << a[i] << " against " << b[i];
    }
  }
  return testing::AssertionSuccess();
}

double distance(std::span<const float> a, std::span<const float> b) {
  double error = 0, spread = 0;
  for (size_t i = 0; i < b.size(); i++) {
    error += (a[i] - b[i]) * (a[i] - b[i]);
    spread += b[i] * b[i];
  }
  return std::sqrt(error / spread);
}

}  // namespace bitnet_test
