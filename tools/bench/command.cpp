// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "api/handles.h"
#include "bench/advice.h"
#include "bench/output.h"
#include "bench/parts.h"
#include "bench/plan.h"
#include "bench/report.h"
#include "bench/runner.h"
#include "bench/sixteen_bits.h"
#include "bench/subject.h"
#include "commands.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

// All tests of one model.
class ModelBench {
 public:
  ModelBench(const BenchOptions& options, EnergyMeter* energy, const Machine& machine)
      : options_(options),
        energy_(energy),
        opened_(open_subject(options.model, options.kv, options.logits, machine)),
        weights_(*opened_.model, options.logits) {}

  void measure(const std::vector<PlannedTest>& plan, Document& document) {
    const bitnet_model_info info = model_info(opened_.model.get());
    std::vector<Test> tests;
    for (const PlannedTest& planned : plan) {
      if (!left_out(planned, info)) {
        tests.push_back(planned.test);
      } else {
        document.notes.push_back(planned.test.name() + " is left out: its prompt is longer than the context of " +
                                 opened_.subject->name);
      }
    }
    require_tests_fit(info, opened_.subject->path, tests);
    if (document.machine.memory_bytes != 0 && info.file_bytes > document.machine.memory_bytes) {
      document.warnings.push_back(opened_.subject->path +
                                  " is larger than this machine's memory or the limit of this process: " +
                                  "weights that were not used for long are read from the disk again");
    }
    for (const PlannedTest& planned : plan) {
      const auto& [test, warmups, repetitions, _] = planned;
      if (left_out(planned, info)) continue;
      Run run{.subject = opened_.subject, .test = test};
      if (test.kind == Kind::sessions) {
        runner_.reset();
        measure_sessions(opened_.model.get(), options_.sessions, options_.kv, repetitions, run);
      } else {
        runner_for(tests, test).measure(run, warmups, repetitions);
      }
      run.weights = weights_memory(run.subject->path, copied(info));
      document.runs.push_back(std::move(run));
    }
  }

 private:
  bool copied(const bitnet_model_info& info) const {
    return opened_.model->runtime->model().owned_bytes > info.resident_bytes / 2;
  }

  static bool left_out(const PlannedTest& planned, const bitnet_model_info& info) {
    return planned.optional && planned.test.prompt > info.context;
  }

  // One serves all tests with the same threads and batch.
  Runner& runner_for(const std::vector<Test>& tests, const Test& test) {
    if (runner_ != nullptr && test.threads == threads_ && test.batch == batch_) return *runner_;
    runner_ = nullptr;  // before the next takes its memory
    threads_ = test.threads;
    batch_ = test.batch;
    uint32_t context = 0;
    for (const Test& other : tests) context = std::max(context, other.context());
    runner_ = std::make_unique<Runner>(opened_.model.get(), context, batch_,
                                       RunnerOptions{.threads = threads_,
                                                     .kv = options_.kv,
                                                     .logits = options_.logits,
                                                     .weights = options_.limits ? &weights_ : nullptr,
                                                     .energy = energy_});
    return *runner_;
  }

  const BenchOptions& options_;
  EnergyMeter* const energy_;
  const OpenedSubject opened_;
  const TokenWeights weights_;
  std::unique_ptr<Runner> runner_;
  uint32_t threads_ = 0, batch_ = 0;
};

std::vector<PartOptions> parts_of(const BenchOptions& options) {
  PartOptions common;
  common.model = options.model;
  common.kv = options.kv;
  if (!options.models.empty()) common.model.path = options.models.front();
  std::vector<PartOptions> parts;
  for (const std::string& words : options.compare) parts.push_back(part_options(words, common));
  if (parts.size() < 2) throw Stop(kUsage, "--compare takes two or more: give it once for each part");
  return parts;
}

void compare(const BenchOptions& options, const std::vector<PlannedTest>& plan, EnergyMeter* energy,
             Document& document) {
  PartsSetting setting{.tests = {},
                       .logits = options.logits,
                       .energy = energy,
                       .rounds = options.repetitions,
                       .seconds = static_cast<double>(options.seconds)};
  for (const PlannedTest& planned : plan) {
    if (planned.test.kind != Kind::prompt && planned.test.kind != Kind::generation) {
      throw Stop(kUsage, "--compare measures -p and -n, not scenarios, batches or sessions");
    }
    if (planned.test.threads != plan.front().test.threads) {
      throw Stop(kUsage, "--compare takes one number of threads with -t; name others in its parts");
    }
    setting.tests.push_back(planned.test);
  }
  Measured measured = measure_parts(parts_of(options), setting, document.machine);
  document.comparisons = std::move(measured.comparisons);
  document.runs = std::move(measured.runs);
}

