// SPDX-License-Identifier: MIT
// The C API's enums as the format layer's.
#pragma once

#include <optional>

#include "base/error.h"
#include "bitnet.h"
#include "format/open.h"

namespace bitnet {

inline Packing make_packing(bitnet_packing packing) {
  switch (packing) {
    case BITNET_PACKING_DEFAULT:
    case BITNET_PACKING_I2:
      return Packing::i2;
    case BITNET_PACKING_T5:
      return Packing::t5;
  }
  fail(BITNET_ERROR_ARGUMENT, "packing ", static_cast<int>(packing), " does not exist");
}

inline Dense make_dense(bitnet_dense dense) {
  switch (dense) {
    case BITNET_DENSE_DEFAULT:
    case BITNET_DENSE_F16:
      return Dense::f16;
    case BITNET_DENSE_F32:
      return Dense::f32;
    case BITNET_DENSE_INT8:
      return Dense::int8;
  }
  fail(BITNET_ERROR_ARGUMENT, "dense ", static_cast<int>(dense), " does not exist");
}

inline std::optional<ActivationBits> make_activation_bits(bitnet_activation_bits bits) {
  switch (bits) {
    case BITNET_ACTIVATION_BITS_DEFAULT:
      return std::nullopt;
    case BITNET_ACTIVATION_BITS_INT8:
      return ActivationBits::int8;
    case BITNET_ACTIVATION_BITS_INT16:
      return ActivationBits::int16;
  }
  fail(BITNET_ERROR_ARGUMENT, "activation_bits ", static_cast<int>(bits), " does not exist");
}

inline HeadType make_head(bitnet_head head) {
  switch (head) {
    case BITNET_HEAD_DEFAULT:
    case BITNET_HEAD_F16:
      return HeadType::f16;
    case BITNET_HEAD_INT8:
      return HeadType::int8;
    case BITNET_HEAD_Q6:
      return HeadType::q6;
    case BITNET_HEAD_SCREENED:
      return HeadType::screened;
  }
  fail(BITNET_ERROR_ARGUMENT, "head ", static_cast<int>(head), " does not exist");
}

inline I2sLayout make_layout(bitnet_i2s_layout layout) {
  switch (layout) {
    case BITNET_I2S_AUTO:
      return I2sLayout::automatic;
    case BITNET_I2S_X86:
      return I2sLayout::x86;
    case BITNET_I2S_ARM:
      return I2sLayout::arm;
    case BITNET_I2S_ROWS:
      return I2sLayout::rows;
  }
  fail(BITNET_ERROR_ARGUMENT, "I2_S layout ", static_cast<int>(layout), " does not exist");
}

inline std::optional<fb::Activation> make_activation(bitnet_activation activation) {
  switch (activation) {
    case BITNET_ACTIVATION_DEFAULT:
      return std::nullopt;
    case BITNET_ACTIVATION_RELU2:
      return fb::Activation::relu2;
    case BITNET_ACTIVATION_SILU:
      return fb::Activation::silu;
  }
  fail(BITNET_ERROR_ARGUMENT, "activation ", static_cast<int>(activation), " does not exist");
}

}  // namespace bitnet
