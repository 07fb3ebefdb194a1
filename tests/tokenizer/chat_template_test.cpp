// SPDX-License-Identifier: MIT
// Chat templates against Jinja2 (template_oracle.py wrote down what it made of them), and what only we promise.
#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <pthread.h>
#include <time.h>

#include <array>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"

namespace bitnet {
namespace {

std::string render(const std::string& source, const std::vector<ChatMessage>& messages = {}) {
  return ChatTemplate(source).render(messages, {.bos_token = "<s>", .eos_token = "</s>"}).text;
}

template <typename Body>
Error error_of(Body body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  return Error(BITNET_OK, "no error");
}

nlohmann::json oracle() {
  const std::string path = BITNET_ORACLE_DIR "/templates.json";
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + " is missing; the test that runs Jinja2 makes it");
  return nlohmann::json::parse(file);
}

TEST(ChatTemplateOracle, RendersAsJinjaDoes) {
  const nlohmann::json cases = oracle();
  ASSERT_GE(cases.size(), 600u);
  for (const auto& sample : cases) {
    const std::string source = sample.at("template");
    std::vector<ChatMessage> messages;
    for (const auto& message : sample.at("messages")) {
      messages.push_back(
          {message.at("role").get_ref<const std::string&>(), message.at("content").get_ref<const std::string&>()});
    }
    ChatVariables variables{.add_generation_prompt = sample.at("add_generation_prompt"),
                            .bos_token = sample.at("bos_token").get_ref<const std::string&>(),
                            .eos_token = sample.at("eos_token").get_ref<const std::string&>()};
    const auto run = [&] { return ChatTemplate(source).render(messages, variables).text; };
    if (sample.contains("error")) {
      EXPECT_NE(error_of(run).status(), BITNET_OK) << source << "\nJinja2: " << sample["error"];
    } else {
      try {
        EXPECT_EQ(run(), sample.at("expected").get<std::string>()) << source;
      } catch (const Error& error) {
        ADD_FAILURE() << error.what() << "\n" << source;
      }
    }
  }
}

TEST(ChatTemplate, NamesTheConstructAndTheLineThatItDoesNotKnow) {
  const std::vector<std::pair<std::string, std::string>> refused = {
      {"{{ 'x' | wordwrap }}", "the filter \"wordwrap\""},
      {"{{ 1 is nope }}", "the test \"nope\""},
      {"{{ 'x'.encode() }}", "the method \"encode\""},
      {"{{ lipsum() }}", "the function \"lipsum\""},
      {"{{ strftime_now('%Y') }}", "strftime_now"},
      {"{% include 'x' %}", "the statement \"include\""},
      {"{% extends 'x' %}", "the statement \"extends\""},
      {"{% from 'x' import y with context %}", "the statement \"from\""},
      {"{{ 'ж'.isalpha() }}", "beyond ASCII"},
      {"{{ range(3) }}", "a range is printed"},
      {"{{ ['x'] | map('upper') }}", "a generator is printed"},
      {"{{ ['x'] | select('nope') }}", "the test \"nope\""},
  };
  for (const auto& [source, what] : refused) {
    const std::string second_line = "a\n" + source;
    const Error error = error_of([&] { render(second_line); });
    EXPECT_EQ(error.status(), BITNET_ERROR_UNSUPPORTED) << source;
    EXPECT_NE(std::string(error.what()).find(what), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("line 2"), std::string::npos) << error.what();
    // Where it does not run it does no harm.
    EXPECT_EQ(render("{% if false %}" + source + "{% endif %}b"), "b") << source;
    EXPECT_EQ(render("{% macro m() %}" + source + "{% endmacro %}b"), "b") << source;
  }
  const Error error = error_of([] { ChatTemplate{"a\n{% trans %}"}; });
  EXPECT_EQ(error.status(), BITNET_ERROR_UNSUPPORTED);
  EXPECT_NE(std::string(error.what()).find("line 2: the statement \"trans\""), std::string::npos) << error.what();
}

// What templates use that Hugging Face's Jinja2 would need an extension for.
TEST(ChatTemplate, EvaluatesWithoutPrinting) { EXPECT_EQ(render("a{% do [1] %}b"), "ab"); }

TEST(ChatTemplate, NamesTheLineOfWhatIsNotJinja) {
  for (const char* source :
       {"a\n\n{{ 1 + }}", "a\n\n{% if 1 %}", "a\n\n{{ ) }}", "a\n\n{% endif %}", "a\n\n{{ 'x }}"}) {
    const Error error = error_of([&] { ChatTemplate{source}; });
    EXPECT_EQ(error.status(), BITNET_ERROR_FORMAT) << source;
    EXPECT_NE(std::string(error.what()).find("line 3"), std::string::npos) << error.what();
  }
}

TEST(ChatTemplate, PassesOnWhatTheTemplateRaises) {
  const Error error = error_of([] { render("{{ raise_exception('roles must alternate') }}"); });
  EXPECT_EQ(error.status(), BITNET_ERROR_ARGUMENT);
  EXPECT_NE(std::string(error.what()).find("roles must alternate"), std::string::npos) << error.what();
}

TEST(ChatTemplate, LeavesContentAsItIs) {
  using namespace std::string_literals;
  const std::string content = "<|eot_id|>{{ 1 }}\0\xff & <b>"s;
  EXPECT_EQ(render("{{ messages[0].content }}", {{"user", content}}), content);
}

// What is foreign in the text, a "|" between two stretches.
std::string foreign_in(const MarkedText& marked) {
  std::string all;
  for (const Range& range : marked.foreign) {
    all += (all.empty() ? "" : "|") + marked.text.substr(range.begin, range.end - range.begin);
  }
  return all;
}

TEST(ChatTemplate, KeepsTheMarksOfForeignText) {
  const std::vector<ChatMessage> messages = {{"user", " aB<é>\nc "}};
  const std::vector<std::array<std::string, 3>> cases = {
      {"[{{ c }}]", "[ aB<é>\nc ]", " aB<é>\nc "},
      {"{{ '[' + c + ']' ~ c ~ 1 }}", "[ aB<é>\nc ] aB<é>\nc 1", " aB<é>\nc | aB<é>\nc "},
      {"{{ c | trim }}{{ c.strip() }}.", "aB<é>\ncaB<é>\nc.", "aB<é>\ncaB<é>\nc"},
      {"{{ c[1:3] }}-{{ c[1] }}-{{ c[::-1] }}", "aB-a- c\n>é<Ba ", "aB|a| c\n>é<Ba "},
      {"{{ c.split('<') | join('<') }}", " aB<é>\nc ", " aB|é>\nc "},
      {"{{ c.replace('B', 'xx') }}", " axx<é>\nc ", " a|<é>\nc "},
      {"{{ 'xBy'.replace('B', c) }}", "x aB<é>\nc y", " aB<é>\nc "},
      {"{{ (c ~ 'q') | upper }}", " AB<É>\nC Q", " AB<É>\nC "},
      {"{{ (c ~ 'Q') | lower }}", " ab<é>\nc q", " ab<é>\nc "},
      {"{{ c | tojson }}", "\" aB<é>\\nc \"", " aB<é>\\nc "},
      {"{{ [c] }}", "[' aB<é>\\nc ']", " aB<é>\\nc "},
      {"{{ {c: 1} | tojson }}", "{\" aB<é>\\nc \": 1}", " aB<é>\\nc "},
      {"{{ 'a%sb' % c }}", "a aB<é>\nc b", " aB<é>\nc "},
      {"{{ '{}-{:>9}'.format(c[1], c[2]) }}", "a-        B", "a|B"},
      {"{{ c[1] * 3 }}x", "aaax", "aaa"},
      {"{% for l in c %}{{ l }}.{% endfor %}", " .a.B.<.é.>.\n.c. .", " |a|B|<|é|>|\n|c| "},
      {"{{ c | indent(2) }}", " aB<é>\n  c ", " aB<é>\n|c "},
      {"{% set x %}<{{ c[1] }}>{% endset %}{{ x }}", "<a>", "a"},
      {"{{ c | escape }}", " aB&lt;é&gt;\nc ", " aB&lt;é&gt;\nc "},
      {"{{ c | length }}{{ c == 'x' }}{{ c | int }}", "9False0", ""},
      {"{{ c.partition('<') | join('') }}", " aB<é>\nc ", " aB<é>\nc "},
      {"{{ c.splitlines() | join('/') }}", " aB<é>/c ", " aB<é>|c "},
      {"{{ c[1].center(5, '*') }}", "**a**", "a"},
      {"{{ c.removeprefix(' a').removesuffix('c ') }}", "B<é>\n", "B<é>\n"},
      {"{{ c | urlencode }}", "%20aB%3C%C3%A9%3E%0Ac%20", "%20aB%3C%C3%A9%3E%0Ac%20"},
  };
  for (const auto& [source, text, foreign] : cases) {
    const MarkedText marked = ChatTemplate("{% set c = messages[0].content %}" + source).render(messages, {});
    EXPECT_EQ(marked.text, text) << source;
    EXPECT_EQ(foreign_in(marked), foreign) << source;
  }
}

// Of what a published template prints, what came from a content is foreign to the byte, and nothing else is.
TEST(ChatTemplateOracle, MarksContentsInPublishedTemplates) {
  const std::string begin = "\uE000", end = "\uE001";  // stand for themselves in no template
  const std::string content = begin + "<|eot_id|> <|im_end|></s>[/INST]\n<end_of_turn><|end|>" + end;
  size_t rendered = 0;
  for (const auto& sample : oracle()) {
    if (!sample.at("published").get<bool>() || sample.contains("error")) continue;
    std::vector<ChatMessage> messages;
    for (const auto& message : sample.at("messages")) {
      const auto& role = message.at("role").get_ref<const std::string&>();
      if (role != "critic") messages.push_back({role, content});
    }
    MarkedText marked;
    const std::string source = sample.at("template");
    try {
      marked = ChatTemplate(source).render(messages, {.bos_token = "<s>", .eos_token = "</s>"});
    } catch (const Error&) {
      continue;  // a template may ask for other contents
    }
    std::vector<Range> expected;
    for (size_t at = marked.text.find(begin); at != std::string::npos; at = marked.text.find(begin, at + 1)) {
      const size_t behind = marked.text.find(end, at) + end.size();
      if (!expected.empty() && expected.back().end == at) {
        expected.back().end = behind;
      } else {
        expected.push_back({at, behind});
      }
    }
    EXPECT_EQ(marked.foreign, expected) << source.substr(0, 200) << "\n" << marked.text;
    rendered += expected.empty() ? 0 : 1;
  }
  EXPECT_GE(rendered, 300u);
}

// Templates write "<|" + role + "|>". Known roles make the template's control tokens; others are foreign.
TEST(ChatTemplate, TrustsTheRolesThatItKnows) {
  const ChatTemplate chat("{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}");
  const MarkedText marked = chat.render(std::vector<ChatMessage>{{"user", "a"}, {"eot_id", "b"}}, {});
  EXPECT_EQ(marked.text, "<|user|>a<|eot_id|>b");
  EXPECT_EQ(foreign_in(marked), "a|eot_id|b");
}

std::string repeated(size_t count, std::string_view text) {
  std::string all;
  for (size_t i = 0; i < count; ++i) all += text;
  return all;
}

TEST(ChatTemplate, StopsHostileTemplates) {
  const std::vector<std::string> hostile = {
      "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
      "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
      "{{ range(1000000000000) }}",
      "{% set ns = namespace(s='aaaaaaaaaaaaaaaa') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
      "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}",
      "{% set ns = namespace(s=[1]) %}{% for i in range(100000) %}{% set ns.s = [ns.s] %}{% endfor %}",
      "{% set s = 'aaaaaaaaaaaaaaaa' * 100000 %}{{ s.replace('a', s) }}",
      "{% set s = 'aaaaaaaaaaaaaaaa' * 100000 %}{{ s | list | join(s) }}",
      "{{ 'a' * 1000000000000 }}",
      "{{ 9223372036854775807 + 1 }}",
      "{{ 9223372036854775808 }}",
      "{{ " + std::string(400, '9') + ".5 }}",
      "{{ (-9223372036854775807 - 1) // -1 }}",
      std::string(100000, '(') + "{{",
      "{{" + std::string(100000, '(') + "}}",
      "{{" + std::string(100000, '-') + "1 }}",
      "{{ 'a' | center(1000000000000) }}",
      "{{ '%1000000000s' % 'a' }}",
      "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
      "{% macro m() %}{{ m() ~ m() }}{% endmacro %}{{ m() }}",
      "{% macro m(n) %}{% if n %}{{ m(n - 1) ~ m(n - 1) }}{% endif %}x{% endmacro %}{{ m(60) }}",
      "{% for n in [1] recursive %}{{ loop([1]) }}{% endfor %}",
      "{{ [1] * 1000000000000 }}",
      "{{ range(100000) | map('string') | unique | list | length }}",
      "{% set ns = namespace(x=[1]) %}{% for i in range(40) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
      "{% set ns = namespace(d={}) %}{% for i in range(100000) %}{% set ns.d = dict(ns.d, **{'k' ~ i: 1}) %}{% endfor "
      "%}",
      "{{ 10 ** 100 }}",
      "{% set s = 'a' * 1000000 %}{{ s.find('a' * 500000 ~ 'b') }}",
      "{% set s = 'a' * 1000000 %}{{ ('a' * 500000 ~ 'b') in s }}",
      "{% set s = 'a' * 1000000 %}{{ s | replace('a' * 500000 ~ 'b', 'x') }}",
      "{% set s = 'a' * 1000000 %}{{ s.strip('b' * 1000000 ~ 'a') }}",
      "{{ range(1000000) | sort | length }}{{ range(1000000) | sort | length }}",
      "{{ 'x' | indent(1000000000000) }}",
      "{{ [1] | batch(1000000000000, 1) | list }}",
      "{{ [1] | slice(1000000000000) | list }}",
      "{{ 'a' if 1" + repeated(100000, " if 1") + " }}",
  };
  for (const std::string& source : hostile) {
    EXPECT_NE(error_of([&] { render(source); }).status(), BITNET_OK) << source.substr(0, 80);
  }
}

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double cost_of(const std::string& source) {
  const double begin = processor_seconds();
  error_of([&] { render(source); });
  return processor_seconds() - begin;
}

std::string repeat(int times, const std::string& body) {
  return "{% for i in range(" + std::to_string(times) + ") %}" + body + "{% endfor %}";
}

// A dictionary `name` of so many keys; "K" in `key` stands for a number of five digits.
std::string dictionary(const std::string& name, int first, int count, const std::string& key = "'K'") {
  std::string all = "{% set " + name + " = {";
  for (int i = 0; i < count; ++i) {
    std::string text = key;
    all += text.replace(text.find('K'), 1, std::to_string(10000 + first + i)) + ": 1,";
  }
  return all + "} %}";
}

// What a step costs is paid before it is done, so that no template takes many times as long as one that only steps.
// Measured in processor time of this thread, against such a template, so that it holds on any machine.
TEST(ChatTemplate, PaysForItsWork) {
  const std::string filler(1000, 'a'), names = [] {
    std::string all;
    for (int i = 0; i < 50000; ++i) all += "{% if 0 %}{{ n" + std::to_string(i) + " }}{% endif %}";
    return all;
  }();
  const std::string text = "{% set s = 'a' * 1000000 %}", both = dictionary("d", 0, 5000);
  const std::vector<std::string> hostile = {
      // formats
      "{{ '{:,.1000000d}'.format(1) }}",
      repeat(1000, "{% set x = '%.1000000d' % 1 %}"),
      repeat(1000000, "{% set x = '{:,.400f}'.format(1.5) %}"),
      "{% set x = ('{99999}' * 100000).format(*range(100000)) %}",
      both + "{% set x = '%(19999)s' * 100000 % dict(d, **{'19999': 1}) %}",
      both + "{% set x = ('{' ~ '0[14999]' ~ '}') * 100000 %}{% set x = x.format(d) %}",
      both + "{% set x = '{k}' * 1000000 %}{% set x = x.format(**dict(d, k=1)) %}",
      text + "{% set x = '{0[999999]}' * 100000 %}{% set x = x.format(s) %}",
      text + "{% set x = '%.0s' * 100000 % ((s,) * 100) %}",
      text + "{% set x = '{0:.0}' * 100000 %}{% set x = x.format(s) %}",
      "{% set f = '%s' * 100000 %}{% set t = ('',) * 100000 %}" + repeat(1000, "{% set x = f % t %}"),
      // macros
      names + "{% macro m() %}{% if 0 %}{{ varargs }}{{ kwargs }}{{ caller }}{% endif %}{% endmacro %}" +
          repeat(1000000, "{% set x = m() %}"),
      "{% macro m(a) %}{% if 0 %}{{ kwargs }}{% endif %}{% endmacro %}" + dictionary("d", 0, 20000, "'k' ~ K") +
          "{% set x = m(a=1, **d) %}",
      "{% macro " + std::string(500000, 'm') + "() %}{% endmacro %}" +
          repeat(200000, "{% set x = " + std::string(500000, 'm') + "() %}"),
      repeat(200000, "{% set x = dict(" + std::string(500000, 'k') + "=1) %}"),
      "{% for n in [1] if (1" + repeated(100000, "+1") + ") recursive %}{% set l = loop %}" +
          repeat(100000, "{% set x = l([]) %}") + "{% endfor %}",
      // arguments that each item gets
      "{% set x = ([[]] * 20000) | map('select', 'eq', *range(20000)) | list %}",
      // dictionaries
      dictionary("d", 0, 20000) + "{% macro m() %}{{ kwargs|length }}{% endmacro %}" + repeat(20, "{{ m(**d) }}"),
      dictionary("d", 0, 15000) + repeat(20, "{{ d|tojson|length }}"),
      dictionary("d", 0, 8000) + dictionary("e", 0, 8000) + repeat(20, "{% set x = d == e %}"),
      dictionary("d", 0, 8000) + "{% set x = '' | format(**d) %}" + repeat(20, "{% set x = '' | format(**d) %}"),
      dictionary("d", 0, 8000) + "{% set n = namespace(**d) %}" + repeat(1000000, "{% set x = n.zzzzz %}"),
      dictionary("d", 0, 8000) + "{% set x = ([d] * 100000) | map(attribute='zzzzz') | list %}",
      "{% set p = '" + filler + "' * 10 %}" + dictionary("d", 0, 3000, "p ~ K") + "{% set x = d %}",
      // comparisons, searches and what is only looked at
      "{% set s = 'a' * 20000 %}{% set ns = namespace(l=[]) %}{% for i in range(1000) %}{% set x = [s ~ i] * 10 %}"
      "{% set ns.l = ns.l + x %}{% endfor %}{% set x = ns.l | unique | list %}",
      text + "{% set x = ([s] * 200) | map(attribute=999999) | list %}" +
          repeat(2000, "{% set x = ([s] * 100) | map(attribute=999999) | list %}"),
      "{% set c = 'b' * 1000000 ~ 'a' %}{% set s = 'a' * 63 %}" + repeat(100000, "{% set x = s | trim(c) %}"),
      "{% set s = 'a' * 10000 %}{% set t = (s ~ 'b',) * 1000 %}" +
          repeat(100000, "{% set x = (s ~ 'a').startswith(t) %}"),
      "{% set ns = namespace(x=[1]) %}{% for i in range(16) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}"
      "{% set l = ns.x %}" +
          repeat(100000, "{% set x = l is lower %}"),
      text +
          "{% set ns = namespace(l=[]) %}{% for i in range(500) %}{% set ns.l = [ns.l] %}{% endfor %}"
          "{{ ns.l | tojson(indent=s) | length }}",
  };
  const double steps = cost_of("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}");
  for (const std::string& source : hostile) {
    EXPECT_LT(cost_of(source), 20 * steps) << source.substr(0, 100);
  }
}

// Calls body on a thread with the stack that musl gives one by default.
void on_small_stack(const std::function<void()>& body) {
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, size_t{128} << 10), 0);
  pthread_t thread;
  const auto run = [](void* given) -> void* {
    (*static_cast<const std::function<void()>*>(given))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, run, const_cast<std::function<void()>*>(&body)), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

