// SPDX-License-Identifier: MIT
// Holds the kernels of every table that this CPU can run to the scalar table, bit for bit, or measures them.
#include <time.h>

#include <algorithm>
#include <cstdarg>
#include <cstdlib>
#include <map>
#include <random>
#include <tuple>

#include "check.h"
#include "layers.h"
#include "peaks.h"
#include "platform.h"

namespace bitnet {

// Where the kernels of x86-64 are built.
extern const KernelLayer avxvnni_evex_layer, amx_emulated_layer;

std::string formatted(const char* format, ...) {
  char text[400];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return text;
}

namespace {

constexpr const char* kHelp =
    "usage: check_kernels [OPTION ...] [KERNEL ...]\n"
    "\n"
    "Holds each kernel of each instruction set that this CPU has to the scalar one: bit for bit, on random and "
    "extreme\n"
    "values and odd sizes, in buffers between inaccessible pages. What instruction sets share is checked once.\n"
    "KERNEL is a name or the beginning of one.\n"
    "\n"
    "  --isa NAME[,NAME...]  only these instruction sets\n"
    "  --seed N              the random numbers of an earlier run, which it printed\n"
    "  --brief               fewer cases, for slow emulated CPUs: each instruction runs, not each size\n"
    "  --list                the instruction sets and kernels\n"
    "  --bench               measure speed on one thread instead, and the limits of the machine\n"
    "  --json                measurements in a form for programs\n";

struct Options {
  std::vector<std::string> kernels;
  std::vector<const Kernels*> tables;
  uint32_t seed = std::random_device()();
  bool brief = false, list = false, bench = false, json = false;
};

std::vector<KernelCheck> all_kernels() {
  std::vector<KernelCheck> all;
  for (const auto family : {ternary_checks(), group_checks(), head_checks(), attention_checks(), float_checks()}) {
    all.insert(all.end(), family.begin(), family.end());
  }
  return all;
}

[[noreturn]] void refuse(const std::string& message) {
  std::fprintf(stderr, "check_kernels: %s\n", message.c_str());
  std::exit(2);
}

// The tables of the library that can be used here, and those that only stand for one.
std::vector<const Kernels*> all_tables() {
  const KernelList list = available_kernels();
  std::vector<const Kernels*> tables(list.tables, list.tables + list.count);
  std::erase_if(tables, [](const Kernels* table) { return find_kernels(table->name) == nullptr; });
#if defined(BITNET_KERNELS_X86)
  static const Kernels amx_emulated = table_of(amx_emulated_layer), avxvnni_evex = table_of(avxvnni_evex_layer);
  tables.insert(tables.end() - 1, &amx_emulated);
  const bool has_itself = find_kernels("avxvnni") != nullptr;
  if (find_kernels("avx512vnni") != nullptr && !has_itself) tables.insert(tables.end() - 1, &avxvnni_evex);
#endif
  return tables;
}

// Tables share kernels of the layers below them: whether that of this table is scalar's or that of a table before it.
bool is_shared(const Options& options, const Kernels& table, const KernelCheck& kernel) {
  const auto has_same = [&](const Kernels* other) { return other != &table && kernel.is_same(*other, table); };
  const auto itself = std::find(options.tables.begin(), options.tables.end(), &table);
  return has_same(find_kernels("scalar")) || std::any_of(options.tables.begin(), itself, has_same);
}

// All or those that the options name, but each once.
std::vector<KernelCheck> chosen_kernels(const Options& options, const Kernels& table) {
  std::vector<KernelCheck> chosen = all_kernels();
  std::erase_if(chosen, [&](const KernelCheck& kernel) {
    const std::string_view name = kernel.name;
    const auto names_it = [&](const std::string& prefix) { return name.starts_with(prefix); };
    if (is_shared(options, table, kernel)) return true;
    return !options.kernels.empty() && std::none_of(options.kernels.begin(), options.kernels.end(), names_it);
  });
  return chosen;
}

std::vector<const Kernels*> tables_named(const std::string& names) {
  std::vector<const Kernels*> tables;
  for (size_t begin = 0, end; begin <= names.size(); begin = end + 1) {
    end = std::min(names.find(',', begin), names.size());
    const std::string name = names.substr(begin, end - begin);
    const std::vector<const Kernels*> all = all_tables();
    const auto table = std::find_if(all.begin(), all.end(), [&](const Kernels* t) { return t->name == name; });
    if (table == all.end()) refuse("no instruction set '" + name + "' here; this build knows " + kernel_names());
    tables.push_back(*table);
  }
  return tables;
}

Options parsed(int argc, char** argv) {
  Options options;
  options.tables = all_tables();
  options.tables.pop_back();  // scalar
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const auto value = [&] {
      if (i + 1 == argc) refuse(std::string(argument) + " needs a value");
      return std::string(argv[++i]);
    };
    if (argument == "--help") {
      std::fputs(kHelp, stdout);
      std::exit(0);
    } else if (argument == "--isa") {
      options.tables = tables_named(value());
    } else if (argument == "--seed") {
      options.seed = static_cast<uint32_t>(std::strtoul(value().c_str(), nullptr, 10));
    } else if (argument == "--brief") {
      options.brief = true;
    } else if (argument == "--list") {
      options.list = true;
    } else if (argument == "--bench") {
      options.bench = true;
    } else if (argument == "--json") {
      options.json = true;
    } else if (argument.starts_with("-")) {
      refuse("unknown option " + std::string(argument) + "; see --help");
    } else {
      options.kernels.emplace_back(argument);
    }
  }
  const auto has_none = [&](const Kernels* table) { return chosen_kernels(options, *table).empty(); };
  if (std::all_of(options.tables.begin(), options.tables.end(), has_none)) refuse("no such kernel; see --list");
  return options;
}

void list() {
  const KernelList tables = available_kernels();
  for (size_t i = 0; i < tables.count; ++i) std::printf("%s%s", i ? " " : "", tables.tables[i]->name);
  std::printf("\n");
  for (const KernelCheck& kernel : all_kernels()) std::printf("%s\n", kernel.name);
}

// ------------------------------------------------------------------ checking

char tried[400] = "";  // what Check::at said last

void compare(const KernelCheck& kernel, Check& check) {
  for (const Edge edge : {Edge::end, Edge::begin}) {
    if (check.brief && edge == Edge::begin) continue;
    guarded_edge = edge;
    kernel.check(check);
  }
}

bool passes(const KernelCheck& kernel, const Kernels& table, uint32_t seed, bool brief) {
  Check check(table, seed, brief);
  const auto report = [&](const std::string& what) {
    std::printf("%-12s %-17s FAILED: %s\n             at %s (--seed %u, buffers %s an inaccessible page)\n", table.name,
                kernel.name, what.c_str(), tried, seed, guarded_edge == Edge::end ? "before" : "after");
    std::fflush(stdout);
  };
  std::string what;
  try {
    what = fault_in([&] { compare(kernel, check); }, report);
  } catch (const Check::Difference& difference) {
    what = difference.what;
  }
  if (what.empty() && check.cases == 0) what = "nothing was compared";
  if (!what.empty()) {
    report(what);
    return false;
  }
  std::printf("%-12s %-17s %6zu cases, digest %016llx\n", table.name, kernel.name, check.cases,
              static_cast<unsigned long long>(check.digest));
  std::fflush(stdout);
  return true;
}

// Those of the tuple, and the ternary products of both packings.
bool all_entries_are_checked() {
  constexpr size_t kEntries = 2 + std::tuple_size_v<decltype(kFunctions)>;
  const size_t checks = all_kernels().size();
  if (checks != kEntries) std::printf("FAILED: the table has %zu kernels, %zu are checked\n", kEntries, checks);
  return checks == kEntries;
}

int check(const Options& options) {
  std::printf("seed %u\n", options.seed);
  size_t passed = 0, failed = all_entries_are_checked() ? 0 : 1;
  for (const Kernels* table : options.tables) {
    for (const KernelCheck& kernel : chosen_kernels(options, *table)) {
      ++(passes(kernel, *table, options.seed, options.brief) ? passed : failed);
    }
  }
  std::printf("%zu passed, %zu failed\n", passed, failed);
  return failed ? 1 : 0;
}

// ----------------------------------------------------------------- measuring

double cpu_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// What a measurement is compared with.
class Limits {
 public:
  double of_compute(const Measurement& m) {
    auto [found, is_new] = compute_.try_emplace(m.isa);
    if (is_new) found->second = measure_compute(m.isa.c_str());
    const ComputePeaks& peaks = found->second;
    return m.work.int8_macs > 0    ? peaks.int8_macs
           : m.work.int16_macs > 0 ? peaks.int8_macs / 2  // an activation is two of 8 bits
           : m.work.exact_macs > 0 ? peaks.fused_macs
                                   : peaks.float_macs;
  }
  const std::map<std::string, ComputePeaks>& compute() const { return compute_; }
  const MemoryPeaks memory = measure_memory();

