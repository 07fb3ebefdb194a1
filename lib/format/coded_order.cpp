// SPDX-License-Identifier: MIT
#include "format/coded_order.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iomanip>
#include <locale>
#include <numeric>
#include <random>
#include <span>
#include <sstream>

#include "base/parallel.h"

namespace bitnet {
namespace {

// Decoys are orders that nobody writes, to see what chance gives. The first try is no decoy.
constexpr size_t kTries = 1 + 32, kStreamTries = 1 + 16;
constexpr size_t kBlock = 128;         // decoys shuffle channels within what one block of I2_S's x86 order holds
constexpr uint32_t kGroups = 16;       // of four rows, looked at in each matrix
constexpr uint32_t kStreamGroups = 4;  // of them, multiplied with tokens
constexpr size_t kMostTokens = 8;
constexpr size_t kMostChannels = 1 << 13;  // that a token is multiplied by: bounds memory

// An order is accepted if its distance from the decoys' mean is at least kDeviations of their standard deviations and
// at least kLead times that of each other order. x86's and Arm's orders agree in a quarter of all columns, so the wrong
// one of the two stands out a little too.
constexpr double kDeviations = 12, kLead = 2;

using Tries = std::array<double, kTries>;
using StreamTries = std::array<double, kStreamTries>;

// The true order of channels, then decoys. All matrices over the same channels share them, so that what the matrices
// have in common counts as chance where it is.
class Permutations {
 public:
  explicit Permutations(size_t channels) {
    std::minstd_rand random(static_cast<uint32_t>(channels));
    for (auto& places : places_) {
      places.resize(channels);
      std::iota(places.begin(), places.end(), 0U);
    }
    for (size_t p = 1; p < kTries; ++p) {
      for (size_t begin = 0; begin < channels; begin += kBlock) {
        const size_t size = std::min(kBlock, channels - begin);
        for (size_t i = size; i > 1; --i) std::swap(places_[p][begin + i - 1], places_[p][begin + random() % i]);
      }
    }
  }
  const std::vector<uint32_t>& operator[](size_t p) const { return places_[p]; }
  size_t channels() const { return places_[0].size(); }

 private:
  std::array<std::vector<uint32_t>, kTries> places_;
};

// Values less their mean, over the root of the sum of their squares; zeros if they are all equal.
void normalize(std::vector<double>& values) {
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  double squares = 0;
  for (double& value : values) {
    value -= mean;
    squares += value * value;
  }
  const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
  for (double& value : values) value *= scale;
}

// Normalized ranks, equal values having equal ones: norms may have a few huge gains.
std::vector<double> ranks(const std::vector<float>& values) {
  std::vector<float> sorted = values;
  std::ranges::sort(sorted);
  std::vector<double> result;
  for (const float value : values) {
    const auto [low, high] = std::equal_range(sorted.begin(), sorted.end(), value);
    result.push_back(static_cast<double>((low - sorted.begin()) + (high - sorted.begin())));
  }
  normalize(result);
  return result;
}

// Tokens' embeddings, channel by channel, in every try's order.
class Stream {
 public:
  Stream(const std::vector<float>& embedding, size_t hidden, const Permutations& places)
      : channels_(std::min(hidden, kMostChannels)), tokens_(std::min(embedding.size() / hidden, kMostTokens)) {
    values_.resize(channels_ * width());
    squares_.resize(channels_ * kStreamTries);
    for (size_t p = 0; p < kStreamTries; ++p) {
      for (size_t i = 0; i < channels_; ++i) {
        for (size_t t = 0; t < tokens_; ++t) {
          const float value = embedding[t * hidden + places[p][i]];
          values_[i * width() + p * tokens_ + t] = value;
          squares_[i * kStreamTries + p] += value * value;
        }
      }
    }
  }

  size_t channels() const { return channels_; }
  size_t tokens() const { return tokens_; }
  size_t width() const { return kStreamTries * tokens_; }
  const float* values(size_t channel) const { return &values_[channel * width()]; }
  float square(size_t channel, size_t p) const { return squares_[channel * kStreamTries + p]; }

