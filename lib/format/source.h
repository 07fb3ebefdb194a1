// SPDX-License-Identifier: MIT
// Where the converter reads a model from: a GGUF file, a Hugging Face folder, or a .bitnet file in another form.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "format/container.h"
#include "format/gguf.h"
#include "format/i2s.h"
#include "model/architecture.h"

namespace bitnet {

// What a look through a whole matrix has found.
struct TernaryScales {
  // Positive: one; one for each row; or, with `group`, rows x groups of a row, row by row.
  std::vector<float> scales = {};
  uint32_t group = 0;      // columns that share a scale, 128 or 64, but for the last ones of a row; 0: all of a row
  float inverse_mean = 0;  // nonzero: the weights are to be rounded, w * inverse_mean to the nearest of -1, 0, 1
  double mean = 0;         // of all |w|, where it had to be looked for
  std::string not_ternary = {};  // why the matrix is not ternary, for messages; then there are no scales
  bool is_ternary() const { return not_ternary.empty(); }
};

// How exactly a ternary model takes its activations.
enum class ActivationBits : uint8_t {
  int8,   // as BitNet b1.58 was trained: one step for a token
  int16,  // published in float: one step for each group of columns
};

// Reading rows is safe from several threads at once.
class Source {
 public:
  virtual ~Source() = default;

  // The metadata without the tensors.
  virtual fb::ModelT describe() const = 0;
  virtual bool has(std::string_view name) const = 0;
  // What the source itself calls a tensor that it has, for messages.
  virtual std::string own_name(const TensorSpec& spec) const { return spec.name; }
  // Throws unless the source consists of just these tensors, in these shapes.
  virtual void check(const std::vector<TensorSpec>& specs) const = 0;

  // The tensor in exactly this form, if that is how the source holds it.
  virtual std::optional<Tensor> stored(const TensorSpec& spec, fb::Type type) const = 0;
  // Whether the model was trained with activations in int8; null: the source does not say.
  virtual std::optional<ActivationBits> activation_bits() const = 0;
  virtual TernaryScales ternary_scales(const TensorSpec& spec) const = 0;
  // `count` rows of spec.cols values each. Of the scales only inverse_mean counts. Trits: row and count are multiples
  // of 16, but for the end of the matrix.
  virtual void read_trits(const TensorSpec& spec, const TernaryScales& scales, uint32_t row, uint32_t count,
                          int8_t* out) const = 0;
  virtual void read_values(const TensorSpec& spec, uint32_t row, uint32_t count, float* out) const = 0;
  // These rows will not be read again soon: their pages need not stay in memory.
  virtual void release(const TensorSpec& spec, uint32_t row, uint32_t count) const = 0;
};

// What to make of ternary matrices that come as numbers other than -s, 0 and s.
enum class Quantize : uint8_t {
  refuse,
  absmean,  // BitNet b1.58's rule: s the mean of |w|, each weight the nearest of -s, 0, s to it
};

struct GgufSourceOptions {
  I2sLayout layout = I2sLayout::automatic;
  bool mapped = false;  // the parts are mappings whose pages can be dropped
  std::optional<fb::Activation> activation = {};
  Log log = {};
};
// All parts of a model in turn, which must outlive the source.
std::unique_ptr<Source> open_gguf_source(std::span<const std::span<const std::byte>> parts,
                                         const GgufSourceOptions& options);
std::unique_ptr<Source> open_container_source(std::shared_ptr<const Container> container);

}  // namespace bitnet
