// SPDX-License-Identifier: MIT
// docs/format.md says enough to read a file: a reader in Python, written from it, finds what the library finds.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/half.h"
#include "format/convert.h"
#include "format/files.h"
#include "format/sample_model.h"
#include "packing.h"

using namespace bitnet;
using namespace bitnet_test;

namespace {

std::string run_reader(const std::string& arguments) {
  const std::string command = std::string(BITNET_PYTHON " -B " BITNET_READER " ").append(arguments);
  FILE* const pipe = popen(command.c_str(), "r");
  std::string output;
  char buffer[4096];
  for (size_t size; (size = fread(buffer, 1, sizeof buffer, pipe)) > 0;) output.append(buffer, size);
  EXPECT_EQ(pclose(pipe), 0) << command;
  return output;
}

std::vector<float> read_npy(const std::string& path) {
  const std::string file = read_file(path);
  if (file.size() < 10) return {};
  uint16_t header;
  std::memcpy(&header, file.data() + 8, sizeof header);
  std::vector<float> values((file.size() - 10 - header) / sizeof(float));
  std::memcpy(values.data(), file.data() + 10 + header, values.size() * sizeof(float));
  return values;
}

// Group scale times (code - middle).
int tile_weight(const Tensor& tensor, uint32_t row, uint32_t col) {
  const Planes planes = *tensor_type(tensor.type).planes;
  const auto* const tile = reinterpret_cast<const uint8_t*>(tensor.data.data()) +
                           (row / kTileRows * tiles_per_row(tensor.cols) + col / kTileCols) * tile_bytes(planes);
  const auto scale = static_cast<int8_t>(tile[col % kTileCols / kGroupCols * kTileRows + row % kTileRows]);
  return scale * (read_code(planes, tile, row % kTileRows, col % kTileCols) - middle_code(planes));
}

// Group scale times trit.
float group_weight(const Tensor& tensor, uint32_t group, uint32_t row, uint32_t col) {
  const auto* const tile = reinterpret_cast<const uint8_t*>(tensor.data.data()) +
                           group_bytes(row / kGroupTileRows * kGroupTileRows, tensor.cols, group) +
                           col / kGroupTileCols * group_tile_bytes(group);
  const size_t within = col % kGroupTileCols;
  uint16_t scale;
  std::memcpy(&scale, tile + (within / group * kGroupTileRows + row % kGroupTileRows) * sizeof scale, sizeof scale);
  const GroupCodePlace at = group_code_place(row % kGroupTileRows, within);
  const int code = tile[group_scale_bytes(group) + at.byte] >> at.shift & 3;
  return half_to_float(scale) * static_cast<float>(code - 1);
}

// A tensor's values by the library's own reading.
std::vector<float> values_of(const Tensor& tensor) {
  std::vector<int8_t> trits(size_t{tensor.cols} * (tensor.rows + 3));
  if (is_ternary(tensor.type)) {
    const Packing packing = *tensor_type(tensor.type).packing;
    for (uint32_t row = 0; row < tensor.rows; row += 4) {
      const auto* const group =
          reinterpret_cast<const uint8_t*>(tensor.data.data()) + row / 4 * packed_bytes(packing, 4, tensor.cols);
      EXPECT_TRUE(unpack_group(packing, group, 4, tensor.cols, trits.data() + size_t{row} * tensor.cols, tensor.cols));
    }
  }
  std::vector<float> values;
  for (uint32_t row = 0; row < tensor.rows; ++row) {
    const float scale = tensor.scales.empty() ? 1 : tensor.scales[tensor.scales.size() == 1 ? 0 : row];
    for (uint32_t col = 0; col < tensor.cols; ++col) {
      const size_t at = size_t{row} * tensor.stride + col;
      switch (tensor.type) {
        case fb::Type::f32:
          values.push_back(reinterpret_cast<const float*>(tensor.data.data())[at]);
          break;
        case fb::Type::f16:
          values.push_back(half_to_float(reinterpret_cast<const uint16_t*>(tensor.data.data())[at]));
          break;
        case fb::Type::int8:
          values.push_back(static_cast<float>(reinterpret_cast<const int8_t*>(tensor.data.data())[at]) * scale);
          break;
        case fb::Type::q5:
        case fb::Type::q6:
          values.push_back(static_cast<float>(tile_weight(tensor, row, col)) * scale);
          break;
        case fb::Type::i2:
        case fb::Type::t5:
          values.push_back(static_cast<float>(trits[size_t{row} * tensor.cols + col]) * scale);
          break;
        case fb::Type::g128:
        case fb::Type::g64:
          values.push_back(group_weight(tensor, tensor.type == fb::Type::g64 ? 64 : 128, row, col) * scale);
          break;
      }
    }
  }
  return values;
}

class PythonReader : public testing::TestWithParam<ConvertOptions> {};

TEST_P(PythonReader, FindsWhatTheLibraryFinds) {
  const TemporaryFolder folder;
  SampleModel sample = small_model();
  sample.hidden = 320;  // more than one block of i2, and whole ones of t5
  sample.ffn = 333;
  sample.weights = Encoding::f32;
  write_file(folder / "in.gguf", sample.draw().gguf().build());
  convert(folder / "in.gguf", folder / "model.bitnet", GetParam());

  const std::string output = run_reader((folder / "model.bitnet ") + (folder / ""));
  EXPECT_NE(output.find("architecture bitnet-b1.58\nname sample\nlayers 1\nhidden 320\nffn 333\nheads 4\nkv_heads 2\n"
                        "head_dim 80\nvocabulary 20\ncontext 128\nactivation relu2\nbos 3 eos 4\nlast piece t19\n"),
            output.npos)
      << output;
  const auto container = open_container(folder / "model.bitnet");
  ASSERT_GT(container->tensors().size(), 10u);
  for (const Tensor& tensor : container->tensors()) {
    const std::string name(tensor.name);
    EXPECT_EQ(read_npy(folder / (name + ".npy")), values_of(tensor)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, PythonReader,
                         testing::Values(ConvertOptions{.packing = Packing::i2},
                                         ConvertOptions{.packing = Packing::t5, .head = HeadType::int8},
                                         ConvertOptions{.packing = Packing::t5, .zstd_level = 3},
                                         ConvertOptions{.head = HeadType::q6},
                                         ConvertOptions{.head = HeadType::screened},
                                         ConvertOptions{.activations = ActivationBits::int16}),
                         [](const auto& info) { return std::string("Form").append(std::to_string(info.index)); });

// The worked examples of docs/format.md.
TEST(Planes, AreAsInTheDocumentsExample) {
  const CodePlace place = code_place(Planes::q6, 3, 37);
  EXPECT_EQ(place.lower_byte, 397u);
  EXPECT_EQ(place.lower_shift, 0u);
  EXPECT_EQ(place.upper_byte, 717u);
  EXPECT_EQ(place.upper_shift, 2u);
  EXPECT_EQ(tile_bytes(Planes::q5), 704u);
  EXPECT_EQ(tile_bytes(Planes::q6), 832u);
}

TEST(Packing, IsAsInTheDocumentsExample) {
  const int8_t trits[] = {1, -1, 0, 1, 0, -1};
  uint8_t packed[256];
  pack_group(Packing::i2, trits, 6, 1, 6, packed);
  EXPECT_EQ(packed[0], 0x92);
  EXPECT_EQ(packed[1], 0x51);
  EXPECT_EQ(packed[2], 0x55);
  pack_group(Packing::t5, trits, 6, 1, 6, packed);
  EXPECT_EQ(packed[0], 0xbc);
  EXPECT_EQ(packed[1], 0x2b);
  EXPECT_EQ(packed[2], 0x80);
}

}  // namespace
