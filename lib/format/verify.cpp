// SPDX-License-Identifier: MIT
#include "format/verify.h"

#include <algorithm>

#include "base/error.h"
#include "base/finite.h"
#include "base/half.h"
#include "base/hash.h"
#include "base/parallel.h"
#include "format/metadata.h"
#include "format/open.h"
#include "format/planes_quantizer.h"

namespace bitnet {
namespace {

std::string at(const Tensor& tensor, size_t index) {
  return "row " + std::to_string(index / tensor.stride) + ", column " + std::to_string(index % tensor.stride);
}

template <typename Number>
std::string find_bad_number(const Tensor& tensor) {
  const std::span values(reinterpret_cast<const Number*>(tensor.data.data()), tensor.data.size() / sizeof(Number));
  const size_t bad = find_nonfinite(values);
  return bad == values.size() ? "" : "no finite number at " + at(tensor, bad);
}

// Packing what a group unpacks to must give the same bytes: that finds invalid codes and filling that is not zero.
std::string find_bad_code(const Tensor& tensor) {
  const Packing packing = *tensor_type(tensor.type).packing;
  const size_t group_bytes = packed_bytes(packing, kGroupRows, tensor.cols);
  std::vector<int8_t> trits(kGroupRows * tensor.cols);
  std::vector<uint8_t> again(group_bytes);
  const auto* packed = reinterpret_cast<const uint8_t*>(tensor.data.data());
  for (uint32_t row = 0; row < tensor.rows; row += kGroupRows, packed += group_bytes) {
    const size_t rows = std::min<size_t>(kGroupRows, tensor.rows - row);
    const std::string place = " in rows " + std::to_string(row) + " to " + std::to_string(row + rows - 1);
    if (!unpack_group(packing, packed, rows, tensor.cols, trits.data(), tensor.cols)) return "invalid code" + place;
    pack_group(packing, trits.data(), tensor.cols, rows, tensor.cols, again.data());
    if (!std::ranges::equal(again, std::span(packed, group_bytes))) return "filling that is not zero" + place;
  }
  return "";
}

// Likewise; and a group scale is finite and not negative.
std::string find_bad_group(const Tensor& tensor, uint32_t group) {
  const size_t tile_row_bytes = group_bytes(kGroupTileRows, tensor.cols, group),
               groups = groups_per_row(tensor.cols, group);
  std::vector<int8_t> trits(kGroupTileRows * size_t{tensor.cols});
  std::vector<uint16_t> scales(kGroupTileRows * groups);
  std::vector<uint8_t> again(tile_row_bytes);
  const auto* packed = reinterpret_cast<const uint8_t*>(tensor.data.data());
  for (uint32_t row = 0; row < tensor.rows; row += kGroupTileRows, packed += tile_row_bytes) {
    const size_t rows = std::min<size_t>(kGroupTileRows, tensor.rows - row);
    const std::string place = " in rows " + std::to_string(row) + " to " + std::to_string(row + rows - 1);
    if (!unpack_groups(group, packed, {trits.data(), tensor.cols, scales.data(), groups, rows, tensor.cols}))
      return "invalid code" + place;
    const auto bad = [](uint16_t scale) { return !half_is_finite(scale) || half_to_float(scale) < 0; };
    if (std::any_of(scales.begin(), scales.begin() + static_cast<ptrdiff_t>(rows * groups), bad))
      return "invalid scale" + place;
    pack_groups(group, {trits.data(), tensor.cols, scales.data(), groups, rows, tensor.cols}, again.data());
    if (!std::ranges::equal(again, std::span(packed, tile_row_bytes))) return "filling that is not zero" + place;
  }
  return "";
}

// Any code is a number; a group scale of -128 and filling that is not zero are not what is written.
std::string find_bad_tile(const Tensor& tensor) {
  const Planes planes = *tensor_type(tensor.type).planes;
  const size_t tiles = tiles_per_row(tensor.cols);
  const auto* tile = reinterpret_cast<const uint8_t*>(tensor.data.data());
  for (uint32_t row = 0; row < tensor.rows; row += kTileRows) {
    for (size_t begin = 0; begin < tiles * kTileCols; begin += kTileCols, tile += tile_bytes(planes)) {
      const std::string place = " in rows from " + std::to_string(row) + ", columns from " + std::to_string(begin);
      if (std::ranges::count(tile, tile + kTileRows * kTileCols / kGroupCols, 0x80) != 0)
        return "invalid scale" + place;
      if (row + kTileRows <= tensor.rows && begin + kTileCols <= tensor.cols) continue;
      for (size_t r = 0; r < kTileRows; ++r) {
        for (size_t c = 0; c < kTileCols; ++c) {
          const bool filling = row + r >= tensor.rows || begin + c >= tensor.cols;
          if (filling && read_code(planes, tile, r, c) != middle_code(planes))
            return "filling that is not zero" + place;
        }
      }
    }
  }
  return "";
}

const Tensor& head_of(const Container& container) {
  const Tensor* const head = container.find(kHeadName);
  return head != nullptr ? *head : *container.find(kEmbeddingName);
}

// A bound that is too small would let the screen pass over a token that the head puts first.
std::string find_small_bound(const Tensor& screen, const Tensor& head) {
  const Planes planes = *tensor_type(screen.type).planes;
  const auto* tiles = reinterpret_cast<const uint8_t*>(screen.data.data());
  const auto* halves = reinterpret_cast<const uint16_t*>(head.data.data());
  for (size_t row = 0; row < screen.rows; ++row, halves += head.stride) {
    const uint8_t* of_row = tiles + planes_bytes(planes, row / kTileRows * kTileRows, screen.cols);
    const float needed = screen_bound(planes, of_row, row % kTileRows, screen.scales[row], halves, screen.cols);
    if (!(screen.bounds[row] >= needed)) {
      return "the bound of row " + std::to_string(row) + " is smaller than the row's distance from the head";
    }
  }
  return "";
}

std::string find_problem(const Container& container, const Tensor& tensor) {
  if (hash(tensor.data) != tensor.checksum) return "wrong checksum";
  switch (tensor.type) {
    case fb::Type::f32:
      return find_bad_number<float>(tensor);
    case fb::Type::f16:
      return find_bad_number<uint16_t>(tensor);
    case fb::Type::int8:
      return "";  // any byte is a number; the scales were checked on opening
    case fb::Type::q5:
    case fb::Type::q6:
      if (std::string problem = find_bad_tile(tensor); !problem.empty() || tensor.name != kScreenName) return problem;
      return find_small_bound(tensor, head_of(container));
    case fb::Type::i2:
    case fb::Type::t5:
      return find_bad_code(tensor);
    case fb::Type::g128:
    case fb::Type::g64:
      return find_bad_group(tensor, *group_of(tensor_type(tensor.type).numbers));
  }
  return "unknown type";
}

}  // namespace

bool VerifyReport::sound() const {
  return std::ranges::all_of(tensors, [](const TensorReport& tensor) { return tensor.problem.empty(); });
}

VerifyReport verify(const std::string& path, const Progress& progress) {
  const auto container = open_container(path);
  const HyperParameters hyper = read_hyperparameters(container->metadata());
  check_hyperparameters(hyper);
  check_tensors(*container,
                tensor_specs(hyper, [&](std::string_view name) { return container->find(name) != nullptr; }));

  VerifyReport report{{}, container->fingerprint()};
  for (const Tensor& tensor : container->tensors()) {
    report.tensors.push_back({std::string(tensor.name), tensor.type, tensor.rows, tensor.cols, tensor.data.size(), {}});
  }
  ProgressMeter meter(progress, container->tensor_bytes());
  parallel_for(report.tensors.size(), [&](size_t i) {
    const Tensor& tensor = container->tensors()[i];
    report.tensors[i].problem = find_problem(*container, tensor);
    if (container->is_mapped(tensor.data)) drop_pages(tensor.data);
    meter.advance(tensor.data.size());
  });
  meter.advance(0);
  return report;
}

}  // namespace bitnet
