// SPDX-License-Identifier: MIT
#include "api/handles.h"
#include "engine/kernel_choice.h"

using namespace bitnet;

SamplerOptions bitnet::make_sampler_options(const bitnet_sampler_options* options) {
  const auto o = read_options(options, "bitnet_sampler_options");
  // Zero means the default, which the engine's struct has.
  SamplerOptions result;
  auto set = [](auto& member, auto value) {
    if (value != 0) member = value;
  };
  set(result.seed, o.seed);
  set(result.temperature, o.temperature);
  set(result.top_k, o.top_k);
  set(result.top_p, o.top_p);
  set(result.min_p, o.min_p);
  set(result.repetition_penalty, o.repetition_penalty);
  set(result.frequency_penalty, o.frequency_penalty);
  set(result.presence_penalty, o.presence_penalty);
  set(result.penalty_window, o.penalty_window);
  for (const bitnet_logit_bias& b : read_array(o.logit_bias, o.logit_bias_count, "logit_bias")) {
    result.logit_bias.push_back({b.token, b.bias});
  }
  return result;
}

bitnet_status bitnet_sampler_create(const bitnet_sampler_options* options, bitnet_sampler** sampler) {
  return guard([&] {
    require_pointer(sampler, "sampler");
    *sampler = new bitnet_sampler{Sampler(make_sampler_options(options))};
  });
}

void bitnet_sampler_free(bitnet_sampler* sampler) { delete sampler; }

void bitnet_sampler_reseed(bitnet_sampler* sampler, uint64_t seed) {
  if (sampler != nullptr) sampler->sampler.reseed(seed);
}

bitnet_status bitnet_sample(bitnet_sampler* sampler, bitnet_session* session, bitnet_token* token) {
  return guard([&] {
    require_pointer(sampler, "sampler");
    require_pointer(session, "session");
    require_pointer(token, "token");
    const auto kept = session->session;  // also if its handle is freed meanwhile
    *token = kept->sample(sampler->sampler);
  });
}

bitnet_status bitnet_sample_logits(bitnet_sampler* sampler, const float* logits, size_t count,
                                   const bitnet_token* recent, size_t recent_count, bitnet_token* token) {
  return guard([&] {
    require_pointer(sampler, "sampler");
    require_pointer(token, "token");
    if (sampler->kernels == nullptr) sampler->kernels = &choose_float_kernels();
    *token = sampler->sampler.sample(read_array(logits, count, "logits"), read_array(recent, recent_count, "recent"),
                                     *sampler->kernels);
  });
}
