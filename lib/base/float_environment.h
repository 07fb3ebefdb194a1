// SPDX-License-Identifier: MIT
#pragma once

#include <cfenv>

namespace bitnet {

// The default floating-point environment while it lives (round to nearest, subnormals kept), the host program's own
// afterwards: results must not depend on what the host has set.
class DefaultFloatEnvironment {
 public:
  DefaultFloatEnvironment() {
    std::fegetenv(&saved_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~DefaultFloatEnvironment() { std::fesetenv(&saved_); }
  DefaultFloatEnvironment(const DefaultFloatEnvironment&) = delete;
  DefaultFloatEnvironment& operator=(const DefaultFloatEnvironment&) = delete;

 private:
  std::fenv_t saved_;
};

}  // namespace bitnet
