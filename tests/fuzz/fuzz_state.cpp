// SPDX-License-Identifier: MIT
// A saved session from a stranger. The checksum stops nearly everything, so half of the inputs get a
// right one.
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
  std::unique_ptr<Session> session = bitnet_test::seed_session();
  std::vector<std::byte> valid = session->save();
};

State& state() {
  static State* const s = new State;
  return *s;
}

// Model and checksum as they must be, so that what comes after them is looked at.
void make_plausible(std::vector<std::byte>& data) {
  constexpr size_t kModel = 16, kChecksum = 24, kHeader = 32;
  if (data.size() < kHeader) return;
  std::memcpy(data.data(), state().valid.data(), 12);
  std::memcpy(data.data() + kModel, state().valid.data() + kModel, 8);
  bitnet::Hasher hasher;
  hasher.add(std::span<const std::byte>(data).first(kChecksum));
  hasher.add(std::span<const std::byte>(data).subspan(kHeader));
  const uint64_t checksum = hasher.digest();
  std::memcpy(data.data() + kChecksum, &checksum, sizeof checksum);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  const bool plausible = bytes[0] & 1;
  const auto* rest = reinterpret_cast<const std::byte*>(bytes + 1);
  std::vector<std::byte> data(rest, rest + size - 1);
  if (plausible) make_plausible(data);
  Session& session = *state().session;
  session.load(state().valid);
  try {
    session.load(data);
    if (session.position() > session.context()) std::abort();
  } catch (const Error&) {
    if (session.position() != 3) std::abort();  // a refused state changes nothing
  }
  return 0;
}
