// SPDX-License-Identifier: MIT
// What the parsers of expressions and of statements read and write: lexemes, and the program.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/jinja/lexer.h"
#include "text/jinja/program.h"

namespace bitnet::jinja {

class CodeWriter {
 protected:
  using Kind = Lexeme::Kind;

  explicit CodeWriter(std::string_view source) : lexemes_(tokenize(source)) {}

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

  static constexpr size_t kNoCall = static_cast<size_t>(-1);

  std::vector<Lexeme> lexemes_;
  size_t at_ = 0;
  Program program_;
  std::map<std::string, uint32_t, std::less<>> name_indices_;
  size_t last_call_ = kNoCall;  // the end of the code of a call that was just written
};

}  // namespace bitnet::jinja
