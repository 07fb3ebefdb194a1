// SPDX-License-Identifier: MIT
// Saved sessions. A state is a StateHeader, then one Zstandard frame of: the tokens (int32), then for each layer and KV
// head the keys of all tokens and the values of all tokens (parts of a SequenceState). All numbers are little-endian.
#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/buffer.h"
#include "base/compression.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "engine/session.h"

namespace bitnet {
namespace {

static_assert(std::endian::native == std::endian::little, "files are read and written as they lie in memory");

constexpr char kMagic[8] = {'B', 'N', 'S', 'T', 'A', 'T', 'E', '\n'};
constexpr uint16_t kVersion = 2;
constexpr int kLevel = 1;  // keys and values hardly shrink further at higher ones

struct StateHeader {
  char magic[8];
  uint16_t version;
  uint16_t kv;  // KvType
  uint32_t tokens;
  uint64_t model;     // Model::fingerprint
  uint64_t checksum;  // XXH3-64 of the header up to here, then of all that follows it
};
static_assert(sizeof(StateHeader) == 32);

uint64_t checksum(const StateHeader& header, std::span<const std::byte> payload) {
  Hasher hasher;
  hasher.add(std::as_bytes(std::span(&header, 1)).first(offsetof(StateHeader, checksum)));
  hasher.add(payload);
  return hasher.digest();
}

}  // namespace

std::vector<std::byte> Session::save() const {
  const Use use(*this);
  const auto need = [&] {
    return MemoryNeed{position() * (sizeof(Token) + state_->parts() * state_->row_bytes()),
                      "saving a session of " + counted(position(), "token"),
                      "fewer tokens or an int8 KV cache take less"};
  };
  return with_memory(need, [&] { return pack_state(); });
}

std::vector<std::byte> Session::pack_state() const {
  StateHeader header = {{}, kVersion, static_cast<uint16_t>(state_->type()), position(), runtime().model().fingerprint,
                        0};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  std::vector<std::byte> state(sizeof header);
  Compressor compressor(
      kLevel, 1, [&state](std::span<const std::byte> part) { state.insert(state.end(), part.begin(), part.end()); });
  compressor.add(std::as_bytes(tokens()));
  std::vector<std::byte> rows(position() * state_->row_bytes());
  for (size_t part = 0; part < state_->parts(); part++) {
    state_->read(part, position(), rows.data());
    compressor.add(rows);
  }
  compressor.end();
  header.checksum = checksum(header, std::span(state).subspan(sizeof header));
  std::memcpy(state.data(), &header, sizeof header);
  return state;
}

void Session::load(std::span<const std::byte> state) {
  const Use use(*this);
  StateHeader header;
  require(state.size() >= sizeof header && std::memcmp(state.data(), kMagic, sizeof kMagic) == 0, BITNET_ERROR_FORMAT,
          "this is no saved session: it does not start like one");
  std::memcpy(&header, state.data(), sizeof header);
  const auto payload = state.subspan(sizeof header);
  require(header.version == kVersion, BITNET_ERROR_UNSUPPORTED, "the saved session has version ", header.version,
          "; this library reads version ", kVersion, "; evaluate its tokens anew and save that");
  const auto kv = static_cast<KvType>(header.kv);
  require(header.kv <= UINT8_MAX && is_known(kv), BITNET_ERROR_UNSUPPORTED, "saved session with a KV cache of kind ",
          header.kv, ", which this library does not know");
  require(header.checksum == checksum(header, payload), BITNET_ERROR_FORMAT,
          "the saved session is damaged: its checksum does not match");
  require(
      header.model == runtime().model().fingerprint, BITNET_ERROR_MISMATCH,
      "the saved session belongs to another model, or another packing of this one; open the file it was saved with");
  require(kv == state_->type(), BITNET_ERROR_MISMATCH, "the saved session's KV cache is ", kv_name(kv), ", this one's ",
          kv_name(state_->type()), "; make one with the same kind");
  require(header.tokens <= context(), BITNET_ERROR_CONTEXT, "the saved session holds ", counted(header.tokens, "token"),
          ", this one has room for ", context(), "; make one with a larger context");

  const size_t row_bytes = state_->row_bytes();
  const size_t tokens_bytes = header.tokens * sizeof(Token);
  const size_t raw_bytes = tokens_bytes + state_->parts() * header.tokens * row_bytes;
  const auto need = [&] {
    return MemoryNeed{raw_bytes, "a saved session of " + counted(header.tokens, "token") + " while it is loaded",
                      "one of fewer tokens takes less"};
  };
  Buffer raw = with_memory(need, [&] { return Buffer(raw_bytes); });
  decompress(payload, raw.bytes(), "the saved session");
  const auto* tokens = raw.as<const Token>();
  for (uint32_t i = 0; i < header.tokens; i++) {
    require(tokens[i] >= 0 && static_cast<size_t>(tokens[i]) < vocabulary(), BITNET_ERROR_FORMAT,
            "the saved session is damaged: token ", tokens[i], " is out of range");
  }
  with_memory(need, [&] { renew_state(header.tokens); });
  loaded_ = header.tokens != 0;
  std::copy_n(tokens, header.tokens, tokens_.as<Token>());
  const auto* row = reinterpret_cast<const std::byte*>(tokens + header.tokens);
  for (size_t part = 0; part < state_->parts(); part++, row += header.tokens * row_bytes) {
    state_->write(part, header.tokens, row);
  }
  set_position(header.tokens);
  logits_rows_ = 0;
  logits_later_ = false;
}

// Whole pages, none of them a copy. Waits for them as an evaluation does.
void Session::renew_state(size_t tokens) {
  const auto end = std::chrono::steady_clock::now() + engine_->options().patience;
  while (!state_->renew(tokens)) {
    if (cancel_.exchange(false, std::memory_order_relaxed)) fail(BITNET_ERROR_CANCELLED, "the loading was cancelled");
    if (std::chrono::steady_clock::now() >= end) engine_->fail_for_pages();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace bitnet
