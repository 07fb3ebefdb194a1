// SPDX-License-Identifier: MIT
// Models and saved sessions on file systems that cannot map files, and under names that are links.
#include <sys/mman.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

#include "format/sample_model.h"
#include "test_model.h"

namespace {

bool maps_files = true;    // otherwise no file can be mapped
bool shares_files = true;  // otherwise only for this process alone, as FUSE with direct_io
int dropped = 0;           // calls that took pages out of memory

}  // namespace

// The linker gives these in place of mmap and madvise (--wrap).
// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" void* __real_mmap(void* address, size_t length, int protection, int flags, int fd, off_t offset);
extern "C" void* __wrap_mmap(void* address, size_t length, int protection, int flags, int fd, off_t offset) {
  if (fd < 0 || (maps_files && (shares_files || (flags & MAP_PRIVATE) != 0))) {
    return __real_mmap(address, length, protection, flags, fd, offset);
  }
  errno = ENODEV;
  return MAP_FAILED;
}
extern "C" int __real_madvise(void* address, size_t length, int advice);
extern "C" int __wrap_madvise(void* address, size_t length, int advice) {
  if (advice == MADV_DONTNEED) dropped++;
  return __real_madvise(address, length, advice);
}
// NOLINTEND(bugprone-reserved-identifier)

