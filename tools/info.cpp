// SPDX-License-Identifier: MIT
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/handles.h"
#include "api/open_options.h"
#include "commands.h"
#include "engine/session.h"
#include "format/open.h"
#include "known_models.h"
#include "options.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

using Json = nlohmann::ordered_json;

struct Options {
  ModelOptions model;
  bool json = false, full = false, tensors = false;
};

using Rows = std::vector<std::pair<std::string, std::string>>;

struct Facts {
  bitnet_model_info info;
  uint32_t session_context;     // of a session with default options
  uint64_t session_bytes;       // likewise
  uint64_t session_int8_bytes;  // of one with an int8 KV cache
  Rows metadata;
  std::vector<KnownModel> known;
  Rows sampling;  // as the model's maker has it
};

// What generation_config.json, or a GGUF file in its place, says of sampling.
Rows sampling_of(const Rows& metadata) {
  constexpr std::string_view kPrefixes[] = {"generation_config.", "general.sampling."};
  constexpr std::string_view kNames[] = {"temperature",       "temp", "top_k", "top_p", "min_p", "do_sample",
                                         "repetition_penalty"};
  Rows sampling;
  for (const auto& [key, value] : metadata) {
    for (const std::string_view prefix : kPrefixes) {
      if (!key.starts_with(prefix)) continue;
      const std::string name = key.substr(prefix.size());
      if (std::ranges::find(kNames, name) != std::end(kNames)) sampling.emplace_back(name, value);
    }
  }
  return sampling;
}

Facts facts_of(const bitnet_model* model) {
  Facts facts = {model_info(model), 0, 0, 0, {}, known_models(model), {}};
  facts.session_context = default_context(facts.info.context);
  check(bitnet_session_memory(model, nullptr, &facts.session_bytes));
  bitnet_session_options int8 = {};
  int8.size = sizeof int8;
  int8.kv = BITNET_KV_INT8;
  check(bitnet_session_memory(model, &int8, &facts.session_int8_bytes));
  const char *key = nullptr, *value = nullptr;
  for (size_t i = 0;; ++i) {
    const bitnet_status status = bitnet_model_metadata(model, i, &key, &value);
    check(status);
    if (status == BITNET_END) break;
    facts.metadata.emplace_back(key, value);
  }
  facts.sampling = sampling_of(facts.metadata);
  return facts;
}

std::string token_text(const bitnet_model* model, bitnet_token token) {
  if (token == BITNET_NO_TOKEN) return "none";
  return formatted("%d  ", token) + detokenized(model, {token}, BITNET_TEXT_SPECIAL);
}

std::string experts_text(const bitnet_model* model) {
  const HyperParameters& hyper = model->runtime->model().hyper;
  if (hyper.experts == 0) return "";
  return formatted("%u in each layer, of which %u compute a token", hyper.experts, hyper.experts_used);
}

std::string windows_text(const bitnet_model* model) {
  const HyperParameters& hyper = model->runtime->model().hyper;
  if (hyper.window == 0) return "";
  return formatted("%u tokens, but for the last of every %u layers", hyper.window, hyper.window_period);
}

std::string chat_template_text(const bitnet_model_info& info) {
  const std::string source = info.chat_template_source;
  if (info.head == std::string_view("none")) return "no: it makes embeddings (bitnet embed)";
  if (!info.has_chat_template) return "no: it continues text";
  if (source == "file") return "yes, the file's own";
  if (source == "option") return "yes, the one that was asked for";
  return source + " (known), since the file's own is a known mistake";
}

// A list with commas.
template <typename List, typename Text>
std::string listed(const List& list, const Text& text) {
  std::string out;
  for (const auto& one : list) out.append(out.empty() ? "" : ", ").append(text(one));
  return out;
}

// The shape alone tells, which is also that of what others have made of a model.
std::string known_text(const std::vector<KnownModel>& known) {
  const std::string names = listed(known, [](const KnownModel& one) {
    const std::string where = one.repository.empty() ? "" : " (" + one.repository + ")";
    const std::string license = one.license.empty() ? "" : ", license " + one.license;
    return one.name + where + license;
  });
  return names.empty() ? "" : "by its shape: " + names;
}

