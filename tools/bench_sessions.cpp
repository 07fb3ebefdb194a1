// SPDX-License-Identifier: MIT
#include "bench_sessions.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/path.h"
#include "base/waiting.h"
#include "table.h"
#include "terminal.h"

namespace bitnet::program {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

double seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

struct Result {
  std::string model, path;
  uint32_t threads, sessions;
  std::vector<double> rates = {};         // tokens a second of all sessions, for each repetition
  std::vector<double> gaps = {};          // seconds from one token of a session to its next, of all repetitions
  double shared = 0;                      // sessions in a pass, on average
  std::vector<double> prompt_rates = {};  // tokens a second of the arriving prompt
  double prompt_alone = 0;

  double rate() const { return median(rates); }
};

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
  void start() { last_ = Clock::now(); }

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
  Clock::time_point last_;
  std::vector<double> gaps_;
};

// Runs each of the functions on a thread. The first exception is thrown again here.
class Threads {
 public:
  template <typename Function>
  void start(const Function& function) {
    threads_.emplace_back([this, function] {
      try {
        function();
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (error_ == nullptr) error_ = std::current_exception();
      }
    });
  }
  void join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    if (error_ != nullptr) std::rethrow_exception(error_);
  }
  ~Threads() {
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::exception_ptr error_;
};

// Lets threads go when all of them have come.
class StartingLine {
 public:
  explicit StartingLine(uint32_t threads) : missing_(threads) {}
  void wait() {
    const uint32_t missing = missing_.fetch_sub(1, std::memory_order_acq_rel) - 1;
    if (missing == 0) return wake_all(missing_);
    for (uint32_t seen = missing; seen != 0; seen = missing_.load(std::memory_order_acquire))
      wait_while(missing_, seen);
  }

 private:
  std::atomic<uint32_t> missing_;
};

class Runner {
 public:
  Runner(const Model& model, const SessionsBench& bench, const SessionsSetting& setting, uint32_t threads)
      : model_(model),
        vocabulary_(model_info(model.get()).vocabulary),
        bench_(bench),
        setting_(setting),
        engine_(make_engine(model.get(), {threads, setting.kv, threads})) {}

  void measure(Result& result) {
    const uint32_t context = setting_.prompt + setting_.generate + 1;
    std::vector<std::unique_ptr<Client>> clients;
    for (uint32_t i = 0; i < result.sessions; ++i) {
      clients.push_back(std::make_unique<Client>(session(context), bench_, i));
    }
    if (bench_.arriving != 0) {
      arriving_ = session(bench_.arriving);
      evaluate_arriving();  // warms up
      result.prompt_alone = bench_.arriving / evaluate_arriving();
    }
    const std::string label = formatted("%u %s", result.sessions, result.sessions == 1 ? "session" : "sessions");
    ProgressBar bar(label, ProgressBar::Unit::tokens);
    uint64_t passes = 0, pass_sessions = 0;
    for (uint32_t i = 0; i <= setting_.repetitions; ++i) {
      begin(clients);
      const double time = run(clients, result);
      bar.update(i + 1, setting_.repetitions + 1);
      if (i == 0) continue;  // warms up: pages, caches, clock rates
      size_t tokens = 0;
      for (const auto& client : clients) {
        tokens += client->gaps().size();
        result.gaps.insert(result.gaps.end(), client->gaps().begin(), client->gaps().end());
        passes += client->perf().passes;
        pass_sessions += client->perf().pass_sessions;
      }
      result.rates.push_back(static_cast<double>(tokens) / time);
    }
    result.shared = static_cast<double>(pass_sessions) / static_cast<double>(passes);
    if (!result.prompt_rates.empty()) result.prompt_rates.erase(result.prompt_rates.begin());
  }

 private:
  Session session(uint32_t context) const { return make_session(model_.get(), engine_.get(), context, setting_.kv); }

  void begin(std::vector<std::unique_ptr<Client>>& clients) {
    Threads threads;
    for (uint32_t i = 0; i < clients.size(); ++i) {
      threads.start([&, i] { clients[i]->begin(some_tokens(std::max(setting_.prompt, 1u), vocabulary_, i + 1)); });
    }
    threads.join();
  }

