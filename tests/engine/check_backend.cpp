// SPDX-License-Identifier: MIT
#include "engine/check_backend.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <memory>
#include <random>
#include <sstream>
#include <string>

namespace bitnet {
namespace {

constexpr uint32_t kContext = 100;  // more than a page
constexpr uint32_t kSequences = 5;
constexpr float kUntouched = -12345.5f;

enum class Wish : uint8_t { nothing, hidden, logits, screen, all };

// What one backend makes of a row.
struct Results {
  std::vector<float> hidden, logits;
  Screened screened;
};

class Checker {
 public:
  Checker(const Model& model, Backend& reference, Backend& checked, const BackendCheck& check)
      : model_(model), sides_{{&reference}, {&checked}}, check_(check), random_(check.seed) {
    for (auto& sequence : sequences_) {
      sequence.type = static_cast<KvType>(below(3));
      for (const Side& side : sides_) sequence.states.push_back(make_state(side, sequence.type));
    }
  }

  std::string run() {
    for (step_ = 0; step_ < check_.steps && difference_.empty(); step_++) {
      switch (below(10)) {
        case 0:
          fork();
          break;
        case 1:
          truncate();
          break;
        case 2:
          snapshot();
          break;
        case 3:
          head_alone();
          break;
        case 4:
          pass(true);
          break;
        default:
          pass(false);
      }
    }
    return difference_;
  }

 private:
  struct Side {
    Backend* backend;
    std::vector<Row> rows = {};
    std::vector<Results> results = {};
    bool dropped = false;  // in the current pass, before it was over
  };
  struct Sequence {
    KvType type = KvType::int16;
    uint32_t length = 0;
    std::vector<std::unique_ptr<SequenceState>> states = {};  // for each side
  };
  struct Planned {
    size_t sequence;
    Token token;
    uint32_t position;
    Wish wish;
    bool drops;
  };

  uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  Sequence& any() { return sequences_[below(kSequences)]; }
  static std::unique_ptr<SequenceState> make_state(const Side& side, KvType type) {
    return side.backend->make_state(type, kContext, false);
  }
  bool exact() const { return sides_[1].backend->is_exact(); }

  // Some rows of some sequences. In a pass that drops, of one sequence nobody waits for them any more.
  std::vector<Planned> plan(bool drops) {
    std::vector<Planned> rows;
    std::vector<size_t> order(kSequences);
    for (size_t i = 0; i < kSequences; i++) order[i] = i;
    std::ranges::shuffle(order, random_);
    order.resize(1 + below(kSequences));
    if (order.size() == 1) drops = false;
    for (const size_t i : order) {
      const Sequence& sequence = sequences_[i];
      const auto room =
          std::min<uint32_t>(kContext - sequence.length, check_.batch - static_cast<uint32_t>(rows.size()));
      if (room == 0) continue;
      const uint32_t count = below(2) == 0 ? 1 : 1 + below(room);
      for (uint32_t t = 0; t < count; t++) {
        Wish wish = static_cast<Wish>(below(5));
        if (!both_screen() && (wish == Wish::screen || wish == Wish::all)) wish = Wish::logits;
        rows.push_back({i, static_cast<Token>(below(model_.hyper.vocabulary)), sequence.length + t, wish,
                        drops && i == order.front()});
      }
    }
    return rows;
  }
  bool both_screen() const { return sides_[0].backend->has_screen() && sides_[1].backend->has_screen(); }

  void pass(bool drops) {
    const std::vector<Planned> planned = plan(drops);
    if (planned.empty()) return truncate();
    const uint32_t steps = below(4);  // before they are dropped
    for (size_t side = 0; side < 2; side++) compute(side, planned, steps);
    for (size_t i = 0; i < planned.size() && difference_.empty(); i++) compare(planned[i], i);
    for (const Planned& row : planned) {
      if (!row.drops) sequences_[row.sequence].length = row.position + 1;
    }
  }