 private:
  std::map<std::string, ComputePeaks> compute_;
};

double macs(const Work& w) { return w.int8_macs + w.int16_macs + w.float_macs + w.exact_macs; }
double macs_per_second(const Measurement& m) { return macs(m.work) / m.seconds; }
double bytes_per_second(const Measurement& m) { return m.work.bytes / m.seconds; }

using Row = std::vector<std::string>;

void print_aligned(const std::vector<Row>& rows, size_t first_number) {
  std::vector<size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      std::printf("%s%*s", i ? "  " : "", int(widths[i]) * (i < first_number ? -1 : 1), row[i].c_str());
    }
    std::printf("\n");
  }
}

std::string giga(double per_second) { return per_second > 0 ? formatted("%.1f", per_second * 1e-9) : "-"; }
std::string share(double part, double whole) {
  return part > 0 && whole > 0 ? formatted("%.0f %%", 100 * part / whole) : "-";
}

void print_tables(const std::vector<Measurement>& results, Limits& limits) {
  std::vector<Row> rows = {{"isa", "kernel", "shape", "us", "GMAC/s", "of peak", "GB/s", "of DRAM"}};
  for (const Measurement& m : results) {
    rows.push_back({m.isa, m.kernel, m.shape, formatted("%.1f", m.seconds * 1e6), giga(macs_per_second(m)),
                    share(macs_per_second(m), limits.of_compute(m)), giga(bytes_per_second(m)),
                    m.work.from_memory ? share(bytes_per_second(m), limits.memory.one_huge) : "-"});
  }
  print_aligned(rows, 3);
  std::printf("\nPeaks of one core, GMAC/s\n");
  rows = {{"isa", "int8", "float", "fused"}};
  for (const auto& [isa, peaks] : limits.compute()) {
    rows.push_back({isa, giga(peaks.int8_macs), giga(peaks.float_macs), giga(peaks.fused_macs)});
  }
  print_aligned(rows, 1);
  const MemoryPeaks& memory = limits.memory;
  std::printf("\nReading memory, GB/s\n");
  print_aligned({{"pages", "1 thread", formatted("%u threads", memory.threads)},
                 {"4 KiB", giga(memory.one_small), giga(memory.all_small)},
                 {"2 MiB", giga(memory.one_huge), giga(memory.all_huge)}},
                1);
}

