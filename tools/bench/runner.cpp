// SPDX-License-Identifier: MIT
#include "bench/runner.h"

#include <algorithm>
#include <numeric>

#include "bench/statistics.h"
#include "bench/together.h"
#include "terminal.h"

namespace bitnet::program {

std::vector<bitnet_token> some_tokens(uint32_t count, uint32_t vocabulary, uint32_t seed) {
  std::vector<bitnet_token> tokens(count);
  uint32_t state = seed;
  for (bitnet_token& token : tokens) {
    state = state * 1664525 + 1013904223;
    token = static_cast<bitnet_token>((state >> 8) % vocabulary);
  }
  return tokens;
}

namespace {

// Of a rate at which the weights are only read, so that one neighbour's burst does not count.
double reading_rate(const TokenWeights& weights, unsigned threads) {
  std::vector<double> rates(5);
  for (double& rate : rates) rate = weights.read(threads);
  return median(std::move(rates));
}

// The tokens of a scenario: its first comes from the prompt.
uint32_t steps_of(const Test& test) { return test.kind == Kind::scenario ? test.generate - 1 : test.generate; }

uint64_t tokens_of(const Test& test) { return uint64_t{test.batch} * (test.prompt + test.generate); }

}  // namespace

Runner::Runner(bitnet_model* model, uint32_t context, uint32_t batch, const RunnerOptions& options)
    : options_(options),
      engine_(make_engine(model, {options.threads, options.kv, options.threads})),
      tokens_(some_tokens(context, model_info(model).vocabulary, 1)),
      wanted_(model_info(model).head == std::string_view("none") ? BITNET_LOGITS_NONE : BITNET_LOGITS_LAST) {
  for (uint32_t i = 0; i < batch; ++i) sessions_.push_back(make_session(model, engine_.get(), context, options.kv));
  bitnet_sampler* sampler = nullptr;
  check(bitnet_sampler_create(nullptr, &sampler));
  greedy_.reset(sampler);
}

void Runner::measure(Run& run, uint32_t warmups, uint32_t repetitions) {
  const Test& test = run.test;
  reset_peak();
  fill(test.depth);
  ProgressBar bar(formatted("%s, %u %s", test.name().c_str(), test.threads, test.threads == 1 ? "thread" : "threads"),
                  ProgressBar::Unit::tokens);
  const uint64_t total = uint64_t{warmups + repetitions} * tokens_of(test);
  for (uint32_t i = 0; i < warmups + repetitions; ++i) {
    if (i < warmups) {
      warm(test);
    } else {
      sample(run);
    }
    bar.update((i + 1) * tokens_of(test), total);
  }
  run.memory = process_memory();
}

void Runner::warm(const Test& test) {
  fill(test.depth);
  if (test.kind == Kind::forward) {
    forward(test);
  } else {
    once(test);
  }
}

void Runner::sample(Run& run) {
  fill(run.test.depth);
  const double before = options_.energy != nullptr ? options_.energy->joules() : 0;
  const Sample sample = run.test.kind == Kind::forward ? forward(run.test) : once(run.test);
  add(run, sample, options_.energy != nullptr ? options_.energy->joules() - before : 0);
}

void Runner::fill(uint32_t depth) {
  constexpr uint32_t kAtOnce = 256;
  bitnet_session* const session = sessions_.front().get();
  uint32_t position = std::min(bitnet_session_position(session), depth);
  check(bitnet_session_rewind(session, position));
  ProgressBar bar("context", ProgressBar::Unit::tokens);
  while (position < depth) {
    const uint32_t count = std::min(kAtOnce, depth - position);
    check(bitnet_eval(session, tokens_.data() + position, count, BITNET_LOGITS_NONE));
    position += count;
    bar.update(position, depth);
  }
}

Runner::Sample Runner::once(const Test& test) {
  bitnet_session* const session = sessions_.front().get();
  const bitnet_token* const tokens = tokens_.data() + test.depth;
  bitnet_session_reset_perf(session);
  Sample sample;
  sample.token_seconds.reserve(steps_of(test));
  const Stopwatch time;
  bitnet_token token = tokens[0];
  if (test.prompt > 0) {
    check(bitnet_eval(session, tokens, test.prompt, wanted_));
    token = next_after(tokens[test.prompt - 1]);
    sample.prompt_seconds = time.seconds();
  }
  double last = sample.prompt_seconds;
  for (uint32_t i = 0; i < steps_of(test); ++i) {
    check(bitnet_eval(session, &token, 1, BITNET_LOGITS_LAST));
    token = next_after(tokens[i]);
    const double now = time.seconds();
    sample.token_seconds.push_back(now - last);
    last = now;
  }
  sample.seconds = last;
  add_computing(sample, (test.prompt > 0) + steps_of(test));
  return sample;
}

Runner::Sample Runner::forward(const Test& test) {
  for (const Session& session : sessions_) check(bitnet_session_rewind(session.get(), 0));
  StartingLine line(test.batch);
  std::vector<Stopwatch> times(test.batch);  // this thread may come to run when they are done
  Threads threads;
  for (uint32_t i = 0; i < test.batch; ++i) {
    threads.start([&, i] {
      line.wait();
      times[i] = Stopwatch();
      check(bitnet_eval(sessions_[i].get(), tokens_.data(), test.prompt, wanted_));
    });
  }
  threads.join();
  Sample sample;
  for (const Stopwatch& time : times) sample.seconds = std::max(sample.seconds, time.seconds());
  sample.prompt_seconds = sample.seconds;
  return sample;
}

// What the user of a model does between two tokens.
bitnet_token Runner::next_after(bitnet_token token) {
  if (wanted_ == BITNET_LOGITS_NONE) return token;
  bitnet_session* const session = sessions_.front().get();
  if (options_.logits) {
    const float* logits = nullptr;
    check(bitnet_session_logits(session, 0, &logits));
  } else {
    check(bitnet_sample(greedy_.get(), session, &token));
  }
  return token;
}

void Runner::add_computing(Sample& sample, size_t calls) const {
  bitnet_perf perf = {};
  perf.size = sizeof perf;
  check(bitnet_session_get_perf(sessions_.front().get(), &perf));
  const double computing = 1e-9 * static_cast<double>(perf.prompt_ns + perf.generated_ns + perf.sample_ns);
  sample.computing = computing / sample.seconds;
  sample.call_seconds = std::max(0.0, sample.seconds - computing) / static_cast<double>(calls);
}

void Runner::add(Run& run, const Sample& sample, double joules) const {
  const Test& test = run.test;
  const double generating = std::accumulate(sample.token_seconds.begin(), sample.token_seconds.end(), 0.0);
  const auto steps = static_cast<double>(sample.token_seconds.size());
  switch (test.kind) {
    case Kind::prompt:
      run.add("tokens_per_second", test.prompt / sample.seconds);
      break;
    case Kind::generation:
      run.add("tokens_per_second", steps / sample.seconds);
      if (options_.weights != nullptr) {
        const double reading = reading_rate(*options_.weights, test.threads);
        run.add("reading_bytes_per_second", reading);
        run.add("reading_share", steps / sample.seconds * static_cast<double>(options_.weights->bytes()) / reading);
      }
      break;
    case Kind::scenario:
      run.add("tokens_per_second", steps / generating);
      run.add("prompt_tokens_per_second", test.prompt / sample.prompt_seconds);
      run.add("first_token_seconds", sample.prompt_seconds);
      run.add("total_seconds", sample.seconds);
      break;
    case Kind::forward:
      run.add("tokens_per_second", test.batch * test.prompt / sample.seconds);
      run.add("samples_per_second", test.batch / sample.seconds);
      break;
    case Kind::sessions:
      break;
  }
  if (test.kind != Kind::forward) {
    run.add("computing_share", sample.computing);
    run.add("call_overhead_seconds", sample.call_seconds);
  }
  if (!sample.token_seconds.empty()) run.token_seconds.push_back(sample.token_seconds);
  if (options_.energy != nullptr) run.add("joules_per_token", joules / static_cast<double>(tokens_of(test)));
}

}  // namespace bitnet::program
