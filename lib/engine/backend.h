// SPDX-License-Identifier: MIT
// What computes for an engine: the layers over rows, what sequences leave behind, and the head. All of it lies in
// memory of its own: tokens go in, and what was asked for is read back into the caller's memory.
//
// The engine says what is computed together, and a backend computes one pass at a time:
//
//   submit(rows);             // they are on their way
//   while (!wait()) {         // computes the next step, or waits a moment for whoever does
//     some rows: left = true  // sessions that have been cancelled
//     drop_left();            // their states and results are their owners' again
//   }                         // the rest is there
//
// lib/engine/cpu_backend.h is the one that there is. tests/engine has another, which computes on a thread of its own,
// and check_backend, which holds any to this one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/screen.h"
#include "kernels.h"
#include "text/vocabulary.h"

namespace bitnet {

constexpr bool is_known(KvType type) {
  switch (type) {
    case KvType::f16:
    case KvType::int8:
    case KvType::int16:
      return true;
  }
  return false;
}

// What a sequence leaves behind for the tokens that follow it. One thread at a time uses a state. While a pass has rows
// of it, only that.
class SequenceState {
 public:
  SequenceState() = default;
  SequenceState(const SequenceState&) = delete;
  SequenceState& operator=(const SequenceState&) = delete;
  virtual ~SequenceState() = default;

  virtual KvType type() const = 0;
  virtual uint32_t context() const = 0;

  // None of these allocates, but for renew().

  // Makes room for these positions, of which `begin` is where the state ends. From here to settle() or truncate() only
  // what is evaluated reads it. False: the budget has no room, and the state is as it was.
  virtual bool prepare(size_t begin, size_t end) = 0;
  // The same for positions from 0 on, in place of all that it holds. With overcommit there must be room for both at a
  // time.
  virtual bool renew(size_t end) = 0;
  // These positions have been computed.
  virtual void settle() = 0;
  // Forgets all positions from there on, and what has been prepared.
  virtual void truncate(size_t position) = 0;
  // An empty state shares the first positions of another one of its backend and kind.
  virtual void share(const SequenceState& other, size_t positions) = 0;
  // The state holds these tokens: keeps what it can for others of the scope. It may keep nothing.
  virtual void keep(uint64_t scope, std::span<const Token> tokens) = 0;
  // The first `held` of these tokens are in the state. Takes over the next ones from others of the scope. Returns how
  // many positions that comes to.
  virtual size_t find(uint64_t scope, std::span<const Token> tokens, size_t held) = 0;

  // A snapshot of the first positions: parts of a row for each position. The KV heads of all layers are counted
  // through; of each there are the keys, then the values. To write there must be room for them (renew).
  virtual size_t parts() const = 0;
  virtual size_t row_bytes() const = 0;
  virtual void read(size_t part, size_t positions, std::byte* rows) const = 0;
  virtual void write(size_t part, size_t positions, const std::byte* rows) = 0;
};

// One token at one position of one sequence. Rows of the same sequence are neighbours, in the order of their positions.
struct Row {
  Token token = 0;
  uint32_t position = 0;
  SequenceState* state = nullptr;
  // A pass of the head alone: all its rows have this in place of a token and a state.
  const float* given = nullptr;
  // What is wanted of it; null: nothing.
  float* hidden = nullptr;       // what the head multiplies
  float* logits = nullptr;       // vocabulary floats
  Screened* screened = nullptr;  // what the head's screen says of `hidden`
  bool left = false;             // nobody waits for it any more
};

class Backend {
 public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  // Whether its results are the bits of kernels/scalar.cpp.
  virtual bool is_exact() const = 0;
  // Whether it takes rows with `screened`.
  virtual bool has_screen() const = 0;

  // Thread-safe. Room for `context` positions is reserved. Throws std::bad_alloc; Error beyond the budget. `prefixes`:
  // whether find() and keep() will be called.
  virtual std::unique_ptr<SequenceState> make_state(KvType type, uint32_t context, bool prefixes) = 0;

  // `rows`, at least one and as many as the backend was made for at most, stay the caller's, who only marks some
  // between calls of wait(), until the pass is over. May throw, here or in wait(): then the pass is over, and what it
  // has computed is not known.
  virtual void submit(std::vector<Row>& rows) = 0;
  // True: the pass is over, and what was asked for is there. It does not take much longer than a layer.
  virtual bool wait() = 0;
  // Removes the rows that are marked from `rows`. From here on nothing of theirs is read or written; what their states
  // hold from the position of the first of them on is not known.
  virtual void drop_left() noexcept = 0;

  // Gives memory back that nothing needs at the moment; not during a pass. Returns the bytes of states to come.
  virtual uint64_t trim() = 0;
};

}  // namespace bitnet
