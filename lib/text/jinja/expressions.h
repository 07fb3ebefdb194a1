// SPDX-License-Identifier: MIT
// The grammar of expressions (jinja2/parser.py) with a stack in place of recursion: of the brackets and operators that
// wait for an operand. Instructions are written as soon as their operands are there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/code_writer.h"

namespace bitnet::jinja {

constexpr int32_t kNoName = -1;

// Something that waits for an operand to its right.
struct Pending {
  enum class Kind {
    // Groups: everything between two brackets, or the whole expression.
    root,
    parenthesis,
    list,
    dict,
    subscript,
    arguments,
    // Conditional expressions: behind "if", behind "else".
    condition,
    otherwise,
    // Operators.
    logical_or,
    logical_and,
    logical_not,
    comparison,
    sum,
    concatenation,
    product,
    power,
    sign,
    test_argument,
  };
  enum class Target { call, method, filter, test };  // what arguments are for

  Kind kind;
  Op op = Op::nothing;
  uint32_t line = 0;
  size_t start = 0;           // groups, otherwise: where the code of the current operand begins
  uint32_t count = 0;         // groups: operands that are complete; concatenation: operands
  bool tuple = false;         // root, parenthesis: there was a comma
  bool key = true;            // dict: a key is next
  uint32_t colons = 0;        // subscript
  uint32_t conditions = 0;    // groups, otherwise: those without "else", one on the other
  bool empty_part = false;    // subscript: nothing stands before the next ":" or "]"
  bool may_be_tuple = false;  // root
  bool may_be_conditional = true;
  Comparison comparison = Comparison::eq;
  std::vector<size_t> jumps;  // to the end of this
  Code held;                  // condition: the value if it is true
  Target target = Target::call;
  uint32_t callee = 0;  // of filters, of tests
  int32_t name = kNoName;
  bool negated = false;  // a test
  CallShape shape;
};

class ExpressionParser : protected CodeWriter {
 public:
  virtual ~ExpressionParser() = default;

 protected:
  explicit ExpressionParser(std::string_view source) : CodeWriter(source) {}

  // Writes the code of one expression; with commas it is a tuple, if it may be one.
  void expression(bool may_be_tuple, bool may_be_conditional);
  // The code of filters alone, behind a value that something else has computed. `named`: the name of the first one is
  // next, without "|".
  void filters(bool named);
  // One name, or several in parentheses or not, and so on inside; the code that stores a value in them.
  Code assignment_targets(bool may_be_bare_tuple = true);
  void check_depth() const;

 private:
  // How many blocks are open around the expression.
  virtual size_t open_blocks() const = 0;
  // A variable is read.
  virtual void note_use(const std::string& name) = 0;

  // --- what is assigned to ---
  void finish_tuple(size_t unpack, uint32_t count, bool comma);

  // --- expressions ---
  Pending& push(Pending::Kind kind);
  void push_operator(Pending::Kind kind, Op op);
  void finish(size_t base, bool operand_next);
  // Of these, those that return a bool say whether an operand is next.
  static constexpr bool kOperandNext = true, kOperationNext = false;

  bool operand();
  bool name();
  bool string();
  template <typename T>
  bool number();
  bool symbol();
  bool begin_group(Pending::Kind kind, std::string_view close);
  bool begin_arguments(Pending::Target target, uint32_t callee, int32_t name);
  bool begin_argument();

  // --- what comes behind an operand ---
  bool operation();
  bool symbol_operation();
  bool name_operation();
  bool binary(Pending::Kind kind, int level, Op op);
  bool concatenation();
  bool compare(Comparison comparison, size_t lexemes);
  bool logical(Pending::Kind kind, int level, Op op);
  bool attribute();
  std::string dotted_name();
  bool filter();
  bool test();
  void emit_test(uint32_t index, CallShape arguments, bool negated);
  bool starts_argument() const;

  // --- conditional expressions: the code of "a if b else c" is b, a, c ---
  bool condition();
  bool condition_else();
  void choose(Pending& conditional);

  // --- the ends of things ---
  void reduce(int level);
  void reduce_top();
  bool comma();
  bool colon();
  bool end_expression();
  bool end_root(bool operand);
  bool close_group(bool operand);
  void close_subscript(const Pending& group);
  void close_arguments(Pending group);

  std::vector<Pending> pending_;
  bool postfix_ = false;  // ".", "[" may follow
};

}  // namespace bitnet::jinja
