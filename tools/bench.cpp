// SPDX-License-Identifier: MIT
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/cores.h"
#include "base/path.h"
#include "bench_sessions.h"
#include "commands.h"
#include "options.h"
#include "table.h"
#include "terminal.h"
#include "token_weights.h"
#include "weights_memory.h"

namespace bitnet::program {

namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::vector<std::string> models;
  ModelOptions model;
  bitnet_kv kv = BITNET_KV_DEFAULT;
  std::vector<uint32_t> prompt = {512}, generate = {128}, depth = {0}, threads;
  uint32_t repetitions = 5;
  bool logits = false, limits = false;
  SessionsBench sessions;
  std::string output = "table";
};

struct Test {
  bool prompt;  // evaluated at once; otherwise one by one
  uint32_t tokens;
  uint32_t depth;  // tokens in the context before them
  uint32_t threads;

  std::string name() const {
    return (prompt ? "pp" : "tg") + std::to_string(tokens) + (depth ? "@" + std::to_string(depth) : "");
  }
};

// What one repetition found.
struct Measurement {
  double rate;     // tokens per second
  double reading;  // bytes per second at which the same weights were only read, right after; 0: not measured
};

struct Result {
  std::string path;
  bitnet_model_info info;
  std::string model, isa, packing, head, kv;  // copied: the info's text lives only as long as its model
  std::optional<WeightsMemory> memory;
  Test test;
  uint64_t token_bytes;  // of weights that a token of generation reads
  std::vector<Measurement> measurements;

  template <typename Value>
  double median_of(const Value& value) const {
    std::vector<double> values;
    for (const Measurement& m : measurements) values.push_back(value(m));
    return median(std::move(values));
  }
  double rate() const {
    return median_of([](const Measurement& m) { return m.rate; });
  }
  double reading() const {
    return median_of([](const Measurement& m) { return m.reading; });
  }
  // Of the reading rate right after, so that a machine whose memory has other users drifts little in between.
  double share() const {
    return median_of([&](const Measurement& m) { return m.rate * static_cast<double>(token_bytes) / m.reading; });
  }
  double bytes_per_second() const { return rate() * static_cast<double>(token_bytes); }
  std::vector<double> sorted_rates() const {
    std::vector<double> rates;
    for (const Measurement& m : measurements) rates.push_back(m.rate);
    std::sort(rates.begin(), rates.end());
    return rates;
  }
};

// Measures with one number of threads. What the context held for one test serves the next, if that is as deep or
// deeper.
class Runner {
 public:
  Runner(bitnet_model* model, const bitnet_model_info& info, uint32_t context, const SessionOptions& options,
         bool logits)
      : session_(make_session(model, context, options)),
        tokens_(some_tokens(context, info.vocabulary, 1)),
        logits_(logits),
        has_head_(info.head != std::string_view("none")) {
    bitnet_sampler* sampler;
    check(bitnet_sampler_create(nullptr, &sampler));
    greedy_.reset(sampler);
  }

  // With `weights`, what reads them takes turns with generation.
  std::vector<Measurement> measure(const Test& test, uint32_t repetitions, const TokenWeights* weights) {
    const std::string label =
        formatted("%s, %u %s", test.name().c_str(), test.threads, test.threads == 1 ? "thread" : "threads");
    fill(test.depth, label);
    ProgressBar bar(label, ProgressBar::Unit::tokens);
    const uint64_t total = uint64_t{repetitions + 1} * test.tokens;
    std::vector<Measurement> measurements;
    for (uint32_t i = 0; i <= repetitions; ++i) {
      const double rate =
          tokens_per_second(test, [&](uint32_t done) { bar.update(uint64_t{i} * test.tokens + done, total); });
      const double reading = weights != nullptr && !test.prompt ? read(*weights, test.threads) : 0;
      if (i > 0) measurements.push_back({rate, reading});  // the first warms up: pages, caches, clock rates
    }
    return measurements;
  }

 private:
  static double read(const TokenWeights& weights, unsigned threads) {
    std::vector<double> rates(5);
    for (double& rate : rates) rate = weights.read(threads);
    return median(std::move(rates));
  }

