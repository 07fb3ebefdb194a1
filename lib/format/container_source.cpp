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

  TernaryScales ternary_scales(const TensorSpec& spec) const override {
    const auto scales = find(spec).scales;
    return {.scales = {scales.begin(), scales.end()}};
  }

  void read_trits(const TensorSpec& spec, const TernaryScales&, uint32_t row, uint32_t count,
                  int8_t* out) const override {
    const Tensor& tensor = find(spec);
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

  std::shared_ptr<const Container> container_;
};

}  // namespace

std::unique_ptr<Source> open_container_source(std::shared_ptr<const Container> container) {
  return std::make_unique<ContainerSource>(std::move(container));
}

}  // namespace bitnet
