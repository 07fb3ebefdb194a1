// SPDX-License-Identifier: MIT
// Small random models for the tests of the C API, and its objects with their frees.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bitnet.h"

namespace bitnet_test {

struct Free {
  void operator()(bitnet_model* p) const { bitnet_close(p); }
  void operator()(bitnet_pool* p) const { bitnet_pool_free(p); }
  void operator()(bitnet_engine* p) const { bitnet_engine_free(p); }
  void operator()(bitnet_session* p) const { bitnet_session_free(p); }
  void operator()(bitnet_sampler* p) const { bitnet_sampler_free(p); }
  void operator()(bitnet_generation* p) const { bitnet_generation_free(p); }
  void operator()(bitnet_queue* p) const { bitnet_queue_free(p); }
  void operator()(bitnet_decoder* p) const { bitnet_decoder_free(p); }
  void operator()(bitnet_chat* p) const { bitnet_chat_free(p); }
};
using Model = std::unique_ptr<bitnet_model, Free>;
using Pool = std::unique_ptr<bitnet_pool, Free>;
using Engine = std::unique_ptr<bitnet_engine, Free>;
using Session = std::unique_ptr<bitnet_session, Free>;
using Sampler = std::unique_ptr<bitnet_sampler, Free>;
using Generation = std::unique_ptr<bitnet_generation, Free>;
using Queue = std::unique_ptr<bitnet_queue, Free>;
using Decoder = std::unique_ptr<bitnet_decoder, Free>;
using Chat = std::unique_ptr<bitnet_chat, Free>;
constexpr uint32_t kVocabulary = 1000;  // of the models below

using Tokens = std::vector<bitnet_token>;

// A folder of this process's own, removed at its end.
const std::string& temporary_folder();

// Path of a `.bitnet` file of random weights, written once a process for each choice. The same weights for every
// packing.
std::string model_path(bitnet_packing packing = BITNET_PACKING_I2, bitnet_head head = BITNET_HEAD_F16,
                       uint64_t seed = 1);

// These fail the test, with the library's message, if the call fails.
Model open(const std::string& path, const char* isa = nullptr);
Pool make_pool(bitnet_pool_options options = {});
Engine make_engine(const Model& model, bitnet_engine_options options = {});
Session make_session(const Model& model, bitnet_session_options options = {});
// With an engine of its own.
Session make_session(const Model& model, bitnet_session_options options, bitnet_engine_options engine);
Queue make_queue();
void eval(const Session& session, std::span<const bitnet_token> tokens, bitnet_logits_of logits = BITNET_LOGITS_LAST);
std::vector<float> logits(const Session& session, size_t row = 0);

// Tokens that exercise the whole vocabulary, different for each seed.
Tokens random_tokens(size_t count, uint32_t seed = 1);

// A message; length 0: up to the zero byte.
inline bitnet_message turn(const char* role, const char* content, size_t length = 0) {
  return {sizeof(bitnet_message), role, content, length};
}

// Whether two rows of logits are the same bits.
testing::AssertionResult same_bits(std::span<const float> a, std::span<const float> b);

// How far logits are from as many others, by the root mean square, in units of how far those are spread.
double distance(std::span<const float> a, std::span<const float> b);

#define EXPECT_OK(call) EXPECT_EQ(call, BITNET_OK) << bitnet_last_error()
#define ASSERT_OK(call) ASSERT_EQ(call, BITNET_OK) << bitnet_last_error()

}  // namespace bitnet_test
