// SPDX-License-Identifier: MIT
// A parsed template: a tree of expressions inside a tree of statements.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/value.h"

namespace bitnet::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

// An argument of a call; without a name it goes by its place.
struct Argument {
  std::string name;
  ExpressionPtr value;
};

struct Expression {
  enum class Kind {
    constant,     // constant
    variable,     // name
    list,         // operands
    dict,         // operands: key, value, key, value, ...
    attribute,    // operands[0].name
    subscript,    // operands[0][operands[1]]
    slice,        // operands[0][operands[1] : operands[2] : operands[3]]
    call,         // name(arguments)
    method,       // operands[0].name(arguments)
    filter,       // operands[0] | name(arguments)
    test,         // operands[0] is name(arguments)
    conditional,  // operands[1] if operands[0] else operands[2]
    logical_and,  // of the two operands; the value is that of the one that decides
    logical_or,
    logical_not,
    negative,
    arithmetic,    // operands[0] name operands[1]
    comparison,    // a chain: operands[0] names[0] operands[1] names[1] operands[2] ...
    concatenation  // of all operands as text
  };

  Kind kind;
  uint32_t line;
  int depth = 1;
  std::string name;
  std::vector<std::string> names;
  Value constant;
  std::vector<ExpressionPtr> operands;
  std::vector<Argument> arguments;
};

struct Statement;
using Block = std::vector<Statement>;

struct Branch {
  ExpressionPtr condition;  // null: else
  Block body;
};

struct Statement {
  enum class Kind {
    text,       // text
    print,      // value
    condition,  // branches
    loop,       // for names in value [if condition]: body; if there was no item: otherwise
    set,        // names = value; with an attribute, names[0].attribute = value
    set_block,  // names[0] = what body prints
    scope,      // body
    break_loop,
    continue_loop,
  };

  Kind kind;
  uint32_t line;
  std::string text;
  std::string attribute;
  std::vector<std::string> names;
  ExpressionPtr value;
  ExpressionPtr condition;
  std::vector<Branch> branches;
  Block body;
  Block otherwise;
};

// Throws Error: what is not Jinja, or not supported, and in which line.
Block parse(std::string_view source);

}  // namespace bitnet::jinja
