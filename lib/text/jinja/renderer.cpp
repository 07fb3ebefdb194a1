// SPDX-License-Identifier: MIT
// Walks the tree of a template. Variables live in scopes: an iteration of a loop is one, an if is not (as in Jinja).
#include "text/jinja/renderer.h"

#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/jinja/builtins.h"
#include "text/jinja/format.h"

namespace bitnet::jinja {
namespace {

using Flow = Statement::Kind;  // how a block ends: break_loop, continue_loop, or text for neither

class Renderer {
 public:
  explicit Renderer(Dict variables) { scopes_.push_back(std::move(variables)); }

  Flow run(const Block& block) {
    for (const Statement& statement : block) {
      budget_.charge(kStep);
      if (const Flow flow = run(statement); flow != Flow::text) return flow;
    }
    return Flow::text;
  }

  MarkedText take_output() { return std::move(out_).take(); }

 private:
  static constexpr size_t kStep = 64;

  // Adds the line to what is said of an error.
  template <typename Body>
  auto at_line(uint32_t line, Body body) {
    try {
      return body();
    } catch (const Error& error) {
      const std::string_view text = error.what();
      constexpr std::string_view kPrefix = "chat template: ";
      if (!text.starts_with(kPrefix)) throw;
      fail(error.status(), "chat template, line ", line, ": ", text.substr(kPrefix.size()));
    }
  }

  void print(const Text& text) {
    budget_.charge(text.weight());
    out_.append(text);
  }

  // --- statements ---

  Flow run(const Statement& statement) {
    switch (statement.kind) {
      case Statement::Kind::text:
        print(Text(statement.text));
        return Flow::text;
      case Statement::Kind::print:
        at_line(statement.line, [&] { print(evaluate(*statement.value).text()); });
        return Flow::text;
      case Statement::Kind::condition:
        return condition(statement);
      case Statement::Kind::loop:
        return loop(statement);
      case Statement::Kind::set:
        at_line(statement.line, [&] { set(statement); });
        return Flow::text;
      case Statement::Kind::set_block:
        return set_block(statement);
      case Statement::Kind::scope:
        return scoped(statement.body);
      case Statement::Kind::break_loop:
      case Statement::Kind::continue_loop:
        return statement.kind;
    }
    fail(BITNET_ERROR_INTERNAL, "chat template: unknown statement");
  }

  Flow scoped(const Block& block) {
    scopes_.emplace_back();
    const Flow flow = run(block);
    scopes_.pop_back();
    return flow;
  }

  Flow condition(const Statement& statement) {
    for (const Branch& branch : statement.branches) {
      const bool taken =
          !branch.condition || at_line(branch.condition->line, [&] { return evaluate(*branch.condition).truth(); });
      if (taken) return run(branch.body);
    }
    return Flow::text;
  }

  Flow loop(const Statement& statement) {
    const List items = at_line(statement.line, [&] { return chosen_items(statement); });
    if (items.empty()) return run(statement.otherwise);
    for (size_t i = 0; i < items.size(); ++i) {
      budget_.charge(kLoopVariable);
      scopes_.emplace_back();
      at_line(statement.line, [&] { bind(statement.names, items[i]); });
      assign(scopes_.back(), "loop", loop_variable(items, i));
      const Flow flow = run(statement.body);
      scopes_.pop_back();
      if (flow == Flow::break_loop) break;
    }
    return Flow::text;
  }

  // What the loop goes through: without those that its "if" shuts out.
  List chosen_items(const Statement& statement) {
    const Value value = evaluate(*statement.value);
    List items = iterate(value, budget_);
    if (!statement.condition) return items;
    List chosen;
    for (const Value& item : items) {
      scopes_.emplace_back();
      bind(statement.names, item);
      if (evaluate(*statement.condition).truth()) chosen.push_back(item);
      scopes_.pop_back();
    }
    return chosen;
  }

