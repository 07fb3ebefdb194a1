// SPDX-License-Identifier: MIT
// A model in several GGUF files is one model, and says which of them are missing or wrong.
#include <gtest/gtest.h>

#include "base/error.h"
#include "format/convert.h"
#include "format/files.h"
#include "format/open.h"
#include "format/sample_model.h"
#include "format/verify.h"

using namespace bitnet;
using namespace bitnet_test;

namespace {

constexpr const char* kNames[] = {"model-00001-of-00003.gguf", "model-00002-of-00003.gguf",
                                  "model-00003-of-00003.gguf"};

// As llama-gguf-split and gguf-py write parts: all values in the first, in the others only which part it is.
class Split : public testing::Test {
 protected:
  Split() {
    sample_.layers = 2;
    sample_.weights = Encoding::f32;
    sample_.draw();
    whole_ = sample_.gguf();
    for (size_t i = 0; i < 3; ++i) {
      parts_[i] = i == 0 ? sample_.gguf() : GgufBuilder();
      parts_[i].infos.clear();
      parts_[i].data.clear();
      parts_[i].number("split.no", 2, static_cast<uint16_t>(i));
      parts_[i].number("split.count", 2, uint16_t{3});
      parts_[i].number("split.tensors.count", 5, static_cast<int32_t>(whole_.infos.size()));
    }
    for (size_t i = 0; i < whole_.infos.size(); ++i) {
      const auto& info = whole_.infos[i];
      const size_t end = i + 1 < whole_.infos.size() ? whole_.infos[i + 1].offset : whole_.data.size();
      // The first part may have none, as llama-gguf-split's --no-tensor-first-split makes it.
      parts_[1 + i % 2].tensor(info.name, info.shape, info.type,
                               std::string_view(whole_.data).substr(info.offset, end - info.offset));
    }
    write_file(folder_ / "whole.gguf", whole_.build());
    for (size_t i = 0; i < 3; ++i) write(i);
  }
  void write(size_t part) { write_file(folder_ / kNames[part], parts_[part].build()); }

  testing::AssertionResult refuses(const std::string& name, bitnet_status status,
                                   const std::vector<std::string>& words) {
    for (const bool converts : {false, true}) {
      try {
        if (converts) {
          convert(folder_ / name, folder_ / "out.bitnet");
        } else {
          open_container(folder_ / name);
        }
        return testing::AssertionFailure() << "was taken";
      } catch (const Error& error) {
        const std::string message = error.what();
        if (error.status() != status) return testing::AssertionFailure() << error.status() << ": " << message;
        for (const auto& word : words) {
          if (message.find(word) == message.npos) return testing::AssertionFailure() << message << " without " << word;
        }
      }
    }
    return testing::AssertionSuccess();
  }

