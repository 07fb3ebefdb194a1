// SPDX-License-Identifier: MIT
// Chat templates that can be asked for by name: each renders conversations of system, user and assistant as the
// template that its models were published with.
#pragma once

#include <span>
#include <string_view>

namespace bitnet {

struct KnownTemplate {
  const char* name;
  const char* source;  // Jinja
  std::span<const std::string_view>
      tokens;  // control tokens that it spells out; a vocabulary without them is not meant
};

// In alphabetical order.
std::span<const KnownTemplate> known_templates();

// Null if no template has that name.
const KnownTemplate* find_known_template(std::string_view name);

}  // namespace bitnet
