// SPDX-License-Identifier: MIT
// A parsed template: instructions for a stack machine. There is no tree, so that nothing that walks or frees a template
// recurses, however deep it nests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/builtins.h"
#include "text/jinja/value.h"

namespace bitnet::jinja {

// What templates may nest: brackets, operators that wait for their right side, and blocks, all together; and calls of
// macros and of recursive loops.
constexpr size_t kDeepest = 1000;

// a and b are those of the instruction; a jump goes b instructions on. "Pops" and "pushes" are about the values.
enum class Op : uint8_t {
  nothing,
  finish,           // the template ends
  text,             // prints constants[a]
  print,            // pops what it prints
  constant,         // pushes constants[a]
  load,             // pushes the variable a
  store,            // pops the value of the variable a
  store_attribute,  // pops the value of attribute b of the namespace in the variable a
  make_list,        // pops a items
  make_tuple,
  make_dict,        // pops a keys and values
  unpack,           // pops something of a items and pushes them, the first on top
  drop,             // pops
  attribute,        // pops; pushes its attribute with the name a
  subscript,        // pops key and container
  slice,            // pops step, stop, start and container
  call,             // pops arguments of the shape a and what is called; b: its name, or -1
  call_method,      // pops arguments of the shape a and what has the method with the name b
  filter,           // filters[a], arguments of the shape b
  test,             // tests[a], arguments of the shape b
  jump,
  jump_if_false,    // pops
  jump_and,         // if false jumps and keeps the value, otherwise pops it
  jump_or,          // if true jumps and keeps the value, otherwise pops it
  logical_not,
  negative,
  positive,
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  modulo,
  power,
  concatenate,      // pops a values
  compare,          // a is a Comparison
  compare_chain,    // if it does not hold jumps with false, otherwise keeps the right side for the next
  enter_scope,
  leave_scope,
  begin_capture,    // what is printed from here on ...
  end_capture,      // ... is pushed
  begin_choice,     // pops what a loop with an "if" goes through
  next_choice,      // pushes the next item; if there is none, pushes those that were kept, and jumps
  keep_choice,      // pops whether the item is kept
  begin_loop,       // pops what it goes through; jumps if that is nothing. a: 1 if the loop is recursive; then the
                    // next instruction has in its a how far back the code begins that a call of the loop runs
  next_loop,        // pushes the next item in a scope of its own; jumps if there is none
  continue_loop,    // jumps to next_loop
  repeat_loop,      // the same at the end of the body
  break_loop,       // jumps to end_loop
  end_loop,
  end_loop_else,    // jumps past the "else", unless no iteration came to its end (a break counts as none, as in Jinja)
  end_recursion,    // behind the recursive loop that begins at b: returns to whoever called it
  define_macro,     // macros[a], as the variable b
  push_macro,
  skip_default,     // jumps if the parameter a was given
  end_macro,        // returns what was printed
  refuse,           // fails: constants[a] is not supported
};

enum class Comparison : uint8_t { eq, ne, lt, le, gt, ge, in, not_in };

struct Instruction {
  Op op;
  uint32_t line;
  uint32_t a = 0;
  int32_t b = 0;
};
using Code = std::vector<Instruction>;

// The arguments of one call, in the order in which they are pushed.
struct CallShape {
  enum class Kind : uint8_t { place, name, all_places, all_names };  // f(x, a=x, *x, **x)
  std::vector<std::pair<Kind, std::string>> arguments;
};

struct Macro {
  std::string name;
  std::vector<uint32_t> parameters;  // their names
  std::vector<bool> has_default;
  size_t entry = 0;
  bool takes_places = false, takes_names = false, takes_caller = false;  // it says varargs, kwargs, caller
};

struct Program {
  Code code;
  std::vector<Value> constants;
  std::vector<std::string> names;
  std::vector<CallShape> shapes;
  std::vector<std::pair<std::string, Filter>> filters;  // null if there is none of that name
  std::vector<std::pair<std::string, Test>> tests;
  std::vector<Macro> macros;
};

// Throws Error: what is not Jinja, or not supported, and in which line. Filters, tests and functions that are not
// known are errors only when they are reached.
Program parse(std::string_view source);

}  // namespace bitnet::jinja
