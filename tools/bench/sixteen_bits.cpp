// SPDX-License-Identifier: MIT
#include "bench/sixteen_bits.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <filesystem>

#include "base/cores.h"
#include "base/random.h"
#include "bench/advice.h"
#include "bench/statistics.h"
#include "format/dummy.h"
#include "system.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

namespace fs = std::filesystem;

// The sizes of bitnet.cpp's own models of random weights, which its papers measure.
constexpr std::array kAll = {"125M", "350M", "700M", "1B", "1.5B", "2.7B", "3.8B", "7B", "13B", "30B", "70B", "100B"};
constexpr uint32_t kRounds = 5;                       // unless it is said: what is to be seen is large
constexpr uint64_t kOtherMemory = uint64_t{1} << 30;  // that the system and the work take besides the weights
constexpr const char *kSixteen = "16 bits", *kPeer = "16 bits, llama.cpp", *kTernary = "ternary";

// A folder of our own among temporary files, gone with this object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    try {
      do {
        path_ = fs::temp_directory_path() / formatted("bitnet-bench-%016" PRIx64, random_bits());
      } while (!fs::create_directory(path_));
    } catch (const fs::filesystem_error& error) {
      const std::string named = error.path1().empty() ? environment("TMPDIR") : error.path1().string();
      throw Stop(kFailure, "cannot write temporary files in \"" + named + "\": " + error.code().message() +
                               "; name another folder in TMPDIR");
    }
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string file(const std::string& name) const {
    const std::u8string utf8 = (path_ / name).u8string();
    return {utf8.begin(), utf8.end()};
  }
  void require_space(uint64_t bytes) const {
    const uint64_t free = fs::space(path_).available;
    if (free >= bytes) return;
    throw Stop(kFailure,
               formatted("%s has %s free, and %s are needed; name another folder in TMPDIR",
                         path_.parent_path().string().c_str(), bytes_text(free).c_str(), bytes_text(bytes).c_str()));
  }

 private:
  fs::path path_;
};

const Shape& shape_named(const std::string& name) {
  const Shape* shape = find_shape(name);
  if (shape == nullptr) {
    throw Stop(kUsage, "--against-16-bits: no shape is called " + name + "; there are " + dummy_shapes());
  }
  if (shape->weights == Weights::dense) {
    throw Stop(kUsage, "--against-16-bits: the weights of " + name + " are not ternary");
  }
  return *shape;
}

std::vector<const Shape*> shapes_of(const std::vector<std::string>& names) {
  std::vector<const Shape*> list;
  for (const std::string& name : names) {
    if (name != "all") {
      list.push_back(&shape_named(name));
      continue;
    }
    for (const char* one : kAll) list.push_back(&shape_named(one));
  }
  return list;
}

std::vector<uint32_t> thread_counts(const BenchOptions& options) {
  if (!options.threads.empty()) {
    std::vector<uint32_t> counts = options.threads;
    std::ranges::replace(counts, 0u, usable_cores());
    return counts;
  }
  std::vector<uint32_t> counts = thread_sweep(usable_cpus());
  counts.push_back(2);  // as in the papers
  std::ranges::sort(counts);
  counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
  std::erase_if(counts, [](uint32_t count) { return count < 2; });
  return counts;
}

std::vector<Test> tests_of(const BenchOptions& options) {
  std::vector<Test> tests;
  for (const uint32_t tokens : options.prompt) {
    if (tokens != 0) tests.push_back({.kind = Kind::prompt, .prompt = tokens});
  }
  for (const uint32_t tokens : options.generate) {
    if (tokens != 0) tests.push_back({.kind = Kind::generation, .generate = tokens});
  }
  if (tests.empty()) throw Stop(kUsage, "nothing to measure: both -p and -n are 0");
  return tests;
}

std::optional<double> joules_of(const Run& run) {
  const Metric* joules = run.find("joules_per_token");
  return joules == nullptr ? std::nullopt : std::optional(median(joules->values));
}

double rate_of(const Run& run) { return median(run.at("tokens_per_second").values); }

// The models of one shape, and what they come to.
class Pair {
 public:
  Pair(const BenchOptions& options, const Shape& shape, EnergyMeter* energy, Document& document)
      : options_(options), shape_(shape), energy_(energy), document_(document), memory_(document.machine.memory_bytes) {
    DummyOptions ternary, sixteen;
    if (!fits(size_of(shape, ternary).bytes)) ternary.packing = Packing::t5;
    sixteen.weights = Weights::dense;
    const uint64_t small = size_of(shape, ternary).bytes, large = size_of(shape, sixteen).bytes;
    const uint64_t all = small + (options.llama_bench.empty() ? 1 : 2) * large;
    const bool both = fits(all);
    if (!both) left_out(fits(small) ? ", 16 bits" : "", fits(small) ? all : small);
    if (!fits(small)) return;
    folder_.require_space(both ? all : small);
    if (both) write(kSixteen, "sixteen.bitnet", sixteen);
    if (both && !options.llama_bench.empty()) {
      sixteen.gguf = true;
      // llama.cpp has no graph of this name; that of Llama has the same matrices.
      if (shape.architecture == "bitnet-b1.58") sixteen.architecture = "llama";
      write(kPeer, "sixteen.gguf", sixteen);
      parts_.back().llama_bench = options.llama_bench;
    }
    write(kTernary, "ternary.bitnet", ternary);
    packing_ = ternary.packing == Packing::t5 ? "t5" : "i2";
    parameters_ = size_of(shape, ternary).parameters;
  }