std::string sampling_text(const Rows& sampling) {
  return listed(sampling, [](const auto& row) { return row.first + " " + row.second; });
}

Rows summary(const bitnet_model* model, const Facts& facts) {
  const bitnet_model_info& info = facts.info;
  const double bits =
      info.parameters == 0 ? 0 : 8.0 * static_cast<double>(info.resident_bytes) / static_cast<double>(info.parameters);
  return {
      {"name", info.name},
      {"license", info.license},
      {"known", known_text(facts.known)},
      {"architecture", info.architecture},
      {"parameters",
       count_text(info.parameters) +
           formatted(" (%.1f%% ternary)", 100.0 * static_cast<double>(info.ternary_parameters) /
                                              static_cast<double>(std::max<uint64_t>(1, info.parameters)))},
      {"layers", std::to_string(info.layers)},
      {"hidden", std::to_string(info.hidden)},
      {"feed-forward", std::to_string(info.ffn)},
      {"experts", experts_text(model)},
      {"heads", formatted("%u, %u for keys and values, of %u", info.heads, info.kv_heads, info.head_dim)},
      {"vocabulary", count_text(info.vocabulary)},
      {"context", count_text(info.context)},
      {"windows", windows_text(model)},
      {"begin token", token_text(model, info.bos)},
      {"end token", token_text(model, info.eos)},
      {"activation", info.activation},
      {"pooling", info.pooling},
      {"chat template", chat_template_text(info)},
      {"sampling", sampling_text(facts.sampling)},
      {"packing", info.packing},
      {"head", info.head},
      {"file", bytes_text(info.file_bytes)},
      {"memory", bytes_text(info.resident_bytes) + formatted(" for weights (%.2f bits each), ", bits) +
                     bytes_text(facts.session_bytes) + formatted(" for a session of %u tokens", facts.session_context) +
                     ", " + bytes_text(facts.session_int8_bytes) + " with --kv int8"},
      {"kernels", info.isa},
  };
}

std::string table(const Rows& rows, size_t value_columns) {
  size_t width = 0;
  for (const auto& [key, _] : rows) width = std::max(width, key.size());
  std::string text;
  for (const auto& [key, value] : rows) {
    if (value.empty()) continue;
    text += key + std::string(width - key.size() + 2, ' ') + shortened(value, value_columns) + "\n";
  }
  return text;
}

Json optional_token(bitnet_token token) { return token == BITNET_NO_TOKEN ? Json(nullptr) : Json(token); }

Json known_as_json(const std::vector<KnownModel>& known) {
  Json list = Json::array();
  for (const KnownModel& one : known) {
    const auto text = [](const std::string& value) { return value.empty() ? Json(nullptr) : Json(value); };
    list.push_back({{"name", one.name},
                    {"family", one.family},
                    {"repository", text(one.repository)},
                    {"license", text(one.license)},
                    {"mistakes", one.mistakes}});
  }
  return list;
}

Json as_json(const bitnet_model* model, const Facts& facts) {
  const HyperParameters& hyper = model->runtime->model().hyper;
  const bitnet_model_info& info = facts.info;
  Json metadata = Json::object();
  for (const auto& [key, value] : facts.metadata) metadata[key] = value;
  Json sampling = Json::object();
  for (const auto& [key, value] : facts.sampling) sampling[key] = value;
  return {{"name", info.name},
          {"license", info.license},
          {"architecture", info.architecture},
          {"parameters", info.parameters},
          {"ternary_parameters", info.ternary_parameters},
          {"layers", info.layers},
          {"hidden", info.hidden},
          {"ffn", info.ffn},
          {"heads", info.heads},
          {"kv_heads", info.kv_heads},
          {"head_dim", info.head_dim},
          {"vocabulary", info.vocabulary},
          {"context", info.context},
          {"experts", hyper.experts},
          {"experts_used", hyper.experts_used},
          {"window", hyper.window},
          {"bos", optional_token(info.bos)},
          {"eos", optional_token(info.eos)},
          {"chat_template", info.has_chat_template != 0},
          {"activation", info.activation},
          {"pooling", info.pooling},
          {"chat_template_source", info.chat_template_source},
          {"chat_template_text", info.chat_template},
          {"packing", info.packing},
          {"head", info.head},
          {"isa", info.isa},
          {"file_bytes", info.file_bytes},
          {"resident_bytes", info.resident_bytes},
          {"session_context", facts.session_context},
          {"session_bytes", facts.session_bytes},
          {"session_int8_bytes", facts.session_int8_bytes},
          {"known", known_as_json(facts.known)},
          {"sampling", sampling},
          {"metadata", metadata}};
}