namespace bitnet_test {
namespace {

namespace fs = std::filesystem;

std::string read_whole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class Places : public testing::Test {
 protected:
  void SetUp() override {
    gguf = temporary_folder() + "/model.gguf";
    std::ofstream(gguf, std::ios::binary) << small_model().gguf().build();
    packed = temporary_folder() + "/packed.bitnet";
    const bitnet_convert_options options = {.size = sizeof options, .zstd_level = 1};
    ASSERT_OK(bitnet_convert(model_path().c_str(), packed.c_str(), &options));
    dropped = 0;
  }
  void TearDown() override { maps_files = shares_files = true; }

  static void note(void* user, bitnet_log_level level, const char* message) {
    if (level == BITNET_LOG_WARNING) static_cast<Places*>(user)->warnings += std::string(message) + "\n";
  }

  // Logits of the last of some tokens.
  std::vector<float> logits_of(const std::string& path) {
    bitnet_model* raw = nullptr;
    const bitnet_open_options options = {
        .size = sizeof options, .verify = 1, .i2s = BITNET_I2S_X86, .log = note, .log_user = this};
    EXPECT_OK(bitnet_open(path.c_str(), &options, &raw));
    const Model model(raw);
    if (!model) return {};
    bitnet_model_info info = {.size = sizeof info};
    EXPECT_OK(bitnet_model_get_info(model.get(), &info));
    const Session session = make_session(model, {.context = 64}, {.threads = 1});
    eval(session, Tokens{1, 2, 3, 4});
    const float* data = nullptr;
    EXPECT_OK(bitnet_session_logits(session.get(), 0, &data));
    dropped_so_far = dropped;  // a session that ends gives its memory back
    if (data == nullptr) return {};
    return {data, data + info.vocabulary};
  }

  std::string gguf, packed, warnings;
  int dropped_so_far = 0;
};

TEST_F(Places, AFileThatCannotBeMappedIsReadWithAWarning) {
  for (const std::string& path : {model_path(), packed, gguf}) {
    const std::vector<float> mapped = logits_of(path);
    EXPECT_EQ(warnings, "");
    maps_files = false;
    dropped = 0;
    const std::vector<float> read = logits_of(path);
    maps_files = true;
    EXPECT_TRUE(same_bits(read, mapped)) << path;
    EXPECT_EQ(dropped_so_far, 0) << "of memory that would be zero afterwards: " << path;
    EXPECT_NE(warnings.find(path + ": its file system cannot map files"), std::string::npos) << warnings;
    warnings.clear();
  }
}

TEST_F(Places, AFileThatCannotBeSharedIsMappedAlone) {
  shares_files = false;
  const std::vector<float> alone = logits_of(model_path());
  EXPECT_EQ(warnings, "");
  shares_files = true;
  EXPECT_TRUE(same_bits(alone, logits_of(model_path())));
}

TEST_F(Places, AFileThatCannotBeMappedConvertsAndVerifies) {
  const std::string mapped = temporary_folder() + "/mapped.bitnet", read = temporary_folder() + "/read.bitnet";
  for (const std::string& path : {model_path(), packed, gguf}) {
    const bitnet_convert_options options = {
        .size = sizeof options, .packing = BITNET_PACKING_T5, .log = note, .log_user = this};
    ASSERT_OK(bitnet_convert(path.c_str(), mapped.c_str(), &options));
    maps_files = false;
    dropped = 0;
    ASSERT_OK(bitnet_convert(path.c_str(), read.c_str(), &options));
    EXPECT_OK(bitnet_verify(read.c_str(), nullptr, nullptr));
    maps_files = true;
    EXPECT_EQ(dropped, 0) << path;
    EXPECT_EQ(read_whole(read), read_whole(mapped)) << path;
    EXPECT_NE(warnings.find(path), std::string::npos) << warnings;
  }
}

TEST_F(Places, ASavedSessionThatCannotBeMappedIsLoaded) {
  const Model model = open(model_path());
  const Session session = make_session(model, {.context = 64}, {.threads = 1});
  eval(session, random_tokens(20));
  const std::string path = temporary_folder() + "/unmapped.state";
  ASSERT_OK(bitnet_session_save(session.get(), path.c_str()));
  maps_files = false;
  const Session loaded = make_session(model, {.context = 64}, {.threads = 1});
  ASSERT_OK(bitnet_session_load(loaded.get(), path.c_str()));
  EXPECT_EQ(bitnet_session_position(loaded.get()), 20u);
}

// A file that is shorter than the system says, as those of sysfs are.
TEST_F(Places, AFileThatEndsEarlyIsRefused) {
  bitnet_model* model = nullptr;
  maps_files = false;
  EXPECT_EQ(bitnet_open("/sys/kernel/mm/transparent_hugepage/enabled", nullptr, &model), BITNET_ERROR_IO);
  EXPECT_NE(std::string(bitnet_last_error()).find("ends after"), std::string::npos) << bitnet_last_error();
}

TEST_F(Places, ASessionSavedToALinkIsWhereTheLinkPoints) {
  const Model model = open(model_path());
  const Session session = make_session(model, {.context = 64}, {.threads = 1});
  eval(session, random_tokens(20));
  const std::string link = temporary_folder() + "/link.state", target = temporary_folder() + "/target.state";
  fs::create_symlink("target.state", link);
  for (int i = 0; i < 2; i++) {  // the target is new, then old
    ASSERT_OK(bitnet_session_save(session.get(), link.c_str()));
    EXPECT_TRUE(fs::is_symlink(link));
    EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(target)));
  }
  ASSERT_OK(bitnet_session_load(session.get(), link.c_str()));
}

TEST_F(Places, AModelConvertedOntoItselfByAnyNameIsWhole) {
  const std::string model = temporary_folder() + "/same.bitnet", link = temporary_folder() + "/same.link",
                    hard = temporary_folder() + "/same.hard";
  const bitnet_convert_options i2 = {.size = sizeof i2}, t5 = {.size = sizeof t5, .packing = BITNET_PACKING_T5};
  ASSERT_OK(bitnet_convert(gguf.c_str(), model.c_str(), &i2));
  fs::create_symlink(model, link);
  fs::create_hard_link(model, hard);
  const std::string before = read_whole(model);
  const Model held = open(model);  // goes on with what it has mapped
  ASSERT_OK(bitnet_convert(model.c_str(), link.c_str(), &t5));
  EXPECT_OK(bitnet_verify(model.c_str(), nullptr, nullptr));
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_NE(read_whole(model), before);
  EXPECT_EQ(read_whole(hard), before);
  ASSERT_OK(bitnet_convert(hard.c_str(), hard.c_str(), &t5));
  EXPECT_EQ(read_whole(hard), read_whole(model));
  const Session session = make_session(held, {.context = 64}, {.threads = 1});
  eval(session, Tokens{1, 2, 3});
}

}  // namespace
}  // namespace bitnet_test
