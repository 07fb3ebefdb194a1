// SPDX-License-Identifier: MIT
// The stack machine that runs a template. Variables live in scopes: an iteration of a loop is one, an "if" is not (as
// in Jinja). A macro sees the scope that it was defined in. All its stacks are on the heap.
#include "text/jinja/renderer.h"

#include <algorithm>
#include <functional>
#include <memory>

#include "base/error.h"
#include "text/jinja/format.h"

namespace bitnet::jinja {

struct Scope {
  Scope* parent = nullptr;
  bool kept = false;  // a macro sees it
  std::vector<std::pair<uint32_t, Value>> variables;
};

namespace {

using ObjectKind = Object::Kind;

class Machine {
 public:
  Machine(const Program& program, const std::vector<std::pair<std::string_view, Value>>& variables)
      : program_(program) {
    scope_ = new_scope(nullptr);
    for (const std::string_view name : {"range", "dict", "raise_exception", "namespace", "cycler", "joiner"}) {
      set_global(name, [&] { return new_object(ObjectKind::function, name); });
    }
    for (const auto& [name, value] : variables) {
      set_global(name, [&, &given = value] { return given; });
    }
    scope_ = new_scope(scope_);
  }

  MarkedText run() {
    try {
      while (step(program_.code[at_])) {
      }
    } catch (const Error& error) {
      // Adds the line to what is said of an error.
      const std::string_view text = error.what();
      constexpr std::string_view kPrefix = "chat template: ";
      if (!text.starts_with(kPrefix)) throw;
      fail(error.status(), "chat template, line ", program_.code[at_].line, ": ", text.substr(kPrefix.size()));
    }
    return std::move(out_).take();
  }

 private:
  // What a step and what a new object or scope count for.
  static constexpr size_t kStep = 64, kObject = 1024;

  struct Loop {
    Object* object;
    Scope* scope;            // around the loop
    size_t captures;         // that are open around it
    bool completed = false;  // an iteration came to its end
  };
  // A loop that only chooses what another goes through.
  struct Choice {
    List items, kept;
    size_t next = 0;
    Scope* scope;
  };
  struct Frame {
    size_t back;  // where to go on
    Scope* scope;
    size_t loops, captures;
    bool recursion;
    size_t loop_begin = 0;  // of a recursion
  };

  // --- variables ---

  Scope* new_scope(Scope* parent) {
    budget_.charge(kStep);
    if (free_.empty()) {
      scopes_.push_back(std::make_unique<Scope>());
      free_.push_back(scopes_.back().get());
    }
    Scope* scope = free_.back();
    free_.pop_back();
    scope->parent = parent;
    return scope;
  }

  // Back to a scope around the current one.
  void leave_to(Scope* outer) {
    while (scope_ != outer) {
      Scope* left = scope_;
      scope_ = left->parent;
      if (left->kept) continue;
      left->variables.clear();
      free_.push_back(left);
    }
  }

  static Value* find_in(Scope& scope, uint32_t name) {
    for (auto& [known, value] : scope.variables) {
      if (known == name) return &value;
    }
    return nullptr;
  }

  Value look_up(uint32_t name) {
    for (Scope* scope = scope_; scope; scope = scope->parent) {
      budget_.charge(scope->variables.size() + 1);
      if (const Value* found = find_in(*scope, name)) return *found;
    }
    return {};
  }

  void store(Scope& scope, uint32_t name, Value value) {
    budget_.charge(scope.variables.size());
    if (Value* found = find_in(scope, name)) {
      *found = std::move(value);
    } else {
      scope.variables.emplace_back(name, std::move(value));
    }
  }

  // Only for names that the template uses.
  template <typename Make>
  void set_global(std::string_view name, Make make) {
    const auto known = std::find(program_.names.begin(), program_.names.end(), name);
    if (known != program_.names.end()) {
      store(*scope_, static_cast<uint32_t>(known - program_.names.begin()), make());
    }
  }

  uint32_t name_index(std::string_view name) const {
    return static_cast<uint32_t>(std::find(program_.names.begin(), program_.names.end(), name) -
                                 program_.names.begin());
  }

