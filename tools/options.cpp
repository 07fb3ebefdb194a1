// SPDX-License-Identifier: MIT
#include "options.h"

#include <charconv>
#include <initializer_list>
#include <utility>

#include "base/path.h"
#include "system.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

// Where the models of an installed program lie, whatever prefix it was moved to. The build tree looks the same.
std::string shipped_models() {
  std::string folder = folder_of(program_path());
  std::string_view way = BITNET_MODELS_FROM_PROGRAM;
  for (constexpr std::string_view kUp = "../"; way.starts_with(kUp); way.remove_prefix(kUp.size())) {
    folder = folder_of(folder);
  }
  return joined(folder, std::string(way));
}

// For names of files that would be taken for the text of a chat template.
CLI::Validator no_jinja() {
  return {[](const std::string& path) {
            const bool jinja = path.find("{{") != path.npos || path.find("{%") != path.npos;
            return jinja ? "'" + path + "' contains {{ or {%, as a template does; rename it" : "";
          },
          ""};
}

int asked_to_stop(void*) { return interrupted(); }

}  // namespace

void log_line(void* verbose, bitnet_log_level level, const char* message) {
  if (level == BITNET_LOG_WARNING) return write_message(std::string("warning: ") + message);
  if (verbose) write_message(message);
}

std::string long_name(const std::string& names) {
  const size_t begin = names.find("--");
  return names.substr(begin, names.find(',', begin) - begin);
}

CLI::Option* add_numbers(CLI::App& command, const std::string& names, std::vector<uint32_t>& values,
                         const std::string& description, uint32_t most) {
  const std::string name = long_name(names);
  const auto take = [=, &values](const std::vector<std::string>& texts) {
    values.clear();
    for (const std::string& text : texts) values.push_back(option_number<uint32_t>(name, text, 0, most));
  };
  return command.add_option_function<std::vector<std::string>>(names, take, description)
      ->delimiter(',')
      ->allow_extra_args(false)
      ->option_text("N[,N...]");
}

CLI::Validator not_empty() {
  return {[](const std::string& value) { return std::string(value.empty() ? "its value is empty" : ""); }, ""};
}

CLI::Option* add_packing_option(CLI::App& command, bitnet_packing& packing) {
  return add_choice(command, "--packing", packing, "Ternary weights in 2 bits (i2, the default) or 1.6 bits (t5)",
                    {{"i2", BITNET_PACKING_I2}, {"t5", BITNET_PACKING_T5}});
}

bitnet_packing packing_of_outtype(const std::string& name) {
  const bool five = name == "tl2";
  write_note("--outtype " + name + " is a word of bitnet.cpp; the same weights are kept as --packing " +
             (five ? "t5" : "i2"));
  return five ? BITNET_PACKING_T5 : BITNET_PACKING_I2;
}

CLI::Option* add_outtype_option(CLI::App& command, bitnet_packing& packing) {
  const auto take = [&packing](const std::string& name) { packing = packing_of_outtype(name); };
  return command
      .add_option_function<std::string>("--outtype", take, "bitnet.cpp's word for --packing: i2_s, tl1 or tl2")
      ->transform(CLI::IsMember({"i2_s", "tl1", "tl2"}, CLI::ignore_case))
      ->option_text("NAME");
}

CLI::Option* add_dense_option(CLI::App& command, bitnet_dense& dense) {
  return add_choice(command, "--dense", dense,
                    "Weights that are not ternary: f16 (the default), all digits, or half of F16",
                    {{"f16", BITNET_DENSE_F16}, {"f32", BITNET_DENSE_F32}, {"int8", BITNET_DENSE_INT8}});
}

CLI::Option* add_activation_bits_option(CLI::App& command, bitnet_activation_bits& bits) {
  return add_choice(command, "--activation-bits", bits,
                    "Activations that meet ternary weights, for a model file that does not say it",
                    {{"8", BITNET_ACTIVATION_BITS_INT8}, {"16", BITNET_ACTIVATION_BITS_INT16}});
}

