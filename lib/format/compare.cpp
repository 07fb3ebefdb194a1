// SPDX-License-Identifier: MIT
#include "format/compare.h"

#include <algorithm>
#include <cmath>
#include <locale>
#include <memory>
#include <mutex>
#include <sstream>
#include <string_view>

#include "base/error.h"
#include "base/parallel.h"
#include "format/differences.h"
#include "format/gguf_files.h"
#include "format/hf_source.h"
#include "format/metadata.h"
#include "format/open_questions.h"
#include "planes.h"

namespace bitnet {
namespace {

constexpr uint32_t kRowsAtOnce = 64;

// A source and what it reads from.
struct Original {
  std::unique_ptr<GgufFiles> files;
  std::unique_ptr<Source> source;
};

Original open_original(const std::string& path, const CompareOptions& options) {
  if (is_hf_folder(path)) return {nullptr, open_hf_checkpoint(path, {options.log}).source};
  MappedFile file(path);
  if (!Gguf::is_gguf(file.bytes())) {
    OpenOptions open;
    open.activation = options.activation;
    open.log = options.log;
    return {nullptr, open_container_source(open_container(path, open))};
  }
  auto files = std::make_unique<GgufFiles>(path, std::move(file));
  auto source = open_gguf_source(files->parts(), {options.layout, files->is_mapped(), options.activation, options.log});
  return {std::move(files), std::move(source)};
}

// The values of a tensor, whatever they are stored in: of trits the products with their scales.
class Values {
 public:
  Values(const Source& source, const TensorSpec& spec) : source_(source), spec_(spec) {
    const bool matrix = spec.role != Role::vector && spec.role != Role::bias;
    if (matrix) scales_ = source.ternary_scales(spec);
    ternary_ = matrix && scales_.is_ternary();
  }

  // `count` rows from a multiple of 16 on.
  std::vector<float> read(uint32_t row, uint32_t count) const {
    std::vector<float> values(size_t{count} * spec_.cols);
    if (ternary_) {
      read_products(row, count, values);
    } else if (const auto stored = find_rounded()) {
      for (uint32_t r = 0; r < count; ++r) read_rounded(*stored, row + r, &values[size_t{r} * spec_.cols]);
    } else {
      source_.read_values(spec_, row, count, values.data());
    }
    source_.release(spec_, row, count);
    return values;
  }

 private:
  void read_products(uint32_t row, uint32_t count, std::vector<float>& values) const {
    std::vector<int8_t> trits(values.size());
    source_.read_trits(spec_, scales_, row, count, trits.data());
    const uint32_t group = scales_.group == 0 ? spec_.cols : scales_.group;
    const size_t groups = (spec_.cols + group - 1) / group;
    for (uint32_t r = 0; r < count; ++r) {
      for (uint32_t c = 0; c < spec_.cols; ++c) {
        const size_t i = size_t{r} * spec_.cols + c;
        const float scale =
            scales_.scales.size() == 1 ? scales_.scales[0] : scales_.scales[(row + r) * groups + c / group];
        values[i] = static_cast<float>(trits[i]) * scale;
      }
    }
  }

  // int8 and q6 are not numbers that a conversion would start from, so that sources do not read them.
  std::optional<Tensor> find_rounded() const {
    for (const fb::Type type : {fb::Type::int8, fb::Type::q6}) {
      if (spec_.role == Role::vector || spec_.role == Role::bias) return std::nullopt;
      if (auto stored = source_.stored(spec_, type)) return stored;
    }
    return std::nullopt;
  }

  void read_rounded(const Tensor& tensor, uint32_t row, float* out) const {
    const float scale = tensor.scales[row];
    if (const auto planes = tensor_type(tensor.type).planes) {
      const auto* const tiles = reinterpret_cast<const uint8_t*>(tensor.data.data()) +
                                planes_bytes(*planes, row / kTileRows * kTileRows, tensor.cols);
      for (uint32_t c = 0; c < tensor.cols; ++c) {
        const uint8_t* const tile = tiles + c / kTileCols * tile_bytes(*planes);
        const auto group = static_cast<int8_t>(tile[c % kTileCols / kGroupCols * kTileRows + row % kTileRows]);
        const int code = read_code(*planes, tile, row % kTileRows, c % kTileCols) - middle_code(*planes);
        out[c] = scale * static_cast<float>(group * code);
      }
      return;
    }
    const auto* const codes = reinterpret_cast<const int8_t*>(tensor.data.data()) + size_t{row} * tensor.stride;
    for (uint32_t c = 0; c < tensor.cols; ++c) out[c] = scale * static_cast<float>(codes[c]);
  }

  const Source& source_;
  const TensorSpec& spec_;
  TernaryScales scales_;
  bool ternary_ = false;
};

// What the rows of one tensor come to, added up from several threads.
class Differences {
 public:
  void add(const TensorSpec& spec, uint32_t row, std::span<const float> ours, std::span<const float> theirs) {
    uint64_t differing = 0;
    double largest = 0;
    size_t first = ours.size();
    for (size_t i = 0; i < ours.size(); ++i) {
      if (ours[i] == theirs[i]) continue;
      if (differing++ == 0) first = i;
      largest = std::max(largest, std::fabs(double{ours[i]} - theirs[i]));
    }
    if (differing == 0) return;
    const std::lock_guard lock(mutex_);
    differing_ += differing;
    largest_ = std::max(largest_, largest);
    const uint64_t place = uint64_t{row} * spec.cols + first;
    if (place >= place_) return;
    place_ = place;
    ours_ = ours[first];
    theirs_ = theirs[first];
  }