struct Nest {
  std::string begin, middle, end;  // of the template
  std::string open, close;         // of each level
  std::string expected;

  std::string source(size_t depth) const {
    return begin + repeated(depth, open) + middle + repeated(depth, close) + end;
  }
};

const std::vector<Nest>& nests() {
  static const std::vector<Nest> all = {
      {"{{ ", "1", " }}", "(", ")", "1"},
      {"{{ ", "1", " | length }}", "[", "]", "1"},
      {"{% set x = ", "1", " %}{{ x == x }}{{ x | tojson | length == x | string | length }}", "[", "]", "TrueTrue"},
      {"{% set x = ", "1", " %}{{ x == x }}{{ x | tojson | length }}{{ x < x }}{{ (x, x) | length }}", "[", "]", ""},
      {"{% set x = ", "1", " %}{{ (x | string).count('a') == (x | tojson).count('a') }}", "{'a': ", "}", "True"},
      {"{{ ", "1", " is odd }}", "not not ", "", ""},
      {"{{ ", "1", " }}", "- -", "", "1"},
      {"{{ ", "1", " }}", "(0 if 0 else ", ")", "1"},
      {"{{ ", "1", " }}", "0 if 0 else ", "", "1"},
      {"{{ ", "1", " }}", "(1 + ", ")", ""},
      {"{{ ", "1", " }}", "1 and (", ")", "1"},
      {"{{ ", "0", " }}", "[0][", "]", "0"},
      {"{{ ", "'a'", " }}", "'a' | replace('b', ", ")", "a"},
      {"{{ ", "'x'", " }}", "'x'|default(", ")", "x"},
      {"{{ ", "1", " }}", "dict(a=", ").a", "1"},
      {"", "x", "", "{% if 1 %}", "{% endif %}", "x"},
      {"", "x", "", "{% for i in [1] %}", "{% endfor %}", "x"},
      {"", "x", "", "{% set y %}", "{% endset %}{{ y }}", "x"},
      {"", "x", "", "{% with %}", "{% endwith %}", "x"},
      {"", "x", "", "{% filter upper %}", "{% endfilter %}", "X"},
      {"", "x", "", "{% macro m() %}", "{% endmacro %}{{ m() }}", "x"},
      {"{% macro m() %}{{ caller() }}{% endmacro %}", "x", "", "{% call m() %}", "{% endcall %}", "x"},
      {"{% set ", "a", " = 1 %}", "(", ")", ""},
  };
  return all;
}