  static constexpr size_t kLoopVariable = 1024;

  static Value loop_variable(const List& items, size_t i) {
    const auto number = [](size_t n) { return Value(static_cast<int64_t>(n)); };
    const size_t count = items.size();
    Dict loop{{"index", number(i + 1)},
              {"index0", number(i)},
              {"revindex", number(count - i)},
              {"revindex0", number(count - i - 1)},
              {"first", i == 0},
              {"last", i + 1 == count},
              {"length", number(count)}};
    if (i > 0) loop.emplace_back("previtem", items[i - 1]);
    if (i + 1 < count) loop.emplace_back("nextitem", items[i + 1]);
    return loop;
  }

  void set(const Statement& statement) {
    Value value = evaluate(*statement.value);
    if (statement.attribute.empty()) {
      bind(statement.names, value);
      return;
    }
    const Value target = look_up(statement.names[0]);
    require(target.object() != nullptr, BITNET_ERROR_FORMAT, "chat template: ", statement.names[0],
            " is not a namespace, so that its attributes cannot be set");
    assign(target.object()->values, statement.attribute, std::move(value));
  }

  Flow set_block(const Statement& statement) {
    Text outer = std::exchange(out_, {});
    const Flow flow = scoped(statement.body);
    assign(scopes_.back(), statement.names[0], std::exchange(out_, std::move(outer)));
    return flow;
  }

  // Gives one name the value, or several names its items.
  void bind(const std::vector<std::string>& names, const Value& value) {
    if (names.size() == 1) {
      assign(scopes_.back(), names[0], value);
      return;
    }
    const List items = iterate(value, budget_);
    require(items.size() == names.size(), BITNET_ERROR_FORMAT, "chat template: ", items.size(), " values for ",
            names.size(), " names");
    for (size_t i = 0; i < names.size(); ++i) assign(scopes_.back(), names[i], items[i]);
  }

  Value look_up(std::string_view name) const {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      if (const Value* found = find(*scope, name)) return *found;
    }
    return {};
  }

  // --- expressions ---

  Value evaluate(const Expression& expression) {
    budget_.charge(kStep);
    const auto operand = [&](size_t i) { return evaluate(*expression.operands[i]); };
    switch (expression.kind) {
      case Expression::Kind::constant:
        return expression.constant;
      case Expression::Kind::variable:
        return look_up(expression.name);
      case Expression::Kind::list:
        return list(expression);
      case Expression::Kind::dict:
        return dict(expression);
      case Expression::Kind::attribute:
        return attribute(operand(0), expression.name);
      case Expression::Kind::subscript:
        return item(operand(0), operand(1));
      case Expression::Kind::slice:
        return charged(slice(operand(0), operand(1), operand(2), operand(3), budget_));
      case Expression::Kind::call:
        return call(expression);
      case Expression::Kind::method:
        return charged(call_method(expression.name, operand(0), arguments(expression), budget_));
      case Expression::Kind::filter:
        return charged(apply_filter(find_filter(expression.name), operand(0), arguments(expression), budget_));
      case Expression::Kind::test:
        return apply_test(find_test(expression.name), operand(0), arguments(expression), budget_);
      case Expression::Kind::conditional:
        return operand(operand(0).truth() ? 1 : 2);
      case Expression::Kind::logical_and: {
        Value left = operand(0);
        return left.truth() ? operand(1) : left;
      }
      case Expression::Kind::logical_or: {
        Value left = operand(0);
        return left.truth() ? left : operand(1);
      }
      case Expression::Kind::logical_not:
        return !operand(0).truth();
      case Expression::Kind::negative:
        return negate(operand(0));
      case Expression::Kind::arithmetic:
        return charged(arithmetic(expression.name, operand(0), operand(1)));
      case Expression::Kind::comparison:
        return comparison(expression);
      case Expression::Kind::concatenation: {
        Text text;
        for (const ExpressionPtr& part : expression.operands) {
          const Text piece = evaluate(*part).text();
          budget_.charge(piece.weight());
          text.append(piece);
        }
        return text;
      }
    }
    fail(BITNET_ERROR_INTERNAL, "chat template: unknown expression");
  }

