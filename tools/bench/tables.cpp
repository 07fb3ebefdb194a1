// SPDX-License-Identifier: MIT
#include <algorithm>

#include "bench/output.h"
#include "bench/statistics.h"
#include "table.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

using Rows = std::vector<const Run*>;
using Row = std::vector<std::string>;

std::string milliseconds(double seconds) { return formatted("%.1f", 1e3 * seconds); }

std::string parameters_text(uint64_t parameters) {
  const bool millions = parameters < 1000000000;
  return formatted("%.2f %s", static_cast<double>(parameters) / (millions ? 1e6 : 1e9), millions ? "M" : "B");
}

std::string plus_minus(const std::vector<double>& values) {
  const Summary s = summary(values);
  return formatted("%.2f ± %.2f", s.mean, s.stdev);
}

bool have(const Rows& rows, const char* metric) {
  return std::ranges::any_of(rows, [&](const Run* run) { return run->find(metric) != nullptr; });
}

// A column that only some machines have.
void add_energy(const Rows& rows, Cells& cells) {
  if (!have(rows, "joules_per_token")) return;
  cells.front().emplace_back("J/token");
  for (size_t i = 0; i < rows.size(); ++i) {
    cells[i + 1].push_back(formatted("%.3f", median(rows[i]->at("joules_per_token").values)));
  }
}

std::string bandwidth(const Run& run) {
  if (run.test.kind == Kind::prompt) return "-";
  const double rate = median(run.at("tokens_per_second").values);
  return formatted("%.1f", rate * static_cast<double>(run.subject->token_bytes) / 1e9);
}

std::string of_reading(const Run& run) {
  if (run.find("reading_share") == nullptr) return "-";
  return formatted("%.0f %% of %.1f", 100 * median(run.at("reading_share").values),
                   median(run.at("reading_bytes_per_second").values) / 1e9);
}

Cells speed_cells(const Rows& rows) {
  Cells cells = {{"model", "size", "params", "packing", "head", "kv", "memory", "isa", "threads", "test", "tokens/s",
                  "min .. max", "GB/s", "of reading"}};
  for (const Run* run : rows) {
    const Subject& subject = *run->subject;
    const Summary rate = summary(run->at("tokens_per_second").values);
    cells.push_back({subject.name, bytes_text(subject.file_bytes), parameters_text(subject.parameters), subject.packing,
                     subject.head, subject.kv, run->weights ? run->weights->text() : "-", subject.isa,
                     std::to_string(run->test.threads), run->test.name(), formatted("%.2f", rate.median),
                     formatted("%.2f .. %.2f", rate.min, rate.max), bandwidth(*run), of_reading(*run)});
  }
  return cells;
}

Cells scenario_cells(const Rows& rows) {
  Cells cells = {{"model", "threads", "scenario", "prompt + text", "first token ms", "p95", "prompt/s", "tokens/s",
                  "p5", "token ms", "p95", "p99", "computing", "peak memory"}};
  for (const Run* run : rows) {
    std::vector<double> gaps;
    for (const auto& repetition : run->token_seconds) gaps.insert(gaps.end(), repetition.begin(), repetition.end());
    const Summary first = summary(run->at("first_token_seconds").values), gap = summary(gaps);
    cells.push_back({run->subject->name, std::to_string(run->test.threads), run->test.name(),
                     formatted("%u + %u", run->test.prompt, run->test.generate), milliseconds(first.median),
                     milliseconds(first.p95), plus_minus(run->at("prompt_tokens_per_second").values),
                     plus_minus(run->at("tokens_per_second").values),
                     formatted("%.2f", quantile(run->at("tokens_per_second").values, 0.05)), milliseconds(gap.median),
                     milliseconds(gap.p95), milliseconds(gap.p99),
                     formatted("%.1f %%", 100 * median(run->at("computing_share").values)),
                     run->memory ? bytes_text(run->memory->peak) : "-"});
  }
  return cells;
}

