// SPDX-License-Identifier: MIT
#include "format/hf_folder.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/path.h"
#include "format/hf_config.h"
#include "format/safetensors.h"
#include "text/utf8.h"

namespace bitnet {
namespace {

constexpr size_t kMaxReadme = size_t{64} << 10;  // of which the front matter is the beginning
constexpr size_t kMaxNotes = 256, kMaxNoteBytes = 4096;

bool has(const std::string& folder, const std::string& name) { return exists(joined(folder, name)); }

// What is for people, as text that all readers take.
std::string sound(std::string text) {
  text.resize(valid_utf8_prefix(std::string_view(text).substr(0, kMaxNoteBytes)));
  return text;
}

// As in a cache from which files have been removed.
void refuse_dangling_links(const std::string& folder) {
  for (const char* const name : {"config.json", kSafetensorsFile, kSafetensorsIndex}) {
    const std::string target = link_target(joined(folder, name));
    require(target.empty() || has(folder, name), BITNET_ERROR_NOT_FOUND, name, " is a link to ", sound(target),
            ", which is not there; fetch the model again");
  }
}

// "license: mit" or "license: 'mit'"; a list's first item stands on a line of its own.
std::string unquoted(std::string_view text) {
  const auto trim = [&](std::string_view away) {
    const size_t begin = text.find_first_not_of(away), end = text.find_last_not_of(away);
    text = begin == text.npos ? std::string_view() : text.substr(begin, end - begin + 1);
  };
  trim(" \t\r");
  trim("\"'");
  return sound(std::string(text));
}

std::unique_ptr<fb::KeyValueT> make_note(const std::string& key, const Json& value) {
  auto note = std::make_unique<fb::KeyValueT>();
  note->key = key;
  if (value.is_string()) {
    note->kind = fb::ValueKind::text;
    note->text = value.get<std::string>();
  } else if (value.is_boolean()) {
    note->kind = fb::ValueKind::boolean;
    note->integer = value.get<bool>();
  } else if (value.is_number_float() || (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX)) {
    note->kind = fb::ValueKind::real;
    note->real = value.get<double>();
  } else {
    note->kind = fb::ValueKind::integer;
    note->integer = value.get<int64_t>();
  }
  return note;
}

void add_notes(const std::string& prefix, const Json& json, std::vector<std::unique_ptr<fb::KeyValueT>>& notes) {
  if (!json.is_object()) return;
  for (const auto& [key, value] : json.items()) {
    const size_t bytes = key.size() + (value.is_string() ? value.get_ref<const std::string&>().size() : 0);
    if (!value.is_primitive() || value.is_null() || bytes > kMaxNoteBytes || notes.size() == kMaxNotes) continue;
    notes.push_back(make_note(prefix + key, value));
  }
}

struct PoolingMode {
  std::string_view name;
  fb::Pooling pooling;
};
constexpr PoolingMode kPoolingModes[] = {
    {"mean", fb::Pooling::mean}, {"cls", fb::Pooling::cls}, {"lasttoken", fb::Pooling::last}};

// A key for each mode, of which one is true; or one key that names it.
fb::Pooling read_pooling(const Json& json) {
  constexpr std::string_view kKey = "pooling_mode", kTokens = "_tokens", kToken = "_token";
  const JsonValue config(json);
  std::string mode;
  for (const auto& [key, value] : config.object().items()) {
    if (!key.starts_with(kKey) || value.is_null()) continue;
    std::string_view name = std::string_view(key).substr(kKey.size());
    if (name.empty()) {
      name = config.at(key).text();
    } else if (!config.at(key).truth()) {
      continue;
    } else {
      name.remove_prefix(1);
      if (name.ends_with(kTokens)) name.remove_suffix(kTokens.size());
      if (name.ends_with(kToken)) name.remove_suffix(kToken.size());
    }
    require(mode.empty() || mode == name, BITNET_ERROR_UNSUPPORTED, "asks for the poolings ", mode, " and ", name,
            " together; supported is one");
    mode = name;
  }
  const auto* const found = std::ranges::find(kPoolingModes, mode, &PoolingMode::name);
  require(found != std::end(kPoolingModes), BITNET_ERROR_UNSUPPORTED, "the pooling is ",
          mode.empty() ? "none" : sound(mode), "; supported are mean, cls and lasttoken");
  return found->pooling;
}

}  // namespace

void check_hf_folder(const std::string& folder) {
  const bool config = has(folder, "config.json");
  const bool weights = has(folder, kSafetensorsFile) || has(folder, kSafetensorsIndex);
  if (config && weights) return;
  refuse_dangling_links(folder);

  // Only to say what there is: where memory runs out, libstdc++ ends the program in this.
  constexpr size_t kMostNames = 10000;
  const auto names = names_in(folder, kMostNames);
  const auto first = [&](std::string_view begin, std::string_view end) -> std::string {
    const auto fits = [&](const std::string& name) { return name.starts_with(begin) && name.ends_with(end); };
    const auto found = std::ranges::find_if(names, fits);
    return found == names.end() ? "" : *found;
  };
  const auto refuse = [](const auto&... parts) { fail(BITNET_ERROR_UNSUPPORTED, parts...); };
  if (has(folder, "adapter_config.json")) {
    refuse("the folder holds an adapter (adapter_config.json: LoRA or the like), not a model: merge it into its base ",
           "model first, as peft's merge_and_unload does, and save that");
  }
  if (const std::string gguf = first("", ".gguf"); !gguf.empty()) {
    refuse("the folder holds GGUF files and no checkpoint of safetensors: name the file, such as ", gguf);
  }
  if (const std::string bitnet = first("", ".bitnet"); !bitnet.empty()) {
    refuse("the folder holds .bitnet files and no checkpoint of safetensors: name the file, such as ", bitnet);
  }
  const std::string pickled = first("pytorch_model", ".bin");
  if (!weights && !pickled.empty()) {
    refuse("the folder holds its weights as ", pickled, ", whose format can run any code when it is read, and no ",
           "safetensors: save it anew with safetensors, as transformers' save_pretrained does");
  }
  if (const std::string shard = first("model-", ".safetensors"); !weights && !shard.empty()) {
    fail(BITNET_ERROR_FORMAT, "the folder holds shards, such as ", shard,
         ", but no model.safetensors.index.json, which names them all; fetch that, too");
  }
  const std::string vocabulary = first("tokenizer", "");
  require(config || weights || vocabulary.empty(), BITNET_ERROR_UNSUPPORTED, "the folder holds only a vocabulary (",
          vocabulary, "), no config.json and no weights");
  require(config, BITNET_ERROR_FORMAT, "the folder has no config.json",
          weights ? ", which says what the model is; fetch it, too" : "; is it a model's?");
  fail(BITNET_ERROR_NOT_FOUND, "the folder has a config.json, but no weights (model.safetensors, or ",
       "model.safetensors.index.json and the shards that it names)");
}

std::string hf_name(const std::string& folder) {
  std::string path = full_path(folder);
  while (path.size() > 1 && is_separator(path.back())) path.pop_back();
  // hub/models--microsoft--bitnet-b1.58-2B-4T/snapshots/04c3b9ad9361b824064a1f25ea60a8be9599b127
  constexpr std::string_view kCached = "models--";
  const std::string parent = folder_of(path);
  std::string cached = last_part(folder_of(parent));
  if (last_part(parent) != "snapshots" || !cached.starts_with(kCached)) return sound(last_part(path));
  cached.erase(0, kCached.size());
  const size_t mark = cached.find("--");
  return sound(mark == cached.npos ? cached : cached.replace(mark, 2, "/"));
}

std::string hf_license(const std::string& folder) {
  if (!has(folder, "README.md")) return "";
  std::string text, license, name;
  try {
    text = read_start(joined(folder, "README.md"), kMaxReadme);
  } catch (const Error&) {
    return "";  // it is for people, and whether it can be read is no matter of the model's
  }
  bool inside = false, list = false;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    if (line.starts_with("---")) {
      if (inside) break;
      inside = true;
      continue;
    }
    if (!inside) break;
    if (list && line.find_first_not_of(' ') != line.npos && line[line.find_first_not_of(' ')] == '-') {
      license = unquoted(line.substr(line.find('-') + 1));
    }
    list = false;
    if (line.starts_with("license:")) {
      license = unquoted(line.substr(8));
      list = license.empty();
    }
    if (line.starts_with("license_name:")) name = unquoted(line.substr(13));
  }
  return license == "other" && !name.empty() ? name : license;
}

