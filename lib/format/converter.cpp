// SPDX-License-Identifier: MIT
#include "format/converter.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/finite.h"
#include "base/float_environment.h"
#include "base/half.h"
#include "base/parallel.h"
#include "format/form.h"
#include "format/group_scales.h"
#include "format/metadata.h"
#include "format/planes_quantizer.h"

namespace bitnet {
namespace {

struct Job {
  TensorSpec spec;      // as the source knows it
  fb::TensorT* tensor;  // as it will be stored
};

class Converter {
 public:
  Converter(const Source& source, const ConverterOptions& options, Sink& sink, const Progress& progress)
      : source_(source), options_(options), sink_(sink), progress_(progress) {}

  fb::ModelT run() {
    fb::ModelT model = source_.describe();
    const HyperParameters hyper = read_hyperparameters(model);
    check_hyperparameters(hyper);
    const auto specs = tensor_specs(hyper, [this](std::string_view name) { return source_.has(name); });
    source_.check(specs);
    form_ = choose_form(source_, specs, hyper, model.tied, options_);
    plan(specs, model);
    uint64_t total = 0;
    for (const auto& tensor : model.tensors) total += tensor->raw_size;
    sink_.expect(total);
    ProgressMeter meter(progress_, total);
    meter_ = &meter;
    for (const Job& job : jobs_) convert(job);
    rounding_.report(options_.log, options_.rounding_level);
    report_zeros(hyper);
    return model;
  }

 private:
  void plan(const std::vector<TensorSpec>& specs, fb::ModelT& model) {
    const auto add = [&](const TensorSpec& spec, std::string_view name, fb::Type type) {
      model.tensors.push_back(plan_tensor(spec, name, type));
      jobs_.push_back({spec, model.tensors.back().get()});
    };
    const TensorSpec* head = &specs.front();  // what the head is made from: the embedding, or its own tensor
    for (const TensorSpec& spec : specs) {
      switch (spec.role) {
        case Role::vector:
        case Role::bias:
        case Role::router:
          add(spec, spec.name, fb::Type::f32);
          break;
        case Role::linear:
          add(spec, spec.name, form_.linear);
          break;
        case Role::embedding:
          add(spec, spec.name, form_.embedding);
          break;
        case Role::head:
          // A tied model's quantized head is dropped for the embedding that it was made from, or copied.
          if (!model.tied || source_.stored(spec, form_.head)) head = &spec;
          break;
        case Role::screen:
          break;
      }
    }
    if (model.headless) return;
    // A tied model gets a quantized head beside its embedding.
    if (form_.head_copied || !model.tied) add(*head, kHeadName, form_.head);
    if (form_.screen) add(source_.has(kScreenName) ? specs.back() : *head, kScreenName, fb::Type::q5);
  }

  void convert(const Job& job) {
    fb::TensorT& tensor = *job.tensor;
    if (const auto stored = source_.stored(job.spec, tensor.type); stored && is_same_tensor(job)) {
      return copy(job, *stored);
    }
    switch (tensor.type) {
      case fb::Type::f32:
        return convert_values(job);
      case fb::Type::f16:
        return convert_halves(job);
      case fb::Type::int8:
        return convert_int8(job);
      case fb::Type::q5:
      case fb::Type::q6:
        return convert_planes(job);
      case fb::Type::i2:
      case fb::Type::t5:
        return convert_ternary(job);
      case fb::Type::g128:
      case fb::Type::g64:
        return convert_groups(job);
    }
  }

  static bool is_same_tensor(const Job& job) { return job.spec.name == job.tensor->name; }

  void copy(const Job& job, const Tensor& stored) {
    check_stored(job, stored);
    job.tensor->scales.assign(stored.scales.begin(), stored.scales.end());
    job.tensor->bounds.assign(stored.bounds.begin(), stored.bounds.end());
    if (sink_.keep(*job.tensor, stored.data)) return meter_->advance(stored.data.size());
    // Piece by piece given back, so that the largest tensor is not in memory twice.
    const uint32_t rows = job.spec.rows, step = rows_at_once(job);
    const auto offset = [&](uint32_t row) { return raw_bytes(job.tensor->type, row, job.spec.cols); };
    sink_.begin(*job.tensor);
    for (uint32_t row = 0; row < rows; row += step) {
      const uint32_t count = std::min(step, rows - row);
      const auto piece = stored.data.subspan(offset(row), offset(row + count) - offset(row));
      sink_.write(piece);
      source_.release(job.spec, row, count);
      meter_->advance(piece.size());
    }
    sink_.end();
  }

