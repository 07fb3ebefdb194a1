// SPDX-License-Identifier: MIT
// Zstandard's contexts with an owner, and its errors as ours.
#pragma once

#include <zstd.h>
#include <zstd_errors.h>

#include <cstddef>
#include <memory>
#include <new>
#include <span>

#include "base/error.h"

namespace bitnet {

struct ZstdFree {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};
using ZstdCompressor = std::unique_ptr<ZSTD_CCtx, ZstdFree>;
using ZstdDecompressor = std::unique_ptr<ZSTD_DCtx, ZstdFree>;

inline ZstdCompressor make_compressor() {
  ZstdCompressor context(ZSTD_createCCtx());
  if (!context) throw std::bad_alloc();
  return context;
}

// What a call of Zstandard returned, if it was no error.
inline size_t check_compression(size_t result) {
  if (!ZSTD_isError(result)) return result;
  if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation) throw std::bad_alloc();
  fail(BITNET_ERROR_INTERNAL, "compression failed: ", ZSTD_getErrorName(result));
}

// Unpacks frames that give exactly out.size() bytes. `what` is named if they do not.
template <typename... What>
void decompress(std::span<const std::byte> in, std::span<std::byte> out, const What&... what) {
  const ZstdDecompressor context(ZSTD_createDCtx());
  if (!context) throw std::bad_alloc();
  const size_t size = ZSTD_decompressDCtx(context.get(), out.data(), out.size(), in.data(), in.size());
  if (ZSTD_isError(size) && ZSTD_getErrorCode(size) == ZSTD_error_memory_allocation) throw std::bad_alloc();
  require(!ZSTD_isError(size), BITNET_ERROR_FORMAT, what..., " cannot be unpacked (", ZSTD_getErrorName(size),
          "); the file is damaged");
  require(size == out.size(), BITNET_ERROR_FORMAT, what..., " unpacks to ", size, " bytes instead of ", out.size(),
          "; the file is damaged");
}

}  // namespace bitnet
