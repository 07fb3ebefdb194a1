// SPDX-License-Identifier: MIT
#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "commands.h"
#include "npy.h"
#include "options.h"
#include "terminal.h"
#include "text_input.h"

namespace bitnet::program {

namespace {

struct Options {
  ModelOptions model;
  uint32_t threads = 0;
  std::string text, file, prefix, output;
  bool given = false, ids = false, raw = false, cut = false, npy = false;
  bitnet_pooling pooling = BITNET_POOLING_MODEL;
  bitnet_embed_format type = BITNET_EMBED_FLOAT;
  uint32_t dimensions = 0, max_tokens = 0;
};

// So many texts are given to the library at a time: enough to fill its passes.
constexpr size_t kTextsAtOnce = 256;

// --- the texts ------------------------------------------------------------------------------------------------------

std::string input_text(const Options& options) {
  const bool quiet = options.model.quiet;
  if (!options.file.empty()) return read_text_file(options.file, quiet);
  return options.given ? text_of(options.text, "the text", quiet) : read_text_input(quiet);
}

// Without their ends. What follows the last newline is a line if it is not empty.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  return lines;
}

// --- the embeddings -------------------------------------------------------------------------------------------------

bitnet_embed_options embed_options(const Options& options, bitnet_engine* engine) {
  bitnet_embed_options result = {};
  result.size = sizeof result;
  result.pooling = options.pooling;
  result.format = options.type;
  result.dimensions = options.dimensions;
  result.raw = options.raw;
  result.fit = options.cut ? BITNET_EMBED_FIT_CUT : BITNET_EMBED_FIT_REFUSE;
  result.max_tokens = options.max_tokens;
  result.engine = engine;
  result.abort = [](void*) { return interrupted() ? 1 : 0; };
  return result;
}

// The embeddings of some lines, one after the other.
class Embedder {
 public:
  Embedder(bitnet_model* model, const Options& options)
      : model_(model), prefix_(options.prefix), ids_(options.ids), engine_(make_engine(model, {options.threads})) {
    options_ = embed_options(options, engine_.get());
    check(bitnet_embed_size(model_, &options_, &bytes_));
  }

  size_t bytes() const { return bytes_; }  // of one

  std::vector<std::byte> embed(std::span<const std::string_view> lines) const {
    std::vector<std::byte> out(lines.size() * bytes_);
    ids_ ? embed_ids(lines, out) : embed_texts(lines, out);
    return out;
  }

 private:
  void embed_ids(std::span<const std::string_view> lines, std::vector<std::byte>& out) const {
    std::vector<bitnet_token> tokens;
    std::vector<size_t> counts;
    for (const std::string_view line : lines) {
      const auto some = parse_tokens(std::string(line));
      tokens.insert(tokens.end(), some.begin(), some.end());
      counts.push_back(some.size());
    }
    check(bitnet_embed_tokens(model_, tokens.data(), counts.data(), counts.size(), &options_, out.data(), out.size()));
  }

  void embed_texts(std::span<const std::string_view> lines, std::vector<std::byte>& out) const {
    std::vector<std::string> prefixed;
    std::vector<const char*> texts;
    std::vector<size_t> lengths;
    if (!prefix_.empty()) {
      for (const std::string_view line : lines) prefixed.push_back(prefix_ + std::string(line));
    }
    for (size_t i = 0; i < lines.size(); ++i) {
      const std::string_view text = prefix_.empty() ? lines[i] : std::string_view(prefixed[i]);
      texts.push_back(text.data());
      lengths.push_back(text.size());
    }
    check(bitnet_embed(model_, texts.data(), lengths.data(), texts.size(), &options_, out.data(), out.size()));
  }

  bitnet_model* const model_;
  const std::string prefix_;
  const bool ids_;
  const Engine engine_;
  bitnet_embed_options options_;
  size_t bytes_ = 0;
};

// --- what is written ------------------------------------------------------------------------------------------------

void append_number(std::string& line, float value) {
  char text[32];
  const auto [end, error] = std::to_chars(std::begin(text), std::end(text), value);  // the shortest that is exact
  line.append(text, end);
}

void append_numbers(std::string& line, std::span<const std::byte> embedding, bitnet_embed_format type) {
  line += '[';
  const size_t width = type == BITNET_EMBED_FLOAT ? sizeof(float) : 1;
  for (size_t i = 0; i < embedding.size(); i += width) {
    if (i != 0) line += ',';
    if (type == BITNET_EMBED_FLOAT) {
      float value;
      std::memcpy(&value, &embedding[i], sizeof value);
      append_number(line, value);
    } else {
      line += std::to_string(static_cast<int8_t>(embedding[i]));
    }
  }
  line += ']';
}

std::string as_json_line(size_t index, std::span<const std::byte> embedding, bitnet_embed_format type) {
  std::string line = "{\"index\":" + std::to_string(index) + ",\"embedding\":";
  if (type == BITNET_EMBED_FLOAT || type == BITNET_EMBED_INT8) {
    append_numbers(line, embedding, type);
  } else {  // codes, as the bytes that hold them
    line += '"';
    for (const std::byte byte : embedding) line += formatted("%02x", static_cast<unsigned>(byte));
    line += '"';
  }
  return line + "}\n";
}

// Where embeddings go as they come: a file, which is there when all is done, or standard output.
class Output {
 public:
  Output(const Options& options, size_t rows, size_t bytes) : type_(options.type), npy_(options.npy), bytes_(bytes) {
    if (!options.output.empty()) file_.emplace(options.output);
    if (!npy_) return;
    const bool floats = type_ == BITNET_EMBED_FLOAT;
    write(npy_header(floats                       ? "<f4"
                     : type_ == BITNET_EMBED_INT8 ? "|i1"
                                                  : "|u1",
                     rows, floats ? bytes / sizeof(float) : bytes));
  }

