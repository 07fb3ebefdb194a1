// SPDX-License-Identifier: MIT
// In which types a model is stored, by what its weights are and what is asked for.
#include "format/form.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace bitnet {
namespace {

const TernaryScales kOne = {.scales = {0.5f}};
const TernaryScales kRows = {.scales = {0.5f, 0.25f}};
const TernaryScales kGroups = {.scales = {0.5f, 0.25f}, .group = 128};
const TernaryScales kSmallGroups = {.scales = {0.5f, 0.25f}, .group = 64};
const TernaryScales kOther = {.mean = 0.125, .not_ternary = "row 3 holds 0.7"};

// Of a model nothing but what its matrices would be found to be.
class FoundSource final : public Source {
 public:
  TernaryScales linears = kOne, plain = kOther;
  std::optional<ActivationBits> published = {};

  fb::ModelT describe() const override { return {}; }
  bool has(std::string_view) const override { return false; }
  void check(const std::vector<TensorSpec>&) const override {}
  std::optional<Tensor> stored(const TensorSpec&, fb::Type) const override { return std::nullopt; }
  std::optional<ActivationBits> activation_bits() const override { return published; }
  TernaryScales ternary_scales(const TensorSpec& spec) const override {
    return spec.role == Role::linear ? linears : plain;
  }
  void read_trits(const TensorSpec&, const TernaryScales&, uint32_t, uint32_t, int8_t*) const override {}
  void read_values(const TensorSpec&, uint32_t, uint32_t, float*) const override {}
  void release(const TensorSpec&, uint32_t, uint32_t) const override {}
  std::string own_name(const TensorSpec& spec) const override { return "our " + spec.name; }
};

class ChosenForm : public testing::Test {
 protected:
  Form choose(const char* architecture, bool tied = true) {
    HyperParameters hyper;
    hyper.architecture = find_architecture(architecture);
    hyper.layers = 1;
    const auto specs = tensor_specs(hyper, [&](std::string_view name) { return name == kHeadName && !tied; });
    options.log = [this](bitnet_log_level, const std::string& text) { said += text; };
    return choose_form(source, specs, hyper, tied, options);
  }
  testing::AssertionResult refuses(const char* architecture, const std::string& words) {
    try {
      choose(architecture);
    } catch (const Error& error) {
      if (std::string(error.what()).find(words) != std::string::npos) return testing::AssertionSuccess();
      return testing::AssertionFailure() << error.what();
    }
    return testing::AssertionFailure() << "was not refused";
  }

