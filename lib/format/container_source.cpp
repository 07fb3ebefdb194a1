// SPDX-License-Identifier: MIT
// A .bitnet file as the source of a conversion.
#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "format/source.h"

namespace bitnet {
namespace {

class ContainerSource final : public Source {
 public:
  explicit ContainerSource(std::shared_ptr<const Container> container) : container_(std::move(container)) {}

  fb::ModelT describe() const override {
    fb::ModelT model;
    container_->metadata().UnPackTo(&model);
    model.tensors.clear();
    model.settled = true;  // opening the container has settled it
    return model;
  }

  bool has(std::string_view name) const override { return container_->find(name) != nullptr; }

  void check(const std::vector<TensorSpec>& specs) const override { check_tensors(*container_, specs); }

  std::optional<Tensor> stored(const TensorSpec& spec, fb::Type type) const override {
    const Tensor& tensor = find(spec);
    if (tensor.type != type) return std::nullopt;
    return tensor;
  }

  std::optional<ActivationBits> activation_bits() const override {
    const auto is_grouped = [](const Tensor& t) { return group_of(tensor_type(t.type).numbers).has_value(); };
    return std::ranges::any_of(container_->tensors(), is_grouped) ? ActivationBits::int16 : ActivationBits::int8;
  }

  TernaryScales ternary_scales(const TensorSpec& spec) const override {
    const Tensor& tensor = find(spec);
    if (const auto group = group_of(tensor_type(tensor.type).numbers)) return group_scales(tensor, *group);
    if (!is_ternary(tensor.type)) return {.not_ternary = std::string("it is stored in ") + name_of(tensor.type)};
    return {.scales = {tensor.scales.begin(), tensor.scales.end()}};
  }

  void read_trits(const TensorSpec& spec, const TernaryScales&, uint32_t row, uint32_t count,
                  int8_t* out) const override {
    const Tensor& tensor = find(spec);
    if (const auto group = group_of(tensor_type(tensor.type).numbers)) {
      for (uint32_t r = 0; r < count; r += kGroupTileRows) {
        read_group_rows(tensor, *group, row + r, std::min<uint32_t>(kGroupTileRows, count - r),
                        out + size_t{r} * spec.cols);
      }
      return;
    }
    const Packing packing = *tensor_type(tensor.type).packing;
    const size_t group_bytes = packed_bytes(packing, kGroupRows, spec.cols);
    const auto* packed = reinterpret_cast<const uint8_t*>(tensor.data.data()) + row / kGroupRows * group_bytes;
    for (uint32_t r = 0; r < count; r += kGroupRows, packed += group_bytes) {
      require(unpack_group(packing, packed, std::min<size_t>(kGroupRows, count - r), spec.cols,
                           out + size_t{r} * spec.cols, spec.cols),
              BITNET_ERROR_FORMAT, "tensor ", spec.name, " holds an invalid code near row ", row + r,
              "; the file is damaged");
    }
  }

  void read_values(const TensorSpec& spec, uint32_t row, uint32_t count, float* out) const override {
    const Tensor& tensor = find(spec);
    require(tensor.type == fb::Type::f16 || tensor.type == fb::Type::f32, BITNET_ERROR_ARGUMENT, "tensor ", spec.name,
            " is stored in ", name_of(tensor.type),
            ", its F16 values are not in this file; keep this head, or convert the original model");
    for (uint32_t r = 0; r < count; ++r) {
      const size_t begin = size_t{row + r} * tensor.stride;
      float* const values = out + size_t{r} * spec.cols;
      if (tensor.type == fb::Type::f32) {
        std::memcpy(values, tensor.data.data() + begin * sizeof(float), spec.cols * sizeof(float));
      } else {
        const auto* const halves = reinterpret_cast<const uint16_t*>(tensor.data.data()) + begin;
        std::transform(halves, halves + spec.cols, values, half_to_float);
      }
    }
  }

  void release(const TensorSpec& spec, uint32_t row, uint32_t count) const override {
    const auto data = find(spec).data;
    // Groups of rows lie together, so that a share of the rows is the same share of the bytes.
    const uint64_t rows = spec.rows;
    const auto range = data.subspan(data.size() / rows * row, data.size() / rows * count);
    if (container_->is_mapped(range)) drop_pages(range);
  }

 private:
  const Tensor& find(const TensorSpec& spec) const { return *container_->find(spec.name); }

  // Unpacks up to 16 rows from a multiple of 16 on; returns their group scales.
  static std::vector<uint16_t> read_group_rows(const Tensor& tensor, uint32_t group, uint32_t row, uint32_t count,
                                               int8_t* trits) {
    const size_t groups = groups_per_row(tensor.cols, group);
    std::vector<uint16_t> scales(count * groups);
    const auto* const packed =
        reinterpret_cast<const uint8_t*>(tensor.data.data()) + group_bytes(row, tensor.cols, group);
    require(unpack_groups(group, packed, {trits, tensor.cols, scales.data(), groups, count, tensor.cols}),
            BITNET_ERROR_FORMAT, "tensor ", tensor.name, " holds an invalid code near row ", row,
            "; the file is damaged");
    return scales;
  }

  static TernaryScales group_scales(const Tensor& tensor, uint32_t group) {
    TernaryScales result{.group = group};
    std::vector<int8_t> trits(kGroupTileRows * size_t{tensor.cols});
    for (uint32_t row = 0; row < tensor.rows; row += kGroupTileRows) {
      const uint32_t count = std::min<uint32_t>(kGroupTileRows, tensor.rows - row);
      const std::vector<uint16_t> halves = read_group_rows(tensor, group, row, count, trits.data());
      for (size_t i = 0; i < halves.size(); ++i) {
        const size_t of_row = tensor.scales.size() == 1 ? 0 : row + i / (halves.size() / count);
        result.scales.push_back(half_to_float(halves[i]) * tensor.scales[of_row]);
      }
    }
    return result;
  }

  std::shared_ptr<const Container> container_;
};

}  // namespace

std::unique_ptr<Source> open_container_source(std::shared_ptr<const Container> container) {
  return std::make_unique<ContainerSource>(std::move(container));
}

}  // namespace bitnet
