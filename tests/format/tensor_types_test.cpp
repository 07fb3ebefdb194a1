// SPDX-License-Identifier: MIT
#include "format/tensor_types.h"

#include <gtest/gtest.h>

#include <functional>

#include "format/metadata.h"

namespace bitnet {
namespace {

// What the kernels say that a matrix takes, of the types that they pack.
uint64_t expected_bytes(const TensorType& type, uint32_t rows, uint32_t cols) {
  if (type.packing) return packed_bytes(*type.packing, rows, cols);
  if (type.planes) return planes_bytes(*type.planes, rows, cols);
  if (const auto group = group_of(type.numbers)) return group_bytes(rows, cols, *group);
  return uint64_t{rows} * ((cols + type.block - 1) / type.block) * kCacheLine;
}

TEST(TensorTypes, TakeAsManyBytesAsTheKernelsRead) {
  for (const TensorType& type : kTensorTypes) {
    for (const uint32_t rows : {1u, 3u, 4u, 5u, 16u, 17u, 1000u}) {
      for (const uint32_t cols : {1u, 15u, 16u, 64u, 65u, 256u, 257u, 320u, 321u, 6912u}) {
        EXPECT_EQ(raw_bytes(type.type, rows, cols), expected_bytes(type, rows, cols))
            << type.name << ", " << rows << " x " << cols;
      }
    }
    EXPECT_STREQ(type.name, fb::EnumNameType(type.type)) << "messages have the schema's names";
  }
  EXPECT_EQ(row_stride(fb::Type::f32, 17), 32u);
  EXPECT_EQ(row_stride(fb::Type::f16, 33), 64u);
  EXPECT_EQ(row_stride(fb::Type::int8, 65), 128u);
  EXPECT_EQ(row_stride(fb::Type::t5, 65), 0u);
  EXPECT_EQ(raw_bytes(fb::Type::q6, kMaxExtent, kMaxExtent), uint64_t{kMaxExtent} * kMaxExtent / 64 * 52);
}

TEST(TensorTypes, OfAHeadComeBackFromWhatIsStored) {
  for (const HeadType head : {HeadType::f16, HeadType::int8, HeadType::q6, HeadType::screened}) {
    EXPECT_EQ(head_type(form_of(head).type, form_of(head).screen), head);
  }
  EXPECT_EQ(head_type(fb::Type::int8, true), std::nullopt);
  EXPECT_EQ(head_type(fb::Type::i2, false), std::nullopt);
}

std::vector<std::byte> canonical(const fb::HyperParametersT& hyper, bool force_defaults = false) {
  flatbuffers::FlatBufferBuilder builder;
  builder.ForceDefaults(force_defaults);
  builder.Finish(fb::HyperParameters::Pack(builder, &hyper));
  return canonical_bytes(*flatbuffers::GetRoot<fb::HyperParameters>(builder.GetBufferPointer()));
}

TEST(HyperParameters, AreTheSameBytesOnlyIfTheyAreTheSame) {
  using Change = std::function<void(fb::HyperParametersT&)>;
  const fb::HyperParametersT hyper;
  const auto bytes = canonical(hyper);
  EXPECT_EQ(canonical(hyper, true), bytes) << "however they were stored";
  const Change changes[] = {
      [](auto& h) { h.layers++; },
      [](auto& h) { h.hidden++; },
      [](auto& h) { h.ffn++; },
      [](auto& h) { h.heads++; },
      [](auto& h) { h.kv_heads++; },
      [](auto& h) { h.head_dim++; },
      [](auto& h) { h.vocabulary++; },
      [](auto& h) { h.context++; },
      [](auto& h) { h.rms_epsilon += 1; },
      [](auto& h) { h.rope_theta += 1; },
      [](auto& h) { h.activation = fb::Activation::silu; },
      [](auto& h) { h.rope_magnitude += 1; },
      [](auto& h) { h.attention_scale += 1; },
      [](auto& h) { h.window++; },
      [](auto& h) { h.window_period++; },
      [](auto& h) { h.window_theta += 1; },
  };
  std::vector<std::vector<std::byte>> all = {bytes};
  for (const Change& change : changes) {
    fb::HyperParametersT other = hyper;
    change(other);
    all.push_back(canonical(other));
  }
  for (size_t i = 0; i < all.size(); ++i) {
    for (size_t j = 0; j < i; ++j) EXPECT_NE(all[i], all[j]) << i << ", " << j;
  }
}

}  // namespace
}  // namespace bitnet