// The depth of what a file's author writes is bounded by the library, not by the stack of whoever calls it.
TEST(ChatTemplate, NestsAsDeepOnASmallStack) {
  constexpr size_t kDeep = 450;  // some take two levels for one
  for (const Nest& nest : nests()) {
    on_small_stack([&] {
      try {
        const std::string text = render(nest.source(kDeep));
        if (!nest.expected.empty()) {
          EXPECT_EQ(text, nest.expected) << nest.source(1);
        }
      } catch (const Error& error) {
        ADD_FAILURE() << error.what() << "\n" << nest.source(1);
      }
    });
  }
}

TEST(ChatTemplate, RefusesWhatIsNestedTooDeeply) {
  for (const Nest& nest : nests()) {
    on_small_stack([&] {
      const Error error = error_of([&] { render(nest.source(100000)); });
      EXPECT_NE(error.status(), BITNET_OK) << nest.source(1);
      EXPECT_NE(std::string(error.what()).find("deep"), std::string::npos) << error.what() << nest.source(1);
    });
  }
}

TEST(ChatTemplate, CallsMacrosAsDeepOnASmallStack) {
  const std::string macro = "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{% endif %}x{% endmacro %}";
  const std::string loop =
      "{% set ns = namespace(l=[]) %}{% for i in range(400) %}{% set ns.l = [ns.l] %}{% endfor %}"
      "{% for x in ns.l recursive %}.{{ loop(x) }}{% endfor %}";
  on_small_stack([&] {
    EXPECT_EQ(render(macro + "{{ m(900) | length }}"), "901");
    EXPECT_EQ(render(loop).size(), 400u);
    const Error error = error_of([&] { render(macro + "{{ m(5000) }}"); });
    EXPECT_STREQ(error.what(), "chat template, line 1: macros call each other too deeply (more than 1000 levels)");
  });
}