  void fill(uint32_t depth, const std::string& label) {
    constexpr uint32_t kAtOnce = 256;
    ProgressBar bar(label + ": context", ProgressBar::Unit::tokens);
    uint32_t position = std::min(bitnet_session_position(session_.get()), depth);
    check(bitnet_session_rewind(session_.get(), position));
    while (position < depth) {
      const uint32_t count = std::min(kAtOnce, depth - position);
      check(bitnet_eval(session_.get(), tokens_.data() + position, count, BITNET_LOGITS_NONE));
      position += count;
      bar.update(position, depth);
    }
  }

  template <typename Progress>
  double tokens_per_second(const Test& test, const Progress& progress) {
    check(bitnet_session_rewind(session_.get(), test.depth));
    const bitnet_token* tokens = tokens_.data() + test.depth;
    const Stopwatch time;
    if (test.prompt) {
      check(bitnet_eval(session_.get(), tokens, test.tokens, has_head_ ? BITNET_LOGITS_LAST : BITNET_LOGITS_NONE));
      if (has_head_) next_after(tokens[test.tokens - 1]);
      progress(test.tokens);
    } else {
      bitnet_token token = tokens[0];
      for (uint32_t i = 0; i < test.tokens; ++i) {
        check(bitnet_eval(session_.get(), &token, 1, BITNET_LOGITS_LAST));
        token = next_after(tokens[i]);
        progress(i + 1);
      }
    }
    return test.tokens / time.seconds();
  }

  // What the user of a model does between two tokens.
  bitnet_token next_after(bitnet_token token) {
    if (logits_) {
      const float* logits;
      check(bitnet_session_logits(session_.get(), 0, &logits));
    } else {
      check(bitnet_sample(greedy_.get(), session_.get(), &token));
    }
    return token;
  }

  Session session_;
  Sampler greedy_;
  std::vector<bitnet_token> tokens_;
  bool logits_;
  bool has_head_;  // without one, prompts alone can be measured
};

constexpr size_t kFirstNumber = 8;  // of the columns

Cells as_cells(const std::vector<Result>& results) {
  Cells cells = {{"model", "size", "params", "packing", "head", "kv", "memory", "isa", "threads", "test", "tokens/s",
                  "min .. max", "GB/s", "of reading"}};
  for (const Result& result : results) {
    const std::vector<double> rates = result.sorted_rates();
    cells.push_back(
        {result.model, bytes_text(result.info.file_bytes),
         formatted("%.2f %s",
                   static_cast<double>(result.info.parameters) / (result.info.parameters < 1000000000 ? 1e6 : 1e9),
                   result.info.parameters < 1000000000 ? "M" : "B"),
         result.packing, result.head, result.kv, result.memory ? result.memory->text() : "-", result.isa,
         std::to_string(result.test.threads), result.test.name(), formatted("%.2f", result.rate()),
         formatted("%.2f .. %.2f", rates.front(), rates.back()),
         result.test.prompt ? "-" : formatted("%.1f", result.bytes_per_second() / 1e9),
         result.reading() > 0 ? formatted("%.0f %% of %.1f", 100 * result.share(), result.reading() / 1e9) : "-"});
  }
  return cells;
}

std::string memory_csv(const std::optional<WeightsMemory>& memory) {
  if (!memory) return ",,";
  return std::to_string(memory->mapped) + "," + std::to_string(memory->page_bytes) + "," +
         std::to_string(memory->huge_bytes);
}

std::string reading_csv(const Result& result) {
  if (result.test.prompt) return ",,";
  const auto bytes = std::to_string(result.token_bytes);
  return result.reading() > 0 ? bytes + formatted(",%.0f,%.4f", result.reading(), result.share()) : bytes + ",,";
}

std::string as_csv(const std::vector<Result>& results) {
  std::string text =
      "version,model,path,file_bytes,parameters,packing,head,kv,mapped,page_bytes,huge_bytes,isa,threads,test,tokens,"
      "depth,repetitions,median,min,max,token_bytes,reading,share\n";
  for (const Result& result : results) {
    const std::vector<double> rates = result.sorted_rates();
    text += std::string(bitnet_version_string()) + "," + quoted(result.model) + "," + quoted(result.path) +
            formatted(",%llu,%llu,%s,%s,%s,%s,%s,%u,%s,%u,%u,%zu,%.4f,%.4f,%.4f,%s\n",
                      static_cast<unsigned long long>(result.info.file_bytes),
                      static_cast<unsigned long long>(result.info.parameters), result.packing.c_str(),
                      result.head.c_str(), result.kv.c_str(), memory_csv(result.memory).c_str(), result.isa.c_str(),
                      result.test.threads, result.test.name().c_str(), result.test.tokens, result.test.depth,
                      rates.size(), result.rate(), rates.front(), rates.back(), reading_csv(result).c_str());
  }
  return text;
}

