// SPDX-License-Identifier: MIT
#include "format/tensor_types.h"

#include "base/error.h"
#include "base/round_up.h"

namespace bitnet {
fb::Type type_of(Packing packing) {
  switch (packing) {
    case Packing::i2:
      return fb::Type::i2;
    case Packing::t5:
      return fb::Type::t5;
  }
  fail(BITNET_ERROR_INTERNAL, "packing ", static_cast<int>(packing), " has no type");
}

uint32_t row_stride(fb::Type type, uint32_t cols) {
  const TensorType& t = tensor_type(type);
  if (t.rows != 1) return 0;
  return static_cast<uint32_t>(round_up<uint64_t>(cols, t.block));
}

uint64_t raw_bytes(fb::Type type, uint32_t rows, uint32_t cols) {
  const TensorType& t = tensor_type(type);
  return round_up<uint64_t>(rows, t.rows) * (round_up<uint64_t>(cols, t.block) / t.block * t.block_bytes);
}

HeadForm form_of(HeadType head) {
  switch (head) {
    case HeadType::f16:
      return {fb::Type::f16, false, false};
    case HeadType::int8:
      return {fb::Type::int8, true, false};
    case HeadType::q6:
      return {fb::Type::q6, true, false};
    case HeadType::screened:
      return {fb::Type::f16, false, true};
  }
  fail(BITNET_ERROR_INTERNAL, "head ", static_cast<int>(head), " has no form");
}

std::optional<HeadType> head_type(fb::Type type, bool screen) {
  for (const HeadType head : {HeadType::f16, HeadType::int8, HeadType::q6, HeadType::screened}) {
    if (const HeadForm form = form_of(head); form.type == type && form.screen == screen) return head;
  }
  return std::nullopt;
}

}  // namespace bitnet
