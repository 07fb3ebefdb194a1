// SPDX-License-Identifier: MIT
// The types that the tensors of a .bitnet file have: the one place that says how each lies in memory, what goes with it
// and what it may be used for. Reader, converter, verifier, writer and messages ask here.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "groups.h"
#include "model/architecture.h"
#include "model/model.h"
#include "model_generated.h"
#include "packing.h"
#include "planes.h"

namespace bitnet {

constexpr size_t kCacheLine = 64;     // every tensor and every row of plain numbers begins on one
constexpr size_t kWeightPage = 4096;  // in a file, every matrix begins on one

// How many scales a tensor has.
enum class Scales : uint8_t {
  none,
  one_or_rows,  // one for all, or one for each row
  rows,
};

class Roles {
 public:
  constexpr Roles(std::initializer_list<Role> roles) {
    for (const Role role : roles) bits_ |= 1u << static_cast<unsigned>(role);
  }
  constexpr bool contains(Role role) const { return (bits_ >> static_cast<unsigned>(role) & 1) != 0; }

 private:
  unsigned bits_ = 0;
};

struct TensorType {
  fb::Type type;
  const char* name;
  Numbers numbers;                 // the same to the engine
  uint32_t block, block_bytes;     // so many values of a row lie in so many bytes; a row is filled up to whole blocks
  uint32_t rows;                   // that lie together; a matrix is filled up to a multiple of them
  std::optional<Packing> packing;  // of a ternary type
  std::optional<Planes> planes;    // of a type in bit planes
  Scales scales;
  Roles roles;  // that such a tensor may have
};

// A matrix of one of the ternary packings, or of the packings in bit planes.
constexpr TensorType ternary_type(fb::Type type, const char* name, Numbers numbers, Packing packing) {
  return {type,
          name,
          numbers,
          static_cast<uint32_t>(weights_per_block(packing)),
          kBlockBytes,
          kGroupRows,
          packing,
          {},
          Scales::one_or_rows,
          {Role::linear}};
}
constexpr TensorType planes_type(fb::Type type, const char* name, Numbers numbers, Planes planes, Role role) {
  return {type,      name, numbers, kTileCols,    static_cast<uint32_t>(tile_bytes(planes) / kTileRows),
          kTileRows, {},   planes,  Scales::rows, {role}};
}

constexpr TensorType group_type(fb::Type type, const char* name, Numbers numbers, size_t group) {
  return {type,
          name,
          numbers,
          kGroupTileCols,
          static_cast<uint32_t>(group_tile_bytes(group) / kGroupTileRows),
          kGroupTileRows,
          {},
          {},
          Scales::one_or_rows,
          {Role::linear, Role::embedding, Role::head}};
}
constexpr Roles kMatrices = {Role::linear, Role::embedding, Role::head};
constexpr Roles kVectorsAndMatrices = {Role::vector, Role::bias,      Role::linear,
                                       Role::router, Role::embedding, Role::head};

// In the order of the schema's numbers.
constexpr auto kTensorTypes = std::to_array<TensorType>({
    {fb::Type::f32, "f32", Numbers::f32, kCacheLine / 4, kCacheLine, 1, {}, {}, Scales::none, kVectorsAndMatrices},
    {fb::Type::f16, "f16", Numbers::f16, kCacheLine / 2, kCacheLine, 1, {}, {}, Scales::none, kMatrices},
    ternary_type(fb::Type::i2, "i2", Numbers::i2, Packing::i2),
    ternary_type(fb::Type::t5, "t5", Numbers::t5, Packing::t5),
    {fb::Type::int8,
     "int8",
     Numbers::int8,
     kCacheLine,
     kCacheLine,
     1,
     {},
     {},
     Scales::rows,
     {Role::linear, Role::head}},
    planes_type(fb::Type::q5, "q5", Numbers::q5, Planes::q5, Role::screen),
    planes_type(fb::Type::q6, "q6", Numbers::q6, Planes::q6, Role::head),
    group_type(fb::Type::g128, "g128", Numbers::g128, 128),
    group_type(fb::Type::g64, "g64", Numbers::g64, 64),
});
constexpr bool has_every_type() {
  for (size_t i = 0; i < kTensorTypes.size(); ++i) {
    if (static_cast<size_t>(kTensorTypes[i].type) != i) return false;
  }
  return kTensorTypes.size() == static_cast<size_t>(fb::Type::MAX) + 1;
}
static_assert(has_every_type(), "a type of the schema has no row in kTensorTypes");

// Of a type that is_known; a file may hold others.
constexpr bool is_known(fb::Type type) { return static_cast<size_t>(type) < kTensorTypes.size(); }
constexpr const TensorType& tensor_type(fb::Type type) { return kTensorTypes[static_cast<size_t>(type)]; }

constexpr const char* name_of(fb::Type type) { return tensor_type(type).name; }
constexpr bool is_ternary(fb::Type type) { return tensor_type(type).packing.has_value(); }
fb::Type type_of(Packing packing);

constexpr uint32_t kMaxExtent = 1u << 24;  // rows or columns of any tensor

// Values from one row of plain numbers to the next; 0 for other types. Of at most kMaxExtent columns.
uint32_t row_stride(fb::Type type, uint32_t cols);
// Bytes in all, of at most kMaxExtent rows and columns.
uint64_t raw_bytes(fb::Type type, uint32_t rows, uint32_t cols);

// The kinds of output head that can be asked for.
enum class HeadType : uint8_t {
  f16,
  int8,
  q6,
  screened,  // f16, with a q5 screen beside it
};
// At or above some vocabulary a screen pays: below it the head is a small part of a model.
constexpr HeadType default_head(uint32_t vocabulary) { return vocabulary < 16384 ? HeadType::f16 : HeadType::screened; }

// What a head is stored as.
struct HeadForm {
  fb::Type type;
  bool copied;  // a tied model has it beside its embedding, which an F16 head is itself
  bool screen;  // there is a screen beside it
};
HeadForm form_of(HeadType head);
// The kind of a head that is stored so; null if none is.
std::optional<HeadType> head_type(fb::Type type, bool screen);

}  // namespace bitnet