Cells forward_cells(const Rows& rows) {
  Cells cells = {{"model", "threads", "batch", "length", "samples/s", "tokens/s", "peak memory", "now", "reserved"}};
  for (const Run* run : rows) {
    cells.push_back({run->subject->name, std::to_string(run->test.threads), std::to_string(run->test.batch),
                     std::to_string(run->test.prompt), plus_minus(run->at("samples_per_second").values),
                     plus_minus(run->at("tokens_per_second").values), run->memory ? bytes_text(run->memory->peak) : "-",
                     run->memory ? bytes_text(run->memory->current) : "-",
                     run->memory ? bytes_text(run->memory->reserved) : "-"});
  }
  return cells;
}

double fact(const Run& run, std::string_view name) {
  for (const auto& [key, value] : run.facts) {
    if (key == name) return value;
  }
  return 0;
}

Cells session_cells(const Rows& rows) {
  const bool arriving = have(rows, "arriving_tokens_per_second");
  Cells cells = {
      {"model", "threads", "sessions", "tokens/s", "min .. max", "of one", "in a pass", "gap ms", "p95", "p99"}};
  if (arriving) cells.front().insert(cells.front().end(), {"prompt/s", "of alone"});
  const Run* one = nullptr;
  for (const Run* run : rows) {
    if (one == nullptr || run->test.batch == 1) one = run;
    const Summary rate = summary(run->at("tokens_per_second").values), gap = summary(run->at("gap_seconds").values);
    Row row = {
        run->subject->name,
        std::to_string(run->test.threads),
        std::to_string(run->test.batch),
        formatted("%.2f", rate.median),
        formatted("%.2f .. %.2f", rate.min, rate.max),
        one->test.batch == 1 ? formatted("%.2f x", rate.median / median(one->at("tokens_per_second").values)) : "-",
        formatted("%.2f", fact(*run, "sessions_in_a_pass")),
        milliseconds(gap.median),
        milliseconds(gap.p95),
        milliseconds(gap.p99)};
    if (arriving) {
      const double prompt = median(run->at("arriving_tokens_per_second").values);
      row.push_back(formatted("%.2f", prompt));
      row.push_back(formatted("%.0f %%", 100 * prompt / fact(*run, "arriving_alone_tokens_per_second")));
    }
    cells.push_back(std::move(row));
  }
  return cells;
}

Cells comparison_cells(const std::vector<Comparison>& comparisons) {
  Cells cells = {{"compared", "with", "test", "rounds", "tokens/s", "of", "ratio", "99 % interval", "verdict"}};
  for (const Comparison& comparison : comparisons) {
    for (const ComparedTest& test : comparison.tests) {
      cells.push_back({comparison.candidate, comparison.baseline, test.test, std::to_string(test.candidate.size()),
                       formatted("%.2f", median(test.candidate)), formatted("%.2f", median(test.baseline)),
                       formatted("%.3f", test.speed.ratio), formatted("%.3f .. %.3f", test.speed.low, test.speed.high),
                       test.verdict()});
    }
  }
  return cells;
}

std::string saved(double before, double now) { return formatted("%.0f %%", 100 * (1 - now / before)); }

Cells sixteen_bits_cells(const std::vector<AgainstSixteenBits>& rows) {
  const bool energy = std::ranges::any_of(rows, [](const auto& row) { return row.ternary_joules.has_value(); });
  Cells cells = {
      {"shape", "params", "packing", "threads", "test", "16 bits by", "tokens/s", "ternary", "ratio", "99 % interval"}};
  if (energy) cells.front().insert(cells.front().end(), {"J/token", "ternary", "saved"});
  for (const AgainstSixteenBits& row : rows) {
    const bool both = row.sixteen > 0;
    cells.push_back({row.shape, parameters_text(row.parameters), row.packing, row.threads, row.test,
                     both ? row.program : "-", both ? formatted("%.2f", row.sixteen) : "-",
                     formatted("%.2f", row.ternary), both ? formatted("%.2f", row.ternary / row.sixteen) : "-",
                     row.speed ? formatted("%.2f .. %.2f", row.speed->low, row.speed->high) : "-"});
    if (!energy) continue;
    const auto joules = [](const std::optional<double>& value) { return value ? formatted("%.3f", *value) : "-"; };
    const bool compared = row.sixteen_joules && row.ternary_joules;
    cells.back().insert(cells.back().end(), {joules(row.sixteen_joules), joules(row.ternary_joules),
                                             compared ? saved(*row.sixteen_joules, *row.ternary_joules) : "-"});
  }
  return cells;
}