CLI::Option* add_head_option(CLI::App& command, bitnet_head& head) {
  return add_choice(command, "--head", head,
                    "Output head: f16, in half the size, in 0.41 of it, or F16 and a quick search in it",
                    {{"f16", BITNET_HEAD_F16},
                     {"int8", BITNET_HEAD_INT8},
                     {"q6", BITNET_HEAD_Q6},
                     {"screened", BITNET_HEAD_SCREENED}});
}

CLI::Option* add_dummy_format_option(CLI::App& command, bool& gguf) {
  return add_choice(command, "--format", gguf, "A .bitnet file (the default), or the same model for other programs",
                    {{"bitnet", false}, {"gguf", true}});
}

CLI::Option* add_gguf_weights_option(CLI::App& command, std::optional<GgufWeights>& weights) {
  using Choice = std::optional<GgufWeights>;
  return add_choice(command, "--gguf-type", weights, "GGUF's type of the weights, in place of the usual one",
                    {{gguf_name(GgufWeights::f16), Choice(GgufWeights::f16)},
                     {gguf_name(GgufWeights::f32), Choice(GgufWeights::f32)},
                     {gguf_name(GgufWeights::i2_s), Choice(GgufWeights::i2_s)},
                     {gguf_name(GgufWeights::tq1_0), Choice(GgufWeights::tq1_0)},
                     {gguf_name(GgufWeights::tq2_0), Choice(GgufWeights::tq2_0)},
                     {gguf_name(GgufWeights::q2_0), Choice(GgufWeights::q2_0)},
                     {gguf_name(GgufWeights::tl1), Choice(GgufWeights::tl1)},
                     {gguf_name(GgufWeights::tl2), Choice(GgufWeights::tl2)}});
}

CLI::Option* add_i2s_option(CLI::App& command, bitnet_i2s_layout& layout) {
  return add_choice(
      command, "--i2s", layout, "Order of a GGUF file's I2_S weights (auto: found from the weights)",
      {{"auto", BITNET_I2S_AUTO}, {"x86", BITNET_I2S_X86}, {"arm", BITNET_I2S_ARM}, {"rows", BITNET_I2S_ROWS}});
}

CLI::Option* add_activation_option(CLI::App& command, bitnet_activation& activation) {
  return add_choice(command, "--activation", activation,
                    "What the feed-forward network computes, for a model file that does not say it",
                    {{"relu2", BITNET_ACTIVATION_RELU2}, {"silu", BITNET_ACTIVATION_SILU}});
}

CLI::Option* add_kv_option(CLI::App& command, bitnet_kv& kv) {
  return add_choice(command, "--kv", kv,
                    "KV cache in 16 bits a number (int16, the default; f16: slower at depth) or 8 (int8)",
                    {{kv_name(BITNET_KV_INT16), BITNET_KV_INT16},
                     {kv_name(BITNET_KV_F16), BITNET_KV_F16},
                     {kv_name(BITNET_KV_INT8), BITNET_KV_INT8}});
}

const char* kv_name(bitnet_kv kv) {
  switch (kv) {
    case BITNET_KV_F16:
      return "f16";
    case BITNET_KV_INT8:
      return "int8";
    case BITNET_KV_DEFAULT:
    case BITNET_KV_INT16:
      break;
  }
  return "int16";
}

CLI::Option* add_isa_option(CLI::App& command, ModelOptions& options) {
  return command
      .add_option("--isa", options.isa, "Kernel set to use; `bitnet --version` lists them; default: $BITNET_ISA")
      ->option_text("NAME");
}