  void compute(size_t index, const std::vector<Planned>& planned, uint32_t steps) {
    Side& side = sides_[index];
    side.rows.clear();
    side.dropped = false;
    side.results.assign(planned.size(), {});
    for (size_t i = 0; i < planned.size(); i++) side.rows.push_back(make_row(side, index, planned[i], i));
    for (const auto& [state, end] : ends(index, planned)) state->prepare(sequence_of(index, state).length, end);
    side.backend->submit(side.rows);
    bool over = false;
    for (uint32_t i = 0; i < steps && !over; i++) over = side.backend->wait();
    if (!over) drop(index, planned);
    while (!over) over = side.backend->wait();
    for (const auto& [state, end] : ends(index, planned)) {
      if (is_dropped(index, state, planned)) {
        state->truncate(sequence_of(index, state).length);
      } else {
        state->settle();
      }
    }
  }

  // Marks the rows, and looks whether anything of theirs is touched from then on.
  void drop(size_t index, const std::vector<Planned>& planned) {
    Side& side = sides_[index];
    bool some = false;
    for (Row& row : side.rows) {
      for (const Planned& p : planned) {
        if (p.drops && row.state == sequences_[p.sequence].states[index].get()) some = row.left = true;
      }
    }
    if (!some) return;
    side.backend->drop_left();
    side.dropped = true;
    for (size_t i = 0; i < planned.size(); i++) {
      if (!planned[i].drops) continue;
      std::ranges::fill(side.results[i].hidden, kUntouched);
      std::ranges::fill(side.results[i].logits, kUntouched);
      side.results[i].screened = {};
    }
    for (const auto& [state, end] : ends(index, planned)) {  // it is the owner's again
      if (is_dropped(index, state, planned)) state->truncate(sequence_of(index, state).length);
    }
  }

  Row make_row(Side& side, size_t index, const Planned& planned, size_t i) {
    Results& results = side.results[i];
    Row row = {.token = planned.token,
               .position = planned.position,
               .state = sequences_[planned.sequence].states[index].get()};
    if (planned.wish == Wish::hidden || planned.wish == Wish::all) {
      results.hidden.assign(model_.hyper.hidden, kUntouched);
      row.hidden = results.hidden.data();
    }
    if (planned.wish == Wish::logits || planned.wish == Wish::all) {
      results.logits.assign(model_.hyper.vocabulary, kUntouched);
      row.logits = results.logits.data();
    }
    if (planned.wish == Wish::screen || planned.wish == Wish::all) row.screened = &results.screened;
    return row;
  }

  Sequence& sequence_of(size_t index, const SequenceState* state) {
    return *std::ranges::find_if(sequences_, [&](const Sequence& s) { return s.states[index].get() == state; });
  }
  bool is_dropped(size_t index, const SequenceState* state, const std::vector<Planned>& planned) const {
    return std::ranges::any_of(
        planned, [&](const Planned& p) { return p.drops && sequences_[p.sequence].states[index].get() == state; });
  }
  // The states of a pass, and where they will end.
  std::vector<std::pair<SequenceState*, uint32_t>> ends(size_t index, const std::vector<Planned>& planned) const {
    std::vector<std::pair<SequenceState*, uint32_t>> ends;
    for (const Planned& p : planned) {
      SequenceState* const state = sequences_[p.sequence].states[index].get();
      if (ends.empty() || ends.back().first != state) ends.emplace_back(state, 0);
      ends.back().second = p.position + 1;
    }
    return ends;
  }

  void compare(const Planned& planned, size_t i) {
    const Results &a = sides_[0].results[i], &b = sides_[1].results[i];
    std::ostringstream where;
    where << "position " << planned.position << " of sequence " << planned.sequence << ": ";
    if (planned.drops) {
      if (sides_[1].dropped && is_touched(b)) report(where.str() + "a result, though the row had been dropped");
      return;
    }
    expect_same(a.hidden, b.hidden, where.str() + "hidden state");
    expect_same(a.logits, b.logits, where.str() + "logits");
    expect_same(a.screened.values, b.screened.values, where.str() + "screened logits");
    expect_same(a.screened.maxima, b.screened.maxima, where.str() + "their maxima");
  }