  void check_stored(const Job& job, const Tensor& stored) const {
    if (stored.type != fb::Type::f16) return;  // the others come from a container, which has checked them
    const std::span values(reinterpret_cast<const uint16_t*>(stored.data.data()), stored.data.size() / 2);
    const size_t bad = find_nonfinite(values);
    if (bad != values.size()) fail_value(job, bad / stored.stride, bad % stored.stride, half_to_float(values[bad]));
  }

  [[noreturn]] void fail_value(const Job& job, size_t row, size_t col, float value) const {
    const char* problem = "; the model is damaged";
    if (std::isfinite(value)) {
      problem = options_.dense == Dense::f32  // then only a quantized head goes through F16
                    ? ", beyond the range of F16; leave out the option head (--head)"
                    : ", beyond the range of F16; the option dense keeps all digits (--dense f32)";
    }
    fail(BITNET_ERROR_FORMAT, "tensor ", source_.own_name(job.spec), ", row ", row, ", column ", col, " is ", value,
         problem);
  }

  // Rows that fit into a piece, at least one group of those that are packed together.
  static uint32_t rows_at_once(const Job& job) {
    const size_t group = std::max<size_t>(tensor_type(job.tensor->type).rows, kGroupRows);
    const size_t rows = kPieceBytes / (job.spec.cols * sizeof(float)) / group * group;
    return static_cast<uint32_t>(std::min<size_t>(std::max(rows, group), job.spec.rows));
  }

  // Calls make(row, count) for parts of a tensor, several at once, and writes their bytes in turn.
  template <typename Make>
  void stream(const Job& job, const Make& make) {
    const uint32_t rows = job.spec.rows, step = rows_at_once(job);
    sink_.begin(*job.tensor);
    for (uint64_t begin = 0; begin < rows; begin += uint64_t{step} * kPiecesAtOnce) {
      std::vector<std::byte> pieces[kPiecesAtOnce];
      const size_t parts = std::min<size_t>(kPiecesAtOnce, (rows - begin + step - 1) / step);
      parallel_for(parts, [&](size_t i) {
        const auto row = static_cast<uint32_t>(begin + i * step);
        const uint32_t count = std::min(step, rows - row);
        pieces[i] = make(row, count);
        source_.release(job.spec, row, count);
      });
      for (size_t i = 0; i < parts; ++i) {
        sink_.write(pieces[i]);
        meter_->advance(pieces[i].size());
      }
    }
    sink_.end();
  }

  // Trits of a matrix, a few rows at a time. Notes whether any of them is a weight.
  class Trits {
   public:
    Trits(const Source& source, const TensorSpec& spec, const TernaryScales& scales)
        : source_(source), spec_(spec), scales_(scales) {}
    std::vector<int8_t> read(uint32_t row, uint32_t count) {
      std::vector<int8_t> trits(size_t{count} * spec_.cols);
      source_.read_trits(spec_, scales_, row, count, trits.data());
      if (!any_ && std::ranges::any_of(trits, [](int8_t trit) { return trit != 0; })) any_ = true;
      return trits;
    }
    bool any() const { return any_; }

   private:
    const Source& source_;
    const TensorSpec& spec_;
    const TernaryScales& scales_;
    std::atomic<bool> any_ = false;  // several threads read
  };

  // No training leaves a matrix without a weight.
  void report_zeros(const HyperParameters& hyper) const {
    if (zeros_.empty()) return;
    const bool is_2b4t = hyper.architecture->name == "bitnet-b1.58" && hyper.layers == 30 && hyper.hidden == 2560;
    say(options_.log, BITNET_LOG_WARNING, "all weights of ", counted(zeros_.size(), "tensor"),
        " are zero, the first of them ", zeros_.front(),
        ": the file is damaged, and the model will write nonsense. Get it anew",
        is_2b4t
            ? ": Microsoft's files of BitNet b1.58 2B-4T were so in August 2026 (issue 608 of BitNet), those of April "
              "2025 are whole"
            : "");
  }