fb::Pooling hf_pooling(const std::string& folder) {
  constexpr const char* kModules = "modules.json";
  if (!has(folder, kModules)) return fb::Pooling::none;
  const Json json = with_path(kModules, [&] { return read_json(joined(folder, kModules), kMaxConfig); });
  std::string path;
  with_path(kModules, [&] {
    const JsonValue modules(json);
    for (size_t i = 0; i < modules.size(); ++i) {
      const JsonValue type = modules[i].at("type");
      const std::string_view name = type.text().substr(type.text().rfind('.') + 1);
      if (name == "Pooling") path = modules[i].at("path").text();
      require(name == "Pooling" || name == "Transformer" || name == "Normalize", BITNET_ERROR_UNSUPPORTED, type.place(),
              " is ", type.shown(), "; supported behind a model are pooling and normalization");
    }
  });
  if (path.empty()) return fb::Pooling::none;
  const std::string file = joined(path, "config.json");
  return with_path(file, [&] { return read_pooling(read_json(joined(folder, file), kMaxConfig)); });
}

std::vector<std::unique_ptr<fb::KeyValueT>> hf_notes(const std::string& folder) {
  std::vector<std::unique_ptr<fb::KeyValueT>> notes;
  for (const std::string name : {"config", "generation_config"}) {
    const std::string file = name + ".json";
    if (!has(folder, file)) continue;
    add_notes(name + ".", with_path(file, [&] { return read_json(joined(folder, file), kMaxConfig); }), notes);
  }
  return notes;
}

}  // namespace bitnet
