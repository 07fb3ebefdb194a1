// SPDX-License-Identifier: MIT
#include "generate.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <random>

#include "terminal.h"

namespace bitnet::program {

namespace {

// "15043+1.5", "15043-inf": a token and what is added to its logit.
bitnet_logit_bias parse_bias(const std::string& text) {
  bitnet_logit_bias bias = {};
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, bias.token);
  char* last = nullptr;
  if (error == std::errc() && rest != end && (*rest == '+' || *rest == '-')) bias.bias = std::strtof(rest, &last);
  if (last != end || std::isnan(bias.bias)) {
    throw Stop(kUsage, "--logit-bias '" + text + "' is not a token and a number, as in 15043+1.5 or 15043-inf");
  }
  return bias;
}

std::string shown(std::string_view text) {
  return is_terminal(Stream::out) ? without_controls(text) : std::string(text);
}

}  // namespace

void add_generate_options(CLI::App& command, GenerateOptions& options) {
  add_model_options(command, options.model, true);
  add_session_options(command, options.session);
  command
      .add_option("--generation-threads", options.session.generation_threads,
                  "Of the threads, how many generate (as many as turn out fastest)")
      ->option_text("N");
  command
      .add_option("-c,--ctx-size", options.context,
                  "Tokens that prompt and text may have together (as trained, at most 8192)")
      ->option_text("N");
  command.add_option("-s,--seed", options.seed, "Seed of the random choices (a new one each time)")->option_text("N");
  add_chat_template_options(command, options.model.chat_template);
  command.add_flag("-e,--escape", options.escapes, "Read \\n, \\t and the like in TEXT given on the command line");

  constexpr const char* sampling = "Sampling";
  command.add_option("--temp,--temperature", options.temperature, "0: always the likeliest token; more: bolder (0.8)")
      ->option_text("X")
      ->group(sampling);
  command.add_option("--top-k", options.top_k, "Choose among the K likeliest tokens; 0: all (40)")
      ->option_text("K")
      ->group(sampling);
  command.add_option("--top-p", options.top_p, "Among the likeliest that reach probability P; 1: all (0.95)")
      ->option_text("P")
      ->group(sampling);
  command.add_option("--min-p", options.min_p, "Among those at least P times as likely as the first; 0: all (0.05)")
      ->option_text("P")
      ->group(sampling);
  command.add_option("--repeat-penalty", options.repeat_penalty, "Divides logits of recent tokens; 1: none (1)")
      ->option_text("X")
      ->group(sampling);
  command.add_option("--presence-penalty", options.presence_penalty, "Taken from tokens that occur recently (0)")
      ->option_text("X")
      ->group(sampling);
  command.add_option("--frequency-penalty", options.frequency_penalty, "The same for every occurrence (0)")
      ->option_text("X")
      ->group(sampling);
  command.add_option("--repeat-last-n", options.repeat_last, "How many tokens are recent (64)")
      ->option_text("N")
      ->group(sampling);
  command.add_option("--logit-bias", options.logit_bias, "Add to a token's logit: 15043+1.5, 15043-inf; repeatable")
      ->option_text("TOKEN(+|-)X")
      ->allow_extra_args(false)
      ->group(sampling);

  constexpr const char* ending = "Ending";
  command.add_option("-n,--predict", options.tokens, "Tokens to write at most; -1: until the context is full")
      ->option_text("N")
      ->group(ending);
  command.add_option("--stop", options.stop, "Stop before this text; repeatable")
      ->option_text("TEXT")
      ->allow_extra_args(false)
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

uint64_t random_seed() { return std::random_device()(); }

Reply stream_reply(bitnet_session* session, const std::vector<bitnet_token>& prompt, const GenerateOptions& options,
                   uint64_t seed, uint32_t max_tokens, uint32_t flags) {
  std::vector<bitnet_logit_bias> biases;
  for (const std::string& text : options.logit_bias) biases.push_back(parse_bias(text));
  std::vector<std::string> stop_texts;
  for (const std::string& text : options.stop) stop_texts.push_back(options.escapes ? unescaped(text) : text);
  std::vector<const char*> stops;
  for (const std::string& text : stop_texts) stops.push_back(text.c_str());

  bitnet_sampler_options sampler = {};
  sampler.size = sizeof sampler;
  sampler.seed = seed;
  sampler.temperature = options.temperature;
  sampler.top_k = options.top_k;
  sampler.top_p = options.top_p;
  sampler.min_p = options.min_p;
  sampler.repetition_penalty = options.repeat_penalty;
  sampler.frequency_penalty = options.frequency_penalty;
  sampler.presence_penalty = options.presence_penalty;
  sampler.penalty_window = options.repeat_last;
  sampler.logit_bias = biases.data();
  sampler.logit_bias_count = biases.size();

  bitnet_generate_options generate = {};
  generate.size = sizeof generate;
  generate.max_tokens = max_tokens;
  generate.flags = flags | (options.ignore_end ? uint32_t{BITNET_GENERATE_IGNORE_END} : 0) |
                   (options.special ? uint32_t{BITNET_GENERATE_SPECIAL_OUTPUT} : 0);
  generate.sampler = &sampler;
  generate.stop = stops.data();
  generate.stop_count = stops.size();

  bitnet_generation* started = nullptr;
  check(bitnet_generation_start_tokens(session, prompt.data(), prompt.size(), &generate, &started));
  const Generation generation(started);
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
