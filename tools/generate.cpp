// SPDX-License-Identifier: MIT
#include "generate.h"

#include <algorithm>
#include <limits>

#include "base/random.h"
#include "terminal.h"
#include "text_input.h"

namespace bitnet::program {

namespace {

// "15043+1.5", "15043-inf": a token and what is added to its logit.
bitnet_logit_bias parse_bias(const std::string& text) {
  bitnet_logit_bias bias = {};
  const size_t sign = std::min(text.find_first_of("+-", 1), text.size());
  const std::string number = text.substr(sign);
  const auto token = number_in<bitnet_token>(text.substr(0, sign));
  const auto value = number_in<float>(number);
  if (!token || !(value || number == "-inf" || number == "+inf")) {
    throw Stop(kUsage, "--logit-bias '" + text + "' is not a token and a number, as in 15043+1.5 or 15043-inf");
  }
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  bias.token = *token;
  bias.bias = value ? *value : number == "-inf" ? -kInfinity : kInfinity;
  return bias;
}

std::string shown(std::string_view text) {
  return is_terminal(Stream::out) ? without_controls(text) : std::string(text);
}

}  // namespace

void add_generate_options(CLI::App& command, GenerateOptions& options) {
  add_model_options(command, options.model, true);
  add_session_options(command, options.session);
  add_number<uint32_t>(command, "--generation-threads", options.session.generation_threads,
                       "Of the threads, how many generate (as many as turn out fastest)");
  add_number<uint32_t>(command, "-c,--ctx-size", options.context,
                       "Tokens that prompt and text may have together (as trained, at most 8192)");
  command
      .add_option_function<std::string>(
          "-s,--seed", [&options](const std::string& text) { options.seed = seed_in(text); },
          "Seed of the random choices (-1: a new one each time)")
      ->option_text("N");
  add_chat_template_options(command, options.model.chat_template);
  command.add_flag("-e,--escape", options.escapes, "Read \\n, \\t and the like in TEXT given on the command line");

  constexpr const char* sampling = "Sampling";
  add_number<float>(command, "--temp,--temperature", options.temperature,
                    "0: always the likeliest token; more: bolder (0.8)")
      ->option_text("X")
      ->group(sampling);
  add_number<uint32_t>(command, "--top-k", options.top_k, "Choose among the K likeliest tokens; 0: all (40)")
      ->option_text("K")
      ->group(sampling);
  add_number<float>(command, "--top-p", options.top_p, "Among the likeliest that reach probability P; 1: all (0.95)")
      ->option_text("P")
      ->group(sampling);
  add_number<float>(command, "--min-p", options.min_p,
                    "Among those at least P times as likely as the first; 0: all (0.05)")
      ->option_text("P")
      ->group(sampling);
  add_number<float>(command, "--repeat-penalty", options.repeat_penalty, "Divides logits of recent tokens; 1: none (1)")
      ->option_text("X")
      ->group(sampling);
  add_number<float>(command, "--presence-penalty", options.presence_penalty,
                    "Taken from tokens that occur recently (0)")
      ->option_text("X")
      ->group(sampling);
  add_number<float>(command, "--frequency-penalty", options.frequency_penalty, "The same for every occurrence (0)")
      ->option_text("X")
      ->group(sampling);
  add_number<uint32_t>(command, "--repeat-last-n", options.repeat_last, "How many tokens are recent (64)")
      ->option_text("N")
      ->group(sampling);
  command.add_option("--logit-bias", options.logit_bias, "Add to a token's logit: 15043+1.5, 15043-inf; repeatable")
      ->option_text("TOKEN(+|-)X")
      ->allow_extra_args(false)
      ->group(sampling);

  constexpr const char* ending = "Ending";
  add_number<int64_t>(command, "-n,--predict,--n-predict", options.tokens,
                      "Tokens to write at most; -1: until the context is full", -1,
                      std::numeric_limits<uint32_t>::max())
      ->group(ending);
  command.add_option("--stop", options.stop, "Stop before this text; repeatable")
      ->option_text("TEXT")
      ->allow_extra_args(false)
      ->check(not_empty())
      ->group(ending);
  command.add_flag("--ignore-eos", options.ignore_end, "Go on after the model's end token")->group(ending);
  command
      .add_flag("--special", options.special,
                "Prompt and messages may name control tokens (no strangers' text!); write them out too")
      ->group(ending);
}

std::string unescaped(const std::string& text) {
  constexpr std::string_view letters = "ntr\\\"'", meanings = "\n\t\r\\\"'";
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t which = text[i] == '\\' && i + 1 < text.size() ? letters.find(text[i + 1]) : letters.npos;
    result += which == letters.npos ? text[i] : meanings[which];
    i += which != letters.npos;
  }
  return result;
}

