// SPDX-License-Identifier: MIT
#include "bench/parts.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "child.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kLeastRounds = 20;    // that an interval may rest on
constexpr double kNarrow = 0.01;       // half of an interval that needs no more rounds
constexpr double kStartSeconds = 0.3;  // that one start of another program measures: to start takes time, too
constexpr uint32_t kLeastRepetitions = 3, kMostRepetitions = 40;  // of one start

// In this process.
class LocalPart final : public Part {
 public:
  LocalPart(const PartOptions& options, const PartsSetting& setting, const Machine& machine)
      : opened_(open_subject(options.model, options.kv, setting.logits, machine)) {
    require_tests_fit(model_info(opened_.model.get()), opened_.subject->path, setting.tests);
    uint32_t context = 0;
    for (const Test& test : setting.tests) context = std::max(context, test.context());
    const uint32_t threads = options.threads != 0 ? options.threads : setting.tests.front().threads;
    runner_ = std::make_unique<Runner>(
        opened_.model.get(), context, 1,
        RunnerOptions{.threads = threads, .kv = options.kv, .logits = setting.logits, .energy = setting.energy});
  }
  double warm(const Test& test) override {
    runner_->warm(test);
    return 0;
  }
  void sample(Run& run, uint32_t) override {
    run.subject = opened_.subject;
    runner_->sample(run);
  }
  uint64_t weight_bytes() const override { return model_info(opened_.model.get()).resident_bytes; }

 private:
  const OpenedSubject opened_;
  std::unique_ptr<Runner> runner_;
};

Json json_of(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + word;
  const ChildResult done = run_child(words, ChildErrors::dropped);
  if (interrupted()) throw Stop(kInterrupted, "");  // as the other program was
  if (done.status < 0) throw Stop(kFailure, "cannot start " + words.front());
  if (done.status != 0) throw Stop(kFailure, formatted("`%s` failed with status %d", line.c_str(), done.status));
  // Some forks of llama.cpp write warnings before their JSON.
  const size_t begin = std::min(done.output.find("{\n"), done.output.find("[\n"));
  Json json = Json::parse(begin == done.output.npos ? "" : done.output.substr(begin), nullptr, false);
  if (json.is_discarded()) throw Stop(kFailure, "`" + line + "` wrote no JSON");
  return json;
}

std::vector<std::string> split_words(const std::string& text) { return CLI::detail::split_up(text); }

