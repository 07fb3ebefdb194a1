// SPDX-License-Identifier: MIT
// From C++: handles that free themselves, failures as exceptions, text as it comes.
//
//   c++ -std=c++17 story.cpp $(pkg-config --cflags --libs bitnet) -o story
//   ./story model.bitnet "The ball at Meryton"
#include <bitnet.h>

#include <iostream>
#include <memory>
#include <stdexcept>
#include <string_view>

namespace {

template <auto release>
struct Release {
  template <typename T>
  void operator()(T* object) const {
    release(object);
  }
};
using Model = std::unique_ptr<bitnet_model, Release<bitnet_close>>;
using Session = std::unique_ptr<bitnet_session, Release<bitnet_session_free>>;
using Generation = std::unique_ptr<bitnet_generation, Release<bitnet_generation_free>>;

bitnet_status check(bitnet_status status) {
  if (status < 0) throw std::runtime_error(bitnet_last_error());
  return status;
}

// Options and results of the library: all zero but for their size.
template <typename T>
T sized() {
  T value{};
  value.size = sizeof value;
  return value;
}

Model open(const char* path) {
  bitnet_model* model = nullptr;
  check(bitnet_open(path, nullptr, &model));
  return Model(model);
}

Session create_session(const Model& model) {
  bitnet_session* session = nullptr;
  check(bitnet_session_create(model.get(), nullptr, &session));
  return Session(session);
}

Generation start(const Session& session, std::string_view prompt, const bitnet_generate_options& options) {
  bitnet_generation* generation = nullptr;
  check(bitnet_generation_start(session.get(), prompt.data(), prompt.size(), &options, &generation));
  return Generation(generation);
}

void tell(const char* path, std::string_view prompt) {
  const Model model = open(path);
  const Session session = create_session(model);

  auto sampler = sized<bitnet_sampler_options>();
  sampler.seed = 1811;
  sampler.temperature = 0.8f;
  sampler.min_p = 0.05f;
  auto options = sized<bitnet_generate_options>();
  options.max_tokens = 150;
  options.sampler = &sampler;

  std::cout << prompt;
  const Generation generation = start(session, prompt, options);
  auto piece = sized<bitnet_piece>();
  bitnet_status status = BITNET_OK;
  while (status != BITNET_END) {
    status = check(bitnet_generation_next(generation.get(), &piece));
    std::cout << std::string_view(piece.text, piece.length) << std::flush;
  }

  auto perf = sized<bitnet_perf>();
  check(bitnet_session_get_perf(session.get(), &perf));
  if (perf.generated_ns > 0) {
    std::cout << "\n\n[" << 1e9 * static_cast<double>(perf.generated_tokens) / static_cast<double>(perf.generated_ns)
              << " tokens/s]\n";
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " MODEL PROMPT\n";
    return 2;
  }
  try {
    tell(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
}