  FoundSource source;
  ConverterOptions options;
  std::string said;
};

TEST_F(ChosenForm, OfBitNetsOwnArchitecturesIsTheAskedPacking) {
  source.published = ActivationBits::int8;
  EXPECT_EQ(choose("bitnet-b1.58").linear, fb::Type::i2);
  options.packing = Packing::t5;
  EXPECT_EQ(choose("bitnet").linear, fb::Type::t5);
  source.linears = kRows;
  EXPECT_EQ(choose("bitnet").linear, fb::Type::t5);
  EXPECT_EQ(said, "");
}

TEST_F(ChosenForm, OfOneScaleWithoutAWordIsBitNetsAndSaysSo) {
  EXPECT_EQ(choose("llama").linear, fb::Type::i2);
  EXPECT_NE(said.find("--activation-bits 16"), std::string::npos) << said;
  said.clear();
  options.activations = ActivationBits::int16;
  EXPECT_EQ(choose("llama").linear, fb::Type::g128);
  EXPECT_EQ(said, "");
}

TEST_F(ChosenForm, OfScalesForRowsOrGroupsHas16BitActivations) {
  source.linears = kRows;
  EXPECT_EQ(choose("llama").linear, fb::Type::g128);
  source.linears = kGroups;
  EXPECT_EQ(choose("qwen3").linear, fb::Type::g128);
  source.linears = kSmallGroups;
  EXPECT_EQ(choose("qwen3").linear, fb::Type::g64);
  EXPECT_EQ(said, "");
  options.activations = ActivationBits::int8;
  EXPECT_TRUE(refuses("qwen3", "activation_bits"));
}

TEST_F(ChosenForm, OfGroupsKeepsATernaryEmbeddingAndHead) {
  source.linears = source.plain = kGroups;
  Form form = choose("qwen3");
  EXPECT_EQ(form.embedding, fb::Type::g128);
  EXPECT_EQ(form.head, fb::Type::g128);
  EXPECT_FALSE(form.head_copied);
  EXPECT_FALSE(form.screen);
  options.head = HeadType::screened;
  form = choose("qwen3", false);
  EXPECT_EQ(form.head, fb::Type::g128);
  EXPECT_FALSE(form.screen) << "a ternary head is small enough";
  source.plain = kOther;
  form = choose("qwen3");
  EXPECT_EQ(form.embedding, fb::Type::f16);
  EXPECT_TRUE(form.screen);
}

TEST_F(ChosenForm, OfOtherWeightsIsDense) {
  source.linears = kOther;
  EXPECT_EQ(choose("llama").linear, fb::Type::f16);
  EXPECT_NE(said.find("tensor our blk.0.attn_q.weight: row 3 holds 0.7: the matrices are kept as numbers, in f16"),
            said.npos)
      << said;
  EXPECT_NE(said.find("--quantize"), said.npos) << said;
  options.dense = Dense::int8;
  Form form = choose("llama");
  EXPECT_EQ(form.linear, fb::Type::int8);
  EXPECT_EQ(form.embedding, fb::Type::f16);
  options.dense = Dense::f32;
  form = choose("qwen2");
  EXPECT_EQ(form.linear, fb::Type::f32);
  EXPECT_EQ(form.embedding, fb::Type::f32);
  EXPECT_EQ(form.head, fb::Type::f32);
  options.head = HeadType::q6;
  form = choose("qwen2");
  EXPECT_EQ(form.head, fb::Type::q6);
  EXPECT_TRUE(form.head_copied);
}

TEST_F(ChosenForm, OfOtherWeightsInBitNetsArchitecturesIsRefusedOrRounded) {
  source.linears = kOther;
  source.published = ActivationBits::int8;
  EXPECT_TRUE(refuses("bitnet", "tensor our blk.0.attn_q.weight: row 3 holds 0.7"));
  EXPECT_TRUE(refuses("bitnet", "--quantize"));
  options.quantize = Quantize::absmean;
  const Form form = choose("bitnet");
  EXPECT_EQ(form.linear, fb::Type::i2);
  EXPECT_TRUE(form.rounded);
}

// Later layers may be otherwise; the advice that they get must help.
TEST_F(ChosenForm, OfATernaryFirstLayerRoundsTheOthersIfAsked) {
  source.linears = kOne;
  EXPECT_FALSE(choose("llama").rounded);
  options.quantize = Quantize::absmean;
  EXPECT_TRUE(choose("llama").rounded);
}

TEST(ScalesFor, RoundsByTheMeanIfAsked) {
  FoundSource source;
  source.linears = kOther;
  TensorSpec spec{};
  spec.role = Role::linear;
  EXPECT_THROW(scales_for(source, spec, fb::Type::i2, false), Error);
  const TernaryScales rounded = scales_for(source, spec, fb::Type::i2, true);
  EXPECT_EQ(rounded.scales, std::vector<float>{0.125f});
  EXPECT_EQ(rounded.inverse_mean, 8);
}

TEST(ScalesFor, RefusesGroupsThatTheTypeDoesNotHave) {
  FoundSource source;
  TensorSpec spec{};
  spec.role = Role::linear;
  source.linears = kGroups;
  EXPECT_EQ(scales_for(source, spec, fb::Type::g64, false).group, 128u);
  EXPECT_THROW(scales_for(source, spec, fb::Type::i2, false), Error);
  source.linears = kSmallGroups;
  EXPECT_THROW(scales_for(source, spec, fb::Type::g128, false), Error);
}

}  // namespace
}  // namespace bitnet