  Object* new_object(ObjectKind kind, std::string_view name = {}) {
    budget_.charge(kObject + name.size());
    objects_.push_back(std::make_unique<Object>(kind));
    objects_.back()->name = name;
    return objects_.back().get();
  }

  // --- values on the stack ---

  void push(Value value) { stack_.push_back(std::move(value)); }

  // Pays for a value that was made.
  void push_made(Value value) {
    budget_.charge(value.weight());
    push(std::move(value));
  }

  Value pop() {
    Value value = std::move(stack_.back());
    stack_.pop_back();
    return value;
  }

  List pop_all(size_t count) {
    const auto begin = stack_.end() - static_cast<ptrdiff_t>(count);
    List values(std::make_move_iterator(begin), std::make_move_iterator(stack_.end()));
    stack_.erase(begin, stack_.end());
    return values;
  }

  void print(const Text& text) {
    budget_.charge(text.weight());
    out_.append(text);
  }

  void begin_capture() { captures_.push_back(std::exchange(out_, {})); }

  Text end_capture() {
    Text text = std::exchange(out_, std::move(captures_.back()));
    captures_.pop_back();
    return text;
  }

  // --- steps ---

  bool step(const Instruction& instruction) {
    budget_.charge(kStep);
    size_t next = at_ + 1;
    const auto jump = [&] { next = at_ + static_cast<size_t>(static_cast<int64_t>(instruction.b)); };
    switch (instruction.op) {
      case Op::nothing:
        break;
      case Op::finish:
        return false;
      case Op::text:
        print(*program_.constants[instruction.a].string());
        break;
      case Op::print:
        print_value(pop());
        break;
      case Op::constant:
        push(program_.constants[instruction.a]);
        break;
      case Op::load:
        push(look_up(instruction.a));
        break;
      case Op::store:
        store(*scope_, instruction.a, pop());
        break;
      case Op::store_attribute:
        store_attribute(instruction);
        break;
      case Op::make_list:
        push_made(Value(pop_all(instruction.a)));
        break;
      case Op::make_tuple:
        push_made(Value(pop_all(instruction.a), ListKind::tuple));
        break;
      case Op::make_dict:
        make_dict(instruction.a);
        break;
      case Op::unpack:
        unpack(instruction.a);
        break;
      case Op::drop:
        pop();
        break;
      case Op::attribute:
        push(attribute(pop(), program_.names[instruction.a]));
        break;
      case Op::subscript:
        take_item();
        break;
      case Op::slice: {
        const List parts = pop_all(4);
        push_made(slice(parts[0], parts[1], parts[2], parts[3], budget_));
        break;
      }
      case Op::call:
        call(instruction, next);
        return true;
      case Op::call_method:
        call_method_of(instruction, next);
        return true;
      case Op::filter:
        filter(instruction);
        break;
      case Op::test:
        test(instruction);
        break;
      case Op::jump:
        jump();
        break;
      case Op::jump_if_false:
        if (!pop().truth()) jump();
        break;
      case Op::jump_and:
        if (stack_.back().truth()) {
          pop();
        } else {
          jump();
        }
        break;
      case Op::jump_or:
        if (stack_.back().truth()) {
          jump();
        } else {
          pop();
        }
        break;
      case Op::logical_not:
        push(!pop().truth());
        break;
      case Op::negative:
        push(negate(pop()));
        break;
      case Op::positive: {
        const Value value = pop();
        require(value.is_number(), BITNET_ERROR_FORMAT, "chat template: \"+\" of ", value.type_name());
        push(value.boolean() ? Value(to_integer(value, "+")) : value);
        break;
      }
      case Op::add:
      case Op::subtract:
      case Op::multiply:
      case Op::divide:
      case Op::floor_divide:
      case Op::modulo:
      case Op::power:
        calculate(instruction.op);
        break;
      case Op::concatenate:
        concatenate(instruction.a);
        break;
      case Op::compare: {
        const List sides = pop_all(2);
        push(holds(static_cast<Comparison>(instruction.a), sides[0], sides[1]));
        break;
      }
      case Op::compare_chain: {
        List sides = pop_all(2);
        const bool held = holds(static_cast<Comparison>(instruction.a), sides[0], sides[1]);
        push(held ? std::move(sides[1]) : Value(false));
        if (!held) jump();
        break;
      }
      case Op::enter_scope:
        scope_ = new_scope(scope_);
        break;
      case Op::leave_scope:
        leave_to(scope_->parent);
        break;
      case Op::begin_capture:
        begin_capture();
        break;
      case Op::end_capture:
        push_made(end_capture());
        break;
      case Op::begin_choice:
        choices_.push_back({iterate(pop(), budget_), {}, 0, scope_});
        break;
      case Op::next_choice:
        if (!next_choice()) jump();
        break;
      case Op::keep_choice:
        if (pop().truth()) choices_.back().kept.push_back(choices_.back().items[choices_.back().next - 1]);
        break;
      case Op::begin_loop:
        if (!begin_loop(instruction)) jump();
        break;
      case Op::next_loop:
        if (!next_loop()) jump();
        break;
      case Op::repeat_loop:
        loops_.back().completed = true;
        jump();
        break;
      case Op::continue_loop:
      case Op::break_loop:
        unwind_to_loop();
        jump();
        break;
      case Op::end_loop:
        end_loop();
        break;
      case Op::end_loop_else:
        if (end_loop()) jump();
        break;
      case Op::end_recursion:
        end_recursion(static_cast<size_t>(instruction.b), next);
        break;
      case Op::define_macro:
        store(*scope_, static_cast<uint32_t>(instruction.b), new_macro(instruction.a));
        break;
      case Op::push_macro:
        push(new_macro(instruction.a));
        break;
      case Op::skip_default:
        budget_.charge(scope_->variables.size());
        if (find_in(*scope_, instruction.a)) jump();
        break;
      case Op::end_macro:
        return_text(next);
        break;
      case Op::refuse:
        fail(BITNET_ERROR_UNSUPPORTED, "chat template: ", program_.constants[instruction.a].string()->bytes(),
             " is not supported");
    }
    at_ = next;
    return true;
  }