void print_json(const std::vector<Measurement>& results, Limits& limits) {
  std::printf("{\n \"measurements\": [");
  for (const Measurement& m : results) {
    std::printf(
        "%s\n  {\"isa\": \"%s\", \"kernel\": \"%s\", \"shape\": \"%s\", \"seconds\": %.9g, \"macs\": %.9g, "
        "\"bytes\": %.9g, \"from_memory\": %s, \"peak_macs_per_second\": %.9g}",
        &m == results.data() ? "" : ",", m.isa.c_str(), m.kernel.c_str(), m.shape.c_str(), m.seconds, macs(m.work),
        m.work.bytes, m.work.from_memory ? "true" : "false", limits.of_compute(m));
  }
  std::printf("\n ],\n \"compute\": {");
  const char* separator = "";
  for (const auto& [isa, peaks] : limits.compute()) {
    std::printf(
        "%s\n  \"%s\": {\"int8_macs_per_second\": %.9g, \"float_macs_per_second\": %.9g, "
        "\"fused_macs_per_second\": %.9g}",
        separator, isa.c_str(), peaks.int8_macs, peaks.float_macs, peaks.fused_macs);
    separator = ",";
  }
  const MemoryPeaks& memory = limits.memory;
  std::printf(
      "\n },\n \"memory\": {\"threads\": %u,\n  \"4 KiB pages\": {\"one\": %.9g, \"all\": %.9g},\n"
      "  \"2 MiB pages\": {\"one\": %.9g, \"all\": %.9g}}\n}\n",
      memory.threads, memory.one_small, memory.all_small, memory.one_huge, memory.all_huge);
}

void bench(const Options& options) {
  std::vector<Measurement> results;
  for (const Kernels* table : options.tables) {
    Bench bench(*table, results);
    for (const KernelCheck& kernel : chosen_kernels(options, *table)) kernel.bench(bench);
  }
  Limits limits;
  (options.json ? print_json : print_tables)(results, limits);
}

}  // namespace

void Check::at(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(tried, sizeof tried, format, arguments);
  va_end(arguments);
}

void Bench::measure(const char* kernel, const std::string& shape, const Work& work, const std::function<void()>& run,
                    size_t calls) {
  // The shortest of several runs, in CPU time, which other programs disturb least. Short ones are run many at a time.
  run();
  size_t times = 1;
  double best = 1e9;
  const double start = cpu_seconds();
  for (int i = 0; i < 3 || cpu_seconds() - start < 0.1; ++i) {
    const double begin = cpu_seconds();
    for (size_t t = 0; t < times; ++t) run();
    const double taken = cpu_seconds() - begin;
    if (taken < 1e-4) {
      times *= 2;
    } else {
      best = std::min(best, taken / static_cast<double>(times));
    }
  }
  results_.push_back({table.name, kernel, shape, work, best / static_cast<double>(calls)});
}

}  // namespace bitnet

int main(int argc, char** argv) {
  const bitnet::Options options = bitnet::parsed(argc, argv);
  if (options.list) {
    bitnet::list();
  } else if (options.bench) {
    bitnet::bench(options);
  } else {
    return bitnet::check(options);
  }
  return 0;
}