  void measure(const std::vector<uint32_t>& threads, const std::vector<Test>& tests) {
    if (parts_.empty()) return;
    std::vector<AgainstSixteenBits> rows;
    for (const uint32_t count : threads) {
      for (const AgainstSixteenBits& row : measure(count, tests)) rows.push_back(row);
    }
    const size_t measured = rows.size();
    if (threads.size() > 1) {
      for (size_t test = 0; test < tests.size(); ++test) {
        rows.push_back(best_of({rows.begin(), rows.begin() + static_cast<ptrdiff_t>(measured)}, tests[test].name()));
      }
    }
    document_.against_sixteen_bits.insert(document_.against_sixteen_bits.end(), rows.begin(), rows.end());
  }

 private:
  bool fits(uint64_t bytes) const { return memory_ == 0 || bytes + kOtherMemory <= memory_; }

  void left_out(const char* what, uint64_t bytes) {
    document_.notes.push_back(formatted("%s%s is left out: it takes %s, and there are %s of memory",
                                        std::string(shape_.name).c_str(), what,
                                        bytes_text(bytes + kOtherMemory).c_str(), bytes_text(memory_).c_str()));
  }

  void write(const char* part, const char* file, DummyOptions dummy) {
    ProgressBar bar("writing " + std::string(shape_.name));
    dummy.progress = [&bar](uint64_t done, uint64_t total) { return ProgressBar::callback(&bar, done, total) == 0; };
    PartOptions made;
    made.name = std::string(shape_.name) + ", " + part;
    made.model = options_.model;
    made.model.path = folder_.file(file);
    made.kv = options_.kv;
    write_dummy(made.model.path, shape_.name, dummy);
    parts_.push_back(std::move(made));
  }

  std::vector<AgainstSixteenBits> measure(uint32_t threads, std::vector<Test> tests) {
    for (Test& test : tests) test.threads = threads;
    const PartsSetting setting{.tests = tests,
                               .logits = options_.logits,
                               .energy = energy_,
                               .rounds = options_.repetitions ? options_.repetitions : kRounds};
    Measured measured = measure_parts(parts_, setting, document_.machine);
    std::vector<AgainstSixteenBits> rows;
    for (size_t test = 0; test < tests.size(); ++test) {
      const auto run_of = [&](size_t part) -> const Run& { return measured.runs[part * tests.size() + test]; };
      const Run& ternary = run_of(parts_.size() - 1);
      AgainstSixteenBits row{.shape = std::string(shape_.name),
                             .packing = packing_,
                             .test = tests[test].name(),
                             .parameters = parameters_,
                             .threads = std::to_string(threads),
                             .program = ""};
      row.ternary = rate_of(ternary);
      row.ternary_joules = joules_of(ternary);
      for (size_t part = 0; part + 1 < parts_.size(); ++part) {
        const Run& other = run_of(part);
        if (rate_of(other) <= row.sixteen) continue;
        row.sixteen = rate_of(other);
        row.sixteen_joules = joules_of(other);
        row.program = parts_[part].llama_bench.empty() ? "bitnet" : "llama.cpp";
        row.speed = paired_ratio(ternary.at("tokens_per_second").values, other.at("tokens_per_second").values);
      }
      rows.push_back(std::move(row));
    }
    for (Run& run : measured.runs) document_.runs.push_back(std::move(run));
    return rows;
  }

  // Each by the number of threads at which it is the fastest.
  static AgainstSixteenBits best_of(const std::vector<AgainstSixteenBits>& rows, const std::string& test) {
    const AgainstSixteenBits *sixteen = nullptr, *ternary = nullptr;
    for (const AgainstSixteenBits& row : rows) {
      if (row.test != test) continue;
      if (sixteen == nullptr || row.sixteen > sixteen->sixteen) sixteen = &row;
      if (ternary == nullptr || row.ternary > ternary->ternary) ternary = &row;
    }
    AgainstSixteenBits best = *ternary;
    const bool same = sixteen->sixteen == 0 || sixteen->threads == ternary->threads;
    best.threads = "best: " + (same ? "" : sixteen->threads + ", ") + ternary->threads;
    if (same) return best;
    best.sixteen = sixteen->sixteen;
    best.sixteen_joules = sixteen->sixteen_joules;
    best.program = sixteen->program;
    best.speed.reset();
    return best;
  }

  const BenchOptions& options_;
  const Shape& shape_;
  EnergyMeter* const energy_;
  Document& document_;
  const uint64_t memory_;
  const TemporaryFolder folder_;
  std::vector<PartOptions> parts_;  // the ternary one last
  std::string packing_;
  uint64_t parameters_ = 0;
};

}  // namespace

void measure_against_16_bits(const BenchOptions& options, EnergyMeter* energy, Document& document) {
  const std::vector<const Shape*> shapes = shapes_of(options.sixteen_bits);
  const std::vector<uint32_t> threads = thread_counts(options);
  const std::vector<Test> tests = tests_of(options);
  for (const Shape* shape : shapes) Pair(options, *shape, energy, document).measure(threads, tests);
  if (document.against_sixteen_bits.empty()) throw Stop(kFailure, document.notes.back());
}

}  // namespace bitnet::program