  void print_value(const Value& value) {
    if (value.string()) return print(*value.string());
    print(value.text(budget_));
  }

  void store_attribute(const Instruction& instruction) {
    Value value = pop();
    const Value target = look_up(instruction.a);
    require(target.object() && target.object()->kind == ObjectKind::name_space, BITNET_ERROR_FORMAT,
            "chat template: ", program_.names[instruction.a],
            " is not a namespace, so that its attributes cannot be set");
    Dict& values = target.object()->values;
    const std::string& name = program_.names[static_cast<size_t>(instruction.b)];
    budget_.charge(name.size());
    assign(values, name, std::move(value), budget_);
  }

  void make_dict(size_t count) {
    List parts = pop_all(2 * count);
    Dict dict;
    for (size_t i = 0; i < parts.size(); i += 2) {
      assign(dict, parts[i], std::move(parts[i + 1]), budget_);
    }
    push_made(std::move(dict));
  }

  void unpack(size_t count) {
    List items = iterate(pop(), budget_);
    require(items.size() == count, BITNET_ERROR_FORMAT, "chat template: ", counted(items.size(), "value"), " for ",
            counted(count, "name"));
    std::move(items.rbegin(), items.rend(), std::back_inserter(stack_));
  }

  void take_item() {
    const Value key = pop(), container = pop();
    Value found = subscript(container, key, budget_);
    if (found.is_undefined() && key.string() && !(container.dict() && find(*container.dict(), key, budget_))) {
      budget_.charge(key.size());
      found = attribute(container, key.string()->bytes());
    }
    push(std::move(found));
  }

  void calculate(Op op) {
    const List sides = pop_all(2);
    const Value &a = sides[0], &b = sides[1];
    if (op == Op::add) return push_made(add(a, b));
    if (op == Op::subtract) return push(subtract(a, b));
    if (op == Op::multiply) return push_made(multiply(a, b, budget_));
    if (op == Op::divide) return push(divide(a, b));
    if (op == Op::floor_divide) return push(floor_divide(a, b));
    if (op == Op::power) return push(power(a, b));
    push_made(a.string() ? Value(percent_format(*a.string(), b, budget_)) : modulo(a, b));
  }

  void concatenate(size_t count) {
    Text text;
    for (const Value& part : pop_all(count)) {
      const Text piece = part.text(budget_);
      budget_.charge(piece.weight());
      text.append(piece);
    }
    push(std::move(text));
  }