  // Returns how long it took.
  double run(std::vector<std::unique_ptr<Client>>& clients, Result& result) {
    std::atomic<bool> over{false};
    // Whether a client that has so many tokens wants more.
    const auto wants = [&](const Client& client) {
      return bench_.arriving != 0 ? !over.load() : client.gaps().size() < setting_.generate;
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
    const auto begin = Clock::now();
    if (bench_.arriving != 0) {
      try {
        result.prompt_rates.push_back(bench_.arriving / evaluate_arriving());
      } catch (...) {
        over.store(true);
        throw;
      }
      over.store(true);
    }
    threads.join();
    return seconds(Clock::now() - begin);
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

  const Model& model_;
  const uint32_t vocabulary_;
  const SessionsBench& bench_;
  const SessionsSetting& setting_;
  const Engine engine_;
  Session arriving_;
};

std::string milliseconds(double seconds) { return formatted("%.1f", 1e3 * seconds); }

Cells as_cells(const std::vector<Result>& results, bool arriving) {
  Cells cells = {
      {"model", "threads", "sessions", "tokens/s", "min .. max", "of one", "in a pass", "gap ms", "p95", "p99"}};
  if (arriving) cells.front().insert(cells.front().end(), {"prompt/s", "of alone"});
  const Result* one = nullptr;
  for (const Result& r : results) {
    if (one == nullptr || r.sessions == 1) one = &r;
    const auto [least, most] = std::ranges::minmax(r.rates);
    std::vector<std::string> row = {r.model,
                                    std::to_string(r.threads),
                                    std::to_string(r.sessions),
                                    formatted("%.2f", r.rate()),
                                    formatted("%.2f .. %.2f", least, most),
                                    one->sessions == 1 ? formatted("%.2f x", r.rate() / one->rate()) : "-",
                                    formatted("%.2f", r.shared),
                                    milliseconds(median(r.gaps)),
                                    milliseconds(quantile(r.gaps, 0.95)),
                                    milliseconds(quantile(r.gaps, 0.99))};
    if (arriving) {
      const double rate = median(r.prompt_rates);
      row.insert(row.end(), {formatted("%.2f", rate), formatted("%.0f %%", 100 * rate / r.prompt_alone)});
    }
    cells.push_back(std::move(row));
  }
  return cells;
}

std::string as_json(const std::vector<Result>& results, const SessionsBench& bench) {
  Json list = Json::array();
  for (const Result& r : results) {
    Json entry = {{"model", r.model},
                  {"path", r.path},
                  {"threads", r.threads},
                  {"sessions", r.sessions},
                  {"top_k", bench.top_k},
                  {"pause_us", bench.pause},
                  {"tokens_per_second", {{"median", r.rate()}, {"all", r.rates}}},
                  {"sessions_in_a_pass", r.shared},
                  {"gap_seconds",
                   {{"median", median(r.gaps)}, {"p95", quantile(r.gaps, 0.95)}, {"p99", quantile(r.gaps, 0.99)}}}};
    if (bench.arriving != 0) {
      Json arriving = {{"tokens", bench.arriving},
                       {"tokens_per_second", {{"median", median(r.prompt_rates)}, {"all", r.prompt_rates}}},
                       {"alone", r.prompt_alone}};
      entry["arriving"] = std::move(arriving);
    }
    list.push_back(std::move(entry));
  }
  const Json json = {{"version", bitnet_version_string()}, {"cpu", bitnet_cpu_features()}, {"results", list}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string as_csv(const std::vector<Result>& results) {
  std::string text =
      "version,path,threads,sessions,tokens_per_second,in_a_pass,gap_median,gap_p95,gap_p99,prompt,alone\n";
  for (const Result& r : results) {
    text +=
        formatted("%s,%s,%u,%u,%.4f,%.4f,%.6f,%.6f,%.6f,%.4f,%.4f\n", bitnet_version_string(), quoted(r.path).c_str(),
                  r.threads, r.sessions, r.rate(), r.shared, median(r.gaps), quantile(r.gaps, 0.95),
                  quantile(r.gaps, 0.99), r.prompt_rates.empty() ? 0 : median(r.prompt_rates), r.prompt_alone);
  }
  return text;
}

}  // namespace

std::vector<bitnet_token> some_tokens(uint32_t count, uint32_t vocabulary, uint32_t seed) {
  std::vector<bitnet_token> tokens(count);
  uint32_t state = seed;
  for (bitnet_token& token : tokens) {
    state = state * 1664525 + 1013904223;
    token = static_cast<bitnet_token>((state >> 8) % vocabulary);
  }
  return tokens;
}

void bench_sessions(const SessionsBench& bench, SessionsSetting setting) {
  if (setting.generate == 0) throw Stop(kUsage, "nothing to measure: -n is 0");
  std::vector<Result> results;
  for (const std::string& named : setting.models) {
    setting.model.path = named;
    const Model model = open_model(setting.model);
    const std::string path = model_path(setting.model), name = model_info(model.get()).name;
    for (const uint32_t threads : setting.threads) {
      Runner runner(model, bench, setting, threads);
      for (const uint32_t sessions : bench.sessions) {
        Result result{.model = without_controls(name.empty() ? last_part(path) : name),
                      .path = path,
                      .threads = threads,
                      .sessions = sessions};
        runner.measure(result);
        results.push_back(std::move(result));
      }
    }
  }
  write_out(setting.output == "json"  ? as_json(results, bench)
            : setting.output == "csv" ? as_csv(results)
                                      : aligned(as_cells(results, bench.arriving != 0), setting.output == "md", 1));
}

}  // namespace bitnet::program
