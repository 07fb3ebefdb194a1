// SPDX-License-Identifier: MIT
// Jinja's grammar (jinja2/parser.py) with stacks in place of recursion: one of the blocks that are open, one of the
// brackets and operators that wait for an operand. Instructions are written as soon as their operands are there.
#include <algorithm>
#include <iterator>
#include <locale>
#include <map>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "text/jinja/lexer.h"
#include "text/jinja/program.h"

namespace bitnet::jinja {
namespace {

using Kind = Lexeme::Kind;

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

// How tight an operator binds; groups do not bind at all.
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
      return 0;
    case Pending::Kind::logical_or:
      return 1;
    case Pending::Kind::logical_and:
      return 2;
    case Pending::Kind::logical_not:
      return 3;
    case Pending::Kind::comparison:
      return 4;
    case Pending::Kind::sum:
      return 5;
    case Pending::Kind::concatenation:
      return 6;
    case Pending::Kind::product:
      return 7;
    case Pending::Kind::power:
      return 8;
    case Pending::Kind::sign:
      return 9;
    case Pending::Kind::test_argument:
      return 10;
  }
  return -1;
}

constexpr int kAll = 0, kOr = 1, kAnd = 2, kNot = 3, kComparison = 4, kSum = 5, kConcatenation = 6, kProduct = 7,
              kPower = 8, kSign = 9;

// A block that is open.
struct Block {
  enum class Kind { condition, condition_else, loop, loop_else, set, filter, macro, call, scope };
  Kind kind;
  uint32_t line;
  std::vector<size_t> jumps;  // to the end of the block
  size_t pending_jump = 0;    // condition: past this branch
  size_t begin = 0;           // loop: its begin_loop
  size_t next = 0;            // loop: its next_loop
  std::vector<size_t> breaks;
  bool recursive = false;
  Code after;           // set, filter: what is done with what the block printed
  size_t over = 0;      // macro, call: the jump past the body
  uint32_t macro = 0;   // macro, call
  std::string_view end;
};

class Parser {
 public:
  explicit Parser(std::string_view source) : lexemes_(tokenize(source)) {}

  Program run() {
    while (current().kind != Kind::end) {
      if (current().kind == Kind::text) {
        emit(Op::text, constant(take().text));
      } else if (current().kind == Kind::print_begin) {
        ++at_;
        expression(true, true);
        emit(Op::print);
        expect(Kind::print_end, "\"}}\"");
      } else {
        expect(Kind::block_begin, "a tag");
        statement();
      }
    }
    if (!blocks_.empty()) error("the template ends before \"" + std::string(blocks_.back().end) + "\"");
    emit(Op::finish);
    return std::move(program_);
  }

 private:
  // --- lexemes ---

  const Lexeme& current() const { return lexemes_[at_]; }
  const Lexeme& following() const { return lexemes_[std::min(at_ + 1, lexemes_.size() - 1)]; }
  const Lexeme& take() { return current().kind == Kind::end ? current() : lexemes_[at_++]; }

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
  void end_of_tag() { expect(Kind::block_end, "\"%}\""); }

  // --- code ---

  Code& code() { return program_.code; }
  size_t here() const { return program_.code.size(); }

  size_t emit(Op op, uint32_t a = 0, int32_t b = 0) {
    code().push_back({op, current().line, a, b});
    return here() - 1;
  }

  // Makes the jump go to what is written next.
  void land(size_t jump) {
    code()[jump].b = static_cast<int32_t>(here() - jump);
    last_call_ = kNoCall;
  }

  void emit_jump_back(Op op, size_t target) {
    emit(op, 0, static_cast<int32_t>(static_cast<int64_t>(target) - static_cast<int64_t>(here())));
  }

  // Takes the code away that begins there, to be put elsewhere: jumps inside it stay true.
  Code cut(size_t begin) {
    const auto first = code().begin() + static_cast<ptrdiff_t>(begin);
    Code taken(first, code().end());
    code().erase(first, code().end());
    return taken;
  }
  void paste(const Code& taken) { code().insert(code().end(), taken.begin(), taken.end()); }

