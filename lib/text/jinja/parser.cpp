// SPDX-License-Identifier: MIT
// A recursive-descent parser after Jinja's own grammar (jinja2/parser.py).
#include <algorithm>
#include <initializer_list>
#include <locale>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "text/jinja/builtins.h"
#include "text/jinja/lexer.h"
#include "text/jinja/syntax.h"

namespace bitnet::jinja {
namespace {

using Kind = Lexeme::Kind;

// No template comes near; the parser, the renderer and the destructors recurse this deep.
constexpr int kDeepest = 200;

class Parser {
 public:
  explicit Parser(std::string_view source) : lexemes_(tokenize(source)) {}

  Block run() {
    Block block = statements({});
    if (current().kind != Kind::end) error("this tag does not belong here");
    return block;
  }

 private:
  const Lexeme& current() const { return lexemes_[at_]; }
  const Lexeme& following() const { return lexemes_[std::min(at_ + 1, lexemes_.size() - 1)]; }
  Lexeme take() { return current().kind == Kind::end ? current() : lexemes_[at_++]; }

  [[noreturn]] void error(std::string_view what) const {
    const std::string near = current().text.empty() ? "" : " (at \"" + current().text.substr(0, 40) + "\")";
    fail(BITNET_ERROR_FORMAT, "chat template, line ", current().line, ": ", what, near);
  }

  [[noreturn]] void unsupported(std::string_view what, std::string_view name) const {
    fail(BITNET_ERROR_UNSUPPORTED, "chat template, line ", current().line, ": ", what, " \"", name,
         "\" is not supported");
  }

  bool is(Kind kind, std::string_view text) const { return current().kind == kind && current().text == text; }
  bool is_symbol(std::string_view text) const { return is(Kind::symbol, text); }
  bool is_name(std::string_view text) const { return is(Kind::name, text); }

  bool skip(Kind kind, std::string_view text) {
    const bool there = is(kind, text);
    if (there) ++at_;
    return there;
  }
  bool skip_symbol(std::string_view text) { return skip(Kind::symbol, text); }
  bool skip_name(std::string_view text) { return skip(Kind::name, text); }

  void expect(Kind kind, const char* what) {
    if (current().kind != kind) error(std::string("expected ") + what);
    ++at_;
  }
  void expect_symbol(std::string_view text) {
    if (!skip_symbol(text)) error("expected \"" + std::string(text) + "\"");
  }
  void expect_name(std::string_view text) {
    if (!skip_name(text)) error("expected \"" + std::string(text) + "\"");
  }
  std::string expect_identifier() {
    if (current().kind != Kind::name) error("expected a name");
    return take().text;
  }

  // Guards every recursion of the parser itself.
  class Level {
   public:
    explicit Level(Parser& parser) : parser_(parser) {
      if (++parser_.level_ > kDeepest) parser_.error("nested too deeply");
    }
    ~Level() { --parser_.level_; }

   private:
    Parser& parser_;
  };

  // --- statements ---

  // Up to a tag that begins with one of `ends` (its name is the current lexeme then), or the end of the template.
  Block statements(std::initializer_list<std::string_view> ends) {
    const Level level(*this);
    Block block;
    for (;;) {
      switch (current().kind) {
        case Kind::text:
          block.push_back(make(Statement::Kind::text));
          block.back().text = take().text;
          break;
        case Kind::print_begin: {
          Statement print = make(Statement::Kind::print);
          ++at_;
          print.value = tuple();
          expect(Kind::print_end, "\"}}\"");
          block.push_back(std::move(print));
          break;
        }
        case Kind::block_begin: {
          const Lexeme& keyword = following();
          if (std::find(ends.begin(), ends.end(), keyword.text) != ends.end()) {
            ++at_;
            return block;
          }
          ++at_;
          statement(block);
          break;
        }
        default:
          return block;
      }
    }
  }

  Statement make(Statement::Kind kind) const {
    Statement made;
    made.kind = kind;
    made.line = current().line;
    return made;
  }

  // The end of a tag that has a body, then the body, up to and including the tag `end`.
  Block body_until(std::string_view end) {
    expect(Kind::block_end, "\"%}\"");
    Block body = statements({end});
    end_tag(end);
    return body;
  }

  void end_tag(std::string_view name) {
    if (current().kind == Kind::end) error("the template ends before \"" + std::string(name) + "\"");
    expect_name(name);
    expect(Kind::block_end, "\"%}\"");
  }

