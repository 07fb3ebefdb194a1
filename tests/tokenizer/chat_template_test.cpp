// SPDX-License-Identifier: MIT
// Chat templates against Jinja2 (template_oracle.py wrote down what it made of them), and what only we promise.
#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <array>
#include <fstream>
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
  ASSERT_GE(cases.size(), 250u);
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
      {"a\n{% macro m() %}{% endmacro %}", "the statement \"macro\""},
      {"a\n{{ x | wordwrap }}", "the filter \"wordwrap\""},
      {"a\n{{ x is nope }}", "the test \"nope\""},
      {"a\n{{ lipsum() }}", "the function \"lipsum\""},
      {"a\n{{ 2 ** 3 }}", "the operator \"**\""},
      {"a\n{% include 'x' %}", "the statement \"include\""},
      {"a\n{% for x in y recursive %}{% endfor %}", "recursive"},
  };
  for (const auto& sample : refused) {
    const Error error = error_of([&] { ChatTemplate{sample.first}; });
    EXPECT_EQ(error.status(), BITNET_ERROR_UNSUPPORTED) << sample.first;
    EXPECT_NE(std::string(error.what()).find(sample.second), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("line 2"), std::string::npos) << error.what();
  }
}

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

// Templates write "<|" + role + "|>". Known roles make the template's control tokens; others are foreign.
TEST(ChatTemplate, TrustsTheRolesThatItKnows) {
  const ChatTemplate chat("{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}");
  const MarkedText marked = chat.render(std::vector<ChatMessage>{{"user", "a"}, {"eot_id", "b"}}, {});
  EXPECT_EQ(marked.text, "<|user|>a<|eot_id|>b");
  EXPECT_EQ(foreign_in(marked), "a|eot_id|b");
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
      "{{ 1" +
          [] {
            std::string sum;
            for (int i = 0; i < 100000; ++i) sum += "+1";
            return sum;
          }() +
          " }}",
      [] {
        std::string s;
        for (int i = 0; i < 10000; ++i) s += "{% if 1 %}";
        return s;
      }(),
      "{{ x" +
          [] {
            std::string s;
            for (int i = 0; i < 10000; ++i) s += "|trim";
            return s;
          }() +
          " }}",
      "{{ x" +
          [] {
            std::string s;
            for (int i = 0; i < 10000; ++i) s += ".a";
            return s;
          }() +
          " }}",
  };
  for (const std::string& source : hostile) {
    EXPECT_NE(error_of([&] { render(source); }).status(), BITNET_OK) << source.substr(0, 80);
  }
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
