// SPDX-License-Identifier: MIT
// The order of I2_S weights is found in a trained model, and in nothing else.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>

#include "base/error.h"
#include "base/half.h"
#include "format/open.h"
#include "format/sample_model.h"
#include "packing.h"

using namespace bitnet;
using namespace bitnet_test;

namespace {

constexpr Encoding kOrders[] = {Encoding::i2_s, Encoding::i2_s_arm, Encoding::i2_s_rows};

I2sLayout layout_of(Encoding encoding) {
  return encoding == Encoding::i2_s_arm    ? I2sLayout::arm
         : encoding == Encoding::i2_s_rows ? I2sLayout::rows
                                           : I2sLayout::x86;
}

std::string name_of(I2sLayout layout) {
  return layout == I2sLayout::arm ? "arm" : layout == I2sLayout::rows ? "rows" : "x86";
}

SampleMatrix trits_of(const Tensor& tensor) {
  SampleMatrix matrix{tensor.rows, tensor.cols, std::vector<int8_t>(size_t{tensor.rows} * tensor.cols)};
  const size_t group = packed_bytes(Packing::i2, 4, tensor.cols);
  for (uint32_t row = 0; row < tensor.rows; row += 4) {
    unpack_group(Packing::i2, reinterpret_cast<const uint8_t*>(tensor.data.data()) + row / 4 * group, 4, tensor.cols,
                 matrix.trits.data() + size_t{row} * tensor.cols, tensor.cols);
  }
  return matrix;
}

// The model that the library is shipped with, or some of its layers.
SampleModel trained_model(const std::vector<uint32_t>& layers) {
  const auto container = open_container(BITNET_TRAINED_MODEL);
  const auto get = [&](const std::string& name) -> const Tensor& { return *container->find(name); };
  const auto norm = [&](const std::string& name) {
    const Tensor& tensor = get(name);
    const auto* const values = reinterpret_cast<const float*>(tensor.data.data());
    return std::vector<float>(values, values + tensor.cols);
  };
  const fb::HyperParameters& hyper = *container->metadata().hyper();
  SampleModel model;
  model.layers = static_cast<uint32_t>(layers.size());
  model.hidden = hyper.hidden();
  model.ffn = hyper.ffn();
  model.heads = hyper.heads();
  model.kv_heads = hyper.kv_heads();
  model.vocabulary = hyper.vocabulary();
  model.embedding_type = Encoding::f32;
  for (uint32_t i = 0; i < layers.size(); ++i) {
    const std::string from = "blk." + std::to_string(layers[i]) + ".", to = "blk." + std::to_string(i) + ".";
    for (const char* const name : {"attn_norm", "attn_sub_norm", "ffn_norm", "ffn_sub_norm"}) {
      model.norms[to + name + ".weight"] = norm(from + name + ".weight");
    }
    for (const char* const name : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}) {
      model.ternary[to + name + ".weight"] = trits_of(get(from + name + ".weight"));
    }
  }
  model.norms["output_norm.weight"] = norm("output_norm.weight");
  const Tensor& embedding = get("token_embd.weight");
  const auto* const halves = reinterpret_cast<const uint16_t*>(embedding.data.data());
  for (uint32_t row = 0; row < embedding.rows; ++row) {
    for (uint32_t col = 0; col < embedding.cols; ++col) {
      model.embedding.push_back(half_to_float(halves[size_t{row} * embedding.stride + col]));
    }
  }
  return model;
}

struct Opened {
  uint64_t fingerprint;
  std::string info, warnings;
};

Opened open(const SampleModel& model, I2sLayout layout = I2sLayout::automatic) {
  Opened result;
  OpenOptions options{.layout = layout};
  options.log = [&](bitnet_log_level level, const std::string& text) {
    if (text.find("I2_S") == std::string::npos) return;
    (level == BITNET_LOG_WARNING ? result.warnings : result.info) += text + "\n";
  };
  const std::string file = model.gguf().build();
  result.fingerprint = open_container(std::as_bytes(std::span(file)), options)->fingerprint();
  return result;
}