  void report(const TensorSpec& spec, TensorComparison& out) const {
    out.differing = differing_;
    out.largest_error = largest_;
    if (differing_ == 0) return;
    std::ostringstream text;
    text.imbue(std::locale::classic());
    text.precision(9);
    text << "row " << place_ / spec.cols << ", column " << place_ % spec.cols << ": " << ours_ << ", originally "
         << theirs_;
    out.first = text.str();
  }

 private:
  std::mutex mutex_;
  uint64_t differing_ = 0, place_ = UINT64_MAX;
  double largest_ = 0;
  float ours_ = 0, theirs_ = 0;
};

class Comparer {
 public:
  Comparer(std::shared_ptr<const Container> file, const Source& original, const CompareOptions& options)
      : file_(std::move(file)), ours_(open_container_source(file_)), original_(original), options_(options) {}

  Comparison run() {
    const fb::ModelT ours = ours_->describe(), theirs = original_.describe();
    result_.metadata = differing_hyperparameters(ours, theirs);
    if (!result_.metadata.empty()) return std::move(result_);  // shapes would not match
    result_.metadata = differing_tokenizers(*ours.tokenizer, *theirs.tokenizer);
    if (ours.architecture != theirs.architecture) {
      result_.notes.push_back("the architecture is " + ours.architecture + ", originally " + theirs.architecture +
                              ": the same graph by another name");
    }
    if (ours.chat_template != theirs.chat_template) result_.notes.emplace_back("the chat template is another one");
    const auto specs =
        tensor_specs(read_hyperparameters(ours), [&](std::string_view name) { return ours_->has(name); });
    const auto originals =
        tensor_specs(read_hyperparameters(theirs), [&](std::string_view name) { return original_.has(name); });
    original_.check(originals);
    find_missing(originals);
    uint64_t total = 0;
    for (const TensorSpec& spec : specs) total += uint64_t{spec.rows} * spec.cols;
    ProgressMeter meter(options_.progress, total);
    for (const TensorSpec& spec : specs) {
      if (spec.role == Role::screen) {  // verify() holds it to the head
        meter.advance(uint64_t{spec.rows} * spec.cols);
      } else {
        compare_tensor(spec, meter);
      }
    }
    return std::move(result_);
  }

 private:
  // The quantized head of a tied model may be left out.
  void find_missing(const std::vector<TensorSpec>& originals) {
    for (const TensorSpec& spec : originals) {
      const bool extra = spec.role == Role::screen || (spec.role == Role::head && original_.describe().tied);
      if (!extra && !ours_->has(spec.name)) result_.metadata.push_back("tensor " + spec.name + " is missing");
    }
  }

  void compare_tensor(const TensorSpec& spec, ProgressMeter& meter) {
    TensorSpec original = spec;
    // A tied model's head was made from its embedding.
    if (spec.role == Role::head && !original_.has(spec.name)) {
      original.name = kEmbeddingName;
      original.role = Role::embedding;
    }
    TensorComparison tensor{spec.name, file_->find(spec.name)->type, spec.rows, spec.cols, 0, 0, ""};
    if (!original_.has(original.name)) {
      result_.metadata.push_back("tensor " + spec.name + " is not in the original");
      meter.advance(uint64_t{spec.rows} * spec.cols);
      return;
    }
    const Values ours(*ours_, spec), theirs(original_, original);
    Differences differences;
    parallel_for((spec.rows + kRowsAtOnce - 1) / kRowsAtOnce, [&](size_t part) {
      const auto row = static_cast<uint32_t>(part * kRowsAtOnce);
      const uint32_t count = std::min(kRowsAtOnce, spec.rows - row);
      differences.add(spec, row, ours.read(row, count), theirs.read(row, count));
      meter.advance(uint64_t{count} * spec.cols);
    });
    differences.report(spec, tensor);
    result_.tensors.push_back(std::move(tensor));
  }

  const std::shared_ptr<const Container> file_;
  const std::unique_ptr<Source> ours_;
  const Source& original_;
  const CompareOptions& options_;
  Comparison result_;
};

}  // namespace

bool Comparison::lossless() const {
  return metadata.empty() && std::ranges::all_of(tensors, [](const auto& t) { return t.differing == 0; });
}

std::string Comparison::verdict() const {
  if (lossless()) return "lossless";
  if (!metadata.empty()) return "not lossless: " + metadata.front();
  const auto differs = [](const auto& t) { return t.differing != 0; };
  const auto first = std::ranges::find_if(tensors, differs);
  const auto others = std::ranges::count_if(tensors, differs) - 1;
  return "not lossless: tensor " + first->name + ", " + first->first +
         (others == 0 ? "" : "; and " + std::to_string(others) + " more tensors");
}

Comparison compare(const std::string& path, const std::string& original, const CompareOptions& options) {
  OpenOptions open;
  open.verify_checksums = true;
  open.log = options.log;
  auto file = open_container(path, open);
  const auto specs = tensor_specs(read_hyperparameters(file->metadata()),
                                  [&](std::string_view name) { return file->find(name) != nullptr; });
  check_tensors(*file, specs);
  try {
    const Original opened = open_original(original, options);
    return Comparer(std::move(file), *opened.source, options).run();
  } catch (const Error& error) {
    const bool said = !original.empty() && std::string_view(error.what()).starts_with(original);
    fail(error.status(), said ? "" : named(original) + ": ", error.what());
  }
}

}  // namespace bitnet