  void add(std::span<const std::byte> embeddings) {
    if (npy_) return write({reinterpret_cast<const char*>(embeddings.data()), embeddings.size()});
    std::string lines;
    for (size_t at = 0; at < embeddings.size(); at += bytes_) {
      lines += as_json_line(index_++, embeddings.subspan(at, bytes_), type_);
    }
    write(lines);
  }

  void commit() {
    if (file_) file_->commit();
  }

 private:
  void write(std::string_view bytes) {
    if (!file_) return write_out(bytes);
    file_->write_at(position_, std::as_bytes(std::span(bytes)));
    position_ += bytes.size();
  }

  const bitnet_embed_format type_;
  const bool npy_;
  const size_t bytes_;
  std::optional<OutputFile> file_;
  size_t position_ = 0, index_ = 0;
};

void embed(const Options& options) {
  if (options.npy && options.output.empty() && is_terminal(Stream::out)) {
    throw Stop(kUsage, "a NumPy file is nothing to read; name a file with -o");
  }
  const std::string text = input_text(options);
  const std::vector<std::string_view> lines = lines_of(text);
  const Model model = open_model(options.model);
  const Embedder embedder(model.get(), options);
  Output output(options, lines.size(), embedder.bytes());
  ProgressBar bar("embedding", ProgressBar::Unit::texts);
  for (size_t at = 0; at < lines.size(); at += kTextsAtOnce) {
    const size_t count = std::min(kTextsAtOnce, lines.size() - at);
    output.add(embedder.embed(std::span(lines).subspan(at, count)));
    bar.update(at + count, lines.size());
  }
  output.commit();
}

}  // namespace

void add_embed(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* command = program.add_subcommand("embed", "Write embeddings of texts, one for each line");
  add_model_options(*command, options->model, true);
  auto* text = command->add_option("TEXT", options->text, "Texts, one a line; default: standard input");
  text->option_text(" ");
  command->add_option("-f,--file", options->file, "Read the texts from a file; -: from standard input")
      ->check(not_empty())
      ->option_text("FILE")
      ->excludes(text);
  command->add_flag("--ids", options->ids, "Lines are token numbers, to which nothing is added");
  command->add_option("--prefix", options->prefix, "Put before each text: the instruction of a query, for one")
      ->option_text("TEXT");
  add_choice(*command, "--pooling", options->pooling, "What stands for a text; default: as the model was published",
             {{"last", BITNET_POOLING_LAST}, {"mean", BITNET_POOLING_MEAN}, {"cls", BITNET_POOLING_CLS}});
  add_choice(*command, "--type", options->type, "Numbers of an embedding; default: float",
             {{"float", BITNET_EMBED_FLOAT},
              {"int8", BITNET_EMBED_INT8},
              {"int4", BITNET_EMBED_INT4},
              {"int2", BITNET_EMBED_INT2},
              {"int1", BITNET_EMBED_INT1}});
  add_number<uint32_t>(*command, "--dimensions", options->dimensions, "How many of them, the first ones; default: all",
                       1);
  command->add_flag("--raw", options->raw, "As the model has them, not brought to length 1");
  add_number<uint32_t>(*command, "--max-tokens", options->max_tokens,
                       "Most tokens of a text; default: what the model was trained for", 1);
  command->add_flag("--cut", options->cut, "Cut longer texts, rather than refuse them");
  add_choice(*command, "--format", options->npy, "What is written: JSON, a line for each text, or a NumPy file",
             {{"jsonl", false}, {"npy", true}});
  command->add_option("-o,--output", options->output, "File to write, replaced if it exists; default: standard output")
      ->check(not_empty())
      ->option_text("OUT");
  add_number<uint32_t>(*command, "-t,--threads", options->threads, "Threads; default: all cores", 1);
  command->footer(
      "Examples:\n"
      "  bitnet embed -m embedding.bitnet -f titles.txt -o titles.npy --format npy\n"
      "  echo \"What is a ternary weight?\" | bitnet embed -m embedding.bitnet --type int8");
  command->callback([options, text] {
    options->given = text->count() > 0;
    embed(*options);
  });
}

}  // namespace bitnet::program