void add_model_options(CLI::App& command, ModelOptions& options, bool computes) {
  command
      .add_option("-m,--model", options.path,
                  ".bitnet or GGUF file, or Hugging Face folder; default: $BITNET_MODEL, or the shipped one")
      ->check(not_empty())
      ->option_text("FILE");
  if (computes) add_isa_option(command, options);
  add_activation_option(command, options.activation);
  command.add_flag("-q,--quiet", options.quiet, "Say nothing but results and errors");
  command.add_flag("-v,--verbose", options.verbose, "Say what the library chooses");
  constexpr const char* others = "Of GGUF files and Hugging Face folders opened directly";
  add_packing_option(command, options.packing)->group(others);
  add_dense_option(command, options.dense)->group(others);
  add_head_option(command, options.head)->group(others);
  add_activation_bits_option(command, options.activation_bits)->group(others);
  add_i2s_option(command, options.i2s)->group(others);
}

void add_chat_template_options(CLI::App& command, std::string& chat_template) {
  std::string names;
  for (size_t i = 0; const char* name = bitnet_chat_template_name(i); ++i) names += std::string(i ? ", " : "") + name;
  auto* any = command
                  .add_option("--chat-template", chat_template,
                              "Chat template in place of the model's: a file of Jinja, its text, or one of\n" + names)
                  ->check(not_empty())
                  ->option_text("NAME|FILE|TEXT");
  // The library takes a name, a text or a path. A path that could be taken for a name gets a folder in front.
  const auto set = [&chat_template](const std::string& path) {
    chat_template = last_part(path) == path ? "./" + path : path;
  };
  command.add_option_function<std::string>("--chat-template-file", set, "The same, always a file")
      ->check(not_empty())
      ->check(no_jinja())
      ->option_text("FILE")
      ->excludes(any);
}

std::string model_path(const ModelOptions& options) {
  if (!options.path.empty()) return options.path;
  if (std::string named = environment("BITNET_MODEL"); !named.empty()) return named;
  std::string shipped = joined(shipped_models(), BITNET_DEFAULT_MODEL);
  if (!exists(shipped)) {
    throw Stop(kUsage, "no model given, and the one that ships with bitnet is not at " + shipped +
                           "; name a model file with -m or in $BITNET_MODEL");
  }
  return shipped;
}

Model open_model(const ModelOptions& options) {
  const std::string path = model_path(options);
  ProgressBar bar("opening " + shortened(path, 40));
  bitnet_open_options open = {};
  open.size = sizeof open;
  open.isa = options.isa.empty() ? nullptr : options.isa.c_str();
  open.packing = options.packing;
  open.head = options.head;
  open.i2s = options.i2s;
  open.dense = options.dense;
  open.activation_bits = options.activation_bits;
  open.activation = options.activation;
  open.progress = ProgressBar::callback;
  open.progress_user = &bar;
  open.chat_template = options.chat_template.empty() ? nullptr : options.chat_template.c_str();
  open.log = options.quiet ? nullptr : log_line;
  open.log_user = options.verbose ? &bar : nullptr;
  bitnet_model* model = nullptr;
  check(bitnet_open(path.c_str(), &open, &model));
  return Model(model);
}

bitnet_model_info model_info(const bitnet_model* model) {
  bitnet_model_info info = {};
  info.size = sizeof info;
  check(bitnet_model_get_info(model, &info));
  return info;
}

void add_session_options(CLI::App& command, SessionOptions& options) {
  add_number<uint32_t>(command, "-t,--threads", options.threads, "Threads that compute (one per physical core)");
  add_kv_option(command, options.kv);
}

namespace {

void check_memory(bitnet_status status) {
  if (status == BITNET_ERROR_MEMORY) {
    throw Stop(kFailure, std::string(bitnet_last_error()) + " (options: -c N, --kv int8, -t N)");
  }
  check(status);
}

}  // namespace

Engine make_engine(bitnet_model* model, const SessionOptions& chosen) {
  bitnet_engine_options options = {};
  options.size = sizeof options;
  options.threads = chosen.threads;
  options.generation_threads = chosen.generation_threads;
  bitnet_engine* engine = nullptr;
  const InterruptsBlocked for_its_threads;
  check_memory(bitnet_engine_create(model, &options, &engine));
  return Engine(engine);
}