  static bool is_touched(const Results& results) {
    const auto touched = [](float v) { return v != kUntouched; };
    return std::ranges::any_of(results.hidden, touched) || std::ranges::any_of(results.logits, touched) ||
           !results.screened.values.empty();
  }

  void fork() {
    Sequence& from = any();
    Sequence& to = any();
    if (&from == &to) return;
    for (size_t i = 0; i < 2; i++) {
      to.states[i] = make_state(sides_[i], from.type);
      to.states[i]->share(*from.states[i], from.length);
    }
    to.type = from.type;
    to.length = from.length;
  }

  void truncate() {
    Sequence& sequence = any();
    sequence.length = below(sequence.length + 1);
    for (const auto& state : sequence.states) state->truncate(sequence.length);
  }

  // Both hold the same; and what one has read the other goes on with.
  void snapshot() {
    Sequence& sequence = any();
    const size_t parts = sequence.states[0]->parts(), bytes = sequence.length * sequence.states[0]->row_bytes();
    if (sequence.states[1]->parts() != parts || bytes != sequence.length * sequence.states[1]->row_bytes()) {
      return report("a snapshot of another shape");
    }
    std::vector<std::vector<std::byte>> rows[2];
    for (size_t side = 0; side < 2; side++) {
      for (size_t part = 0; part < parts; part++) {
        rows[side].emplace_back(bytes);
        sequence.states[side]->read(part, sequence.length, rows[side].back().data());
      }
    }
    if (exact() && rows[0] != rows[1]) report("a snapshot of other bits");
    for (size_t side = 0; side < 2; side++) {
      if (!sequence.states[side]->renew(sequence.length)) report("no room for a snapshot");
      for (size_t part = 0; part < parts; part++) {
        sequence.states[side]->write(part, sequence.length, rows[1 - side][part].data());
      }
    }
  }

  void head_alone() {
    std::vector<float> given(model_.hyper.hidden);
    for (float& x : given) x = static_cast<float>(below(2000)) / 500 - 2;
    Results results[2];
    for (size_t i = 0; i < 2; i++) {
      results[i].logits.assign(model_.hyper.vocabulary, kUntouched);
      sides_[i].rows = {{.given = given.data(), .logits = results[i].logits.data()}};
      if (both_screen()) sides_[i].rows.push_back({.given = given.data(), .screened = &results[i].screened});
      sides_[i].backend->submit(sides_[i].rows);
      while (!sides_[i].backend->wait()) {
      }
    }
    expect_same(results[0].logits, results[1].logits, "logits of the head alone");
    expect_same(results[0].screened.values, results[1].screened.values, "screened logits of the head alone");
  }

  void expect_same(const std::vector<float>& a, const std::vector<float>& b, const std::string& what) {
    if (a.size() != b.size()) return report(what + ": other sizes");
    if (exact()) {
      if (!a.empty() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) != 0) report(what + ": other bits");
      return;
    }
    double difference = 0, size = 0;
    for (size_t i = 0; i < a.size(); i++) {
      difference += (a[i] - b[i]) * (a[i] - b[i]);
      size += a[i] * a[i];
    }
    if (!(std::sqrt(difference) <= check_.tolerance * std::sqrt(size))) report(what + ": too far off");
  }

  void report(const std::string& what) {
    if (difference_.empty()) {
      difference_ = what + ", in step " + std::to_string(step_) + " of seed " + std::to_string(check_.seed);
    }
  }

  const Model& model_;
  Side sides_[2];
  const BackendCheck check_;
  std::mt19937 random_;
  Sequence sequences_[kSequences];
  uint32_t step_ = 0;
  std::string difference_;
};

}  // namespace

testing::AssertionResult check_backend(const Model& model, Backend& reference, Backend& checked,
                                       const BackendCheck& check) {
  try {
    const std::string difference = Checker(model, reference, checked, check).run();
    if (difference.empty()) return testing::AssertionSuccess();
    return testing::AssertionFailure() << difference;
  } catch (const std::exception& error) {
    return testing::AssertionFailure() << "it threw " << error.what() << ", with seed " << check.seed;
  }
}

}  // namespace bitnet
