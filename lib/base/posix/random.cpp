// SPDX-License-Identifier: MIT
#include "base/random.h"

#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace bitnet {

// The system's own calls: std::random_device reads /dev/urandom with some libraries, which is not there in every root
// folder.
uint64_t random_bits() {
  uint64_t bits = 0;
#if defined(__ANDROID__) || defined(__APPLE__)
  arc4random_buf(&bits, sizeof bits);  // getentropy came with Android 9, and Apple's shop refuses programs that call it
#else
  if (getentropy(&bits, sizeof bits) != 0) {
    throw std::system_error(errno, std::generic_category(), "the system gives no random numbers");
  }
#endif
  return bits;
}

}  // namespace bitnet
