// SPDX-License-Identifier: MIT
#include "format/form.h"

#include <algorithm>

#include "base/error.h"
#include "format/scale_finder.h"

namespace bitnet {
namespace {

constexpr const char* kRounding =
    "; to round such matrices by BitNet's rule, which loses what training did not prepare for, convert the model with "
    "the option quantize (bitnet_convert_options; --quantize)";

fb::Type grouped_type(uint32_t group) { return group == 64 ? fb::Type::g64 : fb::Type::g128; }

fb::Type ternary_type(const Source& source, const Survey& found, const ConverterOptions& options) {
  switch (choose_bits(source, found, options)) {
    case ActivationBits::int16:
      return grouped_type(found.group);
    case ActivationBits::int8:
      require(found.group == 0, BITNET_ERROR_UNSUPPORTED, "tensor ", found.grouped, " has a scale for each ",
              found.group, " columns, which is computed with activations of 16 bits only; ",
              options.activations ? "leave out the option activation_bits"
                                  : "its architecture asks for 8, with one scale for a matrix or a row");
      return type_of(options.packing);
  }
  return type_of(options.packing);
}

// Embedding or head of a model of groups: ternary as well, or plain numbers.
fb::Type plain_type(const Source& source, const TensorSpec& spec, fb::Type linear, const ConverterOptions& options) {
  const fb::Type plain = options.dense == Dense::f32 ? fb::Type::f32 : fb::Type::f16;
  if (!group_of(tensor_type(linear).numbers)) return plain;
  const TernaryScales found = source.ternary_scales(spec);
  return found.is_ternary() ? grouped_type(found.group) : plain;
}

}  // namespace

Survey survey(const Source& source, const std::vector<TensorSpec>& specs) {
  Survey result;
  for (const TensorSpec& spec : specs) {
    if (spec.role != Role::linear || spec.layer != 0) continue;
    const TernaryScales found = source.ternary_scales(spec);
    if (!found.is_ternary()) {
      result.ternary = false;
      result.not_ternary = "tensor " + source.own_name(spec) + ": " + found.not_ternary;
      return result;
    }
    if (found.group != 0) result.grouped = source.own_name(spec);
    if (found.group != 0) result.group = result.group == 0 ? found.group : std::min(result.group, found.group);
    result.scales_alone = result.scales_alone && found.scales.size() == 1;
  }
  return result;
}

// A model whose matrices have one scale each may be BitNet's, with int8 activations, or one of float activations that
// happens to need no more.
ActivationBits choose_bits(const Source& source, const Survey& found, const ConverterOptions& options) {
  if (options.activations) return *options.activations;
  if (const auto published = source.activation_bits()) return *published;
  if (found.group != 0 || !found.scales_alone) return ActivationBits::int16;
  say(options.log, BITNET_LOG_WARNING,
      "the model does not say whether it was trained with activations in int8; its matrices are ternary with one scale "
      "each, as BitNet's, so int8 is taken. If it was published with float activations, say so with the option "
      "activation_bits (--activation-bits 16)");
  return ActivationBits::int8;
}

fb::Type dense_type(Dense dense) {
  switch (dense) {
    case Dense::f16:
      return fb::Type::f16;
    case Dense::f32:
      return fb::Type::f32;
    case Dense::int8:
      return fb::Type::int8;
  }
  return fb::Type::f16;
}

Form with_head(Form form, HeadType head) {
  const HeadForm asked = form_of(head);
  if (form.head == fb::Type::f16) {
    form.head = asked.type;
    form.head_copied = asked.copied;
    form.screen = asked.screen;
  } else if (form.head == fb::Type::f32 && asked.copied) {
    form.head = asked.type;
    form.head_copied = true;
  }
  return form;
}

Form choose_form(const Source& source, const std::vector<TensorSpec>& specs, const HyperParameters& hyper, bool tied,
                 const ConverterOptions& options) {
  const Survey found = survey(source, specs);
  Form form{};
  form.rounded = options.quantize == Quantize::absmean;
  if (found.ternary || form.rounded) {
    form.linear = ternary_type(source, found, options);
  } else {
    require(!hyper.architecture->ternary, BITNET_ERROR_UNSUPPORTED, found.not_ternary,
            ": the model is not ternary, as its architecture asks for", kRounding);
    form.linear = dense_type(options.dense);
    say(options.log, BITNET_LOG_INFO, found.not_ternary, ": the matrices are kept as numbers, in ",
        name_of(form.linear), kRounding);
  }
  const auto of_role = [&](Role role) { return std::ranges::find(specs, role, &TensorSpec::role); };
  form.embedding = plain_type(source, *of_role(Role::embedding), form.linear, options);
  const auto head = of_role(Role::head);
  // A tied model's quantized head is made from its embedding, or kept.
  form.head = tied || head == specs.end() ? form.embedding : plain_type(source, *head, form.linear, options);
  return with_head(form, options.head);
}

TernaryScales scales_for(const Source& source, const TensorSpec& spec, fb::Type type, bool rounded) {
  TernaryScales found = source.ternary_scales(spec);
  if (!found.is_ternary()) {
    require(rounded, BITNET_ERROR_UNSUPPORTED, "tensor ", source.own_name(spec), ": ", found.not_ternary,
            ": the matrix is not ternary, as those of the first layer are", kRounding);
    return round_by_absmean(found.mean);
  }
  const auto group = group_of(tensor_type(type).numbers);
  require(found.group == 0 || (group && found.group % *group == 0), BITNET_ERROR_UNSUPPORTED, "tensor ",
          source.own_name(spec), " has a scale for every ", found.group,
          " columns, which no matrix of the first layer has");
  return found;
}

}  // namespace bitnet
