// SPDX-License-Identifier: MIT
// Known chat templates against the published ones (known_templates_oracle.py), and which template a model gets.
#include "text/known_templates.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "text/chat_template.h"
#include "text/chat_template_choice.h"
#include "text/tokenizer.h"
#include "tokenizer/vocabulary_builder.h"

namespace bitnet {
namespace {

using Messages = std::vector<ChatMessage>;
using Tokens = std::vector<Token>;

std::string render(const std::string& source, const Messages& messages, bool reply = true) {
  return ChatTemplate(source)
      .render(messages, {.add_generation_prompt = reply, .bos_token = "<s>", .eos_token = "</s>"})
      .text;
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

bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

nlohmann::json oracle() {
  const std::string path = BITNET_ORACLE_DIR "/known_templates.json";
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + " is missing; the test that runs Jinja2 makes it");
  return nlohmann::json::parse(file);
}

TEST(KnownTemplates, RenderAsThePublishedOnes) {
  std::set<std::string> seen;
  for (const auto& sample : oracle()) {
    const std::string name = sample.at("name");
    seen.insert(name);
    const KnownTemplate* known = find_known_template(name);
    ASSERT_NE(known, nullptr) << name;
    Messages messages;
    for (const auto& message : sample.at("messages")) {
      messages.push_back(
          {message.at("role").get_ref<const std::string&>(), message.at("content").get_ref<const std::string&>()});
    }
    const auto run = [&] { return render(known->source, messages, sample.at("add_generation_prompt")); };
    if (sample.contains("error")) {
      EXPECT_EQ(error_of(run).status(), BITNET_ERROR_ARGUMENT) << name << ": " << sample.dump();
    } else {
      EXPECT_EQ(run(), sample.at("expected").get<std::string>()) << name << ": " << sample.at("messages").dump();
    }
  }
  for (const KnownTemplate& known : known_templates()) EXPECT_EQ(seen.count(known.name), 1u) << known.name;
}

TEST(KnownTemplates, GemmaPutsTheSystemMessageBeforeTheFirst) {
  EXPECT_EQ(render(find_known_template("gemma")->source,
                   {{"system", "Be terse."}, {"user", " Hi "}, {"assistant", "Yes"}, {"user", "What?"}}),
            "<s><start_of_turn>user\nBe terse.\n\nHi<end_of_turn>\n<start_of_turn>model\nYes<end_of_turn>\n"
            "<start_of_turn>user\nWhat?<end_of_turn>\n<start_of_turn>model\n");
}

TEST(KnownTemplates, QwensTakeWhatToolsAnswer) {
  const Messages messages = {{"system", "S"}, {"user", "Q"}, {"assistant", "A"}, {"tool", "1"}, {"tool", "2"}};
  for (const char* name : {"qwen", "qwen3"}) {
    EXPECT_TRUE(has(render(find_known_template(name)->source, messages),
                    "A<|im_end|>\n<|im_start|>user\n<tool_response>\n1\n</tool_response>\n<tool_response>\n2\n"
                    "</tool_response><|im_end|>\n<|im_start|>assistant\n"))
        << name;
  }
}

TEST(KnownTemplates, NeedNoBeginAndEndTokens) {
  for (const KnownTemplate& known : known_templates()) {
    const MarkedText text = ChatTemplate(known.source).render(Messages{{"user", "Hi"}, {"assistant", "Yes"}}, {});
    EXPECT_TRUE(has(text.text, "Hi") && has(text.text, "Yes")) << known.name;
  }
}

TEST(KnownTemplates, AreInOrderAndFoundByName) {
  const auto all = known_templates();
  for (size_t i = 1; i < all.size(); ++i) EXPECT_LT(std::string(all[i - 1].name), all[i].name);
  EXPECT_EQ(find_known_template("llama4"), nullptr);
  EXPECT_EQ(find_known_template(""), nullptr);
}

// ------------------------------------------------------------- what is chosen

class Choice : public testing::Test {
 protected:
  Choice() {
    builder.add_bytes();
    for (const char* token : {"<|eot_id|>", "<|end_of_text|>"}) builder.add(token, TokenType::control);
    folder = std::filesystem::temp_directory_path() / ("bitnet_choice_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder);
  }
  ~Choice() override { std::filesystem::remove_all(folder); }

  ChatTemplateChoice choose(const std::string& option, std::string_view own = {}) {
    Vocabulary vocabulary = builder.view();
    vocabulary.chat_template = own;
    return choose_chat_template(option, vocabulary, [this](bitnet_log_level level, const std::string& message) {
      log += std::to_string(level) + message + "\n";
    });
  }
  std::string file(const std::string& name, const std::string& text) const {
    std::ofstream(folder / name, std::ios::binary) << text;
    return (folder / name).string();
  }
  std::string refusal(const std::string& option) {
    const Error error = error_of([&] { choose(option); });
    EXPECT_EQ(error.status(), BITNET_ERROR_ARGUMENT) << option;
    return error.what();
  }

  VocabularyBuilder builder{TokenizerKind::byte_bpe};
  std::filesystem::path folder;
  std::string log;
};

// As bitnet.cpp's converter writes it.
constexpr char kMistake[] =
    "{% for message in messages %}{% if loop.first %}{{ bos_token }}{% endif %}{% if message['role'] == 'user' %}"
    "{{ 'Human: ' + message['content'] + '\\n\\nBITNETAssistant: ' + eos_token }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}";

TEST_F(Choice, IsTheFilesOwnWithoutOption) {
  const ChatTemplateChoice choice = choose("", "{{ messages }}");
  EXPECT_EQ(choice.source, "{{ messages }}");
  EXPECT_EQ(choice.origin, "file");
  EXPECT_EQ(choose("").source, "");
  EXPECT_EQ(choose("").origin, "");
  EXPECT_EQ(log, "");
}

TEST_F(Choice, PutsTheKnownMistakeRight) {
  const ChatTemplateChoice choice = choose("", kMistake);
  EXPECT_EQ(choice.origin, "bitnet");
  EXPECT_EQ(render(choice.source, {{"user", "Hi"}}), "<s>User: Hi<|eot_id|>Assistant: ");
  EXPECT_TRUE(has(log, "2the file's chat template is a mistake")) << log;
}

TEST_F(Choice, DropsTheKnownMistakeWhereNothingKnownFits) {
  builder = VocabularyBuilder(TokenizerKind::sentencepiece);
  builder.add_bytes();
  EXPECT_EQ(choose("", kMistake).source, "");
  EXPECT_TRUE(has(log, "1the file's chat template is a mistake")) << log;
}

TEST_F(Choice, AnOptionComesBeforeTheFilesOwn) {
  for (const char* own : {"", "{{ messages }}", kMistake}) {
    EXPECT_EQ(choose("bitnet", own).source, find_known_template("bitnet")->source);
    EXPECT_EQ(choose("{{ 'mine' }}", own).source, "{{ 'mine' }}");
    EXPECT_EQ(choose("{% if 1 %}x{% endif %}", own).origin, "option");
    EXPECT_EQ(choose(kMistake, own).source, kMistake) << "whoever asks for it gets it";
  }
  EXPECT_EQ(log, "");
}

TEST_F(Choice, ReadsAFile) {
  EXPECT_EQ(choose(file("t.jinja", "{{ 'of a file' }}\n")).source, "{{ 'of a file' }}\n");
  EXPECT_EQ(choose(file("plain", "no Jinja at all")).source, "no Jinja at all");
  EXPECT_EQ(log, "");
  EXPECT_EQ(choose(file("bom", "\xEF\xBB\xBF{{ 1 }}")).source, "{{ 1 }}");
  EXPECT_TRUE(has(log, "1") && has(log, "byte order mark")) << log;
}

TEST_F(Choice, RefusesWhatIsNone) {
  const std::string message = refusal("lama3");
  for (const char* part : {"lama3", "chatml", "llama3", "No such file"}) EXPECT_TRUE(has(message, part)) << message;
  EXPECT_TRUE(has(refusal(folder.string()), "directory"));
  EXPECT_TRUE(has(refusal(file("empty", "")), "is empty"));
  EXPECT_TRUE(has(refusal(file("utf16", std::string("\xFF\xFE{\0{\0", 6))), "UTF-16"));
  EXPECT_TRUE(has(refusal(file("latin1", "{{ 'gr\xFC\xDF' }}")), "not UTF-8"));
  EXPECT_TRUE(has(refusal(file("zero", std::string("a\0b", 3))), "not UTF-8"));
  EXPECT_TRUE(has(refusal(file("large", std::string((1 << 20) + 1, 'x'))), "more than"));
  EXPECT_TRUE(has(refusal("{{ '\xFF' }}"), "not UTF-8"));
}

// Nobody writes to it, so that whoever opens it as a file waits forever.
TEST_F(Choice, RefusesAPipe) {
  const std::string pipe = (folder / "pipe").string();
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_TRUE(has(refusal(pipe), "not a regular file"));
}

TEST_F(Choice, WarnsOfANamedTemplateForOtherModels) {
  choose("chatml");
  EXPECT_TRUE(has(log, "1") && has(log, "<|im_start|>")) << log;
  log.clear();
  builder.add("<|im_start|>", TokenType::control), builder.add("<|im_end|>", TokenType::control);
  choose("chatml");
  EXPECT_EQ(log, "");
}

TEST_F(Choice, NamesTheOptionThatDoesNotParse) {
  const Error error = error_of([] { parse_chat_template("broken.jinja", "{{ 1 + }}"); });
  EXPECT_EQ(error.status(), BITNET_ERROR_FORMAT);
  EXPECT_TRUE(has(error.what(), "broken.jinja") && has(error.what(), "line 1")) << error.what();
}

}  // namespace
}  // namespace bitnet