Json memory_json(const std::optional<WeightsMemory>& memory) {
  if (!memory) return nullptr;
  return {{"mapped", memory->mapped}, {"page_bytes", memory->page_bytes}, {"huge_bytes", memory->huge_bytes}};
}

Json reading_json(const Result& result) {
  if (result.reading() == 0) return nullptr;
  return {{"bytes_per_second", result.reading()}, {"share", result.share()}};
}

std::string as_json(const std::vector<Result>& results) {
  Json list = Json::array();
  for (const Result& result : results) {
    const std::vector<double> rates = result.sorted_rates();
    list.push_back({{"model", result.model},
                    {"path", result.path},
                    {"file_bytes", result.info.file_bytes},
                    {"parameters", result.info.parameters},
                    {"packing", result.packing},
                    {"head", result.head},
                    {"kv", result.kv},
                    {"memory", memory_json(result.memory)},
                    {"isa", result.isa},
                    {"threads", result.test.threads},
                    {"test", result.test.name()},
                    {"tokens", result.test.tokens},
                    {"depth", result.test.depth},
                    {"tokens_per_second",
                     {{"median", result.rate()}, {"min", rates.front()}, {"max", rates.back()}, {"all", rates}}},
                    {"token_bytes", result.test.prompt ? Json(nullptr) : Json(result.token_bytes)},
                    {"reading", reading_json(result)}});
  }
  const Json json = {{"version", bitnet_version_string()}, {"cpu", bitnet_cpu_features()}, {"results", list}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

void bench_model(const Options& options, const std::vector<Test>& tests, std::vector<Result>& results) {
  const Model model = open_model(options.model);
  const bitnet_model_info info = model_info(model.get());
  const std::string path = model_path(options.model);
  const std::string name = *info.name ? info.name : last_part(path);
  uint32_t context = 0;
  for (const Test& test : tests) context = std::max(context, test.depth + test.tokens);
  const TokenWeights weights(*model, options.logits);
  std::unique_ptr<Runner> runner;
  uint32_t threads = 0;
  for (const Test& test : tests) {
    if (!runner || test.threads != threads) {
      runner = nullptr;  // before the next takes its memory
      threads = test.threads;
      runner = std::make_unique<Runner>(model.get(), info, context, SessionOptions{threads, options.kv, threads},
                                        options.logits);
    }
    auto measurements = runner->measure(test, options.repetitions, options.limits ? &weights : nullptr);
    results.push_back({path, info, without_controls(name), info.isa, info.packing, info.head, kv_name(options.kv),
                       weights_memory(path, info.resident_bytes), test, weights.bytes(), std::move(measurements)});
  }
}

std::vector<Test> tests_of(const Options& options) {
  std::vector<uint32_t> depths = options.depth;
  std::sort(depths.begin(), depths.end());
  std::vector<Test> tests;
  for (const uint32_t threads : options.threads) {
    for (const uint32_t depth : depths) {
      for (const uint32_t tokens : options.prompt) tests.push_back({true, tokens, depth, threads});
      for (const uint32_t tokens : options.generate) tests.push_back({false, tokens, depth, threads});
    }
  }
  std::erase_if(tests, [](const Test& test) { return test.tokens == 0; });
  return tests;
}

void bench(Options options) {
  if (options.threads.empty()) options.threads = {0};
  std::ranges::replace(options.threads, 0u, usable_cores());
  if (options.models.empty()) options.models = {""};
  if (!options.sessions.sessions.empty()) {
    return bench_sessions(options.sessions, {.model = options.model,
                                             .models = options.models,
                                             .threads = options.threads,
                                             .kv = options.kv,
                                             .prompt = options.prompt.front(),
                                             .generate = options.generate.front(),
                                             .repetitions = options.repetitions,
                                             .output = options.output});
  }
  const std::vector<Test> tests = tests_of(options);
  if (tests.empty()) throw Stop(kUsage, "nothing to measure: both -p and -n are 0");

  std::vector<Result> results;
  for (const std::string& path : options.models) {
    options.model.path = path;
    bench_model(options, tests, results);
  }
  write_out(options.output == "json"  ? as_json(results)
            : options.output == "csv" ? as_csv(results)
                                      : aligned(as_cells(results), options.output == "md", kFirstNumber));
}

}  // namespace

void add_bench(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* command = program.add_subcommand("bench", "Measure speed: prompts (pp) and generation (tg)");
  add_model_options(*command, options->model, true);
  command->remove_option(command->get_option("--model"));
  command->add_option("-m,--model", options->models, "Model file; several with commas, or -m again")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(not_empty())
      ->option_text("FILE");
  const auto add_list = [&](const char* name, std::vector<uint32_t>& list, const char* description) {
    add_numbers(*command, name, list, description, 1 << 24);
  };
  add_list("-p,--n-prompt", options->prompt, "Tokens evaluated together; 0: leave that out (512)");
  add_list("-n,--n-gen,--n-token", options->generate, "Tokens evaluated one by one; 0: leave that out (128)");
  add_list("-d,--depth", options->depth, "Tokens that the context holds before them (0)");
  add_kv_option(*command, options->kv);
  add_list("-t,--threads", options->threads, "Threads that compute (one per core)");
  add_number<uint32_t>(*command, "-r,--repetitions", options->repetitions,
                       "Times each is measured, after warming up (5)", 1, 10000);
  command->add_flag("--logits", options->logits, "Generation: ask for all logits instead of the likeliest token");
  command->add_flag("--limits", options->limits, "Generation: also read the same weights and do nothing else, in turn");
  add_list("--sessions", options->sessions.sessions, "Sessions that generate at once");
  add_choice(*command, "--calls", options->sessions.calls, "With --sessions: how tokens are asked for (eval)",
             {{"eval", SessionCalls::eval}, {"next", SessionCalls::next}, {"queue", SessionCalls::queue}});
  add_number<uint32_t>(*command, "--top-k", options->sessions.top_k,
                       "With --sessions: draw from so many of the likeliest tokens (0: take the likeliest)");
  add_number<uint32_t>(*command, "--pause", options->sessions.pause,
                       "With --sessions: microseconds of other work between two tokens (0)", 0, 1000000);
  add_number<uint32_t>(*command, "--arriving", options->sessions.arriving,
                       "With --sessions: tokens of a prompt that one more session evaluates meanwhile (0: none)", 0,
                       1 << 24);
  command->add_option("-o,--output", options->output, "Form of the results (table)")
      ->check(CLI::IsMember({"table", "json", "csv", "md"}))
      ->option_text("table|json|csv|md");
  command->footer(
      "pp512 evaluates 512 tokens together; tg128 generates 128, each by evaluating one and taking the likeliest "
      "next;\n"
      "pp512@4096 does so after 4096 others. Each figure is the median of the repetitions, in tokens per second, with "
      "the\n"
      "slowest and the fastest. `memory` says how the weights lay in it: mapped from the file, or copied, and in pages "
      "of\n"
      "which size. `GB/s` counts the weights that a token of generation reads; with --limits, `of reading` is its "
      "share "
      "of\n"
      "the rate at which as many threads read them and do nothing else.\n\n"
      "With --sessions, `tokens/s` is what all sessions get together, `in a pass` how many of them shared one, and "
      "`gap\n"
      "ms` the time from a session's token to its next: median, 95th and 99th percentile.\n\n"
      "Examples:\n"
      "  bitnet bench -m model.bitnet -t 1,2,4\n"
      "  bitnet bench -m model.bitnet -p 16,512 -n 64 --depth 0,4096\n"
      "  bitnet bench -m model.bitnet -p 0 -n 32 -t 1,2 --limits\n"
      "  bitnet bench -m i2.bitnet,t5.bitnet -p 0 -n 64 -o md\n"
      "  bitnet bench -m model.bitnet -p 16 -n 64 --sessions 1,2,4,8,16");
  command->callback([options] { bench(*options); });
}

}  // namespace bitnet::program
