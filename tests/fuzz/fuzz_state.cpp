// SPDX-License-Identifier: MIT
// A saved session from a stranger, with each kind of KV cache. The checksum stops nearly everything, so half of the
// inputs get a right one. A session that is loaded goes on, over whatever keys and values it got.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "engine/session.h"
#include "fuzz/seed_model.h"

namespace {

using bitnet::Error;
using bitnet::Session;

struct State {
  explicit State(bitnet::KvType kv) : session(bitnet_test::seed_session(kv)), valid(session->save()) {}
  std::shared_ptr<Session> session;
  std::vector<std::byte> valid;
};

State& state(size_t kind) {
  static State* const states =
      new State[3]{State(bitnet::KvType::f16), State(bitnet::KvType::int8), State(bitnet::KvType::int16)};
  return states[kind % 3];
}

// Model and checksum as they must be, so that what comes after them is looked at.
void make_plausible(const std::vector<std::byte>& valid, std::vector<std::byte>& data) {
  constexpr size_t kModel = 16, kChecksum = 24, kHeader = 32;
  if (data.size() < kHeader) return;
  std::memcpy(data.data(), valid.data(), 12);
  std::memcpy(data.data() + kModel, valid.data() + kModel, 8);
  bitnet::Hasher hasher;
  hasher.add(std::span<const std::byte>(data).first(kChecksum));
  hasher.add(std::span<const std::byte>(data).subspan(kHeader));
  const uint64_t checksum = hasher.digest();
  std::memcpy(data.data() + kChecksum, &checksum, sizeof checksum);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  const auto* rest = reinterpret_cast<const std::byte*>(bytes + 1);
  std::vector<std::byte> data(rest, rest + size - 1);
  const State& of = state(bytes[0] >> 1);
  if (bytes[0] & 1) make_plausible(of.valid, data);
  Session& session = *of.session;
  session.load(of.valid);
  try {
    session.load(data);
  } catch (const Error&) {
    if (session.position() != 3) std::abort();  // a refused state changes nothing
    return 0;
  }
  if (session.position() > session.context()) std::abort();
  const bitnet::Token next = 1;
  if (session.position() < session.context()) session.eval({&next, 1}, BITNET_LOGITS_LAST);
  return 0;
}
