// SPDX-License-Identifier: MIT
#include "bench/sessions.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <span>

#include "bench/runner.h"
#include "bench/together.h"
#include "terminal.h"

namespace bitnet::program {
namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

// One session that generates.
class Client {
 public:
  Client(Session session, const SessionsBench& bench, uint32_t seed)
      : session_(std::move(session)), calls_(bench.calls), pause_(std::chrono::microseconds(bench.pause)) {
    sampling_.size = sizeof sampling_;
    sampling_.seed = seed;
    sampling_.top_k = bench.top_k;
    sampling_.temperature = bench.top_k != 0 ? 1 : 0;
    bitnet_sampler* sampler = nullptr;
    check(bitnet_sampler_create(&sampling_, &sampler));
    sampler_.reset(sampler);
  }

  void begin(std::span<const bitnet_token> prompt) {
    generation_.reset();
    check(bitnet_session_rewind(session_.get(), 0));
    check(bitnet_eval(session_.get(), prompt.data(), prompt.size(), BITNET_LOGITS_LAST));
    check(bitnet_sample(sampler_.get(), session_.get(), &token_));
    bitnet_session_reset_perf(session_.get());
    gaps_.clear();
    if (calls_ != SessionCalls::eval) start_generation();
  }

  // The time of the first token counts from here.
  void start() { started_ = last_ = Clock::now(); }
  Clock::time_point started() const { return started_; }
  Clock::time_point ended() const { return last_; }

  void submit(bitnet_queue* queue) { check(bitnet_generation_submit(generation_.get(), queue, this)); }

  // Gets one more token, and does other work.
  void step() {
    if (calls_ == SessionCalls::eval) {
      evaluate();
    } else {
      pull();
    }
    const auto now = Clock::now();
    gaps_.push_back(seconds(now - last_));
    last_ = now;
    while (Clock::now() - now < pause_) {
    }
  }

  const std::vector<double>& gaps() const { return gaps_; }
  bitnet_perf perf() const {
    bitnet_perf perf = {};
    perf.size = sizeof perf;
    check(bitnet_session_get_perf(session_.get(), &perf));
    return perf;
  }

 private:
  void evaluate() {
    if (bitnet_session_position(session_.get()) == bitnet_session_context(session_.get())) {
      check(bitnet_session_rewind(session_.get(), 1));
    }
    check(bitnet_eval(session_.get(), &token_, 1, BITNET_LOGITS_LAST));
    check(bitnet_sample(sampler_.get(), session_.get(), &token_));
  }

  void pull() {
    bitnet_piece piece = {};
    piece.size = sizeof piece;
    for (;;) {
      const bitnet_status status = bitnet_generation_next(generation_.get(), &piece);
      check(status);
      if (status == BITNET_OK) break;
      generation_.reset();  // the session is full
      check(bitnet_session_rewind(session_.get(), 1));
      start_generation();
    }
    token_ = piece.token;
  }

  void start_generation() {
    bitnet_generate_options options = {};
    options.size = sizeof options;
    options.flags = BITNET_GENERATE_IGNORE_END;
    options.sampler = &sampling_;
    bitnet_generation* generation = nullptr;
    check(bitnet_generation_start_tokens(session_.get(), &token_, 1, &options, &generation));
    generation_.reset(generation);
  }

  Session session_;
  Generation generation_;
  const SessionCalls calls_;
  bitnet_sampler_options sampling_ = {};
  Sampler sampler_;
  bitnet_token token_ = 0;
  const std::chrono::microseconds pause_;
  Clock::time_point started_;
  Clock::time_point last_;
  std::vector<double> gaps_;
};

class SessionsRunner {
 public:
  SessionsRunner(bitnet_model* model, const SessionsBench& bench, bitnet_kv kv, const Test& test)
      : model_(model),
        vocabulary_(model_info(model).vocabulary),
        bench_(bench),
        kv_(kv),
        test_(test),
        engine_(make_engine(model, {test.threads, kv, test.threads})) {}