uint64_t true_fingerprint(SampleModel model) {
  model.weights = Encoding::f32;
  return open(model).fingerprint;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

void expect_found(SampleModel model, const std::string& what) {
  const uint64_t expected = true_fingerprint(model);
  for (const Encoding order : kOrders) {
    model.weights = order;
    const Opened opened = open(model);
    EXPECT_EQ(opened.fingerprint, expected) << what;
    EXPECT_TRUE(contains(opened.info, "I2_S layout: " + name_of(layout_of(order)) + ", found")) << what << opened.info;
    EXPECT_EQ(opened.warnings, "") << what;
  }
}

// In whatever order it is written, nothing is found, x86's is assumed, and a warning says so.
void expect_unknown(SampleModel model, const std::string& what) {
  for (const Encoding order : kOrders) {
    model.weights = order;
    const Opened opened = open(model);
    EXPECT_TRUE(contains(opened.warnings, "weights do not show it")) << what << opened.info;
    EXPECT_TRUE(contains(opened.warnings, "x86 is assumed")) << what << opened.warnings;
    EXPECT_TRUE(contains(opened.warnings, "choose arm or rows (the option i2s; --i2s)")) << what << opened.warnings;
    EXPECT_EQ(opened.info, "") << what;
    EXPECT_EQ(opened.fingerprint, open(model, I2sLayout::x86).fingerprint) << what;
  }
}

TEST(I2sOrder, IsFoundInATrainedModel) { expect_found(trained_model({0, 1, 2, 3, 4, 5}), "all layers"); }

TEST(I2sOrder, IsFoundInASingleLayer) {
  for (uint32_t layer = 0; layer < 6; ++layer) expect_found(trained_model({layer}), std::to_string(layer));
}

TEST(I2sOrder, IsFoundWithNormsThatTellNothingAndWithAnEmbeddingThatTellsNothing) {
  SampleModel model = trained_model({0, 1, 2, 3, 4, 5});
  SampleModel flat = model;
  for (auto& [name, gains] : flat.norms) std::ranges::fill(gains, 1.0f);
  expect_found(flat, "norms of ones");
  std::minstd_rand random(1);
  for (float& value : model.embedding) value = static_cast<float>(random() % 65535) / 65536 - 0.5f;
  expect_found(model, "a random embedding");
}

TEST(I2sOrder, IsNotFoundInRandomWeights) {
  for (uint32_t seed = 1; seed <= 10; ++seed) {
    SampleModel model;
    model.hidden = seed % 2 == 0 ? 384 : 256;
    model.ffn = 640;
    model.vocabulary = 64;
    expect_unknown(model.draw(seed), "seed " + std::to_string(seed));
  }
}

// Columns of different density in weights and gains that are not of the same kind: the structure of a trained model,
// but nothing that says which column is which.
TEST(I2sOrder, IsNotFoundWhereColumnsHaveNothingToDoWithTheirChannels) {
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    SampleModel model = trained_model({0, 1, 2, 3, 4, 5});
    std::minstd_rand random(seed);
    std::vector<uint32_t> places(model.ffn);
    std::iota(places.begin(), places.end(), 0U);
    for (size_t begin = 0; begin < places.size(); begin += 128) {
      for (size_t i = 128; i > 1; --i) std::swap(places[begin + i - 1], places[begin + random() % i]);
    }
    for (auto& [name, matrix] : model.ternary) {
      const std::vector<int8_t> old = matrix.trits;
      for (size_t i = 0; i < old.size(); ++i)
        matrix.trits[i] = old[i / matrix.cols * matrix.cols + places[i % matrix.cols]];
    }
    expect_unknown(model, "shuffled with " + std::to_string(seed));
  }
}

TEST(I2sOrder, ThatIsChosenIsTakenAndQuestionedIfTheWeightsSayOtherwise) {
  SampleModel model = trained_model({1, 4});
  const uint64_t right = true_fingerprint(model);
  for (const Encoding order : kOrders) {
    model.weights = order;
    for (const I2sLayout chosen : {I2sLayout::x86, I2sLayout::arm, I2sLayout::rows}) {
      const Opened opened = open(model, chosen);
      EXPECT_EQ(opened.info, "");
      if (chosen == layout_of(order)) {
        EXPECT_EQ(opened.fingerprint, right);
        EXPECT_EQ(opened.warnings, "");
      } else {
        EXPECT_NE(opened.fingerprint, right);
        EXPECT_TRUE(contains(opened.warnings, "layout " + name_of(chosen) + " was chosen")) << opened.warnings;
        EXPECT_TRUE(contains(opened.warnings, "lie as in " + name_of(layout_of(order)))) << opened.warnings;
      }
    }
  }
}

TEST(I2sOrder, CodesThatMeanNoWeightAreRefusedInEach) {
  for (const Encoding order : kOrders) {
    SampleModel model = small_model();
    model.weights = order;
    GgufBuilder gguf = model.gguf();
    gguf.data[gguf.info("blk.0.ffn_down.weight").offset + 1000] |= '\x0c';
    const std::string file = gguf.build();
    try {
      open_container(std::as_bytes(std::span(file)), {.layout = layout_of(order)});
      ADD_FAILURE() << "a damaged file was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), BITNET_ERROR_FORMAT);
      EXPECT_TRUE(contains(error.what(), "blk.0.ffn_down.weight has codes that mean no weight")) << error.what();
    }
  }
}

TEST(I2sOrder, ThatDoesNotFitTheShapeIsRefused) {
  SampleModel model = small_model();
  model.hidden = 36;
  model.ffn = 50;
  model.heads = 2;
  model.kv_heads = 1;
  model.draw();
  for (const Encoding order : kOrders) {
    model.weights = order;
    try {
      open(model, layout_of(order));
      ADD_FAILURE() << "no whole blocks were taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), BITNET_ERROR_UNSUPPORTED);
      EXPECT_TRUE(contains(error.what(), "no whole number of blocks in the I2_S layout " + name_of(layout_of(order))))
          << error.what();
    }
  }
}

}  // namespace
