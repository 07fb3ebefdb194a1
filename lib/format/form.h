// SPDX-License-Identifier: MIT
// Decides in which types a converted model is stored: by what its weights are, how it was trained, and what the caller
// asks for.
#pragma once

#include <string>
#include <vector>

#include "format/converter.h"
#include "format/source.h"
#include "format/tensor_types.h"

namespace bitnet {

struct Form {
  fb::Type linear, embedding, head;
  bool head_copied = false;  // a tied model has a head beside its embedding
  bool screen = false;       // there is a screen beside the head
  bool rounded = false;      // linears become ternary by BitNet's rule, if they are not
};

fb::Type dense_type(Dense dense);
// The form with the head that is asked for, where its type leaves a choice.
Form with_head(Form form, HeadType head);

// Looks through the first layer, and through embedding and head where these may be ternary. Throws if the model cannot
// be converted as asked.
Form choose_form(const Source& source, const std::vector<TensorSpec>& specs, const HyperParameters& hyper, bool tied,
                 const ConverterOptions& options);

// What the linears of the first layer show, whom those of all others are taken to be like.
struct Survey {
  bool ternary = true;
  uint32_t group = 0;        // the smallest; 0: none has groups
  std::string grouped;       // the last tensor that has
  std::string not_ternary;   // the first reason, with the tensor's name
  bool scales_alone = true;  // every matrix has one scale
};
Survey survey(const Source& source, const std::vector<TensorSpec>& specs);
// Of a ternary model.
ActivationBits choose_bits(const Source& source, const Survey& found, const ConverterOptions& options);

// The scales of a matrix that is to be stored in this ternary type. Throws if it cannot be.
TernaryScales scales_for(const Source& source, const TensorSpec& spec, fb::Type type, bool rounded);

}  // namespace bitnet
