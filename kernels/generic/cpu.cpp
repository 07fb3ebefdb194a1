// SPDX-License-Identifier: MIT
// Any processor: nothing to find out.
#include "cpu.h"

namespace bitnet {

Cpu this_cpu() { return {.sets = {{&portable_layer, true}}, .features = {}}; }

}  // namespace bitnet
