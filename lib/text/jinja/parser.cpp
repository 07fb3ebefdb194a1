// SPDX-License-Identifier: MIT
// The grammar of statements (jinja2/parser.py) with a stack in place of recursion: of the blocks that are open.
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/expressions.h"

namespace bitnet::jinja {
namespace {

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
  Code after;          // set, filter: what is done with what the block printed
  size_t over = 0;     // macro, call: the jump past the body
  uint32_t macro = 0;  // macro, call
  std::string_view end;
};
class Parser final : private ExpressionParser {
 public:
  explicit Parser(std::string_view source) : ExpressionParser(source) {}

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
  size_t open_blocks() const override { return blocks_.size(); }

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
    filters(false);
    return cut(begin);
  }

  void begin_filter(uint32_t line) {
    Block block = make(Block::Kind::filter, line, "endfilter");
    // "filter upper" is "| upper" of what the block prints.
    const size_t begin = here();
    filters(true);
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
  void note_use(const std::string& name) override {
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

  std::vector<Block> blocks_;
};

}  // namespace

Program parse(std::string_view source) { return Parser(source).run(); }

}  // namespace bitnet::jinja