std::shared_ptr<const Container> open_tensors(const Options& options) {
  OpenOptions open;
  open.packing = make_packing(options.model.packing);
  open.head = make_head(options.model.head);
  open.layout = make_layout(options.model.i2s);
  open.activation = make_activation(options.model.activation);
  return open_container(model_path(options.model), open);
}

std::string tensor_table(const Container& container) {
  std::string text;
  for (const Tensor& tensor : container.tensors()) {
    text += formatted("%-28s %-4s %6u x %-6u %9s\n", shortened(tensor.name, 60).c_str(), name_of(tensor.type),
                      tensor.rows, tensor.cols, bytes_text(tensor.data.size()).c_str());
  }
  return text;
}

Json tensor_list(const Container& container) {
  Json list = Json::array();
  for (const Tensor& tensor : container.tensors()) {
    list.push_back({{"name", tensor.name},
                    {"type", name_of(tensor.type)},
                    {"shape", {tensor.rows, tensor.cols}},
                    {"bytes", tensor.data.size()},
                    {"scales", tensor.scales.size()},
                    {"checksum", formatted("%016llx", static_cast<unsigned long long>(tensor.checksum))}});
  }
  return list;
}

void info(const Options& options) {
  const Model model = open_model(options.model);
  const Facts facts = facts_of(model.get());
  if (options.json) {
    Json json = as_json(model.get(), facts);
    if (options.tensors) json["tensors"] = tensor_list(*open_tensors(options));
    return write_out(json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  }
  std::string text = table(summary(model.get(), facts), 200);
  std::set<std::string> mistakes;
  for (const KnownModel& one : facts.known) mistakes.insert(one.mistakes.begin(), one.mistakes.end());
  for (const std::string& mistake : mistakes) text += "known mistake of such files: " + mistake + "\n";
  if (!facts.metadata.empty()) {
    text += "\n" + coloured(Stream::out, Colour::bold, "metadata") + "\n" +
            table(facts.metadata, options.full ? SIZE_MAX / 2 : 60);
  }
  if (options.full && facts.info.has_chat_template) {
    text +=
        "\n" + coloured(Stream::out, Colour::bold, "chat template") + "\n" + without_controls(facts.info.chat_template);
    if (!text.ends_with('\n')) text += '\n';
  }
  if (options.tensors) {
    text += "\n" + coloured(Stream::out, Colour::bold, "tensors") + "\n" + tensor_table(*open_tensors(options));
  }
  write_out(text);
}

}  // namespace

void add_info(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* command = program.add_subcommand("info", "Say what a model file holds");
  add_model_options(*command, options->model, true);
  command->add_option("MODEL", options->model.path, "The same as -m MODEL")->check(not_empty())->option_text(" ");
  command->add_flag("--tensors", options->tensors, "List the tensors too");
  command->add_flag("--full", options->full, "Metadata values in full, however long, and the chat template");
  add_chat_template_options(*command, options->model.chat_template);
  command->add_flag("--json", options->json, "As JSON (always in full)");
  command->footer(
      "Examples:\n"
      "  bitnet info model.bitnet\n"
      "  bitnet info model.bitnet --json | jq .parameters");
  command->callback([options] { info(*options); });
}

}  // namespace bitnet::program
