// SPDX-License-Identifier: MIT
// Makes sessions, uses them in every way, and frees them, for as long and as many as is asked: soak SECONDS SESSIONS.
// Whatever is kept by mistake shows as growth: of the process's memory, from its second fifth to its last.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <thread>
#include <vector>

#include "test_model.h"

namespace bitnet_test {
namespace {

constexpr uint32_t kThreads = 4;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kGrowth = 4 * kMiB;  // what allocators come to for other reasons
#ifdef BITNET_SANITIZED
constexpr bool kLooks = false;  // a sanitizer keeps what is freed
#else
constexpr bool kLooks = true;
#endif

uint64_t resident_bytes() {
  uint64_t size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// What one thread does with sessions of its own, one after the other.
class User {
 public:
  User(const Model& model, const Engine& engine, uint32_t seed) : model_(model), engine_(engine), random_(seed) {}

  void live() {
    bitnet_session_options options = {.size = sizeof options,
                                      .context = 64 + below(300),
                                      .engine = engine_.get(),
                                      .priority = static_cast<bitnet_priority>(below(2)),
                                      .prefix_scope = below(4)};
    const Session session = make_session(model_, options);
    // Some begin alike, so that prefixes are found.
    evaluate(session, random_tokens(1 + below(options.context / 2), below(20)));
    switch (below(5)) {
      case 0:
        return fork(session);
      case 1:
        return save(session);
      case 2:
        return generate(session, true);
      case 3:
        return chat(session);
      default:
        return generate(session, false);
    }
  }

 private:
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }

  // Whether it went as it may: well, or without room.
  void expect(bitnet_status status) {
    if (status >= 0 || status == BITNET_ERROR_MEMORY || status == BITNET_ERROR_CANCELLED) return;
    std::fprintf(stderr, "%s: %s\n", bitnet_status_message(status), bitnet_last_error());
    std::exit(1);
  }

  void evaluate(const Session& session, const Tokens& tokens) {
    if (below(10) == 0) bitnet_session_cancel(session.get(), 1);
    expect(bitnet_eval(session.get(), tokens.data(), tokens.size(), static_cast<bitnet_logits_of>(below(3))));
    bitnet_session_cancel(session.get(), 0);
  }

  void fork(const Session& session) {
    bitnet_session* raw = nullptr;
    expect(bitnet_session_fork(session.get(), &raw));
    const Session fork(raw);
    if (fork != nullptr) evaluate(fork, random_tokens(1 + below(20), below(1000)));
    evaluate(session, random_tokens(1, below(1000)));
  }

  void save(const Session& session) {
    std::vector<char> state(2 << 20);
    size_t length = 0;
    expect(bitnet_session_save_memory(session.get(), state.data(), state.size(), &length));
    expect(bitnet_session_rewind(session.get(), 0));
    expect(bitnet_session_load_memory(session.get(), state.data(), length));
  }

  // Mostly to its end; some are left before.
  void generate(const Session& session, bool submits) {
    const bitnet_generate_options options = {.size = sizeof options, .max_tokens = 1 + below(20)};
    const Tokens prompt = random_tokens(3, below(1000));
    bitnet_generation* raw = nullptr;
    expect(bitnet_generation_start_tokens(session.get(), prompt.data(), prompt.size(), &options, &raw));
    const Generation generation(raw);
    const Queue queue = submits ? make_queue() : nullptr;
    bitnet_status status = BITNET_OK;
    for (uint32_t i = below(30); i > 0 && status == BITNET_OK; i--) {
      void* user = nullptr;
      if (submits) {
        status = bitnet_generation_submit(raw, queue.get(), raw);
        if (status == BITNET_OK) expect(bitnet_queue_next(queue.get(), UINT32_MAX, &user));
      }
      bitnet_piece piece = {.size = sizeof piece};
      if (status == BITNET_OK) status = bitnet_generation_next(raw, &piece);
    }
    if (status != BITNET_ERROR_CONTEXT) expect(status);
  }

  void chat(const Session& session) {
    const bitnet_chat_options options = {.size = sizeof options, .flags = BITNET_CHAT_PLAIN};
    bitnet_chat* raw = nullptr;
    expect(bitnet_chat_create(session.get(), &options, &raw));
    const Chat chat(raw);
    const bitnet_generate_options few = {.size = sizeof few, .max_tokens = 4};
    for (int i = 0; i < 2; i++) {
      const bitnet_status status = bitnet_chat_send(raw, "a few words", 11, &few, nullptr, nullptr);
      if (status != BITNET_ERROR_CONTEXT) expect(status);
    }
  }

  const Model& model_;
  const Engine& engine_;
  std::mt19937 random_;
};

int soak(std::chrono::seconds time, uint64_t sessions) {
  const Model model = open(model_path(BITNET_PACKING_I2, BITNET_HEAD_SCREENED));
  const Engine engine = make_engine(
      model,
      {.threads = 2, .batch = 64, .prefix_bytes = 4 * kMiB, .kv_bytes = 6 * kMiB, .overcommit = 1, .queue_ms = 5});
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  std::atomic<uint64_t> made{0};
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < kThreads; i++) {
    threads.emplace_back([&, i] {
      User user(model, engine, i);
      for (; Clock::now() - start < time || made.load() < sessions; ++made) user.live();
    });
  }
  std::vector<uint64_t> seen;
  std::atomic<bool> over{false};
  std::thread watcher([&] {
    for (; !over.load(); std::this_thread::sleep_for(std::chrono::milliseconds(50))) seen.push_back(resident_bytes());
  });
  for (std::thread& thread : threads) thread.join();
  over.store(true);
  watcher.join();

  const auto most = [&](size_t from, size_t to) {
    return *std::max_element(seen.begin() + static_cast<ptrdiff_t>(from), seen.begin() + static_cast<ptrdiff_t>(to));
  };
  const size_t fifth = std::max<size_t>(seen.size() / 5, 1);
  const uint64_t early = most(std::min(fifth, seen.size() - 1), std::min(2 * fifth, seen.size() - 1) + 1);
  const uint64_t late = most(seen.size() - fifth, seen.size());
  const auto seconds = std::chrono::duration<double>(Clock::now() - start).count();
  std::printf("%llu sessions in %.0f s; at most %.1f MiB in the second fifth of the time, %.1f MiB in the last\n",
              static_cast<unsigned long long>(made.load()), seconds, static_cast<double>(early) / kMiB,
              static_cast<double>(late) / kMiB);
  return kLooks && late > early + kGrowth ? 1 : 0;
}

}  // namespace
}  // namespace bitnet_test

int main(int count, char** arguments) {
  if (count != 3) {
    std::fprintf(stderr, "soak SECONDS SESSIONS\n");
    return 2;
  }
  return bitnet_test::soak(std::chrono::seconds(std::atoi(arguments[1])), std::strtoull(arguments[2], nullptr, 10));
}
