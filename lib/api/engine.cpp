// SPDX-License-Identifier: MIT
#include "api/handles.h"

using namespace bitnet;

namespace {

EngineOptions make_options(const bitnet_engine_options* options) {
  const auto o = read_options(options, "bitnet_engine_options");
  require(o.pool == nullptr || o.threads == 0, BITNET_ERROR_ARGUMENT,
          "bitnet_engine_options has a pool and a number of threads: the pool has its own");
  return {
      .pool = o.pool != nullptr ? o.pool->pool : nullptr,
      .threads = o.threads,
      .generation_threads = o.generation_threads,
      .batch = o.batch,
      .pass_time = std::chrono::milliseconds(o.pass_ms),
      .prefix_bytes = o.prefix_bytes,
      .kv_bytes = o.kv_bytes,
      .overcommit = o.overcommit != 0,
      .patience = std::chrono::milliseconds(o.queue_ms),
  };
}

}  // namespace

Priority bitnet::make_priority(bitnet_priority priority) {
  switch (priority) {
    case BITNET_PRIORITY_INTERACTIVE:
      return Priority::interactive;
    case BITNET_PRIORITY_BACKGROUND:
      return Priority::background;
  }
  fail(BITNET_ERROR_ARGUMENT, "priority ", static_cast<int>(priority), " does not exist");
}

std::shared_ptr<Engine> bitnet::engine_of(const bitnet_model& model, const bitnet_engine* engine, const char* name) {
  if (engine == nullptr) return model.engine->get();
  require(engine->engine->shared_runtime() == model.runtime, BITNET_ERROR_ARGUMENT, name, " is of another model");
  return engine->engine;
}

bitnet_status bitnet_pool_create(const bitnet_pool_options* options, bitnet_pool** pool) {
  return guard([&] {
    require_pointer(pool, "pool");
    const auto o = read_options(options, "bitnet_pool_options");
    *pool = new bitnet_pool{ThreadPool::create({
        .threads = o.threads,
        .parallel = o.parallel,
        .parallel_user = o.parallel_user,
        .on_thread_start = o.on_thread_start,
        .on_thread_start_user = o.on_thread_start_user,
    })};
  });
}

void bitnet_pool_free(bitnet_pool* pool) { delete pool; }

bitnet_status bitnet_engine_memory(const bitnet_model* model, const bitnet_engine_options* options, uint64_t* bytes) {
  return guard([&] {
    require_pointer(model, "model");
    require_pointer(bytes, "bytes");
    *bytes = Engine::bytes(model->runtime->model(), with_defaults(make_options(options)));
  });
}

bitnet_status bitnet_engine_create(bitnet_model* model, const bitnet_engine_options* options, bitnet_engine** engine) {
  return guard([&] {
    require_pointer(model, "model");
    require_pointer(engine, "engine");
    *engine = new bitnet_engine{Engine::create(model->runtime, make_options(options))};
  });
}

bitnet_status bitnet_engine_trim(bitnet_model* model, bitnet_engine* engine, uint64_t* bytes) {
  return guard([&] {
    require_pointer(model, "model");
    require(engine == nullptr || engine->engine->shared_runtime() == model->runtime, BITNET_ERROR_ARGUMENT,
            "the engine is of another model");
    const auto trimmed = engine != nullptr ? engine->engine : model->engine->find();
    const uint64_t freed = trimmed != nullptr ? trimmed->trim() : 0;
    if (bytes != nullptr) *bytes = freed;
  });
}

void bitnet_engine_free(bitnet_engine* engine) { delete engine; }