  void convert_ternary(const Job& job) {
    const TensorSpec& spec = job.spec;
    TernaryScales scales = scales_for(source_, spec, job.tensor->type, form_.rounded);
    const Packing packing = *tensor_type(job.tensor->type).packing;
    Trits all(source_, spec, scales);
    stream(job, [&](uint32_t row, uint32_t count) {
      const std::vector<int8_t> trits = all.read(row, count);
      std::vector<std::byte> packed(packed_bytes(packing, count, spec.cols));
      const size_t group_bytes = packed_bytes(packing, kGroupRows, spec.cols);
      for (uint32_t group = 0; group * kGroupRows < count; ++group) {
        pack_group(packing, trits.data() + size_t{group} * kGroupRows * spec.cols, spec.cols,
                   std::min<size_t>(kGroupRows, count - group * kGroupRows), spec.cols,
                   reinterpret_cast<uint8_t*>(packed.data()) + group * group_bytes);
      }
      return packed;
    });
    if (!all.any()) zeros_.push_back(source_.own_name(spec));
    job.tensor->scales = std::move(scales.scales);
  }

  void convert_groups(const Job& job) {
    const TensorSpec& spec = job.spec;
    const TernaryScales found = scales_for(source_, spec, job.tensor->type, form_.rounded);
    const uint32_t group = *group_of(tensor_type(job.tensor->type).numbers);
    const GroupScales scales(found, spec.rows, spec.cols, group);
    rounding_.add(scales.rounding());
    Trits all(source_, spec, found);
    stream(job, [&](uint32_t row, uint32_t count) {
      const std::vector<int8_t> trits = all.read(row, count);
      const size_t groups = groups_per_row(spec.cols, group);
      std::vector<uint16_t> halves(count * groups);
      for (uint32_t r = 0; r < count; ++r) scales.write_row(row + r, &halves[r * groups]);
      std::vector<std::byte> packed(group_bytes(count, spec.cols, group));
      for (uint32_t r = 0; r < count; r += kGroupTileRows) {
        pack_groups(group,
                    {trits.data() + size_t{r} * spec.cols, spec.cols, &halves[r * groups], groups,
                     std::min<size_t>(kGroupTileRows, count - r), spec.cols},
                    reinterpret_cast<uint8_t*>(packed.data()) + group_bytes(r, spec.cols, group));
      }
      return packed;
    });
    if (!all.any()) zeros_.push_back(source_.own_name(spec));
    job.tensor->scales = scales.of_tensor();
  }

  std::vector<float> finite_values(const Job& job, uint32_t row, uint32_t count) const {
    const uint32_t cols = job.spec.cols;
    std::vector<float> values(size_t{count} * cols);
    source_.read_values(job.spec, row, count, values.data());
    const size_t bad = find_nonfinite(std::span<const float>(values));
    if (bad != values.size()) fail_value(job, row + bad / cols, bad % cols, values[bad]);
    return values;
  }

  void convert_values(const Job& job) {
    const size_t row_bytes = job.tensor->stride * sizeof(float);
    stream(job, [&](uint32_t row, uint32_t count) {
      const auto values = finite_values(job, row, count);
      std::vector<std::byte> padded(count * row_bytes);
      for (uint32_t r = 0; r < count; ++r) {
        std::memcpy(padded.data() + r * row_bytes, values.data() + size_t{r} * job.spec.cols,
                    job.spec.cols * sizeof(float));
      }
      return padded;
    });
  }

  // Rows of `stride` halves, and what rounding did to them.
  std::vector<std::byte> read_halves(const Job& job, uint32_t stride, uint32_t row, uint32_t count,
                                     Rounding& rounding) const {
    const uint32_t cols = job.spec.cols;
    const auto values = finite_values(job, row, count);
    std::vector<std::byte> padded(size_t{count} * stride * sizeof(uint16_t));
    auto* const out = reinterpret_cast<uint16_t*>(padded.data());
    for (uint32_t r = 0; r < count; ++r) {
      for (uint32_t c = 0; c < cols; ++c) {
        const float value = values[size_t{r} * cols + c];
        const uint16_t half = float_to_half(value);
        if (!half_is_finite(half)) fail_value(job, row + r, c, value);
        out[size_t{r} * stride + c] = half;
        rounding.note(value, half_to_float(half));
      }
    }
    return padded;
  }

  void convert_halves(const Job& job) {
    stream(job, [&](uint32_t row, uint32_t count) {
      Rounding rounding;
      auto halves = read_halves(job, job.tensor->stride, row, count, rounding);
      rounding_.add(rounding);
      return halves;
    });
  }