  void measure(Run& run, uint32_t repetitions) {
    reset_peak();
    const uint32_t context = test_.context() + 1;
    std::vector<std::unique_ptr<Client>> clients;
    for (uint32_t i = 0; i < test_.batch; ++i) {
      clients.push_back(std::make_unique<Client>(session(context), bench_, i));
    }
    if (bench_.arriving != 0) {
      arriving_ = session(bench_.arriving);
      evaluate_arriving();  // warms up
      run.facts.emplace_back("arriving_tokens", bench_.arriving);
      run.facts.emplace_back("arriving_alone_tokens_per_second", bench_.arriving / evaluate_arriving());
    }
    const std::string label = formatted("%u %s", test_.batch, test_.batch == 1 ? "session" : "sessions");
    ProgressBar bar(label, ProgressBar::Unit::tokens);
    uint64_t passes = 0, pass_sessions = 0;
    Run warm{.subject = run.subject, .test = test_};
    for (uint32_t i = 0; i <= repetitions; ++i) {
      begin(clients);
      Run& into = i == 0 ? warm : run;  // pages, caches, clock rates
      const double time = this->run(clients, into);
      bar.update(i + 1, repetitions + 1);
      if (i == 0) continue;
      size_t tokens = 0;
      for (const auto& client : clients) {
        tokens += client->gaps().size();
        for (const double gap : client->gaps()) run.add("gap_seconds", gap);
        passes += client->perf().passes;
        pass_sessions += client->perf().pass_sessions;
      }
      run.add("tokens_per_second", static_cast<double>(tokens) / time);
    }
    run.facts.emplace_back("sessions_in_a_pass", static_cast<double>(pass_sessions) / static_cast<double>(passes));
    run.memory = process_memory();
  }

 private:
  Session session(uint32_t context) const { return make_session(model_, engine_.get(), context, kv_); }

  void begin(std::vector<std::unique_ptr<Client>>& clients) {
    Threads threads;
    for (uint32_t i = 0; i < clients.size(); ++i) {
      threads.start([&, i] { clients[i]->begin(some_tokens(std::max(test_.prompt, 1u), vocabulary_, i + 1)); });
    }
    threads.join();
  }

  // Returns how long it took from the first client's start to the last one's token. The clients' own clocks tell: this
  // thread may come to run when they are done.
  double run(std::vector<std::unique_ptr<Client>>& clients, Run& result) {
    std::atomic<bool> over{false};
    // Whether a client that has so many tokens wants more.
    const auto wants = [&](const Client& client) {
      return bench_.arriving != 0 ? !over.load() : client.gaps().size() < test_.generate;
    };
    const bool queue = bench_.calls == SessionCalls::queue;
    StartingLine start(static_cast<uint32_t>(queue ? 1 : clients.size()) + 1);
    Threads threads;
    if (queue) {
      threads.start([&] {
        start.wait();
        drive(clients, wants);
      });
    } else {
      for (const auto& client : clients) {
        threads.start([&] {
          start.wait();
          for (client->start(); wants(*client);) client->step();
        });
      }
    }
    start.wait();
    if (bench_.arriving != 0) {
      try {
        result.add("arriving_tokens_per_second", bench_.arriving / evaluate_arriving());
      } catch (...) {
        over.store(true);
        throw;
      }
      over.store(true);
    }
    threads.join();
    auto begin = clients.front()->started(), end = clients.front()->ended();
    for (const auto& client : clients) {
      begin = std::min(begin, client->started());
      end = std::max(end, client->ended());
    }
    return seconds(end - begin);
  }

  // Of all clients, by one thread.
  template <typename Wants>
  static void drive(const std::vector<std::unique_ptr<Client>>& clients, const Wants& wants) {
    bitnet_queue* made = nullptr;
    check(bitnet_queue_create(&made));
    const Queue queue(made);
    size_t open = 0;
    for (const auto& client : clients) {
      client->start();
      client->submit(queue.get());
      open++;
    }
    while (open != 0) {
      void* user = nullptr;
      check(bitnet_queue_next(queue.get(), UINT32_MAX, &user));
      auto& client = *static_cast<Client*>(user);
      client.step();
      if (wants(client)) {
        client.submit(queue.get());
      } else {
        open--;
      }
    }
  }

  // Returns how long it took.
  double evaluate_arriving() {
    const auto tokens = some_tokens(bench_.arriving, vocabulary_, 1000);
    check(bitnet_session_rewind(arriving_.get(), 0));
    const auto begin = Clock::now();
    check(bitnet_eval(arriving_.get(), tokens.data(), tokens.size(), BITNET_LOGITS_LAST));
    return seconds(Clock::now() - begin);
  }

  bitnet_model* const model_;
  const uint32_t vocabulary_;
  const SessionsBench& bench_;
  const bitnet_kv kv_;
  const Test& test_;
  const Engine engine_;
  Session arriving_;
};

}  // namespace

void measure_sessions(bitnet_model* model, const SessionsBench& bench, bitnet_kv kv, uint32_t repetitions, Run& run) {
  SessionsRunner(model, bench, kv, run.test).measure(run, repetitions);
}

}  // namespace bitnet::program
