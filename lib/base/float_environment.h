// SPDX-License-Identifier: MIT
#pragma once

#include <cfenv>

#if defined(_WIN32) && defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace bitnet {

// The default floating-point environment while it lives (round to nearest, subnormals kept), the host program's own
// afterwards: results must not depend on what the host has set.
class DefaultFloatEnvironment {
 public:
  DefaultFloatEnvironment() {
    std::fegetenv(&saved_);
    std::fesetenv(FE_DFL_ENV);
#if defined(_WIN32) && defined(__x86_64__)
    _mm_setcsr(kDefaultControl);
#endif
  }
  ~DefaultFloatEnvironment() {
    std::fesetenv(&saved_);
#if defined(_WIN32) && defined(__x86_64__)
    _mm_setcsr(control_);
#endif
  }
  DefaultFloatEnvironment(const DefaultFloatEnvironment&) = delete;
  DefaultFloatEnvironment& operator=(const DefaultFloatEnvironment&) = delete;

 private:
  std::fenv_t saved_;
#if defined(_WIN32) && defined(__x86_64__)
  // MinGW's functions set the default of the x87 unit alone.
  static constexpr unsigned kDefaultControl = 0x1f80;  // nearest, subnormals kept, nothing traps
  const unsigned control_ = _mm_getcsr();
#endif
};

}  // namespace bitnet