  void statement(Block& block) {
    const std::string keyword = expect_identifier();
    if (keyword == "if") {
      block.push_back(condition());
    } else if (keyword == "for") {
      block.push_back(loop());
    } else if (keyword == "set") {
      block.push_back(set());
    } else if (keyword == "generation") {  // Hugging Face's mark of what the assistant said; it prints nothing
      Statement scope = make(Statement::Kind::scope);
      scope.body = body_until("endgeneration");
      block.push_back(std::move(scope));
    } else if (keyword == "break" || keyword == "continue") {
      if (loops_ == 0) error("break or continue outside a loop");
      block.push_back(make(keyword == "break" ? Statement::Kind::break_loop : Statement::Kind::continue_loop));
      expect(Kind::block_end, "\"%}\"");
    } else if (keyword.starts_with("end") || keyword == "else" || keyword == "elif") {
      --at_;
      error("this tag does not belong here");
    } else {
      unsupported("the statement", keyword);
    }
  }

  Statement condition() {
    Statement made = make(Statement::Kind::condition);
    do {
      Branch branch;
      branch.condition = expression();
      expect(Kind::block_end, "\"%}\"");
      branch.body = statements({"elif", "else", "endif"});
      made.branches.push_back(std::move(branch));
    } while (skip_name("elif"));
    if (skip_name("else")) {
      expect(Kind::block_end, "\"%}\"");
      made.branches.push_back({nullptr, statements({"endif"})});
    }
    end_tag("endif");
    return made;
  }

  Statement loop() {
    Statement made = make(Statement::Kind::loop);
    made.names = targets();
    expect_name("in");
    made.value = disjunction();
    if (skip_name("if")) made.condition = expression();
    if (is_name("recursive")) unsupported("a loop that is", "recursive");
    expect(Kind::block_end, "\"%}\"");
    ++loops_;
    made.body = statements({"else", "endfor"});
    --loops_;
    if (skip_name("else")) {
      expect(Kind::block_end, "\"%}\"");
      made.otherwise = statements({"endfor"});
    }
    end_tag("endfor");
    return made;
  }

  Statement set() {
    Statement made = make(Statement::Kind::set);
    made.names = targets();
    if (made.names.size() == 1 && skip_symbol(".")) made.attribute = expect_identifier();
    if (skip_symbol("=")) {
      made.value = tuple();
      expect(Kind::block_end, "\"%}\"");
      return made;
    }
    if (is_symbol("|")) unsupported("a block set with", "|");
    if (made.names.size() != 1 || !made.attribute.empty()) error("expected \"=\"");
    made.kind = Statement::Kind::set_block;
    made.body = body_until("endset");
    return made;
  }

  std::vector<std::string> targets() {
    std::vector<std::string> names;
    const bool parenthesis = skip_symbol("(");
    do {
      if (!names.empty() && current().kind != Kind::name) break;  // a comma may stand last
      names.push_back(expect_identifier());
    } while (skip_symbol(","));
    if (parenthesis) expect_symbol(")");
    return names;
  }

  // --- expressions, from the loosest to the tightest ---

  // Keeps the tree shallow enough to be walked and destroyed by recursion.
  ExpressionPtr checked(ExpressionPtr made) const {
    for (const ExpressionPtr& operand : made->operands) {
      if (operand) made->depth = std::max(made->depth, operand->depth + 1);
    }
    for (const Argument& argument : made->arguments) made->depth = std::max(made->depth, argument.value->depth + 1);
    if (made->depth > kDeepest) error("an expression is nested too deeply");
    return made;
  }

  template <typename... Operands>
  ExpressionPtr make(Expression::Kind kind, std::string name, Operands... operands) const {
    auto made = std::make_unique<Expression>();
    made->kind = kind;
    made->line = current().line;
    made->name = std::move(name);
    (made->operands.push_back(std::move(operands)), ...);
    return checked(std::move(made));
  }

  ExpressionPtr constant(Value value) const {
    ExpressionPtr made = make(Expression::Kind::constant, "");
    made->constant = std::move(value);
    return made;
  }

  bool ends_expression() const {
    return current().kind == Kind::print_end || current().kind == Kind::block_end || is_symbol(")");
  }

  // One expression, or several with commas between them, which are a list.
  ExpressionPtr tuple() {
    ExpressionPtr first = expression();
    if (!is_symbol(",")) return first;
    ExpressionPtr list = make(Expression::Kind::list, "");
    list->operands.push_back(std::move(first));
    while (skip_symbol(",") && !ends_expression()) list->operands.push_back(expression());
    return checked(std::move(list));
  }

  ExpressionPtr expression() {
    const Level level(*this);
    ExpressionPtr value = disjunction();
    while (skip_name("if")) {
      ExpressionPtr condition = disjunction();
      ExpressionPtr otherwise = skip_name("else") ? expression() : constant(Value());
      value = make(Expression::Kind::conditional, "", std::move(condition), std::move(value), std::move(otherwise));
    }
    return value;
  }

