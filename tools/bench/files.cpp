// SPDX-License-Identifier: MIT
// A document for programs: JSON and CSV.
#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "bench/output.h"
#include "bench/statistics.h"
#include "bitnet.h"
#include "table.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchemaVersion = 1;

std::string checksum_text(uint64_t checksum) { return formatted("%016llx", static_cast<unsigned long long>(checksum)); }

std::string time_text(double began) {
  const auto seconds = static_cast<std::time_t>(began);
  std::tm parts{};
#ifdef _WIN32
  gmtime_s(&parts, &seconds);
#else
  gmtime_r(&seconds, &parts);
#endif
  return formatted("%04d-%02d-%02dT%02d:%02d:%02dZ", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                   parts.tm_hour, parts.tm_min, parts.tm_sec);
}

Json summary_json(const std::vector<double>& values) {
  const Summary s = summary(values);
  return {{"mean", s.mean}, {"median", s.median}, {"stdev", s.stdev}, {"min", s.min},
          {"max", s.max},   {"p95", s.p95},       {"p99", s.p99},     {"all", values}};
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json machine_json(const Machine& machine) {
  return {{"cpu", text_or_null(machine.cpu)},
          {"features", bitnet_cpu_features()},
          {"system", text_or_null(machine.system)},
          {"cpus", machine.cpus},
          {"cores", machine.cores},
          {"cpu_quota", machine.cpu_quota ? Json(machine.cpu_quota) : Json(nullptr)},
          {"memory_bytes", machine.memory_bytes ? Json(machine.memory_bytes) : Json(nullptr)},
          {"governor", text_or_null(machine.governor)},
          {"huge_pages", text_or_null(machine.huge_pages)}};
}

Json build_json(const Build& build) {
  return {{"version", build.version},
          {"compiler", build.compiler},
          {"optimized", build.optimized},
          {"assertions", build.assertions},
          {"sanitized", build.sanitized}};
}

Json weights_json(const std::optional<WeightsMemory>& memory) {
  if (!memory) return nullptr;
  return {{"mapped", memory->mapped}, {"page_bytes", memory->page_bytes}, {"huge_bytes", memory->huge_bytes}};
}

Json process_json(const std::optional<ProcessMemory>& memory) {
  if (!memory) return nullptr;
  return {{"peak_bytes", memory->peak}, {"current_bytes", memory->current}, {"reserved_bytes", memory->reserved}};
}

// Of a token of an answer, over all repetitions.
Json tokens_json(const std::vector<std::vector<double>>& repetitions) {
  std::vector<double> gaps;
  for (const auto& repetition : repetitions) gaps.insert(gaps.end(), repetition.begin(), repetition.end());
  if (gaps.empty()) return nullptr;
  Json json = summary_json(gaps);
  json["all"] = repetitions;
  return json;
}

Json run_json(const Run& run) {
  const Subject& subject = *run.subject;
  const Test& test = run.test;
  const bool generates = test.kind != Kind::prompt && test.kind != Kind::forward;
  Json json = {{"kind", name_of(test.kind)},
               {"test", test.name()},
               {"part", text_or_null(run.part)},
               {"model", subject.name},
               {"path", subject.path},
               {"checksum", checksum_text(subject.checksum)},
               {"architecture", subject.architecture},
               {"file_bytes", subject.file_bytes},
               {"parameters", subject.parameters},
               {"packing", subject.packing},
               {"head", subject.head},
               {"kv", subject.kv},
               {"memory", weights_json(run.weights)},
               {"isa", subject.isa},
               {"threads", test.threads},
               {"tokens", test.kind == Kind::generation ? test.generate : test.prompt},
               {"generate", test.generate},
               {"depth", test.depth},
               {test.kind == Kind::sessions ? "sessions" : "batch", test.batch},
               {"load_seconds", subject.load_seconds},
               {"process", process_json(run.memory)},
               {"token_bytes", generates ? Json(subject.token_bytes) : Json(nullptr)}};
  for (const Metric& metric : run.metrics) json[metric.name] = summary_json(metric.values);
  for (const auto& [name, value] : run.facts) json[name] = value;
  if (!run.token_seconds.empty()) json["token_seconds"] = tokens_json(run.token_seconds);
  return json;
}

Json compared_test_json(const ComparedTest& test) {
  return {{"test", test.test},          {"ratio", test.speed.ratio}, {"low", test.speed.low},
          {"high", test.speed.high},    {"verdict", test.verdict()}, {"baseline", test.baseline},
          {"candidate", test.candidate}};
}

// What is saved, of 100.
Json reduction(double speedup) { return speedup > 0 ? Json(100 * (1 - 1 / speedup)) : Json(nullptr); }
Json speedup_json(double speedup) { return speedup > 0 ? Json(speedup) : Json(nullptr); }

Json part_json(const Comparison& c) {
  Json tests = Json::array();
  for (const ComparedTest& test : c.tests) tests.push_back(compared_test_json(test));
  Json json = {{"name", c.candidate},
               {"speedup", speedup_json(c.speedup())},
               {"time_reduction_percent", reduction(c.speedup())},
               {"memory_reduction_mb", nullptr},
               {"memory_reduction_percent", nullptr},
               {"latency_reduction_percent", reduction(c.generation_speedup())},
               {"first_token_speedup", speedup_json(c.first_token_speedup())},
               {"tests", tests}};
  if (c.baseline_memory && c.candidate_memory) {
    const double before = static_cast<double>(*c.baseline_memory), now = static_cast<double>(*c.candidate_memory);
    json["memory_reduction_mb"] = (before - now) / 1e6;
    json["memory_reduction_percent"] = 100 * (before - now) / before;
  }
  return json;
}

Json comparison_json(const Document& document) {
  Json parts = Json::array();
  for (const Comparison& comparison : document.comparisons) parts.push_back(part_json(comparison));
  return {{"timestamp", time_text(document.began)},
          {"config",
           {{"baseline", document.comparisons.front().baseline},
            {"confidence", 0.99},
            {"rounds", document.comparisons.front().tests.front().baseline.size()}}},
          {"parts", parts}};
}

Json number_or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json sixteen_bits_json(const Document& document) {
  Json list = Json::array();
  for (const AgainstSixteenBits& row : document.against_sixteen_bits) {
    const bool both = row.sixteen > 0;
    Json json = {{"shape", row.shape},
                 {"parameters", row.parameters},
                 {"packing", row.packing},
                 {"threads", row.threads},
                 {"test", row.test},
                 {"program", text_or_null(row.program)},
                 {"tokens_per_second_16_bits", both ? Json(row.sixteen) : Json(nullptr)},
                 {"tokens_per_second", row.ternary},
                 {"speedup", both ? Json(row.ternary / row.sixteen) : Json(nullptr)},
                 {"low", row.speed ? Json(row.speed->low) : Json(nullptr)},
                 {"high", row.speed ? Json(row.speed->high) : Json(nullptr)},
                 {"joules_per_token_16_bits", number_or_null(row.sixteen_joules)},
                 {"joules_per_token", number_or_null(row.ternary_joules)},
                 {"energy_reduction_percent", nullptr}};
    if (row.sixteen_joules && row.ternary_joules) {
      json["energy_reduction_percent"] = 100 * (1 - *row.ternary_joules / *row.sixteen_joules);
    }
    list.push_back(std::move(json));
  }
  return list;
}

Json scenarios_json(const Document& document) {
  Json list = Json::array();
  for (const ScenarioSummary& s : scenario_summaries(document)) {
    Json scaling = Json::array();
    for (const auto& [tokens, ms] : s.prompt_ms) scaling.push_back({{"prompt", tokens}, {"ms_per_token", ms}});
    list.push_back({{"model", s.subject->name},
                    {"threads", s.threads},
                    {"prompt_scaling", scaling},
                    {"generation_variation", s.generation_variation}});
  }
  return list;
}

std::string number_text(double value) { return formatted("%.9g", value); }

}  // namespace

