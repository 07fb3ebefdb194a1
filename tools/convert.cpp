// SPDX-License-Identifier: MIT
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/path.h"
#include "commands.h"
#include "format/hf_source.h"
#include "options.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

struct Options {
  std::string input, output;
  bitnet_packing packing = BITNET_PACKING_DEFAULT;
  bitnet_head head = BITNET_HEAD_DEFAULT;
  bitnet_i2s_layout i2s = BITNET_I2S_AUTO;
  bitnet_dense dense = BITNET_DENSE_DEFAULT;
  bitnet_activation_bits activation_bits = BITNET_ACTIVATION_BITS_DEFAULT;
  bitnet_activation activation = BITNET_ACTIVATION_DEFAULT;
  bool quantize = false, lossy = false, force = false, quiet = false, verbose = false;
  int zstd = 0;
  std::string chat_template, outtype;
};

enum class Kind { bitnet, gguf, folder };

// By the name of the output.
Kind kind_of(const Options& options) {
  if (options.output.ends_with(".gguf")) return Kind::gguf;
  const bool folder = is_separator(options.output.back()) || path_kind(options.output) == PathKind::folder;
  return folder ? Kind::folder : Kind::bitnet;
}

template <typename Enum>
using Word = std::pair<std::string_view, Enum>;
constexpr Word<bitnet_gguf> kGgufTypes[] = {
    {"", BITNET_GGUF_AUTO},     {"f16", BITNET_GGUF_F16},     {"f32", BITNET_GGUF_F32},
    {"i2_s", BITNET_GGUF_I2_S}, {"tq1_0", BITNET_GGUF_TQ1_0}, {"tq2_0", BITNET_GGUF_TQ2_0},
    {"q2_0", BITNET_GGUF_Q2_0}, {"tl1", BITNET_GGUF_TL1},     {"tl2", BITNET_GGUF_TL2},
};
constexpr Word<bitnet_safetensors> kFolderTypes[] = {
    {"", BITNET_SAFETENSORS_AUTO},   {"packed", BITNET_SAFETENSORS_PACKED}, {"bf16", BITNET_SAFETENSORS_BF16},
    {"f16", BITNET_SAFETENSORS_F16}, {"f32", BITNET_SAFETENSORS_F32},
};

// What --outtype says of that kind of output.
template <typename Enum, size_t count>
Enum type_of(const Options& options, const Word<Enum> (&words)[count], const char* kind) {
  std::string known;
  for (const auto& [name, type] : words) {
    if (name == options.outtype) return type;
    if (!name.empty()) known.append(known.empty() ? "" : ", ").append(name);
  }
  fail(BITNET_ERROR_ARGUMENT, "--outtype ", options.outtype, " is no type of ", kind, ", which ", options.output,
       " will be; its types are ", known);
}

// Of a .bitnet file.
bitnet_packing packing(const Options& options) {
  if (kind_of(options) != Kind::bitnet || options.outtype.empty()) return options.packing;
  const bool known = options.outtype == "i2_s" || options.outtype == "tl1" || options.outtype == "tl2";
  require(known, BITNET_ERROR_ARGUMENT, "--outtype ", options.outtype,
          " is a type of GGUF or of a Hugging Face folder, and ", options.output,
          " ends neither in .gguf nor in a separator, as a folder's name");
  return packing_of_outtype(options.outtype);
}

// Of the files in a folder whose names begin and end so; 0 of a folder that cannot be listed.
uint64_t bytes_of_all(const std::string& folder, const std::string& begin, const std::string& end) {
  constexpr size_t kMostNames = 10000;
  uint64_t total = 0;
  try {
    for (const std::string& name : names_in(folder, kMostNames)) {
      if (name.starts_with(begin) && name.ends_with(end)) total += file_size(joined(folder, name)).value_or(0);
    }
  } catch (const Error&) {
    return 0;
  }
  return total;
}

// Of the files that hold the input's weights. What is wrong with them the conversion tells.
uint64_t input_bytes(const std::string& input) {
  if (is_hf_folder(input)) {
    const std::string folder = hf_folder_of(input);
    const auto whole = file_size(joined(folder, "model.safetensors"));
    return whole ? *whole : bytes_of_all(folder, "", ".safetensors");
  }
  const std::string name = last_part(input);
  const size_t first = name.rfind("-00001-of-");
  if (first == name.npos || !name.ends_with(".gguf")) return file_size(input).value_or(0);
  return bytes_of_all(folder_of(input), name.substr(0, first + 1), name.substr(name.find("-of-", first)));
}

