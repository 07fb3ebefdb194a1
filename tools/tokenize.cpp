// SPDX-License-Identifier: MIT
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "commands.h"
#include "options.h"
#include "terminal.h"
#include "text_input.h"

namespace bitnet::program {

namespace {

using Json = nlohmann::ordered_json;

struct Options {
  ModelOptions model;
  std::string text, file, decode;
  bool given = false, decodes = false, special = false, bos = false, ids = false, json = false;
};

std::string written(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);  // parts of characters become U+FFFD
}

std::string hexadecimal(const std::string& bytes) {
  std::string text;
  for (const char byte : bytes) text += formatted("%02x", static_cast<unsigned char>(byte));
  return text;
}

std::string input_text(const Options& options) {
  const bool quiet = options.model.quiet;
  if (!options.file.empty()) return read_text_file(options.file, quiet);
  return options.given ? text_of(options.text, "the text", quiet) : read_text_input(quiet);
}

std::string as_ids(const std::vector<bitnet_token>& tokens) {
  std::string line;
  for (const bitnet_token token : tokens) line += (line.empty() ? "" : " ") + std::to_string(token);
  return line + "\n";
}

std::string as_json(const bitnet_model* model, const std::vector<bitnet_token>& tokens) {
  Json list = Json::array();
  for (const bitnet_token token : tokens) {
    const std::string piece = detokenized(model, {token}, BITNET_TEXT_SPECIAL);
    list.push_back({{"id", token},
                    {"text", piece},
                    {"bytes", hexadecimal(piece)},
                    {"control", bitnet_token_is_control(model, token) != 0}});
  }
  return written({{"count", tokens.size()}, {"tokens", list}}, 1) + "\n";
}

std::string as_table(const bitnet_model* model, const std::vector<bitnet_token>& tokens) {
  std::string table;
  for (const bitnet_token token : tokens) {
    table += formatted("%7d  ", token) + written(detokenized(model, {token}, BITNET_TEXT_SPECIAL)) + "\n";
  }
  return table;
}

void tokenize(const Options& options) {
  const std::string text = options.decodes ? "" : input_text(options);
  const Model model = open_model(options.model);
  const uint32_t special = options.special ? uint32_t{BITNET_TEXT_SPECIAL} : 0;
  if (options.decodes) {
    const std::string text = detokenized(model.get(), parse_tokens(options.decode), special);
    return write_out(options.json ? written({{"text", text}, {"bytes", hexadecimal(text)}}, 1) + "\n" : text + "\n");
  }
  const auto tokens = options.bos ? tokenized_whole(model.get(), text, options.special, Ends::begin_and_end)
                                  : tokenized(model.get(), text, special);
  write_out(options.json ? as_json(model.get(), tokens) : options.ids ? as_ids(tokens) : as_table(model.get(), tokens));
}

}  // namespace

void add_tokenize(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* command = program.add_subcommand("tokenize", "Show the tokens of a text, or the text of tokens");
  add_model_options(*command, options->model, false);
  auto* text = command->add_option("TEXT", options->text, "Text; default: standard input");
  text->option_text(" ");
  auto* file = command->add_option("-f,--file", options->file, "Read the text from a file; -: from standard input")
                   ->check(not_empty())
                   ->option_text("FILE");
  auto* decode = command->add_option("--decode", options->decode, "Write the text of these tokens instead");
  decode->option_text("\"1 2 3\"")->excludes(text)->excludes(file);
  file->excludes(text);
  command->add_flag("--special", options->special, "Control tokens such as <|eot_id|> are read and written by name");
  command->add_flag("--bos", options->bos, "Add the begin and end tokens that the model asks for");
  command->add_flag("--ids", options->ids, "Only the numbers, on one line");
  command->add_flag("--json", options->json, "As JSON: text and bytes of each token");
  command->footer(
      "Examples:\n"
      "  bitnet tokenize \"It is a truth universally acknowledged\"\n"
      "  bitnet tokenize --ids --bos -f chapter.txt\n"
      "  bitnet tokenize --decode \"1 2 3\"");
  command->callback([options, text, decode] {
    options->given = text->count() > 0;
    options->decodes = decode->count() > 0;
    tokenize(*options);
  });
}

}  // namespace bitnet::program