std::string text_of(const Document& document, const std::string& form) {
  if (form == "json") return as_json(document);
  if (form == "csv") return as_csv(document);
  if (form == "e2e") return as_e2e(document);
  return as_table(document, form == "md");
}

// Null, and the document says why, if there is none.
std::unique_ptr<EnergyMeter> energy_meter(Document& document) {
  auto meter = std::make_unique<EnergyMeter>();
  document.energy_source = meter->source();
  document.energy_problem = meter->problem();
  if (!meter->works()) return nullptr;
  meter->calibrate(1);
  return meter;
}

void bench(BenchOptions options) {
  if (options.all) options.sweep = options.limits = options.energy = true;
  const std::vector<PlannedTest> plan = planned(options);
  Document document{.machine = this_machine()};
  document.began = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  std::unique_ptr<Report> report;
  if (!options.report.empty()) report = std::make_unique<Report>(options.report);
  const auto meter = options.energy ? energy_meter(document) : nullptr;

  const auto before = activity();
  if (!options.sixteen_bits.empty()) {
    measure_against_16_bits(options, meter.get(), document);
  } else if (!options.compare.empty()) {
    compare(options, plan, meter.get(), document);
  } else {
    if (options.models.empty()) options.models = {""};
    for (const std::string& path : options.models) {
      options.model.path = path;
      ModelBench(options, meter.get(), document.machine).measure(plan, document);
    }
  }
  for (std::string& warning : warnings_of(document.machine, this_build(), before, activity())) {
    document.warnings.push_back(std::move(warning));
  }
  if (!document.energy_problem.empty()) {
    document.notes.push_back("no energy was measured: " + document.energy_problem);
  }
  if (options.sweep) document.advice = thread_advice(document);
  write_out(text_of(document, options.output));
  if (!options.model.quiet) {
    for (const std::string& note : document.notes) write_note(note);
    for (const std::string& warning : document.warnings) write_message("warning: " + warning);
  }
  if (report != nullptr) report->write(as_json(document));
}

void add_sessions_options(CLI::App& command, BenchOptions& options) {
  constexpr const char* group = "Sessions";
  add_numbers(command, "--sessions", options.sessions.sessions, "Sessions that generate at once", 1 << 24)
      ->group(group);
  add_choice(command, "--calls", options.sessions.calls, "With --sessions: how tokens are asked for (eval)",
             {{"eval", SessionCalls::eval}, {"next", SessionCalls::next}, {"queue", SessionCalls::queue}})
      ->group(group);
  add_number<uint32_t>(command, "--top-k", options.sessions.top_k,
                       "With --sessions: draw from so many of the likeliest tokens (0: take the likeliest)")
      ->group(group);
  add_number<uint32_t>(command, "--pause", options.sessions.pause,
                       "With --sessions: microseconds of other work between two tokens (0)", 0, 1000000)
      ->group(group);
  add_number<uint32_t>(command, "--arriving", options.sessions.arriving,
                       "With --sessions: tokens of a prompt that one more session evaluates meanwhile (0: none)", 0,
                       1 << 24)
      ->group(group);
}

void add_steps_options(CLI::App& command, BenchOptions& options) {
  constexpr const char* group = "Forward pass alone";
  const auto add = [&](const char* name, uint32_t& value, const char* description, uint32_t most) {
    add_number<uint32_t>(command, name, value, description, 1, most)->group(group);
  };
  add("--batch", options.batch, "Evaluate so many sequences at a time, and draw nothing", 4096);
  add("--seq-length", options.sequence, "Tokens of each (128)", 1 << 20);
  add("--warmup-steps", options.warmup_steps, "Times before it is measured (10)", 10000);
  add("--benchmark-steps", options.benchmark_steps, "Times it is measured (50)", 100000);
  add("--gen-input", options.gen_input, "Also generate, after a prompt of so many tokens", 1 << 20);
  add("--gen-output", options.gen_output, "so many tokens (128)", 1 << 20);
  add("--gen-iterations", options.gen_iterations, "so many times (20)", 10000);
}