 private:
  size_t channels_, tokens_;
  std::vector<float> values_, squares_;
};

// What one matrix says in one order.
struct Score {
  Tries density{};       // correlation of the columns' share of nonzero weights with the gains, in standard deviations
  StreamTries energy{};  // log of the tokens' mean square product with the rows, over that of unrelated signs
};

// Squares of the products of four rows with all tokens in all tries.
void add_products(const Stream& stream, const int8_t* rows, size_t cols, StreamTries& sum) {
  const size_t width = stream.width();
  std::vector<float> products(4 * width);
  for (size_t i = 0; i < stream.channels(); ++i) {
    for (size_t r = 0; r < 4; ++r) {
      const auto weight = static_cast<float>(rows[r * cols + i]);
      if (weight == 0) continue;
      for (size_t j = 0; j < width; ++j) products[r * width + j] += weight * stream.values(i)[j];
    }
  }
  for (size_t r = 0; r < 4; ++r) {
    for (size_t j = 0; j < width; ++j) {
      const double product = products[r * width + j];
      sum[j / stream.tokens()] += product * product;
    }
  }
}

Tries correlate(std::vector<double> density, const std::vector<double>& gains, const Permutations& places) {
  Tries result{};
  if (gains.size() != density.size()) return result;
  normalize(density);
  for (size_t p = 0; p < kTries; ++p) {
    for (size_t i = 0; i < density.size(); ++i) result[p] += density[i] * gains[places[p][i]];
    result[p] *= std::sqrt(static_cast<double>(density.size()));
  }
  return result;
}

Score score(const OrderSample& sample, const CodedMatrix& matrix, const std::vector<double>& gains,
            const Permutations& places, const Stream& stream) {
  const size_t cols = sample.cols;
  const uint32_t all = sample.rows / 4, groups = std::min(all, kGroups);
  std::minstd_rand random(sample.rows);
  std::vector<int8_t> rows(4 * cols);
  std::vector<double> nonzero(cols), stream_nonzero(cols);
  StreamTries products{};
  for (uint32_t g = 0; g < groups; ++g) {
    // One of each stretch of groups, so that they do not fall in step with heads.
    const uint32_t begin = static_cast<uint32_t>(uint64_t{all} * g / groups);
    const uint32_t end = static_cast<uint32_t>(uint64_t{all} * (g + 1) / groups);
    const uint32_t group = begin + static_cast<uint32_t>(random() % (end - begin));
    for (uint32_t r = 0; r < 4; ++r) matrix.read(4 * group + r, &rows[r * cols]);
    for (size_t r = 0; r < 4; ++r) {
      for (size_t i = 0; i < cols; ++i) nonzero[i] += rows[r * cols + i] != 0;
    }
    if (!sample.reads_stream || g % (kGroups / kStreamGroups) != 0) continue;
    add_products(stream, rows.data(), cols, products);
    for (size_t r = 0; r < 4; ++r) {
      for (size_t i = 0; i < cols; ++i) stream_nonzero[i] += std::abs(rows[r * cols + i]);
    }
  }
  Score result;
  result.density = correlate(std::move(nonzero), gains, places);
  if (!sample.reads_stream) return result;
  for (size_t p = 0; p < kStreamTries; ++p) {
    double unrelated = 0;
    for (size_t i = 0; i < stream.channels(); ++i) unrelated += stream_nonzero[i] * stream.square(i, p);
    if (products[p] > 0 && unrelated > 0) result.energy[p] = std::log(products[p] / unrelated);
  }
  return result;
}

// How far the first try stands out of the decoys: above their mean, and that in their standard deviations.
struct Standing {
  double lead = 0, deviations = 0;
};

Standing standing(std::span<const double> tries, double least_deviation) {
  const auto decoys = tries.subspan(1);
  const auto count = static_cast<double>(decoys.size());
  const double mean = std::accumulate(decoys.begin(), decoys.end(), 0.0) / count;
  double squares = 0;
  for (const double decoy : decoys) squares += (decoy - mean) * (decoy - mean);
  const double deviation = std::max(std::sqrt(squares / (count - 1)), least_deviation);
  return {tries[0] - mean, (tries[0] - mean) / deviation};
}

// The order that one kind of evidence shows, if it does.
std::optional<size_t> stands_out(const std::vector<Standing>& orders) {
  for (size_t o = 0; o < orders.size(); ++o) {
    const bool leads = std::ranges::all_of(
        orders, [&](const Standing& other) { return &other == &orders[o] || orders[o].lead >= kLead * other.lead; });
    if (leads && orders[o].deviations >= kDeviations) return o;
  }
  return std::nullopt;
}

std::string describe(std::span<const char* const> names, const std::vector<Standing>& density,
                     const std::vector<Standing>& energy) {
  std::ostringstream text;
  text.exceptions(std::ios::badbit);  // so that memory that runs out is an error
  text.imbue(std::locale::classic());
  text << std::fixed << std::setprecision(1);
  for (size_t o = 0; o < names.size(); ++o) {
    text << (o == 0 ? "" : ", ") << names[o] << ' ' << density[o].deviations << " and " << energy[o].deviations;
  }
  return std::move(text).str();
}

}  // namespace

FoundOrder find_order(std::span<const char* const> names, const std::vector<OrderSample>& samples,
                      const std::vector<float>& embedding, size_t hidden) {
  if (samples.empty()) return {std::nullopt, "all matrices are too wide to look at"};
  std::vector<Permutations> channels;
  const auto places = [&](size_t count) { return std::ranges::find(channels, count, &Permutations::channels); };
  const auto add_channels = [&](size_t count) {
    if (places(count) == channels.end()) channels.emplace_back(count);
  };
  add_channels(hidden);
  for (const OrderSample& sample : samples) add_channels(sample.cols);
  const Stream stream(embedding, hidden, *places(hidden));

  const size_t orders = names.size();
  std::vector<std::vector<Score>> scores(samples.size(), std::vector<Score>(orders));
  parallel_for(samples.size(), [&](size_t s) {
    const OrderSample& sample = samples[s];
    const std::vector<double> gains = ranks(sample.gains);
    for (size_t o = 0; o < orders; ++o) {
      if (sample.orders[o] == nullptr || sample.rows < 4) continue;
      scores[s][o] = score(sample, *sample.orders[o], gains, *places(sample.cols), stream);
    }
  });

  std::vector<Standing> density(orders), energy(orders);
  for (size_t o = 0; o < orders; ++o) {
    // Correlations may have either sign, so their root mean square counts.
    Tries squares{};
    StreamTries logs{};
    for (const auto& score : scores) {
      for (size_t p = 0; p < kTries; ++p) squares[p] += score[o].density[p] * score[o].density[p];
      for (size_t p = 0; p < kStreamTries; ++p) logs[p] += score[o].energy[p];
    }
    for (double& value : squares) value = std::sqrt(value / static_cast<double>(samples.size()));
    for (double& value : logs) value /= static_cast<double>(samples.size());
    density[o] = standing(squares, 0.05);
    energy[o] = standing(logs, 0.01);
  }
  const auto by_density = stands_out(density), by_energy = stands_out(energy);
  FoundOrder result{std::nullopt, describe(names, density, energy)};
  // One kind of evidence is enough, if the other does not contradict it.
  if (by_density && by_energy && *by_density != *by_energy) return result;
  result.order = by_density ? by_density : by_energy;
  return result;
}

}  // namespace bitnet
