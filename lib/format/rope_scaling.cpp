// SPDX-License-Identifier: MIT
#include "format/rope_scaling.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace bitnet {
namespace {

// The factor by which `from` divides to `to`: of the rounded quotient and its neighbours the one that comes nearest.
float factor_between(float from, float to) {
  const float rounded = from / to;
  float best = rounded;
  for (const float candidate : {std::nextafter(rounded, 0.0f), std::nextafter(rounded, INFINITY)}) {
    if (std::fabs(from / candidate - to) < std::fabs(from / best - to)) best = candidate;
  }
  return best;
}

// `scaled` gives the new frequency of a pair from its period, which is one by the old frequency (engine/rope.cpp).
template <typename Scaled>
RopeScaling scale(const RopeBase& base, const Scaled& scaled) {
  RopeScaling result;
  for (uint32_t pair = 0; pair < base.head_dim / 2; ++pair) {
    const float exponent = static_cast<float>(2 * pair) / static_cast<float>(base.head_dim);
    const auto period = static_cast<float>(std::pow(static_cast<double>(base.theta), static_cast<double>(exponent)));
    const float factor = factor_between(1 / period, scaled(pair, period));
    require(std::isfinite(factor) && factor > 0, BITNET_ERROR_FORMAT,
            "the parameters that scale the rotary embedding make no sense: they divide frequency ", pair, " by ",
            factor);
    result.factors.push_back(factor);
  }
  return result;
}

}  // namespace

RopeScaling scale_rope_linearly(const RopeBase& base, float factor) {
  return scale(base, [factor](uint32_t, float period) { return 1 / period / factor; });
}

RopeScaling scale_rope_as_llama3(const RopeBase& base, const Llama3Scaling& scaling) {
  const auto context = static_cast<float>(scaling.original_context);
  const float low = scaling.low_frequency_factor, high = scaling.high_frequency_factor;
  const float longest = context / low, shortest = context / high;
  return scale(base, [&](uint32_t, float period) {
    const float original = 1 / period, wave = 2 * std::numbers::pi_v<float> / original;
    if (wave > longest) return original / scaling.factor;
    if (wave < shortest) return original;
    const float smooth = (context / wave - low) / (high - low);
    return (1 - smooth) * original / scaling.factor + smooth * original;
  });
}

RopeScaling scale_rope_by_yarn(const RopeBase& base, const YarnScaling& scaling) {
  // The pair that turns this often over the original context.
  const auto pair_of = [&](double turns) {
    return base.head_dim * std::log(scaling.original_context / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(static_cast<double>(base.theta)));
  };
  double low = pair_of(scaling.beta_fast), high = pair_of(scaling.beta_slow);
  if (scaling.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, base.head_dim - 1.0);
  if (low == high) high += 0.001;
  const auto begin = static_cast<float>(low), length = static_cast<float>(high - low);
  const auto factor = static_cast<float>(scaling.factor);
  RopeScaling result = scale(base, [&](uint32_t pair, float period) {
    const float kept = 1 - std::clamp((static_cast<float>(pair) - begin) / length, 0.0f, 1.0f);
    return 1 / (factor * period) * (1 - kept) + 1 / period * kept;
  });
  result.magnitude = static_cast<float>(scaling.magnitude);
  return result;
}

RopeScaling scale_rope_by_long(const RopeBase& base, LongScaling scaling) {
  for (const auto* factors : {&scaling.short_factors, &scaling.long_factors}) {
    require(factors->size() == base.head_dim / 2, BITNET_ERROR_FORMAT, "the rotary embedding has ", factors->size(),
            " factors; a head has ", base.head_dim / 2, " pairs");
    const auto bad = std::ranges::find_if(*factors, [](float f) { return !(f > 0 && std::isfinite(f)); });
    require(bad == factors->end(), BITNET_ERROR_FORMAT, "a factor of the rotary embedding is ",
            bad == factors->end() ? 0 : *bad, "; it must be positive");
  }
  const double stretch = std::log(std::max(scaling.context / scaling.original_context, 1.0));
  RopeScaling result{.factors = std::move(scaling.short_factors)};
  if (stretch > 0) result.magnitude = static_cast<float>(std::sqrt(1 + stretch / std::log(scaling.original_context)));
  return result;
}

double reach_of(const LongScaling& scaling) {
  return scaling.short_factors == scaling.long_factors ? scaling.context
                                                       : std::min(scaling.context, scaling.original_context);
}

double yarn_magnitude(double factor, double mscale) { return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1; }

}  // namespace bitnet