  static Value attribute(const Value& value, const std::string& name) {
    if (!value.object()) return subscript(value, name);
    const Value* found = find(value.object()->values, std::string_view(name));
    return found ? *found : Value();
  }

  // Pays for a value that was made.
  Value charged(Value value) {
    budget_.charge(value.weight());
    return value;
  }

  // Pays for looking through a value.
  const Value& looked_at(const Value& value) {
    budget_.charge(value.weight());
    return value;
  }

  Value list(const Expression& expression) {
    List items;
    for (const ExpressionPtr& operand : expression.operands) items.push_back(evaluate(*operand));
    return charged(std::move(items));
  }

  Value dict(const Expression& expression) {
    Dict dict;
    for (size_t i = 0; i < expression.operands.size(); i += 2) {
      const Value key = evaluate(*expression.operands[i]);
      assign(dict, key, evaluate(*expression.operands[i + 1]));
    }
    return charged(std::move(dict));
  }

  Value item(const Value& container, const Value& key) {
    budget_.charge(container.string() ? container.size() : 0);
    return subscript(container, key);
  }

  Value call(const Expression& expression) {
    Arguments given = arguments(expression);
    if (expression.name != "namespace") return charged(call_function(expression.name, std::move(given), budget_));
    auto made = std::make_unique<Object>(Object::Kind::name_space);
    for (const auto& [name, value] : given.all()) {
      require(!name.empty(), BITNET_ERROR_UNSUPPORTED, "chat template: namespace() of something without a name");
      assign(made->values, name, value);
    }
    budget_.charge(kLoopVariable);
    namespaces_.push_back(std::move(made));
    return namespaces_.back().get();
  }

  Arguments arguments(const Expression& expression) {
    std::vector<std::pair<std::string, Value>> values;
    for (const Argument& argument : expression.arguments) {
      values.emplace_back(argument.name, evaluate(*argument.value));
    }
    return Arguments(expression.name, std::move(values));
  }

  Value arithmetic(std::string_view symbol, const Value& a, const Value& b) {
    if (symbol == "+") return add(a, b);
    if (symbol == "-") return subtract(a, b);
    if (symbol == "*") return multiply(a, b, budget_);
    if (symbol == "/") return divide(a, b);
    if (symbol == "//") return floor_divide(a, b);
    return a.string() ? Value(percent_format(*a.string(), b, budget_)) : modulo(a, b);
  }

  // a < b < c is a < b and b < c, as in Python.
  Value comparison(const Expression& expression) {
    Value left = looked_at(evaluate(*expression.operands[0]));
    for (size_t i = 0; i < expression.names.size(); ++i) {
      Value right = looked_at(evaluate(*expression.operands[i + 1]));
      if (!holds(expression.names[i], left, right)) return false;
      left = std::move(right);
    }
    return true;
  }

  static bool holds(std::string_view symbol, const Value& a, const Value& b) {
    if (symbol == "==") return a == b;
    if (symbol == "!=") return !(a == b);
    if (symbol == "in") return contains(b, a);
    if (symbol == "not in") return !contains(b, a);
    if (symbol == "<") return compare(a, b) < 0;
    if (symbol == "<=") return compare(a, b) <= 0;
    if (symbol == ">") return compare(a, b) > 0;
    return compare(a, b) >= 0;
  }

  Budget budget_;
  std::vector<std::unique_ptr<Object>> namespaces_;
  std::vector<Dict> scopes_;
  Text out_;
};

}  // namespace

MarkedText render(const Block& program, Dict variables) {
  Renderer renderer(std::move(variables));
  renderer.run(program);
  return renderer.take_output();
}

}  // namespace bitnet::jinja