  ExpressionPtr disjunction() {
    ExpressionPtr left = conjunction();
    while (skip_name("or")) left = make(Expression::Kind::logical_or, "", std::move(left), conjunction());
    return left;
  }

  ExpressionPtr conjunction() {
    ExpressionPtr left = negation();
    while (skip_name("and")) left = make(Expression::Kind::logical_and, "", std::move(left), negation());
    return left;
  }

  ExpressionPtr negation() {
    const Level level(*this);
    if (skip_name("not")) return make(Expression::Kind::logical_not, "", negation());
    return comparison();
  }

  std::string comparison_operator() {
    for (const std::string_view symbol : {"==", "!=", "<", "<=", ">", ">="}) {
      if (skip_symbol(symbol)) return std::string(symbol);
    }
    if (skip_name("in")) return "in";
    if (is_name("not") && following().kind == Kind::name && following().text == "in") {
      at_ += 2;
      return "not in";
    }
    return "";
  }

  ExpressionPtr comparison() {
    ExpressionPtr first = sum();
    std::string symbol = comparison_operator();
    if (symbol.empty()) return first;
    ExpressionPtr chain = make(Expression::Kind::comparison, "", std::move(first));
    for (; !symbol.empty(); symbol = comparison_operator()) {
      chain->names.push_back(symbol);
      chain->operands.push_back(sum());
    }
    return checked(std::move(chain));
  }

  ExpressionPtr sum() {
    ExpressionPtr left = concatenation();
    while (is_symbol("+") || is_symbol("-")) {
      std::string symbol = take().text;
      left = make(Expression::Kind::arithmetic, std::move(symbol), std::move(left), concatenation());
    }
    return left;
  }

  ExpressionPtr concatenation() {
    ExpressionPtr first = product();
    if (!is_symbol("~")) return first;
    ExpressionPtr all = make(Expression::Kind::concatenation, "", std::move(first));
    while (skip_symbol("~")) all->operands.push_back(product());
    return checked(std::move(all));
  }

  ExpressionPtr product() {
    ExpressionPtr left = unary(true);
    while (is_symbol("*") || is_symbol("/") || is_symbol("//") || is_symbol("%")) {
      std::string symbol = take().text;
      left = make(Expression::Kind::arithmetic, std::move(symbol), std::move(left), unary(true));
    }
    if (is_symbol("**")) unsupported("the operator", "**");
    return left;
  }

  ExpressionPtr unary(bool filters) {
    const Level level(*this);
    ExpressionPtr value;
    if (skip_symbol("-")) {
      value = make(Expression::Kind::negative, "", unary(false));
    } else if (skip_symbol("+")) {
      value = unary(false);
    } else {
      value = primary();
    }
    value = postfix(std::move(value));
    return filters ? filtered(std::move(value)) : std::move(value);
  }

  ExpressionPtr primary() {
    const Lexeme lexeme = current();
    if (lexeme.kind == Kind::name) return name();
    if (lexeme.kind == Kind::string) return string();
    if (lexeme.kind == Kind::integer || lexeme.kind == Kind::real) return number();
    if (skip_symbol("(")) return parenthesis();
    if (skip_symbol("[")) return list();
    if (skip_symbol("{")) return dict();
    error("expected an expression");
  }

  ExpressionPtr name() {
    const std::string text = take().text;
    if (text == "true" || text == "True") return constant(true);
    if (text == "false" || text == "False") return constant(false);
    if (text == "none" || text == "None") return constant(None());
    if (!is_symbol("(")) return make(Expression::Kind::variable, text);
    if (!is_function(text) && text != "namespace" && text != "strftime_now") unsupported("the function", text);
    ExpressionPtr call = make(Expression::Kind::call, text);
    call->arguments = arguments();
    return checked(std::move(call));
  }

  ExpressionPtr string() {
    std::string text;
    while (current().kind == Kind::string) text += take().text;  // neighbours are one, as in Python
    return constant(std::move(text));
  }

  ExpressionPtr number() {
    ExpressionPtr value = current().kind == Kind::integer ? number<int64_t>() : number<double>();
    ++at_;
    return value;
  }

  // By a stream, for the C++ library of Android and Apple has no std::from_chars for double.
  template <typename T>
  ExpressionPtr number() {
    std::istringstream text(current().text);
    text.imbue(std::locale::classic());
    T value = 0;
    if (!(text >> value) || !text.eof()) error("a number that does not fit");
    return constant(value);
  }

  ExpressionPtr parenthesis() {
    if (skip_symbol(")")) return make(Expression::Kind::list, "");
    ExpressionPtr value = tuple();
    expect_symbol(")");
    return value;
  }