  // Each row in steps of its largest magnitude / 127. It is rounded to F16 first, so that the same head comes of a file
  // that has been through F16.
  void convert_int8(const Job& job) {
    const uint32_t cols = job.spec.cols, stride = job.tensor->stride;
    std::vector<float> scales(job.spec.rows);
    stream(job, [&](uint32_t row, uint32_t count) {
      Rounding before;  // the smaller of two roundings
      const auto bytes = read_halves(job, cols, row, count, before);
      const auto* const halves = reinterpret_cast<const uint16_t*>(bytes.data());
      std::vector<std::byte> padded(size_t{count} * stride);
      for (uint32_t r = 0; r < count; ++r) {
        scales[row + r] = quantize_row(halves + size_t{r} * cols, cols, padded.data() + size_t{r} * stride);
      }
      return padded;
    });
    job.tensor->scales = std::move(scales);
  }

  void convert_planes(const Job& job) {
    const uint32_t cols = job.spec.cols;
    const Planes planes = *tensor_type(job.tensor->type).planes;
    const bool screen = job.tensor->name == kScreenName;
    std::vector<float> scales(job.spec.rows), bounds(screen ? job.spec.rows : 0);
    stream(job, [&](uint32_t row, uint32_t count) {
      Rounding before;
      const auto halves = read_halves(job, cols, row, count, before);
      std::vector<std::byte> packed(planes_bytes(planes, count, cols));
      quantize_planes(planes, reinterpret_cast<const uint16_t*>(halves.data()), count, cols,
                      reinterpret_cast<uint8_t*>(packed.data()), &scales[row], screen ? &bounds[row] : nullptr);
      return packed;
    });
    job.tensor->scales = std::move(scales);
    job.tensor->bounds = std::move(bounds);
  }

  static float quantize_row(const uint16_t* halves, uint32_t cols, std::byte* out) {
    float largest = 0;
    for (uint32_t c = 0; c < cols; ++c) largest = std::max(largest, std::fabs(half_to_float(halves[c])));
    if (largest == 0) return 1;
    const float scale = largest / 127;
    for (uint32_t c = 0; c < cols; ++c) {
      const float steps = std::nearbyint(half_to_float(halves[c]) / scale);
      out[c] = static_cast<std::byte>(static_cast<int8_t>(std::clamp(steps, -127.0f, 127.0f)));
    }
    return scale;
  }

  const Source& source_;
  const ConverterOptions& options_;
  Sink& sink_;
  const Progress& progress_;
  ProgressMeter* meter_ = nullptr;
  Form form_{};
  RoundingTotal rounding_;
  std::vector<std::string> zeros_;  // matrices without a weight
  std::vector<Job> jobs_;
};

}  // namespace

std::unique_ptr<fb::TensorT> plan_tensor(const TensorSpec& spec, std::string_view name, fb::Type type) {
  auto tensor = std::make_unique<fb::TensorT>();
  tensor->name = name;
  tensor->type = type;
  tensor->rows = spec.rows;
  tensor->cols = spec.cols;
  tensor->stride = row_stride(type, spec.cols);
  tensor->raw_size = raw_bytes(type, spec.rows, spec.cols);
  return tensor;
}

void Sink::begin(fb::TensorT& tensor) {
  current_ = &tensor;
  missing_ = tensor.raw_size;
  hasher_ = Hasher();
  begin_tensor(tensor);
}

void Sink::write(std::span<const std::byte> bytes) {
  require(bytes.size() <= missing_, BITNET_ERROR_INTERNAL, "tensor ", current_->name, " is longer than announced");
  missing_ -= bytes.size();
  hasher_.add(bytes);
  write_piece(bytes);
}

void Sink::end() {
  require(missing_ == 0, BITNET_ERROR_INTERNAL, "tensor ", current_->name, " is shorter than announced");
  current_->checksum = hasher_.digest();
  end_tensor(*current_);
}

bool Sink::keep(fb::TensorT& tensor, std::span<const std::byte> bytes) {
  if (!adopt(tensor, bytes)) return false;
  tensor.checksum = hash(bytes);
  return true;
}

fb::ModelT convert_model(const Source& source, const ConverterOptions& options, Sink& sink, const Progress& progress) {
  const DefaultFloatEnvironment environment;  // which threads that it starts inherit
  return Converter(source, options, sink, progress).run();
}

}  // namespace bitnet