std::string argument_text(const std::string& text, const std::string& what, const GenerateOptions& options) {
  return text_of(options.escapes ? unescaped(text) : text, what, options.model.quiet);
}

std::optional<uint64_t> seed_in(const std::string& text) {
  if (text == "-1") return std::nullopt;
  if (const auto seed = number_in<uint64_t>(text)) return seed;
  throw CLI::ValidationError("--seed", "'" + shortened(text, 40) + "' is not a whole number from 0 on, or -1");
}

uint64_t random_seed() { return static_cast<uint32_t>(random_bits()); }  // short, to be said and typed

TextOptions::TextOptions(const GenerateOptions& options, uint64_t seed, uint32_t max_tokens) {
  for (const std::string& text : options.logit_bias) biases_.push_back(parse_bias(text));
  for (const std::string& text : options.stop) stop_texts_.push_back(options.escapes ? unescaped(text) : text);
  for (const std::string& text : stop_texts_) stops_.push_back(text.c_str());

  sampler_.size = sizeof sampler_;
  sampler_.seed = seed;
  sampler_.temperature = options.temperature;
  sampler_.top_k = options.top_k;
  sampler_.top_p = options.top_p;
  sampler_.min_p = options.min_p;
  sampler_.repetition_penalty = options.repeat_penalty;
  sampler_.frequency_penalty = options.frequency_penalty;
  sampler_.presence_penalty = options.presence_penalty;
  sampler_.penalty_window = options.repeat_last;
  sampler_.logit_bias = biases_.data();
  sampler_.logit_bias_count = biases_.size();

  generate_.size = sizeof generate_;
  generate_.max_tokens = max_tokens;
  generate_.flags = (options.ignore_end ? uint32_t{BITNET_GENERATE_IGNORE_END} : 0) |
                    (options.special ? uint32_t{BITNET_GENERATE_SPECIAL_OUTPUT} : 0);
  generate_.sampler = &sampler_;
  generate_.stop = stops_.data();
  generate_.stop_count = stops_.size();
}

Reply stream_reply(const Generation& generation, const std::string& before) {
  write_out(before);
  Reply reply;
  bitnet_piece piece = {};
  piece.size = sizeof piece;
  for (bitnet_status status = BITNET_OK; status == BITNET_OK;) {
    status = interrupted() ? BITNET_ERROR_CANCELLED : bitnet_generation_next(generation.get(), &piece);
    if (status == BITNET_ERROR_CANCELLED) {
      reply.interrupted = true;
      forget_interrupt();
      return reply;
    }
    check(status);
    reply.text.append(piece.text, piece.length);
    if (piece.length > 0) write_out(shown({piece.text, piece.length}));
    reply.finish = piece.finish;
  }
  return reply;
}

std::string speed_text(const bitnet_session* session) {
  bitnet_perf perf = {};
  perf.size = sizeof perf;
  check(bitnet_session_get_perf(session, &perf));
  const auto part = [](const char* what, uint64_t tokens, uint64_t nanoseconds) {
    const double rate = nanoseconds > 0 ? 1e9 * static_cast<double>(tokens) / static_cast<double>(nanoseconds) : 0;
    return formatted("%s %s tokens, %.1f tokens/s", what, count_text(tokens).c_str(), rate);
  };
  std::string text;
  if (perf.prompt_tokens > 0) text = part("prompt", perf.prompt_tokens, perf.prompt_ns) + "; ";
  return text + part("generation", perf.generated_tokens, perf.generated_ns + perf.sample_ns);
}

}  // namespace bitnet::program