  uint32_t constant(Value value) {
    program_.constants.push_back(std::move(value));
    return static_cast<uint32_t>(program_.constants.size() - 1);
  }

  uint32_t name_index(const std::string& name) {
    const auto [found, added] = name_indices_.try_emplace(name, static_cast<uint32_t>(program_.names.size()));
    if (added) program_.names.push_back(name);
    return found->second;
  }

  uint32_t shape(CallShape made) {
    program_.shapes.push_back(std::move(made));
    return static_cast<uint32_t>(program_.shapes.size() - 1);
  }

  void check_depth() const {
    if (blocks_.size() + pending_.size() > kDeepest) {
      error("nested too deeply (more than " + std::to_string(kDeepest) + " levels)");
    }
  }

  // --- statements ---

  void statement() {
    const uint32_t line = current().line;
    const std::string keyword = expect_identifier();
    if (keyword == "if") {
      begin_condition(line);
    } else if (keyword == "elif") {
      next_condition();
    } else if (keyword == "else") {
      otherwise();
    } else if (keyword == "for") {
      begin_loop(line);
    } else if (keyword == "break" || keyword == "continue") {
      leave_iteration(keyword == "break");
    } else if (keyword == "set") {
      set(line);
    } else if (keyword == "macro") {
      begin_macro(line);
    } else if (keyword == "call") {
      begin_call(line);
    } else if (keyword == "filter") {
      begin_filter(line);
    } else if (keyword == "with") {
      begin_with(line);
    } else if (keyword == "generation") {  // Hugging Face's mark of what the assistant said; it prints nothing
      open({Block::Kind::scope, line, {}, 0, 0, 0, {}, false, {}, 0, 0, "endgeneration"});
      emit(Op::enter_scope);
      end_of_tag();
    } else if (keyword == "do") {
      expression(true, true);
      emit(Op::drop);
      end_of_tag();
    } else if (keyword == "include" || keyword == "import" || keyword == "from" || keyword == "extends") {
      refuse_when_reached(keyword);
    } else if (!blocks_.empty() && keyword == blocks_.back().end) {
      close();
    } else if (keyword.starts_with("end")) {
      --at_;
      error("this tag does not belong here");
    } else {
      --at_;
      unsupported("the statement", keyword);
    }
  }

  // There are no other templates to take something from.
  void refuse_when_reached(const std::string& keyword) {
    emit(Op::refuse, constant("the statement \"" + keyword + "\""));
    while (current().kind != Kind::block_end && current().kind != Kind::end) ++at_;
    end_of_tag();
  }

  Block& open(Block block) {
    blocks_.push_back(std::move(block));
    check_depth();
    return blocks_.back();
  }

  Block make(Block::Kind kind, uint32_t line, std::string_view end) const {
    Block block{};
    block.kind = kind;
    block.line = line;
    block.end = end;
    return block;
  }

  void begin_condition(uint32_t line) {
    Block& block = open(make(Block::Kind::condition, line, "endif"));
    expression(true, true);
    block.pending_jump = emit(Op::jump_if_false);
    end_of_tag();
  }

  void next_condition() {
    if (blocks_.empty() || blocks_.back().kind != Block::Kind::condition) misplaced();
    Block& block = blocks_.back();
    block.jumps.push_back(emit(Op::jump));
    land(block.pending_jump);
    expression(true, true);
    block.pending_jump = emit(Op::jump_if_false);
    end_of_tag();
  }

  [[noreturn]] void misplaced() {
    --at_;
    error("this tag does not belong here");
  }

  void otherwise() {
    if (blocks_.empty()) misplaced();
    Block& block = blocks_.back();
    if (block.kind == Block::Kind::condition) {
      block.jumps.push_back(emit(Op::jump));
      land(block.pending_jump);
      block.kind = Block::Kind::condition_else;
    } else if (block.kind == Block::Kind::loop) {
      end_loop_body(block);
      block.jumps.push_back(emit(Op::end_loop_else));
      land(block.begin);
      block.kind = Block::Kind::loop_else;
    } else {
      misplaced();
    }
    end_of_tag();
  }