  bool holds(Comparison comparison, const Value& a, const Value& b) {
    switch (comparison) {
      case Comparison::eq:
        return equal(a, b, budget_);
      case Comparison::ne:
        return !equal(a, b, budget_);
      case Comparison::lt:
        return compare(a, b, budget_) < 0;
      case Comparison::le:
        return compare(a, b, budget_) <= 0;
      case Comparison::gt:
        return compare(a, b, budget_) > 0;
      case Comparison::ge:
        return compare(a, b, budget_) >= 0;
      case Comparison::in:
      case Comparison::not_in:
        charge_search(b, a, budget_);
        return contains(b, a, budget_) == (comparison == Comparison::in);
    }
    fail(BITNET_ERROR_INTERNAL, "chat template: unknown comparison");
  }

  // --- attributes ---

  Value attribute(const Value& value, const std::string& name) {
    require(!value.is_undefined(), BITNET_ERROR_FORMAT, "chat template: '", name, "' of something undefined");
    if (value.object()) return attribute_of(*value.object(), name);
    if (has_method(value, name)) return new_method(value, name);
    if (value.dict()) {
      const Value* found = find(*value.dict(), std::string_view(name), budget_);
      return found ? *found : Value();
    }
    if (value.is(ListKind::group) && (name == "grouper" || name == "list")) {
      return (*value.list())[name == "grouper" ? 0 : 1];
    }
    return {};
  }

  Value new_method(const Value& value, const std::string& name) {
    Object* method = new_object(ObjectKind::method, name);
    method->self = value;
    return method;
  }

  Value attribute_of(Object& object, const std::string& name) {
    switch (object.kind) {
      case ObjectKind::name_space: {
        const Value* found = find(object.values, std::string_view(name), budget_);
        return found ? *found : Value();
      }
      case ObjectKind::loop:
        if (name == "cycle" || name == "changed") return new_method(&object, name);
        return loop_attribute(object, name);
      case ObjectKind::cycler:
        if (name == "next" || name == "reset") return new_method(&object, name);
        return name == "current" ? object.items[object.at] : Value();
      case ObjectKind::macro:
        if (name != "name") return {};
        budget_.charge(object.name.size());
        return object.name;
      case ObjectKind::function:
      case ObjectKind::method:
      case ObjectKind::joiner:
        return {};
    }
    fail(BITNET_ERROR_INTERNAL, "chat template: unknown object");
  }

  static Value loop_attribute(const Object& loop, std::string_view name) {
    const auto count = static_cast<int64_t>(loop.items.size()), at = static_cast<int64_t>(loop.at);
    if (name == "index") return at + 1;
    if (name == "index0") return at;
    if (name == "revindex") return count - at;
    if (name == "revindex0") return count - at - 1;
    if (name == "first") return at == 0;
    if (name == "last") return at + 1 == count;
    if (name == "length") return count;
    if (name == "depth") return int64_t{loop.level} + 1;
    if (name == "depth0") return int64_t{loop.level};
    if (name == "previtem") return at > 0 ? loop.items[loop.at - 1] : Value();
    if (name == "nextitem") return at + 1 < count ? loop.items[loop.at + 1] : Value();
    return {};
  }

  // --- calls ---

  using Named = std::vector<std::pair<std::string, Value>>;

  Named pop_arguments(const CallShape& shape) {
    List values = pop_all(shape.arguments.size());
    Named arguments;
    for (size_t i = 0; i < values.size(); ++i) {
      const auto& [kind, name] = shape.arguments[i];
      switch (kind) {
        case CallShape::Kind::place:
        case CallShape::Kind::name:
          budget_.charge(name.size());
          arguments.emplace_back(name, std::move(values[i]));
          break;
        case CallShape::Kind::all_places:
          for (Value& value : iterate(values[i], budget_)) arguments.emplace_back("", std::move(value));
          break;
        case CallShape::Kind::all_names:
          require(values[i].dict() != nullptr, BITNET_ERROR_FORMAT, "chat template: \"**\" of ", values[i].type_name());
          budget_.charge(values[i].weight());
          for (const auto& [key, value] : *values[i].dict()) {
            arguments.emplace_back(to_string(key, "the name of an argument"), value);
          }
          break;
      }
    }
    return arguments;
  }