void convert(const Options& options) {
  const Kind kind = kind_of(options);
  if (kind != Kind::folder) require_writable(options.output, options.force);
  const uint64_t before = input_bytes(options.input);  // now, since OUTPUT may be INPUT
  const Stopwatch time;
  ProgressBar bar("converting");
  bitnet_convert_options convert = {};
  convert.size = sizeof convert;
  if (kind == Kind::gguf) convert.gguf = type_of(options, kGgufTypes, "a GGUF file");
  if (kind == Kind::folder) convert.safetensors = type_of(options, kFolderTypes, "a Hugging Face folder");
  convert.lossy = options.lossy;
  convert.packing = packing(options);
  convert.head = options.head;
  convert.i2s = options.i2s;
  convert.dense = options.dense;
  convert.activation_bits = options.activation_bits;
  convert.activation = options.activation;
  convert.quantize = options.quantize;
  convert.zstd_level = options.zstd;
  convert.chat_template = options.chat_template.empty() ? nullptr : options.chat_template.c_str();
  convert.progress = ProgressBar::callback;
  convert.progress_user = &bar;
  convert.log = options.quiet ? nullptr : log_line;
  convert.log_user = options.verbose ? &bar : nullptr;
  check(bitnet_convert(options.input.c_str(), options.output.c_str(), &convert));
  bar.clear();
  if (options.quiet) return;

  const double seconds = time.seconds();
  const uint64_t after =
      kind == Kind::folder ? bytes_of_all(options.output, "", "") : file_size(options.output).value_or(0);
  if (before == 0) {
    return write_out(
        formatted("%s: %s in %s\n", options.output.c_str(), bytes_text(after).c_str(), duration_text(seconds).c_str()));
  }
  write_out(formatted("%s: %s from %s (%.0f%%) in %s, %s/s\n", options.output.c_str(), bytes_text(after).c_str(),
                      bytes_text(before).c_str(), 100.0 * static_cast<double>(after) / static_cast<double>(before),
                      duration_text(seconds).c_str(),
                      bytes_text(static_cast<uint64_t>(static_cast<double>(before) / seconds)).c_str()));
}

}  // namespace

void add_convert(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* command = program.add_subcommand(
      "convert", "Write a GGUF file or Hugging Face folder as .bitnet, a .bitnet file anew, or either of the two");
  command->add_option("INPUT", options->input, "GGUF or .bitnet file, or Hugging Face folder")
      ->required()
      ->check(not_empty())
      ->option_text(" ");
  command
      ->add_option("OUTPUT", options->output,
                   ".bitnet file to write; .gguf, or a Hugging Face folder/, for other programs")
      ->required()
      ->check(not_empty())
      ->option_text(" ");
  add_packing_option(*command, options->packing);
  command
      ->add_option("--outtype", options->outtype,
                   "GGUF: i2_s, tl1, tl2, tq1_0, tq2_0, q2_0, f16 or f32; folder: packed, bf16, f16\n"
                   "or f32; .bitnet: --packing, as i2_s, tl1, tl2")
      ->transform(CLI::IsMember({"i2_s", "tl1", "tl2", "tq1_0", "tq2_0", "q2_0", "packed", "bf16", "f16", "f32"},
                                CLI::ignore_case))
      ->option_text("NAME");
  add_dense_option(*command, options->dense);
  add_head_option(*command, options->head);
  add_activation_bits_option(*command, options->activation_bits);
  add_i2s_option(*command, options->i2s);
  add_activation_option(*command, options->activation);
  command
      ->add_flag("--zstd{9}", options->zstd,
                 "Compress for download, at a level from 1 to 19 (9); such a file opens slowly")
      ->option_text("[=LEVEL]");
  command->add_flag("--quantize", options->quantize,
                    "Make weights ternary that are not (scale: mean |w|); else a BitNet model is refused");
  command->add_flag("--lossy", options->lossy,
                    "Of GGUF and folders: let what they do not hold be rounded or lost; else it is refused");
  add_chat_template_options(*command, options->chat_template);
  command->add_flag("--force", options->force,
                    "Replace OUTPUT if it exists; of a link, what it points to. Never a folder");
  command->add_flag("-q,--quiet", options->quiet, "Say nothing but errors");
  command->add_flag("-v,--verbose", options->verbose, "Say what the library decides");
  command->footer(
      "OUTPUT appears under its name only when it is complete.\n\n"
      "Examples:\n"
      "  bitnet convert ggml-model-i2_s.gguf model.bitnet\n"
      "  bitnet convert Falcon3-1B-1.58 falcon.bitnet\n"
      "  bitnet convert --packing t5 --head int8 --zstd big.gguf small.bitnet\n"
      "  bitnet convert --force small.bitnet fast.bitnet\n"
      "  bitnet convert --chat-template chatml model.gguf model.bitnet\n"
      "  bitnet convert model.bitnet model.gguf\n"
      "  bitnet convert --outtype tq2_0 Falcon3-1B-1.58 falcon.gguf\n"
      "  bitnet convert model.bitnet folder/");
  command->callback([options] { convert(*options); });
}

}  // namespace bitnet::program
