// SPDX-License-Identifier: MIT
#include "model/model.h"

namespace bitnet {

std::optional<Packing> packing_of(Numbers numbers) {
  switch (numbers) {
    case Numbers::i2:
      return Packing::i2;
    case Numbers::t5:
      return Packing::t5;
    case Numbers::f32:
    case Numbers::f16:
    case Numbers::int8:
    case Numbers::q5:
    case Numbers::q6:
    case Numbers::g128:
    case Numbers::g64:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<uint32_t> group_of(Numbers numbers) {
  switch (numbers) {
    case Numbers::g128:
      return 128;
    case Numbers::g64:
      return 64;
    case Numbers::f32:
    case Numbers::f16:
    case Numbers::int8:
    case Numbers::q5:
    case Numbers::q6:
    case Numbers::i2:
    case Numbers::t5:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace bitnet