  void call(const Instruction& instruction, size_t next) {
    Named arguments = pop_arguments(program_.shapes[instruction.a]);
    const Value callee = pop();
    if (!callee.object()) {
      if (instruction.b >= 0 && callee.is_undefined())
        refuse_function(program_.names[static_cast<size_t>(instruction.b)]);
      fail(BITNET_ERROR_FORMAT, "chat template: ", callee.type_name(), " is called");
    }
    call_object(*callee.object(), std::move(arguments), next);
  }

  [[noreturn]] static void refuse_function(const std::string& name) {
    require(name != "strftime_now", BITNET_ERROR_UNSUPPORTED,
            "chat template: it asks for today's date (strftime_now), and a text must not depend on the day; write the "
            "date into the template");
    fail(BITNET_ERROR_UNSUPPORTED, "chat template: the function \"", name, "\" is not supported");
  }

  void call_object(Object& object, Named arguments, size_t next) {
    switch (object.kind) {
      case ObjectKind::macro:
        return call_macro(object, std::move(arguments), next);
      case ObjectKind::loop:
        return call_loop(object, std::move(arguments), next);
      case ObjectKind::function:
        push_made(call_global(object.name, std::move(arguments)));
        break;
      case ObjectKind::method:
        if (object.self.object()) {
          push_made(call_object_method(*object.self.object(), object.name, std::move(arguments)));
        } else {
          push_made(call_method(object.name, object.self, Arguments(object.name, std::move(arguments)), budget_));
        }
        break;
      case ObjectKind::joiner:
        push(object.at++ == 0 ? Value("") : object.self);
        break;
      case ObjectKind::name_space:
      case ObjectKind::cycler:
        fail(BITNET_ERROR_FORMAT, "chat template: ", Value(&object).type_name(), " is called");
    }
    at_ = next;
  }

  void call_method_of(const Instruction& instruction, size_t next) {
    Named arguments = pop_arguments(program_.shapes[instruction.a]);
    const Value value = pop();
    const std::string& name = program_.names[static_cast<size_t>(instruction.b)];
    require(!value.is_undefined(), BITNET_ERROR_FORMAT, "chat template: '", name, "' of something undefined");
    const bool stored = value.dict() && !has_method(value, name);  // a dictionary may hold what can be called
    if (value.object() || stored) {
      const Value callee = attribute(value, name);
      if (callee.object()) return call_object(*callee.object(), std::move(arguments), next);
      if (value.object()) fail(BITNET_ERROR_FORMAT, "chat template: ", value.type_name(), " has no method ", name);
    }
    push_made(call_method(name, value, Arguments(name, std::move(arguments)), budget_));
    at_ = next;
  }

  Value call_object_method(Object& object, const std::string& name, Named arguments) {
    if (object.kind == ObjectKind::loop && name == "cycle") {
      require(!arguments.empty(), BITNET_ERROR_FORMAT, "chat template: cycle() of nothing");
      return arguments[object.at % arguments.size()].second;
    }
    if (object.kind == ObjectKind::loop) {  // changed
      List values;
      for (auto& [none, value] : arguments) values.push_back(std::move(value));
      Value seen(std::move(values), ListKind::tuple);
      budget_.charge(seen.weight());
      const bool changed = !equal(seen, object.self, budget_);
      object.self = std::move(seen);
      return changed;
    }
    if (name == "reset") {
      object.at = 0;
      return None();
    }
    Value current = object.items[object.at];
    object.at = (object.at + 1) % object.items.size();
    return current;
  }

  Value call_global(const std::string& name, Named arguments) {
    if (name == "namespace") return make_namespace(Arguments(name, std::move(arguments)));
    if (name == "cycler") {
      require(!arguments.empty(), BITNET_ERROR_FORMAT, "chat template: cycler() of nothing");
      Object* made = new_object(ObjectKind::cycler);
      for (auto& [none, value] : arguments) made->items.push_back(std::move(value));
      return made;
    }
    Arguments given(name, std::move(arguments));
    if (name == "joiner") {
      Object* made = new_object(ObjectKind::joiner);
      made->self = given.get(0, "sep", ", ");
      return made;
    }
    return call_function(name, std::move(given), budget_);
  }

