// SPDX-License-Identifier: MIT
#include "text/jinja/expressions.h"

#include <algorithm>
#include <iterator>
#include <locale>
#include <sstream>
#include <utility>

namespace bitnet::jinja {
namespace {

// How tight an operator binds; groups do not bind at all.
constexpr int kAll = 0, kOr = 1, kAnd = 2, kNot = 3, kComparison = 4, kSum = 5, kConcatenation = 6, kProduct = 7,
              kPower = 8, kSign = 9, kTestArgument = 10;

int precedence(const Pending& pending) {
  switch (pending.kind) {
    case Pending::Kind::root:
    case Pending::Kind::parenthesis:
    case Pending::Kind::list:
    case Pending::Kind::dict:
    case Pending::Kind::subscript:
    case Pending::Kind::arguments:
      return -1;
    case Pending::Kind::condition:
    case Pending::Kind::otherwise:
      return kAll;
    case Pending::Kind::logical_or:
      return kOr;
    case Pending::Kind::logical_and:
      return kAnd;
    case Pending::Kind::logical_not:
      return kNot;
    case Pending::Kind::comparison:
      return kComparison;
    case Pending::Kind::sum:
      return kSum;
    case Pending::Kind::concatenation:
      return kConcatenation;
    case Pending::Kind::product:
      return kProduct;
    case Pending::Kind::power:
      return kPower;
    case Pending::Kind::sign:
      return kSign;
    case Pending::Kind::test_argument:
      return kTestArgument;
  }
  return -1;
}

bool is_constant(std::string_view name) {
  constexpr std::string_view kConstants[] = {"true", "True", "false", "False", "none", "None"};
  return std::find(std::begin(kConstants), std::end(kConstants), name) != std::end(kConstants);
}

}  // namespace

void ExpressionParser::check_depth() const {
  if (open_blocks() + pending_.size() > kDeepest) {
    error("nested too deeply (more than " + std::to_string(kDeepest) + " levels)");
  }
}

// --- what is assigned to ---

Code ExpressionParser::assignment_targets(bool may_be_bare_tuple) {
  struct Tuple {
    size_t unpack;
    uint32_t count = 0;
    bool comma = false;
  };
  const size_t begin = here();
  std::vector<Tuple> tuples{{emit(Op::unpack)}};
  const auto close = [&] {
    finish_tuple(tuples.back().unpack, tuples.back().count, tuples.back().comma);
    tuples.pop_back();
    ++tuples.back().count;
  };
  for (bool more = true; more;) {
    if (skip_symbol("(")) {
      tuples.push_back({emit(Op::unpack)});
      if (tuples.size() > kDeepest) error("nested too deeply");
      continue;
    }
    const std::string name = expect_identifier();
    if (is_constant(name)) error("this name cannot be given a value");
    emit(Op::store, name_index(name));
    ++tuples.back().count;
    for (more = false; !more;) {
      if (tuples.size() > 1 && skip_symbol(")")) {
        close();
      } else if ((tuples.size() > 1 || may_be_bare_tuple) && skip_symbol(",")) {
        tuples.back().comma = true;
        more = is_symbol("(") || (current().kind == Kind::name && !is_name("in"));  // a comma may stand last
      } else {
        break;
      }
    }
  }
  if (tuples.size() > 1) error("expected \")\"");
  finish_tuple(tuples[0].unpack, tuples[0].count, tuples[0].comma);
  return cut(begin);
}

void ExpressionParser::finish_tuple(size_t unpack, uint32_t count, bool comma) {
  if (comma) {
    code()[unpack].a = count;
  } else {
    code()[unpack].op = Op::nothing;
  }
}

// --- expressions ---

Pending& ExpressionParser::push(Pending::Kind kind) {
  Pending pending{};
  pending.kind = kind;
  pending.line = current().line;
  pending.start = here();
  pending_.push_back(std::move(pending));
  check_depth();
  return pending_.back();
}

void ExpressionParser::push_operator(Pending::Kind kind, Op op) { push(kind).op = op; }

void ExpressionParser::expression(bool may_be_tuple, bool may_be_conditional) {
  const size_t base = pending_.size();
  Pending& root = push(Pending::Kind::root);
  root.may_be_tuple = may_be_tuple;
  root.may_be_conditional = may_be_conditional;
  postfix_ = false;
  finish(base, kOperandNext);
}

void ExpressionParser::filters(bool named) {
  const size_t base = pending_.size();
  push(Pending::Kind::root).may_be_conditional = false;
  postfix_ = false;
  finish(base, named ? filter() : kOperationNext);
}

void ExpressionParser::finish(size_t base, bool operand_next) {
  while (pending_.size() > base) operand_next = operand_next ? operand() : operation();
}

bool ExpressionParser::operand() {
  Pending& top = pending_.back();
  if (top.kind == Pending::Kind::subscript && (is_symbol(":") || is_symbol("]"))) {
    emit(Op::constant, constant(None()));
    top.empty_part = true;
    return kOperationNext;
  }
  const Lexeme& lexeme = current();
  postfix_ = true;
  switch (lexeme.kind) {
    case Kind::name:
      return name();
    case Kind::string:
      return string();
    case Kind::integer:
      return number<int64_t>();
    case Kind::real:
      return number<double>();
    case Kind::symbol:
      return symbol();
    case Kind::text:
    case Kind::print_begin:
    case Kind::print_end:
    case Kind::block_begin:
    case Kind::block_end:
    case Kind::end:
      break;
  }
  error("expected an expression");
}

bool ExpressionParser::name() {
  constexpr std::string_view kKeywords[] = {"and", "else", "if", "in", "is", "or"};
  const std::string text = current().text;
  if (text == "not") {
    if (precedence(pending_.back()) > kNot) error("\"not\" does not belong here");
    push_operator(Pending::Kind::logical_not, Op::logical_not);
    ++at_;
    return kOperandNext;
  }
  if (std::find(std::begin(kKeywords), std::end(kKeywords), text) != std::end(kKeywords)) {
    error("expected an expression");
  }
  ++at_;
  if (text == "true" || text == "True") {
    emit(Op::constant, constant(true));
  } else if (text == "false" || text == "False") {
    emit(Op::constant, constant(false));
  } else if (text == "none" || text == "None") {
    emit(Op::constant, constant(None()));
  } else {
    note_use(text);
    emit(Op::load, name_index(text));
    if (skip_symbol("(")) return begin_arguments(Pending::Target::call, 0, static_cast<int32_t>(name_index(text)));
  }
  return kOperationNext;
}

bool ExpressionParser::string() {
  std::string text;
  while (current().kind == Kind::string) text += take().text;  // neighbours are one, as in Python
  emit(Op::constant, constant(std::move(text)));
  return kOperationNext;
}

// By a stream, for the C++ library of Android and Apple has no std::from_chars for double.
template <typename T>
bool ExpressionParser::number() {
  std::istringstream text(current().text);
  text.imbue(std::locale::classic());
  T value = 0;
  if (!(text >> value) || !text.eof()) error("a number that does not fit");
  emit(Op::constant, constant(value));
  ++at_;
  return kOperationNext;
}

bool ExpressionParser::symbol() {
  if (is_symbol("-") || is_symbol("+")) {
    if (precedence(pending_.back()) > kSign) error("expected an expression");
    push_operator(Pending::Kind::sign, is_symbol("-") ? Op::negative : Op::positive);
    ++at_;
    return kOperandNext;
  }
  if (skip_symbol("(")) return begin_group(Pending::Kind::parenthesis, ")");
  if (skip_symbol("[")) return begin_group(Pending::Kind::list, "]");
  if (skip_symbol("{")) return begin_group(Pending::Kind::dict, "}");
  error("expected an expression");
}

bool ExpressionParser::begin_group(Pending::Kind kind, std::string_view close) {
  Pending& group = push(kind);
  if (!is_symbol(close)) return kOperandNext;
  group.tuple = true;  // "()" is a tuple without items
  return close_group(false);
}

bool ExpressionParser::begin_arguments(Pending::Target target, uint32_t callee, int32_t name) {
  Pending& group = push(Pending::Kind::arguments);
  group.target = target;
  group.callee = callee;
  group.name = name;
  if (is_symbol(")")) return close_group(false);
  return begin_argument();
}

bool ExpressionParser::begin_argument() {
  Pending& group = pending_.back();
  auto& arguments = group.shape.arguments;
  const bool after_name = !arguments.empty() && (arguments.back().first == CallShape::Kind::name ||
                                                 arguments.back().first == CallShape::Kind::all_names);
  if (skip_symbol("**")) {
    arguments.emplace_back(CallShape::Kind::all_names, "");
  } else if (skip_symbol("*")) {
    if (after_name) error("\"*\" after an argument with a name");
    arguments.emplace_back(CallShape::Kind::all_places, "");
  } else if (current().kind == Kind::name && following().kind == Kind::symbol && following().text == "=") {
    arguments.emplace_back(CallShape::Kind::name, take().text);
    ++at_;
  } else {
    if (after_name) error("an argument without a name after one with a name");
    arguments.emplace_back(CallShape::Kind::place, "");
  }
  group.start = here();
  return kOperandNext;
}

// --- what comes behind an operand ---

bool ExpressionParser::operation() {
  if (current().kind == Kind::symbol) return symbol_operation();
  if (current().kind == Kind::name) return name_operation();
  return end_expression();
}

bool ExpressionParser::symbol_operation() {
  const std::string& symbol = current().text;
  if (symbol == "." && postfix_) return attribute();
  if (symbol == "[" && postfix_) {
    ++at_;
    push(Pending::Kind::subscript);
    return kOperandNext;
  }
  if (symbol == "(") {
    ++at_;
    return begin_arguments(Pending::Target::call, 0, kNoName);
  }
  if (symbol == "|") {
    ++at_;
    return filter();
  }
  if (symbol == "+" || symbol == "-") return binary(Pending::Kind::sum, kSum, symbol == "+" ? Op::add : Op::subtract);
  if (symbol == "*") return binary(Pending::Kind::product, kProduct, Op::multiply);
  if (symbol == "/") return binary(Pending::Kind::product, kProduct, Op::divide);
  if (symbol == "//") return binary(Pending::Kind::product, kProduct, Op::floor_divide);
  if (symbol == "%") return binary(Pending::Kind::product, kProduct, Op::modulo);
  if (symbol == "**") return binary(Pending::Kind::power, kPower, Op::power);
  if (symbol == "~") return concatenation();
  if (symbol == ",") return comma();
  if (symbol == ":") return colon();
  if (symbol == ")" || symbol == "]" || symbol == "}") {
    reduce(kAll);
    if (pending_.back().kind == Pending::Kind::root) return end_expression();
    return close_group(true);
  }
  constexpr std::pair<std::string_view, Comparison> kComparisons[] = {{"==", Comparison::eq}, {"!=", Comparison::ne},
                                                                      {"<", Comparison::lt},  {"<=", Comparison::le},
                                                                      {">", Comparison::gt},  {">=", Comparison::ge}};
  for (const auto& [text, comparison] : kComparisons) {
    if (symbol == text) return compare(comparison, 1);
  }
  return end_expression();
}

bool ExpressionParser::name_operation() {
  const std::string& name = current().text;
  if (name == "and") return logical(Pending::Kind::logical_and, kAnd, Op::jump_and);
  if (name == "or") return logical(Pending::Kind::logical_or, kOr, Op::jump_or);
  if (name == "in") return compare(Comparison::in, 1);
  if (name == "not" && following().kind == Kind::name && following().text == "in") {
    return compare(Comparison::not_in, 2);
  }
  if (name == "is") return test();
  if (name == "if") return condition();
  if (name == "else") return condition_else();
  return end_expression();
}

bool ExpressionParser::binary(Pending::Kind kind, int level, Op op) {
  reduce(level);
  push_operator(kind, op);
  ++at_;
  return kOperandNext;
}

bool ExpressionParser::concatenation() {
  reduce(kConcatenation + 1);
  if (pending_.back().kind != Pending::Kind::concatenation) push(Pending::Kind::concatenation).count = 1;
  ++pending_.back().count;
  ++at_;
  return kOperandNext;
}

// a < b < c is a < b and b < c, as in Python.
bool ExpressionParser::compare(Comparison comparison, size_t lexemes) {
  reduce(kComparison + 1);
  if (pending_.back().kind == Pending::Kind::comparison) {
    const size_t jump = emit(Op::compare_chain, static_cast<uint32_t>(pending_.back().comparison));
    pending_.back().jumps.push_back(jump);
  } else {
    push(Pending::Kind::comparison);
  }
  pending_.back().comparison = comparison;
  at_ += lexemes;
  return kOperandNext;
}

bool ExpressionParser::logical(Pending::Kind kind, int level, Op op) {
  reduce(level);
  const size_t jump = emit(op);
  push(kind).jumps.push_back(jump);
  ++at_;
  return kOperandNext;
}

bool ExpressionParser::attribute() {
  ++at_;
  if (current().kind == Kind::integer) {
    number<int64_t>();
    emit(Op::subscript);
    return kOperationNext;
  }
  const std::string attribute = expect_identifier();
  const uint32_t name = name_index(attribute);
  if (skip_symbol("(")) return begin_arguments(Pending::Target::method, 0, static_cast<int32_t>(name));
  emit(Op::attribute, name);
  return kOperationNext;
}

std::string ExpressionParser::dotted_name() {
  std::string name = expect_identifier();
  while (skip_symbol(".")) name += "." + expect_identifier();
  return name;
}

bool ExpressionParser::filter() {
  reduce(kSign);
  const std::string name = dotted_name();
  const auto index = static_cast<uint32_t>(program_.filters.size());
  program_.filters.emplace_back(name, find_filter(name));
  postfix_ = false;
  if (skip_symbol("(")) return begin_arguments(Pending::Target::filter, index, kNoName);
  emit(Op::filter, index, static_cast<int32_t>(shape({})));
  return kOperationNext;
}

bool ExpressionParser::test() {
  reduce(kSign);
  ++at_;
  const bool negated = skip_name("not");
  const std::string name = dotted_name();
  const auto index = static_cast<uint32_t>(program_.tests.size());
  program_.tests.emplace_back(name, find_test(name));
  if (skip_symbol("(")) {
    begin_arguments(Pending::Target::test, index, kNoName);
    // "()" is complete at once.
    if (pending_.back().kind != Pending::Kind::arguments || pending_.back().callee != index ||
        pending_.back().target != Pending::Target::test) {
      if (negated) emit(Op::logical_not);
      return kOperationNext;
    }
    pending_.back().negated = negated;
    return kOperandNext;
  }
  if (starts_argument()) {
    Pending& argument = push(Pending::Kind::test_argument);
    argument.callee = index;
    argument.negated = negated;
    return kOperandNext;
  }
  emit_test(index, {}, negated);
  return kOperationNext;
}

void ExpressionParser::emit_test(uint32_t index, CallShape arguments, bool negated) {
  emit(Op::test, index, static_cast<int32_t>(shape(std::move(arguments))));
  if (negated) emit(Op::logical_not);
  postfix_ = false;
}

// "is divisibleby 3": an argument without parentheses.
bool ExpressionParser::starts_argument() const {
  if (current().kind == Kind::name) {
    constexpr std::string_view kKeywords[] = {"else", "or", "and", "is", "if", "in", "not", "recursive"};
    return std::find(std::begin(kKeywords), std::end(kKeywords), current().text) == std::end(kKeywords);
  }
  return current().kind == Kind::string || current().kind == Kind::integer || current().kind == Kind::real ||
         is_symbol("[") || is_symbol("{");
}

// --- conditional expressions: the code of "a if b else c" is b, a, c ---

bool ExpressionParser::condition() {
  const auto group =
      std::find_if(pending_.rbegin(), pending_.rend(), [](const Pending& pending) { return precedence(pending) < 0; });
  if (!group->may_be_conditional) return end_expression();
  reduce(kOr);
  if (pending_.back().kind == Pending::Kind::condition) {  // "a if b if c"
    reduce_top();
    // Each moves the code of those before it.
    if (++pending_.back().conditions > kDeepest) error("too many conditions without \"else\"");
  }
  Code value = cut(pending_.back().start);
  push(Pending::Kind::condition).held = std::move(value);
  ++at_;
  return kOperandNext;
}

bool ExpressionParser::condition_else() {
  reduce(kOr);
  Pending& top = pending_.back();
  if (top.kind != Pending::Kind::condition) return end_expression();
  choose(top);
  top.kind = Pending::Kind::otherwise;
  top.start = here();
  ++at_;
  return kOperandNext;
}

// Behind the code of a condition: the value if it is true, and a jump over the other.
void ExpressionParser::choose(Pending& conditional) {
  const size_t otherwise = emit(Op::jump_if_false);
  paste(std::exchange(conditional.held, {}));
  conditional.jumps.push_back(emit(Op::jump));
  land(otherwise);
}

// --- the ends of things ---

// Writes the operators on top that bind as tight as that, or tighter.
void ExpressionParser::reduce(int level) {
  while (precedence(pending_.back()) >= level) reduce_top();
}

void ExpressionParser::reduce_top() {
  Pending top = std::move(pending_.back());
  pending_.pop_back();
  switch (top.kind) {
    case Pending::Kind::condition:
      choose(top);
      emit(Op::constant, constant(Value()));
      break;
    case Pending::Kind::otherwise:
    case Pending::Kind::logical_or:
    case Pending::Kind::logical_and:
      break;
    case Pending::Kind::logical_not:
    case Pending::Kind::sum:
    case Pending::Kind::product:
    case Pending::Kind::power:
    case Pending::Kind::sign:
      emit(top.op);
      break;
    case Pending::Kind::comparison:
      emit(Op::compare, static_cast<uint32_t>(top.comparison));
      break;
    case Pending::Kind::concatenation:
      emit(Op::concatenate, top.count);
      break;
    case Pending::Kind::test_argument:
      emit_test(top.callee, {{{CallShape::Kind::place, ""}}}, top.negated);
      break;
    case Pending::Kind::root:
    case Pending::Kind::parenthesis:
    case Pending::Kind::list:
    case Pending::Kind::dict:
    case Pending::Kind::subscript:
    case Pending::Kind::arguments:
      fail(BITNET_ERROR_INTERNAL, "chat template: a group is not an operator");
  }
  for (const size_t jump : top.jumps) land(jump);
}

bool ExpressionParser::comma() {
  reduce(kAll);
  Pending& group = pending_.back();
  if (group.kind == Pending::Kind::root && !group.may_be_tuple) return end_expression();
  if (group.kind == Pending::Kind::subscript) unsupported("a subscript of several parts", ",");
  if (group.kind == Pending::Kind::dict && group.key) error("expected \":\"");
  ++at_;
  ++group.count;
  group.tuple = true;
  group.key = true;
  group.start = here();
  const bool last = group.kind == Pending::Kind::root
                        ? current().kind == Kind::print_end || current().kind == Kind::block_end
                        : is_symbol(")") || is_symbol("]") || is_symbol("}");
  if (group.kind == Pending::Kind::root && last) return end_root(false);
  if (last) return close_group(false);
  return group.kind == Pending::Kind::arguments ? begin_argument() : kOperandNext;
}

bool ExpressionParser::colon() {
  reduce(kAll);
  Pending& group = pending_.back();
  if (group.kind == Pending::Kind::dict && group.key) {
    group.key = false;
  } else if (group.kind == Pending::Kind::subscript && group.colons < 2) {
    ++group.colons;
    group.empty_part = false;
  } else {
    return end_expression();
  }
  group.start = here();
  ++at_;
  return kOperandNext;
}

bool ExpressionParser::end_expression() {
  reduce(kAll);
  if (pending_.back().kind != Pending::Kind::root) error("expected an operator or a closing bracket");
  return end_root(true);
}

bool ExpressionParser::end_root(bool operand) {
  const Pending root = std::move(pending_.back());
  pending_.pop_back();
  if (root.tuple) emit(Op::make_tuple, root.count + (operand ? 1 : 0));
  return kOperationNext;
}

// At the bracket that closes the group on top; `operand`: an operand stands right before it.
bool ExpressionParser::close_group(bool operand) {
  Pending group = std::move(pending_.back());
  pending_.pop_back();
  const uint32_t count = group.count + (operand ? 1 : 0);
  postfix_ = true;
  switch (group.kind) {
    case Pending::Kind::parenthesis:
      expect_symbol(")");
      if (group.tuple) emit(Op::make_tuple, count);
      break;
    case Pending::Kind::list:
      expect_symbol("]");
      emit(Op::make_list, count);
      break;
    case Pending::Kind::dict:
      if (operand && group.key) error("expected \":\"");
      expect_symbol("}");
      emit(Op::make_dict, count);
      break;
    case Pending::Kind::subscript:
      close_subscript(group);
      break;
    case Pending::Kind::arguments:
      expect_symbol(")");
      close_arguments(std::move(group));
      break;
    case Pending::Kind::root:
    case Pending::Kind::condition:
    case Pending::Kind::otherwise:
    case Pending::Kind::logical_or:
    case Pending::Kind::logical_and:
    case Pending::Kind::logical_not:
    case Pending::Kind::comparison:
    case Pending::Kind::sum:
    case Pending::Kind::concatenation:
    case Pending::Kind::product:
    case Pending::Kind::power:
    case Pending::Kind::sign:
    case Pending::Kind::test_argument:
      error("a bracket that does not belong here");
  }
  return kOperationNext;
}

void ExpressionParser::close_subscript(const Pending& group) {
  if (group.colons == 0 && group.empty_part) error("expected an expression");
  expect_symbol("]");
  if (group.colons == 1) emit(Op::constant, constant(None()));
  emit(group.colons == 0 ? Op::subscript : Op::slice);
}

void ExpressionParser::close_arguments(Pending group) {
  switch (group.target) {
    case Pending::Target::call:
      emit(Op::call, shape(std::move(group.shape)), group.name);
      last_call_ = here();
      break;
    case Pending::Target::method:
      emit(Op::call_method, shape(std::move(group.shape)), group.name);
      last_call_ = here();
      break;
    case Pending::Target::filter:
      emit(Op::filter, group.callee, static_cast<int32_t>(shape(std::move(group.shape))));
      postfix_ = false;
      break;
    case Pending::Target::test:
      emit_test(group.callee, std::move(group.shape), group.negated);
      break;
  }
}

}  // namespace bitnet::jinja