TEST(ChatTemplate, NamesALoopThatCallsItselfWithoutEnd) {
  on_small_stack([&] {
    const Error error = error_of([&] { render("{% for x in [[1]] recursive %}{{ loop([1]) }}{% endfor %}"); });
    EXPECT_STREQ(error.what(), "chat template, line 1: a loop calls itself too deeply (more than 1000 levels)");
  });
}

TEST(ChatTemplate, TakesLongChainsForWhatTheyAre) {
  EXPECT_EQ(render("{{ 1" + repeated(100000, "+1") + " }}"), "100001");
  EXPECT_EQ(render("{{ ' x '" + repeated(10000, "|trim") + " }}"), "x");
  EXPECT_EQ(render("{% set a = {} %}{{ 1" + repeated(10000, " ~ 1") + " }}"), repeated(10001, "1"));
}

TEST(ChatTemplate, CallsARecursiveLoopThatTheTemplateBeginsWith) {
  EXPECT_EQ(render("{% for n in [1, []] recursive %}{{ loop(n) if n is iterable else n }}.{% endfor %}"), "1..");
}

// A key that holds what cannot be one is none either, as in Python.
TEST(ChatTemplate, RefusesAListInsideAKey) {
  EXPECT_EQ(error_of([] { render("{{ {(1, [2]): 3} }}"); }).status(), BITNET_ERROR_FORMAT);
  EXPECT_EQ(error_of([] { render("{{ {(1, {}): 3} }}"); }).status(), BITNET_ERROR_FORMAT);
}