  // namespace(a=1), namespace({...}).
  Value make_namespace(Arguments arguments) {
    Object* made = new_object(ObjectKind::name_space);
    const Value values = call_function("dict", std::move(arguments), budget_);
    made->values = *values.dict();
    return made;
  }

  // --- macros ---

  // From now on something may come back to the scopes that are open.
  void keep_scopes() {
    for (Scope* scope = scope_; scope && !scope->kept; scope = scope->parent) scope->kept = true;
  }

  Value new_macro(uint32_t index) {
    Object* made = new_object(ObjectKind::macro, program_.macros[index].name);
    made->macro = &program_.macros[index];
    made->scope = scope_;
    keep_scopes();
    return made;
  }

  void enter(Frame frame, Scope* scope) {
    require(frames_.size() < kDeepest, BITNET_ERROR_UNSUPPORTED,
            "chat template: ", frame.recursion ? "a loop calls itself" : "macros call each other",
            " too deeply (more than ", kDeepest, " levels)");
    frames_.push_back(frame);
    begin_capture();
    scope_ = new_scope(scope);
  }

  void call_macro(const Object& object, Named arguments, size_t next) {
    const Macro& macro = *object.macro;
    enter({next, scope_, loops_.size(), captures_.size(), false}, object.scope);
    std::vector<bool> given(macro.parameters.size());
    List places;
    Dict names;
    Value caller;
    size_t place = 0;
    for (auto& [name, value] : arguments) {
      size_t parameter = place;
      if (!name.empty()) {
        parameter = 0;
        budget_.charge(given.size() * kCompare);
        while (parameter < given.size() && program_.names[macro.parameters[parameter]] != name) ++parameter;
      } else {
        ++place;
      }
      if (parameter < given.size()) {
        require(!given[parameter], BITNET_ERROR_FORMAT, "chat template: the macro ", macro.name,
                " gets an argument twice");
        given[parameter] = true;
        store(*scope_, macro.parameters[parameter], std::move(value));
      } else if (name == "caller") {
        caller = std::move(value);
      } else if (name.empty()) {
        places.push_back(std::move(value));
      } else {
        assign(names, name, std::move(value), budget_);
      }
    }
    for (size_t i = 0; i < given.size(); ++i) {
      if (!given[i] && !macro.has_default[i]) store(*scope_, macro.parameters[i], Value());
    }
    store_rest(macro, std::move(places), std::move(names), std::move(caller));
    at_ = macro.entry;
  }

  // The arguments that no parameter took.
  void store_rest(const Macro& macro, List places, Dict names, Value caller) {
    const auto check = [&](bool taken, const char* rest) {
      require(taken, BITNET_ERROR_FORMAT, "chat template: the macro ", macro.name, " takes no ", rest);
    };
    check(macro.takes_places || places.empty(), "argument at this place");
    check(macro.takes_names || names.empty(), "argument of this name");
    check(macro.takes_caller || caller.is_undefined(), "caller");
    if (macro.takes_places) store(*scope_, varargs_name_, Value(std::move(places), ListKind::tuple));
    if (macro.takes_names) store(*scope_, kwargs_name_, Value(std::move(names)));
    if (macro.takes_caller) store(*scope_, caller_name_, std::move(caller));
  }

  // Ends a macro or a recursion: what it printed is its value.
  void return_text(size_t& next) {
    const Frame frame = frames_.back();
    frames_.pop_back();
    leave_to_caller(frame.scope);
    push_made(end_capture());
    next = frame.back;
  }

  // The scope of a call stands on the one of the definition, not on the caller's.
  void leave_to_caller(Scope* caller) {
    Scope* left = scope_;
    scope_ = caller;
    if (left->kept) return;
    left->variables.clear();
    free_.push_back(left);
  }

  // --- loops ---

  bool next_choice() {
    Choice& choice = choices_.back();
    leave_to(choice.scope);
    if (choice.next == choice.items.size()) {
      push_made(Value(std::move(choice.kept)));
      choices_.pop_back();
      return false;
    }
    budget_.charge(kStep);
    scope_ = new_scope(scope_);
    push(choice.items[choice.next++]);
    return true;
  }

