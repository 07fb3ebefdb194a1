// SPDX-License-Identifier: MIT
#include "bench/advice.h"

#include <algorithm>
#include <map>

#include "bench/statistics.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

constexpr double kAsGood = 0.97;  // of the best: fewer threads that reach it are the better choice

// The median rate of the last test of a kind, by threads.
using Rates = std::map<uint32_t, double>;

struct Best {
  uint32_t threads;
  double rate;
};

Best best_of(const Rates& rates) {
  double most = 0;
  for (const auto& [_, rate] : rates) most = std::max(most, rate);
  const auto found = std::ranges::find_if(rates, [&](const auto& entry) { return entry.second >= kAsGood * most; });
  return {found->first, found->second};
}

std::string counted(uint32_t threads) { return formatted("%u %s", threads, threads == 1 ? "thread" : "threads"); }

std::string sentence(const std::string& model, const Rates& prompts, const Rates& generation) {
  std::string text = model + ": ";
  if (prompts.size() > 1) {
    const Best best = best_of(prompts);
    text += formatted("prompts are best with %s (%.1f tokens/s)", counted(best.threads).c_str(), best.rate);
  }
  if (generation.size() > 1) {
    const Best best = best_of(generation);
    text += formatted("%sgeneration with %s (%.1f tokens/s)", prompts.size() > 1 ? ", " : "",
                      counted(best.threads).c_str(), best.rate);
    if (best.threads < generation.rbegin()->first) {
      text += "; more threads do not help generation, whose weights come from memory no faster";
    } else {
      text += "; more threads may help further, if the machine has more";
    }
  }
  return text + ".";
}

}  // namespace

std::vector<uint32_t> thread_sweep(uint32_t most) {
  std::vector<uint32_t> threads;
  for (uint32_t n = 1; n < most; n = n < 4 ? n + 1 : (n & (n - 1)) == 0 ? n * 3 / 2 : n * 4 / 3) threads.push_back(n);
  threads.push_back(most);
  return threads;
}

std::vector<std::string> thread_advice(const Document& document) {
  std::vector<std::string> advice;
  std::vector<const Subject*> seen;
  for (const Run& of : document.runs) {
    if (std::ranges::find(seen, of.subject.get()) != seen.end()) continue;
    seen.push_back(of.subject.get());
    Rates prompts, generation;
    for (const Run& run : document.runs) {
      if (run.subject != of.subject || !run.part.empty() || run.test.depth != 0) continue;
      if (run.test.kind == Kind::prompt) prompts[run.test.threads] = median(run.at("tokens_per_second").values);
      if (run.test.kind == Kind::generation) generation[run.test.threads] = median(run.at("tokens_per_second").values);
    }
    if (prompts.size() > 1 || generation.size() > 1) {
      advice.push_back(sentence(of.subject->name, prompts, generation));
    }
  }
  return advice;
}

}  // namespace bitnet::program