void add_words(std::vector<std::string>& words, std::vector<std::string> more) {
  words.insert(words.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

// Another program: each round starts it anew, so that what a start decides by chance counts as chance.
class ChildPart : public Part {
 public:
  explicit ChildPart(const PartOptions& options) : options_(options) {}
  double warm(const Test& test) override {
    Run run{.subject = nullptr, .test = test};
    sample(run, kLeastRepetitions);
    return run.at("tokens_per_second").values.front();
  }

 protected:
  std::string threads_of(const Test& test) const {
    return std::to_string(options_.threads != 0 ? options_.threads : test.threads);
  }
  const PartOptions options_;
};

template <typename Value>
Value value_or(const Json& json, const char* key, Value otherwise) {
  const auto found = json.find(key);
  return found == json.end() || found->is_null() ? otherwise : found->get<Value>();
}

class ProgramPart final : public ChildPart {
 public:
  using ChildPart::ChildPart;
  void sample(Run& run, uint32_t repetitions) override {
    const Test& test = run.test;
    std::vector<std::string> words = {options_.program,
                                      "bench",
                                      "-q",
                                      "-m",
                                      model_path(options_.model),
                                      "-p",
                                      std::to_string(test.prompt),
                                      "-n",
                                      std::to_string(test.generate),
                                      "-d",
                                      std::to_string(test.depth),
                                      "-t",
                                      threads_of(test),
                                      "-r",
                                      std::to_string(repetitions),
                                      "--kv",
                                      kv_name(options_.kv),
                                      "-o",
                                      "json"};
    if (!options_.model.isa.empty()) add_words(words, {"--isa", options_.model.isa});
    add_words(words, split_words(options_.extra));
    try {
      read(json_of(words), run);
    } catch (const Json::exception& error) {
      throw Stop(kFailure, options_.program + " wrote JSON that is no result of bitnet bench: " + error.what());
    }
  }

 private:
  static void read(const Json& json, Run& run) {
    const Json& result = json.at("results").at(0);
    run.add("tokens_per_second", result.at("tokens_per_second").at("median").get<double>());
    if (const auto process = result.find("process"); process != result.end() && process->is_object()) {
      run.memory =
          ProcessMemory{process->at("peak_bytes"), process->at("current_bytes"), process->at("reserved_bytes")};
    }
    if (run.subject != nullptr) return;
    run.subject = std::make_shared<const Subject>(
        Subject{.path = result.at("path"),
                .name = result.at("model"),
                .architecture = value_or<std::string>(result, "architecture", ""),
                .isa = result.at("isa"),
                .packing = result.at("packing"),
                .head = result.at("head"),
                .kv = result.at("kv"),
                .file_bytes = result.at("file_bytes"),
                .parameters = result.at("parameters"),
                .token_bytes = value_or<uint64_t>(result, "token_bytes", 0),
                .checksum = std::strtoull(value_or<std::string>(result, "checksum", "0").c_str(), nullptr, 16),
                .load_seconds = value_or<double>(result, "load_seconds", 0)});
  }
};

class LlamaPart final : public ChildPart {
 public:
  using ChildPart::ChildPart;
  void sample(Run& run, uint32_t repetitions) override {
    const Test& test = run.test;
    std::vector<std::string> words = {options_.llama_bench,
                                      "-m",
                                      model_path(options_.model),
                                      "-p",
                                      std::to_string(test.prompt),
                                      "-n",
                                      std::to_string(test.generate),
                                      "-t",
                                      threads_of(test),
                                      "-r",
                                      std::to_string(repetitions),
                                      "-o",
                                      "json"};
    if (test.depth != 0) add_words(words, {"-d", std::to_string(test.depth)});
    add_words(words, split_words(options_.extra));
    try {
      read(json_of(words), run);
    } catch (const Json::exception& error) {
      throw Stop(kFailure, options_.llama_bench + " wrote JSON that is no result of llama-bench: " + error.what());
    }
  }

 private:
  static void read(const Json& json, Run& run) {
    const Json& result = json.back();
    const auto samples = value_or<std::vector<double>>(result, "samples_ts", {});  // forks may lack them
    run.add("tokens_per_second", samples.empty() ? result.at("avg_ts").get<double>() : median(samples));
    if (run.subject != nullptr) return;
    run.subject = std::make_shared<const Subject>(Subject{.path = result.at("model_filename"),
                                                          .name = value_or<std::string>(result, "model_type", ""),
                                                          .architecture = "",
                                                          .isa = value_or<std::string>(result, "cpu_info", ""),
                                                          .packing = "",
                                                          .head = "",
                                                          .kv = value_or<std::string>(result, "type_k", ""),
                                                          .file_bytes = value_or<uint64_t>(result, "model_size", 0),
                                                          .parameters = value_or<uint64_t>(result, "model_n_params", 0),
                                                          .token_bytes = 0,
                                                          .checksum = 0,
                                                          .load_seconds = 0});
  }
};

std::unique_ptr<Part> make_part(const PartOptions& options, const PartsSetting& setting, const Machine& machine) {
  if (!options.program.empty()) return std::make_unique<ProgramPart>(options);
  if (!options.llama_bench.empty()) return std::make_unique<LlamaPart>(options);
  return std::make_unique<LocalPart>(options, setting, machine);
}

const std::vector<double>& rates_of(const Run& run) { return run.at("tokens_per_second").values; }

class Turns {
 public:
  Turns(const std::vector<PartOptions>& options, const PartsSetting& setting, const Machine& machine)
      : setting_(setting) {
    for (const PartOptions& part : options) {
      parts_.push_back(make_part(part, setting, machine));
      for (const Test& test : setting.tests) {
        runs_.push_back({.subject = nullptr, .test = test, .part = part.name});
        if (part.threads != 0) runs_.back().test.threads = part.threads;
      }
    }
  }

  void measure() {
    for (const Test& test : setting_.tests) repetitions_.push_back(warm(test));
    const Stopwatch time;
    ProgressBar bar("comparing", ProgressBar::Unit::tokens);
    for (size_t rounds = 0; !done(rounds, time.seconds()); ++rounds) {
      round(rounds);
      bar.update(rounds + 1, setting_.rounds != 0 ? setting_.rounds : std::max<size_t>(rounds + 1, kLeastRounds));
      if (interrupted()) throw Stop(kInterrupted, "");
    }
  }

  std::vector<Comparison> comparisons() const {
    std::vector<Comparison> all;
    for (size_t part = 1; part < parts_.size(); ++part) {
      Comparison comparison{.baseline = run_of(0, 0).part, .candidate = run_of(part, 0).part};
      for (size_t test = 0; test < setting_.tests.size(); ++test) comparison.tests.push_back(compared(part, test));
      add_memory(part, comparison);
      all.push_back(std::move(comparison));
    }
    return all;
  }

  std::vector<Run> take_runs() { return std::move(runs_); }

 private:
  Run& run_of(size_t part, size_t test) { return runs_[part * setting_.tests.size() + test]; }
  const Run& run_of(size_t part, size_t test) const { return runs_[part * setting_.tests.size() + test]; }

  // Of whole processes, or of the weights of two models in this one.
  void add_memory(size_t part, Comparison& comparison) const {
    const auto &baseline = run_of(0, 0).memory, &candidate = run_of(part, 0).memory;
    const uint64_t weights = parts_[0]->weight_bytes(), others = parts_[part]->weight_bytes();
    if (baseline && candidate) {
      comparison.baseline_memory = baseline->peak;
      comparison.candidate_memory = candidate->peak;
    } else if (weights != 0 && others != 0) {
      comparison.baseline_memory = weights;
      comparison.candidate_memory = others;
    }
  }

  // Returns how often each start of a program is to measure: all as often.
  uint32_t warm(const Test& test) {
    double slowest = 0;
    for (const auto& part : parts_) {
      const double rate = part->warm(test);
      if (rate > 0 && (slowest == 0 || rate < slowest)) slowest = rate;
    }
    const double repetitions = kStartSeconds * slowest / (test.prompt + test.generate);
    return static_cast<uint32_t>(std::clamp<double>(repetitions, kLeastRepetitions, kMostRepetitions));
  }

  // Who begins changes from round to round: the first finds other caches than those after it.
  void round(size_t number) {
    for (size_t test = 0; test < setting_.tests.size(); ++test) {
      for (size_t i = 0; i < parts_.size(); ++i) {
        const size_t part = number % 2 ? parts_.size() - 1 - i : i;
        parts_[part]->sample(run_of(part, test), repetitions_[test]);
      }
    }
  }

  // When to stop does not look at the verdict, which would make it come out by chance sooner or later.
  bool done(size_t rounds, double seconds) const {
    if (setting_.rounds != 0) return rounds >= setting_.rounds;
    if (rounds < kLeastRounds) return false;
    if (seconds > setting_.seconds) return true;
    if (rounds % kLeastRounds != 0) return false;
    for (size_t part = 1; part < parts_.size(); ++part) {
      for (size_t test = 0; test < setting_.tests.size(); ++test) {
        const Interval speed = paired_ratio(rates_of(run_of(part, test)), rates_of(run_of(0, test)));
        if (speed.high / speed.low > (1 + kNarrow) * (1 + kNarrow)) return false;
      }
    }
    return true;
  }

  ComparedTest compared(size_t part, size_t test) const {
    const std::vector<double>&baseline = rates_of(run_of(0, test)), &candidate = rates_of(run_of(part, test));
    const Test& of = setting_.tests[test];
    return {of.name(), of.kind == Kind::prompt, baseline, candidate, paired_ratio(candidate, baseline)};
  }

  const PartsSetting& setting_;
  std::vector<std::unique_ptr<Part>> parts_;
  std::vector<uint32_t> repetitions_;  // of each test
  std::vector<Run> runs_;              // of a part those of all tests, of the next part ...
};

}  // namespace

PartOptions part_options(const std::string& words, const PartOptions& common) {
  PartOptions part = common;
  part.name = words.empty() ? "unchanged" : words;
  CLI::App parser("what differs", "--compare");
  add_model_options(parser, part.model, true);
  add_kv_option(parser, part.kv);
  add_number<uint32_t>(parser, "-t,--threads", part.threads, "");
  parser.add_option("--name", part.name);
  const auto program = parser.add_option("--program", part.program)->check(not_empty());
  parser.add_option("--llama-bench", part.llama_bench)->check(not_empty())->excludes(program);
  parser.add_option("--extra", part.extra);
  try {
    std::vector<std::string> list = split_words(words);
    std::ranges::reverse(list);  // the parser takes them from the end
    parser.parse(std::move(list));
  } catch (const CLI::ParseError& error) {
    throw Stop(kUsage, "--compare \"" + words + "\": " + error.what());
  }
  return part;
}

Measured measure_parts(const std::vector<PartOptions>& parts, const PartsSetting& setting, const Machine& machine) {
  Turns turns(parts, setting, machine);
  turns.measure();
  std::vector<Comparison> comparisons = turns.comparisons();
  return {turns.take_runs(), std::move(comparisons)};
}

}  // namespace bitnet::program