  bool begin_loop(const Instruction& instruction) {
    List items = iterate(pop(), budget_);
    if (items.empty()) return false;
    Object* loop = new_object(ObjectKind::loop);
    loop->items = std::move(items);
    loop->scope = scope_;
    if (instruction.a == 1) {
      loop->begin = at_;
      loop->entry = at_ - program_.code[at_ + 1].a;
      loop->level = recursion_level(at_);
      keep_scopes();
    }
    loop->at = static_cast<size_t>(-1);
    loops_.push_back({loop, scope_, captures_.size()});
    return true;
  }

  int recursion_level(size_t begin) const {
    const bool called = !frames_.empty() && frames_.back().recursion && frames_.back().loop_begin == begin;
    return called ? recursion_depth_ : 0;
  }

  bool next_loop() {
    const Loop& loop = loops_.back();
    leave_to(loop.scope);
    if (++loop.object->at == loop.object->items.size()) return false;
    scope_ = new_scope(scope_);
    if (loop_name_ < program_.names.size()) store(*scope_, loop_name_, loop.object);
    push(loop.object->items[loop.object->at]);
    return true;
  }

  // Whether an iteration came to its end.
  bool end_loop() {
    const Loop loop = loops_.back();
    leave_to(loop.scope);
    loop.object->items.clear();
    loops_.pop_back();
    return loop.completed;
  }

  // Drops the scopes and captures that were opened inside the loop.
  void unwind_to_loop() {
    const Loop& loop = loops_.back();
    leave_to(loop.scope);
    while (captures_.size() > loop.captures) end_capture();
  }

  // loop(items) inside a recursive loop: what the loop prints for those.
  void call_loop(const Object& loop, Named arguments, size_t next) {
    require(loop.begin > 0, BITNET_ERROR_FORMAT, "chat template: a loop is called that is not recursive");
    require(arguments.size() == 1, BITNET_ERROR_FORMAT, "chat template: a loop is called with one argument");
    enter({next, scope_, loops_.size(), captures_.size(), true, loop.begin}, loop.scope);
    ++recursion_depth_;
    push(std::move(arguments[0].second));
    at_ = loop.entry;
  }

  void end_recursion(size_t begin, size_t& next) {
    const bool called = !frames_.empty() && frames_.back().recursion && frames_.back().loop_begin == begin &&
                        frames_.back().loops == loops_.size();
    if (!called) return;
    --recursion_depth_;
    return_text(next);
  }

  // --- filters and tests ---

  void filter(const Instruction& instruction) {
    const auto& [name, function] = program_.filters[instruction.a];
    Named arguments = pop_arguments(program_.shapes[static_cast<size_t>(instruction.b)]);
    const Value value = pop();
    require(function != nullptr, BITNET_ERROR_UNSUPPORTED, "chat template: the filter \"", name, "\" is not supported");
    push_made(apply_filter(function, value, Arguments(name, std::move(arguments)), budget_));
  }

  void test(const Instruction& instruction) {
    const auto& [name, function] = program_.tests[instruction.a];
    Named arguments = pop_arguments(program_.shapes[static_cast<size_t>(instruction.b)]);
    const Value value = pop();
    require(function != nullptr, BITNET_ERROR_UNSUPPORTED, "chat template: the test \"", name, "\" is not supported");
    push(apply_test(function, value, Arguments(name, std::move(arguments)), budget_));
  }

  const Program& program_;
  const uint32_t loop_name_ = name_index("loop"), varargs_name_ = name_index("varargs"),
                 kwargs_name_ = name_index("kwargs"), caller_name_ = name_index("caller");
  Budget budget_;
  size_t at_ = 0;
  List stack_;
  std::vector<std::unique_ptr<Object>> objects_;
  std::vector<std::unique_ptr<Scope>> scopes_;
  std::vector<Scope*> free_;
  Scope* scope_ = nullptr;
  std::vector<Loop> loops_;
  std::vector<Choice> choices_;
  std::vector<Frame> frames_;
  int recursion_depth_ = 0;
  std::vector<Text> captures_;
  Text out_;
};

}  // namespace

MarkedText render(const Program& program, const std::vector<std::pair<std::string_view, Value>>& variables) {
  return Machine(program, variables).run();
}

}  // namespace bitnet::jinja