Session make_session(bitnet_model* model, uint32_t context, const SessionOptions& chosen) {
  const Engine engine = make_engine(model, chosen);
  return make_session(model, engine.get(), context, chosen.kv);
}

Session make_session(bitnet_model* model, bitnet_engine* engine, uint32_t context, bitnet_kv kv) {
  bitnet_session_options options = {};
  options.size = sizeof options;
  options.context = context;
  options.kv = kv;
  options.engine = engine;
  options.abort = asked_to_stop;
  bitnet_session* session = nullptr;
  check_memory(bitnet_session_create(model, &options, &session));
  return Session(session);
}

std::vector<bitnet_token> tokenized(const bitnet_model* model, const std::string& text, uint32_t flags) {
  std::vector<bitnet_token> tokens(text.size() / 2 + 16);  // nearly always enough, so that one pass does
  size_t count = 0;
  const auto tokenize = [&] {
    return bitnet_tokenize(model, text.data(), text.size(), flags, tokens.data(), tokens.size(), &count);
  };
  bitnet_status status = tokenize();
  tokens.resize(count);
  if (status == BITNET_ERROR_BUFFER) status = tokenize();
  check(status);
  return tokens;
}

bool texts_begin_with_token(const bitnet_model* model) {
  const auto added = tokenized(model, "", BITNET_TEXT_BOS_EOS);
  return !added.empty() && added.front() == model_info(model).bos;
}

std::vector<bitnet_token> tokenized_whole(const bitnet_model* model, const std::string& text, bool special, Ends ends) {
  const bitnet_model_info info = model_info(model);
  const auto added = tokenized(model, "", BITNET_TEXT_BOS_EOS);
  auto tokens = tokenized(model, text, special ? uint32_t{BITNET_TEXT_SPECIAL} : 0);
  const bool begins = texts_begin_with_token(model), ended = !added.empty() && added.back() == info.eos;
  if (begins && (tokens.empty() || tokens.front() != info.bos)) tokens.insert(tokens.begin(), info.bos);
  if (ends == Ends::begin_and_end && ended && (tokens.empty() || tokens.back() != info.eos)) tokens.push_back(info.eos);
  return tokens;
}

std::string detokenized(const bitnet_model* model, const std::vector<bitnet_token>& tokens, uint32_t flags) {
  size_t length = 0;
  const bitnet_status status = bitnet_detokenize(model, tokens.data(), tokens.size(), flags, nullptr, 0, &length);
  if (status != BITNET_ERROR_BUFFER) check(status);
  std::string text(length, '\0');
  if (length > 0) {
    check(bitnet_detokenize(model, tokens.data(), tokens.size(), flags, text.data(), text.size(), &length));
  }
  return text;
}

std::vector<bitnet_token> parse_tokens(const std::string& text) {
  std::vector<bitnet_token> tokens;
  constexpr std::string_view separators = " ,\t\r\n[]";
  for (size_t at = text.find_first_not_of(separators); at != text.npos; at = text.find_first_not_of(separators, at)) {
    bitnet_token token = 0;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), token);
    const size_t next = static_cast<size_t>(end - text.data());
    if (error != std::errc() || token < 0 || (next < text.size() && separators.find(text[next]) == separators.npos)) {
      throw Stop(kUsage, "'" + shortened(text.substr(at, text.find_first_of(separators, at) - at), 40) +
                             "' is not a token number; write them as in \"1 2 3\"");
    }
    tokens.push_back(token);
    at = next;
  }
  return tokens;
}

void require_writable(const std::string& path, bool force) {
  if (force || !exists(path)) return;
  throw Stop(kFailure, path + " exists; choose another name, or --force to replace it");
}

}  // namespace bitnet::program