TEST(ChatTemplate, GroupsTheDigitsOfTheWholePart) {
  EXPECT_EQ(render("{{ '{:,} {:,.2f} {:,.0%} {:_x} {:,}'.format(1234567, 1234.5, 1234.5, 1048575, 123) }}"),
            "1,234,567 1,234.50 123,450% f_ffff 123");
  EXPECT_EQ(render("{{ '{:,g}'.format(1e20) }}"), "1e+20");
  EXPECT_EQ(error_of([] { render("{{ '{:.3d}'.format(1) }}"); }).status(), BITNET_ERROR_FORMAT);
  EXPECT_EQ(error_of([] { render("{{ '{:,x}'.format(1) }}"); }).status(), BITNET_ERROR_FORMAT);
}

TEST(ChatTemplate, SaysHowManyArgumentsThereMayBe) {
  const Error error = error_of([] { render("{{ 'a' | center(9, 8, 7) }}"); });
  EXPECT_NE(std::string(error.what()).find("with 3 arguments is not supported: at most 1 is known"), std::string::npos)
      << error.what();
}

TEST(ChatTemplate, FreesANamespaceThatHoldsItself) {
  EXPECT_EQ(
      render("{% set ns = namespace() %}{% set ns.self = ns %}{% set ns.list = [ns] %}{{ ns.self.list | length }}"),
      "1");
}

TEST(ChatTemplate, RendersALongConversation) {
  const std::string content(20000, 'x');
  const std::vector<ChatMessage> messages(1000, {"user", content});
  const std::string text = render(
      "{% for m in messages %}{% if messages|length > loop.index0 and messages is defined %}"
      "{{ bos_token + m.role + m['content'] | trim + eos_token }}{% endif %}{% endfor %}",
      messages);
  EXPECT_EQ(text.size(), 1000 * (content.size() + 11));
}

}  // namespace
}  // namespace bitnet