std::string as_json(const Document& document) {
  Json runs = Json::array();
  for (const Run& run : document.runs) runs.push_back(run_json(run));
  Json json = {{"schema", "bitnet-bench"},
               {"schema_version", kSchemaVersion},
               {"version", bitnet_version_string()},
               {"timestamp", time_text(document.began)},
               {"cpu", bitnet_cpu_features()},
               {"machine", machine_json(document.machine)},
               {"build", build_json(this_build())},
               {"warnings", document.warnings},
               {"notes", document.notes},
               {"advice", document.advice},
               {"energy",
                {{"source", text_or_null(document.energy_source)}, {"problem", text_or_null(document.energy_problem)}}},
               {"results", runs}};
  if (const Json scenarios = scenarios_json(document); !scenarios.empty()) json["scenarios"] = scenarios;
  if (!document.against_sixteen_bits.empty()) json["against_16_bits"] = sixteen_bits_json(document);
  if (!document.comparisons.empty()) json["comparison"] = comparison_json(document);
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string as_csv(const Document& document) {
  std::string text =
      "version,part,model,path,checksum,file_bytes,parameters,packing,head,kv,mapped,page_bytes,huge_bytes,isa,threads,"
      "test,tokens,generate,depth,batch,token_bytes,load_seconds,peak_bytes,metric,repetitions,mean,median,stdev,min,"
      "max,"
      "p95,p99\n";
  for (const Run& run : document.runs) {
    const Subject& s = *run.subject;
    const Test& test = run.test;
    std::string common = std::string(bitnet_version_string()) + "," + quoted(run.part) + "," + quoted(s.name) + "," +
                         quoted(s.path) + "," + checksum_text(s.checksum) + "," + std::to_string(s.file_bytes) + "," +
                         std::to_string(s.parameters) + "," + s.packing + "," + s.head + "," + s.kv + ",";
    common += run.weights ? formatted("%d,%llu,%llu,", run.weights->mapped ? 1 : 0,
                                      static_cast<unsigned long long>(run.weights->page_bytes),
                                      static_cast<unsigned long long>(run.weights->huge_bytes))
                          : std::string(",,,");
    common += formatted("%s,%u,%s,%u,%u,%u,%u,%llu,%.6f,", s.isa.c_str(), test.threads, test.name().c_str(),
                        test.kind == Kind::generation ? test.generate : test.prompt, test.generate, test.depth,
                        test.batch, static_cast<unsigned long long>(s.token_bytes), s.load_seconds);
    if (run.memory) common += std::to_string(run.memory->peak);
    for (const Metric& metric : run.metrics) {
      const Summary m = summary(metric.values);
      text += common + "," + metric.name + "," + std::to_string(metric.values.size());
      for (const double value : {m.mean, m.median, m.stdev, m.min, m.max, m.p95, m.p99})
        text += "," + number_text(value);
      text += "\n";
    }
  }
  return text;
}

}  // namespace bitnet::program