Rows runs_of(const Document& document, std::initializer_list<Kind> kinds) {
  Rows rows;
  for (const Run& run : document.runs) {
    if (std::ranges::find(kinds, run.test.kind) != kinds.end()) rows.push_back(&run);
  }
  return rows;
}

}  // namespace

std::string as_table(const Document& document, bool markdown) {
  std::string text;
  const auto add = [&](const Cells& cells, size_t first_number) {
    text += (text.empty() ? "" : "\n") + aligned(cells, markdown, first_number);
  };
  const auto add_runs = [&](std::initializer_list<Kind> kinds, auto cells_of, size_t first_number) {
    const Rows rows = runs_of(document, kinds);
    if (rows.empty()) return;
    Cells cells = cells_of(rows);
    add_energy(rows, cells);
    add(cells, first_number);
  };
  if (!document.against_sixteen_bits.empty()) {
    add(sixteen_bits_cells(document.against_sixteen_bits), 6);
  } else if (document.comparisons.empty()) {
    add_runs({Kind::prompt, Kind::generation}, speed_cells, 8);
  } else {
    add(comparison_cells(document.comparisons), 3);
  }
  add_runs({Kind::scenario}, scenario_cells, 1);
  for (const ScenarioSummary& s : scenario_summaries(document)) {
    text += formatted("%s, %u threads: generation varies by %.1f %% from scenario to scenario; a prompt's token takes",
                      s.subject->name.c_str(), s.threads, 100 * s.generation_variation);
    for (const auto& [tokens, ms] : s.prompt_ms) {
      text += formatted("%s %.2f ms of %u", tokens == s.prompt_ms.front().first ? "" : ",", ms, tokens);
    }
    text += "\n";
  }
  add_runs({Kind::forward}, forward_cells, 1);
  add_runs({Kind::sessions}, session_cells, 1);
  for (const std::string& line : document.advice) text += "\n" + line + "\n";
  return text;
}

std::vector<ScenarioSummary> scenario_summaries(const Document& document) {
  std::vector<ScenarioSummary> summaries;
  std::vector<std::vector<double>> rates;
  for (const Run* run : runs_of(document, {Kind::scenario})) {
    if (summaries.empty() || summaries.back().subject != run->subject.get() ||
        summaries.back().threads != run->test.threads) {
      summaries.push_back({run->subject.get(), run->test.threads, {}, 0});
      rates.emplace_back();
    }
    summaries.back().prompt_ms.emplace_back(run->test.prompt,
                                            1e3 * median(run->at("first_token_seconds").values) / run->test.prompt);
    rates.back().push_back(median(run->at("tokens_per_second").values));
    summaries.back().generation_variation = variation(rates.back());
  }
  std::erase_if(summaries, [](const ScenarioSummary& s) { return s.prompt_ms.size() < 2; });
  for (ScenarioSummary& s : summaries) std::ranges::sort(s.prompt_ms);
  return summaries;
}

std::string as_e2e(const Document& document) {
  Cells cells = {{"model", "size", "params", "backend", "threads", "n_batch", "pp", "tg", "pp(t/s)", "tg(t/s)"}};
  for (const Run* pp : runs_of(document, {Kind::prompt})) {
    for (const Run* tg : runs_of(document, {Kind::generation})) {
      if (pp->subject != tg->subject || pp->test.threads != tg->test.threads || pp->test.depth != tg->test.depth)
        continue;
      const Subject& subject = *pp->subject;
      cells.push_back({subject.name, bytes_text(subject.file_bytes), parameters_text(subject.parameters), "CPU",
                       std::to_string(pp->test.threads), std::to_string(pp->test.prompt),
                       std::to_string(pp->test.prompt), std::to_string(tg->test.generate),
                       plus_minus(pp->at("tokens_per_second").values), plus_minus(tg->at("tokens_per_second").values)});
    }
  }
  return aligned(cells, true, 3);
}

}  // namespace bitnet::program