void add_comparison_options(CLI::App& command, BenchOptions& options) {
  constexpr const char* group = "Comparison";
  command
      .add_option("--compare", options.compare,
                  "Measure parts in turn, each with options of its own; the first is the baseline.\n"
                  "Takes -m, --isa, --kv, --packing, --head, -t, --name; --program (another bitnet),\n"
                  "--llama-bench, --extra")
      ->allow_extra_args(false)
      ->option_text("OPTIONS")
      ->group(group);
  auto* sixteen = command
                      .add_option("--against-16-bits", options.sixteen_bits,
                                  "Models of these shapes, ternary and of 16 bits, in turn; all: from 125M to 100B.\n"
                                  "They are written where temporary files are (TMPDIR), and removed")
                      ->delimiter(',')
                      ->allow_extra_args(false)
                      ->check(not_empty())
                      ->excludes("--compare")
                      ->option_text("SHAPE,...|all")
                      ->group(group);
  command
      .add_option("--llama-bench", options.llama_bench, "With it: this program of llama.cpp, too; the faster counts")
      ->check(not_empty())
      ->needs(sixteen)
      ->option_text("PROGRAM")
      ->group(group);
  add_number<uint32_t>(command, "--seconds", options.seconds,
                       "Time to compare in, where -r does not say how often (120)", 1, 86400)
      ->group(group);
}

}  // namespace

void add_bench(CLI::App& program) {
  auto options = std::make_shared<BenchOptions>();
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
  command->add_flag("--sweep", options->sweep,
                    "From one thread to all of the machine (or those of -t), and which are best");
  command->add_option("--scenario", options->scenarios, "S1 to S6, or all: a prompt and an answer, token by token")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"S1", "S2", "S3", "S4", "S5", "S6", "all"}))
      ->option_text("NAME");
  add_number<uint32_t>(*command, "-r,--repetitions", options->repetitions, "Times each is measured (5)", 1, 100000);
  add_number<uint32_t>(*command, "--warmup", options->warmup, "Times before that (1; 3 of scenarios)", 1, 10000);
  command->add_flag("--logits", options->logits, "Generation: ask for all logits instead of the likeliest token");
  command->add_flag("--limits", options->limits, "Generation: also read the same weights and do nothing else, in turn");
  command->add_flag("--energy", options->energy,
                    "Also joules a token, from the machine's counters, what it takes when idle subtracted");
  command->add_option("-o,--output", options->output, "Form of the results (table)")
      ->check(CLI::IsMember({"table", "json", "csv", "md", "e2e"}))
      ->option_text("table|json|csv|md|e2e");
  command->add_option("--report", options->report, "Also make an HTML page with charts, and the JSON beside it")
      ->check(not_empty())
      ->option_text("FILE");
  command->add_flag("--all", options->all, "All that a report shows: threads, scenarios, sessions, limits, energy");
  add_sessions_options(*command, *options);
  add_steps_options(*command, *options);
  add_comparison_options(*command, *options);
  command->footer(
      "pp512 evaluates 512 tokens together; tg128 generates 128, each by evaluating one and taking the likeliest "
      "next;\n"
      "pp512@4096 does so after 4096 others. Each figure is the median of the repetitions, in tokens per second, with "
      "the\n"
      "slowest and the fastest. `memory` says how the weights lay in it: mapped from the file, or copied, and in pages "
      "of\n"
      "which size. `GB/s` counts the weights that a token of generation reads; with --limits, `of reading` is its "
      "share\n"
      "of the rate at which as many threads read them and do nothing else.\n\n"
      "With --sessions, `tokens/s` is what all sessions get together, `in a pass` how many of them shared one, and "
      "`gap\n"
      "ms` the time from a session's token to its next: median, 95th and 99th percentile.\n\n"
      "Examples:\n"
      "  bitnet bench -m model.bitnet -t 1,2,4\n"
      "  bitnet bench -m model.bitnet -p 16,512 -n 64 --depth 0,4096\n"
      "  bitnet bench -m model.bitnet --all -p 16,64,512 --report report.html\n"
      "  bitnet bench -m i2.bitnet,t5.bitnet -p 0 -n 64 -o md\n"
      "  bitnet bench -m model.bitnet -p 16 -n 64 --sessions 1,2,4,8,16\n"
      "  bitnet bench -m model.bitnet --compare \"--isa avx2\" --compare \"--isa avx512vnni\"\n"
      "  bitnet bench -m model.bitnet --compare \"--program old/bitnet\" --compare \"--program new/bitnet\"");
  command->callback([options] { bench(*options); });
}

}  // namespace bitnet::program