  ExpressionPtr list() {
    ExpressionPtr made = make(Expression::Kind::list, "");
    while (!is_symbol("]")) {
      made->operands.push_back(expression());
      if (!skip_symbol(",")) break;
    }
    expect_symbol("]");
    return checked(std::move(made));
  }

  ExpressionPtr dict() {
    ExpressionPtr made = make(Expression::Kind::dict, "");
    while (!is_symbol("}")) {
      made->operands.push_back(expression());
      expect_symbol(":");
      made->operands.push_back(expression());
      if (!skip_symbol(",")) break;
    }
    expect_symbol("}");
    return checked(std::move(made));
  }

  ExpressionPtr postfix(ExpressionPtr value) {
    for (;;) {
      if (skip_symbol(".")) {
        value = attribute(std::move(value));
      } else if (skip_symbol("[")) {
        value = bracket(std::move(value));
      } else if (is_symbol("(")) {
        error("only functions and methods can be called");
      } else {
        return value;
      }
    }
  }

  ExpressionPtr attribute(ExpressionPtr value) {
    if (current().kind == Kind::integer) return make(Expression::Kind::subscript, "", std::move(value), number());
    const std::string attribute = expect_identifier();
    if (!is_symbol("(")) return make(Expression::Kind::attribute, attribute, std::move(value));
    ExpressionPtr call = make(Expression::Kind::method, attribute, std::move(value));
    call->arguments = arguments();
    return checked(std::move(call));
  }

  ExpressionPtr bracket(ExpressionPtr value) {
    const auto bound = [this] { return is_symbol(":") || is_symbol("]") ? constant(None()) : expression(); };
    ExpressionPtr first = bound();
    if (!is_symbol(":")) {
      if (skip_symbol("]")) return make(Expression::Kind::subscript, "", std::move(value), std::move(first));
      error("expected \"]\"");
    }
    expect_symbol(":");
    ExpressionPtr stop = bound();
    ExpressionPtr step = skip_symbol(":") ? bound() : constant(None());
    expect_symbol("]");
    return make(Expression::Kind::slice, "", std::move(value), std::move(first), std::move(stop), std::move(step));
  }

  ExpressionPtr filtered(ExpressionPtr value) {
    for (;;) {
      if (skip_symbol("|")) {
        const std::string filter = expect_identifier();
        if (!find_filter(filter)) unsupported("the filter", filter);
        value = make(Expression::Kind::filter, filter, std::move(value));
        if (is_symbol("(")) value->arguments = arguments();
        value = checked(std::move(value));
      } else if (skip_name("is")) {
        value = test(std::move(value));
      } else {
        return value;
      }
    }
  }

  ExpressionPtr test(ExpressionPtr value) {
    const bool negated = skip_name("not");
    const std::string name = expect_identifier();
    if (!find_test(name)) unsupported("the test", name);
    ExpressionPtr made = make(Expression::Kind::test, name, std::move(value));
    if (is_symbol("(")) {
      made->arguments = arguments();
    } else if (starts_argument()) {
      made->arguments.push_back({"", postfix(primary())});
    }
    made = checked(std::move(made));
    return negated ? make(Expression::Kind::logical_not, "", std::move(made)) : std::move(made);
  }

  // "is divisibleby 3": an argument without parentheses.
  bool starts_argument() const {
    if (current().kind == Kind::name) {
      constexpr std::string_view kKeywords[] = {"else", "or", "and", "is", "if", "in", "not"};
      return std::find(std::begin(kKeywords), std::end(kKeywords), current().text) == std::end(kKeywords);
    }
    return current().kind == Kind::string || current().kind == Kind::integer || current().kind == Kind::real ||
           is_symbol("[") || is_symbol("{");
  }

  std::vector<Argument> arguments() {
    std::vector<Argument> made;
    expect_symbol("(");
    while (!is_symbol(")")) {
      Argument argument;
      if (is_symbol("*") || is_symbol("**")) unsupported("the argument", current().text);
      if (current().kind == Kind::name && following().kind == Kind::symbol && following().text == "=") {
        argument.name = take().text;
        ++at_;
      } else if (!made.empty() && !made.back().name.empty()) {
        error("an argument without a name after one with a name");
      }
      argument.value = expression();
      made.push_back(std::move(argument));
      if (!skip_symbol(",")) break;
    }
    expect_symbol(")");
    return made;
  }

  std::vector<Lexeme> lexemes_;
  size_t at_ = 0;
  int level_ = 0;
  int loops_ = 0;
};

}  // namespace

Block parse(std::string_view source) { return Parser(source).run(); }

}  // namespace bitnet::jinja