  SampleModel sample_;
  GgufBuilder whole_, parts_[3];
  TemporaryFolder folder_;
};

TEST_F(Split, IsOneModel) {
  const auto whole = open_container(folder_ / "whole.gguf"), split = open_container(folder_ / kNames[0]);
  EXPECT_EQ(split->fingerprint(), whole->fingerprint());
  EXPECT_EQ(split->file_bytes(), parts_[0].build().size() + parts_[1].build().size() + parts_[2].build().size());
  convert(folder_ / "whole.gguf", folder_ / "whole.bitnet");
  convert(folder_ / kNames[0], folder_ / "split.bitnet");
  EXPECT_EQ(open_container(folder_ / "split.bitnet")->fingerprint(),
            open_container(folder_ / "whole.bitnet")->fingerprint());
}

// F16 tensors are used where they lie, whichever file that is.
TEST_F(Split, KeepsTheFilesOfItsTensors) {
  const auto container = open_container(folder_ / kNames[0]);
  for (const char* const name : kNames) std::filesystem::remove(folder_ / name);
  const Tensor& embedding = *container->find("token_embd.weight");
  EXPECT_TRUE(container->is_mapped(embedding.data));
  EXPECT_EQ(std::memcmp(embedding.data.data(), whole_.data.data(), embedding.data.size()), 0);
}

TEST_F(Split, IsOpenedByItsFirstPart) {
  const std::string first = folder_ / kNames[0];
  EXPECT_TRUE(refuses(kNames[1], BITNET_ERROR_UNSUPPORTED, {"part 2 of 3", "open it by the first, " + first}));
  EXPECT_TRUE(refuses(kNames[2], BITNET_ERROR_UNSUPPORTED, {"part 3 of 3", "open it by the first, " + first}));
}

TEST_F(Split, NamesPartsThatAreMissing) {
  std::filesystem::remove(folder_ / kNames[2]);
  EXPECT_TRUE(refuses(kNames[0], BITNET_ERROR_NOT_FOUND, {"3 files, and 1 part is missing: " + folder_ / kNames[2]}));
  std::filesystem::remove(folder_ / kNames[1]);
  EXPECT_TRUE(refuses(kNames[0], BITNET_ERROR_NOT_FOUND, {"2 parts are missing: ", kNames[1], kNames[2]}));
}

TEST_F(Split, NamesAPartThatIsWrong) {
  write_file(folder_ / kNames[1], "GGML");
  EXPECT_TRUE(refuses(kNames[0], BITNET_ERROR_FORMAT, {"part 2 of 3", kNames[1], "is no GGUF file"}));
  write(1);
  write_file(folder_ / kNames[2], parts_[2].build().substr(0, 5000));
  EXPECT_TRUE(refuses(kNames[0], BITNET_ERROR_FORMAT, {"part 3 of 3: ", "truncated"}));
  write_file(folder_ / kNames[2], parts_[1].build());
  EXPECT_TRUE(refuses(kNames[0], BITNET_ERROR_UNSUPPORTED, {"part 3 of 3: the file is part 2 of 3", "another"}));
  parts_[2].remove("split.count");
  write(2);
  EXPECT_TRUE(refuses(kNames[0], BITNET_ERROR_UNSUPPORTED, {"part 3 of 3: the file is part 1 of 1"}));
}

TEST_F(Split, PartsHoldEachTensorOnceAndNoneIsMissing) {
  auto last = parts_[2];
  parts_[2].infos.pop_back();
  write(2);
  EXPECT_TRUE(refuses(kNames[0], BITNET_ERROR_FORMAT, {"split.tensors.count", "another model"}));
  parts_[2] = last;
  parts_[2].tensor(parts_[1].infos[0].name, {1}, 0, std::string(4, '\0'));
  write(2);
  EXPECT_TRUE(refuses(kNames[0], BITNET_ERROR_FORMAT, {"part 3 of 3", "appears twice"}));
}

TEST_F(Split, CannotBeFoundUnderAnotherName) {
  std::filesystem::rename(folder_ / kNames[0], folder_ / "renamed.gguf");
  EXPECT_TRUE(refuses("renamed.gguf", BITNET_ERROR_UNSUPPORTED, {"must end in -00001-of-00003.gguf"}));
}

TEST_F(Split, CountsThatMakeNoSenseAreRefused) {
  for (const uint32_t count : {100000u, ~0u}) {
    parts_[0].remove("split.count");
    parts_[0].u32("split.count", count);
    write(0);
    EXPECT_TRUE(refuses(kNames[0], BITNET_ERROR_FORMAT, {"split.count", "up to 99999"}));
  }
  parts_[0].remove("split.count");
  parts_[0].u32("split.count", 3);
  parts_[0].remove("split.no");
  parts_[0].u32("split.no", 3);
  write(0);
  EXPECT_TRUE(refuses(kNames[0], BITNET_ERROR_FORMAT, {"split.no", "up to 2"}));
}

TEST_F(Split, OneFileMayCallItselfTheOnlyPart) {
  for (const uint16_t count : {0, 1}) {
    GgufBuilder one = sample_.gguf();
    one.number("split.count", 2, count);
    one.number("split.no", 2, uint16_t{0});
    write_file(folder_ / "one.gguf", one.build());
    EXPECT_EQ(open_container(folder_ / "one.gguf")->fingerprint(),
              open_container(folder_ / "whole.gguf")->fingerprint());
  }
}

}  // namespace
