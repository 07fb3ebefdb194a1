// SPDX-License-Identifier: MIT
#include "base/compression.h"

#include <zstd.h>
#include <zstd_errors.h>

#include <new>
#include <utility>

#include "base/error.h"

namespace bitnet {
namespace {

struct Free {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

// What a call of Zstandard returned, if it was no error.
size_t check(size_t result) {
  if (!ZSTD_isError(result)) return result;
  if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation) throw std::bad_alloc();
  fail(BITNET_ERROR_INTERNAL, "compression failed: ", ZSTD_getErrorName(result));
}

}  // namespace

void require_compression(int level) {
  require(level >= ZSTD_minCLevel() && level <= kMostCompression, BITNET_ERROR_ARGUMENT, "Zstandard has no level ",
          level, "; its levels end at ", kMostCompression);
}

struct Compressor::State {
  std::unique_ptr<ZSTD_CCtx, Free> context{ZSTD_createCCtx()};
  std::vector<std::byte> buffer = std::vector<std::byte>(ZSTD_CStreamOutSize());
  ByteSink out;

  void compress(std::span<const std::byte> bytes, bool last) {
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    size_t left;
    do {
      ZSTD_outBuffer part{buffer.data(), buffer.size(), 0};
      left = check(ZSTD_compressStream2(context.get(), &part, &in, last ? ZSTD_e_end : ZSTD_e_continue));
      out(std::span<const std::byte>(buffer).first(part.pos));
    } while (last ? left != 0 : in.pos < in.size);
  }
};

Compressor::Compressor(int level, unsigned threads, ByteSink out) : state_(std::make_unique<State>()) {
  require_compression(level);
  if (!state_->context) throw std::bad_alloc();
  state_->out = std::move(out);
  check(ZSTD_CCtx_setParameter(state_->context.get(), ZSTD_c_compressionLevel, level));
  // Where Zstandard was built without threads, this is refused and it works alone.
  if (threads > 1) {
    ZSTD_CCtx_setParameter(state_->context.get(), ZSTD_c_nbWorkers, static_cast<int>(threads));
  }
}

Compressor::~Compressor() = default;

void Compressor::announce(uint64_t size) { check(ZSTD_CCtx_setPledgedSrcSize(state_->context.get(), size)); }
void Compressor::add(std::span<const std::byte> bytes) { state_->compress(bytes, false); }
void Compressor::end() { state_->compress({}, true); }

std::vector<std::byte> compress(std::span<const std::byte> bytes, int level) {
  std::vector<std::byte> frame(ZSTD_compressBound(bytes.size()));
  const std::unique_ptr<ZSTD_CCtx, Free> context(ZSTD_createCCtx());
  if (!context) throw std::bad_alloc();
  frame.resize(check(ZSTD_compressCCtx(context.get(), frame.data(), frame.size(), bytes.data(), bytes.size(), level)));
  return frame;
}

void decompress(std::span<const std::byte> frames, std::span<std::byte> out, const std::string& what) {
  const std::unique_ptr<ZSTD_DCtx, Free> context(ZSTD_createDCtx());
  if (!context) throw std::bad_alloc();
  const size_t size = ZSTD_decompressDCtx(context.get(), out.data(), out.size(), frames.data(), frames.size());
  if (ZSTD_isError(size) && ZSTD_getErrorCode(size) == ZSTD_error_memory_allocation) throw std::bad_alloc();
  require(!ZSTD_isError(size), BITNET_ERROR_FORMAT, what, " cannot be unpacked (", ZSTD_getErrorName(size),
          "); the file is damaged");
  require(size == out.size(), BITNET_ERROR_FORMAT, what, " unpacks to ", size, " bytes instead of ", out.size(),
          "; the file is damaged");
}

}  // namespace bitnet
