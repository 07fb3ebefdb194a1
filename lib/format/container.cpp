// SPDX-License-Identifier: MIT
#include "format/container.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/error.h"
#include "base/hash.h"
#include "format/metadata.h"

namespace bitnet {
namespace {

bool has_scales(const Tensor& tensor) {
  const size_t count = tensor.scales.size();
  switch (tensor_type(tensor.type).scales) {
    case Scales::none:
      return count == 0;
    case Scales::one_or_rows:
      return count == 1 || count == tensor.rows;
    case Scales::rows:
      return count == tensor.rows;
  }
  return false;
}

void check_scales(const Tensor& tensor) {
  require(has_scales(tensor), BITNET_ERROR_FORMAT, "tensor ", tensor.name, " of ", tensor.rows, " rows has ",
          tensor.scales.size(), " scales");
  for (const float scale : tensor.scales) {
    require(std::isfinite(scale) && scale > 0, BITNET_ERROR_FORMAT, "tensor ", tensor.name, " has the scale ", scale,
            "; a scale must be finite and positive");
  }
}

void check_bounds(const Tensor& tensor) {
  const size_t count = tensor.name == kScreenName ? tensor.rows : 0;
  require(tensor.bounds.size() == count, BITNET_ERROR_FORMAT, "tensor ", tensor.name, " of ", tensor.rows, " rows has ",
          tensor.bounds.size(), " bounds");
  for (const float bound : tensor.bounds) {
    require(std::isfinite(bound) && bound >= 0, BITNET_ERROR_FORMAT, "tensor ", tensor.name, " has the bound ", bound,
            "; a bound must be finite and not negative");
  }
}

}  // namespace

Tensor read_tensor(const fb::Tensor& entry) {
  Tensor tensor{view(entry.name()), entry.type(), entry.rows(), entry.cols(), entry.stride(), {}, {}, {},
                entry.checksum()};
  require(is_known(tensor.type) && entry.codec() <= fb::Codec::MAX, BITNET_ERROR_UNSUPPORTED, "tensor ", tensor.name,
          " is of a type or codec that this library does not know; a newer libbitnet may");
  require(tensor.rows >= 1 && tensor.rows <= kMaxExtent && tensor.cols >= 1 && tensor.cols <= kMaxExtent,
          BITNET_ERROR_FORMAT, "tensor ", tensor.name, " has an impossible shape, ", tensor.rows, " x ", tensor.cols);
  require(tensor.stride == row_stride(tensor.type, tensor.cols) &&
              entry.raw_size() == raw_bytes(tensor.type, tensor.rows, tensor.cols),
          BITNET_ERROR_FORMAT, "tensor ", tensor.name, " of shape ", tensor.rows, " x ", tensor.cols, " has ",
          entry.raw_size(), " bytes in rows of ", tensor.stride, "; that does not fit its type");
  if (entry.scales() != nullptr) tensor.scales = {entry.scales()->data(), entry.scales()->size()};
  if (entry.bounds() != nullptr) tensor.bounds = {entry.bounds()->data(), entry.bounds()->size()};
  check_scales(tensor);
  check_bounds(tensor);
  return tensor;
}

Container::Container(Parts parts) : parts_(std::move(parts)), model_(fb::GetModel(parts_.metadata.data())) {
  for (size_t i = 0; i < parts_.tensors.size(); ++i) {
    require(index_.emplace(parts_.tensors[i].name, i).second, BITNET_ERROR_FORMAT, "tensor ", parts_.tensors[i].name,
            " appears twice");
  }
  fingerprint_ = compute_fingerprint();
}

const Tensor* Container::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &parts_.tensors[found->second];
}

bool Container::is_mapped(std::span<const std::byte> range) const {
  return std::ranges::any_of(parts_.files, [&](const MappedFile& mapping) {
    const auto file = mapping.bytes();
    return mapping.is_mapped() && std::less_equal<>()(file.data(), range.data()) &&
           std::less_equal<>()(range.data() + range.size(), file.data() + file.size());
  });
}

uint64_t Container::tensor_bytes() const {
  uint64_t bytes = 0;
  for (const Tensor& tensor : parts_.tensors) bytes += tensor.data.size();
  return bytes;
}

uint64_t Container::owned_bytes() const {
  uint64_t bytes = parts_.metadata.size();
  for (const MappedFile& file : parts_.files) bytes += file.owned_bytes();
  for (const Buffer& buffer : parts_.owned) bytes += buffer.size();
  return bytes;
}

uint64_t Container::compute_fingerprint() const {
  Hasher hasher;
  hasher.add(view(model_->architecture()));
  hasher.add(canonical_bytes(*model_->hyper()));
  const fb::Tokenizer& tokenizer = *model_->tokenizer();
  hasher.add(std::as_bytes(view(tokenizer.pieces())));
  hasher.add(std::as_bytes(view(tokenizer.ends())));
  for (const Tensor& tensor : parts_.tensors) {
    if (tensor.name == kScreenName) continue;  // changes no result
    hasher.add(tensor.name);
    hasher.add_value(tensor.type);
    hasher.add_value(tensor.checksum);
    hasher.add(std::as_bytes(tensor.scales));
  }
  return hasher.digest();
}

void check_tensors(const Container& container, const std::vector<TensorSpec>& specs) {
  for (const TensorSpec& spec : specs) {
    const Tensor* const tensor = container.find(spec.name);
    require(tensor != nullptr, BITNET_ERROR_FORMAT, "tensor ", spec.name, " is missing");
    require(tensor->rows == spec.rows && tensor->cols == spec.cols, BITNET_ERROR_FORMAT, "tensor ", spec.name, " is ",
            tensor->rows, " x ", tensor->cols, "; the hyperparameters ask for ", spec.rows, " x ", spec.cols);
    require(tensor_type(tensor->type).roles.contains(spec.role), BITNET_ERROR_FORMAT, "tensor ", spec.name,
            " is of type ", name_of(tensor->type), ", which is none for its place");
  }
  const Tensor* const head = container.find(kHeadName);
  require(container.find(kScreenName) == nullptr || head == nullptr || head->type == fb::Type::f16, BITNET_ERROR_FORMAT,
          "tensor ", kScreenName, " stands beside a head that is not F16");
  require(specs.size() == container.tensors().size(), BITNET_ERROR_UNSUPPORTED,
          "the file holds tensors that its architecture does not have; a newer libbitnet may know them");
}

}  // namespace bitnet