  void begin_loop(uint32_t line) {
    const Code targets = assignment_targets();
    expect_name("in");
    Block block = make(Block::Kind::loop, line, "endfor");
    expression(true, false);
    const size_t entry = here();
    if (skip_name("if")) choose_items(targets);
    block.recursive = skip_name("recursive");
    end_of_tag();
    block.begin = emit(Op::begin_loop, block.recursive ? 1 : 0);
    // A call of a recursive loop goes to what follows the value; begin_loop knows how far that is.
    if (block.recursive) emit(Op::nothing, static_cast<uint32_t>(block.begin - entry));
    block.next = emit(Op::next_loop);
    paste(targets);
    open(std::move(block));
  }

  void choose_items(const Code& targets) {
    emit(Op::begin_choice);
    const size_t next = emit(Op::next_choice);
    paste(targets);
    expression(false, true);
    emit(Op::keep_choice);
    emit_jump_back(Op::jump, next);
    land(next);
  }

  void end_loop_body(Block& block) {
    emit_jump_back(Op::repeat_loop, block.next);
    land(block.next);
    for (const size_t jump : block.breaks) land(jump);
  }

  void leave_iteration(bool break_it) {
    for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block) {
      if (block->kind == Block::Kind::macro || block->kind == Block::Kind::call) break;
      if (block->kind != Block::Kind::loop) continue;
      if (break_it) {
        block->breaks.push_back(emit(Op::break_loop));
      } else {
        emit_jump_back(Op::continue_loop, block->next);
      }
      return end_of_tag();
    }
    --at_;
    error("break or continue outside a loop");
  }

  void set(uint32_t line) {
    Code store = current().kind == Kind::name && following().kind == Kind::symbol && following().text == "."
                     ? attribute_target()
                     : assignment_targets();
    if (skip_symbol("=")) {
      expression(true, true);
      paste(store);
      return end_of_tag();
    }
    Block block = make(Block::Kind::set, line, "endset");
    block.after = filters_of_block();
    block.after.insert(block.after.end(), store.begin(), store.end());
    begin_captured(std::move(block));
  }

  Code attribute_target() {
    const size_t begin = here();
    const uint32_t name = name_index(expect_identifier());
    expect_symbol(".");
    emit(Op::store_attribute, name, static_cast<int32_t>(name_index(expect_identifier())));
    return cut(begin);
  }

  void begin_captured(Block block) {
    emit(Op::begin_capture);
    emit(Op::enter_scope);
    open(std::move(block));
    end_of_tag();
  }

  // The filters behind "set x" or "filter", to be applied to what the block prints.
  Code filters_of_block() {
    if (!is_symbol("|")) return {};
    const size_t begin = here();
    filters_only_ = true;
    expression(false, false);
    return cut(begin);
  }

  void begin_filter(uint32_t line) {
    Block block = make(Block::Kind::filter, line, "endfilter");
    // "filter upper" is "| upper" of what the block prints.
    const size_t begin = here();
    filters_only_ = true;
    first_filter_ = true;
    expression(false, false);
    block.after = cut(begin);
    block.after.push_back({Op::print, line});
    begin_captured(std::move(block));
  }

  void begin_with(uint32_t line) {
    std::vector<Code> stores;
    while (current().kind != Kind::block_end) {
      if (!stores.empty()) expect_symbol(",");
      Code store = assignment_targets(false);
      expect_symbol("=");
      expression(false, true);
      stores.push_back(std::move(store));
    }
    emit(Op::enter_scope);
    for (auto store = stores.rbegin(); store != stores.rend(); ++store) paste(*store);
    open(make(Block::Kind::scope, line, "endwith"));
    end_of_tag();
  }

  // --- macros ---

  void begin_macro(uint32_t line) {
    Macro macro;
    macro.name = expect_identifier();
    begin_body(Block::Kind::macro, line, std::move(macro), "endmacro");
    end_of_tag();
  }

  void begin_call(uint32_t line) {
    Macro caller;
    caller.name = "caller";
    // The parameters stand before the call and the code of their defaults behind it.
    const size_t parameters = at_;
    if (is_symbol("(")) skip_parentheses();
    last_call_ = kNoCall;
    expression(false, false);
    if (last_call_ != here()) error("\"call\" needs a call");
    Instruction call = code().back();
    code().pop_back();
    CallShape with_caller = program_.shapes[call.a];
    with_caller.arguments.emplace_back(CallShape::Kind::name, "caller");
    emit(Op::push_macro, static_cast<uint32_t>(program_.macros.size()));
    emit(call.op, shape(std::move(with_caller)), call.b);
    emit(Op::print);
    const size_t behind = at_;
    at_ = parameters;
    begin_body(Block::Kind::call, line, std::move(caller), "endcall");
    at_ = behind;
    end_of_tag();
  }

  void skip_parentheses() {
    size_t open = 0;
    do {
      if (current().kind == Kind::end || current().kind == Kind::block_end) error("expected \")\"");
      open += is_symbol("(") ? 1 : 0;
      open -= is_symbol(")") ? 1 : 0;
      ++at_;
    } while (open > 0);
  }

  // The parameters, if there are any here, and the begin of the body.
  void begin_body(Block::Kind kind, uint32_t line, Macro macro, std::string_view end) {
    Block block = make(kind, line, end);
    block.macro = static_cast<uint32_t>(program_.macros.size());
    if (kind == Block::Kind::macro) emit(Op::define_macro, block.macro, static_cast<int32_t>(name_index(macro.name)));
    block.over = emit(Op::jump);
    macro.entry = here();
    program_.macros.push_back(std::move(macro));
    const uint32_t index = block.macro;
    open(std::move(block));
    if (kind == Block::Kind::macro && !is_symbol("(")) error("expected \"(\"");
    if (skip_symbol("(")) parameters(index);
  }

  void parameters(uint32_t index) {
    while (!skip_symbol(")")) {
      Macro& macro = program_.macros[index];
      if (!macro.parameters.empty()) expect_symbol(",");
      if (skip_symbol(")")) return;
      const uint32_t name = name_index(expect_identifier());
      const bool has_default = skip_symbol("=");
      if (!has_default && !macro.has_default.empty() && macro.has_default.back()) {
        error("a parameter without a default behind one that has a default");
      }
      macro.parameters.push_back(name);
      macro.has_default.push_back(has_default);
      if (!has_default) continue;
      const size_t given = emit(Op::skip_default, name);
      expression(false, true);
      emit(Op::store, name);
      land(given);
    }
  }

  // Variables that a macro has only if it names them.
  void note_use(const std::string& name) {
    if (name != "varargs" && name != "kwargs" && name != "caller") return;
    for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block) {
      if (block->kind != Block::Kind::macro && block->kind != Block::Kind::call) continue;
      Macro& macro = program_.macros[block->macro];
      macro.takes_places |= name == "varargs";
      macro.takes_names |= name == "kwargs";
      macro.takes_caller |= name == "caller";
      return;
    }
  }

  void close() {
    Block block = std::move(blocks_.back());
    blocks_.pop_back();
    switch (block.kind) {
      case Block::Kind::condition:
        land(block.pending_jump);
        break;
      case Block::Kind::condition_else:
        break;
      case Block::Kind::loop:
        end_loop_body(block);
        emit(Op::end_loop);
        land(block.begin);
        break;
      case Block::Kind::loop_else:
        break;
      case Block::Kind::set:
      case Block::Kind::filter:
        emit(Op::leave_scope);
        emit(Op::end_capture);
        paste(block.after);
        break;
      case Block::Kind::macro:
      case Block::Kind::call:
        emit(Op::end_macro);
        land(block.over);
        if (current().kind == Kind::name) ++at_;  // the name may be said again
        break;
      case Block::Kind::scope:
        emit(Op::leave_scope);
        break;
    }
    for (const size_t jump : block.jumps) land(jump);
    if (block.recursive) emit(Op::end_recursion, 0, static_cast<int32_t>(block.begin));
    end_of_tag();
  }

  // --- what is assigned to ---

  // One name, or several in parentheses or not, and so on inside; the code that stores a value in them.
  Code assignment_targets(bool may_be_bare_tuple = true) {
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

  void finish_tuple(size_t unpack, uint32_t count, bool comma) {
    if (comma) {
      code()[unpack].a = count;
    } else {
      code()[unpack].op = Op::nothing;
    }
  }

  static bool is_constant(std::string_view name) {
    constexpr std::string_view kConstants[] = {"true", "True", "false", "False", "none", "None"};
    return std::find(std::begin(kConstants), std::end(kConstants), name) != std::end(kConstants);
  }

  // --- expressions ---

  Pending& push(Pending::Kind kind) {
    Pending pending{};
    pending.kind = kind;
    pending.line = current().line;
    pending.start = here();
    pending_.push_back(std::move(pending));
    check_depth();
    return pending_.back();
  }

  void push_operator(Pending::Kind kind, Op op) { push(kind).op = op; }

  // Writes the code of one expression; with commas it is a tuple, if it may be one.
  void expression(bool may_be_tuple, bool may_be_conditional) {
    const size_t base = pending_.size();
    Pending& root = push(Pending::Kind::root);
    root.may_be_tuple = may_be_tuple;
    root.may_be_conditional = may_be_conditional;
    bool wanted = true;  // an operand comes next
    postfix_ = false;
    if (std::exchange(filters_only_, false)) {
      wanted = false;
      if (std::exchange(first_filter_, false)) wanted = filter();
    }
    while (pending_.size() > base) wanted = wanted ? operand() : operation();
  }

  // Each returns whether an operand is wanted next.
  static constexpr bool kOperandNext = true, kOperationNext = false;

  bool operand() {
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

  bool name() {
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

  bool string() {
    std::string text;
    while (current().kind == Kind::string) text += take().text;  // neighbours are one, as in Python
    emit(Op::constant, constant(std::move(text)));
    return kOperationNext;
  }

  // By a stream, for the C++ library of Android and Apple has no std::from_chars for double.
  template <typename T>
  bool number() {
    std::istringstream text(current().text);
    text.imbue(std::locale::classic());
    T value = 0;
    if (!(text >> value) || !text.eof()) error("a number that does not fit");
    emit(Op::constant, constant(value));
    ++at_;
    return kOperationNext;
  }

  bool symbol() {
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

  bool begin_group(Pending::Kind kind, std::string_view close) {
    Pending& group = push(kind);
    if (!is_symbol(close)) return kOperandNext;
    group.tuple = true;  // "()" is a tuple without items
    return close_group(false);
  }

  bool begin_arguments(Pending::Target target, uint32_t callee, int32_t name) {
    Pending& group = push(Pending::Kind::arguments);
    group.target = target;
    group.callee = callee;
    group.name = name;
    if (is_symbol(")")) return close_group(false);
    return begin_argument();
  }

  bool begin_argument() {
    Pending& group = pending_.back();
    auto& arguments = group.shape.arguments;
    const bool after_name =
        !arguments.empty() && (arguments.back().first == CallShape::Kind::name ||
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

  bool operation() {
    if (current().kind == Kind::symbol) return symbol_operation();
    if (current().kind == Kind::name) return name_operation();
    return end_expression();
  }

  bool symbol_operation() {
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
    constexpr std::pair<std::string_view, Comparison> kComparisons[] = {
        {"==", Comparison::eq}, {"!=", Comparison::ne}, {"<", Comparison::lt},
        {"<=", Comparison::le}, {">", Comparison::gt},  {">=", Comparison::ge}};
    for (const auto& [text, comparison] : kComparisons) {
      if (symbol == text) return compare(comparison, 1);
    }
    return end_expression();
  }

  bool name_operation() {
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

  bool binary(Pending::Kind kind, int level, Op op) {
    reduce(level);
    push_operator(kind, op);
    ++at_;
    return kOperandNext;
  }

  bool concatenation() {
    reduce(kConcatenation + 1);
    if (pending_.back().kind != Pending::Kind::concatenation) push(Pending::Kind::concatenation).count = 1;
    ++pending_.back().count;
    ++at_;
    return kOperandNext;
  }

  // a < b < c is a < b and b < c, as in Python.
  bool compare(Comparison comparison, size_t lexemes) {
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

  bool logical(Pending::Kind kind, int level, Op op) {
    reduce(level);
    const size_t jump = emit(op);
    push(kind).jumps.push_back(jump);
    ++at_;
    return kOperandNext;
  }

  bool attribute() {
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

  std::string dotted_name() {
    std::string name = expect_identifier();
    while (skip_symbol(".")) name += "." + expect_identifier();
    return name;
  }

  bool filter() {
    reduce(kSign);
    const std::string name = dotted_name();
    const auto index = static_cast<uint32_t>(program_.filters.size());
    program_.filters.emplace_back(name, find_filter(name));
    postfix_ = false;
    if (skip_symbol("(")) return begin_arguments(Pending::Target::filter, index, kNoName);
    emit(Op::filter, index, static_cast<int32_t>(shape({})));
    return kOperationNext;
  }

  bool test() {
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

  void emit_test(uint32_t index, CallShape arguments, bool negated) {
    emit(Op::test, index, static_cast<int32_t>(shape(std::move(arguments))));
    if (negated) emit(Op::logical_not);
    postfix_ = false;
  }

  // "is divisibleby 3": an argument without parentheses.
  bool starts_argument() const {
    if (current().kind == Kind::name) {
      constexpr std::string_view kKeywords[] = {"else", "or", "and", "is", "if", "in", "not", "recursive"};
      return std::find(std::begin(kKeywords), std::end(kKeywords), current().text) == std::end(kKeywords);
    }
    return current().kind == Kind::string || current().kind == Kind::integer || current().kind == Kind::real ||
           is_symbol("[") || is_symbol("{");
  }

  // --- conditional expressions: the code of "a if b else c" is b, a, c ---

  bool condition() {
    const auto group = std::find_if(pending_.rbegin(), pending_.rend(),
                                    [](const Pending& pending) { return precedence(pending) < 0; });
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

  bool condition_else() {
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
  void choose(Pending& conditional) {
    const size_t otherwise = emit(Op::jump_if_false);
    paste(std::exchange(conditional.held, {}));
    conditional.jumps.push_back(emit(Op::jump));
    land(otherwise);
  }

  // --- the ends of things ---

  // Writes the operators on top that bind as tight as that, or tighter.
  void reduce(int level) {
    while (precedence(pending_.back()) >= level) reduce_top();
  }

  void reduce_top() {
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

  bool comma() {
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

  bool colon() {
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

  bool end_expression() {
    reduce(kAll);
    if (pending_.back().kind != Pending::Kind::root) error("expected an operator or a closing bracket");
    return end_root(true);
  }

  bool end_root(bool operand) {
    const Pending root = std::move(pending_.back());
    pending_.pop_back();
    if (root.tuple) emit(Op::make_tuple, root.count + (operand ? 1 : 0));
    return kOperationNext;
  }

  // At the bracket that closes the group on top; `operand`: an operand stands right before it.
  bool close_group(bool operand) {
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

  void close_subscript(const Pending& group) {
    if (group.colons == 0 && group.empty_part) error("expected an expression");
    expect_symbol("]");
    if (group.colons == 1) emit(Op::constant, constant(None()));
    emit(group.colons == 0 ? Op::subscript : Op::slice);
  }

  void close_arguments(Pending group) {
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

  static constexpr size_t kNoCall = static_cast<size_t>(-1);

  std::vector<Lexeme> lexemes_;
  size_t at_ = 0;
  Program program_;
  std::map<std::string, uint32_t, std::less<>> name_indices_;
  std::vector<Block> blocks_;
  std::vector<Pending> pending_;
  bool postfix_ = false;        // ".", "[" may follow
  bool filters_only_ = false;   // the next expression has its first operand already
  bool first_filter_ = false;   // ... and begins with the name of a filter
  size_t last_call_ = kNoCall;  // the end of the code of a call that was just written
};

}  // namespace

Program parse(std::string_view source) { return Parser(source).run(); }

}  // namespace bitnet::jinja
